/* Rational resampler: from one rate to another (the model's to the card's; the audio input the other way), stereo, streaming.
 *
 * Polyphase windowed sinc (J. O. Smith, "Digital Audio Resampling"): NR_TAPS taps a phase, Kaiser window, pass band
 * to 0.45 of the lower rate. Delay: NR_TAPS / 2 input frames. Allocates only in nr_resampler_new. */
#ifndef NR_RESAMPLE_H
#define NR_RESAMPLE_H
#include <stdint.h>

enum { NR_TAPS = 48 };

typedef struct {
  uint32_t up, down;       /* out/in = up/down in lowest terms */
  uint64_t taken, made;    /* input frames consumed, output frames made */
  float *phases;           /* [up][NR_TAPS] */
  float window[2 * NR_TAPS * 2]; /* the last inputs, twice, so that every window is contiguous */
  uint32_t at;
} nr_resampler;

nr_resampler *nr_resampler_new(uint32_t in_rate_hz, uint32_t out_rate_hz);
void nr_resampler_free(nr_resampler *r);
/* Consumes n frames, writes the frames that became due; returns how many (at most n * up / down + 1). */
uint32_t nr_resample(nr_resampler *r, const float *in, uint32_t n, float *out);
#endif
