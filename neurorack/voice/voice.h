/* The voice: source -> modulation -> decoder -> output. The same code in real time and in `render`.
 *
 * CONTRACT. After nr_voice_new nothing here allocates, locks, waits or calls the system. A voice belongs to one
 * thread; the model's program belongs to the voice.
 *
 * Time. The voice counts model frames from its start. Control values are taken once a hop (one row of the program's
 * input), always on the same grid, so the sound does not depend on how many rows a run makes. A trigger at frame e
 * starts its gesture at the row that contains e, and the output is delayed by the rest (less than a hop), so that the
 * onset lands on e itself; between two triggers the delay stands still, and at a trigger the read position glides
 * there without a jump.
 *
 * Bend and drive. A control bends: its distance from its default moves the gesture's inputs. As far as it is driven
 * (0..1) it sets them instead, gesture or not. Bends die away with the gesture, so a raised knob never keeps a
 * finished hit sounding. */
#ifndef NR_VOICE_H
#define NR_VOICE_H
#include "engine/program.h"
#include "rack_table.h"
#include "voice/resample.h"

/* Room for the read position to glide to its new delay at a trigger: a jump of nearly a hop spread over so many frames. */
enum { NR_GLIDE_FRAMES = 16 };
enum { NR_MAX_INPUTS = 256, NR_MAX_LINKS = 1024, NR_MAX_PENDING = 256 };
enum { NR_KIND_INPUT = 0, NR_KIND_GESTURE = 1, NR_KIND_SPEED = 2, NR_KIND_MORPH = 3 };
enum { NR_GATE2_FREEZE = 0, NR_GATE2_NEXT = 1, NR_GATE2_TRIGGER = 2 };

/* What Python hands over, once. Arrays are copied but for the gestures, which must outlive the voice. */
typedef struct {
  uint32_t sample_rate_hz, out_rate_hz, hop_frames;
  uint32_t inputs, controls, links, gestures;
  const float *rest;                     /* [inputs] */
  const double *control_default;         /* [controls], 0..1 */
  const int32_t *control_kind;           /* [controls] */
  const int32_t *link_control, *link_input; /* [links] */
  const double *link_low, *link_high;
  const int32_t *gesture_frames;         /* [gestures] */
  const float *const *gesture_data;      /* each [frames][inputs] */
  double gain_db;                        /* loudness match, from the card */
} nr_voice_spec;

typedef struct {
  double knob[NR_CONTROLS], drive[NR_CONTROLS], cv_volts[NR_CV_JACKS], level_db;
  double delay_frames; /* > 0: a trigger fell into this row; its onset sounds so much after the row's start */
} nr_row;

typedef struct {
  uint64_t frame; /* model frames since the voice started */
  uint32_t jack, rising;
  double cv_volts[NR_CV_JACKS];
} nr_voice_edge;

typedef struct {
  int32_t index, next_shift; /* running gesture, -1 none; steps added by "next gesture" */
  double at;                 /* position in model frames of the gesture */
  int frozen, starting;      /* starting: a trigger fell into this row; the gesture is chosen by its controls */
  double loop_from, loop_to;
  int direction;
} nr_gesture_state;

typedef struct nr_voice {
  nr_voice_spec spec;
  nr_program *program;
  uint32_t rows, chunk_frames, channels;
  float rest[NR_MAX_INPUTS];
  double control_default[NR_CONTROLS];
  int32_t control_kind[NR_CONTROLS];
  int32_t link_control[NR_MAX_LINKS], link_input[NR_MAX_LINKS];
  double link_low[NR_MAX_LINKS], link_high[NR_MAX_LINKS];
  int32_t *gesture_frames;
  const float **gesture_data;

  nr_patch patch;                    /* routes and the second gate's action; knobs come with the rows */
  double route_smooth[NR_ROUTES];    /* one-pole coefficient a hop */
  double route_volts[NR_ROUTES];     /* smoothed */
  int route_primed[NR_ROUTES];
  double latched_cv[NR_CV_JACKS];
  double control[NR_CONTROLS];       /* resulting values */
  nr_row *row;                       /* [rows]: the next run's controls */

  nr_voice_edge pending[NR_MAX_PENDING];
  uint32_t pending_count;
  nr_gesture_state gesture;
  uint64_t frame, triggers, dropped_edges, nan_values;

  /* sub-hop placement: the model's output from `hop` frames before this chunk on */
  float *line;
  double delay, glide_from, glide_to, glide_done;
  /* output stage */
  float dc_in[2], dc_out[2], limiter_env, limited_db, dc_pole, limiter_release, level_pole;
  double level;
  float *stereo;                     /* [chunk][2] at the model's rate */
  nr_resampler *resampler;           /* NULL when the rates agree */
} nr_voice;

nr_voice *nr_voice_new(const nr_voice_spec *spec, nr_program *program);
void nr_voice_free(nr_voice *v);
void nr_voice_set_patch(nr_voice *v, const nr_patch *patch);
int nr_voice_add_edge(nr_voice *v, const nr_voice_edge *edge); /* 0 = no room, dropped and counted */
uint32_t nr_voice_max_out_frames(const nr_voice *v);
uint32_t nr_voice_render(nr_voice *v, float *out);             /* one run; frames written to out, [frames][2] */

/* The whole voice between two runs, its program and its filters, but for the pending edges: those are the caller's to
 * add again (an edge is taken by the row that contains frame - NR_GLIDE_FRAMES). Real-time safe. */
size_t nr_voice_state_bytes(const nr_voice *v);
void nr_voice_save(const nr_voice *v, void *state);
void nr_voice_restore(nr_voice *v, const void *state);

/* modulation.c */
void nr_modulate_row(nr_voice *v, const nr_row *row, float *inputs);
void nr_gesture_freeze(nr_voice *v, int on);
/* output.c */
void nr_output_stage(nr_voice *v, float *frames, uint32_t n, double level_db);
#endif
