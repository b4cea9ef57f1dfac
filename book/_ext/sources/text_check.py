"""Check the text between directives: roles, formulas, links, and the syntax of other languages.

`checking` calls this for each token of a page.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from book._ext.sources.block_check import cells_of, check_label, cut_by_a_bar, holds_text, is_formula
from book._ext.sources.findings import ESCAPED, Book, SourceFault, near
from optim_code.equations.sections import Page

if TYPE_CHECKING:
    from markdown_it.token import Token

ROLES_OF_OTHERS = {"cite": "cite:p", "citep": "cite:p", "citet": "cite:t", "eqref": "eq", "figref": "numref"}
MASK = "\0"
"""Takes the place of each character that is not text: code, a formula, a role, an address."""


def check_token(book: Book, page: Page, token: Token, line: int) -> Iterator[SourceFault]:
    """The faults of a token that the parser of Markdown has found.

    Args:
        book: the book.
        page: the page.
        token: the token.
        line: its first line, counted from 0.
    """
    if token.type == "inline":
        yield from check_text(book, page, token, line)
    elif token.type == "myst_target":
        yield from check_label(book, page, line, token.content)
        below = next((text for text in page.lines[line + 1 :] if text.strip()), None)
        if below is None:
            yield SourceFault(page, line, f"({token.content})= names nothing, for nothing follows it; take it out")
    elif token.type == "code_block":
        first = next((n for n, text in enumerate(token.content.split("\n")) if text.strip()), 0)
        text = token.content.split("\n")[first].strip()
        if re.match(r"(`{3,}|~{3,}|:{3,})\s*\{", text):
            what = f"{text.split()[0]} is indented by four spaces, so it is shown as it is"
            yield SourceFault(page, line + first, f"{what}; take the spaces out")
        elif re.match(r"\$\$", text):
            what = "an equation that is indented by four spaces is shown as it is"
            yield SourceFault(page, line + first, f"{what}; take the spaces out")
    elif token.type == "html_block":
        yield from check_html(book, page, token.content, line)
        if found := re.search(r"\\\[|\\\(|\$\$|\\begin\{", without_comments(token.content)):
            number = line + token.content[: found.start()].count("\n")
            yield SourceFault(page, number, "an equation inside HTML is not checked; write it outside, $$ … $$ (label)")


def line_at(text: str, part: str, first: int) -> int:
    """The line on which a part of a text begins, if the text begins on line `first`."""
    return first + text[: max(text.find(part), 0)].count("\n")


def without_comments(html: str) -> str:
    """HTML with spaces in place of its comments."""
    return re.sub(r"<!--.*?(-->|\Z)", lambda found: re.sub(r"[^\n]", " ", found[0]), html, flags=re.S)


LOCAL = re.compile(r"\b(src|href|poster|data)\s*=\s*[\"']?(?![\w+.-]+:|//|#)([^\s\"'>]+)", re.I)
"""An attribute of HTML with an address in the book."""


def check_html(book: Book, page: Page, html: str, first: int) -> Iterator[SourceFault]:
    """The faults of the addresses in raw HTML: Sphinx copies no file that only HTML names.

    Args:
        book: the book.
        page: the page.
        html: the raw HTML.
        first: its first line.
    """
    for found in LOCAL.finditer(without_comments(html)):
        path = unquote(re.split(r"[?#]", found[2])[0])
        name = os.path.normpath(os.path.join(os.path.dirname(page.docname), path)).replace(os.sep, "/")
        if name.removesuffix(".html") in book.pages or (book.root / "book" / name).is_file():
            continue
        how = "[text](page.md)" if found[1].lower() == "href" else "![what it shows](file)"
        text = f"{found[1]}={found[2]} leads nowhere, as no file is copied for raw HTML; write {how}"
        yield SourceFault(page, first + html[: found.start()].count("\n"), text)


def check_text(book: Book, page: Page, token: Token, line: int) -> Iterator[SourceFault]:
    """The faults of a paragraph, a heading or a cell of a table."""
    roles = book.names.roles
    for child in token.children or ():
        if child.type == "myst_role" and child.meta["name"].lower() not in roles:
            at = line_at(token.content, f"{{{child.meta['name']}}}", line)
            yield SourceFault(page, at, unknown_role(child.meta["name"], roles))
        elif child.type == "myst_role" and re.match("cite(:|$)", child.meta["name"].lower()):
            if not is_citation(child.content):
                at = line_at(token.content, f"{{{child.meta['name']}}}", line)
                keys = ",".join(re.findall(r"[^\s,;]+", child.content)) or "key"
                text = f"`{child.content}` is no list of keys; write {{{child.meta['name']}}}`{keys}`"
                yield SourceFault(page, at, text)
        elif child.type == "math_inline" and (holds_text(child.content) or is_price(child.content)):
            at = line_at(token.content, f"${child.content}$", line)
            text = f"the formula ${' '.join(child.content.split()[:3])} … goes over text; close it, or write \\$"
            yield SourceFault(page, at, f"{text} for a dollar")
        elif child.type == "image" and re.match(r"https?:", str(child.attrs.get("src", ""))):
            at = line_at(token.content, str(child.attrs["src"]), line)
            yield SourceFault(
                page, at, "a picture of another host is not there without a network; save it beside the page"
            )
        elif child.type == "image" and not child.content.strip():
            at = line_at(token.content, str(child.attrs.get("src", "")), line)
            yield SourceFault(
                page, at, "a picture without a text for those who cannot see it; write ![what it shows](file)"
            )
        elif child.type == "html_inline":
            yield from check_html(book, page, child.content, line_at(token.content, child.content, line))
        elif child.type == "link_open":
            yield from check_link(book, page, str(child.attrs.get("href", "")), line, token.content)
    for found in NO_TABLE.finditer(token.content) if "|" in token.content else ():
        yield SourceFault(page, line + token.content[: found.start()].count("\n"), table_of_text(found))
    # The parser has taken these spaces off the paragraph.
    if re.match(rf"[ \t>]*{SPACE}\s*(?:#{{1,6}}|[-*+])[ \t]", page.lines[line]):
        yield SourceFault(page, line, NO_BREAK_SPACE)
    for text, patterns in ((masked(token), PATTERNS), (plain_text(token), PATTERNS_OF_LINKS)):
        for sign, pattern, message in patterns:
            for found in pattern.finditer(text) if sign in text else ():
                if fault := message(found, book, roles):
                    yield SourceFault(page, line + text[: found.start()].count("\n"), fault)


def is_citation(keys: str) -> bool:
    """Whether sphinxcontrib-bibtex can read the keys of a citation."""
    from sphinxcontrib.bibtex.citation_target import parse_citation_targets

    with contextlib.suppress(ValueError):
        return bool([*parse_citation_targets(keys)])
    return False


def is_price(latex: str) -> bool:
    """Whether a formula is in fact a price and the text up to the next price."""
    bare = re.sub(r"\\[A-Za-z]+(?:\{[^{}]*\})?", "", latex)
    return bool(re.match(r"[\d.,]+\s", latex) and re.search(r"[A-Za-z]{3,}", bare))


def unknown_role(name: str, roles: Iterable[str]) -> str:
    """A message about a role that does not exist."""
    meant = ROLES_OF_OTHERS.get(name.lower())
    hint = f"did you mean {meant}?" if meant else near(name, roles) or "fix its name, or write it as text"
    return f"there is no role {{{name}}}; {hint}"


def check_link(book: Book, page: Page, href: str, line: int, content: str) -> Iterator[SourceFault]:
    """The faults of a link to a file.

    Args:
        book: the book.
        page: the page.
        href: the address.
        line: the first line of the paragraph.
        content: the paragraph.
    """
    at = line_at(content, href, line)
    path = href.partition("#")[0]
    if re.match(r"[A-Za-z]:[\\/]|/(?:home|Users)/", unquote(href)):
        href = unquote(href)
        yield SourceFault(
            page, at, f"{href} is a file of this machine only; put it beside the page and name it from there"
        )
    elif path.endswith((".md", ".ipynb", ".rst")) and not re.match(r"[a-z]+:", path):
        top = path.startswith("/")
        target = book.root / path.lstrip("/") if top else (book.root / page.docname).parent / path
        name = os.path.relpath(target, book.root).replace(os.sep, "/")
        if target.is_file() and name.rpartition(".")[0] not in book.pages:
            yield SourceFault(page, at, f"{path} is no page of the book; add it to _toc.yml, or take the link out")
        elif path.endswith(".ipynb") and target.with_suffix(".md").is_file():
            yield SourceFault(page, at, f"{path}: the page is written in Markdown; write {path.rpartition('.')[0]}.md")


def plain_text(token: Token) -> str:
    """The plain text of a paragraph: something in it that looks like a link is not one for the parser."""
    return "".join(
        child.content if child.type == "text" else "\n" if child.type.endswith("break") else MASK
        for child in token.children or ()
    )


IN_BACKTICKS = {
    "code_inline": re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S),
    "myst_role": re.compile(r"\{[^{}`\s]+\}(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S),
}
AS_WRITTEN = ("math_inline", "math_inline_double", "html_inline")
ADDRESS = re.compile(r"(?<=\])\([^()\s]*(?:\([^()\s]*\))?[^()\s]*(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)|<[a-z]+:[^>\s]*>")
NO_BREAK = re.compile(r"[^\n]")


def masked(token: Token) -> str:
    """The source of a paragraph with `MASK` in place of code, formulas, roles, HTML and addresses."""
    content, at = token.content, 0
    masked = content
    for child in token.children or ():
        if child.type in IN_BACKTICKS:
            found = IN_BACKTICKS[child.type].search(content, at)
            start, end = found.span() if found else (-1, -1)
        elif child.type in AS_WRITTEN:
            start = content.find(written := f"{child.markup}{child.content}{child.markup}", at)
            end = start + len(written)
        else:
            continue
        if start >= 0:
            at = end
            masked = masked[:start] + NO_BREAK.sub(MASK, content[start:end]) + masked[end:]
    if any(child.type in ("image", "link_open") for child in token.children or ()):
        masked = ADDRESS.sub(lambda found: NO_BREAK.sub(MASK, found[0]), masked)
    return masked


Message = Callable[[re.Match[str], Book, Iterable[str]], str]
"""Makes the message about a match of a pattern, which is empty if there is no fault; it gets the book and the roles."""


def role_without_backticks(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    name, after = found[1], found[2]
    # The names of other roles are also words that a text may put in braces.
    certain = ":" in name or name in ("ref", "eq", "numref", "doc", "term", "math")
    if name not in roles or not (certain or after == " " + MASK or after in tuple("'\"´‘“(<")):
        return ""
    if after == " " + MASK:
        return f"a space between {{{name}}} and its backtick; take it out"
    return f"{{{name}}} has no text in backticks right after it; write {{{name}}}`…`"


def rest_role(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    name = found[1]
    return f":{name}: is reStructuredText; write {{{name}}}`…`" if name in roles else ""


def rest_directive(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    return f".. {found[1]}:: is reStructuredText; write ```{{{found[1]}}}, its content, and ``` below it"


def lone_dollars(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if not is_formula(found[1]):
        return ""
    shown = f"${found[1]}$"
    if found[1] != found[1].strip():
        return f"{shown} is not typeset: a space beside a dollar; take it out, or write \\$ for a dollar"
    return f"{shown} is not typeset: a digit beside a dollar; write the digit inside, or \\$ for a dollar"


NO_TABLE = re.compile(r"^([^\n]*\|[^\n]*)\n(\|?[ :]*-{2,}[-| :]*)$", re.M)


def table_of_text(found: re.Match[str]) -> str:
    head, dashes = cells_of(found[1]), cells_of(found[2])
    if cut := cut_by_a_bar(found[1]):
        return cut
    return f"no table: its head has {head} cells and the line of dashes {dashes}; make them as many"


def cited(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    keys = re.findall(r"@([\w:-]+)", found[0])
    return f"{found[0]} is no citation here; write {{cite:p}}`{','.join(keys)}`" if set(keys) & book.references else ""


def always(text: str) -> Message:
    """The same message about each match, with the first group of the match in place of ``%1``."""
    return lambda found, book, roles: text.replace("%1", found[1] if found.re.groups else found[0])


def no_footnote(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if found[1].lower() in book.definitions:
        return ""
    return f"there is no footnote [{found[1]}]; write [{found[1]}]: and its text below"


def no_address(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if (found[2] or found[1]).lower() in book.definitions:
        return ""
    return "a link to an address that is not given; write [text](address)"


IN_MARKDOWN = {
    "itemize": ": a list, - …", "enumerate": ": a list, 1. …", "figure": ": ```{figure}",
    "table": ": a table, | … | … |", "center": "", "verbatim": "", "quote": "", "tabular": "", "abstract": "",
    "document": "", "lstlisting": "",
}  # fmt: skip
"""The environments of LaTeX that are no formulas, and what to write in their place."""


def latex_environment(found: re.Match[str], book: Book, roles: Iterable[str]) -> str:
    if found[1] in IN_MARKDOWN:
        return f"\\begin{{{found[1]}}} is LaTeX; write it in Markdown{IN_MARKDOWN[found[1]]}"
    return f"\\begin{{{found[1]}}} stands raw on the page; write $$ … $$ (label) around it"


NAMES_OF_SYMBOLS = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|eta|theta|lambda|mu|nu|xi|rho|sigma|tau|phi|psi|omega|nabla|partial|"
    "infty|times|cdot|leq|geq|approx|sqrt|frac|sum|int|hat|bar|mathbb|mathrm|left|right"
)
SPACE = r"[^\S \t\n]"
"""A space that Markdown takes for a letter, such as the one that Alt-space types on a Mac."""
NO_BREAK_SPACE = "a no-break space makes this no heading, list or table; write an ordinary one"
# Each entry is a string that must be in the text (to be fast), a pattern, and the message about a match.
PATTERNS: tuple[tuple[str, re.Pattern[str], Message], ...] = (
    ("{", re.compile(r"(?<!\{)\{([A-Za-z][\w:-]*)\}(?!\})( \0|.|$)", re.M), role_without_backticks),
    (":\0", re.compile(r"(?<![\w:]):([A-Za-z][\w:-]*?):\0"), rest_role),
    (".. ", re.compile(r"^\s*\.\. ([\w:-]+)::", re.M), rest_directive),
    (".. ", re.compile(r"^\s*\.\. _([\w:-]+):", re.M),
     always(".. _%1: is reStructuredText; write (%1)= above a heading")),
    ("\0_", re.compile(r"\0__?(?=[\s.,;)]|$)", re.M),
     always("`text <address>`_ is reStructuredText; write [text](address)")),
    ("$$", re.compile(ESCAPED + r"\$\$"),
     always("$$ without its partner; write $$ on both sides, each in a line of its own")),
    ("\\[", re.compile(ESCAPED + r"\\\[(?=[\s\S]*?\\\])(?=[^\]]*[=^_]|[^\]]*\\[A-Za-z])"),
     always(r"\[ … \] is no equation here; write $$ … $$ (label)")),
    ("\\(", re.compile(ESCAPED + r"\\\((?=[^)\n]*(?:\\\)))(?=\s*\w\s*\\\)|[^)\n]*[\\=^_][^)\n]*\\\))"),
     always(r"\( … \) is no formula here; write $ … $")),
    ("\\begin", re.compile(r"\\begin\{(\w+\*?)\}"), latex_environment),
    ("$", re.compile(ESCAPED + r"\$(?!\$)((?:[^$\n\0]|\n(?!\n))+?)" + ESCAPED + r"\$(?!\$)"), lone_dollars),
    ("\\", re.compile(ESCAPED + r"(\\(?:eqref|ref|cite[tp]?|label|textbf|textit|emph|section|subsection|footnote|item|"
                r"url|href|includegraphics|caption)\b\*?(?=[\[{]))"),
     always("%1 is LaTeX; write it in Markdown: {eq}`label`, {ref}`label`, {cite:p}`key`, **bold**, # Title")),
    ("\\", re.compile(ESCAPED + rf"(\\(?:{NAMES_OF_SYMBOLS})\b)"),
     always("%1 outside a formula stands raw; write $ … $")),
    ("=", re.compile(r"^\s*(\([\w:.+-]+\)\s*=)", re.M),
     always("%1 is no label; write it in a line of its own, (name)=")),
    (")=", re.compile(r"(?<=\s)(\([\w:.+-]+\)=)\s*$", re.M), always("%1 is no label; write it in a line of its own")),
    ("#", re.compile(r"^(#{1,6})(?=[A-Za-z])[^\n]*\Z"), always("%1 without a space is no heading; write one after it")),
    ("", re.compile(rf"^(?:#{{1,6}}|[-*+]|\A\d+[.)]){SPACE}|^(?=[^\n]*--)[-|: ]*{SPACE}[^\n\w]*$", re.M),
     always(NO_BREAK_SPACE)),
    ("[!", re.compile(r"^\s*\[!(\w+)\]", re.M),
     always("[!%1] is GitHub's; write ```{note}, the text, and ``` below it")),
    ("@", re.compile(r"\[?(?<![\w@])@[\w:-]+(?:; ?@[\w:-]+)*\]?"), cited),
    ("~~", re.compile(r"~~(?=\S)([^~\n]+)~~"), always("~~ does not strike out here; take it out")),
    ("```", re.compile(r"^(`{3,})", re.M), always("%1 opens no fence, as its line has a backtick more; take that out")),
    ("`", re.compile(ESCAPED + r"`"), always("a backtick without its partner; close it, or write \\`")),
)  # fmt: skip
PATTERNS_OF_LINKS: tuple[tuple[str, re.Pattern[str], Message], ...] = (
    ("[^", re.compile(r"\[(\^[^\]\s]+)\](?!:)"), no_footnote),
    ("](", re.compile(r"(?<!\\)\]\((file:[^\s)]*)"),
     always("%1 is a file of this machine only; put it beside the page and name it from there")),
    ("](", re.compile(r"(?<!\\)\]\((?=\S)"),
     always("a link that is not closed, or has a space in its address; write [text](address)")),
    ("] (", re.compile(r"(?<!\\)\] \((?=https?:|[\w/.-]+\.md\b)"),
     always("a space inside a link; write [text](address)")),
    (")[", re.compile(r"\([^()\n]+\)\[(?:https?:|[\w/.-]+\.md\b)"),
     always("a link the wrong way round; write [text](address)")),
    ("][", re.compile(r"(?<![\w\]\\])\[([^\[\]\n\0]+)\]\[([^\[\]\n]*)\]"), no_address),
)  # fmt: skip
