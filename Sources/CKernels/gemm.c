#include "include/gemm.h"

#include <string.h>

#include "common.h"
#include "include/threads.h"

// Block sizes: a panel of B of 256 steps fits the L1, a block of A of 20 panels the L2.
enum { most_depth = 256, block_panels = 20, most_pack_bytes = 16 << 20 };
// Where A is read in place, a block of B of 512 steps and 256 columns stays in the L2.
enum { most_rows_depth = 512, block_columns = 256 };

struct product {
    int64_t M, N, K;
    const float *A;
    int64_t a_row, a_column;
    const float *packed;
    float *C;
    int64_t c_row;
    int accumulate;
    const mk_epilogue *epilogue;
    int64_t first_column;  // of C in the matrix the epilogue speaks of
    int across, down;      // parts along N and M
    char *scratch;
};

struct rows {
    struct product product;
    const float *B;
    int64_t b_row, b_column;
};

struct few {
    int64_t M, N, K;
    const float *x;
    int64_t x_row;
    const void *W;
    int64_t w_row;
    int transposed, half;
    float *y;
    int64_t y_row;
    const mk_epilogue *epilogue;
};

// K in equal blocks; both the packing of B and the product go by it.
static int64_t block_depth(int64_t K) { return K ? divide_up(K, divide_up(K, most_depth)) : 1; }

static int64_t rows_depth(int64_t K) { return K ? divide_up(K, divide_up(K, most_rows_depth)) : 1; }

static float widen_half(uint16_t bits) {
    union { uint32_t bits; float value; } half = {(uint32_t)(bits & 0x7fff) << 13};
    half.value *= 0x1p112f;
    if ((bits & 0x7c00) == 0x7c00) half.bits |= 0x7f800000;
    half.bits |= (uint32_t)(bits & 0x8000) << 16;
    return half.value;
}

#define MK_KERNELS "gemm.inc"
#include "isa.h"

static int64_t tile_rows(void) { return MK_PICK(rows_of_tile)(); }
static int64_t tile_columns(void) { return MK_PICK(columns_of_tile)(); }

// MARK: Packed B

size_t mk_gemm_pack_size(int64_t K, int64_t N) {
    return (size_t)round_up((round_up(N, tile_columns()) * K + 16) * 4, 64);
}

static int64_t offset(mk_nested n, int64_t i) { return i / n.count * n.outer + i % n.count * n.inner; }

void mk_gemm_pack_nested(int64_t K, int64_t N, const float *B, mk_nested row, mk_nested column, void *packed) {
    int64_t depth = block_depth(K), wide = tile_columns(), width = round_up(N, wide);
    for (int64_t k = 0; k < K; k += depth) {
        int64_t steps = least(depth, K - k);
        for (int64_t n = 0; n < width; n++) {
            const float *source = B + offset(column, least(n, N - 1));
            float *panel = (float *)packed + k * width + n / wide * wide * steps + n % wide;
            for (int64_t s = 0; s < steps; s++) panel[s * wide] = source[offset(row, k + s)];
        }
    }
}

struct packing {
    int64_t K, N;
    const void *B;
    mk_dtype dtype;
    int64_t row, column;
    float *packed;
};

static void pack_part(void *context, int part, int parts) {
    const struct packing *p = context;
    int64_t depth = block_depth(p->K), wide = tile_columns(), panels = divide_up(p->N, wide);
    int64_t first = part_start(panels, part, parts) * wide;
    int64_t end = least(part_start(panels, part + 1, parts) * wide, p->N);
    for (int64_t k = 0; k < p->K; k += depth) {
        int64_t steps = least(depth, p->K - k);
        for (int64_t n = first; n < end; n += wide) {
            float *panel = p->packed + k * panels * wide + n * steps;
            int64_t at = k * p->row + n * p->column, columns = least(wide, p->N - n);
            if (p->dtype == MK_FP32) {
                MK_PICK(pack_b)(columns, steps, (const float *)p->B + at, p->row, p->column, panel);
                continue;
            }
            for (int64_t s = 0; s < steps; s++)
                for (int64_t i = 0; i < wide; i++)
                    panel[s * wide + i] =
                        widen_half(((const uint16_t *)p->B)[at + s * p->row + least(i, columns - 1) * p->column]);
        }
    }
}

void mk_gemm_pack(int64_t K, int64_t N, const void *B, mk_dtype dtype, int64_t b_row, int64_t b_column, void *packed) {
    struct packing packing = {K, N, B, dtype, b_row, b_column, packed};
    int64_t parts = least(mk_threads(), K * N < 1 << 20 ? 1 : divide_up(N, tile_columns()));
    mk_parallel((int)greatest(parts, 1), pack_part, &packing);
}

// MARK: The product

size_t mk_gemm_serial_scratch(int64_t K) {
    return (size_t)round_up((block_panels * tile_rows() * block_depth(K) + 16) * 4, 64);
}

// Rows and columns of C: whole tiles, all but the last.
struct region {
    int64_t m0, m1, n0, n1;
};

static struct region region_of(const struct product *p, int part) {
    int64_t rows = tile_rows(), columns = tile_columns();
    int64_t tall = divide_up(p->M, rows), wide = divide_up(p->N, columns);
    int i = part / p->across, j = part % p->across;
    return (struct region){
        part_start(tall, i, p->down) * rows, least(part_start(tall, i + 1, p->down) * rows, p->M),
        part_start(wide, j, p->across) * columns, least(part_start(wide, j + 1, p->across) * columns, p->N)};
}

static void multiply_part(void *context, int part, int parts) {
    const struct product *p = context;
    struct region r = region_of(p, part);
    (void)parts;
    MK_PICK(multiply)(p, r.m0, r.m1, r.n0, r.n1, (float *)(p->scratch + (size_t)part * mk_gemm_serial_scratch(p->K)));
}

static size_t rows_scratch(int64_t N, int64_t K) {
    return (size_t)round_up((rows_depth(K) * round_up(least(N, block_columns), tile_columns()) + 16) * 4, 64);
}

static void rows_part(void *context, int part, int parts) {
    const struct rows *p = context;
    struct region r = region_of(&p->product, part);
    (void)parts;
    MK_PICK(multiply_rows)(&p->product, p->B, p->b_row, p->b_column, r.m0, r.m1, r.n0, r.n1,
                           (float *)(p->product.scratch + (size_t)part * rows_scratch(p->product.N, p->product.K)));
}

// K = 0, or a matrix without elements: there is nothing to multiply, but C still gets its epilogue.
static int is_empty(const struct product *p) {
    if (p->M <= 0 || p->N <= 0) return 1;
    if (p->K > 0) return 0;
    if (!p->accumulate)
        for (int64_t i = 0; i < p->M; i++) memset(p->C + i * p->c_row, 0, (size_t)p->N * 4);
    MK_PICK(finish)(p->M, p->N, p->C, p->c_row, p->epilogue, 0, p->first_column);
    return 1;
}

static int parts_for(int64_t M, int64_t N, int64_t K) {
    return (double)M * (double)N * (double)K < 65536 ? 1 : mk_threads();
}

// Splits so that the largest part is smallest; among equals the one with the fewest columns a part, where `narrow` is
// set (each part packs its own of B), else with the fewest rows (each packs its own of A).
static int split(struct product *p, int narrow) {
    int64_t tall = divide_up(p->M, tile_rows()), wide = divide_up(p->N, tile_columns()), best = INT64_MAX;
    int threads = parts_for(p->M, p->N, p->K);
    for (int across = 1; across <= threads; across++) {
        int down = threads / across;
        int64_t work = divide_up(tall, down) * divide_up(wide, across);
        if (work < best || (narrow && work == best)) best = work, p->across = across, p->down = down;
    }
    return p->across * p->down;
}

static void multiply(struct product *p) {
    if (is_empty(p)) return;
    mk_parallel(split(p, 0), multiply_part, p);
}

void mk_gemm_packed(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_column,
                    const void *packed, float *C, int64_t c_row, int accumulate, const mk_epilogue *epilogue,
                    void *workspace) {
    struct product product = {M, N, K, A, a_row, a_column, packed, C, c_row, accumulate, epilogue, 0, 1, 1, workspace};
    multiply(&product);
}

void mk_gemm_packed_serial(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_column,
                           const void *packed, float *C, int64_t c_row, int accumulate, const mk_epilogue *epilogue,
                           void *scratch) {
    struct product product = {M, N, K, A, a_row, a_column, packed, C, c_row, accumulate, epilogue, 0, 1, 1, scratch};
    if (!is_empty(&product)) MK_PICK(multiply)(&product, 0, M, 0, N, scratch);
}

size_t mk_gemm_packed_workspace(int64_t M, int64_t N, int64_t K) {
    return (size_t)parts_for(M, N, K) * mk_gemm_serial_scratch(K);
}

// Columns of B packed at a time.
static int64_t columns_at_once(int64_t N, int64_t K) {
    int64_t wide = tile_columns(), fit = most_pack_bytes / 4 / greatest(K, 1) / wide * wide;
    return least(N, greatest(fit, 8 * wide));
}

int mk_gemm_is_small(int64_t M, int64_t N, int64_t K) {
    return M > 0 && K > 0 && N > 0 && N % MK_PICK(small_step)() == 0 && (double)M * (double)N * (double)K <= 96.0 * 96 * 96;
}

int mk_gemm_is_quick(void) { return mk_isa() == MK_AVX512; }

void mk_gemm(int64_t M, int64_t N, int64_t K, const float *A, int64_t a_row, int64_t a_column, const float *B,
             int64_t b_row, int64_t b_column, float *C, int64_t c_row, int accumulate, const mk_epilogue *epilogue,
             void *workspace) {
    if (M <= 8 && K > 0 && (a_column == 1 || K == 1) && !accumulate && (b_row == 1 || b_column == 1)) {
        if (b_row == 1) mk_gemv(M, N, K, A, a_row, B, MK_FP32, b_column, C, c_row, epilogue);
        else mk_gemv_transposed(M, N, K, A, a_row, B, MK_FP32, b_row, C, c_row, epilogue);
        return;
    }
    if (a_column == 1 && b_column == 1 && !accumulate && !epilogue && mk_gemm_is_small(M, N, K)) {
        MK_PICK(multiply_small)(M, N, K, A, a_row, B, b_row, C, c_row);
        return;
    }
    if (a_column == 1 || K <= 1) {
        struct rows rows = {{M, N, K, A, a_row, 1, NULL, C, c_row, accumulate, epilogue, 0, 1, 1, workspace}, B, b_row,
                            b_column};
        if (!is_empty(&rows.product)) mk_parallel(split(&rows.product, 1), rows_part, &rows);
        return;
    }
    int64_t step = columns_at_once(N, K);
    char *scratch = (char *)workspace + mk_gemm_pack_size(K, step);
    for (int64_t n = 0; n < N; n += step) {
        int64_t columns = least(step, N - n);
        mk_gemm_pack(K, columns, B + n * b_column, MK_FP32, b_row, b_column, workspace);
        struct product product = {M, columns, K, A, a_row, a_column, workspace, C + n, c_row, accumulate, epilogue, n,
                                  1, 1, scratch};
        multiply(&product);
    }
}

size_t mk_gemm_workspace(int64_t M, int64_t N, int64_t K) {
    int64_t step = columns_at_once(N, K);
    size_t packed = mk_gemm_pack_size(K, step) + mk_gemm_packed_workspace(M, step, K);
    return greatest(packed, (size_t)parts_for(M, N, K) * rows_scratch(N, K));
}

// MARK: Few rows

static void few_part(void *context, int part, int parts) {
    const struct few *p = context;
    int64_t units = divide_up(p->N, 16);
    MK_PICK(multiply_few)(p, part_start(units, part, parts) * 16, least(part_start(units, part + 1, parts) * 16, p->N));
}

static void multiply_few(struct few *p) {
    if (p->M <= 0 || p->N <= 0) return;
    int64_t parts = (double)p->N * (double)p->K < 16384 ? 1 : least(mk_threads(), divide_up(p->N, 16));
    mk_parallel((int)parts, few_part, p);
}

void mk_gemv(int64_t M, int64_t N, int64_t K, const float *x, int64_t x_row, const void *W, mk_dtype dtype,
             int64_t w_row, float *y, int64_t y_row, const mk_epilogue *epilogue) {
    struct few few = {M, N, K, x, x_row, W, w_row, 0, dtype == MK_FP16, y, y_row, epilogue};
    multiply_few(&few);
}

void mk_gemv_transposed(int64_t M, int64_t N, int64_t K, const float *x, int64_t x_row, const void *W, mk_dtype dtype,
                        int64_t w_row, float *y, int64_t y_row, const mk_epilogue *epilogue) {
    struct few few = {M, N, K, x, x_row, W, w_row, 1, dtype == MK_FP16, y, y_row, epilogue};
    multiply_few(&few);
}
