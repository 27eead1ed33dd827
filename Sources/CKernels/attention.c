#include "include/attention.h"

#include <string.h>

#include "common.h"
#include "include/threads.h"

// 96 is a multiple of every tile's rows and columns. A block's scores, 96 by at most 2016 keys, stay in the L2; 2016
// and 252 are multiples of every tile's rows.
enum { query_block = 96, value_steps = 252, key_block = 8 * value_steps, few_queries = 8,
       mask_panels = 4 };

#define MK_KERNELS "attention.inc"
#include "isa.h"

struct attention {
    const mk_attention_problem *p;
    size_t keys, values, scratch;  // bytes: packed K and V of a head, scratch of a part
    char *packed, *parts;
    int64_t tasks;
};

static struct attention plan(const mk_attention_problem *p, void *workspace) {
    int64_t rows = MK_PICK(attention_rows)(), columns = MK_PICK(attention_columns)();
    int64_t width = round_up(p->value_depth, columns), heads = p->batch * p->heads;
    struct attention a = {.p = p, .packed = workspace};
    if (p->queries <= few_queries) {
        a.tasks = heads;
        a.scratch = (size_t)round_up((p->keys + 16) * 4, 64);
    } else {
        a.keys = (size_t)round_up((round_up(p->keys, rows) * p->depth + 16) * 4, 64);
        a.values = (size_t)round_up((p->keys * width + 16) * 4, 64);
        a.tasks = heads * divide_up(p->queries, query_block);
        a.scratch = (size_t)round_up((query_block * (3 + p->depth + width) + mask_panels * rows * columns +
                                      least(round_up(p->keys, rows), key_block) * query_block + 16) * 4, 64);
    }
    a.parts = a.packed + (size_t)heads * (a.keys + a.values);
    return a;
}

static void pack_part(void *context, int part, int parts) {
    const struct attention *a = context;
    const mk_attention_problem *p = a->p;
    int64_t heads = p->batch * p->heads;
    for (int64_t head = part_start(heads, part, parts); head < part_start(heads, part + 1, parts); head++) {
        int64_t b = head / p->heads, h = head % p->heads;
        float *keys = (float *)(a->packed + (size_t)head * (a->keys + a->values));
        MK_PICK(pack_head)(p, p->K + b * p->k_batch + h * p->k_head, p->V + b * p->v_batch + h * p->v_head, keys,
                           (float *)((char *)keys + a->keys));
    }
}

static void attend_part(void *context, int part, int parts) {
    const struct attention *a = context;
    const mk_attention_problem *p = a->p;
    float *scratch = (float *)(a->parts + (size_t)part * a->scratch);
    int few = p->queries <= few_queries;
    int64_t blocks = a->tasks / (p->batch * p->heads);
    for (int64_t task = part_start(a->tasks, part, parts); task < part_start(a->tasks, part + 1, parts); task++) {
        int64_t head = task / blocks, first = task % blocks * query_block;
        int64_t b = head / p->heads, h = head % p->heads;
        const float *Q = p->Q + b * p->q_batch + h * p->q_head + first * p->q_row;
        const float *mask = p->mask;
        if (mask) mask += b * p->mask_batch + h * p->mask_head + first * p->mask_row;
        float *O = p->O + b * p->o_batch + h * p->o_head + first * p->o_row;
        if (few) {
            const float *K = p->K + b * p->k_batch + h * p->k_head, *V = p->V + b * p->v_batch + h * p->v_head;
            for (int64_t i = 0; i < p->queries; i++)
                MK_PICK(attend_one)(p, Q + i * p->q_row, K, V, mask ? mask + i * p->mask_row : 0, O + i * p->o_row,
                                    scratch);
        } else {
            const char *keys = a->packed + (size_t)head * (a->keys + a->values);
            MK_PICK(attend_block)(p, Q, (const float *)keys, (const float *)(keys + a->keys), mask, O,
                                  least(query_block, p->queries - first), scratch);
        }
    }
}

static int parts_for(const mk_attention_problem *p, int64_t tasks) {
    double work = (double)(p->batch * p->heads * p->queries) * (double)p->keys * (double)(p->depth + p->value_depth);
    return work < 65536 ? 1 : (int)least(mk_threads(), tasks);
}

void mk_attention(const mk_attention_problem *p, void *workspace) {
    struct attention a = plan(p, workspace);
    if (a.tasks <= 0 || p->value_depth <= 0) return;
    int parts = parts_for(p, a.tasks);
    if (p->queries > few_queries) mk_parallel((int)least(parts, p->batch * p->heads), pack_part, &a);
    mk_parallel(parts, attend_part, &a);
}

size_t mk_attention_workspace(const mk_attention_problem *p) {
    struct attention a = plan(p, 0);
    return (size_t)(p->batch * p->heads) * (a.keys + a.values) + (size_t)parts_for(p, a.tasks) * a.scratch;
}
