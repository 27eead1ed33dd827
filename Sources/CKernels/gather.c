// Padding, gather, scatter and one-hot.
#include <math.h>
#include <string.h>

#include "include/movement.h"
#include "include/threads.h"

void mk_pad(mk_padding mode, int element_size, int64_t outer, int64_t axis, int64_t inner, int64_t before,
            int64_t after, const void *value, const void *src, void *dst) {
    size_t row = (size_t)(inner * element_size);
    int64_t padded = before + axis + after;
    for (int64_t o = 0; o < outer; o++) {
        char *d = (char *)dst + (size_t)(o * padded) * row;
        const char *s = (const char *)src + (size_t)(o * axis) * row;
        memcpy(d + (size_t)before * row, s, (size_t)axis * row);
        if (mode == MK_PAD_CONSTANT) {
            mk_fill(element_size, d, before * inner, value);
            mk_fill(element_size, d + (size_t)(before + axis) * row, after * inner, value);
            continue;
        }
        int reflect = mode == MK_PAD_REFLECT;
        for (int64_t i = 0; i < before; i++)
            memcpy(d + (size_t)i * row, s + (size_t)(reflect ? before - i : 0) * row, row);
        for (int64_t i = 0; i < after; i++)
            memcpy(d + (size_t)(before + axis + i) * row, s + (size_t)(reflect ? axis - 2 - i : axis - 1) * row, row);
    }
}

// The index at position i, counted from the start of the axis, or -1 when out of range.
static inline int64_t mk_index(const void *indices, int size, int64_t i, int64_t axis) {
    int64_t k = size == 4 ? ((const int32_t *)indices)[i] : ((const int64_t *)indices)[i];
    if (k < 0) k += axis;
    return k >= 0 && k < axis ? k : -1;
}

int64_t mk_gather(int64_t outer, int64_t axis, int64_t inner_bytes, const void *src, int index_size,
                  const void *indices, int64_t count, void *dst) {
    size_t row = (size_t)inner_bytes;
    for (int64_t i = 0; i < count; i++) {
        int64_t k = mk_index(indices, index_size, i, axis);
        if (k < 0) return i;
        const char *s = (const char *)src + (size_t)k * row;
        char *d = (char *)dst + (size_t)i * row;
        for (int64_t o = 0; o < outer; o++)
            memcpy(d + (size_t)(o * count) * row, s + (size_t)(o * axis) * row, row);
    }
    return -1;
}

#define MK_ALONG(type) { \
    const type *s = src; \
    type *d = dst; \
    for (int64_t o = 0, at = 0; o < outer; o++) \
        for (int64_t i = 0; i < count; i++) \
            for (int64_t n = 0; n < inner; n++, at++) { \
                int64_t k = mk_index(indices, index_size, at, axis); \
                if (k < 0) return at; \
                d[at] = s[(o * axis + k) * inner + n]; \
            } \
    return -1; }

typedef struct { uint64_t low, high; } mk_wide;

int64_t mk_gather_along_axis(int element_size, int64_t outer, int64_t axis, int64_t inner, const void *src,
                             int index_size, const void *indices, int64_t count, void *dst) {
    switch (element_size) {
        case 1: MK_ALONG(uint8_t)
        case 2: MK_ALONG(uint16_t)
        case 4: MK_ALONG(uint32_t)
        case 8: MK_ALONG(uint64_t)
        default: MK_ALONG(mk_wide)
    }
}

// The flat position that `depth` indices from position i name, or -1 - the position of a bad index.
static int64_t mk_index_nd(const void *indices, int size, int64_t i, int depth, const int64_t *shape) {
    int64_t flat = 0;
    for (int d = 0; d < depth; d++) {
        int64_t k = mk_index(indices, size, i * depth + d, shape[d]);
        if (k < 0) return -1 - (i * depth + d);
        flat = flat * shape[d] + k;
    }
    return flat;
}

int64_t mk_gather_nd(int64_t batch, int depth, const int64_t *shape, int64_t inner_bytes, const void *src,
                     int index_size, const void *indices, int64_t count, void *dst) {
    size_t row = (size_t)inner_bytes;
    int64_t volume = 1;
    for (int d = 0; d < depth; d++) volume *= shape[d];
    for (int64_t b = 0, i = 0; b < batch; b++)
        for (int64_t c = 0; c < count; c++, i++) {
            int64_t flat = mk_index_nd(indices, index_size, i, depth, shape);
            if (flat < 0) return -1 - flat;
            memcpy((char *)dst + (size_t)i * row, (const char *)src + (size_t)(b * volume + flat) * row, row);
        }
    return -1;
}

#define MK_APPLY(expression) for (int64_t i = 0; i < n; i++) { x = d[i]; y = u[i]; d[i] = (expression); } break;

static void mk_apply_float(mk_scatter_mode mode, float *d, const float *u, int64_t n) {
    float x, y;
    switch (mode) {
        case MK_SCATTER_UPDATE: memcpy(d, u, (size_t)n * 4); break;
        case MK_SCATTER_ADD: MK_APPLY(x + y)
        case MK_SCATTER_SUB: MK_APPLY(x - y)
        case MK_SCATTER_MUL: MK_APPLY(x * y)
        case MK_SCATTER_DIV: MK_APPLY(x / y)
        case MK_SCATTER_MAX: MK_APPLY(x > y || x != x ? x : y)
        case MK_SCATTER_MIN: MK_APPLY(x < y || x != x ? x : y)
    }
}

static int32_t mk_divide_down(int32_t x, int32_t y) {
    if (y == 0) return 0;
    if (y == -1) return (int32_t)(0u - (uint32_t)x);
    return x / y - (x % y != 0 && (x < 0) != (y < 0));
}

static void mk_apply_int(mk_scatter_mode mode, int32_t *d, const int32_t *u, int64_t n) {
    int32_t x, y;
    switch (mode) {
        case MK_SCATTER_UPDATE: memcpy(d, u, (size_t)n * 4); break;
        case MK_SCATTER_ADD: MK_APPLY((int32_t)((uint32_t)x + (uint32_t)y))
        case MK_SCATTER_SUB: MK_APPLY((int32_t)((uint32_t)x - (uint32_t)y))
        case MK_SCATTER_MUL: MK_APPLY((int32_t)((uint32_t)x * (uint32_t)y))
        case MK_SCATTER_DIV: MK_APPLY(mk_divide_down(x, y))
        case MK_SCATTER_MAX: MK_APPLY(x > y ? x : y)
        case MK_SCATTER_MIN: MK_APPLY(x < y ? x : y)
    }
}

static void mk_apply(mk_scatter_mode mode, int integer, void *dst, int64_t at, const void *updates, int64_t from,
                     int64_t n) {
    if (integer) mk_apply_int(mode, (int32_t *)dst + at, (const int32_t *)updates + from, n);
    else mk_apply_float(mode, (float *)dst + at, (const float *)updates + from, n);
}

int64_t mk_scatter(mk_scatter_mode mode, int integer, int64_t outer, int64_t axis, int64_t inner, void *dst,
                   int index_size, const void *indices, int64_t count, const void *updates) {
    for (int64_t i = 0; i < count; i++) {
        int64_t k = mk_index(indices, index_size, i, axis);
        if (k < 0) return i;
        for (int64_t o = 0; o < outer; o++)
            mk_apply(mode, integer, dst, (o * axis + k) * inner, updates, (o * count + i) * inner, inner);
    }
    return -1;
}

int64_t mk_scatter_along_axis(mk_scatter_mode mode, int integer, int64_t outer, int64_t axis, int64_t inner, void *dst,
                              int index_size, const void *indices, int64_t count, const void *updates) {
    for (int64_t o = 0, at = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++)
            for (int64_t n = 0; n < inner; n++, at++) {
                int64_t k = mk_index(indices, index_size, at, axis);
                if (k < 0) return at;
                mk_apply(mode, integer, dst, (o * axis + k) * inner + n, updates, at, 1);
            }
    return -1;
}

int64_t mk_scatter_nd(mk_scatter_mode mode, int integer, int depth, const int64_t *shape, int64_t inner, void *dst,
                      int index_size, const void *indices, int64_t count, const void *updates) {
    for (int64_t i = 0; i < count; i++) {
        int64_t flat = mk_index_nd(indices, index_size, i, depth, shape);
        if (flat < 0) return -1 - flat;
        mk_apply(mode, integer, dst, flat * inner, updates, i * inner, inner);
    }
    return -1;
}

void mk_one_hot(int element_size, int64_t outer, int64_t depth, int64_t inner, int index_size, const void *indices,
                const void *on, const void *off, void *dst) {
    mk_fill(element_size, dst, outer * depth * inner, off);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t n = 0; n < inner; n++) {
            int64_t k = mk_index(indices, index_size, o * inner + n, depth);
            size_t at = (size_t)(((o * depth + k) * inner + n) * element_size);
            if (k >= 0) memcpy((char *)dst + at, on, (size_t)element_size);
        }
}
