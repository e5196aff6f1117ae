/* Pointwise operations, copies and reductions over strided views of up to four dimensions. */
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"

#define CHUNK 256 /* gathered at a time where steps are not 1 */
#define EXACT_SPAN ((int64_t)1 << 22)

operand nr_dense(float *p, int dims, const int64_t *shape) {
    operand o = {.p = p, .dims = dims};
    int64_t step = 1;
    for (int i = dims - 1; i >= 0; i--) {
        o.shape[i] = shape[i];
        o.stride[i] = step;
        step *= shape[i];
    }
    return o;
}

static void span(const operand *o, const float **low, const float **high) {
    *low = *high = o->p;
    for (int i = 0; i < o->dims; i++) {
        int64_t reach = (o->shape[i] - 1) * o->stride[i];
        if (reach < 0) *low += reach;
        else *high += reach;
    }
}

static int64_t numbers(const operand *o) {
    int64_t n = 1;
    for (int i = 0; i < o->dims; i++) n *= o->shape[i];
    return n;
}

/* Marks the floats of o in seen (when marking), or tells whether one is marked. */
static int visit(const operand *o, char *seen, const float *base, int64_t size, int marking) {
    int64_t at[NR_DIMS] = {0};
    for (;;) {
        int64_t place = o->p - base;
        for (int i = 0; i < o->dims; i++) place += at[i] * o->stride[i];
        if (place >= 0 && place < size) {
            if (marking) seen[place] = 1;
            else if (seen[place]) return 1;
        }
        int d = o->dims - 1;
        while (d >= 0 && ++at[d] == o->shape[d]) at[d--] = 0;
        if (d < 0) return 0;
    }
}

int nr_overlap(const operand *a, const operand *b) {
    const float *al, *ah, *bl, *bh;
    if (!a->p || !b->p) return 0;
    span(a, &al, &ah);
    span(b, &bl, &bh);
    if (ah < bl || bh < al) return 0;
    int64_t size = ah - al + 1;
    if (size > EXACT_SPAN || numbers(a) > EXACT_SPAN || numbers(b) > EXACT_SPAN) return 1;
    char *seen = calloc((size_t)size, 1);
    if (!seen) return 1;
    visit(a, seen, al, size, 1);
    int shared = visit(b, seen, al, size, 0);
    free(seen);
    return shared;
}

int nr_same(const operand *a, const operand *b) {
    if (a->p != b->p || a->dims != b->dims) return 0;
    for (int i = 0; i < a->dims; i++)
        if (a->shape[i] != b->shape[i] || (a->shape[i] > 1 && a->stride[i] != b->stride[i])) return 0;
    return 1;
}

static void kernel(const loop *l, const nr_kernels *k, float *y, const float *a, int a_step, const float *b, int b_step,
                   const float *c, int c_step, int64_t n) {
    if (l->fold) k->binary(l->fn, y, y, 1, a, a_step, n);
    else if (l->arity == 1 && a_step) k->unary(l->fn, y, a, n, l->a, l->b);
    else if (l->arity == 1) {
        float value;
        k->unary(l->fn, &value, a, 1, l->a, l->b);
        for (int64_t i = 0; i < n; i++) y[i] = value;
    } else if (l->arity == 2) k->binary(l->fn, y, a, a_step, b, b_step, n);
    else k->ternary(l->fn, y, a, a_step, b, b_step, c, c_step, n);
}

static const float *gathered(float *buffer, const float *p, int64_t step, int64_t n) {
    if (step == 1) return p;
    for (int64_t i = 0; i < n; i++) buffer[i] = p[i * step];
    return buffer;
}

/* One innermost run whose steps are not all 1: by way of small buffers. */
static void stepped(const loop *l, const nr_kernels *k, float *const *p) {
    const int last = l->dims - 1;
    float in[3][CHUNK], result[CHUNK];
    const int64_t step = l->stride[0][last];
    for (int64_t done = 0; done < l->n[last]; done += CHUNK) {
        int64_t n = l->n[last] - done < CHUNK ? l->n[last] - done : CHUNK;
        const float *from[3] = {0};
        int steps[3] = {0};
        for (int i = 0; i < l->arity; i++) {
            int64_t s = l->stride[i + 1][last];
            steps[i] = s != 0;
            from[i] = s ? gathered(in[i], p[i + 1] + done * s, s, n) : p[i + 1];
        }
        float *to = step == 1 ? p[0] + done : result;
        if (l->fold && step != 1) gathered(result, p[0] + done * step, step, n);
        kernel(l, k, to, from[0], steps[0], from[1], steps[1], from[2], steps[2], n);
        for (int64_t i = 0; step != 1 && i < n; i++) p[0][(done + i) * step] = result[i];
    }
}

static void innermost(const loop *l, const nr_kernels *k, float *const *p) {
    const int last = l->dims - 1;
    if (l->fold && l->stride[0][last] == 0) { /* many onto one */
        float value = *p[0];
        const int64_t step = l->stride[1][last];
        if (step == 1) value = k->fold(l->fn, value, p[1], l->n[last]);
        else
            for (int64_t i = 0; i < l->n[last]; i++) k->binary(l->fn, &value, &value, 1, p[1] + i * step, 1, 1);
        *p[0] = value;
    } else if (l->direct)
        kernel(l, k, p[0], p[1], (int)l->stride[1][last], p[2], (int)l->stride[2][last], p[3], (int)l->stride[3][last],
               l->n[last]);
    else stepped(l, k, p);
}

static void run_loop(ready *op) {
    const loop *l = &op->u.loop;
    float *p[NR_DIMS] = {l->p[0], l->p[1], l->p[2], l->p[3]};
    int64_t at[NR_DIMS] = {0};
    for (;;) {
        innermost(l, op->k, p);
        int d = l->dims - 2;
        for (; d >= 0; d--) {
            for (int i = 0; i <= l->arity; i++) p[i] += l->stride[i][d];
            if (++at[d] < l->n[d]) break;
            for (int i = 0; i <= l->arity; i++) p[i] -= l->n[d] * l->stride[i][d];
            at[d] = 0;
        }
        if (d < 0) return;
    }
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/* Drops dimensions of one element, puts the result's (then the operands') smallest step innermost, and merges
 * dimensions that are one run of memory for every operand. */
static void simplify(loop *l) {
    int n = 0, sides = l->arity + 1;
    for (int d = 0; d < l->dims; d++) {
        if (l->n[d] == 1) continue;
        l->n[n] = l->n[d];
        for (int i = 0; i < sides; i++) l->stride[i][n] = l->stride[i][d];
        n++;
    }
    for (int a = 1; a < n; a++) /* insertion sort, largest step first */
        for (int b = a; b > 0; b--) {
            int64_t x = magnitude(l->stride[0][b - 1]), y = magnitude(l->stride[0][b]);
            if (l->fold && (!x || !y)) x = magnitude(l->stride[1][b - 1]), y = magnitude(l->stride[1][b]);
            if (x >= y) break;
            int64_t t = l->n[b];
            l->n[b] = l->n[b - 1];
            l->n[b - 1] = t;
            for (int i = 0; i < sides; i++) {
                t = l->stride[i][b];
                l->stride[i][b] = l->stride[i][b - 1];
                l->stride[i][b - 1] = t;
            }
        }
    for (int d = n - 2; d >= 0; d--) {
        int one = 1;
        for (int i = 0; i < sides; i++) one &= l->stride[i][d] == l->stride[i][d + 1] * l->n[d + 1];
        if (!one) continue;
        l->n[d] *= l->n[d + 1];
        for (int i = 0; i < sides; i++) l->stride[i][d] = l->stride[i][d + 1];
        for (int e = d + 1; e < n - 1; e++) {
            l->n[e] = l->n[e + 1];
            for (int i = 0; i < sides; i++) l->stride[i][e] = l->stride[i][e + 1];
        }
        n--;
    }
    if (!n) {
        n = 1;
        l->n[0] = 1;
        for (int i = 0; i < sides; i++) l->stride[i][0] = 1;
    }
    l->dims = n;
    l->direct = l->stride[0][n - 1] == 1;
    for (int i = 1; i < sides; i++) l->direct &= l->stride[i][n - 1] == 0 || l->stride[i][n - 1] == 1;
}

static int push_loop(nr_program *p, int arity, int fn, float a, float b, const operand *v, int fold) {
    ready *op = nr_append(p, run_loop);
    if (!op) return -1;
    loop *l = &op->u.loop;
    *l = (loop){.arity = arity, .fn = fn, .a = a, .b = b, .fold = fold, .dims = v[fold ? 1 : 0].dims};
    const operand *full = &v[fold ? 1 : 0];
    for (int d = 0; d < full->dims; d++) l->n[d] = full->shape[d];
    for (int i = 0; i <= arity; i++) {
        l->p[i] = v[i].p;
        int shift = full->dims - v[i].dims; /* operands align at the last dimension, as in numpy */
        if (shift < 0) return nr_fail(p, "an operand has more dimensions than the result");
        for (int d = 0; d < full->dims; d++) {
            int e = d - shift;
            int64_t size = e < 0 ? 1 : v[i].shape[e];
            if (size != 1 && size != full->shape[d])
                return nr_fail(p, "an operand of %lld does not fit a result of %lld", (long long)size,
                               (long long)full->shape[d]);
            l->stride[i][d] = size == 1 ? 0 : v[i].stride[e];
        }
    }
    simplify(l);
    return 0;
}

/* A copy towards lower addresses within one layout may run upwards in place. */
static int runs_upwards(const operand *to, const operand *from) {
    if (to->dims != from->dims || to->p >= from->p) return 0;
    int64_t below = 0; /* rows must not reach into each other */
    for (int d = to->dims - 1; d >= 0; d--) {
        if (to->shape[d] == 1) continue;
        if (to->stride[d] != from->stride[d] || to->stride[d] <= below) return 0;
        below += (to->shape[d] - 1) * to->stride[d];
    }
    return 1;
}

static int push_safely(nr_program *p, int arity, int fn, float a, float b, const operand *v) {
    int clash = 0;
    for (int i = 1; i <= arity; i++) clash |= !nr_same(&v[0], &v[i]) && nr_overlap(&v[0], &v[i]);
    if (clash && arity == 1 && fn == NR_COPY && runs_upwards(&v[0], &v[1])) clash = 0;
    if (!clash) return push_loop(p, arity, fn, a, b, v, 0);
    operand aside[4] = {nr_dense(nr_work(p, numbers(&v[0])), v[0].dims, v[0].shape), v[1], v[2], v[3]};
    if (push_loop(p, arity, fn, a, b, aside, 0)) return -1;
    operand back[4] = {v[0], aside[0]};
    return push_loop(p, 1, NR_COPY, 0, 0, back, 0);
}

int nr_push_pointwise(nr_program *p, int arity, int fn, float a, float b, const operand *v) {
    operand four[4] = {{0}};
    memcpy(four, v, (size_t)(arity + 1) * sizeof *v);
    return push_safely(p, arity, fn, a, b, four);
}

int nr_push_copy(nr_program *p, const operand *to, const operand *from) {
    operand v[2] = {*to, *from};
    return nr_push_pointwise(p, 1, NR_COPY, 0, 0, v);
}

int nr_load_pointwise(nr_program *p, const nr_op_spec *s) {
    const int arity = s->code == NR_OP_UNARY ? 1 : s->code == NR_OP_BINARY ? 2 : 3;
    const int count = arity == 1 ? NR_UNARY_COUNT : arity == 2 ? NR_BINARY_COUNT : NR_TERNARY_COUNT;
    operand v[4] = {{0}};
    if (s->views != arity + 1 || s->ints[0] < 0 || s->ints[0] >= count)
        return nr_fail(p, "unknown pointwise function %d", (int)s->ints[0]);
    for (int i = 0; i < arity; i++)
        if (nr_settled(p, s, i, &v[i + 1])) return -1;
    if (nr_operand(p, s, arity, &v[0])) return -1;
    for (int i = 0; i <= arity; i++)
        if (!v[i].p || (!i && v[i].constant)) return nr_fail(p, "a pointwise operation lacks an operand");
    return push_safely(p, arity, (int)s->ints[0], (float)s->floats[0], (float)s->floats[1], v);
}

/* views: x, y; ints: function (NR_ADD, NR_MUL, NR_MAX, NR_MIN); y has 1 where x is reduced; floats[0] scales. */
int nr_load_reduce(nr_program *p, const nr_op_spec *s) {
    operand x, y;
    const int fn = (int)s->ints[0];
    if (nr_settled(p, s, 0, &x) || nr_operand(p, s, 1, &y)) return -1;
    if (!x.p || !y.p || y.constant || x.dims != y.dims ||
        (fn != NR_ADD && fn != NR_MUL && fn != NR_MAX && fn != NR_MIN))
        return nr_fail(p, "a reduction lacks an operand");
    operand to = y;
    if (nr_overlap(&x, &y)) to = nr_dense(nr_work(p, numbers(&y)), y.dims, y.shape);
    operand first = x; /* the first of each, to start max and min from, NaN included */
    for (int d = 0; d < x.dims; d++) first.shape[d] = to.shape[d];
    const float scale = fn == NR_MUL || fn == NR_ADD ? 0.0f : 1.0f, start = fn == NR_MUL ? 1.0f : 0.0f;
    operand constant[2] = {to, first}, both[2] = {to, x};
    if (scale == 0.0f) {
        nr_pool_key key = {{2, fn == NR_MUL}};
        float *value = nr_pool_find(p->pool, &key);
        if (!value && (value = nr_pool_add(p->pool, &key, 1))) *value = start;
        if (!value) return nr_fail(p, "out of memory");
        constant[1] = (operand){.p = value, .constant = 1};
    }
    if (push_loop(p, 1, NR_COPY, 0, 0, constant, 0) || push_loop(p, 1, fn, 0, 0, both, 1)) return -1;
    if (s->floats[0] != 1.0) {
        operand scaled[2] = {to, to};
        if (push_loop(p, 1, NR_AFFINE, (float)s->floats[0], 0, scaled, 0)) return -1;
    }
    return to.p == y.p ? 0 : nr_push_copy(p, &y, &to);
}
