"""Words that set a playground: ``{play}`at 0.61 it diverges <fig-momentum-50 momentum.lr=0.61 diverges>` ``.

A click on the words sets the playground of that figure, which must be on the same page, and one more sets it back. What
is said to become of the run is compared with the run itself at each build that changes anything in it: the update
equations, as they were compiled for playgrounds, from the figure's own setting with these changes. In print and in
notebooks the words are plain text.
"""

from __future__ import annotations

import math
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from book._ext.remembered import remembered
from book._ext.sources.marks import split
from optim_code.equations.rules import Rule

NEAR = 1e-3
"""How near to the minimum a run arrives, here and in playgrounds."""
LONG = 1000
"""After so many steps a run that has gone this many times as far out as it began diverges."""
FAR = 1000
OUTCOMES = ("arrives", "misses", "diverges")
"""What becomes of a run: it comes as near as `NEAR` within its steps, or it does not, or it goes ever farther out."""
FORM = "write {play}`words <fig-name method.lr=0.1 arrives>`"


class play(nodes.Inline, nodes.TextElement):  # type: ignore[misc]  # docutils has no types
    """Words that set a playground: its ``figure``, the ``changes``, and the ``outcome`` that the words claim."""


class Play(SphinxRole):
    """``{play}`words <figure setting=value … outcome>` ``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        phrase, target = split(self.text)
        figure, *changes, outcome = target.split() if len(target.split()) > 1 else ("", "")
        node = play(self.rawtext, "", figure=figure, changes=changes, outcome=outcome)
        node.source, node.line = self.get_source_info()
        children, messages = self.inliner.parse(phrase, self.lineno, self, node)
        node += children
        plays = self.env.metadata[self.env.docname].setdefault("plays", [])
        plays.append({"node": dict(node.attributes), "line": node.line})
        return [node], messages


def fault_of(node: dict[str, Any], runs: list[dict[str, Any]], methods: list[dict[str, Any]]) -> str:
    """What is wrong with words that set a playground; empty if they are right.

    The words are about the runs of the methods that they name, or, if they name none, about all runs.

    Args:
        node: the attributes of the words.
        runs: the settings of the runs with which their playground begins.
        methods: the programs of all updates.
    """
    if node["outcome"] not in OUTCOMES:
        return f"the last word says what becomes of the run: {', '.join(OUTCOMES)}; {FORM}"
    changes = [
        (*key.rpartition(".")[::2], float(value)) for key, _, value in (c.partition("=") for c in node["changes"])
    ]
    racing = {
        method["name"]: (method, run) for run in runs for method in methods if method["class"] == run["optimizer"]
    }
    named = {name for name, _, _ in changes if name} or {*racing}
    for name in sorted(named):
        if name not in racing:
            return f"{name} does not run in the playground of {node['figure']}; there are {', '.join(racing)}"
        method, run = racing[name]
        usual = {argument: value for argument, value in method["arguments"] if value is not None}
        setting = {**usual, **run, "w1": run["start"][0], "w2": run["start"][1]}
        setting |= {key: value for whose, key, value in changes if whose in ("", name)}
        if setting["noise"]:
            return "what becomes of a run with noise depends on its seed; write noise=0"
        found, steps = outcome_of(method, setting)
        if found != node["outcome"]:
            at = {"arrives": f" at step {steps}", "misses": f" with nsteps={steps}", "diverges": ""}[found]
            what = f"with {' '.join(node['changes'])} the run of {name} {found}{at}"
            return f"{what}; the words say that it {node['outcome']}; write what is true"
    return ""


@remembered
def outcome_of(method: dict[str, Any], setting: dict[str, Any]) -> tuple[str, int]:
    """What becomes of a run without noise, and the steps that it took to arrive, or had.

    Args:
        method: the program of an update.
        setting: the setting of the run by name: its hyper-parameters, the start, the bowl, and how many steps.
    """
    turn, kappa = math.radians(setting["rotation"]), setting["condition_number"]
    c, s = math.cos(turn), math.sin(turn)
    a, b, d = c * c + kappa * s * s, c * s - kappa * c * s, s * s + kappa * c * c
    hyper = {h["name"]: setting[h["name"]] for h in method["hyper"]}
    rule = Rule(tuple((name, code) for name, code in method["python"]), tuple(method["state"]), tuple(hyper))
    state = rule.start([setting["w1"], setting["w2"]])
    began, nsteps, arrived = math.hypot(setting["w1"], setting["w2"]), int(setting["nsteps"]), 0
    for t in range(1, LONG + 1):
        x, y = state["w"]
        state = rule.step(state, (a * x + b * y, b * x + d * y), hyper)
        away = math.hypot(*state["w"])
        if not arrived and t <= nsteps and away <= NEAR:
            arrived = t
        if not away < 1e100:
            return "diverges", t
    if away > FAR * began:
        return "diverges", LONG
    return ("arrives", arrived) if arrived else ("misses", nsteps)


def visit_html(self: Any, node: play) -> None:
    address = f"#play-{node['figure']}?{'&'.join(node['changes'])}"
    self.body.append(
        self.starttag(node, "a", "", CLASS="play-set", href=address, title="Set the playground; again: set it back")
    )


def depart_html(self: Any, node: play) -> None:
    self.body.append("</a>")


def visit_plain(self: Any, node: play) -> None:
    """In print and in other texts the words are plain text."""


def setup(app: Sphinx) -> None:
    app.add_role("play", Play())
    plain = (visit_plain, visit_plain)
    app.add_node(play, html=(visit_html, depart_html), latex=plain, text=plain)
