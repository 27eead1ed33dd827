// Reductions of every element type, where the kernels for fp32 and int32 do not serve.
#include <math.h>
#include <string.h>

#include "include/reduction.h"
#include "include/threads.h"
#include "index.h"

enum { MK_COLUMNS_AT_ONCE = 16, MK_PIECES = 64 };

typedef struct mk_typed_reduction {
    mk_reduction mode;
    int exclusive, reverse, least, index_size;
    double correction;
    int64_t outer, axis, inner;
    const void *src;
    void *dst, *pieces;
} mk_typed_reduction;

// Without the checks for infinities of C's own product, as NumPy multiplies.
#define MK_TIMES(name, type) \
    static inline type name(type a, type b) { \
        type c; \
        __real__ c = __real__ a * __real__ b - __imag__ a * __imag__ b; \
        __imag__ c = __real__ a * __imag__ b + __imag__ a * __real__ b; \
        return c; \
    }
MK_TIMES(times_complex64, float _Complex)
MK_TIMES(times_complex128, double _Complex)

#define MK_EACH "reduction_typed.inc"
#include "each_type.h"

// About a hundred thousand elements repay another thread.
static int mk_typed_parts(const mk_typed_reduction *plan, int64_t items) {
    int64_t parts = plan->outer * plan->axis * plan->inner / 65536;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > items) parts = items;
    return parts < 1 ? 1 : (int)parts;
}

static void mk_typed_run(mk_typed_reduction *plan, mk_task task, int64_t items) {
    int parts = mk_typed_parts(plan, items);
    if (parts == 1) task(plan, 0, 1);
    else mk_parallel(parts, task, plan);
}

void mk_reduce_typed(mk_element type, mk_reduction mode, int64_t outer, int64_t axis, int64_t inner, const void *src,
                     void *dst) {
    static const mk_task tasks[MK_ELEMENT_COUNT] = { MK_BY_TYPE(reduce_part) };
    static void (*const joins[MK_ELEMENT_COUNT])(const mk_typed_reduction *, int) = { MK_BY_TYPE(reduce_pieces) };
    mk_typed_reduction plan = { .mode = mode, .outer = outer, .axis = axis, .inner = inner, .src = src, .dst = dst };
    if (outer * inner != 1) {
        mk_typed_run(&plan, tasks[type], outer * ((inner + MK_COLUMNS_AT_ONCE - 1) / MK_COLUMNS_AT_ONCE));
        return;
    }
    double pieces[MK_PIECES][2];
    int parts = mk_typed_parts(&plan, MK_PIECES);
    if (parts == 1) {
        tasks[type](&plan, 0, 1);
        return;
    }
    plan.pieces = pieces;
    mk_parallel(parts, tasks[type], &plan);
    joins[type](&plan, parts);
}

void mk_reduce_truth(mk_element type, int all, int64_t outer, int64_t axis, int64_t inner, const void *src,
                     uint8_t *dst) {
    static const mk_task tasks[MK_ELEMENT_COUNT] = { MK_BY_TYPE(truth_part) };
    mk_typed_reduction plan = { .mode = all ? MK_REDUCE_ALL : MK_REDUCE_ANY, .outer = outer, .axis = axis,
                                .inner = inner, .src = src, .dst = dst };
    mk_typed_run(&plan, tasks[type], outer);
}

void mk_reduce_variance(mk_element type, double correction, int64_t outer, int64_t axis, int64_t inner,
                        const void *src, void *dst) {
    mk_typed_reduction plan = { .correction = correction, .outer = outer, .axis = axis, .inner = inner, .src = src,
                                .dst = dst };
    mk_typed_run(&plan, type == MK_ELEMENT_FLOAT64 ? variance_part_float64 : variance_part_float32, outer * inner);
}

void mk_argmax_typed(mk_element type, int least, int64_t outer, int64_t axis, int64_t inner, const void *src,
                     int index_size, void *dst) {
    static const mk_task tasks[MK_ELEMENT_COUNT] = { MK_BY_REAL_TYPE(position_part) };
    mk_typed_reduction plan = { .least = least, .index_size = index_size, .outer = outer, .axis = axis,
                                .inner = inner, .src = src, .dst = dst };
    if (axis > 0) mk_typed_run(&plan, tasks[type], outer * inner);
}

void mk_cumulate(mk_element type, int product, int exclusive, int reverse, int64_t outer, int64_t axis, int64_t inner,
                 const void *src, void *dst) {
    static const mk_task tasks[MK_ELEMENT_COUNT] = { MK_BY_TYPE(cumulate_part) };
    mk_typed_reduction plan = { .mode = product ? MK_REDUCE_PROD : MK_REDUCE_SUM, .exclusive = exclusive,
                                .reverse = reverse, .outer = outer, .axis = axis, .inner = inner, .src = src,
                                .dst = dst };
    mk_typed_run(&plan, tasks[type], outer);
}
