/* Convolutions as matrix products over overlapping rows of the input, with no copy of the windows.
 *
 * Weights are packed in panels of 1 to MAX_NV vectors of outputs: a panel holds its bias, then one row for each
 * input. A tile computes a few output rows against one panel with all sums in registers. Where rows are few, each
 * sum is split over several registers, because one chain of dependent additions would wait on itself. */
#include "engine/product_simd.h"

#if VL == 4 && !defined(__aarch64__)
#define MAX_NV 2 /* 16 registers */
#define MAX_MR 4
#elif VL == 8
#define MAX_NV 2
#define MAX_MR 6
#else
#define MAX_NV 3 /* 32 registers */
#define MAX_MR 8
#endif

static int panel_count(int64_t cols) { return (int)(((cols + VL - 1) / VL + MAX_NV - 1) / MAX_NV); }

/* Vectors of panel i of n, the total spread evenly. */
static int panel_width(int64_t cols, int i, int n) {
    int64_t total = (cols + VL - 1) / VL;
    return (int)(total * (i + 1) / n - total * i / n);
}

/* Rows of float32 in front of each panel: bias, and scales of int8. */
#define HEAD_ROWS(form) ((form) == NR_I8 ? 2 : 1)

static int64_t panel_rows(int form, int64_t taps, int64_t depth) {
    return HEAD_ROWS(form) + taps * ((depth + NR_ROWS_IN(form) - 1) / NR_ROWS_IN(form));
}

size_t ISA_NAME(nr_packed_floats)(int form, int64_t taps, int64_t depth, int64_t cols) {
    return (size_t)(panel_rows(form, taps, depth) * ((cols + VL - 1) / VL) * VL);
}

INLINE uint32_t bits_of(int form, float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return form == NR_I8 ? (uint8_t)(int8_t)x : form == NR_BF16 ? bits >> 16 : bits;
}

INLINE void pack(int form, float *packed, const float *w, const float *bias, const float *scale, int64_t taps,
                 int64_t depth, int64_t cols, int64_t w_tap, int64_t w_depth, int64_t w_col) {
    const int n = panel_count(cols), rows = NR_ROWS_IN(form), width = 32 / rows;
    for (int i = 0, at = 0; i < n; i++) {
        int wide = panel_width(cols, i, n) * VL;
        for (int j = 0; j < wide; j++) *packed++ = bias && at + j < cols ? bias[at + j] : 0.0f;
        for (int j = 0; form == NR_I8 && j < wide; j++)
            *packed++ = at + j < cols ? scale[at + j] * 5.9604644775390625e-8f : 0.0f; /* 2^-24: see widen */
        for (int64_t t = 0; t < taps; t++)
            for (int64_t c = 0; c < depth; c += rows)
                for (int j = 0; j < wide; j++, packed++) {
                    uint32_t word = 0;
                    for (int k = 0; k < rows && c + k < depth && at + j < cols; k++)
                        word |= bits_of(form, w[t * w_tap + (c + k) * w_depth + (at + j) * w_col]) << k * (width & 31);
                    memcpy(packed, &word, 4);
                }
        at += wide;
    }
}

void ISA_NAME(nr_pack)(int form, float *packed, const float *w, const float *bias, const float *scale, int64_t taps,
                       int64_t depth, int64_t cols, int64_t w_tap, int64_t w_depth, int64_t w_col) {
    if (form == NR_I8) pack(NR_I8, packed, w, bias, scale, taps, depth, cols, w_tap, w_depth, w_col);
    else if (form == NR_BF16) pack(NR_BF16, packed, w, bias, scale, taps, depth, cols, w_tap, w_depth, w_col);
    else pack(NR_F32, packed, w, bias, scale, taps, depth, cols, w_tap, w_depth, w_col);
}

/* Row k of those that share the words at w, as float32: of int8, 2^24 times the number, which the scale makes up for. */
INLINE vec widen(int form, const float *w, int k) {
    const uvec word = (uvec)load(w);
    if (form == NR_BF16) return (vec)(k ? word & 0xffff0000u : word << 16);
    if (form == NR_I8) return as_float((ivec)(k == 3 ? word & 0xff000000u : k ? word << (24 - 8 * k) & 0xff000000u : word << 24));
    return (vec)word;
}

INLINE vec load_some(const float *from, int64_t left) { return left >= VL ? load(from) : load_part(from, left); }

INLINE void store_some(float *to, vec v, int64_t left) {
    if (left >= VL) store(to, v);
    else store_part(to, v, left);
}

INLINE void finish(const nr_product *p, int64_t row, int64_t col, vec v) {
    int64_t left = p->cols - col;
    if (p->residual) {
        vec extra = load_some(p->residual + row * p->residual_row + col, left);
        v = p->residual_first ? activate(p->first, v + extra) : activate(p->first, v) + extra;
    } else v = activate(p->first, v);
    store_some(p->y + row * p->y_row + col, v, left);
    if (p->y2) store_some(p->y2 + row * p->y2_row + col, activate(p->second, v), left);
}

/* The epilogue of a whole tile, apart from the tiles so that its branches are not in each of them. */
static __attribute__((noinline)) void finish_tile(const nr_product *p, const vec *sums, int mr, int nv, int64_t row,
                                                  int64_t col) {
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < nv; v++) finish(p, row + r, col + v * VL, *sums++);
}

/* MR rows from `row` on against the panel of NV vectors at w, whose first output is col. U sums share the work of
 * each output. */
#define TILE(F, MR, NV, U)                                                                                            \
    static void tile_##F##_##MR##_##NV(const nr_product *p, const float *w, int64_t row, int64_t col) {               \
        enum { G = NR_ROWS_IN(F), S = U > G ? U : G };                                                                \
        vec sum[U][MR][NV], done[MR * NV];                                                                            \
        const int64_t x_row = p->x_row, depth = p->depth;                                                             \
        const float *head = w;                                                                                        \
        _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++)                                                         \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) {                                                    \
                sum[0][r][v] = F == NR_I8 ? (vec){} : load(w + v * VL);                                               \
                _Pragma("GCC unroll 8") for (int u = 1; u < U; u++) sum[u][r][v] = (vec){};                           \
            }                                                                                                         \
        w += HEAD_ROWS(F) * NV * VL;                                                                                  \
        for (int32_t t = 0; t < p->taps; t++) {                                                                       \
            const float *x = p->x + row * x_row + t * p->x_tap;                                                       \
            int64_t c = 0;                                                                                            \
            for (; c + S <= depth; c += S, w += S / G * NV * VL)                                                      \
                _Pragma("GCC unroll 8") for (int u = 0; u < S; u++) {                                                 \
                    vec weights[NV];                                                                                  \
                    _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                                              \
                        weights[v] = widen(F, w + (u / G * NV + v) * VL, u % G);                                      \
                    _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++) {                                           \
                        vec a = splat(x[r * x_row + c + u]);                                                          \
                        _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) sum[u % U][r][v] += a * weights[v];      \
                    }                                                                                                 \
                }                                                                                                     \
            for (; S > 1 && c < depth; c += G, w += NV * VL)                                                          \
                _Pragma("GCC unroll 4") for (int k = 0; k < G; k++)                                                   \
                    if (c + k < depth)                                                                                \
                        _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++)                                         \
                            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                                      \
                                sum[0][r][v] += splat(x[r * x_row + c + k]) * widen(F, w + v * VL, k);                \
        }                                                                                                             \
        _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++)                                                         \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) {                                                    \
                vec total = sum[0][r][v];                                                                             \
                _Pragma("GCC unroll 8") for (int u = 1; u < U; u++) total += sum[u][r][v];                            \
                if (F == NR_I8) total = total * load(head + (NV + v) * VL) + load(head + v * VL);                     \
                done[r * NV + v] = total;                                                                             \
            }                                                                                                         \
        finish_tile(p, done, MR, NV, row, col);                                                                       \
    }

#if MAX_NV == 3
#define TILES_OF(F, MR, U1, U2, U3) TILE(F, MR, 1, U1) TILE(F, MR, 2, U2) TILE(F, MR, 3, U3)
#define NAMES_OF(F, MR) {0, tile_##F##_##MR##_1, tile_##F##_##MR##_2, tile_##F##_##MR##_3}
#else
#define TILES_OF(F, MR, U1, U2, U3) TILE(F, MR, 1, U1) TILE(F, MR, 2, U2)
#define NAMES_OF(F, MR) {0, tile_##F##_##MR##_1, tile_##F##_##MR##_2}
#endif
#define TILES_TO_4(F) TILES_OF(F, 1, 8, 4, 4) TILES_OF(F, 2, 4, 2, 2) TILES_OF(F, 3, 2, 1, 1) TILES_OF(F, 4, 2, 1, 1)
#define NAMES_TO_4(F) {0}, NAMES_OF(F, 1), NAMES_OF(F, 2), NAMES_OF(F, 3), NAMES_OF(F, 4)
#if MAX_MR == 4
#define TILES(F) TILES_TO_4(F)
#define NAMES(F) {NAMES_TO_4(F)}
#elif MAX_MR == 6
#define TILES(F) TILES_TO_4(F) TILES_OF(F, 5, 1, 1, 1) TILES_OF(F, 6, 1, 1, 1)
#define NAMES(F) {NAMES_TO_4(F), NAMES_OF(F, 5), NAMES_OF(F, 6)}
#else
#define TILES(F) TILES_TO_4(F) TILES_OF(F, 5, 1, 1, 1) TILES_OF(F, 6, 1, 1, 1) TILES_OF(F, 7, 1, 1, 1) TILES_OF(F, 8, 1, 1, 1)
#define NAMES(F) {NAMES_TO_4(F), NAMES_OF(F, 5), NAMES_OF(F, 6), NAMES_OF(F, 7), NAMES_OF(F, 8)}
#endif
TILES(NR_F32) TILES(NR_BF16) TILES(NR_I8)

typedef void (*tile_function)(const nr_product *, const float *, int64_t, int64_t);
static const tile_function tiles[NR_FORM_COUNT][MAX_MR + 1][MAX_NV + 1] = {NAMES(NR_F32), NAMES(NR_BF16), NAMES(NR_I8)};

void ISA_NAME(nr_product_run)(const nr_product *p) {
    const int panels = panel_count(p->cols);
    const int tiles_down = (p->rows + MAX_MR - 1) / MAX_MR;
    const int64_t rows = panel_rows(p->form, p->taps, p->depth);
    const float *w = p->w;
    int64_t col = 0;
    for (int i = 0; i < panels; i++) {
        int wide = panel_width(p->cols, i, panels);
        for (int t = 0, row = 0; t < tiles_down; t++) { /* rows spread evenly over the tiles */
            int next = (int)((int64_t)p->rows * (t + 1) / tiles_down);
            tiles[p->form][next - row][wide](p, w, row, col);
            row = next;
        }
        w += rows * wide * VL;
        col += wide * VL;
    }
}

void ISA_NAME(nr_depthwise)(const nr_product *p, const float *bias) {
    for (int32_t r = 0; r < p->rows; r++) {
        const float *x = p->x + r * p->x_row;
        for (int64_t c = 0; c < p->cols; c += VL) {
            const int64_t left = p->cols - c;
            vec sum = bias ? load_some(bias + c, left) : (vec){};
            for (int32_t t = 0; t < p->taps; t++) sum += load_some(x + t * p->x_tap + c, left) * load_some(p->w + t * p->cols + c, left);
            finish(p, r, c, sum);
        }
    }
}
