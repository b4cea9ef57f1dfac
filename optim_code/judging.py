"""Naming what is wrong with a class, from the runs that it made: the mistake, what was seen, and a hint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .equations import Vector
from .trials import Run, Trial
from .versions import Version

TOLERANCE = 1e-5
"""How far a class may be from the equation, as a part of the way gone: so much that a buffer in float32 is as right."""

ENDS = {"endless": "it does not end", "died": "it ends Python", "stub": "my_step is not written"}
HINTS = {
    "endless": "A step is a handful of operations on whole tensors. Which line waits, or which loop has no end?",
    "died": "A class may raise an error, but not end the program that uses it.",
    "stub": "Write `my_step`; the equation says what it has to do.",
    "gradient": "Which line works in place on `p.grad`, or on another name for the same tensor? Others still read it.",
    "kept": "What you keep in `state` must still be the same when `p.grad` is overwritten. Whose tensor is it?",
    "group": "A group belongs to whoever made it, and to schedulers. Which of your lines writes to it?",
    "rate": "All is well as long as `lr` stays what it is. When do your lines read it, and where does it stand?",
    "unmoved": "The parameter never moves. Does your last line change the tensor, or only what a name stands for?",
    "number": "Each coordinate needs a memory of its own. What shape has what you keep?",
    "shape": "Where do your lines assume a number of coordinates? Whole tensors need no index.",
    "raises": "Look at that line, and at the shapes and types of what stands in it.",
    "nan": "Where do you divide, or take a root? What stands there at that step?",
    "first": "Work out the first step for one coordinate and the gradient 1, by the equation and by your lines.",
    "later": "The first step is right. So look at what you carry from one step to the next.",
}

KEPT = "p.grad kept, not copied"


def judge(pairs: list[tuple[Trial, Run]], right: Version, known: Iterable[Version]) -> dict[str, Any]:
    """What is to be said of the runs of a class: the fields of a verdict."""
    faults = [run.fault for _, run in pairs]
    for fault in faults:
        if fault and fault.kind in ENDS:
            return _says(ENDS[fault.kind], fault.told, HINTS[fault.kind])
    for trial, run in pairs:
        if run.gradient_changed:
            found = f"With {trial}: after step {run.gradient_changed} `p.grad` is not what it was before."
            # Who works on a gradient of an earlier step is found out only where that is the same tensor.
            name, hint = (KEPT, HINTS["kept"]) if trial.reused else ("p.grad changed in place", HINTS["gradient"])
            return _says(name, found, hint, run.gradient_changed)
    walks = [points for points in right.walks([trial for trial, _ in pairs]) if points is not None]
    departures = [departure_of(run.points, points) for (_, run), points in zip(pairs, walks, strict=True)]
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
    if any(run.group_changed for run in runs):
        return "group changed in the step", HINTS["group"]
    if all(pairs[n][0].reused for n in failing):
        return KEPT, HINTS["kept"]
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
    if all(pairs[n][0].decay != 1 for n in failing):
        return "lr is not followed when it changes", HINTS["rate"]
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
            if departure_of(run.points, points):
                return False
            compared |= departure is not None
    return compared


def departure_of(ours: Sequence[Vector], theirs: Vector) -> tuple[int, float] | None:
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
