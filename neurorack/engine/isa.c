/* Which kernels this CPU can run, asked once, when the library is loaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels.h"
#include "engine/program.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <xmmintrin.h>

extern const nr_kernels nr_kernels_sse, nr_kernels_avx2, nr_kernels_avx512;

static uint64_t saved_registers(void) { /* which vector registers the system keeps across threads (XCR0) */
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int level(void) { /* 0 sse, 1 avx2, 2 avx512; the features that the compiler's x86-64 levels allow it to use */
    unsigned a, b, c, d, b7, c7, d7, ce;
    const unsigned c1_v3 = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
    const unsigned b7_v3 = bit_BMI | bit_AVX2 | bit_BMI2;
    const unsigned b7_v4 = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & c1_v3) != c1_v3) return 0;
    uint64_t saved = saved_registers();
    if ((saved & 0x6) != 0x6) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) || (b7 & b7_v3) != b7_v3) return 0;
    if (!__get_cpuid(0x80000001u, &a, &b, &ce, &d) || !(ce & (1u << 5))) return 0; /* LZCNT */
    return (b7 & b7_v4) == b7_v4 && (saved & 0xe6) == 0xe6 ? 2 : 1;
}

static const nr_kernels *const widths[] = {&nr_kernels_sse, &nr_kernels_avx2, &nr_kernels_avx512};
#define WIDTHS 3

void nr_denormals_off(void) { _mm_setcsr(_mm_getcsr() | 0x8040u); }

#elif defined(__aarch64__)
extern const nr_kernels nr_kernels_neon;
static const nr_kernels *const widths[] = {&nr_kernels_neon};
#define WIDTHS 1
static int level(void) { return 0; }

void nr_denormals_off(void) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | (1u << 24)));
}
#endif

static const nr_kernels *in_use;

/* NEURORACK_ISA names narrower kernels; one this CPU can't run, or an unknown one, is said so and ignored. */
__attribute__((constructor)) static void choose(void) {
    const int widest = level();
    const char *wish = getenv("NEURORACK_ISA");
    in_use = widths[widest];
    if (!wish || !*wish) return;
    for (int i = 0; i <= widest && i < WIDTHS; i++)
        if (!strcmp(wish, widths[i]->name)) {
            in_use = widths[i];
            return;
        }
    fprintf(stderr, "NEURORACK_ISA=%s: this CPU runs", wish);
    for (int i = 0; i <= widest; i++) fprintf(stderr, " %s", widths[i]->name);
    fprintf(stderr, "; using %s\n", in_use->name);
}

const nr_kernels *nr_kernels_in_use(void) { return in_use; }
const char *nr_isa(void) { return in_use->name; }
