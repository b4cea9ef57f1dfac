"""The base class of the book's optimizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# What each hyper-parameter may be. The comparisons are written so that NaN fails them.
RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "lr": ("finite and >= 0", lambda x: 0.0 <= x < float("inf")),
    "eps": ("finite and >= 0", lambda x: 0.0 <= x < float("inf")),
    "momentum": (">= 0 and < 1", lambda x: 0.0 <= x < 1.0),
    "alpha": (">= 0 and < 1", lambda x: 0.0 <= x < 1.0),
}


class Optim(torch.optim.Optimizer):
    """A :class:`torch.optim.Optimizer` whose subclass writes the update of one parameter and nothing else.

    Args:
        params: the tensors to optimize, or dictionaries of them with hyper-parameters of their own (groups).
        defaults: the hyper-parameters by name, used by every group that does not set its own.

    Raises:
        ValueError: if ``lr`` or ``eps`` is negative, infinite or NaN, or ``momentum`` or ``alpha`` lies outside
            [0, 1).

    Everything torch does with an optimizer works: ``zero_grad``, ``state_dict``, parameter groups,
    learning-rate schedulers. Unlike ``torch.optim``, NaN is refused.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; torch calls this for the first groups too, so here is the one check."""
        for name, value in {**self.defaults, **param_group}.items():
            expected, holds = RANGES.get(name, ("", None))
            if holds is not None and not _satisfies(holds, value):
                raise ValueError(f"{name} must be {expected}, got {value!r}")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: recomputes the loss and its gradients; called once, before the update.

        Returns:
            What ``closure`` returned, or None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.my_step(p, self.state[p], group)
        return loss

    def my_step(self, p: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Update one parameter in place: the method that a subclass writes.

        Args:
            p: the parameter; ``p.data`` holds its values, ``p.grad.data`` its gradient, of the same shape.
            state: what the optimizer remembers of this parameter from step to step; empty at the first step.
            group: the hyper-parameters by name, such as ``group["lr"]``; read them at every step, for a
                scheduler may change them.

        Raises:
            NotImplementedError: if the subclass does not write it.
        """
        raise NotImplementedError(f"{type(self).__name__} must define my_step(self, p, state, group)")


def _satisfies(holds: Callable[[float], bool], value: Any) -> bool:
    try:
        return bool(holds(float(value)))
    except (TypeError, ValueError):
        return False
