// Data movement: strided copies, padding, gather and scatter, sorting. Elements are 1, 2, 4, 8 or 16 bytes wide.
#ifndef MARTLET_MOVEMENT_H
#define MARTLET_MOVEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "element.h"

#ifdef __cplusplus
extern "C" {
#endif

// More axes of two elements and more than that no tensor has.
enum { MK_COPY_RANK = 48 };

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

// The scatters change dst, which already holds the data, in order of the updates. Elements are of any type but fp16;
// sums and products of integers wrap, their quotients round down, and are 0 if the divisor is 0. Complex numbers have
// no greatest or least.

// dst [outer, axis, inner] at indices [count], updates [outer, count, inner].
int64_t mk_scatter(mk_scatter_mode mode, mk_element type, int64_t outer, int64_t axis, int64_t inner, void *dst,
                   int index_size, const void *indices, int64_t count, const void *updates);

// dst [outer, axis, inner] at indices [outer, count, inner], updates [outer, count, inner].
int64_t mk_scatter_along_axis(mk_scatter_mode mode, mk_element type, int64_t outer, int64_t axis, int64_t inner, void *dst,
                              int index_size, const void *indices, int64_t count, const void *updates);

// dst [shape[0], ..., shape[depth - 1], inner], indices [count, depth], updates [count, inner].
int64_t mk_scatter_nd(mk_scatter_mode mode, mk_element type, int depth, const int64_t *shape, int64_t inner, void *dst,
                      int index_size, const void *indices, int64_t count, const void *updates);

// dst [outer, depth, inner]: on where the index [outer, inner] is the position, off elsewhere. An index out of range
// sets nothing.
void mk_one_hot(int element_size, int64_t outer, int64_t depth, int64_t inner, int index_size, const void *indices,
                const void *on, const void *off, void *dst);

// Positions of 32 bits in another width: 2 (unsigned) or 8 bytes.
void mk_wider_indices(int64_t count, const int32_t *src, int index_size, void *dst);

// Integers of any type as indices of 64 bits.
void mk_whole_indices(mk_element type, int64_t count, const void *src, int64_t *dst);

// dst = src [matrices, rows, columns] with 0 more than `lower` diagonals below the main one and more than `upper` above
// it; a negative number keeps all.
void mk_band(int element_size, int64_t matrices, int64_t rows, int64_t columns, int64_t lower, int64_t upper,
             const void *src, void *dst);

// Positions that the functions below write are of index_size 2 (unsigned), 4 or 8 bytes.

// Bytes of workspace for mk_sort of an axis, on this thread's number of threads.
size_t mk_sort_workspace(mk_element type, int64_t axis);

// The k first of src [outer, axis, inner] along the axis, in order; equal values keep their order and NaN counts as the
// greatest. Real numbers but fp16. values [outer, k, inner] and indices [outer, k, inner] may each be null.
void mk_sort(mk_element type, int ascending, int64_t outer, int64_t axis, int64_t inner, const void *src, int64_t k,
             void *values, int index_size, void *indices, void *workspace);

// dst[i]: where values[i] goes in the sorted src [n], before the elements equal to it or behind them (`right`).
void mk_search_sorted(mk_element type, int right, int64_t n, const void *src, int64_t count, const void *values,
                      int index_size, void *dst);

// The coordinates of all elements that are not zero, dst [count, rank]; returns the count.
int64_t mk_non_zero(mk_element type, int rank, const int64_t *shape, const void *src, int index_size, void *dst);

// The elements where the mask is not 0; returns how many. dst has room for `count`.
int64_t mk_masked_select(int element_size, int64_t count, const void *src, const uint8_t *mask, void *dst);

// Bytes of workspace for mk_unique.
size_t mk_unique_workspace(int64_t count);

// The different elements in rising order, where each stands first and how often it occurs; and for each element of src
// its place among them (inverse). Returns how many. Room is for `count` everywhere. NaN differs from itself.
int64_t mk_unique(mk_element type, int64_t count, const void *src, void *values, int index_size, void *indices,
                  void *inverse, void *counts, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
