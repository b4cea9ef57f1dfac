"""A rebuild shows what the sources say now: nothing stale, and nothing run again without need."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from book._ext.execute.freshness import Code, Data, page_digest
from book._ext.state import build_state, kept_state
from conftest import ROOT
from optim_code.equations.sections import Page
from small_book import NOTEBOOK, TOC, Copy, copy_book

WALK = f"""{NOTEBOOK}
# Walk

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig_walk
    caption: The path ends {{glue:text}}`end:.6f` from the minimum.
---
from myst_nb import glue
from optim_code import SGDOptimizer, output, w

drawing = output(SGDOptimizer([w], lr=0.1), fname="walk.pdf")
glue("end", float(drawing.trajectory.distances[-1]), display=False)
drawing
```

```{{playground}} fig_walk
```
"""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A small book with a figure and a number that a run makes; each test leaves its sources as they were."""
    copy = copy_book(tmp_path_factory.mktemp("walk") / "book")
    copy.write("_toc.yml", TOC + "  - file: book/walk\n")
    copy.write("book/walk.md", WALK)
    assert "executed" in build(copy)
    return copy


def build(copy: Copy) -> str:
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def everything(copy: Copy) -> dict[str, bytes]:
    """Every file of the built book, and of its figures."""
    figures = copy.root / "_build" / "figures"
    return {**copy.published(), **{f"figures/{path.name}": path.read_bytes() for path in figures.iterdir()}}


def state(copy: Copy) -> dict[str, bytes]:
    """What a reader sees of it: what the pages say, their pictures, the figures' files.

    Around that, a rebuild may differ from a first build: it knows the versions of the style sheets, and the search
    index keeps a forgotten word, with no page to it.
    """
    pages = {
        name: data for name, data in everything(copy).items() if name.startswith(("book/", "_images/", "figures/"))
    }
    return {
        name: data[data.index(b"<article") : data.index(b"</article>")] if name.endswith(".html") else data
        for name, data in pages.items()
    }


def number(copy: Copy) -> str:
    text = (copy.root / "_build/html/book/walk.html").read_text(encoding="utf-8")
    found = re.search(r'The path ends <span class="pasted-text">([\d.]+)</span>', text)
    assert found is not None
    return found[1]


def test_two_builds_from_nothing_are_the_same_to_the_byte(walk: Copy) -> None:
    before = everything(walk)
    shutil.rmtree(walk.root / "_build")
    assert "book/walk … executed" in build(walk)
    assert everything(walk) == before
    # It would be another where the requirements are installed in another folder.
    assert ".buildinfo" not in before


def test_a_figure_whose_name_is_not_its_id_has_its_number_and_its_place_everywhere(walk: Copy) -> None:
    page, index = [(walk.root / "_build" / name).read_text() for name in ("html/book/walk.html", "figures/index.html")]
    assert re.search(r'<figure [^>]*id="fig-walk"', page)
    assert re.findall(r'aria-label="(.*?) as PDF"', page) == ["Figure 1"]
    assert "you can play with Figure 1 here" in page
    assert '<h3><a href="../html/book/walk.html#fig-walk">Figure 1</a></h3>\n<p>The path ends' in index


def test_a_changed_module_changes_figures_and_numbers_and_going_back_runs_nothing(walk: Copy) -> None:
    before, said_before = state(walk), number(walk)
    module = "optim_code/figures.py"
    walk.replace(module, "nsteps: int = 20", "nsteps: int = 19")
    assert "book/walk … executed" in build(walk)
    changed = state(walk)
    assert number(walk) != said_before
    assert changed["figures/walk.pdf"] != before["figures/walk.pdf"]
    drawings = [
        re.findall(rb'<svg class="drawing".*?</svg>', book["book/walk.html"], re.S) for book in (before, changed)
    ]
    assert [len(found) for found in drawings] == [1, 1]
    assert drawings[0] != drawings[1]
    report = (walk.root / "_build/changes/index.html").read_bytes()
    for side, (drawing,) in zip((b"before", b"now"), drawings, strict=True):
        ids = side + b"-book-walk-drawing1-"
        assert drawing in report.replace(ids, b"drawing1-")
        assert ids in report
    assert b'href="../html/book/walk.html#fig-walk"' in report
    walk.replace(module, "nsteps: int = 19", "nsteps: int = 20")
    assert "executed" not in build(walk)
    assert state(walk) == before


def test_a_rebuild_without_a_change_reads_no_section_and_changes_no_byte(walk: Copy) -> None:
    before = everything(walk)
    assert "book/" not in build(walk)
    assert everything(walk) == before


def test_a_changed_style_sheet_reaches_the_book_and_no_section_is_read(walk: Copy) -> None:
    name = "book/_static/descent.css"
    before = (walk.root / name).read_text(encoding="utf-8")
    walk.write(name, before + "body { --new: 1; }\n")
    assert "book/" not in build(walk)
    published = walk.published()
    styles = [name for name in published if name.startswith("_static/styles.")]
    assert all(b"--new: 1" in published[style] for style in styles)
    assert any(style.encode() in published["book/walk.html"] for style in styles)
    walk.write(name, before)
    build(walk)


def test_a_changed_sentence_runs_no_cell(walk: Copy) -> None:
    before = state(walk)
    walk.replace("book/walk.md", "# Walk\n", "# Walk\n\nA new sentence.\n")
    said = build(walk)
    assert "book/walk … cached" in said
    assert "book/two" not in said
    assert b"A new sentence." in state(walk)["book/walk.html"]
    walk.write("book/walk.md", WALK)
    build(walk)
    assert state(walk) == before


def test_with_all_cells_from_the_cache_the_figures_are_all_there(walk: Copy) -> None:
    before = state(walk)
    for name in ("html", "figures", ".work"):
        shutil.rmtree(walk.root / "_build" / name)
    assert "executed" not in build(walk)
    assert state(walk) == before
    assert [name for name in before if name.endswith(".pdf")] == ["figures/walk.pdf"]


def test_the_files_of_the_figures_come_back_when_they_were_deleted_and_nothing_has_changed(walk: Copy) -> None:
    before = everything(walk)
    assert "figures/walk.pdf" in before
    shutil.rmtree(walk.root / "_build" / "figures")
    assert "executed" not in build(walk)
    assert everything(walk) == before


def test_a_section_that_left_the_contents_leaves_the_book(walk: Copy, tmp_path: Path) -> None:
    copy = Copy(Path(shutil.copytree(walk.root, tmp_path / "book")))
    assert {name for name in state(copy) if "walk" in name or "_images" in name}
    copy.replace("_toc.yml", "  - file: book/walk\n", "")
    build(copy)
    assert {name for name in state(copy) if "walk" in name or "_images" in name} == set()


CHECKS = "from optim_code import check\n\ncheck('sgd', Mine)"
GETS = "import optim_code\n\ngetattr(optim_code, 'SGD' + 'Optimizer')"
CALLS = "import optim_code\n\neval('optim_code.' + 'SGDOptimizer')"
SHOWS = "from pathlib import Path\n\nprint(Path('optim_code', 'optim.py').read_text())"
WALKS = "from optim_code import SGDOptimizer, output, w\n\noutput(SGDOptimizer([w], lr=0.1))"


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each cell depends on, in a tree of its own in which nothing has changed."""
    root = tmp_path_factory.mktemp("unchanged")
    shutil.copytree(ROOT / "optim_code", root / "optim_code")
    code = Code(root)
    return {cell: code.reachable_digest([cell]) for cell in (CHECKS, WALKS, GETS, CALLS, SHOWS)}


@pytest.mark.parametrize(
    ("file", "old", "new", "reaches"),
    [
        ("marking/mistakes", 'replaced(rule, {symbol("lr")', 'replaced(rule, {symbol("eps")', {CHECKS}),
        ("marking/trials", "NSTEPS = 50", "NSTEPS = 51", {CHECKS}),
        ("equations/compiler", "class ", "class A:\n    pass\n\n\nclass ", {CHECKS}),
        ("figures", "nsteps: int = 20", "nsteps: int = 21", {WALKS, CHECKS}),
        ("optimizers", 'state["t"] += 1', 'state["t"] += 2', {WALKS, CHECKS}),
        ("optim", '"""', '"""In short: ', set()),
    ],
)
def test_the_top_of_the_package_counts_for_all_cells_and_a_folder_for_those_that_name_it(
    tmp_path: Path, digests: dict[str, str], file: str, old: str, new: str, reaches: set[str]
) -> None:
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code")
    path = tmp_path / "optim_code" / f"{file}.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    code = Code(tmp_path)
    changed = {cell for cell, digest in digests.items() if code.reachable_digest([cell]) != digest}
    # What inspects or reads code depends on every byte.
    assert changed == reaches | {GETS, CALLS, SHOWS}


@pytest.mark.parametrize(
    ("name", "is_data"),
    [
        *((name, True) for name in ("book/heights.csv", "book/tool.py", "optim_code/table.json")),
        *((name, True) for name in ("data/rate.csv", "data/deep/er/rate", "rate.txt", "data/run/x")),
        *(
            (name, False)
            for name in ("README.md", "apt.txt", "_build/x.csv", "tests/x.csv", "run/log.csv", "env/pyvenv.cfg", ".x")
        ),
    ],
)
def test_a_file_anywhere_in_the_tree_is_data_for_all_cells(tmp_path: Path, name: str, is_data: bool) -> None:
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code")
    (tmp_path / "book").mkdir()
    code = Code(tmp_path)
    before, page = code.data, Page("book/walk", WALK.split("\n"))
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("1")
    assert (code.data != before) == is_data
    assert code.outputs_key(page, Data("one", [])) != code.outputs_key(page, Data("other", []))


def test_a_page_that_shows_code_is_noted_with_the_code_from_before_it_was_read(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code")
    app: Any = SimpleNamespace(srcdir=str(tmp_path), env=SimpleNamespace(dependencies={}))
    kept_state(app.env).outputs = {"book/api": ""}
    page = Page("book/api", ["```{autoclass} optim_code.optim.Optim", "```"])
    before, module = page_digest(app, page), tmp_path / "optim_code" / "optim.py"
    module.write_text(f"{module.read_text()}# saved while pages are read\n")
    assert page_digest(app, page) == before
    build_state(app).code = None  # the next build
    assert page_digest(app, page) != before


@pytest.mark.parametrize("name", ["tool.py", "book/tool.py", "more/deep/tool.py"])
def test_what_a_module_beside_the_package_uses_of_it_counts(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code")
    (tmp_path / "book").mkdir()
    page, marker = Page("book/walk", WALK.split("\n")), tmp_path / "optim_code" / "marking" / "trials.py"
    keys, uses = [], "from optim_code import check"
    for text, nsteps in (("", 50), ("", 51), (uses, 51), (uses, 50)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        marker.write_text(re.sub(r"(?m)^NSTEPS = \d+", f"NSTEPS = {nsteps}", marker.read_text()))
        code = Code(tmp_path)
        keys.append(code.outputs_key(page, code.data))
    assert keys[0] == keys[1]
    assert len({*keys[1:]}) == 3
