// One source, several instruction sets. A file of kernels `x.c` says
//
//     #define MK_KERNELS "x.inc"
//     #include "isa.h"
//
// and x.inc is compiled once for each set the target has, with vectors of MK_LANES floats. In x.inc every function is
// static and named MK(name); in x.c MK_PICK(name) is the version for the processor at hand. The .inc may include other
// .inc files, never system headers: those belong above, in the .c.
#ifndef MARTLET_ISA_H
#define MARTLET_ISA_H

#include <stdint.h>

#define MK_INLINE static inline __attribute__((always_inline, unused))
#define MK_JOIN_(name, suffix) name##_##suffix
#define MK_JOIN(name, suffix) MK_JOIN_(name, suffix)
#define MK(name) MK_JOIN(name, MK_SUFFIX)

// The clang of Swift 6.0 lacks this one. sqrtf may set errno, which costs the vector form of such a loop.
#if !__has_builtin(__builtin_elementwise_sqrt)
#include <math.h>
#include <string.h>
MK_INLINE void mk_roots(void *lanes, size_t bytes, int wide) {
    for (size_t at = 0; at < bytes; at += wide ? 8 : 4) {
        double d;
        float f;
        memcpy(wide ? (void *)&d : (void *)&f, (char *)lanes + at, wide ? 8 : 4);
        if (wide) d = sqrt(d); else f = sqrtf(f);
        memcpy((char *)lanes + at, wide ? (void *)&d : (void *)&f, wide ? 8 : 4);
    }
}
#define __builtin_elementwise_sqrt(x) ({ \
    __typeof__((x) + 0) mk_root = (x); \
    mk_roots(&mk_root, sizeof mk_root, _Generic(mk_root, double: 1, default: 0)); \
    mk_root; })
#endif

enum { MK_BASE, MK_AVX2, MK_AVX512 };

// The widest set of this processor that MK_ISA_LIMIT allows. That environment variable, 0 for MK_BASE or 1 for MK_AVX2, is
// read when the library is loaded, to test the narrower sets.
extern int mk_widest_isa;

MK_INLINE int mk_isa(void) { return mk_widest_isa; }

#if defined(__x86_64__)
#define MK_PICK(name) (mk_isa() == MK_AVX512 ? name##_avx512 : mk_isa() == MK_AVX2 ? name##_avx2 : name##_base)
#else
#define MK_PICK(name) (name##_base)
#endif

// Vectors of the set being compiled: vf floats, vi 32-bit integers, vu 32-bit unsigned, vh halves as bits. Loads and
// stores need no alignment. Comparisons of vf give vi lanes of 0 or -1; MK_SELECT takes such a mask.
#define vf MK(vf)
#define vi MK(vi)
#define vu MK(vu)
#define vh MK(vh)
#define MK_LOAD(p) (*(const MK(vf_any) *)(p))
#define MK_STORE(p, v) (*(MK(vf_any) *)(p) = (v))
#define MK_LOAD_HALF(p) MK(mk_widen)(*(const MK(vh_any) *)(p))
#define MK_SELECT(mask, yes, no) ((vf)(((vi)(yes) & (mask)) | ((vi)(no) & ~(mask))))

#define MK_VECTORS                                                                                                   \
    typedef float vf __attribute__((ext_vector_type(MK_LANES)));                                                     \
    typedef int32_t vi __attribute__((ext_vector_type(MK_LANES)));                                                   \
    typedef uint32_t vu __attribute__((ext_vector_type(MK_LANES)));                                                  \
    typedef uint16_t vh __attribute__((ext_vector_type(MK_LANES)));                                                  \
    typedef _Float16 MK(vh_float) __attribute__((ext_vector_type(MK_LANES)));                                        \
    typedef float MK(vf_any) __attribute__((ext_vector_type(MK_LANES), aligned(4), may_alias));                      \
    typedef uint16_t MK(vh_any) __attribute__((ext_vector_type(MK_LANES), aligned(2), may_alias));                   \
    MK_INLINE vf MK(mk_widen)(vh bits) {                                                                             \
        if (MK_HALF) return __builtin_convertvector((MK(vh_float))bits, vf);                                         \
        /* Moves exponent and mantissa into place; one product sets the bias and makes subnormals normal. */         \
        vu wide = __builtin_convertvector(bits, vu);                                                                 \
        vu infinite = (vu)((wide & 0x7c00) == 0x7c00) & 0x7f800000;                                                  \
        vf value = (vf)((wide & 0x7fff) << 13) * 0x1p112f;                                                           \
        return (vf)((vu)value | infinite | (wide & 0x8000) << 16);                                                   \
    }

#endif

#ifdef MK_KERNELS
#if defined(__x86_64__)

#define MK_SUFFIX avx512
#define MK_LANES 16
#define MK_HALF 1
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), \
                             apply_to = function)
MK_VECTORS
#include MK_KERNELS
#pragma clang attribute pop
#undef MK_SUFFIX
#undef MK_LANES

#define MK_SUFFIX avx2
#define MK_LANES 8
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
MK_VECTORS
#include MK_KERNELS
#pragma clang attribute pop
#undef MK_SUFFIX
#undef MK_LANES
#undef MK_HALF
#endif

#define MK_SUFFIX base
#define MK_LANES 4
#if defined(__aarch64__)
#define MK_HALF 1
#else
#define MK_HALF 0
#endif
MK_VECTORS
#include MK_KERNELS
#undef MK_SUFFIX
#undef MK_LANES
#undef MK_HALF
#undef MK_KERNELS
#endif
