"""Small models for the tests, written as MIL text and saved as packages by the library itself."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# What the developer's own machine was calibrated to shall not decide where tests run.
os.environ["MARTLET_CACHE"] = tempfile.mkdtemp(prefix="martlet-tests-")
atexit.register(shutil.rmtree, os.environ["MARTLET_CACHE"], ignore_errors=True)

import martlet  # noqa: E402
from martlet._native import check, ffi, lib, own  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def tracked(*ends: str) -> list[str]:
    """The files of the repository whose names end so. Skips the test in a copy that is not a checkout."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if listed.returncode:
        pytest.skip("this copy is not a git checkout, so what belongs to the project is not known")
    return [name for name in listed.stdout.splitlines() if name.endswith(ends)]


sys.path.insert(0, str(ROOT))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every", type=int, default=1, metavar="N", help="run one of N tests, spread over all")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items[:] = items[:: config.getoption("--every")]


# a + b, and a times that.
SUM = """
program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> a, tensor<fp32, [2, 3]> b) {
    tensor<fp32, [2, 3]> sum = add(x = a, y = b)[name = string("sum")];
    tensor<fp32, [2, 3]> product = mul(x = a, y = sum)[name = string("product")];
} -> (sum, product); }
"""

WHOLE = """
program(1.3) { func main<ios18>(tensor<int32, [3]> i) {
    tensor<int32, [3]> doubled = add(x = i, y = i)[name = string("doubled")];
} -> (doubled); }
"""

OPEN = """
program(1.3) { func main<ios18>(tensor<fp32, [1, ?]> x) {
    tensor<fp32, [1, ?]> y = relu(x = x)[name = string("y")];
} -> (y); }
"""

HALF = """
program(1.3) { func main<ios18>(tensor<fp16, [4]> x) {
    tensor<fp16, [4]> y = add(x = x, y = x)[name = string("y")];
} -> (y); }
"""

TOTAL = """
program(1.3) { func main<ios18>(tensor<fp32, [4]> x) {
    tensor<fp32, []> total = reduce_sum(x = x, axes = [0], keep_dims = false)[name = string("total")];
} -> (total); }
"""

RESHAPED = """
program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> x) {
    tensor<fp32, [6]> y = reshape(x = x, shape = [6])[name = string("y")];
} -> (y); }
"""


def square(first: int) -> str:
    """A 4 x 4 weight of small integers."""
    rows = np.arange(first, first + 16).reshape(4, 4) % 7
    return f"const()[val = tensor<fp32, [4, 4]>({rows.tolist()})]"


# Two weights of the size that goes to the weight file.
WEIGHTS = f"""
program(1.3) {{ func main<ios18>(tensor<fp32, [1, 4]> x) {{
    tensor<fp32, [4, 4]> first = {square(0)};
    tensor<fp32, [4, 4]> second = {square(1)};
    tensor<fp32, [1, 4]> h = matmul(x = x, y = first)[name = string("h")];
    tensor<fp32, [1, 4]> r = relu(x = h)[name = string("r")];
    tensor<fp32, [1, 4]> y = matmul(x = r, y = second)[name = string("y")];
}} -> (y); }}
"""

# Some tenths of a second of work.
HEAVY = """
program(1.3) { func main<ios18>(tensor<fp32, [1536, 1536]> x) {
    tensor<fp32, [1536, 1536]> a = matmul(x = x, y = x)[name = string("a")];
    tensor<fp32, [1536, 1536]> b = matmul(x = a, y = x)[name = string("b")];
    tensor<fp32, [1536, 1536]> c = matmul(x = b, y = x)[name = string("c")];
    tensor<fp32, [1536, 1536]> y = matmul(x = c, y = x)[name = string("y")];
} -> (y); }
"""

Package = Callable[[str], Path]


def parse(text: str):
    """A model from MIL text."""
    out = ffi.new("mlt_model **")
    check(lib.mlt_model_parse(out, text.encode()))
    return own(out[0])


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """Saves MIL text as a package and returns its path."""
    count = 0

    def save(text: str) -> Path:
        nonlocal count
        count += 1
        path = tmp_path / f"model{count}.mlpackage"
        check(lib.mlt_model_save(parse(text), os.fsencode(path)))
        return path

    return save


@pytest.fixture
def load(package: Package) -> Callable[[str], martlet.Model]:
    """Loads MIL text by way of a package."""
    return lambda text: martlet.load(package(text))


@pytest.fixture
def sum_model(load: Callable[[str], martlet.Model]) -> martlet.Model:
    return load(SUM)
