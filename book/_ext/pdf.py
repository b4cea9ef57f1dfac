"""From the LaTeX that Sphinx writes to the PDFs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def make_pdf(build: Callable[[str], Any]) -> str:
    build("latex")
    return "_build/pdf"
