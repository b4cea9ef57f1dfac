"""The script that brings the book's own code to the reader's browser: files of Python, and what they read as data."""

from __future__ import annotations

import json
from pathlib import Path

from sphinx.application import Sphinx

from book._ext.execute.freshness import pins
from book._ext.files import read_json, text_digest, write_json
from book._ext.inpage.data import site_files
from book._ext.page.equations import await_verdicts
from book._ext.page.playground import figure_style, statements
from book._ext.state import kept_state


def library_script(app: Sphinx) -> str:
    """JavaScript that defines ``descentLibrary``: the files by name, and the colours and levels of figures.

    It is made once for each state of what it is made from, because that imports torch.
    """
    root, code, place = Path(app.srcdir), kept_state(app.env).code, Path(app.doctreedir, "library.json")
    assert code is not None
    programs = [verdict.program for verdict in await_verdicts(app) if verdict.program]
    state = text_digest(code.every_byte, app.config.descent_extension_digest, pins(root), json.dumps(programs))
    kept = read_json(place)
    if kept.get("state") != state:
        library = {"files": site_files(root, app.config.edition), "look": figure_style(statements(root))}
        kept = {"state": state, "script": f"window.descentLibrary = {json.dumps(library, sort_keys=True)};\n"}
        write_json(place, kept)
    return str(kept["script"])
