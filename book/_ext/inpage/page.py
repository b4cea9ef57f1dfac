"""What a page offers to run: its cells, and a place to write in each exercise that asks for a class.

An exercise asks for a class if it names the check that marks it, such as ``check("adam", MyAdam)``. The first figure
that it names and that shows a run of the method, or else the first one at all, gives the setting at which it is drawn.

The page carries the names of the scripts, what runs before its first cell, and what each exercise asks for. The scripts
lie in `_static/inpage`, each named by a digest of its bytes; none is loaded before somebody uses one.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node

from book._ext.downloads.notebooks import NOT_WRITTEN, STUB
from book._ext.files import text_digest
from book._ext.inpage import parts
from book._ext.inpage.data import has_modules, page_data
from book._ext.inpage.library import library_script
from book._ext.sources.editions import CLASSES
from book._ext.state import build_state, kept_state
from optim_code.equations.sections import read_text

CHECK = re.compile(r'check\("([\w-]+)", (\w+)\)')
WORKBENCH = "workbench"
FOLDER = "inpage"
"""The folder in `_static` of what pages load when code first runs."""


def note_code(app: Sphinx, document: nodes.document) -> None:
    """Note what of a page can run: its visible cells, and the exercises that ask for a class."""
    exercises = []
    for node in document.findall(lambda node: isinstance(node, (exercise_node, exercise_enumerable_node))):
        if asked := CHECK.search(node.astext()):
            figures = [xref["reftarget"] for xref in node.findall(addnodes.pending_xref) if xref["reftype"] == "numref"]
            exercises.append({"id": node["ids"][0], "method": asked[1], "cls": asked[2], "figures": figures})
    data = page_data(Path(app.srcdir), app.env.docname, app.config.edition)
    if exercises or any("cell_input" in node["classes"] for node in document.findall(nodes.container)):
        noted = {"cells": data["runs"], "setup": data["setup"], "exercises": exercises}
        app.env.metadata[app.env.docname]["runnable"] = noted


def make_scripts(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Make the scripts of the book. Returns the pages that name them if one has another name than before."""
    docnames = [name for name in sorted(env.found_docs) if env.metadata[name].get("runnable")]
    texts = {}
    if app.builder.name == "html" and docnames and has_modules(Path(app.srcdir)) and parts.installed():
        texts = {
            "python": (parts.folder() / parts.PYTHON).read_text(encoding="utf-8"),
            WORKBENCH: parts.workbench(),
            "library": library_script(app),
        }
    named = {kind: f"{FOLDER}/{kind}.{text_digest(text)[:16]}.js" for kind, text in texts.items()}
    build_state(app).scripts = {named[kind]: text for kind, text in texts.items()}
    kept = kept_state(env)
    before, kept.scripts = kept.scripts, named
    return docnames if before != named else []


def exercises_of(app: Sphinx, docname: str) -> list[dict[str, Any]]:
    """What the page has to know of its exercises that ask for a class: the code to begin with, and how it is drawn."""
    shared, figures = kept_state(app.env).playground
    methods = {method["name"]: method for method in shared.get("methods", ())}
    found = []
    for asked in app.env.metadata[docname]["runnable"]["exercises"]:
        method = methods.get(asked["method"])
        settings = {
            label: run
            for label, figure in figures.items()
            for run in figure["runs"].values()
            if method and run["optimizer"] == method["class"]
        }
        label = next((name for name in [*asked["figures"], *settings] if name in settings), "")
        if method is None or not label:
            continue  # there is nothing to mark it by, or no setting to draw it at
        run = settings[label]
        found.append(
            {
                "id": asked["id"],
                "method": asked["method"],
                "title": method["title"],
                "cls": asked["cls"],
                "code": stub(Path(app.srcdir), method["class"], asked["cls"]),
                "hyper": given((name for name, _ in method["arguments"] if name != "eps"), run),
                "setting": given(("nsteps", "noise", "seed"), run),
                "caption": f"Your {asked['cls']} at the setting of Figure {figures[label]['number']}",
            }
        )
    return found


def given(names: Iterable[str], run: dict[str, Any]) -> str:
    """What a run is given, as the arguments of a call."""
    return ", ".join(f"{name}={run[name]!r}" for name in names if name in run)


def stub(root: Path, name: str, own: str) -> str:
    """A class of the book under another name, with its constructor, and a step that is not written yet."""
    source = read_text(root / CLASSES, root)
    node = next(n for n in ast.parse(source).body if isinstance(n, ast.ClassDef) and n.name == name)
    init = next(n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    settings = [f'group["{argument.arg}"]' for argument in init.args.args[2:]]
    told = " and ".join(filter(None, [", ".join(settings[:-1]), settings[-1]]))
    constructor = ast.get_source_segment(source, init, padded=False)
    step = STUB.format(settings=told, not_written=NOT_WRITTEN)
    return f"import torch\n\nfrom optim_code import Optim\n\n\nclass {own}(Optim):\n    {constructor}\n\n{step}"


def offer_to_run(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let a page with cells, or with an exercise that asks for a class, load what offers to run them."""
    kept = kept_state(app.env)
    runnable = app.env.metadata[pagename].get("runnable") if doctree is not None else None
    if not runnable or not kept.scripts:
        return
    own = {**runnable, "files": kept.scripts, "exercises": exercises_of(app, pagename)}
    told = json.dumps(own).replace("</", "<\\/")
    context["body"] = f"<script>var descentInPage = {told};</script>\n{context['body']}"
    app.add_css_file("bowl.css")
    app.add_css_file("inpage.css")
    app.add_js_file("inpage.js", loading_method="defer")


def write_scripts(app: Sphinx, error: Exception | None) -> None:
    """Write the scripts of the book, each where its name says, and remove those of an earlier build."""
    if error is not None or app.builder.name != "html":
        return
    static, scripts = Path(app.outdir, "_static"), build_state(app).scripts
    for name, text in scripts.items():
        if not (static / name).exists():
            (static / name).parent.mkdir(parents=True, exist_ok=True)
            (static / name).write_text(text, encoding="utf-8")
    for path in static.glob(f"{FOLDER}/*"):
        if f"{FOLDER}/{path.name}" not in scripts:
            path.unlink()
