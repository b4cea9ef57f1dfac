"""Wherever the modules of `optim_code` and the sections lie, a build sees all of them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from book._ext.execute.freshness import Code
from book._ext.page.equations import modules_of
from book._ext.page.playground import figure_style
from book._ext.sources.editions import class_files
from conftest import ROOT, run_equations, sample
from optim_code.equations.sections import contents, read_page, read_pages
from optim_code.train import methods
from small_book import NOTEBOOK, ONE, TOC, Copy, complaints, copy_book, run

MODULES = sorted(
    ".".join(path.relative_to(ROOT / "optim_code").with_suffix("").parts)
    for path in (ROOT / "optim_code").rglob("*.py")
    if path.stem != "__init__"
)
CELLS = {
    "walks": "from optim_code import SGDOptimizer, output, w\n\noutput(SGDOptimizer([w], lr=0.1))",
    "checks": "from optim_code import check\n\ncheck('sgd', Mine)",
    "descends": "from optim_code.descent import descend\n\ndescend(x)",
    "reads": "import optim_code.equations.sections as sections\n\nsections.contents(here)",
    "gets": "import optim_code\n\ngetattr(optim_code, 'SGD' + 'Optimizer')",
    "computes": "1 + 1",
}


def moved(root: Path) -> None:
    """Move every module into a package, under another name; a module that imports all of it takes its old place."""
    package, inside = root / "optim_code", root / "optim_code" / "core" / "deep"
    inside.mkdir(parents=True)
    for folder in (inside, inside.parent):
        (folder / "__init__.py").write_text("")
    for name in MODULES:
        old = package.joinpath(*name.split(".")).with_suffix(".py")
        text = old.read_text(encoding="utf-8")
        text = re.sub(r"^(\s*)from (optim_code[\w.]*) import (.+)$", renamed, text, flags=re.M)
        (inside / f"{new_name(name)}.py").write_text(text, encoding="utf-8")
        old.write_text(f"from optim_code.core.deep.{new_name(name)} import *\n", encoding="utf-8")
    init = package / "__init__.py"
    before, table, after = re.split(r"(HOME = \{.*\})", init.read_text(encoding="utf-8"))
    text = before + re.sub(r': "([\w.]+)"', lambda found: f': "core.deep.{new_name(found[1])}"', table) + after
    assert "core.deep.m_optimizers" in text
    init.write_text(text, encoding="utf-8")


def new_name(module: str) -> str:
    return "m_" + module.replace(".", "_")


def renamed(statement: re.Match[str]) -> str:
    """The same import, of the modules' new names."""
    indent, module, names = statement[1], statement[2].partition(".")[2], statement[3]
    if module in MODULES:
        return f"{indent}from optim_code.core.deep.{new_name(module)} import {names}"
    moves, kept = [], []
    for name in names.split(", "):
        old, _, alias = name.partition(" as ")
        here = f"{module}.{old}".strip(".")
        if here in MODULES:
            moves.append(f"{new_name(here)} as {alias or old}")
        else:  # it is the package's own
            kept.append(name)
    lines = [f"{indent}from {statement[2]} import {', '.join(kept)}"] if kept else []
    return "\n".join(lines + ([f"{indent}from optim_code.core.deep import {', '.join(moves)}"] if moves else []))


def reached(root: Path) -> dict[str, str]:
    code = Code(root)
    return {name: code.reachable_digest([cell]) for name, cell in CELLS.items()}


def affected(root: Path, file: str, before: dict[str, str]) -> set[str]:
    """The cells whose outputs depend on a module, found by a change of it, given what they reach ``before``."""
    path = root / "optim_code" / file
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\nCHANGED = 1\n", encoding="utf-8")
    after = reached(root)
    path.write_text(text, encoding="utf-8")
    return {name for name in CELLS if before[name] != after[name]}


@pytest.mark.slow
def test_no_section_misses_code_wherever_the_modules_lie(tmp_path: Path) -> None:
    for name in ("flat", "deep"):
        shutil.copytree(ROOT / "optim_code", tmp_path / name / "optim_code")
    moved(tmp_path / "deep")
    before = {name: reached(tmp_path / name) for name in ("flat", "deep")}
    flat = {name: affected(tmp_path / "flat", f"{name.replace('.', '/')}.py", before["flat"]) for name in MODULES}
    deep = {name: affected(tmp_path / "deep", f"core/deep/{new_name(name)}.py", before["deep"]) for name in MODULES}
    assert set(map(len, deep.values())) == {len(CELLS)}  # all modules are in one folder, which holds the optimizers
    assert flat["fonts"] == flat["optimizers"] == {*CELLS}
    assert flat["marking.mistakes"] == {"checks", "gets"}
    assert flat["equations.sections"] == {"checks", "gets", "reads"}
    assert affected(tmp_path / "deep", "core/__init__.py", before["deep"]) == {*CELLS}


def test_what_students_do_not_get_and_what_playgrounds_look_like_is_found_wherever_it_lies(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code")
    before, colours = class_files(tmp_path), figure_style(modules_of(tmp_path))
    assert before == [tmp_path / "optim_code" / "optimizers.py"]
    moved(tmp_path)
    assert class_files(tmp_path) == [*before, tmp_path / "optim_code" / "core" / "deep" / "m_optimizers.py"]
    assert figure_style(modules_of(tmp_path)) == colours


IMPORTS = [
    "from .aside import tool",
    "from .aside.tool import ONE",
    "from . import aside",
    "from optim_code.aside import tool",
    "import optim_code.aside.tool as tool",
    "def later():\n    from .aside.tool import ONE\n    return ONE",
    "try:\n    from .aside.tool import ONE\nexcept ImportError:\n    ONE = 1",
]
COMPUTED = [
    "import importlib\ntool = importlib.import_module('optim_code.as' + 'ide.tool')",
    "tool = __import__('optim_code.as' + 'ide.tool')",
    "exec('from optim_code.as' + 'ide import tool')",
]


LAZY = """\
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .aside.tool import ONE

HOME = {"check": "marking.checking", "": "problems"}
"""


@pytest.mark.parametrize("module", ["problems.py", "marking/checking.py", "__init__.py"])
def test_every_way_to_import_counts(tmp_path: Path, module: str) -> None:
    package = tmp_path / "optim_code"
    files = {"__init__.py": LAZY, "aside/tool.py": "ONE = 1"}
    for name, text in {**files, "problems.py": "", "marking/checking.py": ""}.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(f"{text}\n")
    assert affected(tmp_path, "aside/tool.py", reached(tmp_path)) == {"gets"}
    before, dots = LAZY if module == "__init__.py" else "", "." * (1 + module.count("/"))
    for statement in [*IMPORTS, *([] if before else COMPUTED)]:
        (package / module).write_text(before + statement.replace("from .", f"from {dots}"))
        expected = {"checks", "gets"} if "/" in module else {*CELLS}
        assert affected(tmp_path, "aside/tool.py", reached(tmp_path)) == expected, statement


def test_comments_docstrings_and_types_are_not_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code")
    before = reached(tmp_path)
    problems = tmp_path / "optim_code" / "problems.py"
    text = problems.read_text(encoding="utf-8")
    problems.write_text(text.replace('"""', '"""In short: ', 1) + "\n# the end\n", encoding="utf-8")
    after = reached(tmp_path)
    # Code that inspects itself may read a docstring.
    assert {name for name in CELLS if before[name] != after[name]} == {"gets"}


# --- real builds

WALK = f"""{NOTEBOOK}
# NAME

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-NAME
    caption: A path.
---
from optim_code import RMSPropOptimizer, output, w

output(RMSPropOptimizer([w], lr=0.1, alpha=0.9), fname="NAME.pdf")
```
"""


def executed(copy: Copy) -> set[str]:
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"(\S+) … executed", done.stdout))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A small book with sections in a subfolder, beside `book` and at its top, that include files."""
    copy = copy_book(tmp_path_factory.mktemp("layouts") / "book")
    sections = {"book/part/intro": "inner", "notes/intro": "outer", "afterword": "top"}
    copy.write("_toc.yml", TOC + "".join(f"  - file: {docname}\n" for docname in sections))
    for docname, name in sections.items():
        path = copy.root / f"{docname}.md"
        path.parent.mkdir(exist_ok=True)
        copy.write(f"{docname}.md", WALK.replace("NAME", name))
    (copy.root / "shared").mkdir()
    copy.write("shared/words.txt", "# More\n\nSome words.\n\n$$\nh = 1\n$$ (def-included)\n")
    copy.replace("notes/intro.md", "# outer\n", "# outer\n\n```{include} ../shared/words.txt\n```\n")
    copy.write("notes/heights.csv", "1,2\n")
    assert executed(copy) == {"book/one", *sections}
    return copy


def test_a_section_anywhere_is_a_section(book: Copy) -> None:
    assert contents(book.root) == [
        "book/one",
        "book/updates",
        "book/two",
        "book/part/intro",
        "notes/intro",
        "afterword",
    ]
    assert "nothing has changed" in book.build().stdout
    figures = {path.name for path in (book.root / "_build" / "figures").glob("*.pdf")}
    assert figures == {"inner.pdf", "outer.pdf", "top.pdf"}
    rows = run_equations(book.root).stdout
    assert re.search(r"^def +def-included +shared/words\.txt:5 ", rows, re.M), rows


@pytest.mark.parametrize("page", sample(["book/part/intro.md", "notes/intro.md", "afterword.md"], "notes/intro.md"))
def test_a_change_of_a_section_anywhere_shows(book: Copy, page: str) -> None:
    before = (book.root / page).read_text(encoding="utf-8")
    book.write(page, before.replace("lr=0.1", "lr=0.2"))
    assert executed(book) == {page.removesuffix(".md")}
    book.write(page, before + "\nAnother sentence.\n")
    assert executed(book) == set()
    assert b"Another sentence." in book.published()[page.replace(".md", ".html")]
    book.write(page, f"{before}\n$$\nh = 2\n$$\n")
    assert re.match(rf"descent: {page}:\d+: equation: a displayed equation needs a label", book.fault())
    book.write(page, before)
    assert executed(book) == set()


def test_a_change_of_what_a_section_includes_or_reads_shows(book: Copy) -> None:
    before = (book.root / "shared/words.txt").read_text(encoding="utf-8")
    book.write("shared/words.txt", before.replace("Some words", "Other words"))
    assert executed(book) == set()
    assert b"Other words." in book.published()["notes/intro.html"]
    book.write("notes/heights.csv", "1,3\n")
    assert executed(book) == {"book/one", "book/part/intro", "notes/intro", "afterword"}
    book.write("notes/heights.csv", "1,2\n")
    assert executed(book) == set()
    for file in ("rate.txt", "data/rate.csv"):  # at the top, and in a folder without pages
        (book.root / "data").mkdir(exist_ok=True)
        book.write(file, "5\n")
        assert executed(book) == {"book/one", "book/part/intro", "notes/intro", "afterword"}
        (book.root / file).unlink()
        assert executed(book) == set()
    book.write("shared/words.txt", before + "\nSee {ref}`sec-nowhere`.\n")
    assert book.fault().startswith("shared/words.txt:9: WARNING: undefined label")
    book.write("shared/words.txt", before + "\n```{code-cell} ipython3\n1 / 0\n```\n")
    assert "ZeroDivisionError" in book.fault()
    book.write("shared/words.txt", before.replace("h = 1", r"\eta = 2 \eta").replace("def-", "identity-"))
    assert re.match(r"descent: shared/words\.txt:5: identity-included: the two sides are", book.fault())
    book.write("shared/words.txt", before)
    assert executed(book) == set()


def test_what_a_page_offers_to_download_is_there_and_new(copy: Copy) -> None:
    def offered() -> list[bytes]:
        assert copy.build().returncode == 0
        return [data for name, data in copy.published().items() if name.startswith("_downloads/")]

    copy.write("book/numbers.txt", "1")
    assert offered() == []
    copy.write("book/one.md", ONE + "\nSee {download}`numbers.txt`.\n")
    for number in ("1", "2"):
        copy.write("book/numbers.txt", number)
        assert offered() == [number.encode()]
    copy.write("book/one.md", ONE)
    assert offered() == []


def test_check_knows_the_updates_of_sections_anywhere(book: Copy) -> None:
    before = (book.root / "shared/words.txt").read_text(encoding="utf-8")
    update = "\n1. > ::::{note}\n   > $$\n   > w_{t+1} = w_t - \\eta\\, g_t\n   > $$ (update-included)\n   > ::::\n"
    book.write("shared/words.txt", before + update)
    program = "from optim_code.marking.checking import updates; import json; print(json.dumps(updates()))"
    done = run([sys.executable, "-c", program], book.root)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    book.write("shared/words.txt", before)
    assert found.pop("update-included") == r"w_{t+1} = w_t - \eta\, g_t"
    assert {*found} == {f"update-{name}" for name in methods()}


TRIPLED = ("p.addcdiv_(g, root, ", "p.addcdiv_(3 * g, root, ")


@pytest.mark.slow
def test_a_package_beside_the_modules_hides_none_of_them(book: Copy, tmp_path: Path) -> None:
    copy = Copy(Path(shutil.copytree(book.root, tmp_path / "book")))
    (copy.root / "optim_code" / "later").mkdir()
    copy.write("optim_code/later/__init__.py", "")
    executed(copy)
    copy.replace("optim_code/optimizers.py", *TRIPLED)
    assert re.match(r"descent: book/updates\.md:\d+: update-rmsprop: differs from RMSPropOptimizer", copy.fault())


def shown(name: str, published: dict[str, bytes]) -> bytes:
    """A file of the book without what runs code in pages, which a module of another shape does not have."""
    if name.startswith("_static/"):
        return b""
    own = rb"<script>var descentInPage = .*?</script>\n|_static/(?:styles|scripts)\.\w+|<meta http-equiv=[^\n]*"
    return re.sub(own, b"", published.get(name, b""), flags=re.S)


@pytest.mark.slow
def test_with_every_module_moved_and_renamed_the_book_is_as_well_checked(book: Copy, tmp_path: Path) -> None:
    copy = Copy(Path(shutil.copytree(book.root, tmp_path / "book")))
    before = copy.published()
    moved(copy.root)
    assert executed(copy) == {"book/one", "book/part/intro", "notes/intro", "afterword"}
    after = copy.published()
    assert {name for name in before if shown(name, before) != shown(name, after)} == set()
    copy.replace("optim_code/core/deep/m_optimizers.py", *TRIPLED)
    assert re.match(r"descent: book/updates\.md:\d+: update-rmsprop: differs from RMSPropOptimizer", copy.fault())
    copy.replace("optim_code/core/deep/m_optimizers.py", *TRIPLED[::-1])
    copy.replace("optim_code/core/deep/m_figures.py", "nsteps: int = 20", "nsteps: int = 19")
    assert executed(copy) == {"book/one", "book/part/intro", "notes/intro", "afterword"}
    assert copy.published() != after


# --- reading


def test_included_text_stands_where_the_include_stood(tmp_path: Path) -> None:
    (tmp_path / "_toc.yml").write_text("root: page\nchapters:\n  - glob: more/*\n")
    (tmp_path / "more").mkdir()
    for name in ("b", "a"):
        (tmp_path / "more" / f"{name}.md").write_bytes(b"\xef\xbb\xbf# Title\r\n\r\nWords.\r\n")
    (tmp_path / "part.txt").write_text("first\n\n````{note}\n```{include} inner.txt\n```\n````\nlast\n")
    (tmp_path / "inner.txt").write_text("```{hint}\n$$\na\n$$ (def-a)\n```\n")
    (tmp_path / "page.md").write_text(
        "# Page\n\n> - ````{admonition} Title\n>   ```{include} part.txt\n>   ```\n>   ````\n"
    )
    page = read_page(tmp_path, "page")
    (equation,) = [block for block in page.blocks if block.kind == "equation"]
    assert equation.argument == "def-a"
    assert equation.parents == ("admonition", "note", "hint")
    assert page.where(equation.first) == "inner.txt:2"
    # A fence around another one is the longer, and ends where it did.
    assert all(block.closed for block in page.blocks)
    assert [page.where(n) for n, line in enumerate(page.lines) if "last" in line] == ["part.txt:7"]
    assert [path.name for path in page.included] == ["part.txt", "inner.txt"]
    assert list(read_pages(tmp_path)) == ["page", "more/a", "more/b"]
    assert read_page(tmp_path, "more/a").lines == ["# Title", "", "Words.", ""]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"```{include} nothing.txt\n```\n", "page.md:1: {include} names nothing.txt, which is not there; "),
        (b"```{include}\n```\n", "page.md:1: {include} names no file, which is not there; "),
        (b"Words.\n\n```{include} page.md\n```\n", "page.md:3: {include} page.md: the file includes itself; "),
        (b"```{include} round.txt\n```\n", "round.txt:2: {include} round.txt: the file includes itself; "),
        (b"```{include} part.txt\n:start-after: nowhere\n```\n", "page.md:1: {include} part.txt: start-after: "),
        (b"```{include} part.txt\n:start-line: two\n```\n", "page.md:1: {include} part.txt: start-line and end-"),
        (
            b"```{include} part.txt\n:heading-offset: 1\n```\n",
            "page.md:1: {include} has no option heading-offset ",
        ),
        (b"```{include} part.txt\n:start-line: [\n```\n", "page.md:1: the options are not YAML ("),
        (b"# Page\n\n\xe4\n", "page.md:3: byte 0xe4 is not UTF-8; save the file as UTF-8"),
        (b"```{include} latin.txt\n```\n", "latin.txt:2: byte 0xfc is not UTF-8; save the file as UTF-8"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "page.md").write_bytes(text)
    (tmp_path / "part.txt").write_text("Words.\n")
    (tmp_path / "round.txt").write_text("Words.\n```{include} round.txt\n```\n")
    (tmp_path / "latin.txt").write_bytes(b"Words.\n\xfcber\n")
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        read_page(tmp_path, "page")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["one.md", "part.txt"])
def test_what_cannot_be_read_stops_the_build_with_the_same_line(book: Copy, name: str) -> None:
    copy = book
    before = (copy.root / "book/one.md").read_bytes()
    (copy.root / "book/part.txt").write_bytes(b"\xfc\n")
    try:
        added = b"\n\xfc\n" if name == "one.md" else b"\n```{include} part.txt\n```\n"
        (copy.root / "book/one.md").write_bytes(before + added)
        assert re.fullmatch(rf"descent: book/{name}:\d+: byte 0xfc is not UTF-8; save the file as UTF-8", copy.fault())
        done = run_equations(copy.root)
        assert complaints(done) == [copy.fault()]
    finally:
        (copy.root / "book/one.md").write_bytes(before)
        (copy.root / "book/part.txt").unlink()
