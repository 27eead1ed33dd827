// Typed elementwise loops: those that call the C library, the casts, and the walk over strided operands.
#include "include/typed.h"

#include <complex.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "include/threads.h"
#include "lane_math.h"
#include "whole_math.h"

#pragma STDC FP_CONTRACT OFF

typedef float _Complex mk_c64;
typedef double _Complex mk_c128;

#define mk_bits_f32 mk_bits
#define mk_abs_f32 mk_abs
#define mk_copysign_f32 mk_copysign
MK_INLINE uint64_t mk_bits_f64(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
MK_INLINE double mk_from_bits_f64(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }
MK_INLINE double mk_abs_f64(double x) { return mk_from_bits_f64(mk_bits_f64(x) & ~(1ull << 63)); }
MK_INLINE double mk_copysign_f64(double x, double s) {
    return mk_from_bits_f64((mk_bits_f64(x) & ~(1ull << 63)) | (mk_bits_f64(s) & 1ull << 63));
}

#define MK_KERNELS "typed.inc"
#include "isa.h"

#define LOOP(name, R, T, expression) \
    static void name(int64_t n, void *out, const void *const *in) { \
        R *o = out; \
        const T *a = in[0]; \
        for (int64_t i = 0; i < n; i++) { T x = a[i]; o[i] = (R)(expression); } \
    }
#define LOOP2(name, R, T, expression) \
    static void name(int64_t n, void *out, const void *const *in) { \
        R *o = out; \
        const T *a = in[0], *b = in[1]; \
        for (int64_t i = 0; i < n; i++) { T x = a[i], y = b[i]; o[i] = (R)(expression); } \
    }
#define LOOP3(name, R, T, expression) \
    static void name(int64_t n, void *out, const void *const *in) { \
        R *o = out; \
        const T *a = in[0], *b = in[1], *c = in[2]; \
        for (int64_t i = 0; i < n; i++) { T x = a[i], y = b[i], z = c[i]; o[i] = (R)(expression); } \
    }

// Copies, by the size of an element.

LOOP(copy_1, uint8_t, uint8_t, x)
LOOP(copy_2, uint16_t, uint16_t, x)
LOOP(copy_4, uint32_t, uint32_t, x)
LOOP(copy_8, uint64_t, uint64_t, x)
LOOP(copy_16, mk_c128, mk_c128, x)

// Integers: divisions and powers.

#define WHOLE(s, T) \
    LOOP2(floor_div_##s, T, T, mk_floor_div_##s(x, y)) \
    LOOP2(mod_##s, T, T, mk_mod_##s(x, y)) \
    LOOP2(pow_##s, T, T, mk_pow_##s(x, y)) \
    LOOP(exp2_##s, T, T, mk_pow_##s(2, x))

WHOLE(i8, int8_t)
WHOLE(u8, uint8_t)
WHOLE(i16, int16_t)
WHOLE(u16, uint16_t)
WHOLE(i32, int32_t)
WHOLE(u32, uint32_t)
WHOLE(i64, int64_t)
WHOLE(u64, uint64_t)

// Floating-point numbers: what calls the C library, whose fp32 functions end in f.

MK_INLINE double mk_log_add_exp(double x, double y) {
    // Equal operands may be infinite, and so have no difference.
    if (x == y) return x + 0.69314718055994530942;
    double larger = x > y ? x : y, distance = x > y ? y - x : x - y;
    return x != x || y != y ? x + y : larger + log1p(exp(distance));
}
MK_INLINE double mk_sigmoid_f64(double x) {
    double e = exp(-mk_abs_f64(x));
    return (x < 0 ? e : 1) / (1 + e);
}
MK_INLINE double mk_softplus_f64(double x) { return log1p(exp(-mk_abs_f64(x))) + (x < 0 ? 0 : x); }
MK_INLINE double mk_gelu_tanh(double x) {
    return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * (x * x * x))));
}

#define FLOATING(s, T, f) \
    MK_INLINE T mk_mod_##s(T x, T y) { \
        T r = fmod##f(x, y); \
        if (r == 0) return copysign##f(r, y); \
        return (r < 0) != (y < 0) ? r + y : r; \
    } \
    /* The quotient without its remainder is whole but for one rounding. Infinities divide as with `/`. */ \
    MK_INLINE T mk_floor_div_##s(T x, T y) { \
        if (y == 0 || isinf(x) || isinf(y)) return x / y; \
        T r = fmod##f(x, y), q = (x - r) / y; \
        if (r != 0 && (r < 0) != (y < 0)) q -= 1; \
        return q == 0 ? copysign##f(0, x / y) : rint##f(q); \
    } \
    LOOP2(floor_div_##s, T, T, mk_floor_div_##s(x, y)) \
    LOOP2(mod_##s, T, T, mk_mod_##s(x, y)) \
    LOOP2(pow_##s, T, T, pow##f(x, y)) \
    LOOP2(atan2_##s, T, T, atan2##f(x, y)) \
    LOOP2(hypot_##s, T, T, hypot##f(x, y)) \
    LOOP2(next_after_##s, T, T, nextafter##f(x, y)) \
    LOOP(exp_##s, T, T, exp##f(x)) \
    LOOP(exp2_##s, T, T, exp2##f(x)) \
    LOOP2(log_##s, T, T, log##f(x + y)) \
    LOOP(log2_##s, T, T, log2##f(x)) \
    LOOP(log10_##s, T, T, log10##f(x)) \
    LOOP(sin_##s, T, T, sin##f(x)) \
    LOOP(cos_##s, T, T, cos##f(x)) \
    LOOP(tan_##s, T, T, tan##f(x)) \
    LOOP(asin_##s, T, T, asin##f(x)) \
    LOOP(acos_##s, T, T, acos##f(x)) \
    LOOP(atan_##s, T, T, atan##f(x)) \
    LOOP(sinh_##s, T, T, sinh##f(x)) \
    LOOP(cosh_##s, T, T, cosh##f(x)) \
    LOOP(tanh_##s, T, T, tanh##f(x)) \
    LOOP(asinh_##s, T, T, asinh##f(x)) \
    LOOP(acosh_##s, T, T, acosh##f(x)) \
    LOOP(atanh_##s, T, T, atanh##f(x)) \
    LOOP(erf_##s, T, T, erf##f(x)) \
    LOOP(angle_##s, T, T, x != x ? x : atan2##f(0, x)) \
    LOOP2(elu_##s, T, T, x < 0 ? y * expm1##f(x) : x) \
    LOOP(sigmoid_##s, T, T, mk_sigmoid_f64(x)) \
    LOOP(silu_##s, T, T, x * mk_sigmoid_f64(x)) \
    LOOP(softplus_##s, T, T, mk_softplus_f64(x)) \
    LOOP3(softplus_parametric_##s, T, T, y * mk_softplus_f64(z * x)) \
    LOOP3(scaled_tanh_##s, T, T, y * tanh##f(z * x)) \
    LOOP(gelu_##s, T, T, 0.5 * x * erfc##f(-x * (T)0.70710678118654752440)) \
    LOOP(gelu_tanh_##s, T, T, mk_gelu_tanh(x)) \
    LOOP(gelu_sigmoid_##s, T, T, x * mk_sigmoid_f64(1.702 * x))

FLOATING(f32, float, f)
FLOATING(f64, double, )
LOOP(expm1_f64, double, double, expm1(x))
LOOP(log1p_f64, double, double, log1p(x))
LOOP2(log_add_exp_f64, double, double, mk_log_add_exp(x, y))

// Complex numbers. Products and quotients are the plain formulas (the quotient Smith's), without C's rescue of infinities;
// functions are computed in fp64.

#define MK_COMPLEX(re, im) __builtin_complex((double)(re), (double)(im))

MK_INLINE mk_c128 mk_complex_mul(mk_c128 x, mk_c128 y) {
    double a = creal(x), b = cimag(x), c = creal(y), d = cimag(y);
    return MK_COMPLEX(a * c - b * d, a * d + b * c);
}

MK_INLINE mk_c128 mk_complex_div(mk_c128 x, mk_c128 y) {
    double a = creal(x), b = cimag(x), c = creal(y), d = cimag(y);
    if (fabs(c) >= fabs(d)) {
        if (c == 0 && d == 0) return MK_COMPLEX(a / fabs(c), b / fabs(d));
        double ratio = d / c, scale = 1 / (c + d * ratio);
        return MK_COMPLEX((a + b * ratio) * scale, (b - a * ratio) * scale);
    }
    double ratio = c / d, scale = 1 / (d + c * ratio);
    return MK_COMPLEX((a * ratio + b) * scale, (b * ratio - a) * scale);
}

// Small whole powers by products, so that they are as exact as products are; others lose digits in the logarithm.
static mk_c128 mk_complex_pow(mk_c128 x, mk_c128 y) {
    double c = creal(y), d = cimag(y);
    if (c == 0 && d == 0) return 1;
    if (x == 0) return c > 0 && d == 0 ? MK_COMPLEX(0, 0) : MK_COMPLEX(NAN, NAN);
    if (d != 0 || c != rint(c) || fabs(c) > 64) return (mk_c128)cpowl(x, y);
    mk_c128 power = 1;
    for (int k = (int)fabs(c); k > 0; k >>= 1, x = mk_complex_mul(x, x))
        if (k & 1) power = mk_complex_mul(power, x);
    return c < 0 ? mk_complex_div(1, power) : power;
}

static mk_c128 mk_complex_expm1(mk_c128 x) {
    double a = creal(x), b = cimag(x);
    if (!isfinite(a) || !isfinite(b)) return cexp(x) - 1;
    double half = sin(0.5 * b);
    // Adding 0 turns the -0 of expm1(-0 + 0i).
    return MK_COMPLEX(expm1(a) * cos(b) - 2 * half * half + 0.0, b == 0 ? b : exp(a) * sin(b));
}

// C gives the limit's zero the sign of sin 2b, the array API that of b.
static mk_c128 mk_complex_tanh(mk_c128 x) {
    double a = creal(x), b = cimag(x);
    return isinf(a) && isfinite(b) ? MK_COMPLEX(copysign(1, a), copysign(0, b)) : (mk_c128)ctanh(x);
}

// log |1 + x| from |1 + x|² - 1 = a (2 + a) + b², which keeps the digits of a small x.
static mk_c128 mk_complex_log1p(mk_c128 x) {
    double a = creal(x), b = cimag(x);
    if (!(fabs(a) < 0.5 && fabs(b) < 0.5)) {
        mk_c128 y = MK_COMPLEX(1 + a, b);
        return clog(y);
    }
    return MK_COMPLEX(0.5 * log1p(a * (2 + a) + b * b), atan2(b, 1 + a));
}

MK_INLINE mk_c128 mk_complex_scaled(mk_c128 x, double scale) { return MK_COMPLEX(creal(x) * scale, cimag(x) * scale); }

// A log of x + epsilon keeps a zero's sign where epsilon has none to add.
MK_INLINE mk_c128 mk_complex_plus(mk_c128 x, mk_c128 epsilon) { return MK_COMPLEX(creal(x) + creal(epsilon), cimag(x)); }

// The direction of x. An infinite part leaves nothing of a finite one.
MK_INLINE mk_c128 mk_complex_sign(mk_c128 x) {
    double a = creal(x), b = cimag(x), size = cabs(x);
    if (size == 0) return 0;
    if (a != a || b != b || (isinf(a) && isinf(b))) return MK_COMPLEX(NAN, NAN);
    if (isinf(a) || isinf(b)) return MK_COMPLEX(isinf(a) ? copysign(1, a) : 0, isinf(b) ? copysign(1, b) : 0);
    return MK_COMPLEX(a / size, b / size);
}

#define IS_NAN(x) (creal(x) != creal(x) || cimag(x) != cimag(x))
#define IS_INF(x) (isinf(creal(x)) || isinf(cimag(x)))

#define COMPLEX(s, C, R) \
    LOOP2(add_##s, C, C, x + y) \
    LOOP2(sub_##s, C, C, x - y) \
    LOOP(square_##s, C, C, mk_square_##s(x)) \
    LOOP2(equal_##s, uint8_t, C, x == y) \
    LOOP2(not_equal_##s, uint8_t, C, x != y) \
    LOOP2(pow_##s, C, C, mk_complex_pow(x, y)) \
    LOOP2(log_##s, C, C, clog(mk_complex_plus(x, y))) \
    LOOP2(inverse_##s, C, C, mk_complex_div(1, mk_complex_plus(x, y))) \
    LOOP(abs_##s, R, C, cabs(x)) \
    LOOP(negative_##s, C, C, -x) \
    LOOP(sign_##s, C, C, mk_complex_sign(x)) \
    LOOP(sqrt_##s, C, C, csqrt(x)) \
    LOOP(round_##s, C, C, MK_COMPLEX(rint(creal(x)), rint(cimag(x)))) \
    LOOP(exp_##s, C, C, cexp(x)) \
    LOOP(expm1_##s, C, C, mk_complex_expm1(x)) \
    LOOP(log1p_##s, C, C, mk_complex_log1p(x)) \
    LOOP(log2_##s, C, C, mk_complex_scaled(clog(x), 1.44269504088896340736)) \
    LOOP(log10_##s, C, C, mk_complex_scaled(clog(x), 0.43429448190325182765)) \
    LOOP(sin_##s, C, C, csin(x)) \
    LOOP(cos_##s, C, C, ccos(x)) \
    LOOP(tan_##s, C, C, ctan(x)) \
    LOOP(asin_##s, C, C, casin(x)) \
    LOOP(acos_##s, C, C, cacos(x)) \
    LOOP(atan_##s, C, C, catan(x)) \
    LOOP(sinh_##s, C, C, csinh(x)) \
    LOOP(cosh_##s, C, C, ccosh(x)) \
    LOOP(tanh_##s, C, C, mk_complex_tanh(x)) \
    LOOP(asinh_##s, C, C, casinh(x)) \
    LOOP(acosh_##s, C, C, cacosh(x)) \
    LOOP(atanh_##s, C, C, catanh(x)) \
    LOOP(is_nan_##s, uint8_t, C, IS_NAN(x)) \
    LOOP(is_inf_##s, uint8_t, C, IS_INF(x)) \
    LOOP(is_finite_##s, uint8_t, C, !IS_NAN(x) && !IS_INF(x)) \
    LOOP(real_##s, R, C, creal(x)) \
    LOOP(imag_##s, R, C, cimag(x)) \
    LOOP(conj_##s, C, C, MK_COMPLEX(creal(x), -cimag(x))) \
    LOOP(angle_##s, R, C, atan2(cimag(x), creal(x))) \
    LOOP2(complex_##s, C, R, MK_COMPLEX(x, y))

MK_INLINE mk_c128 mk_square_c128(mk_c128 x) { return mk_complex_mul(x, x); }
// complex64 rounds each product and sum to fp32, as its formula says.
MK_INLINE mk_c64 mk_mul_c64(mk_c64 x, mk_c64 y) {
    float a = crealf(x), b = cimagf(x), c = crealf(y), d = cimagf(y);
    return __builtin_complex(a * c - b * d, a * d + b * c);
}
MK_INLINE mk_c64 mk_div_c64(mk_c64 x, mk_c64 y) {
    float a = crealf(x), b = cimagf(x), c = crealf(y), d = cimagf(y);
    if (fabsf(c) >= fabsf(d)) {
        if (c == 0 && d == 0) return __builtin_complex(a / fabsf(c), b / fabsf(d));
        float ratio = d / c, scale = 1 / (c + d * ratio);
        return __builtin_complex((a + b * ratio) * scale, (b - a * ratio) * scale);
    }
    float ratio = c / d, scale = 1 / (d + c * ratio);
    return __builtin_complex((a * ratio + b) * scale, (b * ratio - a) * scale);
}
MK_INLINE mk_c64 mk_square_c64(mk_c64 x) { return mk_mul_c64(x, x); }

COMPLEX(c64, mk_c64, float)
COMPLEX(c128, mk_c128, double)
LOOP2(mul_c64, mk_c64, mk_c64, mk_mul_c64(x, y))
LOOP2(mul_c128, mk_c128, mk_c128, mk_complex_mul(x, y))
LOOP2(real_div_c64, mk_c64, mk_c64, mk_div_c64(x, y))
LOOP2(real_div_c128, mk_c128, mk_c128, mk_complex_div(x, y))

static void select_16(int64_t n, void *out, const void *const *in) {
    mk_c128 *o = out;
    const uint8_t *a = in[0];
    const mk_c128 *b = in[1], *c = in[2];
    for (int64_t i = 0; i < n; i++) o[i] = a[i] ? b[i] : c[i];
}

// fp64 to fp16, rounded once: by way of an fp32 cut towards zero whose last bit tells of what was cut off.
MK_INLINE uint16_t mk_half_of(double x) {
    float near = (float)x;
    if ((double)near != x && x == x) near = mk_from_bits((mk_bits(near) - (fabs((double)near) > fabs(x))) | 1u);
    return mk_float_to_half_soft(near);
}

LOOP(round_half_f64, float, double, mk_half_to_float_soft(mk_half_of(x)))

// The table of what is the same for all instruction sets.

#define ON_WHOLE(name) \
    [MK_INT8] = name##_i8, [MK_UINT8] = name##_u8, [MK_INT16] = name##_i16, [MK_UINT16] = name##_u16, \
    [MK_INT32] = name##_i32, [MK_UINT32] = name##_u32, [MK_INT64] = name##_i64, [MK_UINT64] = name##_u64
#define ON_FLOATS(name) [MK_FP32] = name##_f32, [MK_FP64] = name##_f64
#define ON_COMPLEX(name) [MK_COMPLEX64] = name##_c64, [MK_COMPLEX128] = name##_c128
#define COPIES_OF_WHOLE \
    [MK_INT8] = copy_1, [MK_UINT8] = copy_1, [MK_INT16] = copy_2, [MK_UINT16] = copy_2, [MK_INT32] = copy_4, \
    [MK_UINT32] = copy_4, [MK_INT64] = copy_8, [MK_UINT64] = copy_8
#define COPIES_OF_FLOATS [MK_FP32] = copy_4, [MK_FP64] = copy_8

static const mk_typed_loop loops[MK_T_OPS][MK_DTYPES] = {
    [MK_T_IDENTITY] = {
        COPIES_OF_WHOLE, COPIES_OF_FLOATS, [MK_BOOL] = copy_1, [MK_FP16] = copy_2, [MK_COMPLEX64] = copy_8,
        [MK_COMPLEX128] = copy_16,
    },
    [MK_T_SELECT] = { [MK_COMPLEX128] = select_16 },
    [MK_T_ADD] = { ON_COMPLEX(add) },
    [MK_T_SUB] = { ON_COMPLEX(sub) },
    [MK_T_MUL] = { ON_COMPLEX(mul) },
    [MK_T_REAL_DIV] = { ON_WHOLE(floor_div), ON_COMPLEX(real_div) },
    [MK_T_FLOOR_DIV] = { ON_WHOLE(floor_div), ON_FLOATS(floor_div) },
    [MK_T_MOD] = { ON_WHOLE(mod), ON_FLOATS(mod) },
    [MK_T_POW] = { ON_WHOLE(pow), ON_FLOATS(pow), ON_COMPLEX(pow) },
    [MK_T_ATAN2] = { ON_FLOATS(atan2) },
    [MK_T_HYPOT] = { ON_FLOATS(hypot) },
    [MK_T_NEXT_AFTER] = { ON_FLOATS(next_after) },
    [MK_T_LOG_ADD_EXP] = { [MK_FP64] = log_add_exp_f64 },
    [MK_T_COMPLEX] = { [MK_FP32] = complex_c64, [MK_FP64] = complex_c128 },
    [MK_T_EQUAL] = { ON_COMPLEX(equal) },
    [MK_T_NOT_EQUAL] = { ON_COMPLEX(not_equal) },
    [MK_T_ABS] = { ON_COMPLEX(abs) },
    [MK_T_NEGATIVE] = { ON_COMPLEX(negative) },
    [MK_T_SIGN] = { ON_COMPLEX(sign) },
    [MK_T_SQUARE] = { ON_COMPLEX(square) },
    [MK_T_SQRT] = { ON_COMPLEX(sqrt) },
    [MK_T_INVERSE] = { ON_COMPLEX(inverse) },
    [MK_T_CEIL] = { COPIES_OF_WHOLE },
    [MK_T_FLOOR] = { COPIES_OF_WHOLE },
    [MK_T_ROUND] = { COPIES_OF_WHOLE, ON_COMPLEX(round) },
    [MK_T_TRUNC] = { COPIES_OF_WHOLE },
    [MK_T_ROUND_HALF] = { [MK_FP64] = round_half_f64 },
    [MK_T_EXP] = { ON_FLOATS(exp), ON_COMPLEX(exp) },
    [MK_T_EXP2] = { ON_WHOLE(exp2), ON_FLOATS(exp2) },
    [MK_T_EXPM1] = { [MK_FP64] = expm1_f64, ON_COMPLEX(expm1) },
    [MK_T_LOG] = { ON_FLOATS(log), ON_COMPLEX(log) },
    [MK_T_LOG1P] = { [MK_FP64] = log1p_f64, ON_COMPLEX(log1p) },
    [MK_T_LOG2] = { ON_FLOATS(log2), ON_COMPLEX(log2) },
    [MK_T_LOG10] = { ON_FLOATS(log10), ON_COMPLEX(log10) },
    [MK_T_SIN] = { ON_FLOATS(sin), ON_COMPLEX(sin) },
    [MK_T_COS] = { ON_FLOATS(cos), ON_COMPLEX(cos) },
    [MK_T_TAN] = { ON_FLOATS(tan), ON_COMPLEX(tan) },
    [MK_T_ASIN] = { ON_FLOATS(asin), ON_COMPLEX(asin) },
    [MK_T_ACOS] = { ON_FLOATS(acos), ON_COMPLEX(acos) },
    [MK_T_ATAN] = { ON_FLOATS(atan), ON_COMPLEX(atan) },
    [MK_T_SINH] = { ON_FLOATS(sinh), ON_COMPLEX(sinh) },
    [MK_T_COSH] = { ON_FLOATS(cosh), ON_COMPLEX(cosh) },
    [MK_T_TANH] = { ON_FLOATS(tanh), ON_COMPLEX(tanh) },
    [MK_T_ASINH] = { ON_FLOATS(asinh), ON_COMPLEX(asinh) },
    [MK_T_ACOSH] = { ON_FLOATS(acosh), ON_COMPLEX(acosh) },
    [MK_T_ATANH] = { ON_FLOATS(atanh), ON_COMPLEX(atanh) },
    [MK_T_ERF] = { ON_FLOATS(erf) },
    [MK_T_IS_NAN] = { ON_COMPLEX(is_nan) },
    [MK_T_IS_INF] = { ON_COMPLEX(is_inf) },
    [MK_T_IS_FINITE] = { ON_COMPLEX(is_finite) },
    [MK_T_REAL] = { COPIES_OF_WHOLE, COPIES_OF_FLOATS, ON_COMPLEX(real) },
    [MK_T_IMAG] = { ON_COMPLEX(imag) },
    [MK_T_CONJ] = { COPIES_OF_WHOLE, COPIES_OF_FLOATS, ON_COMPLEX(conj) },
    [MK_T_ANGLE] = { ON_FLOATS(angle), ON_COMPLEX(angle) },
    [MK_T_ELU] = { ON_FLOATS(elu) },
    [MK_T_SIGMOID] = { ON_FLOATS(sigmoid) },
    [MK_T_SILU] = { ON_FLOATS(silu) },
    [MK_T_SOFTPLUS] = { ON_FLOATS(softplus) },
    [MK_T_SOFTPLUS_PARAMETRIC] = { ON_FLOATS(softplus_parametric) },
    [MK_T_SCALED_TANH] = { ON_FLOATS(scaled_tanh) },
    [MK_T_GELU] = { ON_FLOATS(gelu) },
    [MK_T_GELU_TANH] = { ON_FLOATS(gelu_tanh) },
    [MK_T_GELU_SIGMOID] = { ON_FLOATS(gelu_sigmoid) },
};

mk_typed_loop mk_typed_find(mk_typed_op op, mk_dtype dtype) {
    if ((unsigned)op >= MK_T_OPS || (unsigned)dtype >= MK_DTYPES) return NULL;
    return loops[op][dtype] ? loops[op][dtype] : MK_PICK(typed_loops)[op][dtype];
}

// Casts

// Whole part of a floating-point number within low ... high; `end` is high + 1.
#define HELD(T, x, low, high, end) ((x) != (x) ? 0 : (x) <= (low) ? (T)(low) : (x) >= (end) ? (T)(high) : (T)(x))
#define TO_i8(x) HELD(int8_t, x, -128, 127, 128)
#define TO_u8(x) HELD(uint8_t, x, 0, 255, 256)
#define TO_i16(x) HELD(int16_t, x, -32768, 32767, 32768)
#define TO_u16(x) HELD(uint16_t, x, 0, 65535, 65536)
#define TO_i32(x) HELD(int32_t, x, -2147483648.0, 2147483647, 2147483648.0)
#define TO_u32(x) HELD(uint32_t, x, 0, 4294967295u, 4294967296.0)
#define TO_i64(x) ((x) != (x) ? 0 : (x) <= -0x1p63 ? INT64_MIN : (x) >= 0x1p63 ? INT64_MAX : (int64_t)(x))
#define TO_u64(x) HELD(uint64_t, x, 0, UINT64_MAX, 0x1p64)

#define CAST_TO_FLOATS(s, T) \
    LOOP(s##_to_f16, uint16_t, T, mk_half_of((double)x)) \
    LOOP(s##_to_f32, float, T, x) \
    LOOP(s##_to_f64, double, T, x) \
    LOOP(s##_to_c64, mk_c64, T, x) \
    LOOP(s##_to_c128, mk_c128, T, x) \
    LOOP(s##_to_b, uint8_t, T, x != 0)
#define CAST_WHOLE(s, T) \
    CAST_TO_FLOATS(s, T) \
    LOOP(s##_to_i8, int8_t, T, x) \
    LOOP(s##_to_u8, uint8_t, T, x) \
    LOOP(s##_to_i16, int16_t, T, x) \
    LOOP(s##_to_u16, uint16_t, T, x) \
    LOOP(s##_to_i32, int32_t, T, x) \
    LOOP(s##_to_u32, uint32_t, T, x) \
    LOOP(s##_to_i64, int64_t, T, x) \
    LOOP(s##_to_u64, uint64_t, T, x)
#define CAST_FLOAT(s, T) \
    CAST_TO_FLOATS(s, T) \
    LOOP(s##_to_i8, int8_t, T, TO_i8(x)) \
    LOOP(s##_to_u8, uint8_t, T, TO_u8(x)) \
    LOOP(s##_to_i16, int16_t, T, TO_i16(x)) \
    LOOP(s##_to_u16, uint16_t, T, TO_u16(x)) \
    LOOP(s##_to_i32, int32_t, T, TO_i32(x)) \
    LOOP(s##_to_u32, uint32_t, T, TO_u32(x)) \
    LOOP(s##_to_i64, int64_t, T, TO_i64(x)) \
    LOOP(s##_to_u64, uint64_t, T, TO_u64(x))


CAST_WHOLE(b, _Bool)
CAST_WHOLE(i8, int8_t)
CAST_WHOLE(u8, uint8_t)
CAST_WHOLE(i16, int16_t)
CAST_WHOLE(u16, uint16_t)
CAST_WHOLE(i32, int32_t)
CAST_WHOLE(u32, uint32_t)
CAST_WHOLE(i64, int64_t)
CAST_WHOLE(u64, uint64_t)
CAST_FLOAT(f32, float)
CAST_FLOAT(f64, double)
LOOP(f16_to_f32, float, uint16_t, mk_half_to_float_soft(x))
LOOP(c64_to_b, uint8_t, mk_c64, x != 0)
LOOP(c128_to_b, uint8_t, mk_c128, x != 0)
LOOP(c64_to_c128, mk_c128, mk_c64, x)
LOOP(c128_to_c64, mk_c64, mk_c128, x)

#define CASTS(s) { \
    [MK_BOOL] = s##_to_b, [MK_INT8] = s##_to_i8, [MK_UINT8] = s##_to_u8, [MK_INT16] = s##_to_i16, \
    [MK_UINT16] = s##_to_u16, [MK_INT32] = s##_to_i32, [MK_UINT32] = s##_to_u32, [MK_INT64] = s##_to_i64, \
    [MK_UINT64] = s##_to_u64, [MK_FP16] = s##_to_f16, [MK_FP32] = s##_to_f32, [MK_FP64] = s##_to_f64, \
    [MK_COMPLEX64] = s##_to_c64, [MK_COMPLEX128] = s##_to_c128, \
}

static const mk_typed_loop casts[MK_DTYPES][MK_DTYPES] = {
    [MK_BOOL] = CASTS(b), [MK_INT8] = CASTS(i8), [MK_UINT8] = CASTS(u8), [MK_INT16] = CASTS(i16),
    [MK_UINT16] = CASTS(u16), [MK_INT32] = CASTS(i32), [MK_UINT32] = CASTS(u32), [MK_INT64] = CASTS(i64),
    [MK_UINT64] = CASTS(u64), [MK_FP32] = CASTS(f32), [MK_FP64] = CASTS(f64),
    [MK_FP16] = { [MK_FP16] = copy_2, [MK_FP32] = f16_to_f32 },
    [MK_COMPLEX64] = { [MK_BOOL] = c64_to_b, [MK_COMPLEX64] = copy_8, [MK_COMPLEX128] = c64_to_c128 },
    [MK_COMPLEX128] = { [MK_BOOL] = c128_to_b, [MK_COMPLEX64] = c128_to_c64, [MK_COMPLEX128] = copy_16 },
};

mk_typed_loop mk_typed_cast(mk_dtype from, mk_dtype to) {
    return (unsigned)from < MK_DTYPES && (unsigned)to < MK_DTYPES ? casts[from][to] : NULL;
}

// The walk

enum {
    MK_TYPED_BLOCK = 256,    // elements that are brought together where an operand does not lie densely
    MK_TYPED_SHORT = 64,     // rows of up to so many elements are run several at once
    MK_TYPED_PIECE = 16384,  // elements of a longer row that are run at once
};

static int mk_typed_merges(const mk_typed *typed, int outer, int inner) {
    for (int k = 0; k <= typed->inputs; k++)
        if (typed->strides[k][outer] != typed->strides[k][inner] * typed->shape[inner]) return 0;
    return 1;
}

static void mk_typed_move(mk_typed *typed, int to, int from) {
    typed->shape[to] = typed->shape[from];
    for (int k = 0; k <= typed->inputs; k++) typed->strides[k][to] = typed->strides[k][from];
}

int mk_typed_collapse(mk_typed *typed) {
    if (typed->rank < 0 || typed->rank > MK_TYPED_RANK) return -1;
    if (!typed->loop || typed->inputs < 1 || typed->inputs > MK_TYPED_INPUTS) return -1;
    int rank = 0;
    for (int d = 0; d < typed->rank; d++) {
        if (typed->shape[d] == 1) continue;
        mk_typed_move(typed, rank, d);
        if (rank > 0 && mk_typed_merges(typed, rank - 1, rank)) {
            int64_t size = typed->shape[rank - 1] * typed->shape[rank];
            mk_typed_move(typed, rank - 1, rank);
            typed->shape[rank - 1] = size;
        } else {
            rank++;
        }
    }
    if (rank == 0) {
        typed->shape[0] = 1;
        for (int k = 0; k <= typed->inputs; k++) typed->strides[k][0] = 1;
        rank = 1;
    }
    typed->rank = rank;
    return 0;
}

// Work is shared out in tiles: pieces of a row, or several rows where rows are short.
typedef struct {
    const mk_typed *typed;
    char *place[1 + MK_TYPED_INPUTS];  // the result, then the operands
    int64_t rows;                      // rows of a tile
    int64_t run;                       // tiles in a row, or in the rows of the innermost but one dimension
    int64_t tiles;
} mk_typed_job;

#define GATHER(T) \
    for (int64_t r = 0; r < rows; r++) { \
        T *d = (T *)to + r * n; \
        const T *s = (const T *)from + r * row_stride; \
        if (stride == 0) { T v = s[0]; for (int64_t i = 0; i < n; i++) d[i] = v; } \
        else for (int64_t i = 0; i < n; i++) d[i] = s[i * stride]; \
    } \
    break;
static void mk_typed_gather(void *to, const char *from, int64_t rows, int64_t row_stride, int64_t n, int64_t stride,
                            int size) {
    switch (size) {
        case 1: GATHER(uint8_t)
        case 2: GATHER(uint16_t)
        case 4: GATHER(uint32_t)
        case 8: GATHER(uint64_t)
        default: GATHER(mk_c128)
    }
}

#define SCATTER(T) \
    for (int64_t r = 0; r < rows; r++) { \
        T *d = (T *)to + r * row_stride; \
        const T *s = (const T *)from + r * n; \
        for (int64_t i = 0; i < n; i++) d[i * stride] = s[i]; \
    } \
    break;
static void mk_typed_scatter(char *to, const void *from, int64_t rows, int64_t row_stride, int64_t n, int64_t stride,
                             int size) {
    switch (size) {
        case 1: SCATTER(uint8_t)
        case 2: SCATTER(uint16_t)
        case 4: SCATTER(uint32_t)
        case 8: SCATTER(uint64_t)
        default: SCATTER(mk_c128)
    }
}

// One tile of `rows` rows of n elements. Operands that do not lie densely are brought together block by block; `held` is
// where a block comes from that holds one row, or one element, again and again.
static void mk_typed_tile(const mk_typed_job *job, char *const *place, int64_t rows, int64_t n,
                          mk_c128 (*blocks)[MK_TYPED_BLOCK], const char **held) {
    const mk_typed *typed = job->typed;
    int last = typed->rank - 1, tall = job->rows > 1, direct[1 + MK_TYPED_INPUTS], all = 1;
    for (int k = 0; k <= typed->inputs; k++) {
        direct[k] = (typed->strides[k][last] == 1 || n == 1) && (rows == 1 || typed->strides[k][last - 1] == n);
        all &= direct[k];
    }
    int64_t step = all || tall ? n : MK_TYPED_BLOCK;
    for (int64_t i = 0; i < n; i += step) {
        int64_t count = n - i < step ? n - i : step;
        const void *in[MK_TYPED_INPUTS] = { NULL };
        for (int k = 1; k <= typed->inputs; k++) {
            int64_t stride = typed->strides[k][last], row_stride = tall ? typed->strides[k][last - 1] : 0;
            const char *from = place[k] + i * stride * typed->sizes[k];
            in[k - 1] = direct[k] ? from : (const char *)blocks[k];
            if (direct[k] || held[k] == from) continue;
            int repeats = tall ? row_stride == 0 : stride == 0;
            held[k] = repeats ? from : NULL;
            mk_typed_gather(blocks[k], from, repeats && tall ? job->rows : rows, row_stride,
                            repeats && !tall ? MK_TYPED_BLOCK : count, stride, typed->sizes[k]);
        }
        int64_t stride = typed->strides[0][last];
        char *to = place[0] + i * stride * typed->sizes[0];
        typed->loop(rows * count, direct[0] ? (void *)to : blocks[0], in);
        if (direct[0]) continue;
        mk_typed_scatter(to, blocks[0], rows, tall ? typed->strides[0][last - 1] : 0, count, stride, typed->sizes[0]);
    }
}

static void mk_typed_part(void *context, int part, int parts) {
    const mk_typed_job *job = context;
    const mk_typed *typed = job->typed;
    _Alignas(64) mk_c128 blocks[1 + MK_TYPED_INPUTS][MK_TYPED_BLOCK];
    const char *held[1 + MK_TYPED_INPUTS] = { NULL };
    int last = typed->rank - 1, tall = job->rows > 1, inner = tall ? last - 1 : last;
    int64_t index[MK_TYPED_RANK] = { 0 }, length = tall ? job->rows : MK_TYPED_PIECE;
    int64_t tile = job->tiles * part / parts, end = job->tiles * (part + 1) / parts;
    int64_t piece = tile % job->run, outer = tile / job->run;
    for (int d = inner - 1; d >= 0; d--) {
        index[d] = outer % typed->shape[d];
        outer /= typed->shape[d];
    }
    for (; tile < end; tile++) {
        int64_t start = piece * length, rest = typed->shape[inner] - start, some = rest < length ? rest : length;
        char *place[1 + MK_TYPED_INPUTS];
        for (int k = 0; k <= typed->inputs; k++) {
            int64_t offset = start * typed->strides[k][inner];
            for (int d = 0; d < inner; d++) offset += index[d] * typed->strides[k][d];
            place[k] = job->place[k] + offset * typed->sizes[k];
        }
        mk_typed_tile(job, place, tall ? some : 1, tall ? typed->shape[last] : some, blocks, held);
        if (++piece < job->run) continue;
        piece = 0;
        for (int d = inner - 1; d >= 0 && ++index[d] == typed->shape[d]; d--) index[d] = 0;
    }
}

void mk_typed_run(const mk_typed *typed, void *out, const void *const *in) {
    mk_typed_job job = { .typed = typed, .place = { out }, .rows = 1 };
    for (int k = 0; k < typed->inputs; k++) job.place[k + 1] = (char *)in[k];
    int last = typed->rank - 1;
    int64_t count = 1, columns = typed->shape[last];
    for (int d = 0; d <= last; d++) count *= typed->shape[d];
    if (count == 0) return;
    if (last > 0 && columns <= MK_TYPED_SHORT) {
        job.rows = MK_TYPED_BLOCK / columns;
        job.run = (typed->shape[last - 1] + job.rows - 1) / job.rows;
        job.tiles = count / columns / typed->shape[last - 1] * job.run;
    } else {
        job.run = (columns + MK_TYPED_PIECE - 1) / MK_TYPED_PIECE;
        job.tiles = count / columns * job.run;
    }
    // A part should be worth some ten thousand additions, or the region costs more than it saves.
    int64_t parts = count / 65536 * typed->work + count % 65536 * typed->work / 65536;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > job.tiles) parts = job.tiles;
    if (parts <= 1) mk_typed_part(&job, 0, 1);
    else mk_parallel((int)parts, mk_typed_part, &job);
}
