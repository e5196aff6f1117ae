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

size_t ISA_NAME(nr_packed_floats)(int64_t depth, int64_t cols) {
    return (size_t)((depth + 1) * ((cols + VL - 1) / VL) * VL);
}

void ISA_NAME(nr_pack)(float *packed, const float *w, const float *bias, int64_t taps, int64_t depth, int64_t cols,
                       int64_t w_tap, int64_t w_depth, int64_t w_col, int64_t bias_stride) {
    int n = panel_count(cols);
    for (int i = 0, at = 0; i < n; i++) {
        int wide = panel_width(cols, i, n) * VL;
        for (int j = 0; j < wide; j++) *packed++ = bias && at + j < cols ? bias[(at + j) * bias_stride] : 0.0f;
        for (int64_t t = 0; t < taps; t++)
            for (int64_t c = 0; c < depth; c++)
                for (int j = 0; j < wide; j++)
                    *packed++ = at + j < cols ? w[t * w_tap + c * w_depth + (at + j) * w_col] : 0.0f;
        at += wide;
    }
}

INLINE vec load_some(const float *from, int64_t left) {
    vec v = {};
    if (left >= VL) return load(from);
    memcpy(&v, from, (size_t)left * 4);
    return v;
}

INLINE void store_some(float *to, vec v, int64_t left) {
    if (left >= VL) store(to, v);
    else memcpy(to, &v, (size_t)left * 4);
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
#define TILE(MR, NV, U)                                                                                              \
    static void tile_##MR##_##NV(const nr_product *p, const float *w, int64_t row, int64_t col) {                    \
        vec sum[U][MR][NV], done[MR * NV];                                                                           \
        const int64_t x_row = p->x_row, depth = p->depth;                                                            \
        _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++)                                                        \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) {                                                   \
                sum[0][r][v] = load(w + v * VL);                                                                     \
                _Pragma("GCC unroll 8") for (int u = 1; u < U; u++) sum[u][r][v] = (vec){};                          \
            }                                                                                                        \
        w += NV * VL;                                                                                                \
        for (int32_t t = 0; t < p->taps; t++) {                                                                      \
            const float *x = p->x + row * x_row + t * p->x_tap;                                                      \
            int64_t c = 0;                                                                                           \
            for (; c + U <= depth; c += U, w += U * NV * VL)                                                         \
                _Pragma("GCC unroll 8") for (int u = 0; u < U; u++)                                                  \
                    _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++) {                                          \
                        vec a = splat(x[r * x_row + c + u]);                                                         \
                        _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                                         \
                            sum[u][r][v] += a * load(w + (u * NV + v) * VL);                                         \
                    }                                                                                                \
            for (; U > 1 && c < depth; c++, w += NV * VL)                                                            \
                _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++)                                                \
                    _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++)                                             \
                        sum[0][r][v] += splat(x[r * x_row + c]) * load(w + v * VL);                                  \
        }                                                                                                            \
        _Pragma("GCC unroll 16") for (int r = 0; r < MR; r++)                                                        \
            _Pragma("GCC unroll 4") for (int v = 0; v < NV; v++) {                                                   \
                vec total = sum[0][r][v];                                                                            \
                _Pragma("GCC unroll 8") for (int u = 1; u < U; u++) total += sum[u][r][v];                           \
                done[r * NV + v] = total;                                                                            \
            }                                                                                                        \
        finish_tile(p, done, MR, NV, row, col);                                                                      \
    }

TILE(1, 1, 8) TILE(1, 2, 4)
TILE(2, 1, 4) TILE(2, 2, 2)
TILE(3, 1, 2) TILE(3, 2, 1)
TILE(4, 1, 2) TILE(4, 2, 1)
#if MAX_MR >= 6
TILE(5, 1, 1) TILE(5, 2, 1)
TILE(6, 1, 1) TILE(6, 2, 1)
#endif
#if MAX_MR >= 8
TILE(7, 1, 1) TILE(7, 2, 1)
TILE(8, 1, 1) TILE(8, 2, 1)
TILE(1, 3, 4) TILE(2, 3, 2) TILE(3, 3, 1) TILE(4, 3, 1) TILE(5, 3, 1) TILE(6, 3, 1) TILE(7, 3, 1) TILE(8, 3, 1)
#endif

typedef void (*tile_function)(const nr_product *, const float *, int64_t, int64_t);
static const tile_function tiles[MAX_MR + 1][MAX_NV + 1] = {
#if MAX_NV == 3
    {0}, {0, tile_1_1, tile_1_2, tile_1_3}, {0, tile_2_1, tile_2_2, tile_2_3}, {0, tile_3_1, tile_3_2, tile_3_3},
    {0, tile_4_1, tile_4_2, tile_4_3}, {0, tile_5_1, tile_5_2, tile_5_3}, {0, tile_6_1, tile_6_2, tile_6_3},
    {0, tile_7_1, tile_7_2, tile_7_3}, {0, tile_8_1, tile_8_2, tile_8_3},
#else
    {0}, {0, tile_1_1, tile_1_2}, {0, tile_2_1, tile_2_2}, {0, tile_3_1, tile_3_2}, {0, tile_4_1, tile_4_2},
#if MAX_MR >= 6
    {0, tile_5_1, tile_5_2}, {0, tile_6_1, tile_6_2},
#endif
#endif
};

void ISA_NAME(nr_product_run)(const nr_product *p) {
    const int panels = panel_count(p->cols);
    const int tiles_down = (p->rows + MAX_MR - 1) / MAX_MR;
    const int64_t depth = (int64_t)p->taps * p->depth + 1;
    const float *w = p->w;
    int64_t col = 0;
    for (int i = 0; i < panels; i++) {
        int wide = panel_width(p->cols, i, panels);
        for (int t = 0, row = 0; t < tiles_down; t++) { /* rows spread evenly over the tiles */
            int next = (int)((int64_t)p->rows * (t + 1) / tiles_down);
            tiles[next - row][wide](p, w, row, col);
            row = next;
        }
        w += depth * wide * VL;
        col += wide * VL;
    }
}

void ISA_NAME(nr_depthwise)(const nr_product *p, const float *bias) {
    for (int32_t r = 0; r < p->rows; r++) {
        const float *x = p->x + r * p->x_row;
        for (int64_t c = 0; c < p->cols; c += VL) {
            int64_t left = p->cols - c;
            size_t bytes = 4 * (size_t)(left < VL ? left : VL);
            vec sum = {};
            if (bias) memcpy(&sum, bias + c, bytes);
            for (int32_t t = 0; t < p->taps; t++) {
                vec a = {}, w = {};
                memcpy(&a, x + t * p->x_tap + c, bytes);
                memcpy(&w, p->w + t * p->cols + c, bytes);
                sum += a * w;
            }
            finish(p, r, c, sum);
        }
    }
}
