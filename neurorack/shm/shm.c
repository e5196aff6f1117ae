/* What Python calls of the shared block: snapshots, edges and rings. Nothing here allocates or waits. */
#include "shm/atomics.h"
#include "shm/queue.h"
#include "shm/ring.h"
#include "shm/tape.h"

enum { NR_PYTHON_TRIES = 1000 };

#define BODY_BYTES(type, first) (sizeof(type) - offsetof(type, first))

_Static_assert(offsetof(nr_controls, gates_high) == 4 && offsetof(nr_controls, scan_ns) == 8, "snapshot words");

/* ---- controls ---- */

NR_EXPORT void nr_seqlock_recover(uint32_t *seq) {
  if (nr_peek(seq) & 1u) nr_seqlock_end(seq);
}
/* For tests that kill a writer between the two, and for writers in Python. */
NR_EXPORT void nr_write_begin(uint32_t *seq) { nr_seqlock_begin(seq); }
NR_EXPORT void nr_write_end(uint32_t *seq) { nr_seqlock_end(seq); }

/* `volts`: of the jacks, then of the modulators. */
NR_EXPORT void nr_controls_write(nr_rack *rack, const double *volts, uint32_t gates_high, int64_t scan_ns) {
  nr_controls *c = &rack->controls;
  nr_seqlock_begin(&c->seq);
  __atomic_store_n(&c->gates_high, gates_high, __ATOMIC_RELAXED);
  nr_words_out(&c->scan_ns, &scan_ns, 8);
  nr_words_out(c->cv_volts, volts, sizeof c->cv_volts);
  nr_words_out(c->source_volts, volts + NR_CV_JACKS, sizeof c->source_volts);
  nr_seqlock_end(&c->seq);
}

/* 1: whole and fresh; 0: the writer died while writing, nothing copied. */
NR_EXPORT int nr_controls_read(const nr_rack *rack, double *cv_volts, uint32_t *gates_high, int64_t *scan_ns) {
  const nr_controls *c = &rack->controls;
  for (int tries = 0; tries < NR_PYTHON_TRIES; tries++) {
    uint32_t before = nr_load(&c->seq), gates = nr_peek(&c->gates_high);
    int64_t ns;
    double volts[NR_CV_JACKS];
    if (before & 1u) continue;
    nr_words_in(&ns, &c->scan_ns, 8);
    nr_words_in(volts, c->cv_volts, sizeof volts);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (nr_peek(&c->seq) != before) continue;
    memcpy(cv_volts, volts, sizeof volts);
    *gates_high = gates;
    *scan_ns = ns;
    return 1;
  }
  return 0;
}

/* One control alone is one aligned word: no torn value is possible. */
NR_EXPORT double nr_control_get(const nr_rack *rack, int jack) { return nr_load_f64(&rack->controls.cv_volts[jack]); }
NR_EXPORT void nr_control_set(nr_rack *rack, int jack, double volts) {
  nr_seqlock_begin(&rack->controls.seq);
  nr_store_f64(&rack->controls.cv_volts[jack], volts);
  nr_seqlock_end(&rack->controls.seq);
}

/* ---- pictures ---- */

/* `bytes` (a multiple of 8) under a sequence lock; 1: whole, 0: the writer is busy or died, `mine` is of no use. */
NR_EXPORT int nr_seqlock_copy(const uint32_t *seq, const void *shared, void *mine, uint64_t bytes) {
  for (int tries = 0; tries < NR_PYTHON_TRIES; tries++) {
    uint32_t before = nr_load(seq);
    if (before & 1u) continue;
    nr_words_in(mine, shared, bytes);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (nr_peek(seq) == before) return 1;
  }
  return 0;
}

/* The last `n` frames that were played, at most half of what is kept; 0: they were overwritten meanwhile. */
NR_EXPORT int nr_scope_read(const nr_rack *rack, float *frames, uint64_t n) {
  const nr_scope *s = &rack->scope;
  return nr_tape_read(&s->head_frames, s->frames, NR_SCOPE_FRAMES, nr_load(&s->head_frames) - n, frames, n);
}
NR_EXPORT void nr_tape_add(uint64_t *head, float *frames, uint64_t capacity, const float *src, uint64_t n) {
  for (uint64_t done = 0; done < n; done += NR_TAPE_PIECE) nr_tape_write(head, frames, capacity, src + 2 * done, NR_MIN(n - done, (uint64_t)NR_TAPE_PIECE));
}
NR_EXPORT int nr_tape_copy(const uint64_t *head, const float *frames, uint64_t capacity, uint64_t from, float *dst, uint64_t n) {
  return nr_tape_read(head, frames, capacity, from, dst, n);
}

/* ---- patch ---- */

NR_EXPORT void nr_patch_write(nr_patch *shared, const nr_patch *patch) {
  nr_seqlock_begin(&shared->seq);
  __atomic_store_n(&shared->revision, patch->revision, __ATOMIC_RELAXED);
  nr_words_out(shared->knob, patch->knob, BODY_BYTES(nr_patch, knob));
  nr_seqlock_end(&shared->seq);
}

NR_EXPORT void nr_sources_write(nr_sources *shared, const nr_sources *sources) {
  nr_seqlock_begin(&shared->seq);
  __atomic_store_n(&shared->revision, sources->revision, __ATOMIC_RELAXED);
  nr_words_out(&shared->seed, &sources->seed, BODY_BYTES(nr_sources, seed));
  nr_seqlock_end(&shared->seq);
}

/* ---- edges ---- */

NR_EXPORT void nr_edge_publish(nr_rack *rack, uint32_t jack, uint32_t rising, int64_t edge_ns, const double *volts) {
  nr_edge edge = {.edge_ns = edge_ns, .publish_ns = nr_now_ns(), .jack = jack, .rising = rising};
  memcpy(edge.volts, volts, sizeof edge.volts);
  nr_edges_publish(&rack->edges, &edge);
  nr_futex_wake(&rack->audio.callback_count); /* the synths sleep there: an edge wakes them too */
}
NR_EXPORT int nr_edge_next(const nr_rack *rack, uint64_t *cursor, nr_edge *edge, uint64_t *lost) {
  return nr_edges_next(&rack->edges, cursor, edge, lost);
}
/* Half an edge, as a writer killed in the middle leaves it; for tests. */
NR_EXPORT void nr_edge_publish_half(nr_rack *rack, uint32_t jack) {
  nr_edges *q = &rack->edges;
  uint64_t index = nr_peek(&q->head), at = index & (NR_EDGE_CAPACITY - 1);
  __atomic_store_n(&q->slot_seq[at], 2 * index + 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  __atomic_store_n(&q->jack[at], jack, __ATOMIC_RELAXED);
}

/* ---- rings ---- */

NR_EXPORT uint64_t nr_push(uint64_t *head, uint64_t *tail, float *frames, uint64_t capacity, const float *src, uint64_t n) {
  return nr_ring_push(head, tail, frames, capacity, src, n);
}
NR_EXPORT uint64_t nr_pull(uint64_t *head, uint64_t *tail, uint64_t *claim, const float *frames, uint64_t capacity, float *dst, uint64_t n) {
  return nr_ring_pull(head, tail, claim, frames, capacity, dst, n);
}
NR_EXPORT int nr_take_back(uint64_t *head, uint64_t *claim, uint64_t x) { return nr_ring_take_back(head, claim, x); }
