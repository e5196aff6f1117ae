/* What a block costs: the processor time of the last blocks in order of size, so that one interrupted block says nothing. */
#ifndef NR_COST_H
#define NR_COST_H
#include <stdint.h>
#include <string.h>

enum { NR_COSTS = 64 };

typedef struct {
  float recent[NR_COSTS], sorted[NR_COSTS]; /* ring frames */
  uint32_t count, next;
} nr_cost;

static inline void nr_cost_add(nr_cost *c, float frames) {
  uint32_t n = c->count, at;
  if (n == NR_COSTS) { /* the oldest goes */
    for (at = 0; at < n - 1 && c->sorted[at] != c->recent[c->next]; at++) {}
    memmove(c->sorted + at, c->sorted + at + 1, (n - 1 - at) * sizeof *c->sorted);
    n--;
  }
  for (at = n; at > 0 && c->sorted[at - 1] > frames; at--) c->sorted[at] = c->sorted[at - 1];
  c->sorted[at] = frames;
  c->recent[c->next] = frames;
  c->next = (c->next + 1) % NR_COSTS;
  c->count = n + 1;
}

/* The second largest, or the largest of few. */
static inline float nr_cost_high(const nr_cost *c) {
  return c->count == 0 ? 0 : c->sorted[c->count > 8 ? c->count - 2 : c->count - 1];
}
static inline float nr_cost_median(const nr_cost *c) { return c->count ? c->sorted[c->count / 2] : 0; }
#endif
