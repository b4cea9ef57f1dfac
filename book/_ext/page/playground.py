"""The directive `{playground}`: an interactive version of a figure of paths, which runs the book's own equations.

The page carries the settings of the figure, read from the figure itself, and each `update-…` of the book as JavaScript.
The controls are in `_static/playground.js`, which knows no method by name. Without JavaScript a line names the figure;
in print a line says where the interactive version is.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book._ext.figures.figure_files import figure_number
from book._ext.page import plays
from book._ext.page.equations import Module, await_verdicts, toc_order
from book._ext.state import build_state, kept_state

logger = logging.getLogger(__name__)

VIEWS = ("loss", "map")
STYLE = ("LIGHT", "DARK", "LEVELS", "YLIM")
"""The constants of `optim_code` that playgrounds draw with."""
RUN = {
    "nsteps": (1, 1000),
    "noise": (0, 3),
    "seed": (0, 9999),
    "w1": (-1.6, 1.6),
    "w2": (-1.6, 1.6),
    "condition_number": (1, 1000),
    "rotation": (0, 180),
}
"""The settings that all methods of a race share, and how far they go; the others are hyper-parameters of a method."""


class playground(nodes.General, nodes.Element):  # type: ignore[misc]  # docutils has no types
    """The place of a playground, with the name of its figure and its options."""


class Playground(SphinxDirective):
    """`{playground} fig-name`: an interactive version of that figure, which must show paths over a bowl.

    Options:
        methods: the methods that a reader may compare, by the names of their updates; all if not given.
        view: what is shown beside the bowl at first, ``loss`` or ``map``.
        live: show it in the place of its figure, which is there for print and without JavaScript, and play it once.
        set: settings that differ from the figure at first, such as ``nsteps=60 adam.lr=0.05``.
    """

    required_arguments = 1
    option_spec = {
        "methods": str.split,
        "view": lambda given: directives.choice(given, VIEWS),
        "live": directives.flag,
        "set": str.split,
    }

    def run(self) -> list[nodes.Node]:
        figure = self.arguments[0]
        playgrounds = self.env.metadata[self.env.docname].setdefault("playgrounds", [])
        used = {name for other in playgrounds for name in other["node"]["ids"]}
        names = (f"play-{figure}" + (f"-{number}" if number > 1 else "") for number in itertools.count(1))
        node = playground(
            "",
            figure=figure,
            docname=self.env.docname,
            methods=self.options.get("methods", []),
            view=self.options.get("view", VIEWS[0]),
            changes=self.options.get("set", []),
            live="live" in self.options,
            ids=[next(name for name in names if name not in used)],
        )
        self.set_source_info(node)
        playgrounds.append({"node": dict(node.attributes), "line": self.lineno})
        return [node]


# --- what all playgrounds share ------------------------------------------------------------------------------------


def collect_playgrounds(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Collect what all playgrounds share. Returns the pages with playgrounds if that has changed."""
    pages = {name: env.metadata[name] for name in sorted(env.found_docs)}
    docnames = [name for name, page in pages.items() if page.get("playgrounds")]
    if not docnames and not any(page.get("plays") for page in pages.values()):
        return []
    # A verdict lasts longer than a page that has been taken out.
    programs = [v.program for v in await_verdicts(app) if v.program and v.docname in env.titles]
    checker = build_state(app).checker
    assert checker is not None
    names = {name: said for module in checker.modules.values() for name, (_, said) in module.classes.items()}
    methods = [{"title": names[program["class"]], **program} for program in programs]
    figures = {
        name: {**figure, "number": figure_number(env, docname, figure["id"])}
        for docname in toc_order(env)
        for name, figure in env.metadata[docname].get("playable", {}).items()
    }
    known = {method["class"] for method in methods}
    for figure in figures.values():
        if not {run["optimizer"] for run in figure["runs"].values()} <= known:
            figure["runs"] = {}  # the page has defined a class of its own, which has no equation
    methods = [{**m, "hyper": [{**h, "range": range_of(h)} for h in m["hyper"]]} for m in methods]
    shared = {
        "methods": methods,
        "ranges": RUN,
        "near": plays.NEAR,
        "presets": presets_of(figures),
        "look": figure_style(checker.modules),
    }
    kept = kept_state(env)
    before, kept.playground = kept.playground, (shared, figures)
    for docname, page in pages.items():
        here = page.get("playgrounds", [])
        faults = [(one["line"], fault_of(one["node"], figures, methods)) for one in here]
        faults += [(one["line"], fault_of_words(one["node"], here, figures, methods)) for one in page.get("plays", [])]
        for line, fault in faults:
            if fault:
                logger.warning("%s", fault, location=(docname, line))
    return docnames if before != kept.playground else []


def presets_of(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The settings that a reader can choose from a list: those of the figures with one run."""
    return [
        {"figure": figure["number"], "fname": figure["fname"], "runs": list(figure["runs"].values())}
        for figure in figures.values()
        if len(figure["runs"]) == 1
    ]


def fault_of(node: dict[str, Any], figures: dict[str, Any], methods: list[dict[str, Any]]) -> str:
    """What is wrong with a playground; empty if it is right."""
    name, names = node["figure"], [method["name"] for method in methods]
    if name not in figures:
        return f"playground: there is no figure {name} that shows paths over a bowl; name one that draw_paths drew"
    if not figures[name]["runs"]:
        return f"playground: {name} shows a class that has no update equation; name a figure of the book's methods"
    for method in node["methods"]:
        if method not in names:
            return f"playground: no equation is labelled update-{method}; methods are {', '.join(names)}"
    fault = fault_of_changes(node["changes"], methods)
    return fault and f"playground: {fault}"


def fault_of_changes(changes: list[str], methods: list[dict[str, Any]]) -> str:
    """What is wrong with settings such as ``adam.lr=0.05``; empty if they are right."""
    for change in changes:
        key, _, value = change.partition("=")
        method, _, hyper = key.rpartition(".")
        ranges = {h["name"]: range_of(h) for m in methods if m["name"] == method for h in m["hyper"]} if method else RUN
        if hyper not in ranges or not is_number(value):
            return f"cannot set {change}; write nsteps=60, or adam.lr=0.05"
        low, high = ranges[hyper]
        if not low <= float(value) <= high:
            return f"cannot set {change}; {key} goes from {low:g} to {high:g}"
    return ""


def fault_of_words(
    node: dict[str, Any], playgrounds: list[dict[str, Any]], figures: dict[str, Any], methods: list[dict[str, Any]]
) -> str:
    """What is wrong with words that set a playground of their page; empty if they are right."""
    if not node["figure"]:
        return f"play: there is no figure and no outcome in it; {plays.FORM}"
    here = [one["node"] for one in playgrounds if one["node"]["figure"] == node["figure"]]
    if not here or not figures.get(node["figure"], {}).get("runs"):
        names = ", ".join(one["node"]["figure"] for one in playgrounds) or "none"
        return f"play: this page has no playground of {node['figure']}; it has {names}"
    words = {**node, "changes": [*here[0]["changes"], *node["changes"]]}
    runs = list(figures[node["figure"]]["runs"].values())
    fault = fault_of_changes(words["changes"], methods) or plays.fault_of(words, runs, methods)
    return fault and f"play: {fault}"


def range_of(hyper: dict[str, Any]) -> tuple[float, float]:
    """How far the slider of a hyper-parameter goes: from a tenth of its usual values to ten times as much."""
    return (0, 0.999) if hyper["decay"] else (hyper["low"] / 10, hyper["high"] * 10)


def is_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def figure_style(modules: dict[str, Module]) -> dict[str, Any]:
    """The colours, contours and axes of the book's figures."""
    constants = {name: value for module in modules.values() for name, value in module.constants.items()}
    return {name.lower(): constants[name] for name in STYLE}


# --- on the page ---------------------------------------------------------------------------------------------------


def visit_html(self: Any, node: playground) -> None:
    shared, figures = kept_state(self.builder.env).playground
    figure = figures.get(node["figure"], {"number": "", "runs": {}})
    own = {
        "figure": figure["number"],
        "runs": list(figure["runs"].values()),
        "methods": node["methods"],
        "view": node["view"],
        "changes": [change.split("=") for change in node["changes"]],
        "instead": node["figure"] if node["live"] else "",
    }
    if not getattr(self, "descent_has_playground", False):
        self.descent_has_playground = True
        self.body.append(f"<script>var descentPlayground = {script(shared)};</script>\n")
    self.body.append(self.starttag(node, "div", CLASS="playground wide", **{"data-begin": json.dumps(own)}))
    self.body.append(f"<p>With JavaScript, you can play with Figure {figure['number']} here.</p></div>\n")
    raise nodes.SkipNode


def script(shared: dict[str, Any]) -> str:
    """What all playgrounds share, as JavaScript: JSON with functions for the steps of the methods."""
    methods = [
        json.dumps({key: value for key, value in method.items() if key not in ("python", "step", "uncorrected")})[:-1]
        + f', "step": {method["step"]}, "uncorrected": {method["uncorrected"] or "null"}}}'
        for method in shared["methods"]
    ]
    rest = json.dumps({key: value for key, value in shared.items() if key != "methods"})
    return f'{rest[:-1]}, "methods": [{", ".join(methods)}]}}'.replace("</", "<\\/")


def load_scripts(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Let pages with a playground load its script and its style sheet."""
    if doctree is not None and next(doctree.findall(playground), None) is not None:
        for style in ("bowl.css", "playground.css"):
            app.add_css_file(style)
        for script in ("bowl.js", "playground.js"):
            app.add_js_file(script, loading_method="defer")


class PrintPlace(SphinxPostTransform):
    """In print, put a line with the address of the playground in its place: on the web, or beside the PDF."""

    default_priority = 30
    formats = ("latex",)

    def run(self, **kwargs: Any) -> None:
        for node in list(self.document.findall(playground)):
            _, figures = kept_state(self.env).playground
            docname = node["docname"]  # a document in print has several pages
            base = self.config.html_baseurl.rstrip("/") or "../html"
            address = f"{base}/{docname}.html#{node['ids'][0]}"
            shown = address.removeprefix("../html/")
            number = figures.get(node["figure"], {"number": ""})["number"]
            target = address.replace("%", r"\playpercent ").replace("#", r"\playhash ")
            # TeX may break the address after a slash, but not after a hyphen, which would look like hyphenation.
            written = re.sub(r"([_%#])", r"\\\1", shown).replace("/", r"/\allowbreak ").replace("-", r"\mbox{-}")
            text = rf"\playplace{{{number}}}{{{target}}}{{{written}}}"
            node.replace_self(nodes.raw("", text, format="latex"))


def skip(self: Any, node: playground) -> None:
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    app.add_directive("playground", Playground)
    app.add_node(playground, html=(visit_html, None), latex=(skip, None), text=(skip, None))
    app.add_post_transform(PrintPlace)
