// Strided copies: dimensions are merged, then rows go by memcpy and swapped dimensions by blocked transposes.
#include <string.h>

#include "include/movement.h"
#include "include/threads.h"

typedef struct { uint64_t low, high; } mk_wide;

typedef struct mk_copy_plan {
    int rank;
    size_t element;
    int64_t shape[MK_COPY_RANK], to[MK_COPY_RANK], from[MK_COPY_RANK];
    char *dst;
    const char *src;
    int split;  // the dimension that parts share out
} mk_copy_plan;

// Elements one by one, with an inner loop for each size.
#define MK_ROW(type) { \
    type *d = (type *)dst; \
    const type *s = (const type *)src; \
    if (to == 1 && from == 0) { type v = s[0]; for (int64_t i = 0; i < n; i++) d[i] = v; } \
    else if (to == 1 && from == -1) for (int64_t i = 0; i < n; i++) d[i] = s[-i]; \
    else if (to == 1) for (int64_t i = 0; i < n; i++) d[i] = s[i * from]; \
    else for (int64_t i = 0; i < n; i++) d[i * to] = s[i * from]; \
    break; }

static void mk_copy_row(size_t element, char *dst, int64_t to, const char *src, int64_t from, int64_t n) {
    if (to == 1 && from == 1) {
        memcpy(dst, src, (size_t)n * element);
        return;
    }
    switch (element) {
        case 1: MK_ROW(uint8_t)
        case 2: MK_ROW(uint16_t)
        case 4: MK_ROW(uint32_t)
        case 8: MK_ROW(uint64_t)
        default: MK_ROW(mk_wide)
    }
}

// Short contiguous rows of a size known at compile time, where a call of memcpy would cost more than the copy.
static void mk_copy_short(size_t bytes, char *dst, int64_t to, const char *src, int64_t from, int64_t rows) {
#define MK_SHORT(size) case size: for (int64_t r = 0; r < rows; r++) memcpy(dst + r * to, src + r * from, size); break;
    switch (bytes) {
        MK_SHORT(2) MK_SHORT(4) MK_SHORT(6) MK_SHORT(8) MK_SHORT(12) MK_SHORT(16) MK_SHORT(24) MK_SHORT(32)
        MK_SHORT(48) MK_SHORT(64) MK_SHORT(96) MK_SHORT(128)
        default: for (int64_t r = 0; r < rows; r++) memcpy(dst + r * to, src + r * from, bytes); break;
    }
#undef MK_SHORT
}

typedef uint32_t mk_v4 __attribute__((ext_vector_type(4)));
typedef uint32_t mk_v4_any __attribute__((ext_vector_type(4), aligned(4), may_alias));
typedef uint16_t mk_v8 __attribute__((ext_vector_type(8)));
typedef uint16_t mk_v8_any __attribute__((ext_vector_type(8), aligned(2), may_alias));

// dst[c * to + r] = src[r * from + c] for a 4 x 4 square.
static inline void mk_square_4(uint32_t *dst, int64_t to, const uint32_t *src, int64_t from) {
    mk_v4 a = *(const mk_v4_any *)src, b = *(const mk_v4_any *)(src + from);
    mk_v4 c = *(const mk_v4_any *)(src + 2 * from), d = *(const mk_v4_any *)(src + 3 * from);
    mk_v4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    mk_v4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(mk_v4_any *)dst = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    *(mk_v4_any *)(dst + to) = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    *(mk_v4_any *)(dst + 2 * to) = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    *(mk_v4_any *)(dst + 3 * to) = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
}

#define MK_ZIP_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define MK_ZIP_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

// The same for an 8 x 8 square of 2-byte elements: three rounds of interleaving rows i and i + 4.
static inline void mk_square_8(uint16_t *dst, int64_t to, const uint16_t *src, int64_t from) {
    mk_v8 v[8], w[8];
    for (int i = 0; i < 8; i++) v[i] = *(const mk_v8_any *)(src + i * from);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 4; i++) {
            w[2 * i] = MK_ZIP_LOW(v[i], v[i + 4]);
            w[2 * i + 1] = MK_ZIP_HIGH(v[i], v[i + 4]);
        }
        memcpy(v, w, sizeof v);
    }
    for (int i = 0; i < 8; i++) *(mk_v8_any *)(dst + i * to) = v[i];
}

// dst [columns, rows] with row stride `to` from src [rows, columns] with row stride `from`, in blocks that stay in L1.
#define MK_TRANSPOSE(type, step, square) { \
    enum { block = 64 / sizeof(type) < 16 ? 16 : 64 / sizeof(type) }; \
    type *d = (type *)dst; \
    const type *s = (const type *)src; \
    for (int64_t r0 = 0; r0 < rows; r0 += block) \
        for (int64_t c0 = 0; c0 < columns; c0 += block) { \
            int64_t r1 = r0 + block < rows ? r0 + block : rows, c1 = c0 + block < columns ? c0 + block : columns; \
            int64_t r2 = r0 + (r1 - r0) / step * step, c2 = c0 + (c1 - c0) / step * step; \
            for (int64_t c = c0; c < c2; c += step) \
                for (int64_t r = r0; r < r2; r += step) square(d + c * to + r, to, s + r * from + c, from); \
            for (int64_t c = c0; c < c1; c++) \
                for (int64_t r = c < c2 ? r2 : r0; r < r1; r++) d[c * to + r] = s[r * from + c]; \
        } \
    break; }
#define MK_SINGLE(d, to, s, from) (*(d) = *(s))

static void mk_transpose(size_t element, char *dst, int64_t to, const char *src, int64_t from, int64_t rows,
                         int64_t columns) {
    switch (element) {
        case 1: MK_TRANSPOSE(uint8_t, 1, MK_SINGLE)
        case 2: MK_TRANSPOSE(uint16_t, 8, mk_square_8)
        case 4: MK_TRANSPOSE(uint32_t, 4, mk_square_4)
        case 8: MK_TRANSPOSE(uint64_t, 1, MK_SINGLE)
        default: MK_TRANSPOSE(mk_wide, 1, MK_SINGLE)
    }
}

// Copies dimensions d and below; `swapped` is the dimension whose source stride is 1 when it is not the innermost.
static void mk_copy_from(const mk_copy_plan *plan, int d, char *dst, const char *src) {
    size_t element = plan->element;
    int last = plan->rank - 1;
    int64_t n = plan->shape[d], to = plan->to[d] * (int64_t)element, from = plan->from[d] * (int64_t)element;
    if (d == last) {
        mk_copy_row(element, dst, plan->to[d], src, plan->from[d], n);
    } else if (d == last - 1 && plan->to[last] == 1 && plan->from[d] == 1) {
        mk_transpose(element, dst, plan->to[d], src, plan->from[last], plan->shape[last], n);
    } else if (d == last - 1 && plan->to[last] == 1 && plan->from[last] == 1) {
        mk_copy_short((size_t)plan->shape[last] * element, dst, to, src, from, n);
    } else {
        for (int64_t i = 0; i < n; i++) mk_copy_from(plan, d + 1, dst + i * to, src + i * from);
    }
}

static void mk_copy_part(void *context, int part, int parts) {
    mk_copy_plan plan = *(mk_copy_plan *)context;
    int d = plan.split;
    int64_t n = plan.shape[d], begin = n * part / parts, end = n * (part + 1) / parts;
    plan.shape[d] = end - begin;
    plan.dst += begin * plan.to[d] * (int64_t)plan.element;
    plan.src += begin * plan.from[d] * (int64_t)plan.element;
    if (end > begin) mk_copy_from(&plan, 0, plan.dst, plan.src);
}

static int64_t mk_magnitude(int64_t x) { return x < 0 ? -x : x; }

static void mk_swap_dimensions(mk_copy_plan *plan, int a, int b) {
    int64_t *lists[] = { plan->shape, plan->to, plan->from };
    for (int k = 0; k < 3; k++) {
        int64_t t = lists[k][a];
        lists[k][a] = lists[k][b];
        lists[k][b] = t;
    }
}

void mk_copy(int element_size, int rank, const int64_t *shape, void *dst, const int64_t *dst_strides, const void *src,
             const int64_t *src_strides) {
    mk_copy_plan plan = { .element = (size_t)element_size, .dst = dst, .src = src };
    int64_t count = 1;
    for (int d = 0; d < rank; d++) count *= shape[d];
    if (count == 0) return;
    for (int d = 0; d < rank; d++) {
        if (shape[d] == 1 || plan.rank == MK_COPY_RANK) continue;
        plan.shape[plan.rank] = shape[d];
        plan.to[plan.rank] = dst_strides[d];
        plan.from[plan.rank++] = src_strides[d];
    }
    // In the order of the destination, so that it is written as memory runs.
    for (int i = 1; i < plan.rank; i++)
        for (int j = i; j > 0 && mk_magnitude(plan.to[j - 1]) < mk_magnitude(plan.to[j]); j--)
            mk_swap_dimensions(&plan, j - 1, j);
    int kept = 0;
    for (int d = 0; d < plan.rank; d++) {
        if (kept > 0 && plan.to[kept - 1] == plan.to[d] * plan.shape[d] &&
            plan.from[kept - 1] == plan.from[d] * plan.shape[d]) {
            plan.shape[kept - 1] *= plan.shape[d];
            plan.to[kept - 1] = plan.to[d];
            plan.from[kept - 1] = plan.from[d];
        } else {
            plan.shape[kept] = plan.shape[d];
            plan.to[kept] = plan.to[d];
            plan.from[kept++] = plan.from[d];
        }
    }
    plan.rank = kept;
    if (plan.rank == 0) {
        memcpy(dst, src, plan.element);
        return;
    }
    // The source's unit stride next to the innermost dimension makes the copy a row of 2-D transposes.
    int last = plan.rank - 1;
    for (int d = 0; d < last - 1; d++)
        if (plan.from[d] == 1 && plan.from[last] != 1 && plan.shape[d] > 3)
            for (int j = d; j < last - 1; j++) mk_swap_dimensions(&plan, j, j + 1);

    int64_t parts = count * element_size / 65536;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    while (plan.split < last && plan.shape[plan.split] < parts) plan.split++;
    if (parts > plan.shape[plan.split]) parts = plan.shape[plan.split];
    if (parts <= 1) mk_copy_from(&plan, 0, plan.dst, plan.src);
    else mk_parallel((int)parts, mk_copy_part, &plan);
}

void mk_fill(int element_size, void *dst, int64_t count, const void *value) {
    int64_t zero = 0, one = 1;
    mk_copy(element_size, 1, &count, dst, &one, value, &zero);
}
