/* The voice's life and its block loop: edges, modulation, decoder, placement, output. See voice.h for the contract. */
#include "voice/voice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shm/atomics.h"

static const double ATTACK_SECONDS = 0.001, ATTACK_RANGE = 4000, DECAY_SECONDS = 0.02, DECAY_RANGE = 1000; /* to -60 dB */
static const double NEVER = 0.999;             /* a decay turned up so far does not close at all */

static void *copy_of(const void *from, size_t bytes) {
  void *to = malloc(bytes ? bytes : 1);
  if (to && bytes) memcpy(to, from, bytes);
  return to;
}

static void copy_card(nr_voice *v, const nr_voice_spec *spec) {
  memcpy(v->rest, spec->rest, spec->inputs * sizeof *spec->rest);
  memcpy(v->spread, spec->spread, spec->inputs * sizeof *spec->spread);
  memcpy(v->control_default, spec->control_default, spec->controls * sizeof *spec->control_default);
  memcpy(v->control_kind, spec->control_kind, spec->controls * sizeof *spec->control_kind);
  memcpy(v->link_control, spec->link_control, spec->links * sizeof *spec->link_control);
  memcpy(v->link_input, spec->link_input, spec->links * sizeof *spec->link_input);
  memcpy(v->link_low, spec->link_low, spec->links * sizeof *spec->link_low);
  memcpy(v->link_high, spec->link_high, spec->links * sizeof *spec->link_high);
  for (int kind = 0; kind < NR_KINDS; kind++) v->kind_control[kind] = -1;
  for (uint32_t c = spec->controls; c-- > 0;) v->kind_control[spec->control_kind[c]] = (int32_t)c;
}

NR_EXPORT nr_voice *nr_voice_new(const nr_voice_spec *spec) {
  if (spec->inputs > NR_MAX_INPUTS || spec->controls > NR_CONTROLS || spec->links > NR_MAX_LINKS) return NULL;
  nr_voice *v = calloc(1, sizeof *v);
  if (!v) return NULL;
  v->spec = *spec;
  int stages = nr_stage_open(&v->decoder, &spec->decoder) & nr_stage_open(&v->encoder, &spec->encoder) &
               nr_stage_open(&v->prior, &spec->prior);
  v->chunk_frames = v->decoder.spec.out_rows;
  v->channels = v->decoder.spec.out_channels;
  v->rows = v->chunk_frames / spec->hop_frames;
  copy_card(v, spec);
  v->gesture_frames = copy_of(spec->gesture_frames, spec->gestures * sizeof *spec->gesture_frames);
  v->gesture_sustain = copy_of(spec->gesture_sustain, spec->gestures * 2 * sizeof *spec->gesture_sustain);
  v->gesture_data = copy_of(spec->gesture_data, spec->gestures * sizeof *spec->gesture_data);
  v->row = calloc(v->rows, sizeof *v->row);
  v->line = calloc((size_t)(nr_past_frames(v) + v->chunk_frames) * v->channels, sizeof *v->line);
  v->stereo = calloc((size_t)v->chunk_frames * 2, sizeof *v->stereo);
  if (spec->listen) v->input = nr_input_new(spec->out_rate_hz, spec->sample_rate_hz, spec->cushion_frames);
  if (spec->out_rate_hz != spec->sample_rate_hz) v->resampler = nr_resampler_new(spec->sample_rate_hz, spec->out_rate_hz);
  if (!stages || !v->gesture_frames || !v->gesture_sustain || !v->gesture_data || !v->row || !v->line || !v->stereo || (spec->listen && !v->input) ||
      (spec->out_rate_hz != spec->sample_rate_hz && !v->resampler)) {
    nr_voice_free(v);
    return NULL;
  }
  for (int r = 0; r < NR_ROUTES; r++) v->patch.route_jack[r] = -1;
  v->patch.gate_action[0] = NR_GATE_TRIGGER;
  v->gesture.index = -1;
  v->placement.delay = nr_least_delay(v);
  memcpy(v->idle.last, v->rest, sizeof v->rest);
  v->dc_pole = (float)exp(-2 * M_PI * 10.0 / spec->sample_rate_hz);               /* 10 Hz */
  v->limiter_release = (float)exp(-1.0 / (0.08 * spec->sample_rate_hz));          /* 80 ms */
  v->level_pole = (float)(1 - exp(-1.0 / (0.01 * spec->sample_rate_hz)));         /* 10 ms */
  return v;
}

NR_EXPORT void nr_voice_free(nr_voice *v) {
  if (!v) return;
  nr_stage_close(&v->decoder);
  nr_stage_close(&v->encoder);
  nr_stage_close(&v->prior);
  nr_input_free(v->input);
  free(v->gesture_frames);
  free(v->gesture_sustain);
  free(v->gesture_data);
  free(v->row);
  free(v->line);
  free(v->stereo);
  nr_resampler_free(v->resampler);
  free(v);
}

NR_EXPORT void nr_voice_set_patch(nr_voice *v, const nr_patch *patch) {
  double hop_ms = 1000.0 * v->spec.hop_frames / v->spec.sample_rate_hz;
  for (int r = 0; r < NR_ROUTES; r++) {
    const nr_patch *now = &v->patch;
    if (patch->route_jack[r] != now->route_jack[r]) v->route_primed[r] = 0;
    if (patch->route_jack[r] != now->route_jack[r] || patch->route_steps[r] != now->route_steps[r] ||
        patch->route_scale[r] != now->route_scale[r] || patch->route_root[r] != now->route_root[r] ||
        patch->route_low[r] != now->route_low[r] || patch->route_high[r] != now->route_high[r])
      v->route_noted[r] = 0;
    v->route_smooth[r] = patch->route_smooth_ms[r] > 0 ? 1 - exp(-hop_ms / patch->route_smooth_ms[r]) : 1.0;
  }
  v->patch = *patch;
}

/* The next run's controls, row by row (real time fills all rows alike). */
NR_EXPORT void nr_voice_set_row(nr_voice *v, uint32_t row, const double *cv_volts, const double *source_volts, const double *knob,
                               const double *drive, double level_db) {
  nr_row *r = &v->row[row];
  memcpy(r->volts, cv_volts, NR_CV_JACKS * sizeof *r->volts);
  memcpy(r->volts + NR_CV_JACKS, source_volts, NR_MODULATORS * sizeof *r->volts);
  memcpy(r->knob, knob, sizeof r->knob);
  memcpy(r->drive, drive, sizeof r->drive);
  r->level_db = level_db;
}

NR_EXPORT int nr_voice_add_edge(nr_voice *v, const nr_voice_edge *edge) {
  if (v->pending_count == NR_MAX_PENDING) {
    v->dropped_edges++;
    return 0;
  }
  uint32_t at = v->pending_count++;
  while (at > 0 && v->pending[at - 1].frame > edge->frame) {
    v->pending[at] = v->pending[at - 1];
    at--;
  }
  v->pending[at] = *edge;
  return 1;
}

NR_EXPORT void nr_voice_remember_gate(nr_voice *v, uint32_t jack, int high, const double *volts) {
  v->opened = high ? v->opened | 1u << jack : v->opened & ~(1u << jack);
  v->envelope.gated |= high;
  v->envelope.high = v->envelope.level = v->opened != 0;
  if (high) memcpy(v->latched_volts, volts, sizeof v->latched_volts);
}

static void trigger(nr_voice *v, const nr_voice_edge *edge, uint32_t row) {
  uint64_t row_start = v->frame + (uint64_t)row * v->spec.hop_frames;
  double wanted = edge->frame > row_start ? (double)(edge->frame - row_start) : 0;
  memcpy(v->latched_volts, edge->volts, sizeof v->latched_volts);
  v->gesture.starting = 1;
  v->triggers++;
  nr_envelope_gate(&v->envelope, edge->frame, 1);
  if (v->spec.gestures) v->row[row].delay_frames = fmax(wanted, nr_least_delay(v));
}

/* What a gate does is the patch's to say. What it began ends with its falling edge, even if the patch was edited meanwhile. */
static void take_edge(nr_voice *v, const nr_voice_edge *edge, uint32_t row) {
  uint32_t gate = 1u << edge->jack, action = v->patch.gate_action[edge->jack];
  if (!edge->rising) {
    if (v->opened == gate) nr_envelope_gate(&v->envelope, edge->frame, 0);
    if (v->freezing == gate) nr_gesture_freeze(v, 0);
    v->opened &= ~gate;
    v->freezing &= ~gate;
  } else if (action == NR_GATE_FREEZE) {
    if (!v->freezing) nr_gesture_freeze(v, 1);
    v->freezing |= gate;
  } else if (action == NR_GATE_NEXT || action == NR_GATE_TRIGGER) {
    v->gesture.next_shift += action == NR_GATE_NEXT;
    v->opened |= gate;
    trigger(v, edge, row);
  }
}

/* Edges whose onset belongs to this row. */
static void take_edges(nr_voice *v, uint32_t row) {
  uint64_t row_start = v->frame + (uint64_t)row * v->spec.hop_frames;
  uint32_t taken = 0;
  v->row[row].delay_frames = 0;
  for (; taken < v->pending_count && v->pending[taken].frame < row_start + v->spec.hop_frames + nr_least_delay(v); taken++) {
    take_edge(v, &v->pending[taken], row);
  }
  v->pending_count -= taken;
  memmove(v->pending, v->pending + taken, v->pending_count * sizeof *v->pending);
}

NR_EXPORT uint32_t nr_voice_max_out_frames(const nr_voice *v) {
  if (!v->resampler) return v->chunk_frames;
  return (uint32_t)((uint64_t)v->chunk_frames * v->resampler->up / v->resampler->down + 2);
}

/* Gate 1 opens and closes what sounds by itself; a card asks for it with a control of the kind `decay`. */
static void open_and_close(nr_voice *v, uint32_t row, float *stereo) {
  if (v->kind_control[NR_KIND_DECAY] < 0) return;
  double rate = v->spec.sample_rate_hz, decay = nr_control_of_kind(v, NR_KIND_DECAY, 0.5);
  double rise = 1 / (rate * ATTACK_SECONDS * pow(ATTACK_RANGE, nr_control_of_kind(v, NR_KIND_ATTACK, 0.2)));
  double fall = decay > NEVER ? 1.0 : pow(1e-3, 1 / (rate * DECAY_SECONDS * pow(DECAY_RANGE, decay)));
  int held = v->gesture.frozen || nr_gesture_runs_out(v);
  nr_envelope_apply(&v->envelope, stereo, v->spec.hop_frames, v->frame + (uint64_t)row * v->spec.hop_frames, held, rise, fall);
}

NR_EXPORT uint32_t nr_voice_render(nr_voice *v, float *out) {
  uint32_t hop = v->spec.hop_frames, past = nr_past_frames(v), channels = v->channels;
  memmove(v->line, v->line + (size_t)v->chunk_frames * channels, (size_t)past * channels * sizeof *v->line);
  nr_idle_prepare(v);
  for (uint32_t row = 0; row < v->rows; row++) {
    take_edges(v, row);
    nr_modulate_row(v, row, v->decoder.in + (size_t)row * v->spec.inputs);
  }
  nr_decode(v);
  for (uint32_t row = 0; row < v->rows; row++) {
    float *stereo = v->stereo + (size_t)row * hop * 2;
    nr_place_row(v, row, stereo);
    open_and_close(v, row, stereo);
    nr_output_stage(v, stereo, hop, v->row[row].level_db);
  }
  v->frame += v->chunk_frames;
  if (v->resampler) return nr_resample(v->resampler, v->stereo, v->chunk_frames, out);
  memcpy(out, v->stereo, (size_t)v->chunk_frames * 2 * sizeof *out);
  return v->chunk_frames;
}

NR_EXPORT uint64_t nr_voice_nan_values(const nr_voice *v) { return v->nan_values + v->nan_inputs; }
NR_EXPORT uint64_t nr_voice_missing_blocks(const nr_voice *v) { return v->missing_blocks; }

/* Frames of the audio input that were written and not yet heard, at the model's rate. */
NR_EXPORT uint64_t nr_voice_input_frames(const nr_voice *v) { return v->input->written - v->listener.read; }
NR_EXPORT void nr_voice_write_input(nr_voice *v, const float *stereo, uint32_t n) { nr_input_write(v->input, stereo, n); }

NR_EXPORT void nr_voice_follow_input(nr_voice *v, const nr_rack *rack) {
  if (v->input) nr_input_follow(v->input, &rack->input_ring);
}

static size_t line_bytes(const nr_voice *v) { return (size_t)(nr_past_frames(v) + v->chunk_frames) * v->channels * sizeof *v->line; }
static size_t rounded(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

NR_EXPORT int nr_voice_can_save(const nr_voice *v) {
  return !v->decoder.spec.function && !v->encoder.spec.function && !v->prior.spec.function;
}

NR_EXPORT size_t nr_voice_state_bytes(const nr_voice *v) {
  return rounded(sizeof *v) + rounded(line_bytes(v)) + (v->resampler ? rounded(sizeof *v->resampler) : 0) +
         nr_stage_state_bytes(&v->decoder) + nr_stage_state_bytes(&v->encoder) + nr_stage_state_bytes(&v->prior);
}

NR_EXPORT void nr_voice_save(const nr_voice *v, void *state) {
  char *at = state;
  memcpy(at, v, sizeof *v);
  memcpy(at += rounded(sizeof *v), v->line, line_bytes(v));
  at += rounded(line_bytes(v));
  if (v->resampler) {
    memcpy(at, v->resampler, sizeof *v->resampler);
    at += rounded(sizeof *v->resampler);
  }
  nr_stage_save(&v->decoder, at);
  nr_stage_save(&v->encoder, at += nr_stage_state_bytes(&v->decoder));
  nr_stage_save(&v->prior, at += nr_stage_state_bytes(&v->encoder));
}

/* The pointers of the saved structure are this voice's own, so they may be copied along. */
NR_EXPORT void nr_voice_restore(nr_voice *v, const void *state) {
  const char *at = state;
  uint64_t dropped = v->dropped_edges, nan = v->nan_values, nan_inputs = v->nan_inputs, late = v->listener.late;
  memcpy(v, at, sizeof *v);
  v->pending_count = 0;
  v->dropped_edges = dropped;
  v->nan_values = nan;
  v->nan_inputs = nan_inputs;
  v->listener.late = late;
  memcpy(v->line, at += rounded(sizeof *v), line_bytes(v));
  at += rounded(line_bytes(v));
  if (v->resampler) {
    memcpy(v->resampler, at, sizeof *v->resampler);
    at += rounded(sizeof *v->resampler);
  }
  nr_stage_restore(&v->decoder, at);
  nr_stage_restore(&v->encoder, at += nr_stage_state_bytes(&v->decoder));
  nr_stage_restore(&v->prior, at += nr_stage_state_bytes(&v->encoder));
}
