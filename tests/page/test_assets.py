"""What a page loads besides itself: one style sheet, one script, no icon font; and what its policy lets it load.

In a browser each control is used while the policy is watched. A small book has what the book has not: an author's own
scripts, tabs, and icons in the text.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from matplotlib import image
from packaging.utils import canonicalize_name
from playwright.sync_api import Browser, Locator, Page
from test_browser import Visit, visit

from book._ext.website import icons
from book._ext.website.assets import take_apart
from conftest import PAGES, ROOT, sample
from small_book import TWO, Copy, copy_book

AROUND = ("genindex", "search", "py-modindex")
ICONS = ".fa, .fas, .far, .fab, .fa-solid, .fa-regular, .fa-brands"
WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation",
        (event) => violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
MASK = "(e, part) => getComputedStyle(e, part).maskImage"


# --- what a page names


def test_scripts_become_one_in_the_order_in_which_a_browser_runs_them() -> None:
    page, parts = take_apart(
        """<html data-content_root="../"><head><meta charset="utf-8"><script>early()</script>
        <link href="../_static/a/one.css?digest=1" rel="stylesheet" />
        <link rel="stylesheet" href="../_static/two.css?v=3">
        <link rel="stylesheet" media="print" href="../_static/paper.css">
        <link rel="preload" as="script" href="../_static/last.js">
        <script src="../_static/vendor/fontawesome/x.js"></script>
        <script src="../_static/first.js?v=1"></script><script defer="defer" src="../_static/deferred.js"></script>
        <script>let hint = 'x > y';</script><script data-prefix="p-" src="../_static/second.js"></script>
        <!-- <script src="../_static/comment.js"></script> --><script type="module" src="../_static/module.js"></script>
        <script defer src="../searchindex.js?v=2"></script>
        <script>DOCUMENTATION_OPTIONS.pagename = 'b/c';</script>
        </head><body><script>document.write("<script src='no.js'>")</script>
        <article><script src="../_static/own.js"></script><link rel="stylesheet" href="../_static/own.css"></article>
        <script src="../_static/last.js"></script></body></html>"""
    )
    assert parts.styles == ["a/one.css", "two.css"]
    assert parts.scripts == [
        "first.js",
        "inline:let hint = 'x > y';",
        "second.js",
        "inline:DOCUMENTATION_OPTIONS.pagename = document.currentScript.dataset.pagename;",
        "last.js",
        "deferred.js",
    ]
    assert parts.data == {"data-prefix": "p-", "data-pagename": "b/c"}
    left = [str(tag) for tag in BeautifulSoup(page, "html.parser").select("script, link")]
    assert left == [
        "<script>early()</script>",
        '<link href="../_static/paper.css" media="print" rel="stylesheet"/>',
        '<script src="../_static/module.js" type="module"></script>',
        '<script defer="" src="../searchindex.js"></script>',
        """<script>document.write("<script src='no.js'>")</script>""",
        '<script src="../_static/own.js"></script>',
        '<link href="../_static/own.css" rel="stylesheet"/>',
    ]


@pytest.mark.parametrize(("inside", "kept"), [("<p>plain</p>", False), ('<div class="sd-card docutils">', True)])
def test_the_files_of_cards_and_tabs_are_for_pages_that_have_some(inside: str, kept: bool) -> None:
    _, parts = take_apart(
        """<html data-content_root="../"><head><meta charset="utf-8">
        <link href="../_static/one.css" rel="stylesheet" />
        <link href="../_static/sphinx-design.min.css?v=95c83b7e" rel="stylesheet" />
        <script src="../_static/design-tabs.js?v=f930bc37"></script><script src="../_static/first.js"></script>
        </head><body><article>"""
        f"{inside}</article></body></html>"
    )
    assert parts.styles == ["one.css", *["sphinx-design.min.css"] * kept]
    assert parts.scripts == [*["design-tabs.js"] * kept, "first.js"]


@pytest.mark.parametrize("name", [*PAGES, *AROUND])
def test_a_page_names_one_style_sheet_one_script_and_the_fonts(html: Path, name: str) -> None:
    page = BeautifulSoup((html / f"{name}.html").read_bytes(), "html.parser")
    assert len(page.select('link[rel="stylesheet"]')) == 1
    scripts = [script for script in page.select("script[src]") if script["src"] != "searchindex.js"]
    assert [re.findall(r"_static/(\w+)\.\w{16}\.js$", str(script["src"])) for script in scripts] == [
        ["fonts"],
        ["scripts"],
    ]
    assert page.select('link[rel="preload"]') == []
    # The fonts must be there before the first line is drawn; nothing else may hold the page up.
    assert [script.has_attr("defer") for script in page.select("script[src]")][:2] == [False, True]
    assert all(script.has_attr("defer") for script in page.select("script[src]")[1:])
    assert (html / name).parent.joinpath(str(scripts[0]["src"])).is_file()


def test_pages_with_the_same_lists_share_their_files_and_no_file_lies_about(html: Path) -> None:
    files = sorted(path.name for path in (html / "_static").iterdir() if path.suffix in (".css", ".js"))
    styles = [name for name in files if name.startswith("styles.")]
    scripts = [name for name in files if name.startswith("scripts.")]
    pages = [(html / f"{name}.html").read_text(encoding="utf-8") for name in [*PAGES, *AROUND]]
    assert len(styles) == 4  # with the playground and without, with code that runs and without
    assert len(scripts) <= 5
    for name in [*styles, *scripts]:
        assert any(name in page for page in pages)
    for unused in ("bootstrap", "pydata", "playground", "descent", "togglebutton"):
        assert [name for name in files if name.startswith(unused)] == []


def test_the_book_has_no_file_of_fontawesome(html: Path) -> None:
    names = [str(path.relative_to(html)) for path in html.rglob("*") if path.is_file()]
    assert [name for name in names if re.search("fontawesome|webfonts|fa-solid|[.]map$|locales", name)] == []
    for sheet in html.rglob("*.css"):
        assert sheet.name == "formulas.css" or "Fonticons, Inc." in sheet.read_text(encoding="utf-8")
        assert not re.search(icons.CHARACTER, sheet.read_text(encoding="utf-8"))
        assert not re.search(r"font-family: *.?Font ?Awesome|Font Awesome|--fa-font", sheet.read_text(encoding="utf-8"))


def test_the_licence_of_each_work_that_is_shipped_is_named(html: Path) -> None:
    page = BeautifulSoup((html / "book" / "references.html").read_bytes(), "html.parser")
    rows = [[cell.get_text() for cell in row.select("td")] for row in page.select("table tbody tr")]
    assert len(rows) > 10
    assert all(re.search("BSD|MIT|CC BY|OFL|MPL|PSF|Vera", licence) for _, _, licence, _ in rows)
    named = {brought.split()[0] for *_, brought in rows}
    # Every file of which a page is made is the book's own, made by this build, or of a package that is named.
    parts = json.loads((html.parent / ".work" / "html" / ".doctrees" / "assets.json").read_text(encoding="utf-8"))
    files = {name for said in parts["pages"].values() for name in (*said["styles"], *said["scripts"])}
    files = {Path(name).name for name in files if not name.startswith("inline:")}
    owners: dict[str, set[str]] = {}
    for distribution in distributions():
        owner = canonicalize_name(distribution.metadata["Name"])
        for line in (distribution.read_text("RECORD") or "").splitlines():
            owners.setdefault(line.partition(",")[0].rpartition("/")[2], set()).add(owner)
    own = {path.name for path in (ROOT / "book" / "_static").iterdir()}
    without = {name for name in files - own if not owners.get(name, set()) & named}
    made = {"copybutton.js", "documentation_options.js", "figures.css", "formulas.css", "pygments.css"}
    assert {name for name in without if not name.startswith("mystnb.")} <= made


# --- icons in a browser


def has_ink(page: Page, icon: Locator) -> bool:
    """Whether a picture of this place shows more than one colour."""
    box = icon.bounding_box()
    assert box is not None
    picture = image.imread(io.BytesIO(page.screenshot(clip=box)), format="png")[..., :3].mean(axis=-1)
    return bool(picture.max() - picture.min() > 0.25)


@pytest.fixture(scope="module", params=[PAGES[0], "book/momentum", "search"])
def seen(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Visit]:
    opened = visit(browser, site, f"{request.param}.html")
    yield opened
    opened.page.context.close()


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_icon_is_drawn(seen: Visit, theme: str, width: int) -> None:
    seen.show(theme, width)
    drawn = 0
    for icon in seen.all(ICONS):
        assert icon.evaluate(MASK, "::before").startswith('url("data:image/svg+xml')
        if icon.is_visible() and (box := icon.bounding_box()) and 0 <= box["x"] <= width - box["width"]:
            icon.scroll_into_view_if_needed()
            assert has_ink(seen.page, icon), icon.evaluate("e => e.outerHTML")
            drawn += 1
    assert drawn >= 3
    for title in seen.page.locator(".admonition:not(.solution) > .admonition-title").all():
        assert title.evaluate(MASK, "::after").startswith('url("data:image/svg+xml')


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_icons_are_drawn_in_the_colours_of_the_readers_system(browser: Browser, site: str, theme: str) -> None:
    page = browser.new_context(forced_colors="active", color_scheme=theme).new_page()  # type: ignore[arg-type]
    page.goto(f"{site}/book/momentum.html")
    for name in ("bars", "download", "circle-half-stroke"):
        assert has_ink(page, page.locator(f".bd-header-article .fa-{name}:visible").first), name
    page.context.close()


# --- the policy


@pytest.mark.parametrize("name", [*PAGES, *AROUND, "index"])
def test_the_policy_comes_before_all_that_it_governs(html: Path, name: str) -> None:
    page = BeautifulSoup((html / f"{name}.html").read_bytes(), "html.parser")
    (policy,) = page.select('meta[http-equiv="Content-Security-Policy"]')
    assert policy.find_all_previous(["script", "link", "style", "img"]) == []
    said = dict(part.strip().split(" ", 1) for part in str(policy["content"]).split(";"))
    assert said["default-src"] == said["base-uri"] == "'none'"
    runs_code = page.find("script", string=re.compile("descentInPage")) is not None
    assert "unsafe" not in said["script-src"].replace("'wasm-unsafe-eval'", "")
    assert ("'wasm-unsafe-eval'" in said["script-src"]) == runs_code
    assert said.get("worker-src") == ("blob:" if runs_code else None)
    assert not re.search(r"https?:|\*", str(policy["content"]))


@pytest.fixture(params=sample(["site", "disk"], "disk"))
def home(request: pytest.FixtureRequest, html: Path, site: str) -> str:
    """Where the book is read."""
    return site if request.param == "site" else html.as_uri()


def watched(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """A page in a window of its own, and what it complains of."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(20_000)
    page.add_init_script(WATCH)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    return page, said


def test_all_controls_work_under_the_policy(browser: Browser, home: str) -> None:
    page, said = watched(browser, f"{home}/book/momentum.html")
    mode = "document.documentElement.dataset.mode"
    modes = set()
    for _ in range(3):
        page.click(".theme-switch-button:visible")
        modes.add(page.evaluate(mode))
    assert modes == {"light", "dark", "auto"}
    page.click(".dropdown-download-buttons button")
    assert page.locator(".dropdown-download-buttons .dropdown-menu").is_visible()
    page.keyboard.press("Escape")
    button = page.locator(".admonition.dropdown button.toggle-button").first
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    page.locator("div.highlight").first.hover()
    page.locator("button.copybtn").first.click()
    page.locator("button.copybtn.success").first.wait_for()
    mark = page.locator(".held-mark").first
    mark.click()
    assert page.locator(".held-note:popover-open").count() == 1
    page.keyboard.press("Escape")
    play = page.locator(".playground").first
    play.scroll_into_view_if_needed()
    play.locator(".play-bowl").wait_for()  # it is filled when a reader comes near, so its controls are late
    used = 0
    for control in play.locator("input[type=range], input[type=checkbox], button, select").all():
        if control.is_visible() and control.is_enabled():
            control.focus()
            page.keyboard.press("ArrowRight")
            if control.evaluate("e => e.tagName === 'BUTTON' || e.type === 'checkbox'"):
                control.click()
            if play.evaluate("e => e.classList.contains('play-large')"):
                page.keyboard.press("Escape")  # or all the rest of the page stays out of reach
            used += 1
    assert used > 15
    page.locator(".sidebar-toggle.primary-toggle").click()
    page.set_viewport_size({"width": 800, "height": 900})
    page.evaluate("scrollTo({top: 6000, behavior: 'instant'})")
    button = page.locator("#pst-back-to-top")
    for _ in range(20):  # it comes when a reader goes back, and only after the page has noticed
        page.wait_for_timeout(200)
        page.evaluate("scrollBy({top: -50, behavior: 'instant'})")
        if button.is_visible():
            break
    button.click()
    page.wait_for_function("() => scrollY === 0")
    assert page.evaluate("violations") == []
    page.keyboard.press("Control+k")
    page.keyboard.type("momentum")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()
    assert page.evaluate("violations") == []
    page.locator("#search-results li a").first.click()
    page.locator("article h1").wait_for()
    assert page.evaluate("violations") == []
    assert said == []
    page.context.close()


def test_the_policy_refuses_what_the_book_does_not_bring(browser: Browser, site: str) -> None:
    page, _ = watched(browser, f"{site}/book/momentum.html")
    for attempt in (
        "fetch('https://example.org/x').catch(() => 0)",
        "document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.bad = 1'}))",
        "document.body.append(Object.assign(document.createElement('script'), {src: 'https://example.org/x.js'}))",
    ):
        before = page.evaluate("violations.length")
        page.evaluate(f"void ({attempt})")
        page.wait_for_timeout(100)
        assert page.evaluate("violations.length") == before + 1, attempt
    assert page.evaluate("window.bad") is None
    page.context.close()


# --- what the book has not, in a small one

OWN = f"""{TWO}
Read {{fas}}`rocket` and {{far}}`bell`.

::::{{tab-set}}
:::{{tab-item}} A
:sync: a
The first.
:::
:::{{tab-item}} B
:sync: b
The second.
:::
::::

```{{raw}} html
<script src="../_static/own.js"></script>
<script>window.own += " inline"; // "quoted" &amp; → ’</script>
<button id="own" onclick="window.own += ' &quot;click&quot;'">Press</button>
```
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = copy_book(tmp_path_factory.mktemp("assets") / "book")
    copy.write("book/two.md", OWN)
    copy.write("book/_static/own.js", "window.own = `script ${document.readyState}`;\n")
    done = copy.build()
    assert done.returncode == 0, done.stderr
    return copy


def test_an_authors_own_scripts_run_at_their_place(small: Copy, browser: Browser) -> None:
    page, said = watched(browser, f"{(small.root / '_build/html').as_uri()}/book/two.html")
    assert page.evaluate("window.own") == "script loading inline"
    page.click("#own")
    assert page.evaluate("window.own") == 'script loading inline "click"'
    assert page.evaluate("violations") == []
    for name in ("rocket", "bell"):
        assert has_ink(page, page.locator(f".fa-{name}"))
    page.locator(".sd-tab-set label").last.click()
    page.get_by_text("The second.").wait_for()
    assert (
        page.evaluate("Object.entries(sessionStorage).concat(Object.entries(localStorage)).join()").count("tab-id") == 1
    )
    assert said == []
    page.context.close()


def test_an_incremental_build_ends_at_the_same_bytes_as_one_from_nothing(small: Copy) -> None:
    small.replace("book/updates.md", "# Updates\n", "# Updates\n\nSee {fas}`anchor`, and {fas}`times`.\n")
    assert small.build().returncode == 0
    after = small.published()
    assert "_static/own.js" in after
    # The icon is in the style sheets of all pages, although Sphinx has written only one of them.
    styles = [name for name in after if name.startswith("_static/styles.")]
    assert all(b"fa-anchor" in after[style] for style in styles)
    pages = [data for name, data in after.items() if name.startswith("book/")]
    assert all(any(style.encode() in data for style in styles) for data in pages)
    shutil.rmtree(small.root / "_build")
    assert small.build().returncode == 0
    assert small.published() == after


def test_an_icon_that_does_not_exist_is_a_fault_with_its_page(small: Copy) -> None:
    text = (small.root / "book/updates.md").read_text(encoding="utf-8")
    small.write("book/updates.md", f"{text}\nSee {{fas}}`anker`.\n")
    for _ in range(2):
        said = small.fault()
        assert re.match(r"book/updates\.md:.*FontAwesome has no icon fa-anker", said), said
    small.write("book/updates.md", text)
    assert small.build().returncode == 0
