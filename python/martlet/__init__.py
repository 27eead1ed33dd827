"""Martlet runs Core ML models anywhere.

import martlet

model = martlet.load("Model.mlpackage")
outputs = model.predict({"x": array})
"""

from __future__ import annotations

from martlet.backend import BackendStats, CoreMLBackend, CoreMLBackendConfig
from martlet.device import (
    CoreMLDevice,
    DeviceCache,
    get_coreml_device_info,
    is_coreml_available,
    is_metal_available,
)
from martlet.errors import (
    BadHandleError,
    BugError,
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
from martlet.log import logger
from martlet.model import Model, load, parse
from martlet.plan import Plan, Step
from martlet.ports import Image, Port
from martlet.profile import Profile, profile
from martlet.selector import (
    Choice,
    DescribedDevice,
    DeviceThresholds,
    OperationProfile,
    SmartDeviceSelector,
    calibrate,
)

__version__ = "0.1.0"
__description__ = "Runs Core ML models anywhere, Linux included, and says where each part of them ran and why."
__author__ = "The Martlet authors"

__all__ = [
    "BackendStats",
    "BadHandleError",
    "BugError",
    "Choice",
    "CoreMLBackend",
    "CoreMLBackendConfig",
    "CoreMLDevice",
    "DescribedDevice",
    "DeviceCache",
    "DeviceInfo",
    "DeviceThresholds",
    "Error",
    "Image",
    "Info",
    "InvalidArgumentError",
    "MalformedError",
    "Model",
    "NotFoundError",
    "OpInfo",
    "OpParameter",
    "OperationProfile",
    "OutOfMemoryError",
    "OutOfRangeError",
    "Plan",
    "Port",
    "Profile",
    "SmartDeviceSelector",
    "Step",
    "UnsupportedError",
    "WrongTypeError",
    "__author__",
    "__description__",
    "__version__",
    "calibrate",
    "devices",
    "get_coreml_device_info",
    "get_num_threads",
    "info",
    "is_coreml_available",
    "is_metal_available",
    "load",
    "logger",
    "ops",
    "parse",
    "profile",
    "set_num_threads",
]
