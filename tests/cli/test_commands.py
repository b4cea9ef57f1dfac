"""The commands as a person types them: any title, any section, any paper; and one line for what cannot be made."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_pdf import PAGES, pdfs, printed, run, text_of, write_small_book

from book._ext.printing.pdf import pdf_names
from book._ext.sources.settings import find_page
from conftest import ROOT, run_build
from small_book import complaints

CAPTION = r"{cite:t}`writer2001one` and {cite:p}`writer2001one`, $x_1^2$, `a_b`, {ref}`sec-one`, 5 % & # _ ~ ^ {}"
WORDS = r"Writer [2001] and [Writer, 2001], x21, a_b, One, 5 % & # _ ~ ^ {}"
"""What a caption says; pdftotext reads formulas in its own way."""
HARD = f"""(sec-hard)=
# Hard, after {{cite:t}}`writer2001one` with $x_1$

:::{{table}} Table: {CAPTION}
:name: tab-hard

| a | b |
| - | - |
| 1 | 2 |
:::

```{{figure}} dot.*
:name: fig-hard
:alt: A dot.

Drawing: {CAPTION}
```

```{{code-block}} python
:caption: "Code: {CAPTION}"
:name: code-hard
a = 1
```

$$ f = 1 $$ (def-hard)

## Second {CAPTION} [^two]

Text.

### Third {CAPTION}, {{eq}}`def-hard`

Text.

#### Fourth {CAPTION}

Text.

[^two]: The note of a heading.

:::{{exercise}} Fifth {CAPTION}
:label: ex-hard
Do it.
:::
"""
CELL = f"""---
file_format: mystnb
kernelspec: {{name: python3}}
---
(sec-one)=
# One

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-cell
    caption: |
      Cell: {CAPTION}, {{eq}}`def-hard`[^one].
---
from IPython.display import SVG, display
display({{
    "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><metadata><description '
    'xmlns="http://purl.org/dc/elements/1.1/">A line.</description></metadata><path d="M0 0 9 9"/></svg>',
    "application/pdf": open("DOT", "rb").read(),
}}, raw=True)
```

[^one]: The note of a caption.
"""
DOT = """
import sys, matplotlib
matplotlib.use("pdf")
import matplotlib.pyplot as plt
plt.figure(figsize=(1, 1)).savefig(sys.argv[1])
"""


def configure(root: Path, old: str, new: str) -> None:
    text = (root / "_config.yml").read_text(encoding="utf-8")
    assert old in text
    (root / "_config.yml").write_text(text.replace(old, new, 1), encoding="utf-8")


def refusal(target: str, root: Path, **env: str) -> str:
    """The one line with which a command refuses."""
    (said,) = complaints(run_build(target, root, **env))
    return said.removeprefix("descent: ")


# Names


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Descent", "descent"),
        ("Adam", "adam-book"),
        ("A Second Book", "asecondbook"),
        ("Über Maß", "ubermass"),
        ("a/b: c\\d_e", "abcd_e"),
        ("../..", "book"),
        ("★ & %", "book"),
        ("学习", "book"),
    ],
)
def test_any_title_gives_the_book_a_name_that_no_handout_has(title: str, name: str) -> None:
    sections = ["book/sgd", "book/adam"]
    assert pdf_names(title, "book/intro", sections) == {"book/intro": name, "book/sgd": "sgd", "book/adam": "adam"}


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("one", "book/one"),
        ("book/one", "book/one"),
        ("book/one.md", "book/one"),
        ("./book/a/deep.md", "book/a/deep"),
        ("a/deep", "book/a/deep"),
        ("deep", "book/a/deep"),
        ("eep", ""),
        ("", ""),
        ("two", ""),
        ("book/two", "book/two"),
        ("a/two", "book/a/two"),
    ],
)
def test_a_section_may_be_named_by_its_file_or_by_where_that_is(name: str, page: str) -> None:
    assert find_page(name, ["book/one", "book/two", "book/a/deep", "book/a/two"]) == page


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """A path with programs of the names of TeX's and poppler's that do nothing but fail."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("lualatex", "latexmk", "pdftotext"):
        (folder / program).write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")
        (folder / program).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def in_folders(root: Path, *pages: str) -> None:
    """A small book with sections in folders."""
    write_small_book(root, "one", *pages)
    for page in pages:
        (root / "book" / page).parent.mkdir(exist_ok=True)
        (root / "book" / f"{page}.md").write_text(f"# {page}\n\nText.\n", encoding="utf-8")


@pytest.mark.parametrize("target", ["pdf", "handout one", "student"])
def test_two_handouts_of_one_name_are_one_line_before_anything_is_made(
    tmp_path: Path, target: str, tools: dict[str, str]
) -> None:
    in_folders(tmp_path, "a/deep", "b/deep")
    line = (tmp_path / "_toc.yml").read_text(encoding="utf-8").splitlines().index("  - file: book/b/deep") + 1
    both = "book/a/deep.md and book/b/deep.md would both be printed as deep.pdf"
    assert refusal(target, tmp_path, **tools) == f"_toc.yml:{line}: {both}; rename one of the two files"
    assert not (tmp_path / "_build").exists()


@pytest.mark.parametrize("section", ["nope", "book/nope"])
def test_an_assignment_of_no_section_is_refused_at_once(tmp_path: Path, section: str) -> None:
    write_small_book(tmp_path, "one", "two")
    done = run_build(f"assignment {section}", tmp_path)
    (said,) = complaints(done)
    assert said.startswith(f"descent: SECTION={section}: it is not a section of the book with cells; those of ")
    assert said.endswith(" intro, one, two, references")
    assert not (tmp_path / "_build").exists()


# The configuration


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: Descent\n", "", "_config.yml: there is no title; "),
        ("title: Descent\n", "title: ' '\n", "_config.yml: there is no title; "),
        ("title: Descent\n", "title: 5\n", "_config.yml: title: 5 is not of type 'string'"),
        ("title: Descent\n", "title: [a]\n", "_config.yml: title: ['a'] is not of type 'string'"),
        ("latex_elements:\n", "latex_elements:\n      papersize: letter\n", "papersize: 'letter' is none that LaTeX"),
        ("latex_elements:\n", "latex_elements:\n      pointsize: 13\n", "pointsize: 13 is none that LaTeX knows"),
        ("latex_elements:\n", "latex_elements:\n      geometry: x\n", "geometry: has no effect, because book/_ext/"),
        ("latex_elements:\n", "latex_elements:\n      tocdepth: x\n", "tocdepth: has no effect, because book/_ext/"),
        ('fontpkg: ""', "fontpkg: x", "fontpkg: has no effect, because book/_ext/printing/descentprint.sty"),
    ],
)
def test_a_setting_that_is_not_there_or_not_honoured_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    write_small_book(tmp_path, "one")
    configure(tmp_path, old, new)
    line = refusal("html", tmp_path)
    assert said in line
    if "latex_elements" in line:
        key = re.search(r"latex_elements: (\w+):", line)[1]
        lines = (tmp_path / "_config.yml").read_text(encoding="utf-8").splitlines()
        assert key in lines[int(re.match(r"_config\.yml:(\d+): ", line)[1]) - 1]


# What is built first, and what stays


def test_the_students_pages_come_before_the_pdfs(tmp_path: Path, tools: dict[str, str]) -> None:
    root = tmp_path / "book"
    write_small_book(root, "one", "two")
    page = root / "book" / "two.md"
    page.write_text(f"{PAGES['two']}\n{{ref}}`nowhere`\n", encoding="utf-8")
    warning, last = complaints(run_build("student", root, **tools))
    assert warning.startswith("book/two.md:")
    assert last == "descent: 1 warning, named above; there is no new book, and the last one stays as it was"
    assert not (root / "_build" / ".work" / "student-latex").exists()
    page.write_text(PAGES["two"], encoding="utf-8")
    pins = root / "requirements.txt"
    pins.write_text(pins.read_text(encoding="utf-8").replace("jupyterlab==", "another=="), encoding="utf-8")
    # In a process of its own, where a style of the theme's could set up logging between the pages of the two editions.
    (said,) = complaints(run_build("student", root, cold=True, **tools))
    assert said.startswith("descent: requirements.txt: pins no jupyterlab")
    assert not (root / "_build" / ".work" / "student-latex").exists()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of nine pages, two with cells, built by Sphinx with two processes, and by its own command."""
    root = tmp_path_factory.mktemp("built")
    others = [f"other{number}" for number in range(5)]
    in_folders(root, "two", *others)
    front = PAGES["one"].partition("\n(sec-one)=")[0]
    (root / "book" / "other0.md").write_text(f"{front}\n# Cell\n\n```{{code-cell}}\n1 + 1\n```\n", encoding="utf-8")
    (root / "book" / "two.md").write_text(PAGES["two"], encoding="utf-8")
    (root / "book" / "three.md").unlink()
    return root


def test_sphinx_with_many_processes_builds_the_book(built: Path) -> None:
    jupyter_book = Path(sys.executable).parent / "jupyter-book"
    subprocess.run([jupyter_book, "config", "sphinx", "."], cwd=built, check=True, capture_output=True, timeout=60)
    command = [sys.executable, "-m", "sphinx", "-W", "-j", "2", "-b", "html", ".", "_build/by-sphinx/html"]
    # Pages that forks read would wait for ever for their cells, and a warning that Sphinx must not fork fails.
    done = subprocess.run(command, cwd=built, capture_output=True, text=True, timeout=120, check=False)
    (built / "conf.py").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.stem for path in (built / "_build/by-sphinx/html/book").glob("*.html")}
    assert {"one", "two", *(f"other{number}" for number in range(5))} <= pages


def test_what_a_build_said_that_broke_goes_with_the_next_good_one(built: Path) -> None:
    log = built / "_build" / "error.log"
    log.parent.mkdir(exist_ok=True)
    for _ in range(2):  # the second has nothing to do
        log.write_text("Traceback", encoding="utf-8")
        done = run_build("html", built)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not log.exists()
    log.write_text("Traceback", encoding="utf-8")
    configure(built, "title: Descent", "title: 5")
    refusal("html", built)
    configure(built, "title: 5", "title: Descent")
    assert log.exists()


@pytest.mark.parametrize("place", [".work", ".lock"])
def test_what_may_not_be_written_to_is_one_line(built: Path, place: str) -> None:
    assert run_build("html", built).returncode == 0
    with (built / "book" / "two.md").open("a", encoding="utf-8") as page:
        page.write(f"\nA new end, {place}.\n")
    path = built / "_build" / place
    closed = [path, *(path.rglob("*") if path.is_dir() else [])]
    modes = {part: part.stat().st_mode for part in closed}
    for part in closed:
        part.chmod(modes[part] & 0o555)
    # Permissions do not bind root, unless that power is given away first.
    meekly = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*meekly, sys.executable, "-m", "book._ext.cli.build", "html"]
    done = subprocess.run(command, cwd=built, capture_output=True, text=True, timeout=120, check=False)
    for part, mode in modes.items():
        part.chmod(mode)
    (said,) = complaints(done)
    assert re.fullmatch(
        rf"descent: _build/{re.escape(place)}\S*: Permission denied; the build writes there: make it .*", said
    )
    assert run_build("html", built).returncode == 0


# Print


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book whose title is that of a section, on letter paper, with all that a caption and a heading may hold."""
    root = tmp_path_factory.mktemp("hard")
    in_folders(root, "a/hard")
    dot = root / "book" / "a" / "dot.pdf"
    subprocess.run([sys.executable, "-c", DOT, str(dot)], check=True, timeout=120)
    dot.with_suffix(".svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    (root / "book" / "a" / "hard.md").write_text(HARD, encoding="utf-8")
    (root / "book" / "one.md").write_text(CELL.replace("DOT", str(dot)), encoding="utf-8")
    (root / "book" / "intro.md").write_text("# Start\n\nText.\n", encoding="utf-8")
    # The HTML asks it for a figure on dark ground.
    (root / "optim_code" / "figures.py").write_text("def dark(svg):\n    return svg\n", encoding="utf-8")
    configure(root, "title: Descent", "title: Hard")
    configure(root, "latex_elements:\n", "latex_elements:\n      papersize: letterpaper\n      pointsize: 12pt\n")
    done = run_build("pdf", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def squeezed(text: str) -> str:
    """A text without spaces, and without what pdftotext makes of a formula."""
    return re.sub(r"\s+|x21|𝑥(?:21|12)|\W1\^2", "", text)


@pytest.mark.slow
@printed
def test_captions_and_headings_hold_citations_formulas_code_and_all_marks(hard: Path) -> None:
    of_hard = ("Table:", "Drawing:", "Code:", "Second", "Third", "Fourth", "(Fifth", "Thenoteofaheading.")
    of_one = ("Cell:", "Thenoteofacaption.")
    for name, places in {
        "hard-book": of_hard + of_one,
        "hard": of_hard,
        "student/hard": of_hard,
        "one": of_one,
    }.items():
        text = squeezed(text_of(hard / "_build" / "pdf" / f"{name}.pdf"))
        for place in places:
            assert place in text, (name, place)
            assert place.startswith("The") or squeezed(WORDS)[:40] in text.partition(place)[2], (name, place)


@pytest.mark.slow
@printed
def test_bookmarks_and_titles_say_what_a_heading_cites(hard: Path) -> None:
    for name in ("hard-book", "hard"):
        found = run("pdftohtml", "-xml", "-i", "-stdout", hard / "_build" / "pdf" / f"{name}.pdf")
        marks = re.findall(r"<item [^>]*>(.*?)</item>", found)
        for number, words in (("2", "Hard, after Writer [2001]"), ("2.1", "Second Writer [2001] and [Writer, 2001]")):
            assert any(mark.startswith(f"{number} {words}") for mark in marks), marks
    assert "Hard, after Writer [2001] with" in run("pdfinfo", hard / "_build" / "pdf" / "hard.pdf")


@pytest.mark.slow
@printed
def test_paper_and_size_of_letters_are_as_asked(hard: Path) -> None:
    assert set(pdfs(hard)) == {"hard-book.pdf", "hard.pdf", "one.pdf", "student/hard.pdf", "student/one.pdf"}
    for name in pdfs(hard):
        path = hard / "_build" / "pdf" / name
        assert re.search(r"Page size: +612 x 792 pts \(letter\)", run("pdfinfo", path)), name
        words = run("pdftotext", "-bbox", path, "-")
        assert max(float(bottom) for bottom in re.findall(r'yMax="([\d.]+)"', words)) < 792 - 20, name
    page = run("pdftohtml", "-xml", "-i", "-stdout", "-zoom", 3, hard / "_build" / "pdf" / "hard.pdf")
    font = re.search(r'font="(\d+)">Text\.', page)[1]
    assert round(int(re.search(rf'<fontspec id="{font}" size="(\d+)"', page)[1]) / 3) == 12


@pytest.mark.slow
@printed
def test_the_pages_offer_the_book_and_the_handout_under_their_names(hard: Path) -> None:
    assert run_build("html", hard).returncode == 0
    page = (hard / "_build" / "html" / "book" / "a" / "hard.html").read_text(encoding="utf-8")
    assert re.findall(r'href="\.\./\.\./(_handouts/[^"]*)"', page) == ["_handouts/hard.pdf", "_handouts/hard-book.pdf"]


@pytest.mark.slow
@printed
def test_a_handout_of_a_section_in_a_folder_is_made_by_its_full_name(hard: Path) -> None:
    before = pdfs(hard)
    shutil.rmtree(hard / "_build" / "pdf" / "student")
    done = run_build("handout book/a/hard.md", hard)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: before[name] for name in before if name != "student/one.pdf"} == pdfs(hard)


@printed
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Some words.\n\n- an item\n- another $\\plim$", r"book/one\.md:7: TeX stops at .*: Undefined control"),
        ("Words.\n\nA rocket: 🚀", r"book/one\.md:6: the fonts have no 🚀"),
        ("| a |\n| - |\n| $\\frac{1$ |", r"book/one\.md:\d+: WARNING: a formula cannot be typeset: Expected closing "),
        ("```{table} Caption $\\plim$\n| a |\n| - |\n| b |\n```", r"book/one\.md:\d+: TeX stops at "),
        ("## A heading $\\plim$\n\nText.", r"book/one\.md:4: TeX stops at "),
    ],
)
@pytest.mark.slow
def test_what_tex_cannot_set_is_told_by_file_and_line(hard: Path, text: str, said: str) -> None:
    page = hard / "book" / "one.md"
    good = page.read_text(encoding="utf-8")
    before = pdfs(hard)
    page.write_text(f"(sec-one)=\n# One\n\n{text}\n", encoding="utf-8")
    line, *rest = complaints(run_build("handout one", hard))
    page.write_text(good, encoding="utf-8")
    assert re.match(rf"(?:descent: )?{said}", line), line
    assert len(rest) == ("WARNING" in line)
    assert pdfs(hard) == before


FULL_DISK = """
import subprocess, sys
from pathlib import Path
from book._ext.cli.build import disk_is_full
from book._ext.printing.pdf import typeset

place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
tex = place / "a.tex"
tex.write_text("\\\\documentclass{article}\\\\begin{document}" + "word " * 4000 + "\\\\end{document}")
(place / "filler").write_bytes(bytes(32_000))
try:
    typeset("a", tex)
except OSError as error:
    assert disk_is_full(error)
else:
    raise AssertionError("TeX found room")
"""


@printed
def test_a_disk_that_is_full_when_tex_writes_is_named_as_such(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, "-c", FULL_DISK, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_makefile_asks_for_targets_that_there_are() -> None:
    asked = set(re.findall(r"book\._ext\.cli\.build (\w+)", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert asked == {"html", "pdf", "handout", "slides", "student", "assignment"}
