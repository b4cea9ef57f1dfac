"""The Sphinx side of the book: one small module per idea, all set up by naming this package in `_config.yml`."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx

CODE = Path(__file__).parents[2] / "optim_code"
# All that follows imports it, so that this is the last place to say in a line that it is gone.
for needed in ("sections.py",) if CODE.is_dir() else ("optimizers.py",):
    if not (CODE / needed).is_file():
        sys.exit(f"descent: optim_code/{needed}: No such file or directory; put it back")

IDEAS = (
    "sources",
    "source_check",
    "warning_remedies",
    "editions",
    "freshness",
    "equations",
    "execution",
    "outputs",
    "figure_files",
    "figure_downloads",
    "playground",
    "changes",
    "light_imports",
    "listings",
    "exercises",
    "bibliography",
    "offline",
    "search",
    "leftovers",
    "strict",
    "warm_kernels",
    "writing",
    "worksheets",
    "handouts",
    "notebooks",
    "downloads",
    "repository",
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Set up each idea, and say what holds for all of them."""
    for idea in IDEAS:
        import_module(f"{__name__}.{idea}").setup(app)
    # Sections run, and equations are checked, in threads of this process while pages are read. With `-j` Sphinx would
    # read in forks of it, which have no such threads and would wait for ever. Sections run side by side anyhow. Sphinx
    # must not find out by itself: it would warn, and a warning ends the build.
    app.parallel = 1
    return {"parallel_read_safe": False, "parallel_write_safe": True}
