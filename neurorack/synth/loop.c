/* The synth's render thread: keeps one slot's ring a chosen time ahead of the callback.
 *
 * CONTRACT. nr_synth_run is called once, from a thread that holds no interpreter lock, and returns when *stop is set.
 * Between its blocks it sleeps on the callback's futex; within a block nothing allocates, locks or calls the system
 * (but for reading the clock). It writes: the slot's ring head, the slot's `synth` section (but for heartbeat_ns, pid and
 * model_name, which are the Python side's). It reads: controls, patch, edges, clock.
 *
 * When a block is due. Ring frame r(t) is the one the callback would take at time t (filtered clock). A block is
 * rendered as soon as head - r(t) < T, with T = lead + max(0, card block - our block): it then has at least `lead`
 * frames of time before the callback can ask for it.
 *
 * Where an edge goes. An edge at time e belongs to ring frame r(e) + C, with the constant
 * C = settle + slack + lead + max(card block, our block): the least that always lies at or after the next block to be
 * rendered, so the distance from jack to sound is constant and its jitter is that of the timestamps. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "audio/callback.h"
#include "engine/denormals.h"
#include "shm/queue.h"
#include "shm/ring.h"
#include "voice/voice.h"

static const int FIFO_PRIORITY = 70;
static const int64_t SLACK_NS = 300000;       /* from the settled CVs to the edge's publication */
static const int64_t LONGEST_SLEEP_NS = 20000000;

typedef struct {
  nr_rack *rack;
  uint32_t slot;
  nr_voice *voice;
  uint32_t chunk_frames; /* our block in ring frames, rounded up */
  uint32_t lead_frames, edge_delay_frames;
  uint64_t first_frame;  /* ring frame of the voice's frame 0 */
  double model_per_ring; /* model frames a ring frame */
  double placement_frames; /* the resampler's delay, in model frames */
  uint64_t edge_cursor, lost_edges;
  /* last good copies of what others write */
  double cv_volts[NR_CV_JACKS];
  nr_patch patch, patch_scratch;
  double callback_ns, frames_per_ns;
  uint64_t ring_frame;
  int clock_running;
  float *out;
} nr_synth_loop;

NR_EXPORT nr_synth_loop *nr_synth_new(nr_rack *rack, uint32_t slot, nr_voice *voice, uint32_t lead_frames) {
  nr_synth_loop *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->rack = rack;
  s->slot = slot;
  s->voice = voice;
  s->lead_frames = lead_frames;
  s->model_per_ring = voice->resampler ? (double)voice->resampler->down / voice->resampler->up : 1.0;
  s->placement_frames = voice->resampler ? NR_TAPS / 2 : 0;
  s->chunk_frames = (uint32_t)ceil(voice->chunk_frames / s->model_per_ring);
  uint32_t rate = rack->header.sample_rate_hz, block = rack->header.block_frames;
  double settle = 1e-6 * rack->header.settle_us * rate, slack = 1e-9 * (double)SLACK_NS * rate;
  double inside = (s->placement_frames + 16) / s->model_per_ring; /* the voice's own placement */
  s->edge_delay_frames = (uint32_t)ceil(settle + slack + inside) + lead_frames + (block > s->chunk_frames ? block : s->chunk_frames);
  s->edge_cursor = nr_load(&rack->edges.head);
  s->patch = rack->patch[slot];
  nr_voice_set_patch(voice, &s->patch);
  s->out = malloc((size_t)nr_voice_max_out_frames(voice) * 2 * sizeof *s->out);
  if (!s->out) { free(s); return NULL; }
  return s;
}
NR_EXPORT void nr_synth_free(nr_synth_loop *s) {
  if (s) free(s->out);
  free(s);
}

static void enter_thread(nr_synth_loop *s) {
  nr_denormals_off();
  prctl(PR_SET_TIMERSLACK, 1UL);
  struct sched_param p = {.sched_priority = FIFO_PRIORITY};
  int refused = pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
  nr_store(&s->rack->synth[s->slot].fifo, refused ? -refused : 1);
}

static void read_clock(nr_synth_loop *s) {
  const nr_clock *c = &s->rack->clock;
  for (int tries = 0; tries < 100; tries++) {
    uint32_t before = nr_load(&c->seq), running = nr_peek(&c->running);
    double callback_ns, frames_per_ns;
    uint64_t ring_frame;
    if (before & 1u) continue;
    nr_words_in(&callback_ns, &c->callback_ns, 8);
    nr_words_in(&frames_per_ns, &c->frames_per_ns, 8);
    nr_words_in(&ring_frame, &c->ring_frame[s->slot], 8);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (nr_peek(&c->seq) != before) continue;
    s->callback_ns = callback_ns;
    s->frames_per_ns = frames_per_ns;
    s->ring_frame = ring_frame;
    s->clock_running = (int)running;
    return;
  }
}

/* The ring frame the callback would take at this time, were it continuous. */
static double ring_time(const nr_synth_loop *s, int64_t ns) {
  return (double)s->ring_frame + ((double)ns - s->callback_ns) * s->frames_per_ns;
}

/* Nanoseconds until the next block is due; 0 = now. */
static int64_t until_due(nr_synth_loop *s, int64_t now) {
  uint32_t block = s->rack->header.block_frames;
  double target = s->lead_frames + (block > s->chunk_frames ? block - s->chunk_frames : 0);
  uint64_t head = nr_peek(&s->rack->ring[s->slot].head_frames), tail = nr_load(&s->rack->ring[s->slot].tail_frames);
  read_clock(s);
  double r = (double)tail;
  if (s->clock_running && nr_load(&s->rack->synth[s->slot].playing) == NR_PLAYING) {
    double smooth = ring_time(s, now), least = (double)tail - block;
    r = smooth < least ? least : smooth > (double)tail ? (double)tail : smooth;
  }
  double ahead = (double)head - r - target;
  if (ahead < 0) return 0;
  return s->clock_running ? (int64_t)(ahead / s->frames_per_ns) + 1 : LONGEST_SLEEP_NS;
}

/* From the edge to the jack: to the callback that takes the frame, and on through the card. */
static void record_latency(nr_synth_loop *s, double place, int64_t edge_ns) {
  nr_synth *out = &s->rack->synth[s->slot];
  double us = 1e-3 * (place - ring_time(s, edge_ns)) / s->frames_per_ns + 1e3 * nr_load_f32(&s->rack->audio.dac_delay_ms);
  nr_store(&out->latency_us[nr_peek(&out->latencies) % NR_LATENCIES], (uint32_t)(us > 0 ? us : 0));
  nr_count(&out->latencies, 1);
}

static void take_edges(nr_synth_loop *s) {
  nr_synth *out = &s->rack->synth[s->slot];
  nr_edge edge;
  uint64_t head = nr_peek(&s->rack->ring[s->slot].head_frames);
  while (nr_edges_next(&s->rack->edges, &s->edge_cursor, &edge, &s->lost_edges)) {
    double place = s->clock_running ? ring_time(s, edge.edge_ns) + s->edge_delay_frames : 0, inside = (s->placement_frames + 16) / s->model_per_ring;
    if (place < (double)head + inside) {
      if (s->clock_running) nr_count(&out->late_edges, 1);
      place = (double)head + inside;
    }
    if (edge.jack == 0 && edge.rising && s->clock_running) record_latency(s, place, edge.edge_ns);
    nr_voice_edge placed = {.jack = edge.jack, .rising = edge.rising};
    double frame = (place - (double)s->first_frame) * s->model_per_ring - s->placement_frames;
    placed.frame = frame > 0 ? (uint64_t)(frame + 0.5) : 0;
    memcpy(placed.cv_volts, edge.cv_volts, sizeof placed.cv_volts);
    nr_voice_add_edge(s->voice, &placed);
  }
  nr_store(&out->lost_edges, s->lost_edges);
}

static void take_controls(nr_synth_loop *s) {
  const nr_rack *rack = s->rack;
  double scratch[NR_CV_JACKS];
  nr_seqlock_read(&rack->controls.seq, rack->controls.cv_volts, scratch, s->cv_volts, sizeof scratch, 16);
  const nr_patch *shared = &rack->patch[s->slot];
  if (nr_load(&shared->revision) != s->patch.revision) {
    size_t from = offsetof(nr_patch, knob);
    uint32_t revision = nr_load(&shared->revision);
    if (nr_seqlock_read(&shared->seq, shared->knob, (char *)&s->patch_scratch + from, (char *)&s->patch + from, sizeof(nr_patch) - from, 16)) {
      s->patch.revision = revision;
      nr_voice_set_patch(s->voice, &s->patch);
    }
  }
  for (uint32_t row = 0; row < s->voice->rows; row++) {
    nr_row *r = &s->voice->row[row];
    memcpy(r->cv_volts, s->cv_volts, sizeof r->cv_volts);
    memcpy(r->knob, s->patch.knob, sizeof r->knob);
    memcpy(r->drive, s->patch.drive, sizeof r->drive);
    r->level_db = s->patch.level_db;
  }
}

static void publish(nr_synth_loop *s, int64_t began, int64_t done, uint32_t frames) {
  nr_synth *out = &s->rack->synth[s->slot];
  const nr_voice *v = s->voice;
  double load = (double)(done - began) * s->rack->header.sample_rate_hz / (1e9 * frames);
  nr_store(&out->render_ns, done);
  nr_count(&out->blocks, 1);
  nr_store(&out->triggers, v->triggers);
  nr_store_f32(&out->load, (float)load);
  if (load > nr_load_f32(&out->load_max)) nr_store_f32(&out->load_max, (float)load);
  nr_histogram_add(out->load_histogram, load);
  nr_store(&out->gesture, v->gesture.index);
  nr_store(&out->gesture_frame, (int32_t)v->gesture.at);
  nr_store(&out->frozen, (uint32_t)v->gesture.frozen);
  nr_store_f32(&out->limited_db, v->limited_db);
  for (uint32_t c = 0; c < v->spec.controls; c++) nr_store_f32(&out->control[c], (float)v->control[c]);
}

static void push_all(nr_synth_loop *s, uint32_t frames, const uint32_t *stop) {
  nr_ring *ring = &s->rack->ring[s->slot];
  for (uint32_t done = 0; done < frames && !nr_load(stop);) {
    done += (uint32_t)nr_ring_push(&ring->head_frames, &ring->tail_frames, ring->frames, NR_RING_CAPACITY_FRAMES, s->out + 2 * done, frames - done);
    if (done < frames) nr_futex_wait(&s->rack->audio.callback_count, nr_load(&s->rack->audio.callback_count), LONGEST_SLEEP_NS);
  }
}

NR_EXPORT void nr_synth_run(nr_synth_loop *s, const uint32_t *stop) {
  nr_rack *rack = s->rack;
  nr_synth *out = &rack->synth[s->slot];
  enter_thread(s);
  s->first_frame = nr_load(&rack->ring[s->slot].head_frames);
  nr_store(&out->block_frames, s->chunk_frames);
  nr_store(&out->lead_frames, s->lead_frames);
  nr_store(&out->edge_delay_frames, s->edge_delay_frames);
  int playing = 0;
  while (!nr_load(stop)) {
    uint32_t seen = nr_load(&rack->audio.callback_count);
    int64_t began = nr_now_ns(), wait = until_due(s, began);
    if (wait > 0) {
      if (!playing) { /* filled for the first time: let the callback in */
        playing = 1;
        nr_store(&out->playing, NR_PLAYING);
        continue;
      }
      nr_futex_wait(&rack->audio.callback_count, seen, wait < LONGEST_SLEEP_NS ? wait : LONGEST_SLEEP_NS);
      continue;
    }
    take_edges(s);
    take_controls(s);
    uint32_t frames = nr_voice_render(s->voice, s->out);
    push_all(s, frames, stop);
    publish(s, began, nr_now_ns(), frames ? frames : s->chunk_frames);
  }
  nr_store(&out->playing, NR_FINISHED);
}
