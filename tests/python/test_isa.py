"""A sample of the op cases with the narrower instruction sets; `./build.sh long isa` runs all of them.

The set is chosen when the library is loaded, hence the processes.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the kernels have one instruction set on this processor"
)

# Prime to the number of devices, which is the inner parameter of the cases: all devices have their part.
EVERY = 31
# oneDNN, too, must not run what a processor of that level lacks.
LEVELS = {"0": "SSE41", "1": "AVX2"}


def run(level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    limits = {"MK_ISA_LIMIT": level, "ONEDNN_MAX_CPU_ISA": LEVELS.get(level, "ALL")}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=os.environ | limits, timeout=600
    )


def isa(level: str) -> str:
    return run(level, "-c", "import martlet; print(martlet.info()['isa'])").stdout.strip()


def test_the_limit_holds():
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text().split() if cpuinfo.exists() else []
    assert isa("0") == "baseline"
    if "avx2" in flags:
        assert isa("1") == "avx2"


def test_other_limits_are_none():
    assert isa("9") == isa("none") == isa("")


@pytest.mark.parametrize("level", LEVELS)
def test_a_sample_of_the_cases(level):
    cases = "tests/python/test_cases.py::test_case"
    done = run(level, "-m", "pytest", cases, "--every", str(EVERY), "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 50
