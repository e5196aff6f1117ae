/* What each kind of modulator does in a run. See sources.h for the contract. */
#include <math.h>

#include "inputs/sources.h"

static const double MS = 1e6;                   /* in nanoseconds */
static const double SLEW_VOLTS = 5.0;           /* what a straight slew's times are for */
static const double RESET_WINDOW_NS = 8e6;      /* a trigger so near to a reset belongs to it */
enum { MOST_TICKS = 32, MOST_STEPS = 64 };      /* more at once are one: another clock, a long gap */

static uint64_t mixed(uint64_t x) { /* the finaliser of SplitMix64 (Steele, Lea, Flood 2014) */
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/* The next random number of a modulator, 0 <= x < 1. */
static double draw(nr_source_bank *b, int i) {
  uint64_t key = mixed(b->set.seed + 0x9e3779b97f4a7c15u * (uint64_t)(i + 1));
  return (double)(mixed(key + 0x9e3779b97f4a7c15u * ++b->at->draws[i]) >> 11) / 9007199254740992.0;
}

/* A rise of this gate since the last run: its time, else 0. `from`: of the changes, where to look on. */
static int64_t rise(const nr_source_bank *b, uint32_t gate, uint32_t *from) {
  while (*from < b->changes) {
    const nr_gate_change *change = &b->change[(*from)++];
    if (change->gate == gate && change->high) return change->ns;
  }
  return 0;
}

/* How often the clock has triggered since the last run. */
int nr_source_ticks(nr_source_bank *b, int i) {
  if (!b->there) {
    b->at->ticks[i] = -1;      /* its first pulse will be a trigger */
    b->rebase[i] = 0;
    return 0;
  }
  int64_t now = (int64_t)floor(b->beats * nr_source_ratio(&b->set, i) + 1e-9), before = b->at->ticks[i];
  if (b->reset) before = now - 1;
  else if (b->rebase[i]) before = b->at->ticks[i] = now;
  b->rebase[i] = 0;
  if (now <= before) return 0; /* a phase that was told too far on is no way back */
  b->at->ticks[i] = now;
  return now - before > MOST_TICKS ? 1 : (int)(now - before);
}

/* ---- cycles */

static double cycles_per_ns(const nr_source_bank *b, int i) {
  if (b->set.pace[i] && b->at->beat_ns > 0) return nr_source_ratio(&b->set, i) / b->at->beat_ns;
  return 1e-9 * b->set.rate_hz[i];
}

/* The phase of a cycle on to now; 1 and more: it went round. */
static double turned(nr_source_bank *b, int i, double dt) {
  nr_modulators *at = b->at;
  double rate = cycles_per_ns(b, i), phase = at->phase[i] + rate * dt;
  if (!b->set.pace[i] || !b->locked) return phase;
  if (b->began) at->offset[i] = 0;
  double away = nr_fraction(b->beats * nr_source_ratio(&b->set, i) - at->offset[i] - phase + 0.5) - 0.5;
  phase += away * (b->began || b->fresh[i] ? 1 : 1 - exp(-2 * rate * dt)); /* so slowly that it never turns back */
  return phase < 0 ? phase + 1 : phase;
}

static double shape(const nr_sources *set, int i, double at, double random) {
  switch (set->shape[i]) {
    case NR_SINE: return sin(2 * M_PI * at);
    case NR_TRIANGLE: return 1 - 4 * fabs(nr_fraction(at + 0.25) - 0.5);
    case NR_SAW_UP: return 2 * at - 1;
    case NR_SAW_DOWN: return 1 - 2 * at;
    case NR_SQUARE: return at < set->width[i] ? 1 : -1;
    default: return random;
  }
}

static double lfo(nr_source_bank *b, int i, double dt, int64_t ns) {
  nr_modulators *at = b->at;
  const nr_sources *set = &b->set;
  double first = set->phase[i], before = floor(at->phase[i] + first), phase = turned(b, i, dt);
  int fresh = floor(phase + first) > before || !at->draws[i];
  uint32_t from = 0;
  for (int64_t reset; set->reset[i] && (reset = rise(b, set->reset[i] - 1, &from));) {
    phase = (double)(ns - reset) * cycles_per_ns(b, i);
    at->offset[i] = b->beats * nr_source_ratio(set, i) - phase;
    fresh = 1;
  }
  at->phase[i] = nr_fraction(phase);
  if (fresh && set->shape[i] == NR_RANDOM) at->target[i] = 2 * draw(b, i) - 1;
  double x = shape(set, i, nr_fraction(phase + first), at->target[i]);
  return set->level_volts[i] * (set->polarity[i] ? 0.5 * (x + 1) : x);
}

/* To the other side of a bound as far as it would go beyond it. */
static double within(double x, double low, double high) {
  if (x > high) x = 2 * high - x;
  if (x < low) x = 2 * low - x;
  return x > high ? high : x < low ? low : x;
}

static double walk(nr_source_bank *b, int i, double dt) {
  nr_modulators *at = b->at;
  const nr_sources *set = &b->set;
  double phase = turned(b, i, dt);
  for (int step = 0; phase >= 1 || !at->draws[i]; step++) {
    if (phase >= 1) phase = step < MOST_STEPS ? phase - 1 : nr_fraction(phase);
    at->origin[i] = at->target[i];
    at->target[i] = within(at->origin[i] + set->step_volts[i] * (2 * draw(b, i) - 1), set->low_volts[i], set->high_volts[i]);
  }
  at->phase[i] = phase;
  double way = phase < set->smooth[i] ? phase / set->smooth[i] : 1;
  return at->origin[i] + way * (at->target[i] - at->origin[i]);
}

/* ---- by triggers */

/* Triggers since the last run; `ns`: the time of the last. One so near to a reset belongs to that. */
static int triggers(nr_source_bank *b, int i, double *ns) {
  int count = 0;
  uint32_t from = 0;
  if (b->set.trigger[i] == NR_BY_CLOCK) {
    count = nr_source_ticks(b, i);
    return fabs(*ns - b->at->reset_ns[i]) < RESET_WINDOW_NS ? 0 : count;
  }
  for (int64_t at; (at = rise(b, b->set.trigger[i], &from));) {
    if (fabs((double)at - b->at->reset_ns[i]) < RESET_WINDOW_NS) continue;
    *ns = (double)at;
    count++;
  }
  return count;
}

static double sample_hold(nr_source_bank *b, int i, const double *volts, int64_t ns) {
  double when = (double)ns;
  if (triggers(b, i, &when)) {
    uint32_t input = b->set.input[i];
    b->at->target[i] = input >= NR_NOISE ? b->set.low_volts[i] + draw(b, i) * (b->set.high_volts[i] - b->set.low_volts[i]) : volts[input];
  }
  return b->at->target[i];
}

static double slew(nr_source_bank *b, int i, const double *volts, double dt) {
  uint32_t input = b->set.input[i];
  double target = input < NR_NOISE ? volts[input] : 0, move = target - b->at->target[i];
  double ms = move > 0 ? b->set.rise_ms[i] : b->set.fall_ms[i];
  if (ms <= 0) return b->at->target[i] = target;
  if (b->set.response[i]) return b->at->target[i] += move * (1 - exp(-dt / (MS * ms)));
  double most = SLEW_VOLTS * dt / (MS * ms);
  return b->at->target[i] += fabs(move) > most ? copysign(most, move) : move;
}

static int32_t next_step(nr_source_bank *b, int i) {
  int32_t count = (int32_t)b->set.length[i], step = b->at->step[i];
  if (b->set.direction[i] == NR_ANY) return (int32_t)(draw(b, i) * count);
  if (step < 0 || count < 2) return 0;
  step = step < count ? step : count - 1;
  if (b->set.direction[i] == NR_FORWARD) return (step + 1) % count;
  if (b->set.direction[i] == NR_BACKWARD) return (step + count - 1) % count;
  if (step == 0 || step == count - 1) b->at->stage[i] = step > 0;
  return b->at->stage[i] ? step - 1 : step + 1;
}

static double glided(const nr_source_bank *b, int i, double ns) {
  const nr_modulators *at = b->at;
  int32_t count = (int32_t)b->set.length[i], step = at->step[i] < 0 ? 0 : at->step[i] < count ? at->step[i] : count - 1;
  double volts = b->set.steps[i * NR_SEQUENCE_STEPS + step], lasts = MS * b->set.glide_ms[i], passed = ns - at->began_ns[i];
  return passed >= lasts ? volts : at->origin[i] + (volts - at->origin[i]) * passed / lasts;
}

static void go_to(nr_source_bank *b, int i, int32_t step, double ns) {
  double from = glided(b, i, ns);
  if (b->at->step[i] < 0 && step == 0) from = b->set.steps[i * NR_SEQUENCE_STEPS]; /* it stood there waiting */
  b->at->origin[i] = from;
  b->at->step[i] = step;
  b->at->began_ns[i] = ns;
}

static double steps(nr_source_bank *b, int i, int64_t ns) {
  uint32_t from = 0;
  double when = (double)ns;
  for (int64_t reset; b->set.reset[i] && (reset = rise(b, b->set.reset[i] - 1, &from));) {
    b->at->reset_ns[i] = (double)reset;
    go_to(b, i, 0, (double)reset);
    b->at->stage[i] = 0;
  }
  for (int left = triggers(b, i, &when); left > 0; left--) {
    int first = b->reset && b->set.trigger[i] == NR_BY_CLOCK;
    if (first) b->at->stage[i] = 0;
    go_to(b, i, first ? 0 : next_step(b, i), when);
  }
  return glided(b, i, (double)ns);
}

double nr_source_run(nr_source_bank *b, int i, const double *volts, double dt, int64_t ns) {
  switch (b->set.kind[i]) {
    case NR_LFO: return lfo(b, i, dt, ns);
    case NR_ENVELOPE: return nr_source_envelope(b, i, ns);
    case NR_SAMPLE_HOLD: return sample_hold(b, i, volts, ns);
    case NR_SLEW: return slew(b, i, volts, dt);
    case NR_WALK: return walk(b, i, dt);
    case NR_STEPS: return steps(b, i, ns);
    default: return 0;
  }
}

void nr_source_become(nr_source_bank *b, int i, const nr_sources *set) {
  nr_modulators *at = b->at;
  if (at->kind[i] == set->kind[i]) {
    if (at->kind[i] == NR_ENVELOPE && b->settled) nr_source_envelope_becomes(b, i, set);
    return;
  }
  b->fresh[i] = 1;
  at->kind[i] = set->kind[i];
  at->stage[i] = NR_REST;
  at->step[i] = -1;
  at->ticks[i] = -1;
  at->draws[i] = 0;
  at->phase[i] = at->offset[i] = at->began_ns[i] = at->done[i] = 0;
  at->reset_ns[i] = -1e18;
  at->origin[i] = at->target[i] = b->last[i];
}
