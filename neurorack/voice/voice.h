/* The voice: source -> modulation -> decoder -> output. The same code in real time and in `render`.
 *
 * CONTRACT. After nr_voice_new nothing here allocates, locks, waits or calls the system (but for stages that are functions,
 * see stage.h). A voice belongs to one thread; the programs of its stages belong to the voice.
 *
 * Time. The voice counts model frames from its start. Control values are taken once a hop (one row of the decoder's
 * input), always on the same grid, so the sound does not depend on how many rows a run makes. A trigger at frame e
 * starts its gesture at the row that contains e, and the output is delayed by the rest (less than a hop), so that the
 * onset lands on e itself; between two triggers the delay stands still, and at a trigger the read position glides
 * there without a jump, or, where a hop is long, crossfades (place.c). The envelope acts on e with no such delay.
 *
 * Sources. A running gesture sets the inputs. Where none runs, a model that plays hits rests; a drone wanders around its rest,
 * or takes its inputs from its prior or from the audio input through an encoder, as far as these are turned up. A model of the
 * kind `input` has no such inputs: its decoder takes the audio input itself.
 *
 * Holding. A gesture may have a stretch of rows where it can be held. While a gate that starts gestures is high it swings to and fro
 * there. When the gates have fallen it goes on to its end at once, wherever it is, from the row behind the stretch that is nearest to
 * what its inputs are, and what is still different fades out within 30 ms. A short trigger plays the beginning, at most 0.12 s
 * of it, and then the end. Looped or frozen it is not held.
 *
 * Bend and drive. A control bends: its distance from its default moves the source's inputs. As far as it is driven
 * (0..1) it sets them instead, gesture or not. Where a model plays hits, bends die away with the gesture, so a raised knob
 * never keeps a finished hit sounding; but for those of a control of the kind `pitch`, which always bend whole, so that what
 * rings out does not slide. */
#ifndef NR_VOICE_H
#define NR_VOICE_H
#include "engine/program.h"
#include "rack_table.h"
#include "voice/envelope.h"
#include "voice/input.h"
#include "voice/resample.h"
#include "voice/stage.h"

/* Room for the read position to glide, or to fade, to its new delay at a trigger. */
enum { NR_GLIDE_FRAMES = 16, NR_LONGEST_GLIDING_HOP = 256, NR_LONGEST_FADE_FRAMES = 256 };
enum { NR_MAX_INPUTS = 256, NR_MAX_LINKS = 1024, NR_MAX_PENDING = 256 };
enum { NR_PLAYS_HITS = 0, NR_PLAYS_DRONE = 1, NR_PLAYS_INPUT = 2 };
enum { NR_GATE_FREEZE = 0, NR_GATE_NEXT = 1, NR_GATE_TRIGGER = 2 }; /* further ones are not the voice's */
/* What a control does besides, or instead of, moving inputs through its links. */
enum {
  NR_KIND_INPUT, NR_KIND_GESTURE, NR_KIND_SPEED, NR_KIND_MORPH, NR_KIND_WANDER, NR_KIND_WANDER_RATE, NR_KIND_ATTACK, NR_KIND_DECAY,
  NR_KIND_LOOP, NR_KIND_POSITION, NR_KIND_FREEZE, NR_KIND_AUDIO_INPUT, NR_KIND_PRIOR, NR_KIND_TEMPERATURE, NR_KIND_DEPTH, NR_KIND_PITCH,
  NR_KINDS
};

/* What Python hands over, once. Arrays are copied but for the gestures, which must outlive the voice. */
typedef struct {
  uint32_t sample_rate_hz, out_rate_hz, hop_frames;
  uint32_t inputs, controls, links, gestures, plays, seed;
  uint32_t listen, cushion_frames;       /* 1: the audio input is heard; see input.h */
  const float *rest, *spread;            /* [inputs]: spread = standard deviation of the wandering */
  const double *control_default;         /* [controls], 0..1 */
  const int32_t *control_kind;           /* [controls] */
  const int32_t *link_control, *link_input; /* [links] */
  const double *link_low, *link_high;
  const int32_t *gesture_frames;         /* [gestures] */
  const int32_t *gesture_sustain;        /* [gestures][2]: rows from and to where it is held; the second not larger: not at all */
  const float *const *gesture_data;      /* each [frames][inputs] */
  double gain_db;                        /* loudness match, from the card */
  nr_stage_spec decoder, encoder, prior; /* one block length; the last two may be missing */
} nr_voice_spec;

typedef struct {
  double knob[NR_CONTROLS], drive[NR_CONTROLS], volts[NR_ROUTED_JACKS], level_db; /* of the jacks, then of the modulators */
  double delay_frames; /* > 0: a trigger fell into this row; its onset sounds so much after the row's start */
} nr_row;

typedef struct {
  uint64_t frame; /* model frames since the voice started */
  uint32_t jack, rising;
  double volts[NR_ROUTED_JACKS];
} nr_voice_edge;

enum { NR_GESTURE_BEGINS, NR_GESTURE_HELD, NR_GESTURE_ENDS }; /* of one that can be held */
typedef struct {
  int32_t index, next_shift; /* running gesture, -1 none; steps added by "next gesture" */
  double at;                 /* position in model frames of the gesture */
  int frozen, starting;      /* starting: a trigger fell into this row; the gesture is chosen by its controls */
  int gate_freezes, scrubs;  /* by gate 2; by the control, which also sets the place */
  double loop_from, loop_to;
  int direction, phase;
  float let_go_from[NR_MAX_INPUTS]; /* what the inputs were beyond where they went when it was let go; how much of it is left */
  double let_go_left;
} nr_gesture_state;

/* What plays where no gesture runs. */
typedef struct {
  double slow[NR_MAX_INPUTS], slower[NR_MAX_INPUTS]; /* the wandering: noise through two poles */
  int begun;
  float last[NR_MAX_INPUTS], offset[NR_MAX_INPUTS];  /* the row before; what is left of a gesture that ended */
  double offset_left;
  int gesture_ended;
} nr_idle_state;

/* The output's place behind the decoder, see place.c. */
typedef struct {
  double delay;                       /* frames, where nothing moves */
  double from, to, done;              /* on its way to another place while to > 0 */
  uint64_t fade_from, fade_to;        /* crossfading: from which frame to which */
  double next;                        /* a further one that waits for the end of this; 0 = none */
} nr_placement;

typedef struct nr_voice {
  nr_voice_spec spec;
  nr_stage decoder, encoder, prior;
  uint32_t rows, chunk_frames, channels;
  float rest[NR_MAX_INPUTS], spread[NR_MAX_INPUTS];
  double control_default[NR_CONTROLS];
  int32_t control_kind[NR_CONTROLS], kind_control[NR_KINDS]; /* and back: the first control of a kind, -1 none */
  int32_t link_control[NR_MAX_LINKS], link_input[NR_MAX_LINKS];
  double link_low[NR_MAX_LINKS], link_high[NR_MAX_LINKS];
  int32_t *gesture_frames, *gesture_sustain;
  const float **gesture_data;

  nr_patch patch;                    /* routes and the gates' actions; knobs come with the rows */
  double route_smooth[NR_ROUTES];    /* one-pole coefficient a hop */
  double route_volts[NR_ROUTES];     /* smoothed */
  int route_primed[NR_ROUTES];
  double route_note[NR_ROUTES];      /* where a quantised one stands: semitones, or steps from its low limit */
  uint32_t route_noted[NR_ROUTES];
  double latched_volts[NR_ROUTED_JACKS];
  double control[NR_CONTROLS];       /* resulting values */
  nr_row *row;                       /* [rows]: the next run's controls */

  nr_voice_edge pending[NR_MAX_PENDING];
  uint32_t pending_count;
  uint32_t freezing, opened;         /* bit i: gate i+1 is high and freezes, holds the envelope open */
  nr_gesture_state gesture;
  nr_idle_state idle;
  nr_envelope envelope;
  nr_input *input;                   /* NULL when the audio input is not heard */
  nr_listener listener;
  uint64_t frame, triggers, dropped_edges, nan_values, nan_inputs, missing_blocks;
  int missing;                       /* the decoder's last block did not come */

  float *line;                       /* the model's output from `past` frames before this chunk on */
  nr_placement placement;
  /* output stage */
  float dc_in[2], dc_out[2], limiter_env, limited_db, dc_pole, limiter_release, level_pole;
  double level;
  float *stereo;                     /* [chunk][2] at the model's rate */
  nr_resampler *resampler;           /* NULL when the rates agree */
} nr_voice;

/* The shortest delay of the output behind the decoder; the constant part of every onset's way. */
static inline uint32_t nr_least_delay(const nr_voice *v) {
  uint32_t hop = v->spec.hop_frames;
  if (hop <= NR_LONGEST_GLIDING_HOP) return NR_GLIDE_FRAMES;
  return hop / 8 < NR_LONGEST_FADE_FRAMES ? hop / 8 : NR_LONGEST_FADE_FRAMES;
}

nr_voice *nr_voice_new(const nr_voice_spec *spec);
void nr_voice_free(nr_voice *v);
void nr_voice_set_patch(nr_voice *v, const nr_patch *patch);
int nr_voice_add_edge(nr_voice *v, const nr_voice_edge *edge); /* 0 = no room, dropped and counted */
/* A hit's edge from before this voice began: where a gate is patched, it is no drone, and latched jacks have a value. */
void nr_voice_remember_gate(nr_voice *v, uint32_t jack, int high, const double *volts);
uint32_t nr_voice_max_out_frames(const nr_voice *v);
uint32_t nr_voice_render(nr_voice *v, float *out);             /* one run; frames written to out, [frames][2] */
void nr_voice_follow_input(nr_voice *v, const nr_rack *rack); /* what came in since */

/* The whole voice between two runs, its programs and its filters, but for the pending edges: those are the caller's to
 * add again (an edge is taken by the row that contains frame - nr_least_delay). Real-time safe. A voice with a stage that
 * is a function cannot be saved: its blocks are made once. */
int nr_voice_can_save(const nr_voice *v);
size_t nr_voice_state_bytes(const nr_voice *v);
void nr_voice_save(const nr_voice *v, void *state);
void nr_voice_restore(nr_voice *v, const void *state);

/* modulation.c */
double nr_control_of_kind(const nr_voice *v, int kind, double otherwise);
void nr_modulate_row(nr_voice *v, uint32_t row, float *inputs);
/* sources.c: the inputs before controls move them; returns how much of the bends applies. */
double nr_source_row(nr_voice *v, uint32_t row, float *inputs);
void nr_idle_prepare(nr_voice *v); /* once a run: prior and encoder */
/* gesture.c */
void nr_gesture_freeze(nr_voice *v, int on);
void nr_gesture_controls(nr_voice *v);
int nr_gesture_runs_out(const nr_voice *v); /* it runs, and ends by itself */
double nr_gesture_row(nr_voice *v, float *inputs);
/* place.c */
static inline uint32_t nr_past_frames(const nr_voice *v) { return v->spec.hop_frames + nr_least_delay(v) + 2; }
void nr_decode(nr_voice *v);
void nr_place_row(nr_voice *v, uint32_t row, float *stereo);
/* output.c */
void nr_output_stage(nr_voice *v, float *frames, uint32_t n, double level_db);
#endif
