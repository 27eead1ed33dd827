// Nearest and bilinear resizing.
#include "include/image.h"

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
