extension StandardLibrary {
    static let types = #"""
        // Scalars and vectors of the Metal Shading Language by clang's vector extension.
        namespace mk_types {
        typedef unsigned char uchar;
        typedef unsigned short ushort;
        typedef unsigned int uint;
        typedef unsigned long ulong;
        typedef _Float16 half;
        #if __clang_major__ >= 18
        #define MK_BFLOAT
        typedef __bf16 bfloat;
        // clang calls this where the processor has no instruction for it; libgcc has it from version 13 on.
        extern "C" __attribute__((weak, visibility("hidden"))) bfloat __truncsfbf2(float x) {
            unsigned bits = __builtin_bit_cast(unsigned, x);
            bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
            bits = is_nan ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
            return __builtin_bit_cast(bfloat, (unsigned short)(bits >> 16));
        }
        #endif
        typedef signed char int8_t;
        typedef uchar uint8_t;
        typedef short int16_t;
        typedef ushort uint16_t;
        typedef int int32_t;
        typedef uint uint32_t;
        typedef long int64_t;
        typedef ulong uint64_t;
        typedef ulong size_t;
        typedef long ptrdiff_t;
        typedef long intptr_t;
        typedef ulong uintptr_t;

        // By an alias, since clang 17 takes the attribute in typedefs and aliases alone.
        template <class T, int N> using mk_ext = T __attribute__((ext_vector_type(N)));
        template <class T, int N> struct mk_vec_of { typedef mk_ext<T, N> type; };

        // A vector of truths: one byte an element, made from what comparing vectors gives.
        template <int N> struct mk_truths;
        template <> struct mk_truths<2> { bool x, y; };
        template <> struct mk_truths<3> { bool x, y, z, pad; };
        template <> struct mk_truths<4> { bool x, y, z, w; };
        template <int N> struct mk_bools : mk_truths<N> {
            mk_bools() = default;
            mk_bools(bool value) { for (int i = 0; i < N; i++) (*this)[i] = value; }
            template <class... B> mk_bools(bool a, bool b, B... rest) {
                static_assert(sizeof...(B) + 2 == N, "a vector of mk_truths takes as many elements as it has");
                bool all[] = {a, b, bool(rest)...};
                for (int i = 0; i < N; i++) (*this)[i] = all[i];
            }
            template <class T> mk_bools(mk_ext<T, N> v) { for (int i = 0; i < N; i++) (*this)[i] = v[i] != 0; }
            bool &operator[](int i) { return (&this->x)[i]; }
            bool operator[](int i) const { return (&this->x)[i]; }
        };
        template <int N, class F> inline mk_bools<N> mk_each(mk_bools<N> a, mk_bools<N> b, F f) {
            mk_bools<N> r;
            for (int i = 0; i < N; i++) r[i] = f(a[i], b[i]);
            return r;
        }
        template <int N> inline mk_bools<N> operator!(mk_bools<N> a) { return mk_each(a, a, [](bool a, bool) { return !a; }); }
        template <int N> inline mk_bools<N> operator&&(mk_bools<N> a, mk_bools<N> b) { return mk_each(a, b, [](bool a, bool b) { return a && b; }); }
        template <int N> inline mk_bools<N> operator||(mk_bools<N> a, mk_bools<N> b) { return mk_each(a, b, [](bool a, bool b) { return a || b; }); }
        template <int N> inline mk_bools<N> operator&(mk_bools<N> a, mk_bools<N> b) { return a && b; }
        template <int N> inline mk_bools<N> operator|(mk_bools<N> a, mk_bools<N> b) { return a || b; }
        template <int N> inline mk_bools<N> operator^(mk_bools<N> a, mk_bools<N> b) { return mk_each(a, b, [](bool a, bool b) { return a != b; }); }
        template <int N> inline mk_bools<N> operator==(mk_bools<N> a, mk_bools<N> b) { return mk_each(a, b, [](bool a, bool b) { return a == b; }); }
        template <int N> inline mk_bools<N> operator!=(mk_bools<N> a, mk_bools<N> b) { return a ^ b; }
        #define MK_MIXED(op) \
            template <int N, class T> inline mk_bools<N> operator op(mk_bools<N> a, mk_ext<T, N> b) { return a op mk_bools<N>(b); } \
            template <int N, class T> inline mk_bools<N> operator op(mk_ext<T, N> a, mk_bools<N> b) { return mk_bools<N>(a) op b; }
        MK_MIXED(&&) MK_MIXED(||) MK_MIXED(==) MK_MIXED(!=) MK_MIXED(&) MK_MIXED(|) MK_MIXED(^)
        template <int N> struct mk_vec_of<bool, N> { typedef mk_bools<N> type; };
        template <class T, int N> using vec = typename mk_vec_of<T, N>::type;

        #define MK_VECTORS(T) typedef vec<T, 2> T##2; typedef vec<T, 3> T##3; typedef vec<T, 4> T##4;
        MK_VECTORS(bool) MK_VECTORS(char) MK_VECTORS(uchar) MK_VECTORS(short) MK_VECTORS(ushort) MK_VECTORS(int) MK_VECTORS(uint)
        MK_VECTORS(long) MK_VECTORS(ulong) MK_VECTORS(half) MK_VECTORS(float)

        // What a type consists of: its element, and how many.
        template <class T> struct mk_parts { typedef T element; static constexpr int count = 1; static constexpr bool is_vector = false; };
        template <class T, int N> struct mk_parts<mk_ext<T, N>> {
            typedef T element;
            static constexpr int count = N;
            static constexpr bool is_vector = true;
        };
        template <int N> struct mk_parts<mk_bools<N>> { typedef bool element; static constexpr int count = N; static constexpr bool is_vector = true; };
        template <class T> struct mk_parts<const T> : mk_parts<T> {};
        template <class T> struct mk_parts<volatile T> : mk_parts<T> {};
        template <class T> using mk_element_of = typename mk_parts<T>::element;
        template <class T> struct mk_same_as { typedef T type; };
        template <class T> using mk_exactly = typename mk_same_as<T>::type;
        template <bool B, class T = void> struct mk_only_if {};
        template <class T> struct mk_only_if<true, T> { typedef T type; };

        template <class T> struct mk_bare_of { typedef T type; };
        template <class T> struct mk_bare_of<T &> : mk_bare_of<T> {};
        template <class T> struct mk_bare_of<T &&> : mk_bare_of<T> {};
        template <class T> struct mk_bare_of<const T> : mk_bare_of<T> {};
        template <class T> struct mk_bare_of<volatile T> : mk_bare_of<T> {};
        template <class T> struct mk_bare_of<const volatile T> : mk_bare_of<T> {};
        template <class T> using mk_bare = typename mk_bare_of<T>::type;

        // Vectors without padding.
        template <class T, int N> struct mk_packed;
        template <class T> struct mk_packed<T, 2> { T x, y; mk_packed() = default; mk_packed(vec<T, 2> v) : x(v.x), y(v.y) {}
            mk_packed(T a, T b) : x(a), y(b) {} operator vec<T, 2>() const { return {x, y}; } T &operator[](int i) { return (&x)[i]; } T operator[](int i) const { return (&x)[i]; } };
        template <class T> struct mk_packed<T, 3> { T x, y, z; mk_packed() = default; mk_packed(vec<T, 3> v) : x(v.x), y(v.y), z(v.z) {}
            mk_packed(T a, T b, T c) : x(a), y(b), z(c) {} operator vec<T, 3>() const { return {x, y, z}; } T &operator[](int i) { return (&x)[i]; } T operator[](int i) const { return (&x)[i]; } };
        template <class T> struct mk_packed<T, 4> { T x, y, z, w; mk_packed() = default; mk_packed(vec<T, 4> v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
            mk_packed(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {} operator vec<T, 4>() const { return {x, y, z, w}; } T &operator[](int i) { return (&x)[i]; } T operator[](int i) const { return (&x)[i]; } };
        template <class T, int N> struct mk_parts<mk_packed<T, N>> { typedef T element; static constexpr int count = N; static constexpr bool is_vector = true; };
        #define MK_PACKED(T) typedef mk_packed<T, 2> packed_##T##2; typedef mk_packed<T, 3> packed_##T##3; typedef mk_packed<T, 4> packed_##T##4;
        MK_PACKED(char) MK_PACKED(uchar) MK_PACKED(short) MK_PACKED(ushort) MK_PACKED(int) MK_PACKED(uint) MK_PACKED(half) MK_PACKED(float)

        // float4(a, b.xy, c), float4(1), float4(an int4), and what a template's T(...) may be.
        template <class T, class U> constexpr T mk_cast(U u);
        template <class V, class A> inline void mk_put(V &v, int &at, const A &a) {
            if constexpr (mk_parts<A>::is_vector) {
                for (int i = 0; i < mk_parts<A>::count; i++) v[at++] = mk_element_of<V>(a[i]);
            } else {
                v[at++] = mk_element_of<V>(a);
            }
        }
        template <class T> constexpr T mk_make() { return T(); }
        template <class T, class A> constexpr T mk_make(A a) { return mk_cast<T>(a); }
        template <class T, class A, class B, class... C> constexpr T mk_make(A a, B b, C... c) {
            if constexpr (mk_parts<T>::is_vector) {
                constexpr int given = (mk_parts<A>::count + mk_parts<B>::count + (0 + ... + mk_parts<C>::count));
                static_assert(given == mk_parts<T>::count, "a vector is made of as many elements as it has");
                if constexpr (given != mk_parts<T>::count) return T();
                else if constexpr (given == 2 + sizeof...(C)) return T{mk_element_of<T>(a), mk_element_of<T>(b), mk_element_of<T>(c)...};
                else {
                    T v{};
                    int at = 0;
                    mk_put(v, at, a);
                    mk_put(v, at, b);
                    (mk_put(v, at, c), ...);
                    return v;
                }
            } else {
                return T(a, b, c...);
            }
        }
        template <class T, class U> constexpr T mk_cast(U u) {
            if constexpr (mk_parts<T>::is_vector && mk_parts<U>::is_vector && !__is_same(T, U)) {
                static_assert(mk_parts<T>::count == mk_parts<U>::count, "a vector is converted to one of as many elements");
                T v{};
                for (int i = 0; i < mk_parts<T>::count; i++) v[i] = mk_element_of<T>(u[i]);
                return v;
            } else if constexpr (mk_parts<T>::is_vector && !mk_parts<U>::is_vector) {
                return T(mk_element_of<T>(u));
            #ifdef MK_BFLOAT
            } else if constexpr ((__is_same(T, half) && __is_same(U, bfloat)) || (__is_same(T, bfloat) && __is_same(U, half))) {
                return static_cast<T>(static_cast<float>(u));
            #endif
            } else {
                return static_cast<T>(u);
            }
        }
        // Comparing vectors gives -1 for what holds; a vector that is made of that has 1 there.
        template <class T> constexpr auto mk_truth(T v) {
            if constexpr (mk_parts<T>::is_vector) return mk_bools<mk_parts<T>::count>(v);
            else return v;
        }
        // Arithmetic of vectors without padding gives ordinary ones.
        #define MK_PACKED_SIGN(op)                                                                                             \
            template <class T, int N> inline vec<T, N> operator op(mk_packed<T, N> a, mk_packed<T, N> b) { return vec<T, N>(a) op vec<T, N>(b); }         \
            template <class T, int N, class U> inline vec<T, N> operator op(mk_packed<T, N> a, U b) { return vec<T, N>(a) op mk_cast<vec<T, N>>(b); }     \
            template <class T, int N, class U> inline vec<T, N> operator op(U a, mk_packed<T, N> b) { return mk_cast<vec<T, N>>(a) op vec<T, N>(b); }     \
            template <class T, int N, class U> inline mk_packed<T, N> &operator op##=(mk_packed<T, N> &a, U b) { return a = mk_packed<T, N>(vec<T, N>(a) op mk_cast<vec<T, N>>(b)); }
        MK_PACKED_SIGN(+) MK_PACKED_SIGN(-) MK_PACKED_SIGN(*) MK_PACKED_SIGN(/)
        template <class T, int N> inline vec<T, N> operator-(mk_packed<T, N> a) { return -vec<T, N>(a); }
        // Quotients of integers. A divisor of 0 ends the process on some CPUs, so `a / b` is written `a / mk_by() / b`.
        struct mk_by {};
        template <class T> struct mk_dividend { T value; };
        template <class T> constexpr bool mk_counts = __is_integral(mk_element_of<T>);
        template <class T> constexpr auto mk_part(const T &v, int i) { if constexpr (mk_parts<T>::is_vector) return v[i]; else return v; }
        #define MK_QUOTIENT(op, name)                                                                                                        \
            template <class T, class U> constexpr auto name(T a, U b) {                                                                      \
                typedef decltype(a op b) R;                                                                                                  \
                if constexpr (mk_parts<R>::is_vector && mk_counts<T> && mk_counts<U>) {                                                      \
                    R r{};                                                                                                                   \
                    for (int i = 0; i < mk_parts<R>::count; i++) r[i] = name(mk_part(a, i), mk_part(b, i));                                  \
                    return r;                                                                                                                \
                } else if constexpr (__is_integral(T) && __is_integral(U)) {                                                                 \
                    if (b == 0) return R(0);                                                                                                 \
                    if constexpr (__is_signed(U)) { if (b == U(-1)) return R(1 op 2 ? 0 : R(0) - R(a)); }                                    \
                    return R(a op b);                                                                                                        \
                } else return a op b;                                                                                                        \
            }                                                                                                                                \
            template <class T> constexpr mk_dividend<T> operator op(T a, mk_by) { return {a}; }                                              \
            template <class T, int N> constexpr mk_dividend<vec<T, N>> operator op(mk_packed<T, N> a, mk_by) { return {a}; }                 \
            template <class T, class U> constexpr auto operator op(mk_dividend<T> a, U b) { return name(a.value, b); }                       \
            template <class T, class U, int N> constexpr auto operator op(mk_dividend<T> a, mk_packed<U, N> b) { return name(a.value, vec<U, N>(b)); }
        MK_QUOTIENT(/, mk_quotient) MK_QUOTIENT(%, mk_rest)
        // `a /= b` is said `a /= mk_into<decltype(a)>() /= b`: a is left as it is, only the divisor changes, for whole a.
        template <class T> struct mk_into {};
        template <class U> constexpr U mk_divisor(U b) {
            if constexpr (mk_parts<U>::is_vector) for (int i = 0; i < mk_parts<U>::count; i++) b[i] = b[i] == 0 ? 1 : b[i];
            else b = b == 0 ? U(1) : b;
            return b;
        }
        template <class U> constexpr U operator%=(mk_by, U b) { if constexpr (mk_counts<U>) return mk_divisor(b); else return b; }
        // A wider divisor also holds what the least number divided by -1 gives, and one that leaves 0 of every number.
        template <class T, class U> constexpr bool mk_widens = __is_integral(mk_bare<T>) && __is_integral(U) && sizeof(mk_bare<T>) < 8 && sizeof(U) < 8;
        template <class T, class U> constexpr auto operator/=(mk_into<T>, U b) {
            if constexpr (mk_widens<T, U>) { decltype(mk_bare<T>() / U()) r = b; return long(r) == 0 ? 1L << 40 : long(r); }
            else if constexpr (mk_counts<mk_bare<T>> && mk_counts<U>) return mk_divisor(b);
            else return b;
        }
        template <class T, class U> constexpr auto operator%=(mk_into<T>, U b) {
            if constexpr (mk_widens<T, U>) { decltype(mk_bare<T>() / U()) r = b; return long(r) == 0 ? 1L : long(r); }
            else if constexpr (mk_counts<mk_bare<T>> && mk_counts<U>) return mk_divisor(b);
            else return b;
        }
        // (float4)x: an operator that binds nearly as a cast does.
        template <class T> struct mk_caster { template <class U> T operator->*(U u) const { return mk_cast<T>(u); } };
        } // namespace mk_types
        using namespace mk_types;
        """#
}
