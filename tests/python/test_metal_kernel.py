"""Metal kernels on the CPU: the language, barriers, limits, faults, kernels as ops. NumPy gives what is expected."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

import martlet
from martlet._call import forget
from martlet._native import check, lib

HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"
DICE = np.random.default_rng(7)


def clang() -> bool:
    """Whether kernels can be compiled here."""
    try:
        martlet.metal_functions("kernel void nothing() {}")
    except martlet.UnsupportedError:
        return False
    return True


pytestmark = pytest.mark.skipif(not clang(), reason="there is no clang")


@pytest.fixture(autouse=True)
def no_custom_ops_left() -> Iterator[None]:
    yield
    for op in martlet.ops():
        if op["custom"]:
            check(lib.mlt_custom_op_remove(op["name"].encode()))
            forget(op["name"])


def kernel(body: str, inputs: Any, outputs: Any, grid: Any, threadgroup: Any, **more: Any) -> martlet.CustomOp:
    """An op of a kernel `tried` with this source after the usual two lines."""
    return martlet.metal_kernel("tried", HEAD + body, inputs, outputs, grid, threadgroup, **more)


def floats(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return DICE.standard_normal(shape).astype(np.float32)


# What kernels compute

ELEMENTWISE = """
kernel void tried(device const float *x [[buffer(0)]], device const float *y [[buffer(1)]],
                  device float *out [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    float a = clamp(x[i], -1.0, 1.0);
    out[i] = fma(a, y[i], exp(-a * a)) + select(1.0, 2.0, y[i] > 0) + sqrt(abs(y[i])) / 3;
}
"""


def test_elementwise():
    op = kernel(ELEMENTWISE, ["x", "y"], "x", "x.size", 256)
    x, y = floats(37, 1001), floats(37, 1001)
    a = np.clip(x, -1, 1)
    expected = a * y + np.exp(-a * a) + np.where(y > 0, 2, 1) + np.sqrt(np.abs(y)) / 3
    np.testing.assert_allclose(op(x, y).numpy(), expected, rtol=2e-6, atol=1e-6)


REDUCTION = """
kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], constant uint &n [[buffer(2)]],
                  uint i [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]],
                  uint size [[threads_per_threadgroup]], uint group [[threadgroup_position_in_grid]]) {
    threadgroup float shared[256];
    shared[t] = i < n ? x[i] : 0;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half_size = size / 2; half_size > 0; half_size /= 2) {
        if (t < half_size) shared[t] += shared[t + half_size];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (t == 0) out[group] = shared[0];
}
"""


@pytest.mark.parametrize("size", [1, 255, 256, 257, 100_000])
def test_reduction_with_barriers(size):
    groups = "ceildiv(x.size, 256)"
    op = kernel(
        REDUCTION,
        ["x"],
        martlet.Result("float32", (groups,)),
        groups,
        256,
        sizes={"n": "x.size"},
        grid_counts="threadgroups",
    )
    x = DICE.integers(-50, 50, size).astype(np.float32)
    expected = np.pad(x, (0, -size % 256)).reshape(-1, 256).sum(axis=1)
    np.testing.assert_array_equal(op(x).numpy(), expected)


SIMD = """
kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                  uint i [[thread_position_in_grid]], uint lane [[thread_index_in_simdgroup]]) {
    float sum = simd_sum(x[i]);
    float tree = x[i];
    for (ushort offset = 16; offset > 0; offset /= 2) tree += simd_shuffle_down(tree, offset);
    device float *row = out + i * 10;
    row[0] = sum;
    row[1] = simd_broadcast(tree, 0);
    row[2] = simd_max(x[i]);
    row[3] = simd_min(x[i]);
    row[4] = simd_prefix_inclusive_sum(x[i]);
    row[5] = simd_prefix_exclusive_sum(x[i]);
    row[6] = simd_shuffle_xor(x[i], 5);
    row[7] = quad_sum(x[i]);
    row[8] = simd_any(x[i] == 7) + 2 * simd_all(x[i] < 9);
    row[9] = lane < 10 ? simd_sum(1.0f) : simd_sum(2.0f);
}
"""


def test_simd_functions():
    op = kernel(SIMD, ["x"], martlet.Result("float32", ("x.size", 10)), "x.size", 64)
    x = DICE.integers(-9, 9, (8, 32)).astype(np.float32)
    lanes = np.arange(32)

    def across(values: Any) -> Any:
        return np.broadcast_to(np.asarray(values)[:, None], x.shape)

    expected = [
        across(x.sum(1)),
        across(x.sum(1)),
        across(x.max(1)),
        across(x.min(1)),
        x.cumsum(1),
        x.cumsum(1) - x,
        x[:, lanes ^ 5],
        np.repeat(x.reshape(8, 8, 4).sum(2), 4, axis=1),
        across((x == 7).any(1) + 2 * (x < 9).all(1)),
        np.broadcast_to(np.where(lanes < 10, 10, 44), x.shape),
    ]
    np.testing.assert_array_equal(op(x.ravel()).numpy().reshape(8, 32, 10), np.stack(expected, axis=2))


def test_simd_functions_in_a_last_group_that_is_smaller():
    body = """
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]]) {
        if (i % 3 == 0) return;
        out[i] = simd_sum(x[i]);
    }"""
    op = kernel(body, ["x"], "x", "x.size", 64)
    x = np.arange(75, dtype=np.float32)
    live = np.where(np.arange(75) % 3 == 0, 0, x)
    sums = np.repeat(np.pad(live, (0, 21)).reshape(3, 32).sum(1), 32)[:75]
    np.testing.assert_array_equal(op(x).numpy(), np.where(np.arange(75) % 3 == 0, 0, sums))


MATMUL = """
constant constexpr uint TILE = 8;
template <typename T>
void load(threadgroup T (&tile)[TILE][TILE + 1], const device T *from, uint2 at, uint2 size, uint2 t) {
    tile[t.y][t.x] = at.x < size.x && at.y < size.y ? from[at.y * size.x + at.x] : T(0);
}
template <typename T>
kernel void matmul(device const T *a [[buffer(0)]], device const T *b [[buffer(1)]], device T *out [[buffer(2)]],
                   constant uint &m [[buffer(3)]], constant uint &k [[buffer(4)]], constant uint &n [[buffer(5)]],
                   uint2 at [[thread_position_in_grid]], uint2 t [[thread_position_in_threadgroup]]) {
    threadgroup T left[TILE][TILE + 1], right[TILE][TILE + 1];
    T sum = 0;
    for (uint start = 0; start < k; start += TILE) {
        load(left, a, uint2(start + t.x, at.y), uint2(k, m), t);
        load(right, b, uint2(at.x, start + t.y), uint2(n, k), t);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint j = 0; j < TILE; j++) sum += left[t.y][j] * right[j][t.x];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (at.x < n && at.y < m) out[at.y * n + at.x] = sum;
}
template [[host_name("matmul_float")]] kernel void matmul<float>(
    device const float *, device const float *, device float *, constant uint &, constant uint &, constant uint &,
    uint2, uint2);
template [[host_name("matmul_int")]] [[kernel]] decltype(matmul<int>) matmul<int>;
"""


@pytest.mark.parametrize("dtype", ["float", "int"])
@pytest.mark.parametrize("sizes", [(1, 1, 1), (16, 8, 24), (37, 19, 53)])
def test_tiled_matmul_of_templates(dtype, sizes):
    m, k, n = sizes
    name = {"float": "float32", "int": "int32"}[dtype]
    op = kernel(
        MATMUL,
        {"a": name, "b": name},
        martlet.Result(name, ("a.shape[0]", "b.shape[1]")),
        ("ceildiv(n, 8)", "ceildiv(m, 8)"),
        (8, 8),
        function=f"matmul_{dtype}",
        sizes={"m": "a.shape[0]", "k": "a.shape[1]", "n": "b.shape[-1]"},
        grid_counts="threadgroups",
    )
    a, b = DICE.integers(-9, 9, (m, k)).astype(name), DICE.integers(-9, 9, (k, n)).astype(name)
    np.testing.assert_array_equal(op(a, b).numpy(), a @ b)
    found = {each["name"]: each["memory"] for each in martlet.metal_functions(HEAD + MATMUL)}
    assert found == {"matmul_float": 576, "matmul_int": 576}


SOFTMAX = """
kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], constant uint &n [[buffer(2)]],
                  threadgroup float *shared [[threadgroup(0)]], uint row [[threadgroup_position_in_grid]],
                  uint t [[thread_position_in_threadgroup]], uint size [[threads_per_threadgroup]],
                  uint lane [[thread_index_in_simdgroup]], uint group [[simdgroup_index_in_threadgroup]],
                  uint groups [[simdgroups_per_threadgroup]]) {
    device const float *from = x + row * n;
    float most = -INFINITY;
    for (uint i = t; i < n; i += size) most = max(most, from[i]);
    most = simd_max(most);
    if (lane == 0) shared[group] = most;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint g = 0; g < groups; g++) most = max(most, shared[g]);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float sum = 0;
    for (uint i = t; i < n; i += size) sum += precise::exp(from[i] - most);
    sum = simd_sum(sum);
    if (lane == 0) shared[group] = sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    sum = 0;
    for (uint g = 0; g < groups; g++) sum += shared[g];
    for (uint i = t; i < n; i += size) out[row * n + i] = exp(from[i] - most) / sum;
}
"""


@pytest.mark.parametrize("columns", [1, 100, 1000])
def test_softmax(columns):
    op = kernel(
        SOFTMAX,
        ["x"],
        "x",
        "x.shape[0]",
        128,
        sizes={"n": "x.shape[-1]"},
        memory="ceildiv(128, 32) * 4",
        grid_counts="threadgroups",
    )
    x = 5 * floats(9, columns)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    np.testing.assert_allclose(op(x).numpy(), e / e.sum(1, keepdims=True), rtol=1e-5)


HISTOGRAM = """
kernel void tried(device const uchar *x [[buffer(0)]], device atomic_uint *out [[buffer(1)]],
                  uint i [[thread_position_in_grid]], uint t [[thread_index_in_threadgroup]],
                  uint size [[threads_per_threadgroup]]) {
    threadgroup atomic_uint bins[16];
    for (uint b = t; b < 16; b += size) atomic_store_explicit(&bins[b], 0, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    atomic_fetch_add_explicit(&bins[x[i] & 15], 1, memory_order_relaxed);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint b = t; b < 16; b += size)
        atomic_fetch_add_explicit(&out[b], atomic_load_explicit(&bins[b], memory_order_relaxed), memory_order_relaxed);
}
"""


def test_histogram_with_atomics():
    op = kernel(HISTOGRAM, {"x": "uint8"}, martlet.Result("uint32", (16,)), "x.size", 100)
    x = DICE.integers(0, 256, 50_001).astype(np.uint8)
    for _ in range(2):  # outputs are zeros at each begin
        np.testing.assert_array_equal(op(x).numpy(), np.bincount(x & 15, minlength=16))


def test_atomics_of_floats():
    body = """
    kernel void tried(device const float *x [[buffer(0)]], device atomic_float *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
        atomic_fetch_add_explicit(out, x[i], memory_order_relaxed);
    }"""
    op = kernel(body, {"x": "float32"}, martlet.Result("float32", (1,)), "x.size", 256)
    x = DICE.integers(-5, 5, 100_000).astype(np.float32)
    np.testing.assert_array_equal(op(x).numpy(), [x.sum()])


POSITIONS = """
kernel void tried(device int *out [[buffer(1)]], device const float *x [[buffer(0)]],
                  uint2 at [[thread_position_in_grid]], ushort2 t [[thread_position_in_threadgroup]],
                  uint2 group [[threadgroup_position_in_grid]], uint2 size [[threads_per_threadgroup]],
                  uint2 all [[threads_per_grid]], uint2 groups [[threadgroups_per_grid]],
                  uint index [[thread_index_in_threadgroup]], uint2 nominal [[dispatch_threads_per_threadgroup]]) {
    device int *row = out + (at.y * all.x + at.x) * 8;
    row[0] = at.x * 100 + at.y;
    row[1] = t.x * 100 + t.y;
    row[2] = group.x * 100 + group.y;
    row[3] = size.x * 100 + size.y;
    row[4] = all.x * 100 + all.y;
    row[5] = groups.x * 100 + groups.y;
    row[6] = index;
    row[7] = nominal.x * 100 + nominal.y;
}
"""


def test_a_grid_whose_last_groups_are_smaller():
    op = kernel(POSITIONS, ["x"], martlet.Result("int32", (7, 10, 8)), ("x.shape[1]", "x.shape[0]"), (4, 3))
    y, x = np.mgrid[:7, :10]
    size_x, size_y = np.minimum(4, 10 - x // 4 * 4), np.minimum(3, 7 - y // 3 * 3)
    whole = np.ones_like(x)
    expected = [
        x * 100 + y,
        x % 4 * 100 + y % 3,
        x // 4 * 100 + y // 3,
        size_x * 100 + size_y,
        1007 * whole,
        303 * whole,
        y % 3 * size_x + x % 4,
        403 * whole,
    ]
    np.testing.assert_array_equal(op(floats(7, 10)).numpy(), np.stack(expected, axis=2))


def test_halves():
    body = """
    kernel void tried(device const half *x [[buffer(0)]], device half *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
        half4 v = half4(x[i], 1.0h, half2(2.0h));
        out[i] = (v.x * 3.0h + v.y) * v.z;
    }"""
    op = kernel(body, {"x": "float16"}, "x", "x.size", 32)
    x = floats(1000).astype(np.float16)
    expected = (x * np.float16(3) + np.float16(1)) * np.float16(2)
    assert expected.dtype == np.float16
    np.testing.assert_array_equal(op(x).numpy(), expected)


LANGUAGE = """
struct Place { uint row; float weight; packed_float3 bias; };
namespace tools {
    struct Sum { template <typename T> T operator()(T a, T b) { return a + b; } };
    inline float4 lifted(float3 v, float w) { return float4(v, w); }
}
constant float table[4] = {1, 2.5, 3e0, 4.0f};
enum Mode : uint { PLAIN, ODD };
using four = float4;
#define SCALE(x) ((x) * 2.0)
template <typename T, typename Op, int N>
T reduced(const device T *x, thread T &last) {
    Op op;
    T r = 0;
    for (int j = 0; j < N; j++) r = op(r, x[j]);
    last = x[N - 1];
    return static_cast<T>(r);
}
METAL_FUNC half4 widened(half2 h) { return half4(h, h.yx); }
kernel void tried(device const float *x, device float *out) {
    float last;
    out[0] = reduced<float, tools::Sum, 4>(x, last);
    out[1] = last;
    four v = four(x[0], float2(1, 2), 3.0);
    float4 w = float4(widened(half2(1.0h, 2.0h))) + (float4)int4(1, 2, 3, 4);
    out[2] = dot(v, w);
    bool4 m = v < w;
    out[3] = any(m) + 10 * all(m) + 100 * m.x;
    w = select(v, w, m);
    w.xyz += tools::lifted(w.zyx, 1.0).xyz;
    out[4] = w.x;
    out[5] = w.y;
    float2x2 a = float2x2(float2(1, 2), float2(3, 4));
    float2 b = a * float2(1, 10);
    out[6] = b.x;
    out[7] = b.y;
    out[8] = as_type<float>(as_type<uint>(x[1]) ^ 0x80000000u);
    thread float local[4];
    for (ushort j = 0; j < 4; ++j) local[j] = table[j] * j;
    thread float *pointer = local + 1;
    out[9] = pointer[2] + SCALE(1) + ODD;
    Place p = {3, 0.5, packed_float3(float3(1, 2, 3))};
    out[10] = p.row + p.weight + p.bias[1] + float3(p.bias).z;
    out[11] = popcount(7u) + 10 * clz(1u) + 1000 * (1 << 3) + mulhi(0x80000000u, 6u) + reverse_bits(1u) / 0x80000000u;
    out[12] = length(float3(2, 3, 6)) + cross(float3(1, 0, 0), float3(0, 1, 0)).z + fract(1.25) + sign(-2.0);
    out[13] = clamp(v, 0.0, 2.0).w + max(v, 1.5f).y + mix(1.0, 3.0, 0.25) + step(0.5, 0.75) + rsqrt(4.0);
    out[14] = isnan(NAN) + 10 * isinf(INFINITY) + 100 * (FLT_MAX > 1e38);
    int i = -7;
    out[15] = abs(i) + i / 2 + i % 3 + (i >> 1) + uint(max(i, 3));
    switch (p.row) { case 3: out[16] = 1; break; default: out[16] = 2; }
}
"""


def test_the_language():
    x = np.array([1.5, 2.25, -3, 4], np.float32)
    op = kernel(LANGUAGE, {"x": "float32"}, martlet.Result("float32", (17,)), 1, 1)
    v, w = np.array([1.5, 1, 2, 3]), np.array([2, 4, 5, 5])  # (1, 2, 2, 1) + (1, 2, 3, 4)
    chosen = np.where(v < w, w, v)
    expected = [
        x.sum(),
        4,
        v @ w,
        111,
        chosen[0] + chosen[2],
        chosen[1] + chosen[1],
        31,
        42,
        -2.25,
        4.0 * 3 + 2 + 1,
        3.5 + 2 + 3,
        3 + 310 + 8000 + 3 + 1,
        7 + 1 + 0.25 - 1,
        2 + 1.5 + 1.5 + 1 + 0.5,
        111,
        7 - 3 - 1 - 4 + 3,
        1,
    ]
    np.testing.assert_array_equal(op(x).numpy(), expected)


def test_structures_in_constant_buffers():
    body = """
    struct Params { uint count; float scale; float2 shift; };
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                      constant Params &p [[buffer(2)]], uint i [[thread_position_in_grid]]) {
        out[i] = i < p.count ? x[i] * p.scale + p.shift.y : 0;
    }"""
    op = kernel(body, {"x": "float32", "params": "uint8"}, "x", "x.size", 32, buffers=["x", "out", "params"])
    params = np.array([(5, 2.0, (0.0, 7.0))], [("count", "u4"), ("scale", "f4"), ("shift", "f4", 2)])
    x = floats(8)
    found = op(x, np.frombuffer(params.tobytes(), np.uint8)).numpy()
    np.testing.assert_array_equal(found, np.where(np.arange(8) < 5, x * 2 + np.float32(7), 0))


# What kernels in the wild write: each makes `r` of `v`, which is x[i].

WILD = {
    "templates specialized": (
        "template <typename T> inline T twice(T x) { return x; }\n"
        "template <> inline float twice<float>(float x) { return 2 * x; }\n"
        "template <> inline int twice<int>(int x) { return 3 * x; }",
        "r = twice(v) + twice(1);",
        lambda x: 2 * x + 3,
    ),
    "operators of structures": (
        "struct Pair { float a, b; };\n"
        "inline Pair operator-(Pair p) { return {-p.a, -p.b}; }\n"
        "inline bool operator<(Pair p, Pair q) { return p.a < q.a; }\n"
        "inline float operator==(Pair p, Pair q) { return p.a - q.b; }",
        "Pair p = {v, 2}; r = (-p == p) + (p < -p);",
        lambda x: -x - 2 + (x < 0),
    ),
    "vectors declared by constructors": (
        "",
        "float3 p(v, 2.0f, 3.0f), q(1); half4 h(1.0h); float4 w(p, 1.0); uint2 u(1, 2); "
        "r = w.x + w.z + q.y + h.w + u.y;",
        lambda x: x + 3 + 1 + 1 + 2,
    ),
    "one float among integers": (
        "",
        "r = pow(v, 2) + fmax(v, 0) + fma(v, 2, 1) + mix(v, 1, 0.5f) + step(0, v) + precise::pow(4.0f, 2u);",
        lambda x: x * x + np.maximum(x, 0) + 2 * x + 1 + (x + 1) / 2 + (x >= 0) + 16,
    ),
    "functions by the names of both precisions": (
        "",
        "float3 n = fast::normalize(float3(v, 1.0, 2.0)); r = fast::clamp(v, 0.0, 1.0) + precise::max(v, 0.5) + "
        "fast::min(v, 0.25) + precise::length(n) + fast::saturate(v);",
        lambda x: 2 * np.clip(x, 0, 1) + np.maximum(x, 0.5) + np.minimum(x, 0.25) + 1,
    ),
    "vectors made of comparisons": (
        "",
        "float4 w = float4(v, -v, 0, 1); r = float4(w > 0.0).x + 10 * dot((float4)(w == w), float4(1)) + "
        "static_cast<float4>(w < 0.5 && w > -9.0).z + int4(!(w != 0.0)).z + float2((w.xy < 1) & (w.xy > -9)).x + "
        "dot(float2(v < 1, 2), float2(v > 0, 1)) + float4(v < 0 ? w : -w).x + int2(uint2(9) >> 2).y;",
        lambda x: (x > 0) + 40 + 1 + 1 + (x < 1) + ((x < 1) & (x > 0)) + 2 - np.abs(x) + 2,
    ),
    "overloads by address space": (
        "inline float first(device const float *p) { return p[0]; }\n"
        "inline float first(constant float *p) { return p[0]; }\n"
        "inline float first(const thread float *p) { return p[0]; }",
        "const float own[1] = {2}; r = first(x + i) + first(own);",
        lambda x: x + 2,
    ),
    "names that the library might have": (
        "constant int parts = 4; constant float bare = 2; struct packed { float a; };\n"
        "inline float each(float x) { return x; } inline float exactly(float x) { return x; }",
        "packed p = {v}; r = p.a + each(parts) + exactly(bare);",
        lambda x: x + 6,
    ),
    "members of a structure's alias": (
        "typedef struct { float scale; int n; } args;\ninline float scale(float x) { return 3 * x; }",
        "args a; a.scale = 2; a.n = 1; r = scale(v) * a.scale + a.n;",
        lambda x: 6 * x + 1,
    ),
    "arithmetic of packed vectors": (
        "",
        "packed_float3 p = {v, 2, 3}; packed_float3 q = p * 2.0f; q += p; q /= 2.0f; "
        "q = q / p * 2 * p / 2; q = -q - p + 2 * float3(p); r = q.x + q[2];",
        lambda x: (-1.5 - 1 + 2) * (x + 3),
    ),
    "divisors that are 0": (
        "constant int four = 4; template <int N> struct half_of { static constexpr constant int value = N / 2; };",
        "int n = int(i) - 50, m = 0; int4 w0 = int4(8, 5, 7, 3); int own[four / 2] = {7, n % four}; uint u = i; "
        "u %= 7; n /= 3; int k = n; k %= m; k /= m; w0.x /= 2; w0.y %= 3; w0 %= 4; "
        "int4 w = int4(9, 8, 7, -6) / int4(2, m, -1, 4); float f = v / 4; f /= 2; "
        "r = n / m + n % m + 100 * (w.x + w.y + w.z + w.w) + (-2147483647 - 1) / (m - 1) * 0 + float(u) + own[1] "
        "+ own[0] / 2 + half_of<8>::value + 1.0 / 4 + (n / 2.0h > 3) + f + k + w0.x + w0.y + w0.z + w0.w;",
        lambda x: (
            100 * (4 - 7 - 1)
            + 8
            + np.arange(100) % 7
            + np.fmod(np.arange(100) - 50, 4)
            + 7.25
            + (np.trunc((np.arange(100) - 50) / 3) > 6)
            + x / 8
        ),
    ),
    "methods that declare vectors": (
        "struct Ray { float3 o; float3 at(float t) const { float3 p(o.x, t, 1), q(2); return p + q; } };",
        "Ray a = {float3(v)}; float3 p = a.at(3); r = p.x + p.y + p.z;",
        lambda x: x + 3 + 1 + 6,
    ),
    "members once for each address space": (
        "struct Pair {\n"
        "    float a, b;\n"
        "    constexpr Pair() : a(1), b(2) {};\n"
        "    constexpr Pair() threadgroup : a(1), b(2) {};\n"
        "    template <typename T> constexpr Pair(T x) thread : a(x), b(3) {}\n"
        "    template <typename T> constexpr Pair(T x) threadgroup : a(x), b(3) {}\n"
        "    float sum() const device { return a + b; }\n"
        "    float sum() const constant { return a + b; }\n"
        "    float sum(float c) const thread { return a + b + c; }\n"
        "};",
        "Pair p; Pair q(v); r = p.sum() + q.sum(1);",
        lambda x: 3 + x + 4,
    ),
    "types that belong to templates": (
        "template <typename T> struct wide { using type = vec<T, 4>; };\nnamespace some { typedef float2 two; }",
        "r = float(typename wide<half>::type(1.0h).w) + some::two(v).y + metal::float2(2, 3).y;",
        lambda x: 1 + x + 3,
    ),
    "divisors that change what is divided": (
        "struct Pair { float a; int n[2]; }; inline thread int &one(thread Pair &p) { return p.n[1]; }",
        "Pair p = {1, {9, 8}}; thread Pair *q = &p; int m = 0; float f = v > 0 ? 1 : -1; f /= m; q->n[m] /= m; "
        "p.n[0] /= 2; one(p) /= 3; (*q).a /= 4; *&m /= 1; float2 w = {3, v}; w /= 2; w.x /= 3; "
        "int4 z = int4(7, 8, -9, 10); z /= int4(2, m, 2, 3); uint3 u = uint3(9); "
        "u.y /= m; u.z /= 2; if (m == 0) (m) /= m; "
        "r = (f > 0 ? INFINITY == f : -INFINITY == f) + p.n[0] + p.n[1] + p.a + w.x + w.y + z.x + z.z + z.w + u.z;",
        lambda x: 1 + 0 + 2 + 0.25 + 0.5 + x / 2 + 3 - 4 + 3 + 4,
    ),
    "quotients by 0 and by -1": (
        "",
        "int least = v == 1234567 ? 0 : -2147483647 - 1, m = least == 0 ? 0 : -1, none = m + 1; "
        "int a = least, b = least; a /= m; b %= m; int c = 7, d = 7; c /= none; d %= none; "
        "uint e = 4294967295u; e /= m; short f = -32768; f /= m; int g = -7; g /= 2; uint h = 4000000000u; h %= 7; "
        "r = (a == least) + (b == 0) * 2 + (c == 0) * 4 + (d == 0) * 8 + (e == 1) * 16 + (f == -32768) * 32 "
        "+ (g == -3) * 64 + (h == 4000000000u % 7u) * 128 + (least / m == least) * 256 + (least % m == 0) * 512;",
        lambda x: np.full_like(x, 1023),
    ),
    "sums and products that hold": (
        "",
        "r = madsat(2000000000, 3, 1) == 2147483647 && madsat(-2000000000, 3, 1) == (-2147483647 - 1) "
        "&& madsat(4000000000u, 2u, 1u) == 4294967295u "
        "&& madsat(7, 3, 1) == 22 && madsat(1ul << 63, 3ul, 0ul) == ~0ul;",
        lambda x: np.ones_like(x),
    ),
}


@pytest.mark.parametrize("name", WILD)
def test_what_kernels_in_the_wild_write(name):
    helpers, body, expected = WILD[name]
    source = f"""
    {helpers}
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {{
        const float v = x[i]; float r = 0;
        {body}
        out[i] = r;
    }}"""
    x = floats(100)
    found = kernel(source, {"x": "float32"}, "x", "x.size", 32)(x).numpy()
    np.testing.assert_allclose(found, expected(x), rtol=1e-5, atol=1e-5)


def test_parts_of_tensors_lie_anywhere():
    body = """
    kernel void tried(device const float4 *x [[buffer(0)]], device float4 *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
        out[i] = x[i] * 2.0f;
    }"""
    op = kernel(body, {"x": "float32"}, "x", "x.size / 4", 32)
    x = floats(1001)
    np.testing.assert_array_equal(op(martlet.Tensor(x)[1:997]).numpy(), 2 * x[1:997])
    np.testing.assert_array_equal(op(x[1:]).numpy(), 2 * x[1:])


def test_bytes_of_any_type():
    body = """
    kernel void tried(device const char *x [[buffer(0)]], device float *out [[buffer(1)]],
                      constant ulong &step [[buffer(2)]], uint i [[thread_position_in_grid]]) {
        out[i] = *(device const float *)(x + i * step);
    }"""
    op = kernel(body, {"x": None}, martlet.Result("float32", (5,)), 5, 5, constants={"step": np.uint64(8)})
    x = floats(10)
    np.testing.assert_array_equal(op(x).numpy(), x[::2])
    np.testing.assert_array_equal(op(x.view(np.uint8)).numpy(), x[::2])


def test_bfloat():
    body = """
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]]) {
        typedef bfloat narrow; typedef half short_float;
        narrow b = narrow(x[i]); short_float h = static_cast<short_float>(b); out[i] = h + narrow(1.0h);
    }"""
    x = np.array([1, 1 + 2**-9, 3.5, -0.25], np.float32)
    np.testing.assert_array_equal(kernel(body, ["x"], "x", "x.size", 4)(x).numpy(), [2, 2, 4.5, 0.75])


def test_functions_that_only_spaces_tell_apart():
    body = """
    inline float place(device const float *p) { return 1; }
    inline float place(threadgroup const float *p) { return 2; }
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]]) { out[0] = place(x); }"""
    with pytest.raises(martlet.UnsupportedError, match=r"Line 5 .*'place' differs .* by address spaces alone"):
        kernel(body, {"x": "float32"}, "x", 1, 1)(floats(1))


# Kernels as ops

AXPY = """
kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]], constant float &a [[buffer(2)]],
                  constant int &k [[buffer(3)]], constant bool &negate [[buffer(4)]],
                  constant float *w [[buffer(5)]], uint i [[thread_position_in_grid]]) {
    float y = x[i] * a + k + w[i % 3];
    out[i] = negate ? -y : y;
}
"""


def test_constants_by_value():
    op = kernel(
        AXPY, {"x": "float32"}, "x", "x.size", 64, constants={"a": 2.0, "k": 1, "negate": False, "w": [1.0, 2.0, 3.0]}
    )
    x = DICE.integers(-9, 9, (2, 3)).astype(np.float32)
    np.testing.assert_array_equal(op(x).numpy(), x * 2 + 1 + [1, 2, 3])
    found = op(x, a=3, negate=True, k=5, w=[0.0, 0.0, 1.0]).numpy()
    np.testing.assert_array_equal(found, -(x * 3 + 5 + [0, 0, 1]))


def test_a_constant_that_must_be_given():
    body = """
    kernel void tried(device const half *x [[buffer(0)]], device half *out [[buffer(1)]],
                      constant half &a [[buffer(2)]], uint i [[thread_position_in_grid]]) { out[i] = x[i] * a; }"""
    op = kernel(body, {"x": "float16"}, "x", "x.size", 64, constants={"a": "float16"})
    x = floats(5).astype(np.float16)
    np.testing.assert_array_equal(op(x, np.float16(3)).numpy(), x * np.float16(3))
    with pytest.raises(martlet.InvalidArgumentError, match="'a'"):
        op(x)


def test_several_outputs():
    body = """
    kernel void tried(device const float *x [[buffer(0)]], device float *small [[buffer(1)]],
                      device int *whole [[buffer(2)]], uint i [[thread_position_in_grid]]) {
        small[i] = fract(x[i]);
        whole[i] = int(floor(x[i]));
    }"""
    outputs = {"small": "x", "whole": martlet.Result("int32", "x")}
    op = kernel(body, {"x": "float32"}, outputs, "small.size", 64)
    x = floats(4, 5) * 10
    small, whole = op(x)
    np.testing.assert_allclose(small.numpy(), x - np.floor(x), atol=1e-6)
    np.testing.assert_array_equal(whole.numpy(), np.floor(x))


TWICE = """
kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) { out[i] = x[i] * 2; }
"""


def test_in_mil_text_and_traces():
    op = kernel(TWICE, {"x": "float32"}, "x", "x.size", 256)
    x = floats(2, 3)
    text = """program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> x) {
        h = add(x = x, y = x); t = transpose(x = h, perm = [1, 0]); y = tried(x = t); } -> (y); }"""
    model = martlet.parse(text)
    np.testing.assert_array_equal(model(x=x)["y"], (x * 4).T)
    (step,) = [step for step in model.plan() if step.kernel == "custom"]
    assert "Metal kernel" in step.reason
    traced = martlet.trace(lambda x: op(x + x) - x, martlet.TensorSpec((2, 3)))
    np.testing.assert_array_equal(traced(x=x)["output"], x * 3)


def test_it_is_told():
    op = kernel(
        TWICE, {"x": "float32"}, "x", ("x.size",), (256,), words="x times two.", function="tried", memory=("x.size", 16)
    )
    found = next(each for each in martlet.ops() if each["name"] == "tried")
    assert (found["words"], found["custom"]["cpu"], found["custom"]["pure"]) == ("x times two.", True, True)
    assert found["custom"]["metal"] == {
        "source": HEAD + TWICE,
        "function": "tried",
        "grid": ["x.size", 1, 1],
        "grid_counts": "threads",
        "threadgroup": [256, 1, 1],
        "memory": ["x.size", 16],
        "buffers": ["x", "out"],
        "outputs": ["out"],
    }
    assert isinstance(op.metal, martlet.MetalKernel)


def test_a_function_beside_a_kernel():
    metal = martlet.MetalKernel("no source at all", "x.size", 64)
    op = martlet.custom_op("halved", lambda x: x / 2, inputs={"x": "float32"}, metal=metal)
    np.testing.assert_array_equal(op(np.float32([2, 4])).numpy(), [1, 2])
    with pytest.raises(martlet.WrongTypeError, match="MetalKernel"):
        martlet.custom_op("halved", lambda x: x / 2, metal="kernel void halved() {}")


def test_the_fallback_from_metal_is_counted_by_name():
    if martlet.is_metal_available():
        pytest.skip("Metal runs the kernel")
    kernel(TWICE, {"x": "float32"}, "x", "x.size", 256)
    backend = martlet.CoreMLBackend()
    x = np.ones(1 << 16, np.float32)
    np.testing.assert_array_equal(backend.run("tried", x=x), x * 2)
    stats = backend.get_stats()
    assert stats.fallback_operations == 1
    (reason,) = stats.fallbacks["metal"]
    assert "Metal" in reason


def test_without_elements():
    op = kernel(TWICE, {"x": "float32"}, "x", "x.size", 256)
    assert op(np.zeros((0, 3), np.float32)).shape == (0, 3)


@pytest.mark.parametrize("source", [TWICE, REDUCTION], ids=["loops", "barriers"])
def test_eight_threads(source):
    groups = "ceildiv(x.size, 256)"
    if source == TWICE:
        op = kernel(source, {"x": "float32"}, "x", "x.size", 256)
    else:
        result = martlet.Result("float32", (groups,))
        op = kernel(source, ["x"], result, groups, 256, sizes={"n": "x.size"}, grid_counts="threadgroups")

    def work(number: int) -> bool:
        for turn in range(12):
            x = np.full(256 * (number + 1), number + turn, np.float32)
            expected = x * 2 if source == TWICE else x.reshape(-1, 256).sum(1)
            np.testing.assert_array_equal(op(x).numpy(), expected)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


# What is refused


def test_threads_that_do_not_meet():
    body = """
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                      uint i [[thread_position_in_grid]], uint2 t [[thread_position_in_threadgroup]]) {
        if (x[0] == 1 && t.x == 3) return;
        if (x[0] == 2 && t.x == 3)
            threadgroup_barrier(mem_flags::mem_threadgroup);
        else
            threadgroup_barrier(mem_flags::mem_threadgroup);
        out[i] = x[i];
    }"""
    op = kernel(body, {"x": "float32"}, "x", "x.size", 32)
    x = np.zeros(64, np.float32)
    np.testing.assert_array_equal(op(x).numpy(), x)
    x[0] = 1
    with pytest.raises(martlet.CallbackError) as ended:
        op(x)
    for words in ("tried", "threadgroup (", "waits at line 10", "thread (3, 0, 0) has ended", "31 of 32"):
        assert words in str(ended.value)
    x[0] = 2
    with pytest.raises(martlet.CallbackError) as parted:
        op(x)
    for words in ("(0, 0, 0) waits at line 10", "(3, 0, 0) waits at line 8"):
        assert words in str(parted.value)
    x[0] = 0  # what stopped halfway does not hurt the next run
    np.testing.assert_array_equal(op(x).numpy(), x)


ARGUMENTS = "device const float *x [[buffer(0)]], device float *out [[buffer(1)]], uint i [[thread_position_in_grid]]"


def line(text: str) -> str:
    """A kernel with this as its line 5."""
    return f"kernel void tried({ARGUMENTS}) {{\n\n{text}\n}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("out[i] = foo(x[i]);", "undeclared identifier 'foo'"),
        ("out[i] = float4(1, 2).x;", "as many elements as it has"),
        ("out[i] = exp(3);", "exp takes float or half"),
        ("half4 h = float4(1);", "half"),
        ("double y = x[i];", "no double in Metal"),
        ("out[i] = std::exp(x[i]);", "no std::"),
        ("goto end; end: out[i] = 1;", "no goto"),
        ("float *p = new float[3];", "no 'new'"),
        ("try { out[i] = 1; } catch (int e) {}", "no exceptions"),
        ("out[i] = ;", "expected expression"),
        (
            "float big[100000]; for (int j = 0; j < 100000; j++) big[j] = x[j]; out[i] = big[i];",
            "variables of each thread",
        ),
    ],
)
def test_faults_of_the_source_at_their_line(text, words):
    with pytest.raises(martlet.MalformedError) as raised:
        martlet.metal_functions(HEAD + line(text))
    assert words in str(raised.value)
    if "each thread" not in words:
        assert "ine 5" in str(raised.value)
    for ours in ("mk_", "metal_stdlib", "ext_vector_type", ".cpp"):
        assert ours not in str(raised.value)


def test_several_faults_with_their_lines():
    with pytest.raises(martlet.MalformedError) as raised:
        martlet.metal_functions(HEAD + line("out[i] = one;\n\n#define TWO two\nout[i] = TWO;"))
    for words in ("2 errors", "line 5: use of undeclared identifier 'one'\n    out[i] = one;", "line 8: ", "'two'"):
        assert words in str(raised.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("float f(float *p) { return *p; }\nkernel void k() {}", "Line 3 .*address space"),
        ("kernel void k(const float *x [[buffer(0)]]) {}", "Line 3 .*address space"),
        ("int f(int n) { return n < 2 ? n : f(n - 1); }\nkernel void k() {}", "Line 3 .*calls itself"),
        (
            "int g(int n);\nint f(int n) { return g(n); }\n"
            "int h(int n) { return q(n); }\nint q(int n) { return h(n); }",
            "recurs",
        ),
        ("struct A { virtual void f(); };", "Line 3 .*virtual"),
        ("threadgroup float x[4];", "Line 3 .*declared in a kernel"),
        ("void f() {\n threadgroup float x[4];\n}", "Line 4 .*declared in a kernel"),
        ("kernel void k(device const float *x [[buffer(0)]]) {\n const float *p = x;\n}", "Line 4 .*address space"),
        ("struct A { int n; int f() const { int &m = n; return m; } };", r"Line 3 .*'int &m' needs an address space"),
        ("kernel void k(uint i) {}", "Line 3 .*needs an attribute"),
        ("kernel void k(uint i [[vertex_id]]) {}", r"Line 3 .*\[\[vertex_id\]\]"),
        ('#include "mine.h"\nkernel void k() {}', "line 3: .*mine.h"),
        ("#error no good\nkernel void k() {}", "line 3: no good"),
        ("kernel void k() {", "Line 3 .*never closed"),
    ],
)
def test_what_cplusplus_would_take(source, words):
    with pytest.raises(martlet.MalformedError, match=words):
        martlet.metal_functions(HEAD + source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("kernel void k(texture2d<float> t [[texture(0)]]) {}", "texture2d.*textures"),
        ("kernel void k() {\n simdgroup_float8x8 m;\n}", "Line 4 .*simdgroup matrices"),
        ("constant bool b [[function_constant(0)]];\nkernel void k() {}", "Line 3 .*function constants"),
        ("constexpr sampler s;", "samplers"),
    ],
)
def test_what_only_a_gpu_has(source, words):
    with pytest.raises(martlet.UnsupportedError, match=words):
        martlet.metal_functions(HEAD + source)


def test_overloads_are_no_recursion():
    source = """
    float f(float x) { return x; }
    float2 f(float2 v) { return float2(f(v.x), f(v.y)); }
    kernel void k(device float *out [[buffer(0)]]) { out[0] = f(float2(1, 2)).y; }"""
    assert [each["name"] for each in martlet.metal_functions(HEAD + source)] == ["k"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"threadgroup": 2000}, martlet.InvalidArgumentError, "1024"),
        ({"threadgroup": 0}, martlet.InvalidArgumentError, "1 or more"),
        ({"grid": "y.size"}, martlet.InvalidArgumentError, "'y'"),
        ({"grid": "x.shape[2]"}, martlet.InvalidArgumentError, "dimension 2 of 'x'"),
        ({"grid": "x.size /"}, martlet.InvalidArgumentError, "its end"),
        ({"grid": "x.size % (x.rank - 1)"}, martlet.InvalidArgumentError, "divides by zero"),
        ({"grid": (1, 1, 1, 1)}, martlet.InvalidArgumentError, "1 to 3"),
        ({"grid": 1.5}, martlet.WrongTypeError, "must be integers"),
        ({"grid": "x.size * -1"}, martlet.InvalidArgumentError, "0 or more"),
        ({"memory": 40_000}, martlet.InvalidArgumentError, "32768"),
        ({"function": "other"}, martlet.NotFoundError, "it has tried"),
        ({"inputs": {"x": "int32"}}, martlet.WrongTypeError, "fp32.*int32"),
        ({"inputs": {"x": "float64"}}, martlet.WrongTypeError, "Metal does not have"),
        ({"inputs": []}, martlet.Error, ""),
        ({"buffers": ["out", "x"]}, martlet.InvalidArgumentError, "must not be const"),
        ({"buffers": ["x", "out", "z"]}, martlet.InvalidArgumentError, "'z'"),
        ({"buffers": ["x"]}, martlet.InvalidArgumentError, "bound to no buffer"),
        ({"constants": {"a": 1j}}, martlet.WrongTypeError, "'a'"),
        ({"grid_counts": "fish"}, martlet.MalformedError, "threadgroups"),
    ],
    ids=str,
)
def test_declarations_that_do_not_fit(change, error, words):
    fields = {"inputs": {"x": "float32"}, "outputs": "x", "grid": "x.size", "threadgroup": 64} | change

    def declare_and_run():
        op = kernel(TWICE, **fields)
        op(np.ones(3, np.dtype(fields["inputs"]["x"])))

    with pytest.raises(error, match=words or None):
        declare_and_run()


def test_inputs_may_not_be_written():
    op = kernel(TWICE.replace("device const", "device"), {"x": "float32"}, "x", "x.size", 64)
    with pytest.raises(martlet.InvalidArgumentError, match="must be const"):
        op(floats(3))


def test_too_much_threadgroup_memory():
    body = f"kernel void tried({ARGUMENTS}) {{ threadgroup float s[9000]; s[i] = x[i]; out[i] = s[i]; }}"
    with pytest.raises(martlet.InvalidArgumentError, match=r"36000 bytes .*32768"):
        kernel(body, {"x": "float32"}, "x", "x.size", 64)(floats(3))


def test_a_kernel_that_says_how_many_threads_it_takes():
    body = "[[max_total_threads_per_threadgroup(32)]] " + TWICE.strip()
    with pytest.raises(martlet.InvalidArgumentError, match="1 to 32"):
        kernel(body, {"x": "float32"}, "x", "x.size", 64)(floats(3))


# The compiler and what it made


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    text = "import numpy as np\nimport martlet\n" + program
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, env=os.environ | environment
    )


LISTED = "print([each['name'] for each in martlet.metal_functions('kernel void tried() {}')])"


def test_without_clang(tmp_path):
    done = run(LISTED, MARTLET_CLANG="/nonexistent", MARTLET_CACHE=str(tmp_path))
    assert "UnsupportedError" in done.stderr
    assert "MARTLET_CLANG is '/nonexistent'" in done.stderr


def test_a_clang_that_fails(tmp_path):
    (tmp_path / "clang").write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    (tmp_path / "clang").chmod(0o755)
    done = run(LISTED, MARTLET_CLANG=str(tmp_path / "clang"), MARTLET_CACHE=str(tmp_path))
    assert "UnsupportedError" in done.stderr
    assert "status 3" in done.stderr
    assert "it is broken" in done.stderr


def kernels(folder):
    """The entries of the cache on disk, with what clang made of each."""
    return sorted(folder.glob("compiled/msl-*/content/kernels.so"))


def test_what_was_compiled_is_found_again(tmp_path):
    assert "['tried']" in run(LISTED, MARTLET_CACHE=str(tmp_path)).stdout
    (kept,) = kernels(tmp_path)
    before = kept.stat()
    assert "['tried']" in run(LISTED, MARTLET_CACHE=str(tmp_path)).stdout
    (same,) = kernels(tmp_path)
    assert (same, same.stat().st_ino) == (kept, before.st_ino)
    with open(same, "ab") as file:  # no longer what was written
        file.write(b"odd")
    assert "['tried']" in run(LISTED, MARTLET_CACHE=str(tmp_path)).stdout
    (new,) = kernels(tmp_path)
    assert new.stat().st_size == before.st_size
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("martlet-*/content/kernel.cpp"))


def test_what_cannot_be_loaded_is_compiled_again(tmp_path):
    assert "['tried']" in run(LISTED, MARTLET_CACHE=str(tmp_path)).stdout
    (kept,) = kernels(tmp_path)
    right = kept.read_bytes()
    kept.write_bytes(bytes(len(right)))  # whole by its size
    assert "['tried']" in run(LISTED, MARTLET_CACHE=str(tmp_path)).stdout
    (new,) = kernels(tmp_path)
    assert new.read_bytes()[:4] == right[:4]


def test_a_cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = run(LISTED, MARTLET_CACHE=str(tmp_path / "file"))
    assert "['tried']" in done.stdout


def test_two_processes_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run(LISTED, MARTLET_CACHE=str(tmp_path)), range(4)))
    assert ["['tried']" in each.stdout for each in found] == [True] * 4
    assert len(kernels(tmp_path)) == 1


def test_macros_of_the_language():
    body = """
    kernel void tried(device const float *x [[buffer(0)]], device float *out [[buffer(1)]]) {
    #if defined(__METAL__) && __METAL_VERSION__ >= 300 && !defined(__linux__)
        out[0] = __LINE__;
    #endif
    }"""
    op = kernel(body, {"x": "float32"}, martlet.Result("float32", (1,)), 1, 1)
    np.testing.assert_array_equal(op(floats(1)).numpy(), [6])


def test_the_example_of_the_documentation():
    text = martlet.metal_kernel.__doc__
    example = text[text.index("    scale = martlet") : text.index("The buffers are")]
    program = "\n".join(each[4:] if each.startswith("    ") else each for each in example.splitlines())
    names: dict[str, Any] = {"martlet": martlet}
    exec("\n".join(each[4:] if each.startswith("    ") else each for each in program.splitlines()), names)
    np.testing.assert_array_equal(names["scale"](np.float32([1, 2]), factor=3.0).numpy(), [3, 6])


def test_the_header_tells_of_it():
    text = (ROOT / "Sources/CHeader/include/martlet.h").read_text()
    assert "mlt_metal_functions" in text
    assert "ceildiv" in text
