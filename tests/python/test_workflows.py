"""The workflows of GitHub Actions, which cannot run here, use only commands that exist."""

import re
import shlex
from pathlib import Path

import pytest

import martlet.cli

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ALLOWED = {"actions/checkout", "actions/setup-python", "actions/upload-artifact"}
BUILD = (ROOT / "build.sh").read_text()


def steps(path):
    document = yaml.safe_load(path.read_text())
    return [step for job in document["jobs"].values() for step in job["steps"]]


def commands(path):
    """Every command of every step, as words; what stands in `$()` is left out."""
    for step in steps(path):
        text = re.sub(r"\\\n", " ", step.get("run", ""))
        for line in re.sub(r"\$\([^)]*\)+'?\)?", "x", text).splitlines():
            for part in line.split("|"):
                if words := shlex.split(part):
                    yield words


def test_there_is_one_for_each_system():
    assert [path.stem for path in WORKFLOWS] == ["linux", "mac"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_githubs_own(path):
    used = [step["uses"] for step in steps(path) if "uses" in step]
    assert used
    for each in used:
        name, _, version = each.partition("@")
        assert name in ALLOWED
        assert re.fullmatch(r"v\d+", version)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_commands_exist(path):
    known = set(re.findall(r"^([a-z]+)\) ", BUILD, re.MULTILINE))
    called = [words for words in commands(path) if words[0] == "./build.sh"]
    assert {"test"} <= {word for words in called for word in words[1:]}
    for words in called:
        assert set(words[1:2]) <= known
    for words in commands(path):
        if words[0] == ".venv/bin/martlet":
            assert words[1] in martlet.cli.main.commands
        for word in words:
            if re.fullmatch(r"[a-z]+/[a-z_/]+\.(py|sh)", word):
                assert (ROOT / word).exists()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_tables_are_uploaded(path):
    upload = steps(path)[-1]
    assert upload["uses"].startswith("actions/upload-artifact@")
    assert upload["if"] == "always()"
    folder = upload["with"]["path"].split()[0]
    benchmark = next(step for step in steps(path) if "benchmarks/models.py" in step.get("run", ""))
    assert f"tee {folder}/models.txt" in benchmark["run"]


def test_mac_builds_for_ios():
    assert yaml.safe_load(WORKFLOWS[1].read_text())["jobs"]["test"]["runs-on"] == "macos-26"
    build = next(words for words in commands(WORKFLOWS[1]) if words[0] == "xcodebuild" and "build" in words)
    scheme = build[build.index("-scheme") + 1]
    assert f'.library(name: "{scheme}"' in (ROOT / "Package.swift").read_text()
    assert build[build.index("-destination") + 1] == "generic/platform=iOS"
