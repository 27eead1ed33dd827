// Small things the kernels share, and the single-threaded product the convolutions are made of.
#ifndef MARTLET_COMMON_H
#define MARTLET_COMMON_H

#include "include/gemm.h"

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t greatest(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

// Where part `part` of `parts` starts in `count` units; it ends where the next one starts.
static inline int64_t part_start(int64_t count, int part, int parts) { return count * part / parts; }

// mk_gemm_packed on this thread alone.
void mk_gemm_packed_serial(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_column,
                           const void *packed, float *C, int64_t c_row, int accumulate, const mk_epilogue *epilogue,
                           void *scratch);
size_t mk_gemm_serial_scratch(int64_t K);

// mk_gemm_pack of a B whose rows and columns both run over two nested indices (the taps and channels of a convolution):
// index = outer * count + inner, at outer * outer_stride + inner * inner_stride.
typedef struct {
    int64_t count, outer, inner;
} mk_nested;

void mk_gemm_pack_nested(int64_t K, int64_t N, const float *B, mk_nested row, mk_nested column, void *packed);

#endif
