// Sorting and searching: top-k, positions of what is not zero, elements that a mask selects, different elements.
#include <string.h>

#include "include/movement.h"
#include "include/threads.h"
#include "index.h"

// A value as a number that sorts as it does, and its position, which keeps equal values in order: for elements of up to
// 32 bits both in one word.
typedef uint64_t mk_key;
typedef struct { uint64_t key; int64_t at; } mk_pair;

#define MK_EACH "sort_typed.inc"
#include "each_type.h"

static int mk_bits(mk_element type) {
    static const uint8_t bits[MK_ELEMENT_COUNT] = { 8, 8, 8, 16, 16, 32, 32, 64, 64, 16, 32, 64, 32, 64 };
    return bits[type];
}

static int mk_element_bytes(mk_element type) {
    return mk_bits(type) / 8 * (type >= MK_ELEMENT_COMPLEX64 ? 2 : 1);
}

static void mk_sink(mk_key *heap, int64_t n, int64_t at) {
    mk_key key = heap[at];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] > heap[child]) child++;
        if (heap[child] <= key) break;
        heap[at] = heap[child];
    }
    heap[at] = key;
}

// The k least of n keys, in order.
static void mk_select_least(mk_key *keys, int64_t k, int64_t n) {
    // A heap of the k least so far, the last of them on top.
    for (int64_t i = k / 2; i-- > 0;) mk_sink(keys, k, i);
    for (int64_t i = k; i < n; i++) {
        if (keys[i] >= keys[0]) continue;
        keys[0] = keys[i];
        mk_sink(keys, k, 0);
    }
    for (int64_t m = k - 1; m > 0; m--) {
        mk_key top = keys[0];
        keys[0] = keys[m];
        keys[m] = top;
        mk_sink(keys, m, 0);
    }
}

// Least significant digit first, eleven bits a time, on the value half of the keys: stable.
static mk_key *mk_radix(mk_key *keys, mk_key *spare, int64_t n, int bits) {
    for (int shift = 32; shift < 32 + bits; shift += 11) {
        int64_t place[2048] = { 0 }, sum = 0;
        for (int64_t i = 0; i < n; i++) place[keys[i] >> shift & 2047]++;
        for (int d = 0; d < 2048; d++) {
            int64_t here = place[d];
            place[d] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < n; i++) spare[place[keys[i] >> shift & 2047]++] = keys[i];
        mk_key *t = keys;
        keys = spare;
        spare = t;
    }
    return keys;
}

// Pairs in the order of their keys, equal ones as they stood; the result lies in either of the two places.
static mk_pair *mk_merge_pairs(mk_pair *pairs, mk_pair *spare, int64_t n) {
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * width) {
            int64_t middle = begin + width < n ? begin + width : n, end = middle + width < n ? middle + width : n;
            int64_t a = begin, b = middle;
            for (int64_t i = begin; i < end; i++)
                spare[i] = b >= end || (a < middle && pairs[a].key <= pairs[b].key) ? pairs[a++] : pairs[b++];
        }
        mk_pair *t = pairs;
        pairs = spare;
        spare = t;
    }
    return pairs;
}

static mk_pair *mk_sort_pairs(mk_pair *pairs, mk_pair *spare, int64_t n) {
    if (n < 1024) return mk_merge_pairs(pairs, spare, n);
    for (int shift = 0; shift < 64; shift += 8) {
        int64_t place[256] = { 0 }, sum = 0;
        for (int64_t i = 0; i < n; i++) place[pairs[i].key >> shift & 255]++;
        // A digit that all share moves nothing.
        if (place[pairs[0].key >> shift & 255] == n) continue;
        for (int d = 0; d < 256; d++) {
            int64_t here = place[d];
            place[d] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < n; i++) spare[place[pairs[i].key >> shift & 255]++] = pairs[i];
        mk_pair *t = pairs;
        pairs = spare;
        spare = t;
    }
    return pairs;
}

typedef struct {
    mk_element type;
    int ascending, index_size;
    int64_t outer, axis, inner, k;
    const void *src;
    void *values, *indices;
    char *workspace;
} mk_sort_plan;

static const char *mk_pick(const mk_sort_plan *plan, int64_t at, int64_t inner_at) {
    return (const char *)plan->src + (at * plan->inner + inner_at) * mk_element_bytes(plan->type);
}

static void mk_store_value(int bytes, void *dst, int64_t i, const char *src) {
    switch (bytes) {
        case 1: ((uint8_t *)dst)[i] = *(const uint8_t *)src; break;
        case 2: ((uint16_t *)dst)[i] = *(const uint16_t *)src; break;
        case 4: ((uint32_t *)dst)[i] = *(const uint32_t *)src; break;
        default: ((uint64_t *)dst)[i] = *(const uint64_t *)src;
    }
}

// One line of elements along the axis.
static void mk_sort_line(const mk_sort_plan *plan, int64_t o, int64_t n, void *workspace) {
    static void (*const fill_keys[MK_ELEMENT_COUNT])(const void *, int64_t, int64_t, uint64_t, mk_key *) = {
        MK_BY_REAL_TYPE(fill_keys) };
    static void (*const fill_pairs[MK_ELEMENT_COUNT])(const void *, int64_t, int64_t, uint64_t, mk_pair *) = {
        MK_BY_REAL_TYPE(fill_pairs) };
    int bits = mk_bits(plan->type), bytes = bits / 8, isNarrow = bits <= 32;
    uint64_t flip = plan->ascending ? 0 : ~(uint64_t)0 >> (64 - bits);
    int64_t axis = plan->axis, k = plan->k;
    const char *line = mk_pick(plan, o * axis, n);
    mk_key *keys = workspace;
    mk_pair *pairs = workspace;
    if (isNarrow) {
        fill_keys[plan->type](line, plan->inner, axis, flip, keys);
        if (k <= axis / 16 || axis < 1024) mk_select_least(keys, k, axis);
        else keys = mk_radix(keys, keys + axis, axis, bits);
    } else {
        fill_pairs[plan->type](line, plan->inner, axis, flip, pairs);
        pairs = mk_sort_pairs(pairs, pairs + axis, axis);
    }
    for (int64_t i = 0; i < k; i++) {
        int64_t at = isNarrow ? (int64_t)(uint32_t)keys[i] : pairs[i].at, to = (o * k + i) * plan->inner + n;
        if (plan->values) mk_store_value(bytes, plan->values, to, mk_pick(plan, o * axis + at, n));
        if (plan->indices) mk_store_index(plan->indices, plan->index_size, to, at);
    }
}

static size_t mk_line_bytes(mk_element type, int64_t axis) {
    return ((size_t)axis * 2 * (mk_bits(type) <= 32 ? sizeof(mk_key) : sizeof(mk_pair)) + 63) & ~(size_t)63;
}

static void mk_sort_part(void *context, int part, int parts) {
    const mk_sort_plan *plan = context;
    int64_t lines = plan->outer * plan->inner;
    char *workspace = plan->workspace + (size_t)part * mk_line_bytes(plan->type, plan->axis);
    for (int64_t line = lines * part / parts; line < lines * (part + 1) / parts; line++)
        mk_sort_line(plan, line / plan->inner, line % plan->inner, workspace);
}

size_t mk_sort_workspace(mk_element type, int64_t axis) { return mk_line_bytes(type, axis) * (size_t)mk_threads(); }

void mk_sort(mk_element type, int ascending, int64_t outer, int64_t axis, int64_t inner, const void *src, int64_t k,
             void *values, int index_size, void *indices, void *workspace) {
    if (k > axis) k = axis;
    if (k <= 0) return;
    mk_sort_plan plan = { type, ascending, index_size, outer, axis, inner, k, src, values, indices, workspace };
    int64_t lines = outer * inner, parts = lines * axis / 16384;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > lines) parts = lines;
    if (parts <= 1) mk_sort_part(&plan, 0, 1);
    else mk_parallel((int)parts, mk_sort_part, &plan);
}

void mk_search_sorted(mk_element type, int right, int64_t n, const void *src, int64_t count, const void *values,
                      int index_size, void *dst) {
    static void (*const search[MK_ELEMENT_COUNT])(int, int64_t, const void *, int64_t, const void *, int, void *) = {
        MK_BY_REAL_TYPE(search) };
    search[type](right, n, src, count, values, index_size, dst);
}

int64_t mk_non_zero(mk_element type, int rank, const int64_t *shape, const void *src, int index_size, void *dst) {
    static int64_t (*const find[MK_ELEMENT_COUNT])(const void *, int, const int64_t *, int64_t, int, void *) = {
        MK_BY_TYPE(find_non_zero) };
    int64_t count = 1;
    for (int d = 0; d < rank; d++) count *= shape[d];
    return find[type](src, rank, shape, count, index_size, dst);
}

typedef struct { uint64_t low, high; } mk_wide;

// Every element is written, and the next one over it where the mask left it out.
#define MK_MASKED(type) { \
    const type *s = src; \
    type *d = dst; \
    for (int64_t i = 0; i < count; i++) { \
        d[found] = s[i]; \
        found += mask[i] != 0; \
    } \
    break; }

int64_t mk_masked_select(int element_size, int64_t count, const void *src, const uint8_t *mask, void *dst) {
    int64_t found = 0;
    switch (element_size) {
        case 1: MK_MASKED(uint8_t)
        case 2: MK_MASKED(uint16_t)
        case 4: MK_MASKED(uint32_t)
        case 8: MK_MASKED(uint64_t)
        default: MK_MASKED(mk_wide)
    }
    return found;
}

size_t mk_unique_workspace(int64_t count) { return (size_t)count * 2 * sizeof(mk_pair); }

// The positions of the elements in order; complex numbers by their real parts first, then by their imaginary ones.
static mk_pair *mk_order(mk_element type, int64_t count, const void *src, mk_pair *pairs) {
    static void (*const fill_pairs[MK_ELEMENT_COUNT])(const void *, int64_t, int64_t, uint64_t, mk_pair *) = {
        MK_BY_REAL_TYPE(fill_pairs) };
    mk_pair *spare = pairs + count;
    if (type < MK_ELEMENT_COMPLEX64) {
        fill_pairs[type](src, 1, count, 0, pairs);
        return mk_sort_pairs(pairs, spare, count);
    }
    const float *narrow = src;
    const double *wide = src;
    for (int part = 1; part >= 0; part--) {
        for (int64_t i = 0; i < count; i++) {
            int64_t at = part == 1 ? i : pairs[i].at;
            pairs[i].key = type == MK_ELEMENT_COMPLEX64 ? key_float32(narrow[2 * at + part])
                : key_float64(wide[2 * at + part]);
            pairs[i].at = at;
        }
        mk_pair *sorted = mk_sort_pairs(pairs, spare, count);
        spare = sorted == pairs ? spare : pairs;
        pairs = sorted;
    }
    return pairs;
}

int64_t mk_unique(mk_element type, int64_t count, const void *src, void *values, int index_size, void *indices,
                  void *inverse, void *counts, void *workspace) {
    static int (*const equal[MK_ELEMENT_COUNT])(const void *, int64_t, int64_t) = { MK_BY_TYPE(equal) };
    const mk_pair *order = mk_order(type, count, src, workspace);
    size_t bytes = (size_t)mk_element_bytes(type);
    int64_t found = 0;
    for (int64_t begin = 0, end; begin < count; begin = end, found++) {
        int64_t first = order[begin].at;
        for (end = begin; end < count && (end == begin || equal[type](src, first, order[end].at)); end++)
            mk_store_index(inverse, index_size, order[end].at, found);
        memcpy((char *)values + (size_t)found * bytes, (const char *)src + (size_t)first * bytes, bytes);
        mk_store_index(indices, index_size, found, first);
        mk_store_index(counts, index_size, found, end - begin);
    }
    return found;
}
