"""The fonts of the text and of code: STIX Two Text, whose letters are those of the formulas, and DejaVu Sans Mono.

At the end of a build each is cut down to the characters that the pages use, and put into a script that each page runs
before it is drawn: a font in a style sheet comes after the first lines, and moves them. Without JavaScript a page is in
the system's fonts. In print the whole fonts are used. STIX Two Text comes from npm; without it, pages are in a serif
font of the system, and print is in Latin Modern. DejaVu comes with matplotlib, which labels the figures in it.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from sphinx.application import Sphinx

from book._ext.files import html_pages, package_folder, text_digest
from book._ext.inpage import parts
from book._ext.page.formulas import FONT, MATH, subset
from book._ext.remembered import remembered

PACKAGE = "@fontsource/stix-two-text"
ALWAYS = "".join(map(chr, range(0x20, 0x7F))) + "–—‘’“”…−×·"
"""Characters that scripts write into pages."""
FEATURES = ["kern", "liga", "mark", "mkmk", "locl", "ccmp"]
SCRIPT = "fonts.*.js"
ADD = """\
for (const [family, style, weight, data] of %s)
  document.fonts.add(new FontFace(family, Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), { style, weight }));
"""
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
    """Write the script with the fonts of the text and of code, which have the characters that the pages use."""
    if error is not None or app.builder.name != "html":
        return
    pages = [letters_of(path.read_text(encoding="utf-8")) for path in html_pages(app).values()]
    text, code = ("".join(sorted({*ALWAYS}.union(*letters))) for letters in zip(*pages, strict=True))
    # Bold italic is rare, and a browser slants the bold by itself.
    faces = [(MONO, code), *((face, text) for face in TEXT[:3] if has_text_font())]
    fonts = [
        [face.family, face.style, str(face.weight), base64.b64encode(letters_font(face, used)).decode()]
        for face, used in faces
    ]
    script, static = ADD % json.dumps(fonts), Path(app.outdir, "_static")
    for old in static.glob(SCRIPT):
        old.unlink()
    (static / SCRIPT.replace("*", text_digest(script)[:16])).write_text(script, encoding="utf-8")


@remembered
def letters_font(face: Face, used: str) -> bytes:
    """A face with these characters only."""
    return subset(file_of(face), used, FEATURES)


def script_of(static: Path) -> str:
    """The name of the script in this folder `_static`."""
    return next((file.name for file in static.glob(SCRIPT)), "")


@remembered
def letters_of(page: str) -> tuple[str, str]:
    """The characters that a page shows, without those in formulas, and the characters of its code."""
    text = NO_TEXT.sub("", MATH.sub("", page))
    code = "".join(found[0] for found in CODE.finditer(text))
    shown = ({*html.unescape(re.sub(r"<[^>]*>", "", part))} for part in (text, code))
    letters, in_code = ("".join(letter for letter in sorted(part) if letter.isprintable()) for part in shown)
    return letters, in_code


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
