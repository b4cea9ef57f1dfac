"""The session of a reader in the page: runs code and says what it printed and raised."""

import contextlib
import io
import traceback
from typing import Any

space: dict[str, Any] = {}


def start(page: dict[str, Any]) -> None:
    """Begin a session."""
    space.clear()
    space["__name__"] = "__main__"


def run(code: str) -> dict[str, Any]:
    """Run code."""
    out, error = io.StringIO(), None
    with contextlib.redirect_stdout(out):
        try:
            exec(compile(code, "<your code>", "exec"), space)
        except BaseException as raised:
            error = "".join(traceback.format_exception_only(raised)).strip()
    return {"printed": out.getvalue(), "error": error, "figures": [], "verdict": None}
