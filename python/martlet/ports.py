"""The inputs and outputs of a model, and how a Python value becomes what an input wants."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from martlet._native import lib
from martlet._printable import printable
from martlet.errors import InvalidArgumentError, OutOfMemoryError, UnsupportedError, WrongTypeError

__all__ = ["ARRAY_KINDS", "Image", "Port", "as_input", "element_type"]

# The kinds of ports whose values are arrays.
ARRAY_KINDS = ("multiArray", "image", "state")

# Where Core ML's names and NumPy's differ, and the other way round.
NUMPY_NAMES = {"fp16": "float16", "fp32": "float32", "fp64": "float64", "string": "str"}
MIL_NAMES = {name: core_ml for core_ml, name in NUMPY_NAMES.items()}

CODES: dict[str, int] = {
    "bool": lib.MLT_BOOL,
    "int8": lib.MLT_INT8,
    "uint8": lib.MLT_UINT8,
    "int16": lib.MLT_INT16,
    "uint16": lib.MLT_UINT16,
    "int32": lib.MLT_INT32,
    "uint32": lib.MLT_UINT32,
    "int64": lib.MLT_INT64,
    "uint64": lib.MLT_UINT64,
    "float16": lib.MLT_FLOAT16,
    "float32": lib.MLT_FLOAT32,
    "float64": lib.MLT_FLOAT64,
    "complex64": lib.MLT_COMPLEX64,
    "complex128": lib.MLT_COMPLEX128,
}


def element_type(name: str) -> np.dtype[Any]:
    """The NumPy type of an element type of Core ML: `fp32` is `float32`, `string` is `str`."""
    try:
        return np.dtype(NUMPY_NAMES.get(name, name))
    except TypeError:
        raise UnsupportedError(f"NumPy has no element type for {name!r}.") from None


@dataclass(frozen=True)
class Image:
    """What an image input wants: `color_space` is `rgb`, `bgr`, `grayscale` or `grayscale_fp16`.

    The first three hold levels from 0 to 255. Pixels of `grayscale_fp16` are half-precision numbers of any scale.
    """

    width: int
    height: int
    color_space: str

    @property
    def channels(self) -> int:
        return 1 if self.color_space.startswith("grayscale") else 3

    @property
    def is_half(self) -> bool:
        """Whether pixels are half-precision numbers instead of levels."""
        return self.color_space == "grayscale_fp16"


@dataclass(frozen=True)
class Port:
    """One input or output of a model.

    `shape` has -1 where any size goes; `flexibility` then says which ones: `{"enumerated": [shapes]}` or
    `{"ranges": [[least, most], ...]}`, where -1 stands for no limit. `kind` is `multiArray`, `image`, `int64`,
    `double`, `string`, `dictionary`, `sequence` or `state`. The outputs of a classifier have `labels`: the classes in
    the order of the probabilities.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    kind: str = "multiArray"
    description: str = ""
    optional: bool = False
    flexibility: dict[str, list[Any]] | None = None
    image: Image | None = None
    labels: list[str] | list[int] | None = None
    code: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", CODES.get(self.dtype.name, lib.MLT_STRING))

    def __repr__(self) -> str:
        words = f" {self.description!r}" if self.description else ""
        kind = "" if self.kind == "multiArray" else f" {self.kind}"
        labels = f", {len(self.labels)} labels" if self.labels else ""
        return printable(f"<{self.name}:{kind} {self.dtype.name} {self.shape_text}{labels}{words}>")

    @property
    def shape_text(self) -> str:
        """The shape for people: `[1, 3, ?]`."""
        return "[" + ", ".join("?" if size < 0 else str(size) for size in self.shape) + "]"

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"The {'state' if self.kind == 'state' else 'input'} {self.name!r}"

    def feature(self, array: NDArray[Any]) -> Any:
        """What an array of the library stands for: an array, str, int, float, or a dictionary from label to number."""
        if self.kind in ARRAY_KINDS:
            return array
        if self.kind == "dictionary" and self.labels is not None:
            return dict(zip(self.labels, array.ravel().tolist(), strict=True))
        return array.ravel().tolist() if self.kind == "sequence" else array.item()

    def to_pil(self, value: ArrayLike) -> Any:
        """What an image output gave as a PIL image: levels are rounded and held between 0 and 255.

        16-bit grayscale comes as mode `F`, its numbers as they are.

            picture = model.outputs[0].to_pil(model.predict(inputs)["stylized"])

        Raises:
            InvalidArgumentError: This is no image, or the value is not of its shape.
            ModuleNotFoundError: Pillow is not installed.
        """
        from PIL import Image as pillow

        array = np.asarray(value)
        if (
            self.image is None
            or array.shape[-3:-2] != (self.image.channels,)
            or array.size != np.prod(array.shape[-3:])
        ):
            raise InvalidArgumentError(
                f"{self.name!r} is {self.kind} {self.shape_text}; {list(array.shape)} is no image."
            )
        if self.image.is_half:
            return pillow.fromarray(array.astype(np.float32).reshape(array.shape[-2:]))
        planes = np.clip(np.rint(array.astype(np.float32)), 0, 255).astype(np.uint8).reshape(array.shape[-3:])
        if self.image.channels == 1:
            return pillow.fromarray(planes[0])
        return pillow.fromarray(
            np.ascontiguousarray((planes[::-1] if self.image.color_space == "bgr" else planes).transpose(1, 2, 0))
        )

    def allows(self, shape: tuple[int, ...]) -> bool:
        """Whether a value of that shape may come in."""
        flexibility = self.flexibility or {}
        if choices := flexibility.get("enumerated"):
            return any(tuple(choice) == shape for choice in choices)
        ranges = flexibility.get("ranges") or [[1, -1] if size < 0 else [size, size] for size in self.shape]
        return len(ranges) == len(shape) and all(
            low <= size and (size <= high or high < 0) for size, (low, high) in zip(shape, ranges, strict=True)
        )

    def example_shape(self) -> tuple[int, ...]:
        """A small shape that is allowed."""
        flexibility = self.flexibility or {}
        if choices := flexibility.get("enumerated"):
            return tuple(choices[0])
        ranges = flexibility.get("ranges") or [[size, size] for size in self.shape]
        return tuple(size if size >= 0 else max(1, low) for size, (low, _) in zip(self.shape, ranges, strict=True))

    def random(self, generator: np.random.Generator) -> NDArray[Any]:
        """A value to try the model with: normal floats, integers 0 and 1, image levels 0 to 255."""
        shape = self.example_shape()
        if self.image:
            return generator.integers(0, 256, shape).astype(self.dtype)
        if self.dtype.kind == "f":
            return generator.standard_normal(shape).astype(self.dtype)
        return generator.integers(0, 2, shape).astype(self.dtype)


def as_input(port: Port, value: ArrayLike) -> NDArray[Any]:
    """The value as a contiguous array of the declared type and an allowed shape; the same array where it is one."""
    array = image_array(port, port.image, value) if port.image else any_array(port, value)
    if array.dtype.kind not in "biufc":
        raise WrongTypeError(f"{port.title} is {array.dtype}; it must be {port.dtype}.")
    if array.shape in {(), (1,)} and port.shape in {(), (1,)}:
        array = array.reshape(port.shape)  # Core ML has no rank 0: a lone number comes and goes as (1,)
    if not port.allows(array.shape):
        raise InvalidArgumentError(f"{port.title} has shape {list(array.shape)}; it must be {wanted_shape(port)}.")
    try:
        return np.require(converted(port, array), requirements=["C", "A"])
    except MemoryError as error:
        raise OutOfMemoryError(f"{port.title} of shape {list(array.shape)}: {error}.") from error


def any_array(port: Port, value: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (ValueError, TypeError) as error:  # ragged lists, for one
        raise InvalidArgumentError(f"{port.title} is not an array: {error}") from error


def wanted_shape(port: Port) -> str:
    """The allowed shapes in words."""
    flexibility = port.flexibility or {}
    if choices := flexibility.get("enumerated"):
        return "one of " + ", ".join(str(list(choice)) for choice in choices)
    if ranges := flexibility.get("ranges"):
        sizes = (str(low) if low == high else f"{low}..{'' if high < 0 else high}" for low, high in ranges)
        return f"[{', '.join(sizes)}]"
    return port.shape_text


def converted(port: Port, array: NDArray[Any]) -> NDArray[Any]:
    """The array in the declared type: floats round, everything else must keep its value."""
    if array.dtype == port.dtype:
        return array
    given, wanted = array.dtype.kind, port.dtype.kind
    if given == wanted == "f" or (given in "iub" and wanted == "f") or (given in "iubfc" and wanted == "c"):
        return array.astype(port.dtype)
    if given in "iubf" and wanted in "iub":
        with np.errstate(invalid="ignore"):
            whole = array.astype(port.dtype)
        if np.array_equal(whole, array) and within(array, port.dtype):
            return whole
        raise WrongTypeError(f"{port.title} is {array.dtype} with values that {port.dtype} cannot hold.")
    raise WrongTypeError(f"{port.title} is {array.dtype}; it must be {port.dtype}.")


def within(array: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Whether every value lies in the range of a type: casts wrap around, so comparing them is not enough."""
    if array.size == 0 or dtype.kind == "b":
        return True
    limits = np.iinfo(dtype)
    return bool(limits.min <= array.min().item() and array.max().item() <= limits.max)


def image_array(port: Port, image: Image, value: Any) -> NDArray[Any]:
    """A PIL image or an array [height, width, channels] as [1, channels, height, width].

    The array holds uint8 levels, or any real numbers for 16-bit grayscale. Arrays that have the tensor's own rank and
    shape pass as they are.
    """
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(value, pillow.Image):
        value = picture_array(port, image, value)
    array = any_array(port, value)
    if array.ndim == len(port.shape) and (array.ndim > 3 or port.allows(array.shape)):
        return array
    if array.ndim not in (2, 3) or not (array.dtype.kind in "iuf" if image.is_half else array.dtype == np.uint8):
        wanted = "real numbers [height, width]" if image.is_half else "a uint8 array [height, width, channels]"
        raise WrongTypeError(
            f"{port.title} is an image: give a PIL image or {wanted}, not {array.dtype} {list(array.shape)}."
        )
    pixels = array[:, :, np.newaxis] if array.ndim == 2 else array
    planes = (pixels[:, :, ::-1] if image.color_space == "bgr" else pixels).transpose(2, 0, 1)
    planes = planes.reshape((1,) * (len(port.shape) - 3) + planes.shape)
    if pixels.shape[2] != image.channels or not port.allows(planes.shape):
        height, width, channels = pixels.shape
        raise InvalidArgumentError(
            f"{port.title} is {width} x {height} with {channels} channels; it must be"
            f" {wanted_size(port, image)} with {image.channels} ({image.color_space}): resize it first."
        )
    return half(port, planes) if image.is_half else planes


def picture_array(port: Port, image: Image, picture: Any) -> NDArray[Any]:
    """The pixels of a PIL image in as many channels as the port has, without a loss."""
    if not picture.mode.startswith(("I", "F")):
        return np.asarray(picture.convert("L" if image.channels == 1 else "RGB"))
    pixels = np.asarray(picture)  # one channel of 16 or 32 bits
    if image.is_half:
        return pixels
    with np.errstate(invalid="ignore"):
        levels = pixels.astype(np.uint8)
    if not np.array_equal(levels, pixels):
        raise WrongTypeError(
            f"{port.title} has levels from 0 to 255 ({image.color_space}), and the picture of mode {picture.mode!r} has"
            " other values: scale it first."
        )
    return levels if image.channels == 1 else np.repeat(levels[:, :, np.newaxis], image.channels, axis=2)


def half(port: Port, array: NDArray[Any]) -> NDArray[Any]:
    """Numbers rounded to half precision, which must hold their size."""
    with np.errstate(over="ignore"):
        rounded = array.astype(np.float16)
    if np.isinf(rounded).sum() != np.isinf(array).sum():
        raise WrongTypeError(f"{port.title} is 16-bit grayscale, whose pixels are half-precision numbers up to 65504.")
    return rounded


def wanted_size(port: Port, image: Image) -> str:
    """The allowed widths and heights in words."""
    flexibility = port.flexibility or {}
    if choices := flexibility.get("enumerated"):
        return "one of " + ", ".join(f"{shape[-1]} x {shape[-2]}" for shape in choices)
    if ranges := flexibility.get("ranges"):
        height, width = (str(low) if low == high else f"{low}..{'' if high < 0 else high}" for low, high in ranges[-2:])
        return f"{width} x {height}"
    return f"{image.width} x {image.height}"
