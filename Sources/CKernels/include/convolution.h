// Convolutions in fp32, channels last.
#ifndef MARTLET_CONVOLUTION_H
#define MARTLET_CONVOLUTION_H

#include "gemm.h"

#ifdef __cplusplus
extern "C" {
#endif

// x [N, D, H, W, C] and y [N, D', H', W', O] are contiguous; for fewer axes the leading ones are 1. Arrays of three are
// for D, H and W. Weights: [O, C / groups, kD, kH, kW], of a transposed convolution [C, O / groups, kD, kH, kW].
// Padding may be negative (cropping). A transposed convolution crops its output by the padding: an output padding is a
// smaller pad_end.
typedef struct {
    int64_t batch, input[3], in_channels, out_channels, groups;
    int64_t kernel[3], stride[3], dilation[3], pad_begin[3], pad_end[3];
    int transposed;
} mk_convolution_problem;

// Extent of y along axis 0 (D), 1 (H) or 2 (W).
int64_t mk_convolution_extent(const mk_convolution_problem *problem, int axis);

// The weights packed once, 64-byte aligned: bytes, and the packing. The layout belongs to this processor.
size_t mk_convolution_pack_size(const mk_convolution_problem *problem);
void mk_convolution_pack(const mk_convolution_problem *problem, const float *weights, void *packed);

// y = epilogue(convolution of x). The epilogue's residual is a matrix of pixels by O channels, like y.
void mk_convolution(const mk_convolution_problem *problem, const float *x, const void *packed, float *y,
                    const mk_epilogue *epilogue, void *workspace);

// Bytes of workspace on this thread's number of threads; 64-byte aligned.
size_t mk_convolution_workspace(const mk_convolution_problem *problem);

#ifdef __cplusplus
}
#endif
#endif
