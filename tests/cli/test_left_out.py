"""What a machine cannot run is left out aloud, and never when CI is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def collect(path: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Collect the tests of the pages, as on a machine whose programs are those in the folder ``path``."""
    files = ["tests/page/test_html.py", "tests/page/test_browser.py"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *files],
        cwd=ROOT,
        env={**os.environ, "PATH": str(path), "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_chromium_the_browser_tests_are_left_out_in_one_line_that_says_how_to_get_it(tmp_path: Path) -> None:
    done = collect(tmp_path, ci="")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/page/test_html.py::" in done.stdout
    assert "tests/page/test_browser.py::" not in done.stdout
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("left out: ")]
    assert said.endswith(" tests, for there is no chromium: apt-get install chromium")


def test_with_ci_true_nothing_may_be_left_out(tmp_path: Path) -> None:
    done = collect(tmp_path, ci="true")
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if line]
    assert said.startswith("ERROR: with CI=true nothing may be left out; left out: ")
    assert "apt-get install chromium" in said


def test_with_chromium_nothing_of_the_pages_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "chromium").write_text("#!/bin/sh\n")
    (tmp_path / "chromium").chmod(0o755)
    done = collect(tmp_path, ci="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tests/page/test_browser.py::" in done.stdout
    assert "left out" not in done.stdout
