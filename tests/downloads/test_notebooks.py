"""The notebooks: they say what the page says, run from top to bottom, draw its figures, and keep a student's class."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bs4
import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from playwright.sync_api import Browser

from book._ext.downloads.leaks import Secrets, leaks
from book._ext.downloads.notebooks import Section, notebook_names
from book._ext.downloads.student import write_kit_module
from book._ext.execute.freshness import outputs_path
from book._ext.figures.needed_code import needed_code
from book._ext.page.formulas import ANNOTATION, MATH
from book._ext.sources.editions import CLASSES
from book._ext.state import kept_state
from conftest import PAGES, ROOT, SECTIONS, SOURCES, run_module, set_up_kernels
from small_book import NOTEBOOK, ONE, TOC, Copy, copy_book

MADE = """
import json
from book._ext.cli.build import build
from book._ext.cli.publishing import build_lock
from book._ext.downloads.notebooks import notebook
from book._ext.state import kept_state

with build_lock():
    apps = {edition: build("html", edition) for edition in ("teacher", "student")}
keys = {name: key for name, key in kept_state(apps["teacher"].env).outputs.items() if key}
made = {
    edition: {name: notebook(app, name, app.env.get_and_resolve_doctree(name, app.builder)) for name in keys}
    for edition, app in apps.items()
}
print(json.dumps([keys, made]))
"""
WITH_CLASS = [page for page in SECTIONS if "-my-step" in SOURCES[page]]
Notebook = nbformat.NotebookNode


@pytest.fixture(scope="module")
def built(
    html: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], dict[str, dict[str, Notebook]]]:
    """The key of each section's outputs, and its notebook in both editions."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "made.py").write_text(MADE, encoding="utf-8")
    done = run_module("made", PYTHONPATH=f"{ROOT}{os.pathsep}{folder}")
    assert done.returncode == 0, done.stderr
    keys, editions = json.loads(done.stdout.splitlines()[-1])
    return keys, {e: {name: nbformat.from_dict(nb) for name, nb in found.items()} for e, found in editions.items()}


@pytest.fixture(scope="module")
def teacher(built: Any) -> dict[str, Notebook]:
    return built[1]["teacher"]


@pytest.fixture(scope="module")
def student(built: Any) -> dict[str, Notebook]:
    return built[1]["student"]


def cell(notebook: Notebook, kind: str) -> Notebook:
    """The only cell of that kind: its class, or the check of it."""
    (found,) = cells(notebook, kind)
    return found


def cells(notebook: Notebook, kind: str) -> list[Notebook]:
    return [cell for cell in notebook.cells if cell.id.startswith(f"{kind}-")]


def markdown(notebook: Notebook) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


# --- as files ------------------------------------------------------------------------------------------------------


def test_every_section_with_cells_has_its_notebook_to_download(html: Path, teacher: dict[str, Notebook]) -> None:
    assert sorted(teacher) == sorted(SECTIONS)
    for page in PAGES:
        soup = bs4.BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        links = [link for link in soup.select(".article-header-buttons a") if link["href"].endswith(".ipynb")]
        assert len(links) == (page in SECTIONS), page
        for link in links:
            assert link["title"] == "Download this section as a notebook"
            # made by another process, and the same to the byte
            file = (html / page).parent / link["href"]
            assert file.read_text(encoding="utf-8") == nbformat.v4.writes(teacher[page]) + "\n"


@pytest.mark.parametrize("edition", ["teacher", "student"])
def test_a_notebook_is_valid_and_does_not_show_where_and_when_it_was_made(built: Any, edition: str) -> None:
    for notebook in built[1][edition].values():
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
        assert all(not cell.metadata for cell in notebook.cells)
        assert all(not cell.get("outputs") and cell.source.strip() for cell in notebook.cells)
        text = nbformat.v4.writes(notebook)
        assert str(ROOT) not in text
        assert "myst_nb" not in text
        assert "glue" not in text


def test_no_solution_is_in_a_students_notebook(built: Any, tmp_path: Path) -> None:
    secrets = Secrets.of(ROOT)
    for edition, notebooks in built[1].items():
        (tmp_path / edition).mkdir()
        for name, notebook in notebooks.items():
            (tmp_path / edition / f"{Path(name).name}.ipynb").write_text(nbformat.v4.writes(notebook), encoding="utf-8")
    assert leaks(tmp_path / "student", secrets) == []
    told = {line.partition(" tells ")[2] for line in leaks(tmp_path / "teacher", secrets)}
    # The chapter for editors shows how a solution is written, and has no notebook.
    pages = {f"{Path(name).name}.md" for name in built[1]["teacher"]}
    solved = {name for name, runs in secrets.solutions.items() if runs and name.partition(":")[0] in pages}
    assert told >= {name for name in solved if not name.endswith("-my-step")}
    assert told >= set(secrets.code)


# --- the text ------------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """A text by its letters and digits, without maths."""
    text = re.sub(r"\$\$.*?\$\$|\$[^$]+\$|\\\(.*?\\\)|\\\[.*?\\\]", " ", text, flags=re.S)
    return "".join(re.findall(r"[\w.()]", text.replace("_", "")))


@pytest.mark.parametrize("page", SECTIONS)
def test_a_notebook_says_what_the_page_says(html: Path, teacher: dict[str, Notebook], page: str) -> None:
    """Every paragraph and caption, with the numbers, names and citations that the page shows in it."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    text = MATH.sub(lambda found: "".join(rf"\({tex}\)" for tex in ANNOTATION.findall(found[0])), text)
    soup = bs4.BeautifulSoup(text, "html.parser")
    article = soup.select_one("article")
    for solution in article.select(".solution"):
        if "Write my_step" in solution.get_text():
            solution.decompose()  # the class itself, which stands further up
    apart = (
        ".playground, .downloads, .headerlink, details.checked, .held-mark, .held-note, script, [id$=my-step], "
        ".solution > .admonition-title"
    )
    for gone in article.select(apart):
        gone.decompose()
    said = plain(markdown(teacher[page]))
    paragraphs = article.select("p, figcaption, td, h1, h2, h3")
    assert len(paragraphs) > 20 or page == PAGES[0]
    texts = [p.get_text().replace("\u2060", "") for p in paragraphs]  # which keeps a mark and a full stop in one line
    assert [text for text in texts if plain(text) not in said] == []


@pytest.mark.parametrize("page", SECTIONS)
@pytest.mark.parametrize("edition", ["teacher", "student"])
def test_equations_and_figures_keep_their_numbers_and_nothing_of_myst_is_left(
    html: Path, built: Any, page: str, edition: str
) -> None:
    soup = bs4.BeautifulSoup((html / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
    text = markdown(built[1][edition][page])
    numbers = [span.get_text().strip("()#\u00b6") for span in soup.select("span.eqno")]
    assert re.findall(r"\\tag\{([\d.]+)\}", text) == numbers
    figures = [span.get_text().strip() for span in soup.select("figcaption .caption-number")]
    assert re.findall(r"^\*\*(Figure [\d.]+)\*\*", text, flags=re.M) == figures
    # Each below its cell, also of those that stand side by side on the page.
    there = built[1][edition][page].cells
    assert {above.cell_type for above, told in pairwise(there) if told.source.startswith("**Figure ")} == {"code"}
    assert re.findall(r"\{[\w:]+\}`|^:::|^`{3,}\{|^\([\w-]+\)=|^%|^:\w+:", text, flags=re.M) == []
    assert set(re.findall(r"</?(\w+)[^>]*>", text)) <= {"details", "summary", "b"}


@pytest.mark.parametrize("page", WITH_CLASS)
def test_the_exercise_stands_where_the_class_is_printed(student: dict[str, Notebook], page: str) -> None:
    there = student[page].cells
    asking = []
    for written in cells(student[page], "class"):
        place = there.index(written)
        asked, checked = there[place - 1], there[place + 1]
        asking.append(asked)
        name = re.match(r"(?:.*\n)*?class (\w+)\(Optim\):", written.source)[1]
        assert "(Write my_step" in asked.source
        assert "<summary><b>Hint</b></summary>" in asked.source
        assert not re.search(r"\bMy[A-Z]", asked.source)
        assert re.search(rf'check\("\w+", {name}\)', asked.source)
        assert re.search(rf'\ncheck\("\w+", {name}\)$', checked.source)
        assert "raise NotImplementedError" in written.source
    asks = [c for c in there if c.id.startswith("exercise-")]
    answers = [there[there.index(c) + 1].id for c in asks if c not in asking]
    assert answers == [c.id.replace("exercise-", "answer-") for c in asks if c not in asking]
    text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    assert len(asking) == len(re.findall(r"^:label: ex-[\w-]+-my-step$", text, re.M))
    assert "stands further up" in markdown(student[page])


# --- run -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kernels() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        set_up_kernels(patch)
        # A notebook finds the module beside it, and nowhere else.
        patch.setenv("PYTHONPATH", ".")
        yield


def run(notebook: Notebook, folder: Path, allow_errors: bool = False) -> Notebook:
    client = NotebookClient(
        deepcopy(notebook), timeout=120, allow_errors=allow_errors, resources={"metadata": {"path": str(folder)}}
    )
    # In a loop of its own, which is closed after it; a thread's would be left open.
    return asyncio.run(client.async_execute())


def run_all(notebooks: dict[str, Notebook], folder: Path) -> dict[str, Notebook]:
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return dict(zip(notebooks, pool.map(lambda notebook: run(notebook, folder), notebooks.values()), strict=True))


def drawn(notebook: Notebook) -> list[str]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output["data"]["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]


@pytest.mark.slow
def test_the_teachers_run_from_top_to_bottom_and_draw_the_figures_of_the_book(
    built: Any, teacher: dict[str, Notebook], kernels: None, tmp_path: Path
) -> None:
    write_kit_module(tmp_path / "optim_code")
    shutil.copy(ROOT / CLASSES, tmp_path / CLASSES)
    for page, ran in run_all(teacher, tmp_path).items():
        figures = drawn(nbformat.read(outputs_path(ROOT, built[0][page]), as_version=4))
        assert figures
        assert drawn(ran) == figures, page


@pytest.mark.slow
def test_a_students_run_with_the_class_written_and_draw_all_figures(
    teacher: dict[str, Notebook], student: dict[str, Notebook], kernels: None, tmp_path: Path
) -> None:
    write_kit_module(tmp_path / "optim_code")
    written = deepcopy(student)
    for page in WITH_CLASS:
        for stub, whole in zip(cells(written[page], "class"), cells(teacher[page], "class"), strict=True):
            stub.source = whole.source
    for page, ran in run_all(written, tmp_path).items():
        assert len(drawn(ran)) == len(re.findall(r"^\*\*Figure ", markdown(teacher[page]), flags=re.M))
        if page in WITH_CLASS:
            for checked in cells(ran, "check"):
                (verdict,) = checked.outputs
                assert ": passed" in verdict["data"]["text/plain"]
                assert "✓" in verdict["data"]["text/html"]


def test_a_students_notebook_that_is_not_written_yet_runs_up_to_its_class_and_says_so(
    student: dict[str, Notebook], kernels: None, tmp_path: Path
) -> None:
    write_kit_module(tmp_path / "optim_code")
    ran = run(student["book/sgd"], tmp_path, allow_errors=True)
    check = ran.cells.index(cell(ran, "check"))
    outputs = [output for cell in ran.cells[:check] for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] == "error"]
    (verdict,) = ran.cells[check].outputs
    assert "my_step is not written" in verdict["data"]["text/plain"]
    errors = [output for cell in ran.cells[check:] for output in cell.get("outputs", ()) if "ename" in output]
    assert {error["ename"] for error in errors} <= {"NotImplementedError", "NameError"}
    assert errors[0]["evalue"] == "write my_step"


# --- of hidden cells -----------------------------------------------------------------------------------------------


def left_of(hidden: str, *visible: str) -> str:
    sources, _ = needed_code([(hidden, True), *((source, False) for source in visible)])
    return sources[0]


@pytest.mark.parametrize(
    ("hidden", "visible", "left"),
    [
        ("import math\nimport torch\nfrom a import b, c", "torch.ones(c)", "import torch\nfrom a import c"),
        ("x = 1\nassert x\ny = 2  # not needed", "print(x)", "x = 1"),
        ("x = 1\ny = x + 1\nx = 5", "print(y)", "x = 1\ny = x + 1"),
        ("from myst_nb import glue\nx = 1\nglue('a', x)", "x", "x = 1"),
        ("x = []\nx.append(1)\nz = []\nz.append(1)", "x", "x = []\nx.append(1)"),
        ("a, b = {}, {}\nfor i in c:\n    a[i], b[i] = i, 1", "a", "a, b = {}, {}\nfor i in c:\n    a[i], b[i] = i, 1"),
        ("for i in range(3):\n    assert i\n    k = i", "x = 1", ""),
        ("for i in range(3):\n    assert i\n    k = i", "k", "for i in range(3):\n    k = i"),
        ("if a:\n    x = 1\nelse:\n    assert b", "x", "if a:\n    x = 1\nelse:\n    pass"),
        ("n = 0\nm = 1\nfor i in r:\n    n = m\n    m = n", "n", "n = 0\nm = 1\nfor i in r:\n    n = m\n    m = n"),
        ("def f(x):\n    return x + y\n\n\ny = 1\nx = 2", "f(3)", "def f(x):\n    return x + y\n\n\ny = 1"),
        ("x = 1\ny = [x for x in z]", "y", "y = [x for x in z]"),
        ("# why\nassert a\n# how\nx = 1", "x", "# how\nx = 1"),
        ("n = 1\nn += 1\nassert n == 2", "n", "n = 1\nn += 1"),
    ],
)  # fmt: skip
def test_a_hidden_cell_keeps_what_later_cells_need(hidden: str, visible: str, left: str) -> None:
    assert left_of(hidden, visible) == left


def test_a_visible_cell_loses_only_what_glues() -> None:
    source = "from myst_nb import glue\nassert x\ny = 1\nglue('y', y)"
    assert needed_code([(source, False)]) == (["assert x\ny = 1"], {"x"})
    assert needed_code([("%timeit f(1)", False)]) == (["%timeit f(1)"], {"timeit", "f"})


OTHERS = "\n# the other methods, run by their equations\nfrom optim_code.marking.checking import compiled"


@pytest.mark.parametrize(
    ("source", "teacher", "student"),
    [
        ("from optim_code import A, w\na = 1", "from optim_code import w\na = 1", "from optim_code import w\na = 1"),
        ("import m\nfrom optim_code import A\na = 1", "import m\na = 1", "import m\na = 1"),
        ("from optim_code import A, w; a = 1", "from optim_code import w\na = 1", "from optim_code import w\na = 1"),
        ("from optim_code import A; a = 1", "a = 1", "a = 1"),
        (
            "from optim_code import B, w; b = 1\nimport m",
            "from optim_code import B, w; b = 1\nimport m",
            f'from optim_code import w\nb = 1\nimport m\n{OTHERS}\nB = compiled("b")',
        ),
        (
            "from m import A, B\nfrom optim_code import B as C\nC",
            "from m import A, B\nfrom optim_code import B as C\nC",
            f'from m import A, B\n{OTHERS}\nC = compiled("b")\nC',
        ),
        ("%run x\nfrom optim_code import A", "%run x\nfrom optim_code import A", "%run x\nfrom optim_code import A"),
    ],
)
def test_an_import_of_a_class_that_the_notebook_has_is_left_out_and_no_other_statement(
    source: str, teacher: str, student: str
) -> None:
    for edition, left in (("teacher", teacher), ("student", student)):
        section: Any = SimpleNamespace(edition=edition, methods={"A": "a", "B": "b"})
        assert Section.without_own_imports(section, source, {"A"}) == left


PLACED = f"""{NOTEBOOK}# One

Before.

```{{code-cell}} ipython3
:tags: [remove-cell]
needed = 1
```

:::{{note}}
Between.
:::

```{{code-cell}} ipython3
:tags: [remove-cell]
assert needed
```

After.

```{{code-cell}} ipython3
needed
```
"""


def test_a_hidden_cell_stands_where_it_stands_in_the_section(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    copy.write("book/one.md", PLACED)
    assert copy.build().returncode == 0
    made = nbformat.read(copy.root / "_build/html/_notebooks/one.ipynb", as_version=4)
    title, *others = (cell.source for cell in made.cells)
    assert title.endswith("\n\nBefore.")
    assert others == ["needed = 1", "> **Note**\n>\n> Between.\n\nAfter.", "needed"]


# --- in the build --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return copy_book(tmp_path_factory.mktemp("notebooks") / "book")


@pytest.mark.parametrize("others", [0, 6], ids=["pages written by one process", "pages written side by side"])
def test_each_thing_that_no_notebook_can_show_is_one_line_with_its_place(tmp_path: Path, others: int) -> None:
    copy = copy_book(tmp_path / "book")
    copy.add_pages(others)
    copy.write("book/one.md", f"{ONE}\n```{{eval-rst}}\n:field: Words.\n```\n\nPress {{fas}}`gear`.\n")
    *lines, last = copy.faults()
    assert lines == [
        "book/one.md:17: WARNING: a notebook has nothing for this field list; write it otherwise",
        "book/one.md:20: WARNING: a notebook has no words for this fontawesome; write it otherwise",
    ]
    assert last == "descent: 2 warnings, named above; there is no new book, and the last one stays as it was"


@pytest.mark.slow
def test_a_notebook_does_not_repeat_warnings_of_its_page_and_other_notebooks_still_warn(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    copy.write("_toc.yml", TOC + "  - file: book/three\n")
    copy.write("book/three.md", "# Three\n")
    # Found where the page is read, and where it is written.
    for fault in ("{{ nosuch }}", "{ref}`sec-none`", "{glue:text}`none`", "![x](none.png)"):
        copy.write("book/one.md", f"{ONE}\n- See {fault}.\n")
        *lines, _ = copy.faults()
        assert lines, fault
        assert "notebook" not in "".join(lines)
    # Each page's notebook has its line.
    copy.write("book/one.md", f"{ONE}\n> {{fas}}`gear`\n")
    copy.write("book/three.md", f"{ONE.replace('# One', '# Three')}\n- {{fas}}`gear`\n")
    *lines, _ = copy.faults()
    assert sorted(lines) == [
        f"book/{page}.md:16: WARNING: a notebook has no words for this fontawesome; write it otherwise"
        for page in ("one", "three")
    ]


PLACES = """
A footnote.[^n] {{ keys }} and {{ fine }}

Term {fas}`gear`
: Text

  : {fas}`gear`

## {fas}`gear`

> See {{ keys }}

- ```{admonition} {fas}`gear`
  Text
  ```

[^n]: A note

    1. {fas}`gear`
"""


def test_warnings_name_the_line_of_footnotes_terms_titles_and_substitutions(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    top = NOTEBOOK.replace(
        "kernelspec", 'myst:\n  substitutions:\n    keys: "a {fas}`gear`"\n    fine: yes\nkernelspec'
    )
    text = ONE.replace(NOTEBOOK, top) + PLACES.replace("```{adm", ":::{adm").replace("  ```\n", "  :::\n")
    copy.write("book/one.md", text)
    *lines, _ = copy.faults()
    wanted = [n for n, line in enumerate(text.split("\n"), start=1) if re.search(r"{fas}|{{ keys", line) and n > 12]
    assert [int(line.split(":")[1]) for line in lines] == sorted(wanted)


# --- two of one name -----------------------------------------------------------------------------------------------


def test_two_sections_with_one_file_name_have_a_notebook_each(tmp_path: Path) -> None:
    """Whatever was built before: the second gets cells, loses them again, and the bytes are those of the first time."""
    copy = copy_book(tmp_path / "book")
    copy.write("_toc.yml", f"{TOC}  - file: book/first/one\n  - file: book/second/one\n")
    for folder in ("first", "second"):
        (copy.root / "book" / folder).mkdir()
    states = {
        ("one",): {"one": "One"},
        ("one", "first/one"): {"book-one": "One", "first-one": "The first"},
        ("one", "first/one", "second/one"): {"book-one": "One", "first-one": "The first", "second-one": "The second"},
    }
    seen: dict[tuple[str, ...], dict[str, bytes]] = {}
    for pages in [*states, *reversed(states)]:
        for folder in ("first", "second"):
            with_cells = ONE.replace("# One", f"# The {folder}")
            copy.write(f"book/{folder}/one.md", with_cells if f"{folder}/one" in pages else f"# The {folder}\n")
        done = copy.build()
        assert done.returncode == 0, done.stderr
        html = copy.root / "_build" / "html"
        titles = {}
        for path in html.glob("_notebooks/*"):
            titles[path.stem] = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"][0].strip("# \n")
        assert titles == states[pages]
        for page, name in zip(pages, states[pages], strict=True):
            soup = bs4.BeautifulSoup((html / "book" / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
            (link,) = [a["href"] for a in soup.select(".article-header-buttons a") if a["href"].endswith(".ipynb")]
            assert (html / "book" / page).parent.joinpath(link).resolve() == html / "_notebooks" / f"{name}.ipynb"
        assert copy.published() == seen.setdefault(pages, copy.published())


@pytest.mark.parametrize(
    ("pages", "names"),
    [
        (["book/sgd", "book/adam"], ["sgd", "adam"]),
        (["a/x/intro", "b/x/intro", "b/y/intro"], ["a-x-intro", "b-x-intro", "y-intro"]),
        (["intro", "a/intro"], ["intro", "a-intro"]),
        (["a/b-c", "a-b/c", "d/c", "e/b-c"], ["a--b-c", "a-b--c", "d-c", "e-b-c"]),
        (["a/Intro", "b/intro"], ["a-Intro", "b-intro"]),
    ],
)
def test_no_two_notebooks_have_one_name(pages: list[str], names: list[str]) -> None:
    for order in (pages, pages[::-1]):
        env: Any = SimpleNamespace()
        kept_state(env).outputs = {"book/no-cells": "", **dict.fromkeys(order, "key")}
        assert notebook_names(env) == dict(zip(pages, names, strict=True))


# --- alone ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", ["teacher", "student"])
def test_a_notebook_alone_says_in_one_line_what_it_needs(
    built: Any, edition: str, kernels: None, tmp_path: Path
) -> None:
    notebook = built[1][edition]["book/adam"]
    with pytest.raises(CellExecutionError) as stopped:
        run(notebook, tmp_path)
    first = next(n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    ran = run(nbformat.from_dict({**notebook, "cells": notebook.cells[: first + 1]}), tmp_path, allow_errors=True)
    (output,) = ran.cells[first].outputs
    assert output.ename == stopped.value.ename == "ModuleNotFoundError"
    (line,) = output.traceback
    assert line == output.evalue == stopped.value.evalue
    assert "\n" not in line
    assert "no folder optim_code" in line
    assert "the book's source" in line
    assert "student's kit" in line
    assert "which lies in the book's source and in the student's kit" in notebook.cells[0].source
    # Beside its module, it runs without a word.
    write_kit_module(tmp_path / "optim_code")
    ran = run(nbformat.from_dict({**notebook, "cells": notebook.cells[: first + 1]}), tmp_path)
    assert ran.cells[first].outputs == []


def test_a_notebook_names_the_address_of_the_book_and_checks_for_the_module_only_if_needed(
    tmp_path: Path,
) -> None:
    copy = copy_book(tmp_path / "book")
    needs = ONE.replace('print("the first cell")', "from optim_code import w")
    copy.write("book/one.md", needs)
    copy.replace("_config.yml", 'repository_url: ""', "repository_url: https://github.com/example/descent")
    assert copy.build().returncode == 0
    said = "the book's source and in the student's kit, see https://github.com/example/descent"
    assert read(copy, "_build/html/_notebooks/one.ipynb").count(said) == 2
    copy.write("book/one.md", ONE)
    assert copy.build().returncode == 0
    assert "find_spec" not in read(copy, "_build/html/_notebooks/one.ipynb")


def read(copy: Copy, name: str) -> str:
    return (copy.root / name).read_text(encoding="utf-8")


@pytest.mark.needs("chromium")
def test_the_notebook_can_be_downloaded_with_the_keyboard(site: str, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 700})
    page.goto(f"{site}/book/adam.html")
    menu = page.get_by_role("button", name="Download this section")
    menu.focus()
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="Notebook (.ipynb)")
    link.wait_for(state="visible")
    page.keyboard.press("ArrowDown")
    assert link.evaluate("link => link === document.activeElement")
    with page.expect_download() as got:
        page.keyboard.press("Enter")
    assert got.value.suggested_filename == "adam.ipynb"
    page.close()
