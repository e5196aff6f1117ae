/* What the kernels share beyond simd.h: activations on a vector, and the names of this instruction set's kernels. */
#ifndef NEURORACK_ENGINE_PRODUCT_SIMD_H
#define NEURORACK_ENGINE_PRODUCT_SIMD_H

#include "engine/kernels.h"
#include "engine/simd.h"

size_t ISA_NAME(nr_packed_floats)(int form, int64_t taps, int64_t depth, int64_t cols);
void ISA_NAME(nr_pack)(int form, float *packed, const float *w, const float *bias, const float *scale, int64_t taps,
                       int64_t depth, int64_t cols, int64_t w_tap, int64_t w_depth, int64_t w_col);
void ISA_NAME(nr_product_run)(const nr_product *p);
void ISA_NAME(nr_depthwise)(const nr_product *p, const float *bias);
void ISA_NAME(nr_oscillators_run)(const nr_oscillators *p);
void ISA_NAME(nr_noise_bands_run)(const nr_noise_bands *p);
void ISA_NAME(nr_random_run)(int normal, float *y, uint32_t key, uint32_t first, int64_t n);

INLINE vec leaky(vec x, float slope) { return pick(x > 0.0f, x, x * slope); }

/* The activations a product can end with; opset.py allows no other. */
INLINE vec activate(nr_activation f, vec x) {
    switch (f.fn) {
    case NR_COPY: return x;
    case NR_LEAKY_RELU: return leaky(x, f.a);
    case NR_RELU: return pick(x < 0.0f, splat(0.0f), x);
    case NR_TANH: return vtanh(x);
    case NR_SIGMOID: return vsigmoid(x);
    case NR_SOFTPLUS: return vsoftplus(x);
    case NR_SILU: return x * vsigmoid(x);
    case NR_EXP: return vexp(x);
    case NR_AFFINE: return x * f.a + f.b;
    case NR_CLAMP: return limit(x, f.a, f.b);
    default: return splat(NAN);
    }
}

#endif
