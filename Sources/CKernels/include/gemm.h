// Matrix products in fp32, and in fp32 with weights stored as fp16. Sizes and strides count elements.
#ifndef MARTLET_GEMM_H
#define MARTLET_GEMM_H

#include <stddef.h>
#include <stdint.h>

#include "dtype.h"
#include "element.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    MK_ACTIVATION_NONE,
    MK_ACTIVATION_RELU,
    MK_ACTIVATION_CLIP,  // to [lo, hi]
    MK_ACTIVATION_GELU_ERF,
    MK_ACTIVATION_GELU_TANH,
    MK_ACTIVATION_SIGMOID,
    MK_ACTIVATION_SILU,
    MK_ACTIVATION_TANH,
} mk_activation;

// What becomes of a sum before it is stored: activation(sum + bias) + residual, or activation(sum + bias + residual)
// where `residual_first` is set.
typedef struct {
    const float *bias;  // [N], or null
    mk_activation activation;
    float lo, hi;           // of MK_ACTIVATION_CLIP
    const float *residual;  // [M, N] with unit column stride, or null; may be C itself
    int64_t residual_stride;
    int residual_first;
} mk_epilogue;

// C[M, N] = epilogue(A[M, K] B[K, N]), or of C + A B where `accumulate` is set. fp32. A and B have any row and column
// strides (zero and negative ones too), C unit column stride. `epilogue` may be null. C must not overlap A or B.
void mk_gemm(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_column, const float *B,
             int64_t b_row, int64_t b_column, float *C, int64_t c_row, int accumulate, const mk_epilogue *epilogue,
             void *workspace);

// Whether a product is one that mk_gemm does without packing, where the columns of A and B are neighbours.
int mk_gemm_is_small(int64_t M, int64_t N, int64_t K);

// Whether mk_gemm is as quick on this processor as the best libraries, where the columns of A are neighbours.
int mk_gemm_is_quick(void);

// Bytes of workspace for mk_gemm on this thread's number of threads. Workspaces are 64-byte aligned, everywhere.
size_t mk_gemm_workspace(int64_t M, int64_t N, int64_t K);

// B packed once, as for weights: bytes it takes, and the packing of B[K, N] of any strides, fp32 or fp16, into fp32.
// The layout belongs to this processor: do not store it. 64-byte aligned.
size_t mk_gemm_pack_size(int64_t K, int64_t N);
void mk_gemm_pack(int64_t K, int64_t N, const void *B, mk_dtype dtype, int64_t b_row, int64_t b_column, void *packed);

// As mk_gemm, with B packed.
void mk_gemm_packed(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_column,
                    const void *packed, float *C, int64_t c_row, int accumulate, const mk_epilogue *epilogue,
                    void *workspace);
size_t mk_gemm_packed_workspace(int64_t M, int64_t N, int64_t K);

// Few rows, as in decoding one token: y[M, N] = epilogue(x[M, K] W), as fast as memory delivers W once. Any M works;
// up to 8 rows share one pass over W. fp32 x and y of unit column stride; W fp32 or fp16.
// mk_gemv: W[N, K], rows w_row apart, K contiguous. mk_gemv_transposed: W[K, N], rows w_row apart, N contiguous.
void mk_gemv(int64_t M, int64_t N, int64_t K, const float *x, int64_t x_row, const void *W, mk_dtype dtype,
             int64_t w_row, float *y, int64_t y_row, const mk_epilogue *epilogue);
void mk_gemv_transposed(int64_t M, int64_t N, int64_t K, const float *x, int64_t x_row, const void *W, mk_dtype dtype,
                        int64_t w_row, float *y, int64_t y_row, const mk_epilogue *epilogue);

// C[M, N] = A[M, K] B[K, N] of fp64, integers or complex numbers; sums of integers wrap. A and B have any strides, C
// unit column stride. C must not overlap A or B.
void mk_gemm_typed(mk_element type, int64_t M, int64_t N, int64_t K, const void *A, int64_t a_row, int64_t a_column,
                   const void *B, int64_t b_row, int64_t b_column, void *C, int64_t c_row, void *workspace);

// Bytes of workspace for mk_gemm_typed on this thread's number of threads.
size_t mk_gemm_typed_workspace(int64_t M, int64_t N, int64_t K);

#ifdef __cplusplus
}
#endif
#endif
