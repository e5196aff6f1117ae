/* The envelope that gate 1 opens over a model that sounds by itself.
 *
 * It stands open until the first rising edge comes (nothing may be patched to the gate, and the sound should be heard);
 * from then on the gate opens and closes it. A short trigger opens it wholly: the attack is always finished. It acts on
 * the samples behind the decoder, so a gate is heard at once and on its frame, however long the model's hop is. */
#ifndef NR_ENVELOPE_H
#define NR_ENVELOPE_H
#include <stdint.h>

enum { NR_GATE_EVENTS = 32 };

typedef struct {
  uint64_t frame;
  int high;
} nr_gate_event;

typedef struct {
  double level;
  int gated, high, rising;              /* gated: an edge has come; rising: the attack is not finished */
  nr_gate_event event[NR_GATE_EVENTS];  /* to come, in order of time */
  uint32_t events;
} nr_envelope;

void nr_envelope_gate(nr_envelope *e, uint64_t frame, int high);
/* n stereo frames from `frame` on. `held` keeps it open; `fall` is the level's factor a frame once it closes (1: never),
 * `rise` its step a frame. */
void nr_envelope_apply(nr_envelope *e, float *stereo, uint32_t n, uint64_t frame, int held, double rise, double fall);
#endif
