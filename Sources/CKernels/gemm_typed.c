// Matrix products of fp64, integers and complex numbers. Sums of integers wrap, so that signs do not matter.
#include <string.h>

#include "common.h"
#include "include/threads.h"

// A block of A stays in the second-level cache, a panel of B in the first.
enum { block_rows = 96, block_depth = 256, block_columns = 512 };

// Room for packed blocks: panels are of up to 12 rows and 128 columns, elements of up to 16 bytes.
static int64_t rows_room(int64_t M) { return least(block_rows, round_up(M, 12)); }
static int64_t depth_room(int64_t K) { return least(block_depth, K); }
static size_t part_room(int64_t M, int64_t N, int64_t K) {
    return (size_t)((rows_room(M) + least(block_columns, round_up(N, 128))) * depth_room(K)) * 16 + 64;
}

typedef enum {
    MK_KIND_FLOAT64, MK_KIND_8, MK_KIND_16, MK_KIND_32, MK_KIND_64, MK_KIND_COMPLEX64, MK_KIND_COMPLEX128,
} mk_product_kind;

typedef struct mk_typed_product {
    mk_product_kind kind;
    int is_small;
    int64_t M, N, K;
    const void *A, *B;
    int64_t a_row, a_column, b_row, b_column, c_row;
    void *C;
    char *workspace;
} mk_typed_product;

#define MK_KERNELS "gemm_typed.inc"
#include "isa.h"

static mk_product_kind kind_of(mk_element type) {
    switch (type) {
        case MK_ELEMENT_FLOAT64: return MK_KIND_FLOAT64;
        case MK_ELEMENT_COMPLEX64: return MK_KIND_COMPLEX64;
        case MK_ELEMENT_COMPLEX128: return MK_KIND_COMPLEX128;
        case MK_ELEMENT_INT64: case MK_ELEMENT_UINT64: return MK_KIND_64;
        case MK_ELEMENT_INT32: case MK_ELEMENT_UINT32: return MK_KIND_32;
        case MK_ELEMENT_INT16: case MK_ELEMENT_UINT16: return MK_KIND_16;
        default: return MK_KIND_8;
    }
}

static int is_small(int64_t M, int64_t N, int64_t K) { return M < 4 || N < 4 || (double)M * N * K < 4096; }

size_t mk_gemm_typed_workspace(int64_t M, int64_t N, int64_t K) {
    return is_small(M, N, K) ? 0 : part_room(M, N, K) * (size_t)mk_threads();
}

void mk_gemm_typed(mk_element type, int64_t M, int64_t N, int64_t K, const void *A, int64_t a_row, int64_t a_column,
                   const void *B, int64_t b_row, int64_t b_column, void *C, int64_t c_row, void *workspace) {
    mk_typed_product p = { kind_of(type), is_small(M, N, K), M, N, K, A, B, a_row, a_column, b_row, b_column, c_row, C,
                           workspace };
    double work = (double)M * N * K;
    int parts = work > 262144 ? mk_threads() : 1;
    int64_t longest = greatest(M, N);
    if (parts > longest) parts = (int)longest;
    if (parts <= 1) MK_PICK(typed_part)(&p, 0, 1);
    else mk_parallel(parts, MK_PICK(typed_part), &p);
}
