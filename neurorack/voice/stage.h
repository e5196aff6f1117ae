/* A stage turns one block of numbers into another: a program of the engine, or any function that does the same.
 *
 * CONTRACT. A program keeps the voice's real-time contract and can be saved. A function may wait and allocate (it stands
 * for a list replayed in numpy, or for a worker in another process), may not throw, and answers 0 when nothing came:
 * its output then is not read. A stage with a function cannot be saved. */
#ifndef NR_STAGE_H
#define NR_STAGE_H
#include <stddef.h>
#include <stdint.h>

#include "engine/program.h"

typedef int (*nr_stage_function)(const float *in, float *out); /* [in_rows][in_channels] -> [out_rows][out_channels] */

/* What Python hands over: either a program or a function with its shapes; neither = no such stage. */
typedef struct {
  nr_program *program;
  nr_stage_function function;
  uint32_t in_rows, in_channels, out_rows, out_channels;
} nr_stage_spec;

typedef struct {
  nr_stage_spec spec;
  float *in, *out; /* the program's own memory, or ours */
  int there;
} nr_stage;

int nr_stage_open(nr_stage *s, const nr_stage_spec *spec); /* 0 = no memory */
void nr_stage_close(nr_stage *s);
int nr_stage_run(nr_stage *s); /* 0 = nothing came */
size_t nr_stage_state_bytes(const nr_stage *s);
void nr_stage_save(const nr_stage *s, void *state);
void nr_stage_restore(nr_stage *s, const void *state);
#endif
