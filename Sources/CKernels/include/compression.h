// Weights stored in few bits, laid out as they are meant: run once, before a program's first run.
#ifndef MARTLET_COMPRESSION_H
#define MARTLET_COMPRESSION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Numbers of 1 to 8 bits that follow one another from the lowest bit of the first byte on, to a byte each.
void mk_unpack_bits(int bits, int64_t count, const uint8_t *src, uint8_t *dst);

// Tables of vectors: [tables along each axis..., entries, vector]. Each axis of `shape` is divided into blocks of
// block[axis] positions that share a table.
typedef struct mk_tables {
    int rank;
    const int64_t *shape, *block;
    int64_t entries, vector;
    const void *values;
} mk_tables;

// dst = the vectors at indices [shape], laid along `axis`, which becomes `vector` times as long. Returns -1, or the
// position of an index that is no entry.
int64_t mk_lookup(int element_size, const mk_tables *tables, int axis, const uint8_t *indices, void *dst);

// dst[j] = scale * (src[j] - offset) for the j-th position of `shape` where the mask is set, with scale [blocks] and
// offset [blocks] or null; at most `available` of them.
void mk_scale_sparse(int rank, const int64_t *shape, const int64_t *block, const uint8_t *mask, const float *scale,
                     const float *offset, int64_t available, const float *src, float *dst);

// dst[count] = the elements of src in order where the mask is set, 0 elsewhere. Returns how many are set; those beyond
// `available` are not read.
int64_t mk_spread(int element_size, int64_t count, const uint8_t *mask, int64_t available, const void *src, void *dst);

// dst = the elements of src[count] where the mask is set, at most `room`. Returns how many are set.
int64_t mk_collect(int element_size, int64_t count, const uint8_t *mask, int64_t room, const void *src, void *dst);

#ifdef __cplusplus
}
#endif
#endif
