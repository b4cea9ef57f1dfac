"""What stands in the brackets behind a tensor: numbers and slices give a view, lists and truths a copy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _numbers as types
from ._numbers import NotInThePage, Numbers

if TYPE_CHECKING:
    from ._tensor import Tensor


def flattened(data: Any) -> tuple[Numbers, tuple[int, ...]]:
    """The numbers of nested lists, and their shape. Tensors of one number stay what they are: they have a type.

    Raises:
        ValueError, TypeError: as PyTorch does, if rows differ in length or something is no number.
    """
    from ._operations import is_number
    from ._tensor import Tensor

    if isinstance(data, Tensor):
        if data._numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return [data], ()
    if is_number(data):
        return [data if isinstance(data, (int, float)) else float(data)], ()
    if isinstance(data, complex):
        raise NotInThePage("a complex number")
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if not isinstance(data, (list, tuple, range)):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    parts = [flattened(one) for one in data]
    shapes = {shape for _, shape in parts}
    if len(shapes) > 1:
        sizes = [shape[0] if shape else 0 for _, shape in parts]
        size = next(size for size in sizes if size != sizes[0])
        raise ValueError(f"expected sequence of length {sizes[0]} at dim 1 (got {size})")
    inner = shapes.pop() if shapes else ()
    return [value for values, _ in parts for value in values], (len(parts), *inner)


def strides_of_view(
    shape: tuple[int, ...], strides: tuple[int, ...], wanted: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The strides with which the same memory has another shape; None if it can't without a copy."""
    if 0 in shape:
        steps, step = [], 1
        for size in reversed(wanted):
            steps.append(step)
            step *= max(size, 1)
        return tuple(reversed(steps))
    # Runs of dimensions that lie without gaps, each with its size and its smallest step.
    runs: list[list[int]] = []
    for size, step in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * step:
            runs[-1] = [runs[-1][0] * size, step]
        else:
            runs.append([size, step])
    result: list[int] = []
    size, step = runs.pop() if runs else (1, 1)
    left = size
    for want in reversed(wanted):
        if want == 1:
            result.append(step)
            continue
        if left == 1:
            if not runs:
                return None
            size, step = runs.pop()
            left = size
        if left % want:
            return None
        result.append(step)
        step *= want
        left //= want
    return tuple(reversed(result)) if left == 1 and not runs else None


def _is_advanced(one: Any) -> bool:
    from ._tensor import Tensor

    return isinstance(one, (list, range)) or (
        isinstance(one, Tensor) and (one.dtype.kind == 0 or (one.dtype.kind == 1 and bool(one._shape)))
    )


def _parts(tensor: Tensor, key: Any) -> list[Any]:
    """The parts of a key, one or none for each dimension, without an ellipsis."""
    parts = [*key] if isinstance(key, tuple) else [key]
    used = sum(_width(one) for one in parts if one is not Ellipsis)
    if used > tensor.ndim:
        raise IndexError(
            f"too many indices for tensor of dimension {tensor.ndim}"
            if tensor.ndim
            else "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number"
        )
    if any(isinstance(one, str) for one in parts):
        raise TypeError("new(): invalid data type 'str'")
    full = [slice(None)] * (tensor.ndim - used)
    at = next((i for i, one in enumerate(parts) if one is Ellipsis), len(parts))
    return [*parts[:at], *full, *parts[at + 1 :]]


def _width(one: Any) -> int:
    """How many dimensions a part of a key stands for."""
    from ._tensor import Tensor

    if one is None:
        return 0
    return one.ndim if isinstance(one, Tensor) and one.dtype.kind == 0 else 1


def basic(tensor: Tensor, parts: list[Any]) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The shape, strides and offset of a view; lists and truths are left for later as whole dimensions."""
    shape, strides, offset, dim = [], [], tensor._offset, 0
    own = tensor.stride()
    for part in parts:
        if part is None:
            shape.append(1)
            strides.append(1)
        elif isinstance(part, slice):
            size, step = tensor._shape[dim], own[dim]
            if part.step is not None and int(part.step) <= 0:
                raise ValueError("step must be greater than zero")
            chosen = range(size)[slice(*(None if x is None else int(x) for x in (part.start, part.stop, part.step)))]
            shape.append(len(chosen))
            strides.append(step * chosen.step)
            offset += step * chosen.start if len(chosen) else 0
            dim += 1
        elif _is_advanced(part):
            for _ in range(_width(part)):
                shape.append(tensor._shape[dim])
                strides.append(own[dim])
                dim += 1
        else:
            try:
                index = part.__index__()
            except (AttributeError, TypeError):
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                    f"(got {type(part).__name__})"
                ) from None
            size = tensor._shape[dim]
            if not -size <= index < size:
                raise IndexError(f"index {index} is out of bounds for dimension {dim} with size {size}")
            offset += own[dim] * (index % size)
            dim += 1
    return tuple(shape), tuple(strides), offset


def _chosen(view: Tensor, parts: list[Any]) -> tuple[list[int], tuple[int, ...]]:
    """Where in the storage of a view lie the numbers that lists and truths choose, and the shape of the choice."""
    from ._shapes import joint_shape
    from ._tensor import Tensor, tensor

    lists: dict[int, Tensor] = {}
    dim = 0
    for part in parts:
        if part is None or isinstance(part, slice):
            dim += 1
        elif _is_advanced(part):
            index = part if isinstance(part, Tensor) else tensor(part if part != [] else [], dtype=None)
            if index.dtype.kind == 2 and index.numel() == 0:
                index = index.long()
            if index.dtype.kind == 0:
                if index._shape != view._shape[dim : dim + index.ndim]:
                    at = next(i for i, n in enumerate(index._shape) if n != view._shape[dim + i])
                    raise IndexError(
                        f"The shape of the mask {list(index._shape)} at index {at} does not match the shape of the "
                        f"indexed tensor {list(view._shape)} at index {dim + at}"
                    )
                for column in index.nonzero().unbind(1):
                    lists[dim] = column
                    dim += 1
            elif index.dtype.kind == 1:
                lists[dim] = index
                dim += 1
            else:
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    shape: tuple[int, ...] = ()
    for index in lists.values():
        shape = joint_shape(shape, index._shape)
    count = math.prod(shape)
    picks = {d: index.expand(shape)._values() for d, index in lists.items()}
    for d, values in picks.items():
        for value in values:
            if not -view._shape[d] <= value < view._shape[d]:
                raise IndexError(f"index {value} is out of bounds for dimension {d} with size {view._shape[d]}")
    others = [d for d in range(view.ndim) if d not in lists]
    dims = sorted(lists)
    # The dimensions of the choice stand where the lists stood, or first if there is a slice between two lists.
    front = dims[0] if dims == [*range(dims[0], dims[-1] + 1)] else 0
    steps = view.stride()
    before, after = [d for d in others if d < front], [d for d in others if d >= front]

    def places(some: list[int]) -> list[int]:
        return [
            sum(steps[d] * i for d, i in zip(some, at, strict=True))
            for at in itertools.product(*(range(view._shape[d]) for d in some))
        ]

    chosen = [sum(steps[d] * (values[n] % view._shape[d]) for d, values in picks.items()) for n in range(count)]
    where = [view._offset + a + b + c for a in places(before) for b in chosen for c in places(after)]
    return where, (*(view._shape[d] for d in before), *shape, *(view._shape[d] for d in after))


def _truth(key: Any) -> Tensor | None:
    """A single truth as a mask of one row, with which a new first dimension is kept or left out; None if it is none."""
    from ._tensor import Tensor, new

    if isinstance(key, bool) or (isinstance(key, Tensor) and key.dtype.kind == 0 and not key._shape):
        return new([bool(key)], (1,), types.bool_)
    return None


def get(tensor: Tensor, key: Any) -> Tensor:
    """``tensor[key]``."""
    from ._tensor import at_places, new, record, sharing, viewed
    from .autograd.graph import Saved

    if (mask := _truth(key)) is not None:
        return get(tensor.unsqueeze(0), mask)
    parts = _parts(tensor, key)
    shape, strides, offset = basic(tensor, parts)
    if not any(_is_advanced(part) for part in parts):
        name = "SliceBackward0" if any(isinstance(part, slice) for part in parts) else "SelectBackward0"
        return viewed(tensor, shape, strides, offset, name, None)
    view = sharing(tensor, shape, strides, offset)
    where, chosen = _chosen(view, [part for part in parts if part is None or not hasattr(part, "__index__")
                                   or _is_advanced(part)])  # fmt: skip
    out = new([view._storage[i] for i in where], chosen, tensor.dtype)

    saved = [Saved(part) for part in parts if _is_advanced(part)]

    def derivative(g: Tensor) -> Sequence[Tensor | None]:
        for one in saved:  # nothing of it is needed but that it is as it was
            one()
        return at_places(tensor, where)(g)

    return record(out, "IndexBackward0", (tensor,), derivative, saved)


def put(tensor: Tensor, key: Any, value: Any) -> None:
    """``tensor[key] = value``."""
    from ._operations import check_apart, check_in_place, overwrite
    from ._tensor import Tensor, sharing
    from ._tensor import tensor as made

    check_in_place(tensor)
    if (mask := _truth(key)) is not None:
        put(tensor.unsqueeze(0), mask, value)
        return
    parts = _parts(tensor, key)
    shape, strides, offset = basic(tensor, parts)
    view = sharing(tensor, shape, strides, offset)
    where = None
    if any(_is_advanced(part) for part in parts):
        where, shape = _chosen(view, [part for part in parts if part is None or not hasattr(part, "__index__")
                                      or _is_advanced(part)])  # fmt: skip
    if where is None:
        check_apart(view)
    if not isinstance(value, (Tensor, int, float)):
        raise TypeError(f"can't assign a {type(value).__name__} to a torch.{tensor.dtype.long_name}Tensor")
    source = value if isinstance(value, Tensor) else made(value, dtype=tensor.dtype)
    while source.ndim > len(shape) and source._shape[0] == 1:
        source = source[0]
    if source.ndim > len(shape) or any(a not in (1, b) for a, b in zip(source._shape[::-1], shape[::-1], strict=False)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(source._shape)} cannot be broadcast to indexing result "
            f"of shape {list(shape)}"
            if where is not None
            else f"The expanded size of the tensor ({shape[-1] if shape else 1}) must match the existing size "
            f"({source._shape[-1]}) at non-singleton dimension 0.  Target sizes: {list(shape)}.  "
            f"Tensor sizes: {list(source._shape)}"
        )
    overwrite(tensor, source.expand(shape), view._positions() if where is None else where)
