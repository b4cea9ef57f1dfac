"""A term stands in bold where it is explained, and no earlier section uses it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from markdown_it.token import Token

from book._ext.sources.marks import split
from conftest import PAGES, ROOT
from optim_code.equations.sections import Page, read_page

NOT_A_TERM = re.compile(r"You (will learn|need)|Time|Further reading|In practice", re.I)
NAMES = {"sgd", "momentum", "rmsprop", "adam", "adagrad", "amsgrad"}
"""The names of methods, which the introduction lists, or another section refers to, before their own explains them."""
EVERYDAY = {"decay", "noise", "quadratic"}
"""Words that a text may use in their everyday sense, such as "to decay", before they become terms."""


def paragraphs(page: Page) -> Iterator[tuple[int, list[Token]]]:
    """The tokens of each paragraph of a page, in order, with its line; not the list of what a section is about."""
    found = []
    for text in page.texts:
        if "admonition" not in text.parents[-1:]:
            found += [
                (text.first + (token.map[0] if token.map else 0), token.children or [])
                for token in text.tokens
                if token.type == "inline"
            ]
    yield from sorted(found, key=lambda place: place[0])


def bold(tokens: list[Token]) -> Iterator[str]:
    """The bold phrases of a paragraph without the words at its head that name its purpose."""
    for n, token in enumerate(tokens):
        if token.type == "strong_open":
            end = next(i for i in range(n, len(tokens)) if tokens[i].type == "strong_close")
            words = "".join(t.content if t.type == "text" else " " for t in tokens[n + 1 : end]).strip()
            if words and not NOT_A_TERM.match(words):
                yield words.lower().rstrip(".")


def plain(tokens: list[Token]) -> str:
    """The words of a paragraph in lower case, with those of marked phrases, without formulas, code and other roles."""
    return "".join(words(token) for token in tokens).lower()


def words(token: Token) -> str:
    if token.type == "myst_role" and token.meta["name"] == "holds":
        return split(token.content)[0]
    return token.content if token.type == "text" else " "


def uses(text: str, term: str, terms: Iterable[str]) -> bool:
    """Whether a text uses a term, in the singular or the plural, and not as a part of a longer term."""
    longer = [other for other in terms if other != term and re.search(rf"\b{re.escape(term)}\b", other)]
    for other in longer:
        text = re.sub(pattern(other), "…", text)
    return re.search(pattern(term), text) is not None


def pattern(term: str) -> str:
    return rf"(?<![\w-]){re.escape(term.removesuffix('s'))}(?:e?s)?(?![\w-])"


def faults(pages: dict[str, list[tuple[int, list[Token]]]]) -> tuple[dict[str, str], list[str]]:
    """Where each term is explained; and the terms that are used earlier, or explained twice."""
    explained: dict[str, str] = {}
    wrong: list[str] = []
    before: list[tuple[str, str]] = []
    for page, found in pages.items():
        for line, tokens in found:
            where = f"{page}.md:{line + 1}"
            for term in bold(tokens):
                if term in explained and term not in NAMES:
                    wrong.append(f"{where}: {term} is explained at {explained[term]} already")
                explained.setdefault(term, where)
        for term, where in explained.items():
            if where.startswith(f"{page}.md") and term not in NAMES | EVERYDAY:
                wrong += [
                    f"{other}: uses {term}, which {where} explains"
                    for other, text in before
                    if uses(text, term, explained)
                ]
        before += [(f"{page}.md:{line + 1}", plain(tokens)) for line, tokens in found]
    return explained, wrong


def sections() -> dict[str, list[tuple[int, list[Token]]]]:
    """The paragraphs of all pages that a reader reads in order: those with a class, and the ones before them."""
    pages = {page: read_page(ROOT, page) for page in PAGES}
    last = max(
        n for n, page in enumerate(pages.values()) if "update-" in page.text and "```{literalinclude}" in page.text
    )
    return {name: list(paragraphs(page)) for name, page in list(pages.items())[: last + 1]}


def test_no_section_uses_a_term_that_a_later_one_explains() -> None:
    explained, wrong = faults(sections())
    assert len(explained) > 30, explained
    assert not wrong, "\n".join(wrong)


def test_a_term_that_is_used_too_early_or_explained_twice_is_found() -> None:
    early = Page(
        "one", ["# One", "", "Mini-batches {holds}`have noise floors <x>`.", "", "A **curvature** is a number."]
    )
    late = Page(
        "two", ["# Two", "", "A **mini-batch** is a part, a **curvature** a number, a **noise floor** a level."]
    )
    assert faults({page.docname: list(paragraphs(page)) for page in (early, late)})[1] == [
        "two.md:3: curvature is explained at one.md:5 already",
        "one.md:3: uses mini-batch, which two.md:3 explains",
        "one.md:3: uses noise floor, which two.md:3 explains",
    ]
