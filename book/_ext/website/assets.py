"""One style sheet and one script a page, and the policy that lets a page load nothing but the book's own files.

The theme and other packages name some twenty style sheets and scripts in each page. At the end of a build this module
puts the style sheets of a page into one file, and the scripts into another, both named by a digest of their bytes, so
that pages with the same lists share them. It reads the pages that Sphinx has written and the files in `_static`, and
notes beside the doctrees which files a page named, because Sphinx does not write all pages in each build. The files
themselves are moved out of the book, to the doctrees, where the next build finds them.

What an author wrote, within the `article` of a page, stays as it is. So do scripts outside `_static`; they run after
the page's one script.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from book._ext.compat import fontawesome
from book._ext.files import files_digest, html_pages, read_json, text_digest, write_json
from book._ext.inpage.page import WORKBENCH
from book._ext.page import formulas
from book._ext.remembered import remembered
from book._ext.state import build_state
from book._ext.website import fonts, icons, unused
from book._ext.website.unused import asked_for, names_in, without_unused
from optim_code.equations.sections import read_text

logger = logging.getLogger(__name__)

ATTRIBUTES = r"""(?:[^>"']|"[^"]*"|'[^']*')*"""
TAG = re.compile(
    rf"<!--.*?-->|<script\b(?P<script>{ATTRIBUTES})>(?P<text>.*?)</script\s*>|<link\b(?P<link>{ATTRIBUTES})>\n?",
    re.S | re.I,
)
ATTRIBUTE = re.compile(r"""([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
HANDLER = re.compile(rf"""<\w(?=[^>]*\son)({ATTRIBUTES})>""", re.I)
BUNDLE = re.compile(r"_static/(styles|scripts|fonts)\.[0-9a-f]{16}\.(?:css|js)")
FONTAWESOME = "vendor/fontawesome/"
NO_FILE = ("inline:", FONTAWESOME)
"""What the names of parts begin with that no file has to be there for."""
PAGENAME = re.compile(r"DOCUMENTATION_OPTIONS\.pagename\s*=\s*'([^']*)';?")
DESIGN = ("sphinx-design.min.css", "design-tabs.js")
DESIGN_CLASS = re.compile(r'\bclass="[^"]*\bsd-')
"""Cards, grids and tabs of sphinx-design, and the files that only pages with one of them need."""
POLICY = '<meta http-equiv="Content-Security-Policy"'
BEGIN = """\
/* The scripts of several packages in one, in the order in which a browser would run them. They were written for the
   head of a page: until all have run, each sees a page that is still loading, and so waits for it by itself. */
document.addEventListener("DOMContentLoaded", () => { delete document.readyState; }, { capture: true, once: true });
Object.defineProperty(document, "readyState", { configurable: true, value: "loading" });
"""


@dataclass
class Parts:
    """What a page named in its head and around its article.

    Attributes:
        styles: the style sheets, by their names in `_static`.
        scripts: the scripts, in the order in which they run: the name in `_static` of each, or `inline:` and its text.
        data: the `data-` attributes of the scripts, which they read from their element.
    """

    styles: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    data: dict[str, str] = field(default_factory=dict)


def bundle_assets(app: Sphinx, error: Exception | None) -> None:
    """Give each page its style sheet, its script and its policy, and move what they are made of out of the book."""
    if error is not None or app.builder.name != "html":
        return
    note = read_json(note_file(app))
    paths = html_pages(app)
    texts = {name: path.read_text(encoding="utf-8") for name, path in paths.items()}
    parts = {name: Parts(**said) for name, said in note.get("pages", {}).items() if name in texts}
    new: dict[str, str] = {}
    for name, text in texts.items():
        if POLICY not in text[: text.find("</head>")]:
            new[name], parts[name] = take_apart(text)
            for names in (parts[name].styles, parts[name].scripts):
                # Sphinx's search page names scripts that this book does without.
                names[:] = [one for one in names if one.startswith(NO_FILE) or source(app, one).exists()]
    program = files_digest(Path(__file__), Path(icons.__file__), Path(unused.__file__), fontawesome() / "css")
    before = note if note.get("program") == program else {}
    scripts = scripts_of(app, parts)
    classes = icons_of(scripts, texts, before.get("icons", []))
    inline = [script for text in texts.values() for script in scripts_in(text)]
    inline += [name for said in parts.values() for name in said.scripts if name.startswith("inline:")]
    # Elements that show what a reader's code does are made by the workbench, which a page loads later.
    later = [text for name, text in build_state(app).scripts.items() if WORKBENCH in name]
    used = names_in(texts.values(), [*scripts.values(), *inline, *later])
    bundles = Bundles(app, before.get("made", {}), classes, used)
    pages, letters = {}, fonts.script_of(bundles.static)
    for name, text in texts.items():
        style, script = bundles.style(parts[name].styles), bundles.script(parts[name].scripts)
        if name in new:
            pages[name] = with_policy(put_in(new[name], name, (style, script, letters), parts[name].data))
        else:
            pages[name] = renamed(text, style, script, letters)
    # The note comes first: a page without a policy is taken apart again, and one with a policy is in the note.
    said = {name: vars(page_parts) for name, page_parts in parts.items()}
    write_json(note_file(app), {"program": program, "pages": said, "icons": classes, "made": bundles.made})
    for name, page in pages.items():
        if page != texts[name]:
            paths[name].write_text(page, encoding="utf-8")
    bundles.clear(pages.values())


def note_file(app: Sphinx) -> Path:
    """The file that notes which style sheets and scripts each page named, and what was made of them."""
    return Path(app.doctreedir, "assets.json")


def sources(app: Sphinx) -> Path:
    """The folder to which style sheets and scripts are moved that pages load as a part of one."""
    return Path(app.doctreedir, "assets")


def attributes(text: str) -> dict[str, str]:
    """The attributes of a tag, given as it stands there."""
    return {name.lower(): html.unescape(a or b or c) for name, a, b, c in ATTRIBUTE.findall(text)}


def static_name(address: str) -> str:
    """The name of a file within `_static`, from the address that a page gives; empty if it lies elsewhere."""
    found = re.fullmatch(r"(?:\.\./)*_static/([^?#]+)(?:\?[^#]*)?", address)
    return found[1] if found else ""


def take_apart(page: str) -> tuple[str, Parts]:
    """A page without the tags that load style sheets and scripts, and what they named.

    Args:
        page: the page as Sphinx has written it.

    Returns:
        The page, with a comment where the style sheet and where the script belongs, and its parts.
    """
    parts = Parts()
    deferred: list[str] = []
    seen: set[str] = set()
    begin, end, head = page.find("<article"), page.rfind("</article>"), page.find("</head>")

    def place(kind: str) -> str:
        first = kind not in seen
        seen.add(kind)
        return f"<!-- {kind} -->\n" if first else ""

    def replace(match: re.Match[str]) -> str:
        tag = match[0]
        if begin < match.start() < end or tag.startswith("<!--"):
            return tag
        if match["link"] is not None:
            given = attributes(match["link"])
            name = static_name(given.get("href", ""))
            if given.get("rel") == "preload" and given.get("as") == "script":
                return ""
            if given.get("rel") == "stylesheet" and name and "media" not in given:
                parts.styles.append(name)
                return place("styles")
            return tag
        given = attributes(match["script"])
        name, text = static_name(given.get("src", "")), match["text"]
        if given.get("type", "text/javascript") != "text/javascript" or given.keys() & {"async", "nomodule"}:
            return tag
        if FONTAWESOME in name:
            return ""
        if name:
            (deferred if "defer" in given else parts.scripts).append(name)
            parts.data.update({key: value for key, value in given.items() if key.startswith("data-")})
            return place("scripts")
        if "src" in given:
            without_checksum = re.sub(r'\?v=\w+(?=")', "", tag)
            return without_checksum if "defer" in given else without_checksum.replace("<script", "<script defer", 1)
        # An inline script that runs after another script is a part of the one script, unless it writes into the page.
        if "scripts" in seen and match.start() < head and "document.write" not in text:
            if found := PAGENAME.fullmatch(text.strip()):
                parts.data["data-pagename"] = found[1]
                text = "DOCUMENTATION_OPTIONS.pagename = document.currentScript.dataset.pagename;"
            parts.scripts.append(f"inline:{text.strip()}")
            return ""
        return tag

    page = re.sub(TAG, replace, page)
    parts.scripts = list(dict.fromkeys([*parts.scripts, *deferred]))
    if not DESIGN_CLASS.search(page):
        for names in (parts.styles, parts.scripts):
            names[:] = [name for name in names if name not in DESIGN]
    return page, parts


@remembered
def static_names_in(page: str) -> set[str]:
    """The names of all files within `_static` that a page has addresses of."""
    return {*re.findall(r"""_static/([^"'?)]+)""", page)}


@remembered
def scripts_in(page: str) -> list[str]:
    """The scripts that stand in a page."""
    return [match["text"] for match in TAG.finditer(page) if match["text"]]


def put_in(page: str, name: str, files: tuple[str, str, str], data: dict[str, str]) -> str:
    """A page with the tags of its style sheet and its scripts.

    Args:
        page: the page, as `take_apart` leaves it.
        name: its name, from the top of the book.
        files: the names in `_static` of the style sheet, of the script, and of the script that brings the fonts.
        data: the attributes of the script's tag.
    """
    static = "../" * name.count("/") + "_static"
    given = "".join(f' {key}="{html.escape(value)}"' for key, value in sorted(data.items()))
    style, script, letters = files
    first = f'<link rel="stylesheet" href="{static}/{style}" />\n<script src="{static}/{letters}"></script>'
    page = page.replace("<!-- styles -->", first, 1)
    return page.replace("<!-- scripts -->", f'<script defer src="{static}/{script}"{given}></script>', 1)


def renamed(page: str, style: str, script: str, letters: str) -> str:
    """A page of an earlier build, with the names that its style sheet and its scripts have now."""
    now = {"styles": style, "scripts": script, "fonts": letters}
    return BUNDLE.sub(lambda match: f"_static/{now[match[1]]}", page)


# --- the policy ----------------------------------------------------------------------------------------------------


def policy(scripts: Iterable[str], handlers: Iterable[str] = (), runs_code: bool = False) -> str:
    """The tag that lets a page load only the book's own files, and run only these scripts besides.

    Args:
        scripts: the scripts in the page.
        handlers: what its elements do at an event.
        runs_code: whether it runs Python: WebAssembly, in a worker that is made of the book's own files.
    """
    # A page opened from disk may load from disk, which not all browsers take for the page's own. Over http it can't.
    own = "'self' file:"
    hashes = sorted({f"'{sha256(text)}'" for text in scripts})
    events = sorted({f"'{sha256(text)}'" for text in handlers})
    wasm = ["'wasm-unsafe-eval'"] if runs_code else []
    allowed = {
        "default-src": "'none'",
        "script-src": " ".join([own, *hashes, *(["'unsafe-hashes'", *events] if events else []), *wasm]),
        "style-src": f"{own} 'unsafe-inline'",
        "img-src": f"{own} data:",
        "font-src": f"{own} data:",
        "connect-src": own,
        "media-src": own,
        "frame-src": own,
        "form-action": own,
        "base-uri": "'none'",
        **({"worker-src": "blob:"} if runs_code else {}),
    }
    return f'{POLICY} content="{"; ".join(f"{name} {said}" for name, said in allowed.items())}" />'


def sha256(text: str) -> str:
    """The digest of a script as a policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def with_policy(page: str) -> str:
    """A page with its policy at the begin of its head, before all that it governs."""
    inline = scripts_in(page)
    handlers = [
        value
        for tag in HANDLER.findall(page)
        for name, value in attributes(tag).items()
        if name.startswith("on") and value
    ]
    runs_code = any("descentInPage" in script for script in inline)
    return re.sub(
        r"<head\b[^>]*>\s*(?:<meta charset[^>]*>)?",
        lambda match: f"{match[0]}\n    {policy(inline, handlers, runs_code)}",
        page,
        count=1,
    )


# --- the files -----------------------------------------------------------------------------------------------------


def scripts_of(app: Sphinx, parts: dict[str, Parts]) -> dict[str, str]:
    """The text of each script that a page names, by its name in `_static`."""
    scripts = {name for said in parts.values() for name in said.scripts if not name.startswith("inline:")}
    return {name: read_text(source(app, name)) for name in sorted(scripts)}


def icons_of(scripts: dict[str, str], pages: dict[str, str], known: list[str]) -> list[str]:
    """The icons of all pages and of all scripts, as their classes; warns of one that FontAwesome does not have.

    Args:
        scripts: the text of each script.
        pages: the text of each page.
        known: the icons of the last build, which FontAwesome has.
    """
    found: set[str] = set()
    for name, text in (scripts | pages).items():
        for classes in icons.icon_classes(text) - found:
            try:
                if classes not in known:
                    icons.class_rules([classes])
                found.add(classes)
            except icons.UnknownIcon as unknown:
                logger.warning("%s", unknown, location=name if name in pages else None)
    return sorted(found)


def source(app: Sphinx, name: str) -> Path:
    """A style sheet or script of a package: in the book, if this build has copied it, or where it was moved."""
    fresh = Path(app.outdir, "_static", name)
    return fresh if fresh.exists() else sources(app) / name


class Bundles:
    """The style sheets and scripts that are made of others.

    Args:
        app: the application.
        made: what the last build made: names of files by a digest of what they were made of.
        classes: the classes of all icons.
        names: what may be the name of a class or an id in all pages and scripts.
    """

    def __init__(self, app: Sphinx, made: dict[str, str], classes: list[str], names: set[str]) -> None:
        self.app, self.before, self.classes, self.names = app, made, classes, names
        self.made: dict[str, str] = {}
        self.known: dict[tuple[str, ...], str] = {}
        self.used: set[str] = set()
        self.static = Path(app.outdir, "_static")

    def style(self, names: list[str]) -> str:
        """The name of the style sheet that these become."""
        return self.bundle("styles", "css", names)

    def script(self, names: list[str]) -> str:
        """The name of the script that these become."""
        return self.bundle("scripts", "js", names)

    def bundle(self, kind: str, suffix: str, names: list[str]) -> str:
        """The name of the file that these become; empty if there are none."""
        if not names or (kind, *names) in self.known:
            return self.known.get((kind, *names), "")
        texts = {name: self.read(name) for name in self.with_imports(names)}
        self.used |= texts.keys()
        key = text_digest(kind, *names, *texts.values(), *self.classes)
        if suffix == "css":
            key = text_digest(key, *asked_for("\n".join(texts.values()), self.names))
        file = self.before.get(key, "")
        if not file or not (self.static / file).exists():
            text = self.all_styles(names) if suffix == "css" else self.all_scripts(names)
            file = f"{kind}.{text_digest(text)[:16]}.{suffix}"
            if not (self.static / file).exists():
                (self.static / file).write_text(text, encoding="utf-8")
        self.made[key] = self.known[(kind, *names)] = file
        return file

    def read(self, name: str) -> str:
        """The text of a file, or of an inline script."""
        if name.startswith("inline:"):
            return name.removeprefix("inline:")
        return read_text(source(self.app, name))

    def with_imports(self, names: Iterable[str]) -> Iterator[str]:
        """These files, without FontAwesome's, and the style sheets that they import."""
        for name in names:
            if FONTAWESOME not in name:
                yield name
                if name.endswith(".css"):
                    yield from self.with_imports(imported(name, match[1]) for match in IMPORT.finditer(self.read(name)))

    def all_styles(self, names: list[str]) -> str:
        """Several style sheets as one, with the icons in the place of FontAwesome's, and what no page uses left out."""
        every = [icons.class_rules(self.classes) if FONTAWESOME in name else self.one_style(name) for name in names]
        css = "\n".join(every)
        return without_unused(css, asked_for(css, self.names))

    def one_style(self, name: str) -> str:
        """A style sheet with what it imports, and with addresses that are right in `_static` itself."""
        css = re.sub(r'@charset "[^"]*";|/\*# sourceMappingURL=.*?\*/', "", self.read(name))
        css = IMPORT.sub(lambda match: self.one_style(imported(name, match[1])), css)
        return icons.without_font(URL.sub(lambda match: f"url({match[1]}{imported(name, match[2])}{match[1]})", css))

    def all_scripts(self, names: list[str]) -> str:
        """Several scripts as one."""
        return BEGIN + "".join(f"{SOURCE_MAP.sub('', self.read(name)).strip()}\n;\n" for name in names)

    def clear(self, pages: Iterable[str]) -> None:
        """Move the parts out of the book, unless a page names one, and remove the files that no page has any more."""
        named = set[str]().union(*map(static_names_in, pages), (formulas.STYLE, formulas.SCRIPT))
        for name in self.used.union(DESIGN) - named:
            file = self.static / name
            if file.exists():
                (sources(self.app) / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, sources(self.app) / name)
        for file in [*self.static.glob("styles.*.css"), *self.static.glob("scripts.*.js")]:
            if file.name not in self.made.values():
                file.unlink()
        for folder in (self.static / "styles", self.static / "vendor"):
            if folder.exists() and not any(path.is_file() for path in folder.rglob("*")):
                shutil.rmtree(folder)


IMPORT = re.compile(r"""@import\s+(?:url\(\s*)?["']?(?!\w+:)([^"')\s;]+)["']?\s*\)?\s*;""")
URL = re.compile(r"""url\(\s*(["']?)(?!data:|#|/|\w+:)([^"')]+)\1\s*\)""")
SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.M)


def imported(name: str, address: str) -> str:
    """The name in `_static` of the file that a style sheet there names by an address."""
    return os.path.normpath(os.path.join(os.path.dirname(name), address)).replace(os.sep, "/")
