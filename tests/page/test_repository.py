"""`repository_url` switches on the links to the sources, issues, Binder and Colab; without it there is none.

And each page names the licences."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from conftest import ROOT
from small_book import Copy, copy_book

URL = "https://github.com/example/a.book"
EMPTY = 'repository_url: ""'


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return copy_book(tmp_path_factory.mktemp("repository") / "book")


def links(copy: Copy, page: str) -> list[str]:
    """Where the head of a page leads to, outside the book."""
    html = BeautifulSoup((copy.root / f"_build/html/book/{page}.html").read_bytes(), "html.parser")
    found = [str(link["href"]) for link in html.select(".article-header-buttons a[href]")]
    return [href for href in found if href.startswith("http")]


def test_the_links_come_with_the_address_and_go_with_it(copy: Copy) -> None:
    done = copy.build()
    assert done.returncode == 0, done.stderr
    assert links(copy, "one") == links(copy, "two") == []
    before = copy.published()
    copy.replace("_config.yml", EMPTY, f"repository_url: {URL}")
    done = copy.build()
    assert done.returncode == 0, done.stderr
    of_sources = [
        URL,
        f"{URL}/blob/main/book/two.md?plain=1",
        f"{URL}/issues/new?title=Issue%20on%20page%20%2Fbook/two.html&body=Your%20issue%20content%20here.",
    ]
    assert links(copy, "two") == of_sources, "a page without cells has nothing to run"
    assert links(copy, "one") == [
        *(link.replace("book/two", "book/one") for link in of_sources),
        "https://mybinder.org/v2/gh/example/a.book/gh-pages?urlpath=lab/tree/_notebooks/one.ipynb",
        "https://colab.research.google.com/github/example/a.book/blob/gh-pages/_notebooks/one.ipynb",
    ]
    assert (copy.root / "_build/html/_notebooks/one.ipynb").is_file()
    copy.replace("_config.yml", f"repository_url: {URL}", EMPTY)
    done = copy.build()
    assert done.returncode == 0, done.stderr
    assert copy.published() == before


@pytest.mark.parametrize("value", ["github.com/example/book", "https://github.com/example", "7", f"{URL}/tree/main"])
def test_an_address_that_the_links_could_not_use_is_said_in_one_line(tmp_path: Path, value: str) -> None:
    copy = copy_book(tmp_path / "book")
    copy.replace("_config.yml", EMPTY, f"repository_url: {value}")
    line = (copy.root / "_config.yml").read_text(encoding="utf-8")[:-1].partition("repository_url:")[0].count("\n") + 1
    said = f"repository_url: {value} is no repository on GitHub; write https://github.com/OWNER/NAME, or nothing"
    assert copy.fault() == f"descent: _config.yml:{line}: {said}"


def test_the_setting_of_jupyter_book_is_not_silently_without_effect(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    copy.write("_config.yml", "repository: {url: " + URL + "}\n" + (copy.root / "_config.yml").read_text("utf-8"))
    assert copy.fault().startswith("descent: _config.yml:1: repository: has no effect; write repository_url")


def test_the_footer_of_each_page_the_readme_and_the_licence_name_both_licences(copy: Copy) -> None:
    pages = [BeautifulSoup(data, "html.parser") for name, data in copy.published().items() if name.startswith("book/")]
    feet = [foot.get_text() for page in pages for foot in page.select(".bd-footer-content")]
    assert len(feet) == 3
    for text in (*feet, *((ROOT / name).read_text(encoding="utf-8") for name in ("LICENSE", "README.md"))):
        assert "CC BY 4.0" in text
        assert "BSD-3-Clause" in text
