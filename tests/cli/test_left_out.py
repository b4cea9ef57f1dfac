"""What a machine cannot run is left out aloud, and never when CI is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

ALL_RUN, NEED_CHROMIUM = "tests/test_project.py", "tests/page/test_margin.py"
"""Two files of tests, of which the second needs a browser; neither imports anything that takes long."""


def collect(path: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Collect the tests of both files, as on a machine whose programs are those in the folder ``path``."""
    return pytest_run(path, ci, "--collect-only", ALL_RUN, NEED_CHROMIUM)


def pytest_run(path: Path, ci: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": str(path), "CI": ci, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_without_chromium_the_browser_tests_are_left_out_in_one_line_that_says_how_to_get_it(tmp_path: Path) -> None:
    done = collect(tmp_path, ci="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ALL_RUN}::" in done.stdout
    assert f"{NEED_CHROMIUM}::" not in done.stdout
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("left out: ")]
    assert said.endswith(" tests, for there is no chromium: apt-get install chromium")


def test_with_ci_true_nothing_may_be_left_out(tmp_path: Path) -> None:
    done = collect(tmp_path, ci="true")
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if line]
    assert said.startswith("ERROR: with CI=true nothing may be left out; left out: ")
    assert "apt-get install chromium" in said


@pytest.mark.slow
def test_side_by_side_the_same_is_said_and_nothing_runs(tmp_path: Path) -> None:
    for ci in ("", "true"):
        chosen = (ALL_RUN, NEED_CHROMIUM, "-k", "versions or contents")
        done = pytest_run(tmp_path, ci, "-n", "2", "--dist", "loadfile", *chosen)
        (said,) = [line for line in done.stdout.splitlines() if "left out: " in line]
        assert "tests, for there is no chromium: apt-get install chromium" in said
        assert said.startswith("ERROR: with CI=true nothing may be left out; ") == bool(ci)
        assert (done.returncode != 0) == bool(ci), done.stdout + done.stderr
        assert ("1 passed" in done.stdout) != bool(ci)


def test_make_test_says_how_many_slow_tests_it_leaves_out(tmp_path: Path) -> None:
    asked = (f"{NEED_CHROMIUM}::test_small_figures_stand_in_the_margin_of_a_wide_window", "-m", "not slow")
    (tmp_path / "chromium").touch(0o755)
    done = pytest_run(tmp_path, "", "-n", "1", "--collect-only", *asked)
    (said,) = [line for line in done.stdout.splitlines() if "left out: " in line]
    assert said == "left out: 3 slow tests; CI=true make test runs them"


def test_with_chromium_nothing_of_the_pages_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "chromium").write_text("#!/bin/sh\n")
    (tmp_path / "chromium").chmod(0o755)
    done = collect(tmp_path, ci="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{NEED_CHROMIUM}::" in done.stdout
    assert "left out" not in done.stdout
