"""Classifiers: labels, what `predict` gives, and what the command shows.

The packages are coremltools' (9.0, ClassifierConfig): softmax over three logits. Core ML gives the label under
predictedFeatureName and a dictionary under predictedProbabilitiesName; probabilities are NumPy's.
"""

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import martlet
from martlet._native import answer, lib
from martlet.cli import main
from martlet.model import read

DATA = Path(__file__).with_name("data")
X = np.array([[1, 3, 2]], np.float32)
PROBABILITIES = (np.exp(X) / np.exp(X).sum()).ravel()
LABELS = {"classifier": ["cat", "dog", "bird"], "classifier_int64": [10, 20, -30]}


@pytest.fixture(params=LABELS)
def name(request):
    return request.param


@pytest.fixture
def path(name):
    return DATA / f"{name}.mlpackage"


def check(outputs, labels):
    assert outputs.keys() == {"classLabel", "classLabel_probs"}
    assert outputs["classLabel"] == labels[1]
    assert type(outputs["classLabel"]) is type(labels[1])
    assert list(outputs["classLabel_probs"]) == labels
    np.testing.assert_allclose(list(outputs["classLabel_probs"].values()), PROBABILITIES, rtol=1e-6)


def test_predictions(name, path):
    model = martlet.load(path)
    check(model.predict({"x": X}), LABELS[name])
    check(model(x=X), LABELS[name])
    check(asyncio.run(model.predict_async({"x": X})), LABELS[name])
    for outputs in model.predict_batch([{"x": X}, {"x": X}]):
        check(outputs, LABELS[name])
    check(martlet.CoreMLBackend().load(path).predict({"x": X}), LABELS[name])


def test_raw_predictions(name, path):
    model = martlet.load(path)
    for outputs in (
        model.predict({"x": X}, raw=True),
        asyncio.run(model.predict_async({"x": X}, raw=True)),
        *model.predict_batch([{"x": X}], raw=True),
    ):
        assert outputs["classLabel"].tolist() == [LABELS[name][1]]
        assert outputs["classLabel_probs"].shape == (1, 3)
        np.testing.assert_allclose(outputs["classLabel_probs"][0], PROBABILITIES, rtol=1e-6)


def test_ports(name, path):
    label, probabilities = martlet.load(path).outputs
    assert label.labels == probabilities.labels == LABELS[name]
    assert label.kind == ("string" if name == "classifier" else "int64")
    assert probabilities.kind == "dictionary"
    assert "3 labels" in repr(label)
    assert martlet.load(path).inputs[0].labels is None


def test_the_description_in_json(name, path):
    """What C programs read."""
    (function,) = answer(lib.mlt_model_info, read(path))["functions"]
    assert [each["labels"] for each in function["outputs"]] == [LABELS[name]] * 2
    assert [each["labels"] for each in function["inputs"]] == [None]


def test_saved_and_loaded_again(name, path, tmp_path):
    martlet.load(path).save(tmp_path / "again.mlpackage")
    model = martlet.load(tmp_path / "again.mlpackage")
    check(model.predict({"x": X}), LABELS[name])
    assert model.outputs == martlet.load(path).outputs


def run(*arguments):
    found = CliRunner().invoke(main, [str(each) for each in arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_inspect(name, path):
    shown = ", ".join(map(str, LABELS[name]))
    assert f"classLabel: 3 labels: {shown}" in run("inspect", path)
    (function,) = json.loads(run("inspect", path, "--json"))["functions"]
    assert function["outputs"][1]["labels"] == LABELS[name]


def test_run(name, path, tmp_path):
    np.save(tmp_path / "x.npy", X)
    given = ["run", path, "--input", f"x={tmp_path / 'x.npy'}"]
    lines = run(*given).splitlines()
    assert f"classLabel: {LABELS[name][1]}" in lines
    order = [LABELS[name][index] for index in np.argsort(-PROBABILITIES)]
    rows = [line.split() for line in lines]
    places = [next(i for i, row in enumerate(rows) if row and row[0] == str(each)) for each in order]
    assert places == sorted(places)
    label, probabilities = json.loads(run(*given, "--json"))["outputs"]
    assert label == {"name": "classLabel", "kind": label["kind"], "value": LABELS[name][1]}
    assert list(probabilities["values"]) == [str(each) for each in order]
    np.testing.assert_allclose(list(probabilities["values"].values()), -np.sort(-PROBABILITIES), rtol=1e-6)


def test_run_into_a_file(name, path, tmp_path):
    np.save(tmp_path / "x.npy", X)
    run("run", path, "--input", f"x={tmp_path / 'x.npy'}", "--output", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as stored:  # no pickles
        assert stored["classLabel"].tolist() == [LABELS[name][1]]
        assert stored["classLabel_probs.labels"].tolist() == LABELS[name]
        np.testing.assert_allclose(stored["classLabel_probs"][0], PROBABILITIES, rtol=1e-6)


def test_bench_and_profile(path):
    run("bench", path, "--runs", 1, "--warmup", 0)
    run("profile", path, "--runs", 1)


def test_what_a_terminal_must_not_see():
    """Labels, names and metadata of escape.mlpackage hold control characters and one that reverses text."""
    path = DATA / "escape.mlpackage"
    model = martlet.load(path)
    assert model.metadata["author"].startswith("\x1b]0;owned\x07")  # values stay as they are
    assert model.outputs[0].labels == ["a\x1b[2J", "b\u202ec"]
    shown = [
        run("inspect", path),
        run("inspect", path, "--plan"),
        run("run", path, "--random", 1),
        run("explain", path),
        repr(model.outputs),
        str(model.plan()),
        str(martlet.explain(path)),
    ]
    for text in shown:
        assert not {each for each in text if each < " " or "\x7f" <= each <= "\x9f" or each == "\u202e"} - {"\n"}
    assert r"\x1b]0;owned\x07\x1b[31mred\x9b1m" in shown[0]
    assert r"a\x1b[2J, b\u202ec" in shown[0]
    assert r"v\x00\x7f" in shown[0]


def test_messages_are_printable():
    with pytest.raises(martlet.MalformedError) as caught:
        martlet.parse("program(1.3) { func \x1b[31mmain<ios18>() {} -> (); }")
    assert "\x1b" not in str(caught.value)
    with pytest.raises(martlet.NotFoundError, match=r"no\\x1b\[2J\.mlpackage"):
        martlet.load("no\x1b[2J.mlpackage")
