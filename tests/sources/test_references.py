"""Each reference can be followed, and the book cites it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pybtex.database import parse_file

from conftest import PAGES, ROOT

DOI = re.compile(r"10\.\d{4,}/\S+")
URL = re.compile(r"https://[\w.-]+(/\S*)?")


def faults(file: Path, text: str) -> list[str]:
    """What is wrong with a list of references, given the text of all pages: a line for each."""
    entries: Mapping[str, Mapping[str, str]] = {
        key: dict(entry.fields) for key, entry in parse_file(str(file)).entries.items()
    }
    cited = {key.strip() for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text) for key in keys.split(",")}
    found = [f"{key} is not cited" for key in entries if key not in cited]
    for key, fields in entries.items():
        if not {"doi", "url"} & set(fields):
            found.append(f"{key} has neither a DOI nor a URL")
        if "doi" in fields and not DOI.fullmatch(fields["doi"]):
            found.append(f"{key}: {fields['doi']!r} is no DOI")
        if "url" in fields and not URL.fullmatch(fields["url"]):
            found.append(f"{key}: {fields['url']!r} is no address")
    return found


def test_each_reference_has_a_doi_or_an_address_and_is_cited() -> None:
    text = "\n".join((ROOT / f"{page}.md").read_text(encoding="utf-8") for page in PAGES)
    assert faults(ROOT / "book" / "references.bib", text) == []


def test_a_reference_that_cannot_be_followed_is_found(tmp_path: Path) -> None:
    file = tmp_path / "some.bib"
    file.write_text(
        """
@misc{one, title = {One}, doi = {10.1000/182}}
@misc{two, title = {Two}}
@misc{three, title = {Three}, doi = {https://doi.org/10.1000/182}}
@misc{four, title = {Four}, url = {www.example.org}}
@misc{five, title = {Five}, url = {https://example.org/five}}
""",
        encoding="utf-8",
    )
    assert faults(file, "{cite:t}`one` and {cite:p}`two, three`, {cite}`four`") == [
        "five is not cited",
        "two has neither a DOI nor a URL",
        "three: 'https://doi.org/10.1000/182' is no DOI",
        "four: 'www.example.org' is no address",
    ]


def test_in_html_each_reference_is_a_link(html: Path) -> None:
    page = (html / "book" / "references.html").read_text(encoding="utf-8")
    for key, entry in parse_file(str(ROOT / "book" / "references.bib")).entries.items():
        address = f"https://doi.org/{entry.fields['doi']}" if "doi" in entry.fields else entry.fields["url"]
        assert f'href="{address}"' in page, key
