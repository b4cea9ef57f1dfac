"""Putting somebody else's optimizer through recorded gradients.

What a class computes is looked at by `optim_code.judging`. Here is only how it is run: several starts, settings and
shapes, a learning rate that changes, and what is to be seen of the class meanwhile.
"""

from __future__ import annotations

import contextlib
import random
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .equations import NOTATION, Vector
from .optim import Optim
from .watched import PATIENCE, Deadline, Fault, OutOfTime, Printed, first_line, forked, is_stub, line_of

NSTEPS = 50
LIMIT = 10.0  # seconds for all trials of one class; a right one takes a few tenths
UNASKED = {"eps": 1e-8}
"""What a constructor need not take, and the value that the class then has to use."""


# --- what a class is put through -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Trial:
    """Parameters, the gradients that they will see, and the hyper-parameters.

    Attributes:
        what: the parameters, in words.
        shapes: the shape of each parameter.
        groups: for each parameter the number of its group.
        hypers: for each group its hyper-parameters; the first are the constructor's.
        seed: of the starts and of the gradients.
        decay: what ``lr`` is multiplied by after each step, as a scheduler does.
        reused: whether ``p.grad`` is one tensor for all steps, as ``zero_grad(set_to_none=False)`` leaves it.
        steps: how many.
        small: the scale of every other coordinate's gradient.
    """

    what: str
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[int, ...]
    hypers: tuple[dict[str, Any], ...]
    seed: int
    decay: float = 1.0
    reused: bool = False
    steps: int = NSTEPS
    small: float = 1e-4

    @cached_property
    def parts(self) -> list[slice]:
        """Where each parameter lies in the one long vector of all."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.shapes])
        return [slice(int(end - np.prod(shape)), int(end)) for end, shape in zip(ends, self.shapes, strict=True)]

    @cached_property
    def start(self) -> Vector:
        """Where all parameters begin, as one vector."""
        return np.random.default_rng(self.seed).uniform(-2, 2, self.parts[-1].stop)

    @cached_property
    def gradients(self) -> Vector:
        """The gradient of each step, shape ``(steps, d)``.

        They follow no path, so nothing feeds back, and two right programs cannot part (DESIGN, chaos). Every other
        coordinate is small, for there even an epsilon of 1e-8 counts.
        """
        draws = np.random.default_rng(self.seed + 1).normal(0.5, 1.5, (self.steps, len(self.start)))
        return draws * np.where(np.arange(len(self.start)) % 2, self.small, 1.0)

    def hyper(self, group: int, step: int) -> dict[str, Any]:
        """The hyper-parameters of a group at a step, counted from 0."""
        values = self.hypers[group]
        return {**values, "lr": values["lr"] * self.decay**step} if self.decay != 1 else values

    def __str__(self) -> str:
        settings = [", ".join(f"{name}={value:g}" for name, value in hyper.items()) for hyper in self.hypers]
        later = f", and lr times {self.decay:g} after each step" if self.decay != 1 else ""
        return f"{self.what}, {' and '.join(settings)}{later}"


def trials(hyper: Sequence[str], own: Collection[str]) -> list[Trial]:
    """All trials of a class.

    Args:
        hyper: the hyper-parameters that its constructor takes.
        own: those of them that its groups keep under that name, so that a group can have a value of its own.
    """
    first, second, third, fourth = settings(hyper)
    other = {name: value if name in own else first[name] for name, value in second.items()}
    pair = ((2,), (2,))
    return [
        Trial("one parameter of shape (2,)", ((2,),), (0,), (first,), 1),
        Trial("one parameter of shape (2,)", ((2,),), (0,), (second,), 3),
        Trial("one parameter of shape (2,)", ((2,),), (0,), (third,), 5),
        Trial("two parameters of shape (2,)", pair, (0, 0), (fourth,), 7),
        Trial("two groups, a parameter of shape (2,) in each", pair, (0, 1), (first, other), 9),
        # As the first but for one thing, so that it is this thing that counts if only they go wrong.
        Trial("one parameter of shape (2,)", ((2,),), (0,), (first,), 1, decay=0.93),
        Trial("one parameter of shape (2,), whose p.grad is overwritten", ((2,),), (0,), (first,), 1, reused=True),
        Trial(
            "three parameters of shapes (3, 4), (1,) and (2, 3, 2)", ((3, 4), (1,), (2, 3, 2)), (0,) * 3, (third,), 11
        ),
    ]


def settings(hyper: Sequence[str]) -> Iterator[dict[str, float]]:
    """Four draws from the domains that `NOTATION` gives; the first has the smallest epsilon."""
    for seed in range(4):
        draw = random.Random(seed)
        values = {s.name: float(f"{draw.uniform(s.low, s.high):.2g}") for s in NOTATION if s.role == "hyper"}
        values |= {name: value for name, value in UNASKED.items() if seed == 0}
        yield {name: values[name] for name in hyper}


# --- one run -------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """What a class did in one trial.

    Attributes:
        points: where the parameters were, the start first, as one vector each; all steps that it came to.
        fault: why it did not come to the end, or None.
        gradient_changed: the first step after which ``p.grad`` was not what it had been, or None.
        group_changed: the first step after which a group's hyper-parameters were not what they had been, or None.
        groups: the hyper-parameters of each group when the class was made.
        keys: the names of the defaults that its constructor hands on.
        state: what it kept of each parameter at the end: ``tensor`` of the parameter's shape and not
            all zero, ``number``, ``count``; ``p.grad`` or ``twice`` if a tensor was that, or two were one.
        buffers: the tensors that it kept of the first parameter at the end, as vectors.
    """

    points: list[Vector] = field(default_factory=list)
    fault: Fault | None = None
    gradient_changed: int | None = None
    group_changed: int | None = None
    groups: list[dict[str, float]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    state: set[str] = field(default_factory=set)
    buffers: list[Vector] = field(default_factory=list)


def drive(cls: type[Optim], trial: Trial, run: Run) -> None:
    """Fill a run with what a class does; its faults are kept, not raised."""
    # A copy each, for what a class does to its parameters must not reach the trial.
    starts = [trial.start[part].reshape(shape).copy() for part, shape in zip(trial.parts, trial.shapes, strict=True)]
    params = [torch.tensor(start, requires_grad=True) for start in starts]
    run.points.append(trial.start)
    optimizer: Optim | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's on an old order of arguments, which is right all the same
            optimizer = cls(grouped(params, trial), **trial.hypers[0])
            run.groups = [numbers(group) for group in optimizer.param_groups]
            run.keys = {*optimizer.defaults}
            for t, gradient in enumerate(trial.gradients, start=1):
                for p, part in zip(params, trial.parts, strict=True):
                    hand_over(torch.tensor(gradient[part]).reshape(p.shape), p, trial.reused)
                before = [*map(numbers, optimizer.param_groups)]
                optimizer.step()
                observe(params, trial, t, run)
                if run.fault:
                    return
                if run.group_changed is None and before != [*map(numbers, optimizer.param_groups)]:
                    run.group_changed = t
                run.state |= {kind for p in params for kind in shared(state_of(optimizer, p), p)}
                for group in optimizer.param_groups if trial.decay != 1 else ():
                    if "lr" in group:  # as in `trials`: it has to be, but it is the class that is asked
                        group["lr"] *= trial.decay
        run.state |= {kind for p in params for kind in kept(state_of(optimizer, p), p)}
        run.buffers = [
            value.double().numpy().reshape(-1) for value in tensors(state_of(optimizer, params[0]), params[0])
        ]
    except OutOfTime as error:
        run.fault = stopped(line_of(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        kind = "stub" if is_stub(error) else "raises"
        held = "" if optimizer is None else holdings(optimizer, params[0])
        run.fault = Fault(kind, f"{type(error).__name__}: {first_line(error)}", line_of(error), held)


def stopped(where: str) -> Fault:
    return Fault("endless", f"It was stopped after {LIMIT:g} s", where)


def hand_over(gradient: torch.Tensor, p: torch.Tensor, reused: bool) -> None:
    """Set ``p.grad``: to a tensor of its own, or by overwriting the one that is there."""
    if reused and p.grad is not None and p.grad.shape == gradient.shape:
        p.grad.copy_(gradient)
    else:
        p.grad = gradient


def numbers(group: Mapping[str, Any]) -> dict[str, float]:
    """The hyper-parameters of a group, as floats."""
    known = {s.name for s in NOTATION if s.role == "hyper"}
    return {name: float(value) for name, value in group.items() if name in known and isinstance(value, int | float)}


def holdings(optimizer: Optim, p: torch.Tensor) -> str:
    """What a group and a state hold, in words."""
    group = [f"`{name}`" for name in getattr(optimizer, "defaults", {})]
    state = [f"`{name}`" for name in state_of(optimizer, p)]
    return f"`group` holds {' and '.join(group) or 'nothing'}, `state` {' and '.join(state) or 'nothing'}"


def grouped(params: list[torch.Tensor], trial: Trial) -> list[Any]:
    """The parameters as a constructor gets them: a list, or groups, of which the first has the constructor's values."""
    if len(trial.hypers) == 1:
        return list(params)
    groups: list[dict[str, Any]] = [{"params": []} for _ in trial.hypers]
    for p, group in zip(params, trial.groups, strict=True):
        groups[group]["params"].append(p)
    for values, hyper in zip(groups[1:], trial.hypers[1:], strict=True):
        values |= {name: value for name, value in hyper.items() if value != trial.hypers[0][name]}
    return groups


def observe(params: list[torch.Tensor], trial: Trial, t: int, run: Run) -> None:
    """Write down where step ``t`` has led, and whether it left the gradients alone."""
    points = trial.start.copy()
    for p, part, shape in zip(params, trial.parts, trial.shapes, strict=True):
        if tuple(p.shape) != shape:
            run.fault = Fault("shape", f"step {t} gives a parameter of shape {shape} the shape {tuple(p.shape)}")
            return
        points[part] = p.detach().to(torch.float64).numpy().reshape(-1)
        same = p.grad is not None and np.array_equal(p.grad.numpy().reshape(-1), trial.gradients[t - 1][part])
        if not same and run.gradient_changed is None:
            run.gradient_changed = t
    run.points.append(points)


def state_of(optimizer: Optim, p: torch.Tensor) -> Mapping[Any, Any]:
    states = getattr(optimizer, "state", None)
    state = states.get(p) if isinstance(states, Mapping) else None
    return state if isinstance(state, Mapping) else {}


def kept(state: Mapping[Any, Any], p: torch.Tensor) -> set[str]:
    """The kinds of things in the state of a parameter."""
    kinds = set()
    for value in state.values():
        if isinstance(value, torch.Tensor) and value.shape == p.shape:
            kinds |= {"tensor"} if value.any() else set()
        elif isinstance(value, float) or (isinstance(value, torch.Tensor) and value.numel() == 1):
            kinds.add("count" if float(value).is_integer() else "number")
    return kinds


def tensors(state: Mapping[Any, Any], p: torch.Tensor) -> list[torch.Tensor]:
    """The tensors of a parameter's shape in its state."""
    found = [value.detach() for value in state.values() if isinstance(value, torch.Tensor) and value.shape == p.shape]
    return [value for value in found if value.layout == torch.strided and value.device == p.device]


def shared(state: Mapping[Any, Any], p: torch.Tensor) -> set[str]:
    """Whether a tensor in the state of a parameter is the gradient itself, or two of them are one."""
    places = [value.data_ptr() for value in tensors(state, p)]
    kinds = {"twice"} if len(set(places)) < len(places) else set()
    return kinds | ({"p.grad"} if p.grad is not None and p.grad.data_ptr() in places else set())


# --- all runs ------------------------------------------------------------------------------------------------------

Told = tuple[list[tuple[Trial, Run]], str, int]


def put_through(cls: type[Optim], hyper: Sequence[str]) -> Told:
    """Run a class through all trials, within `LIMIT` seconds.

    Args:
        cls: the class.
        hyper: the hyper-parameters that its constructor is given.

    Returns:
        The trials and their runs, of which the last may have been broken off; the first line that the class printed;
        how many lines it did.
    """
    # In the groups that it keeps lr has to be lr, for a scheduler knows no other name.
    first = trials(hyper, hyper)[0]
    return run_all(cls, first, lambda run: trials(hyper, {"lr", *(run.keys or hyper)})[1:])


def run_all(cls: type[Optim], first: Trial, rest: Callable[[Run], Iterable[Trial]]) -> Told:
    """As `put_through`: a first trial, and those that are to follow when its run is there."""

    def task(end: Callable[[Told], None] | None = None) -> Told:
        pairs = [(first, Run())]
        printed = Printed()

        def give_up(where: str) -> None:
            pairs[-1][1].fault = stopped(where)
            if end is not None:
                end((pairs, printed.first, printed.lines))

        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), Deadline(LIMIT, give_up):
                drive(cls, *pairs[0])
                for trial in rest(pairs[0][1]):
                    fault = pairs[-1][1].fault
                    if fault and fault.kind in ("endless", "stub"):
                        break
                    pairs.append((trial, Run()))
                    drive(cls, *pairs[-1])
        except OutOfTime as error:  # thrown between two runs
            pairs[-1][1].fault = pairs[-1][1].fault or stopped(line_of(error))
        return pairs, printed.first, printed.lines

    # Torch imports a good deal at the first optimizer: that is not the class's time.
    Optim([torch.zeros(1)], {})
    if sys.platform != "linux":
        return task()
    done = forked(task, LIMIT + 4 * PATIENCE)
    if not isinstance(done, Fault):
        return done
    fault = stopped("") if done.kind == "endless" else done
    return [(first, Run(fault=fault))], "", 0


@dataclass
class Probed:
    """What a wrong class does if one thing is changed.

    Attributes:
        deaf: the hyper-parameters that can be changed without its going another way.
        mixes: whether the gradient of one coordinate moves another one.
        shapes: for each shape of a parameter whether the class comes through.
    """

    deaf: list[str]
    mixes: bool
    shapes: dict[tuple[int, ...], bool]


def probe(cls: type[Optim], hyper: Sequence[str]) -> Probed:
    """Change one thing at a time in a short run of a class."""
    values, other, *_ = settings(hyper)
    first = Trial("", ((2,),), (0,), (values,), 1, steps=10)
    changed = [replace(first, hypers=({**values, name: other[name]},)) for name in hyper]
    shaped = [replace(first, shapes=(shape,)) for shape in ((1,), (2,), (3, 4), (2, 3, 2))]
    pairs, _, _ = run_all(cls, first, lambda _: [*changed, replace(first, small=1.0), *shaped])
    runs = [run for _, run in pairs]
    points = [np.array(run.points) for run in runs]
    came = [not run.fault and np.isfinite(at).all() for run, at in zip(runs, points, strict=True)]
    if not came[0]:
        points = points[:1]
    same = [np.array_equal(at, points[0]) for at in points]
    deaf = [name for name, moved in zip(hyper, same[1:], strict=False) if moved]
    mixed = points[len(hyper) + 1 : len(hyper) + 2]
    mixes = any(at.shape == points[0].shape and not np.array_equal(at[:, 0], points[0][:, 0]) for at in mixed)
    shapes = {trial.shapes[0]: not run.fault for trial, run in pairs[len(hyper) + 2 :]}
    return Probed(deaf, mixes, shapes)
