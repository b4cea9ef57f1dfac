"""Sphinx gets the text of a page as everything else does: without a byte-order mark, with all that it includes."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from optim_code.sections import Page, read_page


def bring(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give Sphinx the text of a page, before anything else looks at it."""
    page = read_page(Path(app.srcdir), docname)
    for path in page.included:
        app.env.note_dependency(str(path))
    source[0] = page.text


class Places(logging.Filter):
    """Has a warning name the file that a line comes from, and the line there, where a page includes others."""

    def __init__(self, app: Sphinx) -> None:
        super().__init__()
        self.root = Path(app.srcdir)

    def filter(self, record: logging.LogRecord) -> bool:
        found = re.fullmatch(r"(?P<path>.*)\.md:(?P<line>\d+)", str(getattr(record, "location", "")))
        if found:
            page = self.page(Path(found["path"]))
            if page is not None and page.included:
                record.location = str(self.root / page.where(int(found["line"]) - 1))
        return True

    def page(self, path: Path) -> Page | None:
        try:
            return read_page(self.root, path.relative_to(self.root).as_posix())
        except ValueError:  # it lies elsewhere, or has just been changed
            return None


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", bring, priority=10)
    for handler in logging.getLogger("sphinx").handlers:
        # Sphinx's own filters turn a page's name into a path first.
        handler.addFilter(Places(app))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
