/* See condition.h. A held pitch is quiet and a played one is quick: the filter opens with the square of the distance to
 * the input and is wide open half a semitone away, where others switch (Mutable Instruments' Clouds jumps there), so that a
 * slow curve through the same jack makes no stairs. */
#include "inputs/condition.h"

#include <math.h>

#include "shm/atomics.h"
#include "rack_table.h"

static const int64_t OPEN_NS = 250000000;  /* so long at the open jack's voltage, and it is open */
static const double STAY_SEMITONES = 0.1;  /* a note is left when another is nearer by this much */
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

static int allowed(const nr_jack *j, int note) { return j->scale >> (((note - j->root) % 12 + 12) % 12) & 1; }

static double quantise(nr_jack *j, double octaves) {
  double semitones = 12.0 * octaves, best = 1e9;
  int nearest = 0, around = (int)floor(semitones);
  for (int n = around - 12; n <= around + 12; n++)
    if (allowed(j, n) && fabs(n - semitones) < best) {
      best = fabs(n - semitones);
      nearest = n;
    }
  if (!j->noted || best + STAY_SEMITONES < fabs(j->note - semitones)) j->note = nearest;
  j->noted = 1;
  return j->note / 12.0;
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
    volts[i] = j->scale ? quantise(j, v) : v;
  }
}

void nr_controls_write(nr_rack *rack, const double *cv_volts, uint32_t gates_high, int64_t scan_ns);

/* A whole scan: condition it, add what is played from afar, publish it, keep it as it was converted. Writer: inputs. */
NR_EXPORT void nr_inputs_scan(nr_rack *rack, nr_jack *jack, uint32_t jacks, const double *converted, double *volts,
                              uint32_t gates_high, int64_t ns) {
  nr_inputs *in = &rack->inputs;
  uint64_t scan = nr_peek(&in->scans), at = scan & (NR_RAW_SCANS - 1);
  uint32_t unpatched = 0;
  double added[NR_CV_JACKS];
  nr_condition(jack, jacks, converted, volts, ns);
  nr_words_in(added, rack->remote.cv_volts, sizeof added);
  for (uint32_t i = 0; i < NR_CV_JACKS; i++) volts[i] = (i < jacks ? volts[i] : 0) + added[i];
  nr_controls_write(rack, volts, gates_high, ns);
  for (uint32_t i = 0; i < jacks; i++) {
    unpatched |= jack[i].unpatched << i;
    in->raw_volts[at * NR_CV_JACKS + i] = (float)converted[i];
  }
  in->raw_ns[at] = ns;
  nr_store(&in->unpatched, unpatched);
  nr_store(&in->scans, scan + 1);
}
