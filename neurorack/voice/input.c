/* See input.h. */
#include "voice/input.h"

#include <stdlib.h>
#include <string.h>

#include "shm/ring.h"
#include "shm/tape.h"

static const uint64_t FARTHEST_BEHIND_FRAMES = 4096;

nr_input *nr_input_new(uint32_t card_rate_hz, uint32_t model_rate_hz, uint32_t cushion_frames) {
  nr_input *in = calloc(1, sizeof *in);
  if (!in) return NULL;
  in->cushion_frames = cushion_frames;
  in->frames = calloc(NR_INPUT_FRAMES, sizeof *in->frames);
  if (card_rate_hz != model_rate_hz) {
    in->resampler = nr_resampler_new(card_rate_hz, model_rate_hz);
    in->piece = malloc(((size_t)NR_INPUT_PIECE * model_rate_hz / card_rate_hz + 2) * 2 * sizeof *in->piece);
  }
  if (!in->frames || (card_rate_hz != model_rate_hz && (!in->resampler || !in->piece))) {
    nr_input_free(in);
    return NULL;
  }
  return in;
}

void nr_input_free(nr_input *in) {
  if (!in) return;
  nr_resampler_free(in->resampler);
  free(in->piece);
  free(in->frames);
  free(in);
}

static void store(nr_input *in, const float *stereo, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) memcpy(in->frames[in->written++ % NR_INPUT_FRAMES], stereo + 2 * i, sizeof *in->frames);
}

void nr_input_write(nr_input *in, const float *stereo, uint32_t n) {
  if (!in->resampler) {
    store(in, stereo, n);
    return;
  }
  for (uint32_t done = 0; done < n; done += NR_INPUT_PIECE) {
    uint32_t some = NR_MIN(n - done, NR_INPUT_PIECE);
    store(in, in->piece, nr_resample(in->resampler, stereo + 2 * done, some, in->piece));
  }
}

void nr_input_follow(nr_input *in, const nr_input_ring *ring) {
  uint64_t head = nr_load(&ring->head_frames), most = NR_RING_CAPACITY_FRAMES / 2;
  float piece[2 * NR_INPUT_PIECE];
  if (!in->following) in->ring_cursor = head;
  in->following = 1;
  while (in->ring_cursor < head) {
    if (head - in->ring_cursor > most) in->ring_cursor = head - most;
    uint64_t some = NR_MIN(head - in->ring_cursor, (uint64_t)NR_INPUT_PIECE);
    if (nr_tape_read(&ring->head_frames, ring->frames, NR_RING_CAPACITY_FRAMES, in->ring_cursor, piece, some)) {
      nr_input_write(in, piece, (uint32_t)some);
      in->ring_cursor += some;
    } else {
      head = nr_load(&ring->head_frames); /* overwritten while it was read: we stood still for half a ring */
    }
  }
}

void nr_input_read(const nr_input *in, nr_listener *l, float *to, uint32_t n, uint32_t channels) {
  uint64_t wanted = n + in->cushion_frames, there = in->written - l->read;
  int leap = in->cushion_frames && there > wanted + FARTHEST_BEHIND_FRAMES;
  if ((!l->flowing && there >= wanted) || leap) {
    l->flowing = 1;
    if (in->cushion_frames) l->read = in->written - wanted; /* live; offline every frame counts */
    there = in->written - l->read;
  }
  memset(to, 0, (size_t)n * channels * sizeof *to);
  if (!l->flowing || there < n) {
    l->late += (uint64_t)l->flowing;
    l->flowing = 0;
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    const float *frame = in->frames[l->read++ % NR_INPUT_FRAMES];
    to[(size_t)i * channels] = channels == 1 ? 0.5f * (frame[0] + frame[1]) : frame[0];
    if (channels > 1) to[(size_t)i * channels + 1] = frame[1];
  }
}
