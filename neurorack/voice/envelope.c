/* See envelope.h. */
#include "voice/envelope.h"

#include <string.h>

/* No room: the last one counts, so that the gate's final state is right. */
void nr_envelope_gate(nr_envelope *e, uint64_t frame, int high) {
  if (e->events == NR_GATE_EVENTS) e->events--;
  e->event[e->events++] = (nr_gate_event){frame, high};
}

static void take_events(nr_envelope *e, uint64_t frame) {
  uint32_t taken = 0;
  for (; taken < e->events && e->event[taken].frame <= frame; taken++) {
    e->high = e->event[taken].high;
    if (e->high) e->gated = e->rising = 1;
  }
  if (!taken) return;
  e->events -= taken;
  memmove(e->event, e->event + taken, e->events * sizeof *e->event);
}

void nr_envelope_apply(nr_envelope *e, float *stereo, uint32_t n, uint64_t frame, int held, double rise, double fall) {
  for (uint32_t i = 0; i < n; i++) {
    if (e->events) take_events(e, frame + i);
    if (e->rising || e->high || held || !e->gated) {
      e->level += rise;
      if (e->level >= 1) {
        e->level = 1;
        e->rising = 0;
      }
    } else {
      e->level *= fall;
    }
    stereo[2 * i] *= (float)e->level;
    stereo[2 * i + 1] *= (float)e->level;
  }
}
