// Fused scaled dot-product attention, fp32.
#ifndef MARTLET_ATTENTION_H
#define MARTLET_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// O[b, h, i, :] = softmax(scale * Q[b, h, i, :] K[b, h]^T + mask[b, h, i, :]) V[b, h]. Strides count elements; the head
// dimension of Q, V and O is contiguous. A stride of 0 broadcasts (grouped heads, masks).
typedef struct {
    int64_t batch, heads, queries, keys;
    int64_t depth, value_depth;  // head dimension of Q and K, and of V and O
    float scale;
    const float *Q, *K, *V;
    float *O;
    int64_t q_batch, q_head, q_row;
    int64_t k_batch, k_head, k_row, k_column;  // row: from key to key; column: along the head dimension
    int64_t v_batch, v_head, v_row;
    int64_t o_batch, o_head, o_row;
    const float *mask;  // added to the scores, or null
    int64_t mask_batch, mask_head, mask_row, mask_column;
} mk_attention_problem;

// A row whose scores are all -inf gives NaN, as the formula does.
void mk_attention(const mk_attention_problem *problem, void *workspace);

// Bytes of workspace on this thread's number of threads; 64-byte aligned.
size_t mk_attention_workspace(const mk_attention_problem *problem);

#ifdef __cplusplus
}
#endif
#endif
