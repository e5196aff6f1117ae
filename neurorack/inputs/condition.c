/* See condition.h. A held pitch is quiet and a played one is quick: the filter opens with the square of the distance to
 * the input and is wide open half a semitone away, where others switch (Mutable Instruments' Clouds jumps there), so that a
 * slow curve through the same jack makes no stairs. */
#include "inputs/condition.h"

#include <math.h>

#include "inputs/quantise.h"
#include "inputs/sources.h"
#include "shm/atomics.h"
#include "rack_table.h"

static const int64_t OPEN_NS = 250000000;  /* so long at the open jack's voltage, and it is open */
enum { END_DEADZONES = 4 };

static double smooth(nr_jack *j, double x, int64_t ns) {
  if (!j->primed || j->smooth_ns <= 0) {
    j->primed = 1;
    j->smoothed = x;
  } else {
    double move = x - j->smoothed, near = fabs(move) / j->step_volts;
    double still = 1.0 - exp(-(double)(ns - j->last_ns) / j->smooth_ns);
    j->smoothed = near >= 1.0 ? x : j->smoothed + (still + (1.0 - still) * near * near) * move;
  }
  j->last_ns = ns;
  return j->smoothed;
}

static double ends(const nr_jack *j, double v) {
  double end = END_DEADZONES * j->deadzone_volts;
  if (v >= j->high_volts - end) return j->high_volts;
  if (v <= j->low_volts + (j->low_volts == 0 ? j->deadzone_volts : end)) return j->low_volts;
  return fabs(v) <= j->deadzone_volts ? 0.0 : v;
}

static int is_open(nr_jack *j, double converted, int64_t ns) {
  if (j->unpatched_within_volts <= 0 || fabs(converted - j->unpatched_volts) > j->unpatched_within_volts) {
    j->open_since_ns = 0;
    return 0;
  }
  if (!j->open_since_ns) j->open_since_ns = ns;
  return ns - j->open_since_ns >= OPEN_NS;
}

NR_EXPORT void nr_condition(nr_jack *jack, uint32_t jacks, const double *converted, double *volts, int64_t ns) {
  for (uint32_t i = 0; i < jacks; i++) {
    nr_jack *j = &jack[i];
    if (isnan(converted[i])) continue; /* never converted: it stays where it is */
    j->unpatched = is_open(j, converted[i], ns);
    double v = j->unpatched ? j->normal_volts : smooth(j, j->gain * converted[i] + j->offset_volts, ns);
    v = ends(j, v) / j->volts_per_octave;
    volts[i] = j->scale ? nr_quantise(j->scale, j->root, v, &j->note, &j->noted) : v;
  }
}

void nr_controls_write(nr_rack *rack, const double *volts, uint32_t gates_high, int64_t scan_ns);

static void keep_raw(nr_inputs *in, const nr_jack *jack, uint32_t jacks, const double *converted, int64_t ns) {
  uint64_t scan = nr_peek(&in->scans), at = scan & (NR_RAW_SCANS - 1);
  uint32_t unpatched = 0;
  for (uint32_t i = 0; i < jacks; i++) {
    unpatched |= jack[i].unpatched << i;
    in->raw_volts[at * NR_CV_JACKS + i] = (float)converted[i];
  }
  in->raw_ns[at] = ns;
  nr_store(&in->unpatched, unpatched);
  nr_store(&in->scans, scan + 1);
}

/* A whole scan: condition it, add what is played from afar, run the modulators, publish, keep it as it was converted.
 * `own` [jacks]: what each jack itself says, from scan to scan; `volts` [NR_ROUTED_JACKS]: what is published. Without `converted`, because the chip does not answer, the jacks hold and the modulators go on.
 * Writer: inputs. */
NR_EXPORT void nr_inputs_scan(nr_rack *rack, nr_source_bank *sources, nr_jack *jack, uint32_t jacks, const double *converted,
                              double *own, double *volts, uint32_t gates_high, int64_t ns) {
  double added[NR_CV_JACKS];
  if (converted) {
    nr_condition(jack, jacks, converted, own, ns);
    nr_words_in(added, rack->remote.cv_volts, sizeof added);
    for (uint32_t i = 0; i < NR_CV_JACKS; i++) volts[i] = (i < jacks ? own[i] : 0) + added[i];
  }
  nr_source_bank_scan(sources, volts, ns);
  nr_controls_write(rack, volts, gates_high, converted ? ns : nr_peek(&rack->controls.scan_ns));
  if (converted) keep_raw(&rack->inputs, jack, jacks, converted, ns);
}
