/* Source and modulation: a gesture's curves, bent or driven by the controls. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "voice/voice.h"

static const double LOOP_SECONDS = 0.05;       /* what a frozen gesture repeats */
static const double BEND_FADE_SECONDS = 0.1;   /* bends die away over the gesture's end */

static double clamp01(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }

/* jack -> volts after smoothing -> curve -> attenuverter and offset */
static double route_value(nr_voice *v, const nr_row *row, int r) {
  const nr_patch *p = &v->patch;
  int jack = p->route_jack[r];
  double volts = p->route_latched[r] ? v->latched_cv[jack] : row->cv_volts[jack];
  if (!v->route_primed[r]) {
    v->route_primed[r] = 1;
    v->route_volts[r] = volts;
  }
  v->route_volts[r] += v->route_smooth[r] * (volts - v->route_volts[r]);
  double x = v->route_volts[r], curve = p->route_curve[r];
  if (curve != 1.0) x = copysign(10.0 * pow(fabs(x) / 10.0, curve), x);
  return p->route_amount[r] * x + p->route_offset[r];
}

static void compute_controls(nr_voice *v, const nr_row *row) {
  for (uint32_t c = 0; c < v->spec.controls; c++) v->control[c] = row->knob[c];
  for (int r = 0; r < NR_ROUTES; r++) {
    int jack = v->patch.route_jack[r], control = v->patch.route_control[r];
    if (jack < 0 || jack >= NR_CV_JACKS || control < 0 || control >= (int)v->spec.controls) continue;
    v->control[control] += route_value(v, row, r);
  }
  for (uint32_t c = 0; c < v->spec.controls; c++) v->control[c] = clamp01(v->control[c]);
}

static double control_of_kind(const nr_voice *v, int kind, double otherwise) {
  for (uint32_t c = 0; c < v->spec.controls; c++)
    if (v->control_kind[c] == kind) return v->control[c];
  return otherwise;
}

static int wrap(int i, int n) { return ((i % n) + n) % n; }

static void start_gesture(nr_voice *v) {
  nr_gesture_state *g = &v->gesture;
  g->starting = 0;
  if (!v->spec.gestures) return;
  int n = (int)v->spec.gestures;
  int chosen = (int)(control_of_kind(v, NR_KIND_GESTURE, 0.0) * n);
  g->index = wrap((chosen < n ? chosen : n - 1) + g->next_shift, n);
  g->at = 0;
  g->direction = 1;
  if (g->frozen) {
    g->loop_from = 0;
    g->loop_to = LOOP_SECONDS * v->spec.sample_rate_hz / v->spec.hop_frames;
  }
}

void nr_gesture_freeze(nr_voice *v, int on) {
  nr_gesture_state *g = &v->gesture;
  g->frozen = on;
  g->direction = 1;
  double length = LOOP_SECONDS * v->spec.sample_rate_hz / v->spec.hop_frames;
  g->loop_to = g->at > length ? g->at : length;
  g->loop_from = g->loop_to - length;
}

/* Linear between two frames; past its end a gesture stays on its last one. */
static float gesture_value(const nr_voice *v, int index, double at, uint32_t input) {
  int frames = v->gesture_frames[index], i = (int)at;
  const float *data = v->gesture_data[index];
  if (i >= frames - 1) return data[(size_t)(frames - 1) * v->spec.inputs + input];
  float a = data[(size_t)i * v->spec.inputs + input], b = data[(size_t)(i + 1) * v->spec.inputs + input];
  return a + (float)(at - i) * (b - a);
}

static void advance(nr_voice *v, int frames) {
  nr_gesture_state *g = &v->gesture;
  double step = pow(4.0, 2.0 * control_of_kind(v, NR_KIND_SPEED, 0.5) - 1.0);
  if (g->frozen) {
    g->at += g->direction * step;
    if (g->at >= g->loop_to) { g->at = g->loop_to; g->direction = -1; }
    if (g->at <= g->loop_from) { g->at = g->loop_from; g->direction = 1; }
    if (g->at > frames - 1) { g->at = frames - 1; g->direction = -1; }
  } else {
    g->at += step;
    if (g->at >= frames) g->index = -1;
  }
}

/* Fills the gesture's part of the inputs; returns how much of the bends applies (0 when nothing runs). */
static double gesture_inputs(nr_voice *v, float *x) {
  nr_gesture_state *g = &v->gesture;
  memcpy(x, v->rest, v->spec.inputs * sizeof *x);
  if (!v->spec.gestures) return 1.0;
  if (g->index < 0) return 0.0;
  int other = wrap(g->index + 1, (int)v->spec.gestures), frames = v->gesture_frames[g->index];
  double morph = control_of_kind(v, NR_KIND_MORPH, 0.0);
  for (uint32_t i = 0; i < v->spec.inputs; i++) {
    x[i] = gesture_value(v, g->index, g->at, i);
    if (morph > 0) x[i] += (float)morph * (gesture_value(v, other, g->at, i) - x[i]);
  }
  if (morph > 0 && v->gesture_frames[other] > frames) frames = v->gesture_frames[other];
  double left = (frames - g->at) * v->spec.hop_frames / (BEND_FADE_SECONDS * v->spec.sample_rate_hz);
  double bend = g->frozen ? 1.0 : clamp01(left);
  advance(v, frames);
  return bend;
}

void nr_modulate_row(nr_voice *v, const nr_row *row, float *x) {
  compute_controls(v, row);
  if (v->gesture.starting) start_gesture(v);
  double bend = gesture_inputs(v, x);
  for (uint32_t l = 0; l < v->spec.links; l++) {
    int c = v->link_control[l];
    double drive = clamp01(row->drive[c]);
    x[v->link_input[l]] += (float)(bend * (1 - drive) * (v->control[c] - v->control_default[c]) * (v->link_high[l] - v->link_low[l]));
  }
  for (uint32_t l = 0; l < v->spec.links; l++) {
    int c = v->link_control[l], i = v->link_input[l];
    double drive = clamp01(row->drive[c]), absolute = v->link_low[l] + v->control[c] * (v->link_high[l] - v->link_low[l]);
    if (drive > 0) x[i] += (float)(drive * (absolute - x[i]));
  }
}
