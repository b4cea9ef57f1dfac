"""What a rebuild moved: figures, numbers that runs made, equations; the old beside the new, in `_build/changes`.

A sentence that says "after 17 steps" is checked by nobody if a run now takes 18; here the editor sees it.
"""

from __future__ import annotations

import json
import re
import shutil
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from book._ext.cli.publishing import BUILD, places
from book._ext.execute.execution import executed_cells
from book._ext.figures.figure_files import drawn
from book._ext.page.offline import mathjax_tags
from book._ext.state import build_state

GLUED = "application/papermill.record/"
KINDS = {"figures": "figure", "numbers": "number", "equations": "equation"}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>What the last build changed</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
{mathjax}
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1a1c20;
       background: #fff; }}
.pair {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }}
figure {{ margin: 0; border: 1px solid #d9dce1; padding: 0.5rem; }}
img {{ display: block; margin: 0 auto; max-width: 100%; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: 0.2rem 1rem 0.2rem 0; border-bottom: 1px solid #d9dce1; }}
</style></head><body>
<h1>What the last build changed</h1>
<p>{summary}.</p>
{body}
</body></html>
"""


def note_figures(app: Sphinx, document: nodes.document) -> None:
    """Remember the figures of a page by their names, and the numbers that its cells gave to the text."""
    figures = {}
    for image in drawn(document, ".svg"):
        figure: Any = image.parent
        while figure is not None and not isinstance(figure, nodes.figure):
            figure = figure.parent
        if figure is not None and figure["names"]:
            figures[figure["names"][0]] = Path(image["uri"]).name
    numbers = {}
    for cell in executed_cells(app, app.env.docname):
        for output in cell["outputs"]:
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name:
                numbers[name] = str(output["data"].get(f"{GLUED}text/plain", ""))
    app.env.metadata[app.env.docname]["changes"] = {"figures": figures, "numbers": numbers}


def facts(app: Any) -> dict[str, dict[str, list[str]]]:
    """Of the whole book: figures, numbers and equations by name, each with its page and what it is."""
    checker = build_state(app).checker
    assert checker is not None
    found: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
    for docname in sorted(app.env.found_docs):
        noted = app.env.metadata[docname].get("changes", {})
        for kind in ("figures", "numbers"):
            for name, value in noted.get(kind, {}).items():
                found[kind][name] = [docname, value]
        for equation in checker.found.get(docname, ()):
            found["equations"][equation.label] = [docname, equation.latex]
    return found


def compare(before: dict[str, dict[str, list[str]]], after: dict[str, dict[str, list[str]]]) -> dict[str, list[str]]:
    """The names, by kind, of what is new, gone or different."""
    moved = {}
    for kind in KINDS:
        old, new = before.get(kind, {}), after[kind]
        moved[kind] = [name for name in sorted({*old, *new}) if old.get(name, [""])[-1] != new.get(name, [""])[-1]]
    return moved


def write_report(after: dict[str, dict[str, list[str]]], out: Path) -> str:
    """Write the page for what is about to take the place of the last book, beside it.

    Args:
        after: the facts of the new book.
        out: where that lies.

    Returns:
        What moved, in a few words; empty if nothing did, or there was no book before.
    """
    note, page = BUILD / ".facts.json", places("changes")[2]
    try:
        before = json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = after
    moved = compare(before, after)
    counts = [f"{len(names)} {KINDS[kind]}{'s' * (len(names) > 1)}" for kind, names in moved.items() if names]
    shutil.rmtree(page, ignore_errors=True)
    if not counts:
        return ""
    page.mkdir(parents=True)
    summary = ", ".join(counts)
    parts = [show(kind, names, before, after, out) for kind, names in moved.items() if names]
    text = PAGE.format(mathjax=mathjax_tags("../html/_static"), summary=summary, body="\n".join(parts))
    (page / "index.html").write_text(text, encoding="utf-8")
    return summary


def show(kind: str, names: list[str], before: Any, after: Any, out: Path) -> str:
    """One kind of changes as HTML; pictures are copied beside the page."""
    lines = [f"<h2>{kind.capitalize()}</h2>"]
    if kind == "numbers":
        rows = "".join(
            f"<tr><th>{link(name, after[kind].get(name), '')}</th><td>{escape(value(before[kind], name))}</td>"
            f"<td>{escape(value(after[kind], name))}</td></tr>"
            for name in names
        )
        return f"{lines[0]}<table><tr><th>name</th><th>before</th><th>now</th></tr>{rows}</table>"
    for name in names:
        anchor = f"equation-{name}" if kind == "equations" else name
        lines.append(f'<h3>{link(name, after[kind].get(name), anchor)}</h3><div class="pair">')
        for side, facts_, folder in (("before", before, BUILD / "html"), ("now", after, out)):
            what = value(facts_[kind], name)
            if what and kind == "figures":
                copied = places("changes")[2] / side / what
                copied.parent.mkdir(exist_ok=True)
                shutil.copyfile(folder / "_images" / what, copied)
                what = f'<img src="{side}/{escape(what)}" alt="{escape(name)}, {side}">'
            elif what:
                what = rf"\[{escape(what)}\]"
            lines.append(f"<figure><figcaption>{side}</figcaption>{what or 'not there'}</figure>")
        lines.append("</div>")
    return "\n".join(lines)


def value(found: dict[str, list[str]], name: str) -> str:
    return re.sub(r"^'(.*)'$", r"\1", found[name][1]) if name in found else ""


def link(name: str, place: list[str] | None, anchor: str) -> str:
    address = f"../html/{place[0]}.html" + f"#{anchor}" * bool(anchor) if place else ""
    return f'<a href="{escape(address)}">{escape(name)}</a>' if place else escape(name)


def publish_report(after: dict[str, dict[str, list[str]]], summary: str) -> None:
    """Put the report in its place, or none; and remember what the book now says."""
    place, _, new = places("changes")
    shutil.rmtree(place, ignore_errors=True)
    if summary:
        new.rename(place)
    fresh = BUILD / ".facts.new"
    fresh.write_text(json.dumps(after), encoding="utf-8")
    fresh.replace(BUILD / ".facts.json")
