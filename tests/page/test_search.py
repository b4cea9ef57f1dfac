"""The search in a real browser, over http and from disk: what it finds, and what it shows of each section."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from playwright.sync_api import Browser
from test_browser import Visit, visit

from book._ext.page.formula_text import plain_text
from book._ext.page.formulas import mathml
from book._ext.website.search import Reader, words
from conftest import PAGES, sample

Results = list[dict[str, str]]
CHROME = ["(.ipynb)", "Contents", "Copy to clipboard", "Skip to", "SVG for dark", "Click to show", "With JavaScript"]


@pytest.fixture(params=sample(["http", "file"], "file"), scope="module")
def home(request: pytest.FixtureRequest, site: str, html: Path) -> str:
    return site if request.param == "http" else html.as_uri()


@pytest.fixture(scope="module")
def opened(browser: Browser, home: str) -> Iterator[Visit]:
    seen = visit(browser, home, "search.html")
    yield seen
    assert (seen.complaints, seen.elsewhere) == ([], [])
    seen.page.context.close()


@pytest.fixture(scope="module")
def search(opened: Visit, home: str) -> Callable[[str], Results]:
    """Ask for something; the results as a reader sees them, each with where it leads."""

    def ask(query: str) -> Results:
        opened.page.goto(f"{home}/search.html?q={quote(query)}")
        opened.page.locator(".search-summary").wait_for()
        return opened.page.locator("#search-results li").evaluate_all(
            """all => all.map(li => ({
                page: li.querySelector("a").getAttribute("href").split("#")[0].replace(/\\.html$/, ""),
                href: li.querySelector("a").getAttribute("href"),
                title: li.querySelector("a").textContent,
                text: li.textContent,
                excerpt: li.querySelector(".context")?.textContent ?? "",
                marked: [...li.querySelectorAll("mark")].map(e => e.textContent).join(" "),
            }))"""
        )

    return ask


needs_browser = pytest.mark.needs("chromium")


@needs_browser
@pytest.mark.parametrize("name", sample(["sgd", "momentum", "rmsprop", "adam", "notation", "The bowl"], "sgd"))
def test_the_section_of_that_name_comes_first(search: Callable[[str], Results], name: str) -> None:
    for query in (name, name.upper(), f" {name} "):
        first = search(query)[0]
        assert first["title"].lower() == name.lower()
        assert "#" not in first["href"]


@needs_browser
@pytest.mark.parametrize("query", ["momentum", "sgd", "adam", "rmsprop", "figure", "0.1", "κ", "learning rate"])
def test_results_show_the_words_of_each_section_once_and_nothing_of_the_theme(
    search: Callable[[str], Results], query: str
) -> None:
    results = search(query)
    assert len(results) > 1
    assert len({result["page"] for result in results}) == len(results)
    for result in results:
        assert not [word for word in CHROME if word in result["text"]], result
        assert 20 < len(result["excerpt"]) < 400
        assert result["marked"]
        if result["page"] != "book/editing":  # which shows the source of formulas as code
            assert not re.search(r"\\[a-zA-Z({\[]|[{}]\\|\\\\", result["text"]), result
        assert "#" not in result["title"]


@needs_browser
@pytest.mark.parametrize(
    ("query", "page", "marked"),
    [
        ("0.41", "sgd", "0.41"),
        ("0.38197", "momentum", "0.38197"),
        ("0.14590", "momentum", "0.14590"),
        ("κ", "quadratic", "κ"),
        ("kappa", "quadratic", "κ"),
        ("beta1", "adam", "β ₁"),
        ("β_1", "adam", "β ₁"),
        ("1e-8", "adam", "1e-8"),
        ("stability", "momentum", "stable"),
        ("heavy-ball", "momentum", "heavy ball"),
        ("Polyak", "references", "Polyak"),
        ("my_step", "sgd", "my step"),
        ("SGDMomentumOptimizer", "momentum", "SGDMomentumOptimizer"),
        ("converges", "sgd", "converge"),
    ],
)
def test_numbers_greek_letters_names_and_other_forms_of_a_word_are_found(
    search: Callable[[str], Results], query: str, page: str, marked: str
) -> None:
    (found,) = (result for result in search(query) if result["page"] == f"book/{page}")
    shown = found["marked"].lower() + found["text"].split("…")[0].lower()
    assert all(word in shown for word in marked.lower().split()), found


@needs_browser
def test_of_two_words_of_which_no_section_has_both_each_leads_somewhere(search: Callable[[str], Results]) -> None:
    pages = [result["page"] for result in search("Lyapunov hand-out")]
    assert {"book/adam", "book/editing"} <= {*pages}


@needs_browser
def test_every_word_of_the_book_leads_to_all_sections_that_have_it(
    search: Callable[[str], Results], html: Path
) -> None:
    index = json.loads((html / "searchindex.js").read_text(encoding="utf-8")[len("Search.setIndex(") : -1])
    assert index["docnames"] == sorted(PAGES)
    for term in random.Random(1).sample(sorted(index["terms"]), 10):
        found = {result["page"] for result in search(term)}
        assert {index["docnames"][page] for page in index["terms"][term]} <= found, term


@needs_browser
@pytest.mark.parametrize("query", ["xyzzy", "<img src=x onerror=alert(1)>zzz", "\\frac{}", "((", "%", "0.4100001"])
def test_what_is_not_there_is_said_in_one_line(opened: Visit, search: Callable[[str], Results], query: str) -> None:
    assert [result for result in search(query) if "onerror" in result["text"]] == []
    summary = opened.page.locator(".search-summary").inner_text()
    assert re.match(r"No section has|\d+ sections? found\.", summary)
    assert opened.page.locator("#search-results img").count() == 0
    assert opened.page.locator("#main-content input[name=q]").first.input_value() == query


@needs_browser
def test_a_result_leads_to_its_place_with_all_formulas_and_the_words_marked(
    opened: Visit, search: Callable[[str], Results]
) -> None:
    page = opened.page
    result = next(result for result in search("beta factor") if result["page"] == "book/momentum")
    page.locator(f"#search-results a[href='{result['href']}']").click()
    assert page.locator(".highlighted").first.inner_text().lower() in ("factor", "beta")
    assert page.locator(".math annotation").count() == page.locator(".math").count()
    anchor = result["href"].partition("#")[2]
    assert page.evaluate("id => document.getElementById(id) !== null", unquote(anchor))


@needs_browser
def test_every_result_leads_to_a_place_that_is_there(html: Path, search: Callable[[str], Results]) -> None:
    results = [result for query in ("step", "draw_paths") for result in search(query)]
    places = [unquote(result["href"]).partition("#") for result in results]
    pages = {page: (html / page).read_text(encoding="utf-8") for page, *_ in places}
    ids = {page: {*re.findall(r'<\w[^<>]* id="([^"]*)"', text)} for page, text in pages.items()}
    assert [place for place in places if place[2] and place[2] not in ids[place[0]]] == []
    assert any(anchor for _, _, anchor in places)


# --- the words of a page


def read(html: str) -> list[list[str]]:
    return Reader().read(html)


def test_a_page_is_read_by_its_headings_without_controls() -> None:
    inline, lines = mathml(r"\frac{2}{L}", False), mathml(r"a &= b \\ c &= d", True)
    page = rf"""<section id="one"><h1><span class="section-number">3. </span>On<em>e</em>
        <a class="headerlink" href="#one">#</a></h1><p>A <b>bold</b>word, <br>then
        <span class="math notranslate nohighlight">{inline}</span>.</p>
        <table><tr><td>a</td><td>b</td></tr></table><script>var no = 1;</script>
        <section id="two"><h2>Two</h2><div class="math"><span class="eqno">(3.1)<a class="headerlink">#</a></span>
        {lines}</div><pre>x = 1\ny = 2</pre><p class="downloads">PDF</p>
        <button>press</button><dl><dt class="sig" id="m.f">f(x)</dt><dd>Does it.</dd></dl></section></section>"""
    assert read(page) == [
        ["one", "One", "A boldword, then 2/L. a b"],
        ["two", "Two", r"(3.1) a = b c = d x = 1\ny = 2"],
        ["m.f", "Two", "f(x) Does it."],
    ]


@pytest.mark.parametrize("page", ["", "no tags", "</p></div>", "<section><p>open", "<h1></h1>", "<i class=math>\\(x"])
def test_a_broken_page_is_read_too(page: str) -> None:
    assert isinstance(read(page), list)


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"\frac{2}{L}", "2/L"),
        (r"\tfrac12", "1/2"),
        (r"\frac{\kappa - 1}{\kappa + 1}", "(κ - 1)/(κ + 1)"),
        (r"\sqrt{\hat{v}_t} + \varepsilon", "√(v̂_t) + ε"),
        (r"w_{t+1} = w_t - \eta\, g_t", "w_(t+1) = w_t - η g_t"),
        (r"\beta_1^2", "β₁²"),
        (r"10^{-8}", "10^(-8)"),
        (r"\begin{aligned} a &= b \\ c &\le d \end{aligned}", "a = b c ≤ d"),
        (r"\begin{array}{cc} a & b \end{array}", "a b"),
        (r"\left( x \right) \bigl[ y \bigr]", "(x) [y]"),
        (r"\text{rate } \operatorname{Var}[w] \to \infty", "rate Var[w] → ∞"),
        (r"\max_i \{ a, b \}", "max_i {a, b}"),
        (r"\mathbb{E}[g] \quad\text{for all } t", "E[g] for all t"),
        (r"\lVert w \rVert", "‖ w ‖"),
    ],
)
def test_a_formula_reads_as_plain_text(tex: str, text: str) -> None:
    assert plain_text(tex) == text


def test_whatever_a_formula_holds_its_text_has_no_command() -> None:
    draw = random.Random(0)
    parts = (
        r"\frac \sqrt \hat { } ^ _ & \\ \left( \right) x 12 \beta \unknown \begin{split} \end{split} \text \, ~ \{ $"
    )
    for _ in range(500):
        tex = "".join(draw.choice(parts.split(" ")) + draw.choice(["", " "]) for _ in range(draw.randint(0, 12)))
        assert not re.search(r"\\|frac|sqrt|split|unknown", plain_text(tex)), tex


def test_words_are_compared_without_case_and_accents_and_greek_letters_by_name() -> None:
    assert words("Café, SGD's β₁ = 0.41; v̂_t η²λ 1e-8. x2 ﬁt") == {
        *("cafe", "sgd", "s", "beta", "1", "0.41", "v", "t", "eta", "2", "lambda", "1e-8", "x", "fit")
    }
