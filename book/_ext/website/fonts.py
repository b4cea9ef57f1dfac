"""The fonts of the text and of code: STIX Two Text, whose letters are those of the formulas, and DejaVu Sans Mono.

At the end of a build each is cut down to the characters that the pages use, and put into the style sheet that each page
loads. In print the whole fonts are used. STIX Two Text comes from npm; without it, pages are shown in a serif font of
the reader's system, and print in Latin Modern. DejaVu comes with matplotlib, which labels the figures in it.
"""

from __future__ import annotations

import base64
import html
import io
import os
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from sphinx.application import Sphinx

from book._ext.files import html_pages, package_folder, text_digest
from book._ext.inpage import parts
from book._ext.page.formulas import FONT, MATH

STYLE = "text.css"
PACKAGE = "@fontsource/stix-two-text"
ALWAYS = "".join(map(chr, range(0x20, 0x7F))) + "–—‘’“”…−×·"
"""Characters that scripts write into pages."""
NO_TEXT = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<!--.*?-->", re.S)
CODE = re.compile(r"<(code|pre|kbd|samp)\b.*?</\1>", re.S)


class Face(NamedTuple):
    """A font in one weight and slant, as CSS names them; `name` is that of its file in print."""

    family: str
    style: str
    weight: int
    name: str


TEXT = tuple(
    Face("STIX Two Text", style, weight, f"STIXTwoText-{weight}-{style}.ttf")
    for weight in (400, 700)
    for style in ("normal", "italic")
)
MONO = Face("DejaVu Sans Mono", "normal", 400, "DejaVuSansMono.ttf")
MONO_IN_PRINT = (
    MONO,
    Face("DejaVu Sans Mono", "normal", 700, "DejaVuSansMono-Bold.ttf"),
    Face("DejaVu Sans Mono", "italic", 400, "DejaVuSansMono-Oblique.ttf"),
)


def has_text_font() -> bool:
    """Whether the font of the text is there."""
    return bool(parts.installed())


def file_of(face: Face) -> Path:
    """The file of a face: WOFF2 of the Latin letters, or TrueType of all letters."""
    if face in MONO_IN_PRINT:
        return package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf" / face.name
    name = f"stix-two-text-latin-{face.weight}-{face.style}.woff2"
    return parts.folder() / "node_modules" / PACKAGE / "files" / name


def write_fonts(app: Sphinx, error: Exception | None) -> None:
    """Write the style sheet with the fonts of the text and of code, which have the characters that the pages use."""
    if error is not None or app.builder.name != "html":
        return
    pages = [NO_TEXT.sub("", MATH.sub("", path.read_text(encoding="utf-8"))) for path in html_pages(app).values()]
    used = {"text": characters(*pages), "code": characters(*(found[0] for p in pages for found in CODE.finditer(p)))}
    code = Path(__file__).read_text(encoding="utf-8")
    head = (
        f"/* {text_digest(*used.values(), parts.installed(), version('fonttools'), version('matplotlib'), code)} */\n"
    )
    file = Path(app.outdir, "_static", STYLE)
    if not file.exists() or not file.read_text(encoding="utf-8").startswith(head):
        faces = [MONO, *(TEXT[:3] if has_text_font() else [])]  # bold italic is rare, and a browser slants the bold
        rules = [rule(face, used["code" if face is MONO else "text"]) for face in faces]
        file.write_text(head + "".join(rules), encoding="utf-8")


def characters(*texts: str) -> str:
    """The characters that these parts of HTML show, each once and in order."""
    shown = {*html.unescape(re.sub(r"<[^>]*>", "", "".join(texts)))}
    return "".join(sorted(letter for letter in shown.union(ALWAYS) if letter.isprintable()))


def rule(face: Face, used: str) -> str:
    """The rule of CSS that brings a face."""
    font = base64.b64encode(subset(file_of(face), used)).decode()
    return (
        f'@font-face {{ font-family: "{face.family}"; font-style: {face.style}; font-weight: {face.weight}; '
        f'src: url("data:font/woff2;base64,{font}") format("woff2"); }}\n'
    )


def subset(file: Path, used: str) -> bytes:
    """A font with these characters only, as WOFF2."""
    from fontTools import subset as fonts  # only a change of the characters needs it

    licence = [0, 13, 14]  # whose it is, and under which licence, must go with it
    features = ["kern", "liga", "mark", "mkmk", "locl", "ccmp"]
    options = fonts.Options(flavor="woff2", layout_features=features, hinting=False, name_IDs=[1, 2, 6, *licence])
    options.drop_tables += ["FFTM"]  # of the program that it was drawn with
    font = fonts.load_font(str(file), options, lazy=True, dontLoadGlyphNames=True)
    cutter, buffer = fonts.Subsetter(options), io.BytesIO()
    cutter.populate(text=used)
    cutter.subset(font)
    fonts.save_font(font, buffer, options)
    return buffer.getvalue()


def write_print_fonts(folder: Path) -> None:
    """Write the fonts of the printed book as TrueType, under the names that `descentprint.sty` asks for."""
    from fontTools.ttLib import TTFont

    for face in (*TEXT, *MONO_IN_PRINT) if has_text_font() else ():
        with TTFont(file_of(face), recalcTimestamp=False) as font:
            font.flavor = None
            font.save(folder / face.name)
    if has_text_font():
        shutil.copyfile(package_folder(FONT[0]).joinpath(*FONT[1:]), folder / FONT[-1])
    for file in folder.glob("*.ttf"):
        # LuaTeX keeps what it has read of a font until the time of its file is another: one for both editions, which
        # may be typeset side by side.
        os.utime(file, (0, 0))


def setup(app: Sphinx) -> None:
    app.add_css_file(STYLE)
