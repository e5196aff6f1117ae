/* The audio input as the model's encoder hears it: at the model's rate, and kept for a while, so that a block that is taken
 * back and made anew hears the same frames again.
 *
 * The write side (`nr_input`) only grows. The read side (`nr_listener`) is part of the voice's saved state. A reader that
 * finds too little hears silence and begins again once a block and the cushion are there; one that fell far behind
 * leaps ahead. */
#ifndef NR_INPUT_H
#define NR_INPUT_H
#include "rack_table.h"
#include "voice/resample.h"

enum { NR_INPUT_FRAMES = 65536, NR_INPUT_PIECE = 256 };

typedef struct {
  float (*frames)[2];      /* frame i lies at i mod NR_INPUT_FRAMES */
  uint64_t written;        /* at the model's rate */
  uint64_t ring_cursor;    /* its own place in the shared ring */
  int following;
  uint32_t cushion_frames; /* what may be missing between two arrivals */
  nr_resampler *resampler; /* NULL when the rates agree */
  float *piece;            /* resampled, before it is stored */
} nr_input;

typedef struct {
  uint64_t read, late;     /* late: blocks that were silent because nothing had come */
  int flowing;
} nr_listener;

nr_input *nr_input_new(uint32_t card_rate_hz, uint32_t model_rate_hz, uint32_t cushion_frames);
void nr_input_free(nr_input *in);
void nr_input_write(nr_input *in, const float *stereo, uint32_t n); /* at the card's rate */
/* All that came in since the last call; one that looks too late goes on half a ring behind what comes. */
void nr_input_follow(nr_input *in, const nr_input_ring *ring);
/* The next n frames as [n][channels]: one channel is the mean of both, further ones are silent. */
void nr_input_read(const nr_input *in, nr_listener *l, float *to, uint32_t n, uint32_t channels);
#endif
