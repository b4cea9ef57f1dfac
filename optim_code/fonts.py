"""Embed in a figure's PDF only the letters that it shows, from a font reduced to the tables that print needs.

For each figure matplotlib would read all of DejaVu: 6000 letters, and tables for the layout of text. That takes half of
the time of the book's cells.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from matplotlib.backends import _backend_pdf_ps

# The tables that a PDF does not use, because it states the name and the place of each glyph itself.
NEEDLESS = ("GSUB", "GPOS", "GDEF", "MATH", "kern", "FFTM", "name", "OS/2", "post", "gasp")
# The letters that figures use: Latin, Greek, dashes and quotes, raised and lowered digits, the minus.
COMMON = frozenset(
    chr(code)
    for codes in ((0x20, 0x7F), (0xA0, 0x100), (0x370, 0x400), (0x2010, 0x2027), (0x2070, 0x209D), (0x2212, 0x2213))
    for code in range(*codes)
)


@contextmanager
def embedded_subsets() -> Iterator[None]:
    """While this lasts, matplotlib embeds the subsets of fonts that this module makes."""
    with patch.object(_backend_pdf_ps, "get_glyphs_subset", subset):
        yield


def subset(path: str, letters: Iterable[str]) -> TTFont:
    """The font in a file with only these letters."""
    shown = frozenset(letters)
    return with_letters(io.BytesIO(common(path)) if shown <= COMMON else path, shown)


@functools.cache
def common(path: str) -> bytes:
    """The font in a file with only the common letters, as a file; kept, because most figures need no others."""
    out = io.BytesIO()
    with with_letters(path, COMMON) as font:
        font.save(out, reorderTables=False)
    return out.getvalue()


def with_letters(file: Any, letters: frozenset[str]) -> TTFont:
    """A font with only these letters."""
    options = Options(glyph_names=False, notdef_outline=True, bidi_closure=False)
    options.drop_tables += NEEDLESS
    # The font keeps its own dates and bounding boxes.
    font = TTFont(file, lazy=True, recalcBBoxes=False, recalcTimestamp=False)
    for table in NEEDLESS:
        if table in font:
            del font[table]
    subsetter = Subsetter(options)
    subsetter.populate(text="".join(sorted(letters)))
    subsetter.subset(font)
    return font
