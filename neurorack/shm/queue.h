/* Edge queue: one producer (inputs), any number of readers, each with a cursor in memory of its own.
 *
 * Edge number i lies in slot i mod capacity. The producer marks the slot odd (2i+1), writes it, marks it 2(i+1) and
 * only then counts head up; it never waits. A reader copies a slot and looks at the mark again.
 * Full does not exist: the oldest edge is overwritten. A reader that was more than a capacity late skips to the
 * oldest edge still whole and counts what it lost. Killed mid-write: head did not move, so no reader sees the half
 * edge; the next producer writes the same number again. */
#ifndef NR_QUEUE_H
#define NR_QUEUE_H
#include "rack_table.h"
#include "shm/atomics.h"

typedef struct {
  int64_t edge_ns, publish_ns;
  uint32_t jack, rising;
  double volts[NR_ROUTED_JACKS]; /* the jacks, then the modulators */
} nr_edge;

static inline void nr_edges_publish(nr_edges *q, const nr_edge *edge) {
  uint64_t index = nr_peek(&q->head), at = index & (NR_EDGE_CAPACITY - 1);
  __atomic_store_n(&q->slot_seq[at], 2 * index + 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE); /* odd before the data */
  nr_words_out(&q->edge_ns[at], &edge->edge_ns, 8);
  nr_words_out(&q->publish_ns[at], &edge->publish_ns, 8);
  __atomic_store_n(&q->jack[at], edge->jack, __ATOMIC_RELAXED);
  __atomic_store_n(&q->rising[at], edge->rising, __ATOMIC_RELAXED);
  nr_words_out(&q->cv_volts[at * NR_CV_JACKS], edge->volts, NR_CV_JACKS * sizeof *edge->volts);
  nr_words_out(&q->source_volts[at * NR_MODULATORS], edge->volts + NR_CV_JACKS, NR_MODULATORS * sizeof *edge->volts);
  nr_store(&q->slot_seq[at], 2 * (index + 1));
  nr_store(&q->head, index + 1);
}

/* 1: `edge` is the next one and the cursor moved; 0: nothing new. `lost` grows by the edges that were overwritten. */
static inline int nr_edges_next(const nr_edges *q, uint64_t *cursor, nr_edge *edge, uint64_t *lost) {
  for (;;) {
    uint64_t head = nr_load(&q->head);
    if (*cursor >= head) return 0;
    if (head - *cursor > NR_EDGE_CAPACITY) {
      *lost += head - NR_EDGE_CAPACITY - *cursor;
      *cursor = head - NR_EDGE_CAPACITY;
    }
    uint64_t at = *cursor & (NR_EDGE_CAPACITY - 1), seq = nr_load(&q->slot_seq[at]);
    if (seq == 2 * (*cursor + 1)) {
      nr_words_in(&edge->edge_ns, &q->edge_ns[at], 8);
      nr_words_in(&edge->publish_ns, &q->publish_ns[at], 8);
      edge->jack = nr_peek(&q->jack[at]);
      edge->rising = nr_peek(&q->rising[at]);
      nr_words_in(edge->volts, &q->cv_volts[at * NR_CV_JACKS], NR_CV_JACKS * sizeof *edge->volts);
      nr_words_in(edge->volts + NR_CV_JACKS, &q->source_volts[at * NR_MODULATORS], NR_MODULATORS * sizeof *edge->volts);
      __atomic_thread_fence(__ATOMIC_ACQUIRE); /* the data before the second look */
      if (nr_peek(&q->slot_seq[at]) == seq) {
        ++*cursor;
        return 1;
      }
    }
    ++*cursor; /* the producer is overwriting this very edge */
    ++*lost;
  }
}
#endif
