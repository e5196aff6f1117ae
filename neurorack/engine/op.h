/* Inside the engine: what Python hands over at load, and the ready operations a program runs.
 *
 * Loading turns each operation of the file into one or more ready operations with every pointer resolved. It may
 * allocate; running may not. All views are checked against their buffers here, whatever was checked before. */
#ifndef NEURORACK_ENGINE_OP_H
#define NEURORACK_ENGINE_OP_H

#include "engine/kernels.h"
#include "engine/program.h"

#define NR_DIMS 4
#define MOST_FLOATS ((int64_t)1 << 29) /* 2 GiB: of one program, of a pool, of one view */
#define NR_VIEWS 10

/* Same numbers in opset.py. */
enum nr_code {
    NR_OP_CONV1D, NR_OP_CONV_TRANSPOSE1D, NR_OP_MATMUL, NR_OP_UNARY, NR_OP_BINARY, NR_OP_TERNARY, NR_OP_REDUCE,
    NR_OP_ARG, NR_OP_SCAN, NR_OP_GATHER, NR_OP_GRU, NR_OP_OSCILLATORS, NR_OP_NOISE_BANDS, NR_OP_RANDOM,
    NR_OP_FILTER_FRAMES, NR_OP_COUNT
};
enum nr_kind { NR_INPUT, NR_OUTPUT, NR_STATE, NR_SCRATCH, NR_CONSTANT };

typedef struct { /* offset and strides in floats; buffer -1: not given */
    int32_t buffer, dims;
    int64_t offset, shape[NR_DIMS], stride[NR_DIMS];
} nr_view;

typedef struct {
    int32_t code, views; /* inputs first, then outputs, in the order of opset.py */
    nr_view view[NR_VIEWS];
    int64_t ints[8];
    double floats[6];
} nr_op_spec;

typedef struct {
    int64_t kind, size, at; /* size in floats; at: place in the arena, in floats (not for constants) */
    const void *data;       /* constants, as `form` says; initial state (float32), or NULL for zeros */
    int64_t form;           /* enum nr_form of a constant */
    const float *scale;     /* int8: number i counts scale[i / inner % channels] times */
    int64_t inner, channels;
} nr_buffer_spec;

typedef struct { /* a view with its memory; missing ones have p NULL */
    float *p;
    int32_t dims, constant;
    const nr_buffer_spec *from; /* constants: the buffer as it lies in the file, and the place of the first number in it */
    int64_t at;
    int64_t shape[NR_DIMS], stride[NR_DIMS];
} operand;

typedef struct { /* pointwise work over up to 4 dimensions, the innermost through a kernel */
    int32_t arity, fn, dims, fold; /* operand 0 is the result; fold: result = fn(result, operand 1) */
    float a, b;
    int64_t n[NR_DIMS], stride[NR_DIMS][NR_DIMS]; /* stride[operand][dimension] */
    float *p[NR_DIMS];
    int32_t direct; /* innermost steps are all 1, or 0 for an operand */
} loop;

typedef struct {
    operand v[5];
    float *work;
    int64_t ints[4];
} strided; /* the plain ones: scan, gather, arg, random, filter_frames */

typedef struct {
    nr_product input, step; /* x to gates_x for all rows; h to gates_h for one */
    float *h, *out, *gates_x, *gates_h;
    int64_t out_row, hidden, rows;
} gru;

typedef struct {
    operand b;
    float *packed;
    nr_product product;
} dynamic_matmul;

typedef struct ready ready;
struct ready {
    void (*run)(ready *);
    const nr_kernels *k;
    union {
        nr_product product;
        struct { nr_product product; const float *bias; } depthwise;
        loop loop;
        struct { float *y; int64_t n; float value; } fill;
        strided strided;
        gru gru;
        dynamic_matmul matmul;
        nr_oscillators oscillators;
        nr_noise_bands noise_bands;
    } u;
};

struct nr_program {
    ready *ops;
    int64_t n_ops, room;
    float *arena, *work, *initial; /* initial: the arena's state part as loaded, or NULL when all zero */
    int64_t arena_floats, work_floats, work_used, state_at, state_floats;
    float *input, *output;
    int32_t in_rows, in_channels, out_rows, out_channels;
    nr_pool *pool;
    const nr_kernels *k;
    const nr_buffer_spec *buffers; /* during loading only */
    int64_t n_buffers;
    char error[256];
};

/* Loading. Each returns 0, or -1 with p->error set. */
int nr_fail(nr_program *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
ready *nr_append(nr_program *p, void (*run)(ready *)); /* NULL: out of memory */
float *nr_work(nr_program *p, int64_t floats);       /* scratch of the operation being loaded */
int nr_operand(nr_program *p, const nr_op_spec *s, int index, operand *o);
int nr_settled(nr_program *p, const nr_op_spec *s, int index, operand *o); /* constants copied to the pool */
float nr_number(const operand *o, int64_t i); /* of a constant, i numbers after its first */
int nr_overlap(const operand *a, const operand *b); /* any float in common (exact up to a size, else safe) */
int nr_same(const operand *a, const operand *b);    /* the same floats in the same order */
operand nr_dense(float *p, int dims, const int64_t *shape);

int nr_load_convolution(nr_program *p, const nr_op_spec *s);
int nr_load_transposed(nr_program *p, const nr_op_spec *s);
int nr_load_matmul(nr_program *p, const nr_op_spec *s);
int nr_load_gru(nr_program *p, const nr_op_spec *s);
int nr_load_pointwise(nr_program *p, const nr_op_spec *s);
int nr_load_reduce(nr_program *p, const nr_op_spec *s);
int nr_load_walk(nr_program *p, const nr_op_spec *s); /* scan, gather, arg */
int nr_load_oscillators(nr_program *p, const nr_op_spec *s);
int nr_load_noise_bands(nr_program *p, const nr_op_spec *s);
int nr_load_random(nr_program *p, const nr_op_spec *s);
int nr_load_filter_frames(nr_program *p, const nr_op_spec *s);

/* Pointwise operation on operands (the result first), safe whatever their overlap. */
int nr_push_pointwise(nr_program *p, int arity, int fn, float a, float b, const operand *v);
int nr_push_copy(nr_program *p, const operand *to, const operand *from);

/* The pool. Keys are up to 16 numbers; what a key names is made once and shared. */
typedef struct { int64_t n[16]; } nr_pool_key;
float *nr_pool_find(nr_pool *pool, const nr_pool_key *key);
float *nr_pool_add(nr_pool *pool, const nr_pool_key *key, size_t floats); /* NULL: out of memory */
float *nr_aligned(size_t floats);                                        /* zeroed, on a cache line */

#endif
