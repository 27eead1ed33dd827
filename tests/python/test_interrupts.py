"""Ctrl-C: one line, status 130, and what was done until then. A real signal goes to a process of its own."""

import json
import signal
import subprocess
import sys

import pytest
from conftest import SUM

# Runs the command, and sends itself SIGINT at the moment a patched function is called for the nth time: the signal is
# real, and no test depends on how fast the machine is.
COMMAND = """
import os, signal, sys
import martlet
from martlet import bench, cli

def interrupting(owner, name, at):
    function, calls = getattr(owner, name), 0
    def called(*arguments, **named):
        nonlocal calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGINT)
        return function(*arguments, **named)
    setattr(owner, name, called)

{patch}
cli.main(sys.argv[1:], prog_name="martlet")
"""


def interrupted(patch, *arguments):
    """The standard output of a command that was interrupted, and its line on the error stream."""
    program = COMMAND.format(patch=patch)
    command = [sys.executable, "-c", program, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 130, finished.stderr
    assert "Traceback" not in finished.stderr
    (line,) = finished.stderr.splitlines()
    return finished.stdout, line


# One prediction comes before the timed ones, to warm up.
IN_A_RUN = "interrupting(martlet.Model, 'predict', 4)"


def test_bench_shows_the_runs_made(package):
    path = package(SUM)
    out, line = interrupted(IN_A_RUN, "bench", path, "--runs", 100, "--warmup", 0)
    assert line == "martlet: interrupted after 3 of 100 runs"
    assert "p90" in out
    assert "3 runs" in out
    out, _ = interrupted(IN_A_RUN, "bench", path, "--runs", 100, "--warmup", 0, "--json")
    found = json.loads(out)
    assert (found["runs"], found["interrupted"]) == (3, True)


def test_profile_shows_and_saves_the_runs_made(package, tmp_path):
    trace = tmp_path / "trace.json"
    out, line = interrupted(IN_A_RUN, "profile", package(SUM), "--runs", 50, "--trace", trace)
    assert line == "martlet: interrupted after 3 of 50 runs"
    assert "3 runs" in out
    assert sum(event["cat"] == "run" for event in json.loads(trace.read_text())["traceEvents"]) == 3


def test_explain_shows_the_runs_made(package):
    patch = "interrupting(cli.Turns, 'progress', 5)"
    out, line = interrupted(patch, "explain", package(SUM), "--run", 1_000_000, "--json")
    found = json.loads(out)
    assert line == f"martlet: interrupted after {found['runs']} of 1000000 runs"
    assert 0 < found["runs"] < 1000
    assert found["nanoseconds"] > 0


def test_bench_ops_shows_what_was_measured():
    patch = "interrupting(bench, 'measured', 2)"
    arguments = ["bench", "ops", "--sizes", "8,16,32", "--ops", "add", "--turns", 1]
    out, line = interrupted(patch, *arguments)
    assert line == "martlet: interrupted after 2 of 3 ops"
    assert "16×16" in out
    assert "32×32" not in out


def test_calibrate_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "cache"))
    out, line = interrupted("interrupting(cli.Turns, 'progress', 7)", "calibrate")
    assert line == "martlet: interrupted; nothing is kept"
    assert out == ""
    assert not (tmp_path / "cache").exists()
    out, _ = interrupted("interrupting(cli.Turns, 'progress', 7)", "calibrate", "--json")
    assert json.loads(out)["error"]["kind"] == "KeyboardInterrupt"


@pytest.mark.parametrize("command", [["run", "--random", 0], ["bench"], ["profile"]], ids=lambda each: each[0])
def test_before_the_first_result(package, command):
    name, *options = command
    out, line = interrupted("interrupting(martlet.Model, 'predict', 1)", name, package(SUM), *options)
    assert (out, line) == ("", "martlet: interrupted")


@pytest.mark.parametrize("command", [["inspect"], ["explain", "--rules-only"]], ids=lambda each: each[0])
def test_commands_without_turns(package, command):
    name, *options = command
    patch = "interrupting(cli, 'show', 1)"
    _, line = interrupted(patch, name, package(SUM), *options)
    assert line.startswith("martlet: interrupted")


WAITING = """
import sys
from martlet import cli, Model

predict, calls = Model.predict, 0
def waiting(*arguments):
    global calls
    calls += 1
    if calls == 4:
        print("ready", flush=True)
        sys.stdin.read()
    return predict(*arguments)
Model.predict = waiting
cli.main(sys.argv[1:], prog_name="martlet")
"""


def test_a_signal_from_another_process(package):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, "bench", str(package(SUM)), "--runs", "9", "--warmup", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors == "martlet: interrupted after 3 of 9 runs\n"
    assert "3 runs" in out


CALLBACKS = """
import os, signal
import numpy as np
import martlet

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

{body}
"""


@pytest.mark.parametrize(
    "body",
    [
        "martlet.calibrate(True, lambda *_: interrupt())",
        "martlet.explain(martlet.trace(lambda x: x + 1, martlet.ones(3)), run=5, progress=lambda *_: interrupt())",
        "op = martlet.custom_op('op')(lambda x: (interrupt(), x)[1])\nop(martlet.ones(3))",
        "import logging\nlogging.getLogger('martlet').setLevel(1)\n"
        "logging.getLogger('martlet').addFilter(lambda _: interrupt() or True)\n"
        "martlet.CoreMLBackend().run('relu', x=np.ones(3, np.float32))",
    ],
    ids=["calibrate", "explain", "custom op", "log"],
)
def test_callbacks_pass_it_on(body):
    """Whatever Python code the library calls back, Ctrl-C comes out of the call that was made."""
    wrapped = "try:\n    " + body.replace("\n", "\n    ") + "\nexcept KeyboardInterrupt:\n    print('interrupted')"
    finished = subprocess.run(
        [sys.executable, "-c", CALLBACKS.format(body=wrapped)], capture_output=True, text=True, check=False, timeout=300
    )
    assert finished.stdout == "interrupted\n", finished.stderr
    assert "callback" not in finished.stderr
