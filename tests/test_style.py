"""The sources read alike, their types fit, their words are spelt right, and what they need is pinned."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import ROOT

REQUIREMENTS = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
HERE = {canonicalize_name(r.name): r for r in REQUIREMENTS if r.marker is None or r.marker.evaluate()}


@pytest.mark.parametrize(
    "tool",
    ["ruff check --quiet .", "ruff format --check --quiet .", "mypy", "codespell_lib", "pip check"],
)
def test_the_tool_finds_nothing(tool: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_a_requirement_is_pinned_to_one_version(requirement: Requirement) -> None:
    assert re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(requirement.specifier))


@pytest.mark.parametrize("name", HERE)
def test_the_pinned_version_is_the_one_that_is_installed(name: str) -> None:
    assert HERE[name].specifier.contains(version(name))


def sources() -> list[tuple[Path, str]]:
    """Every Python source of the book, the sections' cells among them."""
    files = [path for folder in ("optim_code", "book/_ext", "tests") for path in (ROOT / folder).rglob("*.py")]
    cells = [
        (path, re.sub(r"^(---\n.*?^---|:[a-z-]+:[^\n]*|%[^\n]*)$", "", cell, flags=re.M | re.S))
        for path in (ROOT / "book").glob("*.md")
        for cell in re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", path.read_text("utf-8"), flags=re.M | re.S)
    ]
    return [(path, path.read_text(encoding="utf-8")) for path in files] + cells


def test_every_import_is_pinned_or_part_of_python_or_of_the_book() -> None:
    own = {"optim_code", "book", "tests", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    homes = packages_distributions()
    lost = set()
    for path, source in sources():
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - own - set(sys.stdlib_module_names):
                home = {canonicalize_name(dist) for dist in homes.get(name, ())}
                if not home & HERE.keys():
                    lost.add(f"{path.relative_to(ROOT)}: {name} ({', '.join(home)})")
    assert not lost, "\n".join(sorted(lost))
