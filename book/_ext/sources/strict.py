"""Let a build with a warning fail, and fail again on the next try."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError

from book._ext.cli.publishing import WORK
from book._ext.compat import warning_count


class WarningsFound(SphinxError):
    """A build had warnings. Sphinx does not keep the state of a build that fails, so the next build warns again."""

    category = "Build failed"


def fail_on_warnings(app: Sphinx, error: Exception | None) -> None:
    """Raise `WarningsFound` at the end of a build with warnings."""
    if error is None and (number := warning_count(app)):
        count = f"{number} warning" + ("s" if number > 1 else "")
        raise WarningsFound(f"{count}, named above; {consequence(app)}")


def consequence(app: Sphinx) -> str:
    """What a failed build means for the book: `jupyter-book build` works in the book itself, ours in another folder."""
    if WORK in Path(app.outdir).parents:
        return "there is no new book, and the last one stays as it was"
    return "what is built now is not a whole book: fix them and build again"
