"""Putting somebody else's optimizer through recorded gradients, and coming back whatever it does.

What a class computes is looked at by `optim_code.checking`. Here is only how it is run: several starts, settings and
shapes, and a class that may raise, print, change what isn't its own, or never end.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import io
import os
import pickle
import random
import select
import signal
import sys
import sysconfig
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .equations import NOTATION, Vector
from .optim import Optim

NSTEPS = 50
LIMIT = 10.0  # seconds for all trials of one class; a right one takes a few tenths
UNASKED = {"eps": 1e-8}
"""What a constructor need not take, and the value that the class then has to use."""

HERE = Path(__file__).parent
NOT_THEIRS = (str(HERE), sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))


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
    """

    what: str
    shapes: tuple[tuple[int, ...], ...]
    groups: tuple[int, ...]
    hypers: tuple[dict[str, Any], ...]
    seed: int

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
        """The gradient of each step, shape ``(NSTEPS, d)``.

        They follow no path, so nothing feeds back, and two right programs cannot part (DESIGN, chaos). Every other
        coordinate is small, for there even an epsilon of 1e-8 counts.
        """
        draws = np.random.default_rng(self.seed + 1).normal(0.5, 1.5, (NSTEPS, len(self.start)))
        return draws * np.where(np.arange(len(self.start)) % 2, 1e-4, 1.0)

    def __str__(self) -> str:
        settings = [", ".join(f"{name}={value:g}" for name, value in hyper.items()) for hyper in self.hypers]
        return f"{self.what}, {' and '.join(settings)}"


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
class Fault:
    """How a class broke off.

    Attributes:
        kind: ``raises``, ``stub`` (nothing is written yet), ``shape``, ``endless`` or ``died``.
        text: what happened, in words.
        where: in which line of the class, where that is known.
    """

    kind: str
    text: str
    where: str = ""

    @property
    def told(self) -> str:
        return f"{self.text}, {self.where}." if self.where else f"{self.text}."


@dataclass
class Run:
    """What a class did in one trial.

    Attributes:
        points: where the parameters were, the start first, as one vector each; all steps that it came to.
        fault: why it did not come to the end, or None.
        gradient_changed: the first step after which ``p.grad`` was not what it had been, or None.
        state: what it kept of each parameter at the end: ``tensor`` of the parameter's shape and not
            all zero, ``number``, ``count``.
    """

    points: list[Vector] = field(default_factory=list)
    fault: Fault | None = None
    gradient_changed: int | None = None
    state: set[str] = field(default_factory=set)


class OutOfTime(BaseException):
    """Thrown into a class that does not end."""


def drive(cls: type[Optim], trial: Trial, run: Run) -> None:
    """Fill a run with what a class does; its faults are kept, not raised."""
    # A copy each, for what a class does to its parameters must not reach the trial.
    starts = [trial.start[part].reshape(shape).copy() for part, shape in zip(trial.parts, trial.shapes, strict=True)]
    params = [torch.tensor(start, requires_grad=True) for start in starts]
    run.points.append(trial.start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's on an old order of arguments, which is right all the same
            optimizer = cls(grouped(params, trial), **trial.hypers[0])
            for t, gradient in enumerate(trial.gradients, start=1):
                for p, part in zip(params, trial.parts, strict=True):
                    p.grad = torch.tensor(gradient[part]).reshape(p.shape)
                optimizer.step()
                observe(params, trial, t, run)
                if run.fault:
                    return
        run.state = set().union(*(kept(optimizer.state.get(p, {}), p) for p in params))
    except OutOfTime as error:
        run.fault = Fault("endless", f"It was stopped after {LIMIT:g} s", line_of(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        kind = "stub" if isinstance(error, NotImplementedError) else "raises"
        run.fault = Fault(kind, f"{type(error).__name__}: {first_line(error)}", line_of(error))


def group_keys(cls: type[Optim], hyper: dict[str, Any]) -> set[str]:
    """The hyper-parameters that a class keeps in its groups under their own names; ``lr`` has to be one of them."""
    try:
        return {"lr", *cls([torch.zeros(1, requires_grad=True)], **hyper).defaults}
    except Exception:  # it will be told when the first trial meets it
        return set(hyper)


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


def kept(state: Any, p: torch.Tensor) -> set[str]:
    """The kinds of things in the state of a parameter."""
    kinds = set()
    for value in state.values() if isinstance(state, Mapping) else ():
        if isinstance(value, torch.Tensor) and value.shape == p.shape:
            kinds |= {"tensor"} if value.any() else set()
        elif isinstance(value, float) or (isinstance(value, torch.Tensor) and value.numel() == 1):
            kinds.add("count" if float(value).is_integer() else "number")
    return kinds


def first_line(error: BaseException) -> str:
    try:
        said = str(error).strip().splitlines() or [""]
    except Exception:
        said = ["(its text cannot be read)"]
    return said[0] if len(said[0]) <= 200 else f"{said[0][:200]}…"


def line_of(error: BaseException) -> str:
    """The last line of the class's own that an error came through; empty if it came through none."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(NOT_THEIRS) or frame.filename == str(HERE / "optimizers.py")
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f"in line {last.lineno} of {last.name}" + (f": `{last.line.strip()}`" if last.line else "")


# --- whatever it does ----------------------------------------------------------------------------------------------


class Printed(io.TextIOBase):
    """Takes what is printed, keeps the first line of it, and counts the rest."""

    def __init__(self) -> None:
        self.first = ""
        self.lines = 0

    def write(self, text: str) -> int:
        if not self.lines:
            self.first = (self.first + text.partition("\n")[0])[:80]
        self.lines += text.count("\n")
        return len(text)


Told = tuple[list[tuple[Trial, Run]], str, int]


def put_through(cls: type[Optim], hyper: Sequence[str]) -> Told:
    """Run a class through all trials, within `LIMIT` seconds.

    On Linux this happens in a forked process, so that nothing the class does reaches the caller, and one that sleeps,
    or waits for what never comes, is killed. Elsewhere a fork is missing (Windows) or unsafe (macOS, with threads);
    there the class runs here, and an exception is thrown into it, which ends every loop of Python, but no sleep.

    Args:
        cls: the class.
        hyper: the hyper-parameters that its constructor is given.

    Returns:
        The trials and their runs, of which the last may have been broken off; the first line that the class printed;
        how many lines it did.
    """

    def task() -> Told:
        pairs: list[tuple[Trial, Run]] = []
        printed = Printed()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), Deadline(LIMIT):
            for trial in trials(hyper, group_keys(cls, next(settings(hyper)))):
                pairs.append((trial, Run()))
                drive(cls, *pairs[-1])
                fault = pairs[-1][1].fault
                if fault and fault.kind in ("endless", "stub"):
                    break
        return pairs, printed.first, printed.lines + (printed.lines == 0 and printed.first != "")

    # Torch imports a good deal at the first optimizer: that is not the class's time.
    Optim([torch.zeros(1)], {})
    if sys.platform != "linux":
        return task()
    done = forked(task, LIMIT + 1)
    return ([(trials(hyper, hyper)[0], Run(fault=done))], "", 0) if isinstance(done, Fault) else done


class Deadline(contextlib.AbstractContextManager["Deadline"]):
    """Throws `OutOfTime` into the thread that entered, again and again from ``seconds`` on, until it leaves."""

    def __init__(self, seconds: float) -> None:
        self.thread = threading.get_ident()
        self.left = threading.Event()
        self.watch = threading.Thread(target=self.throw, args=[seconds], daemon=True)

    def throw(self, seconds: float) -> None:
        while not self.left.wait(seconds):
            self.set(ctypes.py_object(OutOfTime))
            seconds = 0.5  # it may have been caught

    def set(self, exception: Any) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread), exception)

    def __enter__(self) -> Deadline:
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.left.set()
        self.watch.join()
        self.set(None)  # what was thrown in this very moment


def forked(task: Callable[[], Any], seconds: float) -> Any:
    """What a task returns, or the fault that kept it from returning; done by a forked process, dead afterwards."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # There may be threads, as in a kernel: the child needs none of them, and none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            builtins.input = refuse_input  # a kernel's would ask over the parent's connection
            with open(writing, "wb") as pipe:
                pickle.dump(task(), pipe)
        finally:
            os._exit(0)
    os.close(writing)
    data, end = b"", time.monotonic() + seconds
    try:
        while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
            chunk = os.read(reading, 1 << 16)
            if not chunk:
                break
            data += chunk
        in_time = time.monotonic() < end
    finally:
        os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        os.close(reading)
    try:
        return pickle.loads(data)
    except (EOFError, pickle.UnpicklingError):
        if in_time:
            return Fault("died", "It ends the whole Python process")
        return Fault("endless", f"It was stopped after {LIMIT:g} s")


def refuse_input(*_: object) -> str:
    raise EOFError("there is nobody to ask while a class is checked")
