"""What a build says while it runs: which section it is at, and warnings, that do not run into one another."""

from __future__ import annotations

import os
import sys
from typing import Any

from book._ext.compat import has_run
from book._ext.faults import ROOT
from book._ext.state import build_state


class Console:
    """Progress, one line a section, on stdout; as a stream, Sphinx's warnings on stderr.

    Attributes:
        section: the section being read, or None.
    """

    def __init__(self) -> None:
        self.section: str | None = None
        self.line_is_open = False
        self.ran: set[str] = set()

    def follow(self, app: Any) -> None:
        """Say what an application runs and reads, for cells take seconds."""
        app.connect("source-read", self.wait, priority=400)  # before waiting for its cells
        app.connect("section-executed", self.executed)
        app.connect("source-read", self.begin, priority=600)  # after waiting for its cells
        app.connect("doctree-read", self.end, priority=999)

    def wait(self, app: Any, docname: str, source: list[str]) -> None:
        if docname in build_state(app).jobs:
            print(f"  {docname} … running", flush=True)

    def executed(self, app: Any, docname: str, seconds: float) -> None:
        self.ran.add(docname)
        print(f"  {docname} … executed in {seconds:.1f} s", flush=True)

    def begin(self, app: Any, docname: str, source: list[str]) -> None:
        self.section = docname
        if docname not in self.ran:
            self.line_is_open = True
            print(f"  {docname} … ", end="", flush=True)

    def end(self, app: Any, doctree: Any) -> None:
        if self.section not in self.ran:
            how = "cached" if has_run(app.env, self.section or "") else "no cells"
            print(how if self.line_is_open else f"  {self.section}: {how}", flush=True)
        self.section, self.line_is_open = None, False

    def close_line(self) -> None:
        if self.line_is_open:
            print(flush=True)
            self.line_is_open = False

    def write(self, text: str) -> int:
        """Write a warning, its paths as the editor knows them, from the top of the book."""
        self.close_line()
        return sys.stderr.write(text.replace(f"{ROOT}{os.sep}", ""))

    def flush(self) -> None:
        sys.stderr.flush()
