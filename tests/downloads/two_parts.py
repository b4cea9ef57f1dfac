"""The extension of the book as far as it reads pages and cuts editions, for tests that need no more of it."""

from __future__ import annotations

from sphinx.application import Sphinx

from book._ext import connect
from book._ext.sources import editions, reading


def setup(app: Sphinx) -> None:
    for part in (reading, editions):
        part.setup(app)
    connect(app, "sources.reading", "sources.editions")
