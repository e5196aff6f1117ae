/* The nearest note of a scale, and staying on it: a note is left when another is nearer by STAY_SEMITONES. */
#ifndef NR_INPUTS_QUANTISE_H
#define NR_INPUTS_QUANTISE_H
#include <math.h>
#include <stdint.h>

#define NR_STAY_SEMITONES 0.1

/* `scale`: bit i: i semitones above the root may sound; `root`: semitones above C, 0 V being a C. Octaves (volts) in and out.
 * `note` and `noted` are kept from call to call; begin with noted = 0. */
static inline double nr_quantise(uint32_t scale, int32_t root, double octaves, double *note, uint32_t *noted) {
  double semitones = 12.0 * octaves, best = 1e9;
  int nearest = 0, around = (int)floor(semitones);
  for (int n = around - 12; n <= around + 12; n++)
    if ((scale >> (((n - root) % 12 + 12) % 12) & 1) && fabs(n - semitones) < best) {
      best = fabs(n - semitones);
      nearest = n;
    }
  if (!*noted || best + NR_STAY_SEMITONES < fabs(*note - semitones)) *note = nearest;
  *noted = 1;
  return *note / 12.0;
}
#endif
