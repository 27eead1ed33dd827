// Discrete Fourier transforms along one axis of a dense array seen as [outer, axis, inner], of any length.
#ifndef MARTLET_FOURIER_H
#define MARTLET_FOURIER_H

#include <stddef.h>
#include <stdint.h>

#include "element.h"

#ifdef __cplusplus
extern "C" {
#endif

// What a transform of one length needs: its factors and roots of unity. Never changes; threads may share it.
typedef struct mk_fourier mk_fourier;

// Null where there is no memory for it. n is at least 1.
mk_fourier *mk_fourier_make(int64_t n);
void mk_fourier_free(mk_fourier *plan);

typedef enum mk_fourier_kind {
    MK_FOURIER_COMPLEX,    // complex [n] to complex [n]
    MK_FOURIER_FROM_REAL,  // real [n] to the first n / 2 + 1 of its transform
    MK_FOURIER_TO_REAL,    // n / 2 + 1 numbers of a transform to real [n]; implies `inverse`
} mk_fourier_kind;

// Bytes of workspace for mk_fourier_run on this thread's number of threads.
size_t mk_fourier_workspace(const mk_fourier *plan, int64_t rows);

// Transforms src [outer, given, inner] to dst [outer, n or n / 2 + 1, inner], times `scale`. Elements that are missing
// count as 0, those that are too many are left out. `is_double` tells fp64 and complex128 from fp32 and complex64;
// sums are in double either way.
void mk_fourier_run(const mk_fourier *plan, mk_fourier_kind kind, int inverse, int is_double, double scale,
                    int64_t outer, int64_t given, int64_t inner, const void *src, void *dst, void *workspace);

#ifdef __cplusplus
}
#endif
#endif
