extension StandardLibrary {
    static let waiting = #"""
        // What lets threads of a group wait for each other or look at each other's values. Call sites are lines of the source.
        namespace metal {
        enum class mem_flags { mem_none = 0, mem_device = 1, mem_threadgroup = 2, mem_texture = 4, mem_threadgroup_imageblock = 8, mem_object_data = 16 };
        constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(int(a) | int(b)); }
        constexpr mem_flags operator&(mem_flags a, mem_flags b) { return mem_flags(int(a) & int(b)); }
        #define MK_SITE int line = __builtin_LINE(), int column = __builtin_COLUMN()
        inline void threadgroup_barrier(mem_flags, MK_SITE) { __asm__ volatile("" ::: "memory"); mk::wait(mk::AT_BARRIER, line, column); __asm__ volatile("" ::: "memory"); }
        inline void threadgroup_barrier(mem_flags flags, memory_order, thread_scope = thread_scope_threadgroup, MK_SITE) { threadgroup_barrier(flags, line, column); }
        inline void atomic_thread_fence(mem_flags, memory_order, thread_scope = thread_scope_device) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

        // The lanes at a call site, with the value each brought.
        template <class T> struct mk_lanes {
            const char (*values)[mk::VALUE];
            uint mask;
            int lane, count;
            bool has(int i) const { return i >= 0 && i < mk::WIDTH && (mask >> i & 1); }
            T at(int i) const { T r; mk::memcpy(&r, values[i], sizeof(T)); return r; }
            T at_or(int i, T other) const { return has(i) ? at(i) : other; }
        };
        template <class T> inline mk_lanes<T> mk_meet(T x, mk::Finish finish, int line, int column) {
            static_assert(sizeof(T) <= mk::VALUE, "values of this type cannot pass between lanes");
            mk::Scheduler &s = *mk::scheduler;
            const int i = s.current, from = i / mk::WIDTH * mk::WIDTH;
            mk::memcpy(s.values[i], &x, sizeof(T));
            s.fibers[i].finish = finish;
            mk::wait(mk::AT_SIMD, line, column);
            return {s.shared + from, s.masks[from / mk::WIDTH], i - from, (s.count - from < mk::WIDTH ? s.count - from : mk::WIDTH)};
        }
        inline void simdgroup_barrier(mem_flags, MK_SITE) { mk_meet(0, nullptr, line, column); }

        // Reductions are made once for all lanes: each finds its answer where its value was.
        template <class T, class Op, int width, int kind> inline void mk_finish(char (*values)[mk::VALUE], uint mask, int count) {
            for (int from = 0; from < count; from += width) {
                T all[width], sum{};
                bool any = false;
                for (int i = from; i < from + width && i < count; i++) {
                    if (!(mask >> i & 1)) continue;
                    T v;
                    mk::memcpy(&v, values[i], sizeof(T));
                    const T before = any ? sum : Op::template none<T>();
                    sum = any ? T(Op::of(sum, v)) : v;
                    any = true;
                    all[i - from] = kind == 1 ? sum : before;
                }
                for (int i = from; i < from + width && i < count; i++)
                    if (mask >> i & 1) mk::memcpy(values[i], kind == 0 ? &sum : &all[i - from], sizeof(T));
            }
        }
        #define MK_OP(name, value, start) struct name { template <class T> static T of(T a, T b) { return value; } template <class T> static T none() { return T(start); } };
        MK_OP(mk_sum, a + b, 0) MK_OP(mk_product, a * b, 1) MK_OP(mk_min, min(a, b), 0) MK_OP(mk_max, max(a, b), 0)
        MK_OP(mk_and, a & b, 0) MK_OP(mk_or, a | b, 0) MK_OP(mk_xor, a ^ b, 0)
        #define MK_REDUCTION(name, Op, width, kind) template <class T> inline T name(T x, MK_SITE) { auto l = mk_meet(x, mk_finish<T, Op, width, kind>, line, column); return l.at(l.lane); }
        #define MK_BOTH(name, Op) MK_REDUCTION(simd_##name, Op, 32, 0) MK_REDUCTION(quad_##name, Op, 4, 0)
        MK_BOTH(sum, mk_sum) MK_BOTH(product, mk_product) MK_BOTH(min, mk_min) MK_BOTH(max, mk_max) MK_BOTH(and, mk_and) MK_BOTH(or, mk_or) MK_BOTH(xor, mk_xor)
        MK_REDUCTION(simd_prefix_inclusive_sum, mk_sum, 32, 1) MK_REDUCTION(simd_prefix_exclusive_sum, mk_sum, 32, 2)
        MK_REDUCTION(simd_prefix_inclusive_product, mk_product, 32, 1) MK_REDUCTION(simd_prefix_exclusive_product, mk_product, 32, 2)
        MK_REDUCTION(quad_prefix_inclusive_sum, mk_sum, 4, 1) MK_REDUCTION(quad_prefix_exclusive_sum, mk_sum, 4, 2)
        MK_REDUCTION(quad_prefix_inclusive_product, mk_product, 4, 1) MK_REDUCTION(quad_prefix_exclusive_product, mk_product, 4, 2)

        // Lanes look at others'; one that is not there leaves them their own value.
        #define MK_LOOK(name, parameters, simd_from, quad_from)                                                                          \
            template <class T> inline T simd_##name(T x, parameters, MK_SITE) { auto l = mk_meet(x, nullptr, line, column); return l.at_or((int)(simd_from), x); } \
            template <class T> inline T quad_##name(T x, parameters, MK_SITE) { auto l = mk_meet(x, nullptr, line, column); int q = l.lane & ~3, n = l.lane & 3; (void)n; (void)q; return l.at_or((int)(quad_from), x); }
        MK_LOOK(broadcast, uint lane, lane, q + (lane & 3)) MK_LOOK(shuffle, uint lane, lane, q + (lane & 3))
        MK_LOOK(shuffle_xor, uint mask, l.lane ^ (int)mask, q + (n ^ (mask & 3)))
        MK_LOOK(shuffle_down, uint delta, l.lane + (int)delta, n + delta < 4 ? q + n + (int)delta : -1)
        MK_LOOK(shuffle_up, uint delta, l.lane - (int)delta, n >= (int)delta ? q + n - (int)delta : -1)
        MK_LOOK(shuffle_rotate_down, uint delta, (l.lane + delta) % 32, q + ((n + delta) & 3))
        MK_LOOK(shuffle_rotate_up, uint delta, (l.lane - delta) & 31, q + ((n - delta) & 3))
        template <class T> struct mk_two { T x, y; };
        template <class T> inline T simd_shuffle_and_fill_down(T x, T fill, uint delta, uint modulo = 32, MK_SITE) {
            auto l = mk_meet(mk_two<T>{x, fill}, nullptr, line, column);
            const int base = l.lane / (int)modulo * (int)modulo, i = l.lane - base + (int)delta;
            mk_two<T> v = l.at_or(base + i % (int)modulo, mk_two<T>{x, fill});
            return i < (int)modulo ? v.x : v.y;
        }
        template <class T> inline T simd_shuffle_and_fill_up(T x, T fill, uint delta, uint modulo = 32, MK_SITE) {
            auto l = mk_meet(mk_two<T>{x, fill}, nullptr, line, column);
            const int base = l.lane / (int)modulo * (int)modulo, i = l.lane - base - (int)delta;
            mk_two<T> v = l.at_or(base + (i < 0 ? i + (int)modulo : i), mk_two<T>{x, fill});
            return i >= 0 ? v.x : v.y;
        }
        struct simd_vote {
            typedef ulong vote_t;
            ulong bits, active;
            explicit operator vote_t() const { return bits; }
            bool all() const { return bits == active; }
            bool any() const { return bits != 0; }
        };
        inline uint mk_ballot(const mk_lanes<int> &l) { uint r = 0; for (int i = 0; i < mk::WIDTH; i++) if (l.has(i) && l.at(i)) r |= 1u << i; return r; }
        inline simd_vote simd_ballot(bool x, MK_SITE) { auto l = mk_meet<int>(x, nullptr, line, column); return {mk_ballot(l), l.mask}; }
        inline bool simd_all(bool x, MK_SITE) { auto l = mk_meet<int>(x, nullptr, line, column); return mk_ballot(l) == l.mask; }
        inline bool simd_any(bool x, MK_SITE) { auto l = mk_meet<int>(x, nullptr, line, column); return mk_ballot(l) != 0; }
        inline simd_vote simd_active_threads_mask(MK_SITE) { auto l = mk_meet(0, nullptr, line, column); return {l.mask, l.mask}; }
        inline bool simd_is_first(MK_SITE) { auto l = mk_meet(0, nullptr, line, column); return l.lane == __builtin_ctz(l.mask); }
        template <class T> inline T simd_broadcast_first(T x, MK_SITE) { auto l = mk_meet(x, nullptr, line, column); return l.at(__builtin_ctz(l.mask)); }
        inline uint mk_quad(const mk_lanes<int> &l, uint bits) { return bits >> (l.lane & ~3) & 15; }
        inline bool quad_all(bool x, MK_SITE) { auto l = mk_meet<int>(x, nullptr, line, column); return mk_quad(l, mk_ballot(l)) == mk_quad(l, l.mask); }
        inline bool quad_any(bool x, MK_SITE) { auto l = mk_meet<int>(x, nullptr, line, column); return mk_quad(l, mk_ballot(l)) != 0; }
        template <class T> inline T quad_broadcast_first(T x, MK_SITE) { auto l = mk_meet(x, nullptr, line, column); return l.at((l.lane & ~3) + __builtin_ctz(l.mask >> (l.lane & ~3))); }
        } // namespace metal
        """#
}
