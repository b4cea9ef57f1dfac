"""The list of references as assistive technology understands it.

docutils makes it a list of `doc-biblioentry`, a role that is deprecated and that no list may hold any more.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def make_entries_list_items(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", make_entries_list_items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
