"""What cells put out, from the kernel to the page: the same in each build, typeset in HTML and in print, or refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from book._ext.output_forms import overwritten
from small_book import NOTEBOOK, ONE, Copy, copy_book
from small_book import run as run_command

PYPLOT = "import matplotlib.pyplot as plt\n"
# Each way in which a notebook shows a figure of matplotlib, by the name of the figure.
WAYS = {
    "implicit": PYPLOT + "plt.plot([1, 2])\nplt.title('implicit');",
    "returned": "plt.plot([1, 3])",
    "titled": "plt.plot([1, 4])\nplt.title('a title')",
    "show": "plt.plot([1, 5])\nplt.show()",
    "bare": "fig, ax = plt.subplots()\nax.plot([1, 6])\nfig",
    "again": "fig",
    "displayed": "other, ax = plt.subplots()\nax.plot([1, 7])\ndisplay(other)\nplt.close(other)",
    "inline": "%matplotlib inline\nplt.plot([1, 8])\nplt.show()",
    "axes": "fig, ax = plt.subplots()\nax.plot([1, 9])\nax.set_title('an axes');",
    "pandas-like": "plt.gca().hist([1, 2, 2])",
    "reset": "plt.rcdefaults()\nplt.style.use('default')\nplt.plot([2, 1])\nplt.fill_between([0, 1], [0, 1]);",
    "figure-alone": (
        "from matplotlib.figure import Figure\nalone = Figure()\nalone.subplots().imshow([[0, 1], [1, 0]])\nalone"
    ),
    "clear": (
        "with plt.rc_context({'figure.facecolor': 'none', 'axes.facecolor': 'none'}):\n    plt.plot([3, 1])\n    plt.show()"
    ),
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
RASTER = f"import base64\nfrom IPython.display import Image\nImage(data=base64.b64decode('{PNG}'))"
OWN = """\
from matplotlib.figure import Figure
from optim_code.figures import Drawing
own = Figure()
own.text(0.5, 0.5, "own")
Drawing(own, "A word.", "own.pdf")"""
TYPESET = r"""
from IPython.display import HTML, Latex, Markdown, Math, display
display(Math(r"\beta_1^t"))
display(Markdown("**mean** $m_t$ and\n\n$$v_t = 1$$\n\n| a | b |\n|---|---|\n| one | $x_1$ |\n"))
display(Latex(r"\begin{align} a &= b \label{eq:x} \\ c &= d \end{align}"))
display(Latex(r"Between $k_1$ and $k_2$ words, \[ e = f \]"))
display(Math(r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"))
"""
STREAMS = """\
import sys, time
for epoch in range(60):
    print("epoch", epoch)
    if epoch % 7 == 0:
        sys.stdout.flush()
        time.sleep(0.01)"""
PROGRESS = """\
for percent in (0, 50, 100):
    print(f"\\r{percent:3} % done", end="", flush=True)
print("\\nabc\\b\\bX")"""
ORDER = """\
from IPython.display import Markdown, clear_output, display
print("wiped")
clear_output()
print("before")
display(Markdown("*between*"))
print("after", end="")
print(" all")"""
GLUE = """\
import decimal, fractions
import numpy as np, torch
from myst_nb import glue
glued = {
    "np64": np.float64(0.125), "np32": np.float32(0.1), "np16": np.float16(0.1), "npint": np.int64(7),
    "npbool": np.bool_(True), "np0d": np.array(0.5), "np1": np.array([[0.75]]), "npstr": np.str_("Adam"),
    "t0": torch.tensor(0.25), "t1": torch.tensor([[1.5]], dtype=torch.float64), "tint": torch.tensor(3),
    "tthird": torch.tensor(1 / 3, dtype=torch.float64, requires_grad=True), "tbool": torch.tensor(True),
    "tbf": torch.tensor(0.5, dtype=torch.bfloat16), "third": 1 / 3, "int": 12, "bool": False,
    "str": "it's", "big": 10**20, "dec": decimal.Decimal("0.10"), "frac": fractions.Fraction(1, 3),
}
for name, value in glued.items():
    glue(name, value, display=False)"""
TEXTS = {
    "np64": "0.125", "np32": "0.1", "np16": "0.1", "npint": "7", "npbool": "True", "np0d": "0.5", "np1": "0.75",
    "npstr": "Adam", "t0": "0.25", "t1": "1.5", "tint": "3", "tthird": "0.3333333333333333", "tbool": "True",
    "tbf": "0.5", "third": "0.3333333333333333", "int": "12", "bool": "False", "str": "it's", "big": "1" + "0" * 20,
    "dec": "0.10", "frac": "1/3", "np64:.2f": "0.12", "t0:.2f": "0.25", "tthird:.6f": "0.333333", "t1:.1e": "1.5e+00",
    "np32:.3f": "0.100", "npint:03d": "007", "third:.0%": "33%", "dec:.1f": "0.1", "str:>6s": "  it's",
}  # fmt: skip


def cell(code: str, *options: str) -> str:
    head = ["---", *options, "---"] if options else []
    return "\n".join(["", "```{code-cell} ipython3", *head, code, "```", ""])


def figure(code: str, name: str, alt: str = "") -> str:
    image = ["  image:", f"    alt: {alt}"] if alt else []
    return cell(code, "mystnb:", *image, "  figure:", f"    name: fig-{name}", f"    caption: The {name}.")


PLOTS = ONE + "".join(figure(code, name, f"A line, {name}.") for name, code in WAYS.items())
PLOTS += figure(RASTER, "raster", "Some pixels.") + figure(OWN, "own")
WORDS = f"{NOTEBOOK}\n# Words\n" + "".join(map(cell, (TYPESET, STREAMS, PROGRESS, ORDER)))
NUMBERS = f"{NOTEBOOK}\n# Numbers\n{cell(GLUE, 'tags: [remove-cell]')}\n" + "".join(
    f"- ({name}) [{{glue:text}}`{name}`]\n" for name in TEXTS
)
CONTENTS = "format: jb-book\nroot: book/one\nchapters:\n" + "".join(
    f"  - file: book/{name}\n" for name in ("updates", "two", "words", "numbers")
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A book whose cells put out all kinds of things, built."""
    copy = copy_book(tmp_path_factory.mktemp("outputs") / "book")
    copy.write("_toc.yml", CONTENTS)
    for name, text in (("one", PLOTS), ("words", WORDS), ("numbers", NUMBERS)):
        copy.write(f"book/{name}.md", text)
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    return copy


def page(copy: Copy, name: str) -> str:
    return copy.published()[f"book/{name}.html"].decode()


def outputs_of(html: str) -> list[str]:
    """The outputs of a page's cells, one text each cell."""
    return re.findall(r'<div class="cell_output.*?(?=<div class="cell docutils|</section>)', html, re.S)


# --- figures of matplotlib


@pytest.mark.parametrize("name", WAYS)
def test_matplotlib_shows_a_figure_in_each_way_a_notebook_does_and_once(shown: Copy, name: str) -> None:
    html = page(shown, "one")
    (found,) = re.findall(rf'<figure[^>]* id="fig-{name}">.*?</figure>', html, re.S)
    images = re.findall(r'<img alt="([^"]*)" class="([^"]*)" src="([^"]*)"', found)
    assert [(alt, classes.split()[-1]) for alt, classes, _ in images] == [
        (f"A line, {name}.", "for-light"),
        (f"A line, {name}.", "for-dark"),
    ]
    light, dark = (shown.published()[f"_images/{Path(source).name}"] for _, _, source in images)
    assert light.startswith(b"<?xml") and b"<path" in light
    # It was drawn for a white page, so on a dark one it stays on white.
    assert re.search(rb"<svg[^>]*background: #ffffff", dark)
    assert "Figure size" not in html and "matplotlib." not in "".join(outputs_of(html)) and " at 0x" not in html


def test_a_raster_figure_has_the_alt_text_that_it_was_given(shown: Copy) -> None:
    assert re.search(r'<img alt="Some pixels\." [^>]*\.png"', page(shown, "one"))


def test_a_figure_without_numbers_offers_no_csv(shown: Copy) -> None:
    (links,) = re.findall(r'<p class="downloads">.*?</p>', page(shown, "one"))
    assert re.findall(r">([\w ]+)</a>", links) == ["PDF", "SVG", "SVG for dark"]
    offered = sorted(path.name for path in (shown.root / "_build/figures").iterdir())
    assert offered == ["index.html", "own-dark.svg", "own.pdf", "own.svg"]
    assert "csv" not in (shown.root / "_build/figures/index.html").read_text().partition("<article")[2]


# --- texts


def test_a_loop_of_prints_is_one_output(shown: Copy) -> None:
    html = page(shown, "words")
    (loop,) = [found for found in outputs_of(html) if "epoch" in found]
    assert loop.count('class="output stream') == 1
    assert re.findall(r"epoch (\d+)", re.sub(r"<[^>]*>", "", loop)) == [str(n) for n in range(60)]


def test_what_was_written_over_is_not_shown(shown: Copy) -> None:
    texts = [re.sub(r"<[^>]*>", "", found).strip() for found in outputs_of(page(shown, "words"))]
    assert "100 % done\naX" in texts
    assert "before\n\nbetween\nafter all" in texts


@pytest.mark.parametrize(
    ("written", "seen"),
    [("ab\rX", "Xb"), ("ab\r\ncd", "ab\ncd"), ("ab\b\b\bX", "X"), ("a\n\bX", "a\n\bX"), ("100%\r5%  \r", "5%  ")],
)
def test_a_carriage_return_goes_back_as_in_a_notebook(written: str, seen: str) -> None:
    assert overwritten(written) == seen


def test_markdown_and_latex_are_typeset(shown: Copy) -> None:
    found = next(found for found in outputs_of(page(shown, "words")) if "mean" in found)
    assert "<strong>mean</strong>" in found
    maths = re.findall(r'<(?:div|span) class="[^"]*\bmath\b[^"]*">\s*\\[\[(](.*?)\\[\])]</', found, re.S)
    assert [" ".join(text.split()) for text in maths] == [
        r"\displaystyle \beta_1^t", "m_t", "v_t = 1", "x_1",
        r"\begin{split}\begin{aligned} a &amp;= b \\ c &amp;= d \end{aligned}\end{split}", "k_1", "k_2", "e = f",
        r"\begin{split}\displaystyle \begin{pmatrix} 1 \\ 2 \end{pmatrix}\end{split}",
    ]  # fmt: skip
    assert "<table" in found and "one" in found
    assert "$" not in found and "object&gt;" not in found


# --- numbers


@pytest.mark.parametrize("name", TEXTS)
def test_a_glued_number_is_a_number(shown: Copy, name: str) -> None:
    text = re.sub(r"<[^>]*>", "", page(shown, "numbers"))
    assert f"({name}) [{TEXTS[name]}]" in text.replace("&#39;", "'").replace("’", "'")


def test_the_notebook_has_the_same_numbers(shown: Copy) -> None:
    text = shown.published()["_notebooks/numbers.ipynb"].decode()
    for name, number in TEXTS.items():
        assert f"({name}) [{number}]" in text


# --- the same everywhere


def by_hand(copy: Copy) -> subprocess.CompletedProcess[str]:
    return run_command([str(Path(sys.executable).parent / "jupyter-book"), "build", "."], copy.root)


def test_every_build_has_the_same_bytes_with_ordinary_kernels_too(shown: Copy) -> None:
    before = shown.published()
    (shown.root / "_build").rename(shown.root / "_first")
    without = "from book._ext import build, warm_kernels; warm_kernels.can_fork = lambda: False; build.main()"
    done = run_command([sys.executable, "-c", without, "html"], shown.root)
    assert done.returncode == 0, done.stdout + done.stderr
    after = shown.published()
    assert [name for name in {*before, *after} if before.get(name) != after.get(name)] == []


def test_jupyter_book_by_hand_shows_the_same(shown: Copy, tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    for name in ("_toc.yml", *(f"book/{name}.md" for name in ("one", "words", "numbers"))):
        copy.write(name, (shown.root / name).read_text(encoding="utf-8"))
    done = by_hand(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("one", "words", "numbers"):
        built = (copy.root / f"_build/html/book/{name}.html").read_text(encoding="utf-8")
        assert outputs_of(built) == outputs_of(page(shown, name))
    images = {path.name: path.read_bytes() for path in (copy.root / "_build/html/_images").iterdir()}
    assert images == {k[8:]: v for k, v in shown.published().items() if k.startswith("_images/")}


@pytest.mark.needs("tex", "poppler")
def test_print_shows_them_too(shown: Copy) -> None:
    for section in ("one", "words", "numbers"):
        done = shown.build(f"handout {section}")
        assert done.returncode == 0, done.stdout + done.stderr
    pdfs = shown.root / "_build/pdf"
    text = {
        name: run_command(["pdftotext", "-layout", str(pdfs / f"{name}.pdf"), "-"], shown.root).stdout
        for name in ("one", "words", "numbers")
    }
    assert "an axes" in text["one"] and "implicit" in text["one"]
    assert "<Figure" not in text["one"] and "object>" not in text["one"]
    images = run_command(["pdfimages", "-list", str(pdfs / "one.pdf")], shown.root).stdout.splitlines()[2:]
    assert len([line for line in images if " image " in line]) <= 2, "only the pixels are pixels"
    assert "mean" in text["words"] and "**" not in text["words"] and "$" not in text["words"]
    assert "\\" not in text["words"].replace("\\b", "").replace("\\n", "") or "begin" not in outputs_only(text["words"])
    for name in ("np64", "tthird:.6f", "frac"):
        assert f"({name}) [{TEXTS[name]}]" in text["numbers"]


def outputs_only(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "display(" not in line)
