"""Smart selection: the table, measurements, pins, explanations. Described devices stand for other machines."""

import json
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import martlet
from martlet.cli import main
from martlet.selector import (
    TYPES,
    Calibration,
    DescribedDevice,
    DeviceThresholds,
    OperationProfile,
    SmartDeviceSelector,
)

MAC = [DescribedDevice(kind, kind) for kind in ("cpu", "metal", "coreml")]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def chosen(selector, op, shape, dtype="float32"):
    return selector.select_device(OperationProfile(op, shape, dtype)).device


# Profiles


def test_a_profile_knows_its_work():
    profile = OperationProfile("matmul", (512, 512), "float32")
    assert profile.op_type == "matrix_multiplication"
    assert profile.elements == 512 * 512
    assert profile.memory_footprint() == np.empty((512, 512), np.float32).nbytes
    assert profile.work == 2 * 512**3
    assert profile.bytes == 3 * 512 * 512 * 4
    assert OperationProfile("conv", (1, 64, 56, 56)).work == 2 * 56 * 56 * 64 * 64 * 9


def test_a_profile_takes_what_numpy_takes():
    assert OperationProfile("relu", 8, np.float16).dtype == np.dtype("float16")
    assert OperationProfile("relu", [np.int64(2), 3], "fp16").memory_footprint() == 12
    assert OperationProfile("add", (4,), "complex64").op_type == "complex_number"
    assert OperationProfile("relu", (2, 3)) == OperationProfile("relu", [2, 3], "fp32")
    assert len({OperationProfile("relu", (2, 3)), OperationProfile("relu", [2, 3])}) == 1


@pytest.mark.parametrize(
    ("name", "op_type"),
    [
        ("MatrixMultiplication", "matrix_multiplication"),
        ("ComplexNumber", "complex_number"),
        ("DistributedOp", "distributed_operation"),
        ("random_normal", "statistical_distribution"),
        ("reduce_sum", "element_wise"),
        *((each, each) for each in TYPES),
    ],
)
def test_names_give_types(name, op_type):
    assert OperationProfile(name, (16,)).op_type == op_type


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("matmull", (2,)), martlet.InvalidArgumentError),
        ((None, (2,)), martlet.WrongTypeError),
        (("relu", (-1,)), martlet.InvalidArgumentError),
        (("relu", (2.5,)), martlet.WrongTypeError),
        (("relu", "8"), martlet.WrongTypeError),
        (("relu", (8,), "floaty"), martlet.WrongTypeError),
        (("relu", (8,), "U3"), martlet.WrongTypeError),
        (("relu", (2**40, 2**20)), martlet.OutOfMemoryError),
    ],
    ids=str,
)
def test_what_is_no_profile(arguments, error):
    with pytest.raises(error):
        OperationProfile(*arguments)


@pytest.mark.parametrize(
    ("cost", "error", "words"),
    [
        ((float("nan"), 0), martlet.InvalidArgumentError, "finite and not negative"),
        ((0, float("inf")), martlet.InvalidArgumentError, "finite and not negative"),
        ((-1e-6, 0), martlet.InvalidArgumentError, "finite and not negative"),
        ((1,), martlet.InvalidArgumentError, "two numbers"),
        ((1, 2, 3), martlet.InvalidArgumentError, "two numbers"),
        (1e-6, martlet.WrongTypeError, "two numbers"),
        (("a", "b"), martlet.WrongTypeError, "two numbers"),
    ],
)
def test_what_is_no_cost(cost, error, words):
    with pytest.raises(error, match=words):
        DescribedDevice("a", "cpu", cost=cost)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"thresholds": 5}, martlet.WrongTypeError, "must be a DeviceThresholds"),
        ({"devices": []}, martlet.InvalidArgumentError, "at least one device"),
        ({"devices": 5}, martlet.WrongTypeError, "must be a list"),
        ({"devices": "cpu"}, martlet.WrongTypeError, "must be a list"),
    ],
)
def test_what_makes_no_selector(options, error, words):
    with pytest.raises(error, match=words):
        SmartDeviceSelector(**options)


# The table


@pytest.mark.parametrize("op", ["matmul", "relu", "element_wise", "convolution"])
def test_small_cpu_medium_metal_large_core_ml(op):
    selector = SmartDeviceSelector(MAC)
    sizes = (255, 512, 1024, 2**20, 2**20 + 1)
    assert [chosen(selector, op, (size,), "float64") for size in sizes] == ["cpu", "metal", "coreml", "coreml", "metal"]


@pytest.mark.parametrize("op", ["complex_number", "statistical_distribution", "custom_kernel", "distributed_operation"])
def test_some_operations_never_go_to_core_ml(op):
    selector = SmartDeviceSelector(MAC)
    dtype = "complex64" if op == "complex_number" else "float64"
    assert [chosen(selector, op, (size,), dtype) for size in (255, 512, 1024, 2**21)] == ["cpu", *["metal"] * 3]
    chain = selector.get_fallback_chain(OperationProfile(op, (4096,), dtype))
    assert [choice.device for choice in chain] == ["metal", "cpu"]
    assert chosen(SmartDeviceSelector([*MAC[:1], MAC[2]]), op, (4096,), dtype) == "cpu"


def test_thresholds():
    own = DeviceThresholds(coreml_min_size=100, coreml_max_size=200, metal_min_size=10, gpu_min_memory=0)
    selector = SmartDeviceSelector(MAC, own)
    assert [chosen(selector, "relu", (size,)) for size in (9, 10, 100, 200, 201)] == [
        "cpu",
        "metal",
        "coreml",
        "coreml",
        "metal",
    ]
    assert chosen(SmartDeviceSelector(MAC, DeviceThresholds(gpu_min_memory=1)), "relu", (1000,)) == "metal"
    assert chosen(SmartDeviceSelector(MAC), "relu", (1000,)) == "cpu"
    with pytest.raises(martlet.InvalidArgumentError, match="coreml_min_size"):
        SmartDeviceSelector(MAC, DeviceThresholds(coreml_min_size=10, coreml_max_size=9))
    with pytest.raises(martlet.Error):
        SmartDeviceSelector(MAC, DeviceThresholds(metal_min_size=-1))


# Costs


def test_costs_replace_the_table():
    devices = [
        DescribedDevice("cpu", "cpu", cost=(1e-6, 1e-9)),
        DescribedDevice("metal", "metal", cost=(1e-4, 1e-10)),
    ]
    selector = SmartDeviceSelector(devices)
    assert chosen(selector, "relu", (100_000,)) == "cpu"
    assert chosen(selector, "relu", (160_000,)) == "metal"
    choice = selector.select_device(OperationProfile("relu", (10_000,)))
    assert choice.basis == "measured"
    assert choice.seconds == pytest.approx(11e-6)
    assert choice.reason == "measured: cpu 11 µs, metal 101 µs"


def test_the_device_chosen_before_stays():
    selector = SmartDeviceSelector(
        [DescribedDevice("cpu", "cpu", cost=(0.9e-6, 0)), DescribedDevice("other", "cpu", cost=(0, 1e-9))]
    )
    assert chosen(selector, "relu", (1000,)) == "cpu"
    fresh = SmartDeviceSelector(
        [DescribedDevice("cpu", "cpu", cost=(0.9e-6, 0)), DescribedDevice("other", "cpu", cost=(0, 1e-9))]
    )
    assert chosen(fresh, "relu", (800,)) == "other"
    assert chosen(fresh, "relu", (1000,)) == "other"
    assert "chosen before" in fresh.select_device(OperationProfile("relu", (1000,))).reason


def test_random_machines_keep_the_rules():
    dice = np.random.default_rng(3)
    ops = ["matmul", "relu", "add", *TYPES[4:]]
    for _ in range(300):
        devices = [
            DescribedDevice(
                f"d{index}",
                str(dice.choice(["cpu", "metal", "coreml"])),
                available=bool(dice.random() < 0.7),
                refuses=[op for op in ops if dice.random() < 0.2],
                cost=(dice.random() * 1e-3, dice.random() * 1e-8) if dice.random() < 0.5 else None,
                changes_results=bool(dice.random() < 0.1),
            )
            for index in range(dice.integers(1, 7))
        ]
        selector = SmartDeviceSelector(devices)
        for op in dice.choice(ops, 3):
            profile = OperationProfile(str(op), dice.integers(1, 300, size=2).tolist())
            able = [
                each
                for each in devices
                if each.available
                and not each.changes_results
                and not {profile.op, profile.op_type} & set(each.refuses)
                and not (profile.op_type in TYPES[4:] and each.kind == "coreml")
            ]
            chain = selector.fallback_chain(profile)
            names = [choice.device for choice in chain]
            assert set(names) <= {each.name for each in able}
            assert len(set(names)) == len(names)
            if any(each.kind == "cpu" for each in able):
                assert chain[-1].kind == "cpu"
            if able:
                assert selector.select_device(profile).device == names[0]
            else:
                with pytest.raises(martlet.UnsupportedError):
                    selector.select_device(profile)


# Pins and explanations


def test_pins():
    selector = SmartDeviceSelector(MAC)
    selector.pin("activation", "metal")
    selector.pin("relu", "coreml")
    assert chosen(selector, "relu", (8,)) == "coreml"
    assert chosen(selector, "sigmoid", (8,)) == "metal"
    selector.unpin("relu")
    assert chosen(selector, "relu", (8,)) == "metal"
    selector.unpin("activation")
    assert chosen(selector, "relu", (8,)) == "cpu"
    with pytest.raises(martlet.InvalidArgumentError):
        selector.pin("relu", "tpu")
    with pytest.raises(martlet.InvalidArgumentError):
        selector.pin("no_such_op", "cpu")


def test_declared_precision_is_taken_only_when_pinned():
    selector = SmartDeviceSelector()
    profile = OperationProfile("relu", (8,))
    found = selector.explain(profile)
    declared = next(each for each in found.devices if each.name == "cpu:declared")
    assert declared.standing == "by name"
    assert "pinned" in declared.reason
    assert "cpu:declared" not in found.chain
    selector.pin("relu", "cpu:declared")
    assert "changes results" in selector.select_device(profile).reason


def test_an_explanation_has_every_device():
    devices = [
        DescribedDevice("cpu", "cpu"),
        DescribedDevice("metal", "metal", available=False, reason="The lid is closed."),
        DescribedDevice("coreml", "coreml", refuses=["matmul"]),
    ]
    found = SmartDeviceSelector(devices).explain(OperationProfile("matmul", (512, 512)))
    assert (found.device, found.size, found.basis, found.chain) == ("cpu", "large", "prior", ["cpu"])
    assert [each.standing for each in found.devices] == ["eligible", "unavailable", "refused"]
    assert "262144 elements are large: Core ML" in found.reason
    assert "The lid is closed" in found.reason
    assert "The lid is closed" in str(found)
    assert "<table>" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["device"] == "cpu"


def test_where_nothing_runs_it_the_reasons_are_named():
    selector = SmartDeviceSelector([DescribedDevice("cpu", "cpu", refuses=["relu"])])
    assert selector.fallback_chain(OperationProfile("relu", (8,))) == []
    with pytest.raises(martlet.UnsupportedError, match="cpu: refused"):
        selector.select_device(OperationProfile("relu", (8,)))
    assert selector.explain(OperationProfile("relu", (8,))).device is None


def test_this_machine_chooses_among_what_it_has():
    selector = SmartDeviceSelector(martlet.devices())
    found = selector.explain(OperationProfile("matmul", (512, 512)))
    available = {each["name"] for each in martlet.devices() if each["available"]}
    assert set(found.chain) <= available
    if not martlet.is_metal_available() and not martlet.is_coreml_available():
        assert found.reason == "the only kind of device here"
    assert martlet.SmartDeviceSelector(["cpu:single"]).explain(OperationProfile("relu", (8,))).chain == ["cpu:single"]
    assert SmartDeviceSelector(["cpu", martlet.CoreMLDevice()]).explain(OperationProfile("relu", (8,))).device == "cpu"


def test_threads_share_a_selector():
    selector, seen, errors = SmartDeviceSelector(MAC), set(), []

    def work(number):
        try:
            for turn in range(100):
                if number == 0:
                    selector.pin("relu", "metal") if turn % 2 else selector.unpin("relu")
                seen.add(chosen(selector, "relu", (8,)))
                assert chosen(selector, "sigmoid", (8,)) == "cpu"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert seen <= {"cpu", "metal"}


@pytest.mark.parametrize(
    "devices",
    [
        ["tpu"],
        [3],
        ["cpu", "cpu"],
        [{"name": "x"}],
        [{"name": "x", "kind": "tpu"}],
        [{"name": "x", "kind": "cpu", "colour": "red"}],
        [{"name": "x", "kind": "cpu", "refuses": ["no_such_op"]}],
        [{"name": "x", "kind": "cpu", "refuses": "relu"}],
        [{"name": "x", "kind": "cpu", "cost": {"a": -1, "b": 0}}],
        [{"name": "x", "kind": "cpu", "cost": {"a": 1}}],
        [{"name": "x", "kind": "cpu", "available": 1}],
        [{"name": "x", "kind": "cpu", "cost": {"a": float("nan"), "b": 0}}],
    ],
    ids=str,
)
def test_what_is_no_device(devices):
    with pytest.raises(martlet.Error):
        SmartDeviceSelector(devices)


def test_a_selector_judges_profiles_only():
    with pytest.raises(martlet.WrongTypeError):
        SmartDeviceSelector().select_device("matmul")


def test_decision_map():
    found = SmartDeviceSelector(MAC).decision_map(sides=(8, 32, 64, 2048))
    assert found.ops == list(TYPES)
    assert [found.cells["matrix_multiplication"][side] for side in found.sides] == ["cpu", "coreml", "coreml", "metal"]
    assert [found.cells["complex_number"][side] for side in found.sides] == ["cpu", "metal", "metal", "metal"]
    assert [found.cells["convolution"][side] for side in found.sides] == ["cpu", "coreml", "coreml", "metal"]
    assert "large" in found.reasons["activation"][64]
    html = found._repr_html_()
    assert html.count("coreml") == sum(list(line.values()).count("coreml") for line in found.cells.values())
    assert str(found).splitlines()[0].split("  ")[-1].strip() == "2048 × 2048"
    assert json.loads(json.dumps(found.to_dict()))["kinds"] == {"cpu": "cpu", "metal": "metal", "coreml": "coreml"}


# Calibration


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory):
    """One quick calibration for all tests: its folder, and what it answered."""
    folder = tmp_path_factory.mktemp("calibrated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MARTLET_CACHE", str(folder))
        calls = []
        # Tests must not depend on how busy the machine is; the Swift tests show what busy machines get.
        found = martlet.calibrate(True, lambda *call: calls.append(call), tolerance=math.inf)
    return folder, found, calls


def test_calibration_measures_and_keeps(calibrated):
    folder, found, calls = calibrated
    assert Path(found.path).parent == folder
    assert json.loads(Path(found.path).read_text())["machine"]["processors"] == martlet.info()["processors"]
    assert found.is_kept
    assert time.time() - 3600 < found.measured_at <= time.time()
    assert {"cpu", "cpu:single", "cpu:portable"} <= set(found.costs)
    assert "cpu:declared" not in found.costs
    for kind in ("matrix_multiplication", "activation", "convolution", "element_wise", "statistical_distribution"):
        cost = found.costs["cpu"][kind]
        assert cost["a"] >= 0
        assert cost["b"] >= 0
        assert cost["a"] + cost["b"] > 0
    assert 0 < found.dispatch["cpu"] < 1
    assert calls[0][0] == 0
    assert calls[-1][0] == calls[-1][1]
    assert [call[0] for call in calls] == sorted(call[0] for call in calls)


def test_the_selector_goes_by_what_was_measured(calibrated, monkeypatch):
    folder, found, _ = calibrated
    monkeypatch.setenv("MARTLET_CACHE", str(folder))
    selector = SmartDeviceSelector()
    profile = OperationProfile("matmul", (256, 256))
    choice = selector.select_device(profile)
    copied = 3 * 256 * 256 * 4  # bytes of both operands and the product, where memory is not the host's
    expected = {
        name: costs["matrix_multiplication"]["a"]
        + costs["matrix_multiplication"]["b"] * profile.work
        + (0 if name.startswith("cpu") else found.copies.get(name, 0) * copied)
        for name, costs in found.costs.items()
    }
    assert choice.basis == "measured"
    assert choice.device == min(expected, key=expected.get)
    assert choice.seconds == pytest.approx(expected[choice.device])
    assert choice.reason.startswith("measured: cpu ")
    explanation = selector.explain(profile)
    assert explanation.measurements["used"] is True
    assert explanation.measurements["measured_at"] == found.measured_at
    day = time.strftime("%Y-%m-%d", time.localtime(found.measured_at))
    assert f"measured on {day}" in str(explanation)
    assert day in str(found)
    # Described devices know nothing of this machine, whatever their names.
    described = SmartDeviceSelector([DescribedDevice("cpu", "cpu")])
    assert described.select_device(profile).basis == "prior"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"machine": {}}', b"[" * 100_000])
def test_a_broken_file_is_ignored_and_says_why(calibrated, own_folder, content):
    own_folder.mkdir()
    (own_folder / Path(calibrated[1].path).name).write_bytes(content)
    found = SmartDeviceSelector().explain(OperationProfile("relu", (64,)))
    assert found.basis == "prior"
    assert "ignored" in found.measurements["reason"]


def test_a_file_of_another_version_is_ignored(calibrated, own_folder):
    kept = Path(calibrated[1].path)
    own_folder.mkdir()
    (own_folder / kept.name).write_text(kept.read_text().replace(martlet.__version__, "0.0.0"))
    found = SmartDeviceSelector().explain(OperationProfile("relu", (64,)))
    assert found.basis == "prior"
    assert "another" in found.measurements["reason"]


def test_an_interrupt_ends_the_calibration(own_folder):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        martlet.calibrate(quick=True, progress=interrupt)
    assert not own_folder.exists()


@pytest.mark.parametrize("tolerance", ["much", -0.1, math.nan])
def test_impossible_tolerances(tolerance):
    with pytest.raises((martlet.WrongTypeError, martlet.InvalidArgumentError), match="tolerance"):
        martlet.calibrate(True, tolerance=tolerance)


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(martlet.InvalidArgumentError, match="file"):
        martlet.calibrate(quick=True, tolerance=math.inf)


AT_ONCE = """
import json
import martlet
x = martlet.ones((8, 8))
model = "program(1.3) { func main<ios18>(tensor<fp32, [8]> x) { y = relu(x = x); } -> (y); }"
def reasons():
    with martlet.profile() as p:
        x.relu()
    plan = martlet.parse(model).plan()
    assert plan.device == martlet.parse(model).device
    return [p.runs[0].reason, plan.reason]
before = reasons()
martlet.calibrate(quick=True, tolerance=float("inf"))
print(json.dumps([before, reasons()]))
"""


def test_a_calibration_holds_at_once_for_eager_calls_and_models(own_folder):
    # In a process of its own, since it changes where all later calls run.
    finished = subprocess.run([sys.executable, "-c", AT_ONCE], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    before, after = json.loads(finished.stdout.splitlines()[-1])  # a compiler may have spoken before
    assert all(reason == "the only kind of device here" or reason.startswith("prior: ") for reason in before)
    assert all(reason.startswith("measured: ") for reason in after)


# One thread

ALONE = """
import os, sys
import numpy as np
import martlet
text = '''program(1.3) { func main<ios18>(tensor<fp32, [512, 512]> x) {
    tensor<fp32, [512, 512]> y = matmul(x = x, y = x)[name = string("y")]; } -> (y); }'''
x = np.ones((512, 512), np.float32)
martlet.set_num_threads(4)
single = martlet.parse(text, device="cpu:single")
tasks = lambda: len(os.listdir("/proc/self/task"))
before = tasks()
assert (single.predict({"x": x})["y"] == 512).all()
alone = tasks()
assert (martlet.parse(text, device="cpu").predict({"x": x})["y"] == 512).all()
assert (single.predict({"x": x})["y"] == 512).all()
print(before, alone, tasks())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads in /proc")
def test_cpu_single_takes_one_thread_whatever_the_number():
    finished = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    before, alone, shared = map(int, finished.stdout.split())
    assert alone == before
    assert shared > alone


# The command


def run(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_select_command():
    result = run("select", "matmul", "512x512", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["profile"]["shape"] == [512, 512]
    assert found["device"] in found["chain"]
    assert found["size"] == "large"
    words = run("select", "relu", "8,8", "float16").stdout
    for word in ("relu", "fp16", "cpu:declared", "calibrate"):
        assert word in words


@pytest.mark.parametrize("arguments", [("no_such_op", "8"), ("relu", "8y8"), ("relu", "8", "floaty")], ids=str)
def test_select_command_refuses(arguments):
    result = run("select", *arguments)
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 1


def test_calibrate_command(own_folder):
    result = run("calibrate", "--quick", "--tolerance", "inf", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert Path(found["path"]).parent == own_folder
    assert found["objection"] is None
    result = run("calibrate", "--quick", "--tolerance", "inf")
    assert result.exit_code == 0, result.output
    for word in ("cpu:single", "matrix_multiplication", "kept in"):
        assert word in result.stdout


def test_a_busy_machine_keeps_nothing(own_folder, monkeypatch):
    # No two rounds agree within 0 %: every machine is too busy for that.
    result = run("calibrate", "--quick", "--tolerance", "0", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["path"] is None
    assert found["objection"].startswith("the machine is too busy")
    assert not own_folder.exists()
    monkeypatch.setattr(martlet, "calibrate", lambda *_: Calibration(**found))
    result = run("calibrate", "--quick")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "not kept: the machine is too busy" in result.stderr
    assert SmartDeviceSelector().explain(OperationProfile("relu", (8,))).basis == "prior"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_costs_in_dictionaries_are_finite(number):
    with pytest.raises(martlet.InvalidArgumentError, match="not finite"):
        martlet.SmartDeviceSelector([{"name": "x", "kind": "cpu", "cost": {"a": number, "b": 0}}])
