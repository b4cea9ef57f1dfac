"""The checks of pre-commit pass: style, types, spelling and pins. And the check of pins sees each kind of fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pins
from conftest import ROOT

LISTED, LOCKED = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", pins.LOCK))


@pytest.mark.slow
@pytest.mark.needs("git")
def test_the_checks_of_pre_commit_pass(tmp_path: Path) -> None:
    # In a repository of its own, so that it says the same of a downloaded folder, and leaves the real one alone.
    env = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home"), "GIT_WORK_TREE": str(ROOT)}
    env["GIT_DIR"] = str(tmp_path / "git")
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "pre_commit", "run", "--all-files"]):
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Passed\n") == done.stdout.count("\n") == 6, done.stdout


def replaced(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("listed", "locked", "fault"),
    [
        (replaced(LISTED, "ruff==", "ruff>="), LOCKED, "requirements.txt: ruff>="),
        (replaced(LISTED, "nbclient==0.11.0", "nbclient==9"), LOCKED, "nbclient ==9 on Python 3.10, the lock holds "),
        (replaced(LISTED, "4.6.2; python_version < ", "4; python_version < "), LOCKED, "pre-commit ==4 on Python 3.10"),
        (replaced(LISTED, "codespell==", "# codespell=="), LOCKED, "asks for codespell nothing on Python 3.13"),
        (LISTED + "absent==1.0\n", LOCKED, "asks for absent ==1.0 on Python 3.10, the lock holds nothing"),
        (LISTED, replaced(LOCKED, "\nmdurl==", "\nother=="), "markdown-it-py needs mdurl, which the lock does not"),
        (LISTED, replaced(LOCKED, "\nmdurl==", "\nmdurl==99."), "is installed and not ==99."),
        (LISTED, replaced(LOCKED, "\nmdurl==", "\nnvidia-mdurl=="), "holds a build of torch"),
        (LISTED, "--index-url https://example.org/simple\n" + LOCKED, "names an index"),
    ],
)  # fmt: skip
def test_the_check_of_pins_sees(listed: str, locked: str, fault: str) -> None:
    found = [*pins.faults_of_lists(listed, locked), *pins.faults_of_installed(listed, locked)]
    assert any(fault in line for line in found), found
    assert all(line.count("\n") == 0 and "; " in line for line in found)


def test_the_check_of_pins_sees_an_import_that_is_not_pinned() -> None:
    found = list(pins.faults_of_imports(replaced(LISTED, "psutil==", "# psutil==")))
    assert found
    assert all("imports psutil; pin psutil in requirements.txt" in line for line in found)
