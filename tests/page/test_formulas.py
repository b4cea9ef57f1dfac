"""The formulas of a page in a real browser: MathJax's menu offers only what works, and a selected formula is copied.

A small book is built once, changed, and built again, so that the three kinds of pages with formulas are there: a
section, the list of figures, and the list of what a build changed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from test_browser import Visit, visit

from small_book import NOTEBOOK, copy_book

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

See {{eq}}`def-two`.

## Heading with $x_0$

The end.
"""
PAGES = {"section": "html/book/one.html", "figures": "figures/index.html", "changes": "changes/index.html"}


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds all that is published, for the server to offer."""
    book = copy_book(tmp_path_factory.mktemp("formulas") / "book")
    book.write("book/one.md", SECTION)
    first = book.build()
    assert first.returncode == 0, first.stderr
    book.replace("book/two.md", "f(w) = w", "f(w) = w^2")
    second = book.build()
    assert second.returncode == 0, second.stderr
    return book.root / "_build"


@pytest.fixture(params=["http", "file"])
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
FORMULA = "mjx-container:not(.onlyprint *, .bd-sidebar-secondary *)"
every_page = pytest.mark.parametrize("opened", PAGES, indirect=True)


def typeset(page: Page) -> int:
    """Wait for MathJax; the number of formulas, all of which are there to see, none as TeX."""
    page.wait_for_function("() => window.MathJax?.startup?.promise !== undefined")
    # Not evaluate(), which would wait for ever where MathJax waits for a file that is not there.
    page.wait_for_function("() => MathJax.startup.promise.then(() => true)")
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    text = page.evaluate("document.body.innerText")
    assert "\\(" not in text
    assert "\\[" not in text
    shown = page.locator(FORMULA).evaluate_all(
        """all => all.map(e => {
            const box = e.getBoundingClientRect();
            return e.getAttribute("jax") === "CHTML" && box.height > 4 && box.width > 2;
        })"""
    )
    assert shown
    assert all(shown)
    return len(shown)


# --- the menu

MENU = ".CtxtMenu_MenuFrame > .CtxtMenu_Menu"
ENTRY = ".CtxtMenu_MenuItem:not(.CtxtMenu_MenuRule):not(.CtxtMenu_MenuLabel)"


def entries(page: Page) -> list[tuple[str, ...]]:
    """What can be clicked in the menu of the first formula, each by the words on the way to it."""
    found: list[tuple[str, ...]] = []

    def look(way: tuple[str, ...]) -> None:
        level = len(way)
        menus = page.locator(MENU)
        names = [words(text) for text in menus.nth(level).locator(f"> {ENTRY}").all_inner_texts()]
        for name in names:
            entry = menus.nth(level).locator(f"> {ENTRY}").nth(names.index(name))
            assert entry.get_attribute("aria-disabled") != "true", f"{way} {name} is offered, and does nothing"
            entry.hover()
            if entry.get_attribute("aria-haspopup"):
                look((*way, name))
            else:
                found.append((*way, name))

    open_menu(page)
    look(())
    page.keyboard.press("Escape")
    return found


def words(text: str) -> str:
    return text.replace("✓", "").replace("►", "").strip()


def open_menu(page: Page) -> None:
    page.evaluate("window.scrollTo(0, 0)")
    page.locator(FORMULA).first.click(button="right")
    page.locator(MENU).first.wait_for()


def click(page: Page, way: tuple[str, ...]) -> None:
    open_menu(page)
    for level, name in enumerate(way):
        item = page.locator(MENU).nth(level).locator(f"> {ENTRY}")
        entry = item.nth([words(text) for text in item.all_inner_texts()].index(name))
        entry.hover()
    entry.click()


@pytest.mark.parametrize(("opened", "home"), [("section", "http"), ("figures", "file")], indirect=True)
def test_every_entry_of_the_menu_works_and_leaves_all_formulas_on_the_page(opened: Visit) -> None:
    page = opened.page
    page.on("dialog", lambda dialog: dialog.accept("150%"))
    count, offered = typeset(page), entries(page)
    assert {("Show Math As", "MathML Code"), ("Copy to Clipboard", "TeX Commands"), ("About MathJax",)} <= {*offered}
    for way in offered:
        click(page, way)
        page.keyboard.press("Escape")  # a window with the formula's text, or the formula enlarged
        assert typeset(page) == count, way
        page.reload()
        assert typeset(page) == count, f"{way}, after it was stored"
        assert opened.complaints == [], way
    page.wait_for_load_state("networkidle")
    assert (opened.complaints, opened.elsewhere) == ([], [])


@every_page
def test_all_pages_have_the_same_menu_without_what_is_not_shipped(opened: Visit) -> None:
    typeset(opened.page)
    offered = entries(opened.page)
    assert len(offered) > 15
    assert not {"SVG", "CHTML", "Activate", "Collapsible Math", "Speech Output", "Hover"} & {way[-1] for way in offered}
    assert opened.complaints == []


def test_the_menu_copies_the_formula_that_it_was_opened_on(opened: Visit) -> None:
    click(opened.page, ("Copy to Clipboard", "TeX Commands"))
    assert clipboard(opened.page) == "v"


NAMES = "renderer zoom zscale scale alt cmd ctrl shift texHints semantics inTabOrder assistiveMml explorer collapsible"
NAMES += " autocollapse highlight speech braille locale speechRules backgroundColor infoType magnification other"
VALUES = ["SVG", "CHTML", "Click", "NoZoom", "Flame", "de", "150%", "", "2", "1e9", "-1", "NaN", 0, -3, 0.5, True]
VALUES += [False, None, [], {}, {"a": 1}, ["SVG"]]
GARBAGE = [
    "",
    "{",
    "undefined",
    "null",
    "[]",
    '"SVG"',
    "7",
    "true",
    '[{"renderer": "SVG"}]',
    "\0",
    "{'renderer':'SVG'}",
]


def stored_values() -> Iterator[str]:
    """What MathJax itself stores for a choice that does not work here, and much that nothing ever stored."""
    yield from ('{"renderer":"SVG"}', '{"explorer":true}', '{"collapsible":true}', '{"scale":"0.001"}')
    yield from GARBAGE
    draw = random.Random(0)
    for _ in range(12):
        yield json.dumps({name: draw.choice(VALUES) for name in draw.sample(NAMES.split(), draw.randint(1, 12))})


@every_page
def test_whatever_is_stored_all_formulas_are_there_at_the_next_load(opened: Visit, home: str) -> None:
    page = opened.page
    count = typeset(page)
    values = list(stored_values())
    if not (home.startswith("http") and "one.html" in page.url):
        values = values[:4]
    for value in values:
        page.evaluate("value => localStorage.setItem('MathJax-Menu-Settings', value)", value)
        page.reload()
        assert typeset(page) == count, value
        assert opened.complaints == [], value
    page.wait_for_load_state("networkidle")
    assert (opened.complaints, opened.elsewhere) == ([], [])


def test_a_stored_choice_that_works_stays(opened: Visit) -> None:
    page = opened.page
    page.evaluate("""localStorage.setItem("MathJax-Menu-Settings", '{"renderer": "SVG", "zoom": "Click"}')""")
    page.reload()
    typeset(page)
    page.locator(FORMULA).first.click()
    assert page.locator(".CtxtMenu_Info, .MathJax_Zoom, .CtxtMenu_MenuFrame").first.is_visible()


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
    "one formula alone": (("article p", 1, "article p", 2), "$v$"),
    "from within a formula": (("article mjx-container mjx-mi", 0, "article p >> 2", 6), "$v$, zero"),
    "backwards, into a formula": (("article p >> 2", 6, "article mjx-container mjx-mi", 0), "$v$, zero"),
    "within one formula": (("article mjx-container >> 0", 0, "article mjx-container", 1), "$v$"),
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
    box, formula = paragraph.bounding_box(), paragraph.locator("mjx-container").nth(1).bounding_box()
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
    assert "mjx-" not in html


def test_copying_leaves_the_page_the_selection_and_the_place_as_they_were(opened: Visit) -> None:
    page = opened.page
    for selection in [("article", 0, "article", 3), ("article p >> 2", 6, "article mjx-container mjx-mi", 0)]:
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.evaluate(SELECT, list(selection))
        state = """() => [document.querySelector("article").innerHTML, String(getSelection()), window.scrollY,
            getSelection().anchorOffset, getSelection().focusOffset, getSelection().anchorNode.nodeName]"""
        before = page.evaluate(state)
        page.keyboard.press("Control+c")
        assert "$v$" in clipboard(page)
        assert page.evaluate(state) == before
    open_menu(page)


def test_what_is_no_formula_is_copied_as_the_browser_copies_it(browser: Browser, home: str, opened: Visit) -> None:
    page = opened.page
    plain = browser.new_context()
    plain.route("**/copy_formulas.js*", lambda route: route.abort())
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
        ("ol ~ p", 0, "figure", 3),
        ("article h1", 0, "article h1", 1),
    ]
    for selection in without:
        page.bring_to_front()
        ours = copied(page, *selection)
        other.bring_to_front()
        assert ours == copied(other, *selection), selection
        assert ours.strip(), selection
    # In a selection with formulas the rest is the same, too: code, output, and what a picture shows.
    other.bring_to_front()
    theirs = copied(other, "article", 0, "article", 3)
    page.bring_to_front()
    ours = copied(page, "article", 0, "article", 3)
    for part in ('for price in ("$5", "$6"):\n    print(price,   "each")', "$5 each\n$6 each", "Path of SGDOptimizer"):
        assert part in theirs
        assert part in ours
    plain.close()


def test_words_in_the_search_box_are_copied_though_formulas_are_selected(opened: Visit) -> None:
    page = opened.page
    page.evaluate(SELECT, ["article", 0, "article", 3])
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
