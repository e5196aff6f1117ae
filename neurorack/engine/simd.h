/* Vectors of floats for the instruction set a *_simd.c file is compiled for, by GCC's vector extensions
 * (which clang shares), and the elementary functions on them.
 *
 * Error of the functions, relative to the exact value, over the whole range unless said: exp, tanh, sigmoid, log,
 * softplus below 3e-7; sine and cosine 2e-7 absolute (the argument is reduced in three parts, exact to
 * TRIG_LIMIT; kernels hand larger arguments to libm). NaN stays NaN, infinities give their limits.
 * Coefficients are least-maximum fits over the reduced ranges, computed for this file. */
#ifndef NEURORACK_ENGINE_SIMD_H
#define NEURORACK_ENGINE_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX__)
#define VL 8
#else
#define VL 4
#endif

#define CAT_(a, b) a##_##b
#define CAT(a, b) CAT_(a, b)
#define ISA_NAME(name) CAT(name, NR_ISA)
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define NR_ISA_TEXT TEXT(NR_ISA)
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * VL)));
typedef int32_t ivec __attribute__((vector_size(4 * VL)));
typedef uint32_t uvec __attribute__((vector_size(4 * VL)));
typedef float loose_vec __attribute__((vector_size(4 * VL), aligned(4), may_alias));

INLINE vec load(const float *p) { return *(const loose_vec *)p; }
INLINE void store(float *p, vec v) { *(loose_vec *)p = v; }
INLINE vec splat(float x) { return x - (vec){}; }

/* The n numbers (1 to VL) at p, zeros after them; and the first n of a vector stored. No number beyond is touched. Through
 * memory of a size known only then, a vector would wait for what was just stored in parts. */
INLINE vec load_part(const float *p, int64_t n) {
#if VL == 16
    return (vec)_mm512_maskz_loadu_ps((__mmask16)(0xffffu >> (16 - n)), p);
#elif VL == 8
    const ivec at = {0, 1, 2, 3, 4, 5, 6, 7};
    return (vec)_mm256_maskload_ps(p, (__m256i)(at < (int32_t)n));
#else
    vec v = {p[0]};
    if (n > 1) v[1] = p[1];
    if (n > 2) v[2] = p[2];
    if (n > 3) v[3] = p[3];
    return v;
#endif
}

INLINE void store_part(float *p, vec v, int64_t n) {
#if VL == 16
    _mm512_mask_storeu_ps(p, (__mmask16)(0xffffu >> (16 - n)), (__m512)v);
#elif VL == 8
    const ivec at = {0, 1, 2, 3, 4, 5, 6, 7};
    _mm256_maskstore_ps(p, (__m256i)(at < (int32_t)n), (__m256)v);
#else
    p[0] = v[0];
    if (n > 1) p[1] = v[1];
    if (n > 2) p[2] = v[2];
    if (n > 3) p[3] = v[3];
#endif
}
INLINE ivec isplat(int32_t x) { return x - (ivec){}; }
INLINE vec pick(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }
INLINE vec as_float(ivec v) { return __builtin_convertvector(v, vec); }
INLINE ivec as_int(vec v) { return __builtin_convertvector(v, ivec); } /* towards zero */
INLINE vec vabs(vec x) { return (vec)((ivec)x & 0x7fffffff); }
INLINE vec with_sign_of(vec x, vec s) { return (vec)(((ivec)x & 0x7fffffff) | ((ivec)s & (int32_t)0x80000000)); }

/* Nearest integer (ties to even), for |x| < 2^22. */
INLINE vec nearest(vec x) {
    const vec magic = splat(12582912.0f);
    return (x + magic) - magic;
}

/* Left as it is when NaN. */
INLINE vec limit(vec x, float lo, float hi) {
    x = pick(x < lo, splat(lo), x);
    return pick(x > hi, splat(hi), x);
}

/* 2^n for n in -126..127. */
INLINE vec power_of_two(ivec n) { return (vec)((n + 127) << 23); }

/* exp(r) - 1 for |r| <= ln(2)/2. */
INLINE vec expm1_core(vec r) {
    vec q = splat(0.0013941097104034858f);
    q = q * r + 0.008363175260740213f;
    q = q * r + 0.0416663754480318f;
    q = q * r + 0.1666657700590531f;
    q = q * r + 0.5000000026904423f;
    return q * r * r + r;
}

#define LOG2E 1.4426950408889634f
#define LN2_HIGH 0.693145751953125f /* 16 bits, so that n * LN2_HIGH is exact */
#define LN2_LOW 1.42860682030941723e-6f

INLINE vec vexp(vec x) {
    vec y = limit(x, -104.0f, 89.0f);
    vec n = nearest(y * LOG2E);
    vec r = (y - n * LN2_HIGH) - n * LN2_LOW;
    ivec whole = as_int(n), half = whole >> 1;
    vec e = (expm1_core(r) + 1.0f) * power_of_two(half) * power_of_two(whole - half);
    return e;
}

INLINE vec vsigmoid(vec x) { return 1.0f / (1.0f + vexp(-x)); }

INLINE vec vtanh(vec x) {
    vec y = limit(2.0f * vabs(x), 0.0f, 20.0f);
    vec n = nearest(y * LOG2E);
    vec r = (y - n * LN2_HIGH) - n * LN2_LOW;
    vec scale = power_of_two(as_int(n));
    vec e = scale * expm1_core(r) + (scale - 1.0f); /* exp(2|x|) - 1, exact near zero */
    return with_sign_of(e / (e + 2.0f), x);
}

INLINE vec vlog(vec x) {
    ivec bits = (ivec)((uvec)x - 0x3f3504f3u); /* mantissa from sqrt(1/2) to sqrt(2) */
    vec e = as_float(bits >> 23);
    vec f = (vec)((bits & 0x007fffff) + 0x3f3504f3) - 1.0f;
    vec s = f / (f + 2.0f), u = s * s;
    vec q = splat(0.14791186851646318f);
    q = q * u + 0.19994355828714164f;
    q = q * u + 0.3333334264186554f;
    vec y = 2.0f * (q * u * s + s);
    y = e * LN2_HIGH + (e * LN2_LOW + y);
    y = pick(x < 0.0f, splat(NAN), y);
    y = pick((x < 1.17549435e-38f) & (x >= 0.0f), splat(-INFINITY), y); /* denormals count as zero */
    y = pick(x == INFINITY, x, y);
    return pick(x != x, x, y);
}

/* log(1 + z) for z in 0..1. */
INLINE vec log1p_unit(vec z) {
    vec s = z / (z + 2.0f), u = s * s;
    vec q = splat(0.1162686970273283f);
    q = q * u + 0.10850025457466109f;
    q = q * u + 0.1429640503878084f;
    q = q * u + 0.1999984815984258f;
    q = q * u + 0.3333333367754991f;
    return 2.0f * (q * u * s + s);
}

INLINE vec vsoftplus(vec x) {
    vec y = pick(x > 0.0f, x, splat(0.0f)) + log1p_unit(vexp(-vabs(x)));
    return pick(x != x, x, y);
}

/* sin(r) for |r| <= pi/2. */
INLINE vec sine_core(vec r) {
    vec u = r * r, q = splat(2.605224787388412e-06f);
    q = q * u + -0.00019809075227897855f;
    q = q * u + 0.008333051062468042f;
    q = q * u + -0.16666657991865602f;
    q = q * u + 0.9999999957327653f;
    return q * r;
}

#define TRIG_LIMIT 8192.0f
#define PI_A 3.140625f /* 8 bits */
#define PI_B 9.675025939941406e-4f /* 11 bits */
#define PI_C 1.5099580252808664e-07f

INLINE vec vsin(vec x) {
    vec n = nearest(x * 0.31830988618379067f);
    vec r = ((x - n * PI_A) - n * PI_B) - n * PI_C;
    return (vec)((ivec)sine_core(r) ^ (as_int(n) << 31));
}

INLINE vec vcos(vec x) { /* cos(x) = -sin(x - (n + 1/2) pi) with the sign of n's parity */
    vec n = nearest(x * 0.31830988618379067f - 0.5f), h = n + 0.5f;
    vec r = ((x - h * PI_A) - h * PI_B) - h * PI_C;
    return (vec)((ivec)sine_core(r) ^ ((as_int(n) + 1) << 31));
}

/* Sine of a phase in 2^32nds of a turn, exact folding in integers. */
INLINE vec phase_sine(ivec phase) {
    ivec outer = (phase ^ (phase << 1)) >> 31; /* second and third quarter: mirror */
    ivec folded = (outer & (ivec)((uvec)isplat((int32_t)0x80000000) - (uvec)phase)) | (~outer & phase);
    vec r = as_float(folded) * 4.656612873077393e-10f; /* 2^-31: half turns, -1/2..1/2 */
    vec u = r * r, q = splat(0.07765940447320158f);
    q = q * u + -0.5982921575934002f;
    q = q * u + 2.5500776594361234f;
    q = q * u + -5.167710090317151f;
    q = q * u + 3.1415926401838803f;
    return q * r;
}

/* Two rounds of a full-avalanche 32-bit mix: element number and key to 32 random bits. */
INLINE uvec mix(uvec x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

INLINE float lane_sum(vec v) {
    float s = 0;
    for (int i = 0; i < VL; i++) s += v[i];
    return s;
}

#endif
