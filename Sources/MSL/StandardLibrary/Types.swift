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

        template <class T, int N> struct vec_of { typedef T type __attribute__((ext_vector_type(N))); };

        // A vector of truths: one byte an element, made from what comparing vectors gives.
        template <int N> struct truths;
        template <> struct truths<2> { bool x, y; };
        template <> struct truths<3> { bool x, y, z, pad; };
        template <> struct truths<4> { bool x, y, z, w; };
        template <int N> struct bools : truths<N> {
            bools() = default;
            bools(bool value) { for (int i = 0; i < N; i++) (*this)[i] = value; }
            template <class... B> bools(bool a, bool b, B... rest) {
                static_assert(sizeof...(B) + 2 == N, "a vector of truths takes as many elements as it has");
                bool all[] = {a, b, bool(rest)...};
                for (int i = 0; i < N; i++) (*this)[i] = all[i];
            }
            template <class T> bools(T __attribute__((ext_vector_type(N))) v) { for (int i = 0; i < N; i++) (*this)[i] = v[i] != 0; }
            bool &operator[](int i) { return (&this->x)[i]; }
            bool operator[](int i) const { return (&this->x)[i]; }
        };
        template <int N, class F> inline bools<N> each(bools<N> a, bools<N> b, F f) {
            bools<N> r;
            for (int i = 0; i < N; i++) r[i] = f(a[i], b[i]);
            return r;
        }
        template <int N> inline bools<N> operator!(bools<N> a) { return each(a, a, [](bool a, bool) { return !a; }); }
        template <int N> inline bools<N> operator&&(bools<N> a, bools<N> b) { return each(a, b, [](bool a, bool b) { return a && b; }); }
        template <int N> inline bools<N> operator||(bools<N> a, bools<N> b) { return each(a, b, [](bool a, bool b) { return a || b; }); }
        template <int N> inline bools<N> operator&(bools<N> a, bools<N> b) { return a && b; }
        template <int N> inline bools<N> operator|(bools<N> a, bools<N> b) { return a || b; }
        template <int N> inline bools<N> operator^(bools<N> a, bools<N> b) { return each(a, b, [](bool a, bool b) { return a != b; }); }
        template <int N> inline bools<N> operator==(bools<N> a, bools<N> b) { return each(a, b, [](bool a, bool b) { return a == b; }); }
        template <int N> inline bools<N> operator!=(bools<N> a, bools<N> b) { return a ^ b; }
        #define MK_MIXED(op) \
            template <int N, class T> inline bools<N> operator op(bools<N> a, T __attribute__((ext_vector_type(N))) b) { return a op bools<N>(b); } \
            template <int N, class T> inline bools<N> operator op(T __attribute__((ext_vector_type(N))) a, bools<N> b) { return bools<N>(a) op b; }
        MK_MIXED(&&) MK_MIXED(||) MK_MIXED(==) MK_MIXED(!=) MK_MIXED(&) MK_MIXED(|) MK_MIXED(^)
        template <int N> struct vec_of<bool, N> { typedef bools<N> type; };
        template <class T, int N> using vec = typename vec_of<T, N>::type;

        #define MK_VECTORS(T) typedef vec<T, 2> T##2; typedef vec<T, 3> T##3; typedef vec<T, 4> T##4;
        MK_VECTORS(bool) MK_VECTORS(char) MK_VECTORS(uchar) MK_VECTORS(short) MK_VECTORS(ushort) MK_VECTORS(int) MK_VECTORS(uint)
        MK_VECTORS(long) MK_VECTORS(ulong) MK_VECTORS(half) MK_VECTORS(float)

        // What a type consists of: its element, and how many.
        template <class T> struct parts { typedef T element; static constexpr int count = 1; static constexpr bool is_vector = false; };
        template <class T, int N> struct parts<T __attribute__((ext_vector_type(N)))> {
            typedef T element;
            static constexpr int count = N;
            static constexpr bool is_vector = true;
        };
        template <int N> struct parts<bools<N>> { typedef bool element; static constexpr int count = N; static constexpr bool is_vector = true; };
        template <class T> struct parts<const T> : parts<T> {};
        template <class T> struct parts<volatile T> : parts<T> {};
        template <class T> using element_of = typename parts<T>::element;
        template <class T> struct same_as { typedef T type; };
        template <class T> using exactly = typename same_as<T>::type;
        template <bool B, class T = void> struct only_if {};
        template <class T> struct only_if<true, T> { typedef T type; };

        template <class T> struct bare_of { typedef T type; };
        template <class T> struct bare_of<T &> : bare_of<T> {};
        template <class T> struct bare_of<T &&> : bare_of<T> {};
        template <class T> struct bare_of<const T> : bare_of<T> {};
        template <class T> struct bare_of<volatile T> : bare_of<T> {};
        template <class T> struct bare_of<const volatile T> : bare_of<T> {};
        template <class T> using bare = typename bare_of<T>::type;

        // Vectors without padding.
        template <class T, int N> struct packed;
        template <class T> struct packed<T, 2> { T x, y; packed() = default; packed(vec<T, 2> v) : x(v.x), y(v.y) {}
            packed(T a, T b) : x(a), y(b) {} operator vec<T, 2>() const { return {x, y}; } T &operator[](int i) { return (&x)[i]; } T operator[](int i) const { return (&x)[i]; } };
        template <class T> struct packed<T, 3> { T x, y, z; packed() = default; packed(vec<T, 3> v) : x(v.x), y(v.y), z(v.z) {}
            packed(T a, T b, T c) : x(a), y(b), z(c) {} operator vec<T, 3>() const { return {x, y, z}; } T &operator[](int i) { return (&x)[i]; } T operator[](int i) const { return (&x)[i]; } };
        template <class T> struct packed<T, 4> { T x, y, z, w; packed() = default; packed(vec<T, 4> v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
            packed(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {} operator vec<T, 4>() const { return {x, y, z, w}; } T &operator[](int i) { return (&x)[i]; } T operator[](int i) const { return (&x)[i]; } };
        template <class T, int N> struct parts<packed<T, N>> { typedef T element; static constexpr int count = N; static constexpr bool is_vector = true; };
        #define MK_PACKED(T) typedef packed<T, 2> packed_##T##2; typedef packed<T, 3> packed_##T##3; typedef packed<T, 4> packed_##T##4;
        MK_PACKED(char) MK_PACKED(uchar) MK_PACKED(short) MK_PACKED(ushort) MK_PACKED(int) MK_PACKED(uint) MK_PACKED(half) MK_PACKED(float)

        // float4(a, b.xy, c), float4(1), float4(an int4), and what a template's T(...) may be.
        template <class T, class U> constexpr T mk_cast(U u);
        template <class V, class A> inline void mk_put(V &v, int &at, const A &a) {
            if constexpr (parts<A>::is_vector) {
                for (int i = 0; i < parts<A>::count; i++) v[at++] = element_of<V>(a[i]);
            } else {
                v[at++] = element_of<V>(a);
            }
        }
        template <class T> constexpr T mk_make() { return T(); }
        template <class T, class A> constexpr T mk_make(A a) { return mk_cast<T>(a); }
        template <class T, class A, class B, class... C> constexpr T mk_make(A a, B b, C... c) {
            if constexpr (parts<T>::is_vector) {
                constexpr int given = (parts<A>::count + parts<B>::count + (0 + ... + parts<C>::count));
                static_assert(given == parts<T>::count, "a vector is made of as many elements as it has");
                if constexpr (given != parts<T>::count) return T();
                else if constexpr (given == 2 + sizeof...(C)) return T{element_of<T>(a), element_of<T>(b), element_of<T>(c)...};
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
            if constexpr (parts<T>::is_vector && parts<U>::is_vector && !__is_same(T, U)) {
                static_assert(parts<T>::count == parts<U>::count, "a vector is converted to one of as many elements");
                T v{};
                for (int i = 0; i < parts<T>::count; i++) v[i] = element_of<T>(u[i]);
                return v;
            } else if constexpr (parts<T>::is_vector && !parts<U>::is_vector) {
                return T(element_of<T>(u));
            } else {
                return static_cast<T>(u);
            }
        }
        // (float4)x: an operator that binds nearly as a cast does.
        template <class T> struct mk_caster { template <class U> T operator->*(U u) const { return mk_cast<T>(u); } };
        } // namespace mk_types
        using namespace mk_types;
        """#
}
