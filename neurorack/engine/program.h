/* A program: one method of a model at one block length, ready to run.
 *
 * Real-time contract of nr_program_run and nr_program_reset: no allocation, no lock, no system call, no branch on
 * the clock; the time depends on the program's shapes only. Neither touches anything but the program's own memory
 * and the (read-only) packed weights of its pool, so different programs may run in different threads at once. One
 * program belongs to one thread at a time: who runs it also writes its input and reads its output.
 * Everything else here allocates and belongs to loading. Call nr_denormals_off() once in each thread that runs.
 */
#ifndef NEURORACK_ENGINE_PROGRAM_H
#define NEURORACK_ENGINE_PROGRAM_H

#include <stdint.h>

#include "engine/denormals.h"

#define NR_EXPORT __attribute__((visibility("default")))

typedef struct nr_program nr_program;
typedef struct nr_pool nr_pool; /* packed weights, shared by the programs of one model */

NR_EXPORT int nr_program_in_rows(const nr_program *p);      /* control frames per run (block_frames / ratio) */
NR_EXPORT int nr_program_in_channels(const nr_program *p);
NR_EXPORT int nr_program_out_rows(const nr_program *p);     /* audio frames per run */
NR_EXPORT int nr_program_out_channels(const nr_program *p); /* 1 or 2 (or more) */
NR_EXPORT float *nr_program_input(nr_program *p);           /* [in_rows][in_channels], kept between runs */
NR_EXPORT float *nr_program_output(nr_program *p);          /* [out_rows][out_channels], valid until the next run */
NR_EXPORT void nr_program_run(nr_program *p);
NR_EXPORT void nr_program_reset(nr_program *p);             /* state back to its initial values, input to zero */

/* The whole memory of a program between two runs (real-time safe like run): what save wrote, restore brings back, and the
 * next run is bit for bit the one that would have followed. For look-ahead that is taken back (synth/loop.c). */
NR_EXPORT int64_t nr_program_state_bytes(const nr_program *p);
NR_EXPORT void nr_program_save(const nr_program *p, void *state);
NR_EXPORT void nr_program_restore(nr_program *p, const void *state);

/* Name of the instruction set whose kernels are in use: sse, avx2, avx512 or neon. */
NR_EXPORT const char *nr_isa(void);

#endif
