"""The letters that a figure's PDF embeds: those that it shows, of a font reduced to what print needs.

Matplotlib would read all of DejaVu, 6000 letters and the tables that typesetters lay out text with, for each figure
anew: half of the time that the cells of the book take.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from matplotlib.backends import _backend_pdf_ps

# A PDF says itself which glyph stands where, and what it is called.
NEEDLESS = ("GSUB", "GPOS", "GDEF", "MATH", "kern", "FFTM", "name", "OS/2", "post", "gasp")
# What figures are made of: Latin, Greek, dashes and quotes, raised and lowered digits, the minus.
COMMON = frozenset(
    chr(code)
    for codes in ((0x20, 0x7F), (0xA0, 0x100), (0x370, 0x400), (0x2010, 0x2027), (0x2070, 0x209D), (0x2212, 0x2213))
    for code in range(*codes)
)


@contextmanager
def embedded_sparingly() -> Iterator[None]:
    """While this lasts, matplotlib embeds fonts as this module subsets them."""

    def part(path: str, letters: str) -> TTFont:
        return TTFont(io.BytesIO(subset(path, letters)), recalcTimestamp=False)

    with patch.object(_backend_pdf_ps, "get_glyphs_subset", part):
        yield


def subset(path: str, letters: str) -> bytes:
    """The font in a file, with these letters alone."""
    shown = frozenset(letters)
    return with_letters(io.BytesIO(common(path)) if shown <= COMMON else path, shown)


@functools.cache
def common(path: str) -> bytes:
    return with_letters(path, COMMON)


def with_letters(file: Any, letters: frozenset[str]) -> bytes:
    options = Options(glyph_names=False, notdef_outline=True, bidi_closure=False)
    options.drop_tables += NEEDLESS
    out = io.BytesIO()
    # The dates and boxes of the font stay its own.
    with TTFont(file, lazy=True, recalcBBoxes=False, recalcTimestamp=False) as font:
        for table in NEEDLESS:
            if table in font:
                del font[table]
        subsetter = Subsetter(options)
        subsetter.populate(text="".join(sorted(letters)))
        subsetter.subset(font)
        font.save(out, reorderTables=False)
    return out.getvalue()
