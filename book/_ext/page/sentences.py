"""Show beside a phrase that the text marks with ``{holds}`` what the build asserted, over what, and the numbers.

`sources.marks` has checked that each mark has its assertion, and the cell has run, so the assertion is true.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from book._ext.execute.execution import executed_cells
from book._ext.execute.outputs import HOLDS, glued_values
from book._ext.page.equations import parse_myst
from book._ext.page.formula_text import plain_words
from book._ext.sources.marks import split
from book._ext.state import kept_state

logger = logging.getLogger(__name__)


class held(nodes.Inline, nodes.TextElement):  # type: ignore[misc]  # docutils has no types
    """A phrase with a mark: its ``name``, and in ``shown`` the code and the numbers of each of its assertions."""


class Holds(SphinxRole):
    """``{holds}`phrase <name>` ``: a phrase that a hidden cell asserts."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        phrase, name = split(self.text)
        node = held(self.rawtext, "", name=name, shown=[])
        node.source, node.line = self.get_source_info()
        children, messages = self.inliner.parse(phrase, self.lineno, self, node)
        node += children
        return [node], messages


def note_assertions(app: Sphinx, document: nodes.document) -> None:
    """Give each mark of a page what its assertion compared."""
    marks = list(document.findall(held))
    cells = executed_cells(app, app.env.docname) if marks else []
    recorded = dict(glued for cell in cells for glued in glued_values(cell))
    for mark in marks:
        text = recorded.get(f"{HOLDS}{mark['name']}")
        mark["shown"] = text.split("\n") if text else []
        if not mark["shown"]:
            text = f'nothing was asserted about “{mark.astext()}”: its cell did not reach holds("{mark["name"]}", …)'
            logger.warning("%s; let the call run once", text, location=mark)


def visit_html(self: Any, node: held) -> None:
    # A copy in a table of contents has nothing to show: Sphinx makes it before `note_assertions` runs.
    if node["shown"]:
        self.body.append('<span class="held">')


def depart_html(self: Any, node: held) -> None:
    if not node["shown"]:
        return
    name = f"holds-{node['name']}"
    # A screen reader reads TeX letter by letter.
    phrase = self.encode(" ".join(plain_words(node).split()))
    lines = zip(node["shown"][::2], node["shown"][1::2], strict=True)
    items = "".join(
        f'<span class="held-claim"><code>{self.encode(code)}</code> <span>{self.encode(shown)}</span></span>'
        for code, shown in lines
    )
    keep_together(self.body, node.children[-1])
    self.body.append(
        f'<button type="button" class="held-mark" popovertarget="{name}" aria-label="checked: {phrase}">'
        '<span aria-hidden="true">✓</span></button></span></span>&#8288;'
        f'<span class="held-note" id="{name}" popover role="note">'
        f'<span class="held-head">Asserted at this build:</span>{items}</span>'
    )


def keep_together(body: list[str], last: nodes.Node) -> None:
    """Begin a span that does not break before the last word of what was written, or before its formula."""
    begin = '<span class="held-end">'
    if isinstance(last, nodes.Text):
        body[-1] = re.sub(r"(?:[\d.]+ %|\S*)$", lambda word: begin + word[0], body[-1], count=1)
    elif isinstance(last, nodes.math):
        body.insert(-1, begin)
    else:
        body.append(begin)


def visit_plain(self: Any, node: held) -> None:
    """In print and in other texts the phrase is plain text."""


class SentenceCoverage(SphinxDirective):
    """`{sentence-coverage}`: how many phrases each section marks as asserted."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        counts = {docname: count for docname, count in kept_state(self.env).sentences.items() if count}
        lines = ["| section | phrases |", "| --- | --- |"]
        lines += [f"| {{doc}}`/{docname}` | {count} |" for docname, count in counts.items()]
        return parse_myst(self, [*lines, f"| all | {sum(counts.values())} |"])


def setup(app: Sphinx) -> None:
    app.add_role("holds", Holds())
    app.add_directive("sentence-coverage", SentenceCoverage)
    app.add_node(
        held,
        html=(visit_html, depart_html),
        latex=(visit_plain, visit_plain),
        text=(visit_plain, visit_plain),
    )
