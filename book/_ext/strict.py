"""A build with a warning is a failed build, and fails again on the next try."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import SphinxError


class WarningsFound(SphinxError):
    """Raised at the end of a build that warned; Sphinx then forgets its state, so the next build warns again."""

    category = "Build failed"


def fail_on_warnings(app: Sphinx, error: Exception | None) -> None:
    if error is None and app._warncount:
        count = f"{app._warncount} warning" + ("s" if app._warncount > 1 else "")
        raise WarningsFound(f"{count}, named above; the book is built only without")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", fail_on_warnings, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
