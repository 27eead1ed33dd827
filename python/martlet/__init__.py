"""Martlet runs Core ML models anywhere.

import martlet

model = martlet.load("Model.mlpackage")
outputs = model.predict({"x": array})
"""

from __future__ import annotations

from martlet import nn
from martlet.custom import CustomOp, Result, custom_op
from martlet.errors import (
    BadHandleError,
    BugError,
    CallbackError,
    Error,
    InvalidArgumentError,
    MalformedError,
    NotFoundError,
    OutOfMemoryError,
    OutOfRangeError,
    UnsupportedError,
    WrongTypeError,
)
from martlet.library import DeviceInfo, Info, OpInfo, OpParameter, devices, get_num_threads, info, ops, set_num_threads
from martlet.model import Model, load, parse
from martlet.plan import Plan, Step
from martlet.ports import Image, Port
from martlet.tensor import Tensor
from martlet.trace import TensorSpec, trace

__version__ = "0.1.0"
__description__ = "Runs Core ML models anywhere, Linux included, and says where each part of them ran and why."
__author__ = "The Martlet authors"

__all__ = [
    "BadHandleError",
    "BugError",
    "CallbackError",
    "CustomOp",
    "DeviceInfo",
    "Error",
    "Image",
    "Info",
    "InvalidArgumentError",
    "MalformedError",
    "Model",
    "NotFoundError",
    "OpInfo",
    "OpParameter",
    "OutOfMemoryError",
    "OutOfRangeError",
    "Plan",
    "Port",
    "Result",
    "Step",
    "Tensor",
    "TensorSpec",
    "UnsupportedError",
    "WrongTypeError",
    "__author__",
    "__description__",
    "__version__",
    "custom_op",
    "devices",
    "get_num_threads",
    "info",
    "load",
    "nn",
    "ops",
    "parse",
    "set_num_threads",
    "trace",
]
