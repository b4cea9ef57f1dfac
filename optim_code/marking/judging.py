"""Name what is wrong with a class from its recorded runs: the mistake, what was seen, and a hint."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from optim_code.equations.rules import Vector
from optim_code.marking import hints
from optim_code.marking.faults import Fault
from optim_code.marking.trials import DECAYS, Description, Probed, Run, Told, Trial, alike, differences, finite
from optim_code.marking.versions import Family, Method, Version

TOLERANCE = 1e-5
"""How far a class may be from the equation, relative to the distance covered. Buffers in float32 stay within it."""

ENDS = {
    "endless": "it does not end", "slow": "it is too slow", "died": "it ends Python",
    "stub": "my_step is not written", "tampers": "it interferes with the check",
}  # fmt: skip
HINTS = {
    "endless": "A step is a handful of operations on whole tensors. Which line waits, or which loop has no end?",
    "died": "A class may raise an error, but not end the program that uses it.",
    "slow": "A step is a handful of operations on whole tensors. Which line does more work than that?",
    "tampers": "A class changes its parameter and its `state`. Which of your lines reaches further?",
    "type": "Which of your lines makes a number of less digits, and what becomes of the parameter there?",
    "stub": "Write `my_step`; the equation says what it has to do.",
    "gradient": "Which line works in place on `p.grad`, or on another name for the same tensor? Others still read it.",
    "kept": "What you keep in `state` must still be the same when `p.grad` is overwritten. Whose tensor is it?",
    "group": "A group belongs to the training loop and to schedulers. Which of your lines writes to it?",
    "rate": "All is well as long as `lr` stays what it is. When do your lines read it, and where does it stand?",
    "unmoved": "Follow what is added up and taken away. Which lines change a tensor, and which make a new one?",
    "number": "Each coordinate needs a memory of its own. What shape has what you keep?",
    "mixed": "In the equation each coordinate goes its own way. Which of your lines makes one number of several?",
    "twice": "Two entries of `state` are one tensor. Where do you make them, and how many do you make there?",
    "restarts": "At your second step, what is in `state`, and does your line find it there?",
    "shape": "Where do your lines assume a number of coordinates: by an index, a size, or a function for one number?",
    "handed on": "What does your constructor hand on to the `__init__` of `Optim`, and under which names?",
    "once": "Which of your lines run at some steps only? Look at your conditions, and at how far lines are indented.",
    "nan": "Where do you divide, or take a root? What stands there at that step?",
    "keys": "Which of them has the key that you ask for, and is it there at the first step?",
    "name": "Is the name spelt as where you define it? Hyper-parameters such as `lr` are in `group`.",
    "attribute": "What stands before the dot has no such attribute. `state` and `group` have keys instead.",
    "types": "Look at that line, and at the shapes and types of what stands in it.",
    "recursion": "Which of your functions calls itself, or what calls it?",
    "elsewhere": "The error comes from outside of your lines. What do you call there, and with what?",
    "raises": "The message says what is wrong. What stands in that line when it happens?",
    "debugger": "Take the call of the debugger out; to see a number, print it, and take that out again.",
    "leaf": "Torch follows what is done to a parameter itself. Work on `p.data`, or within `torch.no_grad`.",
    "none": "A parameter without a gradient stays where it is, and its `state` too. Where do your lines expect one?",
    "closure": "`step` may get a closure, which computes the gradients. What does the `step` of `Optim` do with it?",
    "zero": "What do your lines divide by there, and what do they take for a number that isn't given?",
    "order": "In which order does `Optim` hand over the parameter, the state and the group?",
    "alias": "What you keep in `state` must not change when the parameter moves. Whose tensor is it?",
    "typed": "Your numbers have fewer digits from there on. Which of your lines makes them, and does it say a type?",
    "still": "Some move and others stay. Which of your lines chooses among them?",
    "looks": "The same gradients move it differently from another start. Where do your lines use the parameter itself?",
    "alone": "Every coordinate's step is too long by the same factor, and the factor changes. What does it?",
    "itself": "Compare two steps that have the same settings. What in your lines changes from one to the next?",
    "deaf": "With any other value your steps stay the same. Where should it come in?",
    "several": "`my_step` gets one parameter, and `step` goes through all. Which line reaches for another one?",
    "repeats": "The same gradients move it differently next time. Do you draw random numbers, or keep some elsewhere?",
    "same": "Every coordinate moves by the same length at each step. Which line leaves a number only its sign?",
    "drift": "Every step is off by the same number, in every coordinate. Which of your lines adds it?",
    "counts": "With another number of coordinates your steps have another length. Where do you count, or take a mean?",
    "asks": "Take the call of `input` out; what your class needs to know is in `group` and `state`.",
    "notime": "In the equation the correction fades as the steps are counted. What in your lines counts them?",
    "p": "What shape has what your last line puts into the parameter?",
}
ERRORS = {
    "NameError": "name", "UnboundLocalError": "name", "AttributeError": "attribute", "TypeError": "types",
    "RuntimeError": "types", "IndexError": "types", "ValueError": "types", "RecursionError": "recursion",
    "NotImplementedError": "types", "ZeroDivisionError": "nan", "OverflowError": "nan", "SystemExit": "died",
    "Breakpoint": "debugger", "BdbQuit": "debugger", "EOFError": "asks",
}  # fmt: skip
"""Which hint an exception has."""

REBOUND = "p rebound instead of updated in place"
UNUSED = "buffer not used"
FORGOTTEN = "state never stored"
STILL = "counter never advances"
NO_COUNTER = "the correction does not depend on t"
RESTARTS = "buffer starts again at each step"
KEPT = "p.grad kept, not copied"
INSIDE = "lr inside the buffer"
OTHER_RATE = (
    "Where a scheduler changes `lr` it goes another way than the equation: your buffer holds steps of the old `lr`."
)


@dataclass(frozen=True)
class Evidence:
    """The runs of a class that goes wrong, beside those of the equation.

    Attributes:
        about: how it is written.
        pairs: the trials, and what it did in them.
        method: the equation, and its mistakes.
        expected: the points of the equation in each trial.
        departures: for each trial where the class leaves the equation, and by how much; None if it doesn't.
        probe: changes one thing at a time; asked only if all else doesn't help.
    """

    about: Description
    pairs: list[tuple[Trial, Run]]
    method: Method
    expected: list[list[Vector]]
    departures: list[tuple[int, float] | None]
    probe: Callable[[], Probed]

    @cached_property
    def right(self) -> Version:
        return Version(self.method.rule)

    @cached_property
    def runs(self) -> list[Run]:
        return [run for _, run in self.pairs]

    @cached_property
    def failing(self) -> list[int]:
        """The numbers of the trials in which it goes wrong."""
        both = zip(self.runs, self.departures, strict=True)
        return [n for n, (run, departure) in enumerate(both) if run.fault or departure]

    @cached_property
    def probed(self) -> Probed:
        return self.probe()

    def kept(self, kind: str) -> bool:
        return any(kind in run.state for run in self.runs)


Named = tuple[str, str]
"""A mistake's name, and the hint to it."""


def judge(told: Told, method: Method, probe: Callable[[], Probed]) -> dict[str, Any]:
    """The fields of a verdict on the runs of a class."""
    pairs, right, known = told.pairs, Version(method.rule), method.mistakes
    faults = [run.fault for _, run in pairs]
    for fault in faults:
        if fault and fault.kind in ENDS:
            return _says(ENDS[fault.kind], fault.told, HINTS[fault.kind])
    for trial, run in pairs:
        if run.gradient_changed:
            found = f"With {trial}: after step {run.gradient_changed} `p.grad` is not what it was before."
            # Only a trial that reuses the gradient's tensor shows a class that works on an earlier gradient.
            name, hint = (KEPT, HINTS["kept"]) if trial.reused else ("p.grad changed in place", HINTS["gradient"])
            return _says(name, found, hint, run.gradient_changed)
    expected = [right.path(trial) for trial, _ in pairs]
    departures = [departure_of(run.points, points) for (_, run), points in zip(pairs, expected, strict=True)]
    counted = replace(right, counts_all=True)
    for n, (trial, run) in enumerate(pairs):
        # If a parameter has no gradient, t may count its own steps or those of all parameters. Both are common.
        if trial.absent and departures[n] and departure_of(run.points, counted.walk(trial, {})) is None:
            departures[n] = None
    seen = Evidence(told.description, pairs, method, expected, departures, probe)
    if not seen.failing:
        exact = [(run, points) for (trial, run), points in zip(pairs, expected, strict=True) if not trial.absent]
        apart = (abs(x - y) for run, points in exact for ours in zip(run.points, points, strict=True)
                 for x, y in zip(*ours, strict=True))  # fmt: skip
        largest = max(apart)
        steps = len(expected[0]) - 1
        found = f"{len(pairs)} runs of {steps} steps or less follow the equation; "
        found += f"the largest difference is {largest:.1g}"
        single = sorted({name for run in seen.runs for name in run.single})
        found += f", because your buffer `{single[0]}` is float32, of 7 digits." if single and largest > 1e-9 else "."
        return {"passed": True, "found": found}
    if all(pairs[n][0].decay != 1 and not faults[n] for n in seen.failing):
        # The equation's lr is constant, so a class that differs only when lr changes, as a heavy ball does, is right.
        known = [*known]
        named = by_known_mistakes(seen, known)
        if named and named[0] == INSIDE:
            steps = len(expected[0]) - 1
            count = len(pairs) - len(seen.failing)
            found = f"{count} runs of {steps} steps or less follow the equation, as long as lr stays."
            return {"passed": True, "found": found, "note": OTHER_RATE}
    n = seen.failing[0]
    trial, fault, departure = pairs[n][0], faults[n], departures[n]
    step, difference = departure or (None, None)
    if departure:
        by = f"by {difference:.2g}".replace("e+", "e") if math.isfinite(departure[1]) else "and is no number any more"
        found = f"With {trial}: step {step} is the first that differs from the equation, {by}."
    else:
        slip = signature_slip(told.description) if fault and fault.error == "TypeError" and not fault.where else None
        if slip:
            return _says(*slip)
        found = f"With {trial}: {fault.told.removeprefix('Closure: ') if fault else ''}"
    name, hint = name_of(seen, known)
    return _says(name, found, hint, step, difference)


def name_of(seen: Evidence, known: Iterable[Version]) -> Named:
    """The name of the mistake that the runs of a class show, and its hint."""
    return (
        by_what_it_touches(seen)
        or by_the_constructor(seen)
        or by_known_mistakes(seen, known)
        or by_what_it_keeps(seen)
        or by_how_it_broke_off(seen)
        or by_when_it_moves(seen)
        or by_a_number(seen)
        or by_probing(seen)
        or by_known_mistakes(seen, seen.method.pairs)
        or by_what_changes(seen)
        or by_numbers(seen)
    )


def by_what_it_touches(seen: Evidence) -> Named | None:
    """A parameter that never moves or loses digits, a group that changes, and a gradient that is kept."""
    if all(len(run.points) > 1 and all(point == run.points[0] for point in run.points) for run in seen.runs):
        if seen.about.empty:
            return ENDS["stub"], HINTS["stub"]
        return (REBOUND if seen.about.rebinds else "the parameter never moves"), HINTS["unmoved"]
    if any(run.group_changed for run in seen.runs):
        return "group changed in the step", HINTS["group"]
    if all(seen.pairs[n][0].reused for n in seen.failing):
        return KEPT, HINTS["kept"]
    if any("p" in seen.runs[n].state for n in seen.failing):
        return "p.data kept, not copied", HINTS["alias"]
    for trial, run in seen.pairs:
        moved = [spread(column) > 0 for column in zip(*run.points, strict=True)]
        if any(moved) and not all(moved) and not run.fault and finite(run.points):
            whole = all(len({*moved[part]}) == 1 for part in trial.parts)
            return f"some {'parameters' if whole else 'coordinates'} never move", HINTS["still"]
    after = [x for trial, run in seen.pairs if not trial.absent for point in run.points[1:] for x in point]
    if after and all(x == single for x, single in zip(after, array("f", after), strict=True)):
        return "p rounded to float32", HINTS["typed"]
    return None


def by_the_constructor(seen: Evidence) -> Named | None:
    """A constructor that passes on other values, if the class follows the equation with those."""
    asked = [trial.hypers[0] for trial, _ in seen.pairs]
    held = [{**hyper, **(run.groups or [{}])[0]} for hyper, run in zip(asked, seen.runs, strict=True)]
    names = [name for name in asked[0] if any(got[name] != hyper[name] for got, hyper in zip(held, asked, strict=True))]
    if not names:
        return None
    trials = [
        replace(trial, hypers=tuple({**hyper, **own} for hyper, own in zip(trial.hypers, run.groups, strict=True)))
        for trial, run in seen.pairs
        if len(run.groups) == len(trial.hypers)
    ]
    if len(trials) < len(seen.pairs) or not _fits(seen.right, seen, trials):
        return None
    one = names[0]
    others = [o for o in asked[0] if o != one and all(h[one] == a[o] for h, a in zip(held, asked, strict=True))]
    if others and all(h[others[0]] == a[one] for h, a in zip(held, asked, strict=True)):
        what = f"{one} and {others[0]} swapped"
    elif others:
        what = f"{others[0]} in the place of {one}"
    else:
        what = f"{one} is a fixed number" if len({h[one] for h in held}) == 1 else f"{one} changed"
    return f"{what} in the constructor", HINTS["handed on"]


def by_known_mistakes(seen: Evidence, known: Iterable[Version]) -> Named | None:
    """The first version of a list that takes the same steps as the class."""
    if not any(seen.departures):
        return None
    trials = [trial for trial, _ in seen.pairs]
    fitting = (version for version in known if _fits(version, seen, trials))
    first = next(fitting, None)
    if first is None:
        return None
    if first.name == STILL:
        return by_the_counter(seen, first.hint)
    if STILL in first.name and not any(count <= 1 for count in seen.runs[0].counts):
        return first.name.replace(STILL, NO_COUNTER), first.hint.replace(hints.HINTS[STILL], HINTS["notime"])
    if first.name not in (UNUSED, FORGOTTEN):
        return first.name, first.hint
    # A class that keeps nothing, one that starts again and one that doesn't use its buffer can take the same steps.
    ways = {version.name: version.hint for version in (first, *fitting)}
    right = _buffers(seen.right, trials[0])
    if FORGOTTEN in ways and not seen.kept("tensor"):
        return FORGOTTEN, ways[FORGOTTEN]
    used = any(len(kept) == len(b) and alike([kept], [b], rtol=1e-4) for kept in seen.runs[0].buffers for b in right)
    if FORGOTTEN in ways and not (used and UNUSED in ways):
        return RESTARTS, HINTS["restarts"]
    return first.name, first.hint


def by_the_counter(seen: Evidence, hint: str) -> Named:
    """A correction that is the same at each step. The state tells its three causes apart."""
    run, trial = seen.runs[0], seen.pairs[0][0]
    if any(count <= 1 for count in run.counts):
        return STILL, hint
    right = [*_buffers(seen.right, trial)]
    if run.buffers and not all(any(alike([own], [b], rtol=1e-3) for own in run.buffers) for b in right):
        names = "one minus decay forgotten", "bias correction forgotten"
        return ", and ".join(names), " ".join(hints.HINTS[name] for name in names)
    return NO_COUNTER, HINTS["notime"]


def by_what_it_keeps(seen: Evidence) -> Named | None:
    """State that is one number, one tensor twice, or the gradient itself."""
    fault = seen.runs[seen.failing[0]].fault
    if (seen.kept("number") and not seen.kept("tensor")) or (fault and "Scalar" in fault.text):
        return "python float state", HINTS["number"]
    if seen.kept("twice") and any(seen.departures):
        return "one tensor under two names", HINTS["twice"]
    paths = {trial.reused: run.points for trial, run in seen.pairs if trial.reused or trial is seen.pairs[0][0]}
    if seen.kept("p.grad") and len(paths) == 2 and paths[False] != paths[True]:
        return KEPT, HINTS["kept"]
    return None


def by_how_it_broke_off(seen: Evidence) -> Named | None:
    """Trials that the class doesn't finish, and special trials that are the only ones in which it goes wrong."""
    first = seen.failing[0]
    fault = seen.runs[first].fault
    if seen.failing == [len(seen.pairs) - 1]:
        return "works only for one shape", HINTS["shape"]
    trials = [seen.pairs[n][0] for n in seen.failing]
    if fault and not seen.departures[first]:
        if fault.kind == "shape":
            return "p has another shape", HINTS["p"]
        if fault.kind == "type":
            return f"p becomes {fault.text.rpartition(' ')[2]}", HINTS["typed"]
        takes = seen.about.methods.get("my_step", [])[1:]
        if sorted(takes) == ["group", "p", "state"] and takes != ["p", "state", "group"]:
            return "arguments of my_step exchanged", HINTS["order"]
        if fault.error in ("Breakpoint", "BdbQuit"):
            return "a breakpoint is left in", HINTS["debugger"]
        if "a leaf Variable that requires grad" in fault.text:
            return "p changed without no_grad", HINTS["leaf"]
    if all(trial.absent or trial.closure for trial in trials):
        if trials[0].absent:
            return f"{'fails' if fault else 'goes wrong'} where p has no gradient", HINTS["none"]
        takes_none = fault and fault.error == "TypeError" and "argument" in fault.text
        return ("step takes no closure" if takes_none else "the closure is not used"), HINTS["closure"]
    zero = {name for trial in trials for name, value in trial.hypers[0].items() if name in DECAYS and value == 0}
    if zero and all(any(trial.hypers[0].get(name) == 0 for name in zero) for trial in trials):
        return f"goes wrong where {' or '.join(sorted(zero))} is 0", HINTS["zero"]
    if fault and not seen.departures[first]:
        shapes = seen.probed.shapes.values() if ERRORS.get(fault.error) == "types" and fault.where else ()
        if any(shapes) and not all(shapes):
            return "works only for one shape", HINTS["shape"]
        return fault.error, error_hint(fault)
    if all(trial.scale > 1 for trial in trials):
        return "goes wrong where the gradient is large", hints.HINTS["the gradient is clipped"]
    if all(trial.decay != 1 for trial in trials):
        return "lr is not followed when it changes", HINTS["rate"]
    if all(len(trial.shapes) > 1 for trial in trials):
        return "goes wrong with several parameters", HINTS["several"]
    return None


def by_a_number(seen: Evidence) -> Named | None:
    """A known mistake with an unknown number, if the class follows it for some value of that number."""
    if not any(seen.departures) or seen.runs[0].fault:
        return None
    trials = [trial for trial, _ in seen.pairs]
    short = replace(trials[0], steps=8)
    ours = seen.runs[0].points[:9]
    if not finite(ours):
        return None
    for family in seen.method.families:

        def off(c: float, enough: float, family: Family = family) -> float:
            return _distance(family.at(c).walk(short, {}), ours, enough)

        value = _best(off, family.low, family.high)
        for one in (float(f"{value:.2g}"), float(f"{value:.3g}"), value):
            if _fits(family.at(one), seen, trials):
                return family.name, family.hint
    return None


def by_when_it_moves(seen: Evidence) -> Named | None:
    """Steps that are left out."""
    moves = [any(x != 0 for x in step) for step in differences(seen.runs[seen.failing[0]].points)]
    # If the class leaves out steps at random, randomness is the mistake to name.
    if all(moves) or seen.runs[seen.failing[0]].fault or not seen.probed.repeats:
        return None
    if moves[0] and not any(moves[1:]):
        return "only the first step moves", HINTS["once"]
    if not moves[0] and all(moves[1:]):
        return "the first step does not move", HINTS["once"]
    return "some steps do not move", HINTS["once"]


def by_probing(seen: Evidence) -> Named | None:
    """What the steps of the class depend on, but shouldn't."""
    if not seen.probed.repeats:
        return "another run takes other steps", HINTS["repeats"]
    if seen.probed.mixes:
        return "coordinates are mixed", HINTS["mixed"]
    if seen.probed.looks_at_w:
        return "the step depends on w", HINTS["looks"]
    return None


def by_what_changes(seen: Evidence) -> Named | None:
    """A setting that has no effect or changes from step to step, and steps that differ in length alone."""
    own, expected = [run.points for run in seen.runs], seen.expected
    whole = [n for n, run in enumerate(seen.runs) if not run.fault and seen.pairs[n][0].decay == 1]
    plain = [n for n in whole if len(seen.pairs[n][0].shapes) == 1 and seen.pairs[n][0].steps == len(expected[0]) - 1]
    if plain and not finite(own[plain[0]]):
        return None
    steps = [differences(own[n]) for n in plain]
    sizes = [[[abs(x) for x in step] for step in path] for path in steps]
    if steps and all(alike(size, [[size[0][0]] * len(row) for row in size], rtol=1e-6) for size in sizes):
        return "all steps have the same length", HINTS["same"]
    right = [differences(expected[n]) for n in plain]
    excess = [[a - b for a, b in pairs_of(path, other)] for path, other in zip(steps, right, strict=True)]
    if steps and all(spread(more) < 1e-12 for more in excess):
        return "a constant in the step", HINTS["drift"]
    factors = [factor for n in plain if (factor := _factors(own[n], expected[n])) is not None]
    if factors and len(factors) == len(plain):
        same = all(alike([factor], [factors[0]], rtol=1e-4) for factor in factors)
        varies = any(spread(factor) > 1e-4 * max(map(abs, factor)) for factor in factors)
        if varies:
            return ("lr changes by itself", HINTS["itself"]) if same else ("steps scaled by a factor", HINTS["alone"])
        trial, points, path = seen.pairs[-1][0], own[-1], expected[-1]
        ways = [_way(points, part) / _way(path, part) for part in trial.parts if len(points) == len(path)]
        if same and ways and spread(ways) > 1e-3 * max(ways):
            return "the step depends on the shape", HINTS["counts"]
        if same:
            said = f"Each of your steps is {factors[0][0]:.3g} times as long as it should be."
            return "steps of the wrong length", said
    if plain:
        for name in seen.right.rule.hyper:
            if name in DECAYS and _follows(seen, plain[0], name):
                return f"{name} changes by itself", HINTS["itself"]
    if seen.probed.deaf:
        return f"{' and '.join(seen.probed.deaf)} ha{'s' if len(seen.probed.deaf) == 1 else 've'} no effect", HINTS[
            "deaf"
        ]
    return None


def by_numbers(seen: Evidence) -> Named:
    """What the numbers show, if nothing else does."""
    n = seen.failing[0]
    trial, points, expected = seen.pairs[n][0], seen.runs[n].points, seen.expected[n]
    step, difference = seen.departures[n] or (1, 0.0)
    if not math.isfinite(difference):
        return "not a number", HINTS["nan"]
    (ours,), (theirs,) = (differences(path[step - 1 : step + 1]) for path in (points, expected))
    i = max(range(len(ours)), key=lambda i: abs(ours[i] - theirs[i]) / (abs(theirs[i]) + 1e-300))
    digits = next(d for d in range(3, 18) if f"{ours[i]:.{d}g}" != f"{theirs[i]:.{d}g}" or d == 17)
    gradient, should, does = (
        f"{x:.{d}g}".replace("e+", "e")
        for x, d in ((trial.gradients[step - 1][i], 3), (theirs[i], digits), (ours[i], digits))
    )
    name = f"{'the first step is' if step == 1 else f'from step {step} on the steps are'} not the equation's"
    if step == 1:
        said = f"Work out step 1 of coordinate {i + 1} by hand: with the gradient {gradient}"
    else:
        past = ", ".join(f"{g[i]:.3g}" for g in trial.gradients[: step - 1]).replace("e+", "e")
        after = f", after the gradients {past}," if step < 5 else ""
        said = f"Up to step {step - 1} all is right. What do you carry over, and what do you do only at some steps? "
        said += f"In step {step}{after} coordinate {i + 1} has the gradient {gradient}:"
    return name, f"{said} the equation moves it by {should}, and your lines by {does}."


def signature_slip(about: Description) -> tuple[str, str, str] | None:
    """A method that doesn't take its arguments: the mistake, the sentence, and the hint."""
    for method, wanted in (("__init__", "self, params"), ("my_step", "self, p, state, group")):
        takes = about.methods.get(method)
        if takes is None or (takes[:1] == ["self"] and (method == "__init__" or len(takes) == 4)):
            continue
        lacks = takes[:1] == wanted.split(", ")[1:2] or len(takes) == len(wanted.split(", ")) - 1
        if method == "__init__" and not lacks:
            continue
        mistake = f"{method} lacks self" if lacks and "self" not in takes else f"{method} takes other arguments"
        more = ", and the hyper-parameters" if method == "__init__" else ""
        found = f"`{method}` must take {wanted}{more}. Yours takes {', '.join(takes) or 'nothing'}."
        return mistake, found, f"Look at the line that begins with `def {method}`."
    return None


def error_hint(fault: Fault) -> str:
    """A question for an exception."""
    if fault.error == "KeyError" and fault.held:
        return f"At that moment {fault.held}. {HINTS['keys']}"
    if fault.error == "AttributeError" and not fault.where:
        return HINTS["handed on"]
    if not fault.where and fault.error != "RecursionError":
        return HINTS["elsewhere"]
    return HINTS[ERRORS.get(fault.error, "raises")]


# --- numbers -------------------------------------------------------------------------------------------------------


def _buffers(right: Version, trial: Trial) -> Iterator[Vector]:
    """What the equation keeps of the first parameter at the end of a trial."""
    part = trial.parts[0]
    state = right.rule.start(trial.start[part])
    for step, gradient in enumerate(trial.gradients):
        state = right.rule.step(state, gradient[part], right.hyper(trial, 0, step))
    yield from (value for name, value in state.items() if name not in ("w", "t"))


def _fits(version: Version, seen: Evidence, trials: list[Trial]) -> bool:
    """True if the class and this version take the same steps in every trial that both finish."""
    compared = False
    common: dict[Any, dict[str, Any]] = {}
    for run, departure, trial in zip(seen.runs, seen.departures, trials, strict=True):
        if version.scope != "class":
            common = {}
        # A class that keeps p.grad as well can still be told what else is wrong.
        told = not run.fault and not trial.reused
        try:
            if told and departure_of(run.points, version.walk(trial, common)):
                return False
            if not told and version.scope == "class":
                version.path(trial, common)
        except ValueError:  # the parameters have different shapes
            common = {}
            continue
        compared |= told and departure is not None
    return compared


def departure_of(ours: Sequence[Vector], theirs: Iterable[Vector]) -> tuple[int, float] | None:
    """The first step at which two runs differ, and by how much, relative to the distance covered by the second.

    Args:
        ours: the points of one run.
        theirs: those of the other, of which no more are computed than are needed.
    """
    first: Vector = []
    gone: Vector = []
    for step, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        first = first or b
        gone = gone or [0.0] * len(b)
        apart = []
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            if math.isfinite(y):
                gone[i] = max(gone[i], abs(y - first[i]))
                if abs(x - y) <= TOLERANCE * gone[i] + 1e-13 * (1 + abs(y)):
                    continue
                apart.append(abs(x - y) if math.isfinite(x) else math.inf)
            elif math.isfinite(x):
                apart.append(math.inf)
        if apart:
            return step, max(apart)
    return None


def pairs_of(ours: Sequence[Vector], theirs: Sequence[Vector]) -> Iterator[tuple[float, float]]:
    """The numbers of two tables, side by side, as far as both go."""
    for one, other in zip(ours, theirs, strict=False):
        yield from zip(one, other, strict=True)


def spread(numbers: Sequence[float]) -> float:
    """The largest number less the smallest."""
    return max(numbers) - min(numbers)


def _way(points: Sequence[Vector], part: slice) -> float:
    """How long the steps of a parameter are, all together."""
    return sum(abs(x) for step in differences(points) for x in step[part])


def _factors(ours: Sequence[Vector], theirs: Sequence[Vector]) -> Vector | None:
    """For each step the number by which it is too long, if that is one number for all coordinates."""
    factors = []
    for a, b in zip(differences(ours), differences(theirs[: len(ours)]), strict=True):
        length = sum(y * y for y in b)
        factor = sum(x * y for x, y in zip(a, b, strict=True)) / length if length else math.nan
        # Within the rounding of the points.
        if not all(abs(x - factor * y) <= 1e-4 * abs(factor * y) + 1e-13 for x, y in zip(a, b, strict=True)):
            return None
        factors.append(factor)
    return factors or None


def _follows(seen: Evidence, n: int, name: str) -> bool:
    """True if the class follows the equation with a decay that has another value at each step."""
    trial, run, rule = seen.pairs[n][0], seen.runs[n], seen.right.rule
    state, values = rule.start(trial.start), []
    for step, gradient in enumerate(trial.gradients[:12]):
        hyper = seen.right.hyper(trial, 0, step)

        def off(
            c: float,
            enough: float = math.inf,
            state: Any = state,
            gradient: Vector = gradient,
            hyper: Any = hyper,
            step: int = step,
        ) -> float:
            ours = [state["w"], rule.step(state, gradient, {**hyper, name: c})["w"]]
            return _distance(ours, run.points[step : step + 2], enough)

        own = float(hyper[name])
        value = own if off(own) < 1e-6 else _best(off, 1e-9, 1.0)
        if off(value) > 1e-6:
            return False
        values.append(value)
        state = rule.step(state, gradient, {**hyper, name: value})
    return spread(values) > 1e-3


def _distance(ours: Iterable[Vector], theirs: Sequence[Vector], enough: float) -> float:
    """How far apart two runs are, relative to the distance that each coordinate covers.

    Args:
        ours: the points of one run.
        theirs: those of the other.
        enough: nobody asks how much farther apart than this they are: infinity is the answer then.
    """
    ranges = [spread(column) + 1e-12 for column in zip(*theirs, strict=True)]
    off = [0.0] * len(ranges)
    for a, b in zip(ours, theirs, strict=False):
        off = [max(worst, abs(x - y) / size) for worst, x, y, size in zip(off, a, b, ranges, strict=True)]
        # max passes over NaN in the second place.
        if not finite([a]) or sum(off) > enough:
            return math.inf
    return sum(off)


def _best(off: Callable[[float, float], float], low: float, high: float) -> float:
    """The number between two at which a distance is smallest: tried at many, then narrowed down around the best."""
    wide = [low * (high / low) ** (i / 59) for i in range(60)]
    first, last = max(low, high / 50), high * (1 - 1e-9)
    tried = sorted({*wide, *(first + (last - first) * i / 49 for i in range(50))})
    nearest, least = 0, math.inf
    for n, c in enumerate(tried):
        if (distance := off(c, least)) < least:
            nearest, least = n, distance
    if least > 0.5:  # no number between two of those tried would be near enough
        return tried[nearest]
    left, right = tried[max(nearest - 1, 0)], tried[min(nearest + 1, len(tried) - 1)]
    for _ in range(60):
        one, other = left + 0.382 * (right - left), right - 0.382 * (right - left)
        left, right = (left, other) if off(one, math.inf) <= off(other, math.inf) else (one, right)
    return (left + right) / 2


def _says(
    mistake: str, found: str, hint: str, step: int | None = None, difference: float | None = None
) -> dict[str, Any]:
    fields = dict(mistake=mistake, found=found, hint=hint, step=step, difference=difference)
    return {"passed": False, **fields}
