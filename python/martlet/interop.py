"""The protocols by which Python, NumPy and other libraries meet a tensor.

Every view that goes out is read-only and shares the tensor's memory: `numpy.asarray(t)`, `memoryview(t)`,
`t.__array_interface__`, DLPack. A copy is made only on request, or for another element type.
"""

# The class is a part of Tensor, which type checkers cannot know of its `self`.
# mypy: disable-error-code="arg-type"
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import martlet
from martlet import printing
from martlet.errors import InvalidArgumentError, WrongTypeError

__all__ = ["ArrayProtocols"]

# NumPy's ufuncs by the functions that answer them for tensors.
UFUNCS = {
    **{
        name: name
        for name in [
            "add",
            "subtract",
            "multiply",
            "divide",
            "floor_divide",
            "remainder",
            "negative",
            "positive",
            "sign",
            "sqrt",
            "square",
            "reciprocal",
            "exp",
            "expm1",
            "log",
            "log1p",
            "log2",
            "log10",
            "logaddexp",
            "sin",
            "cos",
            "tan",
            "sinh",
            "cosh",
            "tanh",
            "hypot",
            "copysign",
            "nextafter",
            "signbit",
            "floor",
            "ceil",
            "trunc",
            "isfinite",
            "isinf",
            "isnan",
            "equal",
            "not_equal",
            "less",
            "less_equal",
            "greater",
            "greater_equal",
            "logical_and",
            "logical_or",
            "logical_not",
            "logical_xor",
            "maximum",
            "minimum",
            "bitwise_and",
            "bitwise_or",
            "bitwise_xor",
            "matmul",
            "vecdot",
        ]
    },
    "absolute": "abs",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "conjugate": "conj",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "power": "pow",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
}

# Reductions of ufuncs by the functions that answer them; the words that a call may use are those of the standard.
REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}

# Functions of NumPy that mean what ours of the same name mean, first argument for first argument.
FUNCTIONS = {
    "concat": "concat",
    "concatenate": "concat",
    "stack": "stack",
    "where": "where",
    "matmul": "matmul",
    "tensordot": "tensordot",
    "expand_dims": "expand_dims",
    "squeeze": "squeeze",
    "transpose": "transpose",
    "permute_dims": "permute_dims",
    "matrix_transpose": "matrix_transpose",
    "moveaxis": "moveaxis",
    "swapaxes": "swapaxes",
    "broadcast_to": "broadcast_to",
    "zeros_like": "zeros_like",
    "ones_like": "ones_like",
    "sum": "sum",
    "prod": "prod",
    "mean": "mean",
    "max": "max",
    "amax": "max",
    "min": "min",
    "amin": "min",
    "any": "any",
    "all": "all",
    "argmax": "argmax",
    "argmin": "argmin",
    "nonzero": "nonzero",
    "flip": "flip",
    "tile": "tile",
}

# Those whose first arguments NumPy takes by place: their names, in order.
WORDS = {
    **dict.fromkeys(
        ("concat", "stack", "sum", "prod", "mean", "max", "min", "any", "all", "argmax", "argmin"), ("axis",)
    ),
    "flip": ("axis",),
    "tensordot": ("axes",),
}


class ArrayProtocols:
    """What a tensor answers to Python's and NumPy's protocols. Its elements come from `numpy()`, without a copy."""

    __slots__ = ()

    # NumPy lets these methods answer where an array and a tensor meet.
    __array_priority__ = 1000

    if TYPE_CHECKING:

        @property
        def dtype(self) -> np.dtype[Any]: ...
        @property
        def shape(self) -> tuple[int, ...]: ...
        @property
        def ndim(self) -> int: ...
        @property
        def size(self) -> int: ...
        @property
        def device(self) -> str: ...
        def numpy(self) -> NDArray[Any]: ...
        def item(self) -> Any: ...
        def copy(self) -> martlet.Tensor: ...
        def _replace(self, other: martlet.Tensor) -> martlet.Tensor: ...
        def to(self, device: str) -> martlet.Tensor: ...

    # -- The array API --

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module of the array functions.

        Raises:
            InvalidArgumentError: another version of the standard was asked for.
        """
        versions = ("2021.12", "2022.12", "2023.12", martlet.__array_api_version__)
        if api_version is not None and api_version not in versions:
            raise InvalidArgumentError(
                f"There is no version {api_version!r} of the array API here; there are {versions}."
            )
        return martlet

    def to_device(self, device: str, /, *, stream: None = None) -> martlet.Tensor:
        """The tensor on a device.

        Raises:
            InvalidArgumentError: there is no such device, or a stream was given.
        """
        if stream is not None:
            raise InvalidArgumentError("A stream was given; the devices have none.")
        return self.to(device)

    # -- Indexing --

    def __getitem__(self, key: Any) -> martlet.Tensor:
        """The elements at a key, as in NumPy. See `martlet.indexing`."""
        return martlet.indexing.getitem(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Gives this object new elements, with a value at a key. Tensors that shared the old ones keep them."""
        self._replace(martlet.indexing.setitem(self, key, value))

    def __len__(self) -> int:
        """The length of the first axis."""
        if not self.shape:
            raise WrongTypeError("A tensor of shape () has no length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[martlet.Tensor]:
        """The slices along the first axis; they share the elements."""
        if not self.shape:
            raise WrongTypeError("A tensor of shape () cannot be iterated over.")
        return iter(martlet.unstack(self))

    def __contains__(self, value: Any) -> bool:
        """Whether any element equals a value."""
        return bool(martlet.any(self == value))

    # -- Python's numbers --

    def __bool__(self) -> bool:
        return bool(self._only("a boolean"))

    def __int__(self) -> int:
        return int(self._only("an integer"))

    def __float__(self) -> float:
        return float(self._only("a number"))

    def __complex__(self) -> complex:
        return complex(self._only("a complex number"))

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise WrongTypeError(f"Only integers of shape () are indices, not {self.dtype} of shape {self.shape}.")
        return int(self.item())

    def __format__(self, specification: str) -> str:
        return (
            format(self.item(), specification) if self.ndim == 0 and specification else format(str(self), specification)
        )

    def _only(self, words: str) -> Any:
        """The one element."""
        if self.size != 1:
            raise InvalidArgumentError(f"A tensor of shape {self.shape} is not {words}; only one element is.")
        return self.item()

    def __pos__(self) -> martlet.Tensor:
        """The same elements."""
        return self.copy()

    # -- Text --

    def __repr__(self) -> str:
        return printing.tensor_repr(self)

    def __str__(self) -> str:
        return printing.tensor_str(self)

    # -- Copies --

    def __copy__(self) -> martlet.Tensor:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> martlet.Tensor:
        return self.copy()

    def __reduce__(self) -> tuple[Callable[..., martlet.Tensor], tuple[NDArray[Any]]]:
        return martlet.from_numpy, (np.array(self.numpy()),)

    # -- NumPy --

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The elements as a NumPy array: a read-only view, or a copy where asked for or needed for another type.

        Raises:
            InvalidArgumentError: copy is False and the type is another one.
        """
        view = self.numpy()
        wanted = view.dtype if dtype is None else np.dtype(dtype)
        if wanted == view.dtype:
            return view.copy() if copy else view
        if copy is False:
            raise InvalidArgumentError(f"A tensor of {view.dtype} is no array of {wanted} without a copy.")
        return view.astype(wanted)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **words: Any) -> Any:
        """Answers NumPy's ufuncs with tensors: the calls of those we have, and the reductions of some."""
        out = words.get("out", ())
        if out and not any(isinstance(one, martlet.Tensor) for one in out):  # the result goes to an array of NumPy
            return getattr(ufunc, method)(*map(as_views, inputs), **words)
        known = (martlet.Tensor, np.ndarray, np.generic, int, float, complex, list)
        others = any(not isinstance(x, known) for x in inputs)
        if others or any(word not in ("axis", "keepdims", "dtype") for word in words):
            return NotImplemented
        inputs = tuple(np.asarray(x) if isinstance(x, list) else x for x in inputs)
        if method == "__call__" and ufunc.__name__ in UFUNCS and not words:
            return getattr(martlet, UFUNCS[ufunc.__name__])(*inputs)
        if method == "reduce" and ufunc.__name__ in REDUCTIONS:
            words.setdefault("axis", 0)
            given = {word: value for word, value in words.items() if word != "dtype" or value is not None}
            return getattr(martlet, REDUCTIONS[ufunc.__name__])(*inputs, **given)
        return NotImplemented

    def __array_function__(self, function: Any, types: Any, arguments: Any, words: dict[str, Any]) -> Any:
        """Answers functions of NumPy: ours where one means the same, else NumPy's own on read-only views."""
        name = FUNCTIONS.get(function.__name__)
        if name == "where" and len(arguments) == 1:  # of a condition alone NumPy asks where it is true
            name = "nonzero"
        given = {word: value for word, value in words.items() if value is not np._NoValue}
        if name and function.__module__ == "numpy" and set(given) <= {"axis", "axes", "keepdims", "dtype"}:
            count = 2 if name in ("tensordot",) else 1
            extra = WORDS.get(name, ())
            if len(arguments) > count and extra:
                given |= zip(extra, arguments[count:])
                arguments = arguments[:count]
            return getattr(martlet, name)(*arguments, **given)
        return function(*map(as_views, arguments), **{word: as_views(value) for word, value in words.items()})

    # -- DLPack --

    def __dlpack_device__(self) -> tuple[int, int]:
        """The memory of tensors is the CPU's."""
        return (1, 0)

    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule: of version 1 over the tensor's own memory and marked read-only where the taker knows that
        version, else over a copy, since older ones have no such mark.

        Raises:
            BufferError: another device is asked for, or copy is False and a copy is needed.
        """
        if dl_device not in (None, (1, 0)):
            raise BufferError(f"The tensor is in memory of the CPU; device {dl_device} is another.")
        if stream is not None:
            raise BufferError("A stream was given; the CPU has none.")
        versioned = max_version is not None and max_version[0] >= 1 and NUMPY_2
        if copy is False and not versioned:
            raise BufferError("Tensors are read-only, which DLPack says from version 1 on; give max_version=(1, 0).")
        array = self.numpy() if versioned and not copy else np.array(self.numpy())
        return array.__dlpack__(max_version=max_version) if NUMPY_2 else array.__dlpack__()


NUMPY_2 = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


def as_views(value: Any) -> Any:
    """Tensors as read-only NumPy views, within sequences and mappings too."""
    if isinstance(value, martlet.Tensor):
        return value.numpy()
    if isinstance(value, (list, tuple)) and any(isinstance(one, (martlet.Tensor, list, tuple)) for one in value):
        return type(value)(map(as_views, value)) if type(value) in (list, tuple) else value
    return value
