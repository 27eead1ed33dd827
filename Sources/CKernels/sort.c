// Top-k and argsort along an axis, and the positions of what is not zero.
#include <string.h>

#include "include/movement.h"

// A value as an integer that sorts as it does, and its position, which keeps equal values in order.
typedef uint64_t mk_key;

static mk_key mk_key_of(uint32_t bits, int integer, int ascending, int64_t position) {
    uint32_t k;
    if (integer) {
        k = bits ^ 0x80000000u;
    } else if ((bits & 0x7fffffffu) > 0x7f800000u) {
        k = 0xffffffffu;
    } else {
        if (bits == 0x80000000u) bits = 0;  // -0 equals 0
        k = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    }
    return (mk_key)(ascending ? k : ~k) << 32 | (uint32_t)position;
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

// Least significant digit first, eleven bits a time, on the value half of the keys: stable.
static mk_key *mk_radix(mk_key *keys, mk_key *spare, int64_t n) {
    for (int shift = 32; shift < 64; shift += 11) {
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

size_t mk_topk_workspace(int64_t axis) { return (size_t)axis * 2 * sizeof(mk_key); }

void mk_topk(int integer, int ascending, int64_t outer, int64_t axis, int64_t inner, const void *src, int64_t k,
             void *values, int32_t *indices, void *workspace) {
    if (k > axis) k = axis;
    if (k <= 0) return;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t n = 0; n < inner; n++) {
            const uint32_t *s = (const uint32_t *)src + o * axis * inner + n;
            mk_key *keys = workspace;
            if (k <= axis / 16 || axis < 1024) {
                // A heap of the k first so far, the last of them on top.
                for (int64_t i = 0; i < k; i++) keys[i] = mk_key_of(s[i * inner], integer, ascending, i);
                for (int64_t i = k / 2; i-- > 0;) mk_sink(keys, k, i);
                for (int64_t i = k; i < axis; i++) {
                    mk_key key = mk_key_of(s[i * inner], integer, ascending, i);
                    if (key >= keys[0]) continue;
                    keys[0] = key;
                    mk_sink(keys, k, 0);
                }
                for (int64_t m = k - 1; m > 0; m--) {
                    mk_key top = keys[0];
                    keys[0] = keys[m];
                    keys[m] = top;
                    mk_sink(keys, m, 0);
                }
            } else {
                for (int64_t i = 0; i < axis; i++) keys[i] = mk_key_of(s[i * inner], integer, ascending, i);
                keys = mk_radix(keys, keys + axis, axis);
            }
            for (int64_t i = 0; i < k; i++) {
                uint32_t at = (uint32_t)keys[i];
                if (values) ((uint32_t *)values)[(o * k + i) * inner + n] = s[(int64_t)at * inner];
                if (indices) indices[(o * k + i) * inner + n] = (int32_t)at;
            }
        }
}

static inline int mk_is_set(int element_size, int integer, const void *src, int64_t i) {
    if (!integer) return ((const float *)src)[i] != 0.0f;
    switch (element_size) {
        case 1: return ((const uint8_t *)src)[i] != 0;
        case 2: return ((const uint16_t *)src)[i] != 0;
        case 4: return ((const uint32_t *)src)[i] != 0;
        default: return ((const uint64_t *)src)[i] != 0;
    }
}

int64_t mk_non_zero_count(int element_size, int integer, const void *src, int64_t count) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i++) found += mk_is_set(element_size, integer, src, i);
    return found;
}

void mk_non_zero(int element_size, int integer, int rank, const int64_t *shape, const void *src, int32_t *dst) {
    int64_t count = 1;
    for (int d = 0; d < rank; d++) count *= shape[d];
    for (int64_t i = 0; i < count; i++) {
        if (!mk_is_set(element_size, integer, src, i)) continue;
        int64_t rest = i;
        for (int d = rank - 1; d >= 0; d--) {
            dst[d] = (int32_t)(rest % shape[d]);
            rest /= shape[d];
        }
        dst += rank;
    }
}
