"""The library's lines arrive in Python's logging, as much as is asked for."""

import logging
import os
import subprocess
import sys

import numpy as np
import pytest

import martlet

X = np.ones((64, 64), np.float32)
DEVICES = [{"name": "npu", "kind": "coreml", "refuses": ["relu"]}, {"name": "host", "kind": "cpu"}]


def lines(caplog, level):
    return [record.getMessage() for record in caplog.records if record.levelno == level and record.name == "martlet"]


@pytest.mark.parametrize(("mode", "level"), [("allow", logging.INFO), ("warn", logging.WARNING)])
def test_fallbacks_are_told(caplog, mode, level):
    caplog.set_level(logging.DEBUG, "martlet")
    martlet.CoreMLBackend(martlet.CoreMLBackendConfig(fallback=mode), devices=DEVICES).run("relu", x=X)
    assert any("npu" in line and "relu" in line for line in lines(caplog, level))
    assert any("compiled for host" in line for line in lines(caplog, logging.DEBUG))


def test_the_logger_decides(caplog):
    caplog.set_level(logging.WARNING, "martlet")
    martlet.CoreMLBackend(devices=DEVICES).run("relu", x=X)
    assert not [record for record in caplog.records if record.name == "martlet"]


def test_evictions_are_told(caplog):
    caplog.set_level(logging.DEBUG, "martlet")
    backend = martlet.CoreMLBackend(martlet.CoreMLBackendConfig(max_cache_size=1))
    backend.run("relu", x=X)
    backend.run("relu", x=X[:2])
    assert any("left the cache" in line for line in lines(caplog, logging.DEBUG))


PROGRAM = """
import numpy as np, martlet
devices = [{"name": "npu", "kind": "coreml", "refuses": ["relu"]}, {"name": "host", "kind": "cpu"}]
martlet.CoreMLBackend(devices=devices).run("relu", x=np.ones((64, 64), np.float32))
"""


@pytest.mark.parametrize(
    ("level", "wanted", "unwanted"),
    [
        ("debug", ["DEBUG", "INFO"], []),
        ("info", ["INFO"], ["DEBUG"]),
        ("warning", [], ["INFO", "DEBUG"]),
        ("off", [], ["martlet"]),
        ("", [], ["martlet"]),
    ],
)
def test_environment(level, wanted, unwanted):
    environment = {**os.environ, "MARTLET_LOG": level}
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment
    ).stderr
    for word in wanted:
        assert f"martlet: {word}" in found
    for word in unwanted:
        assert word not in found


def test_a_program_that_sets_up_logging_gets_each_line_once():
    program = "import logging; logging.basicConfig(format='root %(message)s')\n" + PROGRAM
    environment = {**os.environ, "MARTLET_LOG": "info"}
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stderr
    assert found.count("npu refused") == 1
    assert "root npu refused" in found
