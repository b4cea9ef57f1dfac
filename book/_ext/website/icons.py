"""The icons of the pages, as style rules that draw exactly those in use.

The theme draws its icons with FontAwesome, as a script and a font of 700 kB. The book has neither. The step that makes
a page's one style sheet (`website/assets.py`) takes from here a rule for each icon: a box in the colour of the text,
cut out by the icon's outline. The outlines are read from the FontAwesome that the theme brings.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from book._ext.compat import fontawesome
from book._ext.remembered import remembered

STYLES = {"fa": "fas", "fas": "fas", "fa-solid": "fas", "far": "far", "fa-regular": "far", "fab": "fab"}
STYLES["fa-brands"] = "fab"
"""The classes that say that an element is an icon, each with its set of icons."""
NAME = re.compile(r"\bfa-[a-z0-9]")
ATTRIBUTE = re.compile(r"\bclass\w*\s*=\s*\\?[\"']$")
"""What comes before the classes of an element, in HTML and in a script."""
SETS = re.compile(r'd\("(fa[bsr])",p\)')
"""What follows a set of icons in FontAwesome's script."""
ICON = re.compile(r'(\d+),(\d+),\[([^\]]*)\],"(\w+)","([^"]+)"\]')
"""What FontAwesome's script says of an icon after its name and `:[`."""
SIZE = re.compile(r"(?<=})\.fa-(?:[0-9]+x|2?xs|sm|lg|2?xl|fw|rotate-\d+|flip-[a-z]+)\{[^{}]*\}")

CHARACTER = r'"(\\f[0-9a-f]{3}|[\uf000-\uf8ff])"'
"""A character of FontAwesome's font in a style sheet."""
DRAWN = (
    "display:inline-block;height:1em;vertical-align:-.125em;background:var(--icon-ink,currentColor);"
    "forced-color-adjust:none;print-color-adjust:exact;-webkit-mask:var(--icon) center/contain no-repeat;"
    "mask:var(--icon) center/contain no-repeat"
)
"""The declarations of an element that is drawn as the icon in the variable `--icon`."""
RULES = f"""\
/*! The outlines of icons are by Fonticons, Inc., fontawesome.com, under the licence CC BY 4.0. */
:is(.fa, .fas, .far, .fab, .fa-solid, .fa-regular, .fa-brands) {{ font-style: normal; line-height: 1; }}
:is(.fa, .fas, .far, .fab, .fa-solid, .fa-regular, .fa-brands)::before {{ content: ""; {DRAWN}; }}
/* Where the reader's system chooses the colours, it paints over all backgrounds but these. */
@media (forced-colors: active) {{
  :root {{ --icon-ink: CanvasText; }}
  a {{ --icon-ink: LinkText; }}
  button, .btn {{ --icon-ink: ButtonText; }}
}}
/* FontAwesome's script put an svg without these classes in the place of each icon: as the theme's rules drew that. */
.bd-header-article .btn :is(.fa, .fas, .far, .fab, .fa-solid, .fa-regular, .fa-brands)::before {{ width: 1.3rem; }}
.search-button-field > .fa-magnifying-glass {{ display: inline-block; }}
.bd-search .fa-solid.fa-magnifying-glass {{ color: inherit; position: static; }}
.search-button__wrapper.show .fa-magnifying-glass {{ font-size: var(--pst-font-size-icon); }}
.sidebar-secondary-item i {{ padding-right: 0; }}
.prev-next-area i {{ font-size: 1em; }}
/* The theme gives the title's box the height of a letter, and means the line's. */
.admonition > .admonition-title::after, div.admonition > .admonition-title::after {{ height: 1lh; }}
"""
"""What holds for all icons."""


class Icon(NamedTuple):
    """The outline of an icon, in a box of `width` by `height`."""

    width: int
    height: int
    path: str

    def url(self) -> str:
        """The icon as a picture within a style sheet."""
        # A style sheet takes an SVG as it is, but for the characters that end an address or begin another part of it.
        box = f"0 0 {self.width} {self.height}"
        svg = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='{box}'><path d='{self.path}'/></svg>"
        return f'url("data:image/svg+xml,{svg.replace("<", "%3C").replace(">", "%3E").replace("#", "%23")}")'


class UnknownIcon(Exception):
    """FontAwesome has no icon of this name; the message says so and what to do."""


@functools.cache
def all_icons() -> dict[tuple[str, str], Icon]:
    """FontAwesome's icons, by their set and each of their names and codes."""
    parts = SETS.split((fontawesome() / "js" / "all.min.js").read_text(encoding="utf-8"))
    icons: dict[tuple[str, str], Icon] = {}
    for text, kind in zip(parts[0::2], parts[1::2], strict=False):
        pieces = text.split(":[")
        for before, after in pairwise(pieces):
            if found := ICON.match(after):
                width, height, others, code, path = found.groups()
                name = re.split(r'[{,"]', before[-80:].rstrip('"'))[-1]
                for known in (name, code, *re.findall(r'"([^"]+)"', others)):
                    icons[kind, known] = Icon(int(width), int(height), path)
    return icons


@functools.cache
def sizes() -> dict[str, str]:
    """FontAwesome's rules for the size and the direction of an icon, by their class."""
    text = (fontawesome() / "css" / "all.min.css").read_text(encoding="utf-8")
    return {rule.partition("{")[0][1:]: rule for rule in SIZE.findall(text)}


@remembered
def icon_classes(text: str) -> set[str]:
    """The `class` attributes of the icons in a page or a script."""
    found = set()
    for match in NAME.finditer(text):
        begin = max(text.rfind(quote, 0, match.start()) for quote in "\"'") + 1
        if ATTRIBUTE.search(text[max(0, begin - 20) : begin]):
            found.add(" ".join(sorted(re.findall(r"[\w-]+", re.split(r"[\"'\\]", text[begin : begin + 300])[0]))))
    return {classes for classes in found if STYLES.keys() & set(classes.split())}


def class_rules(classes: Iterable[str]) -> str:
    """The rules that draw icons.

    Args:
        classes: the `class` attributes of these icons.

    Raises:
        UnknownIcon: if FontAwesome does not have one of them.
    """
    rules: dict[str, str] = {}
    for names in map(str.split, sorted(classes)):
        kind = next(STYLES[name] for name in names if name in STYLES)
        for name in [name for name in names if name.startswith("fa-") and name not in STYLES]:
            icon = all_icons().get((kind, name.removeprefix("fa-")))
            if icon is not None:
                style = ", ".join(f".{alias}.{name}::before" for alias in STYLES if STYLES[alias] == kind)
                rules[f"{kind} {name}"] = (
                    f"{style} {{ --icon: {icon.url()}; width: {icon.width / icon.height:.4g}em; }}"
                )
            elif name in sizes():
                rules[name] = sizes()[name]
            else:
                raise UnknownIcon(f"FontAwesome has no icon {name} in the set {kind}; look for one in its free icons")
    return RULES + "\n".join(rules[key] for key in sorted(rules)) + "\n"


def without_font(css: str) -> str:
    """A style sheet with outlines in the place of the characters of FontAwesome's font.

    Args:
        css: the style sheet, as the theme has it: `--name:"\\f105"`, and `content:var(--name)` where it is drawn.
    """
    names = {name for name, _ in re.findall(rf"(--[\w-]+):\s*{CHARACTER}", css)}
    # A variable can stand for another one.
    while (
        more := {name for name, other in re.findall(r"(--[\w-]+):\s*var\((--[\w-]+)\)", css) if other in names} - names
    ):
        names |= more
    css = re.sub(rf"(--[\w-]+):\s*{CHARACTER}", lambda match: f"{match[1]}:{by_character(match[2])}", css)
    for name in sorted(names):
        css = re.sub(rf"content:\s*var\({name}\)", f'content:"";--icon:var({name})', css)
    css = re.sub(r"font:\s*var\(--fa-font-(?:solid|regular|brands)\)", f"{DRAWN};width:1em", css)
    css = re.sub(
        rf'content:\s*{CHARACTER};\s*font-family:\s*"?Font Awesome[^;}}]*',
        lambda match: f'content:"";--icon:{by_character(match[1])};{DRAWN};width:1em',
        css,
    )
    # Another package may only put its character in the place of the theme's.
    return re.sub(rf"content:\s*{CHARACTER}", lambda match: f'content:"";--icon:{by_character(match[1])}', css)


def by_character(character: str) -> str:
    """The picture of an icon of FontAwesome's font, given as the character or as `\\f105`."""
    code = character[1:] if len(character) > 1 else f"{ord(character):x}"
    for kind in ("fas", "fab", "far"):
        if (kind, code) in all_icons():
            return all_icons()[kind, code].url()
    raise UnknownIcon(
        f"FontAwesome has no icon {code}, which a style sheet of the theme draws; pin the theme's version"
    )
