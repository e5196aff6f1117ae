/* Functions of one, two and three numbers over contiguous runs, folds, and the GRU's gates. */
#include "engine/product_simd.h"

/* Whole vectors, then the rest through one padded vector. EXPR is of x (and a, b). */
#define EACH(EXPR)                                                                                                   \
    do {                                                                                                             \
        int64_t i = 0;                                                                                               \
        for (; i + VL <= n; i += VL) {                                                                               \
            vec x = load(in + i);                                                                                    \
            store(y + i, EXPR);                                                                                      \
        }                                                                                                            \
        if (i < n) {                                                                                                 \
            vec x = load_part(in + i, n - i);                                                                        \
            store_part(y + i, EXPR, n - i);                                                                          \
        }                                                                                                            \
    } while (0)

#define EACH_SCALAR(EXPR)                                                                                            \
    for (int64_t i = 0; i < n; i++) {                                                                                \
        float x = in[i];                                                                                             \
        y[i] = EXPR;                                                                                                 \
    }

INLINE int beyond(vec x, float bound) { /* any lane out of the vector reduction's reach (NaN is not) */
    ivec big = vabs(x) > bound;
    int any = 0;
    for (int i = 0; i < VL; i++) any |= big[i];
    return any;
}

static __attribute__((noinline)) vec libm_trig(vec x, int cosine) {
    for (int i = 0; i < VL; i++) x[i] = cosine ? cosf(x[i]) : sinf(x[i]);
    return x;
}

INLINE vec safe_sin(vec x) { return __builtin_expect(beyond(x, TRIG_LIMIT), 0) ? libm_trig(x, 0) : vsin(x); }
INLINE vec safe_cos(vec x) { return __builtin_expect(beyond(x, TRIG_LIMIT), 0) ? libm_trig(x, 1) : vcos(x); }

INLINE vec vexpm1(vec x) {
    vec y = limit(x, -20.0f, 89.0f);
    vec n = nearest(y * LOG2E), r = (y - n * LN2_HIGH) - n * LN2_LOW;
    ivec whole = as_int(n), half = whole >> 1;
    vec s = power_of_two(half), t = power_of_two(whole - half), below = power_of_two(half - whole); /* below = 1 / t */
    return (expm1_core(r) * s + (s - below)) * t;
}

INLINE vec vsqrt(vec x) {
    for (int i = 0; i < VL; i++) x[i] = sqrtf(x[i]);
    return x;
}

static float rounded(float x) { return nearbyintf(x); } /* ties to even, as numpy and torch do */
static float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : x != x ? x : 0.0f; }

static void unary(int fn, float *y, const float *in, int64_t n, float a, float b) {
    switch ((enum nr_unary)fn) {
    case NR_COPY: memmove(y, in, (size_t)n * 4); break;
    case NR_NEG: EACH(-x); break;
    case NR_ABS: EACH(vabs(x)); break;
    case NR_SQUARE: EACH(x * x); break;
    case NR_SQRT: EACH(vsqrt(x)); break;
    case NR_RSQRT: EACH(1.0f / vsqrt(x)); break;
    case NR_RECIPROCAL: EACH(1.0f / x); break;
    case NR_EXP: EACH(vexp(x)); break;
    case NR_EXPM1: EACH(vexpm1(x)); break;
    case NR_LOG: EACH(vlog(x)); break;
    case NR_SIN: EACH(safe_sin(x)); break;
    case NR_COS: EACH(safe_cos(x)); break;
    case NR_TANH: EACH(vtanh(x)); break;
    case NR_SIGMOID: EACH(vsigmoid(x)); break;
    case NR_SOFTPLUS: EACH(vsoftplus(x)); break;
    case NR_RELU: EACH(pick(x < 0.0f, splat(0.0f), x)); break;
    case NR_LEAKY_RELU: EACH(leaky(x, a)); break;
    case NR_ELU: EACH(pick(x > 0.0f, x, a * vexpm1(x))); break;
    case NR_SILU: EACH(x * vsigmoid(x)); break;
    case NR_CLAMP: EACH(limit(x, a, b)); break;
    case NR_AFFINE: EACH(x * a + b); break;
    case NR_FLOOR: EACH_SCALAR(floorf(x)); break;
    case NR_CEIL: EACH_SCALAR(ceilf(x)); break;
    case NR_ROUND: EACH_SCALAR(rounded(x)); break;
    case NR_TRUNC: EACH_SCALAR(truncf(x)); break;
    case NR_SIGN: EACH_SCALAR(sign_of(x)); break;
    case NR_LOG1P: EACH_SCALAR(log1pf(x)); break;
    case NR_ASIN: EACH_SCALAR(asinf(x)); break;
    case NR_ACOS: EACH_SCALAR(acosf(x)); break;
    case NR_ATAN: EACH_SCALAR(atanf(x)); break;
    case NR_TAN: EACH_SCALAR(tanf(x)); break;
    case NR_ERF: EACH_SCALAR(erff(x)); break;
    case NR_NOT: EACH(pick(x == 0.0f, splat(1.0f), splat(0.0f))); break;
    case NR_UNARY_COUNT: break;
    }
}

INLINE vec operand(const float *p, int step, int64_t i) { return step ? load(p + i) : splat(*p); }
INLINE vec operand_rest(const float *p, int step, int64_t i, int64_t n) { return step ? load_part(p + i, n - i) : splat(*p); }

/* The steps are tested once, outside the loops. */
#define PAIRS_(A, B, EXPR)                                                                                           \
    {                                                                                                                \
        int64_t i = 0;                                                                                               \
        for (; i + VL <= n; i += VL) {                                                                               \
            vec p = operand(a, A, i), q = operand(b, B, i);                                                          \
            store(y + i, EXPR);                                                                                      \
        }                                                                                                            \
        if (i < n) {                                                                                                 \
            vec p = operand_rest(a, A, i, n), q = operand_rest(b, B, i, n);                                          \
            store_part(y + i, EXPR, n - i);                                                                          \
        }                                                                                                            \
    }
#define PAIRS(EXPR)                                                                                                  \
    if (a_step && b_step) PAIRS_(1, 1, EXPR)                                                                         \
    else if (a_step) PAIRS_(1, 0, EXPR)                                                                              \
    else PAIRS_(0, b_step, EXPR)                                                                                     \
    break
#define PAIRS_SCALAR(EXPR)                                                                                           \
    for (int64_t i = 0; i < n; i++) {                                                                                \
        float p = a[i * a_step], q = b[i * b_step];                                                                  \
        y[i] = EXPR;                                                                                                 \
    }                                                                                                                \
    break
#define TRUTH(CONDITION) pick(CONDITION, splat(1.0f), splat(0.0f))

INLINE vec larger(vec p, vec q) { return pick((p > q) | (p != p), p, q); } /* NaN wins, as in torch */
INLINE vec smaller(vec p, vec q) { return pick((p < q) | (p != p), p, q); }

static float remainder_of(float p, float q) { /* the sign of q, as in Python */
    float r = fmodf(p, q);
    return r != 0 && (r < 0) != (q < 0) ? r + q : r;
}

/* The part after the point, as phases are wrapped: exact, and many times faster than fmodf. `up`: negative ones go up by 1. */
static void wrapped(float *y, const float *a, int64_t n, int up) {
    for (int64_t i = 0; i < n; i += VL) {
        vec x = operand_rest(a, 1, i, n - i < VL ? n : i + VL), r;
        if (__builtin_expect(beyond(x, 1e9f), 0)) {
            for (int j = 0; j < VL; j++) r[j] = up ? remainder_of(x[j], 1.0f) : fmodf(x[j], 1.0f);
        } else {
            r = x - as_float(as_int(x));
            if (up) r = pick(r < 0.0f, r + 1.0f, r);
        }
        store_part(y + i, r, n - i < VL ? n - i : VL);
    }
}

static void binary(int fn, float *y, const float *a, int a_step, const float *b, int b_step, int64_t n) {
    if ((fn == NR_FMOD || fn == NR_REMAINDER) && a_step && !b_step && *b == 1.0f) {
        wrapped(y, a, n, fn == NR_REMAINDER);
        return;
    }
    switch ((enum nr_binary)fn) {
    case NR_ADD: PAIRS(p + q);
    case NR_SUB: PAIRS(p - q);
    case NR_MUL: PAIRS(p * q);
    case NR_DIV: PAIRS(p / q);
    case NR_MAX: PAIRS(larger(p, q));
    case NR_MIN: PAIRS(smaller(p, q));
    case NR_EQ: PAIRS(TRUTH(p == q));
    case NR_NE: PAIRS(TRUTH(p != q));
    case NR_LT: PAIRS(TRUTH(p < q));
    case NR_LE: PAIRS(TRUTH(p <= q));
    case NR_GT: PAIRS(TRUTH(p > q));
    case NR_GE: PAIRS(TRUTH(p >= q));
    case NR_AND: PAIRS(TRUTH((p != 0.0f) & (q != 0.0f)));
    case NR_OR: PAIRS(TRUTH((p != 0.0f) | (q != 0.0f)));
    case NR_POW: PAIRS_SCALAR(powf(p, q));
    case NR_FMOD: PAIRS_SCALAR(fmodf(p, q));
    case NR_REMAINDER: PAIRS_SCALAR(remainder_of(p, q));
    case NR_ATAN2: PAIRS_SCALAR(atan2f(p, q));
    case NR_BINARY_COUNT: break;
    }
}

INLINE vec snake(vec p, vec q, vec s) {
    vec w = safe_sin(p * q);
    return p + w * w * s;
}

static void ternary(int fn, float *y, const float *a, int a_step, const float *b, int b_step, const float *c, int c_step,
                    int64_t n) {
    for (int64_t i = 0; i < n; i += VL) {
        vec p, q, s, r;
        if (i + VL <= n) p = operand(a, a_step, i), q = operand(b, b_step, i), s = operand(c, c_step, i);
        else p = operand_rest(a, a_step, i, n), q = operand_rest(b, b_step, i, n), s = operand_rest(c, c_step, i, n);
        switch ((enum nr_ternary)fn) {
        case NR_WHERE: r = pick(p != 0.0f, q, s); break;
        case NR_MULTIPLY_ADD: r = p * q + s; break;
        case NR_LERP: r = p + (q - p) * s; break;
        case NR_SNAKE: r = snake(p, q, s); break;
        default: r = splat(NAN);
        }
        if (i + VL <= n) store(y + i, r);
        else store_part(y + i, r, n - i);
    }
}

static float fold(int fn, float start, const float *x, int64_t n) {
    float all[VL];
    int64_t i = 0;
    if (n >= VL) {
        vec v = load(x);
        for (i = VL; i + VL <= n; i += VL) {
            vec w = load(x + i);
            v = fn == NR_ADD ? v + w : fn == NR_MUL ? v * w : fn == NR_MAX ? larger(v, w) : smaller(v, w);
        }
        store(all, v);
        for (int j = 0; j < VL; j++) binary(fn, &start, &start, 1, all + j, 1, 1);
    }
    for (; i < n; i++) binary(fn, &start, &start, 1, x + i, 1, 1);
    return start;
}

static void multiply_add(float *y, float a, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + VL <= n; i += VL) store(y + i, load(y + i) + a * load(x + i));
    for (; i < n; i++) y[i] += a * x[i];
}

static void gru_gates(float *h, const float *gx, const float *gh, int64_t hidden) {
    for (int64_t i = 0; i < hidden; i += VL) {
        const int64_t left = hidden - i < VL ? hidden - i : VL;
        vec g[6], old = load_part(h + i, left);
        for (int k = 0; k < 3; k++) g[k] = load_part(gx + k * hidden + i, left), g[k + 3] = load_part(gh + k * hidden + i, left);
        vec reset = vsigmoid(g[0] + g[3]), update = vsigmoid(g[1] + g[4]), fresh = vtanh(g[2] + reset * g[5]);
        store_part(h + i, fresh + update * (old - fresh), left);
    }
}

const nr_kernels ISA_NAME(nr_kernels) = {
    .name = NR_ISA_TEXT, .lanes = VL,
    .packed_floats = ISA_NAME(nr_packed_floats), .pack = ISA_NAME(nr_pack), .product = ISA_NAME(nr_product_run),
    .depthwise = ISA_NAME(nr_depthwise), .unary = unary, .binary = binary, .ternary = ternary, .fold = fold,
    .multiply_add = multiply_add, .gru_gates = gru_gates, .oscillators = ISA_NAME(nr_oscillators_run),
    .noise_bands = ISA_NAME(nr_noise_bands_run), .random = ISA_NAME(nr_random_run),
};
