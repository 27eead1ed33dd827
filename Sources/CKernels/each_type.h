// One source, every element type. A file of kernels `x.c` says
//
//     #define MK_EACH "x.inc"
//     #include "each_type.h"
//
// and x.inc is compiled once for each type that kernels compute in (fp16 is widened before). In x.inc the type is T, an
// unsigned type at least as wide, in which sums and products may wrap, is U (T itself for floats), every function is
// static and named MT(name), MK_REAL, MK_FLOAT and MK_COMPLEX say what kind it is, and MK_IS_NAN(x) tells NaN. In x.c MK_BY_TYPE(name) lists the versions by
// mk_element, MK_BY_REAL_TYPE(name) those of real numbers.
#ifndef MARTLET_EACH_TYPE_H
#define MARTLET_EACH_TYPE_H

#include <stdint.h>

#include "include/element.h"

#define MK_TYPED_(name, type) name##_##type
#define MK_TYPED(name, type) MK_TYPED_(name, type)
#define MT(name) MK_TYPED(name, MK_TYPE)

#define MK_BY_REAL_TYPE(name) \
    [MK_ELEMENT_BOOL] = name##_bool, [MK_ELEMENT_INT8] = name##_int8, [MK_ELEMENT_UINT8] = name##_uint8, \
    [MK_ELEMENT_INT16] = name##_int16, [MK_ELEMENT_UINT16] = name##_uint16, [MK_ELEMENT_INT32] = name##_int32, \
    [MK_ELEMENT_UINT32] = name##_uint32, [MK_ELEMENT_INT64] = name##_int64, [MK_ELEMENT_UINT64] = name##_uint64, \
    [MK_ELEMENT_FLOAT32] = name##_float32, [MK_ELEMENT_FLOAT64] = name##_float64
#define MK_BY_TYPE(name) \
    MK_BY_REAL_TYPE(name), [MK_ELEMENT_COMPLEX64] = name##_complex64, [MK_ELEMENT_COMPLEX128] = name##_complex128

#endif

#define MK_REAL 1
#define MK_COMPLEX 0
#define MK_FLOAT 0
#define MK_IS_NAN(x) 0

#define MK_TYPE bool
#define T uint8_t
#define U uint32_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE int8
#define T int8_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE uint8
#define T uint8_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE int16
#define T int16_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE uint16
#define T uint16_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE int32
#define T int32_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE uint32
#define T uint32_t
#include MK_EACH
#undef MK_TYPE
#undef T
#undef U
#define U uint64_t
#define MK_TYPE int64
#define T int64_t
#include MK_EACH
#undef MK_TYPE
#undef T
#define MK_TYPE uint64
#define T uint64_t
#include MK_EACH
#undef MK_TYPE
#undef T
#undef U

#undef MK_FLOAT
#define MK_FLOAT 1
#undef MK_IS_NAN
#define MK_IS_NAN(x) ((x) != (x))
#define MK_TYPE float32
#define T float
#define U float
#include MK_EACH
#undef MK_TYPE
#undef T
#undef U
#define MK_TYPE float64
#define T double
#define U double
#include MK_EACH
#undef MK_TYPE
#undef T
#undef U

#undef MK_REAL
#undef MK_COMPLEX
#define MK_REAL 0
#define MK_COMPLEX 1
#define MK_TYPE complex64
#define T float _Complex
#define U float _Complex
#include MK_EACH
#undef MK_TYPE
#undef T
#undef U
#define MK_TYPE complex128
#define T double _Complex
#define U double _Complex
#include MK_EACH
#undef MK_TYPE
#undef T
#undef U
#undef MK_REAL
#undef MK_COMPLEX
#undef MK_FLOAT
#undef MK_IS_NAN
#undef MK_EACH
