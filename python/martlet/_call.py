"""The one call: every op of the table, on tensors, through a handle that keeps what is compiled for it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from martlet._native import answer, check, ffi, lib, own
from martlet.errors import InvalidArgumentError, OutOfRangeError, UnsupportedError, WrongTypeError
from martlet.ports import CODES, NUMPY_NAMES

__all__ = ["call", "op", "rows", "tensor_of"]

NAMES = ffi.typeof("char *[]")
TENSORS = ffi.typeof("mlt_tensor *[]")
LARGEST_RESULTS = 1024


@lru_cache(maxsize=1)
def rows() -> dict[str, dict[str, Any]]:
    """The op table: parameters by name, by op."""
    return {row["name"]: {each["name"]: each for each in row["parameters"]} for row in answer(lib.mlt_ops)}


class OpCache:
    """The op handles used last, by name, inputs and constants: so many, with so many bytes of constants."""

    def __init__(self, limit: int, byte_limit: int) -> None:
        self.limit, self.byte_limit = limit, byte_limit
        self.entries: OrderedDict[Any, tuple[Any, Any, int]] = OrderedDict()
        self.bytes = 0
        self.lock = Lock()

    def get(self, key: Any) -> Any:
        with self.lock:
            if key in self.entries:
                self.entries.move_to_end(key)
                return self.entries[key][0]
        return None

    def keep(self, key: Any, handle: Any, constants: Any) -> Any:
        size = sum(value.nbytes for _, value in constants if hasattr(value, "_handle"))
        with self.lock:
            while self.entries and (len(self.entries) >= self.limit or self.bytes + size > self.byte_limit):
                self.bytes -= self.entries.popitem(last=False)[1][2]
            if size <= self.byte_limit:
                self.bytes += size - self.entries.get(key, (None, None, 0))[2]
                self.entries[key] = (handle, constants, size)
        return handle

    def drop(self, name: str) -> None:
        self.drop_where(lambda key: key[0] == name)

    def drop_backend(self, backend: Any) -> None:
        self.drop_where(lambda key: key[3] is backend)

    def drop_where(self, unwanted: Callable[[Any], Any]) -> None:
        with self.lock:
            for key in list(filter(unwanted, self.entries)):
                self.bytes -= self.entries.pop(key)[2]


OPS = OpCache(1024, 256 << 20)


def forget(name: str) -> None:
    """Drops what is kept of an op whose name stands for another one from now on."""
    rows.cache_clear()
    OPS.drop(name)


@dataclass(frozen=True)
class SmallArray:
    """An array that is a constant, by its content."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    def array(self) -> np.ndarray[Any, Any]:
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


def op(name: str, inputs: tuple[str, ...], constants: tuple[tuple[str, Any], ...] = (), backend: Any = ffi.NULL) -> Any:
    """The handle of an op with its constants bound. Constants are numbers, texts, tuples, tensors; no backend takes the
    process's own.

    Raises:
        UnsupportedError: There is no such op.
        InvalidArgumentError: The op has no such parameter.
    """
    key = (name, inputs, tuple((each, key_of(value)) for each, value in constants), backend)
    return OPS.get(key) or OPS.keep(key, make(name, inputs, constants, backend), constants)


def key_of(value: Any) -> Any:
    """What tells a constant from others: a tensor's handle is a number that never comes again."""
    if isinstance(value, tuple):
        return tuple(key_of(each) for each in value)
    if hasattr(value, "_handle"):
        return ("tensor", int(ffi.cast("intptr_t", value._handle)))
    return (type(value), str(value) if isinstance(value, (float, complex)) else value)


def make(name: str, inputs: Sequence[str], constants: Sequence[tuple[str, Any]], backend: Any = ffi.NULL) -> Any:
    out = ffi.new("mlt_op **")
    chars = [ffi.new("char[]", each.encode()) for each in inputs]
    names = [ffi.new("char[]", each.encode()) for each, _ in constants]
    values = [constant(name, each, value) for each, value in constants]
    tensors = ffi.new(TENSORS, [each._handle for each in values])
    check(
        lib.mlt_op_make(
            out, name.encode(), len(chars), ffi.new(NAMES, chars), len(names), ffi.new(NAMES, names), tensors, backend
        )
    )
    return own(out[0])


def constant(name: str, parameter: str, value: Any) -> Any:
    """A parameter's constant as a tensor, in an element type that the row accepts."""
    from martlet.tensor import Tensor

    if isinstance(value, Tensor):
        return value
    if isinstance(value, SmallArray):
        return copied(value.array())
    row = rows().get(name, {}).get(parameter)
    accepted = row["dtypes"] if row else []
    array = np.asarray(value, np.int32 if value == () else None)  # an empty tuple is a shape
    if array.dtype.kind == "U":
        return copied(array)
    wanted = fitting(array.dtype, accepted)
    if array.dtype.kind in "iu" and wanted.kind in "iu" and not holds(wanted, array):
        raise OutOfRangeError(f"The constant {parameter!r} of {name!r} is {value}; {wanted} cannot hold that.")
    if array.dtype.kind not in "biufc":
        raise WrongTypeError(f"The constant {parameter!r} of {name!r} is {value!r}; it must be a number or a text.")
    return copied(array.astype(wanted, copy=False))


def holds(dtype: np.dtype[Any], array: np.ndarray[Any, Any]) -> bool:
    """Whether an integer type can hold every element."""
    limits = np.iinfo(dtype)
    return array.size == 0 or bool(limits.min <= array.min().item() and array.max().item() <= limits.max)


PREFERRED = {"b": ["bool"], "i": ["int32", "fp32"], "u": ["int32", "fp32"], "f": ["fp32", "fp16"], "c": ["complex64"]}


def fitting(dtype: np.dtype[Any], accepted: list[str]) -> np.dtype[Any]:
    """The dtype for a constant.

    It is the array's own if the row accepts it, unless it is the default that NumPy gives to Python's numbers. Else it
    is the first of `PREFERRED` that the row accepts, or the array's own if the row accepts none of them.
    """
    given = {"float64": "fp32", "int64": "int32", "complex128": "complex64"}.get(dtype.name, "")
    if not given and (not accepted or dtype.name.replace("float", "fp") in accepted):
        return dtype
    for name in PREFERRED.get(dtype.kind, []):
        if name in accepted:
            return np.dtype(NUMPY_NAMES.get(name, name))
    return dtype


def copied(array: np.ndarray[Any, Any]) -> Any:
    """A tensor of the library's own with the elements of an array."""
    from martlet.tensor import Tensor

    return Tensor._adopt(handle_from(array))


def handle_from(array: np.ndarray[Any, Any]) -> Any:
    """A handle over a copy of an array's elements."""
    out = ffi.new("mlt_tensor **")
    if array.dtype.kind == "U":
        texts = [ffi.new("char[]", str(each).encode()) for each in array.ravel()]
        data: Any = ffi.new(NAMES, texts)
        size = len(texts) * ffi.sizeof("char *")
        check(lib.mlt_tensor_copy(out, lib.MLT_STRING, array.ndim, list(array.shape), data, size))
        return out[0]
    code = CODES.get(array.dtype.name)
    if code is None:
        raise WrongTypeError(f"There are no tensors of {array.dtype}; cast to a number type first.")
    array = np.ascontiguousarray(array).reshape(array.shape)
    check(lib.mlt_tensor_copy(out, code, array.ndim, list(array.shape), ffi.from_buffer(array), array.nbytes))
    return out[0]


def handle_of(value: Any) -> Any:
    """The handle of a tensor."""
    return value._handle


def tensor_of(value: Any) -> Any:
    """A value as a tensor: itself, an array's elements, a number in its default type."""
    from martlet.tensor import Tensor

    return value if isinstance(value, Tensor) else Tensor(value)


def call(name: str, inputs: Mapping[str, Any], /, backend: Any = ffi.NULL, **constants: Any) -> Any:
    """Runs one op of the table, or writes it into the function that is being traced.

    Args:
        name: The op, such as `reduce_sum`.
        inputs: A tensor, or what `martlet.Tensor` takes, by parameter; a list of them where the parameter takes a list.
            None leaves an optional one out. A value for a parameter that must be constant is bound as a constant, and
            so is a Python integer for a parameter that takes only integers. A Python number beside a tensor takes
            the tensor's type.
        backend: The handle of a backend; by default the process's own.
        constants: The other parameters: numbers, texts, sequences or arrays. None leaves one out.

    Returns:
        The tensor, or a tuple where the op has several results.

    Raises:
        UnsupportedError: There is no such op, or no device runs it on these types.
        InvalidArgumentError: A shape or a parameter is not acceptable.
        WrongTypeError: An element type is not.
    """
    parameters = rows().get(name)
    if parameters is None:
        raise UnsupportedError(f"There is no op {name!r}; martlet.ops() lists them.")
    names: list[str] = []
    values: list[Any] = []
    bound = [(each, frozen(value)) for each, value in constants.items() if value is not None]
    for parameter, value in inputs.items():
        if value is None:
            continue
        row = parameters.get(parameter)
        if row is None:
            raise InvalidArgumentError(
                f"The op {name!r} has no parameter {parameter!r}; it has {', '.join(parameters)}."
            )
        if row["constant"] or is_known(name, row, value):
            bound.append((parameter, frozen(value)))
        elif row["list"]:
            names += [parameter] * len(value)
            values += value
        else:
            names.append(parameter)
            values.append(value)
    if values and all(isinstance(each, PLAIN) for each in values):
        bound, names, values = [*bound, *zip(names, map(frozen, values), strict=True)], [], []
    tensors = tensors_of(values)
    try:
        return run(op(name, tuple(names), tuple(bound), backend), tensors)
    except UnsupportedError as error:
        needed = set(NEEDED.findall(str(error))) & set(names)
        if not needed or any(each.is_traced for each in tensors):
            raise
        KNOWN.update((name, each) for each in needed)
    return call(name, inputs, backend, **constants)


PLAIN = (bool, int, float, complex)
NEEDED = re.compile(r"The parameter '(\w+)' must be known before the run")

# The parameters that an op was found to need as constants, such as the weights of a convolution.
KNOWN: set[tuple[str, str]] = set()


def is_known(name: str, row: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is bound as a constant: shapes, positions and axes as Python's own numbers, and what an op was
    found to need."""
    if (name, row["name"]) in KNOWN and not getattr(value, "is_traced", False):
        return True
    if row["list"] or not isinstance(value, (int, list, tuple)):
        return False
    return all(each.startswith(("int", "uint")) for each in row["dtypes"])


def tensors_of(values: Sequence[Any]) -> list[Any]:
    """Values as tensors; Python's numbers take the element type of the first that is none, if it can hold them."""
    if not any(isinstance(each, PLAIN) for each in values):
        return [tensor_of(each) for each in values]
    from martlet._arguments import operand

    beside = next(tensor_of(each) for each in values if not isinstance(each, PLAIN))
    return [operand(each, beside) if isinstance(each, PLAIN) else tensor_of(each) for each in values]


def frozen(value: Any) -> Any:
    """A constant that can be a key: lists become tuples, arrays their content or, where they are large, tensors."""
    from martlet.tensor import Tensor

    if isinstance(value, (str, bool, int, float, complex, Tensor)):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        array = np.asarray(value)
        return SmallArray(array.dtype.str, array.shape, array.tobytes()) if array.nbytes <= 1024 else copied(array)
    return tuple(frozen(each.item() if isinstance(each, np.generic) else each) for each in value)


def run(handle: Any, tensors: Sequence[Any]) -> Any:
    """Calls an op's handle."""
    from martlet.tensor import Tensor

    given = ffi.new(TENSORS, [each._handle for each in tensors])
    results = ffi.new(TENSORS, LARGEST_RESULTS)
    count = ffi.new("int32_t *", LARGEST_RESULTS)
    check(lib.mlt_call(results, count, handle, given, len(tensors)))
    made = tuple(Tensor._adopt(results[index]) for index in range(count[0]))
    return made[0] if len(made) == 1 else made


def part(tensor: Any, byte_offset: int, shape: tuple[int, ...]) -> Any:
    """The elements from a byte on as a tensor of another shape, without a copy: they must lie in one piece."""
    from martlet.tensor import Tensor

    out = ffi.new("mlt_tensor **")
    check(lib.mlt_tensor_part(out, tensor._handle, byte_offset, len(shape), list(shape)))
    return Tensor._adopt(out[0])
