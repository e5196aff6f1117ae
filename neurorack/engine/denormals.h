/* Denormal numbers off for the calling thread: on x86-64 they cost a hundred cycles each, in every dying tail. */
#ifndef NR_DENORMALS_H
#define NR_DENORMALS_H
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
static inline void nr_denormals_off(void) { _mm_setcsr(_mm_getcsr() | 0x8040u); /* FTZ, DAZ */ }
#elif defined(__aarch64__)
static inline void nr_denormals_off(void) {
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  __asm__ volatile("msr fpcr, %0" ::"r"(fpcr | (1ull << 24))); /* FZ */
}
#endif
#endif
