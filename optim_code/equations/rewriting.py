"""A rule carried out in the trials, the right way or with something wrong: the paths that a class is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from optim_code.equations.compiler import UpdateRule, Vector, _compiled
from optim_code.marking.trials import UNASKED, Trial


@dataclass(frozen=True, eq=False)
class Version:
    """One way to carry out a rule, right or wrong.

    Attributes:
        rule: what is computed at each step.
        name: the mistake; empty for the right way.
        hint: a question that leads to it.
        begin: for a buffer what it begins with, in place of zeros, made of the first gradient and the parameter.
        firsts: for a buffer what it is after the first step, made of the same.
        forgotten: the buffers, or ``t``, that begin anew at each step.
        shared: the buffers, or ``t``, that several parameters have in common.
        scope: who shares: the parameters of a ``group``, of an ``optimizer``, or of all optimizers of the ``class``.
        constructors: hyper-parameters that have the constructor's value, whatever the group says.
        leading: hyper-parameters that every group takes from the first one.
        first: hyper-parameters that stay what they were at the first step.
        constants: hyper-parameters that have a value of their own everywhere.
        view: what a class makes of each gradient before it uses it.
        counts_all: whether ``t`` counts the steps at which a parameter has no gradient too.
    """

    rule: UpdateRule
    name: str = ""
    hint: str = ""
    begin: Mapping[str, Callable[[Vector, Vector], Vector]] = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    scope: str = "optimizer"
    constructors: tuple[str, ...] = ()
    leading: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    firsts: Mapping[str, Callable[[Vector, Vector], Vector]] = field(default_factory=dict)
    view: Callable[[Vector], Vector] = lambda gradient: gradient
    counts_all: bool = False
    constants: Mapping[str, float] = field(default_factory=dict)

    def walks(self, trials: Iterable[Trial]) -> Iterator[Vector | None]:
        """The points of each trial, shape ``(steps + 1, d)``; None where parameters cannot share a buffer."""
        common: dict[Any, dict[str, Any]] = {}
        for trial in trials:
            if self.scope != "class":
                common = {}
            try:
                yield self.walk(trial, common)
            except ValueError:  # shapes that do not fit
                common = {}
                yield None

    def walk(self, trial: Trial, common: dict[Any, dict[str, Any]]) -> Vector:
        fresh = [self.rule.start(trial.start[part]) for part in trial.parts]
        states, points = [dict(state) for state in fresh], np.empty((trial.steps + 1, len(trial.start)))
        points[0] = trial.start
        begun: set[int] = set()
        for step, gradient in enumerate(trial.gradients):
            hypers = [self.hyper(trial, group, step) for group in range(len(trial.hypers))]
            for i, part in enumerate(trial.parts):
                state, group = states[i], trial.groups[i]
                if not trial.has_gradient(i, step):
                    points[step + 1, part] = state["w"]
                    if self.counts_all:
                        states[i] = {**state, "t": state["t"] + 1}
                    continue
                if i not in begun:
                    begun.add(i)
                    state |= {name: make(gradient[part], trial.start[part]) for name, make in self.begin.items()}
                seen = self.view(gradient[part])
                others = common.setdefault(group if self.scope == "group" else "", {})
                state |= {name: others[name] for name in self.shared if name in others}
                before, state = state, self.rule.step(state, seen, hypers[group])
                if self.firsts and before["t"] == 0:
                    state = self.first_step(state, before, gradient[part], hypers[group])
                others |= {name: state[name] for name in self.shared}
                states[i] = state | {name: fresh[i][name] for name in self.forgotten}
                points[step + 1, part] = state["w"]
        return points

    def first_step(
        self, state: dict[str, Any], before: dict[str, Any], gradient: Vector, hyper: dict[str, float]
    ) -> dict[str, Any]:
        """The first step, with what the buffers are after it set beforehand: for a rule that steps by its buffer."""
        buffers = {name: make(gradient, before["w"]) for name, make in self.firsts.items()}
        return {**state, **buffers, "w": before["w"] - hyper["lr"] * sum(buffers.values())}

    def hyper(self, trial: Trial, group: int, step: int) -> dict[str, float]:
        own = {name: value for name, value in trial.hypers[0].items() if name in self.constructors}
        led = {name: value for name, value in trial.hyper(0, step).items() if name in self.leading}
        begun = {name: value for name, value in trial.hyper(group, 0).items() if name in self.first}
        return {**UNASKED, **trial.hyper(group, step), **begun, **led, **own, **self.constants}


def extended(
    rule: UpdateRule,
    lines: Mapping[str, sympy.Expr],
    buffers: Mapping[str, tuple[str, sympy.Expr]] | None = None,
    hyper: tuple[str, ...] = (),
) -> UpdateRule:
    """A rule with other lines, with further buffers, and with further hyper-parameters.

    Args:
        rule: the rule.
        lines: right-hand sides by name.
        buffers: for each further buffer the name of the line that its own comes after (empty: it is the first), and
            what becomes of it.
        hyper: the names of the further hyper-parameters.
    """
    new: list[tuple[str, sympy.Expr]] = []
    own = dict(buffers or {})
    for after in ("", *(name for name, _ in rule.lines)):
        new += [(after, lines.get(after, dict(rule.lines)[after]))] if after else []
        new += [(f"{buffer}_new", right) for buffer, (place, right) in own.items() if place == after]
    state, every = (*rule.state, *own), (*rule.hyper, *hyper)
    return UpdateRule(rule.latex, tuple(new), state, every, _compiled(tuple(new), state, every))
