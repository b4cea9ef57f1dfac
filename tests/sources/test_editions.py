"""Two editions of one source, and the search for what the student's must not tell."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from book._ext.downloads.leaks import Secrets, leaks
from book._ext.sources.checking import check_front_matter
from book._ext.sources.editions import WRITTEN, check_included, edition_text, is_for_teachers, student_contents
from conftest import PAGES, ROOT
from optim_code.equations.sections import Page, SectionError, read_page
from optim_code.train import methods

SOURCE = """\
Before.

```{literalinclude} ../optim_code/optimizers.py
:pyobject: SGDOptimizer
:class: listing
```

:::{only} teacher
For teachers.

```{note}
With a fence.
```
:::

:::{only} student
For students.
:::

````{exercise} Write my_step
:label: ex-sgd-my-step
Do it.
````

````{solution} ex-sgd-my-step
Like this:

```{literalinclude} ../optim_code/optimizers.py
:pyobject: SGDOptimizer
```
````

```python
# a fence that is only shown: ```{solution}
```
After.
"""


def said(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def test_the_teachers_edition_is_the_source_without_what_is_said_to_students() -> None:
    lines = said(edition_text(SOURCE, "teacher"))
    assert "For teachers." in lines
    assert "```{note}" in lines
    assert "For students." not in lines
    assert "````{solution} ex-sgd-my-step" in lines
    assert lines.count("```{literalinclude} ../optim_code/optimizers.py") == 2


def test_the_students_edition_has_no_solution_and_no_class_but_says_who_writes_it() -> None:
    text = edition_text(SOURCE, "student")
    lines = said(text)
    assert "For students." in lines
    assert "For teachers." not in lines
    assert "With a fence." not in lines
    assert "Like this:" not in lines
    assert "Do it." in lines
    assert "literalinclude" not in text
    assert "You write the class `SGDOptimizer` yourself, in {ref}`ex-sgd-my-step`." in lines
    assert WRITTEN.findall(text) == ["SGDOptimizer"]
    assert lines[-1] == "After."


@pytest.mark.parametrize("edition", ["teacher", "student"])
@pytest.mark.parametrize("page", PAGES)
def test_a_line_keeps_its_number_in_every_edition(page: str, edition: str) -> None:
    source = (ROOT / f"{page}.md").read_text(encoding="utf-8").split("\n")
    edited = edition_text("\n".join(source), edition).split("\n")
    assert len(edited) == len(source)
    kept = [number for number, line in enumerate(source) if line.startswith(("#", "```{code-cell}", "$$ ("))]
    allowed = {number for number in kept if edited[number] == source[number]}
    # What is gone is a heading that only teachers read.
    assert all(edited[number] == "" and source[number].startswith("## The optimizers") for number in {*kept} - allowed)


def test_an_edition_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="there are two editions, teacher and student"):
        edition_text(":::{only} reader\nText.\n:::\n", "teacher")


def test_a_page_for_teachers_is_not_in_the_students_contents(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("---\nedition: teacher\n---\n# One\n", encoding="utf-8")
    (tmp_path / "two.md").write_text("# Two\n\nedition: teacher\n", encoding="utf-8")
    contents = {"root": "two", "parts": [{"caption": "C", "chapters": [{"file": "one"}, {"file": "two"}]}]}
    assert student_contents(contents, tmp_path)["parts"] == [{"caption": "C", "chapters": [{"file": "two"}]}]


def laid_out(root: Path, pages: dict[str, str]) -> Path:
    for name, text in pages.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


@pytest.mark.parametrize(
    ("front", "edition"),
    [
        ("---\nedition: teacher\n---\n", "teacher"),
        ("---\nedition: student\n---\n", "student"),
        ("---\nedition: 'teacher'\n---\n", "teacher"),
        ('---\nedition: "teacher"   # nobody else\n---\n', "teacher"),
        ("---\nedition:   teacher # nobody else\n---\n", "teacher"),
        ("\ufeff---\nedition: teacher\n---\n", "teacher"),
        ("\ufeff---\r\nkernelspec:\r\n  name: python3\r\nedition: teacher\r\n---\r\n", "teacher"),
        ("----\nedition: teacher\n----  \n", "teacher"),
        ("---\nedition: teacher\n...\n", "teacher"),
        ("---\n{edition: teacher}\n---\n", "teacher"),
        ("---\nedition:\n  teacher\n---\n", "teacher"),
        ('---\n"edition": teacher\n---\n', "teacher"),
        ("---\nmyst: {substitutions: {edition: second}}\neditor: Ann\n---\n", ""),
        ("---\n---\n", ""),
        ("", ""),
        ("Text.\n\n---\n\nMore: text.\nEdition: second\n", ""),
    ],
)
def test_a_page_is_for_whom_its_front_matter_says(front: str, edition: str, tmp_path: Path) -> None:
    laid_out(tmp_path, {"a.md": f"{front}# A\n\nedition: of old\n"})
    page = read_page(tmp_path, "a")
    assert page.front.get("edition", "") == edition
    assert not list(check_front_matter(page))


@pytest.mark.parametrize(
    ("front", "line"),
    [
        *((f"---\na: 1\nedition: {value}\n---\n", 3) for value in ("teachers", "Teacher", "TEACHER", "reader", "")),
        *((f"---\na: 1\nedition: {value}\n---\n", 3) for value in ("[teacher]", "{a: teacher}", "'teacher '", "1")),
        *((f"---\n{key}: teacher\n---\n", 2) for key in ("Edition", "editon", "EDITION", "editions", "ediion")),
        *((f"---\n{key}: teacher\n---\n", 2) for key in ("'edition '", "edition_of", "eidtion", "edit ion")),
        ("---\nkernelspec:\n  name: python3\n  edition: teacher\n---\n", 4),
        ("---\nedition: student\nedition: teacher\n---\n", 3),
        ("---\nkernelspec: {name: python3, edition: teacher}\n---\n", 2),
        ("---\n# comment\nmyst:\n  editions: [{edition: Teachers}]\n---\n", 2),
        ("---\nedition: [\n---\n", 2),
        ("\n---\nedition: teacher\n---\n", 2),
        ("\r\n---\r\nedition: teacher\r\n---\r\n", 2),
        ("edition: teacher\n\n", 1),
        ("Text.\n---\nedition: teacher\n---\n", 3),
        (" ---\nedition: teacher\n---\n", 2),
        ("---\nedition: teacher\n\n", 1),
    ],
)
def test_what_is_nearly_an_edition_is_an_error_with_file_and_line(front: str, line: int, tmp_path: Path) -> None:
    laid_out(tmp_path, {"book/a.md": f"{front}# A\n"})
    faults = list(check_front_matter(read_page(tmp_path, "book/a")))
    assert [fault.where for fault in faults] == [f"book/a.md:{line}"]
    assert re.search(".; .", faults[0].text)


def test_a_line_of_dashes_alone_is_no_front_matter() -> None:
    assert not list(check_front_matter(Page("a", ["", "---"])))


TEACHER, STUDENT, BOTH = "---\nedition: teacher\n---\n# T\n", "---\nedition: student\n---\n# S\n", "# B\n"


def test_pages_for_teachers_are_nowhere_in_the_students_contents(tmp_path: Path) -> None:
    pages = dict.fromkeys(["a.md", "sub/b.md", "sub/deep/c.md", "found/x.md", "found/z.md", "below.md"], BOTH)
    pages |= dict.fromkeys(["t.md", "sub/t.md", "found/y.md", "only/u.md"], TEACHER)
    laid_out(tmp_path, pages)
    contents = {
        "format": "jb-book",
        "root": "a",
        "parts": [
            {"caption": "One", "chapters": [{"file": "sub/b", "sections": [{"file": "sub/t.md"}]}, {"url": "x"}]},
            {"caption": "Two", "chapters": [{"glob": "found/*"}, {"file": "t", "sections": [{"file": "below"}]}]},
            {"caption": "Three", "numbered": True, "chapters": [{"glob": "only/*"}]},
            {"caption": "Four", "chapters": [{"file": "sub/deep/c", "title": "C", "sections": [{"glob": "sub/t*"}]}]},
        ],
    }
    assert student_contents(contents, tmp_path) == {
        "format": "jb-book",
        "root": "a",
        "parts": [
            {"caption": "One", "chapters": [{"file": "sub/b"}, {"url": "x"}]},
            {"caption": "Two", "chapters": [{"file": "found/x"}, {"file": "found/z"}]},
            {"caption": "Four", "chapters": [{"file": "sub/deep/c", "title": "C"}]},
        ],
    }


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"root": "t"}, "t.md:2: "),
        ({"root": "b", "chapters": [{"file": "t", "sections": [{"file": "u"}, {"file": "s"}]}]}, "s.md:2: "),
    ],
)
def test_contents_that_no_student_can_have_are_an_error(contents: object, said: str, tmp_path: Path) -> None:
    laid_out(tmp_path, {"t.md": TEACHER, "s.md": STUDENT, "b.md": BOTH, "u.md": BOTH})
    with pytest.raises(SectionError, match=f"^{said}"):
        student_contents(contents, tmp_path)


def test_a_page_for_students_includes_none_for_teachers(tmp_path: Path) -> None:
    include = "```{include} t.txt\n```\n"
    laid_out(tmp_path, {"book/a.md": f"# A\n\n{include}", "book/t.txt": TEACHER, "book/b.md": include})
    with pytest.raises(SectionError, match=r"^book/t\.txt:2: .*book/a\.md"):
        check_included(read_page(tmp_path, "book/a"), tmp_path)
    # What is included at the beginning is the page's own front matter.
    assert is_for_teachers(read_page(tmp_path, "book/b"))


@pytest.mark.parametrize("front", ["editon: teacher", "Edition: teacher", "edition: teachers", "edition: TEACHER"])
def test_what_is_misspelt_is_not_shown_to_students_either(front: str, tmp_path: Path) -> None:
    laid_out(tmp_path, {"book/a.md": "# A\n\n```{include} t.txt\n```\n", "book/t.txt": f"---\n{front}\n---\n# T\n"})
    with pytest.raises(SectionError, match=r"^book/t\.txt:\d+: .*book/a\.md"):
        check_included(read_page(tmp_path, "book/a"), tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# A\n\n- x\n\n  > :::{only} html\n  > y\n  > :::\n", 5),
        (":::{only}\n:::\n", 1),
        (":::{only} Teacher\n:::\n", 1),
        (":::{only} teacher and student\n:::\n", 1),
        ("a\n\n```{solution-start} ex-a\n```\nb\n", 3),
        ("```{solution-start} ex-a\n```\nb\n```{solution-start} ex-b\n```\n```{solution-end}\n```\n", 1),
        ("```{solution-start} ex-a\n```\n- ```{solution-end}\n  ```\n", 3),
    ],
)
def test_what_has_no_clear_end_is_an_error_with_file_and_line(text: str, line: int, tmp_path: Path) -> None:
    page = read_page(laid_out(tmp_path, {"book/a.md": text}), "book/a")
    with pytest.raises(SectionError, match=rf"^book/a\.md:{line}: [^\n]+$"):
        edition_text(page.text, "student", page.where)


@pytest.mark.parametrize("around", ["{}", "> {}", "- {}", ":::::{{note}}\n{}\n:::::", "1. > - {}"])
@pytest.mark.parametrize(
    "listing",
    [
        "```{literalinclude} ../optim_code/optimizers.py\n:pyobject: SGDOptimizer\n```",
        "```{literalinclude} ../optim_code/optimizers.py\n```",
        ":::{literalinclude} /optim_code/optimizers.py\n:lines: 1-20\n:::",
        "~~~{literalinclude} .././optim_code/optimizers.py\n:start-after: class\n:language: python\n~~~",
        "```{literalinclude} ../optim_code/optimizers.py\n---\npyobject: SGDOptimizer.my_step\n---\n```",
        "```{include} ../optim_code/optimizers.py\n:literal:\n```",
        "````{include} ../optim_code/optimizers.py\n:code: python\n````",
    ],
)
def test_the_classes_are_shown_nowhere(around: str, listing: str) -> None:
    lines = listing.split("\n")
    first, *rest = around.format("@").split("\n")
    before = (first if "@" in first else "@").partition("@")[0]
    indent = "".join(">" if mark == ">" else " " for mark in before)
    source = around.format("\n".join([lines[0], *(f"{indent}{line}" for line in lines[1:])]))
    text = edition_text(f"Before.\n\n{source}\n\nAfter.\n", "student")
    assert "optimizers.py" not in text
    assert len(re.findall("You write (?:this code|the class `SGDOptimizer`) yourself", text)) == 1
    assert len(text.split("\n")) == len(source.split("\n")) + 5
    assert rest == [] or rest[-1] in text


def test_a_box_with_nothing_but_a_solution_goes_with_it_and_an_exercise_stays() -> None:
    solution = "```{solution} ex-a\nIt is 42.\n```"
    boxes = f"::::{{dropdown}} Answer\n:::{{note}}\n{solution}\n:::\n::::\n\n:::{{exercise}} A\n{solution}\n:::\n"
    assert said(edition_text(boxes, "student")) == [":::{exercise} A", ":::"]


# --- the search for leaks ------------------------------------------------------------------------------------------

SOLUTION = "All squares are 1, so $\\hat v = 1$. The mean tends to an alternating sequence $\\pm a$."
ADAM = """
class Mine(Optim):
    def my_step(self, param, memory, options):
        a, b, grad = options["alpha"], options["momentum"], param.grad
        if not memory:
            memory["n"] = 0
            memory["first"] = torch.zeros_like(param)
            memory["second"] = torch.zeros_like(param)
        memory["n"] += 1
        memory["first"].lerp_(grad, 1 - b)  # the mean
        memory["second"].mul_(a).addcmul_(grad, grad, value=1 - a)

        x = memory["first"] / (1 - b ** memory["n"])
        y = memory["second"] / (1 - a ** memory["n"])
        z = y.sqrt_().add_(options["eps"])
        param.addcdiv_(x, z, value=-options["lr"])
"""


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    return Secrets.of(ROOT)


def plant(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def test_every_solution_and_every_class_is_a_secret(secrets: Secrets) -> None:
    sources = [(ROOT / f"{page}.md").read_text(encoding="utf-8") for page in PAGES]
    assert len(secrets.solutions) == sum(text.count("\n````{solution}") for text in sources) > 15
    assert all(secrets.solutions.values())
    # A solution can hold code, too.
    classes = {*secrets.code} - {*secrets.solutions}
    assert classes == {cls.__name__ for cls in methods().values()} >= {"SGDOptimizer", "AdamAMSGradOptimizer"}


def test_the_words_of_a_solution_are_found_in_a_page_whatever_its_marks(secrets: Secrets, tmp_path: Path) -> None:
    page = "<p>The <em>mean</em> tends\nto an <b>ALTERNATING</b> sequence</p>"
    assert leaks(plant(tmp_path, "a/page.html", page), secrets) == ["a/page.html tells adam.md: ex-adam-alternating"]


def test_code_is_found_when_it_is_renamed_and_laid_out_anew(secrets: Secrets, tmp_path: Path) -> None:
    assert leaks(plant(tmp_path, "mine.py", ADAM), secrets) == ["mine.py tells AdamOptimizer"]


def test_code_that_differs_is_not_the_same(secrets: Secrets, tmp_path: Path) -> None:
    for number, (old, new) in enumerate(
        [
            ("addcmul_(grad, grad,", "addcmul_(grad, param,"),
            ("1 - b)", "1 - a)"),
            ("y.sqrt_()", "y"),
            ('memory["second"] / (1', 'memory["first"] / (1'),
        ]
    ):
        plant(tmp_path, f"{number}.py", ADAM.replace(old, new, 1))
    assert leaks(tmp_path, secrets) == []


def test_a_notebooks_metadata_are_searched(secrets: Secrets, tmp_path: Path) -> None:
    lines = ADAM.splitlines(keepends=True)
    notebook = {"cells": [{"cell_type": "code", "source": ["pass"], "metadata": {"was": lines}}], "metadata": {}}
    assert leaks(plant(tmp_path, "n.ipynb", json.dumps(notebook)), secrets) == ["n.ipynb tells AdamOptimizer"]


def test_an_archive_is_searched(secrets: Secrets, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "kit.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sub/solution.md", SOLUTION)
    assert leaks(tmp_path, secrets) == ["kit.zip: sub/solution.md tells adam.md: ex-adam-alternating"]


@pytest.mark.needs("poppler")
def test_a_pdf_is_searched(secrets: Secrets, tmp_path: Path) -> None:
    page = Figure(figsize=(8, 4))
    page.text(0.1, 0.8, "The mean tends to an alter-\nnating sequence.")
    page.text(0.1, 0.2, ADAM, family="monospace", fontsize=6)
    page.savefig(tmp_path / "page.pdf")
    assert leaks(tmp_path, secrets) == ["page.pdf tells adam.md: ex-adam-alternating", "page.pdf tells AdamOptimizer"]


def test_what_students_may_read_is_no_leak(secrets: Secrets, tmp_path: Path) -> None:
    for page in PAGES:
        plant(tmp_path, f"{page}.md", edition_text((ROOT / f"{page}.md").read_text(encoding="utf-8"), "student"))
    assert leaks(tmp_path, secrets) == []
