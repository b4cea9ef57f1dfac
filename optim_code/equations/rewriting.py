"""Run a rule in the trials, correctly or with a mistake; a student's class is compared with the resulting paths."""

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
    """A way to run a rule, correctly or with a mistake.

    Attributes:
        rule: what is computed at each step.
        name: the name of the mistake; empty if there is none.
        hint: a question that helps to find the mistake.
        begin: for a buffer its initial value in place of zeros, as a function of the first gradient and the parameter.
        firsts: for a buffer its value after the first step, as a function of the same.
        forgotten: the buffers, or ``t``, that start again at each step.
        shared: the buffers, or ``t``, that several parameters share.
        scope: which parameters share: those of a ``group``, of an ``optimizer``, or of all optimizers of the ``class``.
        constructors: the hyper-parameters that have the value given to the constructor, even if the group has another.
        leading: the hyper-parameters that all groups take from the first group.
        first: the hyper-parameters that keep their value of the first step.
        constants: the hyper-parameters that always have a fixed value.
        view: the gradient that the rule sees, as a function of the real one.
        counts_all: whether ``t`` also counts the steps at which a parameter has no gradient.
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

    def paths(self, trials: Iterable[Trial]) -> Iterator[Vector | None]:
        """The path of each trial, as points of shape ``(steps + 1, d)``; None if parameters cannot share a buffer."""
        common: dict[Any, dict[str, Any]] = {}
        for trial in trials:
            if self.scope != "class":
                common = {}
            try:
                yield self.path(trial, common)
            except ValueError:  # the parameters have different shapes
                common = {}
                yield None

    def path(self, trial: Trial, common: dict[Any, dict[str, Any]]) -> Vector:
        """The path of one trial.

        Args:
            trial: the trial.
            common: the buffers that parameters share; this path adds its own.

        Raises:
            ValueError: if parameters of different shapes share a buffer.
        """
        initial = [self.rule.start(trial.start[part]) for part in trial.parts]
        states, points = [dict(state) for state in initial], np.empty((trial.steps + 1, len(trial.start)))
        points[0] = trial.start
        started: set[int] = set()
        for step, gradient in enumerate(trial.gradients):
            hypers = [self.hyper(trial, group, step) for group in range(len(trial.hypers))]
            for i, part in enumerate(trial.parts):
                state, group = states[i], trial.groups[i]
                if not trial.has_gradient(i, step):
                    points[step + 1, part] = state["w"]
                    if self.counts_all:
                        states[i] = {**state, "t": state["t"] + 1}
                    continue
                if i not in started:
                    started.add(i)
                    state |= {name: make(gradient[part], trial.start[part]) for name, make in self.begin.items()}
                seen = self.view(gradient[part])
                others = common.setdefault(group if self.scope == "group" else "", {})
                state |= {name: others[name] for name in self.shared if name in others}
                before, state = state, self.rule.step(state, seen, hypers[group])
                if self.firsts and before["t"] == 0:
                    state = self.first_step(state, before, gradient[part], hypers[group])
                others |= {name: state[name] for name in self.shared}
                states[i] = state | {name: initial[i][name] for name in self.forgotten}
                points[step + 1, part] = state["w"]
        return points

    def first_step(
        self, state: dict[str, Any], before: dict[str, Any], gradient: Vector, hyper: dict[str, float]
    ) -> dict[str, Any]:
        """The state after the first step if `firsts` sets the buffers; for a rule whose step is its buffer."""
        buffers = {name: make(gradient, before["w"]) for name, make in self.firsts.items()}
        return {**state, **buffers, "w": before["w"] - hyper["lr"] * sum(buffers.values())}

    def hyper(self, trial: Trial, group: int, step: int) -> dict[str, float]:
        """The hyper-parameters that this version uses for a group at a step."""
        own = {name: value for name, value in trial.hypers[0].items() if name in self.constructors}
        led = {name: value for name, value in trial.hyper(0, step).items() if name in self.leading}
        kept = {name: value for name, value in trial.hyper(group, 0).items() if name in self.first}
        return {**UNASKED, **trial.hyper(group, step), **kept, **led, **own, **self.constants}


def extended(
    rule: UpdateRule,
    lines: Mapping[str, sympy.Expr],
    buffers: Mapping[str, tuple[str, sympy.Expr]] | None = None,
    hyper: tuple[str, ...] = (),
) -> UpdateRule:
    """A rule with other lines, more buffers and more hyper-parameters.

    Args:
        rule: the rule.
        lines: the new right-hand sides by the names of their lines.
        buffers: for each new buffer the name of the line after which its line comes (empty if it is the first line),
            and the right-hand side of its line.
        hyper: the names of the new hyper-parameters.
    """
    new: list[tuple[str, sympy.Expr]] = []
    own = dict(buffers or {})
    for after in ("", *(name for name, _ in rule.lines)):
        new += [(after, lines.get(after, dict(rule.lines)[after]))] if after else []
        new += [(f"{buffer}_new", right) for buffer, (place, right) in own.items() if place == after]
    state, every = (*rule.state, *own), (*rule.hyper, *hyper)
    return UpdateRule(rule.latex, tuple(new), state, every, _compiled(tuple(new), state, every))
