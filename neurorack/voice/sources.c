/* Sources: where the inputs come from before the controls move them. See voice.h for the contract. */
#include <math.h>
#include <string.h>

#include "voice/voice.h"

static const double SLOWEST_SECONDS = 20.0, WANDER_RANGE = 200.0; /* time constant: 20 s down to 0.1 s */
static const double SETTLE_SECONDS = 0.3;                         /* from a gesture's end to what plays without one */
static const float MOST_TEMPERATURE = 2.0f;                       /* of the prior, with the control fully up */

static uint32_t mixed(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

/* The same numbers for the same seed, row and input, whatever the block length. */
static double normal(uint32_t seed, uint64_t row, uint32_t input) {
  uint32_t key = mixed(seed ^ mixed((uint32_t)row ^ mixed((uint32_t)(row >> 32) + 0x9e3779b9u * (input + 1))));
  double a = (mixed(key) + 0.5) / 4294967296.0, b = (mixed(key + 0x68bc21ebu) + 0.5) / 4294967296.0;
  return sqrt(-2 * log(a)) * cos(2 * M_PI * b);
}

/* A slow random walk of its own for each input, of standard deviation 1, that keeps coming back. */
static void wander(nr_voice *v, uint64_t row, double rate) {
  double seconds = SLOWEST_SECONDS * pow(WANDER_RANGE, -rate);
  double a = 1 - exp(-(double)v->spec.hop_frames / (seconds * v->spec.sample_rate_hz)), b = 1 - a;
  double gain = pow(1 - b * b, 1.5) / (a * a * sqrt(1 + b * b)); /* the deviation of noise through both poles is 1/gain */
  for (uint32_t i = 0; i < v->spec.inputs; i++) {
    double noise = gain * normal(v->spec.seed, row, i);
    if (!v->idle.begun) v->idle.slow[i] = v->idle.slower[i] = noise / gain;
    v->idle.slow[i] += a * (noise - v->idle.slow[i]);
    v->idle.slower[i] += a * (v->idle.slow[i] - v->idle.slower[i]);
  }
  v->idle.begun = 1;
}

static int turned_up(const nr_voice *v, int kind) {
  int c = v->kind_control[kind];
  return c >= 0 && (v->control[c] > 0 || v->row[0].knob[c] > 0);
}

/* Whatever a stage does not bring stays as it was: the last rows are held. */
void nr_idle_prepare(nr_voice *v) {
  if (v->spec.plays == NR_PLAYS_INPUT && v->input)
    nr_input_read(v->input, &v->listener, v->decoder.in, v->decoder.spec.in_rows, v->decoder.spec.in_channels);
  if (v->encoder.there && v->input) {
    nr_input_read(v->input, &v->listener, v->encoder.in, v->chunk_frames, v->encoder.spec.in_channels);
    if (!nr_stage_run(&v->encoder)) v->missing_blocks++;
  }
  if (v->prior.there && turned_up(v, NR_KIND_PRIOR)) {
    float temperature = MOST_TEMPERATURE * (float)nr_control_of_kind(v, NR_KIND_TEMPERATURE, 0.5);
    for (uint32_t i = 0; i < v->prior.spec.in_rows * v->prior.spec.in_channels; i++) v->prior.in[i] = temperature;
    if (!nr_stage_run(&v->prior)) v->missing_blocks++;
  }
}

static void mix(nr_voice *v, const nr_stage *stage, uint32_t row, double amount, float *x) {
  const float *from = stage->out + (size_t)row * v->spec.inputs;
  for (uint32_t i = 0; i < v->spec.inputs; i++) {
    if (isfinite(from[i])) x[i] += (float)amount * (from[i] - x[i]);
    else v->nan_inputs++; /* one such number would poison a decoder for many blocks */
  }
}

/* Returns how far the audio input is turned up; a model without a control for it takes an encoder's latents whole. */
static double idle_inputs(nr_voice *v, uint32_t row, float *x) {
  double amount = nr_control_of_kind(v, NR_KIND_WANDER, 0.0), prior = nr_control_of_kind(v, NR_KIND_PRIOR, 0.0);
  double heard = v->encoder.there && v->input ? nr_control_of_kind(v, NR_KIND_AUDIO_INPUT, 1.0) : 0.0;
  if (v->kind_control[NR_KIND_WANDER] >= 0) {
    wander(v, v->frame / v->spec.hop_frames + row, nr_control_of_kind(v, NR_KIND_WANDER_RATE, 0.5));
    for (uint32_t i = 0; i < v->spec.inputs; i++) x[i] += (float)(amount * v->idle.slower[i]) * v->spread[i];
  }
  if (v->prior.there && prior > 0) mix(v, &v->prior, row, prior, x);
  if (heard > 0) mix(v, &v->encoder, row, heard, x);
  return heard;
}

/* After a gesture a drone does not leap to what follows. */
static void settle(nr_voice *v, int gesture_ended, float *x) {
  nr_idle_state *idle = &v->idle;
  if (gesture_ended) {
    for (uint32_t i = 0; i < v->spec.inputs; i++) idle->offset[i] = idle->last[i] - x[i];
    idle->offset_left = 1;
  }
  if (idle->offset_left <= 0) return;
  for (uint32_t i = 0; i < v->spec.inputs; i++) x[i] += (float)idle->offset_left * idle->offset[i];
  idle->offset_left -= v->spec.hop_frames / (SETTLE_SECONDS * v->spec.sample_rate_hz);
}

/* How far everything strays from its rest: not at all to twice as far. */
static void scale(const nr_voice *v, float *x) {
  if (v->kind_control[NR_KIND_DEPTH] < 0) return;
  float depth = 2.0f * (float)nr_control_of_kind(v, NR_KIND_DEPTH, 0.5);
  for (uint32_t i = 0; i < v->spec.inputs; i++) x[i] = v->rest[i] + depth * (x[i] - v->rest[i]);
}

double nr_source_row(nr_voice *v, uint32_t row, float *x) {
  int drone = v->spec.plays == NR_PLAYS_DRONE;
  size_t bytes = v->spec.inputs * sizeof *x;
  double bend = 1.0;
  nr_gesture_controls(v);
  int runs = v->gesture.index >= 0;
  memcpy(x, v->rest, bytes);
  if (runs) {
    bend = nr_gesture_row(v, x);
    v->idle.offset_left = 0;
    v->idle.gesture_ended = v->gesture.index < 0;
  } else if (drone && v->gesture.frozen) {
    memcpy(x, v->idle.last, bytes);
  } else {
    double heard = idle_inputs(v, row, x);
    if (drone) settle(v, v->idle.gesture_ended, x);
    else if (v->spec.gestures) bend = heard; /* a raised knob alone does not make a rest sound */
    v->idle.gesture_ended = 0;
  }
  memcpy(v->idle.last, x, bytes);
  scale(v, x);
  return bend;
}
