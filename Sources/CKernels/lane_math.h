// Elementary functions written without branches, so that a loop over lanes vectorises. Polynomials are least-maximum
// fits made for this project; each function is within 2 ulp (tanh, erf: 4 ulp).
#ifndef MARTLET_LANE_MATH_H
#define MARTLET_LANE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "isa.h"

// Before a loop whose arrays are the same or apart: vectorises without checks for overlap.
#define MK_LANEWISE _Pragma("clang loop vectorize(assume_safety)")


MK_INLINE uint32_t mk_bits(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
MK_INLINE float mk_from_bits(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }
MK_INLINE float mk_abs(float x) { return mk_from_bits(mk_bits(x) & 0x7fffffffu); }
MK_INLINE float mk_copysign(float x, float s) {
    return mk_from_bits((mk_bits(x) & 0x7fffffffu) | (mk_bits(s) & 0x80000000u));
}
MK_INLINE float mk_max(float a, float b) { return ((a > b) | (a != a)) ? a : b; }
MK_INLINE float mk_min(float a, float b) { return ((a < b) | (a != a)) ? a : b; }

// Adding this constant rounds |x| < 2^22 to the nearest integer, which is then in the low bits.
#define MK_ROUNDER 12582912.0f

// 2^n for n in -126 ... 127, from the sum n + MK_ROUNDER.
MK_INLINE float mk_scale(uint32_t n) { return mk_from_bits((n + 127u) << 23); }

// exp(r) - 1 for |r| <= ln(2) / 2.
MK_INLINE float mk_expm1_core(float r) {
    float q = 1.394654857e-03f;
    q = q * r + 8.366644382e-03f;
    q = q * r + 4.166628048e-02f;
    q = q * r + 1.666654199e-01f;
    q = q * r + 0.5f;
    return q * (r * r) + r;
}

// p * 2^n in two steps, so that results at both ends of the range come out right.
MK_INLINE float mk_ldexp(float p, uint32_t n) {
    uint32_t half = (uint32_t)((int32_t)n >> 1);
    return p * mk_scale(half) * mk_scale(n - half);
}

MK_INLINE float mk_exp(float x) {
    x = x > 89.0f ? 89.0f : x;
    x = x < -105.0f ? -105.0f : x;
    float t = x * 1.44269504f + MK_ROUNDER;
    float n = t - MK_ROUNDER;
    float r = (x - n * 0.693145752f) - n * 1.42860682e-06f;
    return mk_ldexp(1.0f + mk_expm1_core(r), mk_bits(t) - mk_bits(MK_ROUNDER));
}

MK_INLINE float mk_exp2(float x) {
    x = x > 129.0f ? 129.0f : x;
    x = x < -151.0f ? -151.0f : x;
    float t = x + MK_ROUNDER;
    float r = (x - (t - MK_ROUNDER)) * 0.693147181f;
    return mk_ldexp(1.0f + mk_expm1_core(r), mk_bits(t) - mk_bits(MK_ROUNDER));
}

MK_INLINE float mk_expm1(float x) {
    float y = x > 89.0f ? 89.0f : x;
    y = y < -30.0f ? -30.0f : y;
    float t = y * 1.44269504f + MK_ROUNDER;
    float n = t - MK_ROUNDER;
    float r = (y - n * 0.693145752f) - n * 1.42860682e-06f;
    uint32_t k = mk_bits(t) - mk_bits(MK_ROUNDER), half = (uint32_t)((int32_t)k >> 1);
    float s = mk_scale(half), u = mk_scale(k - half), power = s * u;
    float e = mk_expm1_core(r);
    float big = (1.0f + e) * s * u;
    return power > 16777216.0f ? big : power * e + (power - 1.0f);
}

// log(m) + k ln 2 with m = 1 + f, f in [sqrt(1/2) - 1, sqrt(2) - 1].
MK_INLINE float mk_log_core(float f, float k) {
    float p = -7.861468196e-02f;
    p = p * f + 1.288376153e-01f;
    p = p * f + -1.312904060e-01f;
    p = p * f + 1.418091804e-01f;
    p = p * f + -1.662449986e-01f;
    p = p * f + 2.000229657e-01f;
    p = p * f + -2.500081062e-01f;
    p = p * f + 3.333331645e-01f;
    float z = f * f;
    float low = (p * f) * z + k * 1.42860682e-06f;
    return (low - 0.5f * z + f) + k * 0.693145752f;
}

MK_INLINE float mk_log(float x) {
    int tiny = x < 1.17549435e-38f;
    float y = tiny ? x * 8388608.0f : x;
    uint32_t u = mk_bits(y) - 0x3f3504f3u;
    int32_t e = (int32_t)u >> 23;
    float m = mk_from_bits((u & 0x7fffffu) + 0x3f3504f3u);
    float r = mk_log_core(m - 1.0f, (float)e - (tiny ? 23.0f : 0.0f));
    r = x == 0.0f ? -INFINITY : r;
    r = x < 0.0f ? NAN : r;
    return ((x == INFINITY) | (x != x)) ? x : r;
}

// log(1 + x) with what 1 + x lost in rounding.
MK_INLINE float mk_log1p(float x) {
    float u = 1.0f + x, r = mk_log(u);
    float lost = (x - (u - 1.0f)) / u;
    r = ((u == 0.0f) | (u == INFINITY)) ? r : r + lost;
    return x == 0.0f ? x : r;
}

// log(1 + x) for x in 0 ... 1.
MK_INLINE float mk_log1p_unit(float x) {
    float u = 1.0f + x;
    float lost = (x - (u - 1.0f)) / u;
    return mk_log(u) + lost;
}

// tanh |x| = e / (e + 2) with e = exp(2 |x|) - 1.
MK_INLINE float mk_tanh(float x) {
    float a = mk_abs(x);
    a = a > 10.0f ? 10.0f : a;
    float e = mk_expm1(2.0f * a);
    return mk_copysign(e / (e + 2.0f), x);
}

// Below 1 an odd polynomial; above, 1 - 2^-q(|x|) with q fitted to -log2 erfc.
MK_INLINE float mk_erf(float x) {
    float a = mk_abs(x);
    a = a > 4.0f ? 4.0f : a;
    float z = a * a;
    float p = 7.889114931e-05f;
    p = p * z + -8.020839887e-04f;
    p = p * z + 5.189535208e-03f;
    p = p * z + -2.685444430e-02f;
    p = p * z + 1.128360033e-01f;
    p = p * z + -3.761262596e-01f;
    p = p * z + 1.283791661e-01f;
    float small = p * a + a;
    float q = -2.724162769e-04f;
    q = q * a + 4.288340453e-03f;
    q = q * a + -3.165340051e-02f;
    q = q * a + 1.490699500e-01f;
    q = q * a + 9.202706814e-01f;
    q = q * a + 1.626280189e+00f;
    q = q * a + 4.334135738e-04f;
    float t = MK_ROUNDER - q;
    float r = ((MK_ROUNDER - t) - q) * 0.693147181f;
    float scale = mk_scale(mk_bits(t) - mk_bits(MK_ROUNDER));
    float large = (1.0f - scale) - scale * mk_expm1_core(r);
    return mk_copysign(a < 1.0f ? small : large, x);
}

// From exp(-|x|), so that small results keep their precision.
MK_INLINE float mk_sigmoid(float x) {
    float e = mk_exp(-mk_abs(x));
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

MK_INLINE float mk_softplus(float x) { return mk_log1p_unit(mk_exp(-mk_abs(x))) + (x < 0.0f ? 0.0f : x); }

// sin of x + quarter turns, |x| <= 2^20: the reduction by pi/2 is exact enough in double.
MK_INLINE float mk_sin_turned(float x, uint32_t quarter) {
    double t = (double)x * 0.63661977236758134 + 6755399441055744.0;
    double n = t - 6755399441055744.0;
    float r = (float)(((double)x - n * 1.5707963267341256) - n * 6.0771005065061922e-11);
    uint64_t u;
    memcpy(&u, &t, 8);
    uint32_t k = (uint32_t)u + quarter;
    float z = r * r;
    float s = 2.717939651e-06f;
    s = s * z + -1.983929542e-04f;
    s = s * z + 8.333329111e-03f;
    s = s * z + -1.666666716e-01f;
    s = mk_copysign(s * z * r + r, r);  // -0 stays -0
    float c = 2.443484118e-05f;
    c = c * z + -1.388733741e-03f;
    c = c * z + 4.166664556e-02f;
    c = c * z * z + (1.0f - 0.5f * z);
    return mk_from_bits(mk_bits(k & 1u ? c : s) ^ ((k & 2u) << 30));
}

// fp16 and fp32, nearest even. Integer arithmetic for targets whose instruction set has no conversion.
MK_INLINE float mk_half_to_float_soft(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, body = (uint32_t)(h & 0x7fffu);
    float subnormal = (float)(int32_t)body * 5.9604644775390625e-08f;
    uint32_t normal = (body << 13) + (112u << 23);
    uint32_t special = (body << 13) | 0x7f800000u;
    uint32_t u = body < 0x400u ? mk_bits(subnormal) : body >= 0x7c00u ? special : normal;
    return mk_from_bits(u | sign);
}

MK_INLINE uint16_t mk_float_to_half_soft(float x) {
    uint32_t u = mk_bits(x), sign = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
    // Adding 0.5 leaves the rounded subnormal half in the low bits.
    uint32_t subnormal = mk_bits(mk_from_bits(a) + 0.5f) - 0x3f000000u;
    uint32_t normal = (a - (112u << 23) + 0xfffu + (a >> 13 & 1u)) >> 13;
    uint32_t h = a < 0x38800000u ? subnormal : normal;
    h = a >= 0x477ff000u ? 0x7c00u : h;
    h = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x3ffu) : h;
    return (uint16_t)(h | sign);
}

#endif
