"""Running an optimizer, and what is known of a run afterwards."""

from __future__ import annotations

import cmath
import inspect
import math
import operator
import pickle
import threading
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optim_code.problems import Quadratic, lecture_bowl, real

# A run holds this lock, because two runs at the same time would move the same parameter, the book's ``w``.
ONE_RUN = threading.RLock()


@dataclass(frozen=True)
class Trajectory:
    """One run of an optimizer, from the start on.

    Attributes:
        points: the iterates, shape ``(nsteps + 1, d)``, float64; ``points[0]`` is the start.
        losses: the true cost (without noise) at each of them, shape ``(nsteps + 1,)``.
        gradients: the gradient that each update saw (with its noise), shape ``(nsteps, d)``.
        problem: the landscape.
        optimizer: the optimizer and its hyper-parameters in words.
        setting: what was run, in numbers: the optimizer's class and hyper-parameters, ``nsteps``, ``noise``, ``seed``.
    """

    points: Tensor
    losses: Tensor
    gradients: Tensor
    problem: Quadratic
    optimizer: str
    setting: dict[str, Any]

    @property
    def nsteps(self) -> int:
        """The number of updates."""
        return len(self.gradients)

    @property
    def distances(self) -> Tensor:
        """The distance to the minimum at each iterate, shape ``(nsteps + 1,)``."""
        return torch.linalg.vector_norm(self.points - self.problem.minimum, dim=1)

    def steps_to(self, distance: float) -> int | None:
        """The first step after which the iterate is within ``distance`` of the minimum; None if there is none."""
        hits = torch.nonzero(self.distances <= distance)
        return int(hits[0]) if len(hits) else None

    def rows(self) -> list[list[float | None]]:
        """The run, a row for each point: the step, the point, its true cost, the gradient that the update there saw.

        From the last point there is no update; in place of its gradient stands None.
        """
        unseen: list[float | None] = [None] * self.points.shape[1]
        seen = zip(self.points.tolist(), self.losses.tolist(), [*self.gradients.tolist(), unseen], strict=True)
        return [[step, *point, loss, *gradient] for step, (point, loss, gradient) in enumerate(seen)]

    @property
    def crossings(self) -> int:
        """How often the path changes sides of the valley floor, the axis of smallest curvature through the minimum."""
        steepest = torch.linalg.eigh(self.problem.A).eigenvectors[:, -1]
        side = torch.sign((self.points - self.problem.minimum) @ steepest)
        side = side[side != 0]
        return int((side[1:] != side[:-1]).sum())

    @property
    def diverged(self) -> bool:
        r"""Whether the run leaves the minimum for good. A loss that ends above the first is not enough.

        A run has diverged if one of these holds:

        - a loss is not a finite number;
        - its steps obey :math:`w_{t+1} - w_t = \beta (w_t - w_{t-1}) - \eta g_t` for two constants (SGD and momentum
          do, with noise or without; three steps show it), or the same with a third constant times
          :math:`g_{t-1}` (Nesterov's momentum; four steps show it), and theory says that such steps grow: a
          root of the characteristic polynomial is larger than 1 in a direction of the bowl in which the run moves.

        So transients, noise and the limit itself are no divergence, and neither is a run that stays at the minimum.
        Any other method, such as RMSProp or Adam, has diverged only if its loss is not a finite number.
        """
        if not bool(self.losses.isfinite().all()):
            return True
        rule = self._linear_rule()
        if rule is None:
            return False
        curvatures, directions = torch.linalg.eigh(self.problem.A)
        apart = self.points - self.problem.minimum
        moved = (apart @ directions).abs().amax(0) > 1e-12 * self.points.abs().max()
        return any(_radius(rule, float(curvature)) > 1 + 1e-8 for curvature in curvatures[moved])

    def _linear_rule(self) -> Tensor | None:
        r"""The constants :math:`\beta, -\eta` and perhaps a third that all steps obey; None if there are none."""
        if self.nsteps < 3:
            return None
        steps, size = self.points.diff(dim=0), self.points.abs().amax(1)
        last_steps, last_gradients = (torch.cat([torch.zeros_like(x[:1]), x[:-1]]) for x in (steps, self.gradients))
        # All steps have the same weight, however far out; a step as small as the rounding of its points has none.
        scale = torch.maximum(steps.abs().amax(1), last_steps.abs().amax(1))
        counts = scale > 1e-6 * torch.maximum(size[1:], size[:-1])
        known = [(x[counts] / scale[counts, None]).flatten() for x in (last_steps, self.gradients, last_gradients)]
        wanted = (steps[counts] / scale[counts, None]).flatten()
        for number in (2, 3):
            if int(counts.sum()) > number:
                columns = torch.stack(known[:number], dim=1)
                norms = columns.norm(dim=0).clamp(min=1e-300)
                rule: Tensor = torch.linalg.lstsq(columns / norms, wanted, driver="gelsd").solution / norms
                # A constant of 1 or more is no momentum: equal steps, such as those of sign descent, give one.
                if abs(float(rule[0])) < 1 and bool((columns @ rule - wanted).abs().max() < 1e-8):
                    return rule
        return None

    def summary(self, within: float = 1e-3) -> str:
        """The run in words, computed from it: how near it came, and how often it crossed the valley."""
        crossings = (
            "never crossing the valley" if self.crossings == 0 else f"crossing the valley {times(self.crossings)}"
        )
        reached = self.steps_to(within)
        if self.diverged:
            course = ", though the loss falls" if self.losses[-1] <= self.losses[0] else ": the loss grows"
            ending = f"diverges{course} from {self.losses[0]:.3g} to {self.losses[-1]:.3g} in {steps(self.nsteps)}"
        elif reached is not None:
            ending = f"comes within {within:g} of the minimum in {steps(reached)}"
        else:
            ending = f"is {self.distances[-1]:.2g} from the minimum after {steps(self.nsteps)}"
            if self.distances[-1] > self.distances[0]:
                ending += ", farther out than it began"
        return f"{ending}, {crossings}"


def _radius(rule: Tensor, curvature: float) -> float:
    """The largest absolute value of a root of a linear rule's characteristic polynomial in one direction of a bowl."""
    momentum, gradient, last_gradient = [*rule.tolist(), 0.0][:3]
    trace = 1 + momentum + gradient * curvature
    root = cmath.sqrt(trace**2 - 4 * (momentum - last_gradient * curvature))
    return max(abs(trace + root), abs(trace - root)) / 2


def steps(count: int) -> str:
    """``1 step``, ``2 steps``."""
    return f"{count} step" if count == 1 else f"{count} steps"


def times(count: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def descend(
    optimizer: torch.optim.Optimizer,
    problem: Quadratic | None = None,
    nsteps: int = 20,
    noise: float = 0.0,
    seed: int = 0,
) -> Trajectory:
    r"""Run an optimizer from where its parameter stands, and put all back afterwards: parameter, state, groups.

    So a run can be repeated: the same call gives the same trajectory. Only what a class keeps elsewhere than in
    ``state`` outlasts the run; if that is on ``self``, a warning says so.

    Args:
        optimizer: any torch optimizer of one parameter, a vector of shape ``(d,)``, whose step needs no closure.
        problem: the landscape; the lecture's bowl if not given.
        nsteps: the number of updates, >= 0.
        noise: the standard deviation :math:`\sigma` of each coordinate of the gradient's noise, >= 0.
        seed: of the noise. Two runs with the same seed meet the same draws, whatever the optimizer and the noise level.

    Returns:
        The trajectory, ``nsteps + 1`` points, float64.

    Raises:
        TypeError: if the optimizer or the problem is something else.
        ValueError: if the optimizer has not exactly one vector that fits the problem, its step needs a closure, it
            begins where the cost is no finite number, or an argument is out of range.
    """
    # Gradients are needed, whatever mode the caller is in.
    with ONE_RUN, torch.inference_mode(False), torch.enable_grad():
        problem = lecture_bowl() if problem is None else problem
        p = parameter_of(optimizer, problem)
        if not math.isfinite(problem(p.detach())):
            where = ", ".join(f"{x:g}" for x in p.tolist())
            raise ValueError(f"a run must start where the cost is finite, got ({where})")
        nsteps, seed = whole_number("nsteps", nsteps, 0, math.inf), whole_number("seed", seed, -(2**63), 2**64 - 1)
        noise = noise_level(noise)
        generator = torch.Generator().manual_seed(seed)
        name, described = type(optimizer).__name__, describe(optimizer)
        setting = {**numbers(optimizer), "nsteps": nsteps, "noise": noise, "seed": seed}

        data, grad, state = p.data, p.grad, optimizer.state
        start, groups, own = data.clone(), [dict(group) for group in optimizer.param_groups], own_values(optimizer)
        lengths = {name: len(value) for name, value in vars(optimizer).items() if isinstance(value, list)}
        points, gradients = [start], []
        optimizer.state = defaultdict(dict)
        try:
            for _ in range(nsteps):
                # One draw for each step, so a longer run begins with the draws of a shorter one.
                xi = noise * torch.randn(start.shape, generator=generator, dtype=torch.float64) if noise else 0.0
                (p.grad,) = torch.autograd.grad(problem(p, xi), p)
                gradients.append(p.grad.clone())
                optimizer.step()
                points.append(p.detach().clone())
        except RuntimeError as error:
            if not type(optimizer).__module__.startswith("torch."):
                raise
            raise ValueError(f"{name} cannot make this run: {str(error).partition(chr(10))[0]}") from None
        finally:
            p.data = data.copy_(start)
            p.grad, optimizer.state = grad, state
            for group, values in zip(optimizer.param_groups, groups, strict=False):
                group.clear()
                group.update(values)
    changed = [attribute for attribute, value in own_values(optimizer, lengths).items() if own.get(attribute) != value]
    if changed:
        warnings.warn(
            f"{name} keeps {', '.join(changed)} on self, which outlasts the run, so another run may differ; "
            "keep it in state, or make a new optimizer for each run",
            stacklevel=2,
        )
    path = torch.stack(points)
    return Trajectory(
        points=path,
        losses=problem(path),
        gradients=torch.stack(gradients) if gradients else path[:0],
        problem=problem,
        optimizer=described,
        setting=setting,
    )


def parameter_of(optimizer: torch.optim.Optimizer, problem: Quadratic) -> Tensor:
    """The one parameter of an optimizer that is to run on a problem.

    Raises:
        TypeError, ValueError: as `descend` says.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        what = f"the class {optimizer.__name__}" if isinstance(optimizer, type) else type(optimizer).__name__
        raise TypeError(f"descend needs an optimizer, such as SGDOptimizer([w], lr=0.1), got {what}")
    if not isinstance(problem, Quadratic):
        raise TypeError(f"problem must be a Quadratic, such as bowl(5), got {type(problem).__name__}")
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is closure.empty:
        raise ValueError(f"descend needs an optimizer whose step takes no closure, got {type(optimizer).__name__}")
    params = [p for group in optimizer.param_groups for p in group["params"]]
    if len(params) != 1:
        raise ValueError(f"descend needs an optimizer of one parameter, got {len(params)}")
    p: Tensor = params[0]
    if p.shape != problem.b.shape:
        raise ValueError(
            f"the parameter must have shape {tuple(problem.b.shape)} to fit the problem, got {tuple(p.shape)}"
        )
    if p.dtype != torch.float64:
        raise ValueError(f"the parameter must be float64, got {p.dtype}; make it with dtype=torch.float64")
    if p.device != problem.b.device:
        raise ValueError(f"the parameter must be on {problem.b.device}, where the problem is, got {p.device}")
    if not p.requires_grad:
        raise ValueError("the parameter must have requires_grad=True, or there is no gradient to follow")
    if p.is_inference():
        raise ValueError("the parameter must be made outside inference_mode, or there is no gradient to follow")
    return p


def whole_number(name: str, value: Any, low: float, high: float) -> int:
    """The value as an int between two bounds.

    Raises:
        ValueError: if it is none.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        wanted = f">= {low}" if high == math.inf else "of 64 bits"
        raise ValueError(f"{name} must be a whole number {wanted}, got {value!r}")
    return number


def noise_level(noise: Any) -> float:
    """The noise as a float.

    Raises:
        ValueError: if it is no finite number >= 0.
    """
    if not 0.0 <= real(noise) < math.inf:
        raise ValueError(f"noise must be finite and >= 0, got {noise!r}")
    return real(noise)


def own_values(optimizer: torch.optim.Optimizer, lengths: Mapping[str, int] | None = None) -> dict[str, bytes]:
    """The numbers, tensors, dictionaries and lists that a class keeps on itself, pickled.

    Args:
        optimizer: the class's.
        lengths: how long its lists were before a run: what was added at the end since is a record, and left out.
    """
    found = {}
    for name, value in vars(optimizer).items():
        kept = isinstance(value, (int, float, Tensor, dict, list)) and not isinstance(value, bool)
        if kept and name not in ("defaults", "state", "param_groups") and not name.startswith("_optimizer_"):
            try:
                found[name] = pickle.dumps(value[: (lengths or {}).get(name)] if isinstance(value, list) else value)
            except Exception:  # pickle has no one error for what it cannot store
                continue
    return found


def numbers(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The class of an optimizer, and the hyper-parameters of its first group that are numbers, by name."""
    group = optimizer.param_groups[0]
    group = {k: v.item() if isinstance(v, Tensor) and v.numel() == 1 else v for k, v in group.items()}
    group = {k: v for k, v in group.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
    return {"optimizer": type(optimizer).__name__} | group


def describe(optimizer: torch.optim.Optimizer) -> str:
    """The optimizer in words, such as ``SGDMomentumOptimizer lr=0.1 momentum=0.5``; epsilon only if it is not 1e-8."""
    group = numbers(optimizer)
    values = [f"{name}={group[name]:g}" for name in ("lr", "alpha", "momentum") if name in group]
    values += [f"weight_decay={group['weight_decay']:g}"] if group.get("weight_decay") else []
    values += [f"eps={group['eps']:g}"] if group.get("eps", 1e-8) != 1e-8 else []
    return " ".join([type(optimizer).__name__, *values])
