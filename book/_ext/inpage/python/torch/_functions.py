"""The functions of the small PyTorch that make tensors, join several, or are methods of tensors, too."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from . import _numbers, _random, _tensor
from ._numbers import dtype, float64, int64
from ._operations import is_number, joint_type
from ._shapes import joint_shape, sizes, within
from ._tensor import DEFAULT, Tensor, new, record, tensor
from .autograd.graph import is_grad_enabled

# --- made from numbers -----------------------------------------------------------------------------------------------


def as_tensor(data: Any, *, dtype: dtype | None = None, device: Any = None) -> Tensor:
    if isinstance(data, Tensor):
        return data.to(dtype) if dtype is not None else data
    return tensor(data, dtype=dtype, device=device)


def from_numpy(array: Any) -> Tensor:
    if isinstance(array, Tensor):
        return array.detach()
    raise TypeError(f"expected np.ndarray (got {type(array).__name__})")


def _sequence(size: Any) -> tuple[Any]:
    """A size that must be one sequence."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"argument 'size' must be tuple of ints, not {type(size).__name__}")
    return (size,)


def _checked_size(size: tuple[Any, ...]) -> tuple[Any, ...]:
    if not size:
        raise TypeError("missing 1 required positional argument: 'size'")
    shape = sizes(size)
    for one in shape:
        if one < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {one}: {list(shape)}")
    return shape


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: Any = False,
) -> Tensor:
    shape = _checked_size(_sequence(size))
    if isinstance(fill_value, Tensor) and not fill_value.ndim:
        fill_value = fill_value.item()
    wanted = dtype or _tensor.kind_of([fill_value])
    return new(wanted.stored([fill_value]) * math.prod(shape), shape, wanted).requires_grad_(requires_grad)


def zeros(*size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    return full(_checked_size(size), 0, dtype=dtype or DEFAULT[0], requires_grad=requires_grad)


def ones(*size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    return full(_checked_size(size), 1, dtype=dtype or DEFAULT[0], requires_grad=requires_grad)


empty = zeros


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: Any = False,
    memory_format: Any = None,
) -> Tensor:
    return full(_like(input).shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)


def _like(input: Any) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(f"argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input


def zeros_like(input: Tensor, **more: Any) -> Tensor:
    return full_like(input, 0, **more)


def ones_like(input: Tensor, **more: Any) -> Tensor:
    return full_like(input, 1, **more)


empty_like = zeros_like


def eye(n: Any, m: Any = None, *, dtype: dtype | None = None) -> Tensor:
    wanted = dtype or DEFAULT[0]
    columns = n if m is None else m
    _checked_size((n, columns))
    return new(wanted.stored([i == j for i in range(n) for j in range(columns)]), (n, columns), wanted)


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: dtype | None = None, device: Any = None) -> Tensor:
    if end is None:
        start, end = 0, start
    wanted = dtype or (int64 if all(isinstance(x, int) for x in (start, end, step)) else DEFAULT[0])
    if not step:
        raise RuntimeError("step must be nonzero")
    count = math.ceil((end - start) / step)
    if count < 0 or (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    return new(wanted.stored([start + i * step for i in range(count)]), (count,), wanted)


def linspace(start: Any, end: Any, steps: Any, *, dtype: dtype | None = None) -> Tensor:
    wanted = dtype or DEFAULT[0]
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    step = (end - start) / (steps - 1) if steps > 1 else 0
    values = [start + i * step if i < steps // 2 else end - (steps - 1 - i) * step for i in range(steps)]
    return new(wanted.stored(values if steps > 1 else [start] * steps), (steps,), wanted)


def logspace(start: Any, end: Any, steps: Any, base: Any = 10.0, *, dtype: dtype | None = None) -> Tensor:
    return (base ** linspace(start, end, steps, dtype=float64)).to(dtype or DEFAULT[0])


# --- random ----------------------------------------------------------------------------------------------------------


def manual_seed(seed: Any) -> _random.Generator:
    return _random.default.manual_seed(seed)


def randn(*size: Any, generator: Any = None, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    wanted, shape = dtype or DEFAULT[0], _checked_size(size)
    return new(_random.normal(math.prod(shape), wanted, generator), shape, wanted).requires_grad_(requires_grad)


def rand(*size: Any, generator: Any = None, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    wanted, shape = dtype or DEFAULT[0], _checked_size(size)
    return new(_random.uniform(math.prod(shape), wanted, generator), shape, wanted).requires_grad_(requires_grad)


def randn_like(input: Tensor, *, dtype: dtype | None = None) -> Tensor:
    return randn(input.shape, dtype=dtype or input.dtype)


def rand_like(input: Tensor, *, dtype: dtype | None = None) -> Tensor:
    return rand(input.shape, dtype=dtype or input.dtype)


def randint(low: Any, high: Any = None, size: Any = None, *, generator: Any = None) -> Tensor:
    if size is None:
        low, high, size = 0, low, high
    shape = sizes(_sequence(size))
    return new(_random.whole(low, high, math.prod(shape), generator), shape, int64)


def randperm(n: Any, *, generator: Any = None) -> Tensor:
    return new(_random.permutation(n, generator), (n,), int64)


def normal(mean: Any, std: Any, size: Any = None, *, generator: Any = None) -> Tensor:
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        like = mean if isinstance(mean, Tensor) else std
        return mean + std * randn(like.shape, dtype=like.dtype, generator=generator)
    return mean + std * randn(size, generator=generator)


# --- of several tensors ----------------------------------------------------------------------------------------------


def _tensors(given: Any) -> Any:
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"argument 'tensors' (position 1) must be tuple of Tensors, not {type(given).__name__}")
    for n, one in enumerate(given):
        if not isinstance(one, Tensor):
            raise TypeError(f"expected Tensor as element {n} in argument 0, but got {type(one).__name__}")
    return given


def stack(tensors: Sequence[Tensor], dim: Any = 0) -> Tensor:
    shapes = [one.shape for one in _tensors(tensors)]
    for n, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shapes[0])} at entry 0 and {list(shape)} "
                f"at entry {n}"
            )
    if not shapes:
        raise RuntimeError("stack expects a non-empty TensorList")
    dim = within(dim, len(shapes[0]) + 1)
    return cat([one.unsqueeze(dim) for one in tensors], dim)


def cat(tensors: Sequence[Tensor], dim: Any = 0) -> Tensor:
    if not _tensors(tensors):
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    if any(not one.ndim for one in tensors):
        at = next(n for n, one in enumerate(tensors) if not one.ndim)
        raise RuntimeError(f"zero-dimensional tensor (at position {at}) cannot be concatenated")
    parts = [one for one in tensors if one.shape != (0,)] or [tensors[0]]
    kind = functools.reduce(lambda a, b: a if a.rank >= b.rank else b, [one.dtype for one in tensors])
    along = within(dim, parts[0].ndim)
    turned = [one.transpose(0, along) for one in parts]
    for n, one in enumerate(turned):
        if one.shape[1:] != turned[0].shape[1:]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {along}. Expected size {list(parts[0].shape)} but "
                f"got size {list(parts[n].shape)} for tensor number {n} in the list."
            )
    lengths = [one.shape[0] for one in turned]
    out = new(kind.stored([x for one in turned for x in one._values()]), (sum(lengths), *turned[0].shape[1:]), kind)
    record(out, "CatBackward0", turned, lambda g: g.split(lengths))
    return out.transpose(0, along)


concat = concatenate = cat


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    rows = [one if one.ndim else one.unsqueeze(0) for one in _tensors(tensors)]
    return cat(rows, 0 if rows[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    return cat([one.reshape(1, -1) if one.ndim < 2 else one for one in _tensors(tensors)])


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], Tensor) else tensors
    if any(one.ndim > 1 for one in given):
        raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {given[0]}")
    order = [1, 0, *range(2, len(given))] if indexing == "xy" and len(given) > 1 else [*range(len(given))]
    shape = tuple(given[n].numel() for n in order)
    axes = []
    for n, one in enumerate(given):
        own = [1] * len(given)
        own[order.index(n)] = one.numel()
        axes.append(one.reshape(own).expand(shape))
    return tuple(axes)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    shape = functools.reduce(joint_shape, [one._shape for one in tensors])
    return tuple(one.expand(shape) for one in tensors)


def is_tensor(obj: Any) -> Any:
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> Any:
    return input.numel()


def is_floating_point(input: Tensor) -> Any:
    return input.is_floating_point()


def is_complex(input: Tensor) -> Any:
    return input.is_complex()


# --- settings --------------------------------------------------------------------------------------------------------


def get_default_dtype() -> dtype:
    return DEFAULT[0]


def set_default_dtype(d: Any) -> None:
    if not isinstance(d, dtype) or d.kind != 2:
        raise TypeError("only floating-point types are supported as the default type")
    DEFAULT[0] = d


def set_num_threads(n: Any) -> None:
    """Does nothing: the page has one."""


def get_num_threads() -> Any:
    return 1


class finfo:
    """The limits of a type of floats."""

    def __init__(self, type: Any = None) -> None:
        type = _numbers.as_dtype(type)
        if type is not None and type.kind != 2:
            raise TypeError("torch.finfo() requires a floating point input type")
        digits, least, most = {"float64": (52, 1022, 1024), "float32": (23, 126, 128), "float16": (10, 14, 16)}[
            (type or DEFAULT[0]).name
        ]
        self.eps, self.tiny = 2.0**-digits, 2.0**-least
        self.smallest_normal = self.tiny
        self.max = (2 - self.eps) * 2.0 ** (most - 1)
        self.min = -self.max


# --- the functions that are methods, too -----------------------------------------------------------------------------

METHODS = (
    *("add", "sub", "addcmul", "addcdiv", "lerp", "clamp", "clip", "matmul", "mm", "mv", "dot", "inner", "outer"),
    *("sum", "mean", "prod", "var", "std", "norm", "amax", "amin", "max", "min", "argmax", "argmin", "all", "any"),
    *("median", "cumsum", "cumprod", "diff", "sort", "argsort", "reshape", "flatten", "ravel", "squeeze", "unsqueeze"),
    *("permute", "transpose", "t", "broadcast_to", "unbind", "select", "narrow", "split", "chunk", "flip", "diagonal"),
    *("diag", "nonzero", "index_select", "masked_select", "masked_fill", "equal", "isclose", "allclose", "clone"),
    *("detach", "fmax", "fmin", "clamp_min", "clamp_max", *_tensor.ALIASES),
    *_numbers.FLOATING, *_numbers.KEEPING, *_numbers.ASKING, *_numbers.COMPARISONS, *_numbers.BITWISE,
    *(name for name in _numbers.ARITHMETIC if name not in ("add", "sub", *_tensor.REVERSED)),
)  # fmt: skip
FOUR = ("add", "sub", "mul", "div", "subtract", "multiply", "divide", "true_divide")
"""The functions of two that are of two numbers, too."""
NUMBER_FIRST = (*FOUR, "pow", "remainder", "floor_divide", *_numbers.BITWISE)
"""The functions of two whose first may be a number."""


def _function(name: str) -> Callable[..., Any]:
    """The function of a method: its tensor is the first argument, and ``out`` takes the result."""

    def function(input: Any, *args: Any, out: Tensor | None = None, **more: Any) -> Any:
        if not isinstance(input, Tensor):
            other = next(iter((*args, *more.values())), None)
            either = isinstance(other, Tensor) or (name in FOUR and is_number(other))
            if not is_number(input) or not either or name not in NUMBER_FIRST:
                raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
            input = tensor(input, dtype=joint_type(other, input) if isinstance(other, Tensor) else None)
        result = getattr(input, name)(*args, **more)
        if out is None:
            return result
        if is_grad_enabled() and (out.requires_grad or result.requires_grad):
            raise RuntimeError(
                f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the "
                "arguments requires grad."
            )
        if out.shape != result.shape:
            out.data = new([*result._values()], result.shape, out.dtype)
            return out
        return out.copy_(result)

    function.__name__ = function.__qualname__ = name
    return function


FUNCTIONS = {name: _numbers.named(_function(name)) for name in METHODS}
PUBLIC = {
    name: value if isinstance(value, type) else _numbers.named(value)
    for name, value in globals().items()
    if getattr(value, "__module__", None) == __name__ and not name.startswith("_")
} | FUNCTIONS
"""All that `torch` has from here, by its name."""
