/* Ordering between processes, on x86-64 and arm64 alike.
 *
 * A release store (arm64: stlr) makes every earlier write visible to whoever loads the same word with acquire
 * (arm64: ldar). x86-64 would forgive a missing one; arm64 does not, so tests look at the emitted instructions. */
#ifndef NR_ATOMICS_H
#define NR_ATOMICS_H
#include <linux/futex.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NR_EXPORT __attribute__((visibility("default")))

#define nr_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define nr_peek(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define nr_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
/* A counter with one writer needs no read-modify-write. */
#define nr_count(p, n) nr_store((p), nr_peek(p) + (n))

static inline void nr_store_f32(float *p, float v) { __atomic_store((p), &v, __ATOMIC_RELEASE); }
static inline void nr_store_f64(double *p, double v) { __atomic_store((p), &v, __ATOMIC_RELEASE); }
static inline float nr_load_f32(const float *p) { float v; __atomic_load(p, &v, __ATOMIC_ACQUIRE); return v; }
static inline double nr_load_f64(const double *p) { double v; __atomic_load(p, &v, __ATOMIC_ACQUIRE); return v; }

static inline int64_t nr_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- sequence lock: one writer, any number of readers, nobody ever waits for a dead process ---- */

static inline void nr_seqlock_begin(uint32_t *seq) {
  __atomic_store_n(seq, nr_peek(seq) | 1u, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE); /* odd before the data */
}
static inline void nr_seqlock_end(uint32_t *seq) { nr_store(seq, (nr_peek(seq) | 1u) + 1u); }

/* The data are moved word by word, because a concurrent memcpy would be a data race. Multiples of 8 bytes. */
static inline void nr_words_out(void *shared, const void *mine, size_t bytes) {
  uint64_t *to = shared;
  for (size_t i = 0; i < bytes / 8; i++) {
    uint64_t word;
    memcpy(&word, (const char *)mine + 8 * i, 8);
    __atomic_store_n(to + i, word, __ATOMIC_RELAXED);
  }
}
static inline void nr_words_in(void *mine, const void *shared, size_t bytes) {
  const uint64_t *from = shared;
  for (size_t i = 0; i < bytes / 8; i++) {
    uint64_t word = __atomic_load_n(from + i, __ATOMIC_RELAXED);
    memcpy((char *)mine + 8 * i, &word, 8);
  }
}

/* Reads `bytes` that follow `seq`'s word; 1 = fresh and whole, 0 = the writer is busy or died: `mine` untouched.
 * At most `tries` attempts, so that a real-time reader never spins on a dead writer. `scratch` holds `bytes`. */
static inline int nr_seqlock_read(const uint32_t *seq, const void *shared, void *scratch, void *mine, size_t bytes, int tries) {
  while (tries-- > 0) {
    uint32_t before = nr_load(seq);
    if (before & 1u) continue;
    nr_words_in(scratch, shared, bytes);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the data before the second look */
    if (nr_peek(seq) == before) {
      memcpy(mine, scratch, bytes);
      return 1;
    }
  }
  return 0;
}

/* ---- load histogram: bucket = 16 * log2(load * 1024), so that a bucket is 4.4 % wide ---- */

static inline void nr_histogram_add(uint32_t *buckets, double load) {
  double at = 16.0 * log2((load > 1e-3 ? load : 1e-3) * 1024.0);
  uint32_t bucket = at < 0 ? 0 : at > 127 ? 127 : (uint32_t)at;
  nr_count(&buckets[bucket], 1u);
}

/* ---- futex: a word in the shared block on which a process may sleep ---- */

static inline void nr_futex_wake(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0); }
static inline void nr_futex_wait(uint32_t *word, uint32_t seen, int64_t timeout_ns) {
  struct timespec t = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  syscall(SYS_futex, word, FUTEX_WAIT, seen, &t, NULL, 0);
}
#endif
