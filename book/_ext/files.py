"""Which files are sources, digests of files, texts and versions, and JSON files that are written in one step."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def source_files(*paths: Path) -> list[Path]:
    """The given files and all files below the given folders, sorted, without the files that editors leave there.

    A link to a folder is followed, but not one that leads back to a folder above it.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        below: list[Path] = []
        for folder, subfolders, names in os.walk(path, followlinks=True):
            subfolders[:] = [name for name in subfolders if is_source(name) and not leads_up(Path(folder, name))]
            below += [Path(folder, name) for name in filter(is_source, names)]
        files += sorted(below)
    return files


def leads_up(path: Path) -> bool:
    """Whether a path is a link to a folder above it."""
    return path.is_symlink() and path.resolve() in {folder.resolve() for folder in path.absolute().parents}


def is_source(name: str) -> bool:
    """Whether a file or folder of this name can be a source."""
    return not name.startswith((".", "#")) and not name.endswith("~") and name != "__pycache__"


def python_files(folder: Path) -> list[Path]:
    """All Python modules below a folder, sorted."""
    return [path for path in source_files(folder) if path.suffix == ".py"]


def files_digest(*paths: Path) -> str:
    """A digest of the given files and of all files below the given folders: their names and bytes."""
    return named_digest((str(file.relative_to(path.parent)), file) for path in paths for file in source_files(path))


def named_digest(files: Iterable[tuple[str, Path]]) -> str:
    """A digest of files, each under the given name; a file that does not exist is left out."""
    sha = hashlib.sha256()
    for name, file in files:
        if file.is_file():
            sha.update(f"{name}\0".encode())
            sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()[:16]


def text_digest(*texts: str) -> str:
    """A digest of several texts, in this order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def pins(root: Path) -> str:
    """The pinned versions of packages, and the version of Python."""
    try:
        lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join([sys.version, *(line for line in lines if line.strip() and not line.startswith("#"))])


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if the file does not exist, or holds something else."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a JSON file in one step, so that a build that is killed leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(data), encoding="utf-8")
    new.replace(path)


def package_folder(name: str) -> Path:
    """The folder of an installed package, which is not imported for it."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def html_pages(app: Sphinx) -> dict[str, Path]:
    """The files of the pages of the book, by their names: those of the contents, and those that Sphinx adds."""
    names = (*sorted(app.env.found_docs), "genindex", "search", "py-modindex")
    paths = {name: Path(app.outdir, f"{name}.html") for name in names}
    return {name: path for name, path in paths.items() if path.exists()}
