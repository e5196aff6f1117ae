/* From converted volts to the volts a jack means: calibration, smoothing, ends, octaves, quantiser. One structure a jack;
 * settings.py and conditioner.py know the same fields in the same order. */
#ifndef NR_INPUTS_CONDITION_H
#define NR_INPUTS_CONDITION_H
#include <stdint.h>

typedef struct {
  double gain, offset_volts;              /* volts = gain * converted + offset */
  double low_volts, high_volts;           /* range of the jack; beyond it its ends hold */
  double deadzone_volts;                  /* so near to 0 it is 0; four times as near to an end it is the end */
  double smooth_ns;                       /* time constant of a held voltage's filter; 0 = none */
  double step_volts;                      /* a move larger than this is followed at once */
  double volts_per_octave;                /* of what is patched; what is given out has 1 */
  double normal_volts;                    /* of a jack without a cable */
  double unpatched_volts, unpatched_within_volts; /* an open jack converts to this; within 0: the board cannot tell */
  uint32_t scale;                         /* bit i: i semitones above the root may sound; 0 = no quantiser */
  int32_t root;                           /* semitones above C, 0 V being a C */
  /* state */
  double smoothed, note;
  int64_t last_ns, open_since_ns;
  uint32_t primed, noted, unpatched, pad;
} nr_jack;

/* One scan of `jacks` jacks at `ns`. */
void nr_condition(nr_jack *jack, uint32_t jacks, const double *converted, double *volts, int64_t ns);
#endif
