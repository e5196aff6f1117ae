/* Audio ring: one producer, one consumer, interleaved stereo floats.
 *
 * Ownership: the producer alone writes head_frames and the frames between head and tail + capacity; the consumer
 * alone writes tail_frames and reads the frames between tail and head. Both indices only grow (a 64-bit count of
 * frames lasts for millions of years), so a process that was killed and started again goes on where they stand;
 * frames it had half written lie beyond head and are never seen.
 * Full: push takes what fits and says how much. Empty: pull gives what is there and says how much; what that
 * means (late, silent or finished) is for the consumer to know. Neither ever waits, allocates or fails. */
#ifndef NR_RING_H
#define NR_RING_H
#include "shm/atomics.h"

#define NR_MIN(a, b) ((a) < (b) ? (a) : (b))
#define NR_MAX(a, b) ((a) > (b) ? (a) : (b))

static inline uint64_t nr_ring_push(uint64_t *head_at, uint64_t *tail_at, float *frames, uint64_t capacity, const float *src, uint64_t n) {
  uint64_t head = nr_peek(head_at), space = capacity - (head - nr_load(tail_at));
  n = NR_MIN(n, space);
  uint64_t at = head & (capacity - 1), first = NR_MIN(n, capacity - at);
  memcpy(frames + 2 * at, src, first * 8);
  memcpy(frames, src + 2 * first, (n - first) * 8);
  nr_store(head_at, head + n);
  return n;
}

static inline uint64_t nr_ring_pull(uint64_t *head_at, uint64_t *tail_at, const float *frames, uint64_t capacity, float *dst, uint64_t n) {
  uint64_t tail = nr_peek(tail_at), there = nr_load(head_at) - tail;
  n = NR_MIN(n, there);
  uint64_t at = tail & (capacity - 1), first = NR_MIN(n, capacity - at);
  memcpy(dst, frames + 2 * at, first * 8);
  memcpy(dst + 2 * first, frames, (n - first) * 8);
  nr_store(tail_at, tail + n);
  return n;
}
#endif
