"""Random chains of views fed into every kernel, against NumPy in fp64.

    python tests/python/view_fuzz.py --programs 500 --seed 1
    python tests/python/view_fuzz.py --seconds 3600        # or MARTLET_FUZZ_SECONDS=3600
    python tests/python/view_fuzz.py --seed 1 --only 37    # repeats one program

A program is either one of the kernels of `kernels` below, with random sizes, or a case of `tests/cases`. Each of its
operands becomes the end of a chain of views (reverse, slices, transpose, reshape, split, windows, ...) of an input or a
constant. Elements of that input which the view does not show are NaN, or an index out of range, so that a kernel which
reads beside its view gives a wrong result. Every program runs on every CPU device.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import martlet
from tests.cases import (
    Case,
    activation,
    all_cases,
    convolution,
    fourier,
    image,
    indexing,
    linear,
    literal,
    mil_type,
    normalization,
    recurrent,
    reduction,
    sequence,
    shape,
)

Array = np.ndarray
Shape = tuple[int, ...]
DEVICES = [each["name"] for each in martlet.devices() if each["available"] and each["name"].startswith("cpu")]
MOST_ELEMENTS = 200_000


# Chains of views


@dataclass
class Chain:
    """Views one after the other that end in a given shape. It is grown from its end to its source."""

    chance: random.Random
    shape: Shape  # of the source, so far
    steps: list[tuple[str, Callable[[Array], Array]]] = field(default_factory=list)  # the last view first

    @classmethod
    def grown(cls, chance: random.Random, shape: Shape, repeats: bool) -> Chain:
        """A chain that ends in `shape`; with `repeats`, its end may show an element more than once."""
        chain = cls(chance, shape)
        views = [cls.reverse, cls.slice, cls.slice, cls.slice_by_size, cls.split, cls.transpose, cls.reshape]
        views += [cls.squeeze, cls.expand_dims] + [cls.sliding_windows, cls.tile] * repeats
        for _ in range(chance.choice([1, 1, 2, 2, 3, 4, 6])):
            before = chain.shape, len(chain.steps)
            chance.choice(views)(chain)
            if len(chain.shape) > 6 or math.prod(chain.shape) > MOST_ELEMENTS:
                chain.shape, chain.steps = before[0], chain.steps[: before[1]]
        return chain

    def put(self, source: Shape, words: str, function: Callable[[Array], Array]) -> None:
        self.shape = source
        self.steps.append((words, function))

    def axes(self) -> list[int]:
        return [axis for axis in range(len(self.shape)) if self.chance.random() < 0.5]

    def reverse(self) -> None:
        axes = self.axes() or [self.chance.randrange(len(self.shape))]
        self.put(self.shape, f"reverse(x = X, axes = {axes})", lambda x: np.flip(x, axes))

    def slice(self) -> None:
        """Steps of any sign, and axes that an index removes."""
        chance, rank = self.chance, len(self.shape)
        sizes, keys, squeezed = list(self.shape), [], []
        if rank < 5 and chance.random() < 0.2:
            squeezed = [chance.randint(0, rank)]
            sizes.insert(squeezed[0], 1)
        source = []
        for size in sizes:
            step = chance.choice([1, 1, 1, 2, 3, -1, -1, -2]) if size else 1
            before, after = (chance.choice([0, 0, 1, 2, 3]) for _ in range(2))
            if chance.random() < 0.3:
                before = after = 0
            reach = (size - 1) * abs(step) + 1 if size else 0
            source.append(before + reach + after)
            start = before if step > 0 else before + reach - 1
            stop = start + (reach if step > 0 else -reach)
            keys.append((start, stop, step))
        masks = [stop < 0 for _, stop, _ in keys]
        begin, end = [start for start, *_ in keys], [max(stop, 0) for _, stop, _ in keys]
        words = f"begin = {begin}, end = {end}, stride = {[step for *_, step in keys]}, end_mask = {literal(masks)}"
        if squeezed:
            words += f", squeeze_mask = {literal([axis in squeezed for axis in range(len(sizes))])}"
        taken = tuple(
            start if axis in squeezed else slice(start, stop if stop >= 0 else None, step)
            for axis, (start, stop, step) in enumerate(keys)
        )
        self.put(tuple(source), f"slice_by_index(x = X, {words})", lambda x: x[taken])

    def slice_by_size(self) -> None:
        sizes = self.shape
        begin = [self.chance.choice([0, 0, 1, 3]) for _ in sizes]
        source = tuple(start + size + self.chance.choice([0, 1, 2]) for start, size in zip(begin, sizes))
        taken = tuple(slice(start, start + size) for start, size in zip(begin, sizes))
        self.put(source, f"slice_by_size(x = X, begin = {begin}, size = {list(sizes)})", lambda x: x[taken])

    def split(self) -> None:
        axis = self.chance.randrange(len(self.shape))
        sizes = [self.chance.randint(1, 4) for _ in range(self.chance.randint(2, 3))]
        place = self.chance.randrange(len(sizes))
        sizes[place] = self.shape[axis]
        source = (*self.shape[:axis], sum(sizes), *self.shape[axis + 1 :])
        start = sum(sizes[:place])
        taken = (slice(None),) * axis + (slice(start, start + sizes[place]),)
        parts = ", ".join("Y" if index == place else f"Y_unread{index}" for index in range(len(sizes)))
        self.put(source, f"{parts} = split(x = X, split_sizes = {sizes}, axis = {axis})", lambda x: x[taken])

    def transpose(self) -> None:
        order = list(range(len(self.shape)))
        self.chance.shuffle(order)
        source = tuple(self.shape[order.index(axis)] for axis in range(len(order)))
        self.put(source, f"transpose(x = X, perm = {order})", lambda x: x.transpose(order))

    def reshape(self) -> None:
        """Neighbors merged, or an axis split."""
        if 0 in self.shape:  # it would mean a size that stays
            return
        target, source = self.shape, list(self.shape)
        axis = self.chance.randrange(len(source))
        factors = [n for n in range(1, source[axis] + 1) if source[axis] % n == 0]
        if len(source) > 1 and self.chance.random() < 0.5:
            axis = self.chance.randrange(len(source) - 1)
            source[axis : axis + 2] = [source[axis] * source[axis + 1]]
        elif factors:
            factor = self.chance.choice(factors)
            source[axis : axis + 1] = [source[axis] // factor, factor]
        self.put(tuple(source), f"reshape(x = X, shape = {list(target)})", lambda x: x.reshape(target))

    def squeeze(self) -> None:
        axis = self.chance.randint(0, len(self.shape))
        source = (*self.shape[:axis], 1, *self.shape[axis:])
        self.put(source, f"squeeze(x = X, axes = [{axis}])", lambda x: x.squeeze(axis))

    def expand_dims(self) -> None:
        ones = [axis for axis, size in enumerate(self.shape) if size == 1]
        if not ones or len(self.shape) == 1:
            return
        axis = self.chance.choice(ones)
        source = (*self.shape[:axis], *self.shape[axis + 1 :])
        self.put(source, f"expand_dims(x = X, axes = [{axis}])", lambda x: np.expand_dims(x, axis))

    def sliding_windows(self) -> None:
        if len(self.shape) < 2 or 0 in self.shape:
            return
        axis, step = self.chance.randrange(len(self.shape) - 1), self.chance.choice([1, 1, 2, 3])
        count, size = self.shape[axis : axis + 2]
        length = (count - 1) * step + size
        source = (*self.shape[:axis], length, *self.shape[axis + 2 :])
        places = step * np.arange(count)[:, None] + np.arange(size)
        words = f"sliding_windows(x = X, axis = {axis}, size = {size}, stride = {step})"
        self.put(source, words, lambda x: np.take(x, places, axis))

    def tile(self) -> None:
        repeats = [self.chance.choice([n for n in range(1, 5) if size % n == 0]) for size in self.shape]
        source = tuple(size // n for size, n in zip(self.shape, repeats))
        self.put(source, f"tile(x = X, reps = {repeats})", lambda x: np.tile(x, repeats))

    def lines(self, source: str, name: str) -> list[str]:
        """The statements that take `name` from `source`."""
        lines = []
        for index, (words, _) in enumerate(reversed(self.steps), 1):
            result = name if index == len(self.steps) else f"{name}_{index}"
            words = words if words.startswith("Y") or ", Y" in words.split("=")[0] else f"Y = {words}"
            lines.append(re.sub(r"\bY", result, re.sub(r"\bX\b", source, words)) + ";")
            source = result
        return lines

    def shown(self) -> Array:
        """The position in the source of every element that the end shows."""
        positions = np.arange(math.prod(self.shape)).reshape(self.shape)
        for _, function in reversed(self.steps):
            positions = function(positions)
        return positions


def hidden(dtype: np.dtype) -> Any:
    """What stands where no view looks."""
    return np.nan if dtype.kind in "fc" else dtype.kind != "b" and min(99, np.iinfo(dtype).max)


class Writer:
    """A program that grows: its inputs, constants and statements."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.inputs: dict[str, Array] = {}
        self.lines: list[str] = []

    def declare(self, name: str, array: Array, constant: bool) -> None:
        if constant:
            self.lines.append(f"{name} = const()[val = {mil_type(array)}({literal(array)})];")
        else:
            self.inputs[name] = array

    def view(self, name: str, values: Callable[[Shape], Array], target: Shape, how: str) -> Array:
        """Makes `name` an operand of shape `target`, and returns its elements.

        Args:
            values: makes an array of a shape.
            how: "plain" for an input as it is, "constant", "view" of an input, or "constant view".
        """
        is_constant = "constant" in how
        if "view" not in how or not target:
            array = values(target)
            self.declare(name, array, is_constant)
            return array
        chain = Chain.grown(self.chance, target, repeats=True)
        array = self.source(name, chain, values(chain.shape), is_constant)
        return array.reshape(-1)[chain.shown()]

    def given(self, name: str, array: Array) -> None:
        """Makes `name` an operand of these elements, as the end of a chain."""
        chain = Chain.grown(self.chance, array.shape, repeats=False)
        source = np.zeros(chain.shape, array.dtype)
        source.reshape(-1)[chain.shown()] = array
        self.source(name, chain, source, False)

    def source(self, name: str, chain: Chain, array: Array, constant: bool) -> Array:
        if not chain.steps:
            self.declare(name, array, constant)
            return array
        unseen = np.ones(array.size, bool)
        unseen[chain.shown()] = False
        # A constant is folded as a whole, and the text has no NaN.
        if not constant:
            array = np.where(unseen.reshape(array.shape), np.asarray(hidden(array.dtype), array.dtype), array)
        self.declare(f"{name}_0", array, constant)
        self.lines += chain.lines(f"{name}_0", name)
        return array

    def text(self, outputs: list[str]) -> str:
        declared = ", ".join(f"{mil_type(array)} {name}" for name, array in self.inputs.items())
        body = "".join(f"    {line}\n" for line in self.lines)
        return f"program(1.3) {{ func main<ios18>({declared}) {{\n{body}}} -> ({', '.join(outputs)}); }}\n"


# Kernels


@dataclass
class Kernel:
    """One call of an op: shapes of its operands, other parameters, and what NumPy gives."""

    op: str
    reference: Callable[..., Any]
    shapes: dict[str, Shape]
    literals: dict[str, Any] = field(default_factory=dict)
    constants: dict[str, Shape] = field(default_factory=dict)
    indices: dict[str, int] = field(default_factory=dict)  # operands of int32 below a bound
    listed: str = ""  # the parameter that takes the operands as a list
    outputs: int = 1
    positive: bool = False


def kernels(chance: random.Random) -> list[Callable[[], Kernel]]:
    """A maker for every kernel that takes views."""

    def size(most: int = 9) -> int:
        return chance.choice([1, 1, chance.randint(1, most), chance.randint(1, most), chance.randint(1, 4 * most)])

    def sizes(count: int, most: int = 6) -> Shape:
        return tuple(chance.choice([1, chance.randint(1, most), chance.randint(2, most)]) for _ in range(count))

    def some(low: int = 1, high: int = 4) -> Shape:
        return sizes(chance.randint(low, high))

    def flag() -> bool:
        return chance.random() < 0.5

    def axis(shape: Shape) -> int:
        return chance.randrange(-len(shape), len(shape))

    def broadcast(shape: Shape) -> Shape:
        cut = chance.randint(0, len(shape) - 1)
        return tuple(1 if chance.random() < 0.3 else n for n in shape[cut:])

    def matmul() -> Kernel:
        batch, m, n, k = sizes(chance.choice([0, 1, 1, 2, 3]), 4), size(), size(), size()
        other = broadcast(batch) if batch and flag() else batch
        turned = {"transpose_x": flag(), "transpose_y": flag()}
        x = (*batch, k, m) if turned["transpose_x"] else (*batch, m, k)
        y = (*other, n, k) if turned["transpose_y"] else (*other, k, n)
        return Kernel("matmul", linear.matmul, {"x": x, "y": y}, turned)

    def product_with_weights() -> Kernel:
        x, k, n = sizes(chance.randint(0, 3), 5), size(), size()
        if flag():
            turned = {"transpose_y": flag()}
            weight = (n, k) if turned["transpose_y"] else (k, n)
            return Kernel("matmul", linear.matmul, {"x": (*x, size(), k)}, turned, {"y": weight})
        bias = {"bias": (n,)} if flag() else {}
        return Kernel("linear", linear.linear, {"x": (*x, k)}, {}, {"weight": (n, k), **bias})

    def linear_at_runtime() -> Kernel:
        k, n = size(), size()
        bias = {"bias": (n,)} if flag() else {}
        return Kernel("linear", linear.linear, {"x": (*some(1, 3), k), "weight": (n, k), **bias})

    def einsum() -> Kernel:
        equation = chance.choice(
            ["ij,jk->ik", "bij,bjk->bik", "bij,bkj->ikb", "nchw,nwhu->nchu", "bhid,bhjd->bhij", "abc,cd->abd"]
        )
        extent = {letter: chance.randint(1, 7) for letter in "abcdhijknuw"}
        x, y = (tuple(extent[letter] for letter in part) for part in equation.split("->")[0].split(","))
        return Kernel(
            "einsum",
            lambda equation, **values: linear.einsum([values["v0"], values["v1"]], equation),
            {"v0": x, "v1": y},
            {"equation": equation},
            listed="values",
        )

    def conv() -> Kernel:
        axes, groups = chance.choice([1, 2, 2, 3]), chance.choice([1, 1, 1, 2, 3])
        window = tuple(chance.randint(1, 3) for _ in range(axes))
        inner, outer = groups * chance.randint(1, 5), groups * chance.choice([1, 2, 8, 16])
        dilations = [chance.choice([1, 1, 2]) for _ in window]
        space = tuple((k - 1) * d + chance.randint(1, 6) for k, d in zip(window, dilations))
        pad_type = chance.choice(["valid", "same", "custom"])
        literals = {"groups": groups, "strides": [chance.randint(1, 2) for _ in window], "pad_type": pad_type}
        literals |= {"dilations": dilations}
        literals |= {"pad": [chance.randint(0, 2) for _ in range(2 * axes)]} if pad_type == "custom" else {}
        constants = {"weight": (outer, inner // groups, *window)} | ({"bias": (outer,)} if flag() else {})
        return Kernel("conv", convolution.conv, {"x": (chance.randint(1, 3), inner, *space)}, literals, constants)

    def conv_transpose() -> Kernel:
        axes, groups = chance.choice([1, 2, 2]), chance.choice([1, 1, 2])
        window = tuple(chance.randint(1, 3) for _ in range(axes))
        inner, outer = groups * chance.randint(1, 4), chance.randint(1, 5)
        literals = {"groups": groups, "strides": [chance.randint(1, 2) for _ in window]}
        x = (chance.randint(1, 2), inner, *(chance.randint(1, 6) for _ in window))
        return Kernel(
            "conv_transpose", convolution.conv_transpose, {"x": x}, literals, {"weight": (inner, outer, *window)}
        )

    def pool() -> Kernel:
        op, mode = chance.choice([("max_pool", "max"), ("avg_pool", "average"), ("l2_pool", "l2")])
        window = [chance.randint(1, 3) for _ in range(chance.choice([1, 2, 2, 3]) if op != "l2_pool" else 2)]
        x = (chance.randint(1, 3), chance.randint(1, 9), *(k + chance.randint(0, 5) for k in window))
        literals = {"kernel_sizes": window, "pad_type": chance.choice(["valid", "same"])}
        return Kernel(
            op, convolution.pool(mode), {"x": x}, literals | {"strides": [chance.randint(1, 2) for _ in window]}
        )

    def softmax() -> Kernel:
        x = some()
        return Kernel("softmax", normalization.softmax, {"x": x}, {"axis": axis(x)})

    def layer_norm() -> Kernel:
        x = (*some(1, 3), chance.randint(2, 9))
        axes = sorted({len(x) - 1, chance.randrange(len(x))})
        vector = tuple(x[each] for each in axes)
        given = {"gamma": vector, "beta": vector} if flag() else {}
        at_runtime = given if flag() else {}
        constants = {} if at_runtime else given
        return Kernel("layer_norm", normalization.layer_norm, {"x": x, **at_runtime}, {"axes": axes}, constants)

    def instance_norm() -> Kernel:
        x = (*sizes(2), chance.randint(2, 9), *some(0, 1))
        given = {"gamma": x[1:2], "beta": x[1:2]}
        if flag():
            return Kernel("instance_norm", normalization.instance_norm, {"x": x, **given})
        return Kernel("instance_norm", normalization.instance_norm, {"x": x}, {}, given)

    def batch_norm() -> Kernel:
        x = (*sizes(2), *some(0, 2))
        given = dict.fromkeys(("mean", "variance", "gamma", "beta"), x[1:2])
        places = ({"x": x}, given) if flag() else ({"x": x, **given}, {})
        return Kernel("batch_norm", normalization.batch_norm, places[0], {}, places[1], positive=True)

    def local_norm() -> Kernel:
        if flag():
            return Kernel("l2_norm", normalization.l2_norm, {"x": sizes(chance.choice([3, 4]))})
        return Kernel("local_response_norm", normalization.local_response_norm, {"x": sizes(4)}, {"size": 3})

    def reduce() -> Kernel:
        op, x = chance.choice(list(reduction.REDUCTIONS)), some()
        axes = sorted(chance.sample(range(len(x)), chance.randint(1, len(x))))
        is_positive = op in ("reduce_prod", "reduce_log_sum")
        literals = {"axes": axes, "keep_dims": flag()}
        return Kernel(op, reduction.reduction(op), {"x": x}, literals, positive=is_positive)

    def position() -> Kernel:
        op, function = chance.choice([("reduce_argmax", np.argmax), ("reduce_argmin", np.argmin)])
        x = some()
        return Kernel(op, reduction.position(function), {"x": x}, {"axis": axis(x), "keep_dims": flag()})

    def cumsum() -> Kernel:
        x = some()
        literals = {"axis": axis(x), "exclusive": flag(), "reverse": flag()}
        return Kernel("cumsum", reduction.cumsum, {"x": x}, literals)

    def elementwise() -> Kernel:
        op, function = chance.choice(
            [("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("maximum", np.maximum)]
        )
        x = some()
        y = broadcast(x)
        shapes = {"x": x, "y": y} if flag() else {"x": y, "y": x}
        return Kernel(op, lambda x, y: function(x, y), shapes)

    def unary() -> Kernel:
        op, function = chance.choice([("tanh", np.tanh), ("sigmoid", activation.sigmoid), ("square", np.square)])
        return Kernel(op, lambda x: function(x), {"x": some()})

    def select() -> Kernel:
        x = some()
        shapes = {"cond": broadcast(x), "a": broadcast(x), "b": x}
        return Kernel("select", lambda cond, a, b: np.where(cond, a, b), shapes, indices={"cond": 2})

    def gather() -> Kernel:
        x, at = some(1, 3), some(1, 2)
        along = chance.randrange(len(x))
        literals, bound = {"axis": along}, {"indices": x[along]}
        return Kernel("gather", indexing.gather, {"x": x, "indices": at}, literals, indices=bound)

    def gather_along() -> Kernel:
        x = some(1, 3)
        along = chance.randrange(len(x))
        at = (*x[:along], chance.randint(1, 5), *x[along + 1 :])
        bound = {"indices": x[along]}
        return Kernel("gather_along_axis", indexing.along, {"x": x, "indices": at}, {"axis": along}, indices=bound)

    def gather_nd() -> Kernel:
        x = some(1, 3)
        depth = chance.randint(1, len(x))
        bound = {"indices": min(x[:depth])}
        return Kernel("gather_nd", indexing.gather_nd, {"x": x, "indices": (*some(1, 2), depth)}, indices=bound)

    def scatter() -> Kernel:
        data, count = some(1, 3), chance.randint(1, 4)
        along = chance.randrange(len(data))
        updates = (*data[:along], count, *data[along + 1 :])
        shapes = {"data": data, "indices": (count,), "updates": updates}
        literals = {"axis": along, "mode": chance.choice(["add", "update"])}
        return Kernel("scatter", indexing.scatter, shapes, literals, indices={"indices": data[along]})

    def scatter_along() -> Kernel:
        data = some(1, 3)
        along = chance.randrange(len(data))
        at = (*data[:along], chance.randint(1, 4), *data[along + 1 :])
        shapes = {"data": data, "indices": at, "updates": at}
        literals, bound = {"axis": along, "mode": "add"}, {"indices": data[along]}
        return Kernel("scatter_along_axis", indexing.scatter_along, shapes, literals, indices=bound)

    def scatter_nd() -> Kernel:
        data = some(1, 3)
        depth, count = chance.randint(1, len(data)), chance.randint(1, 4)
        shapes = {"data": data, "indices": (count, depth), "updates": (count, *data[depth:])}
        return Kernel(
            "scatter_nd", indexing.scatter_nd, shapes, {"mode": "add"}, indices={"indices": min(data[:depth])}
        )

    def slice_update() -> Kernel:
        x = some(1, 3)
        steps = [chance.choice([1, 2, -1]) for _ in x]
        taken = tuple(slice(None, None, step) for step in steps)
        update = tuple(len(range(n)[::step]) for n, step in zip(x, steps))

        def reference(x: Array, update: Array, **_: Any) -> Array:
            result = x.copy()
            result[taken] = update
            return result

        literals = {"begin": [0] * len(x), "end": [0] * len(x), "stride": steps}
        literals |= {"begin_mask": [True] * len(x), "end_mask": [True] * len(x)}
        return Kernel("slice_update", reference, {"x": x, "update": update}, literals)

    def concat() -> Kernel:
        x, count = some(1, 4), chance.randint(2, 3)
        along = chance.randrange(len(x))
        parts = {f"v{n}": (*x[:along], chance.randint(1, 4), *x[along + 1 :]) for n in range(count)}
        literals = {"axis": along}
        if flag():
            parts, literals = dict.fromkeys(parts, x), {"axis": along, "interleave": flag()}
        return Kernel(
            "concat",
            lambda axis, interleave=False, **values: shape.concat(list(values.values()), axis, interleave),
            parts,
            literals,
            listed="values",
        )

    def pad() -> Kernel:
        mode = chance.choice(["constant", "reflect", "replicate"])
        x = sizes(chance.randint(2, 4)) if mode == "constant" else (*some(1, 2), *(chance.randint(3, 6) for _ in "ab"))
        around = [chance.randint(0, 2) for _ in range(4)]
        return Kernel("pad", shape.pad, {"x": x}, {"pad": around, "mode": mode, "constant_val": 0.5})

    def sort() -> Kernel:
        x = some()
        literals = {"axis": axis(x), "ascending": flag()}
        if flag():
            return Kernel("argsort", indexing.argsort, {"x": x}, literals)
        literals["k"] = chance.randint(1, x[literals["axis"]])
        return Kernel("topk", indexing.topk, {"x": x}, literals, outputs=2)

    def attention() -> Kernel:
        batch, targets, sources, depth = sizes(chance.randint(1, 3), 3), size(), size(), chance.randint(1, 17)
        shapes = {"query": (*batch, targets, depth), "key": (*batch, sources, depth)}
        shapes["value"] = (*batch, sources, chance.randint(1, 9))
        if flag():
            shapes["attn_mask"] = (*broadcast((*batch, targets)), sources)
        return Kernel("scaled_dot_product_attention", sequence.attention, shapes)

    def layer(op: str, gates: int) -> Kernel:
        steps, batch, inputs, hidden = (chance.randint(1, 5) for _ in range(4))
        shapes = {"x": (steps, batch, inputs), "initial_h": (batch, hidden)}
        constants = {"weight_ih": (gates * hidden, inputs), "weight_hh": (gates * hidden, hidden)}
        literals = {"output_sequence": flag()}
        if op != "lstm":
            return Kernel(op, getattr(recurrent, op), shapes, literals, constants, outputs=2)
        shapes["initial_c"] = shapes["initial_h"]
        if flag():
            for name in "initial_h", "initial_c":
                shapes[name] = (batch, 2 * hidden)
            constants |= {f"{name}_back": weight for name, weight in constants.items()}
            literals["direction"] = "bidirectional"
        return Kernel(op, sequence.lstm, shapes, literals, constants, outputs=3)

    def resize() -> Kernel:
        x = (*sizes(2, 3), chance.randint(1, 6), chance.randint(1, 6))
        if flag():
            scale = {"scale_factor_height": chance.randint(1, 3), "scale_factor_width": chance.randint(1, 3)}
            if flag():
                return Kernel("upsample_nearest_neighbor", image.upsample_nearest, {"x": x}, scale)
            return Kernel("upsample_bilinear", image.upsample_linear, {"x": x}, scale | {"align_corners": flag()})
        target = {"target_size_height": chance.randint(1, 8), "target_size_width": chance.randint(1, 8)}
        return Kernel("resize_bilinear", image.resize_linear, {"x": x}, target | {"sampling_mode": "DEFAULT"})

    def sample() -> Kernel:
        x, target = (*sizes(2, 3), chance.randint(2, 6), chance.randint(2, 6)), sizes(2)
        modes = {"sampling_mode": "bilinear", "padding_mode": "border", "padding_value": 0.0}
        modes |= {"coordinates_mode": "normalized_minus_one_to_one", "align_corners": flag()}
        if flag():
            shapes = {"x": x, "coordinates": (x[0], *target, 2)}
            return Kernel("resample", image.resample, shapes, modes, positive=True)
        literals = dict(zip(("output_height", "output_width"), target)) | modes
        return Kernel("affine", image.affine, {"x": x, "transform_matrix": (x[0], 6)}, literals, positive=True)

    def crop_resize() -> Kernel:
        x, count = (1, *sizes(1, 3), chance.randint(4, 7), chance.randint(4, 7)), chance.randint(1, 3)
        literals = {"target_height": chance.randint(1, 5), "target_width": chance.randint(1, 5)}
        literals |= {"sampling_mode": "ALIGN_CORNERS", "box_coordinate_mode": "CORNERS_HEIGHT_FIRST"}
        shapes = {"x": x, "boxes": (count, 4), "box_indices": (count,)}
        return Kernel("crop_resize", image.crop_resize, shapes, literals, indices={"box_indices": 1}, positive=True)

    def rfft() -> Kernel:
        x = some(1, 3)
        rfft = fourier.transform(np.fft.rfft)
        return Kernel("rfft", rfft, {"x": x}, {"axis": axis(x)})

    makers = [matmul, matmul, matmul, product_with_weights, product_with_weights, linear_at_runtime, einsum, conv, conv]
    makers += [conv_transpose, pool, softmax, layer_norm, instance_norm, batch_norm, local_norm, reduce, position]
    makers += [cumsum, elementwise, unary, select, gather, gather_along, gather_nd, scatter, scatter_along, scatter_nd]
    makers += [slice_update, concat, pad, sort, attention, attention, resize, sample, crop_resize, rfft]
    return [*makers, *(lambda op=op, n=n: layer(op, n) for op, n in (("lstm", 4), ("gru", 3), ("rnn", 1)))]


# Programs


@dataclass
class Program:
    """What is run, and what it must give."""

    name: str
    text: str
    inputs: dict[str, Array]
    expected: dict[str, Array]
    tolerance: float
    devices: tuple[str, ...] | None = None
    """Those that it is for; None for all."""


def of_kernel(chance: random.Random, numbers: np.random.Generator) -> Program:
    """A kernel whose operands are views, constants and inputs, often with more ops behind it."""
    kernel, writer = chance.choice(kernels(chance))(), Writer(chance)
    half = chance.random() < 0.15 and kernel.op not in ("rfft", "batch_norm")
    dtype = np.float16 if half else np.float32

    def floats(shape: Shape) -> Array:
        values = numbers.uniform(0.5, 1.5, shape) if kernel.positive else numbers.standard_normal(shape)
        return np.asarray(values, dtype)

    values: dict[str, Array] = {}
    for name, target in {**kernel.shapes, **kernel.constants}.items():
        make: Callable[[Shape], Array] = floats
        if name in kernel.indices:
            bound = kernel.indices[name]
            kind = bool if name == "cond" else np.int32
            make = lambda size, bound=bound, kind=kind: np.asarray(numbers.integers(0, bound, size), kind)  # noqa: E731
        hows = ["view"] * 8 + ["constant view", "constant", "plain"]
        how = "constant" if name in kernel.constants else chance.choice(hows)
        values[name] = writer.view(name, make, target, how)
    words = [f"{name} = {name}" for name in values]
    if kernel.listed:
        words = [f"{kernel.listed} = ({', '.join(values)})"]
    words += [f"{name} = {literal(value)}" for name, value in kernel.literals.items()]
    names = [f"y{index}" for index in range(kernel.outputs)]
    writer.lines.append(f"{', '.join(names)} = {kernel.op}({', '.join(words)});")
    wide = {name: array.astype(np.float64) if array.dtype.kind == "f" else array for name, array in values.items()}
    results = kernel.reference(**wide, **kernel.literals)
    results = list(results) if isinstance(results, tuple) else [np.asarray(results)]
    largest = max([1.0, *(float(np.abs(each).max(initial=0)) for each in results)])
    if results[0].dtype == np.float64 and results[0].ndim:
        names[0], results[0] = followed(chance, writer, results[0], floats)
    names, results = zip(*(turned(chance, writer, *result) for result in zip(names, results)))
    floating = {np.dtype(np.float64): dtype, np.dtype(np.complex128): np.complex64}
    expected = {n: each.astype(floating.get(each.dtype, each.dtype)) for n, each in zip(names, results, strict=True)}
    tolerance = (2e-2 if half else 1e-4) * largest
    return Program(kernel.op, writer.text(names), writer.inputs, expected, tolerance)


def followed(chance: random.Random, writer: Writer, y: Array, floats: Callable[[Shape], Array]) -> tuple[str, Array]:
    """The result after some ops that a kernel may take in, or that look at its memory in another way."""
    name = "y0"
    for index in range(chance.choice([0, 0, 1, 2])):
        match chance.choice(["relu", "add", "reverse"]):
            case "relu":
                words, y = f"relu(x = {name})", np.maximum(y, 0)
            case "add":
                other = f"z{index}"
                y = y + writer.view(other, floats, y.shape, chance.choice(["view", "plain"])).astype(np.float64)
                words = f"add(x = {name}, y = {other})"
            case _:
                words, y = f"reverse(x = {name}, axes = [{y.ndim - 1}])", np.flip(y, -1)
        name = f"after{index}"
        writer.lines.append(f"{name} = {words};")
    return name, y


def turned(chance: random.Random, writer: Writer, name: str, y: Array) -> tuple[str, Array]:
    """A result transposed now and then: a kernel may write it in the order that its reader likes."""
    if y.ndim < 2 or chance.random() < 0.6:
        return name, y
    order = list(range(y.ndim))
    chance.shuffle(order)
    writer.lines.append(f"{name}_turned = transpose(x = {name}, perm = {order});")
    return f"{name}_turned", y.transpose(order)


CASES: list[Case] = []


def of_case(chance: random.Random) -> Program:
    """A case of the op table with each input of it at the end of a chain."""
    if not CASES:
        with np.errstate(all="ignore"):
            found = [case for case in all_cases() if not any(op.startswith("random") for op in case.ops)]
        CASES.extend(case for case in found if sum(each.size for each in case.inputs.values()) < 50_000)
    case, writer = chance.choice(CASES), Writer(chance)
    for name, array in case.inputs.items():
        if 1 <= array.ndim <= 6 and chance.random() < 0.8:
            writer.given(name, array)
        else:
            writer.declare(name, array, False)
    start, end = case.text.index("{\n") + 2, case.text.rindex("} -> (")
    writer.lines += [line.strip() for line in case.text[start:end].splitlines()]
    open_sizes = case.ops & {"non_zero", "masked_select", "unique"}
    expected = case.expected
    if not open_sizes:
        expected = dict(turned(chance, writer, *result) for result in expected.items())
    return Program(case.name, writer.text(list(expected)), writer.inputs, expected, case.tolerance, case.devices)


def compare(got: dict[str, Array], program: Program) -> None:
    assert list(got) == list(program.expected)
    for name, wanted in program.expected.items():
        assert got[name].dtype == wanted.dtype, f"{name} is {got[name].dtype}, not {wanted.dtype}"
        assert got[name].shape == (wanted.shape or (1,)), f"{name} has shape {got[name].shape}, not {wanted.shape}"
        answer = got[name].reshape(wanted.shape)
        if wanted.dtype.kind in "fc":
            kind = np.complex128 if wanted.dtype.kind == "c" else np.float64
            wide = [each.astype(kind).reshape(-1).view(np.float64) for each in (answer, wanted)]
            np.testing.assert_allclose(*wide, rtol=program.tolerance, atol=program.tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(answer, wanted, err_msg=name)


def made(seed: int, index: int) -> Program:
    """The program of a seed and an index; the same ones every time."""
    chance, numbers = random.Random(f"{seed} {index}"), np.random.default_rng([seed, index])
    with np.errstate(all="ignore"):
        return of_case(chance) if chance.random() < 0.4 else of_kernel(chance, numbers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="1, but a new one with --seconds")
    parser.add_argument("--programs", type=int, default=500, help="how many, unless --seconds is given")
    seconds = float(os.environ.get("MARTLET_FUZZ_SECONDS", "0"))
    parser.add_argument("--seconds", type=float, default=seconds, help="run for this long")
    parser.add_argument("--only", type=int, help="run the program of this index alone")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = time.time_ns() // 1000 if options.seconds else 1
    print(f"seed {options.seed}, devices {', '.join(DEVICES)}", flush=True)
    start, ran, found, index = time.monotonic(), Counter[str](), 0, options.only or 0
    while True:
        program = made(options.seed, index)
        for device in DEVICES:
            if program.devices and device not in program.devices:
                continue
            # What stands last here ended the process, if something did.
            print(f"program {index} on {device}\n{program.text}", file=sys.stderr, flush=True)
            try:
                compare(martlet.parse(program.text, device=device).predict(program.inputs), program)
            except (martlet.Error, AssertionError):
                found += 1
                print(f"\nprogram {index} of seed {options.seed} ({program.name}) fails on {device}:\n{program.text}")
                print(traceback.format_exc(limit=0), flush=True)
        ran[program.name.split("-")[0]] += 1
        index += 1
        spent = time.monotonic() - start
        if options.only is not None or (spent >= options.seconds if options.seconds else index >= options.programs):
            break
    print(", ".join(f"{name} {count}" for name, count in sorted(ran.items())))
    print(
        f"{sum(ran.values())} programs of {len(ran)} ops on {len(DEVICES)} devices in {spent:.0f} s: {found} failures"
    )
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
