/* Taking back rendered sound, so that a hit or a control's step is heard at once. See loop.h for the contract. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "shm/ring.h"
#include "synth/loop.h"

static const double CONTROL_STEP_VOLTS = 0.15;   /* smaller movements wait their turn */
static const double MOST_EXTRA_LOAD = 0.4;       /* share of the core that remaking for controls may take */

int nr_lookahead_new(nr_synth_loop *s) {
  s->quick_lead_frames = s->lead_frames;
  if (!s->can_save) return 1; /* a foreign decoder's blocks are made once */
  if (s->lead_frames < NR_QUICK_LEAD_FRAMES + s->chunk_frames) return 1; /* too shallow to have anything to take back */
  size_t bytes = nr_voice_state_bytes(s->voice);
  uint32_t blocks = (2 * s->lead_frames + s->rack->header.block_frames) / s->chunk_frames + 2; /* room to grow */
  s->saved_room = blocks < NR_MAX_SAVED ? blocks : NR_MAX_SAVED;
  for (uint32_t i = 0; i < s->saved_room; i++)
    if (!(s->saved[i].state = aligned_alloc(64, (bytes + 63) & ~(size_t)63))) return 0;
  s->quick_lead_frames = NR_QUICK_LEAD_FRAMES;
  return 1;
}

void nr_lookahead_free(nr_synth_loop *s) {
  for (uint32_t i = 0; i < s->saved_room; i++) free(s->saved[i].state);
}

void nr_lookahead_save(nr_synth_loop *s, uint64_t head) {
  if (!s->saved_room) return;
  nr_saved *saved = &s->saved[s->saved_next];
  saved->head = head;
  saved->frame = s->voice->frame;
  nr_voice_save(s->voice, saved->state);
  s->saved_next = (s->saved_next + 1) % s->saved_room;
  if (s->saved_count < s->saved_room) s->saved_count++;
}

/* The i-th newest saved point. */
static nr_saved *newest(nr_synth_loop *s, uint32_t i) {
  return &s->saved[(s->saved_next + s->saved_room - 1 - i) % s->saved_room];
}

/* Is there time to make the block at ring frame x anew before the callback comes for it? */
static int in_time(const nr_synth_loop *s, uint64_t x, int64_t now) {
  uint64_t tail = nr_load(&s->rack->ring[s->slot].tail_frames), block = s->rack->header.block_frames;
  if (x < tail) return 0;
  double taken_at = (double)(tail + (x - tail) / block * block); /* the callback that will take x starts there */
  double needed = 12 + 1.2 * nr_cost_high(&s->cost);
  return taken_at - nr_ring_time(s, now) >= needed;
}

/* Go back to a saved point. The edges placed since are added again; those before it were taken by earlier blocks. */
static int take_back(nr_synth_loop *s, uint32_t index) {
  nr_ring *ring = &s->rack->ring[s->slot];
  nr_saved *saved = newest(s, index);
  uint64_t head = nr_peek(&ring->head_frames);
  if (!nr_ring_take_back(&ring->head_frames, &ring->claim_frames, saved->head)) return 0;
  nr_voice_restore(s->voice, saved->state);
  nr_voice_set_patch(s->voice, &s->patch);
  uint64_t from = s->placed_count > NR_PLACED ? s->placed_count - NR_PLACED : 0;
  for (uint64_t i = from; i < s->placed_count; i++)
    if (s->placed[i % NR_PLACED].frame >= saved->frame + nr_least_delay(s->voice)) nr_voice_add_edge(s->voice, &s->placed[i % NR_PLACED]);
  s->saved_next = (s->saved_next + s->saved_room - 1 - index) % s->saved_room;
  s->saved_count -= index + 1;
  s->takebacks++;
  s->remade_frames += head - saved->head;
  return 1;
}

/* Ring frames to the voice's frames. */
static uint64_t voice_frame(const nr_synth_loop *s, double place) {
  double frame = (place - (double)s->first_frame - s->inside_frames) * s->model_per_ring + nr_least_delay(s->voice);
  return frame > 0 ? (uint64_t)(frame + 0.5) : 0;
}

/* From the edge to the jack: to the callback that takes the frame, and on through the card. */
static void record_latency(nr_synth_loop *s, double place, int64_t edge_ns) {
  nr_synth *out = &s->rack->synth[s->slot];
  double us = 1e-3 * (place - nr_ring_time(s, edge_ns)) / s->frames_per_ns + 1e3 * nr_load_f32(&s->rack->audio.dac_delay_ms);
  nr_store(&out->latency_us[nr_peek(&out->latencies) % NR_LATENCIES], (uint32_t)(us > 0 ? us : 0));
  nr_count(&out->latencies, 1);
}

/* The edge into the block it belongs to, made anew if need be; into the next possible one, counted as late, if not. */
void nr_place_edge(nr_synth_loop *s, const nr_edge *edge, int64_t now) {
  uint64_t head = nr_peek(&s->rack->ring[s->slot].head_frames);
  double place = s->clock_running ? nr_ring_time(s, edge->edge_ns) + s->edge_delay_frames : 0;
  double first = (double)head + s->inside_frames;
  if (s->clock_running && place < first) {
    uint32_t best = s->saved_count;
    for (uint32_t i = 0; i < s->saved_count && in_time(s, newest(s, i)->head, now); i++) {
      best = i;
      if ((double)newest(s, i)->head + s->inside_frames <= place) break;
    }
    if (best < s->saved_count) {
      double start = (double)newest(s, best)->head + s->inside_frames;
      if (take_back(s, best)) first = start;
    }
  }
  if (place < first) {
    if (s->clock_running && place < first - 1) s->late_edges++;
    place = first;
  }
  if (edge->jack == 0 && edge->rising && s->clock_running) record_latency(s, place, edge->edge_ns);
  nr_voice_edge placed = {.frame = voice_frame(s, place), .jack = edge->jack, .rising = edge->rising};
  memcpy(placed.volts, edge->volts, sizeof placed.volts);
  s->placed[s->placed_count++ % NR_PLACED] = placed;
  nr_voice_add_edge(s->voice, &placed);
}

/* A modulator that a route follows has leapt; what one does smoothly, the blocks to come will show. */
static int modulator_leapt(const nr_synth_loop *s) {
  for (int r = 0; r < NR_ROUTES; r++) {
    int modulator = s->patch.route_jack[r] - NR_CV_JACKS;
    if (modulator >= 0 && modulator < NR_MODULATORS && !s->patch.route_latched[r] && s->leaps[modulator] != s->rendered_leaps[modulator])
      return 1;
  }
  return 0;
}

/* A control that moved by a step: make the look-ahead anew, unless that took too much of the core. */
void nr_lookahead_for_controls(nr_synth_loop *s, int64_t now) {
  uint64_t head = nr_peek(&s->rack->ring[s->slot].head_frames);
  int moved = s->patch.revision != s->rendered_revision || modulator_leapt(s);
  for (int i = 0; i < NR_CV_JACKS; i++) moved |= fabs(s->volts[i] - s->rendered_volts[i]) > CONTROL_STEP_VOLTS;
  if (!moved || !s->clock_running || head < s->control_takeback_head) return;
  uint32_t best = s->saved_count;
  for (uint32_t i = 0; i < s->saved_count && in_time(s, newest(s, i)->head, now); i++) best = i;
  if (best == s->saved_count) return;
  double remade = (double)(head - newest(s, best)->head);
  if (take_back(s, best)) s->control_takeback_head = head + (uint64_t)(remade * s->load / MOST_EXTRA_LOAD);
}
