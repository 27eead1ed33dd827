"""Martlet runs Core ML models anywhere.

import martlet

model = martlet.load("Model.mlpackage")
outputs = model.predict({"x": array})
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

from martlet import _native as _native  # a library that is missing or broken is an error of the import
from martlet import logs as logs

# The public names by the module that has them, which is imported when one of them is first used. The build makes
# __init__.pyi from this, for type checkers.
NAMES = {
    "backend": "BackendStats CoreMLBackend CoreMLBackendConfig",
    "creation": (
        "arange asarray empty empty_like eye from_dlpack from_numpy full full_like linspace manual_seed meshgrid "
        "ones ones_like rand randint randn tril triu zeros zeros_like"
    ),
    "custom": "custom_op CustomOp Result",
    "data_types": (
        "astype bool broadcast_arrays broadcast_shapes broadcast_to can_cast complex128 complex64 finfo float16 "
        "float32 float64 iinfo int16 int32 int64 int8 isdtype result_type uint16 uint32 uint64 uint8"
    ),
    "device": "CoreMLDevice DeviceCache get_coreml_device_info is_coreml_available is_metal_available",
    "elementwise": (
        "abs acos acosh add asin asinh atan atan2 atanh bitwise_and bitwise_invert bitwise_left_shift bitwise_or "
        "bitwise_right_shift bitwise_xor ceil clip conj copysign cos cosh divide equal exp expm1 floor "
        "floor_divide greater greater_equal hypot imag isfinite isinf isnan less less_equal log log10 log1p log2 "
        "logaddexp logical_and logical_not logical_or logical_xor maximum minimum multiply negative nextafter "
        "not_equal positive pow real reciprocal remainder round sign signbit sin sinh sqrt square subtract tan "
        "tanh trunc"
    ),
    "errors": (
        "BadHandleError BugError CallbackError Error InvalidArgumentError MalformedError NotFoundError "
        "OutOfMemoryError OutOfRangeError UnsupportedError WrongTypeError"
    ),
    "explanation": "explain ModelExplanation rules",
    "indexing": "take take_along_axis",
    "inspection": "__array_api_version__ __array_namespace_info__",
    "library": "DeviceInfo devices get_num_threads Info info OpInfo OpParameter ops set_num_threads",
    "linear_algebra": "matmul matrix_transpose outer tensordot vecdot",
    "logs": "logger",
    "manipulation": (
        "concat expand_dims flatten flip moveaxis permute_dims repeat reshape roll squeeze stack swapaxes tile "
        "transpose unstack"
    ),
    "metal": "metal_functions metal_kernel MetalKernel",
    "model": "load Model parse",
    "plan": "Plan Step",
    "ports": "Image Port",
    "profiling": "Profile profile",
    "reduction": "all any count_nonzero cumulative_prod cumulative_sum diff max mean min prod std sum var",
    "searching": "argmax argmin argsort nonzero searchsorted sort where",
    "selector": "calibrate Choice DescribedDevice DeviceThresholds OperationProfile SmartDeviceSelector",
    "sets": "unique_all unique_counts unique_inverse unique_values",
    "state": "State",
    "tensor": "Tensor",
    "tracing": "TensorSpec trace",
}
# The modules that are public as such.
MODULES = ("errors", "fft", "functional", "linalg", "nn")
HOMES = {name: home for home, names in NAMES.items() for name in names.split()}

# The constants of the array API.
e = math.e
inf = math.inf
nan = math.nan
newaxis = None
pi = math.pi

__version__ = "0.1.0"
__description__ = "Runs Core ML models anywhere, Linux included, and says where each part of them ran and why."
__author__ = "The Martlet authors"

# Python's own names are not here: `from martlet import *` leaves Python's in place, and ours are martlet.sum and so on.
PYTHONS_OWN = {"abs", "all", "any", "bool", "max", "min", "pow", "round", "sum"}
CONSTANTS = ("__author__", "__description__", "__version__", "e", "inf", "nan", "newaxis", "pi")
__all__ = sorted({*HOMES, *MODULES, *CONSTANTS} - PYTHONS_OWN)


def __getattr__(name: str) -> Any:
    """A public name or a module of the package, imported at its first use."""
    if name in HOMES:
        value = getattr(import_module(f"martlet.{HOMES[name]}"), name)
        globals()[name] = value
        return value
    if not name.startswith("__"):
        try:
            return import_module(f"martlet.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"martlet.{name}":
                raise
    raise AttributeError(f"module 'martlet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES, *MODULES})
