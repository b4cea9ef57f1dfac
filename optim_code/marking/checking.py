"""Marking somebody's optimizer: ``check`` runs it beside the update equation of the book, and names what is wrong.

The reference is the equation that the section prints, compiled. In the book's own tree it is read from the section; a
kit that travels without the sections has a file of equations instead, ``UPDATES``, which holds what ``updates`` gives.
"""

from __future__ import annotations

import html
import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from optim_code.equations.rules import ARITHMETIC, Rule
from optim_code.optim import Optim

if TYPE_CHECKING:
    from optim_code.marking.versions import Method

UPDATES = Path(__file__).parents[__name__.count(".") - 1] / "updates.json"
"""The update equations of a kit, LaTeX by label; the kit's builder writes it: ``json.dumps(updates())``."""
METHODS = UPDATES.with_name("methods")
"""Where there is no SymPy: a file for each equation, with its mistakes, ready to run; `Method.to_data` gives it."""
BOOK = next((folder for folder in Path(__file__).parents if (folder / "_toc.yml").is_file()), UPDATES.parents[1])
"""The folder of the book that this module belongs to. A kit has no book."""

# Text, background and edge of the box, so that it looks the same on a light and on a dark page.
PASSED = ("#0b3d1e", "#dff3e4", "#2e7d4f")
FAILED = ("#5c1a00", "#fdeade", "#c4561b")


class CheckError(ValueError):
    """``check`` cannot do what the caller wants. One line says what, and what to do instead."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the line without a traceback."""
        return [f"{type(self).__name__}: {self}"]


@dataclass(frozen=True)
class Verdict:
    """What ``check`` found. It is true if the class passed, so it can be asserted.

    Attributes:
        method: the method, such as ``adam``.
        cls: the name of the class.
        passed: whether the class does what the equation says.
        mistake: the name of what is wrong; empty if it passed.
        found: what was seen, in a sentence.
        hint: a question or two that lead to the mistake, not the answer.
        step: the first step that differs from the equation, counted from 1; None if none does.
        difference: by how much the parameter differs there.
        note: what else is worth saying, for example that the class prints.
    """

    method: str
    cls: str
    passed: bool
    mistake: str = ""
    found: str = ""
    hint: str = ""
    step: int | None = None
    difference: float | None = None
    note: str = ""

    def __bool__(self) -> bool:
        return self.passed

    @property
    def headline(self) -> str:
        return f"{self.cls} as {self.method}: {'passed' if self.passed else f'not yet: {self.mistake}'}"

    def __str__(self) -> str:
        mark = "✓" if self.passed else "✗"
        hint = f"Hint: {self.hint}" if self.hint else ""
        return "\n  ".join([f"{mark} {self.headline}", *filter(None, (self.found, hint, self.note))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The same as a coloured box; it has its own colours, because the page can be light or dark."""
        ink, ground, edge = PASSED if self.passed else FAILED
        mark = "✓" if self.passed else "✗"
        hint = f"<b style='color:{ink}'>Hint</b> {_marked(self.hint, ink)}" if self.hint else ""
        rows = [f"<b style='color:{ink}'>{mark} {_marked(self.headline, ink)}</b>", _marked(self.found, ink), hint]
        style = f"color:{ink};background:{ground};margin:0;padding:"
        lines = "".join(f"<div style='{style}0.15em 0'>{row}</div>" for row in [*rows, _marked(self.note, ink)] if row)
        return (
            f"<div style='{style}0.6em 1em;border-left:0.4em solid {edge};border-radius:0.3em;line-height:1.5;"
            f"overflow-wrap:anywhere'>{lines}</div>"
        )


def _marked(text: str, ink: str) -> str:
    """Text as HTML, with code between backticks, in the box's own colours."""
    style = f"color:{ink};background:none;border:0;padding:0;font-size:0.95em"
    return re.sub(r"`([^`]+)`", rf"<code style='{style}'>\1</code>", html.escape(text))


def updates() -> dict[str, str]:
    """The update equations that a class can be checked against: LaTeX by label, such as ``update-adam``.

    Raises:
        CheckError: if there are none here.
    """
    if UPDATES.is_file():
        found: dict[str, str] = json.loads(UPDATES.read_text(encoding="utf-8"))
    else:
        # Imported here, because a kit has neither sections nor their reader.
        from optim_code.equations import sections

        found = sections.displayed_updates(BOOK)
    if not found:
        raise CheckError(f"there are no equations to check against: neither {UPDATES} nor sections in {BOOK}")
    return found


def check(name: str, cls: type[Optim]) -> Verdict:
    """Check a class that you wrote against the update equation of its section.

    It is run beside the equation from several starts, with several settings, shapes and groups, with decays of 0,
    with parameters that have no gradient at some steps, and with a closure; both see the same gradients. How you write
    it is up to you. If its steps differ, the mistake is named where it is a known one.

    On Linux the class runs in a process of its own, and what comes back is read as data. That keeps accidents away from
    you, but it is no security border: the class still has your rights on files and on the network, and its definition
    has run in your process already. Check the classes of people whom you don't trust in a container.

    Args:
        name: the method, as the label of its equation says it: ``"adam"`` for ``update-adam``.
        cls: the class itself, ``MyAdam`` and not ``MyAdam(...)``; made from :class:`~optim_code.optim.Optim`. Its
            constructor takes ``params``, and by name the hyper-parameters of the equation; ``eps`` may be missing.

    Returns:
        The verdict. It shows itself; ``.passed`` says whether the class is right.

    Raises:
        CheckError: for a name that no section has, and for what is no class made from ``Optim``.

    Source: the equation ``update-…`` of the section.
    """
    known = _known(name)
    # `type(cls)` and not `isinstance`, which asks the class what it is.
    if issubclass(type(cls), Optim):
        raise CheckError(f'check takes the class itself, got one made of it: write check("{name}", {_name(type(cls))})')
    if not (issubclass(type(cls), type) and Optim in type.mro(cls)):
        what = _name(cls) if issubclass(type(cls), type) else _shown(cls)
        raise CheckError(f"check takes a class made from Optim, got {what}; begin it with: class MyOptimizer(Optim):")
    if Compiled in type.mro(cls):
        raise CheckError(f"{_name(cls)} is made from the compiled equation itself; write a class made from Optim")

    from optim_code.marking import trials
    from optim_code.marking.judging import judge

    method = _method(known)
    rule, own = method.rule, _name(cls)
    told = trials.put_through(cls, rule.hyper)
    lacks, extra = told.description.lacks(rule.hyper), told.description.extra(rule.hyper)
    if lacks:
        wanted, takes = ", ".join(("params", *rule.hyper)), ", ".join(told.description.takes) or "nothing"
        found = f"The constructor must take {wanted}, by these names. Yours takes {takes}."
        return Verdict(name, own, False, f"no argument {lacks[0]}", found, "Look at the names in `__init__`.")
    if extra:
        found = f"The constructor asks for {extra[0]}, which nobody gives it. All but params go by name: "
        found += f"{', '.join(rule.hyper)}."
        hint = "What is that argument for? If it is yours, what could it be when nobody says?"
        return Verdict(name, own, False, f"one argument too many: {extra[0]}", found, hint)
    printed, note = told.printed, ""
    if printed.lines:
        note = f"It prints, {printed.lines} lines in all, beginning with “{printed.first}”; take that out."
    given = told.description.given(rule.hyper)
    verdict = judge(told, method, lambda: trials.probe(cls, given))
    return Verdict(name, own, **{**verdict, "note": " ".join(filter(None, (verdict.get("note"), note)))})


def _name(cls: type) -> str:
    """The name of a class, without running any of its code."""
    return str(type.__dict__["__name__"].__get__(cls))


def _shown(thing: object) -> str:
    try:
        return f"{thing!r:.60}"
    except Exception:
        return f"something of {_name(type(thing))}"


def _known(name: str) -> Any:
    """The method of that name: its LaTeX, or the path of its file in `METHODS`.

    Raises:
        CheckError: if there is none of that name.
    """
    known: dict[str, Any] = {path.stem: path for path in METHODS.glob("*.json")} or updates()
    if not isinstance(name, str) or f"update-{name}" not in known:
        names = ", ".join(json.dumps(label.removeprefix("update-")) for label in sorted(known))
        raise CheckError(f"check knows no method {name!r}; it knows {names}")
    return known[f"update-{name}"]


def _method(known: Any) -> Method:
    """What a class is compared with, from what `_known` gave."""
    # Imported here, because SymPy takes a second, and because a page has none.
    if not isinstance(known, str):
        from optim_code.marking.versions import Method

        return Method.from_data(json.loads(known.read_text(encoding="utf-8")))
    from optim_code.equations.compiler import UpdateRule
    from optim_code.marking import mistakes

    return mistakes.method(UpdateRule.from_latex(known))


def _on_tensors(name: str, function: Any) -> Callable[..., Any]:
    return lambda *args: (function if any(isinstance(x, Tensor) for x in args) else ARITHMETIC[name])(*args)


ON_TENSORS: dict[str, Any] = {
    "abs": abs,
    "divided": _on_tensors("divided", operator.truediv),
    "root": _on_tensors("root", torch.sqrt),
    "power": _on_tensors("power", operator.pow),
    "sign": _on_tensors("sign", torch.sign),
    "larger": _on_tensors("larger", torch.maximum),
}
"""What the code of a rule calls when its coordinates are taken together: a network has thousands of them."""


class Compiled(Optim):
    """An optimizer whose step is an update equation of the book, compiled; made by :func:`compiled`."""

    rule: Rule
    functions: tuple[FunctionType, ...]
    """Those of the rule, on tensors."""

    def __init__(self, params: Any, **hyper: float) -> None:
        from optim_code.marking.trials import UNASKED

        takes = self.rule.hyper
        given = {name: value for name, value in UNASKED.items() if name in takes} | hyper
        if {*given} != {*takes}:
            names, got = ", ".join(takes), ", ".join(hyper)
            raise TypeError(f"{type(self).__name__} takes params, and by name {names}; got {got}")
        super().__init__(params, given)

    def my_step(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        w, t = p.double(), state.get("t", 0) + 1
        before = {name: torch.zeros_like(w) for name in self.rule.state} | state | {"w": w}
        known = [before[name] for name in self.rule.state]
        known += [p.grad.double(), t, *(group[name] for name in self.rule.hyper)]  # type: ignore[union-attr]
        for function in self.functions:
            known.append(function(*known))
        after = {name: known[place] for name, place in zip(self.rule.state, self.rule.functions[1], strict=True)}
        p.copy_(after.pop("w"))
        state.update(after, t=t)


def compiled(name: str) -> type[Optim]:
    """The method of that name as a class that runs its update equation, to race against one that you wrote.

    Args:
        name: the method, as the label of its equation says it: ``"sgd"`` for ``update-sgd``.

    Returns:
        A class made from :class:`~optim_code.optim.Optim`. Its constructor takes ``params``, and by name the
        hyper-parameters of the equation; ``eps`` may be missing. It computes in float64.

    Raises:
        CheckError: for a name that no section has.

    Source: the equation ``update-…`` of the section.
    """
    rule = _method(_known(name)).rule
    functions = tuple(FunctionType(function.__code__, ON_TENSORS) for function in rule.functions[0])
    return type(f"Compiled{name.capitalize()}", (Compiled,), {"rule": rule, "functions": functions})
