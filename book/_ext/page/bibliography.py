"""The list of references: format each work only once, and mark the entries so that screen readers understand them."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from pybtex import plugin
from pybtex.database import Entry
from pybtex.style.formatting import unsrt
from sphinx.application import Sphinx

from book._ext.compat import cache_entry_points
from book._ext.remembered import remembered

cache_entry_points()


class Unsrt(unsrt.Style):  # type: ignore[misc]  # pybtex has no types
    """Pybtex's style that remembers: otherwise, formatting all works takes a tenth of the time of each build."""

    def format_entry(self, label: str, entry: Entry, bib_data: Any = None) -> Any:
        return remembered(super().format_entry)(label, entry, bib_data)


def make_entries_list_items(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    """Give the entries the role `listitem` in place of docutils' `doc-biblioentry`, which is deprecated in lists."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> None:
    plugin.register_plugin("pybtex.style.formatting", "unsrt", Unsrt, force=True)
