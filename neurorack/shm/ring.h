/* Audio ring: one producer, one consumer, interleaved stereo floats.
 *
 * Ownership: the producer alone writes head_frames and the frames between head and tail + capacity; the consumer
 * alone writes tail_frames and claim_frames and reads the frames between tail and head. tail only grows (a 64-bit count
 * of frames lasts for millions of years), so a process that was killed and started again goes on where they stand;
 * frames it had half written lie beyond head and are never seen.
 * Full: push takes what fits and says how much. Empty: pull gives what is there and says how much; what that
 * means (late, silent or finished) is for the consumer to know. Neither ever waits, allocates or fails.
 *
 * Taking back. The producer may set head back to x, to write the frames from x on anew. The consumer announces in
 * claim_frames how far it may read before it looks at head; the producer moves head before it looks at the claim, with a
 * full barrier on both sides, so one of the two sees the other (Dekker's argument). A claim beyond x means too late:
 * head is put back where it was, and the frames, untouched, are as good as before. */
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

static inline uint64_t nr_ring_pull(uint64_t *head_at, uint64_t *tail_at, uint64_t *claim_at, const float *frames, uint64_t capacity, float *dst, uint64_t n) {
  uint64_t tail = nr_peek(tail_at);
  nr_store(claim_at, tail + n);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  int64_t there = (int64_t)(nr_load(head_at) - tail);
  n = there <= 0 ? 0 : NR_MIN(n, (uint64_t)there);
  uint64_t at = tail & (capacity - 1), first = NR_MIN(n, capacity - at);
  memcpy(dst, frames + 2 * at, first * 8);
  memcpy(dst + 2 * first, frames, (n - first) * 8);
  nr_store(tail_at, tail + n);
  return n;
}

/* 1: head stands at x now and the frames from x on are the producer's again; 0: too late, nothing changed. */
static inline int nr_ring_take_back(uint64_t *head_at, const uint64_t *claim_at, uint64_t x) {
  uint64_t head = nr_peek(head_at);
  nr_store(head_at, x);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  if (nr_load(claim_at) <= x) return 1;
  nr_store(head_at, head);
  return 0;
}
#endif
