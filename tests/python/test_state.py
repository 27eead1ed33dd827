"""Models that remember: states in files, in text and in predictions, and functions of one model."""

import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import SUM

import martlet
from martlet.cli import main

DATA = Path(__file__).with_name("data")

# Adds to what it remembers; `before` is what it held when the run began.
SUMMING = """
program(1.3) { func main<ios18>(state<tensor<fp16, [2, 3]>> total, tensor<fp16, [1, 3]> x) {
    tensor<fp16, [2, 3]> before = read_state(input = total)[name = string("before")];
    tensor<fp16, [2, 3]> sum = add(x = before, y = x)[name = string("sum")];
    write_state(input = total, data = sum);
    tensor<fp16, [2, 3]> after = read_state(input = total)[name = string("after")];
    tensor<fp16, [2, 3]> twice = add(x = after, y = after)[name = string("twice")];
} -> (before, twice); }
"""

# Keeps the last input and returns the one before it. Without a copy, the state would share the memory of the input.
DELAY = """
program(1.3) { func main<ios18>(tensor<fp32, [3]> x, state<tensor<fp32, [3]>> last) {
    tensor<fp32, [3]> y = read_state(input = last)[name = string("y")];
    tensor<fp32, [3]> kept = coreml_update_state(state = last, value = x)[name = string("kept")];
} -> (y); }
"""

# Swaps what two states hold; the second write of `a` counts.
SWAP = """
program(1.3) { func main<ios18>(state<tensor<fp32, [2]>> a, state<tensor<fp32, [2]>> b, state<tensor<fp32, [2]>> c) {
    tensor<fp32, [2]> old_a = read_state(input = a)[name = string("old_a")];
    tensor<fp32, [2]> old_b = read_state(input = b)[name = string("old_b")];
    tensor<fp32, [2]> other = add(x = old_a, y = 1.0)[name = string("other")];
    write_state(input = a, data = other);
    write_state(input = a, data = old_b);
    write_state(input = b, data = old_a);
    tensor<fp32, [2]> now = read_state(input = a)[name = string("now")];
} -> (now); }
"""

SLOW = """
program(1.3) { func main<ios18>(state<tensor<fp32, [1024, 1024]>> s) {
    tensor<fp32, [1024, 1024]> a = read_state(input = s)[name = string("a")];
    tensor<fp32, [1024, 1024]> b = matmul(x = a, y = a)[name = string("b")];
    tensor<fp32, [1024, 1024]> c = matmul(x = b, y = a)[name = string("c")];
    tensor<fp32, [1024, 1024]> d = matmul(x = c, y = a)[name = string("d")];
    write_state(input = s, data = d);
    tensor<fp32, [1, 1]> y = slice_by_size(x = d, begin = [0, 0], size = [1, 1])[name = string("y")];
} -> (y); }
"""

X = np.array([[1, 2, 3]], np.float16)


@pytest.fixture(params=["cpu", "cpu:declared", "cpu:portable"])
def device(request):
    return request.param


def test_a_state_goes_from_one_prediction_to_the_next(package, device):
    model = martlet.load(package(SUMMING), device)
    state = model.make_state()
    total = np.zeros((2, 3), np.float16)
    for step in range(4):
        outputs = model.predict({"x": X * step}, state)
        np.testing.assert_array_equal(outputs["before"], total)
        total = total + X * step
        np.testing.assert_array_equal(outputs["twice"], 2 * total)
        np.testing.assert_array_equal(state["total"], total)
    assert state["total"].dtype == np.float16


def test_states_are_no_inputs(package):
    model = martlet.load(package(SUMMING))
    assert [each.name for each in model.inputs] == ["x"]
    assert [each.name for each in model.outputs] == ["before", "twice"]
    assert [(each.name, each.dtype, each.shape, each.kind) for each in model.states] == [
        ("total", np.float16, (2, 3), "state")
    ]
    assert "remembers total" in repr(model)


def test_two_states_know_nothing_of_each_other(package):
    model = martlet.load(package(SUMMING))
    one, two = model.make_state(), model.make_state({"total": np.full((2, 3), 10)})
    model.predict({"x": X}, one)
    model.predict({"x": X}, two)
    np.testing.assert_array_equal(one["total"], np.broadcast_to(X, (2, 3)))
    np.testing.assert_array_equal(two["total"], np.broadcast_to(X + 10, (2, 3)))


def test_what_a_state_held_does_not_change_with_it(package):
    model = martlet.load(package(SUMMING))
    state = model.make_state()
    before = state["total"]
    copied = state.copy()
    model.predict({"x": X}, state)
    assert not before.any()
    assert not copied["total"].any()
    with pytest.raises(ValueError, match="read-only"):
        before[0, 0] = 1


def test_a_state_can_be_assigned(package):
    model = martlet.load(package(SUMMING))
    state = model.make_state()
    values = np.arange(6, dtype=np.float64).reshape(2, 3)
    state["total"] = values
    values[:] = -1  # the state has a copy
    np.testing.assert_array_equal(state["total"], np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(model.predict({"x": X}, state)["before"], np.arange(6).reshape(2, 3))
    assert (list(state), len(state), "total" in state, "x" in state) == (["total"], 1, True, False)
    assert repr(state) == "<State of main: total float16 [2, 3]>"


def test_a_state_does_not_keep_the_callers_memory(package):
    model = martlet.load(package(DELAY))
    state = model.make_state()
    x = np.array([1, 2, 3], np.float32)
    model.predict({"x": x}, state)
    x[:] = -1
    np.testing.assert_array_equal(model.predict({"x": x}, state)["y"], [1, 2, 3])
    np.testing.assert_array_equal(state["last"], [-1, -1, -1])


def test_the_last_write_counts(package, device):
    model = martlet.load(package(SWAP), device)
    state = model.make_state({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    np.testing.assert_array_equal(model.predict({}, state)["now"], [3, 4])
    assert {name: state[name].tolist() for name in state} == {"a": [3, 4], "b": [1, 2], "c": [5, 6]}


def test_a_failed_prediction_changes_nothing(package):
    model = martlet.load(package(SUMMING))
    state = model.make_state()
    model.predict({"x": X}, state)
    with pytest.raises(martlet.InvalidArgumentError):
        model.predict({"x": np.zeros((2, 2), np.float16)}, state)
    np.testing.assert_array_equal(state["total"], np.broadcast_to(X, (2, 3)))


def test_without_a_state_the_message_says_what_to_do(package):
    model = martlet.load(package(SUMMING))
    for predict in (model.predict, lambda inputs: model.predict_batch([inputs])):
        with pytest.raises(martlet.InvalidArgumentError, match=r"remembers 'total'.*make a state"):
            predict({"x": X})


@pytest.mark.parametrize("state", [{}, {"total": X}, 3])
def test_something_else_than_a_state(package, state):
    with pytest.raises(martlet.WrongTypeError, match="make_state"):
        martlet.load(package(SUMMING)).predict({"x": X}, state)


def test_the_state_of_another_model(package):
    state = martlet.load(package(DELAY)).make_state()
    with pytest.raises(martlet.InvalidArgumentError, match="another model"):
        martlet.load(package(SUMMING)).predict({"x": X}, state)


def test_a_state_may_go_on_with_another_model_of_the_same_states(package):
    first, second = martlet.load(package(SUMMING)), martlet.load(package(SUMMING), "cpu:portable")
    state = first.make_state()
    first.predict({"x": X}, state)
    second.predict({"x": X}, state)
    np.testing.assert_array_equal(state["total"], np.broadcast_to(2 * X, (2, 3)))


@pytest.mark.parametrize(
    ("name", "value", "error", "words"),
    [
        ("other", np.zeros((2, 3)), martlet.InvalidArgumentError, r"no state 'other'; there are 'total'"),
        ("total", np.zeros((3, 2)), martlet.InvalidArgumentError, r"The state 'total' has shape \[3, 2\].*\[2, 3\]"),
        ("total", np.array([["a"] * 3] * 2), martlet.WrongTypeError, "The state 'total' is <U1"),
    ],
)
def test_what_a_state_does_not_take(package, name, value, error, words):
    state = martlet.load(package(SUMMING)).make_state()
    with pytest.raises(error, match=words):
        state[name] = value


def test_an_unknown_name(package):
    with pytest.raises(martlet.InvalidArgumentError, match="no state 'other'"):
        martlet.load(package(SUMMING)).make_state()["other"]


def test_a_model_without_states_has_an_empty_one(sum_model):
    state = sum_model.make_state()
    assert (list(state), sum_model.states) == ([], [])
    a = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(sum_model.predict({"a": a, "b": a}, state)["sum"], 2 * a)


def test_one_prediction_at_a_time(package):
    model = martlet.load(package(SLOW))
    state = model.make_state({"s": np.eye(1024)})
    start = threading.Barrier(4)
    outcomes = []

    def predict():
        start.wait()
        for _ in range(3):
            try:
                outcomes.append(model.predict({}, state)["y"].item())
            except martlet.InvalidArgumentError as error:
                outcomes.append(str(error))

    threads = [threading.Thread(target=predict) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [each for each in outcomes if isinstance(each, str)]
    assert len(outcomes) == 12
    assert len(refused) < 12
    assert refused
    assert all("in use by another prediction" in each for each in refused)
    assert all(each == 1 for each in outcomes if not isinstance(each, str))
    np.testing.assert_array_equal(state["s"], np.eye(1024))  # nothing was mixed up, and it is free again


def test_files_and_text_keep_states(package, tmp_path):
    model = martlet.load(package(SUMMING))
    assert "state<tensor<fp16, [2, 3]>> total" in model.text()
    assert "write_state(input = total, data = sum)" in model.text()
    model.save(tmp_path / "again.mlpackage")
    again = martlet.load(tmp_path / "again.mlpackage")
    assert again.text() == model.text()
    parsed = martlet.parse(model.text())
    for each in (again, parsed):
        state = each.make_state({"total": np.ones((2, 3))})
        np.testing.assert_array_equal(each.predict({"x": X}, state)["twice"], np.broadcast_to(2 * (X + 1), (2, 3)))


def test_an_update_is_written_as_core_ml_says_it(package):
    text = martlet.load(package(DELAY)).text()
    assert "coreml_update_state" not in text
    assert "write_state(input = last, data = x)" in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SUMMING.replace("data = sum", "data = x"), "holds"),
        (SUMMING.replace('read_state(input = total)[name = string("after")]', "relu(x = total)"), "state"),
        (
            SUMMING.replace('read_state(input = total)[name = string("before")]', "read_state(input = x)"),
            "must be a state",
        ),
    ],
)
def test_programs_that_use_states_wrongly(text, words):
    with pytest.raises(martlet.Error, match=words):
        martlet.parse(text)


def test_a_backend_runs_states(package):
    backend = martlet.CoreMLBackend()
    model = backend.load(package(SUMMING))
    state = model.make_state()
    for _ in range(3):
        model.predict({"x": X}, state)
    np.testing.assert_array_equal(state["total"], np.broadcast_to(3 * X, (2, 3)))


def test_a_profile_records_runs_with_states(package):
    model = martlet.load(package(SUMMING))
    with martlet.profile() as profile:
        model.predict({"x": X}, model.make_state())
    assert len(profile.runs) == 1


# What coremltools writes of a torch module with buffers: attention over a cache that grows.


def attend(queries):
    """The outputs of the steps, by NumPy in float32."""
    outputs = []
    for end in range(1, len(queries) + 1):
        seen = queries[:end]
        scores = queries[end - 1] @ (seen * 0.5).T
        weights = np.exp(scores - scores.max())
        outputs.append((weights / weights.sum()) @ (seen + 1))
    return np.array(outputs)


def test_a_cache_of_keys_and_values(device):
    model = martlet.load(DATA / "cache.mlpackage", device)
    assert [each.name for each in model.states] == ["keys", "values"]
    state = model.make_state()
    queries = np.linspace(-2, 2, 24, dtype=np.float32).reshape(6, 4)
    for step, expected in enumerate(attend(queries)):
        mask = np.zeros((1, 1, step + 1), np.float16)
        found = model.predict({"query": queries[np.newaxis, step : step + 1], "mask": mask}, state)["attended"]
        np.testing.assert_allclose(found[0, 0], expected, rtol=5e-3, atol=5e-3)
    np.testing.assert_allclose(state["keys"][0], queries * 0.5, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(state["values"][0], queries + 1, rtol=1e-3, atol=1e-3)


def test_a_cache_survives_a_round_trip(tmp_path):
    model = martlet.load(DATA / "cache.mlpackage")
    model.save(tmp_path / "cache.mlpackage")
    again = martlet.load(tmp_path / "cache.mlpackage")
    assert again.text() == model.text()
    assert [repr(each) for each in again.states] == [repr(each) for each in model.states]


# Functions


def weight():
    return ((np.arange(256).reshape(16, 16) * 7) % 17 - 8).astype(np.float32) / 8


def test_functions_of_one_model():
    plain = martlet.load(DATA / "functions.mlpackage")
    assert sorted(plain.functions) == ["active", "plain"]
    assert plain.function == "plain"
    x = np.linspace(-1, 1, 16, dtype=np.float32)[np.newaxis]
    active = martlet.load(DATA / "functions.mlpackage", function="active")
    np.testing.assert_allclose(plain(x=x)["y"], x @ weight().T, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(active(x=x)["y"], np.maximum(x @ weight().T, 0), rtol=1e-5, atol=1e-5)


def test_another_function_of_a_loaded_model():
    plain = martlet.load(DATA / "functions.mlpackage", device="cpu:portable")
    active = plain.select("active")
    assert (active.function, active.device, plain.function) == ("active", "cpu:portable", "plain")
    x = np.linspace(-1, 1, 16, dtype=np.float32)[np.newaxis]
    np.testing.assert_allclose(active(x=x)["y"], np.maximum(x @ weight().T, 0), rtol=1e-5, atol=1e-5)
    assert plain.select("active", device="cpu").device == "cpu"


def test_a_function_that_is_not_there():
    model = martlet.load(DATA / "functions.mlpackage")
    for ask in (lambda: model.select("other"), lambda: martlet.load(DATA / "functions.mlpackage", function="other")):
        with pytest.raises(martlet.InvalidArgumentError, match=r"no function 'other'.*'(plain|active)', '"):
            ask()


def test_functions_share_weights():
    plain = martlet.load(DATA / "functions.mlpackage")
    assert plain.select("active")._model is plain._model


def test_functions_survive_a_round_trip(tmp_path):
    model = martlet.load(DATA / "functions.mlpackage")
    model.save(tmp_path / "again.mlpackage")
    again = martlet.load(tmp_path / "again.mlpackage")
    assert (again.functions, again.function, again.text()) == (model.functions, "plain", model.text())


def test_a_plain_model_lists_its_function(package):
    assert martlet.load(package(SUM)).functions == ["main"]


@pytest.mark.parametrize("command", ["inspect", "run --random 1", "bench --runs 2 --warmup 0", "profile --runs 1"])
def test_commands_know_states(package, command):
    name, *options = command.split()
    result = CliRunner().invoke(main, [name, str(package(SUMMING)), *options])
    assert result.exit_code == 0, result.output
    if name == "inspect":
        assert "state" in result.output
        assert "total" in result.output
