/* The block loop; see loop.h for the contract. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "audio/callback.h"
#include "engine/denormals.h"
#include "shm/ring.h"
#include "synth/loop.h"

static const int FIFO_PRIORITY = 70;
static const int64_t SLACK_NS = 250000;       /* from the settled CVs to the edge's publication */
static const double MOST_LOAD = 0.9;
static const int64_t LONGEST_SLEEP_NS = 20000000;

NR_EXPORT void nr_synth_free(nr_synth_loop *s) {
  if (!s) return;
  nr_lookahead_free(s);
  free(s->out);
  free(s);
}

/* The counts are the slot's: a process that takes it over goes on counting. */
static void count_on(nr_synth_loop *s) {
  const nr_synth *before = &s->rack->synth[s->slot];
  s->triggers_before = nr_load(&before->triggers);
  s->lost_edges = nr_load(&before->lost_edges);
  s->late_edges = nr_load(&before->late_edges);
  s->takebacks = nr_load(&before->takebacks);
  s->remade_frames = nr_load(&before->remade_frames);
  s->slow_blocks = nr_load(&before->slow_blocks);
  s->gone_blocks = nr_load(&before->gone_blocks);
  s->held_blocks = nr_load(&before->held_blocks);
}

static void use_leads(nr_synth_loop *s, uint32_t lead, uint32_t quick) {
  nr_synth *out = &s->rack->synth[s->slot];
  s->lead_frames = lead;
  s->quick_lead_frames = s->saved_room && quick < lead ? quick : lead;
  s->edge_delay_frames = (uint32_t)ceil(s->fixed_delay_frames + s->quick_lead_frames);
  nr_store(&out->lead_frames, lead);
  nr_store(&out->quick_lead_frames, s->quick_lead_frames);
  nr_store(&out->edge_delay_frames, s->edge_delay_frames);
}

/* From any thread: the render thread takes them before its next block. A lead is 1..2^31 frames. */
NR_EXPORT void nr_synth_set_leads(nr_synth_loop *s, uint32_t lead, uint32_t quick) {
  nr_store(&s->wanted_leads, (uint64_t)lead << 32 | quick);
}

static void take_leads(nr_synth_loop *s) {
  uint64_t wanted = __atomic_exchange_n(&s->wanted_leads, 0, __ATOMIC_ACQ_REL);
  if (wanted) use_leads(s, (uint32_t)(wanted >> 32), (uint32_t)wanted);
}

static int hits(uint32_t action) { return action == NR_GATE_NEXT || action == NR_GATE_TRIGGER; }

/* What the gates that hit did before this voice: the edges still there. From here on they are its own. */
static void inherit_gate(nr_synth_loop *s) {
  uint64_t head = nr_load(&s->rack->edges.head), overwritten = 0;
  nr_edge edge;
  s->edge_cursor = head > NR_EDGE_CAPACITY ? head - NR_EDGE_CAPACITY : 0;
  while (nr_edges_next(&s->rack->edges, &s->edge_cursor, &edge, &overwritten))
    if (edge.jack < NR_GATE_JACKS && hits(nr_load(&s->rack->patch[s->slot].gate_action[edge.jack])))
      nr_voice_remember_gate(s->voice, edge.jack, (int)edge.rising, edge.volts);
  s->begun_gates = (1u << NR_GATE_JACKS) - 1; /* whatever they began, their falling edges end it */
}

NR_EXPORT nr_synth_loop *nr_synth_new(nr_rack *rack, uint32_t slot, nr_voice *voice, uint32_t lead_frames) {
  nr_synth_loop *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->rack = rack;
  s->slot = slot;
  s->voice = voice;
  s->can_save = nr_voice_can_save(voice);
  s->lead_frames = lead_frames;
  s->model_per_ring = voice->resampler ? (double)voice->resampler->down / voice->resampler->up : 1.0;
  s->inside_frames = ((voice->resampler ? NR_TAPS / 2 : 0) + nr_least_delay(voice)) / s->model_per_ring;
  s->chunk_frames = (uint32_t)ceil(voice->chunk_frames / s->model_per_ring);
  uint32_t rate = rack->header.sample_rate_hz, block = rack->header.block_frames;
  double settle = 1e-6 * rack->header.settle_us * rate, slack = 1e-9 * (double)SLACK_NS * rate;
  if (!nr_lookahead_new(s)) { nr_synth_free(s); return NULL; }
  uint32_t longer = block > s->chunk_frames ? block : s->chunk_frames, shorter = block + s->chunk_frames - longer;
  uint32_t misfit = voice->resampler || longer % shorter ? shorter : 0; /* blocks that drift against the card's */
  s->fixed_delay_frames = ceil(settle + slack + s->inside_frames) + longer + misfit;
  inherit_gate(s);
  count_on(s);
  s->patch.revision = nr_load(&rack->patch[slot].revision) - 1; /* the first look reads it, whole */
  s->out = malloc((size_t)nr_voice_max_out_frames(voice) * 2 * sizeof *s->out);
  if (!s->out) { nr_synth_free(s); return NULL; }
  return s;
}

static void enter_thread(nr_synth_loop *s) {
  nr_denormals_off();
  prctl(PR_SET_TIMERSLACK, 1UL);
  struct sched_param p = {.sched_priority = FIFO_PRIORITY};
  int refused = pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
  nr_store(&s->rack->synth[s->slot].fifo, refused ? -refused : 1);
}

/* A clock that stood still for so long belongs to a card that is gone: its time says nothing any more. */
static const int64_t CLOCK_STALE_NS = 100000000;

static void read_clock(nr_synth_loop *s, int64_t now) {
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
    s->clock_running = running && (double)now - callback_ns < (double)CLOCK_STALE_NS + 2 * s->rack->header.block_frames / frames_per_ns;
    return;
  }
}

/* Nanoseconds until the next block is due; 0 = now. */
static int64_t until_due(nr_synth_loop *s, int64_t now) {
  uint32_t block = s->rack->header.block_frames;
  double target = s->lead_frames + (block > s->chunk_frames ? block - s->chunk_frames : 0);
  uint64_t head = nr_peek(&s->rack->ring[s->slot].head_frames), tail = nr_load(&s->rack->ring[s->slot].tail_frames);
  double r = (double)tail;
  if (s->clock_running && nr_load(&s->rack->synth[s->slot].playing) == NR_PLAYING) {
    double smooth = nr_ring_time(s, now), least = (double)tail - block;
    r = smooth < least ? least : smooth > (double)tail ? (double)tail : smooth;
  }
  double ahead = (double)head - r - target;
  if (head - tail < block) ahead = fmin(ahead, (double)tail - s->lead_frames - r); /* the next callback finds a whole block */
  if (ahead < 0) return 0;
  return s->clock_running ? (int64_t)(ahead / s->frames_per_ns) + 1 : LONGEST_SLEEP_NS;
}

/* An edge that the voice would leave alone must not cost a take-back either. */
static int for_the_voice(nr_synth_loop *s, const nr_edge *edge) {
  if (edge->jack >= NR_GATE_JACKS) return 0;
  uint32_t gate = 1u << edge->jack, action = s->patch.gate_action[edge->jack], begun = s->begun_gates & gate;
  s->begun_gates = edge->rising && (hits(action) || action == NR_GATE_FREEZE) ? s->begun_gates | gate : s->begun_gates & ~gate;
  return (edge->rising ? s->begun_gates & gate : begun) != 0;
}

static void take_edges(nr_synth_loop *s, int64_t now) {
  nr_synth *out = &s->rack->synth[s->slot];
  nr_edge edge;
  while (nr_edges_next(&s->rack->edges, &s->edge_cursor, &edge, &s->lost_edges))
    if (for_the_voice(s, &edge)) nr_place_edge(s, &edge, now);
  nr_store(&out->lost_edges, s->lost_edges);
  nr_store(&out->late_edges, s->late_edges);
}

static void take_controls(nr_synth_loop *s) {
  const nr_rack *rack = s->rack;
  double scratch[NR_ROUTED_JACKS];
  _Static_assert(offsetof(nr_controls, source_volts) == offsetof(nr_controls, cv_volts) + sizeof rack->controls.cv_volts, "one piece");
  nr_seqlock_read(&rack->controls.seq, (const char *)&rack->controls + offsetof(nr_controls, cv_volts), scratch, s->volts, sizeof scratch, 16);
  for (int i = 0; i < NR_MODULATORS; i++) s->leaps[i] = nr_peek(&rack->modulators.leaps[i]);
  const nr_patch *shared = &rack->patch[s->slot];
  if (nr_load(&shared->revision) != s->patch.revision) {
    size_t from = offsetof(nr_patch, knob);
    uint32_t revision = nr_load(&shared->revision);
    if (nr_seqlock_read(&shared->seq, shared->knob, (char *)&s->patch_scratch + from, (char *)&s->patch + from, sizeof(nr_patch) - from, 16)) {
      s->patch.revision = revision;
      nr_voice_set_patch(s->voice, &s->patch);
    }
  }
}

static void fill_rows(nr_synth_loop *s) {
  for (uint32_t row = 0; row < s->voice->rows; row++) {
    nr_row *r = &s->voice->row[row];
    memcpy(r->volts, s->volts, sizeof r->volts);
    memcpy(r->knob, s->patch.knob, sizeof r->knob);
    memcpy(r->drive, s->patch.drive, sizeof r->drive);
    r->level_db = s->patch.level_db;
  }
  memcpy(s->rendered_volts, s->volts, sizeof s->rendered_volts);
  memcpy(s->rendered_leaps, s->leaps, sizeof s->rendered_leaps);
  s->rendered_revision = s->patch.revision;
}

static int64_t thread_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What the block cost, and whether the machine let the thread run: the governor and the report tell causes by it. */
static void measure(nr_synth_loop *s, int64_t began, int64_t worked_ns) {
  nr_synth *out = &s->rack->synth[s->slot];
  double rate = 1e-9 * s->rack->header.sample_rate_hz;
  int64_t gone_ns = nr_now_ns() - began - worked_ns + (s->due_ns && began > s->due_ns ? began - s->due_ns : 0);
  nr_cost_add(&s->cost, (float)((double)worked_ns * rate));
  int too_long = (double)worked_ns * rate > s->chunk_frames, usual = nr_cost_median(&s->cost) > 0.5 * s->chunk_frames;
  if (too_long && usual) s->slow_blocks++; /* a light model's one long block is the machine's doing: a virtual one's time is stolen so */
  if ((too_long && !usual) || (double)gone_ns * rate > 0.5 * s->lead_frames) s->gone_blocks++;
  nr_store_f32(&out->block_us, (float)(1e-3 * nr_cost_median(&s->cost) / rate));
  nr_store_f32(&out->block_high_us, (float)(1e-3 * nr_cost_high(&s->cost) / rate));
  nr_store(&out->slow_blocks, s->slow_blocks);
  nr_store(&out->gone_blocks, s->gone_blocks);
  s->due_ns = 0;
}

static void publish(nr_synth_loop *s, int64_t began, int64_t done, uint32_t frames) {
  nr_synth *out = &s->rack->synth[s->slot];
  const nr_voice *v = s->voice;
  double load = (double)(done - began) * s->rack->header.sample_rate_hz / (1e9 * frames);
  nr_store(&out->render_ns, done);
  nr_count(&out->blocks, 1);
  nr_store(&out->triggers, s->triggers_before + v->triggers);
  nr_store(&out->takebacks, s->takebacks);
  nr_store(&out->remade_frames, s->remade_frames);
  s->load += 0.05 * (load - s->load);
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

/* A voice that begins beside a playing one finds the jacks as they stand. */
static void take_the_jacks_as_they_stand(nr_synth_loop *s, int64_t now) {
  read_clock(s, now);
  take_controls(s);
  memcpy(s->voice->latched_volts, s->volts, sizeof s->volts);
  for (uint32_t jack = 0; jack < NR_GATE_JACKS; jack++) {
    if (!(nr_load(&s->rack->controls.gates_high) & 1u << jack) || s->patch.gate_action[jack] != NR_GATE_FREEZE) continue;
    nr_voice_edge frozen = {.frame = 0, .jack = jack, .rising = 1};
    memcpy(frozen.volts, s->volts, sizeof frozen.volts);
    nr_voice_add_edge(s->voice, &frozen);
  }
}

/* A model that fills its core leaves a tenth of the time to others: the system grants real-time threads no more than 95 %,
 * and takes the rest in one long piece. */
static void breathe(const nr_synth_loop *s) {
  double busy = nr_cost_median(&s->cost);
  if (busy < MOST_LOAD * s->chunk_frames) return;
  int64_t ns = (int64_t)(1e9 * busy * (1 / MOST_LOAD - 1) / s->rack->header.sample_rate_hz);
  struct timespec t = {ns / 1000000000, ns % 1000000000};
  nanosleep(&t, NULL);
}

/* One block into the ring: a new one, or the last sound where a new one would come too late. */
static void make_block(nr_synth_loop *s, int64_t began, const uint32_t *stop) {
  uint32_t frames = s->chunk_frames;
  if (nr_hold_due(s, began)) {
    nr_hold_block(s);
    nr_store(&s->rack->synth[s->slot].held_blocks, s->held_blocks);
    push_all(s, frames, stop);
    return;
  }
  int64_t worked = thread_ns();
  nr_lookahead_save(s, nr_peek(&s->rack->ring[s->slot].head_frames));
  fill_rows(s);
  frames = nr_voice_render(s->voice, s->out);
  nr_hold_end(s, frames);
  measure(s, began, s->can_save ? thread_ns() - worked : nr_now_ns() - began); /* other stages may work elsewhere */
  push_all(s, frames, stop);
  publish(s, began, nr_now_ns(), frames ? frames : s->chunk_frames);
  breathe(s);
}

NR_EXPORT void nr_synth_run(nr_synth_loop *s, const uint32_t *stop) {
  nr_rack *rack = s->rack;
  nr_synth *out = &rack->synth[s->slot];
  enter_thread(s);
  /* what a dead predecessor left belongs to a sound that broke off; nobody reads a detached slot */
  nr_ring *ring = &rack->ring[s->slot];
  nr_ring_take_back(&ring->head_frames, &ring->claim_frames, nr_load(&ring->tail_frames));
  s->began_head = s->first_frame = nr_load(&ring->head_frames);
  nr_store(&out->block_frames, s->chunk_frames);
  use_leads(s, s->lead_frames, s->quick_lead_frames);
  take_the_jacks_as_they_stand(s, nr_now_ns());
  int playing = 0;
  while (!nr_load(stop)) {
    uint32_t seen = nr_load(&rack->audio.callback_count);
    int64_t began = nr_now_ns();
    take_leads(s);
    read_clock(s, began);
    take_controls(s);
    nr_voice_follow_input(s->voice, rack);
    take_edges(s, began);
    nr_lookahead_for_controls(s, began);
    int64_t wait = until_due(s, began);
    if (wait > 0) {
      if (!playing) { /* filled for the first time: let the callback in */
        playing = 1;
        nr_store(&out->playing, NR_PLAYING);
        continue;
      }
      if (wait > LONGEST_SLEEP_NS) wait = LONGEST_SLEEP_NS;
      s->due_ns = began + wait;
      nr_futex_wait(&rack->audio.callback_count, seen, wait);
      continue;
    }
    make_block(s, began, stop);
  }
  nr_store(&out->playing, NR_FINISHED);
}
