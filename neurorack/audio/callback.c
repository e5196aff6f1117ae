/* See callback.h for the contract. */
#include "audio/callback.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "engine/denormals.h"
#include "shm/atomics.h"
#include "shm/ring.h"
#include "shm/tape.h"

enum { PA_INPUT_OVERFLOW = 2, PA_OUTPUT_UNDERFLOW = 4 };
static const float SILENCE = 3.1623e-5f; /* -90 dBFS */
static const int FIFO_PRIORITY = 80;
/* A stream begins by filling the card's own buffers, as fast as it can: nothing is taken from the slots for that. */
static const uint32_t PRIMING_CALLBACKS = 4;

NR_EXPORT nr_callback_state *nr_callback_new(nr_rack *rack) {
  nr_callback_state *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->rack = rack;
  s->sample_rate_hz = rack->header.sample_rate_hz;
  s->fade_frames = NR_MIN(rack->header.fade_frames, (uint32_t)NR_MAX_FADE);
  for (uint32_t i = 0; i <= s->fade_frames; i++) s->fade[i] = 0.5f + 0.5f * cosf((float)M_PI * (float)i / (float)s->fade_frames);
  for (int slot = 0; slot < NR_SLOTS; slot++) s->slot[slot].fade_out_at = s->fade_frames;
  s->mix = nr_load_f64(&rack->run.mix_target);
  return s;
}
/* Before another stream begins, while no callback runs: the sound fades in, the clock starts afresh. */
NR_EXPORT void nr_callback_restart(nr_callback_state *s) {
  for (int slot = 0; slot < NR_SLOTS; slot++) {
    s->slot[slot].flowing = 0;
    s->slot[slot].fade_out_at = s->fade_frames;
  }
  s->master = 0;
  s->started = 0;
  s->previous_ns = 0;
  s->callbacks = 0;
  nr_store_f32(&s->rack->audio.dac_delay_ms, 0);
}
NR_EXPORT void nr_callback_free(nr_callback_state *s) { free(s); }

/* Once in each new audio thread: real-time scheduling where allowed, denormals off. */
static void enter_thread(nr_callback_state *s) {
  static __thread int entered __attribute__((tls_model("initial-exec"))); /* a lazy one is allocated at its first use */
  if (entered) return;
  entered = 1;
  nr_denormals_off();
  struct sched_param p = {.sched_priority = FIFO_PRIORITY};
  int refused = pthread_setschedparam(pthread_self(), SCHED_FIFO, &p);
  nr_store(&s->rack->audio.fifo, refused ? -refused : 1);
}

static void remember(nr_slot_state *slot, uint32_t keep, const float *frames, uint32_t n) {
  if (n >= keep) {
    memcpy(slot->history, frames + 2 * (n - keep), keep * 8);
  } else {
    memmove(slot->history, slot->history + 2 * n, (keep - n) * 8);
    memcpy(slot->history + 2 * (keep - n), frames, n * 8);
  }
}

/* Adds the mirrored, fading end of what was played before the last gap. */
static void add_tail(const nr_callback_state *s, nr_slot_state *slot, float *out, uint32_t n) {
  for (uint32_t i = 0; i < n && slot->fade_out_at < s->fade_frames; i++, slot->fade_out_at++) {
    const float *mirrored = slot->tail + 2 * (s->fade_frames - 1 - slot->fade_out_at);
    float gain = s->fade[slot->fade_out_at + 1];
    out[2 * i] += gain * mirrored[0];
    out[2 * i + 1] += gain * mirrored[1];
  }
}

/* n frames of one slot into `out`; gaps are filled and counted as the contract says. */
static void take_slot(nr_callback_state *s, int index, float *out, uint32_t n, int callback_late) {
  nr_rack *rack = s->rack;
  nr_slot_state *slot = &s->slot[index];
  nr_ring *ring = &rack->ring[index];
  uint32_t playing = nr_load(&rack->synth[index].playing);
  if (s->callbacks < PRIMING_CALLBACKS) playing = NR_DETACHED;
  /* A playing slot gives a whole block or none, so that its blocks and ours keep their places beside each other. */
  uint64_t there = nr_load(&ring->head_frames) - nr_peek(&ring->tail_frames);
  uint32_t got = playing == NR_DETACHED || (playing == NR_PLAYING && (int64_t)there < (int64_t)n) ? 0 : (uint32_t)nr_ring_pull(&ring->head_frames, &ring->tail_frames, &ring->claim_frames, ring->frames, NR_RING_CAPACITY_FRAMES, out, n);
  memset(out + 2 * got, 0, (n - got) * 8);
  if (got && !slot->flowing) {
    slot->flowing = 1;
    slot->fade_in_at = 0;
  }
  for (uint32_t i = 0; i < got && slot->fade_in_at < s->fade_frames; i++, slot->fade_in_at++) {
    float gain = 1.0f - s->fade[slot->fade_in_at];
    out[2 * i] *= gain;
    out[2 * i + 1] *= gain;
  }
  add_tail(s, slot, out, got); /* an earlier gap's tail, still dying away */
  remember(slot, s->fade_frames, out, got);
  if (got == n) return;
  if (slot->flowing) { /* a gap begins; what is left of an earlier tail is part of the history, so nothing jumps */
    slot->flowing = 0;
    slot->fade_out_at = 0;
    memcpy(slot->tail, slot->history, s->fade_frames * 8);
  }
  add_tail(s, slot, out + 2 * got, n - got);
  remember(slot, s->fade_frames, out + 2 * got, n - got);
  if (playing == NR_PLAYING) {
    nr_count(&rack->audio.late_blocks[index], 1);
    nr_count(&rack->audio.late_frames[index], n - got);
    if (callback_late) nr_count(&rack->audio.stalled_blocks[index], 1);
    nr_store(&rack->audio.last_late_ns, nr_now_ns());
  } else if (playing == NR_FINISHED) {
    nr_count(&rack->audio.finished_blocks[index], 1);
  }
}

/* out = cos(mix)*A + sin(mix)*B: equal power; the gliding angle turns by a fixed step a frame. */
static void crossfade(nr_callback_state *s, const float *a, const float *b, float *out, uint32_t n) {
  double target = nr_load_f64(&s->rack->run.mix_target), step = 1.0 / (double)(nr_load(&s->rack->run.mix_frames) | 1u);
  if (!(target >= 0.0)) target = 0.0;
  if (target > 1.0) target = 1.0;
  uint32_t i = 0;
  while (i < n && s->mix != target) {
    double left = target - s->mix;
    s->mix = fabs(left) <= step ? target : s->mix + copysign(step, left);
    float ga = (float)cos(s->mix * M_PI_2), gb = (float)sin(s->mix * M_PI_2);
    out[2 * i] = ga * a[2 * i] + gb * b[2 * i];
    out[2 * i + 1] = ga * a[2 * i + 1] + gb * b[2 * i + 1];
    i++;
  }
  float ga = (float)cos(s->mix * M_PI_2), gb = (float)sin(s->mix * M_PI_2);
  if (s->mix == 0.0 || s->mix == 1.0) { /* alone, bit by bit: whatever the other plays, be it not a number */
    memcpy(out + 2 * i, (s->mix == 0.0 ? a : b) + 2 * i, (n - i) * 8);
    i = n;
  }
  for (uint32_t k = 2 * i; k < 2 * n; k++) out[k] = ga * a[k] + gb * b[k];
  nr_store_f64(&s->rack->audio.mix, s->mix);
}

/* The fade at start and stop, over four of the short fades. */
static void master_fade(nr_callback_state *s, float *out, uint32_t n) {
  double goal = nr_load(&s->rack->run.state) == NR_RUN_PLAY ? 1.0 : 0.0, step = 0.25 / s->fade_frames;
  for (uint32_t i = 0; i < n && (s->master != goal || goal == 0.0); i++) {
    double left = goal - s->master;
    s->master = fabs(left) <= step ? goal : s->master + copysign(step, left);
    float gain = (float)(s->master * s->master * (3.0 - 2.0 * s->master));
    out[2 * i] *= gain;
    out[2 * i + 1] *= gain;
  }
  nr_store(&s->rack->audio.faded, goal == 0.0 && s->master == 0.0);
}

/* The last guard: nothing that is not a number, nothing beyond full scale. Meters on the way. */
static void guard_and_meter(nr_rack *rack, float *out, uint32_t n) {
  uint64_t clipped = 0, nan = 0;
  float peak[2] = {0, 0}, sum[2] = {0, 0};
  for (uint32_t i = 0; i < n; i++) {
    int bad = 0, over = 0;
    for (int c = 0; c < 2; c++) {
      float x = out[2 * i + c];
      if (!isfinite(x)) { x = 0; bad = 1; }
      if (x > 1.0f) { x = 1.0f; over = 1; }
      if (x < -1.0f) { x = -1.0f; over = 1; }
      out[2 * i + c] = x;
      if (fabsf(x) > peak[c]) peak[c] = fabsf(x);
      sum[c] += x * x;
    }
    nan += bad;
    clipped += over;
  }
  if (nan) nr_count(&rack->audio.nan_frames, nan);
  if (clipped) nr_count(&rack->audio.clipped_frames, clipped);
  if (peak[0] < SILENCE && peak[1] < SILENCE) nr_count(&rack->audio.silent_blocks, 1);
  for (int c = 0; c < 2; c++) {
    nr_store_f32(&rack->audio.peak[c], peak[c]);
    nr_store_f32(&rack->audio.rms[c], sqrtf(sum[c] / (float)n));
  }
}

static void take_input(nr_rack *rack, const float *in, float *out, uint32_t n) {
  float peak[2] = {0, 0}, gain = nr_load_f32(&rack->run.monitor_gain);
  for (uint32_t i = 0; i < 2 * n; i++) {
    if (fabsf(in[i]) > peak[i & 1]) peak[i & 1] = fabsf(in[i]);
    if (gain != 0.0f) out[i] += gain * in[i];
  }
  nr_tape_write(&rack->input_ring.head_frames, rack->input_ring.frames, NR_RING_CAPACITY_FRAMES, in, n);
  for (int c = 0; c < 2; c++) nr_store_f32(&rack->audio.input_peak[c], peak[c]);
}

/* Filters the jitter of the callback's time and tells everyone which frame belongs to it. A callback can come late,
 * never early: an early one corrects the clock at once, a late one pulls at it gently (a delay-locked loop,
 * F. Adriaensen, "Using a DLL to filter time", 2005, made one-sided). */
static void publish_clock(nr_callback_state *s, int64_t now, uint32_t n) {
  nr_rack *rack = s->rack;
  double nominal = 1e9 * n / s->sample_rate_hz, error = (double)now - s->dll_next_ns;
  if (!s->started || fabs(error) > 4 * nominal + 5e6) {
    s->dll_now_ns = (double)now;
    s->dll_period_ns = nominal;
    s->started = 1;
  } else {
    double omega = 2 * M_PI * 0.2 * nominal * 1e-9; /* bandwidth 0.2 Hz */
    s->dll_now_ns = error < 0 ? (double)now : s->dll_next_ns + M_SQRT2 * omega * error;
    s->dll_period_ns += omega * omega * (error < 0 ? NR_MAX(error, -0.1 * nominal) : NR_MIN(error, 0.1 * nominal));
  }
  s->dll_next_ns = s->dll_now_ns + s->dll_period_ns;
  nr_clock *c = &rack->clock;
  double frames_per_ns = n / s->dll_period_ns;
  nr_seqlock_begin(&c->seq);
  __atomic_store_n(&c->running, 1u, __ATOMIC_RELAXED);
  nr_words_out(&c->callback_ns, &s->dll_now_ns, 8);
  nr_words_out(&c->frames_per_ns, &frames_per_ns, 8);
  nr_words_out(&c->frame, &rack->audio.frames, 8);
  for (int slot = 0; slot < NR_SLOTS; slot++) nr_words_out(&c->ring_frame[slot], &rack->ring[slot].tail_frames, 8);
  nr_seqlock_end(&c->seq);
}

/* PortAudio's time structure: when the first frame of this block will reach the jack. */
static void publish_dac_delay(nr_rack *rack, const void *time_info) {
  struct { double input_adc, now, output_dac; } t;
  if (!time_info) return;
  memcpy(&t, time_info, sizeof t);
  if (t.output_dac > t.now && t.now > 0) nr_store_f32(&rack->audio.dac_delay_ms, (float)(1e3 * (t.output_dac - t.now)));
}

static void publish_load(nr_rack *rack, int64_t began, uint32_t n) {
  double load = (double)(nr_now_ns() - began) * rack->header.sample_rate_hz / (1e9 * n);
  nr_store_f32(&rack->audio.load, (float)load);
  nr_histogram_add(rack->audio.load_histogram, load);
}

NR_EXPORT int nr_callback(const void *input, void *output, unsigned long frames, const void *time_info, unsigned long flags, void *state) {
  nr_callback_state *s = state;
  nr_rack *rack = s->rack;
  int64_t began = nr_now_ns();
  enter_thread(s);
  if (flags & PA_OUTPUT_UNDERFLOW) {
    nr_count(&rack->audio.device_underflows, 1);
    s->started = 0; /* the card began anew: so does its time */
  }
  if (flags & PA_INPUT_OVERFLOW) nr_count(&rack->audio.device_overflows, 1);
  double block_ns = 1e9 * (double)frames / s->sample_rate_hz;
  int late = s->previous_ns && (double)(began - s->previous_ns) > 1.5 * block_ns;
  s->previous_ns = began;
  publish_clock(s, began, (uint32_t)frames);
  publish_dac_delay(rack, time_info);
  for (unsigned long done = 0; done < frames;) {
    uint32_t n = (uint32_t)NR_MIN(frames - done, (unsigned long)NR_MAX_BLOCK);
    float *out = (float *)output + 2 * done;
    for (int slot = 0; slot < NR_SLOTS; slot++) take_slot(s, slot, s->pulled[slot], n, late);
    crossfade(s, s->pulled[0], s->pulled[1], out, n);
    if (input) take_input(rack, (const float *)input + 2 * done, out, n);
    master_fade(s, out, n);
    guard_and_meter(rack, out, n);
    nr_tape_write(&rack->scope.head_frames, rack->scope.frames, NR_SCOPE_FRAMES, out, n); /* for pictures */
    if (nr_load(&rack->run.recording)) {
      uint64_t kept = nr_ring_push(&rack->capture_ring.head_frames, &rack->capture_ring.tail_frames, rack->capture_ring.frames, NR_CAPTURE_CAPACITY_FRAMES, out, n);
      nr_count(&rack->audio.captured_frames, kept);
      if (kept < n) nr_count(&rack->audio.capture_dropped_frames, n - kept);
    }
    done += n;
  }
  nr_count(&rack->audio.frames, frames);
  nr_count(&rack->audio.blocks, 1);
  nr_count(&rack->audio.callback_count, 1);
  if (s->callbacks < PRIMING_CALLBACKS) s->callbacks++;
  nr_futex_wake(&rack->audio.callback_count);
  publish_load(rack, began, (uint32_t)frames);
  return 0;
}

/* A device that is not there: the same callback, paced by the clock. Runs until *stop is set. When the machine stood
 * still its time is lost, as a card's is that ran dry: nothing is called in a hurry to catch up. */
NR_EXPORT void nr_null_device_run(nr_callback_state *s, uint32_t block_frames, uint32_t input_channels, const uint32_t *stop) {
  static const float no_input[2 * NR_MAX_BLOCK];
  float out[2 * NR_MAX_BLOCK];
  int64_t start = nr_now_ns();
  for (uint64_t block = 0; !nr_load(stop); block++) {
    int64_t due = start + (int64_t)((double)block * block_frames * 1e9 / s->sample_rate_hz);
    struct timespec t = {due / 1000000000, due % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
    int64_t behind = nr_now_ns() - due;
    if (behind > 2000000000LL * block_frames / s->sample_rate_hz) start += behind;
    nr_callback(input_channels ? no_input : NULL, out, block_frames, NULL, 0, s);
  }
}
