// Resizing of channels-last images, and sampling of images at any coordinates. To resize, the caller computes where each
// output row and column comes from: that is where the sampling modes differ.
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

// What a tap outside the image reads: the value; the nearest edge; the image turned round without its edge or with it.
// MK_SAMPLE_CUT gives the value for every coordinate outside, however near.
typedef enum mk_sample_padding {
    MK_SAMPLE_CONSTANT, MK_SAMPLE_BORDER, MK_SAMPLE_REFLECTION, MK_SAMPLE_SYMMETRIC, MK_SAMPLE_CUT,
} mk_sample_padding;

// One fp32 image of any strides, in elements.
typedef struct mk_sample_image {
    int64_t channels, height, width;
    int64_t channel_stride, row_stride, column_stride;
    const float *pixels;
} mk_sample_image;

// dst[i * pixel_stride + c * channel_stride] = the image at coordinates[2 i] (x) and coordinates[2 i + 1] (y), mixed
// linearly from four pixels or taken from the nearest one (half to even). A coordinate that is NaN counts as 0.
void mk_sample(int nearest, mk_sample_padding padding, float value, const mk_sample_image *image, int64_t count,
               const float *coordinates, float *dst, int64_t pixel_stride, int64_t channel_stride);

#ifdef __cplusplus
}
#endif
#endif
