"""The list of references as assistive technology understands it.

docutils makes it a list of `doc-biblioentry`, a role that is deprecated and that no list may hold any more.
"""

from __future__ import annotations

import functools
from typing import Any

from docutils import nodes
from pybtex import plugin
from sphinx.application import Sphinx

# For every citation that a page shows it looks through all packages that are installed; they stay the same.
plugin._load_entry_point = functools.cache(plugin._load_entry_point)


def make_entries_list_items(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], document: nodes.document | None
) -> None:
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-page-context", make_entries_list_items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
