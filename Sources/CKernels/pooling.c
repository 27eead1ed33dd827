// Max, average and L2 pooling.
#include "include/pooling.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "include/reduction.h"
#include "include/threads.h"
#include "lane_math.h"

typedef struct mk_pool_plan {
    const mk_pool *pool;
    const float *src;
    float *dst;
} mk_pool_plan;

#define MK_KERNELS "pooling.inc"
#include "isa.h"

// One window over the whole image, without padding.
static int mk_pool_is_global(const mk_pool *p) {
    for (int d = 0; d < 3; d++)
        if (p->out[d] != 1 || p->kernel[d] != p->in[d] || p->pad_begin[d] != 0) return 0;
    return 1;
}

void mk_pool_run(const mk_pool *pool, const float *src, float *dst) {
    if (mk_pool_is_global(pool)) {
        mk_reduction mode = pool->mode == MK_POOL_MAX ? MK_REDUCE_MAX
            : pool->mode == MK_POOL_L2 ? MK_REDUCE_L2 : MK_REDUCE_MEAN;
        mk_reduce(mode, pool->batch, pool->in[0] * pool->in[1] * pool->in[2], pool->channels, src, dst);
        return;
    }
    mk_pool_plan plan = { pool, src, dst };
    int64_t rows = pool->batch * pool->out[0] * pool->out[1];
    int64_t window = pool->kernel[0] * pool->kernel[1] * pool->kernel[2];
    int64_t parts = rows * pool->out[2] * pool->channels * window / 65536;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > rows) parts = rows;
    if (parts <= 1) MK_PICK(pool_part)(&plan, 0, 1);
    else mk_parallel((int)parts, MK_PICK(pool_part), &plan);
}
