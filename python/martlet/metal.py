"""Metal kernels: functions in the Metal Shading Language as data, which Metal runs, and the CPU by clang."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from martlet._native import answer, ffi, lib
from martlet.custom import CONSTANTS, CustomOp, Entry, Parameter, Result, declared_result, listed, mil_name, register
from martlet.errors import InvalidArgumentError, WrongTypeError

__all__ = ["MetalKernel", "metal_functions", "metal_kernel"]

Size = int | str


@dataclass(frozen=True)
class MetalKernel:
    """A kernel in the Metal Shading Language, and how many threads run it.

    A size is an integer, or an expression over the shapes of a call: `"x.size"`, `"x.shape[-1]"`, `"x.rank"` for
    parameters and outputs, names of constants that are integers, `+ - * / %` (`/` rounds down), parentheses,
    `min(a, b)`, `max(a, b)` and `ceildiv(a, b)`.

    Attributes:
        source: The whole text, with `kernel void name(...)`.
        grid: One to three sizes: how many threads there are, or threadgroups.
        threadgroup: One to three sizes: how many threads a threadgroup has, 1024 at most.
        function: The kernel's name in the source; by default the op's.
        grid_counts: Whether the grid counts `"threads"`, so that groups at its edge may be smaller, or
            `"threadgroups"`.
        memory: The bytes of `[[threadgroup(0)]]`, `[[threadgroup(1)]]`, …, 32 KiB at most.
        sizes: Names and sizes that the kernel gets by value as `constant uint &`.
        outputs: Names by which sizes call the outputs; by default `out`, or `out0`, `out1`, ….
        buffers: What `[[buffer(0)]]`, `[[buffer(1)]]`, … are: names of parameters, outputs and sizes. By default
            tensors, outputs, constants, sizes.
    """

    source: str
    grid: Size | Sequence[Size]
    threadgroup: Size | Sequence[Size]
    function: str | None = None
    grid_counts: str = "threads"
    memory: Size | Sequence[Size] = ()
    sizes: Mapping[str, Size] = field(default_factory=dict)
    outputs: Sequence[str] | None = None
    buffers: Sequence[str] | None = None

    def declared(self, op: str, parameters: list[Parameter]) -> dict[str, Any]:
        """The kernel in the JSON of `mlt_custom_op`."""
        fields: dict[str, Any] = {
            "source": self.source,
            "function": self.function or op,
            "grid": sizes("grid", self.grid),
            "threadgroup": sizes("threadgroup", self.threadgroup),
            "grid_counts": self.grid_counts,
            "memory": sizes("memory", self.memory),
        }
        if self.outputs is not None:
            fields["outputs"] = list(self.outputs)
        if self.buffers is not None or self.sizes:
            fields["buffers"] = [self.buffer(name) for name in self.buffers or self.order(parameters)]
        return fields

    def order(self, parameters: list[Parameter]) -> list[str]:
        tensors = [each.name for each in parameters if not each.constant]
        constants = [each.name for each in parameters if each.constant]
        return [*tensors, *(["out"] if self.outputs is None else self.outputs), *constants, *self.sizes]

    def buffer(self, name: str) -> Any:
        return {name: self.sizes[name]} if name in self.sizes else name


def metal_kernel(
    name: str,
    source: str,
    inputs: Mapping[str, DTypeLike | Iterable[DTypeLike] | None] | Sequence[str],
    outputs: str | Result | Sequence[str | Result] | Mapping[str, str | Result] | int | None,
    grid: Size | Sequence[Size],
    threadgroup: Size | Sequence[Size],
    *,
    function: str | None = None,
    constants: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Size] | None = None,
    memory: Size | Sequence[Size] = (),
    grid_counts: str = "threads",
    buffers: Sequence[str] | None = None,
    infer: Callable[..., Any] | None = None,
    pure: bool = True,
    words: str = "",
) -> CustomOp:
    """Adds an op whose work is a kernel in the Metal Shading Language: eager, in traces, in MIL text and in models.

    A GPU of Apple's runs it through Metal. Elsewhere the CPU does: clang compiles the kernel when it first runs, and
    the result is kept in the cache folder. `MARTLET_CLANG` names the clang to use.

        scale = martlet.metal_kernel(
            "scale",
            '''
            #include <metal_stdlib>
            using namespace metal;

            kernel void scale(device const float *x      [[buffer(0)]],
                              device float *out          [[buffer(1)]],
                              constant float &factor     [[buffer(2)]],
                              uint i                     [[thread_position_in_grid]]) {
                out[i] = x[i] * factor;
            }
            ''',
            inputs={"x": "float32"},
            outputs="x",
            grid="x.size",
            threadgroup=256,
            constants={"factor": 2.0},
        )
        scale(martlet.Tensor([1.0, 2.0]), factor=3.0)

    The buffers are, from `[[buffer(0)]]` on: inputs, outputs, constants, sizes, each in its order. Elements lie dense
    in row-major order. Inputs must be `const` in the kernel; outputs are zeros when it begins. Accesses beyond
    the ends of the buffers are not checked.

    On the CPU, textures and simdgroup matrices are refused, and integers divided by 0 give 0. Function constants
    have no values anywhere: bind a constant instead. Threads that do not meet at one barrier are reported, where a GPU
    would hang or go on. That inputs are const is checked on the CPU alone.

    Args:
        name: The op's name in MIL text: letters, digits and underscores.
        source: The whole source, with `kernel void function(...)`.
        inputs: The dtypes of each tensor, None for any; or only their names.
        outputs: What comes out, as in `custom_op`; a mapping gives the outputs names, else they are `out`, or `out0`,
            `out1`, …. A shape may have expressions: `martlet.Result("float32", ("a.shape[0]", "b.shape[1]"))`.
        grid: How many threads run, by x, y and z: integers, or expressions such as `"x.size"` or
            `"ceildiv(x.shape[0], 8)"` (see `MetalKernel`).
        threadgroup: How many threads a threadgroup has, by x, y and z; 1024 at most.
        function: The kernel's name in the source, where it is not the op's.
        constants: Values bound by value, by name, with their defaults: bool, int (an int32), float (a float), NumPy
            scalars, or a list of them; or a dtype for one that must be given.
        sizes: Numbers that follow from shapes, bound by value as `constant uint &`: `{"n": "x.shape[-1]"}`.
        memory: The bytes of `[[threadgroup(0)]]`, `[[threadgroup(1)]]`, …; 32 KiB at most.
        grid_counts: `"threadgroups"` where the grid counts these rather than threads.
        buffers: Another order of the buffers, by names.
        infer: As in `custom_op`; `outputs` is their number then.
        pure: The same inputs always give the same outputs.
        words: What the op computes, for `martlet.ops()`.

    Returns:
        A `CustomOp`, which can be called.

    Raises:
        InvalidArgumentError: The name is taken, a size names nothing, or there are too many buffers. What is wrong with
            the source is raised when the op first runs, or by `metal_functions`.
        WrongTypeError: A dtype is none of Martlet's.
    """
    parameters = listed(inputs) + [constant(each, value) for each, value in (constants or {}).items()]
    names = [each.name for each in parameters]
    called = list(outputs) if isinstance(outputs, Mapping) else None
    results: Any = 1
    if isinstance(outputs, int) or infer is not None:
        results = outputs if isinstance(outputs, int) else 1
    else:
        each = outputs.values() if isinstance(outputs, Mapping) else outputs
        several = [Result()] if each is None else [each] if isinstance(each, (str, Result)) else each
        results = [declared_result(result, names) for result in several]
    if called is None:
        count = results if isinstance(results, int) else len(results)
        called = ["out"] if count == 1 else [f"out{index}" for index in range(count)]
    kernel = MetalKernel(
        source, grid, threadgroup, function or name, grid_counts, memory, dict(sizes or {}), called, buffers
    )
    op = CustomOp(name, None, parameters, kernel)
    register(
        op, Entry(None, infer, parameters), ffi.NULL, results, pure, words or f"The Metal kernel {kernel.function}."
    )
    return op


def constant(name: str, value: Any) -> Parameter:
    """A parameter bound by value: a default, or a dtype for one without."""
    if isinstance(value, (type, np.dtype, str)):
        dtype = {float: "float32", int: "int32"}.get(value, value) if isinstance(value, type) else value
        return Parameter(name, (mil_name(dtype),), True)
    array = np.asarray(value)
    if array.ndim > 1 or array.dtype.kind not in "biuf":
        raise WrongTypeError(f"The constant {name!r} is {value!r}; it must be a number, a boolean or a list of them.")
    plain = not isinstance(value, (np.generic, np.ndarray))
    dtype = {"i": "int32", "f": "float32"}.get(array.dtype.kind, array.dtype) if plain else array.dtype
    kind = type(value) if plain and type(value) in CONSTANTS else None
    return Parameter(name, (mil_name(dtype),), True, array.tolist(), kind)


def sizes(what: str, given: Size | Sequence[Size]) -> list[Size]:
    """Sizes as JSON has them."""
    several = [given] if isinstance(given, (int, str)) else given
    try:
        return [each if isinstance(each, str) else operator.index(each) for each in several]
    except TypeError:
        raise WrongTypeError(f"The {what} is {given!r}; it must be integers or expressions such as 'x.size'.") from None


def metal_functions(source: str) -> list[dict[str, Any]]:
    """Compiles a source in the Metal Shading Language for the CPU and tells what is in it.

    Args:
        source: The whole text.

    Returns:
        For each kernel its `name`, its `arguments` (`name`, `kind` buffer or threadgroup, `index`, `dtype` of the
        elements and whether it is `const`), `max_threads` of a threadgroup, and the bytes of `memory` its own
        threadgroup variables take.

    Raises:
        MalformedError: The source is wrong; the message has its lines.
        UnsupportedError: There is no clang, or the source uses textures, simdgroup matrices or function constants.
    """
    if "\0" in source:
        raise InvalidArgumentError("The source has a character 0, which no text may have.")
    found: list[dict[str, Any]] = answer(lib.mlt_metal_functions, source.encode())
    return found
