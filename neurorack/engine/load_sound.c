/* Loading sound sources and the operations that walk element by element: scans, look-ups, random numbers. */
#include <math.h>
#include <string.h>

#include "engine/op.h"

static void run_scan(ready *op) { /* v: x, y moved so that the scanned axis is the last of four; sums in double */
    const strided *s = &op->u.strided;
    const operand *x = &s->v[0], *y = &s->v[1];
    const int product = s->ints[0] == NR_MUL;
    for (int64_t i = 0; i < x->shape[0]; i++)
        for (int64_t j = 0; j < x->shape[1]; j++)
            for (int64_t k = 0; k < x->shape[2]; k++) {
                const float *from = x->p + i * x->stride[0] + j * x->stride[1] + k * x->stride[2];
                float *to = y->p + i * y->stride[0] + j * y->stride[1] + k * y->stride[2];
                double total = product ? 1 : 0;
                for (int64_t l = 0; l < x->shape[3]; l++) {
                    total = product ? total * from[l * x->stride[3]] : total + from[l * x->stride[3]];
                    to[l * y->stride[3]] = (float)total;
                }
            }
}

static void run_arg(ready *op) { /* v: x [rows, n], y [rows]; the first of equals, NaN before all, as in torch */
    const strided *s = &op->u.strided;
    const operand *x = &s->v[0], *y = &s->v[1];
    const float sign = s->ints[0] == NR_MAX ? 1.0f : -1.0f;
    for (int64_t r = 0; r < x->shape[0]; r++) {
        const float *from = x->p + r * x->stride[0];
        int64_t best = 0;
        for (int64_t i = 1; i < x->shape[1]; i++) {
            float now = from[best * x->stride[1]], next = from[i * x->stride[1]];
            if (now == now && (next != next || sign * next > sign * now)) best = i;
        }
        y->p[r * y->stride[0]] = (float)best;
    }
}

static void run_gather(ready *op) { /* v: x [n, cols], indices [rows], y [rows, cols]; NaN for an index outside */
    const strided *s = &op->u.strided;
    const operand *x = &s->v[0], *at = &s->v[1], *y = &s->v[2];
    for (int64_t r = 0; r < y->shape[0]; r++) {
        const float index = at->p[r * at->stride[0]];
        const int inside = index >= 0 && index < (float)x->shape[0];
        const float *from = x->p + (inside ? (int64_t)index : 0) * x->stride[0];
        float *to = y->p + r * y->stride[0];
        for (int64_t c = 0; c < y->shape[1]; c++) to[c * y->stride[1]] = inside ? from[c * x->stride[1]] : NAN;
    }
}

static int push_strided(nr_program *p, void (*run)(ready *), const operand *v, int n, const int64_t *ints) {
    ready *op = nr_append(p, run);
    if (!op) return -1;
    memcpy(op->u.strided.v, v, (size_t)n * sizeof *v);
    memcpy(op->u.strided.ints, ints, sizeof op->u.strided.ints);
    return 0;
}

static operand axis_last(const operand *o, int axis) {
    operand m = *o;
    m.dims = 4;
    for (int d = 0; d < 4; d++) m.shape[d] = 1, m.stride[d] = 0;
    for (int d = 0, e = 0; d < o->dims; d++) {
        int place = d == axis ? 3 : e++;
        m.shape[place] = o->shape[d];
        m.stride[place] = o->stride[d];
    }
    return m;
}

static int load_scan(nr_program *p, const nr_op_spec *s) {
    operand v[2];
    if (nr_settled(p, s, 0, &v[0]) || nr_operand(p, s, 1, &v[1])) return -1;
    int fits = v[0].p && v[1].p && !v[1].constant && v[0].dims == v[1].dims && s->ints[1] >= 0 &&
               s->ints[1] < v[0].dims && (s->ints[0] == NR_ADD || s->ints[0] == NR_MUL);
    for (int d = 0; fits && d < v[0].dims; d++) fits = v[0].shape[d] == v[1].shape[d];
    if (!fits || (nr_overlap(&v[0], &v[1]) && !nr_same(&v[0], &v[1])))
        return nr_fail(p, "scan: shapes do not agree, or its operands overlap");
    for (int i = 0; i < 2; i++) v[i] = axis_last(&v[i], (int)s->ints[1]);
    return push_strided(p, run_scan, v, 2, s->ints);
}

int nr_load_walk(nr_program *p, const nr_op_spec *s) {
    operand v[3] = {{0}};
    if (s->code == NR_OP_SCAN) return load_scan(p, s);
    if (nr_settled(p, s, 0, &v[0]) || nr_settled(p, s, 1, &v[1])) return -1;
    if (s->code == NR_OP_ARG) {
        if (!v[0].p || !v[1].p || v[1].constant || v[0].dims != 2 || v[1].dims != 1 || v[0].shape[0] != v[1].shape[0] ||
            nr_overlap(&v[0], &v[1]))
            return nr_fail(p, "arg wants x [rows, n] and y [rows]");
        return push_strided(p, run_arg, v, 2, s->ints);
    }
    if (nr_operand(p, s, 2, &v[2])) return -1;
    if (!v[0].p || !v[1].p || !v[2].p || v[2].constant || v[0].dims != 2 || v[1].dims != 1 || v[2].dims != 2 ||
        v[1].shape[0] != v[2].shape[0] || v[0].shape[1] != v[2].shape[1] || nr_overlap(&v[2], &v[0]) ||
        nr_overlap(&v[2], &v[1]))
        return nr_fail(p, "gather wants x [n, cols], indices [rows] and y [rows, cols], apart from each other");
    return push_strided(p, run_gather, v, 3, s->ints);
}

static void run_oscillators(ready *op) { op->k->oscillators(&op->u.oscillators); }
static void run_noise_bands(ready *op) { op->k->noise_bands(&op->u.noise_bands); }

static int plain(const operand *o, int64_t size) {
    return o->p && !o->constant && o->dims == 1 && o->shape[0] == size && (size == 1 || o->stride[0] == 1);
}
static int rows_of(const operand *o, int64_t rows, int64_t cols) {
    return o->p && o->dims == 2 && o->shape[0] == rows && o->shape[1] == cols && (cols == 1 || o->stride[1] == 1);
}

/* views: amplitudes [rows, n]; either steps [n] (constant, integers, 2^-32 turns per sample) or frequencies [rows, n] (cycles per
 * sample); last amplitudes [n], phases [n] and last steps [n] (states; the latter two are integers); y [rows * hop]. */
int nr_load_oscillators(nr_program *p, const nr_op_spec *s) {
    operand a, steps, f, last, phases, last_steps, y;
    if (nr_settled(p, s, 0, &a) || nr_settled(p, s, 1, &steps) || nr_settled(p, s, 2, &f) ||
        nr_operand(p, s, 3, &last) || nr_operand(p, s, 4, &phases) || nr_operand(p, s, 5, &last_steps) ||
        nr_operand(p, s, 6, &y))
        return -1;
    const int64_t rows = a.shape[0], n = a.shape[1], hop = s->ints[0];
    if (!rows_of(&a, rows, n) || hop < 1 || hop > 65535 || !y.p || y.constant || y.dims != 1 ||
        y.shape[0] != rows * hop || !plain(&last, n) || !plain(&phases, n) ||
        (f.p ? steps.p || !rows_of(&f, rows, n) || !plain(&last_steps, n)
             : !steps.constant || steps.dims != 1 || steps.shape[0] != n) ||
        nr_overlap(&y, &a) || nr_overlap(&y, &f))
        return nr_fail(p, "oscillators: shapes do not agree");
    uint32_t *fixed = NULL;
    if (steps.p) {
        nr_pool_key key = {{7, (int64_t)(intptr_t)steps.from->data, steps.at, n, steps.stride[0]}};
        if (!(fixed = (uint32_t *)nr_pool_find(p->pool, &key))) {
            if (!(fixed = (uint32_t *)nr_pool_add(p->pool, &key, (size_t)n))) return nr_fail(p, "out of memory");
            for (int64_t i = 0; i < n; i++) memcpy(&fixed[i], &steps.p[i * steps.stride[0]], 4);
        }
        for (int64_t i = 0; i < n; i++)
            if (fixed[i] >= 0x80000000u)
                return nr_fail(p, "oscillator %d at %g cycles per sample (below 0.5)", (int)i, fixed[i] / 4294967296.0);
    }
    ready *op = nr_append(p, run_oscillators);
    if (!op) return -1;
    op->u.oscillators = (nr_oscillators){.amplitudes = a.p,
                                         .frequencies = f.p,
                                         .amplitude_row = a.stride[0],
                                         .frequency_row = f.stride[0],
                                         .out_stride = y.stride[0],
                                         .steps = fixed,
                                         .last = last.p,
                                         .phases = (uint32_t *)phases.p,
                                         .last_steps = (uint32_t *)last_steps.p,
                                         .out = y.p,
                                         .rows = (int32_t)rows,
                                         .count = (int32_t)n,
                                         .hop = (int32_t)hop};
    return 0;
}

/* views: amplitudes [rows, bands], table [bands, length] (constant), last [bands], position [1] (integer), y [rows * hop]. */
int nr_load_noise_bands(nr_program *p, const nr_op_spec *s) {
    operand a, table, last, position, y;
    if (nr_settled(p, s, 0, &a) || nr_settled(p, s, 1, &table) || nr_operand(p, s, 2, &last) ||
        nr_operand(p, s, 3, &position) || nr_operand(p, s, 4, &y))
        return -1;
    const int64_t rows = a.shape[0], n = a.shape[1], hop = s->ints[0];
    if (!rows_of(&a, rows, n) || hop < 1 || !y.p || y.constant || y.dims != 1 || y.shape[0] != rows * hop ||
        !plain(&last, n) || !plain(&position, 1) || !table.constant || table.dims != 2 || table.shape[0] != n ||
        table.stride[1] != 1 || table.stride[0] != table.shape[1] || nr_overlap(&y, &a))
        return nr_fail(p, "noise_bands: shapes do not agree");
    ready *op = nr_append(p, run_noise_bands);
    if (!op) return -1;
    op->u.noise_bands = (nr_noise_bands){.amplitudes = a.p,
                                         .table = table.p,
                                         .amplitude_row = a.stride[0],
                                         .out_stride = y.stride[0],
                                         .length = table.shape[1],
                                         .last = last.p,
                                         .position = (uint32_t *)position.p,
                                         .out = y.p,
                                         .rows = (int32_t)rows,
                                         .bands = (int32_t)n,
                                         .hop = (int32_t)hop};
    return 0;
}

static uint32_t mixed(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* The counter is 64 bits: the low half numbers elements, the high half makes a new sequence. */
static void run_random(ready *op) {
    strided *s = &op->u.strided;
    uint32_t *counter = (uint32_t *)s->v[0].p;
    for (int64_t done = 0, total = s->ints[2]; done < total;) {
        int64_t left = ((int64_t)1 << 32) - counter[0], n = total - done < left ? total - done : left;
        op->k->random(s->ints[0] != 0, s->work + done, (uint32_t)s->ints[1] ^ mixed(counter[1]), counter[0], n);
        counter[1] += ((uint64_t)counter[0] + (uint64_t)n) >> 32;
        counter[0] += (uint32_t)n;
        done += n;
    }
}

/* views: counter [2] (state, integers), y; ints: normal, seed. */
int nr_load_random(nr_program *p, const nr_op_spec *s) {
    operand counter, y;
    if (nr_operand(p, s, 0, &counter) || nr_operand(p, s, 1, &y)) return -1;
    if (!plain(&counter, 2) || !y.p || y.constant || nr_overlap(&counter, &y))
        return nr_fail(p, "random wants a counter [2] and a result");
    int64_t size = 1;
    for (int d = 0; d < y.dims; d++) size *= y.shape[d];
    operand dense = nr_dense(y.p, y.dims, y.shape);
    if (!nr_same(&dense, &y)) dense.p = nr_work(p, size);
    int64_t ints[4] = {s->ints[0], s->ints[1], size};
    if (push_strided(p, run_random, &counter, 1, ints)) return -1;
    p->ops[p->n_ops - 1].u.strided.work = dense.p;
    return dense.p == y.p ? 0 : nr_push_copy(p, &y, &dense);
}

static void run_filter_frames(ready *op) { /* v: x [rows * hop], ir [rows, taps], tail [taps - 1], y [rows * hop] */
    strided *s = &op->u.strided;
    const operand *x = &s->v[0], *ir = &s->v[1], *tail = &s->v[2], *y = &s->v[3];
    const int64_t hop = s->ints[0], taps = ir->shape[1];
    float *sum = s->work, *response = s->work + hop + taps;
    for (int64_t r = 0; r < ir->shape[0]; r++) {
        memset(sum, 0, (size_t)(hop + taps) * 4);
        memcpy(sum, tail->p, (size_t)(taps - 1) * 4);
        for (int64_t i = 0; i < taps; i++) response[i] = ir->p[r * ir->stride[0] + i * ir->stride[1]];
        for (int64_t i = 0; i < hop; i++)
            op->k->multiply_add(sum + i, x->p[(r * hop + i) * x->stride[0]], response, taps);
        for (int64_t i = 0; i < hop; i++) y->p[(r * hop + i) * y->stride[0]] = sum[i];
        memcpy(tail->p, sum + hop, (size_t)(taps - 1) * 4);
    }
}

int nr_load_filter_frames(nr_program *p, const nr_op_spec *s) {
    operand v[4];
    const int64_t hop = s->ints[0];
    if (nr_settled(p, s, 0, &v[0]) || nr_settled(p, s, 1, &v[1]) || nr_operand(p, s, 2, &v[2]) ||
        nr_operand(p, s, 3, &v[3]))
        return -1;
    if (!v[0].p || !v[1].p || !v[3].p || v[3].constant || hop < 1 || v[0].dims != 1 || v[1].dims != 2 ||
        v[3].dims != 1 || v[1].shape[1] < 2 || v[0].shape[0] != v[1].shape[0] * hop || v[3].shape[0] != v[0].shape[0] ||
        !plain(&v[2], v[1].shape[1] - 1) || (nr_overlap(&v[3], &v[0]) && !nr_same(&v[3], &v[0])) ||
        nr_overlap(&v[3], &v[1]) || nr_overlap(&v[3], &v[2]))
        return nr_fail(p, "filter_frames wants x [rows * hop], ir [rows, taps], tail [taps - 1] and y [rows * hop]");
    float *work = nr_work(p, hop + 2 * v[1].shape[1]);
    if (push_strided(p, run_filter_frames, v, 4, s->ints)) return -1;
    p->ops[p->n_ops - 1].u.strided.work = work;
    return 0;
}
