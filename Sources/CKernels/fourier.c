// Fourier transforms: mixed radices without reordering (Stockham), and Bluestein's way for large prime factors.
#include "include/fourier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "include/threads.h"

// Primes beyond take longer than Bluestein's way.
enum { MK_LARGEST_RADIX = 31, MK_STAGES = 64 };

struct mk_fourier {
    int64_t n;
    int stages;
    int radix[MK_STAGES];
    double *roots[MK_STAGES];  // [l, radix - 1, 2]
    double *units[MK_STAGES];  // [radix, 2], for radices without a butterfly of their own
    mk_fourier *handy;
    double *chirp;   // [n, 2]: exp(πi j² / n)
    double *kernel;  // [handy n, 2]: the transform of the chirp
};

typedef struct { double *re, *im; } mk_parts;

static const double mk_sin_3 = 0.86602540378443864676;
static const double mk_cos_5 = 0.30901699437494742410, mk_cos_5b = -0.80901699437494742410;
static const double mk_sin_5 = 0.95105651629515357212, mk_sin_5b = 0.58778525229247312917;

#define MK_KERNELS "fourier.inc"
#include "isa.h"

// exp(2πi a / n), by angles of at most an eighth of a turn. 0 <= a < n.
static void mk_unit(int64_t a, int64_t n, double *out) {
    int64_t x = 8 * a;
    double imaginary = 1, real = 1;
    if (x > 4 * n) x = 8 * n - x, imaginary = -1;
    if (x > 2 * n) x = 4 * n - x, real = -1;
    int turned = x > n;
    if (turned) x = 2 * n - x;
    double angle = 3.14159265358979323846 * (double)x / (4.0 * (double)n), c = cos(angle), s = sin(angle);
    out[0] = real * (turned ? s : c);
    out[1] = imaginary * (turned ? c : s);
}

static int64_t mk_handy_length(int64_t least_length) {
    int64_t best = 1;
    while (best < least_length) best *= 2;
    for (int64_t three = 1; three < best; three *= 3)
        for (int64_t five = three; five < best; five *= 5) {
            int64_t n = five;
            while (n < least_length) n *= 2;
            if (n < best) best = n;
        }
    return best;
}

// Returns 0 where memory is missing.
static int mk_add_stage(mk_fourier *plan, int radix, int64_t l) {
    int64_t n = l * radix;
    double *roots = malloc((size_t)(l * (radix - 1)) * 2 * sizeof(double));
    double *unit = radix > 5 ? malloc((size_t)radix * 2 * sizeof(double)) : NULL;
    plan->radix[plan->stages] = radix;
    plan->roots[plan->stages] = roots;
    plan->units[plan->stages++] = unit;
    if (!roots || (radix > 5 && !unit)) return 0;
    // Forward: turned the other way round.
    for (int64_t k = 0; k < l; k++)
        for (int q = 1; q < radix; q++) {
            double *w = roots + (k * (radix - 1) + q - 1) * 2;
            mk_unit(q * k % n, n, w);
            w[1] = -w[1];
        }
    for (int q = 0; unit && q < radix; q++) {
        mk_unit(q, radix, unit + 2 * q);
        unit[2 * q + 1] = -unit[2 * q + 1];
    }
    return 1;
}

static int mk_add_chirp(mk_fourier *plan) {
    int64_t n = plan->n, m = mk_handy_length(2 * n - 1);
    plan->handy = mk_fourier_make(m);
    plan->chirp = malloc((size_t)n * 2 * sizeof(double));
    plan->kernel = malloc((size_t)m * 2 * sizeof(double));
    double *room = calloc((size_t)m * 4, sizeof(double));
    int is_ready = plan->handy && plan->chirp && plan->kernel && room;
    if (is_ready) {
        mk_parts x = { room, room + m }, spare = { room + 2 * m, room + 3 * m };
        for (int64_t j = 0, square = 0; j < n; j++) {
            // j² modulo 2n, from one to the next.
            mk_unit(square, 2 * n, plan->chirp + 2 * j);
            x.re[j] = x.re[j ? m - j : 0] = plan->chirp[2 * j];
            x.im[j] = x.im[j ? m - j : 0] = plan->chirp[2 * j + 1];
            square = (square + 2 * j + 1) % (2 * n);
        }
        MK_PICK(mixed)(plan->handy, 1, &x, &spare);
        for (int64_t i = 0; i < m; i++) {
            plan->kernel[2 * i] = x.re[i];
            plan->kernel[2 * i + 1] = x.im[i];
        }
    }
    free(room);
    return is_ready;
}

mk_fourier *mk_fourier_make(int64_t n) {
    mk_fourier *plan = calloc(1, sizeof(mk_fourier));
    if (!plan) return NULL;
    plan->n = n;
    int radices[MK_STAGES], count = 0;
    int64_t rest = n;
    while (rest % 4 == 0) radices[count++] = 4, rest /= 4;
    for (int prime = 2; prime <= MK_LARGEST_RADIX; prime++)
        while (rest % prime == 0) radices[count++] = prime, rest /= prime;
    int is_ready = 1;
    if (rest > 1) is_ready = mk_add_chirp(plan);
    else for (int64_t i = 0, l = 1; i < count && is_ready; l *= radices[i++]) is_ready = mk_add_stage(plan, radices[i], l);
    if (is_ready) return plan;
    mk_fourier_free(plan);
    return NULL;
}

void mk_fourier_free(mk_fourier *plan) {
    if (!plan) return;
    for (int i = 0; i < plan->stages; i++) {
        free(plan->roots[i]);
        free(plan->units[i]);
    }
    mk_fourier_free(plan->handy);
    free(plan->chirp);
    free(plan->kernel);
    free(plan);
}

typedef struct {
    const mk_fourier *plan;
    mk_fourier_kind kind;
    int inverse, is_double;
    double scale;
    int64_t rows, given, inner, side;
    const void *src;
    void *dst;
    double *workspace;
} mk_fourier_task;

static int64_t mk_room(const mk_fourier *plan) { return plan->handy ? plan->handy->n : plan->n; }

// How many transforms run side by side, so that they fit in the cache.
static int64_t mk_side(const mk_fourier *plan, int64_t rows) {
    int64_t side = mk_room(plan) <= 2048 ? 8 : mk_room(plan) <= 8192 ? 4 : 1;
    return side < rows ? side : rows < 1 ? 1 : rows;
}

static inline double mk_number(const void *src, int is_double, int64_t i) {
    return is_double ? ((const double *)src)[i] : (double)((const float *)src)[i];
}

static inline void mk_put(void *dst, int is_double, int64_t i, double value) {
    if (is_double) ((double *)dst)[i] = value;
    else ((float *)dst)[i] = (float)value;
}

// Place i of row `row` in an array of `length` places a row.
static inline int64_t mk_place(const mk_fourier_task *t, int64_t row, int64_t length, int64_t i) {
    return (row / t->inner * length + i) * t->inner + row % t->inner;
}

static void mk_load_row(const mk_fourier_task *t, int64_t row, int64_t lane, int64_t side, mk_parts x) {
    int64_t n = t->plan->n, half = n / 2 + 1, wanted = t->kind == MK_FOURIER_TO_REAL ? half : n;
    int64_t count = t->given < wanted ? t->given : wanted, start = mk_place(t, row, t->given, 0);
    int is_real = t->kind == MK_FOURIER_FROM_REAL;
    for (int64_t i = 0; i < n; i++) {
        int64_t at = start + i * t->inner;
        int is_there = i < count;
        x.re[i * side + lane] = is_there ? mk_number(t->src, t->is_double, is_real ? at : 2 * at) : 0;
        x.im[i * side + lane] = is_there && !is_real ? mk_number(t->src, t->is_double, 2 * at + 1) : 0;
    }
    if (t->kind != MK_FOURIER_TO_REAL) return;
    // The other half mirrors the first; what must be real is taken so.
    x.im[lane] = 0;
    if (n % 2 == 0) x.im[n / 2 * side + lane] = 0;
    for (int64_t i = half; i < n; i++) {
        x.re[i * side + lane] = x.re[(n - i) * side + lane];
        x.im[i * side + lane] = -x.im[(n - i) * side + lane];
    }
}

static void mk_store_row(const mk_fourier_task *t, int64_t row, int64_t lane, int64_t side, mk_parts x) {
    int64_t n = t->plan->n, count = t->kind == MK_FOURIER_FROM_REAL ? n / 2 + 1 : n, at = mk_place(t, row, count, 0);
    for (int64_t i = 0; i < count; i++, at += t->inner) {
        double re = x.re[i * side + lane] * t->scale, im = x.im[i * side + lane] * t->scale;
        if (t->kind == MK_FOURIER_TO_REAL) {
            mk_put(t->dst, t->is_double, at, re);
        } else {
            mk_put(t->dst, t->is_double, 2 * at, re);
            mk_put(t->dst, t->is_double, 2 * at + 1, im);
        }
    }
}

static void mk_fourier_part(void *context, int part, int parts) {
    const mk_fourier_task *t = context;
    int64_t room = mk_room(t->plan) * t->side, groups = (t->rows + t->side - 1) / t->side;
    double *own = t->workspace + part * 4 * room;
    for (int64_t group = groups * part / parts; group < groups * (part + 1) / parts; group++) {
        int64_t first = group * t->side, side = t->rows - first < t->side ? t->rows - first : t->side;
        mk_parts x = { own, own + room }, spare = { own + 2 * room, own + 3 * room };
        for (int64_t lane = 0; lane < side; lane++) mk_load_row(t, first + lane, lane, side, x);
        // Real and imaginary parts changed round make the transform the inverse one.
        mk_parts turned = { x.im, x.re }, other = { spare.im, spare.re };
        MK_PICK(transform)(t->plan, side, t->inverse ? &turned : &x, t->inverse ? &other : &spare);
        if (t->inverse) x = (mk_parts) { turned.im, turned.re };
        for (int64_t lane = 0; lane < side; lane++) mk_store_row(t, first + lane, lane, side, x);
    }
}

size_t mk_fourier_workspace(const mk_fourier *plan, int64_t rows) {
    return (size_t)(mk_room(plan) * mk_side(plan, rows)) * 4 * sizeof(double) * (size_t)mk_threads();
}

void mk_fourier_run(const mk_fourier *plan, mk_fourier_kind kind, int inverse, int is_double, double scale,
                    int64_t outer, int64_t given, int64_t inner, const void *src, void *dst, void *workspace) {
    int64_t rows = outer * inner, side = mk_side(plan, rows), groups = (rows + side - 1) / side;
    mk_fourier_task task = { plan, kind, inverse || kind == MK_FOURIER_TO_REAL, is_double, scale, rows, given, inner,
                             side, src, dst, workspace };
    int64_t parts = rows * plan->n / 8192;
    int threads = parts > 1 ? mk_threads() : 1;
    if (parts > threads) parts = threads;
    if (parts > groups) parts = groups;
    if (parts <= 1) mk_fourier_part(&task, 0, 1);
    else mk_parallel((int)parts, mk_fourier_part, &task);
}
