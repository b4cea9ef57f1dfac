"""Hold requirements.txt, requirements.lock, what is installed and what is imported against each other.

A check of pre-commit: `python -m tests.pins` prints a line for each fault, and exits with 1 if there is one. It asks no
network, so it does not say whether there is something newer.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = "requirements.lock"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
BY_ITSELF = {canonicalize_name("torch")}
"""Not in the lock: its builds, with CUDA and without, share a version and no hash."""
CUDA = re.compile(r"(cuda|nvidia)-|triton$")
"""What only torch's build with CUDA brings."""

Pins = dict[NormalizedName, str]


def read_list(text: str) -> list[Requirement]:
    """The entries of `requirements.txt`."""
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def for_python(requirements: list[Requirement], python: str = "") -> Pins:
    """The specifier of each requirement that counts for a Python version; without one, for this Python."""
    here = {"python_version": python, "python_full_version": f"{python}.1"} if python else None
    counted = [entry for entry in requirements if not entry.marker or entry.marker.evaluate(here)]
    return {canonicalize_name(entry.name): str(entry.specifier) for entry in counted}


def read_lock(text: str) -> tuple[list[Requirement], list[Requirement]]:
    """All entries of a lock, and those that `requirements.txt` asks for."""
    entries = re.findall(r"^([^\s#].*?) \\\n((?:\s+.*\n)*)", text, flags=re.M)
    named = [(Requirement(entry), "-r requirements.txt" in rest) for entry, rest in entries]
    return [entry for entry, _ in named], [entry for entry, direct in named if direct]


def faults_of_lists(listed: str, locked: str) -> Iterator[str]:
    """What is wrong with the text of the list and of its lock, a line for each."""
    for requirement in read_list(listed):
        if not re.fullmatch(r"==\d[\w.]*", str(requirement.specifier)):
            yield f"requirements.txt: {requirement} is not pinned; write == and one version"
    every, direct = read_lock(locked)
    for python in PYTHONS:
        wanted, held = for_python(read_list(listed), python), for_python(direct, python)
        wanted = {name: pin for name, pin in wanted.items() if name not in BY_ITSELF}
        for name in sorted(wanted.keys() | held.keys()):
            if wanted.get(name) != held.get(name):
                asks, holds = wanted.get(name, "nothing"), held.get(name, "nothing")
                said = f"requirements.txt asks for {name} {asks} on Python {python}, the lock holds {holds}"
                yield f"{LOCK}: {said}; run make lock"
    if BY_ITSELF & for_python(every).keys() or any(CUDA.match(entry.name) for entry in every):
        yield f"{LOCK}: holds a build of torch; run make lock"
    if re.search(r"://|^--?[a-z]", locked, flags=re.M):
        yield f"{LOCK}: names an index; take it out, each machine has its own"


def faults_of_installed(listed: str, locked: str) -> Iterator[str]:
    """What is installed, and what that needs, beside the list and its lock, a line for each difference."""
    direct = for_python(read_list(listed))
    pins = {**direct, **for_python(read_lock(locked)[0])}
    waiting = [(name, "") for name in direct]
    for name, extra in waiting:  # what these need is added on the way
        try:
            needed = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            yield f"{LOCK}: {name} is not installed; run make html"
            continue
        if not Requirement(f"x{pins[name]}").specifier.contains(version(name)):
            yield f"{LOCK}: {name} {version(name)} is installed and not {pins[name]}; run make html"
        for need in (n for n in needed if n.marker is None or n.marker.evaluate({"extra": extra})):
            found = canonicalize_name(need.name)
            if found in pins:
                waiting += {(found, more) for more in ("", *need.extras)} - set(waiting)
            elif not (name in BY_ITSELF and CUDA.match(found)):
                yield f"{LOCK}: {name} needs {found}, which the lock does not hold; run make lock"


def code() -> Iterator[tuple[Path, str]]:
    """Every Python source of the book, the sections' cells among them."""
    for folder in ("optim_code", "book/_ext", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "book").rglob("*.md")):
        for cell in re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", path.read_text("utf-8"), flags=re.M | re.S):
            yield path, re.sub(r"^(---\n.*?^---|:[a-z-]+:[^\n]*|%[^\n]*)$", "", cell, flags=re.M | re.S)


def faults_of_imports(listed: str) -> Iterator[str]:
    """Imports that are no part of Python or of the book, and come from nothing that the list names."""
    direct = for_python(read_list(listed))
    own = {"optim_code", "book", "tests", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    homes = packages_distributions()
    for path, source in code():
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names} - own - set(sys.stdlib_module_names):
                home = {canonicalize_name(dist) for dist in homes.get(name, ())}
                if not home & direct.keys():
                    lacking = " or ".join(sorted(home)) or name
                    yield f"{path.relative_to(ROOT)}: imports {name}; pin {lacking} in requirements.txt"


def main() -> int:
    listed, locked = ((ROOT / name).read_text(encoding="utf-8") for name in ("requirements.txt", LOCK))
    found = [*faults_of_lists(listed, locked), *faults_of_installed(listed, locked), *faults_of_imports(listed)]
    for fault in dict.fromkeys(found):
        print(fault)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
