"""The Python lines of RusTorch's Core ML guide, with martlet in place of rustorch, run as written and are true.

What its native lines do is here in Python, too.
"""

from __future__ import annotations

import re

import numpy as np
import pytest

import martlet

HERE = next(each for each in martlet.devices() if each["name"] == "coreml")["available"]

# As the guide has them, but for the name.
GUIDE = """
import martlet
available = martlet.is_coreml_available()
device = martlet.CoreMLDevice(device_id=0)
config = martlet.CoreMLBackendConfig(enable_caching=True, max_cache_size=200, enable_profiling=True)
backend = martlet.CoreMLBackend(config)
"""


@pytest.fixture
def names():
    """What the guide's lines leave behind."""
    found = {}
    exec(GUIDE, found)
    return found


def test_the_lines_run(names):
    assert names["available"] is HERE
    assert names["device"].device_id() == 0
    config = names["config"]
    assert (config.enable_caching, config.max_cache_size, config.enable_profiling) == (True, 200, True)
    assert names["backend"].config is config


def test_the_package_says_what_it_is():
    assert re.fullmatch(r"\d+\.\d+\.\d+", martlet.__version__)
    assert "Core ML" in martlet.__description__
    assert martlet.__author__


def test_device_info():
    info = martlet.get_coreml_device_info()
    assert info["available"] is HERE
    assert (info["reason"] is None) is HERE
    assert {each["kind"] for each in info["devices"]} == {"coreml"}


def test_device(names, tmp_path, monkeypatch):
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path))
    device = names["device"]
    assert device.is_available() is HERE
    assert (device.memory_limit() > 0) is HERE
    assert (device.compute_units_limit() > 0) is HERE
    assert device.model_cache_size() >= 0
    assert device.cleanup_cache() >= 0
    assert device.model_cache_size() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [("enable_caching", False), ("max_cache_size", 7), ("enable_profiling", False), ("auto_fallback", False)],
)
def test_fields_are_read_and_changed(names, field, value):
    config = names["config"]
    assert getattr(config, field) != value
    setattr(config, field, value)
    assert getattr(config, field) == value


def test_backend_and_its_statistics(names):
    backend = names["backend"]
    assert backend.is_available() is HERE
    stats = backend.get_stats()
    assert (stats.total_operations, stats.cache_hits, stats.cache_misses, stats.fallback_operations) == (0, 0, 0, 0)
    assert (stats.cache_hit_rate(), stats.fallback_rate(), stats.average_execution_time_ms) == (0, 0, 0)
    a = np.arange(64 * 64, dtype=np.float32).reshape(64, 64) % 7
    for _ in range(4):
        np.testing.assert_array_equal(backend.run("matmul", x=a, y=a), a @ a)
    stats = backend.get_stats()
    assert (stats.total_operations, stats.cache_hits, stats.cache_misses) == (4, 3, 1)
    assert stats.cache_hit_rate() == 0.75
    assert stats.average_execution_time_ms > 0
    assert len(backend.profile().runs) == 4
    if not HERE:
        # The guide's machines have Core ML; here each call that would have gone there is counted as a fallback.
        assert (stats.fallback_operations, stats.fallback_rate()) == (4, 1.0)
    backend.cleanup_cache()
    assert backend.get_stats().cache_entries == 0


def test_the_table_of_the_choice():
    """Small, medium and large, on a machine as the guide has it, described."""
    described = [martlet.DescribedDevice(name, name) for name in ("cpu", "metal", "coreml")]
    selector = martlet.SmartDeviceSelector(described, martlet.DeviceThresholds(1024, 1_048_576, 256, 1024))
    found = {
        op: [selector.select_device(martlet.OperationProfile(op, (side, side))).device for side in (8, 20, 512)]
        for op in ("matrix_multiplication", "activation", "element_wise")
    }
    assert set(map(tuple, found.values())) == {("cpu", "metal", "coreml")}
    complex_number = [
        selector.select_device(martlet.OperationProfile("complex_number", (side, side), "complex64")).device
        for side in (8, 20, 512)
    ]
    assert complex_number == ["cpu", "metal", "metal"]
    convolution = martlet.OperationProfile("convolution", (1, 16, 64, 64))
    assert selector.select_device(convolution).device == "coreml"
    assert [each.device for each in selector.get_fallback_chain(convolution)] == ["coreml", "metal", "cpu"]


def test_thresholds_are_the_guides():
    limits = martlet.DeviceThresholds()
    assert (limits.coreml_min_size, limits.coreml_max_size) == (1024, 1_048_576)
    assert (limits.metal_min_size, limits.gpu_min_memory) == (256, 4096)


def test_profile_of_an_operation():
    profile = martlet.OperationProfile("matmul", (512, 512), "float32")
    assert profile.op_type == "matrix_multiplication"
    assert profile.memory_footprint() == 512 * 512 * 4


def test_device_cache():
    cache = martlet.DeviceCache.global_()
    cache.warmup()
    assert cache.is_device_available("cpu")
    assert cache.is_device_available("coreml") is HERE
    assert cache.get_cached_status("cpu").available
    assert cache.update_cache("cpu").available
    assert cache.cleanup_expired() == 0
    stats = cache.get_stats()
    assert stats.total_entries >= stats.valid_entries >= stats.available_devices >= 1
    assert 0 < stats.cache_hit_rate <= 1


def test_tensors_choose_by_themselves():
    a, b = martlet.randn(256, 256), martlet.randn(256, 256)
    expected = a.numpy().astype(np.float64) @ b.numpy()
    np.testing.assert_allclose(a.matmul(b).numpy(), expected, atol=1e-3)


def test_the_small_network():
    x = martlet.randn(32, 784)
    first, second = martlet.nn.Linear(784, 256), martlet.nn.Linear(256, 10)
    weights = [each.numpy().astype(np.float64) for layer in (first, second) for each in layer.parameters()]
    found = second(first(x).relu()).numpy()
    hidden = np.maximum(x.numpy() @ weights[0].T + weights[1], 0)
    np.testing.assert_allclose(found, hidden @ weights[2].T + weights[3], atol=1e-4)
