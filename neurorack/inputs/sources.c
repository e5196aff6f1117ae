/* The bank of modulators: its settings, the clock it follows, one run. See sources.h for the contract. */
#include "inputs/sources.h"

#include <math.h>
#include <stdlib.h>

static const double LONGEST_GAP_NS = 10e9;      /* so much of a gap is made up for */
static const double RESET_WINDOW_NS = 8e6;      /* the pulse that belongs to a reset comes within it */
static const uint32_t STOPPED_PULSES = 2;       /* pulses that do not count: MIDI's clock goes on while it is stopped */
static const double LEAP_VOLTS = 0.15, LEAP_SHARE = 0.5;

NR_EXPORT nr_source_bank *nr_source_bank_new(nr_rack *rack) {
  nr_source_bank *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->rack = rack;
  b->at = rack ? &rack->modulators : &b->own;
  b->resumed = b->at->run_ns != 0;
  if (rack) memcpy(b->last, rack->controls.source_volts, sizeof b->last);
  for (int i = 0; i < NR_MODULATORS; i++) {
    b->set.kind[i] = b->resumed ? b->at->kind[i] : NR_OFF;
    b->set.multiply[i] = b->set.divide[i] = b->set.length[i] = 1;
    b->rebase[i] = 1;
  }
  b->set.revision = rack ? nr_load(&rack->sources.revision) - 1 : 0; /* the first scan reads it */
  return b;
}

NR_EXPORT void nr_source_bank_free(nr_source_bank *b) { free(b); }

NR_EXPORT void nr_source_bank_set(nr_source_bank *b, const nr_sources *set) {
  for (int i = 0; i < NR_MODULATORS; i++) {
    const nr_sources *now = &b->set;
    if (set->kind[i] != now->kind[i] || set->trigger[i] != now->trigger[i] || set->multiply[i] != now->multiply[i] ||
        set->divide[i] != now->divide[i])
      b->rebase[i] = 1;
    nr_source_become(b, i, set);
  }
  b->set = *set;
  b->settled = 1;
}

NR_EXPORT void nr_source_bank_gate(nr_source_bank *b, uint32_t gate, uint32_t high, int64_t ns) {
  if (b->changes < NR_MOST_CHANGES) b->change[b->changes++] = (nr_gate_change){ns, gate, high}; /* no hand is so quick */
}

/* Where the clock stands, and what has happened to it. */
static void follow_clock(nr_source_bank *b, const nr_beats *c, double ns) {
  int first = !b->there;
  b->began = b->reset = 0;
  b->there = c->pulses > 0 && c->pulses_per_beat > 0;
  if (!b->there) {
    b->locked = b->running = 0;
    return;
  }
  if (!first && c->pulses < b->pulses && c->pulses == 1) {
    b->reset = b->began = 1;
    b->reset_ns = ns;
    b->reset_pulse_ns = c->pulse_ns;
  } else if (!first && c->pulses < b->pulses) { /* another clock */
    for (int i = 0; i < NR_MODULATORS; i++) b->rebase[i] = 1;
  }
  int stood = b->uncounted >= STOPPED_PULSES || !b->running;
  if (c->pulses != b->pulses) b->uncounted = 0;
  else if (c->pulse_ns != b->pulse_ns) b->uncounted++;
  b->running = c->running && c->period_ns > 0;
  b->pulses = c->pulses;
  b->pulse_ns = c->pulse_ns;
  b->locked = b->running && b->uncounted < STOPPED_PULSES;
  if (b->locked && stood) {
    b->began |= !b->resumed;
    b->resumed = 0;
  }
  double phase = b->locked ? (ns - c->pulse_ns) / c->period_ns : 0;
  if (c->pulse_ns == b->reset_pulse_ns && ns - b->reset_ns < RESET_WINDOW_NS) phase = 0;
  phase = phase < 0 ? 0 : phase > 1 - 1e-9 ? 1 - 1e-9 : phase;
  b->beats = ((double)(c->pulses - 1) + phase) / c->pulses_per_beat;
  if (b->running) b->at->beat_ns = c->period_ns * c->pulses_per_beat;
}

/* Has it leapt, so that what is rendered ahead should be made anew? What only moves quickly has not. */
static int leapt(const nr_sources *set, int i, double move) {
  if (set->kind[i] == NR_SLEW || (set->kind[i] == NR_WALK && set->smooth[i] > 0)) return 0;
  if (set->kind[i] == NR_LFO) return fabs(move) > LEAP_VOLTS && fabs(move) > LEAP_SHARE * fabs(set->level_volts[i]);
  return fabs(move) > LEAP_VOLTS;
}

NR_EXPORT void nr_source_bank_run(nr_source_bank *b, const nr_beats *beats, double *volts, int64_t ns) {
  nr_modulators *at = b->at;
  double dt = at->run_ns ? (double)(ns - at->run_ns) : 0;
  dt = dt < 0 ? 0 : dt > LONGEST_GAP_NS ? LONGEST_GAP_NS : dt;
  follow_clock(b, beats, (double)ns);
  memcpy(volts + NR_CV_JACKS, b->last, sizeof b->last);
  for (int i = 0; i < NR_MODULATORS; i++) {
    double v = b->set.kind[i] == NR_OFF ? 0 : nr_source_run(b, i, volts, dt, ns);
    if (!isfinite(v)) { /* whatever it listened to, or was left by a predecessor that died: it goes on */
      v = at->origin[i] = at->target[i] = at->phase[i] = at->offset[i] = at->done[i] = 0;
      at->began_ns[i] = (double)ns;
    }
    v = v < -10 ? -10 : v > 10 ? 10 : v;
    if (leapt(&b->set, i, v - b->last[i])) nr_store(&at->leaps[i], at->leaps[i] + 1);
    volts[NR_CV_JACKS + i] = b->last[i] = v;
    b->fresh[i] = 0;
  }
  at->run_ns = ns;
  b->changes = 0;
}

NR_EXPORT void nr_source_bank_scan(nr_source_bank *b, double *volts, int64_t ns) {
  const nr_sources *shared = &b->rack->sources;
  const nr_inputs *in = &b->rack->inputs;
  uint32_t revision = nr_load(&shared->revision);
  if (revision != b->set.revision) {
    nr_sources set = b->set;
    size_t from = offsetof(nr_sources, seed);
    if (nr_seqlock_read(&shared->seq, &shared->seed, (char *)&b->scratch + from, (char *)&set + from, sizeof set - from, 16)) {
      set.revision = revision;
      nr_source_bank_set(b, &set);
    }
  }
  nr_beats beats = {.running = in->clock_running, .pulses = in->clock_pulses, .pulse_ns = in->clock_pulse_ns,
                    .period_ns = in->clock_period_ns, .pulses_per_beat = in->clock_pulses_per_beat};
  nr_source_bank_run(b, &beats, volts, ns);
}

/* Many runs at once, for scores: at `ns[k]`, with the jacks' `cv_volts[k]`, into `out[k]`. The gates' changes are heard once they
 * have settled; the clock has run since `began_ns` with beats of `beat_ns` (0: none). */
NR_EXPORT void nr_source_bank_play(nr_source_bank *b, const int64_t *ns, const double *cv_volts, uint64_t runs, const nr_gate_change *change,
                                   uint64_t changes, int64_t settle_ns, int64_t began_ns, double beat_ns, double *out) {
  double volts[NR_ROUTED_JACKS];
  nr_beats beats = {0};
  for (uint64_t k = 0, c = 0; k < runs; k++) {
    for (; c < changes && change[c].ns + settle_ns <= ns[k]; c++) nr_source_bank_gate(b, change[c].gate, change[c].high, change[c].ns);
    if (beat_ns > 0 && ns[k] >= began_ns) {
      double done = floor((double)(ns[k] - began_ns) / beat_ns);
      beats = (nr_beats){1, (uint64_t)done + 1, (double)began_ns + done * beat_ns, beat_ns, 1};
    }
    memcpy(volts, cv_volts + k * NR_CV_JACKS, NR_CV_JACKS * sizeof *volts);
    nr_source_bank_run(b, &beats, volts, ns[k]);
    memcpy(out + k * NR_MODULATORS, volts + NR_CV_JACKS, NR_MODULATORS * sizeof *volts);
  }
}
