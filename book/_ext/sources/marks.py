"""Find the phrases that a text marks with ``{holds}``, and the cells that assert them; report what lacks its partner.

``{holds}`crosses the valley <sgd-zigzag>` `` marks a phrase in a paragraph, a caption or a heading, and a hidden cell
of the same page asserts it: ``holds("sgd-zigzag", …)``. `page.sentences` shows the mark.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from book._ext.remembered import remembered
from book._ext.sources.asserts import parsed
from book._ext.sources.findings import SourceFault
from optim_code.equations.sections import Block, Page, tags_of

MARK = re.compile(r"(?<!`)\{holds\}(`+)(?!`)(?P<content>(?:[^`]|(?!\1)`+)*?)(?<!`)\1(?!`)")
CONTENT = re.compile(r"(?P<phrase>.*\S)\s*<(?P<name>[^<>]*)>", re.S)
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
CALL = re.compile(r"\bholds\s*\(")


@dataclass(frozen=True)
class Mark:
    """A phrase that a text marks.

    Attributes:
        page: its page.
        line: its first line, counted from 0.
        phrase: its text.
        name: the name with which a cell asserts it.
    """

    page: Page
    line: int
    phrase: str
    name: str


def split(content: str) -> tuple[str, str]:
    """The phrase and the name of a mark; empty if the mark does not have the form ``phrase <name>``."""
    found = CONTENT.fullmatch(content.strip())
    return (" ".join(found["phrase"].split()), found["name"].strip()) if found else ("", "")


def marks_of(page: Page) -> list[Mark]:
    """The phrases that a page marks, in its text and in the captions of its cells."""
    if "{holds}" not in page.text:
        return []
    code = [block for block in page.blocks if is_shown_as_it_is(block)]
    bodies = [(block.start, block.last) for block in page.blocks if block.name == "code-cell"]
    found: list[Mark] = []
    for match in MARK.finditer(page.text):
        line = page.text.count("\n", 0, match.start())
        if not any(block.first <= line < block.last for block in code) and not any(a <= line < z for a, z in bodies):
            found.append(Mark(page, line, *split(match["content"])))
    return found


def is_shown_as_it_is(block: Block) -> bool:
    """Whether a block shows its text as it is, or does not show it."""
    return block.kind in ("code", "comment") or block.name in ("code", "code-block", "sourcecode", "parsed-literal")


@remembered
def calls_in(source: str) -> list[tuple[int, str | None]]:
    """The calls of `holds` in the code of a cell: the line, from 0, and the name; None if the name is computed."""
    if not CALL.search(source):
        return []
    tree = parsed(source)
    if tree is None:
        return []
    places = {source.count("\n", 0, found.start()) + 1 for found in CALL.finditer(source)}
    around = [node for node in tree.body if places & {*range(node.lineno, (node.end_lineno or 0) + 1)}]
    calls = [node for statement in around for node in ast.walk(statement) if isinstance(node, ast.Call)]
    found = []
    for call in calls:
        if getattr(call.func, "id", "") == "holds":
            first = call.args[0] if call.args else None
            name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
            found.append((call.lineno - 1, name))
    return sorted(found, key=lambda place: place[0])


def check_marks(pages: Iterable[Page]) -> Iterator[SourceFault]:
    """The faults of all marks and assertions: each mark needs one assertion on its page, and each assertion a mark."""
    places: dict[str, Mark] = {}
    for page in pages:
        marks = marks_of(page)
        marked, asserted = {mark.name for mark in marks}, dict[str, int]()
        for cell in (block for block in page.blocks if block.name == "code-cell"):
            calls = calls_in(cell.body)
            hidden = bool(calls) and "remove-cell" in tags_of(cell, page.where(cell.first))
            for line, name in ((cell.start + line, name) for line, name in calls):
                if name is None:
                    text = 'holds needs the name of its phrase first; write holds("name", …)'
                elif not hidden:
                    text = f'holds("{name}", …) is in a cell that the page shows; give it one with the tag remove-cell'
                elif name in asserted:
                    first = page.where(asserted[name])
                    text = f"{name} is asserted at {first} already; put both into one call of holds"
                elif name not in marked:
                    text = (
                        f"no phrase of this page is marked {name}; write {{holds}}`phrase <{name}>`, or take this out"
                    )
                else:
                    text = ""
                if text:
                    yield SourceFault(page, line, text)
                asserted.setdefault(name or "", line)
        for mark in marks:
            if not NAME.fullmatch(mark.name):
                what = f"<{mark.name}>: letters, digits and hyphens only" if mark.name else "it has no name"
                yield SourceFault(page, mark.line, f"{{holds}}: {what}; write {{holds}}`phrase <section-phrase>`")
            elif mark.name in places:
                other = places[mark.name]
                text = f"{mark.name} is the mark of a phrase at {other.page.where(other.line)} already"
                yield SourceFault(page, mark.line, f"{text}; give one of them another name")
            elif mark.name not in asserted:
                text = f'nothing asserts “{mark.phrase}”; write holds("{mark.name}", …) in a hidden cell of this page'
                yield SourceFault(page, mark.line, text)
            places.setdefault(mark.name, mark)
