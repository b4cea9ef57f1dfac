"""After any edit a rebuild shows, to the byte, what a build from nothing shows, and it runs no more than it must."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from book._ext.execute.freshness import OUTPUTS
from conftest import run_build, sample
from small_book import NOTEBOOK, TOC, Copy, copy_book

RAN = """
```{code-cell} ipython3
:tags: [remove-cell]
import os
from pathlib import Path

with Path(os.environ["RAN"]).open("a") as log:
    log.write("NAME\\n")
```
"""
FIGURE = """
```{code-cell} ipython3
---
tags: [remove-input]
mystnb:
  figure:
    name: fig-NAME
    caption: The path ends {glue:text}`NAME-end:.6f` from the minimum.
---
from myst_nb import glue
from optim_code import CLASS, output, w

drawing = output(CLASS([w], MORE), fname="NAME.pdf")
glue("NAME-end", float(drawing.trajectory.distances[-1]), display=False)
drawing
```
"""


def figure_section(name: str, cls: str, more: str) -> str:
    text = f"{NOTEBOOK}\n# {name.title()}\n\nSee {{numref}}`fig-{name}`.\n{RAN}{FIGURE}"
    return text.replace("NAME", name).replace("CLASS", cls).replace("MORE", more)


DATA = """
```{code-cell} ipython3
import optim_code

print((Path(optim_code.__file__).parents[1] / "book" / "heights.csv").read_text())
```
"""
TWO = """
Three symbols: {eq}`def-two` and {numref}`fig-walk`, and {ref}`sec-race`.

```{notation}
```

```{literalinclude} ../optim_code/optimizers.py
:pyobject: SGDOptimizer
```

```{eval-rst}
.. autoclass:: optim_code.optim.Optim
   :members: step
```
"""
PLAYGROUND = """
```{playground} fig-race
```
"""
ANOTHER = FIGURE.replace("NAME", "stroll").replace("CLASS", "SGDOptimizer").replace("MORE", "lr=0.3")
WALK = figure_section("walk", "SGDOptimizer", "lr=0.1")
FIRST = WALK[WALK.index(FIGURE[: FIGURE.index("name:")]) :]
EVERYTHING = {"walk", "race"}


@dataclass
class Edit:
    """One change of the sources: in a file a text for another; and which sections have to run then."""

    file: str
    old: str
    new: str
    runs: frozenset[str] = frozenset()
    times: int = 1

    def apply(self, root: Path) -> None:
        path = root / self.file
        text = path.read_text(encoding="utf-8")
        assert self.old in text, f"{self.old!r} is not in {self.file}"
        path.write_text(text.replace(self.old, self.new, self.times), encoding="utf-8")


EDITS = {
    "a sentence": Edit("book/two.md", "As {cite:t}", "In other words, as {cite:t}"),
    "a sentence beside cells": Edit("book/walk.md", "See {numref}", "Look at {numref}"),
    "a caption": Edit("book/walk.md", "The path ends", "It comes to its end"),
    "the format of a number": Edit("book/walk.md", "end:.6f", "end:.3f"),
    "an option of a cell": Edit("book/walk.md", "[remove-input]", "[hide-input]"),
    "the name of a figure": Edit("book/race.md", "fig-race", "fig-run", times=3),
    "a heading that another page names": Edit("book/race.md", "# Race", "# Against time"),
    "a label": Edit("book/two.md", "(sec-two)=", "(sec-two)=\n(sec-again)="),
    "an equation before another": Edit("book/two.md", "# Two\n", "# Two\n\n$$\nh = h\n$$ (def-before)\n"),
    "the symbols of an update, not its sense": Edit("book/updates.md", r"w_t - \eta\, g_t", r"-\eta\, g_t + w_t"),
    "a citation": Edit("book/walk.md", "See {numref}", "{cite:t}`polyak1964some` and {numref}"),
    "a work in the bibliography": Edit("book/references.bib", "A Stochastic", "An Astonishing Stochastic"),
    "a cell": Edit("book/walk.md", "lr=0.1", "lr=0.2", frozenset({"walk"})),
    "the file of a figure": Edit("book/race.md", '"race.pdf"', '"run.pdf"', frozenset({"race"})),
    "a data file": Edit("book/heights.csv", "1,2", "1,3", frozenset(EVERYTHING)),
    "a class": Edit("optim_code/optimizers.py", 'state["t"] += 1', 'state["t"] += 2 - 1', frozenset(EVERYTHING)),
    "what all runs use": Edit("optim_code/figures.py", "nsteps: int = 20", "nsteps: int = 19", frozenset(EVERYTHING)),
    "a colour": Edit("optim_code/figures.py", '"path": "#c8102e"', '"path": "#b00020"', frozenset(EVERYTHING)),
    "a colour of dark pages": Edit(
        "optim_code/figures.py", '"path": "#ff6b78"', '"path": "#ff8a94"', frozenset(EVERYTHING)
    ),
    "a figure that goes": Edit("book/walk.md", ANOTHER, "", frozenset({"walk"})),
    "a comment in the module": Edit("optim_code/optimizers.py", "import torch\n", "import torch  # the tensors\n"),
    "a docstring": Edit("optim_code/problems.py", '"""', '"""In short: '),
    "the name of a method": Edit("optim_code/optimizers.py", '"""SGD: ', '"""Plain descent: '),
    "a docstring that a page shows": Edit("optim_code/optim.py", "writes the update of one", "says how to update one"),
    "a class that no section runs": Edit(
        "optim_code/optimizers.py", 'state["v"].sqrt().add_(', '(0 + state["v"]).sqrt().add_(', frozenset(EVERYTHING)
    ),
    "what a symbol means": Edit("optim_code/equations/notation.py", "the parameters; $w_t$", "all parameters; $w_t$"),
    "the title of the book": Edit("_config.yml", "title: Descent", "title: Ascent"),
    "two figures in another order": Edit(
        "book/walk.md", f"{FIRST}{ANOTHER}", f"{ANOTHER}{FIRST}", frozenset({"walk"})
    ),
    "a setting of Sphinx": Edit("_config.yml", '"Figure %s"', '"Picture %s"'),
    "the order of the sections": Edit("_toc.yml", "two\n  - file: book/walk\n", "walk\n  - file: book/two\n"),
    "a section less": Edit("_toc.yml", "  - file: book/lone\n", ""),
    "a pinned version": Edit("requirements.txt", "codespell==", "codespell>=", frozenset(EVERYTHING)),
    "a style sheet": Edit("book/_static/descent.css", "html {", "html { /* new */"),
    "a template": Edit("book/_templates/layout.html", "{% block css %}", "{% block css %}<!-- new -->"),
}  # fmt: skip


@dataclass
class Books:
    """The book that is rebuilt after each edit, and the place where it is built from nothing."""

    rebuilt: Copy
    clean: Path
    log: Path

    def build(self, root: Path) -> set[str]:
        """Build, and say which sections ran."""
        self.log.unlink(missing_ok=True)
        done = run_build("html", root, RAN=str(self.log))
        assert done.returncode == 0, done.stdout + done.stderr
        return set(self.log.read_text().split()) if self.log.exists() else set()

    def from_nothing(self) -> dict[str, bytes]:
        shutil.rmtree(self.clean, ignore_errors=True)
        shutil.copytree(self.rebuilt.root, self.clean, ignore=shutil.ignore_patterns("_build"))
        assert self.build(self.clean) >= {"walk"}
        return everything(self.clean)


def everything(root: Path) -> dict[str, bytes]:
    folders = [root / "_build" / name for name in ("html", "figures")]
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def different(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """The files that differ, or that only one of two books has."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def assert_same(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    assert different(one, other) == []


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    copy = copy_book(tmp_path_factory.mktemp("rebuilding") / "book")
    copy.write("_toc.yml", TOC + "".join(f"  - file: book/{name}\n" for name in ("walk", "race", "lone")))
    copy.write("book/walk.md", WALK + ANOTHER)
    race = figure_section("race", "AdamOptimizer", "lr=0.1, alpha=0.7, momentum=0.7")
    copy.write(
        "book/race.md",
        race.replace("# Race", "(sec-race)=\n(sec-quadratic)=\n(sec-landscapes)=\n(sec-momentum)=\n# Race")
        + PLAYGROUND
        + DATA,
    )
    copy.write("book/two.md", (copy.root / "book/two.md").read_text() + TWO)
    copy.write("book/lone.md", "# Lone\n\nSee {ref}`sec-two`.\n")
    copy.write("book/heights.csv", "1,2\n")
    # The tests are not what the book is made from, and their files would only be copied.
    shutil.rmtree(copy.root / "tests")
    return Books(copy, copy.root.parent / "clean", copy.root.parent / "ran")


@pytest.fixture(scope="module")
def before(books: Books) -> dict[str, bytes]:
    assert books.build(books.rebuilt.root) == EVERYTHING
    built = everything(books.rebuilt.root)
    # From nothing, in another folder.
    assert_same(built, books.from_nothing())
    return built


@pytest.mark.slow
def test_a_forked_build_makes_and_says_what_the_command_does(books: Books, before: dict[str, bytes]) -> None:
    said = []
    for root, cold in ((books.clean.parent / "forked", False), (books.clean.parent / "alone", True)):
        shutil.copytree(books.rebuilt.root, root, ignore=shutil.ignore_patterns("_build"))
        done = run_build("html", root, cold=cold, RAN=str(books.log))
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        assert_same(everything(root), before)
        said.append(sorted(re.sub(r"[\d.]+ s$", "", done.stdout, flags=re.M).splitlines()))
    assert said[0] == said[1]


# Each chain of edits is made in turn, with a rebuild after each, and at its end the book is compared with one that is
# built from nothing. What is to be seen everywhere comes first, and no later edit of the chain touches all pages that
# show it, nor another edit's page: what an edit left stale is then still stale at the end.
CHAINS = [
    [
        "a comment in the module",
        "a docstring",
        "a class",
        "a class that no section runs",
        "a pinned version",
    ],
    ["what all runs use", "a cell", "a sentence", "the symbols of an update, not its sense"],
    ["a colour", "an equation before another"],
    ["a colour of dark pages", "a label", "a sentence beside cells"],
    ["a data file", "two figures in another order", "a work in the bibliography"],
    ["the title of the book", "the file of a figure", "a figure that goes", "a docstring that a page shows"],
    ["a setting of Sphinx", "what a symbol means"],
    ["the order of the sections", "a citation", "the name of a method"],
    ["a style sheet", "an option of a cell", "the name of a figure"],
    ["a template", "a caption", "a heading that another page names"],
    ["a section less", "the format of a number"],
]
INVISIBLE = {*CHAINS[0]}


def test_each_edit_is_made_once() -> None:
    assert sorted(name for chain in CHAINS for name in chain) == sorted(EDITS)


@pytest.mark.parametrize("chain", sample(CHAINS, CHAINS[0], CHAINS[-1]), ids=lambda chain: chain[0])
def test_after_each_edit_a_rebuild_shows_what_a_build_from_nothing_shows(
    books: Books, before: dict[str, bytes], chain: list[str]
) -> None:
    root = books.rebuilt.root
    with undone(root, *(EDITS[name].file for name in chain)):
        steps = [before]
        for name in chain:
            EDITS[name].apply(root)
            assert books.build(root) == EDITS[name].runs, name
            steps.append(everything(root))
            assert (read(steps[-1]) == read(steps[-2])) == (name in INVISIBLE), name
        stale = different(steps[-1], books.from_nothing())
    if stale:
        pytest.fail(f"after {first_stale(books, chain, steps)!r}, stale at the end: {stale}")
    # The way back finds all outputs again.
    assert books.build(root) == set()
    assert_same(everything(root), before)


def read(files: dict[str, bytes]) -> dict[str, bytes]:
    """What is read: the book without the code that runs in its pages, which has the module's own files."""
    named = re.compile(rb"inpage/library\.\w+\.js|'sha256-[^']*'")
    return {name: named.sub(b"", data) for name, data in files.items() if "/_static/inpage/" not in name}


def first_stale(books: Books, chain: list[str], steps: list[dict[str, bytes]]) -> str:
    """The edit after which a rebuild first differed from a build from nothing."""
    root = books.rebuilt.root
    with undone(root, *(EDITS[name].file for name in chain)):
        for name, rebuilt in zip(chain, steps[1:], strict=True):
            EDITS[name].apply(root)
            if different(rebuilt, books.from_nothing()):
                return name
    return chain[-1]


@contextmanager
def undone(root: Path, *files: str) -> Iterator[None]:
    """Put files back, also if an edit of them fails, or all tests that follow would fail with it."""
    sources = {root / file: (root / file).read_bytes() for file in files}
    try:
        yield
    finally:
        for path, source in sources.items():
            path.write_bytes(source)


def test_a_file_that_comes_back_with_an_old_time_is_noticed(books: Books, before: dict[str, bytes]) -> None:
    path = books.rebuilt.root / "book/two.md"
    source = path.read_text()
    path.write_text(source.replace("As {cite:t}", "Now, as {cite:t}"))
    os.utime(path, (1e9, 1e9))
    assert books.build(books.rebuilt.root) == set()
    assert b"Now, as" in everything(books.rebuilt.root)["_build/html/book/two.html"]
    path.write_text(source)
    os.utime(path, (1e9, 1e9))
    books.build(books.rebuilt.root)
    assert_same(everything(books.rebuilt.root), before)


def test_a_sentence_writes_its_own_page_and_no_other(books: Books, before: dict[str, bytes]) -> None:
    root = books.rebuilt.root
    with undone(root, "book/two.md", "book/lone.md"):
        # Two pages with citations: the one that is read last must not look like a change of both.
        (root / "book/lone.md").write_text("# Lone\n\n{cite:t}`polyak1964some`, and {ref}`sec-two`.\n")
        books.build(root)
        pages = sorted((root / "_build/html/book").glob("*.html"))
        files = [page.stat().st_ino for page in pages]
        EDITS["a sentence"].apply(root)
        books.build(root)
        written = [page.name for page, file in zip(pages, files, strict=True) if page.stat().st_ino != file]
        assert written == ["two.html"]
    books.build(root)
    assert_same(everything(root), before)


@pytest.mark.slow
def test_a_renamed_section_is_rebuilt_as_from_nothing(books: Books, before: dict[str, bytes]) -> None:
    root = books.rebuilt.root
    toc = (root / "_toc.yml").read_text()
    (root / "book/lone.md").rename(root / "book/alone.md")
    (root / "_toc.yml").write_text(toc.replace("book/lone", "book/alone"))
    books.build(root)
    assert_same(everything(root), books.from_nothing())
    (root / "book/alone.md").rename(root / "book/lone.md")
    (root / "_toc.yml").write_text(toc)
    books.build(root)
    assert_same(everything(root), before)


@pytest.mark.slow
def test_a_cell_that_is_indented_or_only_shown_is_never_stale(books: Books, before: dict[str, bytes]) -> None:
    path = books.rebuilt.root / "book/walk.md"
    source = path.read_text()
    shown = "\n````md\n```{code-cell} ipython3\n1 + 1\n```\n````\n"
    indented = '\n  ```{code-cell} ipython3\n  print("the answer is 41")\n  ```\n'
    path.write_text(source + shown + indented)
    books.build(books.rebuilt.root)
    page = "_build/html/book/walk.html"
    assert b"the answer is 41" in everything(books.rebuilt.root)[page]
    path.write_text(source + shown + indented.replace("41", "42"))
    books.build(books.rebuilt.root)
    assert b"the answer is 42" in everything(books.rebuilt.root)[page]
    EDITS["what all runs use"].apply(books.rebuilt.root)
    assert "walk" in books.build(books.rebuilt.root)
    assert_same(everything(books.rebuilt.root), books.from_nothing())
    books.rebuilt.replace("optim_code/figures.py", "nsteps: int = 19", "nsteps: int = 20")
    path.write_text(source)
    books.build(books.rebuilt.root)
    assert_same(everything(books.rebuilt.root), before)


def test_the_notebooks_of_two_builds_from_nothing_are_the_same(books: Books, before: dict[str, bytes]) -> None:
    books.from_nothing()
    mine, clean = (
        {path.name: path.read_bytes() for path in (root / OUTPUTS).glob("*.ipynb")}
        for root in (books.rebuilt.root, books.clean)
    )
    assert set(clean) <= set(mine)
    assert {key for key in clean if mine[key] != clean[key]} == set()


def damage(root: Path, change: Callable[[bytes], bytes], pattern: str) -> None:
    files = [path for path in sorted((root / "_build").glob(pattern)) if path.is_file()]
    assert files, pattern
    files[-1].write_bytes(change(files[-1].read_bytes()))


LONE = "# Lone\n\nOnce more: {ref}`sec-two`.\n"


@pytest.fixture(scope="module")
def edited(books: Books, before: dict[str, bytes]) -> dict[str, bytes]:
    """The book with another sentence in one page, built from nothing."""
    with undone(books.rebuilt.root, "book/lone.md"):
        books.rebuilt.write("book/lone.md", LONE)
        return books.from_nothing()


@pytest.mark.parametrize(
    "pattern",
    sample(
        [
            ".work/html/.doctrees/environment.pickle",
            ".work/html/.doctrees/book/walk.doctree",
            ".work/html/html/book/walk.html",
            ".work/html/jupyter_execute/*.svg",
            ".finished.json",
            ".equations.json",
            ".facts.json",
            "html/book/two.html",
            "html/_figures/*.svg",
        ],
        ".work/html/.doctrees/book/walk.doctree",
        "html/book/two.html",
    ),
)
def test_what_is_damaged_is_made_anew(
    books: Books, before: dict[str, bytes], edited: dict[str, bytes], pattern: str
) -> None:
    root = books.rebuilt.root
    # A build that finds nothing changed looks no further than the book that is read; these have to.
    unchanged = pattern.startswith("html/")
    with undone(root, "book/lone.md"):
        damage(root, lambda data: data[: len(data) // 2], pattern)
        if not unchanged:
            books.rebuilt.write("book/lone.md", LONE)
        assert books.build(root) == set()
        assert_same(everything(root), before if unchanged else edited)
        damage(root, lambda data: data[:-9] + b"damaged!?", pattern)
    assert books.build(root) == set()
    assert_same(everything(root), before)


@pytest.mark.parametrize("file", ["ipynb", "checksum"])
def test_damaged_outputs_are_made_anew(books: Books, before: dict[str, bytes], file: str) -> None:
    root = books.rebuilt.root
    for found in (root / OUTPUTS).glob(f"book-walk-*.{file}"):
        found.write_bytes(found.read_bytes()[: found.stat().st_size // 2])
    shutil.rmtree(root / "_build/.work")
    (root / "_build/.finished.json").unlink()
    assert books.build(root) == {"walk"}
    assert_same(everything(root), before)


def drawings(page: str) -> list[str]:
    """The figures of a page, without their ids, of which each page has its own."""
    found = re.findall(r'<svg class="drawing".*?</svg>', page, flags=re.S)
    return [re.sub(r'((?: id|href)="#?|url\(#)[^")]*', r"\1", drawing) for drawing in found]


def test_the_report_shows_what_moved_and_is_not_there_when_nothing_did(books: Books, before: dict[str, bytes]) -> None:
    root = books.rebuilt.root
    report = root / "_build" / "changes" / "index.html"
    EDITS["a cell"].apply(root)
    EDITS["the symbols of an update, not its sense"].apply(root)
    books.build(root)
    text = report.read_text()
    assert "1 figure, 1 number, 1 equation" in text
    old, new = drawings(text)
    assert old != new
    assert old in drawings(before["_build/html/book/walk.html"].decode())
    assert new in drawings((root / "_build/html/book/walk.html").read_text(encoding="utf-8"))
    (row,) = re.findall(r"walk-end</a></th><td>([\d.e-]+)</td><td>([\d.e-]+)</td>", text)
    assert row[0] != row[1]
    assert r"-\eta\, g_t + w_t" in text
    books.build(root)
    assert not report.exists()
    (root / "book/two.md").write_text((root / "book/two.md").read_text().replace("As {cite:t}", "So {cite:t}"))
    books.build(root)
    assert not report.exists()
    for file, old_text, new_text in (
        ("book/two.md", "So {cite:t}", "As {cite:t}"),
        ("book/walk.md", "lr=0.2", "lr=0.1"),
        ("book/updates.md", r"-\eta\, g_t + w_t", r"w_t - \eta\, g_t"),
    ):
        books.rebuilt.replace(file, old_text, new_text)
    books.build(root)
    assert_same(everything(root), before)
