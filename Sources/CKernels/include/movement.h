// Data movement: strided copies, padding, gather and scatter, sorting. Elements are 1, 2, 4, 8 or 16 bytes wide.
#ifndef MARTLET_MOVEMENT_H
#define MARTLET_MOVEMENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MK_COPY_RANK = 16 };

// dst[i...] = src[i...] over `shape`; strides in elements. Source strides may be negative or 0 (broadcast); transposes,
// slices, tiles, reversals, concatenations and pixel shuffles are all calls of this. dst and src must not overlap.
void mk_copy(int element_size, int rank, const int64_t *shape, void *dst, const int64_t *dst_strides, const void *src,
             const int64_t *src_strides);

// count copies of the element at `value`.
void mk_fill(int element_size, void *dst, int64_t count, const void *value);

typedef enum mk_padding { MK_PAD_CONSTANT, MK_PAD_REFLECT, MK_PAD_REPLICATE } mk_padding;

// Pads one axis: src [outer, axis, inner] to dst [outer, before + axis + after, inner], inner in elements. `value` is
// read for MK_PAD_CONSTANT only. Reflection leaves out the edge, so before and after are below axis.
void mk_pad(mk_padding mode, int element_size, int64_t outer, int64_t axis, int64_t inner, int64_t before,
            int64_t after, const void *value, const void *src, void *dst);

// Indices are int32 (index_size 4) or int64 (8); -n ... -1 count from the end. Functions that take indices return -1
// when all are in range, else the position in `indices` of one that is not (then dst is not complete).

// dst [outer, count, inner_bytes] = src [outer, axis, inner_bytes] at indices [count].
int64_t mk_gather(int64_t outer, int64_t axis, int64_t inner_bytes, const void *src, int index_size,
                  const void *indices, int64_t count, void *dst);

// dst [outer, count, inner] = src [outer, axis, inner] at indices [outer, count, inner].
int64_t mk_gather_along_axis(int element_size, int64_t outer, int64_t axis, int64_t inner, const void *src,
                             int index_size, const void *indices, int64_t count, void *dst);

// src [batch, shape[0], ..., shape[depth - 1], inner_bytes], indices [batch, count, depth],
// dst [batch, count, inner_bytes].
int64_t mk_gather_nd(int64_t batch, int depth, const int64_t *shape, int64_t inner_bytes, const void *src,
                     int index_size, const void *indices, int64_t count, void *dst);

typedef enum mk_scatter_mode {
    MK_SCATTER_UPDATE, MK_SCATTER_ADD, MK_SCATTER_SUB, MK_SCATTER_MUL, MK_SCATTER_DIV, MK_SCATTER_MAX, MK_SCATTER_MIN,
} mk_scatter_mode;

// The scatters change dst, which already holds the data, in order of the updates. Elements are fp32, or int32 with
// integer != 0. Division of integers rounds down, by zero gives 0.

// dst [outer, axis, inner] at indices [count], updates [outer, count, inner].
int64_t mk_scatter(mk_scatter_mode mode, int integer, int64_t outer, int64_t axis, int64_t inner, void *dst,
                   int index_size, const void *indices, int64_t count, const void *updates);

// dst [outer, axis, inner] at indices [outer, count, inner], updates [outer, count, inner].
int64_t mk_scatter_along_axis(mk_scatter_mode mode, int integer, int64_t outer, int64_t axis, int64_t inner, void *dst,
                              int index_size, const void *indices, int64_t count, const void *updates);

// dst [shape[0], ..., shape[depth - 1], inner], indices [count, depth], updates [count, inner].
int64_t mk_scatter_nd(mk_scatter_mode mode, int integer, int depth, const int64_t *shape, int64_t inner, void *dst,
                      int index_size, const void *indices, int64_t count, const void *updates);

// dst [outer, depth, inner]: on where the index [outer, inner] is the position, off elsewhere. An index out of range
// sets nothing; -depth ... -1 count from the end.
void mk_one_hot(int element_size, int64_t outer, int64_t depth, int64_t inner, int index_size, const void *indices,
                const void *on, const void *off, void *dst);

// Bytes of workspace for mk_topk of an axis.
size_t mk_topk_workspace(int64_t axis);

// The k first of src [outer, axis, inner] along the axis, in order; equal values keep their order and NaN counts as the
// greatest. values [outer, k, inner] (fp32 or int32 as src) and indices [outer, k, inner] (int32) may each be null.
// With k == axis this is argsort.
void mk_topk(int integer, int ascending, int64_t outer, int64_t axis, int64_t inner, const void *src, int64_t k,
             void *values, int32_t *indices, void *workspace);

// Number of elements that are not zero, of `count` elements: fp32 (integer 0) or integers of 1, 2, 4 or 8 bytes.
int64_t mk_non_zero_count(int element_size, int integer, const void *src, int64_t count);

// Writes their coordinates, dst int32 [n, rank].
void mk_non_zero(int element_size, int integer, int rank, const int64_t *shape, const void *src, int32_t *dst);

#ifdef __cplusplus
}
#endif
#endif
