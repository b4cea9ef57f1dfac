"""The script that brings the book's own code to the reader's browser: files of Python, and what they read as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from book._ext.files import python_files
from book._ext.page.playground import figure_style, statements
from book._ext.sources.editions import EDITIONS, class_files

PYTHON = Path(__file__).parent / "python"
"""What runs in the page and is not part of `optim_code`: a small torch, and the session of a reader."""


def library_script(app: Sphinx) -> str:
    """JavaScript that defines ``descentLibrary``: the files by name, the data that the session begins with, colours."""
    root = Path(app.srcdir)
    withheld = class_files(root) if app.config.edition == EDITIONS[1] else []
    files = {path.relative_to(PYTHON).as_posix(): path for path in python_files(PYTHON)}
    files |= {
        path.relative_to(root).as_posix(): path for path in python_files(root / "optim_code") if path not in withheld
    }
    library: dict[str, Any] = {
        "files": {name: path.read_text(encoding="utf-8") for name, path in files.items()},
        "page": {},
        "look": figure_style(statements(root)),
    }
    return f"window.descentLibrary = {json.dumps(library)};\n"
