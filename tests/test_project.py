"""What is around the book fits together: the workflows, the commands, the versions."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import pins
from conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SCHEMAS = {
    **dict.fromkeys(WORKFLOWS, "vendor.github-workflows"),
    ROOT / ".readthedocs.yaml": "vendor.readthedocs",
    ROOT / "CITATION.cff": "vendor.citation-file-format",
}
MAKE = re.compile(r"\bmake ([a-z][\w-]*)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def valid(path: Path, schema: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_configuration_fits_its_schema_and_a_wrong_one_does_not(path: Path, tmp_path: Path) -> None:
    done = valid(path, SCHEMAS[path])
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / path.name
    wrong.write_text(path.read_text(encoding="utf-8") + "\nno-such-key: 1\n", encoding="utf-8")
    assert valid(wrong, SCHEMAS[path]).returncode == 1


def commands(node: Any) -> list[str]:
    """What a workflow, or Read the Docs, runs."""
    if isinstance(node, dict):
        return [line for key, value in node.items() for line in ([value] if key == "run" else commands(value))]
    return [line for item in node for line in commands(item)] if isinstance(node, list) else []


def test_what_runs_elsewhere_are_commands_of_the_makefile_and_of_the_readme() -> None:
    elsewhere = [command for path in WORKFLOWS for command in commands(yaml.safe_load(path.read_text("utf-8")))]
    elsewhere += [*yaml.safe_load(text(".readthedocs.yaml"))["build"]["commands"], text(".ci/run")]
    used = {target for command in elsewhere for target in MAKE.findall(command)}
    assert used == {"html", "pdf", "slides", "student", "test"}
    targets = set(re.findall(r"^([a-z][\w-]*):", text("Makefile"), flags=re.M))
    assert used <= targets
    # Each target is explained to a reader of the README.
    assert targets == set(MAKE.findall(text("README.md"))) & targets
    assert ".ci/run" in commands(yaml.safe_load(text(".github/workflows/test.yml")))


def test_the_pythons_are_the_same_everywhere() -> None:
    oldest, newest = pins.PYTHONS[0], pins.PYTHONS[-1]
    tested = yaml.safe_load(text(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert (tested[0], tested[-1]) == (oldest, newest)
    assert f'requires-python = ">={oldest}"' in text("pyproject.toml")
    assert f"--python-version {oldest} " in text("Makefile")
    assert yaml.safe_load(text(".readthedocs.yaml"))["build"]["tools"]["python"] == newest


def test_the_versions_are_the_same_everywhere() -> None:
    (version,) = re.findall(r'^version = "(.*)"$', text("pyproject.toml"), flags=re.M)
    released = re.findall(r"^## \[(\d.*)\] - (\S+)$", text("CHANGELOG.md"), flags=re.M)
    citation = yaml.safe_load(text("CITATION.cff"))
    assert released[0] == (version, str(citation["date-released"]))
    assert citation["version"] == version


@pytest.mark.parametrize(("ci", "chosen"), [("", ' -m "not slow"'), ("true", "")])
def test_make_test_leaves_slow_tests_out_and_with_ci_true_nothing(ci: str, chosen: str) -> None:
    command = ["make", "--dry-run", "--no-print-directory", "test", f"CI={ci}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    side_by_side = "-n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0"
    assert done.stdout.splitlines()[-1].strip() == f".venv/bin/python -m pytest {side_by_side}{chosen}"
