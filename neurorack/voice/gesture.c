/* Gestures: curves of the inputs, played, held, looped, frozen and scrubbed. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "voice/voice.h"

static const double LOOP_SECONDS = 0.05;       /* what a frozen gesture repeats */
static const double BEND_FADE_SECONDS = 0.1;   /* bends die away over the gesture's end */
static const double MOST_ROWS_A_STEP = 4.0;    /* at full speed */
static const double LET_GO_SECONDS = 0.03;     /* from where a held gesture was to where it ends from */
static const double LEAST_BEGINNING_SECONDS = 0.12; /* of one that can be held: what the shortest trigger plays of its beginning */
static const double MOST_SEARCHED_ROWS = 2048.0, SEARCHED_ROWS = 4.0;

static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static int wrap(int i, int n) { return ((i % n) + n) % n; }
static double frozen_rows(const nr_voice *v) { return LOOP_SECONDS * v->spec.sample_rate_hz / v->spec.hop_frames; }
static int on(const nr_voice *v, int kind) { return nr_control_of_kind(v, kind, 0.0) >= 0.5; }

static int chosen(const nr_voice *v) {
  int n = (int)v->spec.gestures, i = (int)(nr_control_of_kind(v, NR_KIND_GESTURE, 0.0) * n);
  return wrap((i < n ? i : n - 1) + v->gesture.next_shift, n);
}

static void start(nr_voice *v) {
  nr_gesture_state *g = &v->gesture;
  g->starting = 0;
  g->index = chosen(v);
  g->at = 0;
  g->direction = 1;
  g->phase = NR_GESTURE_BEGINS;
  g->let_go_left = 0;
  if (g->frozen) {
    g->loop_from = 0;
    g->loop_to = frozen_rows(v);
  }
}

void nr_gesture_freeze(nr_voice *v, int high) {
  nr_gesture_state *g = &v->gesture;
  g->gate_freezes = g->frozen = high;
  g->direction = 1;
  g->loop_to = g->at > frozen_rows(v) ? g->at : frozen_rows(v);
  g->loop_from = g->loop_to - frozen_rows(v);
}

/* The freeze control holds the chosen gesture where the position control stands, as a tape under a hand. */
static void scrub(nr_voice *v) {
  nr_gesture_state *g = &v->gesture;
  g->frozen = 1;
  g->index = chosen(v);
  double last = v->gesture_frames[g->index] - 1, half = 0.5 * frozen_rows(v);
  double centre = nr_control_of_kind(v, NR_KIND_POSITION, 0.0) * last;
  if (2 * half > last) half = 0.5 * last;
  g->loop_from = centre < half ? 0 : centre > last - half ? last - 2 * half : centre - half;
  g->loop_to = g->loop_from + 2 * half;
  if (!g->scrubs || g->at < g->loop_from || g->at > g->loop_to) g->at = fmin(fmax(g->at, g->loop_from), g->loop_to);
}

/* What trigger and controls ask of the gesture in this row. */
void nr_gesture_controls(nr_voice *v) {
  nr_gesture_state *g = &v->gesture;
  if (!v->spec.gestures) return;
  if (g->starting || (g->index < 0 && on(v, NR_KIND_LOOP))) start(v);
  if (on(v, NR_KIND_FREEZE)) {
    scrub(v);
    g->scrubs = 1;
  } else if (g->scrubs) {
    g->scrubs = 0;
    nr_gesture_freeze(v, g->gate_freezes);
  }
}

int nr_gesture_runs_out(const nr_voice *v) { return v->gesture.index >= 0 && !v->gesture.frozen && !on(v, NR_KIND_LOOP); }

/* Linear between two frames; past its end a gesture stays on its last one, or, looped, goes on to its first. */
static float gesture_value(const nr_voice *v, int index, double at, uint32_t input, int looped) {
  int frames = v->gesture_frames[index], i = (int)at;
  const float *data = v->gesture_data[index];
  if (i >= frames - 1 && !looped) return data[(size_t)(frames - 1) * v->spec.inputs + input];
  float a = data[(size_t)(i % frames) * v->spec.inputs + input], b = data[(size_t)((i + 1) % frames) * v->spec.inputs + input];
  return a + (float)(at - i) * (b - a);
}

/* Where a gesture stays while its gate is high: its first and last row; NULL for one that does not. */
static const int32_t *sustain_of(const nr_voice *v, int index) {
  const int32_t *rows = v->gesture_sustain + 2 * index;
  return rows[1] > rows[0] ? rows : NULL;
}

/* The place in another gesture that stands for this place in one, when they are mixed: where both can be held, beginning to
 * beginning, held stretch to held stretch and end to end. */
static double place_in(const nr_voice *v, int one, int other, double at) {
  const int32_t *a = sustain_of(v, one), *b = sustain_of(v, other);
  if (!a || !b) return at;
  if (at < a[0]) return at * b[0] / a[0];
  if (at < a[1]) return b[0] + (at - a[0]) * (b[1] - b[0]) / (a[1] - a[0]);
  return b[1] + (at - a[1]);
}

/* All inputs at a place of the running gesture, with as much of the next one as morph says. */
static void values_at(const nr_voice *v, double at, int looped, float *x) {
  int index = v->gesture.index, other = wrap(index + 1, (int)v->spec.gestures);
  double morph = nr_control_of_kind(v, NR_KIND_MORPH, 0.0), there = looped ? at : place_in(v, index, other, at);
  for (uint32_t i = 0; i < v->spec.inputs; i++) {
    x[i] = gesture_value(v, index, at, i, looped);
    if (morph > 0) x[i] += (float)morph * (gesture_value(v, other, there, i, looped) - x[i]);
  }
}

/* How long it lasts: with the next one mixed in, as the longer of the two. */
static double frames_of(const nr_voice *v, int looped) {
  int index = v->gesture.index, other = wrap(index + 1, (int)v->spec.gestures);
  double frames = v->gesture_frames[index];
  if (nr_control_of_kind(v, NR_KIND_MORPH, 0.0) <= 0) return frames;
  const int32_t *a = sustain_of(v, index), *b = looped ? NULL : sustain_of(v, other);
  return fmax(frames, v->gesture_frames[other] + (a && b ? a[1] - b[1] : 0));
}

/* The row of a gesture's end, from its held stretch's last row on, where the inputs are nearest to `x`; the first of equal ones. */
static double nearest_end(const nr_voice *v, double first, const float *x) {
  double last = fmin(frames_of(v, 0) - 1, first + MOST_SEARCHED_ROWS), best = first, least = INFINITY;
  for (double at = first; at <= last; at += SEARCHED_ROWS) {
    float y[NR_MAX_INPUTS];
    double distance = 0;
    values_at(v, at, 0, y);
    for (uint32_t i = 0; i < v->spec.inputs; i++) distance += (double)(x[i] - y[i]) * (x[i] - y[i]);
    if (distance < least) {
      least = distance;
      best = at;
    }
  }
  return best;
}

/* The gate fell: on to the gesture's end, and what that changes fades out, so that no input leaps. */
static void let_go(nr_voice *v, const int32_t *rows) {
  nr_gesture_state *g = &v->gesture;
  float there[NR_MAX_INPUTS];
  values_at(v, g->at, 0, g->let_go_from);
  g->at = g->at > rows[1] ? g->at : nearest_end(v, rows[1], g->let_go_from);
  values_at(v, g->at, 0, there);
  for (uint32_t i = 0; i < v->spec.inputs; i++) g->let_go_from[i] -= there[i];
  g->phase = NR_GESTURE_ENDS;
  g->let_go_left = 1;
}

/* Before a row is made: held while a gate that starts gestures is high, and let go when it falls. */
static void hold_or_let_go(nr_voice *v, int looped) {
  nr_gesture_state *g = &v->gesture;
  const int32_t *rows = sustain_of(v, g->index);
  if (!rows || looped || g->frozen || g->phase == NR_GESTURE_ENDS) return;
  if (!v->opened) {
    double least = LEAST_BEGINNING_SECONDS * v->spec.sample_rate_hz / v->spec.hop_frames;
    if (g->at >= fmin(rows[0], least)) let_go(v, rows);
  } else if (g->at > rows[1] + MOST_ROWS_A_STEP) { /* it was scrubbed beyond */
    g->phase = NR_GESTURE_ENDS;
  } else if (g->at >= rows[0] && g->phase == NR_GESTURE_BEGINS) {
    g->phase = NR_GESTURE_HELD;
    g->direction = 1;
  }
}

/* To and fro between two rows: no input leaps, whatever the stretch holds. */
static void swing(nr_gesture_state *g, double step, double from, double to) {
  g->at += g->direction * step;
  if (g->at >= to) { g->at = to; g->direction = -1; }
  if (g->at <= from) { g->at = from; g->direction = 1; }
}

static void advance(nr_voice *v, double frames, int looped) {
  nr_gesture_state *g = &v->gesture;
  double step = pow(MOST_ROWS_A_STEP, 2.0 * nr_control_of_kind(v, NR_KIND_SPEED, 0.5) - 1.0);
  const int32_t *rows = g->phase == NR_GESTURE_HELD && !looped ? sustain_of(v, g->index) : NULL;
  if (g->frozen) {
    swing(g, step, g->loop_from, g->loop_to);
    if (g->at > frames - 1) { g->at = frames - 1; g->direction = -1; }
  } else if (rows && g->at >= rows[0]) {
    swing(g, step, rows[0], rows[1]);
  } else {
    g->at += step;
    if (g->at >= frames && looped) g->at = fmod(g->at, frames);
    else if (g->at >= frames) g->index = -1;
  }
}

/* The running gesture's inputs; returns how much of the bends applies. */
double nr_gesture_row(nr_voice *v, float *x) {
  nr_gesture_state *g = &v->gesture;
  int looped = on(v, NR_KIND_LOOP) && !g->frozen;
  hold_or_let_go(v, looped);
  values_at(v, g->at, looped, x);
  if (g->let_go_left > 0) {
    for (uint32_t i = 0; i < v->spec.inputs; i++) x[i] += (float)g->let_go_left * g->let_go_from[i];
    g->let_go_left -= v->spec.hop_frames / (LET_GO_SECONDS * v->spec.sample_rate_hz);
  }
  double frames = frames_of(v, looped);
  double left = (frames - g->at) * v->spec.hop_frames / (BEND_FADE_SECONDS * v->spec.sample_rate_hz);
  double bend = g->frozen || v->spec.plays == NR_PLAYS_DRONE ? 1.0 : clamp01(left);
  advance(v, frames, looped);
  return bend;
}
