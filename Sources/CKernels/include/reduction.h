// Reductions along an axis of a dense array seen as [outer, axis, inner]; the result is [outer, inner].
#ifndef MARTLET_REDUCTION_H
#define MARTLET_REDUCTION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mk_reduction {
    MK_REDUCE_SUM, MK_REDUCE_MEAN, MK_REDUCE_MAX, MK_REDUCE_MIN, MK_REDUCE_PROD, MK_REDUCE_SUM_SQUARE, MK_REDUCE_L1,
    MK_REDUCE_L2, MK_REDUCE_LOG_SUM, MK_REDUCE_LOG_SUM_EXP,
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

#ifdef __cplusplus
}
#endif
#endif
