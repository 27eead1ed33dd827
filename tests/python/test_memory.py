"""Memory stays flat, however often a model runs or is loaded."""

import gc
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import OPEN, WEIGHTS

import martlet

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident():
    """Bytes of memory this process has now."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def growth(work, warmup, count):
    for _ in range(warmup):
        work()
    before = resident()
    for _ in range(count):
        work()
    return resident() - before


def test_ten_thousand_predictions(load):
    model = load(WEIGHTS)
    x = np.ones((1, 4), np.float32)
    assert growth(lambda: model(x=x), 1000, 10_000) < 1_000_000


def test_large_outputs_are_given_back(load):
    model = load(OPEN)
    x = np.ones((1, 250_000), np.float32)
    assert growth(lambda: model(x=x), 20, 500) < 4_000_000


def test_refused_predictions(load):
    model = load(WEIGHTS)

    def work():
        with pytest.raises(martlet.Error):
            model(x=[[1, 2]])

    assert growth(work, 500, 3000) < 1_000_000


def test_loading_again_and_again(package):
    path = package(WEIGHTS)
    assert growth(lambda: martlet.load(path), 100, 500) < 4_000_000
