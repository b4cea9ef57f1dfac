"""The Sphinx side of the book: one small module per idea, all set up by naming this package in `_config.yml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx

IDEAS = (
    "sources",
    "source_check",
    "warning_remedies",
    "editions",
    "freshness",
    "equations",
    "execution",
    "figure_files",
    "figure_downloads",
    "playground",
    "changes",
    "light_imports",
    "listings",
    "exercises",
    "bibliography",
    "offline",
    "leftovers",
    "strict",
    "warm_kernels",
    "writing",
    "worksheets",
    "handouts",
    "notebooks",
    "downloads",
)


def setup(app: Sphinx) -> dict[str, Any]:
    for idea in IDEAS:
        app.setup_extension(f"{__name__}.{idea}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
