"""Takes the place of `optim_code.pictures` in the page: it hands paths on, and the page draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def drawn(figure: dict[str, Any]) -> None:
    """Take a finished figure; a session puts a function of its own here."""


def paths(paths: Mapping[str, Any]) -> dict[str, Any]:
    """Paths over the contours of the first one's landscape, as numbers.

    Args:
        paths: for each label the landscape, and the points that can be drawn, shape ``(n, 2)``.
    """
    problem = next(iter(paths.values()))[0]
    return {
        "title": ", ".join(paths),
        "paths": [{"name": label, "points": points.tolist()} for label, (_, points) in paths.items()],
        "bowl": {"A": problem.A.tolist(), "b": problem.b.tolist(), "minimum": problem.minimum.tolist()},
    }


def finish(drawing: Any) -> None:
    """Hand a new figure on, with the name of its file and its text."""
    drawn({"fname": drawing.fname, "alt": drawing.alt, **drawing.figure})


def __getattr__(name: str) -> Any:
    """Refuse what needs matplotlib.

    Raises:
        AttributeError: always.
    """
    if name in ("lines", "bars"):
        raise NotDrawn(f"draw_{name} draws in the section's notebook; this page draws paths only")
    if name in ("box", "rendered"):
        raise NotDrawn("this page shows a figure, but makes no file of it; the section's notebook does")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class NotDrawn(AttributeError):
    """The page cannot draw this, or save it."""
