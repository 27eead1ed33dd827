// Softmax, layer norm, instance norm and their kin.
#include "include/normalization.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "include/reduction.h"
#include "include/threads.h"
#include "lane_math.h"

typedef struct mk_norm_plan {
    int64_t outer, n, inner;
    const float *src, *residual, *gamma, *beta;
    float *dst, *sum;
    float epsilon;
    int logarithm, band;
    int64_t size;
    float alpha, power, bias;
} mk_norm_plan;

#define MK_KERNELS "normalization.inc"
#include "isa.h"

static void mk_norm_run(mk_norm_plan *plan, mk_task task, int64_t items, int64_t work) {
    int64_t parts = work / 32768;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > items) parts = items;
    if (parts <= 1) task(plan, 0, 1);
    else mk_parallel((int)parts, task, plan);
}

static void mk_softmax_run(int logarithm, int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst) {
    mk_norm_plan plan = { .outer = outer, .n = axis, .inner = inner, .src = src, .dst = dst, .logarithm = logarithm };
    mk_norm_run(&plan, MK_PICK(softmax_part), outer * ((inner + 63) / 64), outer * axis * inner * 2);
}

void mk_softmax(int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst) {
    mk_softmax_run(0, outer, axis, inner, src, dst);
}

void mk_log_softmax(int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst) {
    mk_softmax_run(1, outer, axis, inner, src, dst);
}

void mk_layer_norm(int64_t rows, int64_t n, const float *src, const float *residual, const float *gamma,
                   const float *beta, float epsilon, float *dst, float *sum) {
    mk_norm_plan plan = { .outer = rows, .n = n, .src = src, .residual = residual, .gamma = gamma, .beta = beta,
                          .dst = dst, .sum = sum, .epsilon = epsilon };
    mk_norm_run(&plan, MK_PICK(layer_norm_part), rows, rows * n);
}

void mk_instance_norm(int64_t batch, int64_t spatial, int64_t channels, const float *src, const float *gamma,
                      const float *beta, float epsilon, float *dst) {
    mk_norm_plan plan = { .outer = batch, .n = spatial, .inner = channels, .src = src, .gamma = gamma, .beta = beta,
                          .dst = dst, .epsilon = epsilon, .band = 64 };
    // Narrower bands where there would be too few for the threads; 16 floats are a cache line.
    while (plan.band > 16 && batch * ((channels + plan.band - 1) / plan.band) < mk_threads()) plan.band /= 2;
    mk_norm_run(&plan, MK_PICK(instance_norm_part), batch * ((channels + plan.band - 1) / plan.band),
                batch * spatial * channels);
}

void mk_l2_norm(int64_t rows, int64_t n, const float *src, float epsilon, float *dst) {
    mk_norm_plan plan = { .outer = rows, .n = n, .src = src, .dst = dst, .epsilon = epsilon };
    mk_norm_run(&plan, MK_PICK(l2_norm_part), rows, rows * n);
}

void mk_local_response_norm(int64_t rows, int64_t channels, const float *src, int64_t size, float alpha, float beta,
                            float k, float *dst) {
    mk_norm_plan plan = { .outer = rows, .n = channels, .src = src, .dst = dst, .size = size, .alpha = alpha,
                          .power = beta, .bias = k };
    mk_norm_run(&plan, MK_PICK(local_response_norm_part), rows, rows * channels * 4);
}
