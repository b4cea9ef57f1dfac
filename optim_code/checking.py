"""Marking somebody's optimizer: ``check`` runs it beside the update equation of the book, and names what is wrong.

The reference is the equation that the section prints, compiled. In the book's own tree it is read from the section; a
kit that travels without the sections has a file of equations instead, ``UPDATES``, which holds what ``updates`` gives.
"""

from __future__ import annotations

import html
import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from .optim import Optim

if TYPE_CHECKING:  # both need SymPy, which takes a second; `from optim_code import output` must not wait for it
    from .equations import UpdateRule, Vector
    from .mistakes import Version
    from .trials import Run, Trial

UPDATES = Path(__file__).parent / "updates.json"
"""The update equations of a kit, LaTeX by label; the kit's builder writes it: ``json.dumps(updates())``."""
BOOK = Path(__file__).parents[1] / "book"

FENCED = re.compile(r"^(`{3,}|~{3,})(?P<info>.*)\n(?P<body>(?:.*\n)*?)\1[`~]*[ \t]*$", re.M)
DISPLAYED = re.compile(r"^[ \t]*\$\$(?P<latex>[^$]+)\$\$[ \t]*\((?P<label>update-[\w-]+)\)", re.M)

TOLERANCE = 1e-5
"""How far a class may be from the equation, as a part of the way gone: so much that a buffer in float32 is as right."""

ENDS = {"endless": "it does not end", "died": "it ends Python", "stub": "my_step is not written"}
HINTS = {
    "endless": "A step is a handful of operations on whole tensors. Which of your loops has no end?",
    "died": "A class may raise an error, but not end the program that uses it.",
    "stub": "Write `my_step`; the equation says what it has to do.",
    "gradient": "Which line works in place on `p.grad`, or on another name for the same tensor? Others still read it.",
    "unmoved": "The parameter never moves. Does your last line change the tensor, or only what a name stands for?",
    "number": "Each coordinate needs a memory of its own. What shape has what you keep?",
    "shape": "Where do your lines assume a number of coordinates? Whole tensors need no index.",
    "raises": "Look at that line, and at the shapes and types of what stands in it.",
    "nan": "Where do you divide, or take a root? What stands there at that step?",
    "first": "Work out the first step for one coordinate and the gradient 1, by the equation and by your lines.",
    "later": "The first step is right. So look at what you carry from one step to the next.",
}

# Ink on ground, both the box's own, so that it reads the same on a light and on a dark page.
PASSED = ("#0b3d1e", "#dff3e4", "#2e7d4f")
FAILED = ("#5c1a00", "#fdeade", "#c4561b")


class CheckError(ValueError):
    """``check`` was asked for something that it cannot do: what, and what to do instead, in one line."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the line, and nothing of the way to it."""
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
        """The same as a coloured box; its colours are its own, for the page around it may be light or dark."""
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
    """Text as HTML, what stands between backticks as code, in the box's own colours."""
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
        texts = [path.read_text(encoding="utf-8") for path in sorted(BOOK.glob("*.md"))]
        found = {label: latex for text in texts for label, latex in _displayed(text)}
    if not found:
        raise CheckError(f"there are no equations to check against: neither {UPDATES} nor sections in {BOOK}")
    return found


def _displayed(text: str) -> Iterator[tuple[str, str]]:
    """The labelled updates of a section; what stands in a fence is only shown, but for a displayed equation."""

    def keep_maths(fence: re.Match[str]) -> str:
        label = re.search(r"^:label:\s*(\S+)", fence["body"], re.M)
        if fence["info"].strip() != "{math}" or label is None:
            return ""
        return "$$\n" + re.sub(r"^:.*\n", "", fence["body"], flags=re.M) + f"$$ ({label[1]})"

    for found in DISPLAYED.finditer(FENCED.sub(keep_maths, text)):
        yield found["label"], found["latex"].strip()


def check(name: str, cls: type[Optim]) -> Verdict:
    """Check a class that you wrote against the update equation of its section.

    It is run beside the equation from several starts, with several settings, shapes and groups, and both see the same
    gradients. How you write it is your own affair. If it goes another way, the mistake is named where it is a known
    one.

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
    latex = _latex(name)
    if isinstance(cls, Optim):
        own = type(cls).__name__
        raise CheckError(f'check takes the class itself, got one made of it: write check("{name}", {own})')
    if not (isinstance(cls, type) and issubclass(cls, Optim)):
        what = cls.__name__ if isinstance(cls, type) else f"{cls!r:.60}"
        raise CheckError(f"check takes a class made from Optim, got {what}; begin it with: class MyOptimizer(Optim):")
    if issubclass(cls, Compiled):
        raise CheckError(f"{cls.__name__} is made from the compiled equation itself; write a class made from Optim")

    # Only here, for SymPy takes a second.
    from . import mistakes, trials
    from .equations import UpdateRule

    rule = UpdateRule.from_latex(latex)
    takes, defaults, lacks = _arguments(cls, rule.hyper, trials.UNASKED)
    if lacks:
        wanted = ", ".join(("params", *rule.hyper))
        found = f"The constructor must take {wanted}, by these names. Yours takes {', '.join(takes) or 'nothing'}."
        return Verdict(name, cls.__name__, False, f"no argument {lacks[0]}", found, "Look at the names in `__init__`.")
    given = [hyper for hyper in rule.hyper if hyper in takes or "**" in takes]
    pairs, printed, lines = trials.put_through(cls, given)
    note = f"It prints, {lines} lines in all, beginning with “{printed}”; take that out." if lines else ""
    verdict = _judge(pairs, mistakes.Version(rule), mistakes.mistakes(rule, defaults))
    return Verdict(name, cls.__name__, note=note, **verdict)


def _latex(name: str) -> str:
    known = updates()
    if not isinstance(name, str) or f"update-{name}" not in known:
        names = ", ".join(json.dumps(label.removeprefix("update-")) for label in sorted(known))
        raise CheckError(f"check knows no method {name!r}; it knows {names}")
    return known[f"update-{name}"]


class Compiled(Optim):
    """An optimizer whose step is an update equation of the book, compiled; made by :func:`compiled`."""

    rule: UpdateRule

    def __init__(self, params: Any, **hyper: float) -> None:
        from .trials import UNASKED

        takes = self.rule.hyper
        given = {name: value for name, value in UNASKED.items() if name in takes} | hyper
        if {*given} != {*takes}:
            names, got = ", ".join(takes), ", ".join(hyper)
            raise TypeError(f"{type(self).__name__} takes params, and by name {names}; got {got}")
        super().__init__(params, given)

    def my_step(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        w, g = p.double().numpy(), p.grad.double().numpy()  # type: ignore[union-attr]
        after = self.rule.step({**(state or self.rule.start(w)), "w": w}, g, group)
        p.copy_(torch.from_numpy(after.pop("w")))
        state.update(after)


def compiled(name: str) -> type[Optim]:
    """The method of that name as a class that runs its update equation, to race against one that you wrote.

    Args:
        name: the method, as the label of its equation says it: ``"sgd"`` for ``update-sgd``.

    Returns:
        A class made from :class:`~optim_code.optim.Optim`. Its constructor takes ``params``, and by name the
        hyper-parameters of the equation; ``eps`` may be missing. What it keeps from step to step are arrays of numpy.

    Raises:
        CheckError: for a name that no section has.

    Source: the equation ``update-…`` of the section.
    """
    from .equations import UpdateRule

    return type(f"Compiled{name.capitalize()}", (Compiled,), {"rule": UpdateRule.from_latex(_latex(name))})


def _arguments(
    cls: type[Optim], hyper: Iterable[str], unasked: Iterable[str]
) -> tuple[list[str], dict[str, float], list[str]]:
    """What a constructor takes, its defaults, and what it lacks; ``**`` stands for any name."""
    try:
        parameters = inspect.signature(cls).parameters
    except (TypeError, ValueError):
        return ["**"], {}, []
    takes = ["**" if p.kind is p.VAR_KEYWORD else name for name, p in parameters.items()]
    defaults = {name: p.default for name, p in parameters.items() if isinstance(p.default, (int, float))}
    lacks = [] if "**" in takes else [name for name in hyper if name not in takes and name not in unasked]
    return takes, defaults, lacks


# --- judging -------------------------------------------------------------------------------------------------------


def _judge(pairs: list[tuple[Trial, Run]], right: Version, known: Iterable[Version]) -> dict[str, Any]:
    """What is to be said of the runs of a class: the fields of a verdict."""
    faults = [run.fault for _, run in pairs]
    for fault in faults:
        if fault and fault.kind in ENDS:
            return _says(ENDS[fault.kind], fault.told, HINTS[fault.kind])
    for trial, run in pairs:
        if run.gradient_changed:
            found = f"With {trial}: after step {run.gradient_changed} `p.grad` is not what it was before."
            return _says("p.grad changed in place", found, HINTS["gradient"], run.gradient_changed)
    walks = [points for points in right.walks([trial for trial, _ in pairs]) if points is not None]
    departures = [_departure(run.points, points) for (_, run), points in zip(pairs, walks, strict=True)]
    failing = [n for n, (fault, departure) in enumerate(zip(faults, departures, strict=True)) if fault or departure]
    if not failing:
        largest = max(float(np.abs(run.points - points).max()) for (_, run), points in zip(pairs, walks, strict=True))
        steps = len(walks[0]) - 1
        found = f"{len(pairs)} runs of {steps} steps follow the equation; the largest difference is {largest:.1g}."
        return {"passed": True, "found": found}
    (trial, run), fault, departure = pairs[failing[0]], faults[failing[0]], departures[failing[0]]
    step, difference = departure or (None, None)
    if departure:
        by = f"by {difference:.2g}" if np.isfinite(departure[1]) else "and is no number any more"
        found = f"With {trial}: step {step} is the first that differs from the equation, {by}."
    else:
        found = f"With {trial}: {fault.told if fault else ''}"
    name, hint = _name(pairs, walks, departures, failing, known)
    return _says(name, found, hint, step, difference)


def _name(
    pairs: list[tuple[Trial, Run]],
    walks: list[Vector],
    departures: list[tuple[int, float] | None],
    failing: list[int],
    known: Iterable[Version],
) -> tuple[str, str]:
    """The name of the mistake that the runs of a class show, and the hint to it."""
    runs = [run for _, run in pairs]
    fault = runs[failing[0]].fault
    if all(len(run.points) > 1 and (np.array(run.points) == run.points[0]).all() for run in runs):
        return "p rebound instead of updated in place", HINTS["unmoved"]
    if any(departures):
        fitting = [version for version in known if _fits(version, pairs, departures)]
        # Who keeps nothing, and who keeps a buffer and doesn't use it, may walk the same way.
        if not any("tensor" in run.state for run in runs):
            fitting.sort(key=lambda version: version.name != "state never stored")
        if fitting:
            return fitting[0].name, fitting[0].hint
    if any("number" in run.state for run in runs) or (fault and "Scalar" in fault.text):
        return "python float state", HINTS["number"]
    if failing == [len(pairs) - 1]:
        return "works only for one shape", HINTS["shape"]
    if fault and not departures[failing[0]]:
        return fault.text.partition(":")[0] if fault.kind == "raises" else "p has another shape", HINTS[fault.kind]
    step, difference = departures[failing[0]] or (1, 0.0)
    if not np.isfinite(difference):
        return "not a number", HINTS["nan"]
    factor = _factor(runs[failing[0]].points, walks[failing[0]])
    if factor:
        return "steps of the wrong length", f"Each of your steps is {factor:.3g} times as long as it should be."
    return "another way", HINTS["first"] if step == 1 else HINTS["later"]


def _fits(version: Version, pairs: list[tuple[Trial, Run]], departures: list[tuple[int, float] | None]) -> bool:
    """Whether a class walks as a version does, in all trials that both come through."""
    compared = False
    walks = version.walks([trial for trial, _ in pairs])
    for (_, run), departure, points in zip(pairs, departures, walks, strict=True):
        if points is not None and not run.fault:
            if _departure(run.points, points):
                return False
            compared |= departure is not None
    return compared


def _departure(ours: Sequence[Vector], theirs: Vector) -> tuple[int, float] | None:
    """The first step at which two runs part, and by how much; as a part of the way that the second has gone."""
    a, b = np.array(ours), theirs[: len(ours)]
    with np.errstate(all="ignore"):
        gone = np.maximum.accumulate(np.where(np.isfinite(b), np.abs(b - b[0]), 0.0))
        off = np.abs(a - b)
        near = (off <= TOLERANCE * gone + 1e-13 * (1 + np.abs(b))) & np.isfinite(b)
        near |= ~(np.isfinite(a) | np.isfinite(b))
    apart = np.nonzero(~near.all(axis=1))[0]
    if not len(apart):
        return None
    step = int(apart[0])
    return step, float(np.where(near[step], 0, np.where(np.isfinite(off[step]), off[step], np.inf)).max())


def _factor(ours: Sequence[Vector], theirs: Vector) -> float | None:
    """The number by which all steps of one run are too long, if there is one."""
    a, b = np.diff(np.array(ours), axis=0), np.diff(theirs[: len(ours)], axis=0)
    factor = float(np.sum(a * b) / np.sum(b * b))
    return factor if len(a) and np.allclose(a, factor * b, rtol=1e-4, atol=1e-9 * np.abs(b).max()) else None


def _says(
    mistake: str, found: str, hint: str, step: int | None = None, difference: float | None = None
) -> dict[str, Any]:
    fields = dict(mistake=mistake, found=found, hint=hint, step=step, difference=difference)
    return {"passed": False, **fields}
