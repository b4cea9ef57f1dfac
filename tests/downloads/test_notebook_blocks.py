"""Every kind of block in every container, on one page: its notebook says what the page says, in plain Markdown."""

from __future__ import annotations

import base64
import html
import random
import re
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bs4
import nbformat
import pytest
from docutils import nodes
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from book._ext.downloads.plain_markdown import Markdown
from book._ext.page.formulas import with_tex
from small_book import NO_BOOK, NOTEBOOK, Copy, copy_book

DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>\n'
FRONT = NOTEBOOK.replace("kernelspec", 'myst:\n  substitutions:\n    key: "*replaced* {ref}`sec-two`"\nkernelspec')
FIRST = """
```{figure} dot.png
:name: fig-first
:alt: a dot

The first.
```

```{exercise} First
:label: ex-first
```
"""
CELL = """
```{code-cell} ipython3
:tags: [remove-cell]
from myst_nb import glue
glue("one-number", 1 / 3, display=False)
```
"""
# Each has a word of its own, and its label, if it needs one, for N.
BLOCKS = {
    "roles": "wN *slanted*, **fat**, `co|de`, $x_{N}$, {math}`y_N`, {ref}`sec-two`, {eq}`def-two`, {doc}`two`,\n"
    "{ref}`my words <sec-two>`, {cite:t}`robbins1951stochastic`, {cite:p}`robbins1951stochastic`(see), H{sub}`2`O,\n"
    "{abbr}`SGD (stochastic)`, {glue:text}`one-number:.2f`, {numref}`fig-first`, [linked](two.md), [far](https://a.org).",
    "breaks": "wN one\\\ntwo &lt;tag&gt; \\*stars\\* 1990\\. a_b_c\n    - no list\n    # no heading",
    "equation": "wN\n\n$$\nz_{N} = 1 + 2 \\\\\n> 3\n$$ (def-N)\n\nSee {eq}`def-N`.",
    "equation by name": "```{math}\n:label: def-N\n\nz_{N} = 1 | 2\n```",
    "list": "- wN {ref}`sec-two`\n- second\n  1. deep {eq}`def-two`\n  2. deeper",
    "loose list": "3. wN first\n\n   more\n\n4. second\n",
    "two lists": "- wN one\n- two\n\n* three\n* four",
    "terms": "Term wN\n: Its meaning, {ref}`sec-two`.\n\n*Other* **term**\n: First.\n: Second.",
    "quote": "> wN quoted {ref}`sec-two`\n> and $a +\n> b$ on two lines.",
    "table": "| wN {ref}`sec-two` | b |\n| :-- | --: |\n| $x$ {eq}`def-two` | `a\\|b` |",
    "titled table": "```{table} Title wN\n\n| a | b |\n| - | - |\n| {ref}`sec-two` | 2 |\n```",
    "listed table": "```{list-table} Title wN\n:header-rows: 1\n\n* - a {ref}`sec-two`\n  - b\n* - 1\n  - 2 | 3\n```",
    "footnote": "wN noted.[^noteN]\n\n[^noteN]: Why wN, {ref}`sec-two`.\n\n    - and $q_{N}$",
    "picture": "wN ![a [dot]](dot.png) {ref}`sec-two`",
    "image": "```{image} drawing.svg\n:alt: drawn\n```",
    "figure": "```{figure} dot.png\n:name: fig-N\n:alt: a dot\n\nCaption wN, {ref}`sec-two`.\n\nLegend wN.\n```",
    "nameless figure": "```{figure} dot.png\n:alt: a dot\n\nwN dotted {eq}`def-two`.\n```",
    "note": ":::{note}\nwN {ref}`sec-two`\n\n- noted\n:::",
    "note in a line": "```{tip} wN in a line\n```",
    "titled box": "```{admonition} Title *wN* $t$\n:class: tip\n\nIn it {eq}`def-two`.\n```",
    "hint": "```{hint}\n:class: dropdown\n\nwN {ref}`sec-two`\n```",
    "fold": "```{dropdown} Fold wN\nFolded {eq}`def-two`\n```",
    "code": "```python\nwN = ':::{note} `x` $y$ {ref}'  # (def-two)=\n```",
    "coloured code": "```{code-block} python\n:caption: Listing wN\n\nwN = 1\n```",
    "indented code": "wN\n\n    code  # N",
    "comments": "% hidden {ref}`sec-two`\n\n<!-- hidden {ref}`sec-two` -->\n\nwN <!-- hidden --> seen",
    "target": "(sec-N)=\nwN is a place.",
    "long footnote": "wN noted.[^longN]\n\n[^longN]: Why wN:\n\n    - {eq}`def-two`\n\n    :::{tip}\n    Tip\n    :::",
    "rubric": "```{rubric} Rubric wN\n```",
    "break": "wN\n\n---\n\nafter",
    "substitution": "{{ key }} wN",
    "block substitution": "{{ key }}\n",
    "exercise": "```{exercise} Title wN\n:label: ex-N\n\nDo {ref}`sec-two`.\n```",
    "card": "```{card} Card wN\nIn it {ref}`sec-two`\n```",
    "nameless div": ":::\nwN in a div\n:::",
    "epigraph": "```{epigraph}\nwN said {ref}`sec-two`.\n\n-- *Somebody*\n```",
    "other roles": "wN {kbd}`Ctrl+A`, {guilabel}`Open`, {dfn}`word`, [](two.md), {download}`a dot <dot.png>`",
    "table of values": "```{csv-table} Title wN\n:header: a, b\n\n1, {ref}`sec-two`\n2,\n```",
    "version": "```{versionadded} 1.0\nwN {ref}`sec-two`\n```",
}  # fmt: skip


def indented(first: str, text: str) -> str:
    return first + textwrap.indent(text, " " * len(first)).lstrip(" ")


def fence(opening: str) -> Callable[[str], str]:
    """What puts a text into a directive, with a longer fence than any in it."""

    def around(text: str) -> str:
        longest = max((len(run) for run in re.findall(r"^\W*?([`:]{3,})", text, flags=re.M)), default=2)
        mark = (":" if opening.startswith(":") else "`") * (longest + 1)
        return f"{mark}{opening.lstrip(':')}\n\n{text}\n{mark}"

    return around


CONTAINERS: dict[str, Callable[[str], str]] = {
    "list": lambda text: f"{indented('- ', text)}\n\n- next",
    "numbered list": lambda text: f"1. first\n\n{indented('2. ', text)}",
    "quote": lambda text: textwrap.indent(text, "> ", lambda line: True),
    "terms": lambda text: f"Term\n{indented(': ', text)}",
    "note": fence("{note}"),
    "colon note": fence(":{warning}"),
    "titled box": fence("{admonition} Title\n:class: important"),
    "folded box": fence("{admonition} Title\n:class: dropdown\n"),
    "fold": fence("{dropdown} Fold"),
    "card": fence(":{card} Card"),
    "tabs": lambda text: fence("{tab-set}")(fence("{tab-item} First")(text) + "\n\n" + fence("{tab-item} Next")("end")),
    "exercise": lambda text: fence("{exercise} Title\n:label: ex-around-N\n")(text),
    "solution": fence("{solution} ex-first\n:class: dropdown"),
    "aside": fence("{margin}"),
    "topic": fence("{topic} Topic"),
    "see": fence(":{seealso}"),
    "grid": lambda text: fence("{grid}")(fence("{grid-item-card} Card")(text)),
    "div": fence(":{div} plain"),
    "legend": lambda text: fence("{figure} dot.png\n:alt: a dot")(f"Captioned\n\n{text}"),
}  # fmt: skip


def cases() -> list[tuple[str, ...]]:
    """Blocks, and what each is in, from the inside out: each by itself and in each, some at random in two or three."""
    chance = random.Random(1)
    found: list[tuple[str, ...]] = [(block,) for block in BLOCKS]
    found += [(block, around) for block in BLOCKS for around in CONTAINERS]
    found += [(chance.choice([*BLOCKS]), *chance.choices([*CONTAINERS], k=chance.randint(2, 3))) for _ in range(100)]
    # sphinx-exercise numbers none that stands in another
    return [case for case in found if case.count("exercise") < 2]


def written(number: int, case: tuple[str, ...]) -> str:
    block, *around = case
    text = BLOCKS[block].rstrip("\n")
    for name in around:
        text = CONTAINERS[name](text)
    return re.sub(r"(?<![A-Z])N(?![A-Za-z])", str(number), text)


def words(soup: bs4.Tag) -> list[str]:
    return re.findall(r"[^\W_]+", soup.get_text(" "))


def structure(soup: bs4.Tag) -> dict[str, int]:
    """How many lists, tables and the like there are; a list of terms is one."""
    names = ["table", "img", "pre", "ol", "ul", "hr", "dl"]
    return dict(Counter(found.name.replace("dl", "ul") for found in soup.find_all(names)))


def formula(latex: str, options: dict[str, bool]) -> str:
    """A formula as its source, the number of an equation before it, as on a page."""
    # A notebook's MathJax needs Sphinx's `split` around several lines, which the page does without.
    plain = re.sub(r"\\(?:begin|end)\{split\}", "", latex)
    return html.escape(re.sub(r"(.*)\\tag\{(\d+)\}", r"\2 \1", plain, flags=re.S))


def as_jupyter(text: str) -> bs4.BeautifulSoup:
    """A text as Jupyter shows it."""
    reader = MarkdownIt("commonmark").enable("table")
    reader.use(dollarmath_plugin, allow_labels=False, double_inline=True, renderer=formula)
    soup = bs4.BeautifulSoup(reader.render(text), "html.parser")
    for summary in soup.select("summary"):
        if summary.get_text() == "Solution":
            summary.decompose()
    return soup


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = copy_book(tmp_path_factory.mktemp("blocks") / "book")
    (copy.root / "book" / "dot.png").write_bytes(DOT)
    copy.write("book/drawing.svg", DRAWING)
    sections = [f"## Case {n}, {' in '.join(case)}\n\n{written(n, case)}\n" for n, case in enumerate(cases(), start=1)]
    copy.write("book/one.md", "\n".join([FRONT, "# One\n", CELL, FIRST, *sections, "## Footnotes\n\nThe end.\n"]))
    done = copy.build()
    assert done.returncode == 0, done.stderr[-3000:]
    return copy


@pytest.fixture(scope="module")
def notebook(book: Copy) -> nbformat.NotebookNode:
    made = nbformat.read(book.root / "_build/html/_notebooks/one.ipynb", as_version=4)
    nbformat.validate(made)
    return made


@pytest.fixture(scope="module")
def pairs(book: Copy, notebook: nbformat.NotebookNode) -> dict[str, tuple[bs4.Tag, bs4.Tag]]:
    """Each case as the page shows it, and as the notebook does."""
    text = (book.root / "_build/html/book/one.html").read_text(encoding="utf-8")
    page = bs4.BeautifulSoup(with_tex(text), "html.parser")
    for gone in page.select(".headerlink, script, svg, .solution > .admonition-title"):
        gone.decompose()
    sections = [section for section in page.select("article section") if section.find("h2", recursive=False)]
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = text.partition("\n\n**Works cited**")[0]
    told = re.split(r"^(?=## )", text, flags=re.M)[1:]
    names = [*(f"{n}, {' in '.join(case)}" for n, case in enumerate(cases(), start=1)), "footnotes"]
    shown = [as_jupyter(part) for part in told]
    return dict(zip(names, zip(sections, shown, strict=True), strict=True))


def test_every_block_in_every_container_says_what_the_page_says(pairs: dict[str, tuple[bs4.Tag, bs4.Tag]]) -> None:
    assert len(pairs) > 500
    differ = [(name, words(told), words(shown)) for name, (shown, told) in pairs.items() if words(told) != words(shown)]
    assert differ == []


def test_every_block_in_every_container_is_what_it_is_on_the_page(pairs: dict[str, tuple[bs4.Tag, bs4.Tag]]) -> None:
    # The footnotes are a list in a notebook, but on the page none.
    kinds = {name: (structure(told), structure(shown)) for name, (shown, told) in pairs.items() if name != "footnotes"}
    assert {name: pair for name, pair in kinds.items() if pair[0] != pair[1]} == {}


def test_nothing_of_myst_is_left(pairs: dict[str, tuple[bs4.Tag, bs4.Tag]]) -> None:
    for name, (_, told) in pairs.items():
        text = re.sub(r"<(pre|code)\b.*?</\1>", "", str(told), flags=re.S)
        left = re.findall(r"\{[\w:-]+\}`|:::|```|\([a-z]+-[\w-]+\)|\[\^|\$|^%|hidden", text, flags=re.M)
        assert left == [], name


def test_no_formula_is_broken_before_the_mark_of_a_container(
    notebook: nbformat.NotebookNode,
) -> None:
    """Jupyter looks for dollars before it looks for quotations, whose marks would be in the formula."""
    lines = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown").split("\n")
    # Where a formula takes several lines, these begin at the left, at its dollars as well as between them.
    marks = [n for n, line in enumerate(lines) if line.count("$") % 2 or line.count("$$") % 2]
    assert {lines[n] for n in marks} == {"$$"}
    between = [line for first, last in zip(marks[::2], marks[1::2], strict=True) for line in lines[first + 1 : last]]
    assert [line for line in between if line.startswith((" ", "> z", "- "))] == []


def test_a_bar_does_not_end_its_cell() -> None:
    words = [nodes.math("", "|x|"), nodes.Text(" or "), nodes.literal("", "a|b"), nodes.Text(" or |")]
    row = nodes.row("", nodes.entry("", nodes.paragraph("", "", *words)))
    table = nodes.table("", nodes.tgroup("", nodes.thead("", row)))
    app: Any = SimpleNamespace(env=None, config=SimpleNamespace(numfig_format={}))
    assert Markdown(app, "page").block(table) == "| $\\vert x\\vert $ or `a\\|b` or \\| |\n| --- |"


def test_every_picture_is_in_its_cell(notebook: nbformat.NotebookNode) -> None:
    seen = []
    for cell in notebook.cells:
        shown = re.findall(r"]\(attachment:([\w-]+)\)", cell.source)
        assert sorted(shown) == sorted(cell.get("attachments", {}))
        for bundle in cell.get("attachments", {}).values():
            ((kind, data),) = bundle.items()
            assert base64.b64decode(data) == {"image/png": DOT, "image/svg+xml": DRAWING.encode()}[kind]
            seen.append(kind)
    assert "data:" not in "".join(cell.source for cell in notebook.cells)
    assert set(seen) == {"image/png", "image/svg+xml"}


REFUSED = {
    "role": ("words wN\nand {fas}`gear`", "a notebook has no words for this fontawesome"),
    "role after code": ("`co` wN\n`de` {fas}`gear`", "a notebook has no words for this fontawesome"),
    "directive": ("```{eval-rst}\n:field: wN\n```", "a notebook has nothing for this field list"),
    "raw picture": ('wN <img src="../_static/favicon.svg">', "a notebook has not the file that <img src="),
    "raw frame": ('<iframe src="two.html" class="wN">\n</iframe>', "a notebook has not the file that <iframe"),
    "cell of blocks": (
        "```{list-table}\n:header-rows: 1\n\n* - a\n  - b\n* - - wN\n  - d\n```",
        "a notebook's table has one paragraph in each cell, and no more",
    ),
    "table": ("| a | b |\n| - | - |\n| 1 | {fas}`gear` wN |", "a notebook has no words for this fontawesome"),
}
"""What no notebook can show, its word in the line that is at fault, and what is said."""
CAPTION = """
```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-cell
    caption: |
      A walk
      with {fas}`gear`.
---
from optim_code import SGDOptimizer, output, w
output(SGDOptimizer([w], lr=0.1), fname="walk.pdf")
```
"""


def test_what_no_notebook_can_show_is_reported_with_its_line(tmp_path: Path) -> None:
    """The same words stand in many places of the page; each place is named, once, in its order."""
    copy = copy_book(tmp_path / "book")
    (copy.root / "book" / "dot.png").write_bytes(DOT)
    text, expected = FRONT + "# One\n" + FIRST + CAPTION, ["a notebook has no words for this fontawesome"]
    for around in CONTAINERS:
        for block, message in REFUSED.values():
            text += "\n" + re.sub(r"(?<=w|-)N", f"{len(expected)}", CONTAINERS[around](block)) + "\n"
            text += "\nBetween.\n"
            expected.append(message)
    copy.write("book/one.md", text)
    lines = {int(word): n for n, line in enumerate(text.split("\n"), start=1) for word in re.findall(r"\bw(\d+)", line)}
    lines[0] = text.split("\n").index("mystnb:") + 1
    *said, last = copy.faults()
    assert last == f"descent: {len(expected)} warnings, {NO_BOOK}"
    heads = [f"book/one.md:{lines[n]}: WARNING: {message}" for n, message in enumerate(expected)]
    assert [line[: len(head)] for line, head in zip(said, heads, strict=True)] == heads
    assert all(line.endswith("; write it otherwise") for line in said)
