"""Shapes, and the steps from one number of a tensor to the next."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._tensor import Tensor


def row_by_row(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def steps_of(one: Tensor) -> tuple[int, ...]:
    return row_by_row(one._shape) if one._strides is None else one._strides


def sizes(given: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape that was given as one sequence or as several numbers."""
    if len(given) == 1 and not hasattr(given[0], "__index__"):
        given = tuple(given[0])
    return tuple(operator.index(size) for size in given)


def within(dim: int, count: int) -> int:
    """A dimension of so many, counted from 0."""
    most = max(count, 1)
    if not -most <= dim < most:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-most}, {most - 1}], but got {dim})")
    return dim % most


def fitting(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
    known = math.prod(size for size in shape if size != -1)
    if -1 in shape and known and numel % known == 0:
        shape = tuple(numel // known if size == -1 else size for size in shape)
    if math.prod(shape) != numel or -1 in shape:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    return shape


def joint_shape(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of two tensors that meet, each repeated where it has one row for several of the other."""
    if one == other:
        return one
    count = max(len(one), len(other))
    shape = []
    for i, (a, b) in enumerate(zip((1,) * (count - len(one)) + one, (1,) * (count - len(other)) + other, strict=True)):
        if a != b and 1 not in (a, b):
            raise RuntimeError(
                f"The size of tensor a ({a}) must match the size of tensor b ({b}) at non-singleton dimension {i}"
            )
        shape.append(b if a == 1 else a)
    return tuple(shape)


def summed_to(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A gradient of what was repeated, added up to the shape that it had before."""
    if g._shape == shape:
        return g
    more = g.ndim - len(shape)
    over = [*range(more), *(i + more for i, size in enumerate(shape) if size == 1 and g._shape[i + more] != 1)]
    return g.sum(over, keepdim=True).reshape(shape) if over else g.reshape(shape)
