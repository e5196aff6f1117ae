/* The voice's life and its block loop: edges, modulation, decoder, placement, output. See voice.h for the contract. */
#include "voice/voice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shm/atomics.h"

static uint32_t past_frames(const nr_voice *v) { return v->spec.hop_frames + NR_GLIDE_FRAMES + 2; }

static void *copy_of(const void *from, size_t bytes) {
  void *to = malloc(bytes ? bytes : 1);
  if (to && bytes) memcpy(to, from, bytes);
  return to;
}

NR_EXPORT nr_voice *nr_voice_new(const nr_voice_spec *spec, nr_program *program) {
  if (spec->inputs > NR_MAX_INPUTS || spec->controls > NR_CONTROLS || spec->links > NR_MAX_LINKS) return NULL;
  nr_voice *v = calloc(1, sizeof *v);
  if (!v) return NULL;
  v->spec = *spec;
  v->program = program;
  v->rows = (uint32_t)nr_program_in_rows(program);
  v->chunk_frames = (uint32_t)nr_program_out_rows(program);
  v->channels = (uint32_t)nr_program_out_channels(program);
  memcpy(v->rest, spec->rest, spec->inputs * sizeof *spec->rest);
  memcpy(v->control_default, spec->control_default, spec->controls * sizeof *spec->control_default);
  memcpy(v->control_kind, spec->control_kind, spec->controls * sizeof *spec->control_kind);
  memcpy(v->link_control, spec->link_control, spec->links * sizeof *spec->link_control);
  memcpy(v->link_input, spec->link_input, spec->links * sizeof *spec->link_input);
  memcpy(v->link_low, spec->link_low, spec->links * sizeof *spec->link_low);
  memcpy(v->link_high, spec->link_high, spec->links * sizeof *spec->link_high);
  v->gesture_frames = copy_of(spec->gesture_frames, spec->gestures * sizeof *spec->gesture_frames);
  v->gesture_data = copy_of(spec->gesture_data, spec->gestures * sizeof *spec->gesture_data);
  v->row = calloc(v->rows, sizeof *v->row);
  v->line = calloc((size_t)(past_frames(v) + v->chunk_frames) * v->channels, sizeof *v->line);
  v->stereo = calloc((size_t)v->chunk_frames * 2, sizeof *v->stereo);
  if (spec->out_rate_hz != spec->sample_rate_hz) v->resampler = nr_resampler_new(spec->sample_rate_hz, spec->out_rate_hz);
  if (!v->gesture_frames || !v->gesture_data || !v->row || !v->line || !v->stereo || (spec->out_rate_hz != spec->sample_rate_hz && !v->resampler)) {
    nr_voice_free(v);
    return NULL;
  }
  for (int r = 0; r < NR_ROUTES; r++) v->patch.route_jack[r] = -1;
  v->gesture.index = -1;
  v->delay = NR_GLIDE_FRAMES;
  v->dc_pole = (float)exp(-2 * M_PI * 10.0 / spec->sample_rate_hz);               /* 10 Hz */
  v->limiter_release = (float)exp(-1.0 / (0.08 * spec->sample_rate_hz));          /* 80 ms */
  v->level_pole = (float)(1 - exp(-1.0 / (0.01 * spec->sample_rate_hz)));         /* 10 ms */
  return v;
}

NR_EXPORT void nr_voice_free(nr_voice *v) {
  if (!v) return;
  free(v->gesture_frames);
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
    if (patch->route_jack[r] != v->patch.route_jack[r]) v->route_primed[r] = 0;
    v->route_smooth[r] = patch->route_smooth_ms[r] > 0 ? 1 - exp(-hop_ms / patch->route_smooth_ms[r]) : 1.0;
  }
  v->patch = *patch;
}

/* The next run's controls, row by row (real time fills all rows alike). */
NR_EXPORT void nr_voice_set_row(nr_voice *v, uint32_t row, const double *cv_volts, const double *knob, const double *drive, double level_db) {
  nr_row *r = &v->row[row];
  memcpy(r->cv_volts, cv_volts, sizeof r->cv_volts);
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

static void trigger(nr_voice *v, const nr_voice_edge *edge, uint32_t row) {
  uint64_t row_start = v->frame + (uint64_t)row * v->spec.hop_frames;
  double wanted = edge->frame > row_start ? (double)(edge->frame - row_start) : 0;
  memcpy(v->latched_cv, edge->cv_volts, sizeof v->latched_cv);
  v->gesture.starting = 1;
  v->triggers++;
  v->row[row].delay_frames = wanted < NR_GLIDE_FRAMES ? NR_GLIDE_FRAMES : wanted;
}

/* Edges whose onset belongs to this row. */
static void take_edges(nr_voice *v, uint32_t row) {
  uint64_t row_start = v->frame + (uint64_t)row * v->spec.hop_frames;
  uint32_t taken = 0;
  v->row[row].delay_frames = 0;
  for (; taken < v->pending_count && v->pending[taken].frame < row_start + v->spec.hop_frames + NR_GLIDE_FRAMES; taken++) {
    const nr_voice_edge *edge = &v->pending[taken];
    if (edge->jack == 0) {
      if (edge->rising) trigger(v, edge, row);
    } else if (v->patch.gate2_action == NR_GATE2_FREEZE) {
      nr_gesture_freeze(v, (int)edge->rising);
    } else if (edge->rising) {
      if (v->patch.gate2_action == NR_GATE2_NEXT) v->gesture.next_shift++;
      trigger(v, edge, row);
    }
  }
  v->pending_count -= taken;
  memmove(v->pending, v->pending + taken, v->pending_count * sizeof *v->pending);
}

/* One hop of the delayed model output as stereo. The read position is continuous: at a trigger it glides from where
 * it stands to the gesture's first frame, and arrives there `delay_frames` after that frame was made. */
static void place_row(nr_voice *v, uint32_t row, float *stereo) {
  uint32_t hop = v->spec.hop_frames, right = v->channels > 1 ? 1 : 0;
  if (v->row[row].delay_frames > 0) {
    v->glide_from = v->delay;
    v->glide_to = v->row[row].delay_frames;
    v->glide_done = 0;
  }
  for (uint32_t i = 0; i < hop; i++) {
    if (v->glide_to > 0) {
      v->delay = v->glide_from + v->glide_done * (1 - v->glide_from / v->glide_to);
      if (v->glide_done++ >= v->glide_to) {
        v->delay = v->glide_to;
        v->glide_to = 0;
      }
    }
    double at = past_frames(v) + (double)(row * hop + i) - v->delay;
    uint32_t whole = (uint32_t)at;
    float fraction = (float)(at - whole);
    const float *a = v->line + (size_t)whole * v->channels, *b = fraction > 0 ? a + v->channels : a;
    stereo[2 * i] = a[0] + fraction * (b[0] - a[0]);
    stereo[2 * i + 1] = a[right] + fraction * (b[right] - a[right]);
  }
}

NR_EXPORT uint32_t nr_voice_max_out_frames(const nr_voice *v) {
  if (!v->resampler) return v->chunk_frames;
  return (uint32_t)((uint64_t)v->chunk_frames * v->resampler->up / v->resampler->down + 2);
}

NR_EXPORT uint32_t nr_voice_render(nr_voice *v, float *out) {
  uint32_t hop = v->spec.hop_frames, past = past_frames(v), channels = v->channels;
  float *x = nr_program_input(v->program);
  memmove(v->line, v->line + (size_t)v->chunk_frames * channels, (size_t)past * channels * sizeof *v->line);
  for (uint32_t row = 0; row < v->rows; row++) {
    take_edges(v, row);
    nr_modulate_row(v, &v->row[row], x + (size_t)row * v->spec.inputs);
  }
  nr_program_run(v->program);
  memcpy(v->line + (size_t)past * channels, nr_program_output(v->program), (size_t)v->chunk_frames * channels * sizeof *v->line);
  for (uint32_t row = 0; row < v->rows; row++) {
    place_row(v, row, v->stereo + (size_t)row * hop * 2);
    nr_output_stage(v, v->stereo + (size_t)row * hop * 2, hop, v->row[row].level_db);
  }
  v->frame += v->chunk_frames;
  if (v->resampler) return nr_resample(v->resampler, v->stereo, v->chunk_frames, out);
  memcpy(out, v->stereo, (size_t)v->chunk_frames * 2 * sizeof *out);
  return v->chunk_frames;
}

NR_EXPORT uint64_t nr_voice_nan_values(const nr_voice *v) { return v->nan_values; }

static size_t line_bytes(const nr_voice *v) { return (size_t)(past_frames(v) + v->chunk_frames) * v->channels * sizeof *v->line; }
static size_t rounded(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

NR_EXPORT size_t nr_voice_state_bytes(const nr_voice *v) {
  return rounded(sizeof *v) + rounded(line_bytes(v)) + (v->resampler ? rounded(sizeof *v->resampler) : 0) + rounded((size_t)nr_program_state_bytes(v->program));
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
  nr_program_save(v->program, at);
}

/* The pointers of the saved structure are this voice's own, so they may be copied along. */
NR_EXPORT void nr_voice_restore(nr_voice *v, const void *state) {
  const char *at = state;
  uint64_t dropped = v->dropped_edges, nan = v->nan_values;
  memcpy(v, at, sizeof *v);
  v->pending_count = 0;
  v->dropped_edges = dropped;
  v->nan_values = nan;
  memcpy(v->line, at += rounded(sizeof *v), line_bytes(v));
  at += rounded(line_bytes(v));
  if (v->resampler) {
    memcpy(v->resampler, at, sizeof *v->resampler);
    at += rounded(sizeof *v->resampler);
  }
  nr_program_restore(v->program, at);
}
