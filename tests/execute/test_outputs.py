"""What cells put out, from the kernel to the page: the same in each build, typeset in HTML and in print, or refused."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from matplotlib.image import imread

from book._ext.execute.execution import SectionFails
from book._ext.execute.output_forms import overwritten
from book._ext.execute.outputs import fault_of, fault_of_names
from book._ext.execute.running import run
from book._ext.faults import OutputFault
from book._ext.page.formulas import ANNOTATION
from book._ext.website.offline import other_host
from conftest import set_up_kernels
from small_book import NO_BOOK, NOTEBOOK, ONE, TWO, Copy, copy_book
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
        "clear = {'figure.facecolor': 'none', 'axes.facecolor': 'none'}\n"
        "with plt.rc_context(clear):\n    plt.plot([3, 1])\n    plt.show()"
    ),
}
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4"
    + "//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)
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
    "str": "it's", "big": 10**20, "dec": decimal.Decimal("0.25"), "frac": fractions.Fraction(1, 3),
}
for name, value in glued.items():
    glue(name, value, display=False)"""
TEXTS = {
    "np64": "0.125", "np32": "0.1", "np16": "0.1", "npint": "7", "npbool": "True", "np0d": "0.5", "np1": "0.75",
    "npstr": "Adam", "t0": "0.25", "t1": "1.5", "tint": "3", "tthird": "0.3333333333333333", "tbool": "True",
    "tbf": "0.5", "third": "0.3333333333333333", "int": "12", "bool": "False", "str": "it's", "big": "1" + "0" * 20,
    "dec": "0.25", "frac": "1/3", "np64:.2f": "0.12", "t0:.2f": "0.25", "tthird:.6f": "0.333333", "t1:.1e": "1.5e+00",
    "np32:.3f": "0.100", "npint:03d": "007", "third:.0%": "33%", "dec:.1f": "0.2", "int:d": "12",
}  # fmt: skip


def cell(code: str, *options: str) -> str:
    head = ["---", *options, "---"] if options else []
    return "\n".join(["", "```{code-cell} ipython3", *head, code, "```", ""])


def figure(code: str, name: str, alt: str = "") -> str:
    image = ["  image:", f"    alt: {alt}"] if alt else []
    return cell(code, "mystnb:", *image, "  figure:", f"    name: fig-{name}", f"    caption: The {name}.")


PLOTS = ONE + "".join(figure(code, name, f"A line, {name}.") for name, code in WAYS.items())
PLOTS += figure(RASTER, "raster", "Some pixels.") + figure(OWN, "own")
DRAWN = """\
import random
import numpy, torch
print("drawn", random.random(), numpy.random.rand(), torch.rand(1).item(), torch.nn.Linear(1, 1).bias.item())
print("drawn", *(numpy.random.default_rng().random() for _ in "ab"), {"one", "two", "three", "four"})"""
WORDS = f"{NOTEBOOK}\n# Words\n" + "".join(map(cell, (TYPESET, STREAMS, PROGRESS, ORDER, DRAWN)))
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
    ((alt, classes, source),) = re.findall(
        r'<img width="\d+" height="\d+" alt="([^"]*)" class="([^"]*)" loading="lazy" src="([^"]*)"', found
    )
    # It was drawn for a white page, so on a dark one it stays on white.
    assert (alt, classes.split()[-1]) == (f"A line, {name}.", "on-white")
    drawn = shown.published()[f"_images/{Path(source).name}"]
    assert drawn.startswith(b"<?xml")
    assert b"<path" in drawn
    assert "<svg" not in found
    assert not re.search(r"Figure size|matplotlib\.| at 0x", "".join(outputs_of(html)))


def test_a_raster_figure_has_the_alt_text_that_it_was_given(shown: Copy) -> None:
    (found,) = re.findall(r'<img [^>]*alt="Some pixels\."[^>]*>', page(shown, "one"))
    source = re.search(r'src="\.\./(_images/[^"]*\.png)"', found)
    assert source is not None
    height, width, _ = imread(io.BytesIO(shown.published()[source[1]])).shape
    assert f'width="{width}" height="{height}"' in found
    assert 'loading="lazy"' in found


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
    assert "before\nbetween\nafter all" in [re.sub(r"\n+", "\n", text) for text in texts]


@pytest.mark.parametrize(
    ("written", "seen"),
    [("ab\rX", "Xb"), ("ab\r\ncd", "ab\ncd"), ("ab\b\b\bX", "X"), ("a\n\bX", "a\nX"), ("100%\r5%  \r", "5%  ")],
)
def test_a_carriage_return_goes_back_as_in_a_notebook(written: str, seen: str) -> None:
    assert overwritten(written) == seen


def test_markdown_and_latex_are_typeset(shown: Copy) -> None:
    found = next(found for found in outputs_of(page(shown, "words")) if "mean" in found)
    assert "<strong>mean</strong>" in found
    assert [" ".join(unescape(text).split()) for text in ANNOTATION.findall(found)] == [
        r"\displaystyle \beta_1^t", "m_t", "v_t = 1", "x_1", r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        "k_1", "k_2", "e = f", r"\displaystyle \begin{pmatrix} 1 \\ 2 \end{pmatrix}",
    ]  # fmt: skip
    assert re.search(r"<table.*<td><p>one</p></td>", found, re.S)
    assert not re.search(r"\$|object&gt;", found)


# --- numbers


@pytest.mark.parametrize("name", TEXTS)
def test_a_glued_number_is_a_number(shown: Copy, name: str) -> None:
    text = re.sub(r"<[^>]*>", "", page(shown, "numbers"))
    assert f"({name}) [{TEXTS[name]}]" in text.replace("&#39;", "'").replace("’", "'")


def test_the_notebook_has_the_same_numbers(shown: Copy) -> None:
    text = shown.published()["_notebooks/numbers.ipynb"].decode().replace("’", "'")  # as on the page
    for name, number in TEXTS.items():
        assert f"({name}) [{number}]" in text


# --- the same everywhere


def by_hand(copy: Copy) -> subprocess.CompletedProcess[str]:
    return run_command([str(Path(sys.executable).parent / "jupyter-book"), "build", "."], copy.root)


@pytest.mark.slow
def test_random_numbers_without_a_seed_are_the_same_in_each_build(copy: Copy) -> None:
    copy.write("book/one.md", ONE + cell(DRAWN))
    drawn = []
    for _ in range(2):
        assert copy.build(cold=True).returncode == 0
        drawn += re.findall(r"drawn [^<]*", page(copy, "one"))
        shutil.rmtree(copy.root / "_build")
    assert len(drawn) == 2
    assert drawn[0] == drawn[1]
    first, second = re.findall(r"0\.\d+", drawn[0].splitlines()[1])
    assert first != second


@pytest.mark.slow
def test_every_build_has_the_same_bytes_with_ordinary_kernels_too(shown: Copy) -> None:
    before = shown.published()
    (shown.root / "_build").rename(shown.root / "_first")
    without = (
        "from book._ext.cli import build; from book._ext.execute import warm_kernels; "
        "warm_kernels.can_fork = lambda: False; build.main()"
    )
    done = run_command([sys.executable, "-c", without, "html"], shown.root)
    assert done.returncode == 0, done.stdout + done.stderr
    after = shown.published()
    assert [name for name in {*before, *after} if before.get(name) != after.get(name)] == []


@pytest.mark.slow
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
    done = shown.build("pdf")
    assert done.returncode == 0, done.stdout + done.stderr
    pdf = str(shown.root / "_build/pdf/descent.pdf")
    text = run_command(["pdftotext", "-layout", pdf, "-"], shown.root).stdout
    assert re.search(r"an axes.*\bown\b", text, re.S)
    assert not re.search(r"<Figure|object>|\*\*mean|\$m_t\$(?! and)", without_code(text))
    for name in ("np64", "tthird:.6f", "frac"):
        assert f"({name}) [{TEXTS[name]}]" in text


def without_code(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "display(" not in line)


# --- what is refused


@pytest.fixture(scope="module")
def kernels() -> Iterator[None]:
    """The server that kernels are forked from."""
    with pytest.MonkeyPatch.context() as patch:
        set_up_kernels(patch)
        yield


def fault(folder: Path, text: str, builder: str = "html") -> str:
    """The line that a build says of a section with a fault; the cells really run, and no setting lets them fail."""
    path = folder / "section.md"
    path.write_text(NOTEBOOK + text, encoding="utf-8")
    reader_config: Any = SimpleNamespace(execution_in_temp=True, execution_timeout=60, execution_allow_errors=True)
    notebook = notebook_of(path)
    try:
        run(notebook, folder, reader_config)
        glued: dict[str, int] = {}
        for number, one in enumerate(one for one in notebook.cells if one.cell_type == "code"):
            said = fault_of(one, builder) or fault_of_names(one, glued, number)
            if said:
                raise OutputFault(number, said)
    except Exception as error:
        return str(SectionFails(path, error)).replace(f"{folder}/", "")
    return ""


def notebook_of(path: Path) -> nbformat.NotebookNode:
    from myst_nb.core.read import read_myst_markdown_notebook

    return read_myst_markdown_notebook(path.read_text(encoding="utf-8"), add_source_map=True, path=path)


EARLIER = """\
def divide(x):
    return x / 0
def chain(x):
    try:
        divide(x)
    except ZeroDivisionError:
        raise KeyError("key")"""
# A cell that fails, which of its lines does, and what is said of it.
FAILS = {
    "syntax": ("a = 1\nb = = a", 2, "SyntaxError: invalid syntax in `b = = a`"),
    "unterminated": ("a = 1\nb = '''\n", 2, "SyntaxError: incomplete input in `b = '''`"),
    "indented": ("a = 1\n  b = 2", 2, "IndentationError: unexpected indent in `b = 2`"),
    "unindented": (
        "for i in (1, 2):\n        a = 1\n    b = 2", 3,
        "IndentationError: unindent does not match any outer indentation level in `b = 2`",
    ),
    "not indented": (
        "def f():\npass", 2, "IndentationError: expected an indented block after function definition on line 1 in `p"
    ),
    "raised": ("a = 1\na / 0", 2, "ZeroDivisionError: division by zero in `a / 0`"),
    "after empty lines": ("\n\na = 1\na / 0", 4, "ZeroDivisionError: division by zero in `a / 0`"),
    "own function": ("def f():\n    return 1 / 0\nf()", 3, "ZeroDivisionError: division by zero in `f()`"),
    "an earlier cell": (
        "x = 2\ndivide(x)", 2, "ZeroDivisionError: division by zero in `divide(x)` (raised at section.md:11)"
    ),
    "a chain": ("x = 2\nchain(x)", 2, "KeyError: 'key' in `chain(x)` (raised at section.md:16)"),
    "optim_code": (
        "from optim_code import SGDOptimizer, w\nSGDOptimizer([w], lr=-1)", 2,
        "ValueError: lr must be finite and >= 0, got -1 in `SGDOptimizer([w], lr=-1)` (raised at optim_code/optim.py:",
    ),
    "a library": (
        "import numpy as np\n\nnp.zeros(3).reshape(2, 2)", 3,
        "ValueError: cannot reshape array of size 3 into shape (2,2) in `np.zeros(3).reshape(2, 2)`",
    ),
    "no message": ("a = 1\nraise ValueError", 2, "ValueError in `raise ValueError`"),
    "lines": ("a = 1\nraise ValueError('\\nfirst\\n  second')", 2, "ValueError: first second in `raise"),
    "long": ("raise ValueError('x' * 5000)", 1, f"ValueError: {'x' * 288}… in `raise"),
    "assertion": ("a = 1\nassert a == 2", 2, "AssertionError in `assert a == 2`"),
    "cause": ("try:\n    1 / 0\nexcept Exception as e:\n    raise OSError('no') from e", 4, "OSError: no in `raise"),
    "group": (
        "a = 1\nraise ExceptionGroup('many', [ValueError('a')])", 2, "ExceptionGroup: many (1 sub-exception) in `raise"
    ),
    "sys.exit": ("import sys\nsys.exit(3)", 2, "SystemExit: 3 in `sys.exit(3)`"),
    "exit": ("a = 1\nexit()", 2, "SystemExit in `exit()`"),
    "quit": ("a = 1\nquit(0)", 2, "SystemExit: 0 in `quit(0)`"),
    "interrupt": ("a = 1\nraise KeyboardInterrupt", 2, "KeyboardInterrupt in `raise KeyboardInterrupt`"),
    "magic": ("a = 1\n%nosuch 3", 2, "UsageError: Line magic function `%nosuch` not found. in `%nosuch 3`"),
    "cell magic": ("%%nosuch\n1", 1, "UsageError: Cell magic `%%nosuch` not found. in `%%nosuch`"),
    "command": ("a = 1\n!exit 3", 2, "RuntimeError: !exit 3 failed with exit status 3 in `!exit 3`; fix it"),
    "exec": ("a = 1\nexec('b = = a')", 2, "SyntaxError: invalid syntax in `exec('b = = a')`"),
    "unprintable": (
        "class Odd(Exception):\n    def __str__(self): raise OSError('no text')\nraise Odd()", 2, "OSError: no text in"
    ),
    "a list": (
        "from myst_nb import glue\nglue('a-list', [1.0])", 2,
        'TypeError: glue("a-list", …) takes a number or a text, got list; glue one number of it, or a text in `glue(',
    ),
    "an array": (
        "from myst_nb import glue\nimport numpy as np\nglue('array', np.ones(3), display=False)", 3,
        'TypeError: glue("array", …) takes a number or a text, got ndarray of shape (3,); ',
    ),
    "a tensor": (
        "from myst_nb import glue\nimport torch\nglue('tensor', torch.ones(2, 2))", 3,
        'TypeError: glue("tensor", …) takes a number or a text, got Tensor of shape (2, 2); ',
    ),
    "an object": ("from myst_nb import glue\nglue('object', object())", 2, 'TypeError: glue("object", …) takes'),
    "none": ("from myst_nb import glue\nglue('none', None)", 2, 'TypeError: glue("none", …) takes a number or a text'),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILS)
def test_a_cell_that_fails_is_named_with_its_line(kernels: None, tmp_path: Path, name: str) -> None:
    code, line, said = FAILS[name]
    text = "# A\n" + cell(EARLIER) + cell(code, "tags: [hide-input, raises-exception]") + cell("'never shown'")
    found = fault(tmp_path, text)
    lines = (NOTEBOOK + text).split("\n")
    first = lines.index("tags: [hide-input, raises-exception]") + 2
    assert re.match(rf"section\.md:{first + line}: cell 2, line \d+: {re.escape(said)}", found), found
    assert "\n" not in found
    assert not re.search(r"\d+\.py|<tokenize>|/tmp|/ipykernel", found)


@pytest.mark.parametrize(
    ("above", "number"),
    [(":::{note}\nOne.\n\n+++\n\nTwo.\n:::\n", 1), ("```{code-cell} ipython3\n:load: earlier.py\n```\n", 2)],
    ids=["a break in a box", "a cell from a file"],
)
def test_a_cell_that_fails_is_found_whatever_stands_above(
    kernels: None, tmp_path: Path, above: str, number: int
) -> None:
    (tmp_path / "earlier.py").write_text("a = 1\n", encoding="utf-8")
    text = f"# A\n\n{above}{cell('1 / 0')}"
    line = (NOTEBOOK + text).split("\n").index("1 / 0") + 1
    assert fault(tmp_path, text).startswith(f"section.md:{line}: cell {number}, line 1: ZeroDivisionError")


NAMED = ("mystnb:", "  figure:", "    name: fig-a", "    caption: A.")
LINES = "import matplotlib.pyplot as plt\nfor n in range(3):\n    plt.figure()\n    plt.plot([n])"
HTML = "from IPython.display import *\n"
# Cells whose outputs cannot be shown, their options, and what is said.
REFUSED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no figure": ("a = 1", NAMED, "its options describe the figure fig-a, but it shows none; "),
    "only printed": ("print(1)", NAMED, "its options describe the figure fig-a, but it shows none; "),
    "three figures": (LINES, NAMED, "shows 3 figures; give each figure a cell of its own, with mystnb: "),
    "three without a name": (LINES, (), "shows 3 figures; give each figure a cell of its own, with mystnb: "),
    "two things": (f"{HTML}display(Markdown('a'))\n1", NAMED, "shows 2 things under one caption; "),
    "address": ("object()", (), "puts out <object at 0x"),
    "printed address": ("print(1, object())", (), "puts out <object object at 0x"),
    "html": (f"{HTML}HTML('<b>bold</b>')", (), "puts out <IPython.core.display.HTML object>, which print "),
    "script": (f"{HTML}Javascript('1')", (), "puts out <IPython.core.display.Javascript object>, which print cannot"),
    "video": (f"{HTML}YouTubeVideo('abc')", (), "puts out HTML that loads from another host, www.youtube.com; "),
    "frame": (f"{HTML}IFrame('https://a.org/b', 9, 9)", (), "puts out HTML that loads from another host, a.org; "),
    "picture": (f"{HTML}Image(url='http://a.org/b.png')", (), "puts out HTML that loads from another host, a.org; "),
    "latex": (f"{HTML}Latex(r'a \\textbf{{b}} $c$')", (), "puts out LaTeX with \\textbf outside of a formula; "),
    "names": (
        "from myst_nb import glue\nglue('x', 1, display=False)\nglue('x', 2, display=False)", (), "glues x, which "
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_shown_is_named_with_its_cell(kernels: None, tmp_path: Path, name: str) -> None:
    code, options, said = REFUSED[name]
    text = f"# A\n{cell(code, *options)}"
    found = fault(tmp_path, text)
    first = (NOTEBOOK + text).split("\n").index(code.split("\n")[0]) + 1
    assert found.startswith(f"section.md:{first}: cell 1: {said}"), found
    assert "\n" not in found


def test_a_figure_that_only_a_browser_can_draw_is_named_where_it_is_to_be_printed(
    kernels: None, tmp_path: Path
) -> None:
    text = "# A\n" + cell(
        "from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>')", *NAMED
    )
    assert fault(tmp_path, text, "html") == ""
    assert "cell 1: shows a figure that print cannot; draw it with matplotlib" in fault(tmp_path, text, "latex")


@pytest.mark.parametrize("tag", ["remove-cell", "remove-output"])
def test_a_cell_that_shows_nothing_may_put_out_anything(kernels: None, tmp_path: Path, tag: str) -> None:
    code = f"{LINES}\nprint(object())\nHTML = '<b>'\nobject()"
    assert fault(tmp_path, f"# A\n{cell(code, f'tags: [{tag}]')}") == ""


@pytest.mark.parametrize(
    "html",
    [
        "<img src='https://a.org/x.png'>", "<IMG SRC=//a.org/x.png>", "<img srcset='x.png 1x, https://a.org/x.png 2x'>",
        "<script src=https://a.org/x.js></script>", "<script>import('https://a.org/x.js')</script>",
        "<style>@import 'https://a.org/x.css'</style>", "<style>p { background: url(https://a.org/x.png) }</style>",
        '<p style="background: url(&quot;//a.org/x.png&quot;)">', "<iframe src='http://a.org'></iframe>",
        "<iframe srcdoc='<img src=https://a.org/x.png>'></iframe>", "<link rel=stylesheet href=https://a.org/x.css>",
        "<video poster=https://a.org/x.png></video>", "<object data=https://a.org/x.swf></object>",
        "<svg><image xlink:href='https://a.org/x.png'/></svg>", "<meta http-equiv=refresh content='0; url=//a.org/'>",
        "<script>require(['//a.org/x.js'])</script>", "<base href=https://a.org/>",
    ],
)  # fmt: skip
def test_whatever_loads_from_another_host_is_found(html: str) -> None:
    assert other_host(f"<p>text</p>{html}") == "a.org"


@pytest.mark.parametrize(
    "html",
    [
        "<a href='https://a.org'>a</a>", "see https://a.org", "<img src='x//y.png'>",
        "<img src='data:image/png;base64,//8='>",
        "<svg xmlns='http://www.w3.org/2000/svg'></svg>", "<script>// a.org\nlet ns = 'http://www.w3.org/2000/svg'</script>",
        "<code>src=https://a.org</code>", "<p title='https://a.org'>", "<style>p { color: red } /* // a.org */</style>",
    ],
)  # fmt: skip
def test_a_link_or_a_name_loads_nothing(html: str) -> None:
    assert other_host(html) == ""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A book to break."""
    return copy_book(tmp_path_factory.mktemp("refused") / "book")


def test_each_fault_of_a_page_is_named_with_its_line_on_every_try(small: Copy) -> None:
    glued = cell("from myst_nb import glue\nglue('twice', 1, display=False)", "tags: [remove-cell]")
    wrong = {
        '<img src="//b.org/dot.png" alt="">': "loads from another host, b.org; ",
        "A line <img src='https://c.org/dot.png'> of text": "loads from another host, c.org; ",
        "```{image} http://d.org/dot.png\n:alt: d\n```": "loads from another host, d.org; ",
        "```{raw} html\n<style>@import url(https://e.org/x.css)</style>\n```": "loads from another host, e.org; ",
        cell(RASTER).strip(): "a figure needs a name and a caption, and a description; write them in its ",
        figure("plt.plot([1])\nplt.show()", "bad").strip(): "a figure without a description; ",
        cell("fig, ax = plt.subplots()").strip(): "a figure needs a name and a caption, and a description; ",
        glued.strip(): "twice is glued here and at book/one.md:",
    }
    fine = "[a link](https://f.org) and <a href='https://g.org'>another</a>, https://h.org"
    small.write("book/one.md", ONE + cell(PYPLOT) + glued)
    small.write("book/two.md", NOTEBOOK + TWO + "\n\n".join([cell(PYPLOT), *wrong, fine]) + "\n")
    lines = (small.root / "book/two.md").read_text(encoding="utf-8").splitlines()
    for _ in range(2):
        *said, last = small.faults()
        assert last == f"descent: {len(wrong)} warnings, {NO_BOOK}"
        for text, what in wrong.items():
            first = next(i for i in range(len(lines)) if lines[i : i + text.count("\n") + 1] == text.split("\n"))
            # A cell that is glued is named by its code, what is shown by its fence.
            places = range(first + 1, first + text.count("\n") + 2)
            assert [line for line in said if any(line.startswith(f"book/two.md:{n}: WARNING: {what}") for n in places)]
        assert len(said) == len(wrong)


def test_a_figure_that_is_not_shown_is_one_line_though_the_text_refers_to_it(small: Copy) -> None:
    small.write("book/two.md", TWO)
    small.write("book/one.md", f"{ONE}\nSee {{numref}}`fig-none`.\n{figure('a = 1', 'none')}")
    line = (small.root / "book/one.md").read_text(encoding="utf-8").splitlines().index("a = 1") + 1
    said = small.fault()
    assert said.startswith(f"descent: book/one.md:{line}: cell 2: its options describe the figure fig-none, ")
    done = by_hand(small)
    assert done.returncode != 0
    assert f"book/one.md:{line}: cell 2: its options describe the figure fig-none" in done.stderr


LIMITED = NOTEBOOK.replace("kernelspec:", "mystnb:\n  execution_timeout: {limit}\nkernelspec:", 1)


def test_a_page_may_set_its_own_limit_of_time(small: Copy) -> None:
    small.write("book/two.md", TWO)
    small.write(
        "book/one.md", LIMITED.format(limit=1) + ONE.removeprefix(NOTEBOOK) + cell("import time\ntime.sleep(20)")
    )
    assert re.search(r"book/one\.md:\d+: cell 2: ran longer than 1 s; ", small.fault())


def test_the_section_with_the_longest_limit_of_its_own_is_waited_for_last(small: Copy) -> None:
    small.write("book/one.md", LIMITED.format(limit=300) + ONE.removeprefix(NOTEBOOK))
    small.write("book/two.md", NOTEBOOK + TWO + "\nA longer page.\n" * 50 + cell("print(2)"))
    done = small.build(cold=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"(book/\w+) … running", done.stdout) == ["book/two", "book/one"]
