"""Figures inside the HTML of a page: one SVG each, which follows the theme.

A figure of the book has the colours of `figures.LIGHT`. On a dark page, `_static/figures.css` replaces each of them by
its partner of `figures.DARK`; Sphinx makes that file from its template and the two palettes. Colours are attributes
such as ``fill="#1a1c20"``, so the page needs no style sheet to be right on white. An SVG with other colours stays a
file, shown on white in both themes. Runs when a page is written.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from html import escape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.images import get_image_size

from book._ext.figures.figure_files import cell_images, read_label
from book._ext.files import text_digest
from book._ext.page.equations import modules_of
from book._ext.remembered import remembered

MATPLOTLIB_STYLE = "*{stroke-linejoin: round; stroke-linecap: butt}"
SHAPES = {"path", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
COLOURED = ("fill", "stroke")
LENGTH = re.compile(r"([\d.]+)(\w*)")
REFERENCE = re.compile(r"(?<=url\(#)[^)]+|(?<=href=#).+")
POINT = r"(?:\s+[-+]?[\d.]+(?:e[-+]?\d+)?){2}"
PATH = re.compile(rf"(?:\s*(?:z|[ML]{POINT}|Q(?:{POINT}){{2}}|C(?:{POINT}){{3}}))*\s*")
"""A path as matplotlib writes it: each command has its letter."""
DIGITS = 2
"""A figure's unit is a point, so the last digit is an 80th of a pixel."""


# --- the palette ---------------------------------------------------------------------------------------------------


def palette(root: Path) -> dict[str, str]:
    """For each colour of a figure its partner on a dark page, read from the source, because an import takes seconds."""
    try:
        constants = {name: value for module in modules_of(root).values() for name, value in module.constants.items()}
    except (SyntaxError, ValueError):  # the build will say so
        return {}
    light, dark = constants.get("LIGHT", {}), constants.get("DARK", {})
    return {light[role]: dark[role] for role in light if role in dark}


def use_palette(app: Sphinx, config: Config) -> None:
    """Give the palette to the template of `figures.css`; all pages are written again after a change of it."""
    colours = palette(Path(app.srcdir))
    config["html_context"] = {**config["html_context"], "figure_colours": colours}
    config["descent_look_digest"] = text_digest(config["descent_look_digest"], str(colours))


# --- from the file to the page -------------------------------------------------------------------------------------


@remembered
def inline_svg(svg: str, colours: Collection[str], prefix: str, attributes: dict[str, str]) -> str:
    """An SVG of matplotlib as part of a page: the same picture, much shorter.

    Args:
        svg: the file.
        colours: the colours that it may have.
        prefix: what its ids begin with; ids must be unique on a page.
        attributes: further attributes of the SVG; they replace those that it has. An empty one removes it.

    Raises:
        ValueError: if it has other colours, styles that are not matplotlib's, or no size.
    """
    root = fromstring(svg)
    if not {"width", "height", "viewBox"} <= root.attrib.keys():
        raise ValueError("the figure does not say how large it is")
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        if element.tag in ("script", "foreignObject") or (
            element.tag == "style" and "".join(element.itertext()).strip() != MATPLOTLIB_STYLE
        ):
            raise ValueError(f"the figure holds a {element.tag} that is not matplotlib's")
        use_attributes(element, colours)
    drop_repeated(root)
    names = {name: f"{prefix}{number}" for number, name in enumerate(referenced(root), 1)}
    kept = {key: root.attrib[key] for key in ("width", "height", "viewBox")}
    kept["viewBox"] = " ".join(number_text(float(x)) for x in kept["viewBox"].split())
    kept |= {key: LENGTH.sub(lambda m: number_text(float(m[1])) + m[2], kept[key]) for key in ("width", "height")}
    # A browser that leaves a drawing for later (`content-visibility`) keeps the place that its style says.
    width, height = (LENGTH.match(kept[key]) for key in ("width", "height"))
    if width and height and width[2] == height[2]:
        kept["style"] = f"aspect-ratio:{width[1]}/{height[1]}"
    # In the file, matplotlib's style says this for every element; here it must not reach the rest of the page.
    kept["stroke-linejoin"] = "round"
    said = {key: value for key, value in {**attributes, **kept, **attributes}.items() if value}
    inside = "".join(written(child, names, False) for child in root)
    return f"<svg{attributes_text(said)}>{inside}</svg>"


def use_attributes(element: Element, colours: Collection[str]) -> None:
    """Turn the style of an element into attributes, and shorten its numbers.

    Raises:
        ValueError: if it has a colour that is not one of these.
    """
    found = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    declarations = (part.partition(":") for part in found.pop("style", "").split(";"))
    found |= {key.strip(): value.strip() for key, colon, value in declarations if colon}
    if element.tag not in SHAPES:
        # They have no effect: matplotlib's style, which is for every element, holds for the shapes within.
        for key in ("stroke-linejoin", "stroke-linecap"):
            found.pop(key, None)
    for key in COLOURED:
        value = found.get(key, "none")
        if value != "none" and not value.startswith("url(#"):
            found[key] = value.lower()
            if found[key] not in colours:
                raise ValueError(f"the figure uses {value}, which is not one of figures.LIGHT")
    if {"color", "stop-color", "flood-color"} & {*found}:
        raise ValueError("the figure has a gradient or a filter, whose colours are not known")
    if "d" in found:
        found["d"] = short_path(found["d"])
    if element.tag == "use" and (moved := re.fullmatch(r"translate\((\S+) (\S+)\)", found.get("transform", ""))):
        del found["transform"]
        found |= {"x": moved[1], "y": moved[2]}
    for key in {"x", "y", "width", "height"} & {*found} if element.tag in ("use", "rect") else ():
        found[key] = number_text(float(found[key]))
        if found[key] == "0" and key in ("x", "y"):
            del found[key]
    if "transform" in found:
        found["transform"] = re.sub(
            r"translate\((\S+) (\S+)\)",
            lambda m: f"translate({number_text(float(m[1]))} {number_text(float(m[2]))})",
            found["transform"],
        )
    element.attrib.clear()
    element.attrib.update(found)


def drop_repeated(root: Element) -> None:
    """Drop from a shape that is drawn in many places what each of the places says, too: it is inherited.

    The style sheet for dark pages reaches the places, but not the copies of the shape, which would stay light.
    """
    places = defaultdict(list)
    for use in root.iter("use"):
        places[use.attrib["href"][1:]].append(use.attrib)
    for element in root.iter():
        for key in ("stroke-width", *COLOURED):
            said = {place.get(key) for place in places.get(element.get("id", ""), ())}
            if said == {element.get(key)}:
                element.attrib.pop(key, None)


def referenced(root: Element) -> list[str]:
    """The ids that other elements refer to, in the order of the elements that have them."""
    used = {
        name for element in root.iter() for pair in element.attrib.items() for name in REFERENCE.findall("=".join(pair))
    }
    return list(dict.fromkeys(e.attrib["id"] for e in root.iter() if e.get("id") in used))


def written(element: Element, names: dict[str, str], is_defined: bool) -> str:
    """An element as HTML, without what shows nothing.

    Args:
        element: the element.
        names: the new ids by the old ones.
        is_defined: whether it is within ``defs``, where a shape takes its colours from the place that uses it.
    """
    tag, found = element.tag, dict(element.attrib)
    if tag in ("metadata", "style"):
        return ""
    is_defined = is_defined or tag in ("defs", "clipPath", "pattern")
    if tag == "path" and not is_defined and found.get("fill") == "none" and found.get("stroke", "none") == "none":
        return ""
    if (name := found.pop("id", "")) in names:
        found["id"] = names[name]
    for key, value in found.items():
        found[key] = REFERENCE.sub(lambda m: names[m[0]], f"{key}={value}").removeprefix(f"{key}=")
    inside = "".join(written(child, names, is_defined) for child in element)
    if tag in ("g", "defs") and (not inside or (tag == "g" and not found)):
        return inside
    inside += escape(element.text.strip(), quote=False) if element.text else ""
    start = f"<{tag}{attributes_text(found)}"
    return f"{start}>{inside}</{tag}>" if inside else f"{start}/>"


def attributes_text(found: dict[str, str]) -> str:
    return "".join(f' {key}="{escape(value)}"' for key, value in found.items())


def number_text(value: float) -> str:
    """A number with few digits, written as short as SVG allows."""
    text = f"{value:.{DIGITS}f}".rstrip("0").rstrip(".")
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    return sign + digits.removeprefix("0") if digits != "0" else "0"


def short_path(path: str) -> str:
    """The same path with each point relative to the one before. Each point is rounded, so errors do not add up."""
    if not PATH.fullmatch(path):
        return " ".join(path.split())
    unit = 10**DIGITS
    text: list[str] = []
    x = y = start_x = start_y = 0
    last = ""
    for command, numbers in re.findall(r"([MLQCz])([^MLQCz]*)", path):
        if command == "z":
            text.append("z")
            x, y, last = start_x, start_y, "z"
            continue
        points = [round(float(number) * unit) for number in numbers.split()]
        deltas = [point - (y if i % 2 else x) for i, point in enumerate(points)]
        short = command.lower()
        if command == "L" and 0 in deltas:
            short, deltas = ("h", deltas[:1]) if deltas[1] == 0 else ("v", deltas[1:])
        # A line that follows a move needs no letter, nor does a command that is the same as the last one.
        text.append("" if short == last or (short == "l" and last == "m") else short)
        text += [number_text(delta / unit) for delta in deltas]
        last = short
        x, y = points[-2:]
        if command == "M":
            start_x, start_y = x, y
    # Spaces stay only where two numbers would become one.
    return re.sub(r"(\.\d+) (?=\.)|(?<=[a-z]) | (?=[-a-z])", r"\1", " ".join(filter(None, text)))


# --- on the page ---------------------------------------------------------------------------------------------------


class InlineFigures(SphinxPostTransform):
    """In HTML the figures of the book are part of the page; other drawings of cells stay files, on white."""

    default_priority = 20
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        colours = sorted(self.config.html_context["figure_colours"])
        for number, image in enumerate(cell_images(self.document, ".svg"), 1):
            path = Path(self.app.srcdir, image["uri"].lstrip("/"))
            try:
                if not read_label(path)[0]:
                    raise ValueError("a figure of ours has a description; of others it is not known what they rely on")
                text = path.read_text(encoding="utf-8")
                svg = inline_svg(text, colours, f"drawing{number}-", attributes_of(image, path))
            except ValueError:
                image["classes"].append("on-white")
            else:
                image.replace_self(nodes.raw("", svg, format="html"))


def attributes_of(image: nodes.image, path: Path) -> dict[str, str]:
    """What the SVG of an image says of itself: its class, what it shows, and the size that its cell asks for."""
    classes = ["drawing", *image["classes"], *(f"align-{image[key]}" for key in ("align",) if key in image)]
    found = {"class": " ".join(classes), "role": "img", "aria-label": str(image["alt"])}
    size = {key: str(image[key]) for key in ("width", "height") if key in image}
    if "scale" in image and not size and (drawn := get_image_size(str(path))):
        size["width"] = f"{drawn[0] * image['scale'] / 100:g}"
    return found | ({"width": "", "height": ""} | size if size else {})


def visit_image(self: Any, node: nodes.image) -> None:
    """Write an image as Sphinx does, with the size of its file, so that nothing moves when it arrives, late."""
    path = Path(self.builder.srcdir, node["uri"].lstrip("/"))
    node.setdefault("loading", "lazy")
    type(self).visit_image(self, node)
    size = get_image_size(str(path)) if path.is_file() else None
    if size and not {"width", "height", "scale"} & {*node.attributes}:
        self.body[-1] = self.body[-1].replace("<img ", f'<img width="{size[0]}" height="{size[1]}" ', 1)


def setup(app: Sphinx) -> None:
    app.add_post_transform(InlineFigures)
    app.add_node(nodes.image, override=True, html=(visit_image, None))
    app.add_css_file("figures.css")
