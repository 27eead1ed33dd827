// Recurrent layers, fp32.
#ifndef MARTLET_RECURRENT_H
#define MARTLET_RECURRENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    MK_RECURRENT_SIGMOID,
    MK_RECURRENT_TANH,
    MK_RECURRENT_RELU,
    MK_RECURRENT_LINEAR,
    MK_RECURRENT_HARD_SIGMOID,  // clip(0.2 x + 0.5, 0, 1)
} mk_recurrent_activation;

// One direction of an LSTM over a sequence. Gates in the order i, f, o, z (z: the cell gate), as in MIL:
//     c = f * c + i * z,  h = o * output_activation(c)
// Strides count elements; the last dimension is contiguous everywhere. A bidirectional layer is two problems, whose
// outputs interleave by output_batch = 2 H.
typedef struct {
    int64_t steps, batch, inputs, hidden;  // T, B, I, H
    const void *packed;                    // from mk_lstm_pack
    const float *bias;                     // [4H], or null
    const float *peephole;                 // [3H] for i, f (of the cell before) and o (of the cell after), or null
    float clip;                            // the cell is held within [-clip, clip]; 0: it is not
    mk_recurrent_activation gate_activation, cell_activation, output_activation;
    int reverse;                           // from the last step to the first
    const float *x;                        // [T, B, I]
    int64_t x_step, x_batch;
    const float *initial_h, *initial_c;    // [B, H], or null for zeros
    int64_t initial_h_batch, initial_c_batch;
    float *outputs;                        // [T, B, H]: h of every step in the order of x, or null
    int64_t output_step, output_batch;     // output_step may be negative
    float *last_h, *last_c;                // [B, H], or null
    int64_t last_h_batch, last_c_batch;
} mk_lstm_problem;

void mk_lstm(const mk_lstm_problem *problem, void *workspace);

// Bytes of workspace on this thread's number of threads; 64-byte aligned.
size_t mk_lstm_workspace(const mk_lstm_problem *problem);

// Packs W_ih [4H, I] and W_hh [4H, H], both contiguous, once. 64-byte aligned; do not store it.
size_t mk_lstm_pack_size(int64_t inputs, int64_t hidden);
void mk_lstm_pack(int64_t inputs, int64_t hidden, const float *W_ih, const float *W_hh, void *packed);

// A GRU or a simple recurrent layer over a sequence, all arrays contiguous. G is 3 for a GRU, with gates in the order
// r (reset), o (output), z (update) as in MIL, else 1:
//     r = gate_activation(W_ih x + input_bias + W_hh h + bias),  z likewise
//     o = activation(W_ih x + input_bias + W_hh (r * h) + bias)
//     or, with reset_after, activation(W_ih x + input_bias + r * (W_hh h + bias))
//     h = (1 - z) * o + z * h
// and for a simple layer h = activation(W_ih x + input_bias + W_hh h + bias).
typedef struct {
    int64_t steps, batch, inputs, hidden;  // T, B, I, H
    const float *W_ih, *W_hh;              // [G H, I], [G H, H]
    const float *input_bias, *bias;        // [G H], or null
    mk_recurrent_activation gate_activation, activation;
    int reset_after;
    int reverse;                           // from the last step to the first
    const float *x;                        // [T, B, I]
    const float *initial_h;                // [B, H]
    float *outputs;                        // [T, B, H]: h of every step in the order of processing, or null
    float *last_h;                         // [B, H]
} mk_recurrent_problem;

void mk_gru(const mk_recurrent_problem *problem, void *workspace);
void mk_rnn(const mk_recurrent_problem *problem, void *workspace);

// Bytes of workspace for a layer of so many gates, on this thread's number of threads; 64-byte aligned.
size_t mk_recurrent_workspace(const mk_recurrent_problem *problem, int gates);

#ifdef __cplusplus
}
#endif
#endif
