"""Devices: what the system reports about them, and the cache that keeps this for a while."""

import os
import sys
import threading

import numpy as np
import pytest

import martlet
from martlet.device import CoreMLDevice, DeviceCache

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="what Linux tells")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def listed(name):
    return next(each for each in martlet.devices() if each["name"] == name)


def test_every_device_says_what_it_is():
    found = {each["name"]: each for each in martlet.devices()}
    kinds = {name: each["kind"] for name, each in found.items()}
    assert kinds["cpu"] == kinds["cpu:single"] == kinds["cpu:declared"] == kinds["cpu:portable"] == "cpu"
    assert (kinds["metal"], kinds["coreml"], kinds["coreml:ane"]) == ("metal", "coreml", "coreml")
    for each in found.values():
        assert each["available"] == (each["reason"] is None)


@on_linux
def test_memory_and_processors_are_the_systems():
    cpu = listed("cpu")
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < cpu["memory_limit"] <= physical
    assert cpu["compute_units"] == len(os.sched_getaffinity(0))
    assert listed("cpu:single")["compute_units"] == 1


@on_linux
def test_without_core_ml_everything_says_so():
    assert martlet.is_coreml_available() is False
    assert martlet.is_metal_available() is False
    device = martlet.CoreMLDevice(device_id=0)
    assert device.device_id() == 0
    assert device.is_available() is False
    assert "Apple" in device.reason()
    assert device.memory_limit() == 0
    assert device.compute_units_limit() == 0
    assert "not available" in repr(device)
    found = martlet.get_coreml_device_info()
    assert (found["available"], found["memory_limit"], found["compute_units"]) == (False, 0, 0)
    assert "Apple" in found["reason"]
    assert {each["name"] for each in found["devices"]} == {"coreml", "coreml:cpu", "coreml:gpu", "coreml:ane"}


@pytest.mark.parametrize("wrong", [1, -1, 2**70])
def test_a_machine_has_one_core_ml(wrong):
    with pytest.raises(martlet.OutOfRangeError, match="device 0"):
        CoreMLDevice(wrong)


@pytest.mark.parametrize("wrong", ["0", 0.0, None])
def test_a_device_id_is_an_integer(wrong):
    with pytest.raises(martlet.WrongTypeError):
        CoreMLDevice(wrong)


def test_the_cache_of_compiled_models_is_what_lies_on_disk(own_folder):
    device = CoreMLDevice()
    assert device.model_cache_size() == 0
    assert device.cleanup_cache() == 0
    keeper = martlet.CoreMLBackend(devices=[{"name": "keeper", "kind": "coreml", "keeps": True}])
    for size in (1, 2):
        keeper.run("relu", x=np.ones((size, 64), np.float32))
    (own_folder / "measurements-0.json").write_text("{}")
    assert device.model_cache_size() == 2 * len("keeper\n")
    assert device.cleanup_cache() == 2 * len("keeper\n")
    assert device.model_cache_size() == 0
    assert (own_folder / "measurements-0.json").exists()


def test_the_cache_folder_follows_the_environment(own_folder, monkeypatch):
    assert martlet.info()["cache"] == str(own_folder)
    monkeypatch.delenv("MARTLET_CACHE")
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if sys.platform == "darwin":
        assert martlet.info()["cache"] == "/somewhere/Library/Caches/martlet"
        return
    assert martlet.info()["cache"] == "/somewhere/.cache/martlet"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert martlet.info()["cache"] == "/caches/martlet"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert martlet.info()["cache"] == "/somewhere/.cache/martlet"


def test_device_cache():
    cache = DeviceCache.global_()
    assert cache is DeviceCache.global_()
    cache.warmup()
    stats = cache.get_stats()
    names = {each["name"]: each["available"] for each in martlet.devices()}
    assert stats.total_entries == stats.valid_entries == len(names)
    assert stats.available_devices == sum(names.values())
    assert 0 <= stats.cache_hit_rate <= 1
    for name, available in names.items():
        assert cache.is_device_available(name) is available
        status = cache.cached_status(name)
        assert (status.available, bool(status)) == (available, available)
        assert (status.reason is None) == available
    assert cache.get_stats().cache_hit_rate > stats.cache_hit_rate or stats.cache_hit_rate == 1
    assert cache.cleanup_expired() == 0
    assert cache.update("cpu").available
    assert cache.get_cached_status("cpu").available
    assert cache.update_cache("metal").available == names["metal"]
    assert "entries" in repr(cache)


@pytest.mark.parametrize("ask", ["is_device_available", "cached_status", "update"])
def test_a_name_that_is_no_device(ask):
    with pytest.raises(martlet.InvalidArgumentError, match="'cpu'"):
        getattr(DeviceCache.global_(), ask)("tpu")
    with pytest.raises(martlet.WrongTypeError):
        getattr(DeviceCache.global_(), ask)(3)


def test_threads_share_the_cache():
    cache, wrong = DeviceCache.global_(), []

    def work():
        for turn in range(300):
            if turn % 50 == 0:
                cache.warmup()
            if not cache.is_device_available("cpu"):
                wrong.append(turn)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
