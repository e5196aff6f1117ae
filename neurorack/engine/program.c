/* Programs: loading, running, and the pool of weights they share. The contract is in program.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/op.h"

struct nr_pool {
    struct entry {
        nr_pool_key key;
        float *data;
    } *entries;
    int64_t n, room;
    size_t floats;
};

float *nr_aligned(size_t floats) {
    void *memory = NULL;
    size_t bytes = (floats * 4 + 63) / 64 * 64;
    if (posix_memalign(&memory, 64, bytes ? bytes : 64)) return NULL;
    return memset(memory, 0, bytes ? bytes : 64);
}

NR_EXPORT nr_pool *nr_pool_new(void) { return calloc(1, sizeof(nr_pool)); }

NR_EXPORT void nr_pool_free(nr_pool *pool) {
    if (!pool) return;
    for (int64_t i = 0; i < pool->n; i++) free(pool->entries[i].data);
    free(pool->entries);
    free(pool);
}

NR_EXPORT int64_t nr_pool_bytes(const nr_pool *pool) { return (int64_t)pool->floats * 4; }

float *nr_pool_find(nr_pool *pool, const nr_pool_key *key) {
    for (int64_t i = 0; i < pool->n; i++)
        if (!memcmp(&pool->entries[i].key, key, sizeof *key)) return pool->entries[i].data;
    return NULL;
}

float *nr_pool_add(nr_pool *pool, const nr_pool_key *key, size_t floats) {
    if (floats > (size_t)MOST_FLOATS || pool->floats + floats > (size_t)MOST_FLOATS) return NULL;
    if (pool->n == pool->room) {
        int64_t room = pool->room ? 2 * pool->room : 64;
        struct entry *more = realloc(pool->entries, (size_t)room * sizeof *more);
        if (!more) return NULL;
        pool->entries = more;
        pool->room = room;
    }
    float *data = nr_aligned(floats);
    if (!data) return NULL;
    pool->entries[pool->n++] = (struct entry){*key, data};
    pool->floats += floats;
    return data;
}

int nr_fail(nr_program *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(p->error, sizeof p->error, format, args);
    va_end(args);
    return -1;
}

ready *nr_append(nr_program *p, void (*run)(ready *)) {
    if (p->n_ops == p->room) {
        int64_t room = p->room ? 2 * p->room : 64;
        ready *more = realloc(p->ops, (size_t)room * sizeof *more);
        if (!more) {
            nr_fail(p, "out of memory");
            return NULL;
        }
        p->ops = more;
        p->room = room;
    }
    ready *op = &p->ops[p->n_ops++];
    memset(op, 0, sizeof *op);
    op->run = run;
    op->k = p->k;
    return op;
}

/* Loading goes twice over the operations: first to learn how much scratch they want, then for good. */
float *nr_work(nr_program *p, int64_t floats) {
    static float nowhere;
    int64_t at = p->work_used;
    p->work_used += (floats + 15) / 16 * 16;
    if (p->work) return p->work + at;
    if (p->work_used > p->work_floats) p->work_floats = p->work_used;
    return &nowhere;
}

float nr_number(const operand *o, int64_t i) {
    const nr_buffer_spec *b = o->from;
    uint32_t bits = 0;
    float number;
    i += o->at;
    if (b->form == NR_I8) return (float)((const int8_t *)b->data)[i] * b->scale[i / b->inner % b->channels];
    if (b->form == NR_BF16) memcpy((char *)&bits + 2, (const char *)b->data + 2 * i, 2); /* little-endian, as the file is */
    else memcpy(&bits, (const char *)b->data + 4 * i, 4);
    memcpy(&number, &bits, 4);
    return number;
}

static float *constant_copy(nr_program *p, const nr_buffer_spec *b) {
    nr_pool_key key = {{1, (int64_t)(intptr_t)b->data, b->size}};
    float *data = nr_pool_find(p->pool, &key);
    const operand all = {.from = b};
    if (!data && (data = nr_pool_add(p->pool, &key, (size_t)b->size)))
        for (int64_t i = 0; i < b->size; i++) data[i] = nr_number(&all, i);
    return data;
}

static int view_fits(const nr_view *v, int64_t size) {
    __int128 low = v->offset, high = v->offset;
    int64_t count = 1; /* two factors of at most 2^29 at a time: no overflow */
    if (v->dims < 0 || v->dims > NR_DIMS) return 0;
    for (int i = 0; i < v->dims; i++) {
        if (v->shape[i] < 1 || v->shape[i] > MOST_FLOATS || (count *= v->shape[i]) > MOST_FLOATS) return 0;
        __int128 reach = (__int128)(v->shape[i] - 1) * v->stride[i];
        if (reach < 0) low += reach;
        else high += reach;
    }
    return low >= 0 && high < size;
}

/* Constants are given as they lie in the file (`from`, `at`) and are copied to the pool only when asked for through p. */
int nr_operand(nr_program *p, const nr_op_spec *s, int index, operand *o) {
    const nr_view *v = &s->view[index];
    memset(o, 0, sizeof *o);
    if (index >= s->views || v->buffer == -1) return 0;
    if (v->buffer < 0 || v->buffer >= p->n_buffers)
        return nr_fail(p, "view %d names buffer %d of %d", index, v->buffer, (int)p->n_buffers);
    const nr_buffer_spec *b = &p->buffers[v->buffer];
    if (!view_fits(v, b->size))
        return nr_fail(p, "view %d leaves its buffer of %lld numbers", index, (long long)b->size);
    o->dims = v->dims;
    memcpy(o->shape, v->shape, sizeof o->shape);
    memcpy(o->stride, v->stride, sizeof o->stride);
    if (b->kind == NR_CONSTANT) {
        o->constant = 1;
        o->from = b;
        o->at = v->offset;
        o->p = (float *)b->data; /* there is one */
    } else o->p = p->arena + b->at + v->offset;
    return 0;
}

/* Replace a constant by the pool's copy of its buffer. */
static int settle(nr_program *p, const nr_op_spec *s, int index, operand *o) {
    if (!o->p || !o->constant) return 0;
    const nr_buffer_spec *b = &p->buffers[s->view[index].buffer];
    float *copy = constant_copy(p, b);
    if (!copy) return nr_fail(p, "out of memory");
    o->p = copy + s->view[index].offset;
    return 0;
}

int nr_settled(nr_program *p, const nr_op_spec *s, int index, operand *o) {
    return nr_operand(p, s, index, o) || settle(p, s, index, o) ? -1 : 0;
}

static int load_op(nr_program *p, const nr_op_spec *s) {
    switch (s->code) {
    case NR_OP_CONV1D: return nr_load_convolution(p, s);
    case NR_OP_CONV_TRANSPOSE1D: return nr_load_transposed(p, s);
    case NR_OP_MATMUL: return nr_load_matmul(p, s);
    case NR_OP_UNARY:
    case NR_OP_BINARY:
    case NR_OP_TERNARY: return nr_load_pointwise(p, s);
    case NR_OP_REDUCE: return nr_load_reduce(p, s);
    case NR_OP_ARG:
    case NR_OP_SCAN:
    case NR_OP_GATHER: return nr_load_walk(p, s);
    case NR_OP_GRU: return nr_load_gru(p, s);
    case NR_OP_OSCILLATORS: return nr_load_oscillators(p, s);
    case NR_OP_NOISE_BANDS: return nr_load_noise_bands(p, s);
    case NR_OP_RANDOM: return nr_load_random(p, s);
    case NR_OP_FILTER_FRAMES: return nr_load_filter_frames(p, s);
    default: return nr_fail(p, "unknown operation %d", s->code);
    }
}

static int load_all(nr_program *p, const nr_op_spec *specs, int64_t n) {
    for (int pass = 0; pass < 2; pass++) {
        p->n_ops = 0;
        for (int64_t i = 0; i < n; i++) {
            p->work_used = 0;
            if (specs[i].views < 0 || specs[i].views > NR_VIEWS)
                return nr_fail(p, "operation %d has %d views", (int)i, specs[i].views);
            if (load_op(p, &specs[i])) {
                char why[sizeof p->error];
                memcpy(why, p->error, sizeof why);
                return nr_fail(p, "operation %d: %.200s", (int)i, why);
            }
            if (pass && p->work_used > p->work_floats) return nr_fail(p, "operation %d: scratch grew", (int)i);
        }
        if (!pass && p->work_floats > MOST_FLOATS) return nr_fail(p, "operations want too much scratch");
        if (!pass && !(p->work = nr_aligned((size_t)p->work_floats))) return nr_fail(p, "out of memory");
    }
    ready *fitting = realloc(p->ops, (size_t)(p->n_ops ? p->n_ops : 1) * sizeof *fitting);
    if (fitting) p->ops = fitting;
    return 0;
}

/* Buffers lie side by side in the arena, states first, so that a reset is one copy. */
static int lay_out(nr_program *p, const nr_buffer_spec *buffers, int64_t n) {
    int any = 0;
    for (int64_t i = 0; i < n; i++) {
        const nr_buffer_spec *b = &buffers[i];
        if (b->size < 1 || b->size > MOST_FLOATS)
            return nr_fail(p, "buffer %d has %lld numbers", (int)i, (long long)b->size);
        if (b->kind == NR_CONSTANT) {
            if (!b->data) return nr_fail(p, "buffer %d has no data", (int)i);
            if (b->form < 0 || b->form >= NR_FORM_COUNT || (b->form == NR_I8 && (!b->scale || b->inner < 1 || b->channels < 1)))
                return nr_fail(p, "buffer %d is of an unknown form", (int)i);
            continue;
        }
        if (b->at < 0 || b->at + b->size > MOST_FLOATS)
            return nr_fail(p, "buffer %d lies beyond %lld", (int)i, (long long)MOST_FLOATS);
        if (b->at + b->size > p->arena_floats) p->arena_floats = b->at + b->size;
        if (b->kind == NR_STATE && b->at + b->size > p->state_floats) p->state_floats = b->at + b->size;
        any |= b->kind == NR_STATE && b->data;
    }
    for (int64_t i = 0; i < n; i++)
        if (buffers[i].kind != NR_STATE && buffers[i].kind != NR_CONSTANT && buffers[i].at < p->state_floats)
            return nr_fail(p, "buffer %d lies among the states", (int)i);
    if (!(p->arena = nr_aligned((size_t)p->arena_floats))) return nr_fail(p, "out of memory");
    if (any && !(p->initial = nr_aligned((size_t)p->state_floats))) return nr_fail(p, "out of memory");
    for (int64_t i = 0; any && i < n; i++)
        if (buffers[i].kind == NR_STATE && buffers[i].data)
            memcpy(p->initial + buffers[i].at, buffers[i].data, (size_t)buffers[i].size * 4);
    return 0;
}

NR_EXPORT void nr_program_free(nr_program *p) {
    if (!p) return;
    free(p->ops);
    free(p->arena);
    free(p->work);
    free(p->initial);
    free(p);
}

/* NULL with the reason in error[256]. The pool must outlive the program. */
NR_EXPORT nr_program *nr_program_new(nr_pool *pool, const nr_buffer_spec *buffers, int64_t n_buffers,
                                     const nr_op_spec *specs, int64_t n_specs, const int32_t *shape, char *error) {
    nr_program *p = calloc(1, sizeof *p);
    if (!p) {
        strcpy(error, "out of memory");
        return NULL;
    }
    p->pool = pool;
    p->k = nr_kernels_in_use();
    p->buffers = buffers;
    p->n_buffers = n_buffers;
    p->in_rows = shape[0], p->in_channels = shape[1], p->out_rows = shape[2], p->out_channels = shape[3];
    int bad = lay_out(p, buffers, n_buffers);
    for (int64_t i = 0; !bad && i < n_buffers; i++) {
        if (buffers[i].kind == NR_INPUT && buffers[i].size == (int64_t)p->in_rows * p->in_channels)
            p->input = p->arena + buffers[i].at;
        if (buffers[i].kind == NR_OUTPUT && buffers[i].size == (int64_t)p->out_rows * p->out_channels)
            p->output = p->arena + buffers[i].at;
    }
    if (!bad && (!p->input || !p->output)) bad = nr_fail(p, "no buffer for input or output");
    if (!bad) bad = load_all(p, specs, n_specs);
    p->buffers = NULL;
    if (bad) {
        memcpy(error, p->error, sizeof p->error);
        nr_program_free(p);
        return NULL;
    }
    nr_program_reset(p);
    return p;
}

int nr_program_in_rows(const nr_program *p) { return p->in_rows; }
int nr_program_in_channels(const nr_program *p) { return p->in_channels; }
int nr_program_out_rows(const nr_program *p) { return p->out_rows; }
int nr_program_out_channels(const nr_program *p) { return p->out_channels; }
float *nr_program_input(nr_program *p) { return p->input; }
float *nr_program_output(nr_program *p) { return p->output; }
NR_EXPORT int64_t nr_program_bytes(const nr_program *p) {
    return (p->arena_floats + p->work_floats + (p->initial ? p->state_floats : 0)) * 4 +
           p->n_ops * (int64_t)sizeof(ready);
}
NR_EXPORT int64_t nr_program_ops(const nr_program *p) { return p->n_ops; }

void nr_program_run(nr_program *p) {
    for (ready *op = p->ops, *end = op + p->n_ops; op < end; op++) op->run(op);
}

void nr_program_reset(nr_program *p) {
    if (p->initial) memcpy(p->arena, p->initial, (size_t)p->state_floats * 4);
    else memset(p->arena, 0, (size_t)p->state_floats * 4);
    memset(p->arena + p->state_floats, 0, (size_t)(p->arena_floats - p->state_floats) * 4);
}

/* For measuring: each run of n, in nanoseconds, is the caller's business; this only repeats. */
NR_EXPORT void nr_program_repeat(nr_program *p, int64_t n) {
    for (int64_t i = 0; i < n; i++) nr_program_run(p);
}

NR_EXPORT int64_t nr_program_state_bytes(const nr_program *p) { return p->state_floats * 4; }
NR_EXPORT void nr_program_save(const nr_program *p, void *state) {
    memcpy(state, p->arena, (size_t)p->state_floats * 4);
}
NR_EXPORT void nr_program_restore(nr_program *p, const void *state) {
    memcpy(p->arena, state, (size_t)p->state_floats * 4);
}
