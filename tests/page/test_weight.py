"""A page is light: what its first load takes, all of it drawn, in real Chromium from a server that compresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_weight import load, served
from playwright.sync_api import Browser

from conftest import PAGES

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def address(html: Path) -> Iterator[str]:
    with served(html) as address:
        yield address


@pytest.mark.parametrize("page", PAGES)
def test_the_first_load_of_a_page_takes_few_bytes_and_requests_and_moves_nothing(
    browser: Browser, address: str, page: str
) -> None:
    cost = load(browser, f"{address}/{page}.html")
    assert cost.requests <= 15
    assert cost.kilobytes <= 300
    assert cost.shift < 0.02
