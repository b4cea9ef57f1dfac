"""The base class of the book's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from optim_code.problems import real

# What each hyper-parameter may be. The comparisons are written so that NaN fails them.
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "lr": ("finite and >= 0", lambda x: 0.0 <= x < float("inf")),
    "eps": ("finite and >= 0", lambda x: 0.0 <= x < float("inf")),
    "momentum": (">= 0 and < 1", lambda x: 0.0 <= x < 1.0),
    "alpha": (">= 0 and < 1", lambda x: 0.0 <= x < 1.0),
    "weight_decay": ("finite and >= 0", lambda x: 0.0 <= x < float("inf")),
}

# What a group may hold besides hyper-parameters: labels, and what torch's schedulers keep there.
LABELS = {"params", "param_names", "name"}
SCHEDULED = {"initial_lr", "max_lr", "min_lr", "swa_lr", "max_momentum", "base_momentum"}


class Optim(torch.optim.Optimizer):
    """A :class:`torch.optim.Optimizer` whose subclass writes the update of one parameter and nothing else.

    Args:
        params: the tensors to optimize, or dictionaries of them with hyper-parameters of their own (groups).
        defaults: the hyper-parameters by name, used by every group that does not set its own.

    Raises:
        ValueError: if ``lr`` or ``eps`` is negative, infinite or NaN, or ``momentum`` or ``alpha`` lies outside
            [0, 1); if a group sets what the method does not have, such as ``weight_decay``.

    What torch does with an optimizer works: ``zero_grad``, ``state_dict``, parameter groups, hooks, learning-rate
    schedulers, ``torch.compile``. Five things are stricter, each with one line that says so:

    - NaN is refused, and so is a hyper-parameter that the method does not have.
    - ``lr`` may be a tensor without dimensions; the other hyper-parameters are plain numbers.
    - ``load_state_dict`` refuses the checkpoint of an optimizer with other hyper-parameters.
    - A method with an ``eps`` squares the gradient: it takes real parameters with dense gradients, not float16.
    - A scheduler that also cycles the momentum (``CyclicLR`` and ``OneCycleLR`` do) needs a method that has one;
      for SGD and RMSProp, give it ``cycle_momentum=False``. Torch's own have a momentum of 0, which is turned on then.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; torch calls this for the first groups too.

        Raises:
            ValueError: for a hyper-parameter that the method does not have, or that is out of its range.
        """
        if isinstance(param_group, dict):  # for anything else torch has a line of its own
            unknown = [name for name in param_group if name not in {*self.defaults, *LABELS, *SCHEDULED}]
            if unknown:
                known = ", ".join(self.defaults) or "nothing"
                raise ValueError(f"{type(self).__name__} has no {unknown[0]}; a group may set {known}")
            check_values({**self.defaults, **param_group})
        super().add_param_group(param_group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a checkpoint or a pickle; torch calls this when all is read, so a refusal changes nothing."""
        for mine, theirs in zip(self.__dict__.get("param_groups", ()), state["param_groups"], strict=False):
            here, there = ({*group} - LABELS - SCHEDULED - {"differentiable"} for group in (mine, theirs))
            if here != there:
                has, holds = (", ".join(sorted(map(str, names))) or "nothing" for names in (here, there))
                raise ValueError(f"{type(self).__name__} has {has}, but the checkpoint is of a method with {holds}")
            check_values(theirs)
        super().__setstate__(state)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: recomputes the loss and its gradients; called once, before the update.

        Returns:
            What ``closure`` returned, or None without one.

        Raises:
            TypeError: for a parameter of a type that the method cannot handle.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            check_types(self, params, group)
            for p in params:
                self.my_step(p, self.state[p], group)
            increment_version(params)  # `p.data` hides a change from autograd
        return loss

    def my_step(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update one parameter in place: the method that a subclass writes.

        Args:
            p: the parameter; ``p.data`` holds its values, ``p.grad.data`` its gradient, of the same shape. ``step``
                runs under ``no_grad``, so ``p`` and ``p.grad`` will do as well.
            state: what the optimizer remembers of this parameter from step to step; empty at the first step.
            group: the hyper-parameters by name, such as ``group["lr"]``; read them at every step,
                because a scheduler may change them.

        Raises:
            NotImplementedError: if the subclass does not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define my_step(self, p, state, group)")


def check_values(group: dict[str, Any]) -> None:
    """Check the hyper-parameters of a group.

    Raises:
        ValueError: for one that is out of its range, or a tensor where a number is wanted.
    """
    for name in RANGES.keys() & group.keys():
        value, (expected, holds) = group[name], RANGES[name]
        if isinstance(value, Tensor) and (name != "lr" or value.ndim or value.requires_grad):
            wanted = "a number, or a tensor without dimensions and gradient" if name == "lr" else "a plain number"
            raise ValueError(f"{name} must be {wanted}, got a tensor of shape {tuple(value.shape)}")
        if not holds(real(value)):
            raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_types(optimizer: Optim, params: list[Tensor], group: dict[str, Any]) -> None:
    """Refuse parameters whose gradients cannot be squared, in a method that squares: it has an ``eps``.

    In float16 squares overflow from 256 on, and turn to zero below 0.0002; the square of a complex number is not that
    of its size.

    Raises:
        TypeError: for a float16 or complex parameter, or a sparse gradient.
    """
    for p in params if "eps" in group else ():
        kind = "" if p.grad is None or p.grad.layout == torch.strided else "sparse gradients"
        kind = str(p.dtype) if p.is_complex() or p.dtype == torch.float16 else kind
        if kind:
            raise TypeError(
                f"{type(optimizer).__name__} squares gradients, which fails for {kind}; "
                "use dense float32, float64 or bfloat16"
            )
