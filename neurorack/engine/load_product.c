/* Loading what runs as matrix products: convolutions, transposed convolutions, matrix products, GRU. */
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"

static void run_product(ready *op) { op->k->product(&op->u.product); }
static void run_depthwise(ready *op) { op->k->depthwise(&op->u.depthwise.product, op->u.depthwise.bias); }

static void run_fill(ready *op) {
    for (int64_t i = 0; i < op->u.fill.n; i++) op->u.fill.y[i] = op->u.fill.value;
}

/* How the panels of w [taps][in][out] keep it: as the file does, but int8 only where all weights of an output share a scale. */
static int panel_form(const operand *w) {
    const nr_buffer_spec *b = w->from;
    if (b->form != NR_I8 || b->channels == 1) return (int)b->form;
    int64_t within = w->at % b->inner;
    if (w->shape[2] > 1 && w->stride[2] % b->inner) return NR_F32;
    for (int d = 0; d < 2; d++) {
        if (w->shape[d] == 1 || w->stride[d] % (b->inner * b->channels) == 0) continue;
        if (w->stride[d] < 0) return NR_F32;
        within += (w->shape[d] - 1) * w->stride[d];
    }
    return within < b->inner ? NR_I8 : NR_F32;
}

/* Fill the panels: weights and bias one after the other, [taps][in][out], with the scales of int8. In the order of a transposed
 * convolution where stride is not 0: [J][in][stride][out], J = ceil(taps / stride), the taps that reach furthest back first. */
static int fill_panels(nr_program *p, float *data, int form, const operand *w, const operand *bias, int64_t stride) {
    const int64_t depth = w->shape[1], cols = w->shape[2], across = stride ? stride : 1, wide = across * cols,
                  taps = (w->shape[0] + across - 1) / across;
    const nr_buffer_spec *b = w->from;
    operand plain = *w; /* the whole numbers of int8 */
    nr_buffer_spec unscaled = *b;
    const float one = 1.0f;
    if (form == NR_I8) unscaled.scale = &one, unscaled.channels = 1, plain.from = &unscaled;
    float *all = nr_aligned((size_t)(taps * depth * wide)), *ends = nr_aligned((size_t)(2 * wide));
    for (int64_t t = 0; all && t < w->shape[0]; t++)
        for (int64_t c = 0; c < depth; c++)
            for (int64_t o = 0; o < cols; o++)
                all[stride ? ((taps - 1 - t / stride) * depth + c) * wide + t % stride * cols + o : (t * depth + c) * wide + o] =
                    nr_number(&plain, t * w->stride[0] + c * w->stride[1] + o * w->stride[2]);
    for (int64_t i = 0; ends && i < wide; i++) {
        ends[i] = bias->p ? nr_number(bias, i % cols * bias->stride[0]) : 0.0f;
        if (form == NR_I8) ends[wide + i] = b->scale[(w->at + i % cols * w->stride[2]) / b->inner % b->channels];
    }
    if (all && ends) p->k->pack(form, data, all, ends, ends + wide, taps, depth, wide, depth * wide, wide, 1);
    const int bad = !all || !ends;
    free(all);
    free(ends);
    return bad;
}

/* The product's weights, packed once for all programs of the pool; stride as above. */
static int packed(nr_program *p, nr_product *product, const operand *w, const operand *bias, int64_t stride) {
    const int64_t across = stride ? stride : 1, taps = (w->shape[0] + across - 1) / across;
    const nr_pool_key key = {{3, (int64_t)(intptr_t)w->from->data, w->at, w->shape[0], w->shape[1], w->shape[2], w->stride[0],
                              w->stride[1], w->stride[2], bias->p ? (int64_t)(intptr_t)bias->from->data : 0, bias->at,
                              bias->p ? bias->stride[0] : 0, stride}};
    product->form = panel_form(w);
    if ((product->w = nr_pool_find(p->pool, &key))) return 0;
    float *data = nr_pool_add(p->pool, &key, p->k->packed_floats(product->form, taps, w->shape[1], across * w->shape[2]));
    if (!data || fill_panels(p, data, product->form, w, bias, stride)) return nr_fail(p, "out of memory");
    product->w = data;
    return 0;
}

/* o itself if its channels lie side by side, else scratch of its shape. */
static operand in_rows(nr_program *p, const operand *o) {
    if (o->stride[1] == 1 || o->shape[1] == 1) return *o;
    return nr_dense(nr_work(p, o->shape[0] * o->shape[1]), 2, o->shape);
}

static int known_activation(int64_t fn) {
    return fn == NR_COPY || fn == NR_LEAKY_RELU || fn == NR_RELU || fn == NR_TANH || fn == NR_SIGMOID ||
           fn == NR_SOFTPLUS || fn == NR_SILU || fn == NR_EXP || fn == NR_AFFINE || fn == NR_CLAMP;
}

static int push_product(nr_program *p, const nr_product *product) {
    ready *op = nr_append(p, run_product);
    if (!op) return -1;
    op->u.product = *product;
    if (product->taps > 1 && product->x_tap == product->depth && product->depth % NR_ROWS_IN(product->form) == 0) {
        /* windows without gaps are one row */
        op->u.product.depth *= product->taps;
        op->u.product.taps = 1;
    }
    return 0;
}

static int push_depthwise(nr_program *p, const nr_product *product, const operand *w, const operand *bias) {
    nr_pool_key key = {{4, (int64_t)(intptr_t)w->from->data, w->at, w->shape[0], w->shape[2], w->stride[0], w->stride[2]}};
    nr_pool_key bias_key = {{5, bias->p ? (int64_t)(intptr_t)bias->from->data : 0, bias->at, w->shape[2], bias->p ? bias->stride[0] : 0}};
    const int64_t cols = w->shape[2];
    float *rows = nr_pool_find(p->pool, &key), *offsets = bias->p ? nr_pool_find(p->pool, &bias_key) : NULL;
    if (!rows && (rows = nr_pool_add(p->pool, &key, (size_t)(w->shape[0] * cols))))
        for (int64_t t = 0; t < w->shape[0]; t++)
            for (int64_t c = 0; c < cols; c++) rows[t * cols + c] = nr_number(w, t * w->stride[0] + c * w->stride[2]);
    if (bias->p && !offsets && (offsets = nr_pool_add(p->pool, &bias_key, (size_t)cols)))
        for (int64_t c = 0; c < cols; c++) offsets[c] = nr_number(bias, c * bias->stride[0]);
    ready *op = rows && (offsets || !bias->p) ? nr_append(p, run_depthwise) : NULL;
    if (!op) return nr_fail(p, "out of memory");
    op->u.depthwise.product = *product;
    op->u.depthwise.product.w = rows;
    op->u.depthwise.bias = offsets;
    return 0;
}

static operand group_of(const operand *o, int axis, int64_t g, int64_t size) {
    operand part = *o;
    if (!part.p) return part;
    part.p += g * size * o->stride[axis];
    part.at += g * size * o->stride[axis];
    part.shape[axis] = size;
    return part;
}

static int push_groups(nr_program *p, nr_product product, const operand *w, const operand *bias, int64_t groups) {
    const int64_t depth = w->shape[1], cols = w->shape[2] / groups;
    if (groups > 1 && depth == 1 && cols == 1) return push_depthwise(p, &product, w, bias);
    product.depth = (int32_t)depth;
    product.cols = (int32_t)cols;
    for (int64_t g = 0; g < groups; g++) {
        operand part = group_of(w, 2, g, cols), offsets = group_of(bias, 0, g, cols);
        nr_product one = product;
        if (packed(p, &one, &part, &offsets, 0)) return -1;
        one.x += g * depth;
        one.y += g * cols;
        if (one.residual) one.residual += g * cols;
        if (one.y2) one.y2 += g * cols;
        if (push_product(p, &one)) return -1;
    }
    return 0;
}

/* views: x, w, bias, residual, y, y2; ints: stride, dilation, groups, activation, second activation, residual first;
 * floats: the activations' parameters. */
int nr_load_convolution(nr_program *p, const nr_op_spec *s) {
    operand x, w, bias, residual, y, y2;
    if (nr_settled(p, s, 0, &x) || nr_operand(p, s, 1, &w) || nr_operand(p, s, 2, &bias) ||
        nr_settled(p, s, 3, &residual) || nr_operand(p, s, 4, &y) || nr_operand(p, s, 5, &y2))
        return -1;
    const int64_t stride = s->ints[0], dilation = s->ints[1], groups = s->ints[2];
    if (!x.p || !w.constant || (bias.p && !bias.constant) || !y.p || y.constant || y2.constant || x.dims != 2 ||
        w.dims != 3 || y.dims != 2 || (bias.p && (bias.dims != 1 || bias.shape[0] != w.shape[2])))
        return nr_fail(p,
                       "conv1d wants x [rows, in], constant w [taps, in / groups, out] and bias [out], y [rows, out]");
    if (stride < 1 || dilation < 1 || groups < 1 || x.shape[1] != w.shape[1] * groups || w.shape[2] % groups ||
        y.shape[1] != w.shape[2] || x.shape[0] < (y.shape[0] - 1) * stride + (w.shape[0] - 1) * dilation + 1)
        return nr_fail(p, "conv1d: %lld rows do not make %lld", (long long)x.shape[0], (long long)y.shape[0]);
    for (int i = 0; i < 2; i++) {
        const operand *o = i ? &y2 : &residual;
        if (o->p && (o->dims != 2 || o->shape[0] != y.shape[0] || o->shape[1] != y.shape[1]))
            return nr_fail(p, "conv1d: residual or second output of another shape");
    }
    if (!known_activation(s->ints[3]) || !known_activation(s->ints[4]))
        return nr_fail(p, "conv1d cannot end with this function");
    operand from = in_rows(p, &x), extra = residual.p ? in_rows(p, &residual) : residual, to = in_rows(p, &y),
            to2 = y2.p ? in_rows(p, &y2) : y2;
    const int clash = nr_overlap(&to, &from) || (extra.p && nr_overlap(&to, &extra) && !nr_same(&to, &extra));
    if (clash && to.p == y.p) to = nr_dense(nr_work(p, y.shape[0] * y.shape[1]), 2, y.shape);
    if (y2.p && to2.p == y2.p && (nr_overlap(&y2, &from) || nr_overlap(&y2, &extra) || nr_overlap(&y2, &to)))
        to2 = nr_dense(nr_work(p, y.shape[0] * y.shape[1]), 2, y.shape);
    if ((from.p != x.p && nr_push_copy(p, &from, &x)) || (extra.p != residual.p && nr_push_copy(p, &extra, &residual)))
        return -1;
    nr_product product = {.x = from.p,
                          .x_row = from.stride[0] * stride,
                          .x_tap = from.stride[0] * dilation,
                          .residual = extra.p,
                          .residual_row = extra.stride[0],
                          .y = to.p,
                          .y_row = to.stride[0],
                          .y2 = to2.p,
                          .y2_row = to2.stride[0],
                          .rows = (int32_t)y.shape[0],
                          .taps = (int32_t)w.shape[0],
                          .cols = (int32_t)w.shape[2],
                          .residual_first = s->ints[5] != 0,
                          .first = {(int)s->ints[3], (float)s->floats[0], (float)s->floats[1]},
                          .second = {(int)s->ints[4], (float)s->floats[2], (float)s->floats[3]}};
    if (push_groups(p, product, &w, &bias, groups)) return -1;
    if (to.p != y.p && nr_push_copy(p, &y, &to)) return -1;
    return to2.p != y2.p ? nr_push_copy(p, &y2, &to2) : 0;
}

/* One group: rows q0 to q1 (of `stride` outputs each) of the whole product, into `to` [q1 - q0][stride * out]. */
static int push_phases(nr_program *p, const operand *from, const operand *w, const operand *bias, int64_t stride,
                       int64_t q0, int64_t q1, float *to, int64_t to_row, nr_activation first, float *second_to,
                       nr_activation second) {
    const int64_t j_count = (w->shape[0] + stride - 1) / stride;
    nr_product product = {.first = first,
                          .second = second,
                          .y2 = second_to,
                          .y2_row = to_row,
                          .x = from->p + (q0 - (j_count - 1)) * from->stride[0],
                          .x_row = from->stride[0],
                          .x_tap = from->stride[0],
                          .y = to,
                          .y_row = to_row,
                          .rows = (int32_t)(q1 - q0),
                          .taps = (int32_t)j_count,
                          .depth = (int32_t)w->shape[1],
                          .cols = (int32_t)(stride * w->shape[2])};
    if (packed(p, &product, w, bias, stride)) return -1;
    return push_product(p, &product);
}

static int dense_rows(const operand *o, int64_t cols) {
    return o->stride[0] == cols && (o->stride[1] == 1 || cols == 1);
}

/* views: x [rows, in], w [taps, in, out / groups], bias, y, y2; ints: stride, groups, crop (outputs left out in front),
 * activation, second activation. */
int nr_load_transposed(nr_program *p, const nr_op_spec *s) {
    operand x, w, bias, y, y2;
    if (nr_settled(p, s, 0, &x) || nr_operand(p, s, 1, &w) || nr_operand(p, s, 2, &bias) || nr_operand(p, s, 3, &y) ||
        nr_operand(p, s, 4, &y2))
        return -1;
    const int64_t stride = s->ints[0], groups = s->ints[1], crop = s->ints[2];
    if (!x.p || !w.constant || (bias.p && !bias.constant) || !y.p || y.constant || x.dims != 2 || w.dims != 3 ||
        y.dims != 2 || stride < 1 || groups < 1 || x.shape[1] != w.shape[1] || x.shape[1] % groups ||
        y.shape[1] != w.shape[2] * groups || crop < 0 ||
        crop + y.shape[0] > x.shape[0] * stride + (w.shape[0] > stride ? w.shape[0] - stride : 0) ||
        (bias.p && (bias.dims != 1 || bias.shape[0] != y.shape[1])) || y2.constant ||
        (y2.p && (y2.dims != 2 || y2.shape[0] != y.shape[0] || y2.shape[1] != y.shape[1] || nr_overlap(&y, &y2))))
        return nr_fail(p, "conv_transpose1d: shapes do not agree");
    if (!known_activation(s->ints[3]) || !known_activation(s->ints[4]))
        return nr_fail(p, "conv_transpose1d cannot end with this function");
    const nr_activation plain = {0}, first = {(int)s->ints[3], (float)s->floats[0], (float)s->floats[1]},
                        second = {(int)s->ints[4], (float)s->floats[2], (float)s->floats[3]};
    if ((double)(w.shape[0] + stride) * (double)(w.shape[1] * w.shape[2]) > (double)MOST_FLOATS)
        return nr_fail(p, "conv_transpose1d: stride %lld is too large", (long long)stride);
    const int64_t back = (w.shape[0] + stride - 1) / stride - 1, rows = x.shape[0], depth = w.shape[1] / groups,
                  cols = w.shape[2];
    const int64_t q0 = crop / stride, q1 = (crop + y.shape[0] + stride - 1) / stride;
    operand from = x;
    if (q0 < back || q1 > rows || (x.stride[1] != 1 && x.shape[1] > 1)) { /* zeros before and after */
        int64_t padded[2] = {rows + 2 * back, x.shape[1]};
        operand all = nr_dense(nr_work(p, padded[0] * padded[1]), 2, padded);
        ready *fill = nr_append(p, run_fill);
        if (!fill) return -1;
        fill->u.fill.y = all.p, fill->u.fill.n = padded[0] * padded[1];
        from = all;
        from.p += back * padded[1];
        from.shape[0] = rows;
        if (nr_push_copy(p, &from, &x)) return -1;
    }
    const int direct = groups == 1 && dense_rows(&y, cols) && crop % stride == 0 && y.shape[0] % stride == 0 &&
                       !nr_overlap(&y, &from) && (!y2.p || (dense_rows(&y2, cols) && !nr_overlap(&y2, &from)));
    int64_t shape[2] = {(q1 - q0) * stride, cols};
    for (int64_t g = 0; g < groups; g++) {
        operand part = from, weights = w, offsets = group_of(&bias, 0, g, cols);
        part.p += g * depth;
        weights.at += g * depth * w.stride[1];
        weights.shape[1] = depth;
        operand to = nr_dense(nr_work(p, shape[0] * cols), 2, shape);
        if (direct)
            return push_phases(p, &part, &weights, &offsets, stride, q0, q1, y.p, stride * cols, first, y2.p, second);
        if (push_phases(p, &part, &weights, &offsets, stride, q0, q1, to.p, stride * cols, plain, NULL, plain))
            return -1;
        operand wanted = group_of(&y, 1, g, cols), cut = to;
        cut.p += (crop - q0 * stride) * cols;
        cut.shape[0] = y.shape[0];
        if (nr_push_copy(p, &wanted, &cut)) return -1;
    }
    operand ends[2] = {y, y}, seconds[2] = {y2, y};
    if (first.fn != NR_COPY && nr_push_pointwise(p, 1, first.fn, first.a, first.b, ends)) return -1;
    return y2.p ? nr_push_pointwise(p, 1, second.fn, second.a, second.b, seconds) : 0;
}

static void run_matmul(ready *op) { /* the right factor changes from run to run: pack it first */
    const operand *b = &op->u.matmul.b;
    op->k->pack(NR_F32, op->u.matmul.packed, b->p, NULL, NULL, 1, b->shape[0], b->shape[1], 0, b->stride[0], b->stride[1]);
    op->k->product(&op->u.matmul.product);
}

static int push_matmul(nr_program *p, const operand *a, const operand *b, const operand *y) {
    operand from = in_rows(p, a), to = in_rows(p, y);
    if (to.p == y->p && (nr_overlap(y, &from) || (!b->constant && nr_overlap(y, b))))
        to = nr_dense(nr_work(p, y->shape[0] * y->shape[1]), 2, y->shape);
    if (from.p != a->p && nr_push_copy(p, &from, a)) return -1;
    nr_product product = {.x = from.p,
                          .x_row = from.stride[0],
                          .y = to.p,
                          .y_row = to.stride[0],
                          .rows = (int32_t)y->shape[0],
                          .taps = 1,
                          .depth = (int32_t)b->shape[0],
                          .cols = (int32_t)b->shape[1]};
    if (b->constant) {
        operand w = {.p = b->p,
                     .constant = 1,
                     .from = b->from,
                     .at = b->at,
                     .dims = 3,
                     .shape = {1, b->shape[0], b->shape[1]},
                     .stride = {0, b->stride[0], b->stride[1]}},
                none = {0};
        if (packed(p, &product, &w, &none, 0) || push_product(p, &product)) return -1;
    } else {
        ready *op = nr_append(p, run_matmul);
        if (!op) return -1;
        op->u.matmul.b = *b;
        product.w = op->u.matmul.packed = nr_work(p, (int64_t)p->k->packed_floats(NR_F32, 1, b->shape[0], b->shape[1]));
        op->u.matmul.product = product;
    }
    return to.p != y->p ? nr_push_copy(p, y, &to) : 0;
}

static operand matrix_of(const operand *o, int64_t batch) {
    operand m = *o;
    if (o->dims == 2) return m;
    int64_t shift = (o->shape[0] == 1 ? 0 : batch) * o->stride[0];
    m.p += shift;
    m.at += shift;
    m.dims = 2;
    for (int d = 0; d < 2; d++) m.shape[d] = o->shape[d + 1], m.stride[d] = o->stride[d + 1];
    return m;
}

/* views: a [(batch,) m, k], b [(batch,) k, n], y [(batch,) m, n]. */
int nr_load_matmul(nr_program *p, const nr_op_spec *s) {
    operand a, b, y;
    if (nr_settled(p, s, 0, &a) || nr_operand(p, s, 1, &b) || nr_operand(p, s, 2, &y)) return -1;
    if (!a.p || !b.p || !y.p || y.constant || a.dims < 2 || a.dims > 3 || b.dims < 2 || b.dims > 3 || y.dims < 2 ||
        y.dims > 3)
        return nr_fail(p, "matmul wants matrices, or stacks of them");
    const int64_t batches = y.dims == 3 ? y.shape[0] : 1;
    for (int64_t i = 0; i < batches; i++) {
        operand am = matrix_of(&a, i), bm = matrix_of(&b, i), ym = matrix_of(&y, i);
        if (am.shape[1] != bm.shape[0] || am.shape[0] != ym.shape[0] || bm.shape[1] != ym.shape[1] ||
            (a.dims == 3 && a.shape[0] != 1 && a.shape[0] != batches) ||
            (b.dims == 3 && b.shape[0] != 1 && b.shape[0] != batches))
            return nr_fail(p, "matmul: shapes do not agree");
        if (push_matmul(p, &am, &bm, &ym)) return -1;
    }
    return 0;
}

static void run_gru(ready *op) {
    gru *g = &op->u.gru;
    op->k->product(&g->input);
    for (int64_t t = 0; t < g->rows; t++) {
        op->k->product(&g->step);
        op->k->gru_gates(g->h, g->gates_x + t * 3 * g->hidden, g->gates_h, g->hidden);
        memcpy(g->out + t * g->out_row, g->h, (size_t)g->hidden * 4);
    }
}

/* views: x [rows, in], w_x [in, 3 hidden], b_x [3 hidden], w_h [hidden, 3 hidden], b_h, h [hidden] (state), y [rows, hidden]. */
int nr_load_gru(nr_program *p, const nr_op_spec *s) {
    operand x, w[2], bias[2], h, y;
    if (nr_settled(p, s, 0, &x) || nr_operand(p, s, 1, &w[0]) || nr_operand(p, s, 2, &bias[0]) ||
        nr_operand(p, s, 3, &w[1]) || nr_operand(p, s, 4, &bias[1]) || nr_operand(p, s, 5, &h) ||
        nr_operand(p, s, 6, &y))
        return -1;
    const int64_t hidden = h.p ? h.shape[0] : 0, rows = x.shape[0];
    for (int i = 0; i < 2; i++)
        if (!w[i].constant || w[i].dims != 2 || w[i].shape[1] != 3 * hidden ||
            (bias[i].p && (!bias[i].constant || bias[i].dims != 1 || bias[i].shape[0] != 3 * hidden)))
            return nr_fail(p, "gru: weights are [in, 3 hidden] and [hidden, 3 hidden], gates reset, update, new");
    if (!x.p || !y.p || y.constant || h.constant || x.dims != 2 || y.dims != 2 || h.dims != 1 || h.stride[0] != 1 ||
        w[0].shape[0] != x.shape[1] || w[1].shape[0] != hidden || y.shape[0] != rows || y.shape[1] != hidden ||
        nr_overlap(&y, &h))
        return nr_fail(p, "gru: shapes do not agree");
    operand from = in_rows(p, &x), to = in_rows(p, &y);
    if (to.p == y.p && nr_overlap(&y, &from)) to = nr_dense(nr_work(p, rows * hidden), 2, y.shape);
    if (from.p != x.p && nr_push_copy(p, &from, &x)) return -1;
    float *gates_x = nr_work(p, rows * 3 * hidden), *gates_h = nr_work(p, 3 * hidden);
    ready *op = nr_append(p, run_gru);
    if (!op) return -1;
    op->u.gru = (gru){.input = {.x = from.p,
                                .x_row = from.stride[0],
                                .y = gates_x,
                                .y_row = 3 * hidden,
                                .rows = (int32_t)rows,
                                .taps = 1,
                                .depth = (int32_t)x.shape[1],
                                .cols = (int32_t)(3 * hidden)},
                      .step = {.x = h.p,
                               .x_row = hidden,
                               .y = gates_h,
                               .y_row = 3 * hidden,
                               .rows = 1,
                               .taps = 1,
                               .depth = (int32_t)hidden,
                               .cols = (int32_t)(3 * hidden)},
                      .h = h.p,
                      .out = to.p,
                      .gates_x = gates_x,
                      .gates_h = gates_h,
                      .out_row = to.stride[0],
                      .hidden = hidden,
                      .rows = rows};
    for (int i = 0; i < 2; i++) {
        const operand cube = {.from = w[i].from,
                              .at = w[i].at,
                              .dims = 3,
                              .shape = {1, w[i].shape[0], w[i].shape[1]},
                              .stride = {0, w[i].stride[0], w[i].stride[1]}};
        if (packed(p, i ? &op->u.gru.step : &op->u.gru.input, &cube, &bias[i], 0)) return -1;
    }
    return to.p != y.p ? nr_push_copy(p, &y, &to) : 0;
}
