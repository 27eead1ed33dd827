#include "include/recurrent.h"

#include <math.h>
#include <string.h>

#include "common.h"
#include "include/threads.h"

// Hidden units go in blocks of 16: a block's weights are [H, 4 gates, 16], one stream.
enum { unit_block = 16 };

#define MK_KERNELS "recurrent.inc"
#include "isa.h"

struct lstm {
    const mk_lstm_problem *p;
    const float *recurrent;
    float *gates;  // [T, B, 4H]
    float *h;      // [2, B, H]: a step reads one and writes the other
    float *cell;   // [B, H]
};

static size_t aligned(int64_t floats) { return (size_t)round_up(floats * 4, 64); }

size_t mk_lstm_pack_size(int64_t inputs, int64_t hidden) {
    return mk_gemm_pack_size(inputs, 4 * hidden) + aligned(round_up(hidden, unit_block) * 4 * hidden);
}

void mk_lstm_pack(int64_t inputs, int64_t hidden, const float *W_ih, const float *W_hh, void *packed) {
    mk_gemm_pack(inputs, 4 * hidden, W_ih, MK_FP32, 1, inputs, packed);
    float *recurrent = (float *)((char *)packed + mk_gemm_pack_size(inputs, 4 * hidden));
    // Rows are read from end to end; one block of units is written meanwhile, and stays in the cache.
    for (int64_t unit = 0; unit < round_up(hidden, unit_block); unit++)
        for (int64_t gate = 0; gate < 4; gate++) {
            float *target = recurrent + (unit / unit_block * hidden * 4 + gate) * unit_block + unit % unit_block;
            const float *row = W_hh + (gate * hidden + unit) * hidden;
            for (int64_t k = 0; k < hidden; k++) target[k * 4 * unit_block] = unit < hidden ? row[k] : 0.0f;
        }
}

static size_t gates_size(const mk_lstm_problem *p) { return aligned(p->steps * p->batch * 4 * p->hidden); }

size_t mk_lstm_workspace(const mk_lstm_problem *p) {
    size_t state = aligned(p->batch * p->hidden);
    return gates_size(p) + 3 * state + mk_gemm_packed_workspace(p->steps * p->batch, 4 * p->hidden, p->inputs);
}

static void run_step(void *context, int s, int part, int parts) {
    const struct lstm *l = context;
    const mk_lstm_problem *p = l->p;
    int64_t state = p->batch * p->hidden, blocks = divide_up(p->hidden, unit_block);
    int64_t t = p->reverse ? p->steps - 1 - s : s;
    MK_PICK(lstm_step)(p, l->recurrent, l->gates + t * 4 * state, l->h + s % 2 * state, l->h + (s + 1) % 2 * state,
                       l->cell, p->outputs ? p->outputs + t * p->output_step : 0, part_start(blocks, part, parts),
                       part_start(blocks, part + 1, parts));
}

void mk_lstm(const mk_lstm_problem *p, void *workspace) {
    int64_t H = p->hidden, state = p->batch * H;
    char *next = (char *)workspace + gates_size(p);
    struct lstm l = {.p = p, .gates = workspace};
    l.recurrent = (const float *)((const char *)p->packed + mk_gemm_pack_size(p->inputs, 4 * H));
    l.h = (float *)next;
    l.cell = (float *)(next + 2 * aligned(state));
    void *scratch = next + 3 * aligned(state);

    mk_epilogue bias = {.bias = p->bias};
    if (p->batch == 1 || p->x_step == p->batch * p->x_batch)
        mk_gemm_packed(p->steps * p->batch, 4 * H, p->inputs, p->x, p->batch == 1 ? p->x_step : p->x_batch, 1,
                       p->packed, l.gates, 4 * H, 0, &bias, scratch);
    else
        for (int64_t b = 0; b < p->batch; b++)
            mk_gemm_packed(p->steps, 4 * H, p->inputs, p->x + b * p->x_batch, p->x_step, 1, p->packed,
                           l.gates + b * 4 * H, 4 * state, 0, &bias, scratch);
    for (int64_t b = 0; b < p->batch; b++) {
        size_t bytes = (size_t)H * 4;
        if (p->initial_h) memcpy(l.h + b * H, p->initial_h + b * p->initial_h_batch, bytes);
        else memset(l.h + b * H, 0, bytes);
        if (p->initial_c) memcpy(l.cell + b * H, p->initial_c + b * p->initial_c_batch, bytes);
        else memset(l.cell + b * H, 0, bytes);
    }
    int threads = state * H < 8192 ? 1 : (int)least(mk_threads(), divide_up(H, unit_block));
    mk_parallel_rounds((int)p->steps, threads, run_step, &l);
    for (int64_t b = 0; b < p->batch; b++) {
        const float *h = l.h + p->steps % 2 * state + b * H;
        if (p->last_h) memcpy(p->last_h + b * p->last_h_batch, h, (size_t)H * 4);
        if (p->last_c) memcpy(p->last_c + b * p->last_c_batch, l.cell + b * H, (size_t)H * 4);
    }
}

// GRU and simple layers: one product for all inputs, then one or three for each step.

static float activate(float x, mk_recurrent_activation activation) {
    switch (activation) {
    case MK_RECURRENT_SIGMOID: return 1 / (1 + expf(-x));
    case MK_RECURRENT_TANH: return tanhf(x);
    case MK_RECURRENT_RELU: return x < 0 ? 0 : x;
    case MK_RECURRENT_LINEAR: return x;
    case MK_RECURRENT_HARD_SIGMOID: x = 0.2f * x + 0.5f; return x < 0 ? 0 : x > 1 ? 1 : x;
    }
    return x;
}

size_t mk_recurrent_workspace(const mk_recurrent_problem *p, int gates) {
    int64_t state = p->batch * p->hidden;
    return aligned(p->steps * gates * state) + aligned(gates * state) + aligned(state) +
           mk_gemm_workspace(p->steps * p->batch, gates * p->hidden, p->inputs);
}

// One step: inputs [B, G H] holds W_ih x + input_bias; h changes from before to after. products and held are room.
typedef void mk_recurrent_step(const mk_recurrent_problem *p, const float *inputs, float *products, float *held, float *h);

static void gru_step(const mk_recurrent_problem *p, const float *inputs, float *products, float *held, float *h) {
    int64_t B = p->batch, H = p->hidden;
    // With reset_after one product serves all gates; else the output gate waits for the reset gate.
    for (int64_t gate = 0; gate < 3; gate++) {
        if (gate == 1 && !p->reset_after) continue;
        mk_epilogue bias = {.bias = p->bias ? p->bias + gate * H : 0};
        mk_gemv(B, H, H, h, H, p->W_hh + gate * H * H, MK_FP32, H, products + gate * H, 3 * H, &bias);
    }
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < H; i++) {
            float r = activate(inputs[b * 3 * H + i] + products[b * 3 * H + i], p->gate_activation);
            if (p->reset_after) products[b * 3 * H + H + i] *= r;
            else held[b * H + i] = r * h[b * H + i];
        }
    if (!p->reset_after) {
        mk_epilogue bias = {.bias = p->bias ? p->bias + H : 0};
        mk_gemv(B, H, H, held, H, p->W_hh + H * H, MK_FP32, H, products + H, 3 * H, &bias);
    }
    for (int64_t b = 0; b < B; b++)
        for (int64_t i = 0; i < H; i++) {
            const float *in = inputs + b * 3 * H + i, *product = products + b * 3 * H + i;
            float o = activate(in[H] + product[H], p->activation);
            float z = activate(in[2 * H] + product[2 * H], p->gate_activation);
            h[b * H + i] = (1 - z) * o + z * h[b * H + i];
        }
}

static void rnn_step(const mk_recurrent_problem *p, const float *inputs, float *products, float *held, float *h) {
    (void)held;
    int64_t count = p->batch * p->hidden;
    mk_epilogue bias = {.bias = p->bias};
    mk_gemv(p->batch, p->hidden, p->hidden, h, p->hidden, p->W_hh, MK_FP32, p->hidden, products, p->hidden, &bias);
    for (int64_t i = 0; i < count; i++) h[i] = activate(inputs[i] + products[i], p->activation);
}

static void run_layer(const mk_recurrent_problem *p, int gates, mk_recurrent_step *step, void *workspace) {
    int64_t state = p->batch * p->hidden, N = gates * p->hidden;
    char *room = workspace;
    float *inputs = (float *)room, *products = (float *)(room += aligned(p->steps * gates * state));
    float *held = (float *)(room += aligned(gates * state));
    mk_epilogue bias = {.bias = p->input_bias};
    memcpy(p->last_h, p->initial_h, (size_t)state * 4);
    if (p->steps == 0 || state == 0) return;
    mk_gemm(p->steps * p->batch, N, p->inputs, p->x, p->inputs, 1, p->W_ih, 1, p->inputs, inputs, N, 0, &bias,
            room + aligned(state));
    for (int64_t s = 0; s < p->steps; s++) {
        int64_t t = p->reverse ? p->steps - 1 - s : s;
        step(p, inputs + t * gates * state, products, held, p->last_h);
        if (p->outputs) memcpy(p->outputs + s * state, p->last_h, (size_t)state * 4);
    }
}

void mk_gru(const mk_recurrent_problem *p, void *workspace) { run_layer(p, 3, gru_step, workspace); }

void mk_rnn(const mk_recurrent_problem *p, void *workspace) { run_layer(p, 1, rnn_step, workspace); }
