"""Run a rule in the trials, correctly or with a mistake; a student's class is compared with the resulting paths.

All of it is plain data and code, so that it can be made where there is SymPy (`mistakes`), and used where there is not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from optim_code.equations.rules import Rule, Vector, expression
from optim_code.marking.trials import UNASKED, Trial

BEGINNING = ("g", "w")
"""What the first value of a buffer is computed from: the first gradient, and the parameter."""
SEEN = ("g", "norm", "c")
"""What the gradient that a rule sees is computed from: the real one, its norm, and a number."""


@dataclass(frozen=True, eq=False)
class Version:
    """A way to run a rule, correctly or with a mistake.

    Attributes:
        rule: what is computed at each step.
        name: the name of the mistake; empty if there is none.
        hint: a question that helps to find the mistake.
        begin: for a buffer its initial value in place of zeros, as code of `BEGINNING`.
        forgotten: the buffers, or ``t``, that start again at each step.
        shared: the buffers, or ``t``, that several parameters share.
        scope: which parameters share: those of a ``group``, of an ``optimizer``, or of all optimizers of the ``class``.
        constructors: the hyper-parameters that have the value given to the constructor, even if the group has another.
        leading: the hyper-parameters that all groups take from the first group.
        first: the hyper-parameters that keep their value of the first step.
        constants: the hyper-parameters that always have a fixed value.
        view: the gradient that the rule sees, as code of `SEEN`.
        counts_all: whether ``t`` also counts the steps at which a parameter has no gradient.
    """

    rule: Rule
    name: str = ""
    hint: str = ""
    begin: Mapping[str, str] = field(default_factory=dict)
    forgotten: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    scope: str = "optimizer"
    constructors: tuple[str, ...] = ()
    leading: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    view: str = "g"
    counts_all: bool = False
    constants: Mapping[str, float] = field(default_factory=dict)

    def path(self, trial: Trial, common: dict[Any, dict[str, Any]] | None = None) -> list[Vector]:
        """The path of one trial; see `walk`."""
        return [*self.walk(trial, {} if common is None else common)]

    def walk(self, trial: Trial, common: dict[Any, dict[str, Any]]) -> Iterator[Vector]:
        """The points of one trial, the start first, each computed when it is asked for.

        Args:
            trial: the trial.
            common: the buffers that parameters share; this path adds its own.

        Raises:
            ValueError: if parameters of different shapes share a buffer.
        """
        initial = [self.rule.start(trial.start[part]) for part in trial.parts]
        states, point = [dict(state) for state in initial], [*trial.start]
        yield [*point]
        started: set[int] = set()
        for step, gradient in enumerate(trial.gradients):
            hypers = [self.hyper(trial, group, step) for group in range(len(trial.hypers))]
            for i, part in enumerate(trial.parts):
                state, group = states[i], trial.groups[i]
                if not trial.has_gradient(i, step):
                    point[part] = state["w"]
                    if self.counts_all:
                        states[i] = {**state, "t": state["t"] + 1}
                    continue
                if i not in started:
                    started.add(i)
                    state |= computed(self.begin, gradient[part], trial.start[part])
                others = common.setdefault(group if self.scope == "group" else "", {})
                state |= {name: others[name] for name in self.shared if name in others}
                state = self.rule.step(state, self.seen(gradient[part]), hypers[group])
                others |= {name: state[name] for name in self.shared}
                states[i] = state | {name: initial[i][name] for name in self.forgotten}
                point[part] = state["w"]
            yield [*point]

    def seen(self, gradient: Vector) -> Vector:
        """The gradient that the rule sees."""
        if self.view == "g":
            return gradient
        norm, c = math.hypot(*gradient) + 1e-300, self.constants.get("c", 0.0)
        look = expression(SEEN, self.view)
        return [look(g, norm, c) for g in gradient]

    def hyper(self, trial: Trial, group: int, step: int) -> dict[str, float]:
        """The hyper-parameters that this version uses for a group at a step."""
        own = {name: value for name, value in trial.hypers[0].items() if name in self.constructors}
        led = {name: value for name, value in trial.hyper(0, step).items() if name in self.leading}
        kept = {name: value for name, value in trial.hyper(group, 0).items() if name in self.first}
        return {**UNASKED, **trial.hyper(group, step), **kept, **led, **own, **self.constants}


def computed(codes: Mapping[str, str], gradient: Vector, w: Vector) -> dict[str, Vector]:
    """The first values of buffers."""
    return {
        name: [float(expression(BEGINNING, code)(*pair)) for pair in zip(gradient, w, strict=True)]
        for name, code in codes.items()
    }


@dataclass(frozen=True)
class Family:
    """A mistake with an unknown number: a version of the rule for each value of it.

    Attributes:
        name: the mistake.
        hint: a question that leads to it.
        low: the smallest value that is tried.
        high: the largest.
        unknown: the name of the number among the constants of the version.
        version: the rule, still without that number.
    """

    name: str
    hint: str
    low: float
    high: float
    unknown: str
    version: Version

    def at(self, value: float) -> Version:
        """The version for a value of the number."""
        # Many values are tried, and `dataclasses.replace` would take most of the time.
        return Version(**{**vars(self.version), "constants": {self.unknown: value}})


@dataclass(frozen=True)
class Method:
    """All that a class is compared with.

    Attributes:
        rule: the printed equation.
        mistakes: its known mistakes; where two take the same steps, the more likely one comes first.
        pairs: two mistakes at once.
        families: mistakes with an unknown number.
    """

    rule: Rule
    mistakes: Iterable[Version]
    pairs: Iterable[Version]
    families: Iterable[Family]

    def to_data(self) -> dict[str, Any]:
        """The same as lists, texts and numbers."""
        return {
            "rule": asdict(self.rule),
            "mistakes": [self._data_of(version) for version in self.mistakes],
            "pairs": [self._data_of(version) for version in self.pairs],
            "families": [
                {**{name: getattr(family, name) for name in ("name", "hint", "low", "high", "unknown")},
                 "version": self._data_of(family.version)}
                for family in self.families
            ],
        }  # fmt: skip

    def _data_of(self, version: Version) -> dict[str, Any]:
        """What makes a version differ from the rule."""
        plain = Version(version.rule)
        data = {
            one.name: getattr(version, one.name)
            for one in fields(Version)
            if one.name != "rule" and getattr(version, one.name) != getattr(plain, one.name)
        }
        own, right = dict(version.rule.lines), dict(self.rule.lines)
        if (version.rule.state, version.rule.hyper, [*own]) != (self.rule.state, self.rule.hyper, [*right]):
            return {**data, "rule": asdict(version.rule)}
        return {**data, "lines": {name: code for name, code in own.items() if code != right[name]}}

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Method:
        """Read what `to_data` gave. A version is made when it is asked for."""
        rule = _rule(data["rule"])

        def version(given: dict[str, Any]) -> Version:
            given = {**given}
            lines = given.pop("lines", {})
            changed = tuple((name, lines.get(name, code)) for name, code in rule.lines)
            own = _rule(given.pop("rule")) if "rule" in given else Rule(changed, rule.state, rule.hyper)
            return Version(own, **given)

        families = ({**family, "version": version(family["version"])} for family in data["families"])
        return cls(
            rule, map(version, data["mistakes"]), map(version, data["pairs"]), (Family(**one) for one in families)
        )


def _rule(data: dict[str, Any]) -> Rule:
    return Rule(tuple((name, code) for name, code in data["lines"]), tuple(data["state"]), tuple(data["hyper"]))
