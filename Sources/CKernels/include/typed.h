// Elementwise operations on every element type: one loop for each operation and type, run over strided operands. The
// tapes (elementwise.h) are for fp32 and narrow integers; these loops are for what tapes lack.
#ifndef MARTLET_TYPED_H
#define MARTLET_TYPED_H

#include <stdint.h>

#include "dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MK_TYPED_RANK = 32,
    MK_TYPED_INPUTS = 3,
};

// Operands are a, b, c. All have one type, except that a of MK_T_SELECT is bool. Comparisons and MK_T_IS_… give bool;
// MK_T_REAL, IMAG, ANGLE and the ABS of complex numbers give their real type; ROUND_HALF gives fp32 that fp16 can hold.
// Integers wrap around, and their division by zero gives 0. mk_typed_find tells which operation takes which type.
typedef enum mk_typed_op {
    // a; a ? b : c
    MK_T_IDENTITY, MK_T_SELECT,
    // binary. floor_div and mod as in Python: mod has the sign of b. Whole a to a negative power is 0 unless a is 1 or -1.
    MK_T_ADD, MK_T_SUB, MK_T_MUL, MK_T_REAL_DIV, MK_T_FLOOR_DIV, MK_T_MOD, MK_T_POW, MK_T_MAXIMUM, MK_T_MINIMUM,
    MK_T_ATAN2, MK_T_HYPOT, MK_T_COPYSIGN, MK_T_NEXT_AFTER, MK_T_LOG_ADD_EXP, MK_T_COMPLEX,
    MK_T_EQUAL, MK_T_NOT_EQUAL, MK_T_LESS, MK_T_LESS_EQUAL, MK_T_GREATER, MK_T_GREATER_EQUAL,
    // integers and bool. A shift by a negative number, or by the width or more, moves all bits out: the result is 0, or
    // -1 for a right shift of a negative a
    MK_T_AND, MK_T_OR, MK_T_XOR, MK_T_NOT, MK_T_SHIFT_LEFT, MK_T_SHIFT_RIGHT,
    // unary. log, inverse and rsqrt are of a + b
    MK_T_ABS, MK_T_NEGATIVE, MK_T_SIGN, MK_T_SQUARE, MK_T_SQRT, MK_T_RSQRT, MK_T_INVERSE, MK_T_CEIL, MK_T_FLOOR,
    MK_T_ROUND, MK_T_TRUNC, MK_T_ROUND_HALF, MK_T_EXP, MK_T_EXP2, MK_T_EXPM1, MK_T_LOG, MK_T_LOG1P, MK_T_LOG2, MK_T_LOG10, MK_T_SIN,
    MK_T_COS, MK_T_TAN, MK_T_ASIN, MK_T_ACOS, MK_T_ATAN, MK_T_SINH, MK_T_COSH, MK_T_TANH, MK_T_ASINH, MK_T_ACOSH,
    MK_T_ATANH, MK_T_ERF, MK_T_IS_NAN, MK_T_IS_INF, MK_T_IS_FINITE, MK_T_SIGN_BIT, MK_T_REAL, MK_T_IMAG, MK_T_CONJ,
    MK_T_ANGLE,
    // activations, with the parameters of the tapes' (p, q) as b and c
    MK_T_CLIP, MK_T_THRESHOLD, MK_T_RELU, MK_T_LEAKY_RELU, MK_T_CLAMPED_RELU, MK_T_THRESHOLDED_RELU, MK_T_ELU,
    MK_T_SIGMOID, MK_T_SIGMOID_HARD, MK_T_SILU, MK_T_SOFTPLUS, MK_T_SOFTPLUS_PARAMETRIC, MK_T_SOFTSIGN, MK_T_LINEAR,
    MK_T_SCALED_TANH, MK_T_PRELU, MK_T_GELU, MK_T_GELU_TANH, MK_T_GELU_SIGMOID,
    MK_T_OPS
} mk_typed_op;

// n results from n elements of each operand, all dense; the results may lie where an operand does.
typedef void (*mk_typed_loop)(int64_t n, void *out, const void *const *in);

// An operation's loop for the type of its operands (of b and c where it selects), or NULL where it has none.
mk_typed_loop mk_typed_find(mk_typed_op op, mk_dtype dtype);

// The loop that casts: floating-point numbers are cut towards zero, held within the range of integers (NaN is 0) and
// rounded once to narrower ones; integers wrap around; anything but 0 is true. NULL from complex to real numbers,
// and from fp16 to all but fp32.
mk_typed_loop mk_typed_cast(mk_dtype from, mk_dtype to);

// Where the elements lie: the result first, then the operands.
typedef struct mk_typed {
    mk_typed_loop loop;
    int32_t inputs;
    int32_t rank;
    int32_t work;  // what one element costs, an addition being 1
    int64_t shape[MK_TYPED_RANK];
    int32_t sizes[1 + MK_TYPED_INPUTS];                   // bytes of one element
    int64_t strides[1 + MK_TYPED_INPUTS][MK_TYPED_RANK];  // in elements; 0 broadcasts
} mk_typed;

// Drops dimensions of size 1 and merges neighbours where all strides allow. Call it once. Returns 0, or -1 for a rank or
// a number of operands outside the limits.
int mk_typed_collapse(mk_typed *typed);

// Runs the loop over all elements. The result may share the memory of an operand of the same layout and element size.
void mk_typed_run(const mk_typed *typed, void *out, const void *const *in);

#ifdef __cplusplus
}
#endif
#endif
