/* Degradation before silence: when a block cannot be made in time, the last sound goes on. See loop.h for the contract.
 *
 * A held block is the sound before it, mirrored in time, so it begins where that ended, without a jump; the next one
 * mirrors again. The block that follows is faded in over what would have been held. The model itself waits: it goes on
 * afterwards where it stood, and its frames move to later places in the ring. */
#include <math.h>
#include <string.h>

#include "shm/ring.h"
#include "synth/loop.h"

enum { FADE_FRAMES = 128 };
static const double COPY_FRAMES = 12; /* time to copy a block, and some */

/* Ring frames until the callback that takes ring frame x, the next one where that is over. */
static double frames_until_taken(const nr_synth_loop *s, uint64_t x, int64_t now) {
  uint64_t tail = nr_load(&s->rack->ring[s->slot].tail_frames), block = s->rack->header.block_frames;
  double left = (double)(tail + (x - tail) / block * block) - nr_ring_time(s, now);
  return left > 0 ? left : left + block * ceil(-left / block);
}

static const float *frame_at(const nr_ring *ring, uint64_t frame) {
  return ring->frames + 2 * (frame & (NR_RING_CAPACITY_FRAMES - 1));
}

int nr_hold_due(const nr_synth_loop *s, int64_t now) {
  uint64_t head = nr_peek(&s->rack->ring[s->slot].head_frames);
  if (!s->clock_running || head - s->began_head < 2 * s->chunk_frames + FADE_FRAMES || 4 * s->chunk_frames > NR_RING_CAPACITY_FRAMES) return 0;
  double left = frames_until_taken(s, head, now);
  return left > COPY_FRAMES && left < COPY_FRAMES + 1.25 * nr_cost_median(&s->cost);
}

void nr_hold_block(nr_synth_loop *s) {
  nr_ring *ring = &s->rack->ring[s->slot];
  uint64_t head = nr_peek(&ring->head_frames);
  for (uint32_t i = 0; i < s->chunk_frames; i++) memcpy(s->out + 2 * i, frame_at(ring, head - 1 - i), 8);
  s->first_frame += s->chunk_frames;
  s->saved_count = 0; /* their places are no longer those of the voice's frames */
  s->holding = 1;
  s->held_blocks++;
}

void nr_hold_end(nr_synth_loop *s, uint32_t frames) {
  if (!s->holding) return;
  s->holding = 0;
  nr_ring *ring = &s->rack->ring[s->slot];
  uint64_t head = nr_peek(&ring->head_frames);
  uint32_t n = frames < FADE_FRAMES ? frames : FADE_FRAMES;
  for (uint32_t i = 0; i < n; i++) {
    const float *held = frame_at(ring, head - 1 - i);
    float angle = (float)M_PI_2 * (float)(i + 1) / (float)(n + 1), in = sinf(angle), out = cosf(angle);
    for (int c = 0; c < 2; c++) s->out[2 * i + c] = in * s->out[2 * i + c] + out * held[c];
  }
}
