// Reductions along an axis of a dense array seen as [outer, axis, inner]; the result is [outer, inner].
#ifndef MARTLET_REDUCTION_H
#define MARTLET_REDUCTION_H

#include <stdint.h>

#include "element.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mk_reduction {
    MK_REDUCE_SUM, MK_REDUCE_MEAN, MK_REDUCE_MAX, MK_REDUCE_MIN, MK_REDUCE_PROD, MK_REDUCE_SUM_SQUARE, MK_REDUCE_L1,
    MK_REDUCE_L2, MK_REDUCE_LOG_SUM, MK_REDUCE_LOG_SUM_EXP, MK_REDUCE_ANY, MK_REDUCE_ALL,
} mk_reduction;

// fp32. NaN goes through max and min. An empty axis gives the identity: 0, 1, or an infinity.
void mk_reduce(mk_reduction mode, int64_t outer, int64_t axis, int64_t inner, const float *src, float *dst);

// int32: sum, max, min and prod only. Sums and products wrap.
void mk_reduce_int(mk_reduction mode, int64_t outer, int64_t axis, int64_t inner, const int32_t *src, int32_t *dst);

// Position of the greatest (`least`: smallest) element, the first where several are equal; NaN counts as greatest and
// as smallest. src is fp32, or int32 with integer != 0.
void mk_argmax(int integer, int least, int64_t outer, int64_t axis, int64_t inner, const void *src, int32_t *dst);

// Running sums along the axis; dst [outer, axis, inner]. exclusive leaves the element itself out, reverse starts at the
// end. src is fp32, or int32 with integer != 0.
void mk_cumsum(int integer, int exclusive, int reverse, int64_t outer, int64_t axis, int64_t inner, const void *src,
               void *dst);

// The same for every element type but fp16, in its own arithmetic: sums and products of integers wrap.

// sum, mean, max, min and prod; of complex numbers sum, mean and prod. dst is of the type of src.
void mk_reduce_typed(mk_element type, mk_reduction mode, int64_t outer, int64_t axis, int64_t inner, const void *src,
                     void *dst);

// Whether any element, or all of them, are other than 0.
void mk_reduce_truth(mk_element type, int all, int64_t outer, int64_t axis, int64_t inner, const void *src,
                     uint8_t *dst);

// The sum of squared distances from the mean, divided by axis - correction (by 0 where that is below). fp32 and fp64.
void mk_reduce_variance(mk_element type, double correction, int64_t outer, int64_t axis, int64_t inner,
                        const void *src, void *dst);

// Positions of index_size 2 (unsigned), 4 or 8 bytes; real types.
void mk_argmax_typed(mk_element type, int least, int64_t outer, int64_t axis, int64_t inner, const void *src,
                     int index_size, void *dst);

// Running sums or products.
void mk_cumulate(mk_element type, int product, int exclusive, int reverse, int64_t outer, int64_t axis, int64_t inner,
                 const void *src, void *dst);

#ifdef __cplusplus
}
#endif
#endif
