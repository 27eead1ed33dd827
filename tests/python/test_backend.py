"""CoreMLBackend: what it runs, keeps, counts, and how it falls back; the CPU plays devices this machine lacks."""

import gc
import pickle
import threading

import numpy as np
import pytest
from conftest import OPEN, SUM

import martlet
from martlet import CoreMLBackend, CoreMLBackendConfig
from martlet._call import OPS

A = np.arange(4096, dtype=np.float32).reshape(64, 64) % 13 - 6
B = A.T + 1
SMALL = np.ones((2, 2), np.float32)


def device(name, kind, **facts):
    return {"name": name, "kind": kind} | facts


def played(*devices, **config):
    """A backend over devices that the CPU plays."""
    return CoreMLBackend(CoreMLBackendConfig(**config), devices=devices)


HOST = device("host", "cpu")


# The configuration


def test_config_defaults_and_fields():
    config = CoreMLBackendConfig()
    assert config.to_dict() == {
        "enable_caching": True,
        "max_cache_size": 1000,
        "max_cache_bytes": 100 * 2**20,
        "auto_fallback": True,
        "enable_profiling": False,
        "fallback": "allow",
    }
    config.max_cache_size = 7
    assert config.max_cache_size == 7
    assert CoreMLBackendConfig(max_cache_size=7) == config != CoreMLBackendConfig()
    assert repr(config).startswith("CoreMLBackendConfig(enable_caching=True, max_cache_size=7")
    assert pickle.loads(pickle.dumps(config)) == config
    assert "max_cache_size" in config._repr_html_()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_cache_size", -1, martlet.InvalidArgumentError),
        ("max_cache_size", 1.5, martlet.WrongTypeError),
        ("max_cache_size", True, martlet.WrongTypeError),
        ("max_cache_bytes", 2**63, martlet.InvalidArgumentError),
        ("enable_caching", 1, martlet.WrongTypeError),
        ("auto_fallback", None, martlet.WrongTypeError),
        ("fallback", "maybe", martlet.InvalidArgumentError),
        ("cache_size", 3, AttributeError),
    ],
)
def test_config_refuses(name, value, error):
    config = CoreMLBackendConfig()
    with pytest.raises(error, match=name):
        setattr(config, name, value)
    assert config == CoreMLBackendConfig()


def test_config_must_be_a_config():
    with pytest.raises(martlet.WrongTypeError):
        CoreMLBackend({"enable_caching": True})


# What runs


def test_runs_an_op():
    backend = CoreMLBackend()
    found = backend.run("matmul", x=A, y=B)
    np.testing.assert_array_equal(found, A @ B)
    np.testing.assert_array_equal(backend.run("matmul", x=A, y=B, transpose_y=True), A @ B.T)
    np.testing.assert_array_equal(backend.run("concat", values=[A, B], axis=0), np.concatenate([A, B]))
    np.testing.assert_array_equal(backend.run("reduce_max", x=A, axes=[0], keep_dims=False), A.max(0))
    first, second = backend.run("split", x=A, num_splits=2, axis=1)
    np.testing.assert_array_equal(np.concatenate([first, second], 1), A)
    whole = backend.run("add", x=np.array([1, 2], np.int32), y=3)
    np.testing.assert_array_equal(whole, np.array([4, 5], np.int32))
    assert whole.dtype == np.int32
    assert backend.run("mul", x=[1.0, 2.0], y=3).dtype == np.float32


def test_runs_constants_of_arrays():
    weights = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    found = CoreMLBackend().run("linear", x=SMALL, weight=weights, bias=np.array([1, 0, -1], np.float32))
    np.testing.assert_array_equal(found, SMALL @ weights.T + [1, 0, -1])


def test_runs_programs_models_and_paths(package):
    backend = CoreMLBackend()
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = {"sum": a + a, "product": a * (a + a)}
    path = package(SUM)
    for what in (SUM, martlet.parse(SUM), path, str(path)):
        found = backend.run(what, a=a, b=a)
        assert set(found) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    stats = backend.get_stats()
    # The same content, wherever it came from.
    assert (stats.total_operations, stats.cache_misses, stats.cache_hits) == (4, 1, 3)


def test_load_counts_predictions(package):
    backend = CoreMLBackend()
    model = backend.load(package(OPEN))
    for size in (3, 4, 3):
        x = np.linspace(-1, 1, size, dtype=np.float32)[None]
        np.testing.assert_array_equal(model.predict({"x": x})["y"], np.maximum(x, 0))
    stats = backend.get_stats()
    assert (stats.total_operations, stats.cache_misses, stats.cache_hits) == (3, 2, 1)


def test_a_model_of_a_backend_names_its_device(package):
    assert played(HOST).load(package(SUM)).device == "host"


def test_runs_functions_and_answers_as_they_do():
    backend = CoreMLBackend()
    np.testing.assert_array_equal(backend.run(lambda x, y: (x @ y).relu(), x=A, y=B), np.maximum(A @ B, 0))
    first, second = backend.run(lambda x: (x + 1, -x), x=A)
    np.testing.assert_array_equal(np.stack([first, second]), [A + 1, -A])
    assert list(backend.run(lambda x: {"output": x * 2}, x=A)) == ["output"]
    assert isinstance(backend.run(lambda x: x * 2, x=martlet.Tensor(A)), martlet.Tensor)
    assert backend.get_stats().total_operations == 4


def test_tensors_give_tensors_and_arrays_give_arrays():
    backend = CoreMLBackend()
    found = backend.run("matmul", x=martlet.Tensor(A), y=B)
    assert isinstance(found, martlet.Tensor)
    np.testing.assert_array_equal(found.numpy(), A @ B)
    assert isinstance(backend.run("concat", values=[A, martlet.Tensor(A)], axis=0), martlet.Tensor)
    array = backend.run("relu", x=A)
    assert isinstance(array, np.ndarray)
    array += 1  # it is the caller's own
    first, second = backend.run("split", x=martlet.Tensor(A), num_splits=2, axis=0)
    assert first.shape == second.shape == (32, 64)
    half = backend.run("add", x=SMALL.astype(np.float16), y=2.5)
    assert half.dtype == np.float16


@pytest.mark.parametrize(
    ("what", "inputs", "error"),
    [
        ("matmull", {"x": A}, martlet.InvalidArgumentError),
        ("relu", {"z": A}, martlet.InvalidArgumentError),
        ("matmul", {"x": A}, martlet.InvalidArgumentError),
        ("matmul", {"x": A, "y": A[:3]}, martlet.InvalidArgumentError),
        ("absent.mlpackage", {}, martlet.NotFoundError),
        ("program(1.3) { nonsense }", {}, martlet.MalformedError),
        (3, {}, martlet.WrongTypeError),
    ],
    ids=str,
)
def test_refusals(what, inputs, error):
    backend = CoreMLBackend()
    with pytest.raises(error):
        backend.run(what, **inputs)
    assert backend.get_stats().total_operations == 0


# Statistics and the cache


def test_stats():
    backend = CoreMLBackend()
    empty = backend.get_stats()
    assert (empty.total_operations, empty.cache_hit_rate(), empty.fallback_rate()) == (0, 0.0, 0.0)
    assert empty.average_execution_time_ms == 0
    for _ in range(3):
        backend.run("relu", x=A)
    backend.run("relu", x=A[:3])
    stats = backend.get_stats()
    assert (stats.total_operations, stats.cache_hits, stats.cache_misses) == (4, 2, 2)
    assert stats.cache_hit_rate() == 0.5
    assert stats.average_execution_time_ms > 0
    assert stats.cache_entries == 2
    assert "cache_hit_rate" in stats._repr_html_()
    assert "4 operations" in repr(backend)


def test_average_is_measured():
    backend = played(HOST | {"latency_ms": 20})
    for _ in range(3):
        backend.run("relu", x=A)
    assert 20 <= backend.get_stats().average_execution_time_ms < 2000


def test_limits_hold_at_once():
    config = CoreMLBackendConfig(max_cache_size=3)
    backend = CoreMLBackend(config)
    for size in range(1, 6):
        backend.run("relu", x=A[:size])
        assert backend.get_stats().cache_entries <= 3
    config.max_cache_size = 1
    assert backend.get_stats().cache_entries == 1
    backend.run("relu", x=A[:1])
    assert backend.get_stats().cache_misses == 6
    config.max_cache_bytes = 0
    assert (backend.get_stats().cache_entries, backend.get_stats().cache_bytes) == (0, 0)


def test_caching_can_be_switched():
    config = CoreMLBackendConfig()
    backend = CoreMLBackend(config)
    backend.run("relu", x=A)
    config.enable_caching = False
    assert backend.get_stats().cache_entries == 0
    for _ in range(3):
        backend.run("relu", x=A)
    stats = backend.get_stats()
    assert (stats.total_operations, stats.cache_hits, stats.cache_misses) == (4, 0, 1)


def test_cleanup_and_context_manager():
    with CoreMLBackend() as backend:
        backend.run("relu", x=A)
        backend.cleanup_cache()
        assert backend.get_stats().cache_entries == 0
        backend.run("relu", x=A)
        assert backend.get_stats().cache_misses == 2
    assert backend.get_stats().cache_entries == 0


def test_threads_share_a_backend():
    backend = CoreMLBackend()
    wrong = []

    def work(number):
        x = A + number
        wrong.extend(1 for _ in range(50) if not np.array_equal(backend.run("add", x=x, y=A), x + A))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    stats = backend.get_stats()
    assert not wrong
    assert (stats.total_operations, stats.cache_misses, stats.cache_hits) == (400, 1, 399)


# Fallback


def test_availability_is_the_truth():
    backend = CoreMLBackend()
    core_ml = next(each for each in martlet.devices() if each["name"] == "coreml")
    assert backend.is_available() is core_ml["available"]
    assert backend.reason() == core_ml["reason"]
    assert "Core ML" in backend._repr_html_()


@pytest.mark.skipif(CoreMLBackend().is_available(), reason="Core ML is here")
def test_missing_core_ml_is_counted_and_named():
    backend = CoreMLBackend()
    backend.run("matmul", x=A, y=B)
    stats = backend.get_stats()
    assert (stats.fallback_operations, stats.fallback_rate()) == (1, 1.0)
    assert stats.fallbacks["coreml"] == {backend.reason(): 1}
    with pytest.raises(martlet.UnsupportedError, match="coreml"):
        CoreMLBackend(CoreMLBackendConfig(auto_fallback=False)).run("matmul", x=A, y=B)


NPU, GPU = device("npu", "coreml", refuses=["matmul"]), device("gpu", "metal")


def test_what_core_ml_refuses_goes_to_metal():
    backend = played(NPU, GPU, HOST)
    for _ in range(2):
        np.testing.assert_array_equal(backend.run("matmul", x=A, y=B), A @ B)
    backend.run("relu", x=A)
    stats = backend.get_stats()
    assert (stats.total_operations, stats.fallback_operations) == (3, 2)
    (reason,) = stats.fallbacks["npu"]
    assert "matmul" in reason
    assert stats.fallbacks == {"npu": {reason: 2}}


@pytest.mark.parametrize("fails", ["compile", "run"])
def test_devices_that_fail(fails):
    backend = played(device("npu", "coreml", fails=fails), device("gpu", "metal", fails=fails), HOST)
    for _ in range(3):
        np.testing.assert_array_equal(backend.run("matmul", x=A, y=B), A @ B)
    stats = backend.get_stats()
    assert (stats.total_operations, stats.fallback_operations) == (3, 3)
    assert {name: sum(reasons.values()) for name, reasons in stats.fallbacks.items()} == {"gpu": 3, "npu": 3}


def test_complex_goes_from_metal_to_the_cpu():
    z = (A + 1j * B).astype(np.complex64)
    backend = played(device("npu", "coreml"), device("gpu", "metal", fails="compile"), HOST)
    np.testing.assert_array_equal(backend.run("add", x=z, y=z), z + z)
    assert list(backend.get_stats().fallbacks) == ["gpu"]


def test_distributions_go_from_metal_to_the_cpu():
    backend = played(device("npu", "coreml"), device("gpu", "metal", refuses=["random_normal"]), HOST)
    found = backend.run("random_normal", shape=[64, 64], mean=0.0, stddev=1.0, seed=1)
    assert found.shape == (64, 64)
    assert list(backend.get_stats().fallbacks) == ["gpu"]


@pytest.mark.parametrize("off", [{"auto_fallback": False}, {"fallback": "error"}], ids=str)
def test_fallback_can_be_off(off):
    backend = played(NPU, GPU, HOST, **off)
    with pytest.raises(martlet.UnsupportedError) as raised:
        backend.run("matmul", x=A, y=B)
    for word in ("npu", "matmul", "refuse"):
        assert word in str(raised.value)
    np.testing.assert_array_equal(backend.run("relu", x=A), np.maximum(A, 0))
    backend.config.auto_fallback, backend.config.fallback = True, "allow"
    np.testing.assert_array_equal(backend.run("matmul", x=A, y=B), A @ B)


def test_switching_fallback_off_holds_for_loaded_models():
    text = "program(1.3) { func main<ios18>(tensor<fp32, [64, 64]> x) { y = matmul(x = x, y = x); } -> (y); }"
    backend = played(NPU, GPU, HOST)
    backend.run(text, x=A)
    backend.config.fallback = "error"
    with pytest.raises(martlet.UnsupportedError):
        backend.run(text, x=A)


def test_devices_may_be_described_as_for_the_selector():
    devices = [martlet.DescribedDevice("npu", "coreml", refuses=["matmul"]), martlet.DescribedDevice("host", "cpu")]
    backend = CoreMLBackend(devices=devices)
    np.testing.assert_array_equal(backend.run("matmul", x=A, y=B), A @ B)
    assert list(backend.get_stats().fallbacks) == ["npu"]


def test_wrong_shapes_do_not_fall_back():
    backend = played(device("npu", "coreml"), HOST)
    with pytest.raises(martlet.InvalidArgumentError):
        backend.run(SUM, a=A, b=A)
    assert backend.get_stats().fallbacks == {}


@pytest.mark.parametrize(
    "described",
    [{"kind": "cpu"}, device("a", "tpu"), device("a", "cpu", fails="sometimes"), device("a", "cpu", latency_ms=-1)],
    ids=str,
)
def test_descriptions_are_checked(described):
    with pytest.raises(martlet.Error):
        CoreMLBackend(devices=[described])


def test_backends_go_away():
    before = CoreMLBackendConfig()
    for _ in range(100):
        CoreMLBackend(before).run("relu", x=SMALL)
    assert len(before._backends) <= 1
    gc.collect()
    kept = {key[3] for key in OPS.entries}
    assert len(kept) < 10
