"""One number of several: of all in a tensor, or of those along a dimension."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from . import _numbers as types
from ._numbers import Numbers
from ._numbers import dtype as Kind
from ._operations import arithmetic, where
from ._shapes import within
from ._tensor import Tensor, Values, new, record, underivable
from .autograd.graph import Saved


def dimensions(one: Tensor, dim: Any) -> list[int]:
    if dim is None or dim == () or dim == []:
        return [*range(one.ndim)]
    dims = [within(d, one.ndim) for d in ([dim] if isinstance(dim, int) else dim)]
    if len({*dims}) < len(dims):
        raise RuntimeError(f"dim {max(dims, key=dims.count)} appears multiple times in the list of dims")
    return dims


def reduced(one: Tensor, dim: Any, keepdim: bool, function: Callable[[Numbers], Any], kind: Kind) -> Tensor:
    """One number of all, or of all along some dimensions."""
    over = dimensions(one, dim)
    if len(over) >= one.ndim:
        shape = (1,) * one.ndim if keepdim else ()
        rows = [one._values()]
    else:
        kept = [d for d in range(one.ndim) if d not in over]
        last = one.detach().permute(*kept, *over)._values()
        size = math.prod(one._shape[d] for d in over)
        count = math.prod(one._shape[d] for d in kept)
        rows = [last[i * size : (i + 1) * size] for i in range(count)]
        shape = tuple(
            (1 if d in over else n) for d, n in enumerate(one._shape) if keepdim or d not in over
        )  # fmt: skip
    try:
        values = [function(row) for row in rows]
    except ValueError:  # of no numbers, where there must be some
        where = (
            f"dim {dim} to have non-zero size" if isinstance(dim, int) else "dim to be specified for input.numel() == 0"
        )
        raise (IndexError if isinstance(dim, int) else RuntimeError)(f"Expected reduction {where}.") from None
    return new(kind.stored(values), shape, kind)


def spread(g: Tensor, source: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """The gradient of a sum, for each of its terms."""
    if not keepdim:
        for d in sorted(dimensions(source, dim)) if source.ndim else ():
            g = g.unsqueeze(d)
    return g.expand(source._shape)


def spread_to_ends(source: Tensor, out: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """The gradient of a largest or smallest number goes in equal parts to all that have its value.

    Args:
        dim: None for `max`, `min` and `median`, which know a NaN again; `amax` and `amin` do not.
    """

    saved = Saved(source), Saved(out)

    def derivative(g: Tensor) -> tuple[Tensor]:
        own, end = (one() for one in saved)
        here = own == spread(end, source, dim, keepdim)
        if dim is None:
            here = here | ((own != own) & (end != end))
            return (where(here, g / here.sum(), 0.0),)
        count = here.sum(None if dim == () else dim, keepdim=True)
        return (spread(g, source, dim, keepdim) * here / count,)

    return record(out, "AmaxBackward0", (source,), derivative, saved)


def end_of(one: Tensor, dim: Any, keepdim: bool, function: Callable[[Numbers], Any], pair: str) -> Any:
    if isinstance(dim, Tensor):
        return arithmetic(pair, one, dim)
    if dim is None:
        return spread_to_ends(one, reduced(one, dim, keepdim, function, one.dtype), None, keepdim)
    return with_place(one, dim, keepdim, lambda x: x.index(function(x)))


def with_place(one: Tensor, dim: int, keepdim: bool, place: Callable[[Numbers], int]) -> Values:
    """Of each row along a dimension the number at the place that a function says, and the place."""
    out = reduced(one, dim, keepdim, lambda x: x[place(x)], one.dtype)
    at = reduced(one, dim, keepdim, place, types.int64)
    saved = Saved(at)

    def derivative(g: Tensor) -> tuple[Tensor]:
        steps = [1] * one.ndim
        steps[dim : dim + 1 or None] = one._shape[dim : dim + 1 or None]
        order = new([*range(math.prod(steps))], steps, types.int64)
        return (where(order == spread(saved(), one, dim, keepdim), spread(g, one, dim, keepdim), 0.0),)

    return Values(record(out, "MaxBackward0", (one,), derivative, [saved]), at)


def running(one: Tensor, dim: int, function: Callable[[Numbers], Numbers], kind: Kind | None = None) -> Tensor:
    """What a function makes of each row along a dimension: a row of the same length."""
    dimensions(one, dim)
    if not one._shape:
        return new(function(one._values()), (), kind or one.dtype)
    turned = one.detach().transpose(dim, -1)
    values, size = turned._values(), turned._shape[-1]
    rows = [function(values[i : i + size]) for i in range(0, len(values), size or 1)]
    kind = kind or (one.dtype if one.dtype.kind == 2 else types.int64)
    out = new(kind.stored([x for row in rows for x in row]), turned._shape, kind).transpose(dim, -1).contiguous()
    return underivable(out, "Cumsum", (one,), "what runs along a dimension, such as cumsum")
