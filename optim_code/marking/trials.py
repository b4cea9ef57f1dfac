"""Run somebody else's optimizer on recorded gradients, and record what it does.

`judging` looks at what a class computes. Here is how it is run: several starts, settings and shapes, a
learning rate that changes, decays of zero, parameters without a gradient, a closure. Where there can be one, the class
runs in a process of its own (`watched`). Its record comes back as plain data, which is checked before anybody uses it.
"""

from __future__ import annotations

import contextlib
import dis
import inspect
import itertools
import math
import random
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from optim_code.equations.notation import NOTATION
from optim_code.equations.rules import Vector
from optim_code.marking.faults import KINDS, Fault, OutOfTime, Printed, first_line, is_stub, line_of
from optim_code.optim import RANGES, Optim

NSTEPS = 50
LIMIT = 10.0  # seconds for all trials of one class; a right one takes a few tenths
UNASKED = {"eps": 1e-8}
"""What a constructor need not take, and the value that the class then has to use."""


DECAYS = tuple(name for name, (_, holds) in RANGES.items() if holds(0.0) and not holds(1.0))
"""The hyper-parameters that are decays: they may be 0, and must be below 1."""


# --- the trials ----------------------------------------------------------------------------------------------------


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
        scale: the size of every other coordinate's gradient; that of the rest is 1.
        absent: whether parameters have no gradient at some steps.
        closure: whether each step gets a closure that computes the gradients, and they are not there before.
        origin: the seed of the start, where that isn't ``seed``.
    """

    what: str
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[int, ...]
    hypers: tuple[dict[str, Any], ...]
    seed: int
    decay: float = 1.0
    reused: bool = False
    steps: int = NSTEPS
    scale: float = 1e-4
    absent: bool = False
    closure: bool = False
    origin: int | None = None

    @cached_property
    def parts(self) -> list[slice]:
        """Where each parameter lies in the one long vector of all."""
        ends = itertools.accumulate(map(math.prod, self.shapes), initial=0)
        return [slice(*ends) for ends in itertools.pairwise(ends)]

    @cached_property
    def start(self) -> Vector:
        """Where all parameters begin, as one vector."""
        seed = self.seed if self.origin is None else self.origin
        draw = random.Random(seed)
        return [draw.uniform(-2, 2) for _ in range(self.parts[-1].stop)]

    @cached_property
    def gradients(self) -> list[Vector]:
        """The gradient of each step, as one vector each.

        They follow no path, so nothing feeds back, and two right programs cannot part. On paths of their own they can,
        because Adam can be chaotic, and then the last bit of a number decides. Every other coordinate is
        mostly small, because there even an epsilon of 1e-8 counts.
        """
        draw = random.Random(self.seed + 1)
        scales = [self.scale if i % 2 else 1.0 for i in range(len(self.start))]
        return [[scale * draw.gauss(0.5, 1.5) for scale in scales] for _ in range(self.steps)]

    def has_gradient(self, parameter: int, step: int) -> bool:
        """Whether a parameter has a gradient at a step, counted from 0."""
        return not self.absent or (step + parameter) % 3 != 1

    def hyper(self, group: int, step: int) -> dict[str, Any]:
        """The hyper-parameters of a group at a step, counted from 0."""
        values = self.hypers[group]
        return {**values, "lr": values["lr"] * self.decay**step} if self.decay != 1 else values

    def __str__(self) -> str:
        settings = [", ".join(f"{name}={value:g}" for name, value in hyper.items()) for hyper in self.hypers]
        later = f", and lr times {self.decay:g} after each step" if self.decay != 1 else ""
        later += ", and no gradient for one of them at some steps" if self.absent else ""
        later += ", and a closure that computes the gradients" if self.closure else ""
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
        # Each differs from the first trial in one thing, so a class that fails in it alone fails because of that.
        Trial("one parameter of shape (2,)", ((2,),), (0,), (first,), 1, decay=0.93),
        Trial("one parameter of shape (2,), whose p.grad is overwritten", ((2,),), (0,), (first,), 1, reused=True),
        Trial("one parameter of shape (2,) with large gradients", ((2,),), (0,), (first,), 1, steps=20, scale=1e4),
        *(
            Trial("one parameter of shape (2,)", ((2,),), (0,), ({**second, name: 0.0},), 3, steps=20)
            for name in hyper
            if name in DECAYS
        ),
        Trial("two parameters of shape (2,)", pair, (0, 0), (fourth,), 7, steps=20, absent=True),
        Trial("two parameters of shape (2,)", pair, (0, 0), (fourth,), 7, steps=10, closure=True),
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
            all zero, ``number``, ``count``; ``p.grad``, ``p`` or ``twice`` if a tensor was that, or two were one.
        buffers: the tensors that it kept of the first parameter at the end, as vectors.
        counts: the whole numbers that it kept of the first parameter at the end.
        single: the names of what it kept in float32.
        clock: when its last step began, by `time.monotonic`.
    """

    points: list[Vector] = field(default_factory=list)
    fault: Fault | None = None
    gradient_changed: int | None = None
    group_changed: int | None = None
    groups: list[dict[str, float]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    state: set[str] = field(default_factory=set)
    buffers: list[Vector] = field(default_factory=list)
    counts: list[float] = field(default_factory=list)
    single: list[str] = field(default_factory=list)
    clock: float = 0.0


def drive(cls: type[Optim], trial: Trial, run: Run) -> None:
    """Fill a run with what a class does; its faults are kept, not raised."""
    places = [*zip(trial.parts, trial.shapes, strict=True)]
    params = [shaped(trial.start[part], shape).requires_grad_() for part, shape in places]
    run.points.append(trial.start)
    optimizer: Optim | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's on an old order of arguments, which is right all the same
            optimizer = cls(grouped(params, trial), **trial.hypers[0])
            run.groups = [numbers(group) for group in optimizer.param_groups]
            run.keys = {*optimizer.defaults}
            for t, gradient in enumerate(trial.gradients, start=1):
                given = [shaped(gradient[part], shape) for part, shape in places]
                for i, p in enumerate(params):
                    hand_over(given[i] if trial.has_gradient(i, t - 1) and not trial.closure else None, p, trial.reused)
                before = [*map(numbers, optimizer.param_groups)]
                run.clock = time.monotonic()
                if trial.closure:
                    optimizer.step(closure_of(params, given))
                else:
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
        first = state_of(optimizer, params[0])
        run.buffers = [value.double().flatten().tolist() for value in tensors(first, params[0])]
        run.counts = [*counts(first)]
        run.single = [name for name, value in first.items() if getattr(value, "dtype", None) == torch.float32
                      and value.shape == params[0].shape and isinstance(name, str)]  # fmt: skip
    except OutOfTime as error:
        run.fault = stopped(line_of(error), run)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        kind = "stub" if is_stub(error) else "raises"
        held = "" if optimizer is None else holdings(optimizer, params[0])
        run.fault = Fault(kind, first_line(error), line_of(error), held)


def shaped(values: Vector, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of its own, because the class must not change the trial."""
    return torch.tensor(values, dtype=torch.float64).reshape(shape).clone()


def stopped(where: str, run: Run | None = None) -> Fault:
    """The fault of a class that used up its time: slow if it finished many steps, otherwise endless."""
    said = f"It was stopped after {LIMIT:g} s"
    if run is None or len(run.points) < 3 or time.monotonic() - run.clock > LIMIT / 2:
        return Fault("endless", said, where)
    return Fault("slow", f"{said} of computing, in a trial of {NSTEPS} steps at step {len(run.points)}", where)


def closure_of(params: list[torch.Tensor], gradients: list[torch.Tensor]) -> Callable[[], torch.Tensor]:
    """A closure as a training loop writes it, for a loss that has these gradients."""

    def closure() -> torch.Tensor:
        for p in params:
            p.grad = None
        loss = torch.stack([(p * g).sum() for p, g in zip(params, gradients, strict=True)]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    return closure


def hand_over(gradient: torch.Tensor | None, p: torch.Tensor, reused: bool) -> None:
    """Set ``p.grad``: to a tensor of its own, or to None, or by overwriting the one that is there."""
    if gradient is not None and reused and p.grad is not None and p.grad.shape == gradient.shape:
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
    kept = f"holds {' and '.join(state)}" if state else "nothing"
    return f"`group` holds {' and '.join(group) or 'nothing'}, `state` {kept}"


def grouped(params: list[torch.Tensor], trial: Trial) -> list[Any]:
    """The parameters as a constructor gets them: a list, or groups; the first group has the constructor's values."""
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
    point = [*trial.start]
    for i, (p, part, shape) in enumerate(zip(params, trial.parts, trial.shapes, strict=True)):
        if p.dtype != torch.float64:
            kind = str(p.dtype).removeprefix("torch.")
            run.fault = Fault("type", f"step {t} makes a parameter of float64 one of {kind}")
            return
        if tuple(p.shape) != shape:
            run.fault = Fault("shape", f"step {t} gives a parameter of shape {shape} the shape {tuple(p.shape)}")
            return
        point[part] = p.detach().flatten().tolist()
        if trial.closure and p.grad is None:
            run.fault = Fault("raises", f"Closure: step {t} does not call its closure, which computes the gradients")
            return
        if p.grad is None or not trial.has_gradient(i, t - 1):
            same = (p.grad is None) != trial.has_gradient(i, t - 1)
        else:
            same = p.grad.detach().flatten().tolist() == trial.gradients[t - 1][part]
        if not same and run.gradient_changed is None:
            run.gradient_changed = t
    run.points.append(point)


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
        elif isinstance(value, float):
            kinds.add("count" if value.is_integer() else "number")
    return kinds


def counts(state: Mapping[Any, Any]) -> Iterator[float]:
    """The whole numbers in the state of a parameter, which may be counters."""
    for value in state.values():
        if isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.ndim == 0):
            yield from [float(value)] if float(value).is_integer() else []


def tensors(state: Mapping[Any, Any], p: torch.Tensor) -> list[torch.Tensor]:
    """The tensors of a parameter's shape in its state."""
    found = [value.detach() for value in state.values() if isinstance(value, torch.Tensor) and value.shape == p.shape]
    return [value for value in found if value.layout == torch.strided and value.device == p.device]


def shared(state: Mapping[Any, Any], p: torch.Tensor) -> set[str]:
    """Whether a tensor in the state of a parameter is the gradient itself, or two of them are one."""
    places = [value.data_ptr() for value in tensors(state, p)]
    kinds = {"twice"} if len(set(places)) < len(places) else set()
    kinds |= {"p"} if p.data_ptr() in places else set()
    return kinds | ({"p.grad"} if p.grad is not None and p.grad.data_ptr() in places else set())


# --- how a class is written ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Description:
    """How a class is written, as far as the verdict needs it.

    Attributes:
        takes: the names of the arguments of its constructor; ``**`` stands for any.
        asks: those of them, without the first, that have no default.
        methods: the names of the arguments of its ``__init__`` and ``my_step``, where they are plain functions.
        empty: whether its ``my_step`` does nothing.
        rebinds: whether its ``my_step`` gives the name ``p`` to something else, or changes a tensor of its own.
    """

    takes: list[str]
    asks: list[str]
    methods: dict[str, list[str]]
    empty: bool
    rebinds: bool

    def given(self, hyper: Sequence[str]) -> list[str]:
        """The hyper-parameters that the constructor can be given."""
        return [name for name in hyper if name in self.takes or "**" in self.takes]

    def lacks(self, hyper: Sequence[str]) -> list[str]:
        return [name for name in hyper if name not in self.given(hyper) and name not in UNASKED]

    def extra(self, hyper: Sequence[str]) -> list[str]:
        return [name for name in self.asks if name not in hyper]


NOTHING = {"RESUME", "NOP", "CACHE", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST"}
"""The statements of a function that does nothing."""


def describe(cls: type[Optim]) -> Description:
    """How a class is written. Reading can run code of the class, so the trial's own process does it."""
    takes, asks, methods = ["**"], [], {}
    with contextlib.suppress(TypeError, ValueError):
        parameters = inspect.signature(cls).parameters
        takes = ["**" if p.kind is p.VAR_KEYWORD else name for name, p in parameters.items()]
        free = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        asks = [name for name, p in parameters.items() if p.default is p.empty and p.kind not in free][1:]
    for method in ("__init__", "my_step"):
        function = inspect.getattr_static(cls, method)
        with contextlib.suppress(TypeError, ValueError):
            if inspect.isfunction(function):
                methods[method] = [*inspect.signature(function).parameters]
    try:
        codes = [*dis.get_instructions(cls.my_step)]
    except TypeError:
        codes = []
    empty = bool(codes) and {code.opname for code in codes} <= NOTHING
    stored = [(one, two) for one, two in itertools.pairwise(codes) if two.opname.startswith("STORE_FAST")]
    rebinds = any(
        "p" in stored_names(two) or (one.opname == "BINARY_OP" and one.argrepr.endswith("=")) for one, two in stored
    )
    return Description(takes, asks, methods, empty, rebinds)


def stored_names(code: dis.Instruction) -> tuple[str, ...]:
    """The names to which an instruction gives a value. From Python 3.13 on, one may store two, or store and load."""
    names = code.argval if isinstance(code.argval, tuple) else (code.argval,)
    return names if code.opname == "STORE_FAST_STORE_FAST" else names[:1]


# --- all runs ------------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """What is known of a class after its trials.

    Attributes:
        description: how it is written.
        pairs: the trials and their runs. The last run can be incomplete.
        printed: what it printed.
    """

    description: Description
    pairs: list[tuple[Trial, Run]]
    printed: Printed


def put_through(cls: type[Optim], hyper: Sequence[str]) -> Told:
    """Run a class through all trials, within `LIMIT` seconds of computing.

    Args:
        cls: the class.
        hyper: the hyper-parameters of the equation. A class that can't be made with them is not run.
    """

    def plan(about: Description) -> Plan:
        if about.lacks(hyper) or about.extra(hyper):
            return [], lambda _: []
        given = about.given(hyper)
        # The groups must call it lr, because a scheduler knows no other name.
        return trials(given, given)[:1], lambda run: trials(given, {"lr", *(run.keys or given)})[1:]

    return run_all(cls, plan)


Plan = tuple[list[Trial], Callable[[Run], list[Trial]]]
"""A first trial, or none, and the trials that follow once its run is known."""


End = Callable[[Any], None]
"""Ends a task at once, with the result that it is given."""


def run_all(cls: type[Optim], plan: Callable[[Description], Plan]) -> Told:
    """Run a class through the trials of a plan, in a process of its own where there can be one."""

    def task(end: End) -> Any:
        told: dict[str, Any] = {"about": None, "runs": []}
        runs: list[Run] = []

        def tell() -> dict[str, Any]:
            return {**told, "runs": [plain(run) for run in runs]}

        def give_up(where: str) -> None:
            if runs:
                runs[-1].fault = stopped(where, runs[-1])
            end(tell())

        try:
            with deadline(give_up):
                about = describe(cls)
                told["about"] = asdict(about)
                first, rest = plan(about)
                for trial in first:
                    runs.append(Run())
                    drive(cls, trial, runs[-1])
                for trial in rest(runs[0]) if runs else []:
                    if runs[-1].fault and runs[-1].fault.kind in LAST:
                        break
                    runs.append(Run())
                    drive(cls, trial, runs[-1])
        except OutOfTime as error:  # thrown between two runs
            if runs:
                runs[-1].fault = runs[-1].fault or stopped(line_of(error), runs[-1])
        return tell()

    # Torch imports many modules at the first optimizer, and the class must not pay for that.
    Optim([torch.zeros(1)], {})
    if sys.platform == "linux":
        from optim_code.marking.watched import forked

        data, printed = forked(task, LIMIT)
    else:
        data, printed = beside(task)
    try:
        if isinstance(data, Fault):
            raise Forged
        return read(data, plan, printed)
    except Forged:
        fault = data if isinstance(data, Fault) else Fault("tampers", "What came back is no record of its steps")
        fault = stopped("") if fault.kind == "endless" else fault
        about = Description(["**"], [], {}, False, False)
        first, _ = plan(about)
        return Told(about, [(first[0], Run([first[0].start], fault))], printed)


def deadline(give_up: Callable[[str], None]) -> contextlib.AbstractContextManager[Any]:
    """What ends a class that uses up its time. A page has no threads: who runs its Python in a worker ends that."""
    if sys.platform == "emscripten":
        return contextlib.nullcontext()
    from optim_code.marking.watched import Deadline

    return Deadline(LIMIT, give_up)


LAST = ("endless", "slow", "stub")
"""The faults after which there is no further trial."""


def beside(task: Callable[[End], Any]) -> tuple[Any, Printed]:
    """Do a task in this process. Its result becomes plain data too, so that both ways give the same."""
    printed = Printed()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        return task(lambda _: None), printed


# --- a record as plain data ----------------------------------------------------------------------------------------


class Forged(ValueError):
    """What came back is no record of the trials."""


def plain(run: Run) -> dict[str, Any]:
    """A run as numbers, texts, lists and dictionaries. The start is left out, because the caller knows it."""
    return {
        "points": [[*point] for point in run.points[1:]],
        "fault": None if run.fault is None else [run.fault.kind, run.fault.text, run.fault.where, run.fault.held],
        "gradient_changed": run.gradient_changed,
        "group_changed": run.group_changed,
        "groups": run.groups,
        "keys": [key for key in run.keys if isinstance(key, str)],
        "state": [*run.state],
        "buffers": run.buffers,
        "counts": run.counts,
        "single": run.single,
    }


def read(data: Any, plan: Callable[[Description], Plan], printed: Printed) -> Told:
    """What a class did, from the data that came back, which is checked and not trusted.

    Raises:
        Forged: if it isn't what the trials of the plan give.
    """
    about, runs = (part(data, name) for name in ("about", "runs"))
    methods = part(about, "methods")
    description = Description(
        texts(part(about, "takes")),
        texts(part(about, "asks")),
        {method: texts(methods[method]) for method in ("__init__", "my_step") if method in expect(methods, dict)},
        expect(part(about, "empty"), bool),
        expect(part(about, "rebinds"), bool),
    )
    first, rest = plan(description)
    told = Told(description, [], printed)
    records = expect(runs, list)
    planned = [*first]
    for n, record in enumerate(records):
        if n >= len(planned):
            raise Forged("there are more runs than trials")
        told.pairs.append((planned[n], read_run(record, planned[n])))
        if n == 0:
            planned += rest(told.pairs[0][1])
    last = told.pairs[-1][1].fault if told.pairs else None
    if len(told.pairs) < len(planned) and not (last and last.kind in LAST):
        raise Forged("there are fewer runs than trials")
    return told


def read_run(record: Any, trial: Trial) -> Run:
    """One run of a record."""
    size = len(trial.start)
    points = [vector(point, size) for point in expect(part(record, "points"), list)]
    told = part(record, "fault")
    fault = None
    if told is not None:
        kind, text, where, held = (line(one) for one in several(told, 4))
        if kind not in KINDS:
            raise Forged("an unknown fault")
        fault = Fault(kind, text, where, held)
    if len(points) > trial.steps or (fault is None and len(points) < trial.steps):
        raise Forged("the wrong number of steps")
    gradient, group = (part(record, name) for name in ("gradient_changed", "group_changed"))
    if not all(step is None or (type(step) is int and 1 <= step <= trial.steps) for step in (gradient, group)):
        raise Forged("no number of a step")
    groups = [
        {line(name): number(value) for name, value in expect(group, dict).items()}
        for group in expect(part(record, "groups"), list)
    ]
    numel = math.prod(trial.shapes[0])
    return Run(
        [trial.start, *points],
        fault,
        gradient,
        group,
        groups,
        {*texts(part(record, "keys"))},
        {*texts(part(record, "state"))},
        [vector(buffer, numel) for buffer in expect(part(record, "buffers"), list)],
        [number(count) for count in expect(part(record, "counts"), list)],
        texts(part(record, "single")),
    )


def part(data: Any, name: str) -> Any:
    if name not in expect(data, dict):
        raise Forged(f"{name} is missing")
    return data[name]


def expect(data: Any, kind: type) -> Any:
    if type(data) is not kind:
        raise Forged(f"no {kind.__name__}")
    return data


def several(data: Any, count: int) -> list[Any]:
    if len(expect(data, list)) != count:
        raise Forged(f"not {count}")
    return list(data)


def number(data: Any) -> float:
    if type(data) not in (int, float) or (type(data) is int and abs(data) > 1 << 62):
        raise Forged("no number")
    return float(data)


def vector(data: Any, size: int) -> Vector:
    return [number(one) for one in several(data, size)]


def line(data: Any) -> str:
    """A text for one line of a verdict: nothing in it moves a terminal's cursor, and it is short."""
    return "".join(c if c.isprintable() else " " for c in expect(data, str))[:600]


def texts(data: Any) -> list[str]:
    return [line(one) for one in expect(data, list)]


@dataclass
class Probed:
    """What a wrong class does if one thing is changed.

    Attributes:
        deaf: the hyper-parameters that can be changed without any change of its steps.
        repeats: whether it takes the same steps a second time.
        mixes: whether the gradient of one coordinate moves another one.
        looks_at_w: whether its steps depend on where it starts.
        shapes: for each shape of a parameter whether the class comes through.
    """

    deaf: list[str]
    repeats: bool
    mixes: bool
    looks_at_w: bool
    shapes: dict[tuple[int, ...], bool]


def probe(cls: type[Optim], hyper: Sequence[str]) -> Probed:
    """Change one thing at a time in a short run of a class."""
    values, other, *_ = settings(hyper)
    first = Trial("", ((2,),), (0,), (values,), 1, steps=30)
    changed = [replace(first, hypers=({**values, name: other[name]},)) for name in hyper]
    shaped = [replace(first, shapes=(shape,)) for shape in ((1,), (2,), (3, 4), (2, 3, 2))]
    changed += [first, replace(first, scale=1.0), replace(first, origin=99)]
    pairs = run_all(cls, lambda _: ([first], lambda _: [*changed, *shaped])).pairs
    steps = [differences(run.points) for _, run in pairs]
    shapes = {trial.shapes[0]: not run.fault for trial, run in pairs[len(changed) + 1 :]}
    if pairs[0][1].fault or not finite(steps[0]) or len(pairs) <= len(changed):
        return Probed([], True, False, False, shapes)
    deaf = [name for name, own in zip(hyper, steps[1:], strict=False) if own == steps[0]]
    again, mixed, moved = steps[len(hyper) + 1 : len(hyper) + 4]
    mixes = len(mixed) == len(steps[0]) and [step[0] for step in mixed] != [step[0] for step in steps[0]]
    looks = len(moved) == len(steps[0]) and not alike(moved, steps[0], rtol=1e-6, atol=1e-13)
    return Probed(deaf, again == steps[0], mixes, looks, shapes)


# --- numbers -------------------------------------------------------------------------------------------------------


def differences(points: Sequence[Vector]) -> list[Vector]:
    """The steps of a path."""
    return [[b - a for a, b in zip(*pair, strict=True)] for pair in itertools.pairwise(points)]


def finite(rows: Sequence[Vector]) -> bool:
    return all(math.isfinite(x) for row in rows for x in row)


def alike(ours: Sequence[Vector], theirs: Sequence[Vector], rtol: float, atol: float = 1e-8) -> bool:
    """Whether all numbers of two tables are near each other, relative to the second."""
    return all(
        x == y or abs(x - y) <= atol + rtol * abs(y) < math.inf
        for one, other in zip(ours, theirs, strict=True)
        for x, y in zip(one, other, strict=True)
    )
