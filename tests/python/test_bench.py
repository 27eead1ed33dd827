"""The benchmark of single ops: what it times is right, and it times every device there is."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import martlet
from martlet import bench
from martlet.cli import main


@pytest.mark.parametrize("name", bench.OPERATIONS)
def test_all_candidates_compute_the_same(name):
    operation = bench.OPERATIONS[name]
    operands = operation.operands(16)
    found = {column: np.asarray(run()) for column, run in bench.candidates(operation, operands)}
    x, *rest = [each.astype(np.float64) for each in operands]
    expected = {
        "matmul": lambda: x @ rest[0],
        "relu": lambda: np.where(x > 0, x, 0),
        "add": lambda: x + rest[0],
        "conv": lambda: sum(
            x[0, None, :, i : i + 14, j : j + 14] * rest[0][:, :, i : i + 1, j : j + 1]
            for i in range(3)
            for j in range(3)
        ).sum(1)[None],
        "softmax": lambda: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    }[name]()
    assert {"cpu", bench.CHOSEN, bench.NUMPY} <= set(found)
    for column, array in found.items():
        np.testing.assert_allclose(array, expected, rtol=2e-2 if "declared" in column else 1e-4, atol=1e-4)


def test_results():
    seen = []
    found = bench.measure_ops((8, 16), ("add", "relu"), 3, 0, lambda *step: seen.append(step))
    assert [(each.op, each.size) for each in found.results] == [("add", 8), ("add", 16), ("relu", 8), ("relu", 16)]
    assert [step[:2] for step in seen] == [(0, 4), (1, 4), (2, 4), (3, 4)]
    available = [each["name"] for each in martlet.devices() if each["available"]]
    assert set(available) | {bench.CHOSEN, bench.NUMPY} <= set(found.columns)
    assert set(found.missing) == {each["name"] for each in martlet.devices()} - set(available)
    for each in found.results:
        assert each.chosen in available
        assert set(each.milliseconds) == set(each.least) == set(found.columns)
        assert all(0 < each.least[name] <= each.milliseconds[name] for name in found.columns)
    assert "16×16" in found._repr_html_()
    assert "16×16" in str(found)
    some = bench.measure_ops((8, 16), ("add", "relu"), 1, 0, lambda done, *_: done < 2)
    assert [(each.op, each.size) for each in some.results] == [("add", 8), ("add", 16)]


def test_turns_are_timed():
    ticks = []
    times = bench.take_turns({"a": lambda: ticks.append("a"), "b": lambda: ticks.append("b")}, 4, 0)
    assert {name: len(each) for name, each in times.items()} == {"a": 4, "b": 4}
    # After the two that find the number of runs, each turn is one run that does not count and one that does.
    assert "".join(ticks[4:]) == "bbaaaabb" * 2


@pytest.mark.parametrize(
    "arguments", [((4,),), ((8,), ("tan",)), ((8,), ("add",), 0), ((8,), ("add",), 1, -1.0)], ids=str
)
def test_refusals(arguments):
    with pytest.raises(martlet.InvalidArgumentError):
        bench.measure_ops(*arguments)


def run(*arguments):
    return CliRunner().invoke(main, ["bench", "ops", *map(str, arguments)])


def test_command(tmp_path):
    result = run("--sizes", "8,16", "--ops", "add,softmax", "--turns", 1, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [each["size"] for each in found["results"]] == [8, 16] * 2
    pytest.importorskip("matplotlib")
    result = run("--sizes", 8, "--ops", "add", "--turns", 1, "--plot", tmp_path / "ops.png")
    assert result.exit_code == 0, result.output
    assert "8×8" in result.stdout
    assert (tmp_path / "ops.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("given", [("--sizes", "a"), ("--ops", "tan"), ("--sizes", "8", "--plot", "/absent/x.png")])
def test_refusals_of_the_command(given):
    result = run("--turns", 1, *given)
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1


def test_help_of_both_commands():
    assert "ops" in CliRunner().invoke(main, ["bench", "--help"]).stdout
    assert "--plot" in run("--help").stdout
