"""martlet.functional: one function for each op of the table, with its signature, its words and true values."""

from __future__ import annotations

import inspect
import math
import re

import numpy as np
import pytest

import martlet
from martlet import Tensor, functional
from tests.cases import all_cases

TABLE = [op for op in martlet.ops() if op["custom"] is None]
CASES = all_cases()


def signature(name):
    return inspect.signature(getattr(functional, name))


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op["name"])
def test_the_signature_is_the_row(op):
    parameters = signature(op["name"]).parameters
    assert set(parameters) == {each["name"] for each in op["parameters"]}
    for each in op["parameters"]:
        found = parameters[each["name"]]
        assert found.kind is (found.KEYWORD_ONLY if each["constant"] else found.POSITIONAL_OR_KEYWORD)
        if each["optional"]:
            assert found.default == each["default"]
            assert type(found.default) is type(each["default"])
        else:
            assert found.default is found.empty
    assert not any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters.values())


@pytest.mark.parametrize("op", TABLE, ids=lambda op: op["name"])
def test_the_docstring_has_the_words_of_the_row(op):
    words = " ".join(inspect.getdoc(getattr(functional, op["name"])).split())
    assert op["words"][1:] in words
    assert "Raises: InvalidArgumentError" in words
    for each in op["parameters"]:
        assert f"{each['name']}: {' '.join(each['words'].split())}" in words


def test_completion_names_the_ops_and_nothing_else():
    names = sorted(op["name"] for op in TABLE)
    assert dir(functional) == functional.__all__ == names
    assert "functional" in dir(martlet)


def test_a_signature_as_it_reads():
    assert str(signature("reduce_sum")) == (
        "(x: 'TensorLike', *, axes: 'Sequence[int] | None' = None, keep_dims: 'bool' = False) -> 'Tensor'"
    )


def calls():
    """The ops, with their literals, and the number of results, that the cases of all ops use."""
    for case in CASES:
        for results, name, arguments in re.findall(r"([\w, <>\[\]]+) = (\w+)\(([^;]*)\)(?:\[[^;]*\])?;", case.text):
            if name != "const":
                yield name, results, arguments


def test_lists_are_typed_as_lists_and_numbers_as_numbers():
    seen = 0
    for name, _, arguments in calls():
        parameters = signature(name).parameters
        for parameter, value in re.findall(r"(\w+) = (\[|-?\d|true|false|\")", arguments):
            kind = parameters[parameter].annotation
            if "TensorLike" in kind:
                continue
            seen += 1
            assert ("Sequence" in kind) == (value == "["), f"{name}: {parameter} is {kind}"
            assert ("bool" in kind) == (value in ("true", "false")) or value == "[", f"{name}: {parameter} is {kind}"
            assert (kind == "str") == (value == '"'), f"{name}: {parameter} is {kind}"
    assert seen > 200


def test_ops_with_several_results_answer_tuples():
    seen = set()
    for name, results, _ in calls():
        several = re.sub(r"\[[^\]]*\]|<[^>]*>", "", results).count(",") > 0
        if several:
            seen.add(name)
            assert "tuple" in signature(name).return_annotation, name
    assert {"split", "lstm", "gru", "rnn", "topk"} <= seen
    found = {op["name"] for op in TABLE if "tuple" in signature(op["name"]).return_annotation}
    assert found - seen <= {"unique"}  # the cases have none of it; test_several_results has


# Values


X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((4, 5)).astype(np.float32)
IMAGE = np.random.default_rng(2).standard_normal((1, 2, 5, 6)).astype(np.float32)
FILTERS = np.random.default_rng(3).standard_normal((3, 2, 3, 3)).astype(np.float32)


def convolved(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


VALUES = {
    "abs": (lambda: functional.abs(X), np.abs(X)),
    "add": (lambda: functional.add(X, 2), X + 2),
    "clip": (lambda: functional.clip(X, alpha=-0.5, beta=0.5), np.clip(X, -0.5, 0.5)),
    "concat": (lambda: functional.concat([X, X], axis=0), np.concatenate([X, X])),
    "complex": (lambda: functional.complex(X, X), X + 1j * X),
    "conv": (lambda: functional.conv(IMAGE, FILTERS), convolved(IMAGE, FILTERS)),
    "cumsum": (lambda: functional.cumsum(X, axis=1), np.cumsum(X, 1)),
    "einsum": (lambda: functional.einsum([X, Y], equation="ab,bc->ac"), X @ Y),
    "erf": (lambda: functional.erf(X), np.vectorize(math.erf)(X)),
    "fft": (lambda: functional.fft(X.astype(np.complex64)), np.fft.fft(X)),
    "gather": (lambda: functional.gather(X, [2, 0], axis=1), X[:, [2, 0]]),
    "matmul": (lambda: functional.matmul(X, Y.T.copy(), transpose_y=True), X @ Y),
    "pad": (lambda: functional.pad(X, [1, 0, 0, 2], constant_val=7), np.pad(X, [(1, 0), (0, 2)], constant_values=7)),
    "pow": (lambda: functional.pow(np.abs(X), 1.5), np.abs(X) ** 1.5),
    "range_1d": (lambda: functional.range_1d(9, 1, 3), np.arange(1, 9, 3)),
    "reduce_max": (lambda: functional.reduce_max(X, axes=[0], keep_dims=True), X.max(0, keepdims=True)),
    "reduce_sum": (lambda: functional.reduce_sum(X), X.sum()),
    "reshape": (lambda: functional.reshape(X, (np.int64(2), -1)), X.reshape(2, -1)),
    "round": (lambda: functional.round(X), np.round(X)),
    "select": (lambda: functional.select(X > 0, X, 0.0), np.where(X > 0, X, 0)),
    "slice_by_index": (lambda: functional.slice_by_index(X, [0, 1], [2, 4], [1, 2]), X[0:2, 1:4:2]),
    "softmax": (lambda: functional.softmax(X), softmax(X)),
    "transpose": (lambda: functional.transpose(X, perm=(1, 0)), X.T),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    run, expected = VALUES[name]
    found = run()
    assert isinstance(found, Tensor)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_several_results():
    values, positions = functional.topk(X, k=2)
    np.testing.assert_array_equal(values.numpy(), np.sort(X)[:, :-3:-1])
    np.testing.assert_array_equal(positions.numpy(), np.argsort(X)[:, :-3:-1])
    first, *rest = functional.unique([3, 1, 3])
    np.testing.assert_array_equal(first.numpy(), [1, 3])
    assert len(rest) == 3


def test_tensors_where_the_op_needs_constants():
    x, shape = Tensor(X), functional.shape(np.ones((2, 6)))
    np.testing.assert_array_equal(functional.reshape(x, shape).numpy(), X.reshape(2, 6))
    np.testing.assert_array_equal(functional.range_1d(Tensor(3), 0, 1).numpy(), np.arange(3))
    for scale in (1, 2):
        found = functional.conv(Tensor(IMAGE), Tensor(FILTERS * scale))
        np.testing.assert_allclose(found.numpy(), convolved(IMAGE, FILTERS * scale), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "uint8"])
def test_numbers_take_the_type_beside_them(dtype):
    x = np.array([1, 2, 3], dtype)
    assert functional.add(x, 2).dtype == functional.mul(2, x).dtype == functional.maximum(x, 1).dtype == dtype


def test_wrong_arguments():
    with pytest.raises(TypeError, match="axis"):
        functional.concat([X, X])
    with pytest.raises(martlet.InvalidArgumentError, match=r"\[3, 4\]"):
        functional.matmul(X, X)
    with pytest.raises(martlet.WrongTypeError):
        functional.logical_not(X)


def test_an_op_may_have_many_results():
    parts = martlet.functional.split(martlet.arange(200), num_splits=200, axis=0)
    assert [int(each[0]) for each in parts] == list(range(200))
