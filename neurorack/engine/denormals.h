/* Denormal numbers off for the calling thread: on x86-64 they cost a hundred cycles each, in every dying tail. */
#ifndef NEURORACK_ENGINE_DENORMALS_H
#define NEURORACK_ENGINE_DENORMALS_H

/* Denormals count as zero in the calling thread from now on (x86: FTZ and DAZ; arm64: FZ). Defined in isa.c. */
__attribute__((visibility("default"))) void nr_denormals_off(void);

#endif
