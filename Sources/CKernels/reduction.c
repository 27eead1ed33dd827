// Reductions, argmax and running sums.
#include "include/reduction.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "include/threads.h"
#include "lane_math.h"

typedef struct mk_reduce_plan {
    mk_reduction mode;
    int integer, least;
    int64_t outer, axis, inner;
    const void *src;
    void *dst;
} mk_reduce_plan;

#define MK_KERNELS "reduction.inc"
#include "isa.h"

// About a hundred thousand elements repay another thread.
static void mk_reduce_run(mk_reduce_plan *plan, mk_task task, int64_t items) {
    int64_t parts = plan->outer * plan->axis * plan->inner / 65536;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > items) parts = items;
    if (parts <= 1) task(plan, 0, 1);
    else mk_parallel((int)parts, task, plan);
}

void mk_reduce(mk_reduction mode, int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst) {
    mk_reduce_plan plan = { mode, 0, 0, outer, axis, inner, src, dst };
    mk_reduce_run(&plan, MK_PICK(reduce_part), outer * ((inner + 63) / 64));
}

void mk_reduce_int(mk_reduction mode, int64_t outer, int64_t axis, int64_t inner, const int32_t *src, int32_t *dst) {
    mk_reduce_plan plan = { mode, 1, 0, outer, axis, inner, src, dst };
    mk_reduce_run(&plan, MK_PICK(reduce_int_part), outer);
}

void mk_argmax(int integer, int least, int64_t outer, int64_t axis, int64_t inner, const void *src, int32_t *dst) {
    mk_reduce_plan plan = { MK_REDUCE_MAX, integer, least, outer, axis, inner, src, dst };
    if (axis > 0) mk_reduce_run(&plan, MK_PICK(arg_part), outer * ((inner + 63) / 64));
}

// Row by row along the axis; `u` is an unsigned integer where sums may wrap.
#define MK_CUMSUM(u) \
    for (int64_t o = 0; o < outer; o++) { \
        int64_t step = reverse ? -inner : inner, at = (o * axis + (reverse ? axis - 1 : 0)) * inner; \
        const u *x = (const u *)src + at; \
        u *y = (u *)dst + at; \
        for (int64_t i = 0; i < axis; i++, x += step, y += step) \
            for (int64_t j = 0; j < inner; j++) \
                y[j] = i == 0 ? (exclusive ? (u)0 : x[j]) : y[j - step] + (exclusive ? x[j - step] : x[j]); \
    }

void mk_cumsum(int integer, int exclusive, int reverse, int64_t outer, int64_t axis, int64_t inner, const void *src,
               void *dst) {
    if (integer) MK_CUMSUM(uint32_t)
    else MK_CUMSUM(float)
}
