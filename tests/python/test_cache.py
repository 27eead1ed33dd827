"""What devices keep on disk: atomic across processes, bounded, visible, and never in the way."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import martlet
from martlet.cli import main
from tests.disks import fill, small_disk

# A device that keeps a note of what it compiles, asked for one function and as many more as are told.
PROGRAM = """
import sys
import numpy as np, martlet
devices = [{"name": "keeper", "kind": "coreml", "keeps": True}]
backend = martlet.CoreMLBackend(devices=devices)
for size in map(int, sys.argv[1:]):
    backend.run("relu", x=np.ones((size, 64), np.float32))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


def start(*sizes):
    environment = {**os.environ, "MARTLET_LOG": "debug"}
    command = [sys.executable, "-c", PROGRAM, *map(str, sizes)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


def finish(process):
    _, lines = process.communicate(timeout=120)
    assert process.returncode == 0, lines
    return lines


def cache(action, *options):
    result = CliRunner().invoke(main, ["cache", action, *options, "--json"], env=dict(os.environ))
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def entries(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def test_processes_make_an_entry_once(folder):
    found = [finish(each) for each in [start(32) for _ in range(4)]]
    assert sum("was made" in lines for lines in found) == 1
    (entry,) = entries(folder)
    assert (entry / "content" / "note").read_text() == "keeper\n"
    assert not list(folder.glob(".part-*"))


def test_ls_size_clear(folder):
    assert cache("size")["entries"] == 0
    finish(start(16, 17, 18))
    found = cache("ls")
    assert found["folder"] == str(folder.parent)
    assert {each["name"] for each in found["entries"]} == {path.name for path in entries(folder)}
    assert {Path(each["path"]) for each in found["entries"]} == set(entries(folder))
    assert all((each["kind"], each["bytes"]) == ("model", len("keeper\n")) for each in found["entries"])
    size = cache("size")
    assert (size["entries"], size["bytes"]) == (3, 3 * len("keeper\n"))
    assert size["kinds"]["model"] == {"entries": 3, "bytes": 3 * len("keeper\n")}
    assert size["entries"] <= size["max_compiled_entries"]
    shown = CliRunner().invoke(main, ["cache", "ls"])
    assert "3 entries" in shown.stdout
    assert "3 entries" in CliRunner().invoke(main, ["cache", "size"]).stdout
    cleared = CliRunner().invoke(main, ["cache", "clear"])
    assert cleared.stdout.startswith("removed 3 entries")
    assert entries(folder) == []
    assert cache("clear")["entries"] == 0


def measured(folder, **changes):
    """A file of measurements as another version left it."""
    machine = {"processor": "Abacus 9", "processors": 2, "isa": "beads", "system": "wood", "version": "0.0.1"}
    found = {"machine": machine, "measured_at": 1_700_000_000, "dispatch": {}, "copies": {}, "gaps": {}, "costs": {}}
    folder.mkdir(exist_ok=True)
    path = folder / "measurements-1234.json"
    path.write_text(json.dumps(found | changes))
    return path


def test_measurements_are_listed_and_cleared(folder):
    path = measured(folder.parent)
    finish(start(16))
    model, kept = cache("ls")["entries"]
    assert (model["kind"], kept["kind"]) == ("model", "measurements")
    assert (kept["path"], kept["bytes"], kept["time"]) == (str(path), path.stat().st_size, 1_700_000_000)
    assert kept["name"] == "Abacus 9, 2 processors, beads, wood, Martlet 0.0.1"
    assert cache("ls", "--kind", "measurements")["entries"] == [kept]
    words = CliRunner().invoke(main, ["cache", "ls"]).stdout
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1_700_000_000)) in words
    assert cache("clear", "--kind", "measurements")["entries"] == 1
    assert not path.exists()
    assert len(entries(folder)) == 1
    measured(folder.parent)
    assert cache("clear")["entries"] == 2
    assert not path.exists()
    assert entries(folder) == []


def test_unreadable_measurements_are_listed_and_cleared(folder):
    path = measured(folder.parent, machine=7)
    (kept,) = cache("ls")["entries"]
    assert kept["name"] == f"{path.name}, not readable"
    assert cache("clear")["entries"] == 1
    assert not path.exists()


def test_clearing_models_leaves_measurements(folder):
    path = measured(folder.parent)
    finish(start(16))
    assert martlet.CoreMLDevice().model_cache_size() == len("keeper\n")
    assert martlet.CoreMLDevice().cleanup_cache() == len("keeper\n")
    assert entries(folder) == []
    assert path.exists()


def test_kernels_are_a_kind_of_their_own(folder):
    entry = folder / "msl-0123"
    (entry / "content").mkdir(parents=True)
    (entry / "content" / "image").write_text("abc")
    (entry / "manifest").write_text("martlet 1\nfiles 1\nbytes 3\n")
    assert [each["kind"] for each in cache("ls")["entries"]] == ["kernel"]
    assert cache("clear", "--kind", "model")["entries"] == 0
    assert cache("clear", "--kind", "kernel")["bytes"] == 3
    assert entries(folder) == []


@pytest.mark.parametrize("damage", ["cut", "gone", "manifest"])
def test_broken_entries_are_made_again(folder, damage):
    finish(start(16))
    (entry,) = entries(folder)
    note = entry / "content" / "note"
    if damage == "cut":
        note.write_text("")
    elif damage == "gone":
        note.unlink()
    else:
        (entry / "manifest").write_text("half of")
    assert cache("ls")["entries"] == []
    lines = finish(start(16))
    assert "is not whole" in lines
    assert note.read_text() == "keeper\n"


def test_a_folder_that_cannot_be_made_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MARTLET_CACHE", str(tmp_path / "file"))
    assert "The cache on disk is not used" in finish(start(16))
    assert cache("size")["entries"] == 0


@pytest.fixture
def disk(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk") as path:
        monkeypatch.setenv("MARTLET_CACHE", str(path))
        yield path


def test_a_full_disk_is_no_failure(disk):
    fill(disk)
    assert "The cache on disk is not used" in finish(start(16))
    assert cache("ls")["entries"] == []
    assert not list((disk / "compiled").glob(".part-*"))


def test_a_read_only_disk_is_no_failure(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert "The cache on disk is not used" in finish(start(16))
    assert list((disk / "compiled").iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_no_failure(folder):
    folder.mkdir(parents=True)
    folder.chmod(0o555)
    assert "The cache on disk is not used" in finish(start(16))
    assert list(folder.iterdir()) == []


def test_the_cpu_keeps_nothing(folder):
    program = "import numpy as np, martlet; martlet.CoreMLBackend().run('relu', x=np.ones((64, 64), np.float32))"
    subprocess.run([sys.executable, "-c", program], check=True)
    if not martlet.is_coreml_available():
        assert not folder.exists()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"XDG_CACHE_HOME": "/x"}, "/x/martlet"),
        ({"XDG_CACHE_HOME": "relative"}, "/h/.cache/martlet"),
        ({}, "/h/.cache/martlet"),
        ({"MARTLET_CACHE": "/m", "XDG_CACHE_HOME": "/x"}, "/m"),
    ],
    ids=str,
)
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has a place of its own")
def test_place(settings, expected):
    program = (
        "from martlet._native import answer, ffi, lib; print(answer(lib.mlt_disk_cache, b'size', ffi.NULL)['folder'])"
    )
    keep = {name: os.environ[name] for name in os.environ if name not in ("MARTLET_CACHE", "XDG_CACHE_HOME")}
    environment = keep | {"HOME": "/h"} | settings
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert Path(found.strip()) == Path(expected)
