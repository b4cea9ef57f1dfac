"""An update rule as Python code for one coordinate. It runs where there is neither NumPy nor SymPy."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

Vector = list[float]


@dataclass(frozen=True)
class Rule:
    """An update rule. Each coordinate goes its own way, so its lines are those of a single number.

    Attributes:
        lines: its lines in their order, each with the name of what it computes and the code; ``v_new`` is the buffer
            after the step, ``v`` before it.
        state: the names of what is kept from step to step besides ``t``: the parameter ``w`` and its buffers.
        hyper: the names of the hyper-parameters.
    """

    lines: tuple[tuple[str, str], ...]
    state: tuple[str, ...]
    hyper: tuple[str, ...]

    @functools.cached_property
    def functions(self) -> tuple[list[FunctionType], list[int]]:
        """Each line as a function of all values before it, and where the new state is among these values.

        The values are the state in its order, the gradient ``g``, ``t``, the hyper-parameters, and what the lines gave.
        """
        names = [*self.state, "g", "t", *self.hyper, *(name for name, _ in self.lines)]
        first = len(names) - len(self.lines)
        functions = [expression(tuple(names[: first + n]), code) for n, (_, code) in enumerate(self.lines)]
        return functions, [names.index(f"{name}_new") for name in self.state]

    def start(self, w: Sequence[float]) -> dict[str, Any]:
        """The state before the first step: the parameter, buffers of zeros, and ``t = 0``."""
        return {"t": 0} | {name: [*w] if name == "w" else [0.0] * len(w) for name in self.state}

    def step(self, state: Mapping[str, Any], grad: Sequence[float], hyper: Mapping[str, float]) -> dict[str, Any]:
        """One step, in float64.

        Args:
            state: the state from `start` or from the last step; it is not changed.
            grad: the gradient, as long as the parameter.
            hyper: the hyper-parameters by name; names that the rule does not use are ignored.

        Returns:
            The state after the step.

        Raises:
            ValueError: if a buffer is not as long as the parameter.
        """
        functions, places = self.functions
        settings = [state["t"] + 1, *(hyper[name] for name in self.hyper)]
        columns: list[Vector] = [[] for _ in places]
        for coordinate in zip(*[state[name] for name in self.state], grad, strict=True):
            known = [*coordinate, *settings]
            for function in functions:
                known.append(function(*known))
            for column, place in zip(columns, places, strict=True):
                column.append(known[place])
        return {"t": settings[0], **dict(zip(self.state, columns, strict=True))}


@functools.cache
def expression(arguments: tuple[str, ...], code: str) -> FunctionType:
    """An expression as a function. Its arithmetic is a processor's: division by zero, say, gives infinity."""
    # Without `eval`, even as a mode of `compile`: a build takes a module that has it to depend on all of the package.
    (compiled,) = (
        part
        for part in compile(f"lambda {', '.join(arguments)}: {code}", "rule", "single").co_consts
        if isinstance(part, CodeType)
    )
    return FunctionType(compiled, ARITHMETIC)


def divided(x: float, y: float) -> float:
    try:
        return x / y
    except ZeroDivisionError:
        return math.nan if x == 0 or math.isnan(x) else math.copysign(math.inf, x) * math.copysign(1.0, y)


def root(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:  # zero to a negative power, or a root of a negative number
        return math.nan if x else math.copysign(math.inf, x) if y % 2 == 1 else math.inf


def sign(x: float) -> float:
    return x if math.isnan(x) else float((x > 0) - (x < 0))


def larger(x: float, y: float) -> float:
    return x if math.isnan(x) or x > y else y


ARITHMETIC: dict[str, Any] = {
    "divided": divided, "root": root, "power": power, "sign": sign, "larger": larger, "abs": abs, "min": min,
}  # fmt: skip
"""What the code of a rule may call."""
