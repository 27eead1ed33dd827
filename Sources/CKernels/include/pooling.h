// Pooling of channels-last images, fp32.
#ifndef MARTLET_POOLING_H
#define MARTLET_POOLING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mk_pool_mode { MK_POOL_MAX, MK_POOL_AVERAGE, MK_POOL_L2 } mk_pool_mode;

// src [batch, in[0], in[1], in[2], channels], dst [batch, out[0], out[1], out[2], channels]; the axes are depth,
// height, width, of size 1 (kernel 1, stride 1) where an image has fewer. The caller computes `out`.
typedef struct mk_pool {
    mk_pool_mode mode;
    int32_t exclude_padding;  // average: divide by the elements inside the image instead of the padded window
    int64_t batch, channels;
    int64_t in[3], out[3], kernel[3], stride[3], pad_begin[3], pad_end[3];
} mk_pool;

// L2 is the square root of the sum of squares. A window wholly in the padding gives 0, for max minus infinity.
void mk_pool_run(const mk_pool *pool, const float *src, float *dst);

#ifdef __cplusplus
}
#endif
#endif
