// Fused elementwise chains: preparation, the cut into tiles, and the choice of instruction set.
#include "include/elementwise.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "elementwise_plan.h"
#include "include/threads.h"
#include "lane_math.h"
#include "whole_math.h"

MK_INLINE int32_t mk_int(float x) {
    float low = x > -2147483648.0f ? x : -2147483648.0f;
    float safe = low < 2147483520.0f ? low : 2147483520.0f;
    int32_t value = (int32_t)safe;
    value = x >= 2147483648.0f ? INT32_MAX : value;
    return x == x ? value : 0;
}

MK_INLINE float mk_mod(float x, float y) {
    float r = fmodf(x, y);
    if (r == 0.0f) return copysignf(r, y);
    return (r < 0.0f) != (y < 0.0f) ? r + y : r;
}

// As in Python: the quotient without its remainder is whole but for one rounding. Infinities divide as with `/`.
MK_INLINE float mk_floor_div(float x, float y) {
    if (y == 0.0f || isinf(x) || isinf(y)) return x / y;
    float r = fmodf(x, y), q = (x - r) / y;
    if (r != 0.0f && (r < 0.0f) != (y < 0.0f)) q -= 1.0f;
    return q == 0.0f ? copysignf(0.0f, x / y) : rintf(q);
}

#define MK_KERNELS "elementwise.inc"
#include "isa.h"

static int mk_tape_registers(const mk_tape *tape) {
    int count = tape->inputs;
    for (int k = 0; k < tape->instructions; k++)
        if (tape->code[k].out >= count) count = tape->code[k].out + 1;
    return count;
}

static int mk_tape_merges(const mk_tape *tape, int outer, int inner) {
    for (int k = 0; k < tape->inputs; k++)
        if (tape->input_strides[k][outer] != tape->input_strides[k][inner] * tape->shape[inner]) return 0;
    for (int k = 0; k < tape->outputs; k++)
        if (tape->output_strides[k][outer] != tape->output_strides[k][inner] * tape->shape[inner]) return 0;
    return 1;
}

static void mk_tape_move(mk_tape *tape, int to, int from) {
    tape->shape[to] = tape->shape[from];
    for (int k = 0; k < tape->inputs; k++) tape->input_strides[k][to] = tape->input_strides[k][from];
    for (int k = 0; k < tape->outputs; k++) tape->output_strides[k][to] = tape->output_strides[k][from];
}

int mk_tape_collapse(mk_tape *tape) {
    if (tape->rank < 0 || tape->rank > MK_TAPE_RANK || tape->inputs < 0 || tape->inputs > MK_TAPE_INPUTS) return -1;
    if (tape->outputs < 0 || tape->outputs > MK_TAPE_OUTPUTS) return -1;
    if (tape->instructions < 0 || tape->instructions > MK_TAPE_INSTRUCTIONS) return -1;
    int registers = mk_tape_registers(tape);
    if (registers > MK_TAPE_REGISTERS) return -1;
    for (int k = 0; k < tape->instructions; k++) {
        const mk_instruction *code = &tape->code[k];
        int lowest = code->a < code->b ? code->a : code->b, highest = code->a > code->b ? code->a : code->b;
        if (code->c < lowest) lowest = code->c;
        if (code->c > highest) highest = code->c;
        if (code->out < tape->inputs || lowest < 0 || highest >= registers) return -1;
    }
    for (int k = 0; k < tape->outputs; k++)
        if (tape->output_register[k] < 0 || tape->output_register[k] >= registers) return -1;

    int rank = 0;
    for (int d = 0; d < tape->rank; d++) {
        if (tape->shape[d] == 1) continue;
        mk_tape_move(tape, rank, d);
        if (rank > 0 && mk_tape_merges(tape, rank - 1, rank)) {
            int64_t size = tape->shape[rank - 1] * tape->shape[rank];
            mk_tape_move(tape, rank - 1, rank);
            tape->shape[rank - 1] = size;
        } else {
            rank++;
        }
    }
    if (rank == 0) {
        tape->shape[0] = 1;
        for (int k = 0; k < tape->inputs; k++) tape->input_strides[k][0] = 1;
        for (int k = 0; k < tape->outputs; k++) tape->output_strides[k][0] = 1;
        rank = 1;
    }
    tape->rank = rank;
    return 0;
}

// Rows per tile, rounded so that tiles are whole vectors where the row length allows.
static int64_t mk_tape_tile_rows(int64_t columns, int64_t lanes) {
    int64_t rows = lanes / columns, step = MK_TAPE_TAIL;
    while (step > 1 && columns % 2 == 0) step /= 2, columns /= 2;
    return rows > step ? rows - rows % step : rows;
}

void mk_tape_run(const mk_tape *tape, const void *const *inputs, void *const *outputs) {
    mk_tape_plan plan = { .tape = tape, .inputs = inputs, .outputs = outputs, .registers = mk_tape_registers(tape) };
    int last = tape->rank - 1;
    int64_t outer = 1;
    for (int d = 0; d < last; d++) outer *= tape->shape[d];
    plan.columns = tape->shape[last];
    if (outer * plan.columns == 0) return;

    int lanes = MK_TAPE_FILE / (plan.registers ? plan.registers : 1) / MK_TAPE_TAIL * MK_TAPE_TAIL;
    // A single instruction leaves nothing between itself and memory that should stay near.
    int most = tape->instructions == 1 ? 4096 : 1024;
    plan.lanes = lanes < most ? lanes : most;
    if (plan.columns >= plan.lanes / 4 || last == 0) {
        int64_t pieces = (plan.columns + plan.lanes - 1) / plan.lanes;
        int64_t width = (plan.columns + pieces - 1) / pieces;
        plan.width = (width + MK_TAPE_TAIL - 1) / MK_TAPE_TAIL * MK_TAPE_TAIL;
        plan.rows = 1;
        plan.run_tiles = (plan.columns + plan.width - 1) / plan.width;
        plan.tiles = outer * plan.run_tiles;
    } else {
        plan.crosses = tape->shape[last - 1] * plan.columns < plan.lanes / 4;
        plan.width = plan.columns;
        plan.run_rows = plan.crosses ? outer : tape->shape[last - 1];
        plan.rows = mk_tape_tile_rows(plan.columns, plan.lanes);
        if (plan.rows > plan.run_rows) plan.rows = plan.run_rows;
        plan.run_tiles = (plan.run_rows + plan.rows - 1) / plan.rows;
        plan.tiles = outer / plan.run_rows * plan.run_tiles;
    }

    // Every other sweep goes from the end: what the last one touched last is what the cache still holds.
    static _Thread_local int sweeps;
    plan.backward = ++sweeps & 1;

    // A part should have some ten thousand lane operations, or the region costs more than it saves.
    int64_t work = outer * plan.columns * (tape->instructions + tape->inputs), parts = work / 49152;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > plan.tiles) parts = plan.tiles;
    if (parts <= 1) MK_PICK(tape_part)(&plan, 0, 1);
    else mk_parallel((int)parts, MK_PICK(tape_part), &plan);
}
