"""Solutions in every container that MyST has, one in another, each with a word that is nowhere else."""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

Lines = list[str]


@dataclass
class Wrapping:
    """A page with one exercise, and its solution in containers.

    Attributes:
        number: which one it is.
        dice: what it is made by.
        names: its containers, the innermost first, and how its file is written.
        files: what it includes, by name.
        front: the entries of its front matter.
    """

    number: int
    dice: random.Random
    names: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    front: Lines = field(default_factory=list)

    @property
    def nonce(self) -> str:
        return f"zyzzyva{self.number}q"

    @property
    def label(self) -> str:
        return f"ex-{self.number}-half"

    def fence(self, lines: Lines, head: str, marks: str = "`~:") -> Lines:
        """A fence that is longer than those in it."""
        mark = self.dice.choice(marks)
        # In the first line of a directive colons are options.
        lines = ["", *lines] if lines and lines[0].startswith(":::") else lines
        longest = max((line.count(mark) for line in lines), default=0)
        length = max(3, longest + 1) + self.dice.randrange(3)
        return [f"{mark * length}{head}", *lines, mark * length]

    def solution(self, gates: bool) -> Lines:
        """The solution itself: a word, a sentence, a formula or code; with gates or without."""
        says: Lines = self.dice.choice(
            [
                [self.nonce],
                [f"It walks more slowly than the {self.nonce} does on a sunny day.", "", "And that is all."],
                [f"${self.nonce}_1 = 2$"],
                ["$$", f"{self.nonce} = 2", f"$$ (def-{self.number})"],
                ["~~~python", f"{self.nonce} = [step for step in range(3) if step]", "~~~"],
                ["- first", f"- then {self.nonce}"],
            ]
        )
        how = self.dice.choice(["solution", "solution", "Solution", *(["gated"] * 2 * gates)])
        if how == "gated":
            name = self.dice.choice(["solution-start", "Solution-Start"])
            begin = self.fence([f":label: sol-{self.number}"], f"{{{name}}} {self.label}")
            return [*begin, *says, "", *self.fence([], "{solution-end}")]
        options = self.dice.choice([[], [":class: dropdown"]])
        return self.fence([*options, *says], f"{{{how}}} {self.label}")


def indented(lines: Lines, first: str) -> Lines:
    while not lines[0]:
        lines = lines[1:]
    rest = " " * len(first)
    return [f"{first}{lines[0]}", *(f"{rest}{line}".rstrip() for line in lines[1:])]


def bullet(page: Wrapping, lines: Lines) -> Lines:
    return ["", *indented(lines, page.dice.choice(["- ", "* ", "1. ", "12) ", "-   "])), ""]


def bullet_after_text(page: Wrapping, lines: Lines) -> Lines:
    return ["", *indented(["an item", "", *lines, "", "its end"], page.dice.choice(["- ", "3. "])), ""]


def quotation(page: Wrapping, lines: Lines) -> Lines:
    return ["", *(f"> {line}".rstrip() for line in lines), ""]


def admonition(page: Wrapping, lines: Lines) -> Lines:
    head = page.dice.choice(["{admonition} For the exam", "{note}", "{margin}", "{dropdown} More"])
    return page.fence(lines, head)


def tabs(page: Wrapping, lines: Lines) -> Lines:
    return page.fence(page.fence(lines, "{tab-item} One"), "{tab-set}")


def exercise(page: Wrapping, lines: Lines) -> Lines:
    return page.fence([f":label: {page.label}-{len(page.names)}", "What now?", "", *lines], "{exercise} Another")


def details(page: Wrapping, lines: Lines) -> Lines:
    return ["", "<details>", "", *lines, "", "</details>", ""]


def table_cell(page: Wrapping, lines: Lines) -> Lines:
    return ["", "<table><tr><td>", "", *lines, "", "</td></tr></table>", ""]


def definition(page: Wrapping, lines: Lines) -> Lines:
    return ["", "Term", *indented(lines, ": "), ""]


def footnote(page: Wrapping, lines: Lines) -> Lines:
    name = f"f{page.number}-{len(page.names)}"
    note = textwrap.indent("\n".join(lines), "    ").split("\n")
    return ["", f"A word.[^{name}]", "", f"[^{name}]: The note.", "", *note, ""]


def list_table(page: Wrapping, lines: Lines) -> Lines:
    return page.fence([*indented(["- One", *indented(lines, "- ")], "* ")], "{list-table}")


def for_students(page: Wrapping, lines: Lines) -> Lines:
    return page.fence(["For you.", "", *lines], "{only} student")


def include(page: Wrapping, lines: Lines) -> Lines:
    name = f"part{page.number}-{len(page.names)}.txt"
    page.files[name] = "\n".join([*lines, ""])
    return page.fence([], f"{{include}} {name}")


def html_comment(page: Wrapping, lines: Lines) -> Lines:
    return ["", "<!--", *(line.replace("-->", "") for line in lines), "-->", ""]


def percent_comment(page: Wrapping, lines: Lines) -> Lines:
    return ["", *(f"% {line}" for line in lines), ""]


def substitution(page: Wrapping, lines: Lines) -> Lines:
    name = f"part{len(page.names)}"
    page.front += ["myst:", "  substitutions:"] if not page.front else []
    page.front += [f"    {name}: |", *(f"      {line}".rstrip() for line in lines)]
    return ["", f"{{{{ {name} }}}}", ""]


def html_block(page: Wrapping, lines: Lines) -> Lines:
    return ["", "<div>", *(line for line in lines if line), "</div>", ""]


def raw(page: Wrapping, lines: Lines) -> Lines:
    return page.fence(lines, "{raw} html")


def shown(page: Wrapping, lines: Lines) -> Lines:
    return page.fence(lines, page.dice.choice(["", "markdown", "{code-block} markdown"]), "`~")


def indented_code(page: Wrapping, lines: Lines) -> Lines:
    return ["", "Code:", "", *(f"    {line}".rstrip() for line in lines), ""]


def restructured(page: Wrapping, lines: Lines) -> Lines:
    """The solution again, as reStructuredText has it."""
    inside = [f".. solution:: {page.label}", "", f"   The {page.nonce} walks."]
    return page.fence(inside, "{eval-rst}", "`~")


def csv_cell(page: Wrapping, lines: Lines) -> Lines:
    return page.fence(["One,Two", 'a,"', *(line.replace('"', "") for line in lines), '"'], "{csv-table}", "`~")


CUT: list[Callable[[Wrapping, Lines], Lines]] = [
    bullet, bullet_after_text, quotation, admonition, tabs, exercise, details, table_cell, definition, footnote,
    list_table, for_students, include, html_comment, percent_comment,
]  # fmt: skip
"""The containers out of which the student's edition takes a solution."""
MISSED: list[Callable[[Wrapping, Lines], Lines]] = [
    substitution, html_block, raw, shown, indented_code, restructured, csv_cell,
]  # fmt: skip
"""Those in which it does not look: there is no kit then."""


def wrapping(number: int, containers: list[Callable[[Wrapping, Lines], Lines]], depth: int | None = None) -> Wrapping:
    """A page with its solution in containers, up to four, or as many as asked; the same for the same number."""
    page = Wrapping(number, random.Random(number))
    chosen = [page.dice.choice(containers) for _ in range(page.dice.randrange(5) if depth is None else depth)]
    # In some containers sphinx-exercise does not find gates in pairs, and ends the build.
    lines = page.solution(gates=not {*MISSED} & {*containers})
    lines = ["before it", "", *lines, "", "after it"] if page.dice.randrange(2) else lines
    for container in chosen:
        lines = container(page, lines)
        page.names.append(container.__name__)
    end = page.dice.choice(["\n", "\r\n"])
    mark = page.dice.choice(["", "\ufeff"])
    page.names += [repr(end), repr(mark)]
    front = ["---", *page.front, "---", ""] if page.front else []
    head = [*front, f"# Page {page.number}", "", "```{exercise} Half", f":label: {page.label}", "Try half.", "```", ""]
    text = mark + "\n".join([*head, *lines, "", "The end of the page.", ""])
    page.files[f"page{page.number}.md"] = text.replace("\n", end)
    return page
