"""The student's kit of a book that hides its solutions and its pages for teachers wherever it can."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from wrappings import CUT, Wrapping, wrapping

from book._ext.downloads.leaks import texts_of
from small_book import NOTEBOOK, Copy, complaints, copy_book

pytestmark = pytest.mark.needs("tex", "poppler")

SECRET = "penguinocracy"
"""A word that only teachers read."""
FIRST = f"""{NOTEBOOK}
# One

```{{code-cell}} ipython3
first = 20
print("the first cell says", first + 1)
```

```{{exercise}} Half
:label: ex-one-half
Try half.
```

```{{solution-start}} ex-one-half
:label: sol-one-half
```
It is a {SECRET}.

$$
y = x
$$ (def-solved)

```{{code-cell}} ipython3
first = 50
print("{SECRET}", first)
```

And a cell after it.

```{{solution-end}}
```

- An item with a listing:
  ```{{literalinclude}} ../optim_code/optimizers.py
  :lines: 1-40
  ```

<!-- ```{{solution}} ex-one-half
The {SECRET} again.
``` -->

% ```{{solution}} ex-one-half
% The {SECRET} as a remark.
% ```

$$
x = y
$$ (def-after)

```{{code-cell}} ipython3
print("the last cell says", first + 3)
```
"""
TOC = """\
format: jb-book
root: book/one
parts:
  - caption: All
    chapters:
      - file: book/updates
      - file: book/two
        sections:
          - file: book/exam
            sections:
              - file: book/deep/below
      - file: outside/adam
  - caption: Found
    chapters:
      - glob: book/found/*
  - caption: For teachers alone
    chapters:
      - file: book/alone.md
"""


@pytest.fixture(scope="module")
def pages() -> list[Wrapping]:
    """Each of the containers by itself, and some in one another."""
    # sphinx-exercise finds no pairs of gates in them.
    unpaired = ("definition", "list_table", "table_cell", "details")
    alone = [wrapping(1000 + n, [container], 1) for n, container in enumerate(CUT)]
    several = [wrapping(2000 + n, [c for c in CUT if c.__name__ not in unpaired]) for n in range(12)]
    return alone + several


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, pages: list[Wrapping]) -> Copy:
    copy = copy_book(tmp_path_factory.mktemp("hides") / "book")
    for folder in ("book/found", "book/deep", "outside"):
        (copy.root / folder).mkdir()
    updates = (copy.root / "book" / "updates.md").read_text(encoding="utf-8")
    adam = next(found[0] for found in re.finditer(r"\$\$\n[^$]+\$\$ \(update-[\w-]+\)", updates) if "adam" in found[0])
    copy.write("book/updates.md", updates.replace(adam, ""))
    copy.write("outside/adam.md", f"# Outside\n\n{adam}\n")
    copy.write("book/one.md", FIRST)
    copy.write(
        "book/exam.md", f'---\nedition: "teacher"  # nobody else\n---\n\n# Exam notes\n\nThe {SECRET} is asked.\n'
    )
    copy.write("book/deep/below.md", f"# Below\n\nThe {SECRET} once more.\n")
    copy.write("book/alone.md", f"\ufeff---\r\nedition: teacher\r\n---\r\n\r\n# Alone\r\n\r\nThe {SECRET}.\r\n")
    copy.write("book/found/zoo.md", f"---\nedition: 'teacher'\n---\n\n# Zoo\n\nThe {SECRET}.\n")
    copy.write("book/kit.md", "# The kit\n\nRead `{book}.pdf`, and {this} as it stands.\n")
    copy.write("_toc.yml", TOC)
    for page in pages:
        for name, text in page.files.items():
            (copy.root / "book" / "found" / name).write_bytes(text.encode())
    return copy


@pytest.fixture(scope="module")
def kit(book: Copy) -> Path:
    done = book.build("student")
    assert done.returncode == 0, done.stdout + done.stderr
    return book.root / "_build" / "student"


def test_no_file_of_the_kit_contains_what_is_hidden(kit: Path, pages: list[Wrapping]) -> None:
    texts = []
    for path in sorted(path for path in kit.rglob("*") if path.is_file()):
        content = path.read_bytes()
        texts.append((path.name, content.decode("latin-1")))
        texts += list(texts_of(path.name, content))
    assert len(texts) > 100
    for hidden in [SECRET, *(page.nonce for page in pages)]:
        assert [name for name, text in texts if hidden in text.lower()] == []
    names = {path.stem for path in kit.rglob("*")}
    assert {"one", "two", "adam", *(f"page{page.number}" for page in pages)} <= names
    assert not names & {"exam", "below", "alone", "zoo"}


def test_the_text_beside_a_solution_is_in_the_kit(kit: Path, pages: list[Wrapping], book: Copy) -> None:
    apart = {"for_students", "html_comment", "percent_comment"}
    for page in (page for page in pages if not apart & {*page.names}):
        mine, theirs = (
            (folder / "book" / "found" / f"page{page.number}.html").read_text(encoding="utf-8")
            for folder in (kit / "html", book.root / "_build" / ".work" / "html" / "html")
        )
        for word in ("Try half.", "before it", "after it", "its end", "The note.", "The end of the page."):
            assert mine.count(word) == theirs.count(word), (page.names, word)


def test_the_kit_says_what_the_book_lets_it_say(kit: Path) -> None:
    (pdf,) = kit.glob("*.pdf")
    text = (kit / "README.md").read_text(encoding="utf-8")
    assert text == f"# The kit\n\nRead `{pdf.name}`, and {{this}} as it stands.\n"
    assert (kit / f"{pdf.stem}-student.zip").is_file()


def test_a_kit_without_its_first_page_is_one_line(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    (copy.root / "book" / "kit.md").unlink()
    said = "descent: book/kit.md: No such file or directory; write it, or take out what names it"
    assert complaints(copy.build("student")) == [said]


def test_both_editions_show_one_run_though_a_solution_has_cells(kit: Path) -> None:
    page = (kit / "html" / "book" / "one.html").read_text(encoding="utf-8")
    assert "the first cell says 21" in page
    assert "the last cell says 53" in page
    assert "You write this code yourself" in page
    notebook = nbformat.read(kit / "one.ipynb", as_version=4)
    assert sum(cell.cell_type == "code" for cell in notebook.cells) == 2


def test_what_stands_after_a_solution_has_one_number_in_both_editions(kit: Path, book: Copy) -> None:
    number = r'<span class="eqno">\(([\d.]+)\)<a class="headerlink" href="#equation-([\w-]+)"'
    teachers, students = (
        dict(reversed(pair) for pair in re.findall(number, (folder / "book" / "one.html").read_text(encoding="utf-8")))
        for folder in (book.root / "_build" / ".work" / "html" / "html", kit / "html")
    )
    solved = teachers.pop("def-solved")
    assert teachers == students
    assert students.keys() == {"def-after"}
    assert solved > students["def-after"]


def test_all_updates_are_in_the_kit_and_mark_a_class_there(kit: Path) -> None:
    updates = json.loads((kit / "optim_code" / "updates.json").read_text(encoding="utf-8"))
    assert {"update-sgd", "update-adam"} <= {*updates}
    code = """
from optim_code import Optim, check
class Mine(Optim):
    def __init__(self, params, lr, alpha, momentum):
        super().__init__(params, dict(lr=lr, alpha=alpha, momentum=momentum))
    def my_step(self, p, state, group):
        p.data -= group["lr"] * p.grad
print(check("adam", Mine))
"""
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=kit, env=alone, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.startswith("✗ Mine as adam: not yet"), done.stderr


def test_there_is_no_kit_where_a_solution_is_not_taken_out(book: Copy, kit: Path) -> None:
    before = {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    two = (book.root / "book" / "two.md").read_text(encoding="utf-8")
    hidden = f"<div>\n```{{solution}} ex-one-half\n{SECRET}.\n```\n</div>\n"
    book.write("book/two.md", f"{two}\n{hidden}")
    line = two.count("\n") + 3
    *_, said = complaints(book.build("student"))
    assert said.startswith(
        f"descent: book/two.md:{line}: the student's kit would give away an answer: html/book/two.html"
    )
    assert {path: path.read_bytes() for path in kit.rglob("*") if path.is_file()} == before
    book.write("book/two.md", two)
