"""Formulas as MathML, which browsers typeset by themselves, without a script.

While a page is written, each formula becomes a `<math>` element, with its TeX inside as an annotation: copying, the
search and people who read the page's source find it there. At the end of the build the font of the formulas is cut down
to the characters that the pages use, and put into the style sheet that each page loads.
"""

from __future__ import annotations

import base64
import html
import io
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.util.nodes import clean_astext

from book._ext.files import html_pages, package_folder
from book._ext.page.formula_text import plain_text
from book._ext.remembered import remembered

logger = logging.getLogger(__name__)

CONVERTER = LatexToMathML(annotation=True, fancy_error=False, allow_unreliable_rendering=True)
STYLE, SCRIPT = "formulas.css", "formulas.js"
FONT = ("ziamath", "fonts", "STIXTwoMath-Regular.ttf")
"""A package that brings a font with the measures that MathML needs, and the place of the font in it."""
RULES = """\
@font-face {{ font-family: "Formulas"; src: {source}; }}
math {{ font-family: "Formulas", math; }}
math * {{ font-family: inherit; }}
"""
MATH = re.compile(r"<math\b.*?</math>", re.S)
ANNOTATION = re.compile(r"(?<=<annotation encoding=\"application/x-tex\">).*?(?=</annotation>)", re.S)
INSIDE = {"align": "aligned", "split": "aligned", "gather": "gathered", "equation": ""}
"""Environments that number their lines, or that stand inside such a one only, and what takes their place."""
ENVIRONMENT = re.compile(rf"\\(begin|end)\{{({'|'.join(INSIDE)})\*?\}}")
NUMBERING = re.compile(r"\\(?:nonumber|notag)\b|\\(?:label|tag\*?)\{[^{}]*\}")
ITALIC = ["\u210e", *map(chr, range(0x1D434, 0x1D468)), *map(chr, range(0x1D6E2, 0x1D71C))]
"""The italic letters, Latin and Greek: a browser shows them for a variable, which is written in plain letters."""
ROW = re.compile(
    r'<math display="block"><semantics><mrow>(?P<row>.*)</mrow>(?P<annotation><annotation.*)</semantics></math>', re.S
)
OPERATOR = re.compile(r"<mo\b[^>]*>(.)</mo>")
WIDE = re.compile(r'<mspace width="[12]em"/>')
RELATIONS, TERMS = {*"=≤≥<>≈≠→⟺∼"}, {*"+−⋅×"}
LONG = 18
"""Up to this number of characters a formula fits into a line of a phone."""
OPENING, CLOSING = re.compile(r"[(\[“‘]+$"), re.compile(r"[.,;:!?)\]”’…]+")


def mathml(tex: str, display: bool) -> str:
    """A formula as MathML, with its TeX as an annotation.

    Args:
        tex: the formula, without the delimiters around it.
        display: whether it stands on lines of its own.

    Raises:
        LatexError: if it has a command or an environment that is not known.
    """
    # The numbers of equations are Sphinx's.
    inner = ENVIRONMENT.sub(lambda found: rf"\{found[1]}{{{INSIDE[found[2]]}}}" if INSIDE[found[2]] else "", tex)
    inner = NUMBERING.sub("", inner).strip()
    if display and r"\\" in inner and not inner.startswith(r"\begin"):
        inner = rf"\begin{{aligned}}{inner}\end{{aligned}}"  # as Sphinx does for LaTeX
    made = CONVERTER.convert_with_local_state(inner, displaystyle=display)
    return ANNOTATION.sub(lambda _: html.escape(tex.strip(), quote=False), made)


def check_formulas(app: Sphinx, document: nodes.document) -> None:
    """Warn of a formula that cannot be typeset."""
    for node in document.findall(lambda node: isinstance(node, (nodes.math, nodes.math_block))):
        try:
            mathml(node.astext(), isinstance(node, nodes.math_block))
        except LatexError as error:
            reason = re.sub(r"^\d+: ", "", str(error)).rstrip(".")
            logger.warning("a formula cannot be typeset: %s; correct it", reason, location=node)


def with_tex(page: str) -> str:
    """A page, or a part of one, with the TeX of each formula in its place."""
    return MATH.sub(lambda found: "".join(ANNOTATION.findall(found[0])), page)


def breakable(formula: str) -> str:
    """A long displayed formula in pieces that can stand in several lines, because MathML Core does not break lines.

    Args:
        formula: the formula as MathML.

    Returns:
        Its sides, each a span of terms, each a `<math>`, the first of them with the annotation; the formula itself if
        it is short or is a table.
    """
    row = ROW.fullmatch(formula)
    if row is None or len(html.unescape(re.sub(r"<[^>]*>", "", WIDE.sub("mmmm", row["row"])))) <= LONG:
        return formula
    sides: list[list[str]] = [[""]]
    depth, before, joined = 0, "=", False
    for element in elements(row["row"]):
        sign = OPERATOR.sub(r"\1", element) if OPERATOR.fullmatch(element) else ""
        infix = element.replace("<mo", '<mo form="infix"', 1)
        if depth == 0 and sign in RELATIONS and sides != [[""]] and not joined:
            sides.append([infix])
        elif depth == 0 and (sign in RELATIONS or (sign in TERMS and before not in RELATIONS)) and sides != [[""]]:
            sides[-1].append(infix)
            joined = joined and sign not in RELATIONS
        else:
            sides[-1][-1] += element
        if depth == 0 and WIDE.match(element):
            sides.append([""])
            joined = True  # the next formula, after the wide space, has its first two sides in one place
        brackets = OPERATOR.findall(element)
        depth += sum(mark in "([{" for mark in brackets) - sum(mark in ")]}" for mark in brackets)
        before = sign
    sides[0][0] = f"<semantics><mrow>{sides[0][0]}</mrow>{row['annotation']}</semantics>"
    written = ["".join(f'<math displaystyle="true">{term}</math>' for term in side) for side in sides if side != [""]]
    return "".join(f'<span class="side">{terms}</span>' for terms in written)


def elements(row: str) -> Iterator[str]:
    """The elements of a row of MathML, without those inside them."""
    depth = start = 0
    for tag in re.finditer(r"<(/?)[^>]*?(/?)>", row):
        depth += 0 if tag[2] else -1 if tag[1] else 1
        if depth == 0:
            yield row[start : tag.end()]
            start = tag.end()


class Unbroken(SphinxPostTransform):
    """Keeps a formula in a line of text together with the brackets and the punctuation that touch it.

    A browser would begin a line with the comma behind a formula.
    """

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            around = formula.parent
            place = around.index(formula)
            together = nodes.inline("", "", formula.deepcopy(), classes=["unbroken"])
            before = around[place - 1] if place else None
            after = around[place + 1] if place + 1 < len(around) else None
            pieces: list[nodes.Node] = [together]
            if isinstance(before, nodes.Text) and (found := OPENING.search(before)):
                together.insert(0, nodes.Text(found[0]))
                pieces.insert(0, nodes.Text(before[: found.start()]))
                place -= 1
            if isinstance(after, nodes.Text) and (found := CLOSING.match(after)):
                together.append(nodes.Text(found[0]))
                pieces.append(nodes.Text(after[found.end() :]))
            if len(together) > 1 and formula is not around[-1]:  # what follows the last one is kept with it already
                around[place : place + len(pieces)] = pieces


class TypesetReferences(SphinxPostTransform):
    """Typesets the formulas of a title in references to it, which Sphinx gives as TeX."""

    default_priority = 11  # when Sphinx has resolved the references

    def run(self, **kwargs: Any) -> None:
        headings = [heading for toc in self.env.tocs.values() for heading in toc.findall(nodes.reference)]
        titles = {clean_astext(h): h.children for h in headings if next(h.findall(nodes.math), None)}
        for reference in self.document.findall(nodes.reference) if titles else ():
            for text in list(reference.findall(nodes.Text)):
                if text in titles:
                    text.parent.replace(text, [child.deepcopy() for child in titles[text]])


def give_plain_title(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Give a browser the title of a page, for its tab, with formulas as plain text."""

    def plain(formula: re.Match[str]) -> str:
        return html.escape(plain_text("".join(map(html.unescape, ANNOTATION.findall(formula[0])))), quote=False)

    context["title"] = MATH.sub(plain, context.get("title", ""))


def or_tex(tex: str, display: bool) -> str:
    """A formula as MathML; as it was written if it cannot be typeset, of which the reader of the page has warned."""
    try:
        return mathml(tex, display)
    except LatexError:
        return html.escape(tex)


def write_inline(translator: Any, node: nodes.math) -> None:
    tag = translator.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    translator.body.append(f"{tag}{or_tex(node.astext(), False)}</span>")
    raise nodes.SkipNode


def write_display(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(f'<div class="formula">{breakable(or_tex(node.astext(), True))}</div></div>\n')
    raise nodes.SkipNode


def head_tags(static: str) -> str:
    """The tags that load what formulas need on a page that Sphinx does not write.

    Args:
        static: the path from that page to the folder `_static`.
    """
    return f'<link rel="stylesheet" href="{static}/{STYLE}"><script defer src="{static}/{SCRIPT}"></script>'


def write_font(app: Sphinx, error: Exception | None) -> None:
    """Write the style sheet with the font of the formulas, which has the characters that the pages use."""
    if error is not None or app.builder.name != "html":
        return
    pages = [characters(path.read_text(encoding="utf-8")) for path in html_pages(app).values()]
    used = "".join(sorted({*"".join(pages)}))
    source = f'url("data:font/woff2;base64,{base64.b64encode(font_of(used)).decode()}") format("woff2")'
    Path(app.outdir, "_static", STYLE).write_text(RULES.format(source=source), encoding="utf-8")


@remembered
def characters(page: str) -> str:
    """The characters of the formulas in an HTML page, each once and in order."""
    formulas = [ANNOTATION.sub("", formula) for formula in MATH.findall(page)]
    used = {*html.unescape(re.sub(r"<[^>]*>", "", "".join(formulas)))}
    if any("<msqrt" in formula or "<mroot" in formula for formula in formulas):
        used.add("√")  # a browser draws this sign for an element
    return "".join(sorted(used | {letter for letter in ITALIC if unicodedata.normalize("NFKC", letter) in used}))


@remembered
def font_of(used: str) -> bytes:
    """The font of the formulas with these characters only, as WOFF2."""
    return subset(package_folder(FONT[0]).joinpath(*FONT[1:]), used, ["ssty"], narrow_roots)


def subset(file: Path, used: str, features: list[str], change: Callable[[Any], None] | None = None) -> bytes:
    """A font with these characters only, the larger variants that MathML makes of them included, as WOFF2.

    Args:
        file: the font.
        used: the characters.
        features: what of its ways to lay out text it keeps, as OpenType names them.
        change: what else is done to it, last.
    """
    from fontTools import subset as fonts  # only a change of the characters needs it

    licence = [0, 13, 14]  # whose it is, and under which licence, must go with it
    options = fonts.Options(flavor="woff2", layout_features=features, hinting=False, name_IDs=[1, 2, 6, *licence])
    options.drop_tables += ["FFTM"]  # of the program that it was drawn with
    cutter, buffer = fonts.Subsetter(options), io.BytesIO()
    with fonts.load_font(str(file), options, lazy=True, dontLoadGlyphNames=True) as font:
        cutter.populate(text=used)
        cutter.subset(font)
        if change:
            change(font)
        fonts.save_font(font, buffer, options)
    return buffer.getvalue()


def narrow_roots(font: Any) -> None:
    """Give root signs of all heights one width, because Chromium leaves room for the widest one behind each root."""
    signs = font.getBestCmap() or {}
    if ord("√") not in signs:
        return
    variants = font["MATH"].table.MathVariants
    heights = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(signs[ord("√")])]
    names = [record.VariantGlyph for record in heights.MathGlyphVariantRecord]
    names += [part.glyph for part in heights.GlyphAssembly.PartRecords]
    width = font["glyf"][names[0]].xMax  # where the bar begins that the browser draws
    for name in sorted(set(names)):
        advance, left = font["hmtx"][name]
        scale = width / advance if name != names[0] else 1
        glyph = font["glyf"][name]
        glyph.coordinates.scale((scale, 1))
        glyph.coordinates.toInt()
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, round(left * scale))


def setup(app: Sphinx) -> None:
    app.add_post_transform(Unbroken)
    app.add_post_transform(TypesetReferences)
    app.add_css_file(STYLE)
    app.add_js_file(SCRIPT, loading_method="defer")
    app.add_html_math_renderer("mathml", (write_inline, None), (write_display, None))
