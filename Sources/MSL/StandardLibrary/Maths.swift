extension StandardLibrary {
    static let maths = #"""
        // Constants.
        #define INFINITY __builtin_inff()
        #define NAN __builtin_nanf("")
        #define HUGE_VALF __builtin_huge_valf()
        #define MAXFLOAT 3.402823466e+38f
        #define FLT_MAX 3.402823466e+38f
        #define FLT_MIN 1.175494351e-38f
        #define FLT_EPSILON 1.192092896e-07f
        #define FLT_DIG 6
        #define FLT_MANT_DIG 24
        #define HALF_MAX ((half)65504.0f)
        #define HALF_MIN ((half)6.103515625e-05f)
        #define HALF_EPSILON ((half)0.0009765625f)
        #define CHAR_BIT 8
        #define CHAR_MAX 127
        #define CHAR_MIN (-128)
        #define SCHAR_MAX 127
        #define SCHAR_MIN (-128)
        #define UCHAR_MAX 255
        #define SHRT_MAX 32767
        #define SHRT_MIN (-32768)
        #define USHRT_MAX 65535
        #define INT_MAX 2147483647
        #define INT_MIN (-2147483647 - 1)
        #define UINT_MAX 4294967295u
        #define LONG_MAX 9223372036854775807l
        #define LONG_MIN (-LONG_MAX - 1l)
        #define ULONG_MAX 18446744073709551615ul
        #define MK_NUMBER(name, value) constexpr mk_constant_float M_##name##_F = value;
        typedef const float mk_constant_float;
        MK_NUMBER(E, 2.71828182845904523536f) MK_NUMBER(LOG2E, 1.44269504088896340736f) MK_NUMBER(LOG10E, 0.43429448190325182765f)
        MK_NUMBER(LN2, 0.69314718055994530942f) MK_NUMBER(LN10, 2.30258509299404568402f) MK_NUMBER(PI, 3.14159265358979323846f)
        MK_NUMBER(PI_2, 1.57079632679489661923f) MK_NUMBER(PI_4, 0.78539816339744830962f) MK_NUMBER(1_PI, 0.31830988618379067154f)
        MK_NUMBER(2_PI, 0.63661977236758134308f) MK_NUMBER(2_SQRTPI, 1.12837916709551257390f) MK_NUMBER(SQRT2, 1.41421356237309504880f)
        MK_NUMBER(SQRT1_2, 0.70710678118654752440f)
        #define M_E_H ((half)M_E_F)
        #define M_LOG2E_H ((half)M_LOG2E_F)
        #define M_LOG10E_H ((half)M_LOG10E_F)
        #define M_LN2_H ((half)M_LN2_F)
        #define M_LN10_H ((half)M_LN10_F)
        #define M_PI_H ((half)M_PI_F)
        #define M_PI_2_H ((half)M_PI_2_F)
        #define M_PI_4_H ((half)M_PI_4_F)
        #define M_1_PI_H ((half)M_1_PI_F)
        #define M_2_PI_H ((half)M_2_PI_F)
        #define M_2_SQRTPI_H ((half)M_2_SQRTPI_F)
        #define M_SQRT2_H ((half)M_SQRT2_F)
        #define M_SQRT1_2_H ((half)M_SQRT1_2_F)
        #define MAXHALF HALF_MAX
        #define HUGE_VALH ((half)INFINITY)
        #define METAL_FUNC inline __attribute__((always_inline))
        #define METAL_ALIGN(n) alignas(n)

        namespace metal {
        using namespace mk_types;

        // Properties of types.
        template <class T, T v> struct integral_constant { static constexpr T value = v; typedef T value_type; constexpr operator T() const { return v; } };
        typedef integral_constant<bool, true> true_type;
        typedef integral_constant<bool, false> false_type;
        template <bool B, class T = void> struct enable_if {};
        template <class T> struct enable_if<true, T> { typedef T type; };
        template <bool B, class T = void> using enable_if_t = typename enable_if<B, T>::type;
        template <bool B, class T, class F> struct conditional { typedef T type; };
        template <class T, class F> struct conditional<false, T, F> { typedef F type; };
        template <bool B, class T, class F> using conditional_t = typename conditional<B, T, F>::type;
        template <class T, class U> struct is_same : integral_constant<bool, __is_same(T, U)> {};
        template <class T, class U> constexpr bool is_same_v = __is_same(T, U);
        template <class T> struct remove_reference { typedef T type; };
        template <class T> struct remove_reference<T &> { typedef T type; };
        template <class T> struct remove_reference<T &&> { typedef T type; };
        template <class T> using remove_reference_t = typename remove_reference<T>::type;
        template <class T> struct remove_cv { typedef T type; };
        template <class T> struct remove_cv<const T> { typedef T type; };
        template <class T> struct remove_cv<volatile T> { typedef T type; };
        template <class T> struct remove_cv<const volatile T> { typedef T type; };
        template <class T> using remove_cv_t = typename remove_cv<T>::type;
        template <class T> struct remove_pointer { typedef T type; };
        template <class T> struct remove_pointer<T *> { typedef T type; };
        template <class T> using remove_pointer_t = typename remove_pointer<T>::type;
        template <bool B> using bool_constant = integral_constant<bool, B>;
        template <class T> struct is_pointer : false_type {};
        template <class T> struct is_pointer<T *> : true_type {};
        template <class T> constexpr bool is_pointer_v = is_pointer<T>::value;
        template <class T, class U> struct is_convertible : bool_constant<__is_convertible_to(T, U)> {};
        template <class T, class U> constexpr bool is_convertible_v = __is_convertible_to(T, U);
        template <class T> struct is_empty : bool_constant<__is_empty(T)> {};
        template <class T> constexpr bool is_empty_v = __is_empty(T);
        template <class T> constexpr bool mk_is_float = __is_same(mk_bare<T>, float) || __is_same(mk_bare<T>, half);
        #ifdef MK_BFLOAT
        template <> constexpr bool mk_is_float<bfloat> = true;
        #endif
        template <class T> constexpr bool mk_is_int = __is_integral(mk_bare<T>) && !__is_same(mk_bare<T>, bool);
        template <class T> struct is_floating_point : integral_constant<bool, mk_is_float<T>> {};
        template <class T> constexpr bool is_floating_point_v = mk_is_float<T>;
        template <class T> struct is_integral : integral_constant<bool, __is_integral(mk_bare<T>)> {};
        template <class T> constexpr bool is_integral_v = __is_integral(mk_bare<T>);
        template <class T> struct is_arithmetic : integral_constant<bool, mk_is_float<T> || __is_integral(mk_bare<T>)> {};
        template <class T> constexpr bool is_arithmetic_v = mk_is_float<T> || __is_integral(mk_bare<T>);
        template <class T> struct is_signed : integral_constant<bool, mk_is_float<T> || __is_signed(mk_bare<T>)> {};
        template <class T> constexpr bool is_signed_v = is_signed<T>::value;
        template <class T> struct is_unsigned : integral_constant<bool, __is_unsigned(mk_bare<T>)> {};
        template <class T> constexpr bool is_unsigned_v = __is_unsigned(mk_bare<T>);
        template <class T> struct make_scalar { typedef mk_element_of<T> type; };
        template <class T> using make_scalar_t = mk_element_of<T>;
        template <class T, int N> struct make_vector { typedef vec<T, N> type; };
        template <class T> struct is_vector : integral_constant<bool, mk_parts<T>::is_vector> {};
        template <class T> struct is_scalar : is_arithmetic<T> {};

        template <class T> struct numeric_limits {
            static constexpr bool is_specialized = is_arithmetic_v<T>, is_signed = is_signed_v<T>, is_integer = is_integral_v<T>;
            static constexpr int digits = sizeof(T) * 8 - is_signed;
            static constexpr T max() { return is_signed ? T(~(ulong(1) << (sizeof(T) * 8 - 1)) & (~ulong(0) >> (64 - sizeof(T) * 8))) : T(~ulong(0)); }
            static constexpr T min() { return is_signed ? T(-max() - 1) : T(0); }
            static constexpr T lowest() { return min(); }
        };
        template <> struct numeric_limits<bool> {
            static constexpr bool is_specialized = true, is_signed = false, is_integer = true;
            static constexpr int digits = 1;
            static constexpr bool max() { return true; }
            static constexpr bool min() { return false; }
            static constexpr bool lowest() { return false; }
        };
        #define MK_LIMITS(T, bits, top, least, eps, tiny)                                                    \
            template <> struct numeric_limits<T> {                                                           \
                static constexpr bool is_specialized = true, is_signed = true, is_integer = false;           \
                static constexpr bool has_infinity = true, has_quiet_NaN = true;                             \
                static constexpr int digits = bits;                                                          \
                static constexpr T max() { return (T)top; }                                                  \
                static constexpr T min() { return (T)least; }                                                \
                static constexpr T lowest() { return (T)-top; }                                              \
                static constexpr T epsilon() { return (T)eps; }                                              \
                static constexpr T denorm_min() { return (T)tiny; }                                          \
                static constexpr T infinity() { return (T)__builtin_inff(); }                                \
                static constexpr T quiet_NaN() { return (T)__builtin_nanf(""); }                             \
            };
        MK_LIMITS(float, 24, FLT_MAX, FLT_MIN, FLT_EPSILON, 1.401298464e-45f)
        MK_LIMITS(half, 11, 65504.0f, 6.103515625e-05f, 0.0009765625f, 5.9604644775390625e-08f)
        #ifdef MK_BFLOAT
        MK_LIMITS(bfloat, 8, 3.38953139e+38f, FLT_MIN, 0.0078125f, 9.18354961579912115e-41f)
        #endif

        template <class T, size_t N> struct array {
            T elements[N];
            constexpr T &operator[](size_t i) { return elements[i]; }
            constexpr const T &operator[](size_t i) const { return elements[i]; }
            constexpr size_t size() const { return N; }
        };

        template <class T, class U> inline T as_type(const U &u) {
            static_assert(sizeof(T) == sizeof(U), "as_type takes a value of the size of its type");
            return __builtin_bit_cast(T, u);
        }

        // A function of scalars, for each element of scalars or vectors. Scalars beside vectors stand for all their elements.
        #define MK_NEEDS_FLOAT(name, T) static_assert(mk_is_float<mk_element_of<T>>, #name " takes float or half")
        #define MK_NEEDS_INT(name, T) static_assert(mk_is_int<mk_element_of<T>>, #name " takes integers")
        template <class T, class F> inline T mk_map(T a, F f) {
            if constexpr (mk_parts<T>::is_vector) {
                T r;
                for (int i = 0; i < mk_parts<T>::count; i++) r[i] = f(a[i]);
                return r;
            } else return f(a);
        }
        template <class T, class F> inline T mk_map(T a, T b, F f) {
            if constexpr (mk_parts<T>::is_vector) {
                T r;
                for (int i = 0; i < mk_parts<T>::count; i++) r[i] = f(a[i], b[i]);
                return r;
            } else return f(a, b);
        }
        template <class T, class F> inline T mk_map(T a, T b, T c, F f) {
            if constexpr (mk_parts<T>::is_vector) {
                T r;
                for (int i = 0; i < mk_parts<T>::count; i++) r[i] = f(a[i], b[i], c[i]);
                return r;
            } else return f(a, b, c);
        }
        #define MK_MIX2(name)                                                                                              \
            template <class T, int N> inline mk_ext<T, N> name(mk_ext<T, N> a, mk_exactly<T> b) { return name(a, mk_make<mk_ext<T, N>>(b)); } \
            template <class T, int N> inline mk_ext<T, N> name(mk_exactly<T> a, mk_ext<T, N> b) { return name(mk_make<mk_ext<T, N>>(a), b); }
        // One type of float among integers is the type of all: pow(x, 2).
        template <class T, class... A> constexpr bool mk_joins = ((__is_same(A, T) || __is_integral(A)) && ...) && (__is_same(A, T) || ...);
        struct mk_nothing {};
        template <class... A> struct mk_joint_of : conditional_t<mk_joins<float, A...>, mk_same_as<float>, conditional_t<mk_joins<half, A...>, mk_same_as<half>, mk_nothing>> {};
        template <class... A> using mk_joint = typename mk_joint_of<A...>::type;
        #define MK_JOIN2(name) template <class A, class B> inline mk_joint<A, B> name(A a, B b) { typedef mk_joint<A, B> T; return name<T>((T)a, (T)b); }
        #define MK_JOIN3(name) template <class A, class B, class C> inline mk_joint<A, B, C> name(A a, B b, C c) { typedef mk_joint<A, B, C> T; return name<T>((T)a, (T)b, (T)c); }
        #define MK_MIX3(name)                                                                                              \
            template <class T, int N> inline mk_ext<T, N> name(mk_ext<T, N> a, mk_exactly<T> b, mk_exactly<T> c) { return name(a, mk_make<mk_ext<T, N>>(b), mk_make<mk_ext<T, N>>(c)); } \
            template <class T, int N> inline mk_ext<T, N> name(mk_ext<T, N> a, mk_ext<T, N> b, mk_exactly<T> c) { return name(a, b, mk_make<mk_ext<T, N>>(c)); } \
            template <class T, int N> inline mk_ext<T, N> name(mk_exactly<T> a, mk_exactly<T> b, mk_ext<T, N> c) { return name(mk_make<mk_ext<T, N>>(a), mk_make<mk_ext<T, N>>(b), c); }
        #define MK_FLOAT1(name, value)                                                                     \
            template <class T> inline T name(T x) { MK_NEEDS_FLOAT(name, T); typedef mk_element_of<T> E; return mk_map(x, [](E e) { float x = e; return (E)(value); }); }
        #define MK_FLOAT2(name, value)                                                                     \
            template <class T> inline T name(T x, T y) { MK_NEEDS_FLOAT(name, T); typedef mk_element_of<T> E; return mk_map(x, y, [](E d, E e) { float x = d, y = e; return (E)(value); }); } \
            MK_MIX2(name) MK_JOIN2(name)
        #define MK_FLOAT3(name, value)                                                                     \
            template <class T> inline T name(T x, T y, T z) { MK_NEEDS_FLOAT(name, T); typedef mk_element_of<T> E; return mk_map(x, y, z, [](E d, E e, E f) { float x = d, y = e, z = f; return (E)(value); }); } \
            MK_MIX3(name) MK_JOIN3(name)
        #define MK_EXACT1(name, needs, value)                                                              \
            template <class T> inline T name(T x) { needs; typedef mk_element_of<T> E; return mk_map(x, [](E x) { return (E)(value); }); }
        #define MK_EXACT2(name, needs, value)                                                              \
            template <class T> inline T name(T x, T y) { needs; typedef mk_element_of<T> E; return mk_map(x, y, [](E x, E y) { return (E)(value); }); } \
            MK_MIX2(name)
        #define MK_EXACT3(name, needs, value)                                                              \
            template <class T> inline T name(T x, T y, T z) { needs; typedef mk_element_of<T> E; return mk_map(x, y, z, [](E x, E y, E z) { return (E)(value); }); } \
            MK_MIX3(name)
        #define MK_ANY (void)0

        inline float mk_turns(float x) { return x - 2.0f * __builtin_floorf(x * 0.5f); }
        inline float mk_sinpi(float x) {
            float t = mk_turns(x);
            float s = t > 1 ? -1.0f : 1.0f;
            t = t > 1 ? t - 1 : t;
            t = t > 0.5f ? 1 - t : t;
            return s * __builtin_sinf(M_PI_F * t);
        }
        inline float mk_cospi(float x) { return mk_sinpi(mk_turns(x) + 0.5f); }
        inline float mk_fract(float x) { float f = x - __builtin_floorf(x); return f < 0x1.fffffep-1f ? f : 0x1.fffffep-1f; }

        namespace precise {
        MK_FLOAT1(acos, __builtin_acosf(x)) MK_FLOAT1(acosh, __builtin_acoshf(x)) MK_FLOAT1(asin, __builtin_asinf(x)) MK_FLOAT1(asinh, __builtin_asinhf(x))
        MK_FLOAT1(atan, __builtin_atanf(x)) MK_FLOAT1(atanh, __builtin_atanhf(x)) MK_FLOAT1(ceil, __builtin_ceilf(x)) MK_FLOAT1(cos, __builtin_cosf(x))
        MK_FLOAT1(cosh, __builtin_coshf(x)) MK_FLOAT1(exp, __builtin_expf(x)) MK_FLOAT1(exp2, __builtin_exp2f(x)) MK_FLOAT1(exp10, __builtin_powf(10.0f, x))
        MK_FLOAT1(fabs, __builtin_fabsf(x)) MK_FLOAT1(floor, __builtin_floorf(x)) MK_FLOAT1(fract, mk_fract(x)) MK_FLOAT1(log, __builtin_logf(x))
        MK_FLOAT1(log2, __builtin_log2f(x)) MK_FLOAT1(log10, __builtin_log10f(x)) MK_FLOAT1(rint, __builtin_rintf(x)) MK_FLOAT1(round, __builtin_roundf(x))
        MK_FLOAT1(rsqrt, 1.0f / __builtin_sqrtf(x)) MK_FLOAT1(sin, __builtin_sinf(x)) MK_FLOAT1(sinh, __builtin_sinhf(x)) MK_FLOAT1(sqrt, __builtin_sqrtf(x))
        MK_FLOAT1(tan, __builtin_tanf(x)) MK_FLOAT1(tanh, __builtin_tanhf(x)) MK_FLOAT1(trunc, __builtin_truncf(x)) MK_FLOAT1(sinpi, mk_sinpi(x))
        MK_FLOAT1(cospi, mk_cospi(x)) MK_FLOAT1(tanpi, mk_sinpi(x) / mk_cospi(x))
        MK_FLOAT2(atan2, __builtin_atan2f(x, y)) MK_FLOAT2(copysign, __builtin_copysignf(x, y)) MK_FLOAT2(fdim, __builtin_fdimf(x, y)) MK_FLOAT2(fmax, __builtin_fmaxf(x, y))
        MK_FLOAT2(fmin, __builtin_fminf(x, y)) MK_FLOAT2(fmod, __builtin_fmodf(x, y)) MK_FLOAT2(pow, __builtin_powf(x, y)) MK_FLOAT2(powr, __builtin_powf(x, y))
        MK_EXACT3(fma, MK_NEEDS_FLOAT(fma, T), (__is_same(E, float) ? (float)__builtin_fmaf(x, y, z) : (float)((double)x * y + z))) MK_JOIN3(fma)
        template <class T> inline T sincos(T x, T &c) { c = cos(x); return sin(x); }
        template <class T> inline T modf(T x, T &whole) { whole = trunc(x); return copysign(T(x - whole), x); }
        }
        using namespace precise;
        namespace fast = precise;

        // Order. If one of two floats is NaN, the result is the other.
        template <class E> inline E mk_least(E x, E y) { if constexpr (mk_is_float<E>) return (E)__builtin_fminf(x, y); else return y < x ? y : x; }
        template <class E> inline E mk_most(E x, E y) { if constexpr (mk_is_float<E>) return (E)__builtin_fmaxf(x, y); else return x < y ? y : x; }
        MK_EXACT2(min, MK_ANY, mk_least(x, y)) MK_EXACT2(max, MK_ANY, mk_most(x, y))
        MK_EXACT3(clamp, MK_ANY, mk_least(mk_most(x, y), z))
        MK_EXACT3(min3, MK_ANY, mk_least(mk_least(x, y), z)) MK_EXACT3(max3, MK_ANY, mk_most(mk_most(x, y), z))
        MK_EXACT3(median3, MK_ANY, mk_most(mk_least(x, y), mk_least(mk_most(x, y), z)))
        MK_FLOAT3(fmin3, __builtin_fminf(__builtin_fminf(x, y), z)) MK_FLOAT3(fmax3, __builtin_fmaxf(__builtin_fmaxf(x, y), z))
        MK_FLOAT1(saturate, __builtin_fminf(__builtin_fmaxf(x, 0.0f), 1.0f))
        MK_FLOAT1(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? x : 0.0f)
        MK_EXACT3(mix, MK_NEEDS_FLOAT(mix, T), x + (y - x) * z) MK_JOIN3(mix)
        MK_FLOAT2(step, y < x ? 0.0f : 1.0f)
        inline float mk_smooth(float a, float b, float x) { float t = __builtin_fminf(__builtin_fmaxf((x - a) / (b - a), 0.0f), 1.0f); return t * t * (3 - 2 * t); }
        MK_FLOAT3(smoothstep, mk_smooth(x, y, z))
        MK_EXACT1(abs, MK_ANY, x < 0 || (mk_is_float<E> && x == 0) ? -x : x)
        template <class T, class I> inline T ldexp(T x, I k) { if constexpr (mk_parts<T>::is_vector) { T r; for (int i = 0; i < mk_parts<T>::count; i++) r[i] = __builtin_ldexpf(x[i], k[i]); return r; } else return (T)__builtin_ldexpf(x, k); }
        template <class T, class I> inline T frexp(T x, I &k) { if constexpr (mk_parts<T>::is_vector) { T r; for (int i = 0; i < mk_parts<T>::count; i++) { int e; r[i] = __builtin_frexpf(x[i], &e); k[i] = e; } return r; } else { int e; float r = __builtin_frexpf(x, &e); k = e; return (T)r; } }
        inline float nextafter(float x, float y) { return __builtin_nextafterf(x, y); }

        // Integers.
        template <class E> using mk_unsigned = conditional_t<sizeof(E) == 1, uchar, conditional_t<sizeof(E) == 2, ushort, conditional_t<sizeof(E) == 4, uint, ulong>>>;
        MK_EXACT1(popcount, MK_NEEDS_INT(popcount, T), __builtin_popcountll((mk_unsigned<E>)x))
        MK_EXACT1(clz, MK_NEEDS_INT(clz, T), (x == 0 ? sizeof(E) * 8 : __builtin_clzll((ulong)(mk_unsigned<E>)x) - (64 - sizeof(E) * 8)))
        MK_EXACT1(ctz, MK_NEEDS_INT(ctz, T), (x == 0 ? sizeof(E) * 8 : __builtin_ctzll((ulong)(mk_unsigned<E>)x)))
        template <class E> inline E mk_reversed(E x) { mk_unsigned<E> u = x, r = 0; for (int i = 0; i < (int)sizeof(E) * 8; i++) { r = (r << 1) | (u & 1); u >>= 1; } return r; }
        MK_EXACT1(reverse_bits, MK_NEEDS_INT(reverse_bits, T), mk_reversed(x))
        template <class E> inline E mk_rotated(E x, E k) { constexpr int n = sizeof(E) * 8; mk_unsigned<E> u = x; int s = k & (n - 1); return s ? (u << s) | (u >> (n - s)) : u; }
        MK_EXACT2(rotate, MK_NEEDS_INT(rotate, T), mk_rotated(x, y))
        template <class E> inline E mk_sum_held(E x, E y) { E r; return !__builtin_add_overflow(x, y, &r) ? r : x < 0 ? numeric_limits<E>::min() : numeric_limits<E>::max(); }
        template <class E> inline E mk_difference_held(E x, E y) { E r; return !__builtin_sub_overflow(x, y, &r) ? r : (is_unsigned_v<E> || x < 0) ? numeric_limits<E>::min() : numeric_limits<E>::max(); }
        template <class E> inline E mk_product_held(E x, E y, E z) {
            __int128 p, r;
            const bool is_over = __builtin_mul_overflow((__int128)x, (__int128)y, &p) || __builtin_add_overflow(p, (__int128)z, &r);
            return is_over || r > (__int128)numeric_limits<E>::max() ? numeric_limits<E>::max() : r < (__int128)numeric_limits<E>::min() ? numeric_limits<E>::min() : (E)r;
        }
        MK_EXACT2(addsat, MK_NEEDS_INT(addsat, T), mk_sum_held(x, y)) MK_EXACT2(subsat, MK_NEEDS_INT(subsat, T), mk_difference_held(x, y))
        MK_EXACT2(hadd, MK_NEEDS_INT(hadd, T), ((__int128)x + y) >> 1) MK_EXACT2(rhadd, MK_NEEDS_INT(rhadd, T), ((__int128)x + y + 1) >> 1)
        MK_EXACT2(mulhi, MK_NEEDS_INT(mulhi, T), ((__int128)x * y) >> (sizeof(E) * 8))
        MK_EXACT2(absdiff, MK_NEEDS_INT(absdiff, T), x < y ? y - x : x - y)
        MK_EXACT2(mul24, MK_NEEDS_INT(mul24, T), x * y) MK_EXACT3(mad24, MK_NEEDS_INT(mad24, T), x * y + z)
        MK_EXACT3(madhi, MK_NEEDS_INT(madhi, T), (E)(((__int128)x * y) >> (sizeof(E) * 8)) + z)
        MK_EXACT3(madsat, MK_NEEDS_INT(madsat, T), mk_product_held(x, y, z))
        template <class T> inline T extract_bits(T x, uint offset, uint bits) { return mk_map(x, [=](mk_element_of<T> e) { typedef mk_element_of<T> E; constexpr uint n = sizeof(E) * 8; return bits == 0 ? E(0) : E(E((mk_unsigned<E>)e << (n - bits - offset)) >> (n - bits)); }); }
        template <class T> inline T insert_bits(T base, T x, uint offset, uint bits) { return mk_map(base, x, [=](mk_element_of<T> b, mk_element_of<T> e) { typedef mk_element_of<T> E; mk_unsigned<E> m = bits >= sizeof(E) * 8 ? ~mk_unsigned<E>(0) : mk_unsigned<E>(((mk_unsigned<E>(1) << bits) - 1)); m <<= offset; return E((b & ~m) | (((mk_unsigned<E>)e << offset) & m)); }); }

        // Questions.
        template <class T> struct mk_answer_of { typedef bool type; };
        template <class T, int N> struct mk_answer_of<mk_ext<T, N>> { typedef mk_bools<N> type; };
        template <class T> using mk_answer = typename mk_answer_of<T>::type;
        template <class T, class F> inline mk_answer<T> mk_ask(T x, F f) {
            if constexpr (mk_parts<T>::is_vector) {
                mk_answer<T> r;
                for (int i = 0; i < mk_parts<T>::count; i++) r[i] = f(x[i]);
                return r;
            } else return f(x);
        }
        #define MK_QUESTION(name, value) template <class T> inline mk_answer<T> name(T x) { MK_NEEDS_FLOAT(name, T); return mk_ask(x, [](float x) -> bool { return value; }); }
        MK_QUESTION(isnan, x != x) MK_QUESTION(isinf, __builtin_fabsf(x) == INFINITY) MK_QUESTION(isfinite, __builtin_fabsf(x) < INFINITY) MK_QUESTION(signbit, __builtin_signbit(x))
        template <class T> inline mk_answer<T> isnormal(T x) { return mk_ask(x, [](mk_element_of<T> e) -> bool { float a = __builtin_fabsf(e); return a >= (float)numeric_limits<mk_element_of<T>>::min() && a < INFINITY; }); }
        inline bool all(bool x) { return x; }
        inline bool any(bool x) { return x; }
        template <int N> inline bool all(mk_bools<N> x) { bool r = true; for (int i = 0; i < N; i++) r &= x[i]; return r; }
        template <int N> inline bool any(mk_bools<N> x) { bool r = false; for (int i = 0; i < N; i++) r |= x[i]; return r; }
        template <class T, int N> inline bool all(mk_ext<T, N> x) { return all(mk_bools<N>(x)); }
        template <class T, int N> inline bool any(mk_ext<T, N> x) { return any(mk_bools<N>(x)); }
        template <class T> inline enable_if_t<!mk_parts<T>::is_vector, T> select(T a, T b, bool c) { return c ? b : a; }
        template <class T, int N> inline mk_ext<T, N> select(mk_ext<T, N> a, mk_ext<T, N> b, mk_bools<N> c) { mk_ext<T, N> r; for (int i = 0; i < N; i++) r[i] = c[i] ? b[i] : a[i]; return r; }
        template <class T, class U, int N> inline mk_ext<T, N> select(mk_ext<T, N> a, mk_ext<T, N> b, mk_ext<U, N> c) { return select(a, b, mk_bools<N>(c)); }
        template <class T, int N> inline mk_ext<T, N> select(mk_ext<T, N> a, mk_ext<T, N> b, bool c) { return c ? b : a; }

        // Geometry.
        template <class T, int N> inline T dot(mk_ext<T, N> a, mk_ext<T, N> b) { T r = a[0] * b[0]; for (int i = 1; i < N; i++) r += a[i] * b[i]; return r; }
        template <class T> inline mk_ext<T, 3> cross(mk_ext<T, 3> a, mk_ext<T, 3> b) { return a.yzx * b.zxy - a.zxy * b.yzx; }
        template <class T, int N> inline T length_squared(mk_ext<T, N> a) { return dot(a, a); }
        template <class T, int N> inline T length(mk_ext<T, N> a) { return sqrt(dot(a, a)); }
        template <class T, int N> inline T distance(mk_ext<T, N> a, mk_ext<T, N> b) { return length(a - b); }
        template <class T, int N> inline T distance_squared(mk_ext<T, N> a, mk_ext<T, N> b) { return length_squared(a - b); }
        template <class T, int N> inline mk_ext<T, N> normalize(mk_ext<T, N> a) { return a * rsqrt(dot(a, a)); }
        template <class T, int N> inline mk_ext<T, N> reflect(mk_ext<T, N> i, mk_ext<T, N> n) { return i - (T)2 * dot(n, i) * n; }
        template <class T, int N> inline mk_ext<T, N> faceforward(mk_ext<T, N> n, mk_ext<T, N> i, mk_ext<T, N> m) { return dot(m, i) < 0 ? n : -n; }
        template <class T, int N> inline mk_ext<T, N> refract(mk_ext<T, N> i, mk_ext<T, N> n, mk_exactly<T> e) { T d = dot(n, i), k = 1 - e * e * (1 - d * d); return k < 0 ? i - i : e * i - (e * d + sqrt(k)) * n; }

        #define MK_PRECISE using metal::min; using metal::max; using metal::clamp; using metal::min3; using metal::max3; using metal::median3; using metal::fmin3; using metal::fmax3; \
            using metal::saturate; using metal::sign; using metal::mix; using metal::step; using metal::smoothstep; using metal::abs; using metal::ldexp; using metal::frexp; using metal::dot; \
            using metal::length; using metal::length_squared; using metal::distance; using metal::distance_squared; using metal::normalize;
        namespace precise { MK_PRECISE }

        // Matrices, by columns.
        template <class T, int C, int R> struct matrix {
            vec<T, R> columns[C];
            matrix() = default;
            explicit matrix(T diagonal) { for (int i = 0; i < C; i++) { columns[i] = vec<T, R>(0); if (i < R) columns[i][i] = diagonal; } }
            template <class... V, class = enable_if_t<sizeof...(V) == C - 1 && (C > 1)>> matrix(vec<T, R> first, V... rest) : columns{first, rest...} {}
            template <class... E, class = enable_if_t<sizeof...(E) == C * R - 2>> matrix(T a, T b, E... rest) { T all[] = {a, b, T(rest)...}; for (int i = 0; i < C * R; i++) columns[i / R][i % R] = all[i]; }
            vec<T, R> &operator[](int i) { return columns[i]; }
            const vec<T, R> &operator[](int i) const { return columns[i]; }
        };
        template <class T, int C, int R> inline vec<T, R> operator*(const matrix<T, C, R> &m, vec<T, C> v) { vec<T, R> r = m[0] * v[0]; for (int i = 1; i < C; i++) r += m[i] * v[i]; return r; }
        template <class T, int C, int R> inline vec<T, C> operator*(vec<T, R> v, const matrix<T, C, R> &m) { vec<T, C> r; for (int i = 0; i < C; i++) r[i] = dot(v, m[i]); return r; }
        template <class T, int C, int K, int R> inline matrix<T, C, R> operator*(const matrix<T, K, R> &a, const matrix<T, C, K> &b) { matrix<T, C, R> r; for (int i = 0; i < C; i++) r[i] = a * b[i]; return r; }
        template <class T, int C, int R> inline matrix<T, C, R> operator*(matrix<T, C, R> m, mk_exactly<T> s) { for (int i = 0; i < C; i++) m[i] *= s; return m; }
        template <class T, int C, int R> inline matrix<T, C, R> operator*(mk_exactly<T> s, matrix<T, C, R> m) { return m * s; }
        template <class T, int C, int R> inline matrix<T, C, R> operator+(matrix<T, C, R> a, const matrix<T, C, R> &b) { for (int i = 0; i < C; i++) a[i] += b[i]; return a; }
        template <class T, int C, int R> inline matrix<T, C, R> operator-(matrix<T, C, R> a, const matrix<T, C, R> &b) { for (int i = 0; i < C; i++) a[i] -= b[i]; return a; }
        template <class T, int C, int R> inline matrix<T, R, C> transpose(const matrix<T, C, R> &m) { matrix<T, R, C> r; for (int i = 0; i < C; i++) for (int j = 0; j < R; j++) r[j][i] = m[i][j]; return r; }
        template <class T> inline T determinant(const matrix<T, 2, 2> &m) { return m[0][0] * m[1][1] - m[1][0] * m[0][1]; }
        template <class T> inline T determinant(const matrix<T, 3, 3> &m) { return dot(m[0], cross(m[1], m[2])); }
        #define MK_MATRICES(T) typedef matrix<T, 2, 2> T##2x2; typedef matrix<T, 2, 3> T##2x3; typedef matrix<T, 2, 4> T##2x4; typedef matrix<T, 3, 2> T##3x2; typedef matrix<T, 3, 3> T##3x3; typedef matrix<T, 3, 4> T##3x4; typedef matrix<T, 4, 2> T##4x2; typedef matrix<T, 4, 3> T##4x3; typedef matrix<T, 4, 4> T##4x4;
        MK_MATRICES(float) MK_MATRICES(half)

        // Atomics.
        enum memory_order { memory_order_relaxed, memory_order_acquire, memory_order_release, memory_order_acq_rel, memory_order_seq_cst };
        enum thread_scope { thread_scope_thread, thread_scope_simdgroup, thread_scope_threadgroup, thread_scope_device };
        template <class T> struct _atomic { T value; };
        template <class T> using atomic = _atomic<T>;
        typedef _atomic<int> atomic_int;
        typedef _atomic<uint> atomic_uint;
        typedef _atomic<bool> atomic_bool;
        typedef _atomic<float> atomic_float;
        typedef _atomic<ulong> atomic_ulong;
        template <class T> inline void atomic_store_explicit(volatile _atomic<T> *p, mk_exactly<T> v, memory_order) { __atomic_store((T *)&p->value, &v, __ATOMIC_SEQ_CST); }
        template <class T> inline T atomic_load_explicit(const volatile _atomic<T> *p, memory_order) { T r; __atomic_load((T *)&p->value, &r, __ATOMIC_SEQ_CST); return r; }
        template <class T> inline T atomic_exchange_explicit(volatile _atomic<T> *p, mk_exactly<T> v, memory_order) { T r; __atomic_exchange((T *)&p->value, &v, &r, __ATOMIC_SEQ_CST); return r; }
        template <class T> inline bool atomic_compare_exchange_weak_explicit(volatile _atomic<T> *p, T *expected, mk_exactly<T> v, memory_order, memory_order) { return __atomic_compare_exchange((T *)&p->value, expected, &v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); }
        #define MK_ATOMIC(name, result)                                                                    \
            template <class T> inline T name(volatile _atomic<T> *p, mk_exactly<T> v, memory_order) {         \
                T old = atomic_load_explicit(p, memory_order_relaxed);                                     \
                while (!atomic_compare_exchange_weak_explicit(p, &old, (T)(result), memory_order_relaxed, memory_order_relaxed)) {} \
                return old;                                                                                \
            }
        #define MK_ATOMIC_INT(name, builtin, result)                                                       \
            template <class T> inline T name(volatile _atomic<T> *p, mk_exactly<T> v, memory_order order) {   \
                if constexpr (__is_integral(T)) return builtin((T *)&p->value, v, __ATOMIC_SEQ_CST);       \
                T old = atomic_load_explicit(p, order);                                                    \
                while (!atomic_compare_exchange_weak_explicit(p, &old, (T)(result), order, order)) {}      \
                return old;                                                                                \
            }
        MK_ATOMIC_INT(atomic_fetch_add_explicit, __atomic_fetch_add, old + v) MK_ATOMIC_INT(atomic_fetch_sub_explicit, __atomic_fetch_sub, old - v)
        MK_ATOMIC(atomic_fetch_and_explicit, old & v) MK_ATOMIC(atomic_fetch_or_explicit, old | v) MK_ATOMIC(atomic_fetch_xor_explicit, old ^ v)
        MK_ATOMIC(atomic_fetch_min_explicit, mk_least(old, v)) MK_ATOMIC(atomic_fetch_max_explicit, mk_most(old, v))
        template <class T> inline void atomic_max_explicit(volatile _atomic<T> *p, mk_exactly<T> v, memory_order order) { atomic_fetch_max_explicit(p, v, order); }
        template <class T> inline void atomic_min_explicit(volatile _atomic<T> *p, mk_exactly<T> v, memory_order order) { atomic_fetch_min_explicit(p, v, order); }
        } // namespace metal
        namespace simd { using namespace mk_types; using metal::float2x2; using metal::float3x3; using metal::float4x4; }
        using metal::matrix;
        #define MK_GLOBAL(T) using metal::T##2x2; using metal::T##2x3; using metal::T##2x4; using metal::T##3x2; using metal::T##3x3; using metal::T##3x4; using metal::T##4x2; using metal::T##4x3; using metal::T##4x4;
        MK_GLOBAL(float) MK_GLOBAL(half)
        using metal::atomic_int; using metal::atomic_uint; using metal::atomic_bool; using metal::atomic_float;
        using metal::as_type;
        """#
}
