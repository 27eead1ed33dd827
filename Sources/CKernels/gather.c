// Padding, gather, scatter and one-hot.
#include <string.h>

#include "include/movement.h"
#include "include/threads.h"
#include "index.h"

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

#define MK_EACH "scatter_typed.inc"
#include "each_type.h"

typedef void (*mk_apply)(mk_scatter_mode mode, void *dst, int64_t to, const void *updates, int64_t from, int64_t n);
static const mk_apply applies[MK_ELEMENT_COUNT] = { MK_BY_TYPE(apply) };

int64_t mk_scatter(mk_scatter_mode mode, mk_element type, int64_t outer, int64_t axis, int64_t inner, void *dst,
                   int index_size, const void *indices, int64_t count, const void *updates) {
    mk_apply apply = applies[type];
    for (int64_t i = 0; i < count; i++) {
        int64_t k = mk_index(indices, index_size, i, axis);
        if (k < 0) return i;
        for (int64_t o = 0; o < outer; o++)
            apply(mode, dst, (o * axis + k) * inner, updates, (o * count + i) * inner, inner);
    }
    return -1;
}

int64_t mk_scatter_along_axis(mk_scatter_mode mode, mk_element type, int64_t outer, int64_t axis, int64_t inner, void *dst,
                              int index_size, const void *indices, int64_t count, const void *updates) {
    mk_apply apply = applies[type];
    for (int64_t o = 0, at = 0; o < outer; o++)
        for (int64_t i = 0; i < count; i++)
            for (int64_t n = 0; n < inner; n++, at++) {
                int64_t k = mk_index(indices, index_size, at, axis);
                if (k < 0) return at;
                apply(mode, dst, (o * axis + k) * inner + n, updates, at, 1);
            }
    return -1;
}

int64_t mk_scatter_nd(mk_scatter_mode mode, mk_element type, int depth, const int64_t *shape, int64_t inner, void *dst,
                      int index_size, const void *indices, int64_t count, const void *updates) {
    mk_apply apply = applies[type];
    for (int64_t i = 0; i < count; i++) {
        int64_t flat = mk_index_nd(indices, index_size, i, depth, shape);
        if (flat < 0) return -1 - flat;
        apply(mode, dst, flat * inner, updates, i * inner, inner);
    }
    return -1;
}

void mk_one_hot(int element_size, int64_t outer, int64_t depth, int64_t inner, int index_size, const void *indices,
                const void *on, const void *off, void *dst) {
    mk_fill(element_size, dst, outer * depth * inner, off);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t n = 0; n < inner; n++) {
            int64_t i = o * inner + n;
            int64_t k = index_size == 4 ? ((const int32_t *)indices)[i] : ((const int64_t *)indices)[i];
            size_t at = (size_t)(((o * depth + k) * inner + n) * element_size);
            if (k >= 0 && k < depth) memcpy((char *)dst + at, on, (size_t)element_size);
        }
}

void mk_wider_indices(int64_t count, const int32_t *src, int index_size, void *dst) {
    for (int64_t i = 0; i < count; i++) mk_store_index(dst, index_size, i, src[i]);
}

#define MK_WHOLE(name, type) \
    case name: for (int64_t i = 0; i < count; i++) dst[i] = ((const type *)src)[i]; break;

void mk_whole_indices(mk_element type, int64_t count, const void *src, int64_t *dst) {
    switch (type) {
        MK_WHOLE(MK_ELEMENT_BOOL, uint8_t)
        MK_WHOLE(MK_ELEMENT_INT8, int8_t)
        MK_WHOLE(MK_ELEMENT_UINT8, uint8_t)
        MK_WHOLE(MK_ELEMENT_INT16, int16_t)
        MK_WHOLE(MK_ELEMENT_UINT16, uint16_t)
        MK_WHOLE(MK_ELEMENT_INT32, int32_t)
        MK_WHOLE(MK_ELEMENT_UINT32, uint32_t)
        MK_WHOLE(MK_ELEMENT_INT64, int64_t)
        default:
            // What no index can be stays out of range.
            for (int64_t i = 0; i < count; i++) {
                uint64_t value = ((const uint64_t *)src)[i];
                dst[i] = value > INT64_MAX ? INT64_MAX : (int64_t)value;
            }
    }
}

void mk_band(int element_size, int64_t matrices, int64_t rows, int64_t columns, int64_t lower, int64_t upper,
             const void *src, void *dst) {
    size_t size = (size_t)element_size;
    for (int64_t row = 0; row < matrices * rows; row++) {
        int64_t r = row % rows, begin = lower < 0 || lower > r ? 0 : r - lower;
        int64_t end = upper < 0 || upper >= columns - r ? columns : r + upper + 1;
        if (begin > columns) begin = columns;
        if (end < begin) end = begin;
        const char *s = (const char *)src + (size_t)(row * columns) * size;
        char *d = (char *)dst + (size_t)(row * columns) * size;
        memset(d, 0, (size_t)begin * size);
        memcpy(d + (size_t)begin * size, s + (size_t)begin * size, (size_t)(end - begin) * size);
        memset(d + (size_t)end * size, 0, (size_t)(columns - end) * size);
    }
}
