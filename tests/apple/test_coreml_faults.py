"""Faults of Core ML: each ends in a right answer along the chain, or in a clear exception, and is counted.

Run with MARTLET_LIBRARY = the library built with the stand-ins, plain and with MARTLET_SHIMS_HOSTILE=1."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import martlet
from tests.disks import fill, small_disk

SHIMS = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
SHIMS.shim_control.argtypes = [ctypes.c_char_p, ctypes.c_long]
SHIMS.shim_value.argtypes = [ctypes.c_char_p]
SHIMS.shim_value.restype = ctypes.c_long

ALWAYS = 10_000
FAULTS = ["load", "predict", "compile", "device_gone", "compile_delay_ms", "load_delay_ms", "loaded_limit"]

# Core ML's size, by the table.
A = np.random.default_rng(1).standard_normal((64, 64)).astype(np.float32)
TEXT = """program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> x) { y = relu(x = x); } -> (y); }"""
X = np.float32([[1, -2, 3], [-4, 5, -6]])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "compiled"
    for name in FAULTS:
        SHIMS.shim_control(name.encode(), -1)


def order(fault: str, value: int) -> None:
    SHIMS.shim_control(fault.encode(), value)


def counted(event: str) -> int:
    return SHIMS.shim_value(event.encode())


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("coreml-*")) if folder.exists() else []


def product(backend: martlet.CoreMLBackend) -> martlet.BackendStats:
    """Multiplies on a backend, sees that the product is right, and answers what the backend counted."""
    np.testing.assert_allclose(backend.run("matmul", x=A, y=A), A @ A, rtol=1e-4, atol=1e-4)
    return backend.get_stats()


def reasons(stats: martlet.BackendStats) -> str:
    return " ".join(stats.fallbacks.get("coreml", {}))


def test_without_faults_core_ml_takes_it(folder: Path) -> None:
    before = counted("predicted")
    stats = product(martlet.CoreMLBackend())
    assert stats.fallback_operations == 0
    assert counted("predicted") == before + 1
    assert len(entries(folder)) == 1


def test_a_load_that_fails_once_is_done_again(folder: Path) -> None:
    order("load", 1)
    before = counted("compiled")
    assert product(martlet.CoreMLBackend()).fallback_operations == 0
    assert counted("compiled") == before + 2
    assert len(entries(folder)) == 1


@pytest.mark.parametrize("fault", ["load", "compile"])
def test_what_always_fails_falls_back_and_keeps_nothing(folder: Path, fault: str) -> None:
    order(fault, ALWAYS)
    stats = product(martlet.CoreMLBackend())
    assert stats.fallback_operations == 1
    assert f"{fault}" in reasons(stats)
    assert "ordered to fail" in reasons(stats)
    assert entries(folder) == []


@pytest.mark.parametrize("fault", ["predict", "device_gone"])
def test_a_prediction_that_fails_falls_back(fault: str) -> None:
    backend = martlet.CoreMLBackend()
    assert product(backend).fallback_operations == 0
    order(fault, ALWAYS)
    stats = product(backend)
    assert stats.fallback_operations == 1
    assert stats.total_operations == 2
    assert "SHIM" in reasons(stats)


def test_without_fallback_the_reason_is_raised() -> None:
    backend = martlet.CoreMLBackend(martlet.CoreMLBackendConfig(fallback="error"))
    order("load", ALWAYS)
    with pytest.raises(martlet.UnsupportedError, match=r"Core ML: .*ordered to fail"):
        backend.run("matmul", x=A, y=A)


def test_a_device_that_was_named_fails_clearly(tmp_path: Path) -> None:
    model = martlet.parse(TEXT, "coreml")
    order("predict", 1)
    with pytest.raises(martlet.UnsupportedError, match=r"Core ML: .*ordered to fail"):
        model.predict({"x": X})
    np.testing.assert_array_equal(model.predict({"x": X})["y"], np.maximum(X, 0))
    for run in (lambda: model.predict_batch([{"x": X}]), lambda: run_async(model)):
        order("predict", 1)
        with pytest.raises(martlet.UnsupportedError, match=r"Core ML: .*ordered to fail"):
            run()
    order("load", ALWAYS)
    martlet.parse(TEXT).save(tmp_path / "model.mlpackage")
    with pytest.raises(martlet.UnsupportedError, match=r"Core ML: .*ordered to fail"):
        martlet.load(tmp_path / "model.mlpackage", "coreml")


# Work that the table gives to Core ML, with a size that an app may choose or none.
BIG = """program(1.3) {{ func main<ios18>(tensor<fp32, [512, 512]> x, tensor<fp32, [1, {0}]> b) {{
    y = matmul(x = x, y = x); tensor<fp32, [1, {0}]> z = relu(x = b); }} -> (y, z); }}"""


@pytest.mark.parametrize("fault", ["load", "compile"])
@pytest.mark.parametrize("size", ["3", "?"])
@pytest.mark.parametrize("is_file", [True, False])
def test_a_model_goes_to_the_next_device(tmp_path: Path, fault: str, size: str, is_file: bool) -> None:
    """If no device is named, a model that Core ML does not load is loaded elsewhere, and its plan gives the reason."""
    model = martlet.parse(BIG.format(size), "cpu")
    model.save(tmp_path / "big.mlpackage")
    x = np.random.default_rng(2).standard_normal((512, 512)).astype(np.float32)
    inputs = {"x": x, "b": X[:1]}

    def load() -> martlet.Model:
        return martlet.load(tmp_path / "big.mlpackage") if is_file else martlet.parse(BIG.format(size))

    assert load().device == "coreml"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    order(fault, ALWAYS)
    if size == "?" and not is_file:
        with pytest.raises(martlet.UnsupportedError, match="ordered to fail"):
            load().predict(inputs)
        return
    found = load()
    assert found.device in ("metal", "cpu")
    np.testing.assert_allclose(found.predict(inputs)["y"], x @ x, rtol=1e-3, atol=1e-3)
    assert re.search("coreml.* failed: Core ML: SHIM", found.plan().reason)
    with pytest.raises(martlet.UnsupportedError, match="ordered to fail"):
        martlet.load(tmp_path / "big.mlpackage", "coreml").predict(inputs)


def run_async(model: martlet.Model) -> None:
    import asyncio

    asyncio.run(model.predict_async({"x": X}))


def test_too_many_loaded_programs() -> None:
    order("loaded_limit", 0)
    stats = product(martlet.CoreMLBackend())
    assert "programs are loaded" in reasons(stats)


def test_a_slow_compiler_is_waited_for_once(folder: Path) -> None:
    order("compile_delay_ms", 300)
    backend = martlet.CoreMLBackend()
    before, start = counted("compiled"), time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: product(backend), range(6)))
    assert counted("compiled") == before + 1
    assert time.monotonic() - start >= 0.3
    start = time.monotonic()
    product(martlet.CoreMLBackend())
    assert time.monotonic() - start < 0.3


PROGRAM = """
import sys, ctypes, os
import numpy as np, martlet
shims = ctypes.CDLL(os.environ["MARTLET_LIBRARY"])
shims.shim_control(b"compile_delay_ms", ctypes.c_long(400))
text = sys.argv[1]
x = np.float32([[1, -2, 3], [-4, 5, -6]])
assert (martlet.parse(text, "coreml").predict({"x": x})["y"] == np.maximum(x, 0)).all()
print("compiled", shims.shim_value(b"compiled"))
"""


def start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, TEXT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> int:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return int(re.findall(r"^compiled (\d+)$", out, re.MULTILINE)[0])


def test_processes_compile_a_model_once(folder: Path) -> None:
    assert sum(finish(each) for each in [start() for _ in range(3)]) == 1
    assert len(entries(folder)) == 1
    assert not list(folder.glob(".part-*"))


@pytest.mark.parametrize("damage", ["cut", "gone", "turned"])
def test_broken_entries_are_compiled_again(folder: Path, damage: str) -> None:
    """A file that is too short is seen before loading; bits that turned only when Core ML does not load it."""
    martlet.parse(TEXT, "coreml")
    (entry,) = entries(folder)
    files = [path for path in (entry / "content").rglob("*.mlmodel") if path.is_file()]
    assert files
    for path in files:
        if damage == "gone":
            path.unlink()
        else:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 255
            path.write_bytes(b"" if damage == "cut" else bytes(content))
    before = counted("compiled")
    np.testing.assert_array_equal(martlet.parse(TEXT, "coreml").predict({"x": X})["y"], np.maximum(X, 0))
    assert counted("compiled") == before + 1
    assert entries(folder) == [entry]


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "file"))
    np.testing.assert_array_equal(martlet.parse(TEXT, "coreml").predict({"x": X})["y"], np.maximum(X, 0))


def test_without_any_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARTLET_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    model = martlet.parse(TEXT, "coreml")
    np.testing.assert_array_equal(model.predict({"x": X})["y"], np.maximum(X, 0))
    order("load", 1)
    np.testing.assert_array_equal(martlet.parse(TEXT, "coreml").predict({"x": X})["y"], np.maximum(X, 0))


def test_no_place_for_temporary_files_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file"))
    stats = product(martlet.CoreMLBackend())
    assert "No temporary folder" in reasons(stats)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", lazily=True) as path:
        monkeypatch.setenv("MARTLET_CACHE", str(path))
        yield path


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_disk_that_takes_nothing(disk: Path, how: str) -> None:
    if how == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert product(martlet.CoreMLBackend()).fallback_operations == 0
    assert entries(disk / "compiled") == []


def test_wrong_inputs_are_the_callers(tmp_path: Path) -> None:
    model = martlet.parse(TEXT, "coreml")
    with pytest.raises(martlet.InvalidArgumentError, match="shape"):
        model.predict({"x": X[:1]})
