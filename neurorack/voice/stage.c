/* See stage.h. */
#include "voice/stage.h"

#include <stdlib.h>

int nr_stage_open(nr_stage *s, const nr_stage_spec *spec) {
  s->spec = *spec;
  s->there = spec->program || spec->function;
  if (!s->there) return 1;
  if (spec->program) {
    s->spec.in_rows = (uint32_t)nr_program_in_rows(spec->program);
    s->spec.in_channels = (uint32_t)nr_program_in_channels(spec->program);
    s->spec.out_rows = (uint32_t)nr_program_out_rows(spec->program);
    s->spec.out_channels = (uint32_t)nr_program_out_channels(spec->program);
    s->in = nr_program_input(spec->program);
    s->out = nr_program_output(spec->program);
    return 1;
  }
  s->in = calloc((size_t)spec->in_rows * spec->in_channels, sizeof *s->in);
  s->out = calloc((size_t)spec->out_rows * spec->out_channels, sizeof *s->out);
  return s->in && s->out;
}

void nr_stage_close(nr_stage *s) {
  if (s->spec.program) return;
  free(s->in);
  free(s->out);
}

int nr_stage_run(nr_stage *s) {
  if (!s->spec.program) return s->spec.function(s->in, s->out);
  nr_program_run(s->spec.program);
  return 1;
}

size_t nr_stage_state_bytes(const nr_stage *s) {
  return s->spec.program ? ((size_t)nr_program_state_bytes(s->spec.program) + 63) & ~(size_t)63 : 0;
}

void nr_stage_save(const nr_stage *s, void *state) {
  if (s->spec.program) nr_program_save(s->spec.program, state);
}

void nr_stage_restore(nr_stage *s, const void *state) {
  if (s->spec.program) nr_program_restore(s->spec.program, state);
}
