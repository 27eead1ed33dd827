// Resizing of channels-last images. The caller computes, for each output row and column, where it comes from: that is
// where the sampling modes differ.
#ifndef MARTLET_IMAGE_H
#define MARTLET_IMAGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// dst [batch, out_height, out_width, pixel_bytes] = src [batch, in_height, in_width, pixel_bytes] at rows [out_height]
// and columns [out_width].
void mk_resize_nearest(int64_t batch, int64_t in_height, int64_t in_width, int64_t out_height, int64_t out_width,
                       int64_t pixel_bytes, const int32_t *rows, const int32_t *columns, const void *src, void *dst);

// For each output position along an axis: the two source positions and the weight of the second.
typedef struct mk_resize_axis {
    int64_t in, out;
    const int32_t *low, *high;
    const float *weight;
} mk_resize_axis;

// fp32, dst [batch, height.out, width.out, channels] from src [batch, height.in, width.in, channels].
void mk_resize_bilinear(int64_t batch, int64_t channels, const mk_resize_axis *height, const mk_resize_axis *width,
                        const float *src, float *dst);

#ifdef __cplusplus
}
#endif
#endif
