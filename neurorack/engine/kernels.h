/* The kernels, one table for each instruction set; the widest one this CPU has is chosen at start.
 * No kernel allocates. Pointers of one call do not overlap unless they are equal. */
#ifndef NEURORACK_ENGINE_KERNELS_H
#define NEURORACK_ENGINE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Functions of one number; a and b are parameters (slope; low and high; scale and offset). Same numbers in opset.py. */
enum nr_unary {
    NR_COPY, NR_NEG, NR_ABS, NR_SQUARE, NR_SQRT, NR_RECIPROCAL, NR_EXP, NR_LOG, NR_SIN, NR_COS, NR_TANH, NR_SIGMOID,
    NR_SOFTPLUS, NR_RELU, NR_LEAKY_RELU, NR_ELU, NR_SILU, NR_CLAMP, NR_AFFINE, NR_FLOOR, NR_CEIL, NR_ROUND, NR_TRUNC,
    NR_SIGN, NR_LOG1P, NR_EXPM1, NR_ASIN, NR_ACOS, NR_ATAN, NR_TAN, NR_ERF, NR_RSQRT, NR_NOT, NR_UNARY_COUNT
};
enum nr_binary {
    NR_ADD, NR_SUB, NR_MUL, NR_DIV, NR_MAX, NR_MIN, NR_POW, NR_FMOD, NR_REMAINDER, NR_ATAN2, NR_EQ, NR_NE, NR_LT,
    NR_LE, NR_GT, NR_GE, NR_AND, NR_OR, NR_BINARY_COUNT
};
/* Functions of three numbers: a ? b : c, a * b + c, a + (b - a) * c, and a + sin(b a)^2 c (Snake). */
enum nr_ternary { NR_WHERE, NR_MULTIPLY_ADD, NR_LERP, NR_SNAKE, NR_TERNARY_COUNT };

typedef struct {
    int fn; /* enum nr_unary */
    float a, b;
} nr_activation;

/* How a number of the file or of packed weights is kept: float32; bfloat16, the upper half of one; int8, times a float32 that all
 * weights of an output share. */
enum nr_form { NR_F32, NR_BF16, NR_I8, NR_FORM_COUNT };
#define NR_ROWS_IN(form) ((form) == NR_I8 ? 4 : (form) == NR_BF16 ? 2 : 1) /* rows of packed weights in the 32 bits of a lane */

/* y[r][n] = epilogue(bias[n] + sum over t, c of x[r * x_row + t * x_tap + c] * w[t][c][n]).
 * The epilogue adds the residual (before the activation if residual_first), stores to y, and stores a second
 * activation of that to y2 if there is one. */
typedef struct {
    const float *x, *w, *residual;
    float *y, *y2;
    int64_t x_row, x_tap, residual_row, y_row, y2_row;
    int32_t rows, taps, depth, cols, residual_first, form; /* form: enum nr_form of w */
    nr_activation first, second;
} nr_product;

typedef struct {
    const float *amplitudes, *frequencies; /* [rows][count]; frequencies in cycles per sample or NULL */
    int64_t amplitude_row, frequency_row, out_stride;
    const uint32_t *steps; /* fixed phase increments, in 2^-32 turns, where frequencies is NULL */
    float *last;           /* [count] amplitudes at the end of the previous frame */
    uint32_t *phases;      /* [count], 2^-32 turns */
    uint32_t *last_steps;  /* [count], where frequencies vary */
    float *out;            /* [rows * hop] */
    int32_t rows, count, hop;
} nr_oscillators;

typedef struct {
    const float *amplitudes, *table; /* [rows][bands], [bands][length] */
    int64_t amplitude_row, out_stride, length;
    float *last;        /* [bands] */
    uint32_t *position; /* [1], 0..length-1 */
    float *out;
    int32_t rows, bands, hop;
} nr_noise_bands;

typedef struct nr_kernels {
    const char *name;
    int lanes;
    /* Packed weights: panels of whole vectors, bias first (and scales, of int8), then one row for each input; two rows of bfloat16
     * or four of int8 share the 32 bits of a lane. w holds what `form` keeps exactly: of int8, the whole numbers. */
    size_t (*packed_floats)(int form, int64_t taps, int64_t depth, int64_t cols);
    void (*pack)(int form, float *packed, const float *w, const float *bias, const float *scale, int64_t taps,
                 int64_t depth, int64_t cols, int64_t w_tap, int64_t w_depth, int64_t w_col);
    void (*product)(const nr_product *p);
    /* y[r][c] = bias[c] + sum over t of x[r * x_row + t * x_tap + c] * w[t][c]; epilogue as above. w [taps][cols]. */
    void (*depthwise)(const nr_product *p, const float *bias);
    void (*unary)(int fn, float *y, const float *x, int64_t n, float a, float b);
    /* The step of an operand is 1, or 0 for one number throughout. */
    void (*binary)(int fn, float *y, const float *a, int a_step, const float *b, int b_step, int64_t n);
    void (*ternary)(int fn, float *y, const float *a, int a_step, const float *b, int b_step, const float *c,
                    int c_step, int64_t n);
    float (*fold)(int fn, float start, const float *x, int64_t n); /* NR_ADD, NR_MUL, NR_MAX or NR_MIN over x */
    void (*multiply_add)(float *y, float a, const float *x, int64_t n); /* y += a x */
    /* One GRU step: gates_x, gates_h [3 * hidden] (reset, update, new) and h [hidden], which is replaced. */
    void (*gru_gates)(float *h, const float *gates_x, const float *gates_h, int64_t hidden);
    void (*oscillators)(const nr_oscillators *p);
    void (*noise_bands)(const nr_noise_bands *p);
    /* Elements first, first+1, … of the sequence `key`: uniform in 0..1 or standard normal. */
    void (*random)(int normal, float *y, uint32_t key, uint32_t first, int64_t n);
} nr_kernels;

const nr_kernels *nr_kernels_in_use(void);

#endif
