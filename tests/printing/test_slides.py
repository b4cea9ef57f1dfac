"""The deck of `make slides`: what is on it, in which order, and that it is the book's."""

from __future__ import annotations

import filecmp
import re
import shutil
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docutils import nodes
from test_pdf import PAGES as SMALL
from test_pdf import printed, run, squeezed, write_small_book

from book._ext.figures.figure_files import Figure
from book._ext.figures.needed_code import Program
from book._ext.printing.pdf import read_log, typeset
from book._ext.printing.slides import SlideBuilder
from conftest import BUILD, PAGES, ROOT, run_build
from small_book import Copy

FIGURES = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]["slides"]
LATEX = BUILD / ".work" / "latex" / "latex"
CELL = re.compile(r'^```\{code-cell\}.*?fname="(?P<fname>\w+)\.pdf".*?^```$', re.M | re.S)


def slides(deck: Path) -> list[str]:
    """The text of each slide after the title, on one line: what is in the figure, then what stands beside it."""
    title, *rest = run("pdftotext", "-raw", "-enc", "UTF-8", deck, "-").split("\f")[:-1]
    assert " ".join(title.split()).startswith("Descent SGD, momentum, RMSProp and Adam")
    return [" ".join(text.split()) for text in rest]


def asked_for(html: Path) -> list[tuple[str, str, str]]:
    """What the deck should show, in the order of the book's pages: section, name, number of each."""
    found = []
    for page in PAGES:
        text = (html / f"{page}.html").read_text(encoding="utf-8")
        source = (ROOT / f"{page}.md").read_text(encoding="utf-8")
        labels = {
            re.search(r"name: (fig-[\w-]+)", cell[0])[1]: cell["fname"]
            for cell in CELL.finditer(source)
            if cell["fname"] in FIGURES
        }
        numbered = r'id="equation-(update-[^"]*)">\s*<span class="eqno">(\([\d.]+\))|<figure [^>]*id="([^"]*)".*?'
        numbered += r'<span class="caption-number">(Figure [\d.]+) '
        for update, equation, figure, number in re.findall(numbered, text, re.DOTALL):
            if update:
                found.append((page, update, f"equation {equation}"))
            elif figure in labels:
                found.append((page, labels[figure], number))
    return found


def caption(html: Path, page: str, number: str) -> str:
    """The words with which the caption of a figure begins."""
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    found = re.search(rf'<span class="caption-number">{number} </span><span class="caption-text">([^<$\\.,]+)', text)
    return unescape(found[1]).strip()


@printed
def test_there_is_a_slide_for_each_update_and_each_named_figure_in_the_order_of_the_book(
    deck: Path, html: Path
) -> None:
    wanted = asked_for(html)
    assert sorted(name for _, name, _ in wanted if name in FIGURES) == sorted(FIGURES)
    assert len(FIGURES) == 9
    assert len(wanted) > len(FIGURES)
    found = slides(deck)
    assert len(found) == len(wanted)
    for text, (page, _, number) in zip(found, wanted, strict=True):
        section = re.search(r"<h1>(.*?)<a ", (html / f"{page}.html").read_text(encoding="utf-8"))[1]
        title = unescape(re.sub(r"<[^>]*>", "", section)).replace(". ", " ", 1)
        assert f"Descent, {title}, {number} " in f"{text} "
        if number.startswith("Figure"):
            assert squeezed(f"{number}{caption(html, page, number)}") in squeezed(text)


@printed
def test_a_slide_shows_the_figure_that_is_saved_by_its_name(deck: Path, html: Path) -> None:
    shown = re.findall(r"\\slidefigure\{+(\w+)\}?\.pdf\}", (LATEX / "slides.tex").read_text(encoding="utf-8"))
    names = [name for _, name, _ in asked_for(html) if name in FIGURES]
    figures = [(BUILD / "figures" / f"{name}.pdf").read_bytes() for name in names]
    assert [(LATEX / f"{name}.pdf").read_bytes() for name in shown] == figures


@printed
def test_a_slide_is_16_to_9_and_says_what_it_is(deck: Path) -> None:
    info = dict(re.findall(r"^(\w[\w ]*): +(.*)$", run("pdfinfo", deck), re.MULTILINE))
    width, height = map(float, re.findall(r"[\d.]+", info["Page size"])[:2])
    assert abs(width / height - 16 / 9) < 0.001
    assert info["Title"] == "Descent: slides"


@printed
def test_slides_have_only_lines_and_embedded_fonts(deck: Path) -> None:
    assert run("pdfimages", "-list", deck).splitlines()[2:] == []
    fonts = run("pdffonts", deck).splitlines()[2:]
    assert fonts
    for font in fonts:
        assert "Type 3" not in font
        assert re.search(r"\s(yes|no) +(yes|no) +(yes|no) +\d+ +\d+$", font)[1] == "yes", font
    assert read_log((LATEX / "slides.log").read_text(encoding="utf-8", errors="replace"), []) == []


@printed
def test_nothing_runs_off_a_slide(deck: Path) -> None:
    for page in run("pdftotext", "-bbox", deck, "-").split("</page>")[:-1]:
        width, height = map(float, re.search(r'<page width="([\d.]+)" height="([\d.]+)"', page).groups())
        for left, top, right, bottom in re.findall(
            r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)"', page
        ):
            assert 0 < float(left) <= float(right) < width
            assert 0 < float(top) < float(bottom) < height


@printed
def test_the_same_latex_gives_the_same_bytes_elsewhere(
    deck: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")  # as a build sets it
    shutil.copytree(LATEX, tmp_path / "copy", ignore=shutil.ignore_patterns("slides.*"))
    shutil.copyfile(LATEX / "slides.tex", tmp_path / "copy" / "slides.tex")
    typeset("slides", tmp_path / "copy" / "slides.tex")
    assert filecmp.cmp(tmp_path / "copy" / "slides.pdf", deck, shallow=False)


DRAWN = """\
---
file_format: mystnb
kernelspec:
  name: python3
---

# Drawn

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line.
  figure:
    name: fig-line
    caption: A line.
---
from optim_code.figures import draw_lines
draw_lines({"a": [3, 2, 1]}, ylabel="a", fname="%s.pdf")
```
"""


@printed
def test_an_equation_is_no_figure_to_be_listed(copy: Copy) -> None:
    listed = "".join(f"      - {name}\n" for name in FIGURES)
    copy.replace("_config.yml", listed, "      - update-sgd\n")
    line = (copy.root / "_config.yml").read_text(encoding="utf-8").split("      - update-sgd")[0].count("\n") + 1
    remedy = "draw it with that fname, or take it out of the list"
    assert copy.build("slides").stderr == (
        f"descent: _config.yml:{line}: slides: no figure of the book is saved as update-sgd.pdf; {remedy}\n"
    )


def test_a_slide_has_the_number_of_its_figure_though_its_name_is_not_its_id() -> None:
    drawn = nodes.figure(names=["fig_line"], ids=["fig-line"])
    page = {"figures": [Figure("fig-line", "a_line", "", {}, {}, {}, Program("", ""))]}
    numbers = {"page": {"figure": {"fig-line": (2, 1)}}}
    env = SimpleNamespace(metadata={"page": page}, toc_fignumbers=numbers, get_doctree=lambda _: drawn)
    config = SimpleNamespace(slides=["a_line"], numfig_format={"figure": "Figure %s"})
    builder: Any = SimpleNamespace(env=env, config=config, slide=lambda *slide: slide)
    assert [*SlideBuilder.slides(builder, "page")][:3] == ["page", "figure", "Figure 2.1"]


@printed
def test_a_figure_that_the_book_does_not_have_is_one_line(tmp_path: Path) -> None:
    write_small_book(tmp_path, "one", "two", "drawn")
    assert "sgd_lr_opt_example" not in "".join(SMALL.values())
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code", dirs_exist_ok=True)
    (tmp_path / "optim_code" / "optimizers.py").write_text("", encoding="utf-8")
    (tmp_path / "optim_code" / "__init__.py").write_text("", encoding="utf-8")
    config = (tmp_path / "_config.yml").read_text(encoding="utf-8")
    line = next(n for n, text in enumerate(config.split("\n"), start=1) if text.strip() == "- sgd_lr_opt_example")
    for drawn, remedy in (
        ("a_line", "draw it with that fname, or take it out of the list"),
        ("sgd_lr_opt_exampel", "did you mean sgd_lr_opt_exampel?"),
    ):
        (tmp_path / "book" / "drawn.md").write_text(DRAWN % drawn, encoding="utf-8")
        done = run_build("slides", tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            f"descent: _config.yml:{line}: slides: no figure of the book is saved as sgd_lr_opt_example.pdf; {remedy}\n"
        )
    assert not (tmp_path / "_build" / "slides").exists()
