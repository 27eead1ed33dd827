#include "include/convolution.h"

#include <string.h>

#include "common.h"
#include "include/threads.h"

struct convolution {
    const mk_convolution_problem *p;
    const float *x, *packed;
    float *y;
    const mk_epilogue *epilogue;
    int64_t output[3], taps, pixels_in, pixels_out;  // pixels of one image
    int64_t block;                                   // output pixels gathered at a time
    char *scratch;
    size_t part_scratch;
    const float *columns;  // of a transposed convolution: [pixels_in, taps, O / groups] of one image and group
    int64_t image, group;
};

// The taps that meet the input for output index `o` of an axis: taps first, first + stride, ..., at input positions
// at, at + step, ...
struct taps {
    int64_t first, stride, at, step, count;
};

static struct taps taps_of(const mk_convolution_problem *p, int axis, int64_t o) {
    int64_t kernel = p->kernel[axis], stride = p->stride[axis], dilation = p->dilation[axis], size = p->input[axis];
    struct taps taps = {0, 1, 0, dilation, 0};
    if (!p->transposed) {
        int64_t start = o * stride - p->pad_begin[axis];
        taps.first = start < 0 ? divide_up(-start, dilation) : 0;
        taps.at = start + taps.first * dilation;
        if (taps.at < size) taps.count = greatest(0, least(kernel - taps.first, divide_up(size - taps.at, dilation)));
        return taps;
    }
    // Input i reaches output i * stride + tap * dilation - pad_begin.
    int64_t target = o + p->pad_begin[axis], last = -1;
    for (int64_t tap = 0; tap < kernel; tap++) {
        int64_t rest = target - tap * dilation;
        if (rest < 0 || rest % stride || rest / stride >= size) continue;
        if (!taps.count) taps.first = tap, taps.at = rest / stride;
        else if (taps.count == 1) taps.stride = tap - taps.first, taps.step = rest / stride - last;
        last = rest / stride;
        taps.count++;
    }
    return taps;
}

#define MK_KERNELS "convolution.inc"
#include "isa.h"

enum { block_floats = 256 * 1024, block_least = 24, block_most = 240 };

// MARK: Shapes

int64_t mk_convolution_extent(const mk_convolution_problem *p, int axis) {
    int64_t reach = (p->kernel[axis] - 1) * p->dilation[axis] + 1, pads = p->pad_begin[axis] + p->pad_end[axis];
    if (p->transposed) return (p->input[axis] - 1) * p->stride[axis] + reach - pads;
    int64_t room = p->input[axis] + pads - reach;
    return room < 0 ? 0 : room / p->stride[axis] + 1;
}

static int is_depthwise(const mk_convolution_problem *p) {
    return p->groups > 1 && p->groups == p->in_channels && p->groups == p->out_channels;
}

// Every output pixel is a product of one input pixel, in order.
static int is_pointwise(const mk_convolution_problem *p) {
    for (int axis = 0; axis < 3; axis++)
        if (p->kernel[axis] != 1 || p->stride[axis] != 1 || p->pad_begin[axis] || p->pad_end[axis]) return 0;
    return !p->transposed;
}

static struct convolution plan(const mk_convolution_problem *p) {
    struct convolution c = {.p = p, .taps = 1, .pixels_in = 1, .pixels_out = 1};
    for (int axis = 0; axis < 3; axis++) {
        c.output[axis] = mk_convolution_extent(p, axis);
        c.taps *= p->kernel[axis];
        c.pixels_in *= p->input[axis];
        c.pixels_out *= c.output[axis];
    }
    int64_t K = c.taps * (p->in_channels / p->groups);
    c.block = greatest(block_least, least(block_most, block_floats / greatest(K, 1) / block_least * block_least));
    c.part_scratch = mk_gemm_serial_scratch(K);
    if (!is_pointwise(p)) c.part_scratch += (size_t)round_up(c.block * K * 4, 64);
    return c;
}

// MARK: Weights

// Bytes of one group's packed weights.
static size_t group_size(const mk_convolution_problem *p, int64_t taps) {
    int64_t in = p->in_channels / p->groups, out = p->out_channels / p->groups;
    return p->transposed ? mk_gemm_pack_size(in, taps * out) : mk_gemm_pack_size(taps * in, out);
}

size_t mk_convolution_pack_size(const mk_convolution_problem *p) {
    int64_t taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    if (is_depthwise(p)) return (size_t)round_up(taps * p->in_channels * 4, 64);
    return (size_t)p->groups * group_size(p, taps);
}

void mk_convolution_pack(const mk_convolution_problem *p, const float *weights, void *packed) {
    int64_t taps = p->kernel[0] * p->kernel[1] * p->kernel[2];
    int64_t in = p->in_channels / p->groups, out = p->out_channels / p->groups;
    if (is_depthwise(p)) {
        for (int64_t tap = 0; tap < taps; tap++)
            for (int64_t c = 0; c < p->in_channels; c++)
                ((float *)packed)[tap * p->in_channels + c] = weights[c * taps + tap];
        return;
    }
    for (int64_t group = 0; group < p->groups; group++) {
        const float *w = weights + group * in * out * taps;
        void *target = (char *)packed + (size_t)group * group_size(p, taps);
        if (p->transposed)
            mk_gemm_pack_nested(in, taps * out, w, (mk_nested){1, out * taps, 0}, (mk_nested){out, 1, taps}, target);
        else
            mk_gemm_pack_nested(taps * in, out, w, (mk_nested){in, 1, taps}, (mk_nested){1, in * taps, 0}, target);
    }
}

// MARK: Direct

// rows[pixel][tap][channel] of output pixels [first, end), zero where the kernel leaves the input.
static void unfold(const struct convolution *c, int64_t group, int64_t first, int64_t end, float *rows) {
    const mk_convolution_problem *p = c->p;
    int64_t C = p->in_channels, channels = C / p->groups, width = p->kernel[2] * channels;
    int dense = p->groups == 1 && p->dilation[2] == 1;
    for (int64_t pixel = first; pixel < end; pixel++) {
        int64_t inside = pixel % c->pixels_out;
        int64_t start[3] = {inside / c->output[2] / c->output[1], inside / c->output[2] % c->output[1],
                            inside % c->output[2]};
        for (int axis = 0; axis < 3; axis++) start[axis] = start[axis] * p->stride[axis] - p->pad_begin[axis];
        const float *image = c->x + pixel / c->pixels_out * c->pixels_in * C + group * channels;
        for (int64_t i = 0; i < p->kernel[0]; i++)
            for (int64_t j = 0; j < p->kernel[1]; j++, rows += width) {
                int64_t d = start[0] + i * p->dilation[0], h = start[1] + j * p->dilation[1];
                if (d < 0 || d >= p->input[0] || h < 0 || h >= p->input[1]) {
                    memset(rows, 0, (size_t)width * 4);
                    continue;
                }
                const float *line = image + (d * p->input[1] + h) * p->input[2] * C;
                if (dense && start[2] >= 0 && start[2] + p->kernel[2] <= p->input[2]) {
                    memcpy(rows, line + start[2] * C, (size_t)width * 4);
                    continue;
                }
                for (int64_t k = 0; k < p->kernel[2]; k++) {
                    int64_t x = start[2] + k * p->dilation[2];
                    if (x < 0 || x >= p->input[2]) memset(rows + k * channels, 0, (size_t)channels * 4);
                    else memcpy(rows + k * channels, line + x * C, (size_t)channels * 4);
                }
            }
    }
}

static void direct_part(void *context, int part, int parts) {
    const struct convolution *c = context;
    const mk_convolution_problem *p = c->p;
    int64_t in = p->in_channels / p->groups, out = p->out_channels / p->groups, K = c->taps * in;
    int64_t pixels = p->batch * c->pixels_out, tasks = divide_up(pixels, c->block) * p->groups;
    float *scratch = (float *)(c->scratch + (size_t)part * c->part_scratch);
    float *rows = (float *)((char *)scratch + mk_gemm_serial_scratch(K));
    size_t group_bytes = group_size(p, c->taps);
    for (int64_t task = part_start(tasks, part, parts); task < part_start(tasks, part + 1, parts); task++) {
        int64_t group = task % p->groups, first = task / p->groups * c->block;
        int64_t end = least(first + c->block, pixels);
        const float *A = c->x + first * p->in_channels + group * in;
        int64_t a_row = p->in_channels;
        if (!is_pointwise(p)) {
            unfold(c, group, first, end, rows);
            A = rows;
            a_row = K;
        }
        mk_epilogue epilogue = {0};
        if (c->epilogue) epilogue = *c->epilogue;
        if (epilogue.bias) epilogue.bias += group * out;
        if (epilogue.residual) epilogue.residual += first * epilogue.residual_stride + group * out;
        mk_gemm_packed_serial(end - first, out, K, A, a_row, 1, (const char *)c->packed + (size_t)group * group_bytes,
                              c->y + first * p->out_channels + group * out, p->out_channels, 0, &epilogue, scratch);
    }
}

// MARK: Rows

static void depthwise_part(void *context, int part, int parts) {
    const struct convolution *c = context;
    int64_t rows = c->p->batch * c->output[0] * c->output[1];
    for (int64_t row = part_start(rows, part, parts); row < part_start(rows, part + 1, parts); row++)
        MK_PICK(depthwise_row)(c, row);
}

static void gather_part(void *context, int part, int parts) {
    const struct convolution *c = context;
    int64_t rows = c->output[0] * c->output[1];
    for (int64_t row = part_start(rows, part, parts); row < part_start(rows, part + 1, parts); row++)
        MK_PICK(gather_row)(c, row);
}

static void transposed(struct convolution *c, void *workspace) {
    const mk_convolution_problem *p = c->p;
    int64_t in = p->in_channels / p->groups, line = c->taps * (p->out_channels / p->groups);
    float *columns = workspace;
    void *scratch = (char *)workspace + round_up(c->pixels_in * line * 4, 64);
    c->columns = columns;
    for (c->image = 0; c->image < p->batch; c->image++)
        for (c->group = 0; c->group < p->groups; c->group++) {
            mk_gemm_packed(c->pixels_in, line, in, c->x + c->image * c->pixels_in * p->in_channels + c->group * in,
                           p->in_channels, 1, (const char *)c->packed + (size_t)c->group * group_size(p, c->taps),
                           columns, line, 0, 0, scratch);
            mk_parallel((int)least(mk_threads(), c->output[0] * c->output[1]), gather_part, c);
        }
}

// MARK: All of them

// Parts of a direct convolution; a small one is not worth a second thread.
static int direct_parts(const struct convolution *c) {
    const mk_convolution_problem *p = c->p;
    int64_t pixels = p->batch * c->pixels_out;
    double work = (double)pixels * (double)p->out_channels * (double)(c->taps * (p->in_channels / p->groups));
    return work < 65536 ? 1 : (int)greatest(1, least(mk_threads(), divide_up(pixels, block_least) * p->groups));
}

void mk_convolution(const mk_convolution_problem *p, const float *x, const void *packed, float *y,
                    const mk_epilogue *epilogue, void *workspace) {
    struct convolution c = plan(p);
    c.x = x, c.packed = packed, c.y = y, c.epilogue = epilogue, c.scratch = workspace;
    int64_t pixels = p->batch * c.pixels_out;
    if (pixels <= 0 || p->out_channels <= 0) return;
    if (is_depthwise(p)) {
        int64_t rows = p->batch * c.output[0] * c.output[1];
        mk_parallel((int)least(direct_parts(&c), rows), depthwise_part, &c);
    } else if (p->transposed) {
        transposed(&c, workspace);
    } else if (is_pointwise(p) && p->groups == 1) {
        mk_gemm_packed(pixels, p->out_channels, p->in_channels, x, p->in_channels, 1, packed, y, p->out_channels, 0,
                       epilogue, workspace);
    } else {
        // Blocks small enough that every thread has some.
        int parts = direct_parts(&c);
        c.block = least(c.block, round_up(divide_up(pixels * p->groups, parts), block_least));
        mk_parallel(parts, direct_part, &c);
    }
}

size_t mk_convolution_workspace(const mk_convolution_problem *p) {
    struct convolution c = plan(p);
    if (is_depthwise(p)) return 0;
    if (p->transposed) {
        int64_t line = c.taps * (p->out_channels / p->groups);
        return (size_t)round_up(c.pixels_in * line * 4, 64) +
               mk_gemm_packed_workspace(c.pixels_in, line, p->in_channels / p->groups);
    }
    if (is_pointwise(p) && p->groups == 1)
        return mk_gemm_packed_workspace(p->batch * c.pixels_out, p->out_channels, p->in_channels);
    return (size_t)direct_parts(&c) * c.part_scratch;
}
