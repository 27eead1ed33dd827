extension StandardLibrary {
    static let running = #"""
        // How kernels run: loops over threads, or a fiber for each thread of a group where threads wait for each other.
        namespace mk {
        extern "C" void *memcpy(void *, const void *, size_t);

        // What a launch and a worker are, word by word; KernelFunction fills them.
        struct Launch {
            long groups[3], group[3], threads[3];
            void **buffers;
            long *next, *failure;
            long total;
        };
        struct Worker {
            char *stacks;
            long stride, bytes;
            char *scheduler;
        };
        struct Place {
            uint3 position_in_grid, position_in_group, group_in_grid, group_size;
            uint index;
        };

        enum Lane { READY, AT_BARRIER, AT_SIMD, ENDED };
        constexpr int MOST = 1024, WIDTH = 32, VALUE = 64;
        typedef void (*Finish)(char (*values)[VALUE], uint mask, int count);
        struct Fiber {
            void *stack;
            int state, line, column;
            Finish finish;
        };
        struct alignas(64) Scheduler {
            void *home;
            int current, count;
            void (*body)();
            const void *kernel;
            Fiber fibers[MOST];
            uint masks[WIDTH];
            char values[MOST][VALUE];
            char shared[MOST][VALUE];
        };
        static_assert(sizeof(Scheduler) <= 256 << 10, "room for it");
        static thread_local Scheduler *scheduler;

        #if defined(MK_CONTEXT) || !(defined(__x86_64__) || defined(__aarch64__))
        } // namespace mk
        #include <ucontext.h>
        namespace mk {
        static void change(void **from, void *to) { swapcontext((ucontext_t *)*from, (ucontext_t *)to); }
        static void *prepared(char *base, long bytes, void (*entry)()) {
            ucontext_t *context = (ucontext_t *)(base + bytes - 4096);
            getcontext(context);
            context->uc_stack.ss_sp = base;
            context->uc_stack.ss_size = bytes - 4096;
            context->uc_link = nullptr;
            makecontext(context, entry, 0);
            return context;
        }
        static thread_local ucontext_t home_context;
        static void *home_place() { return &home_context; }
        #else
        #if defined(__x86_64__)
        __attribute__((naked, noinline)) static void change(void **, void *) {
            __asm__ volatile("pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
                             "movq %rsp, (%rdi)\n movq %rsi, %rsp\n"
                             "popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n retq\n");
        }
        static void *prepared(char *base, long bytes, void (*entry)()) {
            void **top = (void **)(((ulong)(base + bytes) & ~63ul) - 64);
            top[0] = (void *)entry;
            top[1] = nullptr;
            for (int i = 1; i <= 6; i++) top[-i] = nullptr;
            return top - 6;
        }
        #else
        __attribute__((naked, noinline)) static void change(void **, void *) {
            __asm__ volatile("sub sp, sp, #160\n"
                             "stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n"
                             "stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n"
                             "stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
                             "mov x9, sp\n str x9, [x0]\n mov sp, x1\n"
                             "ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"
                             "ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n"
                             "ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
                             "add sp, sp, #160\n ret\n");
        }
        static void *prepared(char *base, long bytes, void (*entry)()) {
            void **top = (void **)(((ulong)(base + bytes) & ~63ul) - 64 - 160);
            for (int i = 0; i < 20; i++) top[i] = nullptr;
            top[11] = (void *)entry;
            return top;
        }
        #endif
        static void *home_place() { return nullptr; }
        #endif

        // A fiber yields to the scheduler.
        static inline void wait(int state, int line, int column) {
            Scheduler &s = *scheduler;
            Fiber &f = s.fibers[s.current];
            f.state = state;
            f.line = line;
            f.column = column;
            change(&f.stack, s.home);
        }
        static void fiber_main() {
            for (;;) {
                scheduler->body();
                wait(ENDED, 0, 0);
            }
        }
        static inline void resume(Scheduler &s, int i) {
            s.current = i;
            s.fibers[i].state = READY;
            change(&s.home, s.fibers[i].stack);
        }

        // The lanes from..<to of one simdgroup go on until each has ended or waits for the whole threadgroup. Where lanes stand at
        // several places, those at the first in the source go on: they may come to the others'.
        static void run_lanes(Scheduler &s, int from, int to) {
            for (int i = from; i < to; i++)
                if (s.fibers[i].state == READY) resume(s, i);
            for (;;) {
                int first = -1;
                for (int i = from; i < to; i++) {
                    const Fiber &f = s.fibers[i];
                    if (f.state != AT_SIMD) continue;
                    if (first < 0 || f.line < s.fibers[first].line || (f.line == s.fibers[first].line && f.column < s.fibers[first].column)) first = i;
                }
                if (first < 0) return;
                const Fiber at = s.fibers[first];
                uint mask = 0;
                for (int i = from; i < to; i++) {
                    const Fiber &f = s.fibers[i];
                    if (f.state != AT_SIMD || f.line != at.line || f.column != at.column || f.finish != at.finish) continue;
                    mask |= 1u << (i - from);
                    memcpy(s.shared[i], s.values[i], VALUE);
                }
                s.masks[from / WIDTH] = mask;
                if (at.finish) at.finish(s.shared + from, mask, to - from);
                for (int i = from; i < to; i++)
                    if (mask >> (i - from) & 1) resume(s, i);
            }
        }

        // Runs a group; answers whether all threads met at each barrier, and if not, who did not.
        static bool run_group(Scheduler &s, const Launch &l, const uint3 &group) {
            for (int i = 0; i < s.count; i++) s.fibers[i].state = READY;
            for (;;) {
                for (int from = 0; from < s.count; from += WIDTH) run_lanes(s, from, from + WIDTH < s.count ? from + WIDTH : s.count);
                int waiting = -1, odd = -1;
                for (int i = 0; i < s.count; i++)
                    if (s.fibers[i].state == AT_BARRIER && waiting < 0) waiting = i;
                if (waiting < 0) return true;
                const Fiber &w = s.fibers[waiting];
                long same = 0;
                for (int i = 0; i < s.count; i++) {
                    const Fiber &f = s.fibers[i];
                    if (f.state == AT_BARRIER && f.line == w.line && f.column == w.column) same++;
                    else if (odd < 0) odd = i;
                }
                if (odd >= 0) {
                    const Fiber &o = s.fibers[odd];
                    const long report[] = {1, group.x, group.y, group.z, waiting, w.line, odd, o.state == ENDED ? 0 : o.line, same, s.count};
                    long nothing = 0;
                    if (__atomic_compare_exchange_n(l.failure + 1, &nothing, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
                        memcpy(l.failure + 2, report + 1, sizeof report - sizeof *report);
                        __atomic_store_n(l.failure, 1, __ATOMIC_SEQ_CST);
                    }
                    return false;
                }
                for (int i = 0; i < s.count; i++) s.fibers[i].state = READY;
            }
        }

        // What a parameter of a kernel is bound to.
        enum What {
            buffer, threadgroup_memory, thread_position_in_grid, thread_position_in_threadgroup, thread_index_in_threadgroup,
            threadgroup_position_in_grid, threads_per_grid, threads_per_threadgroup, dispatch_threads_per_threadgroup,
            threadgroups_per_grid, thread_index_in_simdgroup, simdgroup_index_in_threadgroup, threads_per_simdgroup,
            simdgroups_per_threadgroup, dispatch_simdgroups_per_threadgroup, thread_index_in_quadgroup, quadgroup_index_in_threadgroup,
            quadgroups_per_threadgroup, dispatch_quadgroups_per_threadgroup, grid_origin
        };
        template <What what, int index> struct From {};

        // Positions are asked for as one number, or by x, y and z.
        template <class P> inline P position(uint3 v) {
            if constexpr (mk_parts<P>::is_vector) {
                P r;
                for (int i = 0; i < mk_parts<P>::count; i++) r[i] = v[i];
                return r;
            } else return (P)v.x;
        }
        template <class P> struct Bound { static P at(void *p) { return (P)p; } };
        template <class P> struct Bound<P &> { static P &at(void *p) { return *(P *)p; } };
        template <class P, What what, int index> inline P value(const Launch &l, const Place &p) {
            const uint3 nominal = {(uint)l.group[0], (uint)l.group[1], (uint)l.group[2]};
            const uint3 grid = {(uint)l.threads[0], (uint)l.threads[1], (uint)l.threads[2]};
            const uint3 groups = {(uint)l.groups[0], (uint)l.groups[1], (uint)l.groups[2]};
            const uint count = p.group_size.x * p.group_size.y * p.group_size.z, most = nominal.x * nominal.y * nominal.z;
            if constexpr (what == buffer) return Bound<P>::at(l.buffers[index]);
            else if constexpr (what == threadgroup_memory) return Bound<P>::at(l.buffers[32 + index]);
            else {
                uint3 v = {0, 0, 0};
                if constexpr (what == thread_position_in_grid) v = p.position_in_grid;
                if constexpr (what == thread_position_in_threadgroup) v = p.position_in_group;
                if constexpr (what == thread_index_in_threadgroup) v.x = p.index;
                if constexpr (what == threadgroup_position_in_grid) v = p.group_in_grid;
                if constexpr (what == threads_per_grid) v = grid;
                if constexpr (what == threads_per_threadgroup) v = p.group_size;
                if constexpr (what == dispatch_threads_per_threadgroup) v = nominal;
                if constexpr (what == threadgroups_per_grid) v = groups;
                if constexpr (what == thread_index_in_simdgroup) v.x = p.index % WIDTH;
                if constexpr (what == simdgroup_index_in_threadgroup) v.x = p.index / WIDTH;
                if constexpr (what == threads_per_simdgroup) v.x = WIDTH;
                if constexpr (what == simdgroups_per_threadgroup) v.x = (count + WIDTH - 1) / WIDTH;
                if constexpr (what == dispatch_simdgroups_per_threadgroup) v.x = (most + WIDTH - 1) / WIDTH;
                if constexpr (what == thread_index_in_quadgroup) v.x = p.index % 4;
                if constexpr (what == quadgroup_index_in_threadgroup) v.x = p.index / 4;
                if constexpr (what == quadgroups_per_threadgroup) v.x = (count + 3) / 4;
                if constexpr (what == dispatch_quadgroups_per_threadgroup) v.x = (most + 3) / 4;
                return position<mk_bare<P>>(v);
            }
        }

        // Bytes of a kernel's own threadgroup variables, summed when the library is loaded.
        template <auto kernel> struct Memory { static inline long bytes = 0; };
        template <auto kernel, class Where, long bytes> struct Claim { static inline bool made = (Memory<kernel>::bytes += (bytes + 15) & ~15l, true); };

        // Element types by their codes in martlet.h.
        template <class T> constexpr long code = -1;
        #define MK_CODE(T, n) template <> constexpr long code<T> = n;
        MK_CODE(bool, 0) MK_CODE(char, 1) MK_CODE(signed char, 1) MK_CODE(uchar, 2) MK_CODE(short, 3) MK_CODE(ushort, 4) MK_CODE(int, 5) MK_CODE(uint, 6)
        MK_CODE(long, 7) MK_CODE(ulong, 8) MK_CODE(half, 9) MK_CODE(float, 10)
        template <class T> struct element_behind { typedef mk_element_of<T> type; };
        template <class T> struct element_behind<metal::_atomic<T>> { typedef T type; };
        template <class P> struct Target { typedef P type; static constexpr bool is_const = true; };
        template <class P> struct Target<P *> { typedef P type; static constexpr bool is_const = false; };
        template <class P> struct Target<P &> : Target<P *> {};
        template <class P> struct Target<const P *> { typedef P type; static constexpr bool is_const = true; };
        template <class P> struct Target<const P &> : Target<const P *> {};

        struct Row;
        struct Entry {
            const char *name;
            long waits, most;
            const long *memory;
            long count;
            const Row *arguments;
            const char *const *names;
            void (*run)(const Launch *, const Worker *);
        };

        static inline uint3 group_at(const Launch &l, long n) {
            return uint3{(uint)(n % l.groups[0]), (uint)(n / l.groups[0] % l.groups[1]), (uint)(n / l.groups[0] / l.groups[1])};
        }
        static inline uint3 size_at(const Launch &l, uint3 g) {
            uint3 r;
            for (int i = 0; i < 3; i++) {
                const long rest = l.threads[i] - (long)g[i] * l.group[i];
                r[i] = (uint)(rest < l.group[i] ? rest : l.group[i]);
            }
            return r;
        }
        // Groups are taken some at a time, until there are none or one failed.
        static inline bool take(const Launch &l, long &from, long &to) {
            const long many = l.total / 256 + 1;
            from = __atomic_fetch_add(l.next, many, __ATOMIC_SEQ_CST);
            to = from + many < l.total ? from + many : l.total;
            return from < l.total && !__atomic_load_n(l.failure, __ATOMIC_SEQ_CST);
        }

        template <auto F, class... S> struct Kernel;
        template <class... P, void (*F)(P...), What... what, int... index> struct Kernel<F, From<what, index>...> {
            static inline void call(const Launch &l, const Place &p) { F(value<P, what, index>(l, p)...); }

            // The place of a thread, by its number in a group.
            struct Group {
                const Launch *launch;
                uint3 group, size;
            };
            static void body() {
                Scheduler &s = *scheduler;
                const Group &g = *(const Group *)s.kernel;
                const uint i = s.current;
                const uint3 t = {i % g.size.x, i / g.size.x % g.size.y, i / g.size.x / g.size.y};
                const uint3 nominal = {(uint)g.launch->group[0], (uint)g.launch->group[1], (uint)g.launch->group[2]};
                call(*g.launch, Place{g.group * nominal + t, t, g.group, g.size, i});
            }
            static void fibers(const Launch *launch, const Worker *worker) {
                const Launch &l = *launch;
                Scheduler &s = *(Scheduler *)worker->scheduler;
                scheduler = &s;
                s.body = body;
                s.home = home_place();
                // Stacks begin at different lines of the cache.
                const long most = l.group[0] * l.group[1] * l.group[2];
                for (long i = 0; i < most; i++)
                    s.fibers[i].stack = prepared(worker->stacks + i * worker->stride, worker->bytes - (i & 255) * 192, fiber_main);
                for (long from, to; take(l, from, to);)
                    for (long n = from; n < to; n++) {
                        Group g{launch, group_at(l, n), {}};
                        g.size = size_at(l, g.group);
                        s.kernel = &g;
                        s.count = g.size.x * g.size.y * g.size.z;
                        if (!run_group(s, l, g.group)) return;
                    }
            }
            static void loops(const Launch *launch, const Worker *) {
                const Launch l = *launch;
                for (long from, to; take(l, from, to);)
                    for (long n = from; n < to; n++) {
                        const uint3 g = group_at(l, n), size = size_at(l, g);
                        const uint3 origin = g * uint3{(uint)l.group[0], (uint)l.group[1], (uint)l.group[2]};
                        uint row = 0;
                        for (uint z = 0; z < size.z; z++)
                            for (uint y = 0; y < size.y; y++, row += size.x)
                                for (uint x = 0; x < size.x; x++)
                                    call(l, Place{origin + uint3{x, y, z}, uint3{x, y, z}, g, size, row + x});
                    }
            }
        };

        // For each parameter: what it is, its index, its element type, whether the kernel only reads it.
        struct Row { long what, index, element, is_const; };
        template <auto F, class... S> struct Rows;
        template <class... P, void (*F)(P...), What... what, int... index> struct Rows<F, From<what, index>...> {
            static constexpr Row all[] = {Row{what, index, code<typename element_behind<mk_bare<typename Target<P>::type>>::type>, Target<P>::is_const}..., Row{}};
        };
        } // namespace mk
        """#
}
