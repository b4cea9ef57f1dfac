"""The landscapes on which the optimizers run."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

START = (1.0, 1.0)
"""Where every run of the book begins."""


def real(value: Any) -> float:
    """The value as a float; NaN if it is no real number, and infinity if it is too large: comparisons refuse both."""
    if isinstance(value, Tensor):
        value = value.item() if value.numel() == 1 and not value.is_complex() else None
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


class Quadratic:
    r"""A quadratic cost, :math:`f(w) = \tfrac12 w^\top A w - b^\top w`.

    Args:
        A: symmetric positive definite matrix, shape ``(d, d)``; its eigenvalues are the curvatures.
        b: vector, shape ``(d,)``; zeros if not given. It moves the minimum to :math:`A^{-1}b`.

    Raises:
        ValueError: if ``A`` is not a symmetric positive definite matrix, or ``b`` does not fit it.

    Source: the chapter *The bowl*, equation ``def-quadratic``.
    """

    def __init__(self, A: Tensor, b: Tensor | None = None) -> None:
        # A bowl that is made in inference_mode works like any other.
        with torch.inference_mode(False):
            self.A = _numbers("A", A)
            if self.A.ndim != 2 or self.A.shape[0] != self.A.shape[1] or not torch.allclose(self.A, self.A.T):
                raise ValueError(f"A must be a symmetric matrix, got {self.A.tolist()}")
            if len(self.A) == 0:
                raise ValueError("A must have a row for each dimension, got none")
            self.curvatures = torch.linalg.eigvalsh(self.A)
            # The matrix of several bowls is diagonal; products with its zeros would take most of the time of a run.
            diagonal = self.A.diagonal()
            self._diagonal = diagonal if torch.equal(self.A, torch.diag(diagonal)) else None
            if not self.curvatures[0] > 0:
                raise ValueError(f"A must be positive definite, got eigenvalues {self.curvatures.tolist()}")
            self.b = torch.zeros(len(self.A), dtype=torch.float64) if b is None else _numbers("b", b)
            if self.b.shape != self.A.shape[:1]:
                raise ValueError(f"b must have shape {tuple(self.A.shape[:1])} to fit A, got {tuple(self.b.shape)}")

    def __call__(self, w: Tensor, xi: Tensor | float = 0.0) -> Tensor:
        r"""The cost at ``w``, with the noise ``xi`` injected into ``b``.

        Args:
            w: point, shape ``(..., d)``.
            xi: noise :math:`\xi`, shape ``(d,)``; 0 gives the true cost. It turns the gradient into
                :math:`Aw - b - \xi`, which is what a mini-batch does to it.

        Returns:
            The cost, shape ``(...)``.
        """
        Aw = w @ self.A if self._diagonal is None else w * self._diagonal
        cost: Tensor = (Aw * w).sum(-1) / 2 - ((self.b + xi) * w).sum(-1)
        return cost

    @property
    def minimum(self) -> Tensor:
        r"""The point :math:`w^\star = A^{-1}b` where the gradient vanishes, shape ``(d,)``."""
        return torch.linalg.solve(self.A, self.b)

    @property
    def condition_number(self) -> float:
        r""":math:`\kappa = L/\mu`, the largest curvature over the smallest."""
        return float(self.curvatures[-1] / self.curvatures[0])


def _numbers(name: str, values: Any) -> Tensor:
    """A copy of the values, as a float64 tensor."""
    try:
        numbers = torch.as_tensor(values, dtype=torch.float64).detach().clone()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a tensor of numbers, got {values!r:.60}") from None
    if not bool(numbers.isfinite().all()):
        raise ValueError(f"{name} must have finite numbers only, got {numbers.tolist()}")
    return numbers


def lecture_bowl() -> Quadratic:
    r"""The bowl of the book, :math:`f(w) = \tfrac12 (w_1^2 + 5 w_2^2)`, with curvatures 1 and 5."""
    return Quadratic(torch.diag(torch.tensor([1.0, 5.0], dtype=torch.float64)))


def bowl(condition_number: float = 5.0, rotation: float = 0.0) -> Quadratic:
    r"""A bowl in two dimensions with curvatures 1 and :math:`\kappa`; the book's, stretched and turned.

    Args:
        condition_number: :math:`\kappa \ge 1`.
        rotation: the angle in degrees by which its axes are turned, counterclockwise.

    Raises:
        ValueError: if an argument is out of range.
    """
    if not 1.0 <= real(condition_number) < math.inf:
        raise ValueError(f"condition_number must be finite and >= 1, got {condition_number!r}")
    if not math.isfinite(real(rotation)):
        raise ValueError(f"rotation must be a finite angle in degrees, got {rotation!r}")
    c, s = math.cos(math.radians(rotation)), math.sin(math.radians(rotation))
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    A = turn @ torch.diag(torch.tensor([1.0, condition_number], dtype=torch.float64)) @ turn.T
    return Quadratic((A + A.T) / 2)


def start() -> Tensor:
    """A fresh parameter at the start (1, 1), float64, ready for ``backward``."""
    return torch.tensor(START, dtype=torch.float64, requires_grad=True)
