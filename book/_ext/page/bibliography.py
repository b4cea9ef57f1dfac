"""The list of references: each work is formatted once, and listed as assistive technology understands it."""

from __future__ import annotations

from typing import Any, ClassVar

from docutils import nodes
from pybtex import plugin
from pybtex.database import Entry
from pybtex.style.formatting import unsrt
from sphinx.application import Sphinx

from book._ext.compat import cache_entry_points
from book._ext.state import kept_state

cache_entry_points()


class Unsrt(unsrt.Style):  # type: ignore[misc]  # pybtex has no types
    """Pybtex's style, which remembers: at every build all works are formatted, and take a tenth of its time.

    Attributes:
        works: the formatted works by their label and what is known of them.
    """

    works: ClassVar[dict[str, Any]] = {}

    def format_entry(self, label: str, entry: Entry, bib_data: Any = None) -> Any:
        key = f"{label}\0{entry!r}"
        if key not in self.works:
            self.works[key] = super().format_entry(label, entry, bib_data)
        return self.works[key]


def restore_works(app: Sphinx) -> None:
    """Keep them with what is kept of the pages."""
    Unsrt.works = kept_state(app.env).works


def make_entries_list_items(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    """Docutils makes them `doc-biblioentry`, a role that is deprecated and that no list may hold any more."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> None:
    plugin.register_plugin("pybtex.style.formatting", "unsrt", Unsrt, force=True)
