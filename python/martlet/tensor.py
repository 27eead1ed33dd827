"""Tensors: elements that the library holds, and the operators on them. Every operator is one op of the table."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from martlet import _call, _native, _operators
from martlet._native import check, ffi, lib
from martlet._operators import Operators
from martlet.data_types import DEFAULTS, ORDER, scalar_kind, weak_type
from martlet.errors import InvalidArgumentError, UnsupportedError, WrongTypeError
from martlet.interop import ArrayProtocols
from martlet.methods import TensorMethods
from martlet.ports import CODES, MIL_NAMES

__all__ = ["Tensor"]

new, cast = object.__new__, ffi.cast
HANDLE = ffi.typeof("mlt_tensor *")
VIEW = ffi.typeof("mlt_view *")
DTYPES = {code: np.dtype(name) for name, code in CODES.items()}

# Properties that the type in C answers by itself. It asks those written here where the library refuses.
GETTERS = ("shape", "ndim", "dtype", "is_traced")

# The small tensors that others took the place of last: another thread may just be about to read one. As many as threads
# make while one of them waits for its next turn.
RETIRED: deque[Any] = deque(maxlen=8192)
RETIRED_BYTES = 4096


def address(handle: Any) -> int:
    """A handle as the number it is."""
    return int(cast("uintptr_t", handle))


def native(body: type[Body]) -> type[Body]:
    """Gives a class's members to the type in C and returns that. A class that inherited from it would put every tensor
    under the garbage collector.
    """
    for each in reversed(body.__mro__[: body.__mro__.index(Operators)]):
        for name, value in vars(each).items():
            if name in GETTERS:
                _operators.set(name, 0, value.fget)
            elif name not in ("__dict__", "__weakref__", "__slots__", "__annotations__"):
                setattr(Operators, name, value)
    return Operators  # type: ignore[return-value]


Body = TypeVar("Body")


@native
class Tensor(TensorMethods, ArrayProtocols, Operators):
    """An array of numbers that the library holds, of any shape and of one element type.

    Element types are NumPy's bool, int8 to int64, uint8 to uint64, float16, float32, float64, complex64, complex128.
    Whatever is computed runs on the device that the selector chooses, or on the one that `to` named.
    The library never changes a tensor's elements: assignment gives this object a new tensor, and arrays taken from it
    before keep the old elements. Threads may share tensors; where several assign to one, changes may get lost.
    """

    _address: int
    _kept: list[Any]

    def __init__(self, data: Any, dtype: Any = None, device: str | None = None) -> None:
        """Copies data into a tensor.

        Args:
            data: A number, nested lists of numbers, an array, another tensor, or whatever NumPy takes.
            dtype: The element type. By default an array's own; float32 for Python's floats, int32 for its ints (int64
                where one does not fit), bool, complex64.
            device: The device that computes with it, out of `martlet.devices()`; by default the selector chooses.

        Raises:
            InvalidArgumentError: The lists are ragged, or there is no such device.
            WrongTypeError: The data are not numbers.
        """
        self._address = address(_call.handle_from(elements(data, dtype)))
        if device is not None:
            self._replace(self.to(device))

    @classmethod
    def _adopt(cls, handle: Any) -> Tensor:
        """A tensor that owns a handle of the library's."""
        result: Tensor = new(Tensor)
        result._address = address(handle)
        return result

    @property
    def _handle(self) -> Any:
        return cast(HANDLE, self._address)

    def _replace(self, other: Tensor) -> Tensor:
        """Takes another tensor's elements. Old ones that an array still shows stay as long as this object."""
        self._swap(other)
        if hasattr(self, "_kept"):
            self._kept.append(other)
        elif other.nbytes <= RETIRED_BYTES:
            RETIRED.append(other)
        return self

    # What it is

    def _view(self) -> Any:
        view = ffi.new(VIEW)
        status = lib.mlt_tensor_view(view, self._handle)
        if status:
            check(status)
        return view

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""
        view = self._view()
        return tuple(ffi.unpack(view.shape, view.rank))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
        return DTYPES[self._view().dtype]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self._view().rank)

    @property
    def size(self) -> int:
        """The number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def nbytes(self) -> int:
        """The number of bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """The number of bytes of one element."""
        return self.dtype.itemsize

    @property
    def device(self) -> str:
        """The device that computes with this tensor; `auto` where the selector chooses."""
        return _native.text(lib.mlt_tensor_device, self._handle)

    @property
    def is_traced(self) -> bool:
        """Whether it stands for a value of a function that is being traced, and has no elements."""
        view = self._view()
        return not view.data

    def to(self, device: str | None) -> Tensor:
        """The same elements, bound to a device: what is computed from them runs there. None or "auto" lets the selector
        choose again.

        Raises:
            InvalidArgumentError: There is no such device.
            UnsupportedError: It is not available; the message says why.
        """
        out = ffi.new("mlt_tensor **")
        name = ffi.NULL if device in (None, "auto") else str(device).encode()
        check(lib.mlt_tensor_to(out, self._handle, name))
        return Tensor._adopt(out[0])

    # Elements

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """NumPy's description of the memory, read-only; the elements stay as long as this object."""
        if not hasattr(self, "_kept"):
            self._kept = []  # from now on some array may show these elements
        return self._interface()

    def _known(self) -> Any:
        """The view of a tensor that has elements."""
        view = self._view()
        if not view.data:
            raise UnsupportedError("The tensor has no elements: its function is being traced, not run.")
        return view

    def _interface(self) -> dict[str, Any]:
        view = self._known()
        address = int(ffi.cast("uintptr_t", view.data))
        shape = tuple(ffi.unpack(view.shape, view.rank))
        return {"version": 3, "shape": shape, "typestr": DTYPES[view.dtype].str, "data": (address, True)}

    def numpy(self) -> NDArray[Any]:
        """The elements as a read-only array, without a copy. It keeps them, whatever becomes of this object."""
        owner = self.copy()
        interface = owner._interface()
        if 0 in interface["shape"]:
            return np.empty(interface["shape"], interface["typestr"])
        return np.asarray(Interface(owner, interface))

    def item(self) -> Any:
        """The only element as a Python number.

        Raises:
            InvalidArgumentError: There is not exactly one element.
        """
        view = self._known()
        dtype = DTYPES[view.dtype]
        if view.bytes != dtype.itemsize:
            raise InvalidArgumentError(f"A tensor of shape {self.shape} has {self.size} elements, not one.")
        return np.frombuffer(ffi.buffer(view.data, view.bytes), dtype)[0].item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.numpy().tolist()

    def astype(self, dtype: Any, *, copy: bool = True) -> Tensor:
        """The elements in another type: floats that become integers are truncated towards zero.

        Raises:
            WrongTypeError: There is no such element type, or complex numbers would become real.
        """
        wanted = element_type(dtype)
        if wanted == self.dtype:
            return self.copy() if copy else self
        result: Tensor = _call.call("cast", {"x": self}, dtype=MIL_NAMES.get(wanted.name, wanted.name))
        return result

    def copy(self) -> Tensor:
        """A tensor of its own over the same elements, which are never changed."""
        if self.is_traced:
            return self
        return _call.part(self, 0, self.shape)

    @property
    def T(self) -> Tensor:
        """The dimensions in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged.

        Raises:
            InvalidArgumentError: It has less than two dimensions.
        """
        rank = self.ndim
        if rank < 2:
            raise InvalidArgumentError(f"A tensor of shape {self.shape} has no matrices to transpose.")
        return self.transpose(*range(rank - 2), rank - 1, rank - 2)

    def transpose(self, *axes: Any) -> Tensor:
        """The dimensions in another order, reversed where none is given."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        perm = tuple(order) if order else tuple(range(self.ndim))[::-1]
        result: Tensor = _call.call("transpose", {"x": self}, perm=perm) if self.ndim > 1 else self.copy()
        return result

    permute = transpose

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements under another shape, without a copy; -1 stands for the size that follows.

        Raises:
            InvalidArgumentError: The shape has another number of elements.
        """
        sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if self.is_traced:
            traced: Tensor = _call.call("reshape", {"x": self}, shape=sizes)
            return traced
        return _call.part(self, 0, resolved(self.shape, sizes))

    def matmul(self, other: Any) -> Tensor:
        """The matrix product with another tensor, of the last two dimensions; the others broadcast.

        Raises:
            InvalidArgumentError: The inner sizes differ; both shapes are named.
        """
        result: Tensor = self @ other
        return result


class Interface:
    """What NumPy asks for memory, with the tensor that owns it."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner: Tensor, interface: dict[str, Any]) -> None:
        self.owner = owner
        self.__array_interface__ = interface


def element_type(dtype: Any) -> np.dtype[Any]:
    """A NumPy type of elements that tensors can have.

    Raises:
        WrongTypeError: There are no tensors of it.
    """
    found = DEFAULTS.get(dtype)
    try:
        found = found or np.dtype(dtype)
    except TypeError as error:
        raise WrongTypeError(f"{dtype!r} is no element type: {error}.") from None
    if found.name not in CODES:
        raise WrongTypeError(f"There are no tensors of {found}; there are {', '.join(CODES)}.")
    return found.newbyteorder("=")


def elements(data: Any, dtype: Any = None) -> NDArray[Any]:
    """Data as an array of a type that tensors can have."""
    if isinstance(data, Tensor):
        data = data.numpy()
    try:
        array = np.asarray(data)
    except (ValueError, TypeError) as error:
        raise InvalidArgumentError(f"The data are not an array: {error}") from None
    if dtype is None and not isinstance(data, (np.ndarray, np.generic)) and not has_own_type(data):
        array = array.astype(default_type(array), copy=False)
    if array.dtype.kind not in ORDER:
        raise WrongTypeError(f"The data are {array.dtype}; tensors hold {', '.join(CODES)}.")
    wanted = element_type(array.dtype if dtype is None else dtype)
    if array.dtype.kind == "c" and wanted.kind != "c":
        raise WrongTypeError(f"The data are {array.dtype}, which {wanted} cannot hold; take their real part.")
    return array.astype(wanted, copy=False)


def has_own_type(data: Any) -> bool:
    """Whether data is an array of some kind, with a type of its own."""
    return hasattr(data, "dtype") or hasattr(data, "__array_interface__") or hasattr(data, "__array__")


def default_type(array: NDArray[Any]) -> np.dtype[Any]:
    """The type of elements that came as Python numbers."""
    if array.dtype.kind == "f":
        return DEFAULTS[float]
    if array.dtype.kind == "c":
        return DEFAULTS[complex]
    if array.dtype == np.int64 and (array.size == 0 or fits_int32(array)):
        return DEFAULTS[int]
    return array.dtype


def fits_int32(array: NDArray[Any]) -> bool:
    return bool(array.min() >= -(2**31) and array.max() < 2**31)


def resolved(shape: tuple[int, ...], wanted: Sequence[int]) -> tuple[int, ...]:
    """A shape with its -1 filled in; it must have the elements of the other."""
    count = 1
    for size in shape:
        count *= size
    sizes = [int(size) for size in wanted]
    rest = 1
    for size in sizes:
        rest *= size if size != -1 else 1
    if sizes.count(-1) == 1 and rest > 0 and count % rest == 0:
        sizes[sizes.index(-1)] = count // rest
        rest = count
    if rest != count or min(sizes, default=0) < 0:
        raise InvalidArgumentError(f"A tensor of shape {shape} cannot take the shape {tuple(wanted)}.")
    return tuple(sizes)


# Operators


@lru_cache(maxsize=4096)
def scalar_tensor(kind: type, text: str, dtype: np.dtype[Any]) -> Tensor:
    """A number as a tensor of rank 0; the numbers used last are kept."""
    value = kind(text) if kind is not bool else text == "True"
    if kind is int and dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise OverflowError(f"The number {value} is out of the range of {dtype}.")
    return Tensor(np.asarray(value).astype(dtype))


def operand(value: Any, dtype: np.dtype[Any]) -> Tensor | None:
    """The other side of an operator as a tensor; None where it is nothing that tensors combine with."""
    if isinstance(value, Tensor):
        return value
    if kind := scalar_kind(value):
        return scalar_tensor(kind, str(value), weak_type(kind, dtype))
    if isinstance(value, (np.ndarray, np.generic)):
        return Tensor(value) if value.dtype.name in CODES else None
    return None


def binary(name: str) -> Callable[[Any, Any], Any]:
    """What an operator does where not both sides are tensors, or where the library refused them."""

    def otherwise(x: Any, y: Any) -> Any:
        known = x.dtype if isinstance(x, Tensor) else y.dtype
        first, second = operand(x, known), operand(y, known)
        if first is None or second is None:
            return NotImplemented
        result = lib.mlt_call2(HANDLES[name], first._handle, second._handle)
        return Tensor._adopt(result) if result else _native.fail()

    return otherwise


def unary(name: str) -> Callable[[Any], Any]:
    """What a method does where the library refused the tensor."""

    def otherwise(x: Any) -> Any:
        result = lib.mlt_call1(HANDLES[name], x._handle)
        return Tensor._adopt(result) if result else _native.fail()

    return otherwise


def in_place(method: str) -> Callable[[Tensor, Any], Tensor]:
    """An operator that gives its result to the tensor on its left."""

    def operator(self: Tensor, other: Any) -> Tensor:
        result = getattr(self, method)(other)
        if result is NotImplemented:
            return NotImplemented
        shape, dtype = self.shape, self.dtype
        if result.shape != shape:
            raise InvalidArgumentError(
                f"The result has shape {result.shape}, which does not fit into {shape} in place."
            )
        if ORDER[result.dtype.kind] > ORDER[dtype.kind]:
            raise WrongTypeError(f"The result is {result.dtype}, which does not fit into {dtype} in place.")
        return self._replace(result if result.dtype == dtype else result.astype(dtype))

    return operator


IN_PLACE = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift", "matmul")
BINARY = (
    "add", "sub", "mul", "divide", "floor_div", "mod", "pow", "bitwise_and", "bitwise_or", "bitwise_xor", "shift_left",
    "shift_right", "matmul", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
)  # fmt: skip
UNARY = (
    "negative", "bitwise_not", "abs", "relu", "relu6", "sigmoid", "silu", "softplus", "softsign", "gelu", "tanh", "exp",
    "sqrt", "sin", "cos", "tan", "floor", "ceil", "round", "sign", "square", "erf", "asin", "acos", "atan", "sinh",
    "cosh",
)  # fmt: skip
HANDLES = {name: _call.op(name, ("x", "y")) for name in BINARY} | {name: _call.op(name, ("x",)) for name in UNARY}


CALLS = ("mlt_call1", "mlt_call2", "mlt_brief1", "mlt_brief2", "mlt_release", "mlt_tensor_view")


def install() -> None:
    """Gives the operators their ops, and Tensor those that work in place."""
    _operators.bind(Tensor, *map(function_address, CALLS))
    for name, handle in HANDLES.items():
        _operators.set(name, address(handle), (binary if name in BINARY else unary)(name))
    _operators.set("numpy", 0, Tensor.numpy)
    for code, dtype in DTYPES.items():
        _operators.dtype(code, dtype)
    for name in IN_PLACE:
        setattr(Tensor, f"__i{name}__", in_place(f"__{name}__"))


def function_address(name: str) -> int:
    """Where a function of the library is."""
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))


install()
