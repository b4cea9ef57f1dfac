"""The formulas of a page in a real browser: they are typeset, and a selected one is copied as TeX.

A small book is built once, changed, and built again, so that the three kinds of pages with formulas are there: a
section, the list of figures, and the list of what a build changed.
"""

from __future__ import annotations

import io
import re
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser, Page
from test_browser import Visit, visit

from book._ext.page.formulas import ANNOTATION, breakable, characters, font_of, mathml, write_font
from conftest import ROOT, sample
from small_book import NOTEBOOK, TWO, Copy, copy_book

pytestmark = pytest.mark.needs("chromium")

SECTION = rf"""{NOTEBOOK}
# One

Keep a velocity $v$, zero at the start, with $0 \le \beta < 1$: **walk** on.

$$
\begin{{aligned}}
v_{{t+1}} &= \beta v_t + g_t \\
w_{{t+1}} &= w_t - \eta\, v_{{t+1}}
\end{{aligned}}
$$ (def-lines)

```{{code-cell}} ipython3
for price in ("$5", "$6"):
    print(price,   "each")
```

$$
f(w) = \frac{{1}}{{2}} w^2
$$ (def-half)

| method | rate |
| --- | --- |
| SGD | $\frac{{\kappa - 1}}{{\kappa + 1}}$ |

1. First $a$.
2. Then $b$

A paragraph without any.

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-one
    caption: A path with $\eta = 0.1$ in its caption.
---
from optim_code import SGDOptimizer, output, w

output(SGDOptimizer([w], lr=0.1), fname="one.pdf")
```

See {{eq}}`def-two`, {{ref}}`sec-heading` and {{doc}}`two`.

(sec-heading)=
## Heading with $x_0$

The end.
"""
PAGES = {"section": "html/book/one.html", "figures": "figures/index.html", "changes": "changes/index.html"}


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds all that is published, for the server to offer."""
    book = copy_book(tmp_path_factory.mktemp("formulas") / "book")
    book.write("book/one.md", SECTION)
    book.replace("book/two.md", "# Two", "# Two, or $\\frac{a}{\\infty}$")
    first = book.build()
    assert first.returncode == 0, first.stderr
    book.replace("book/two.md", "f(w) = w", "f(w) = w^2")
    second = book.build()
    assert second.returncode == 0, second.stderr
    return book.root / "_build"


@pytest.fixture(params=sample(["http", "file"], "file"))
def home(request: pytest.FixtureRequest, site: str, html: Path) -> str:
    return site if request.param == "http" else html.as_uri()


@pytest.fixture
def opened(browser: Browser, home: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A page, the section if no other is asked for, in a window of its own."""
    seen = visit(browser, home, PAGES[getattr(request, "param", "section")])
    if home.startswith("http"):
        seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=home)
    else:
        seen.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield seen
    seen.page.context.close()


# The theme repeats headings in lists that are not shown at every width, or only in print.
FORMULA = "math:not(.onlyprint *, .bd-sidebar-secondary *)"
every_page = pytest.mark.parametrize("opened", PAGES, indirect=True)


def typeset(page: Page) -> int:
    """The number of formulas, all of which are there to see, in the book's font, none as TeX."""
    page.evaluate("document.fonts.ready.then(() => true)")
    assert page.evaluate("document.fonts.check('16px Formulas')")
    text = page.evaluate("document.body.innerText")
    assert "\\(" not in text
    assert "\\[" not in text
    shown = page.locator(FORMULA).evaluate_all(
        """all => all.map(e => {
            const box = e.getBoundingClientRect();
            return getComputedStyle(e).fontFamily.startsWith("Formulas") && box.height > 4 && box.width > 2;
        })"""
    )
    assert shown
    assert all(shown)
    return len(shown)


@every_page
def test_formulas_are_typeset_without_a_script_for_it(opened: Visit) -> None:
    assert typeset(opened.page)
    assert opened.page.evaluate("window.MathJax") is None
    assert (opened.complaints, opened.elsewhere) == ([], [])


# --- how they are written


def seen(formula: str) -> str:
    """What a reader sees of a formula in MathML."""
    return BeautifulSoup(ANNOTATION.sub("", formula), "html.parser").get_text()


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"a &= b \\ c &= d", "a=bc=d"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a=bc=d"),
        (r"\begin{align} a &= b \label{x} \\ c &= d \nonumber \end{align}", "a=bc=d"),
        (r"\begin{gather*} a \\ b \end{gather*}", "ab"),
        (r"\begin{equation} a < b \tag{3} \end{equation}", "a<b"),
        (r"\begin{split} a &= b \end{split}", "a=b"),
    ],
)
def test_lines_and_environments_are_typeset_without_numbers_of_their_own(tex: str, text: str) -> None:
    made = mathml(tex, True)
    assert seen(made) == text
    assert unescape(ANNOTATION.search(made)[0]) == tex  # type: ignore[index]


def test_a_long_formula_is_cut_before_relations_and_terms_and_loses_nothing() -> None:
    made = breakable(mathml(r"w_{t+1} = w_t - \eta\, g_t + \beta (w_t - w_{t-1}) \le - x", True))
    sides = [
        [seen(str(term)) for term in side.select("math")] for side in BeautifulSoup(made, "html.parser").select(".side")
    ]
    assert sides == [["wt+1"], ["=wt", "−ηgt", "+β(wt−wt−1)"], ["≤−x"]]
    assert made.count("<annotation") == 1
    short = mathml("a = b + c", True)
    assert breakable(short) == short


def test_no_formula_of_the_book_loses_a_sign_when_it_is_cut() -> None:
    sources = "\n".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "book").glob("*.md")))
    formulas = re.findall(r"^\$\$\n(.*?)^\$\$ \(", sources, re.S | re.M)
    assert len(formulas) > 100
    cut = 0
    for tex in formulas:
        whole = mathml(tex, True)
        assert seen(breakable(whole)) == seen(whole)
        assert ANNOTATION.findall(breakable(whole)) == ANNOTATION.findall(whole)
        cut += breakable(whole) != whole
    assert cut > 40


def test_the_font_has_every_character_of_the_formulas_and_the_signs_that_browsers_add() -> None:
    used = characters(mathml(r"\sqrt{\kappa} + h < \mathcal{N}", False) + "outside: Ω")
    assert {*"√κ𝜅hℎ+<"} <= {*used}
    assert "Ω" not in used
    signs = TTFont(io.BytesIO(font_of(used))).getBestCmap()
    assert {ord(sign) for sign in used} - signs.keys() <= {0xFE00}  # asks for another form of the sign before it


def test_a_page_that_the_book_has_no_more_leaves_no_character_in_the_font(tmp_path: Path) -> None:
    (tmp_path / "_static").mkdir()
    for name, tex in (("kept", "x"), ("removed", r"\Omega")):
        (tmp_path / f"{name}.html").write_text(mathml(tex, False), encoding="utf-8")
    app: Any = SimpleNamespace(
        outdir=str(tmp_path), builder=SimpleNamespace(name="html"), env=SimpleNamespace(found_docs={"kept"})
    )
    write_font(app, None)
    style = (tmp_path / "_static" / "formulas.css").read_text(encoding="utf-8")
    font = re.search(r"base64,([^\"]+)", style)
    assert font is not None
    signs = TTFont(io.BytesIO(b64decode(font[1]))).getBestCmap()
    assert ord("x") in signs
    assert ord("Ω") not in signs


def test_the_font_says_whose_it_is_and_under_which_licence() -> None:
    names = TTFont(io.BytesIO(font_of("x")))["name"]
    assert "STIX Fonts Project Authors" in names.getDebugName(0)
    assert "SIL Open Font License" in names.getDebugName(13)


def test_the_signs_of_roots_are_equally_wide_at_all_heights() -> None:
    font = TTFont(io.BytesIO(font_of("√x")))
    variants = font["MATH"].table.MathVariants
    roots = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(font.getBestCmap()[ord("√")])]
    names = [record.VariantGlyph for record in roots.MathGlyphVariantRecord]
    assert len(names) == 4
    assert len({font["hmtx"][name][0] for name in names}) == 1


def test_a_formula_that_cannot_be_typeset_is_one_line_with_its_place(copy: Copy) -> None:
    copy.write("book/two.md", TWO + "\nSome words, and $\\fooo{x}$.\n")
    line = (copy.root / "book/two.md").read_text(encoding="utf-8").count("\n")
    wanted = f'book/two.md:{line}: WARNING: a formula cannot be typeset: Unknown command "\\fooo"; correct it'
    assert copy.fault() == wanted


def test_a_reference_shows_the_formula_of_a_heading_and_a_tab_says_it(html: Path) -> None:
    page = (html / PAGES["section"]).read_text(encoding="utf-8")
    paragraph = re.search(r"<p>See .*</p>", page)
    assert paragraph is not None
    heading, title = mathml("x_0", False), mathml(r"\frac{a}{\infty}", False)
    assert [paragraph[0].count(formula) for formula in (heading, title)] == [1, 1]
    assert "\\" not in re.sub("<annotation.*?</annotation>", "", paragraph[0])
    assert "<title>Two, or a/∞ &#8212; Descent</title>" in (html / "html/book/two.html").read_text(encoding="utf-8")


def test_a_formula_stays_with_the_punctuation_that_touches_it(html: Path) -> None:
    page = BeautifulSoup((html / PAGES["section"]).read_text(encoding="utf-8"), "html.parser")
    together = [seen(str(span)) for span in page.select("article .unbroken")]
    assert together == ["v,", "0≤β<1:", "a."]
    assert "zero at the start, with 0≤β<1: walk on." in seen(str(page.select_one("article p")))


@pytest.mark.parametrize("home", ["file"], indirect=True)
def test_only_a_formula_that_has_to_be_pushed_aside_is_a_stop_of_the_tab_key(opened: Visit) -> None:
    page, stops = opened.page, "() => document.querySelectorAll('.formula[tabindex]').length"
    assert page.evaluate(stops) == 0
    squeeze = (
        "width => { document.querySelector('.formula').style.maxWidth = width; dispatchEvent(new Event('resize')); }"
    )
    page.evaluate(squeeze, "20px")
    assert page.evaluate(stops) == 1
    page.evaluate(squeeze, "none")
    assert page.evaluate(stops) == 0


# --- copying

SELECT = """([from, start, to, end]) => {
    const node = (selector) => selector.split(" >> ").reduce((e, part) =>
        /^\\d+$/.test(part) ? e.childNodes[part] : [...e.querySelectorAll(part)].at(0), document);
    const within = (e, offset) => Math.min(offset, e.nodeType === 3 ? e.length : e.childNodes.length);
    getSelection().setBaseAndExtent(node(from), within(node(from), start), node(to), within(node(to), end));
}"""
ALIGNED = r"""$$\begin{aligned}
v_{t+1} &= \beta v_t + g_t \\
w_{t+1} &= w_t - \eta\, v_{t+1}
\end{aligned}$$"""
FIRST = r"Keep a velocity $v$, zero at the start, with $0 \le \beta < 1$: walk on."


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def copied(page: Page, *selection: object) -> str:
    """Select from a node and offset to another, press the keys, and read what the browser has put on the clipboard."""
    page.evaluate(SELECT, list(selection))
    page.keyboard.press("Control+c")
    return clipboard(page)


def flat(text: str) -> str:
    return " ".join(text.split())


CASES = {
    "a line of text": (("article p", 0, "article p", 7), FIRST),
    "from the middle of a word": (("article p >> 0", 7, "article p >> 2", 6), "velocity $v$, zero"),
    "one formula alone": (("article p .unbroken", 0, "article p .unbroken", 1), "$v$"),
    "from within a formula": (("article math mi", 0, "article p >> 2", 6), "$v$, zero"),
    "backwards, into a formula": (("article p >> 2", 6, "article math mi", 0), "$v$, zero"),
    "within one formula": (("article math >> 0", 0, "article math", 1), "$v$"),
    "lines of their own": (("div.math", 0, "div.math", 3), f"(1) {ALIGNED}"),
    "a line of its own, without its number": (
        ("[id$=def-half]", 2, "[id$=def-half]", 3),
        r"$$f(w) = \frac{1}{2} w^2$$",
    ),
    "a table": (("table", 0, "table >> tbody", 99), r"method rate SGD $\frac{\kappa - 1}{\kappa + 1}$"),
    "a list": (("ol", 0, "ol", 99), "First $a$. Then $b$"),
    "a caption": ((".caption-text", 0, ".caption-text", 3), r"A path with $\eta = 0.1$ in its caption."),
    "a heading": (("article h2", 0, "article h2", 2), "Heading with $x_0$"),
}


def test_a_selection_is_copied_with_its_formulas_as_tex(opened: Visit) -> None:
    page = opened.page
    for name, (selection, expected) in CASES.items():
        assert flat(copied(page, *selection)).removesuffix("#") == flat(expected), name
    # The lines of a formula stay lines, and what is inside a line of text does not break it.
    assert ALIGNED in copied(page, "div.math", 0, "div.math", 3)
    assert copied(page, "article p", 0, "article p", 7) == FIRST
    assert opened.complaints == []


def test_a_selection_made_with_the_mouse_is_copied_with_its_formulas(opened: Visit) -> None:
    page = opened.page
    paragraph = page.locator("article p").first
    box, formula = paragraph.bounding_box(), paragraph.locator("math").nth(1).bounding_box()
    assert box is not None
    assert formula is not None
    page.mouse.move(box["x"] + 1, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(formula["x"] + formula["width"] + 2, formula["y"] + formula["height"] / 2, steps=5)
    page.mouse.up()
    page.keyboard.press("Control+c")
    assert clipboard(page).startswith(FIRST[: FIRST.index("$:") + 1])


def test_the_copy_has_its_html_too_with_the_formulas_and_the_bold_words(opened: Visit) -> None:
    copied(opened.page, "article p", 0, "article p", 7)
    html = opened.page.evaluate(
        "navigator.clipboard.read().then(items => items[0].getType('text/html')).then(blob => blob.text())"
    )
    assert r"$0 \le \beta &lt; 1$" in html
    assert ">walk</strong>" in html
    assert "<math" not in html


def test_copying_leaves_the_page_the_selection_and_the_place_as_they_were(opened: Visit) -> None:
    page = opened.page
    for selection in [("article", 0, "article", 99), ("article p >> 2", 6, "article math mi", 0)]:
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.evaluate(SELECT, list(selection))
        state = """() => [document.querySelector("article").innerHTML, String(getSelection()), window.scrollY,
            getSelection().anchorOffset, getSelection().focusOffset, getSelection().anchorNode.nodeName]"""
        before = page.evaluate(state)
        page.keyboard.press("Control+c")
        assert "$v$" in clipboard(page)
        assert page.evaluate(state) == before


def test_what_is_no_formula_is_copied_as_the_browser_copies_it(browser: Browser, home: str, opened: Visit) -> None:
    page = opened.page
    plain = browser.new_context()
    plain.add_init_script(
        """const add = EventTarget.prototype.addEventListener;
        EventTarget.prototype.addEventListener = function (type, ...rest) {
            if (type !== "copy") add.call(this, type, ...rest);
        };"""
    )
    other = plain.new_page()
    other.goto(page.url)
    typeset(other)
    if home.startswith("http"):
        plain.grant_permissions(["clipboard-read", "clipboard-write"], origin=home)
    else:
        plain.grant_permissions(["clipboard-read", "clipboard-write"])
    without = [
        ("div.cell", 0, "div.cell", 2),
        ("div.cell pre", 0, "div.cell pre", 4),
        ("ol ~ p", 0, "ol ~ p", 3),
        ("article h1", 0, "article h1", 1),
    ]
    for selection in without:
        page.bring_to_front()
        ours = copied(page, *selection)
        other.bring_to_front()
        assert ours == copied(other, *selection), selection
        assert ours.strip(), selection
    # In a selection with formulas the rest is the same, too: code and output. What a figure shows is there besides.
    other.bring_to_front()
    theirs = copied(other, "article", 0, "article", 99)
    page.bring_to_front()
    ours = copied(page, "article", 0, "article", 99)
    assert "$v$" not in theirs
    for part in ('for price in ("$5", "$6"):\n    print(price,   "each")', "$5 each\n$6 each"):
        assert part in theirs
        assert part in ours
    assert "Path of SGDOptimizer" in ours
    plain.close()


def test_words_in_the_search_box_are_copied_though_formulas_are_selected(opened: Visit) -> None:
    page = opened.page
    page.evaluate(SELECT, ["article", 0, "article", 99])
    page.keyboard.press("Control+k")
    page.keyboard.type("momentum")
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+c")
    assert clipboard(page) == "momentum"


@pytest.mark.parametrize("opened", ["figures", "changes"], indirect=True)
def test_formulas_are_copied_on_pages_beside_the_book_too(opened: Visit) -> None:
    typeset(opened.page)
    opened.page.keyboard.press("Control+a")
    opened.page.keyboard.press("Control+c")
    text = clipboard(opened.page)
    assert r"A path with $\eta = 0.1$ in its caption." in text or "$$f(w) = w^2$$" in text
