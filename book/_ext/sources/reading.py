"""Give Sphinx the text of a page as `read_page` reads it: without a byte-order mark, with all that it includes.

Sphinx's warnings about an included line then name the included file and the line in it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from book._ext.compat import log_handlers, replace_reader
from optim_code.equations.sections import Page, read_page


def give_page_text(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give Sphinx the text of a page before any other listener uses it."""
    page = read_page(Path(app.srcdir), docname)
    for path in page.included:
        app.env.note_dependency(str(path))
    source[0] = page.text


class Places(logging.Filter):
    """Changes the place of a warning to the included file and the line in it, if a page includes others."""

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
        except ValueError:  # the page is outside the book, or was just changed and cannot be read
            return None


def with_true_lines(read_notebook: Callable[..., Any]) -> Callable[..., Any]:
    """MyST-NB's reader with the right lines: it assumes one empty line above each text, but there can be more."""

    def read(text: str, *args: Any, **kwargs: Any) -> Any:
        notebook = read_notebook(text, *args, **kwargs)
        lines, starts = text.splitlines(), notebook.metadata.get("source_map", [])
        for number, cell in enumerate(notebook.cells[: len(starts)]):
            if cell.cell_type == "markdown":
                start = next((n for n in range(starts[number], len(lines)) if lines[n].strip()), starts[number] + 1)
                starts[number] = start - 1
        return notebook

    return read


def setup(app: Sphinx) -> None:
    replace_reader(with_true_lines)
    for handler in log_handlers():
        # Sphinx's own filters turn a page's name into a path first.
        handler.addFilter(Places(app))
