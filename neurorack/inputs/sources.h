/* The modulators mod1..mod8: oscillators, envelopes, sample and hold, slew, random walks, step sequencers.
 *
 * CONTRACT. One bank belongs to one thread, which runs it once a scan; nothing in a run allocates, waits or calls the system.
 * What they are set to comes from the section `sources`; where they stand lies in the section `modulators`, so that a
 * process that takes the scanning over goes on from there (offline both are the bank's own). Whoever is set otherwise
 * goes on from where it stands: no phase leaps, no envelope breaks off.
 *
 * Time is CLOCK_MONOTONIC, or the score's. A gate's change is told with its own time, up to a settling time late: envelopes,
 * resets and glides count from there. The clock is followed as it was last told: between two pulses its phase waits at
 * the next one rather than running past it. A clocked cycle follows through a loop that never turns it back; it leaps only
 * where the clock begins or is reset. While no clock runs it goes on at the last tempo, and before the first at its own rate.
 *
 * Random numbers are counted (`draws`) and depend on the seed, the modulator and that count alone. */
#ifndef NR_INPUTS_SOURCES_H
#define NR_INPUTS_SOURCES_H
#include <math.h>

#include "rack_table.h"
#include "shm/atomics.h"

enum { NR_MOST_CHANGES = 64 };
enum { NR_OFF, NR_LFO, NR_ENVELOPE, NR_SAMPLE_HOLD, NR_SLEW, NR_WALK, NR_STEPS };   /* the order of sources.py */
enum { NR_SINE, NR_TRIANGLE, NR_SAW_UP, NR_SAW_DOWN, NR_SQUARE, NR_RANDOM };
enum { NR_BY_CLOCK = 2 };                   /* of `trigger`; below it the gates */
enum { NR_NOISE = NR_ROUTED_JACKS };        /* of `input`; below it jacks and modulators */
enum { NR_REST, NR_ATTACK, NR_DECAY, NR_RELEASE };
enum { NR_FORWARD, NR_BACKWARD, NR_PINGPONG, NR_ANY };

typedef struct {
  int64_t ns;
  uint32_t gate, high;
} nr_gate_change;

/* The clock as it stands; see `clock_*` of the section `inputs`. */
typedef struct {
  uint32_t running;
  uint64_t pulses;
  double pulse_ns, period_ns, pulses_per_beat;
} nr_beats;

typedef struct {
  nr_rack *rack;                            /* NULL offline */
  nr_sources set, scratch;
  nr_modulators *at, own;
  nr_gate_change change[NR_MOST_CHANGES];   /* since the last run, in order of time */
  uint32_t changes;
  double last[NR_MODULATORS];               /* volts of the last run */
  int settled;                              /* the settings in force are known: they were set before */
  uint32_t fresh[NR_MODULATORS];            /* a new kind, in this run: a clocked cycle begins where the clock is */
  uint32_t rebase[NR_MODULATORS];           /* the next look at the clock tells no tick */
  /* the clock, as followed */
  uint64_t pulses;
  uint32_t running, resumed, uncounted;     /* uncounted: pulses in a row that did not count: it is stopped */
  double pulse_ns, reset_ns, reset_pulse_ns;
  double beats;                             /* its position */
  int there, locked, began, reset;          /* in this run: it has a position; it moves; it began to; it was reset */
} nr_source_bank;

nr_source_bank *nr_source_bank_new(nr_rack *rack);
void nr_source_bank_free(nr_source_bank *b);
void nr_source_bank_set(nr_source_bank *b, const nr_sources *set);
void nr_source_bank_gate(nr_source_bank *b, uint32_t gate, uint32_t high, int64_t ns);
/* `volts` [NR_ROUTED_JACKS]: the jacks' are read, the modulators' written. */
void nr_source_bank_run(nr_source_bank *b, const nr_beats *beats, double *volts, int64_t ns);
/* The same with the settings and the clock of the shared block. */
void nr_source_bank_scan(nr_source_bank *b, double *volts, int64_t ns);

/* sources_kinds.c: one modulator on to `ns`, `dt` nanoseconds after its last run; its volts. */
double nr_source_run(nr_source_bank *b, int i, const double *volts, double dt, int64_t ns);
/* It becomes what `set` says: a new kind begins from its last volts, an envelope finds its place on the new curve. */
void nr_source_become(nr_source_bank *b, int i, const nr_sources *set);

int nr_source_ticks(nr_source_bank *b, int i); /* how often the clock has triggered since the last run */

/* sources_envelope.c */
double nr_source_envelope(nr_source_bank *b, int i, int64_t ns);
void nr_source_envelope_becomes(nr_source_bank *b, int i, const nr_sources *set);

static inline double nr_fraction(double x) { return x - floor(x); }
static inline double nr_source_ratio(const nr_sources *set, int i) { return (double)set->multiply[i] / set->divide[i]; }
#endif
