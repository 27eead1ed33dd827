// Division and powers of integers of every width, the same in tapes and typed loops. Nothing here traps.
#ifndef MARTLET_WHOLE_MATH_H
#define MARTLET_WHOLE_MATH_H

#include <stdint.h>

#include "isa.h"

// Base to a power, with the wrap-around of W.
#define MK_POWER(W, base, power) \
    W b = (W)(base), r = 1; \
    for (; power; power >>= 1, b *= b) \
        if (power & 1) r *= b

#define MK_SIGNED(s, T, W) \
    MK_INLINE T mk_floor_div_##s(T x, T y) { \
        if (y == 0) return 0; \
        if (y == -1) return (T)((W)0 - (W)x); \
        T q = (T)(x / y); \
        return (T)(q - (x % y != 0 && (x < 0) != (y < 0))); \
    } \
    MK_INLINE T mk_mod_##s(T x, T y) { \
        if (y == 0 || y == -1) return 0; \
        T r = (T)(x % y); \
        return (T)(r != 0 && (r < 0) != (y < 0) ? r + y : r); \
    } \
    MK_INLINE T mk_pow_##s(T x, T y) { \
        if (y < 0) return (T)(x == 1 ? 1 : x == -1 ? (y & 1 ? -1 : 1) : 0); \
        W power = (W)y; \
        MK_POWER(W, x, power); \
        return (T)r; \
    }
#define MK_UNSIGNED(s, T, W) \
    MK_INLINE T mk_floor_div_##s(T x, T y) { return y == 0 ? 0 : (T)(x / y); } \
    MK_INLINE T mk_mod_##s(T x, T y) { return y == 0 ? 0 : (T)(x % y); } \
    MK_INLINE T mk_pow_##s(T x, T y) { \
        W power = (W)y; \
        MK_POWER(W, x, power); \
        return (T)r; \
    }

MK_SIGNED(i8, int8_t, uint32_t)
MK_SIGNED(i16, int16_t, uint32_t)
MK_SIGNED(i32, int32_t, uint32_t)
MK_SIGNED(i64, int64_t, uint64_t)
MK_UNSIGNED(u8, uint8_t, uint32_t)
MK_UNSIGNED(u16, uint16_t, uint32_t)
MK_UNSIGNED(u32, uint32_t, uint32_t)
MK_UNSIGNED(u64, uint64_t, uint64_t)

#undef MK_SIGNED
#undef MK_UNSIGNED
#undef MK_POWER
#endif
