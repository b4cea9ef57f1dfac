"""The page that shows all figures of the book, each with the code that draws it: `_build/figures/index.html`."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from urllib.parse import quote

from sphinx.application import Sphinx

from book._ext.figures.figure_files import Figure, figure_number, figures_of, kinds_of, render
from book._ext.figures.needed_code import Program
from book._ext.page.equations import toc_order
from book._ext.page.formula_text import plain_words
from book._ext.page.formulas import head_tags
from book._ext.remembered import remembered

CAPTION = re.compile(r'<figure[^>]* id="([^"]+)".*?<span class="caption-text">(.*?)</span><a class="headerlink"', re.S)


def index_page(app: Sphinx) -> str:
    """The index, section by section. The captions are read from the pages, which have just been written."""
    sections = []
    for docname in toc_order(app.env):
        figures = figures_of(app.env, docname)
        if figures:
            page = app.builder.get_target_uri(docname)
            captions = captions_of(Path(app.outdir, page).read_text(encoding="utf-8"))
            numbers = [figure_number(app.env, docname, figure.id) for figure in figures]
            shown = [(figure, number, captions[figure.id]) for figure, number in zip(figures, numbers, strict=True)]
            sections.append({"page": quote(page), "title": heading(app, docname), "figures": shown})
    functions = {"kinds_of": kinds_of, "seed_of": seed_of, "needs_imports_alone": needs_imports_alone}
    head = head_tags("../html/_static")
    return render("index.html.jinja", book=app.config.html_title, head=head, sections=sections, **functions)


def heading(app: Sphinx, docname: str) -> str:
    number = ".".join(map(str, app.env.toc_secnumbers.get(docname, {}).get("") or ()))
    return f"{number} {plain_words(app.env.titles[docname])}".strip()


@remembered
def captions_of(page: str) -> dict[str, str]:
    """The captions of a page's figures, by their ids, as HTML; without links, which would be wrong on another page."""
    figures = re.findall(r"<figure.*?</figure>", page, re.S)
    found = [match for match in map(CAPTION.match, figures) if match]
    return {match[1]: re.sub(r"</?a\b[^>]*>", "", match[2]) for match in found}


def seed_of(figure: Figure) -> str:
    """The seed, noise and start of a figure's runs; for a figure without runs, the seeds in its program."""
    runs = figure.runs.values()
    if not runs and not figure.program.whole:
        return "as its page says"
    if not runs:
        return ", ".join(map(str, seeds(figure.program.whole))) or "none, for nothing in it is random"
    said = []
    for name in ("seed", "noise", "start"):
        values = list(dict.fromkeys(written(run[name]) for run in runs))
        said.append(f"{name} {', '.join(values)}".removeprefix("seed "))
    return "; ".join(said)


def written(value: object) -> str:
    return f"({', '.join(map(written, value))})" if isinstance(value, list) else f"{value:g}"


def needs_imports_alone(program: Program) -> bool:
    """Whether nothing but imports stands before the lines of the figure's own cell."""
    before = program.whole.removesuffix(program.own).split("\n")
    return all(line.startswith(("import ", "from ")) for line in before if line)


@remembered
def seeds(code: str) -> list[int]:
    """The seeds of a program: those it names, and 0, the default of `descend` and `output`, where it asks for noise."""
    found = set()
    for call in ast.walk(ast.parse(code)):
        if isinstance(call, ast.Call):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            called = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            noise, seed = given.get("noise"), given.get("seed")
            if called == "manual_seed" and call.args:
                seed = call.args[0]
            elif noise is not None and not (isinstance(noise, ast.Constant) and noise.value == 0):
                seed = seed or ast.Constant(0)
            if isinstance(seed, ast.Constant) and isinstance(seed.value, int):
                found.add(seed.value)
    return sorted(found)
