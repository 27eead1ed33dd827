"""The command `martlet`: tables for people, JSON for programs, one line for what went wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import OPEN, SUM, WEIGHTS

import martlet
from martlet.cli import main, split_input

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
    assert result.exit_code == 3
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "absent.mlpackage" in result.stderr
    result = run(*arguments, "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["error"]["kind"] == "NotFoundError"


@pytest.mark.parametrize(
    "given", [(), ("--input", "a"), ("--input", "a=absent.npy"), ("--random", 1, "--device", "tpu")], ids=str
)
def test_refusals_of_run(package, given):
    result = run("run", package(SUM), *given)
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1


def test_help_names_every_command():
    text = run("--help").stdout
    for name in ("bench", "devices", "info", "inspect", "run", "_MARTLET_COMPLETE", "Exit statuses"):
        assert name in text


def test_a_wrong_command_line_is_status_2(package):
    for arguments in (["inspect"], ["bench", package(SUM), "--runs", "0"], ["no-such-command"]):
        assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    ("given", "names", "expected"),
    [
        ("x=a.npy", ["x"], ("x", "a.npy")),
        ("x=run=3/x.npy", ["x"], ("x", "run=3/x.npy")),
        ("a=b=c.npy", ["a=b"], ("a=b", "c.npy")),
        ("a=b=c.npy", ["a", "a=b"], ("a=b", "c.npy")),
        ("a=b=c.npy", ["a", "b"], ("a", "b=c.npy")),
        ("run=3/all.npz", ["x"], (None, "run=3/all.npz")),
        ("./run=3/all.npz", ["run"], (None, "./run=3/all.npz")),
        ("typo=run=3/x.npy", ["x"], ("typo", "run=3/x.npy")),
        ("=x.npy", ["x"], ("", "x.npy")),
    ],
)
def test_where_an_input_option_is_split(given, names, expected):
    assert split_input(given, names) == expected


def test_paths_with_an_equals_sign(package, tmp_path):
    folder = tmp_path / "run=3"
    folder.mkdir()
    np.save(folder / "a.npy", A)
    np.savez(folder / "rest.npz", b=A)
    result = run("run", package(SUM), "--input", f"a={folder / 'a.npy'}", "--input", folder / "rest.npz", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outputs"][0]["most"] == 10
    result = run("run", package(SUM), "--input", f"c={folder / 'a.npy'}")
    assert result.exit_code == 3
    assert "no input 'c'" in result.stderr


@pytest.mark.parametrize(
    ("words", "position", "expected"),
    [("martlet in", 1, "inspect"), ("martlet run m --device cpu:p", 4, "cpu:portable")],
)
def test_completion(words, position, expected):
    environment = {"_MARTLET_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    finished = subprocess.run(
        [sys.executable, "-c", "from martlet.cli import main; main(prog_name='martlet')"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert f"plain,{expected}" in finished.stdout.splitlines(), finished.stderr


def test_no_word_is_broken_at_80_columns(package, monkeypatch):
    path = package(WEIGHTS)
    monkeypatch.chdir(path.parent)
    path = path.name
    monkeypatch.setenv("COLUMNS", "80")
    for arguments in (
        ["devices"],
        ["rules"],
        ["explain", path],
        ["inspect", path, "--plan"],
        ["profile", path, "--runs", 1],
        ["select", "matmul", "64x64"],
        ["bench", path, "--runs", 1, "--warmup", 0],
        ["bench", "ops", "--sizes", 8, "--ops", "add", "--turns", 1],
    ):
        narrow = run(*arguments).stdout
        assert max(map(len, narrow.splitlines())) <= 80
        monkeypatch.setenv("COLUMNS", "1000")
        whole = set(run(*arguments).stdout.split())
        monkeypatch.setenv("COLUMNS", "80")
        # Times differ from run to run, words do not.
        words = {word for word in narrow.split() if not any(each.isdigit() for each in word)}
        # What went below its row has the column's name in front.
        assert {word for word in words - whole if not word.endswith(":")} == set()


def test_as_a_process(package):
    command = Path(sys.executable).with_name("martlet")
    if not command.exists():
        pytest.skip("the command is not installed beside this Python")
    finished = subprocess.run([command, "inspect", package(SUM), "--json"], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["default_function"] == "main"
    finished = subprocess.run([command, "run", "absent.mlpackage"], capture_output=True, text=True, check=False)
    assert finished.returncode == 3
    assert len(finished.stderr.splitlines()) == 1
