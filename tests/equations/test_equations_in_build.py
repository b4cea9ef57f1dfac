"""The check of the equations where editors and readers meet it: in the build, on the page, in print."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from conftest import BUILD, run_equations
from small_book import Copy, complaints, copy_book, run

RIGHT, WRONG = r"\sqrt{v_{t+1}} + \varepsilon", r"\sqrt{v_{t+1} + \varepsilon}"
LINE = r"book/updates\.md:\d+: update-rmsprop: differs from RMSPropOptimizer by \S+ at step \d+ with lr=\S+, .*eps=\S+"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = copy_book(tmp_path_factory.mktemp("equations") / "book")
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


@pytest.fixture
def failing(copy: Copy):
    copy.replace("book/updates.md", RIGHT, WRONG)
    yield copy
    copy.replace("book/updates.md", WRONG, RIGHT)


def test_a_failing_equation_stops_make_html_with_one_line_on_every_try(failing: Copy) -> None:
    for _ in range(2):
        assert re.fullmatch(f"descent: {LINE}", failing.fault())


@pytest.mark.needs("tex")
def test_a_failing_equation_stops_make_pdf_with_the_same_line(failing: Copy) -> None:
    (line,) = complaints(failing.build("pdf"))
    assert re.fullmatch(f"descent: {LINE}", line)


@pytest.mark.slow
def test_a_failing_equation_stops_jupyter_book_by_hand(failing: Copy) -> None:
    done = run([str(Path(sys.executable).with_name("jupyter-book")), "build", "."], failing.root)
    assert done.returncode != 0
    assert re.search(LINE, done.stdout + done.stderr)


def test_two_failing_equations_are_two_lines(failing: Copy) -> None:
    failing.replace("book/updates.md", r"\beta v_t + g_t", r"\beta v_t - g_t")
    done = failing.build()
    failing.replace("book/updates.md", r"\beta v_t - g_t", r"\beta v_t + g_t")
    first, second = complaints(done)
    assert "update-momentum" in first
    assert "update-rmsprop" in second


def test_make_equations_fails_with_the_row_of_the_failing_equation(failing: Copy) -> None:
    done = run_equations(failing.root)
    assert done.returncode == 1
    rows = done.stdout.splitlines()
    assert [row.split()[1] for row in rows if "FAILS" in row] == ["update-rmsprop"]
    assert rows[-1].endswith("; 1 fail")
    assert "Traceback" not in done.stderr


def test_make_equations_names_a_broken_toc_in_one_line(copy: Copy) -> None:
    text = (copy.root / "_toc.yml").read_text()
    copy.write("_toc.yml", "format: [")
    done = run_equations(copy.root)
    copy.write("_toc.yml", text)
    assert done.returncode == 1
    assert done.stderr.startswith("descent: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_module_that_cannot_be_read_is_one_line_for_the_build_and_for_make_equations(copy: Copy) -> None:
    copy.replace("optim_code/optimizers.py", "class AdamOptimizer(Optim):", "class AdamOptimizer(Optim:")
    line = r"descent: optim_code/optimizers\.py:\d+: SyntaxError: .*; fix that line"
    said = copy.fault()
    done = run_equations(copy.root)
    copy.replace("optim_code/optimizers.py", "class AdamOptimizer(Optim:", "class AdamOptimizer(Optim):")
    assert re.fullmatch(line, said)
    assert re.match(line, done.stderr)
    assert len(done.stderr.splitlines()) == 1


AT = r"optim_code/optimizers\.py:\d+:"


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("class AdamOptimizer(Optim):\n    pass\n", rf"{AT} AdamOptimizer is defined at line \d+ already; rename .*"),
        ("class X:\n    def f(self): 1\n    def f(self): 2\n", rf"{AT} f is defined at line \d+ already; rename .*"),
        ('class LionOptimizer(Optim):\n    """Adam: with signs."""\n',
         rf"{AT} LionOptimizer is called Adam, like AdamOptimizer; begin its docstring with another name and a colon"),
    ],
    ids=["class", "function", "name"],
)  # fmt: skip
def test_what_a_later_class_or_function_would_replace_is_one_line(copy: Copy, added: str, said: str) -> None:
    module = (copy.root / "optim_code" / "optimizers.py").read_text(encoding="utf-8")
    copy.write("optim_code/optimizers.py", f"{module}\n\n{added}")
    try:
        assert re.fullmatch(f"descent: {said}", copy.fault())
    finally:
        copy.write("optim_code/optimizers.py", module)


def test_a_class_that_drifts_from_its_equation_stops_the_build(copy: Copy) -> None:
    right, wrong = 'u_hat = state["u"]', 'u_hat = state["v"]'
    copy.replace("optim_code/optimizers.py", right, wrong)
    said = copy.fault()
    copy.replace("optim_code/optimizers.py", wrong, right)
    assert re.match(r"descent: book/updates\.md:\d+: update-amsgrad: differs from AdamAMSGradOptimizer by", said)


def test_each_update_carries_a_mark_that_says_against_what_it_was_checked(html: Path) -> None:
    marks = {}
    for page in ("sgd", "momentum", "rmsprop", "adam"):
        soup = BeautifulSoup((html / "book" / f"{page}.html").read_text(), "html.parser")
        (mark,) = soup.select("details.checked")
        equation = mark.find_previous("div", class_="math")
        assert equation["id"] == f"equation-update-{page}"
        assert not mark.has_attr("open")
        marks[page] = mark.get_text()
    for text in marks.values():
        found = re.search(
            r"Optimizer and torch\.optim, (\d+) runs of (\d+) steps each, largest difference (\S+),", text
        )
        assert int(found[1]) >= 6
        assert int(found[2]) >= 50
        assert 0 < float(found[3]) <= 1e-12
    assert "AdamOptimizer" in marks["adam"]


def test_the_appendix_lists_every_equation_with_its_verdict(html: Path) -> None:
    done = run_equations()
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()[:-1]
    soup = BeautifulSoup((html / "book" / "checks.html").read_text(), "html.parser")
    listed = [[cell.get_text(" ", strip=True) for cell in row.select("td")] for row in soup.select("tr")]
    listed = [row for row in listed if row and re.match(r"^(update|identity|claim|def)-", row[1])]
    assert [row[1] for row in listed] == [row.split()[1] for row in rows]
    assert all(re.fullmatch(r"\(\d+\.\d+\)", row[0]) for row in listed)
    assert all(row[2] for row in listed)


@pytest.mark.needs("tex", "poppler")
def test_in_print_the_mark_is_a_footnote(pdf: Path) -> None:
    text = subprocess.run(
        ["pdftotext", "-layout", pdf / "adam.pdf", "-"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    flat = " ".join(text.split())
    assert re.search(r"1 ?Held against AdamOptimizer and torch\.optim, \d+ runs of \d+ steps each", flat)
    assert BUILD in pdf.parents
