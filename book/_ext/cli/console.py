"""Print the progress of a build, a line for each page, and Sphinx's warnings between these lines."""

from __future__ import annotations

import os
import sys
from typing import Any

from book._ext.faults import ROOT
from book._ext.state import build_state


class Console:
    """Prints progress on standard output. It is also the stream to which Sphinx writes warnings.

    Attributes:
        section: the page that Sphinx is reading, or None.
        line_is_open: whether the last line on standard output has no end yet.
        executed: the sections that have run in this build.
    """

    def __init__(self) -> None:
        self.section: str | None = None
        self.line_is_open = False
        self.executed: set[str] = set()

    def follow(self, app: Any) -> None:
        """Listen to what an application runs and reads."""
        app.connect("source-read", self.before_running, priority=400)  # `await_section` has 500
        app.connect("section-executed", self.after_running)
        app.connect("source-read", self.before_reading, priority=600)
        app.connect("doctree-read", self.after_reading, priority=999)

    def before_running(self, app: Any, docname: str, source: list[str]) -> None:
        if docname in build_state(app).jobs:
            print(f"  {docname} … running", flush=True)

    def after_running(self, app: Any, docname: str, seconds: float) -> None:
        self.executed.add(docname)
        print(f"  {docname} … executed in {seconds:.1f} s", flush=True)

    def before_reading(self, app: Any, docname: str, source: list[str]) -> None:
        self.section = docname
        if docname not in self.executed:
            self.line_is_open = True
            print(f"  {docname} … ", end="", flush=True)

    def after_reading(self, app: Any, doctree: Any) -> None:
        if self.section not in self.executed:
            how = "cached" if build_state(app).cells_read[0] == self.section else "no cells"
            print(how if self.line_is_open else f"  {self.section}: {how}", flush=True)
        self.section, self.line_is_open = None, False

    def close_line(self) -> None:
        if self.line_is_open:
            print(flush=True)
            self.line_is_open = False

    def write(self, text: str) -> int:
        """Write a warning, with paths that begin at the top of the book."""
        self.close_line()
        return sys.stderr.write(text.replace(f"{ROOT}{os.sep}", ""))

    def flush(self) -> None:
        sys.stderr.flush()
