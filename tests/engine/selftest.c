/* The kernels against plain loops, with no Python: so that they can be tried for another architecture under emulation.
 * Prints one line for each check and returns the number of failures. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kernels.h"
#include "engine/program.h"

static uint32_t seed = 1;
static float noise(void) { return (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 8388608.0f - 1.0f; }
static float *numbers(size_t n) {
    float *p = malloc((n + 16) * 4);
    for (size_t i = 0; i < n + 16; i++) p[i] = noise();
    return p;
}

static int failures;
static void report(const char *what, double error, double bound) {
    int bad = !(error <= bound);
    printf("%s %-40s %.2e (at most %.0e)\n", bad ? "FAIL" : "ok  ", what, error, bound);
    failures += bad;
}

/* w [taps * depth][cols] as `form` can keep it; gives what the panels are made of (of int8, whole numbers) and a scale for each output,
 * which are zeros, tiny and huge too. */
static float *narrowed(int form, float *w, size_t rows, int cols, float *scale) {
    float *kept = numbers(rows * cols);
    for (int c = 0; c < cols; c++) scale[c] = form != NR_I8 ? 1.0f : c % 7 == 3 ? 1e-30f : c % 7 == 5 ? 3.0f : 0.01f;
    for (size_t i = 0; i < rows * (size_t)cols; i++) {
        uint32_t bits;
        memcpy(&bits, &w[i], 4);
        bits &= 0xffff0000u;
        if (form == NR_BF16) memcpy(&w[i], &bits, 4);
        kept[i] = form == NR_I8 ? (float)(int)(w[i] * 127.9f) : w[i];
        if (form == NR_I8) w[i] = kept[i] * scale[i % (size_t)cols];
    }
    return kept;
}

static void products(const nr_kernels *k, int form, const char *what) {
    double worst = 0;
    for (int rows = 1; rows <= 19; rows++)
        for (int cols = 1; cols <= 70; cols += 3)
            for (int taps = 1; taps <= 3; taps += 2) {
                const int depth = 1 + (rows * 7 + cols) % 29, width = depth + 3;
                float *x = numbers((size_t)(rows + 2 * taps) * width), *w = numbers((size_t)taps * depth * cols),
                      *bias = numbers(cols);
                float *res = numbers((size_t)rows * cols), *y = numbers((size_t)rows * cols),
                      *y2 = numbers((size_t)rows * cols);
                float *packed = NULL, *scale = numbers(cols), *kept = narrowed(form, w, (size_t)taps * depth, cols, scale);
                if (posix_memalign((void **)&packed, 64, k->packed_floats(form, taps, depth, cols) * 4)) exit(99);
                k->pack(form, packed, kept, bias, scale, taps, depth, cols, depth * cols, cols, 1);
                nr_product p = {.x = x,
                                .w = packed,
                                .residual = res,
                                .y = y,
                                .y2 = y2,
                                .x_row = width,
                                .x_tap = 2 * width,
                                .residual_row = cols,
                                .y_row = cols,
                                .y2_row = cols,
                                .rows = rows,
                                .taps = taps,
                                .depth = depth,
                                .cols = cols,
                                .form = form,
                                .first = {NR_TANH, 0, 0},
                                .second = {NR_LEAKY_RELU, 0.2f, 0}};
                k->product(&p);
                for (int r = 0; r < rows; r++)
                    for (int c = 0; c < cols; c++) {
                        double sum = bias[c];
                        for (int t = 0; t < taps; t++)
                            for (int d = 0; d < depth; d++)
                                sum += (double)x[(r + 2 * t) * width + d] * w[(t * depth + d) * cols + c];
                        sum = tanh(sum) + res[r * cols + c];
                        worst = fmax(worst, fabs(y[r * cols + c] - sum));
                        worst = fmax(worst, fabs(y2[r * cols + c] - (sum > 0 ? sum : 0.2 * sum)));
                    }
                free(x), free(w), free(bias), free(res), free(y), free(y2), free(packed), free(kept), free(scale);
            }
    report(what, worst, form == NR_I8 ? 2e-4 : 5e-6); /* int8: sums of up to hundreds */
}

static double softplus_exact(double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double sigmoid_exact(double x) { return 1 / (1 + exp(-x)); }

static void functions(const nr_kernels *k) {
    static const struct {
        const char *name;
        int fn;
        double (*exact)(double);
    } all[] = {{"exp", NR_EXP, exp},
               {"log", NR_LOG, log},
               {"tanh", NR_TANH, tanh},
               {"sin", NR_SIN, sin},
               {"cos", NR_COS, cos},
               {"expm1", NR_EXPM1, expm1},
               {"sigmoid", NR_SIGMOID, sigmoid_exact},
               {"softplus", NR_SOFTPLUS, softplus_exact}};
    enum { N = 20001 };
    static float x[N], y[N];
    for (size_t f = 0; f < sizeof all / sizeof *all; f++) {
        double worst = 0;
        for (int i = 0; i < N; i++) x[i] = all[f].fn == NR_LOG ? expf((float)i / 150 - 60) : (float)(i - N / 2) / 120;
        k->unary(all[f].fn, y, x, N, 0, 0);
        for (int i = 0; i < N; i++) {
            double exact = all[f].exact(x[i]), absolute = all[f].fn == NR_SIN || all[f].fn == NR_COS;
            worst = fmax(worst, fabs(y[i] - exact) / (absolute ? 1 : fmax(fabs(exact), 1e-37)));
        }
        report(all[f].name, worst, 3e-7);
    }
    x[0] = NAN, x[1] = INFINITY, x[2] = -INFINITY;
    k->unary(NR_TANH, y, x, 3, 0, 0);
    report("tanh of NaN and infinities", isnan(y[0]) && y[1] == 1 && y[2] == -1 ? 0 : 1, 0);
}

static void sources(const nr_kernels *k) {
    enum { ROWS = 5, HOP = 77, N = 9, LENGTH = 101 };
    float *a = numbers(ROWS * N), *table = numbers(N * LENGTH), last[N] = {0}, out[ROWS * HOP];
    uint32_t steps[N], phases[N] = {0}, position = 90;
    for (int i = 0; i < N; i++) steps[i] = 12345678u * (uint32_t)(i + 1);
    nr_oscillators o = {.amplitudes = a,
                        .amplitude_row = N,
                        .out_stride = 1,
                        .steps = steps,
                        .last = last,
                        .phases = phases,
                        .out = out,
                        .rows = ROWS,
                        .count = N,
                        .hop = HOP};
    k->oscillators(&o);
    double worst = 0;
    for (int t = 0; t < ROWS * HOP; t++) {
        double sum = 0;
        for (int i = 0; i < N; i++) {
            double from = t / HOP ? a[(t / HOP - 1) * N + i] : 0,
                   level = from + (a[t / HOP * N + i] - from) * (t % HOP + 1) / HOP;
            sum += level * sin(6.283185307179586 * (double)(uint32_t)((uint32_t)(t + 1) * steps[i]) / 4294967296.0);
        }
        worst = fmax(worst, fabs(out[t] - sum));
    }
    report("oscillators", worst, 5e-6);
    memset(last, 0, sizeof last);
    nr_noise_bands b = {.amplitudes = a,
                        .table = table,
                        .amplitude_row = N,
                        .out_stride = 1,
                        .length = LENGTH,
                        .last = last,
                        .position = &position,
                        .out = out,
                        .rows = ROWS,
                        .bands = N,
                        .hop = HOP};
    k->noise_bands(&b);
    worst = 0;
    for (int t = 0; t < ROWS * HOP; t++) {
        double sum = 0;
        for (int i = 0; i < N; i++) {
            double from = t / HOP ? a[(t / HOP - 1) * N + i] : 0,
                   level = from + (a[t / HOP * N + i] - from) * (t % HOP + 1) / HOP;
            sum += level * table[i * LENGTH + (90 + t) % LENGTH];
        }
        worst = fmax(worst, fabs(out[t] - sum));
    }
    report("noise bands", worst, 5e-6);
    free(a), free(table);
}

static uint32_t mixed(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

static void randoms(const nr_kernels *k) {
    enum { N = 1003 };
    float y[N], z[N];
    k->random(0, y, 99, 4294967000u, N);
    double worst = 0;
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs(y[i] - (mixed(mixed((4294967000u + (uint32_t)i) ^ 99) + 99) >> 8) / 16777216.0));
    report("uniform numbers", worst, 0);
    k->random(1, y, 7, 0, N);
    for (int i = 0; i < N; i++) k->random(1, z + i, 7, (uint32_t)i, 1);
    report("normal numbers do not depend on the run", memcmp(y, z, sizeof y) ? 1 : 0, 0);
}

static void modes(void) {
    volatile float small = 1.5e-38f;
    volatile double before = small * 0.5f;
    nr_denormals_off();
    report("denormals off", before > 0 && small * 0.5f == 0 ? 0 : 1, 0);
}

int main(void) {
    const nr_kernels *k = nr_kernels_in_use();
    printf("kernels: %s, %d lanes\n", k->name, k->lanes);
    products(k, NR_F32, "products of 1 to 19 rows"), products(k, NR_BF16, "of bfloat16 weights"), products(k, NR_I8, "of int8 weights");
    functions(k), sources(k), randoms(k), modes();
    return failures;
}
