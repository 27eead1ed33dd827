"""The command `martlet`: tables for people, JSON for programs, one line for what went wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import OPEN, SUM, WEIGHTS

import martlet
from martlet.cli import main

A = np.arange(6, dtype=np.float32).reshape(2, 3)


def run(*arguments):
    """Runs the command in this process."""
    return CliRunner().invoke(main, [str(each) for each in arguments])


def answer(*arguments):
    """What the command prints with `--json`."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_devices():
    assert answer("devices") == martlet.devices()
    result = run("devices")
    assert result.exit_code == 0
    assert "cpu" in result.stdout


def test_info():
    assert answer("info")["version"] == martlet.__version__
    assert martlet.__version__ in run("info").stdout


def test_inspect(package):
    path = package(WEIGHTS)
    found = answer("inspect", path)
    assert found["functions"][0]["ops"]["matmul"] == 2
    assert found["weights"]["count"] == 2
    assert found["precision"] == "fp32"
    words = run("inspect", path).stdout
    for word in ("matmul", "fp32", "[1, 4]", "opset", "input", "output", "weights"):
        assert word in words


def test_inspect_plan(package):
    path = package(SUM)
    assert answer("inspect", path, "--plan", "--device", "cpu:portable")["plan"]["device"] == "cpu:portable"
    assert "steps on cpu" in run("inspect", path, "--plan").stdout


def test_run(package, tmp_path):
    np.save(tmp_path / "a.npy", A)
    np.save(tmp_path / "b.npy", A + 1)
    inputs = ("--input", f"a={tmp_path / 'a.npy'}", "--input", f"b={tmp_path / 'b.npy'}")
    result = run("run", package(SUM), *inputs, "--output", tmp_path / "out.npz")
    assert result.exit_code == 0, result.output
    assert "product" in result.stdout
    with np.load(tmp_path / "out.npz") as stored:
        np.testing.assert_array_equal(stored["sum"], A + A + 1)


def test_run_from_npz(package, tmp_path):
    np.savez(tmp_path / "in.npz", a=A, b=A)
    found = answer("run", package(SUM), "--input", tmp_path / "in.npz")
    first = found["outputs"][0]
    assert (first["name"], first["dtype"], first["shape"], first["most"]) == ("sum", "float32", [2, 3], 10)


def test_run_random_is_the_same_every_time(package):
    path = package(OPEN)
    first, second = (answer("run", path, "--random", 3)["outputs"] for _ in range(2))
    assert first == second


def test_bench(package):
    found = answer("bench", package(SUM), "--runs", 5, "--warmup", 1)
    latency = found["latency_ms"]
    assert latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p99"]
    assert found["runs"] == 5
    assert found["load_ms"] > 0


def test_bench_table_and_threads(package):
    before = martlet.get_num_threads()
    try:
        result = run("bench", package(SUM), "--runs", 5, "--threads", 1)
    finally:
        martlet.set_num_threads(before)
    assert result.exit_code == 0, result.output
    for word in ("load", "p50", "p90", "p99", "1 threads"):
        assert word in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "absent.mlpackage"),
        ("run", "absent.mlpackage"),
        ("bench", "absent.mlpackage"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_missing_model(arguments):
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "absent.mlpackage" in result.stderr
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["kind"] == "NotFoundError"


@pytest.mark.parametrize(
    "given", [(), ("--input", "a"), ("--input", "a=absent.npy"), ("--random", 1, "--device", "tpu")], ids=str
)
def test_refusals_of_run(package, given):
    result = run("run", package(SUM), *given)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_help_names_every_command():
    text = run("--help").stdout
    for name in ("bench", "devices", "info", "inspect", "run", "_MARTLET_COMPLETE"):
        assert name in text


def test_as_a_process(package):
    command = Path(sys.executable).with_name("martlet")
    if not command.exists():
        pytest.skip("the command is not installed beside this Python")
    finished = subprocess.run([command, "inspect", package(SUM), "--json"], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["default_function"] == "main"
    finished = subprocess.run([command, "run", "absent.mlpackage"], capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert len(finished.stderr.splitlines()) == 1
