/* Two processes at the same ring as fast as they can, in C, because the moments that matter last nanoseconds.
 *
 * Frame i carries (i mod 2^22, version). The producer pushes, and now and then takes back to some x and writes the frames
 * from x on anew with the next version; each success is noted as (x, version). The consumer notes where the version that
 * it reads changes, and every frame out of its order. Afterwards a test can say for each frame which version it must
 * have had: the last one that was taken back to a place at or before it. */
#include <stdlib.h>
#include <time.h>

#include "shm/ring.h"

typedef struct {
  uint64_t frame, version;
} note;
typedef struct {
  uint64_t frames, noted, refused, misplaced, partial;
} tally;

static uint64_t next(uint64_t *state) { /* xorshift64 (G. Marsaglia, 2003) */
  *state ^= *state << 13;
  *state ^= *state >> 7;
  return *state ^= *state << 17;
}

/* Pushes until *stop; takes back about once in `rarely` pushes. */
NR_EXPORT void race_produce(uint64_t *head, uint64_t *tail, uint64_t *claim, float *frames, uint64_t capacity, const uint32_t *stop,
                            uint64_t seed, uint64_t rarely, note *notes, uint64_t room, tally *t) {
  uint64_t version = 0, end = nr_peek(head);
  float block[2 * 64];
  while (!nr_load(stop) && t->noted < room) {
    uint64_t fill = end - nr_load(tail);
    if (fill > 256) { /* short of full: what is to be raced for lies near the consumer */
      if (next(&seed) % rarely) continue;
      uint64_t back = 1 + next(&seed) % fill;
      if (back > end) back = end;
      if (nr_ring_take_back(head, claim, end - back)) {
        end -= back;
        notes[t->noted++] = (note){end, ++version};
      } else {
        t->refused++;
      }
      continue;
    }
    uint64_t n = 1 + next(&seed) % 64;
    for (uint64_t i = 0; i < n; i++) {
      block[2 * i] = (float)((end + i) & 0x3fffff);
      block[2 * i + 1] = (float)(version & 0x3fffff);
    }
    end += nr_ring_push(head, tail, frames, capacity, block, n);
  }
  t->frames = end;
}

NR_EXPORT void race_consume(uint64_t *head, uint64_t *tail, uint64_t *claim, float *frames, uint64_t capacity, const uint32_t *stop,
                            uint64_t seed, note *notes, uint64_t room, tally *t) {
  float block[2 * 64];
  uint64_t last = UINT64_MAX;
  while (!nr_load(stop)) {
    uint64_t first = nr_peek(tail), n = 1 + next(&seed) % 64, got = nr_ring_pull(head, tail, claim, frames, capacity, block, n);
    t->partial += got > 0 && got < n;
    for (uint64_t i = 0; i < got; i++) {
      uint64_t version = (uint64_t)block[2 * i + 1];
      if (block[2 * i] != (float)((first + i) & 0x3fffff)) t->misplaced++;
      if (version != last && t->noted < room) notes[t->noted++] = (note){first + i, version};
      last = version;
    }
    t->frames += got;
  }
}
