"""What goes wrong is said in one clear line, ends with an error, and leaves the last good book as it was.

Each test breaks one thing in a small copy of the book and runs the real build on it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from small_book import NOTEBOOK, ONE, TOC, TWO, Copy, complaints, copy_book, run

# A figure as a cell draws it, without the seconds that importing torch takes.
DRAW = (
    "from IPython.display import SVG\n"
    'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><metadata>'
    '<description xmlns="http://purl.org/dc/elements/1.1/">A line that falls.</description></metadata>'
    '<path stroke="#1a1c20" d="M0 0 9 9"/></svg>\')\n'
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The copy that every test copies again: built, without a fault."""
    copy = copy_book(tmp_path_factory.mktemp("book") / "book")
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copy.root / "_build/html/book/one.html").is_file()
    return copy


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("book/one.md", 'print("the first cell")', "1 / 0"),
        pytest.param("book/two.md", "As {cite:t}", "See {ref}`sec-nowhere`, as {cite:t}", marks=pytest.mark.slow),
        pytest.param("_config.yml", "latex:", "latex: [", marks=pytest.mark.slow),
    ],
    ids=["cell", "text", "settings"],
)
def test_the_command_says_what_a_forked_build_says(copy: Copy, file: str, old: str, new: str) -> None:
    """All other tests fork their builds, which saves most of their time; a person types the command."""
    copy.replace(file, old, new)
    typed, forked = copy.build(cold=True), copy.build()
    assert complaints(typed) == complaints(forked)
    assert (typed.returncode, typed.stdout, typed.stderr) == (forked.returncode, forked.stdout, forked.stderr)


# --- cells


def test_a_cell_that_raises_is_named_with_file_cell_and_line_on_every_try(copy: Copy) -> None:
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\n:tags: [hide-input]\n\na = 1\nb = a / 0\n```\n")
    line = (copy.root / "book/one.md").read_text().splitlines().index("b = a / 0") + 1
    for _ in range(2):
        said = copy.fault()
        fault = "cell 2, line 2: ZeroDivisionError: division by zero in `b = a / 0`; "
        assert said.startswith(f"descent: book/one.md:{line}: {fault}"), said


def test_a_mended_cell_builds_again(copy: Copy) -> None:
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\n1 / 0\n```\n")
    copy.fault()
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\n1 / 2\n```\n")
    assert copy.build().returncode == 0
    assert b"0.5" in copy.published()["book/one.html"]


def test_a_cell_that_is_not_python_is_named_with_its_line(copy: Copy) -> None:
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\na = 1\nb = = a\n```\n")
    line = (copy.root / "book/one.md").read_text().splitlines().index("b = = a") + 1
    assert copy.fault().startswith(f"descent: book/one.md:{line}: cell 2, line 2: SyntaxError: ")


def test_a_cell_that_kills_its_kernel_is_named(copy: Copy) -> None:
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\nimport os\nos._exit(1)\n```\n")
    for _ in range(2):
        said = copy.fault()
        assert said.startswith("descent: book/one.md")
        assert "kernel died" in said.lower()


def test_a_cell_that_takes_too_long_is_named(copy: Copy) -> None:
    copy.replace("_config.yml", "timeout: 120", "timeout: 2")
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\nimport time\ntime.sleep(60)\n```\n")
    said = copy.fault()
    assert said.startswith("descent: book/one.md")
    assert "2 s" in said


def test_a_cell_that_writes_to_stderr_is_named(copy: Copy) -> None:
    copy.write("book/one.md", ONE + "\n```{code-cell} ipython3\nimport sys\nprint('hm', file=sys.stderr)\n```\n")
    for _ in range(2):
        said = copy.fault()
        assert said.startswith("book/one.md:")
        assert "stderr" in said


def test_a_section_may_set_its_own_limit(copy: Copy) -> None:
    text = ONE.replace("kernelspec:", "execution:\n  timeout: 1\nkernelspec:")
    copy.write("book/one.md", text.replace('print("the first cell")', "import time\n\ntime.sleep(20)"))
    assert "cell 1: ran longer than 1 s" in copy.fault()


# --- the text


def test_each_reference_to_nothing_is_named_with_its_line_on_every_try(copy: Copy) -> None:
    wrong = {
        "See {cite:p}`nobody1999`.": "nobody1999",
        "See {numref}`fig-nowhere`.": "fig-nowhere",
        "See {eq}`update-nothing`.": "update-nothing",
        "See {ref}`sec-nowhere`.": "sec-nowhere",
        "See [that](nowhere.md).": "nowhere.md",
        "It takes {glue:text}`no-such-number` steps.": "no-such-number",
        "```{literalinclude} ../optim_code/nothing.py\n```": "nothing.py",
    }
    copy.write("book/one.md", "\n\n".join([ONE, *wrong]) + "\n")
    lines = (copy.root / "book/one.md").read_text().splitlines()
    for _ in range(2):
        *warnings, last = copy.faults()
        assert (
            last
            == f"descent: {len(wrong)} warnings, named above; there is no new book, and the last one stays as it was"
        )
        for text, named in wrong.items():
            (said,) = [warning for warning in warnings if named in warning]
            assert said.startswith(f"book/one.md:{lines.index(text.splitlines()[0]) + 1}: WARNING: ")
        assert len(warnings) == len(wrong)


def test_one_label_for_two_equations_is_a_fault(copy: Copy) -> None:
    copy.write("book/one.md", f"{ONE}\n$$\nf = 1\n$$ (def-two)\n")
    assert copy.fault().startswith("descent: book/two.md:4: def-two: the label is used at book/one.md:")


def drawing(code: str, *options: str) -> str:
    return "\n".join(["", "```{code-cell} ipython3", "---", *options, "---", code + "```", ""])


def test_a_figure_without_a_name_or_a_caption_is_named(copy: Copy) -> None:
    name, caption = "    name: fig-line", "    caption: A line."
    figure = ("mystnb:", "  figure:")
    copy.write("book/one.md", ONE + drawing(DRAW) + drawing(DRAW, *figure, name) + drawing(DRAW, *figure, caption))
    for _ in range(2):
        *warnings, _last = copy.faults()
        assert len(warnings) == 3
        for warning in warnings:
            assert warning.startswith("book/one.md:")
            assert "a figure needs a name and a caption" in warning


def test_a_figure_that_does_not_say_what_it_shows_is_named(copy: Copy) -> None:
    options = ("mystnb:", "  figure:", "    name: fig-line", "    caption: A line.")
    copy.write("book/one.md", ONE + drawing(DRAW.replace("A line that falls.", ""), *options))
    assert "a figure without a description" in copy.fault()


def test_two_figures_under_one_name_are_named(copy: Copy) -> None:
    for page, lr in (("one", 0.1), ("two", 0.2)):
        code = f"from optim_code import SGDOptimizer, output, w\noutput(SGDOptimizer([w], lr={lr}), fname='walk.pdf')\n"
        options = ("mystnb:", "  figure:", f"    name: fig-{page}", "    caption: A walk.")
        text = {"one": ONE, "two": NOTEBOOK + TWO}[page]
        copy.write(f"book/{page}.md", text + drawing(code, *options))
    for _ in range(2):
        said = "two figures are saved as walk.pdf: give one another fname"
        assert copy.fault() == f"book/two.md: WARNING: {said}"


# --- the files that describe the book


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "_toc.yml"),
        ("root: [book/one\n", "_toc.yml:2: not YAML"),
        (TOC + "surprise: 1\n", "_toc.yml:6: "),
        (TOC + "  - file: book/three\n", "_toc.yml: names book/three, but there is no book/three.md"),
        ("- just\n- a list\n", "_toc.yml: "),
        ("format: jb-book\nchapters:\n  - file: book/two\n", "_toc.yml: "),
    ],
    ids=["empty", "not YAML", "unknown key", "missing section", "a list", "no root"],
)
def test_a_broken_table_of_contents_is_named(copy: Copy, text: str, said: str) -> None:
    copy.write("_toc.yml", text)
    line = copy.fault()
    assert line.startswith(f"descent: {said}"), line


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", None, "_config.yml: holds no settings"),
        ("latex:", "latex: [", "_config.yml:"),
        ("execute:", "exekute:", "_config.yml: Jupyter Book knows no setting exekute"),
        (
            "  raise_on_error:",
            "  raise_on_errors:",
            "_config.yml: Jupyter Book knows no setting execute: raise_on_errors",
        ),
        ("timeout: 120", "timeout: soon", "_config.yml: execute.timeout: "),
        ("sphinx_exercise]", "sphinx_no_such]", "_config.yml: Could not import extension sphinx_no_such"),
        ("book/references.bib", "book/nowhere.bib", "_config.yml: names book/nowhere.bib"),
    ],
    ids=["empty", "not YAML", "unknown key", "misspelt key", "not a number", "no such extension", "no such library"],
)
def test_a_broken_configuration_is_named(copy: Copy, old: str, new: str | None, said: str) -> None:
    if new is None:
        copy.write("_config.yml", "")
    else:
        copy.replace("_config.yml", old, new)
    line = copy.fault()
    assert line.startswith(f"descent: {said}"), line


def test_a_picture_that_a_setting_names_and_that_is_not_there_is_named_with_its_line(copy: Copy) -> None:
    copy.replace("_config.yml", "_static/favicon.svg", "_static/favicn.svg")
    fault = copy.fault()
    assert fault.startswith("_config.yml:")
    assert "WARNING: favicon file 'book/_static/favicn.svg' does not exist; " in fault


@pytest.mark.parametrize("name", ["_toc.yml", "_config.yml"])
def test_a_missing_file_is_named(copy: Copy, name: str) -> None:
    (copy.root / name).unlink()
    assert copy.fault().startswith(f"descent: {name}: ")


# --- the machine


def test_a_build_folder_that_cannot_be_made_is_named(copy: Copy) -> None:
    shutil.rmtree(copy.root / "_build")
    copy.write("_build", "somebody's file")
    assert copy.fault().startswith("descent: _build: ")
    assert (copy.root / "_build").read_text() == "somebody's file"


def test_a_build_folder_without_permission_to_write_is_named(copy: Copy) -> None:
    before = copy.published()
    (copy.root / "_build").chmod(0o555)
    # Permissions do not bind root, unless that power is given away first.
    meekly = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = run([*meekly, sys.executable, "-m", "book._ext.cli.build", "html"], copy.root)
    (copy.root / "_build").chmod(0o755)
    assert complaints(done) == [
        "descent: _build: Permission denied; the build writes there: make it writable, or remove it"
    ]
    assert copy.published() == before


def test_an_interrupted_build_leaves_the_last_good_book_and_no_kernel(copy: Copy, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    slow = f"import os, pathlib, time\npathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(100)"
    copy.write("book/one.md", ONE + f"\n```{{code-cell}} ipython3\n{slow}\n```\n")
    before = copy.published()
    building = subprocess.Popen(
        [sys.executable, "-m", "book._ext.cli.build", "html"],
        cwd=copy.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: note.exists() and note.read_text() != "")
        building.send_signal(signal.SIGINT)
        out, err = building.communicate(timeout=30)
    finally:
        building.kill()
    done = subprocess.CompletedProcess(building.args, building.returncode, out, err)
    assert complaints(done) == ["descent: interrupted; the last good book is untouched"]
    assert copy.published() == before
    wait_until(lambda: not Path(f"/proc/{note.read_text()}/cmdline").exists())
    copy.write("book/one.md", ONE)
    assert copy.build().returncode == 0


def wait_until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_an_old_python_is_refused_before_anything_is_made(copy: Copy, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(
        f'#!/bin/sh\n[ "$1" = -c ] || exit 1\n'
        f"exec {sys.executable} -c \"import sys; sys.version_info = (3, 8, 18, 'final', 0)\n$2\"\n"
    )
    python.chmod(0o755)
    before = copy.published()
    done = run(["make", "html", f"PYTHON={python}"], copy.root)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert said == ["descent: Python 3.8 is too old, the book needs 3.10 or newer: make PYTHON=python3.11 html"]
    assert not (copy.root / ".venv").exists()
    assert copy.published() == before


def test_no_python_at_all_is_said_with_the_way_to_get_one(copy: Copy) -> None:
    done = run(["make", "html", "PYTHON=no-such-python"], copy.root)
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert said.startswith("descent: no-such-python is not there; ")
    assert "apt-get install" in said


# --- Jupyter Book by hand


def by_hand(copy: Copy) -> subprocess.CompletedProcess[str]:
    return run([str(Path(sys.executable).parent / "jupyter-book"), "build", "."], copy.root)


def test_jupyter_book_builds_the_book_by_hand_and_fails_where_make_fails(copy: Copy) -> None:
    done = by_hand(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (copy.root / "_build/html/book/one.html").is_file()
    copy.write("book/two.md", TWO + "\nSee {cite:p}`nobody1999`.\n")
    done = by_hand(copy)
    assert done.returncode != 0
    assert "nobody1999" in done.stderr


@pytest.mark.slow
def test_jupyter_book_by_hand_fails_on_every_try(copy: Copy) -> None:
    for name, text in (
        ("two", f"{TWO}\nSee {{cite:p}}`nobody1999`.\n"),
        ("one", f"{ONE}\n```{{code-cell}} ipython3\n1 / 0\n```\n"),
    ):
        copy.write(f"book/{name}.md", text)
        for _ in range(2):
            done = by_hand(copy)
            assert done.returncode != 0
            assert f"book/{name}.md" in done.stderr
        copy.write("book/two.md", TWO)
