// Nearest and bilinear resizing, and sampling.
#include "include/image.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "include/threads.h"

typedef struct mk_resize_plan {
    int64_t batch, channels;
    const mk_resize_axis *height, *width;
    const float *src;
    float *dst;
} mk_resize_plan;

#define MK_KERNELS "image.inc"
#include "isa.h"

void mk_resize_bilinear(int64_t batch, int64_t channels, const mk_resize_axis *height, const mk_resize_axis *width,
                        const float *src, float *dst) {
    mk_resize_plan plan = { batch, channels, height, width, src, dst };
    int64_t rows = batch * height->out, parts = rows * width->out * channels / 32768;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > rows) parts = rows;
    if (parts <= 1) MK_PICK(bilinear_part)(&plan, 0, 1);
    else mk_parallel((int)parts, MK_PICK(bilinear_part), &plan);
}

// Pixels of a size known at compile time: a call of memcpy would cost more than the copy.
#define MK_PIXELS(size) \
    case size: for (int64_t x = 0; x < n; x++) memcpy(dst + x * size, src + columns[x] * (int64_t)size, size); break;

static void mk_nearest_row(int64_t n, int64_t bytes, const int32_t *columns, const char *src, char *dst) {
    switch (bytes) {
        MK_PIXELS(1)
        MK_PIXELS(2)
        MK_PIXELS(4)
        MK_PIXELS(6)
        MK_PIXELS(8)
        MK_PIXELS(12)
        MK_PIXELS(16)
        default:
            for (int64_t x = 0; x < n; x++) memcpy(dst + x * bytes, src + columns[x] * bytes, (size_t)bytes);
            break;
    }
}

void mk_resize_nearest(int64_t batch, int64_t in_height, int64_t in_width, int64_t out_height, int64_t out_width,
                       int64_t pixel_bytes, const int32_t *rows, const int32_t *columns, const void *src, void *dst) {
    int64_t in_row = in_width * pixel_bytes, out_row = out_width * pixel_bytes;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t y = 0; y < out_height; y++) {
            const char *from = (const char *)src + (b * in_height + rows[y]) * in_row;
            char *to = (char *)dst + (b * out_height + y) * out_row;
            // Enlarging repeats whole rows.
            if (y > 0 && rows[y] == rows[y - 1]) memcpy(to, to - out_row, (size_t)out_row);
            else mk_nearest_row(out_width, pixel_bytes, columns, from, to);
        }
}

// The position a tap reads, or -1 for the value of the padding.
static int64_t mk_tap(mk_sample_padding padding, int64_t at, int64_t size) {
    if (at >= 0 && at < size) return at;
    int64_t period;
    switch (padding) {
        case MK_SAMPLE_BORDER: return at < 0 ? 0 : size - 1;
        case MK_SAMPLE_REFLECTION:
            if (size == 1) return 0;
            period = 2 * (size - 1);
            at = (at % period + period) % period;
            return at < size ? at : period - at;
        case MK_SAMPLE_SYMMETRIC:
            period = 2 * size;
            at = (at % period + period) % period;
            return at < size ? at : period - 1 - at;
        default: return -1;
    }
}

// A coordinate within what an integer holds.
static float mk_coordinate(float x) { return x != x ? 0 : x < -0x1p30f ? -0x1p30f : x > 0x1p30f ? 0x1p30f : x; }

void mk_sample(int nearest, mk_sample_padding padding, float value, const mk_sample_image *image, int64_t count,
               const float *coordinates, float *dst, int64_t pixel_stride, int64_t channel_stride) {
    int64_t height = image->height, width = image->width;
    for (int64_t i = 0; i < count; i++, dst += pixel_stride) {
        float x = mk_coordinate(coordinates[2 * i]), y = mk_coordinate(coordinates[2 * i + 1]);
        int cut = padding == MK_SAMPLE_CUT && (x < 0 || y < 0 || x > (float)(width - 1) || y > (float)(height - 1));
        if (height == 0 || width == 0 || cut) {
            for (int64_t c = 0; c < image->channels; c++) dst[c * channel_stride] = value;
            continue;
        }
        float left = floorf(x), top = floorf(y), right = x - left, down = y - top;
        // Halfway between two pixels the nearest one is the next.
        if (nearest) {
            left += right >= 0.5f, top += down >= 0.5f;
            right = down = 0;
        }
        const float *tap[4];
        float weight[4] = { (1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right };
        for (int k = 0; k < 4; k++) {
            int64_t row = mk_tap(padding, (int64_t)top + (k >> 1), height);
            int64_t column = mk_tap(padding, (int64_t)left + (k & 1), width);
            tap[k] = row < 0 || column < 0 ? NULL : image->pixels + row * image->row_stride + column * image->column_stride;
        }
        for (int64_t c = 0; c < image->channels; c++) {
            float sum = 0;
            // A tap of no weight is not read: what is infinite beside a pixel leaves it alone.
            for (int k = 0; k < 4; k++)
                if (weight[k] != 0) sum += weight[k] * (tap[k] ? tap[k][c * image->channel_stride] : value);
            dst[c * channel_stride] = sum;
        }
    }
}
