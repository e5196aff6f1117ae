/* Envelopes: stages on curves, each with its own time of beginning, so that a gate heard late counts from when it was.
 * See sources.h for the contract. */
#include <math.h>

#include "inputs/sources.h"

static const double MS = 1e6;                   /* in nanoseconds */
static const double BEND = 5.0;                 /* of the fullest curve, in time constants */

/* How far after the share `done` of a stage's time, both 0..1. */
static double bent(double curve, double done) {
  double k = BEND * curve;
  return fabs(k) < 1e-6 ? done : expm1(-k * done) / expm1(-k);
}

static double unbent(double curve, double level) {
  double k = BEND * curve;
  level = level < 0 ? 0 : level > 1 ? 1 : level;
  return fabs(k) < 1e-6 ? level : -log1p(level * expm1(-k)) / k;
}

static double stage_ns(const nr_sources *set, int i, uint32_t stage) {
  return MS * (stage == NR_ATTACK ? set->attack_ms[i] : stage == NR_DECAY ? set->decay_ms[i] : set->release_ms[i]);
}

static void stage(nr_modulators *at, int i, uint32_t stage, double from, double to, double done, double ns) {
  at->stage[i] = stage;
  at->origin[i] = from;
  at->target[i] = to;
  at->done[i] = done;
  at->began_ns[i] = ns;
}

/* Its level at a time, 0..1; an attack that is over by then has become a decay. */
static double level(nr_modulators *at, const nr_sources *set, int i, double ns) {
  if (at->stage[i] == NR_REST) return 0;
  if (at->stage[i] == NR_ATTACK) {
    double ends = at->began_ns[i] + (1 - at->done[i]) * stage_ns(set, i, NR_ATTACK);
    if (ns >= ends) stage(at, i, NR_DECAY, 1, set->stages[i] ? 0 : set->sustain[i], 0, ends);
  }
  double lasts = stage_ns(set, i, at->stage[i]), done = at->done[i] + (lasts > 0 ? (ns - at->began_ns[i]) / lasts : 1);
  done = done < 0 ? 0 : done > 1 ? 1 : done;
  return at->origin[i] + (at->target[i] - at->origin[i]) * bent(set->curve[i], done);
}

static void open_envelope(nr_source_bank *b, int i, double ns) {
  double now = level(b->at, &b->set, i, ns);
  stage(b->at, i, NR_ATTACK, 0, 1, unbent(b->set.curve[i], now), ns);
}

static void close_envelope(nr_source_bank *b, int i, double ns) {
  double now = level(b->at, &b->set, i, ns);
  if (!b->set.stages[i] && (b->at->stage[i] == NR_ATTACK || b->at->stage[i] == NR_DECAY)) stage(b->at, i, NR_RELEASE, now, 0, 0, ns);
}

double nr_source_envelope(nr_source_bank *b, int i, int64_t ns) {
  if (b->set.trigger[i] == NR_BY_CLOCK) {
    if (nr_source_ticks(b, i)) open_envelope(b, i, (double)ns);
    else if (!b->locked || nr_fraction(b->beats * nr_source_ratio(&b->set, i)) >= 0.5) close_envelope(b, i, (double)ns);
  } else {
    for (uint32_t c = 0; c < b->changes; c++) {
      if (b->change[c].gate != b->set.trigger[i]) continue;
      if (b->change[c].high) open_envelope(b, i, (double)b->change[c].ns);
      else close_envelope(b, i, (double)b->change[c].ns);
    }
  }
  return b->set.level_volts[i] * level(b->at, &b->set, i, (double)ns);
}

static int same_envelope(const nr_sources *a, const nr_sources *z, int i) {
  return a->stages[i] == z->stages[i] && a->attack_ms[i] == z->attack_ms[i] && a->decay_ms[i] == z->decay_ms[i] &&
         a->sustain[i] == z->sustain[i] && a->release_ms[i] == z->release_ms[i] && a->curve[i] == z->curve[i];
}

/* From where it is to what the new settings make of its stage. */
void nr_source_envelope_becomes(nr_source_bank *b, int i, const nr_sources *set) {
  if (same_envelope(&b->set, set, i)) return;
  nr_modulators *at = b->at;
  double ns = (double)at->run_ns, now = level(at, &b->set, i, ns), curve = set->curve[i];
  if (at->stage[i] == NR_ATTACK) {
    stage(at, i, NR_ATTACK, 0, 1, unbent(curve, now), ns);
  } else if (at->stage[i] == NR_DECAY) {
    double to = set->stages[i] ? 0 : set->sustain[i];
    if (now >= to && to < 1) stage(at, i, NR_DECAY, 1, to, unbent(curve, (1 - now) / (1 - to)), ns);
    else stage(at, i, NR_DECAY, now, to, 0, ns);
  } else if (at->stage[i] == NR_RELEASE && at->origin[i] > 0) {
    stage(at, i, NR_RELEASE, at->origin[i], 0, unbent(curve, 1 - now / at->origin[i]), ns);
  }
}
