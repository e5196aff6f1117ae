/* Tape: one producer that never waits, any number of readers, interleaved stereo floats.
 *
 * Ownership: the producer alone writes head_frames and the frames; a reader writes nothing and keeps its place to itself.
 * Frame i lies at i mod capacity, a power of two. The producer overwrites the oldest frames, at most NR_TAPE_PIECE at once, and
 * then moves head. A reader copies frames behind head and looks at head again: what the producer may have come to
 * meanwhile is not whole, and the reader says so. Killed in the middle: head did not move, the next producer writes there. */
#ifndef NR_TAPE_H
#define NR_TAPE_H
#include "shm/atomics.h"

enum { NR_TAPE_PIECE = 1024 };

/* n is at most NR_TAPE_PIECE. */
static inline void nr_tape_write(uint64_t *head_at, float *frames, uint64_t capacity, const float *src, uint64_t n) {
  uint64_t head = nr_peek(head_at), at = head & (capacity - 1), first = n < capacity - at ? n : capacity - at;
  __atomic_thread_fence(__ATOMIC_RELEASE); /* the last head before these frames */
  nr_words_out(frames + 2 * at, src, first * 8);
  nr_words_out(frames, src + 2 * first, (n - first) * 8);
  nr_store(head_at, head + n);
}

/* n frames from `from` on, not beyond the head that was seen before; 1: whole, 0: overwritten meanwhile, `dst` is of no use. */
static inline int nr_tape_read(const uint64_t *head_at, const float *frames, uint64_t capacity, uint64_t from, float *dst, uint64_t n) {
  uint64_t at = from & (capacity - 1), first = n < capacity - at ? n : capacity - at;
  nr_words_in(dst, frames + 2 * at, first * 8);
  nr_words_in(dst + 2 * first, frames, (n - first) * 8);
  __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the frames before the second look */
  return nr_peek(head_at) + NR_TAPE_PIECE - from <= capacity;
}
#endif
