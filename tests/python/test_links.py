"""Packages with symbolic links, as the cache of Hugging Face lays them out, and files that Git LFS left out."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import WEIGHTS

import martlet
from martlet._native import ERRORS, ffi, lib

MANIFEST = "Manifest.json"
MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHT_FILE = "Data/com.apple.CoreML/weights/weight.bin"
FILES = (MANIFEST, MODEL, WEIGHT_FILE)
DATA = Path(__file__).with_name("data")


@pytest.fixture
def sound(package):
    return package(WEIGHTS)


def outputs(path, **options):
    model = martlet.load(path, device="cpu", **options)
    given = {port.name: np.ones(port.shape, port.dtype) for port in model.inputs}
    return model.predict(given)


def moved_out(package, name):
    """Puts a file or folder beside the package, with a link in its place."""
    outside = package.parent / f"{package.stem}-{Path(name).name}"
    shutil.move(package / name, outside)
    (package / name).symlink_to(outside)
    return outside


@pytest.fixture
def hub(sound):
    """The package as `snapshot_download()` has it: relative links to files with other names."""
    hub = sound.parent / "models--someone--model"
    snapshot = hub / "snapshots" / "0123abcd" / "Model.mlpackage"
    (hub / "blobs").mkdir(parents=True)
    for number, name in enumerate(FILES):
        shutil.copy(sound / name, hub / "blobs" / f"{number:064x}")
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(hub / "blobs" / f"{number:064x}", link.parent))
    return snapshot


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


def test_the_cache_of_hugging_face(sound, hub):
    same(outputs(hub), outputs(sound))
    assert martlet.CoreMLBackend().load(hub).inputs == martlet.load(sound).inputs


@pytest.mark.parametrize("name", [*FILES, "Data", "Data/com.apple.CoreML", "Data/com.apple.CoreML/weights"])
def test_links_are_followed_or_refused(sound, name):
    wanted = outputs(sound)
    moved_out(sound, name)
    same(outputs(sound), wanted)
    with pytest.raises(martlet.MalformedError, match="is a symbolic link, and links are refused") as caught:
        martlet.load(sound, links="refuse")
    assert str(sound / name) in str(caught.value)


def test_a_link_within_the_package_is_refused_too(sound):
    shutil.move(sound / WEIGHT_FILE, sound / (WEIGHT_FILE + "2"))
    (sound / WEIGHT_FILE).symlink_to("weight.bin2")
    outputs(sound)
    with pytest.raises(martlet.MalformedError, match="links are refused"):
        martlet.load(sound, links="refuse")


def test_the_package_itself_may_be_a_link(sound, tmp_path):
    wanted = outputs(sound)
    link = tmp_path / "current.mlpackage"
    link.symlink_to(sound)
    same(outputs(link), wanted)
    with pytest.raises(martlet.MalformedError, match="links are refused"):
        martlet.load(link, links="refuse")


def test_plain_files_load_where_links_are_refused(sound):
    same(outputs(sound, links="refuse"), outputs(sound))


def test_single_files(sound, tmp_path):
    """A `.mlmodel` without weights; the library reads and refuses it by its own path."""
    plain = tmp_path / "plain.mlmodel"
    shutil.copy(DATA / "classifier.mlpackage" / MODEL, plain)
    link = tmp_path / "link.mlmodel"
    link.symlink_to(plain)
    for path in (plain, link):
        assert martlet.load(path).outputs
    martlet.load(plain, links="refuse")
    with pytest.raises(martlet.MalformedError, match="links are refused"):
        martlet.load(link, links="refuse")


def test_unknown_policy(sound):
    with pytest.raises(martlet.InvalidArgumentError, match="'follow' or 'refuse'"):
        martlet.load(sound, links="maybe")
    out = ffi.new("mlt_model **")
    status = lib.mlt_model_load_with(out, bytes(sound), 7)
    assert ERRORS[status] is martlet.InvalidArgumentError


@pytest.mark.parametrize("links", ["follow", "refuse"])
@pytest.mark.parametrize("path", ["../../outside.mlmodel", "com.apple.CoreML/../../../outside.mlmodel"])
def test_manifests_do_not_leave_the_package(sound, path, links):
    """The file that the manifest would reach is a sound model: the path is refused as such."""
    shutil.copy(sound / MODEL, sound.parent / "outside.mlmodel")
    manifest = sound / MANIFEST
    text = manifest.read_text()
    assert "com.apple.CoreML/model.mlmodel" in text
    manifest.write_text(text.replace("com.apple.CoreML/model.mlmodel", path))
    with pytest.raises(martlet.MalformedError, match="must be a path inside the package"):
        martlet.load(sound, links=links)
    # An absolute path is one inside the folder Data.
    manifest.write_text(text.replace("com.apple.CoreML/model.mlmodel", str(sound.parent / "outside.mlmodel")))
    with pytest.raises(martlet.NotFoundError, match="is not there"):
        martlet.load(sound, links=links)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("target", ["nothing", "circle", "folder", "pipe", "/dev/zero", "/dev/null"])
def test_links_to_no_regular_file(sound, name, target):
    place = sound / name
    place.unlink()
    if target == "circle":
        (place.parent / "circle").symlink_to(place.name)
    elif target == "folder":
        (place.parent / "folder").mkdir()
    elif target == "pipe":
        os.mkfifo(place.parent / "pipe")
    place.symlink_to(target)
    reached = target not in ("nothing", "circle")
    with pytest.raises(martlet.MalformedError if reached else martlet.NotFoundError) as caught:
        martlet.load(sound)
    assert ("is not a regular file" if reached else "is a symbolic link to a file that cannot be reached") in str(
        caught.value
    )


def test_folders_in_a_circle(sound):
    (sound / "Data/com.apple.CoreML/again").symlink_to("..")
    (sound / "Data/com.apple.CoreML/everything").symlink_to("/")
    outputs(sound)


def test_saving_over_links_leaves_what_they_lead_to(hub, sound):
    blobs = {path: path.read_bytes() for path in (hub.parents[2] / "blobs").iterdir()}
    model = martlet.parse("program(1.3) { func main<ios18>(tensor<fp32, [2]> x) { y = abs(x = x); } -> (y); }")
    model.save(hub)
    assert {path: path.read_bytes() for path in blobs} == blobs
    assert not (hub / MODEL).is_symlink()
    assert martlet.load(hub, links="refuse").predict({"x": [-1, 2]})["y"].tolist() == [1, 2]


def test_saving_over_a_linked_package_leaves_the_other_one(sound, tmp_path):
    wanted = outputs(sound)
    link = tmp_path / "current.mlpackage"
    link.symlink_to(sound)
    martlet.parse("program(1.3) { func main<ios18>(tensor<fp32, [2]> x) { y = abs(x = x); } -> (y); }").save(link)
    assert not link.is_symlink()
    same(outputs(sound), wanted)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 1234\n"


@pytest.mark.parametrize("name", FILES)
def test_git_lfs_pointers(sound, name):
    """The form of https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md."""
    (sound / name).write_text(POINTER)
    with pytest.raises(martlet.MalformedError, match=r"Git LFS pointer.*run 'git lfs pull'") as caught:
        martlet.load(sound)
    assert name in str(caught.value)


def test_a_single_file_that_is_a_git_lfs_pointer(tmp_path):
    path = tmp_path / "model.mlmodel"
    path.write_text(POINTER)
    with pytest.raises(martlet.MalformedError, match="git lfs pull"):
        martlet.load(path)
