"""Custom ops: Python or C functions as ops of the language, in eager calls, in MIL text and in models."""

from __future__ import annotations

import ctypes
import functools
import inspect
import itertools
import json
import operator
import os
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

import martlet
from martlet import _call
from martlet._native import RAISED, callback, check, ffi, lib
from martlet.errors import InvalidArgumentError, NotFoundError, WrongTypeError
from martlet.ports import MIL_NAMES

__all__ = ["CustomOp", "Result", "custom_op"]

DTYPES: dict[int, np.dtype[Any]] = {
    getattr(lib, f"MLT_{name.upper()}"): np.dtype(name)
    for name in (
        *("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
# What a Python value as a constant may arrive as.
CONSTANTS: dict[type, tuple[str, ...]] = {
    bool: ("bool",),
    int: ("int32", "int64", "int8", "uint8", "int16", "uint16", "uint32", "uint64"),
    float: ("fp32", "fp16", "fp64"),
    str: ("string",),
}


@dataclass(frozen=True)
class Result:
    """The type of one output of a custom op.

    Attributes:
        dtype: A NumPy dtype, or the name of the parameter whose dtype it has; by default the first parameter.
        shape: Sizes, or the name of the parameter whose shape it has; by default that which all tensors broadcast to.
            A size may be an expression, such as `"x.shape[0]"` (see `metal_kernel`).
    """

    dtype: DTypeLike | str | None = None
    shape: Sequence[int | str] | str | None = None


@dataclass(frozen=True)
class Parameter:
    """One parameter: which dtypes it takes; a constant reaches the function as a plain Python value or an array."""

    name: str
    dtypes: tuple[str, ...]
    constant: bool = False
    default: Any = None
    kind: Callable[[Any], Any] | None = None

    def value(self, given: Any) -> Any:
        """A constant's value as its annotation says: 2 is 2.0 for a float."""
        return given if self.kind is None else self.kind(given)

    def declared(self) -> dict[str, Any]:
        """The parameter in the JSON of `mlt_custom_op`."""
        fields = {"name": self.name, "dtypes": list(self.dtypes), "constant": self.constant}
        return fields if self.default is None else fields | {"default": self.default}


class CustomOp:
    """An op that was added to the language. It stays until `remove`, or until another takes its name."""

    name: str
    """The name in MIL text."""
    metal: martlet.MetalKernel | None
    """Its Metal kernel."""

    def __init__(
        self, name: str, function: Any, parameters: list[Parameter], metal: martlet.MetalKernel | None
    ) -> None:
        self.name, self.metal = name, metal
        self._function = function
        self._parameters = parameters
        if callable(function):
            functools.update_wrapper(self, function)

    def __repr__(self) -> str:
        return f"<custom op {self.name}({', '.join(each.name for each in self._parameters)})>"

    def __call__(self, *values: Any, **named: Any) -> Any:
        """Runs the op at once.

        Args:
            values: Tensors, arrays and constants in the order of the parameters.
            named: The same by name. Constants may be left out where they have a default.

        Returns:
            One tensor, or a tuple of them.

        Raises:
            CallbackError: The function failed; `__cause__` is what it raised.
            InvalidArgumentError: The function returned another shape, or a parameter is missing or unknown.
        """
        names = [each.name for each in self._parameters]
        if len(values) > len(names):
            raise InvalidArgumentError(f"{self.name} takes {len(names)} values, not {len(values)}.")
        given = dict(zip(names, values))
        if twice := given.keys() & named.keys():
            raise InvalidArgumentError(f"{self.name} is given {', '.join(sorted(twice))} twice.")
        given |= named
        for each in self._parameters:
            if each.constant and each.name in given:
                given[each.name] = each.value(given[each.name])
        return _call.call(self.name, given)

    def remove(self) -> None:
        """Takes the op out of the language. Models that were compiled keep it.

        Raises:
            InvalidArgumentError: It is gone already.
        """
        check(lib.mlt_custom_op_remove(self.name.encode()))
        _call.forget(self.name)


@overload
def custom_op(
    name: str,
    function: None = None,
    *,
    inputs: Mapping[str, DTypeLike | Iterable[DTypeLike] | None] | Sequence[str] | None = None,
    outputs: str | Result | Sequence[str | Result] | int | None = None,
    infer: Callable[..., Any] | None = None,
    metal: martlet.MetalKernel | None = None,
    pure: bool = False,
) -> Callable[[Any], CustomOp]: ...
@overload
def custom_op(
    name: str,
    function: Any,
    *,
    inputs: Mapping[str, DTypeLike | Iterable[DTypeLike] | None] | Sequence[str] | None = None,
    outputs: str | Result | Sequence[str | Result] | int | None = None,
    infer: Callable[..., Any] | None = None,
    metal: martlet.MetalKernel | None = None,
    pure: bool = False,
) -> CustomOp: ...
def custom_op(
    name: str,
    function: Any = None,
    *,
    inputs: Mapping[str, DTypeLike | Iterable[DTypeLike] | None] | Sequence[str] | None = None,
    outputs: str | Result | Sequence[str | Result] | int | None = None,
    infer: Callable[..., Any] | None = None,
    metal: martlet.MetalKernel | None = None,
    pure: bool = False,
) -> Any:
    """Adds an op to the language, as a decorator or as a call.

    The function gets its tensors as NumPy arrays: read-only copies of the values, which it may keep. It returns an
    array for each output, or takes a parameter `out` and writes to it (a tuple where there are several); either way
    the elements are copied to their place once it has returned.
    It runs in the thread that runs the program, in several at once where several do.

        @martlet.custom_op("clamped_scale")
        def clamped_scale(x, factor: float = 2.0):
            return np.clip(x * factor, -1, 1)

    A C function has the type `mlt_custom_run` of `martlet.h`, works on the values where they lie, and is never slowed
    down by Python's lock:

        martlet.custom_op("twice", ("./libtwice.so", "twice"), inputs={"x": "float32"}, outputs="x")

    Args:
        name: The op's name in MIL text: letters, digits and underscores. A custom op of that name is replaced; models
            that were compiled keep the old one.
        function: A Python function, a pair of a library's path and a symbol, a cffi or ctypes function pointer, or None
            where this is a decorator.
        inputs: The dtypes of each parameter that is a tensor, None for any; or only their names. By default they follow
            from the function: parameters annotated bool, int, float or str, and those with a default, are constants,
            all others tensors; `NDArray[np.float32]` says a dtype.
        outputs: What comes out: for each output a `Result`, or the name of the parameter whose dtype and shape it has.
            By default one, with the dtype of the first tensor and the shape that all tensors broadcast to. With `infer`
            the number of outputs.
        infer: Where output types follow from something else: a function that gets a `Result` for each tensor and a
            value for each constant (None where it is not known yet) and returns a `Result`, or several.
        metal: A Metal kernel for devices with Metal; the function runs elsewhere. See `metal_kernel` for one that runs
            on both.
        pure: The same inputs always give the same outputs, so that a result for constants may be kept.

    Returns:
        A `CustomOp`, which can be called; as a decorator, what makes one.

    Raises:
        InvalidArgumentError: The name is taken by the language or is no name, or an output is like no parameter.
        WrongTypeError: A dtype is none of Martlet's, or the function is nothing that can be called.
    """
    if function is None:
        return lambda function: custom_op(
            name, function, inputs=inputs, outputs=outputs, infer=infer, metal=metal, pure=pure
        )
    if is_native(function):
        parameters, pointer = listed(inputs), c_pointer(function)
    elif callable(function):
        parameters, pointer = described(function, inputs), run_op
    else:
        raise WrongTypeError(f"The function of {name!r} is {function!r}, which cannot be called.")
    names = [each.name for each in parameters]
    if isinstance(outputs, int) or infer is not None:
        results: Any = outputs if isinstance(outputs, int) else 1
    else:
        each = [Result()] if outputs is None else [outputs] if isinstance(outputs, (str, Result)) else outputs
        results = [declared_result(result, names) for result in each]
    if metal is not None and not hasattr(metal, "declared"):
        raise WrongTypeError(f"'metal' is {kind(metal)}; it must be a martlet.MetalKernel, with grid and threadgroup.")
    if metal is not None:  # which has no fp64: a Python float is one of the smaller types
        parameters = [
            replace(each, dtypes=tuple(dtype for dtype in each.dtypes if dtype != "fp64")) if each.constant else each
            for each in parameters
        ]
    op = CustomOp(name, function, parameters, metal)
    words = (inspect.getdoc(function) if callable(function) else None) or "A custom op."
    register(op, Entry(function, infer, parameters), pointer, results, pure, words)
    return op


def register(op: CustomOp, entry: Entry, pointer: Any, results: Any, pure: bool, words: str) -> None:
    """Makes an op part of the language."""
    declaration = {
        "name": op.name,
        "words": words,
        "parameters": [each.declared() for each in entry.parameters],
        "outputs": results,
        "pure": pure,
        "metal": op.metal and op.metal.declared(op.name, entry.parameters),
    }
    number = next(NUMBERS)
    ENTRIES[number] = entry
    infer = infer_op if entry.infer else ffi.NULL
    text = json.dumps(declaration).encode()
    try:
        check(lib.mlt_custom_op(text, infer, pointer, ffi.cast("void *", number), let_go))
    except BaseException:
        del ENTRIES[number]
        raise
    _call.forget(op.name)


# What programs take


def mil_name(dtype: Any) -> str:
    """Core ML's name of a NumPy dtype."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise WrongTypeError(f"{dtype!r} is no dtype.") from None
    if found not in CODES:
        raise WrongTypeError(f"Custom ops know no {found}; they know {', '.join(each.name for each in CODES)}.")
    return MIL_NAMES.get(found.name, found.name)


ALL = tuple(mil_name(dtype) for dtype in CODES)


def listed(inputs: Any) -> list[Parameter]:
    """Parameters that are all tensors."""
    if inputs is None:
        raise InvalidArgumentError("A C function does not say what it takes: give inputs={name: dtype}.")
    if not isinstance(inputs, Mapping):
        inputs = dict.fromkeys(inputs)
    return [Parameter(name, accepted(dtypes)) for name, dtypes in inputs.items()]


def accepted(dtypes: Any) -> tuple[str, ...]:
    """One dtype, several, or None for all."""
    if dtypes is None:
        return ALL
    several = dtypes if isinstance(dtypes, (list, tuple, set, frozenset)) else [dtypes]
    return tuple(mil_name(dtype) for dtype in several)


def described(function: Callable[..., Any], inputs: Any) -> list[Parameter]:
    """The parameters of a Python function, by its signature."""
    tensors = {each.name: each for each in listed(inputs)} if inputs is not None else {}
    if isinstance(function, np.ufunc):
        return list(tensors.values()) or listed("xyzw"[: function.nin])
    try:
        signature = inspect.signature(function)
    except ValueError:  # a function written in C that does not say
        return list(tensors.values())
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # an annotation that only a type checker can read
        hints = {}
    found = []
    for name, parameter in signature.parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            if inputs is None:
                raise InvalidArgumentError(
                    f"The parameter {parameter} has no fixed number: give inputs={{name: dtype}}."
                )
        elif name != "out":
            known = tensors.pop(name) if name in tensors else None
            found.append(known or from_hint(name, hints.get(name), parameter.default))
    return found + list(tensors.values())


def from_hint(name: str, hint: Any, default: Any) -> Parameter:
    """A parameter by its annotation and default."""
    if hint in CONSTANTS:
        return Parameter(name, CONSTANTS[hint], True, None if default is inspect.Parameter.empty else default, hint)
    if default is not inspect.Parameter.empty:
        first = default[0] if isinstance(default, (list, tuple)) and default else default
        if type(first) not in CONSTANTS:
            raise WrongTypeError(f"The default of {name!r} is {default!r}; it must be bool, int, float, str or a list.")
        return Parameter(name, CONSTANTS[type(first)], True, default)
    return Parameter(name, hinted(hint))


def hinted(hint: Any) -> tuple[str, ...]:
    """The dtypes in an annotation such as `NDArray[np.float32]`, else all."""
    scalars = [scalar for part in typing.get_args(hint) for scalar in typing.get_args(part)]
    known = [each for each in scalars if isinstance(each, type) and issubclass(each, np.generic)]
    exact = [each for each in known if not inspect.isabstract(each) and each.__subclasses__() == []]
    return accepted(exact) if exact else ALL


def declared_result(result: str | Result, names: list[str]) -> dict[str, Any]:
    """The type of an output in the JSON of `mlt_custom_op`."""
    if isinstance(result, str):
        if result not in names:
            raise InvalidArgumentError(f"An output is like {result!r}; the parameters are {', '.join(names)}.")
        result = Result(result, result)
    fields: dict[str, Any] = {}
    if isinstance(result.dtype, str) and result.dtype in names:
        fields["dtype"] = {"like": result.dtype}
    elif result.dtype is not None:
        fields["dtype"] = mil_name(result.dtype)
    if isinstance(result.shape, str):
        fields["shape"] = {"like": result.shape}
    elif result.shape is not None:
        fields["shape"] = [size if isinstance(size, str) else operator.index(size) for size in result.shape]
    return fields


def is_native(function: Any) -> bool:
    return isinstance(function, (tuple, ffi.CData, ctypes._CFuncPtr))  # type: ignore[attr-defined]


def c_pointer(function: Any) -> Any:
    """The C function that was given in one of three ways."""
    if isinstance(function, ffi.CData):
        return ffi.cast("mlt_custom_run", ffi.cast("uintptr_t", function))
    if isinstance(function, tuple):
        path, symbol = function
        try:
            function = getattr(ctypes.CDLL(os.fspath(path)), symbol)
        except OSError as error:
            raise NotFoundError(f"The library {os.fspath(path)!r} cannot be loaded: {error}.") from error
        except AttributeError:
            raise NotFoundError(f"The library {os.fspath(path)!r} has no function {symbol!r}.") from None
    return ffi.cast("mlt_custom_run", ctypes.cast(function, ctypes.c_void_p).value)


# Calling back


class Entry:
    """What an op's callbacks need: the functions, and how their arguments are to look."""

    def __init__(self, function: Any, infer: Callable[..., Any] | None, parameters: list[Parameter]) -> None:
        self.function, self.infer, self.parameters = function, infer, parameters
        try:
            self.takes_out = not isinstance(function, np.ufunc) and "out" in inspect.signature(function).parameters
        except (TypeError, ValueError):
            self.takes_out = False

    def run(self, outputs: list[Any], inputs: list[Any]) -> None:
        """Calls the function on copies and copies what comes out: the library's memory is only valid meanwhile."""
        values = [
            constant(view) if parameter.constant else copied(view, writeable=False)
            for parameter, view in zip(self.parameters, inputs, strict=True)
        ]
        named = {parameter.name: value for parameter, value in zip(self.parameters, values)}
        for view, result in zip(outputs, self.results(named, outputs), strict=True):
            store(view, np.asarray(result))

    def results(self, named: dict[str, Any], outputs: list[Any]) -> Sequence[Any]:
        """What the function returned, or wrote to new arrays: one for each output."""
        if self.takes_out:
            targets = tuple(np.empty(*type_of(view)) for view in outputs)
            self.call(named, out=targets if len(targets) > 1 else targets[0])
            return targets
        results = self.call(named)
        if len(outputs) == 1:
            return (results,)
        if not isinstance(results, (tuple, list)) or len(results) != len(outputs):
            raise InvalidArgumentError(f"The function returned {kind(results)}; it must return {len(outputs)} arrays.")
        return results

    def call(self, named: dict[str, Any], **out: Any) -> Any:
        if isinstance(self.function, np.ufunc):
            return self.function(*named.values())
        return self.function(**named, **out)

    def types(self, inputs: list[Any], count: int) -> list[Result]:
        """The types of the outputs, as `infer` says them."""
        assert self.infer is not None
        values = {
            parameter.name: (constant(view) if view.data else None)
            if parameter.constant
            else Result(DTYPES[view.dtype], tuple(ffi.unpack(view.shape, view.rank)))
            for parameter, view in zip(self.parameters, inputs, strict=True)
        }
        results = self.infer(**values)
        results = [results] if isinstance(results, Result) else list(results)
        if len(results) != count or not all(isinstance(each, Result) for each in results):
            raise InvalidArgumentError(f"infer returned {results}; it must return {count} of martlet.Result.")
        return results


def kind(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, (tuple, list)) else f"one {type(value).__name__}"


def type_of(view: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and dtype of what lies in the library's memory."""
    return tuple(ffi.unpack(view.shape, view.rank)), DTYPES[view.dtype]


def memory(view: Any) -> NDArray[Any]:
    """An array over the library's memory. Nothing may hold it, no frame of a traceback either: the memory goes."""
    shape, dtype = type_of(view)
    if not view.bytes:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, ffi.buffer(ffi.cast("char *", view.data), view.bytes))


def copied(view: Any, writeable: bool = True) -> NDArray[Any]:
    """The library's values in an array that owns them."""
    array = np.array(memory(view))
    array.flags.writeable = writeable
    return array


def store(view: Any, result: NDArray[Any]) -> None:
    """Copies a result to its place, if that is what belongs there."""
    shape, dtype = type_of(view)
    if result.shape != shape:
        raise InvalidArgumentError(f"The function returned shape {list(result.shape)}; it must return {list(shape)}.")
    if not np.can_cast(result.dtype, dtype, "same_kind"):
        raise WrongTypeError(f"The function returned {result.dtype}; it must return {dtype}.")
    np.copyto(memory(view), result, casting="same_kind")


def constant(view: Any) -> Any:
    """A constant as a Python value, or a list of texts, or an array of its own."""
    if view.dtype == lib.MLT_STRING:
        count = view.bytes // ffi.sizeof("char *")
        texts = [ffi.string(each).decode() for each in ffi.unpack(ffi.cast("char **", view.data), count)]
        return texts if view.rank else texts[0]
    array = copied(view)
    return array if view.rank else array.item()


def failed(error: BaseException, message: Any, size: int) -> int:
    """Keeps what was raised for the thread's caller, and tells the library."""
    words = f"{type(error).__name__}: {error}".replace("\0", " ").encode()[: size - 1].decode(errors="ignore")
    RAISED.keep(error, words)
    encoded = words.encode() + b"\0"
    ffi.memmove(message, encoded, len(encoded))
    return 1


def number_of(context: Any) -> int:
    return int(ffi.cast("uintptr_t", context))


# One callback of each kind for all ops: the context is the number of the op's entry. cffi takes Python's lock for them.
ENTRIES: dict[int, Entry] = {}
NUMBERS = itertools.count(1)


@callback("mlt_custom_run", otherwise=1)
def run_op(
    context: Any, outputs: Any, output_count: int, inputs: Any, input_count: int, message: Any, size: int
) -> int:
    try:
        entry = ENTRIES[number_of(context)]
        entry.run([outputs[index] for index in range(output_count)], [inputs[index] for index in range(input_count)])
    except BaseException as error:
        return failed(error, message, size)
    return 0


@callback("mlt_custom_infer", otherwise=1)
def infer_op(
    context: Any, outputs: Any, output_count: int, inputs: Any, input_count: int, message: Any, size: int
) -> int:
    try:
        results = ENTRIES[number_of(context)].types([inputs[index] for index in range(input_count)], output_count)
        for index, result in enumerate(results):
            sizes: Any = result.shape or ()
            shape = [operator.index(size) for size in sizes]
            dtype = np.dtype(result.dtype)
            if len(shape) > 64 or dtype not in CODES:
                raise InvalidArgumentError(f"infer returned {result}, which is the type of no tensor.")
            outputs[index].dtype, outputs[index].rank = CODES[dtype], len(shape)
            outputs[index].shape[0 : len(shape)] = shape
    except BaseException as error:
        return failed(error, message, size)
    return 0


@callback("void(void *)")
def let_go(context: Any) -> None:
    """Called by the library, on any thread, when an op is gone and nothing compiled uses it any more."""
    ENTRIES.pop(number_of(context), None)
