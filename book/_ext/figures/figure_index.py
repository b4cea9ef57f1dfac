"""The page that shows all figures of the book at a glance, each with what drew it: `_build/figures/index.html`."""

from __future__ import annotations

import ast
import re
from html import escape
from pathlib import Path
from urllib.parse import quote

from sphinx.application import Sphinx
from sphinx.util.nodes import clean_astext

from book._ext.figures.figure_files import Figure, figure_number, figures_of
from book._ext.page.equations import toc_order
from book._ext.page.offline import mathjax_tags

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Figures of {book}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{mathjax}
<style>
:root {{ --ground: #fff; --box: #f5f6f8; --ink: #1a1c20; --muted: #5c6470; --line: #d9dce1; --link: #0b53b8; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #121212; --box: #1e2126; --ink: #e8eaee; --muted: #a9b1bd; --line: #3a3f47; --link: #82b4ff; }}
}}
body {{ background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
       margin: 2rem auto; max-width: 76rem; overflow-wrap: break-word; padding: 0 1rem; }}
a {{ color: var(--link); }}
:focus-visible {{ outline: 3px solid var(--link); outline-offset: 2px; }}
h1, h2, h3 {{ font-weight: 600; line-height: 1.25; }}
h2 {{ border-bottom: 1px solid var(--line); margin: 2.5rem 0 1rem; padding-bottom: 0.3rem; }}
h2 a, h3 a {{ color: inherit; text-decoration: none; }}
h2 a:hover, h3 a:hover {{ text-decoration: underline; }}
h3 {{ font-size: 1rem; margin: 0 0 0.5rem; }}
.figures {{ display: grid; gap: 2.5rem 2rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); }}
article {{ min-width: 0; }}
img {{ display: block; height: 15rem; margin: 0 auto 0.75rem; max-width: 100%; object-fit: contain; }}
article p, dl {{ font-size: 0.9rem; margin: 0.5rem 0; }}
dl {{ color: var(--muted); display: grid; font-size: 0.8rem; gap: 0 0.75rem; grid-template-columns: auto 1fr; }}
dd {{ margin: 0; }}
dd a {{ margin-right: 0.75rem; }}
pre {{ background: var(--box); font: 0.75rem/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
      margin: 0.5rem 0; overflow-wrap: anywhere; padding: 0.6rem 0.75rem; white-space: pre-wrap; }}
summary {{ color: var(--muted); cursor: pointer; font-size: 0.8rem; }}
</style></head><body><main>
<h1>Figures of {book}</h1>
<p>Each is here as PDF, as SVG for light and for dark grounds, and in numbers as CSV. Below it stands what draws it: run
in Python where <code>optim_code</code> is found, the same lines give the same figure.</p>
{sections}
</main></body></html>
"""
SECTION = """<h2><a href="../html/{page}">{title}</a></h2>
<div class="figures">
{figures}
</div>"""
FIGURE = """<article id="{label}">
<picture><source media="(prefers-color-scheme: dark)" srcset="{file}-dark.svg">
<img src="{file}.svg" alt="{alt}"></picture>
<h3><a href="../html/{page}#{label}">Figure {number}</a></h3>
<p>{caption}</p>
<dl>
<dt>Files</dt><dd>{links}</dd>
<dt>Seed</dt><dd>{seed}</dd>
<dt>Drawn with</dt><dd>{versions}</dd>
</dl>
{code}
</article>"""
CAPTION = re.compile(r'<figure[^>]* id="([^"]+)".*?<span class="caption-text">(.*?)</span><a class="headerlink"', re.S)


def index_page(app: Sphinx) -> str:
    """The index, by the sections of the book; captions are those of its pages, as they were just written."""
    sections = []
    for docname in toc_order(app.env):
        figures = figures_of(app.env, docname)
        if figures:
            page = app.builder.get_target_uri(docname)
            captions = captions_of(Path(app.outdir, page).read_text(encoding="utf-8"))
            shown = [
                show(figure, quote(page), figure_number(app.env, docname, figure.label), captions[figure.label])
                for figure in figures
            ]
            sections.append(SECTION.format(page=quote(page), title=heading(app, docname), figures="\n".join(shown)))
    mathjax = mathjax_tags("../html/_static")
    return PAGE.format(book=escape(app.config.html_title), mathjax=mathjax, sections="\n".join(sections))


def heading(app: Sphinx, docname: str) -> str:
    number = ".".join(map(str, app.env.toc_secnumbers.get(docname, {}).get("") or ()))
    return escape(f"{number} {clean_astext(app.env.titles[docname])}".strip())


def captions_of(page: str) -> dict[str, str]:
    """The captions of a page's figures, by label, as HTML; without links, which lead on from that page."""
    figures = re.findall(r"<figure.*?</figure>", page, re.S)
    found = [match for match in map(CAPTION.match, figures) if match]
    return {match[1]: re.sub(r"</?a\b[^>]*>", "", match[2]) for match in found}


def show(figure: Figure, page: str, number: str, caption: str) -> str:
    """A figure of the index."""
    file = quote(figure.name)
    links = {".pdf": f"{figure.name}.pdf", ".svg": "SVG", "-dark.svg": "SVG for dark", ".csv": "CSV"}
    return FIGURE.format(
        label=escape(figure.label),
        file=file,
        alt=escape(figure.alt),
        page=page,
        number=number,
        caption=caption,
        links=" ".join(
            f'<a href="{file}{ending}" aria-label="Figure {number} as {kind}">{escape(kind)}</a>'
            for ending, kind in links.items()
            if ending != ".csv" or ending in figure.made
        ),
        seed=escape(seed_of(figure)),
        versions=escape(", ".join(f"{name} {version}" for name, version in figure.versions.items())),
        code=code_of(figure),
    )


def seed_of(figure: Figure) -> str:
    """The seed, noise and start of a figure's runs; of a figure that holds no runs, the seeds of its program."""
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


def code_of(figure: Figure) -> str:
    """The lines of its cell; before them their imports, if that is all they need, or else the whole program apart."""
    whole, own = figure.program
    before = whole.removesuffix(own).split("\n")
    if all(line.startswith(("import ", "from ")) for line in before if line):
        return f"<pre>{escape(whole or own)}</pre>"
    return (
        f"<pre>{escape(own)}</pre>\n<details><summary>with all that it needs</summary>\n"
        f"<pre>{escape(whole)}</pre></details>"
    )


def seeds(code: str) -> list[int]:
    """The seeds of a program: those it names, and the 0 that `descend` and `output` take where it asks for noise."""
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
