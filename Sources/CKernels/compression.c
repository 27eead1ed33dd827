// Unpacking of compressed weights.
#include "include/compression.h"

#include <string.h>

enum { MK_DIMENSIONS = 16 };

void mk_unpack_bits(int bits, int64_t count, const uint8_t *src, uint8_t *dst) {
    unsigned mask = (1u << bits) - 1;
    for (int64_t i = 0; i < count; i++) {
        int64_t first = i * bits;
        unsigned value = src[first / 8] >> (first % 8);
        if (first % 8 + bits > 8) value |= (unsigned)src[first / 8 + 1] << (8 - first % 8);
        dst[i] = (uint8_t)(value & mask);
    }
}

// Counts a position in `shape` up, the last axis first. Returns 0 after the last position.
static int mk_next(int rank, const int64_t *shape, int64_t *position) {
    for (int d = rank - 1; d >= 0; d--) {
        if (++position[d] < shape[d]) return 1;
        position[d] = 0;
    }
    return 0;
}

// The block a position lies in, counted in row-major order.
static int64_t mk_block_of(int rank, const int64_t *shape, const int64_t *block, const int64_t *position) {
    int64_t flat = 0;
    for (int d = 0; d < rank; d++) flat = flat * (shape[d] / block[d]) + position[d] / block[d];
    return flat;
}

static int64_t mk_volume(int rank, const int64_t *shape) {
    int64_t volume = 1;
    for (int d = 0; d < rank; d++) volume *= shape[d];
    return volume;
}

int64_t mk_lookup(int element_size, const mk_tables *t, int axis, const uint8_t *indices, void *dst) {
    int64_t position[MK_DIMENSIONS] = { 0 }, stride[MK_DIMENSIONS], step = element_size, at = 0;
    if (mk_volume(t->rank, t->shape) == 0) return -1;
    for (int d = t->rank - 1; d >= 0; d--) {
        stride[d] = d == axis ? step * t->vector : step;
        step *= t->shape[d] * (d == axis ? t->vector : 1);
    }
    int64_t along = t->vector > 1 ? stride[axis] / t->vector : 0;
    int last = t->rank - 1;
    do {
        // A run along the last axis shares a table.
        const char *table = t->values;
        table += mk_block_of(t->rank, t->shape, t->block, position) * t->entries * t->vector * element_size;
        char *d = dst;
        for (int k = 0; k < t->rank; k++) d += position[k] * stride[k];
        for (int64_t i = 0; i < t->block[last]; i++, at++, d += stride[last]) {
            if (indices[at] >= t->entries) return at;
            const char *entry = table + indices[at] * t->vector * element_size;
            if (t->vector > 1) {
                for (int64_t v = 0; v < t->vector; v++)
                    memcpy(d + v * along, entry + v * element_size, (size_t)element_size);
            } else if (element_size == 4) {
                memcpy(d, entry, 4);
            } else {
                memcpy(d, entry, (size_t)element_size);
            }
        }
        position[last] += t->block[last] - 1;
    } while (mk_next(t->rank, t->shape, position));
    return -1;
}

void mk_scale_sparse(int rank, const int64_t *shape, const int64_t *block, const uint8_t *mask, const float *scale,
                     const float *offset, int64_t available, const float *src, float *dst) {
    int64_t position[MK_DIMENSIONS] = { 0 }, at = 0, j = 0;
    if (mk_volume(rank, shape) == 0) return;
    do {
        if (!mask[at++]) continue;
        if (j == available) return;
        int64_t b = mk_block_of(rank, shape, block, position);
        dst[j] = scale[b] * (src[j] - (offset ? offset[b] : 0));
        j++;
    } while (mk_next(rank, shape, position));
}

int64_t mk_spread(int element_size, int64_t count, const uint8_t *mask, int64_t available, const void *src, void *dst) {
    size_t size = (size_t)element_size;
    int64_t set = 0;
    memset(dst, 0, (size_t)count * size);
    for (int64_t i = 0; i < count; i++) {
        if (!mask[i]) continue;
        if (set < available) memcpy((char *)dst + (size_t)i * size, (const char *)src + (size_t)set * size, size);
        set++;
    }
    return set;
}

int64_t mk_collect(int element_size, int64_t count, const uint8_t *mask, int64_t room, const void *src, void *dst) {
    size_t size = (size_t)element_size;
    int64_t set = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!mask[i]) continue;
        if (set < room) memcpy((char *)dst + (size_t)set * size, (const char *)src + (size_t)i * size, size);
        set++;
    }
    return set;
}
