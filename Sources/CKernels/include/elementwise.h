// Fused chains of elementwise operations: a tape of instructions run block by block, with all intermediate values in L1.
#ifndef MARTLET_ELEMENTWISE_H
#define MARTLET_ELEMENTWISE_H

#include <stdint.h>

#include "dtype.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    MK_TAPE_RANK = 8,
    MK_TAPE_INPUTS = 16,
    MK_TAPE_OUTPUTS = 8,
    MK_TAPE_INSTRUCTIONS = 48,
    MK_TAPE_REGISTERS = 32,  // inputs and results together; a register may be written again
};

// In a register fp32 and fp16 are fp32 lanes; the other dtypes are int32 lanes (bool: 0 or 1).
// F operations take and give fp32 lanes, I operations int32 lanes. NaN goes through maximum, minimum, relu and clip.
typedef enum mk_opcode {
    // any lanes: a; a != 0 ? b : c (a: int32 lanes)
    MK_COPY, MK_SELECT,
    // casts: float to int truncates toward zero and saturates, NaN gives 0; to bool is != 0
    MK_I_FROM_F, MK_F_FROM_I, MK_BOOL_FROM_F, MK_BOOL_FROM_I,
    // binary, fp32. floor_div and mod are as in Python, mod with the sign of b; prelu is a > 0 ? a : a * b
    MK_ADD_F, MK_SUB_F, MK_MUL_F, MK_REAL_DIV_F, MK_FLOOR_DIV_F, MK_MOD_F, MK_POW_F, MK_MAXIMUM_F, MK_MINIMUM_F,
    MK_PRELU_F,
    // a * b + c
    MK_FMA_F,
    // binary, int32: results wrap; division by zero gives 0
    MK_ADD_I, MK_SUB_I, MK_MUL_I, MK_FLOOR_DIV_I, MK_MOD_I, MK_MAXIMUM_I, MK_MINIMUM_I,
    // comparisons: bool result
    MK_EQUAL_F, MK_NOT_EQUAL_F, MK_LESS_F, MK_LESS_EQUAL_F, MK_GREATER_F, MK_GREATER_EQUAL_F,
    MK_EQUAL_I, MK_NOT_EQUAL_I, MK_LESS_I, MK_LESS_EQUAL_I, MK_GREATER_I, MK_GREATER_EQUAL_I,
    // logical on int32 lanes, any non-zero value is true
    MK_LOGICAL_AND, MK_LOGICAL_OR, MK_LOGICAL_XOR, MK_LOGICAL_NOT,
    // unary, int32. clip: min(max(a, (int)p), (int)q)
    MK_ABS_I, MK_NEG_I, MK_SIGN_I, MK_CLIP_I, MK_SQUARE_I,
    // unary, fp32. round: half to even. rsqrt 1/sqrt(a + p), inverse 1/(a + p), log(a + p), clip min(max(a, p), q)
    MK_ABS_F, MK_NEG_F, MK_SIGN_F, MK_CEIL_F, MK_FLOOR_F, MK_ROUND_F, MK_SQRT_F, MK_RSQRT_F, MK_INVERSE_F,
    MK_SQUARE_F, MK_CLIP_F, MK_THRESHOLD_F, MK_EXP_F, MK_EXP2_F, MK_LOG_F, MK_SIN_F, MK_COS_F, MK_TAN_F, MK_ASIN_F,
    MK_ACOS_F, MK_ATAN_F, MK_SINH_F, MK_COSH_F, MK_TANH_F, MK_ATANH_F, MK_ERF_F,
    MK_ROUND_HALF,  // through fp16 and back, nearest even
    // activations. leaky_relu a < 0 ? p a : a; clamped_relu min(leaky_relu, q); elu p (exp(a) - 1) below 0;
    // thresholded_relu a < p ? 0 : a; softplus_parametric p log(1 + exp(q a)); linear p a + q; scaled_tanh p tanh(q a);
    // sigmoid_hard min(max(p a + q, 0), 1); gelu: exact (erf), the tanh and the sigmoid approximation
    MK_RELU_F, MK_LEAKY_RELU_F, MK_CLAMPED_RELU_F, MK_THRESHOLDED_RELU_F, MK_ELU_F, MK_SIGMOID_F, MK_SIGMOID_HARD_F,
    MK_SILU_F, MK_SOFTPLUS_F, MK_SOFTPLUS_PARAMETRIC_F, MK_SOFTSIGN_F, MK_LINEAR_F, MK_SCALED_TANH_F, MK_GELU_F,
    MK_GELU_TANH_F, MK_GELU_SIGMOID_F,
    MK_OPCODES
} mk_opcode;

typedef struct mk_instruction {
    int32_t opcode;
    int32_t out, a, b, c;  // registers; unused operands are 0
    float p, q;
} mk_instruction;

typedef struct mk_tape {
    int32_t rank;
    int32_t inputs, outputs, instructions;
    int64_t shape[MK_TAPE_RANK];
    // Inputs are registers 0 ..< inputs. Strides are in elements; 0 broadcasts.
    int32_t input_dtype[MK_TAPE_INPUTS];
    int64_t input_strides[MK_TAPE_INPUTS][MK_TAPE_RANK];
    int32_t output_dtype[MK_TAPE_OUTPUTS];
    int32_t output_register[MK_TAPE_OUTPUTS];
    int64_t output_strides[MK_TAPE_OUTPUTS][MK_TAPE_RANK];
    mk_instruction code[MK_TAPE_INSTRUCTIONS];
} mk_tape;

// Drops dimensions of size 1 and merges neighbours wherever the strides of every input and output allow. Call it once,
// when the tape is prepared. Returns 0, or -1 for a tape outside the limits above.
int mk_tape_collapse(mk_tape *tape);

// Runs the tape. An output may share the memory of an input of the same layout and element size.
void mk_tape_run(const mk_tape *tape, const void *const *inputs, void *const *outputs);

#ifdef __cplusplus
}
#endif
#endif
