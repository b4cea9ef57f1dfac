"""A build with a warning is a failed build, on the next try too; a section whose cells would not run is a warning."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging

logger = logging.getLogger(__name__)


class WarningsFound(SphinxError):
    """Raised at the end of a build that warned; Sphinx then forgets its state, so the next build warns again."""

    category = "Build failed"


def fail_on_warnings(app: Sphinx, error: Exception | None) -> None:
    if error is None and app._warncount:
        count = f"{app._warncount} warning" + ("s" if app._warncount > 1 else "")
        raise WarningsFound(f"{count}, named above; the book is built only without")


def lint_front_matter(app: Sphinx, docname: str, source: list[str]) -> None:
    """A page with cells but without the notebook front matter is silently not run: say so."""
    text = source[0]
    front = text.split("\n---", 1)[0] if text.startswith("---\n") else ""
    if "{code-cell}" in text and ("file_format: mystnb" not in front or "kernelspec:" not in front):
        logger.warning(
            "this page has code cells but no notebook front matter (file_format: mystnb, kernelspec: {name: python3}), "
            "so they would not run",
            location=(docname, 1),
        )


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", lint_front_matter)
    app.connect("build-finished", fail_on_warnings, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
