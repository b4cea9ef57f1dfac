"""Write the index of the search, a script that the search page loads.

When Sphinx writes a page, this module reads the text from its HTML and keeps it beside the doctrees, because Sphinx
does not write all pages in each build. At the end of a build it puts the text of all pages into `searchindex.js`, for
`_static/search.js`. Sphinx's own index is not used: it has no decimal numbers, its results show the theme's menus, and
it fetches pages in a way that browsers refuse for a book opened from disk.
"""

from __future__ import annotations

import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from book._ext.compat import write_no_index
from book._ext.page.formula_text import plain_text
from book._ext.remembered import remembered

INLINE = {"a", "abbr", "b", "cite", "code", "em", "i", "kbd", "mark", "q", "s", "samp", "small", "span", "strong"}
INLINE |= {"sub", "sup", "u", "var", "wbr"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
HEADINGS = {f"h{level}" for level in range(1, 7)}
SILENT_TAGS = {"script", "style", "noscript", "button", "nav"}
SILENT_CLASSES = {"headerlink", "section-number", "downloads", "held-note", "playground", "toctree-wrapper"}
"""The classes of elements that are not the section's text: controls, links to files, the list of other sections."""

# `words` of _static/search.js splits a text the same way.
WORD = re.compile(r"[0-9]+(?:\.[0-9]+)*(?:e[+-]?[0-9]+)?|[²³¹⁰⁴-⁹₀-₉]+|[α-ωϑϕϖϱϵ]|[^\W\d_²³¹⁰⁴-⁹₀-₉α-ωϑϕϖϱϵ]+")
GREEK = {letter: unicodedata.name(letter).split()[-1].lower() for letter in map(chr, range(ord("α"), ord("ω") + 1))}
GREEK["λ"] = "lambda"  # Unicode spells its name without a b


@remembered
def words(text: str) -> set[str]:
    """The words of a text as the search compares them: in lower case, without accents, Greek letters by name."""
    plain_words = set()
    for word in WORD.findall(unicodedata.normalize("NFC", text).lower()):
        plain = re.sub(r"[\u0300-\u036f]", "", unicodedata.normalize("NFKD", word))
        plain_words.add(GREEK.get(plain, plain))
    return plain_words


class Reader(HTMLParser):
    """Reads the text of a page from its HTML, separately for each heading, with formulas as plain text.

    Attributes:
        parts: for each heading its anchor, its text, and the text below it, up to the next heading.
        open: the elements around the current text, each with its kind: ``silent``, ``number``, ``formula``,
            ``heading``, or empty.
        section: the anchor of the current section.
        tex: the formula that is being read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.parts = [["", "", ""]]
        self.open: list[tuple[str, str]] = []
        self.section = ""
        self.tex = ""

    def within(self, kind: str) -> bool:
        """Whether an element of this kind is open."""
        return any(other == kind for _, other in self.open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in INLINE:
            self.add_text(" ")
        if tag in VOID:
            return
        given = dict(attrs)
        classes = set((given.get("class") or "").split())
        kind = ""
        if tag in SILENT_TAGS or classes & SILENT_CLASSES:
            kind = "silent"
        elif "eqno" in classes:
            kind = "number"
        elif "math" in classes:
            kind, self.tex = "formula", ""
        elif tag == "annotation":
            kind = "tex"
        elif tag in HEADINGS:
            kind = "heading"
            self.parts.append([self.section, "", ""])
        elif tag == "section" and given.get("id"):
            self.section = given["id"] or ""
        elif tag == "dt" and given.get("id"):
            # A documented name is a place to which a result of the search can lead.
            self.parts.append([given["id"] or "", self.parts[-1][1], ""])
        self.open.append((tag, kind))

    def handle_endtag(self, tag: str) -> None:
        if tag not in {name for name, _ in self.open}:
            return
        while self.open:
            name, kind = self.open.pop()
            if kind == "formula":
                text = plain_text(self.tex)
                self.add_text(text if name in INLINE else f" {text} ")
            if name == tag:
                break
        if tag not in INLINE:
            self.add_text(" ")

    def handle_data(self, data: str) -> None:
        if self.within("tex"):
            self.tex += data
        else:
            self.add_text(data)

    def add_text(self, text: str) -> None:
        """Add a text to the heading or to the part below it, unless it is silent or a formula in TeX."""
        if not self.within("silent") and not (self.within("formula") and not self.within("number")):
            self.parts[-1][1 if self.within("heading") else 2] += text

    def read(self, html: str) -> list[list[str]]:
        """The parts of a page that have a text."""
        self.feed(html)
        self.close()
        parts = [[anchor, *(" ".join(text.split()) for text in texts)] for anchor, *texts in self.parts]
        return [part for part in parts if part[1] or part[2]]


def folder(app: Sphinx) -> Path:
    """The folder that keeps the text of each page between builds."""
    return Path(app.doctreedir, "search")


def use_own_index(app: Sphinx) -> None:
    """Let Sphinx write its search page, but no index."""
    builder: Any = app.builder
    if builder.name == "html":
        write_no_index(builder)


def collect_words(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Keep the text of a page, in a file, because Sphinx may write pages in several processes."""
    if doctree is None or app.builder.name != "html":
        return
    file = folder(app) / f"{pagename}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(Reader().read(context["body"])), encoding="utf-8")


def write_index(app: Sphinx, error: Exception | None) -> None:
    """Put the text of all pages into the script that the search page loads."""
    if error is not None or app.builder.name != "html":
        return
    docnames = sorted(app.env.found_docs)
    pages = [json.loads((folder(app) / f"{docname}.json").read_text(encoding="utf-8")) for docname in docnames]
    terms: dict[str, list[int]] = {}
    for number, parts in enumerate(pages):
        for word in words(" ".join(f"{heading} {text}" for _, heading, text in parts)):
            terms.setdefault(word, []).append(number)
    titles = [
        next((heading for _, heading, _ in parts if heading), docname)
        for docname, parts in zip(docnames, pages, strict=True)
    ]
    index = {"docnames": docnames, "titles": titles, "terms": terms, "parts": pages}
    text = json.dumps(index, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    Path(app.outdir, "searchindex.js").write_text(f"Search.setIndex({text})", encoding="utf-8")
