"""What of each figure can be taken away, in the book and beside it: that it is there, and is what is shown."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, Page
from test_browser import THEMES, WIDTHS, visit
from test_figures import contrast
from test_html import fnames, soup

import optim_code
from book._ext.figures.figure_files import DARK_GROUND, read_label
from conftest import BUILD, PAGES, sample
from optim_code.descent import descend
from optim_code.figures import DARK, Drawing, w
from optim_code.problems import bowl

ENDINGS = (".pdf", ".svg", "-dark.svg", ".csv")
NINE = {
    "sgd_lr_opt_example",
    "sgd_lr_good_example",
    "sgd_25mom_example",
    "sgd_50mom_example",
    "sgd_75mom_example",
    "sgd_noise_example",
    "sgd_mom_noise_example",
    "rmsprop_noise_example",
    "adam_noise_example",
}


@pytest.fixture(scope="module")
def folder(html: Path) -> Path:
    return BUILD / "figures"


@pytest.fixture(scope="module")
def names() -> list[str]:
    """The names of the figures' files, in the order of the book."""
    return [Path(fname).stem for page in PAGES for fname in fnames(page)]


def test_all_files_of_each_figure_lie_in_the_book_and_beside_it_and_no_others(
    html: Path, folder: Path, names: list[str]
) -> None:
    asked = {f"{name}{ending}" for name in names for ending in ENDINGS}
    inside = {path.name: path.read_bytes() for path in (html / "_figures").iterdir()}
    beside = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(inside) == asked
    assert set(beside) == {*asked, "index.html"}
    assert all(beside[name] == data and len(data) > 50 for name, data in inside.items())


def test_the_files_of_a_figure_are_what_their_endings_say(folder: Path, names: list[str]) -> None:
    for name in names:
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF-")
        light, dark = [(folder / f"{name}{ending}").read_text(encoding="utf-8") for ending in (".svg", "-dark.svg")]
        for svg in (light, dark):
            assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
            assert not re.search(r"""(href|src)\s*=\s*["'](?!#)|url\((?!#)""", svg), "it needs another file"
        ground = f' style="background: {DARK_GROUND}"'
        assert dark.count(ground) == 1
        assert re.sub("#[0-9a-f]{6}", "", dark.replace(ground, "")) == re.sub("#[0-9a-f]{6}", "", light)
        assert "background" not in light
        header, *rows = csv.reader(io.StringIO((folder / f"{name}.csv").read_text(encoding="utf-8")))
        assert ",".join(header) in ("run,step,w1,w2,loss,g1,g2", "line,x,y", "bar,value,theory")
        assert rows
        assert {len(row) for row in rows} == {len(header)}


def test_the_lines_of_a_dark_figure_stand_out_from_its_ground() -> None:
    for role in ("ink", "muted", "path", "minimum", "second", "third", "fourth"):
        assert contrast(DARK[role], DARK_GROUND) >= 4.5, role


@pytest.mark.needs("poppler")
def test_the_letters_of_a_pdf_can_be_read(folder: Path, names: list[str]) -> None:
    for name in names:
        done = subprocess.run(["pdftotext", folder / f"{name}.pdf", "-"], capture_output=True, text=True, check=True)
        assert re.search(r"[0-9a-z]{2}", done.stdout), name


def test_the_csv_of_a_path_is_what_its_setting_gives_when_it_is_run_again(folder: Path, names: list[str]) -> None:
    compared = set()
    for name in names:
        _, identifier, source = read_label(folder / f"{name}.svg")
        assert identifier == name
        _, *rows = csv.reader(io.StringIO((folder / f"{name}.csv").read_text(encoding="utf-8")))
        for label, setting in json.loads(source or "{}").items():
            cls = getattr(optim_code, setting.pop("optimizer"), None)
            if cls is None:
                continue  # a class of the page's own, such as one with a bug
            p = torch.tensor(setting.pop("start"), dtype=torch.float64, requires_grad=True)
            shape = bowl(setting.pop("condition_number"), setting.pop("rotation"))
            how = {key: setting.pop(key) for key in ("nsteps", "noise", "seed")}
            run = descend(cls([p], **setting), shape, **how)
            found = [[float(x) for x in row[1:] if x] for row in rows if row[0] == label]
            seen = [*run.gradients.tolist(), []]
            assert found == [
                [step, *point, loss, *gradient]
                for step, (point, loss, gradient) in enumerate(
                    zip(run.points.tolist(), run.losses.tolist(), seen, strict=True)
                )
            ]
            compared.add(name)
    assert compared >= NINE


# --- on the page


def test_below_each_caption_links_lead_to_the_files_of_that_figure(html: Path, names: list[str]) -> None:
    found = []
    for page in PAGES:
        for figure in soup(html / f"{page}.html").select("article figure:has(svg)"):
            number = figure.select_one(".caption-number")
            assert number is not None
            links = figure.select("figcaption .downloads a[download]")
            files = [(html / page).parent / unquote(str(link["href"])) for link in links]
            name = files[0].stem
            assert [file.name for file in files] == [f"{name}{ending}" for ending in ENDINGS]
            assert all(file.is_file() for file in files)
            for link in links:
                assert str(link["aria-label"]) == f"{number.get_text()}as {link.get_text()}"
            drawing = figure.select_one("svg")
            assert drawing is not None
            label = read_label(html / "_figures" / f"{name}.svg")
            assert label[:2] == (drawing["aria-label"], name)
            found.append(name)
    assert found == names


def test_the_search_does_not_find_the_links(html: Path) -> None:
    text = (html / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    found = index["terms"].get("svg", [])
    pages = {index["docnames"][page] for page in (found if isinstance(found, list) else [found])}
    assert pages <= {"book/api", "book/editing"}  # which speak of SVG themselves


@pytest.mark.needs("chromium")
def test_the_links_are_there_on_a_screen_and_by_keyboard_but_not_on_paper(browser: Browser, site: str) -> None:
    opened = visit(browser, site, "book/sgd.html")
    row = opened.page.locator(".downloads").first
    assert row.is_visible()
    for link in row.locator("a").all():
        link.focus()
        assert link.evaluate("e => document.activeElement === e")
    with opened.page.expect_download() as download:
        row.locator("a").last.click()
    assert download.value.suggested_filename.endswith(".csv")
    opened.page.emulate_media(media="print")
    assert not row.is_visible()
    opened.page.emulate_media(media="screen")
    opened.show("dark", 1280)
    ground = "rgb({}, {}, {})".format(*bytes.fromhex(DARK_GROUND[1:]))
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
    opened.page.context.close()


# --- the index


@dataclass
class Entry:
    """A figure as the index shows it."""

    name: str
    card: Tag
    facts: dict[str, str]
    line: str
    program: str


@pytest.fixture(scope="module")
def entries(folder: Path) -> list[Entry]:
    found = []
    for card in soup(folder / "index.html").select("article"):
        image, code = card.select_one("img"), [pre.get_text() for pre in card.select("pre")]
        assert image is not None
        terms = [term.get_text() for term in card.select("dt")]
        facts = dict(zip(terms, (fact.get_text() for fact in card.select("dd")), strict=True))
        found.append(Entry(Path(str(image["src"])).stem, card, facts, code[0], code[-1]))
    return found


def test_the_index_shows_each_figure_once_in_the_order_of_the_book(
    html: Path, entries: list[Entry], names: list[str]
) -> None:
    assert [entry.name for entry in entries] == names
    numbers = {
        str(figure["id"]): (figure.select_one(".caption-number"), figure.select_one(".caption-text"))
        for page in PAGES
        for figure in soup(html / f"{page}.html").select("figure")
    }
    for entry in entries:
        number, caption = numbers[str(entry.card["id"])]
        heading, said, image = entry.card.select_one("h3"), entry.card.select_one("p"), entry.card.select_one("img")
        assert number is not None
        assert caption is not None
        assert heading is not None
        assert said is not None
        assert image is not None
        assert heading.get_text() == number.get_text().strip()
        assert said.get_text() == caption.get_text()
        assert len(str(image["alt"]).split()) >= 5


def test_the_index_leads_to_the_files_of_each_figure_and_to_its_place_in_the_book(
    folder: Path, entries: list[Entry]
) -> None:
    for entry in entries:
        links = [str(link["href"]) for link in entry.card.select("a")]
        assert [link for link in links if link.startswith(entry.name)] == [f"{entry.name}{e}" for e in ENDINGS]
        (place,) = [urlsplit(link) for link in links if link.startswith("../html/")]
        assert soup(folder / place.path).find("figure", id=place.fragment) is not None
        dark = entry.card.select_one("source")
        assert dark is not None
        assert dark["srcset"] == f"{entry.name}-dark.svg"


def test_the_index_says_of_each_figure_with_what_it_was_drawn(entries: list[Entry]) -> None:
    for entry in entries:
        assert f"{entry.name}.pdf" in entry.facts["Files"]
        for package in ("torch", "matplotlib", "numpy"):
            assert f"{package} {version(package).partition('+')[0]}" in entry.facts["Drawn with"]
        assert re.match(r"Python 3\.\d+\.\d+, ", entry.facts["Drawn with"])
        assert f'fname="{entry.name}.pdf"' in entry.line
    seeds = {entry.name: entry.facts["Seed"] for entry in entries}
    assert seeds["adam_noise_example"] == "0; noise 1; start (1, 1)"
    assert seeds["sgd_lr_opt_example"] == "0; noise 0; start (1, 1)"
    assert seeds["sgd_noise_floor"] == "0"
    assert seeds["race_losses"] == "none, for nothing in it is random"


@pytest.mark.slow
@pytest.mark.usefixtures("unmoved")
def test_the_program_of_a_figure_draws_it_and_its_numbers(
    folder: Path, entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Drawing] = []
    keep = Drawing.save
    monkeypatch.setattr(Drawing, "save", lambda self, path: (drawn.append(self), keep(self, path)))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the cells
    try:
        for entry in entries:
            programs = [entry.program]
            programs += [f"from optim_code import *\n{entry.line}"] if entry.name in NINE else []
            for program in programs:
                w.data.fill_(1.0)  # as in a fresh process; other tests move it
                exec(program, {"__name__": "figure"})
                made = drawn.pop()
                assert made.fname == f"{entry.name}.pdf"
                assert made.csv() == (folder / f"{entry.name}.csv").read_text(encoding="utf-8"), entry.name
                assert Path(made.fname).read_bytes() == (folder / made.fname).read_bytes(), entry.name
                assert drawn == []
    finally:
        torch.set_num_threads(threads)


def test_the_nine_figures_need_nothing_but_the_module(entries: list[Entry]) -> None:
    short = {entry.name for entry in entries if entry.card.select("details") == []}
    assert short >= NINE


def test_the_index_loads_nothing_but_the_figures_and_what_the_books_formulas_need(folder: Path) -> None:
    page: BeautifulSoup = soup(folder / "index.html")
    loaded = [str(element["src"]) for element in page.select("[src]")]
    loaded += [str(element["srcset"]) for element in page.select("[srcset]")]
    for url in loaded:
        assert (folder / url).is_file(), url
    assert [link["href"] for link in page.select("link")] == ["../html/_static/formulas.css"]
    assert "://" not in str(page)


@pytest.fixture(scope="module")
def index(browser: Browser, folder: Path) -> Iterator[Page]:
    opened = visit(browser, BUILD.as_uri(), "figures/index.html")
    assert opened.elsewhere == []
    assert opened.complaints == []
    yield opened.page
    opened.page.context.close()


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("width", sample(WIDTHS, 375))
@pytest.mark.parametrize("theme", sample(THEMES, "dark"))
def test_the_index_reads_from_disk_in_light_and_dark_wide_and_narrow(index: Page, theme: str, width: int) -> None:
    index.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    index.set_viewport_size({"width": width, "height": 900})
    index.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert index.evaluate("document.scrollingElement.scrollWidth") <= width
    assert index.locator(".math annotation").count() == index.locator(".math").count() > 0
    for image in index.locator("img").all():
        shown = image.evaluate("e => [e.complete && e.naturalWidth > 0, e.currentSrc]")
        assert shown[0]
        assert shown[1].endswith("-dark.svg") == (theme == "dark")
    assert [violation["id"] for violation in Axe().run(index).response["violations"]] == []
