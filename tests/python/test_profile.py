"""Profiles: what a `with martlet.profile()` block and a profiling backend record."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SUM, WEIGHTS
from rich.console import Console

import martlet
from martlet.cli import main

X = np.ones((1, 4), np.float32)


@pytest.fixture
def model(package):
    return martlet.load(package(WEIGHTS), device="cpu")


def test_records_steps_with_kernels_and_reasons(model):
    with martlet.profile() as p:
        for _ in range(3):
            model.predict({"x": X})
    plan = model.plan()
    assert [op.kernel for op in p.ops] == [step.kernel for step in plan] * 3
    assert [op.reason for op in p.ops] == [step.reason for step in plan] * 3
    assert {op.device for op in p} == {"cpu"}
    assert [op.run for op in p.ops] == [run for run in range(3) for _ in plan]
    assert len(p.runs) == 3
    assert all(run.device == "cpu" and run.reason for run in p.runs)
    product = next(op for op in p.ops if "matmul" in op.ops)
    # One row of four times a 4 x 4 weight gives a row of four.
    assert product.bytes >= (4 + 4) * 4
    for op in p.ops:
        run = p.runs[op.run]
        assert run.start_ns <= op.start_ns
        assert op.start_ns + op.duration_ns <= run.start_ns + run.duration_ns
    assert 0 < sum(run.duration_ns for run in p.runs) / 1e6 <= p.duration_ms


def test_ends_with_the_block(model):
    with martlet.profile() as p:
        pass
    model.predict({"x": X})
    assert (len(p), p.runs) == (0, [])
    assert p.duration_ms == p.duration_ms


def test_blocks_may_overlap(model):
    with martlet.profile() as outer:
        model.predict({"x": X})
        with martlet.profile() as inner:
            model.predict({"x": X})
    assert (len(outer.runs), len(inner.runs)) == (2, 1)


def test_before_the_block_there_is_nothing():
    p = martlet.profile()
    assert p.ops == []
    assert p.chrome_trace()["traceEvents"] == []


def test_failed_runs_end_the_block(model):
    with pytest.raises(martlet.InvalidArgumentError), martlet.profile() as p:
        model.predict({"y": X})
    model.predict({"x": X})
    assert p.runs == []


def test_table_and_notebook(model):
    with martlet.profile() as p:
        model.predict({"x": X})
    console = Console(width=200, record=True)
    console.print(p.table())
    text = console.export_text()
    for word in ("matmul", "cpu", "calls", "total ms", "share", p.ops[0].kernel.split()[0]):
        assert word in text
        assert word in p._repr_html_()
    assert "1 runs" in repr(p)
    assert "matmul" in str(p)
    assert sum(each["share"] for each in p.summary()) == pytest.approx(1)


def test_chrome_trace(model, tmp_path):
    with martlet.profile() as p:
        model.predict({"x": X})
    p.save(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert events == p.chrome_trace()["traceEvents"]
    assert {event["ph"] for event in events} == {"X"}
    assert sum(event["cat"] == "run" for event in events) == 1
    ops = [event for event in events if event["cat"] == "op"]
    for event, op in zip(ops, p.ops, strict=True):
        assert event["args"]["kernel"] == op.kernel
        assert event["dur"] * 1000 == pytest.approx(op.duration_ns)
        assert event["ts"] * 1000 == pytest.approx(op.start_ns)


def test_a_backend_profiles_while_it_shall(model):
    config = martlet.CoreMLBackendConfig(enable_profiling=True)
    backend = martlet.CoreMLBackend(config)
    backend.run("relu", x=X)
    model.predict({"x": X})
    config.enable_profiling = False
    backend.run("relu", x=X)
    p = backend.profile()
    assert len(p.runs) == 1
    assert [op.ops for op in p.ops] == [["relu"]]


def test_command(package, tmp_path):
    arguments = ["profile", str(package(SUM)), "--runs", "4", "--device", "cpu"]
    result = CliRunner().invoke(main, [*arguments, "--trace", str(tmp_path / "trace.json")])
    assert result.exit_code == 0, result.output
    assert "4 runs" in result.stdout
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    found = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert len(found["runs"]) == 4
    assert {op["device"] for op in found["ops"]} == {"cpu"}
    assert found["summary"][0]["calls"] == 4
