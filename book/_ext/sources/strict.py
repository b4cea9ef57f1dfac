"""A build with a warning is a failed build, and fails again on the next try."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError

from book._ext.cli.publishing import WORK
from book._ext.compat import warning_count


class WarningsFound(SphinxError):
    """Raised at the end of a build that warned; Sphinx then forgets its state, so the next build warns again."""

    category = "Build failed"


def fail_on_warnings(app: Sphinx, error: Exception | None) -> None:
    if error is None and (number := warning_count(app)):
        count = f"{number} warning" + ("s" if number > 1 else "")
        raise WarningsFound(f"{count}, named above; {left(app)}")


def left(app: Sphinx) -> str:
    """What a build with warnings leaves: ours works in a folder of its own, `jupyter-book build` in the book itself."""
    if WORK in Path(app.outdir).parents:
        return "there is no new book, and the last one stays as it was"
    return "what is built now is not a whole book: fix them and build again"
