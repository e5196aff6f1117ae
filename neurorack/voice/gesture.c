/* Gestures: curves of the inputs, played, looped, frozen and scrubbed. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "voice/voice.h"

static const double LOOP_SECONDS = 0.05;       /* what a frozen gesture repeats */
static const double BEND_FADE_SECONDS = 0.1;   /* bends die away over the gesture's end */

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

static void advance(nr_voice *v, int frames, int looped) {
  nr_gesture_state *g = &v->gesture;
  double step = pow(4.0, 2.0 * nr_control_of_kind(v, NR_KIND_SPEED, 0.5) - 1.0);
  if (g->frozen) {
    g->at += g->direction * step;
    if (g->at >= g->loop_to) { g->at = g->loop_to; g->direction = -1; }
    if (g->at <= g->loop_from) { g->at = g->loop_from; g->direction = 1; }
    if (g->at > frames - 1) { g->at = frames - 1; g->direction = -1; }
  } else {
    g->at += step;
    if (g->at >= frames && looped) g->at = fmod(g->at, frames);
    else if (g->at >= frames) g->index = -1;
  }
}

/* The running gesture's inputs; returns how much of the bends applies. */
double nr_gesture_row(nr_voice *v, float *x) {
  nr_gesture_state *g = &v->gesture;
  int looped = on(v, NR_KIND_LOOP) && !g->frozen, frames = v->gesture_frames[g->index];
  int other = wrap(g->index + 1, (int)v->spec.gestures);
  double morph = nr_control_of_kind(v, NR_KIND_MORPH, 0.0);
  for (uint32_t i = 0; i < v->spec.inputs; i++) {
    x[i] = gesture_value(v, g->index, g->at, i, looped);
    if (morph > 0) x[i] += (float)morph * (gesture_value(v, other, g->at, i, looped) - x[i]);
  }
  if (morph > 0 && v->gesture_frames[other] > frames) frames = v->gesture_frames[other];
  double left = (frames - g->at) * v->spec.hop_frames / (BEND_FADE_SECONDS * v->spec.sample_rate_hz);
  double bend = g->frozen || v->spec.plays == NR_PLAYS_DRONE ? 1.0 : clamp01(left);
  advance(v, frames, looped);
  return bend;
}
