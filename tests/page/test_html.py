"""The built HTML, page by page of the table of contents: what a reader, a link and a screen reader find there.

What ought to be there is read from the sections' source; what is there, from the HTML.
"""

from __future__ import annotations

import ast
import functools
import pickle
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup, Tag

from conftest import BUILD, PAGES, ROOT
from optim_code.figures import LIGHT
from small_book import Copy

CLAIMS = ("update", "identity", "claim", "def")  # what a displayed equation's label may begin with


@functools.cache
def soup(path: Path) -> BeautifulSoup:
    """A page of the built book, which does not change; nor may what this returns."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def source(page: str) -> str:
    """The source of a section, without the blocks that show MyST to an editor instead of using it."""
    text = (ROOT / f"{page}.md").read_text(encoding="utf-8")
    return re.sub(r"^(`{3,}|~{3,})(md|markdown|myst|text|yaml|bash|console)\b.*?^\1\s*$", "", text, flags=re.M | re.S)


def cells(page: str) -> list[str]:
    """The code cells of a section, options and all."""
    return re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```\s*$", source(page), flags=re.M | re.S)


def code(cell: str) -> str:
    """The Python of a code cell, without its options."""
    cell = re.sub(r"\A---\n.*?^---\n", "", cell, flags=re.M | re.S)
    return "\n".join(line for line in cell.splitlines() if not re.match(r":[a-z-]+:|[%!]", line))


def fnames(page: str) -> list[str]:
    """The names under which the cells of a section save their figures."""
    calls = [node for cell in cells(page) for node in ast.walk(ast.parse(code(cell))) if isinstance(node, ast.keyword)]
    return [call.value.value for call in calls if call.arg == "fname" and isinstance(call.value, ast.Constant)]


def prose(article: Tag) -> str:
    """The words of a page, without code and maths."""
    words = soup_of(article)
    for element in words.select("pre, code, .math, script"):
        element.decompose()
    return words.get_text()


def soup_of(element: Tag) -> BeautifulSoup:
    return BeautifulSoup(str(element), "html.parser")


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def article(html: Path, page: str) -> Tag:
    """What the section itself says on its page."""
    found = soup(html / f"{page}.html").select_one("article")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def book(html: Path) -> dict[Path, BeautifulSoup]:
    """Every page of the built book, the index and the search page included."""
    return {path: soup(path) for path in sorted(html.rglob("*.html")) if "_static" not in path.parts}


def test_every_section_of_the_contents_has_a_page_with_one_heading_at_the_top(html: Path, page: str) -> None:
    whole = soup(html / f"{page}.html")
    (heading,) = whole.select("article h1")
    assert whole.title is not None
    assert heading.get_text().rstrip("#").strip() in whole.title.get_text()


def test_no_page_depends_on_a_file_that_does_not_exist(html: Path) -> None:
    # Sphinx would read such a page again at every build.
    env = pickle.loads((BUILD / ".work" / "html" / ".doctrees" / "environment.pickle").read_bytes())
    missing = {page: name for page, names in env.dependencies.items() for name in names if not (ROOT / name).exists()}
    assert missing == {}


def test_the_top_of_the_folder_leads_to_the_front_page(html: Path) -> None:
    refresh = soup(html / "index.html").select_one('meta[http-equiv="refresh"]')
    assert refresh is not None
    target = str(refresh["content"]).split("url=")[1]
    assert target == f"{PAGES[0]}.html"
    assert (html / target).is_file()


# --- figures


def test_every_figure_that_a_cell_names_is_on_the_page(article: Tag, page: str) -> None:
    asked = re.findall(r"^\s+name:\s*(fig-\S+)", source(page), flags=re.M)
    assert [figure["id"] for figure in article.select("figure") if str(figure.get("id")).startswith("fig-")] == asked


def test_every_figure_has_a_name_a_number_and_a_caption(article: Tag) -> None:
    for figure in article.select("figure"):
        assert figure.get("id"), figure
        number, caption = figure.select_one(".caption-number"), figure.select_one(".caption-text")
        assert number is not None, figure["id"]
        assert re.fullmatch(r"Figure \d+(\.\d+)? ", number.get_text()), figure["id"]
        assert caption is not None, figure["id"]
        assert len(caption.get_text().split()) >= 3, figure["id"]


def test_no_picture_stands_outside_a_figure(article: Tag) -> None:
    assert [img for img in article.select("img, svg, object, embed") if img.find_parent("figure") is None] == []


def test_every_picture_says_in_words_what_it_shows(article: Tag) -> None:
    for picture in article.select("img, svg"):
        assert picture.name == "img" or picture["role"] == "img"
        alt = str(picture.get("alt" if picture.name == "img" else "aria-label", "")).strip()
        assert len(alt.split()) >= 5, alt
        assert not re.search(r"[0-9a-f]{16}|\.(svg|png|pdf)\b|_images", alt), alt


def test_every_figure_of_a_cell_is_one_drawing_in_the_colours_of_the_book(page: str, article: Tag) -> None:
    assert len(article.select("figure .drawing")) == len(fnames(page))
    for figure in article.select("figure:has(svg)"):
        (drawing,) = figure.select("svg, img")
        assert {element.name for element in drawing.find_all(True)} <= {"g", "defs", "path", "use", "clippath", "rect"}
        assert not drawing.get_text(strip=True)
        for element in [drawing, *drawing.find_all(True)]:
            assert not {"style", "class"} & set(element.attrs) or element is drawing
            assert {str(element[kind]) for kind in ("fill", "stroke") if kind in element.attrs} <= {
                "none", *LIGHT.values()
            }  # fmt: skip


def test_ids_are_unique_on_a_page_and_each_part_of_a_drawing_refers_to_its_own(html: Path, page: str) -> None:
    whole = soup(html / f"{page}.html")
    ids = [str(element["id"]) for element in whole.select("[id]")]
    assert sorted(ids) == sorted(set(ids))
    for drawing in whole.select(".drawing"):
        own = {str(element["id"]) for element in drawing.select("[id]")}
        used = set(re.findall(r'(?:href="|url\()#([^")]+)', str(drawing)))
        assert used == own


@pytest.mark.parametrize("name", ["search", "genindex", "py-modindex"])
def test_a_page_that_sphinx_adds_has_unique_ids_and_a_title_like_the_others(html: Path, name: str) -> None:
    whole = soup(html / f"{name}.html")
    ids = [str(element["id"]) for element in whole.select("[id]")]
    assert sorted(ids) == sorted(set(ids))
    assert whole.title is not None
    assert re.fullmatch(r"[\w ]+ — Descent", whole.title.get_text())


def test_no_file_of_a_picture_is_there_that_no_page_shows(html: Path) -> None:
    text = "".join((html / f"{page}.html").read_text(encoding="utf-8") for page in PAGES)
    assert [path.name for path in html.glob("_images/*") if path.name not in text] == []


def test_each_named_figure_lies_once_among_the_pdfs(html: Path) -> None:
    asked = [name for page in PAGES for name in fnames(page)]
    assert len(asked) == len(set(asked)), "two cells save under one name"
    assert sorted(path.name for path in (BUILD / "figures").glob("*.pdf")) == sorted(asked)
    for path in (BUILD / "figures").glob("*.pdf"):
        assert path.read_bytes().startswith(b"%PDF-")


# --- equations


def test_every_displayed_equation_has_a_number_and_a_label_that_says_what_it_claims(article: Tag, page: str) -> None:
    for equation in article.select("div.math"):
        number = equation.select_one(".eqno")
        assert number is not None, f"an equation without a label: {equation.get_text()}"
        assert re.match(r"\(\d+(\.\d+)*\)", number.get_text())
        assert re.fullmatch(rf"equation-({'|'.join(CLAIMS)})-[a-z0-9-]+", str(equation["id"]))


def test_every_equation_of_the_source_is_displayed(article: Tag, page: str) -> None:
    text = re.sub(r"^```.*?^```", "", source(page), flags=re.M | re.S)
    labels = re.findall(r"^\s*\$\$ \(([\w-]+)\)\s*$", text, flags=re.M)
    assert [str(div["id"]).removeprefix("equation-") for div in article.select("div.math")] == labels


def test_no_two_equations_or_figures_of_the_book_share_a_number(book: dict[Path, BeautifulSoup]) -> None:
    for selector in ("div.math .eqno", "figure .caption-number", ".exercise .caption-number"):
        numbers = [element.get_text() for page in book.values() for element in page.select(selector)]
        assert len(numbers) == len(set(numbers)), selector


def test_a_reference_to_an_equation_or_a_figure_shows_its_number(book: dict[Path, BeautifulSoup]) -> None:
    for path, page in book.items():
        for link in page.select("article a[href]:has(.std-numref), article a[href*='#equation-']:not(.headerlink)"):
            target, _, anchor = str(link["href"]).partition("#")
            found = book[(path.parent / target).resolve() if target else path].find(id=unquote(anchor))
            assert isinstance(found, Tag)
            shown = found.select_one(".eqno, .caption-number, .section-number")
            assert shown is not None, link
            assert shown.get_text().rstrip("#").rstrip(". ") in link.get_text(), link


# --- links


def test_every_link_inside_the_book_arrives(book: dict[Path, BeautifulSoup], html: Path) -> None:
    ids = {path: {str(e["id"]) for e in page.select("[id]")} for path, page in book.items()}
    lost = []
    for path, page in book.items():
        for link in page.select("a[href]"):
            url = urlsplit(str(link["href"]))
            if url.scheme or url.netloc:
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            fragment = unquote(url.fragment).split("?")[0]  # a playground's carries a setting
            if not target.is_file() or (fragment and fragment not in ids.get(target, ())):
                lost.append(f"{path.relative_to(html)}: {link['href']}")
    assert lost == []


def test_no_two_places_of_a_page_share_an_id(html: Path, page: str) -> None:
    ids = [str(element["id"]) for element in soup(html / f"{page}.html").select("[id]")]
    assert sorted(ids) == sorted(set(ids))


def test_every_citation_leads_to_its_reference(html: Path, page: str, article: Tag) -> None:
    cited = {
        key.strip()
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", source(page))
        for key in keys.split(",")
    }  # fmt: skip
    library = (ROOT / "book/references.bib").read_text(encoding="utf-8")
    assert cited <= set(re.findall(r"^@\w+\{([^,\s]+),", library, flags=re.M))
    references = soup(html / "book/references.html")
    targets = {
        str(link["href"]).split("#")[1] for link in article.select('a.reference.internal[href*="references.html#id"]')
    }
    assert len(targets) == len(cited)
    for target in targets:
        entry = references.find(id=target)
        assert isinstance(entry, Tag)
        assert entry.find_parent(class_="citation-list") or "citation" in str(entry.get("class")), entry


# --- nothing left over


@pytest.mark.parametrize(
    "leftover", ["Traceback (most recent call last)", "<Figure size", "\x1b[", "[91m", "problematic"]
)
def test_no_page_shows_a_fault_of_the_build(book: dict[Path, BeautifulSoup], leftover: str) -> None:
    for path, page in book.items():
        assert leftover not in page.get_text(), path
        assert page.select(".problematic, .system-message, .cell_output .stderr, .output.traceback") == [], path


def test_no_markup_is_left_unrendered(article: Tag) -> None:
    words = prose(article)
    for markup in ("$", "{glue", "{eq}", "{numref}", "{ref}", "{cite", "{doc}", "{math}", ":::", "```", "](", "\\("):
        assert markup not in words, f"…{words[max(0, words.index(markup) - 40) :][:80]}…"


def test_no_page_loads_anything_from_another_host(book: dict[Path, BeautifulSoup], html: Path) -> None:
    for path, page in book.items():
        for element in page.select("link[href], script[src], img[src], iframe[src], source[src], object[data]"):
            if element.name == "link" and not set(element.get("rel") or ()) & {
                "stylesheet",
                "preload",
                "prefetch",
                "icon",
                "preconnect",
                "dns-prefetch",
                "modulepreload",
                "manifest",
            }:
                continue  # fmt: skip
            url = str(element.get("href") or element.get("src") or element.get("data"))
            assert not urlsplit(url).netloc, f"{path}: {url}"
        for script in page.select("script:not([src])"):
            assert "://" not in script.get_text(), f"{path}: {script}"
        for styled in page.select("[style], style"):
            assert "://" not in f"{styled.get('style')}{styled.get_text() if styled.name == 'style' else ''}", path
    for sheet in html.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.S)
        loaded = re.findall(r"url\(\s*['\"]?([^'\")]+)", text) + re.findall(r"@import\s+['\"]([^'\"]+)", text)
        assert [url for url in loaded if urlsplit(url).netloc] == [], sheet


def test_every_file_that_a_page_loads_is_there(book: dict[Path, BeautifulSoup], html: Path) -> None:
    lost = []
    for path, page in book.items():
        for element in page.select("link[href], script[src], img[src]"):
            url = urlsplit(str(element.get("href") or element.get("src")))
            if url.path and not (path.parent / unquote(url.path)).resolve().is_file():
                lost.append(f"{path.relative_to(html)}: {url.path}")
    assert lost == []


def test_no_page_carries_buttons_and_scripts_that_the_book_does_not_use(book: dict[Path, BeautifulSoup]) -> None:
    for path, page in book.items():
        assert page.select(".dropdown-launch-buttons, [class*=thebe]") == [], path
        assert not re.search(r"thebe|binder|unpkg|colab", str(page), flags=re.I), path


def test_what_the_menu_of_a_page_offers_is_there(book: dict[Path, BeautifulSoup]) -> None:
    offering = set()
    for path, page in book.items():
        for link in page.select(".dropdown-download-buttons a"):
            file = (path.parent / str(link["href"])).resolve()
            assert file.stat().st_size > 1000, path
            offering |= {path.stem} if file.suffix == ".ipynb" else set()
    assert offering == {"intro", "quadratic", "sgd", "momentum", "rmsprop", "adam", "landscapes", "beyond", "training"}


def test_every_page_has_the_books_icon(book: dict[Path, BeautifulSoup]) -> None:
    for path, page in book.items():
        if page.select_one("article"):
            icon = page.select_one('link[rel="icon"]')
            assert icon is not None, path
            ElementTree.parse((path.parent / str(icon["href"])).resolve())


TWO_PARTS = """
format: jb-book
root: book/one
parts:
  - caption: The first chapter
    numbered: true
    chapters:
      - file: book/updates
  - caption: The second chapter
    numbered: true
    chapters:
      - file: book/two
"""


def test_a_second_chapter_goes_on_with_the_numbers(copy: Copy) -> None:
    copy.write("_toc.yml", TWO_PARTS)
    done = copy.build()
    assert done.returncode == 0, done.stderr
    numbers = [
        [element.get_text().strip("().# ") for element in page.select("h1 .section-number, .eqno")]
        for page in (BeautifulSoup(copy.published()[f"book/{name}.html"], "html.parser") for name in ("updates", "two"))
    ]
    assert numbers[0][:2] == ["1", "1.1"]
    assert numbers[1] == ["2", "2.1"]
