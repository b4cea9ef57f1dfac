"""Tensors: numbers in a list that several tensors may share, with a shape, strides and an offset as in PyTorch.

An operation is written once, on lists of numbers (`_numbers`). Here are the shapes, the types, what is written in
place, and what is recorded for gradients (`autograd`).
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from . import _indexing, _printing, _random
from . import _numbers as types
from ._numbers import (
    ARITHMETIC,
    ASKING,
    BITWISE,
    COMPARISONS,
    FLOATING,
    KEEPING,
    NotInThePage,
    Numbers,
    least,
    most,
    total_of,
)
from ._numbers import dtype as Kind
from ._shapes import fitting, joint_shape, row_by_row, sizes, steps_of, summed_to, within
from .autograd import backward as run_backward
from .autograd.graph import RECORDING, Derivative, Node, Saved, edge_of

DEFAULT = [types.float32]
"""The type of floats for which nothing else is said; a list, so that all modules see one value."""


class Size(tuple):  # type: ignore[type-arg]
    """The shape of a tensor."""

    def numel(self) -> int:
        return math.prod(self)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int) and not -len(self) <= key < len(self):
            raise IndexError("tuple index out of range")
        return Size(super().__getitem__(key)) if isinstance(key, slice) else super().__getitem__(key)

    def __add__(self, other: Any) -> Size:
        return Size(super().__add__(other))

    def __radd__(self, other: Any) -> Size:
        return Size((*other, *self))

    def __mul__(self, times: Any) -> Size:
        return Size(super().__mul__(times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"


class Values(NamedTuple):
    """What ``max``, ``min``, ``sort`` and ``median`` give along a dimension; `as_called` makes one of a method."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return _printing.fields_text(self)


RETURNED = {
    name: type(name, (Values,), {"__slots__": (), "__module__": "torch.return_types"})
    for name in ("max", "min", "sort", "median")
}


def as_called(name: str, found: Any) -> Any:
    return RETURNED[name](*found) if isinstance(found, Values) else found


class device:
    """Where a tensor is: on the ``cpu``, always."""

    def __init__(self, type: Any = "cpu") -> None:
        if str(type).partition(":")[0] not in ("cpu", "device(type='cpu')"):
            raise NotInThePage(f"the device {type}")
        self.type, self.index = "cpu", None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) or other == "cpu"

    def __hash__(self) -> int:
        return hash("cpu")

    def __repr__(self) -> str:
        return "device(type='cpu')"


CPU = device()


class layout:
    """How the numbers lie: always ``torch.strided``."""

    def __repr__(self) -> str:
        return "torch.strided"


STRIDED = layout()


class Tensor:
    """Numbers of one type in a shape. See PyTorch's documentation; what is missing here says so by its name."""

    __slots__ = (
        "__dict__", "__weakref__", "_base", "_changes", "_grad", "_node", "_numel", "_offset", "_requires_grad",
        "_shape", "_storage", "_strides", "_views", "dtype",
    )  # fmt: skip
    _storage: Numbers
    _shape: tuple[int, ...]
    _strides: tuple[int, ...] | None  # None: row by row, without gaps
    _offset: int
    _numel: int
    _base: Tensor | None  # what it is a view of
    _views: weakref.WeakValueDictionary[int, Tensor] | None  # all views of it that there are, by their id
    _changes: list[int]  # how often its memory was written to; all views have one list
    dtype: Kind
    _grad: Tensor | None
    _node: Node | None
    _requires_grad: bool

    def __new__(cls, *data: Any) -> Tensor:
        if all(isinstance(one, int) for one in data) and data:
            return new([0.0] * math.prod(data), data, DEFAULT[0])
        return tensor(data[0] if data else [], dtype=DEFAULT[0])

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self._shape)

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def data(self) -> Tensor:
        hidden = self.detach()
        hidden._changes = [0]
        return hidden

    @data.setter
    def data(self, other: Tensor) -> None:
        if not isinstance(other, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(other).__name__}")
        if self._node is not None:
            raise NotInThePage("other data for a tensor that was computed from some with a gradient")
        self._storage, self._shape, self._strides = other._storage, other._shape, other._strides
        self._offset, self._numel, self.dtype = other._offset, other._numel, other.dtype
        self._base = self._views = None

    @property
    def grad(self) -> Tensor | None:
        return self._grad

    @grad.setter
    def grad(self, other: Tensor | None) -> None:
        if other is not None:
            if not isinstance(other, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(other)!r}")
            if other._shape != self._shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: {list(other._shape)}, expected {list(self._shape)}"
                )
            if other.dtype is not self.dtype:
                raise RuntimeError("assigned grad has data of a different type")
        self._grad = other

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        if requires_grad and self.dtype.kind != 2:
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if not requires_grad and self._node is not None:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        self._requires_grad = bool(requires_grad)
        return self

    @property
    def is_leaf(self) -> bool:
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        return self._node

    @property
    def device(self) -> device:
        return CPU

    @property
    def layout(self) -> layout:
        return STRIDED

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    is_sparse = is_cuda = is_quantized = False

    def dim(self) -> int:
        return len(self._shape)

    ndimension = dim

    def numel(self) -> int:
        return self._numel

    nelement = numel

    def element_size(self) -> int:
        return self.dtype.itemsize

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self._shape[within(dim, self.ndim)]

    def stride(self, dim: int | None = None) -> Any:
        strides = steps_of(self)
        return strides if dim is None else strides[within(dim, self.ndim)]

    def storage_offset(self) -> int:
        return self._offset

    def data_ptr(self) -> int:
        return (id(self._storage) + self._offset * self.dtype.itemsize) if self._numel else 0

    def is_contiguous(self) -> bool:
        steps = zip(self._shape, steps_of(self), row_by_row(self._shape), strict=True)
        return all(size == 1 or own == plain for size, own, plain in steps) or self._numel == 0

    def is_floating_point(self) -> bool:
        return self.dtype.kind == 2

    def is_complex(self) -> bool:
        return False

    def is_inference(self) -> bool:
        return False

    def get_device(self) -> int:
        return -1

    # --- its numbers ---------------------------------------------------------------------------------------------

    def _values(self) -> Numbers:
        """Its numbers row by row; the list may be the storage itself, so it must not be changed."""
        storage = self._storage
        if self._strides is None:
            if len(storage) == self._numel:
                return storage
            return storage[self._offset : self._offset + self._numel]
        return [storage[i] for i in self._positions()]

    def _positions(self) -> list[int]:
        """Where each of its numbers is in the storage."""
        places = [self._offset]
        for size, step in zip(self._shape, steps_of(self), strict=True):
            places = [place + step * i for place in places for i in range(size)]
        return places

    def _write(self, values: Numbers) -> None:
        if self._strides is None:
            self._storage[self._offset : self._offset + self._numel] = values
        else:
            for place, value in zip(self._positions(), values, strict=True):
                self._storage[place] = value
        self._changes[0] += 1

    def item(self) -> Any:
        if self._numel != 1:
            raise RuntimeError(f"a Tensor with {self._numel} elements cannot be converted to Scalar")
        return self._values()[0]

    def tolist(self) -> Any:
        values = self._values()
        if not self._shape:
            return values[0]
        for size in self._shape[:0:-1]:
            values = [values[i : i + size] for i in range(0, len(values), size)] if size else [[]] * self._shape[0]
        return [*values]

    def numpy(self, *, force: bool = False) -> Tensor:
        """Its numbers for what would use NumPy, which is not in the page: a tensor, and it shares its memory."""
        if self._requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self.detach()

    def __bool__(self) -> bool:
        if self._numel != 1:
            what = "no values" if self._numel == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self._single())

    def __int__(self) -> int:
        return int(self._single())

    def _single(self) -> Any:
        if self._numel != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.item()

    def __index__(self) -> int:
        if self.dtype.kind == 2 or self._numel != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __format__(self, form: str) -> str:
        return format(self.item(), form) if not self._shape else object.__format__(self, form)

    def __len__(self) -> int:
        if not self._shape:
            raise TypeError("len() of a 0-d tensor")
        return self._shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._shape:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind())

    def __contains__(self, other: Any) -> bool:
        return bool((self == other).any())

    def __repr__(self) -> str:
        return _printing.tensor_text(self, DEFAULT[0])

    __hash__ = object.__hash__

    def __reduce__(self) -> Any:
        return _rebuilt, ([*self._values()], self._shape, self.dtype.name, self._requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment."
            )
        made = self.detach().requires_grad_(self._requires_grad)
        parts: tuple[Any, ...] = self._storage, self._changes, self._grad, self.__dict__
        copies = [deepcopy(one, memo) for one in parts]  # what shares memory goes on to
        made._storage, made._changes, made._grad = copies[:3]
        made.__dict__.update(copies[3])
        return made

    def __getattr__(self, name: str) -> Any:
        raise types.lacking("Tensor", name)

    # --- copies and types ----------------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        return sharing(self, self._shape, self._strides, self._offset)

    def detach_(self) -> Tensor:
        if self._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self._node, self._requires_grad = None, False
        return self

    def clone(self) -> Tensor:
        copy = new([*self._values()], self._shape, self.dtype)
        return record(copy, "CloneBackward0", (self,), lambda g: (g,))

    def contiguous(self) -> Tensor:
        return self if self.is_contiguous() else self.clone()

    def to(self, *args: Any, dtype: Kind | None = None, device: Any = None, copy: bool = False, **_: Any) -> Tensor:
        wanted = dtype or self.dtype
        for one in args:
            if isinstance(one, (Kind, type)):
                wanted = types.as_dtype(one)
            elif isinstance(one, Tensor):
                wanted = one.dtype
            else:
                check_device(one)
        check_device(device)
        if wanted is self.dtype:
            return self.clone() if copy else self
        out = new(wanted.stored(self._values()), self._shape, wanted)
        own = self.dtype
        return record(out, "ToCopyBackward0", (self,), lambda g: (g.to(own),))

    def type(self, dtype: Kind | None = None) -> Any:
        return f"torch.{self.dtype.long_name}Tensor" if dtype is None else self.to(dtype)

    def type_as(self, other: Tensor) -> Tensor:
        return self.to(other.dtype)

    def cpu(self) -> Tensor:
        return self

    def new_tensor(self, data: Any, *, dtype: Kind | None = None, requires_grad: bool = False) -> Tensor:
        return tensor(data, dtype=dtype or self.dtype, requires_grad=requires_grad)

    def new_full(self, size: Any, fill_value: Any, *, dtype: Kind | None = None) -> Tensor:
        wanted = dtype or self.dtype
        return new(wanted.stored([fill_value]) * math.prod(size), tuple(size), wanted)

    def new_zeros(self, *size: Any, dtype: Kind | None = None) -> Tensor:
        return self.new_full(sizes(size), 0, dtype=dtype)

    def new_ones(self, *size: Any, dtype: Kind | None = None) -> Tensor:
        return self.new_full(sizes(size), 1, dtype=dtype)

    new_empty = new_zeros

    # --- arithmetic ----------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return arithmetic("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return arithmetic("sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic("rsub", self, other)

    def __mul__(self, other: Any) -> Any:
        return arithmetic("mul", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return arithmetic("div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.reciprocal() * other

    def __pow__(self, other: Any) -> Any:
        return arithmetic("pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return arithmetic("rpow", self, other)

    def __mod__(self, other: Any) -> Any:
        return arithmetic("remainder", self, other)

    def __floordiv__(self, other: Any) -> Any:
        return arithmetic("floor_divide", self, other)

    def __rmod__(self, other: Any) -> Any:
        return arithmetic("rremainder", self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return arithmetic("rfloor_divide", self, other)

    def __iadd__(self, other: Any) -> Any:
        return in_place("add", self, other)

    def __isub__(self, other: Any) -> Any:
        return in_place("sub", self, other)

    def __imul__(self, other: Any) -> Any:
        return in_place("mul", self, other)

    def __itruediv__(self, other: Any) -> Any:
        return in_place("div", self, other)

    def __ipow__(self, other: Any) -> Any:
        return in_place("pow", self, other)

    def __neg__(self) -> Tensor:
        return self.neg()

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return self.abs()

    def __eq__(self, other: Any) -> Any:
        return compared("eq", self, other)

    def __ne__(self, other: Any) -> Any:
        return compared("ne", self, other)

    def __lt__(self, other: Any) -> Any:
        return compared("lt", self, other)

    def __le__(self, other: Any) -> Any:
        return compared("le", self, other)

    def __gt__(self, other: Any) -> Any:
        return compared("gt", self, other)

    def __ge__(self, other: Any) -> Any:
        return compared("ge", self, other)

    def __and__(self, other: Any) -> Any:
        return bitwise("bitwise_and", self, other)

    def __or__(self, other: Any) -> Any:
        return bitwise("bitwise_or", self, other)

    def __xor__(self, other: Any) -> Any:
        return bitwise("bitwise_xor", self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        if self.dtype.kind == 2:
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return new([not x if self.dtype.kind == 0 else ~x for x in self._values()], self._shape, self.dtype)

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other) if isinstance(other, Tensor) else NotImplemented

    # The methods with an order of arguments that PyTorch had before: ``add_(2, x)`` for ``add_(x, alpha=2)``.

    def add(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = scaled(args, 1, alpha, other)
        return added("add", self, more, scale)

    def add_(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = scaled(args, 1, alpha, other)
        return store(self, lambda: added("add", self, more, scale))

    def sub(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = scaled(args, 1, alpha, other)
        return added("sub", self, more, scale)

    def sub_(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = scaled(args, 1, alpha, other)
        return store(self, lambda: added("sub", self, more, scale))

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        if rounding_mode not in (None, "floor"):
            raise NotInThePage(f"division with rounding_mode={rounding_mode!r}")
        return two("div" if rounding_mode is None else "floor_divide", arithmetic, self, other)

    def pow(self, exponent: Any) -> Tensor:
        return two("pow", arithmetic, self, exponent)

    def round(self, *, decimals: int = 0) -> Tensor:
        if not decimals:
            return one_by_one("round", self)
        if self.dtype.kind != 2:
            raise NotImplementedError(f"\"round_cpu\" not implemented for '{self.dtype.long_name}'")
        scale = 10.0 ** abs(decimals)
        if decimals < 0:
            return one_by_one("round", self / scale) * scale
        return one_by_one("round", self * scale) / scale

    def addcmul(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = scaled(args, 2, value, tensor1, tensor2)
        return added_terms(self, scale, one, two, "mul")

    def addcmul_(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = scaled(args, 2, value, tensor1, tensor2)
        return store(self, lambda: added_terms(self, scale, one, two, "mul"))

    def addcdiv(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = scaled(args, 2, value, tensor1, tensor2)
        return added_terms(self, scale, one, two, "div")

    def addcdiv_(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = scaled(args, 2, value, tensor1, tensor2)
        return store(self, lambda: added_terms(self, scale, one, two, "div"))

    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        if end.dtype is not self.dtype:
            own, other = self.dtype.long_name.lower(), end.dtype.long_name.lower()
            raise RuntimeError(f"expected dtype {own} for `end` but got dtype {other}")
        if isinstance(weight, Tensor) and weight._shape:
            near = self + weight * (end - self)
            return where(weight.abs() < 0.5, near, end - (end - self) * (1 - weight))
        a, b, share = self.detach(), end.detach(), float(weight)
        out = a + share * (b - a) if abs(share) < 0.5 else b - (b - a) * (1 - share)
        return record(out, "LerpBackward0", (self, end), lambda g: (g * (1 - share), g * share))

    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        return store(self, lambda: self.lerp(end, weight))

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        if min is None and max is None:
            raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
        if len({isinstance(one, Tensor) for one in (min, max) if one is not None}) == 2:
            raise TypeError("clamp() takes two tensors or two numbers")
        out = self if min is None else bounded("maximum", self, min)
        return out if max is None else bounded("minimum", out, max)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        if min is None and max is None:
            self.clamp()
        if min is not None:
            store(self, lambda: bounded("maximum", self, min))
        return self if max is None else store(self, lambda: bounded("minimum", self, max))

    clip, clip_ = clamp, clamp_

    def fmax(self, other: Tensor) -> Tensor:
        return where((self >= other) | other.isnan(), self, other)

    def fmin(self, other: Tensor) -> Tensor:
        return where((self <= other) | other.isnan(), self, other)

    def clamp_min(self, min: Any) -> Tensor:
        return self.clamp(min=min)

    def clamp_max(self, max: Any) -> Tensor:
        return self.clamp(max=max)

    def matmul(self, other: Tensor) -> Tensor:
        return product(self, other)

    def inner(self, other: Tensor) -> Tensor:
        if not self._shape or not other._shape:
            return self * other
        return product(self, other.mT if other.ndim > 1 else other)

    def mm(self, mat2: Tensor) -> Tensor:
        for name, one in (("self", self), ("mat2", mat2)):
            if isinstance(one, Tensor) and one.ndim != 2:
                raise RuntimeError(f"{name} must be a matrix")
        return product(self, mat2)

    def mv(self, vec: Tensor) -> Tensor:
        if isinstance(vec, Tensor) and (self.ndim, vec.ndim) != (2, 1):
            raise RuntimeError(f"vector + matrix @ vector expected, got 1, {self.ndim}, {vec.ndim}")
        return product(self, vec)

    def dot(self, tensor: Tensor) -> Tensor:
        if self.ndim != 1 or tensor.ndim != 1:
            raise RuntimeError(f"1D tensors expected, but got {self.ndim}D and {tensor.ndim}D tensors")
        return product(self, tensor)

    def outer(self, vec2: Tensor) -> Tensor:
        if self.ndim != 1 or vec2.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument self, but got {self.ndim}-D")
        return self.unsqueeze(-1) * vec2

    # --- in place ------------------------------------------------------------------------------------------------

    def copy_(self, other: Any, non_blocking: bool = False) -> Tensor:
        if not isinstance(other, (Tensor, int, float)):
            raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}")
        source = other if isinstance(other, Tensor) else tensor(other, dtype=self.dtype)
        check_apart(self)
        whole = source.expand(self._shape)
        copy = new([*whole._values()], self._shape, source.dtype)
        record(copy, "CopyBackwards", (whole,), lambda g: (g,))
        return store(self, lambda: copy, any_type=True)

    def fill_(self, value: Any) -> Tensor:
        check_in_place(self)
        overwrite(self, new(self.dtype.stored([value]), (), self.dtype).expand(self._shape))
        return self

    def zero_(self) -> Tensor:
        return self.fill_(0)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        return where(condition, self, other)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        if isinstance(value, Tensor) and value._shape:
            raise RuntimeError(f"masked_fill_ only supports a 0-dimensional value tensor, but got {value.ndim} of them")
        return where(mask, value, self).to(self.dtype)

    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        return store(self, lambda: self.masked_fill(mask, value))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
        draws = _random.normal(self._numel, self.dtype, generator)
        return store(self, lambda: new([mean + std * x for x in draws], self._shape, self.dtype))

    def uniform_(self, start: float = 0.0, end: float = 1.0, *, generator: Any = None) -> Tensor:
        draws = _random.uniform(self._numel, self.dtype, generator)
        return store(self, lambda: new([start + (end - start) * x for x in draws], self._shape, self.dtype))

    # --- one number, or one along a dimension ----------------------------------------------------------------------

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Kind | None = None) -> Tensor:
        source = self if dtype is None else self.to(dtype)
        kind = source.dtype if source.dtype.kind == 2 else types.int64
        out = reduced(source, dim, keepdim, total_of, kind)
        return record(out, "SumBackward0", (source,), lambda g: (spread(g, source, dim, keepdim),))

    def mean(self, dim: Any = None, keepdim: bool = False, *, dtype: Kind | None = None) -> Tensor:
        source = self if dtype is None else self.to(dtype)
        if source.dtype.kind != 2:
            raise RuntimeError(
                "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
                f"Got: {source.dtype.long_name}"
            )
        total = source.detach().sum(dim, keepdim)
        count = source._numel // total._numel if total._numel else 1
        return record(
            total / count, "MeanBackward0", (source,), lambda g: (spread(g / count, source, dim, keepdim),)
        )  # fmt: skip

    def prod(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        out = reduced(self, dim, keepdim, math.prod, self.dtype if self.dtype.kind == 2 else types.int64)

        saved = Saved(self), Saved(out)

        def derivative(g: Tensor) -> tuple[Tensor]:
            own, product = (one() for one in saved)
            if not own.all():
                raise NotInThePage("the derivative of a product that is zero")
            return (spread(g * product, self, dim, keepdim) / own,)

        return record(out, "ProdBackward0", (self,), derivative, saved)

    def var(
        self, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *, correction: int | None = None
    ) -> Tensor:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if unbiased is not None and (correction is not None or not isinstance(unbiased, bool)):
            raise TypeError("var() takes unbiased, which is True or False, or else correction")
        own = self.detach()
        apart = own - own.mean(dim, keepdim=True)
        total = (apart * apart).sum(dim, keepdim)
        lost = (unbiased is not False) if correction is None else correction
        count = max(self._numel // max(total._numel, 1) - lost, 0)
        saved = Saved(self)

        def derivative(g: Tensor) -> tuple[Tensor]:
            own = saved()
            return (spread(g, self, dim, keepdim) * (own - own.mean(dim, keepdim=True)) * 2 / count,)

        return record(total / count, "VarBackward0", (self,), derivative, [saved])

    def std(self, *args: Any, **more: Any) -> Tensor:
        square = self.var(*args, **more)
        out = square.detach().sqrt()
        saved = Saved(out)
        return record(
            out, "StdBackward0", (square,), lambda g: (where(saved() == 0, 0.0, g / (2 * saved())),), [saved]
        )  # fmt: skip

    def norm(self, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Kind | None = None) -> Tensor:
        if dtype is not None:
            return self.to(dtype).norm(p, dim, keepdim)
        if self.dtype.kind != 2:
            kind = self.dtype.long_name
            raise RuntimeError(f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {kind}")
        if isinstance(p, str) and p != "fro":
            raise NotInThePage(f"the norm {p}")
        if p in (None, "fro", 2):
            out = reduced(self, dim, keepdim, lambda x: math.sqrt(total_of([y * y for y in x])), self.dtype)
            saved = Saved(self), Saved(out)

            def derivative(g: Tensor) -> tuple[Tensor]:
                own, length = saved[0](), spread(saved[1](), self, dim, keepdim)
                share = own / length
                return (spread(g, self, dim, keepdim) * where(length == 0, 0.0, share),)

            return record(out, "LinalgVectorNormBackward0", (self,), derivative, saved)
        if p == 0:
            return (self != 0).to(self.dtype).sum(dim, keepdim)
        sizes = self.abs()
        if abs(p) == math.inf:
            return (sizes.amax if p > 0 else sizes.amin)(dim, keepdim)
        return sizes.sum(dim, keepdim) if p == 1 else (sizes**p).sum(dim, keepdim) ** (1 / p)

    def amax(self, dim: Any = (), keepdim: bool = False) -> Tensor:
        return spread_to_ends(self, reduced(self, dim, keepdim, most, self.dtype), dim, keepdim)

    def amin(self, dim: Any = (), keepdim: bool = False) -> Tensor:
        return spread_to_ends(self, reduced(self, dim, keepdim, least, self.dtype), dim, keepdim)

    def max(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        return as_called("max", end_of(self, dim if other is None else other, keepdim, most, "maximum"))

    def min(self, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        return as_called("min", end_of(self, dim if other is None else other, keepdim, least, "minimum"))

    def argmax(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, lambda x: x.index(most(x)), types.int64)

    def argmin(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, lambda x: x.index(least(x)), types.int64)

    def all(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, all, types.bool_)

    def any(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, any, types.bool_)

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        def middle(x: Numbers) -> int:
            lacking = [i for i, value in enumerate(x) if value != value]
            return lacking[0] if lacking else sorted(range(len(x)), key=x.__getitem__)[(len(x) - 1) // 2]

        if dim is not None:
            return as_called("median", with_place(self, dim, keepdim, middle))
        return spread_to_ends(self, reduced(self, None, False, lambda x: x[middle(x)], self.dtype), None, False)

    def cumsum(self, dim: int) -> Tensor:
        return running(self, dim, lambda x: [*itertools.accumulate(x, initial=0)][1:])

    def cumprod(self, dim: int) -> Tensor:
        return running(self, dim, lambda x: [*itertools.accumulate(x, lambda a, b: a * b)])

    def diff(self, n: int = 1, dim: int = -1) -> Tensor:
        if not self._shape:
            raise RuntimeError("diff expects input to be at least one-dimensional")
        dimensions(self, dim)
        out = self
        for _ in range(n):
            size = out._shape[dim]
            out = out.narrow(dim, 1, max(size - 1, 0)) - out.narrow(dim, 0, max(size - 1, 0))
        return out

    def sort(self, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Any:
        def order(x: Numbers) -> list[int]:
            return sorted(range(len(x)), key=lambda i: (x[i] != x[i], x[i]), reverse=descending)

        values = running(self, dim, lambda x: [x[i] for i in order(x)], self.dtype)
        return as_called("sort", Values(values, running(self, dim, order, types.int64)))

    def argsort(self, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Tensor:
        return self.sort(dim, descending).indices

    # --- shapes --------------------------------------------------------------------------------------------------

    def view(self, *size: Any) -> Tensor:
        if len(size) == 1 and isinstance(size[0], Kind):
            raise NotInThePage("Tensor.view with a type")
        wanted = fitting(sizes(size), self._numel)
        strides = _indexing.strides_of_view(self._shape, steps_of(self), wanted)
        if strides is None:
            raise RuntimeError(
                "view size is not compatible with input tensor's size and stride (at least one dimension spans across "
                "two contiguous subspaces). Use .reshape(...) instead."
            )
        return viewed(self, wanted, strides, self._offset, "ViewBackward0", lambda g: (g.reshape(self._shape),))

    def view_as(self, other: Tensor) -> Tensor:
        return self.view(other._shape)

    def reshape(self, *shape: Any) -> Tensor:
        wanted = fitting(sizes(shape), self._numel)
        if _indexing.strides_of_view(self._shape, steps_of(self), wanted) is None:
            return self.clone().view(wanted)
        return self.view(wanted)

    def reshape_as(self, other: Tensor) -> Tensor:
        return self.reshape(other._shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        if not self._shape:
            return self.reshape(1)
        first, last = within(start_dim, self.ndim), within(end_dim, self.ndim)
        if first > last:
            raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
        middle = math.prod(self._shape[first : last + 1])
        return self.reshape(*self._shape[:first], middle, *self._shape[last + 1 :])

    ravel = flatten

    def squeeze(self, dim: Any = None) -> Tensor:
        over = dimensions(self, dim)
        kept = [i for i, size in enumerate(self._shape) if size != 1 or i not in over]
        strides = steps_of(self)
        return viewed(
            self, tuple(self._shape[i] for i in kept), tuple(strides[i] for i in kept), self._offset,
            "SqueezeBackward0", lambda g: (g.reshape(self._shape),),
        )  # fmt: skip

    def unsqueeze(self, dim: int) -> Tensor:
        at = within(dim, self.ndim + 1)
        strides = steps_of(self)
        shape, steps = [*self._shape], [*strides]
        shape.insert(at, 1)
        steps.insert(at, 1)
        return viewed(
            self, tuple(shape), tuple(steps), self._offset, "UnsqueezeBackward0", lambda g: (g.reshape(self._shape),)
        )

    def permute(self, *dims: Any) -> Tensor:
        order = dimensions(self, sizes(dims))
        if len(order) != self.ndim:
            raise RuntimeError(f"permute() takes all {self.ndim} dimensions, got {len(order)}")
        back = [order.index(i) for i in range(self.ndim)]
        strides = steps_of(self)
        return viewed(
            self, tuple(self._shape[d] for d in order), tuple(strides[d] for d in order), self._offset,
            "PermuteBackward0", lambda g: (g.permute(*back),),
        )  # fmt: skip

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        dimensions(self, [dim0]), dimensions(self, [dim1])
        order = [*range(max(self.ndim, 1))]
        order[dim0], order[dim1] = order[dim1], order[dim0]
        return self.permute(*order) if self._shape else self

    def t(self) -> Tensor:
        if self.ndim > 2:
            raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
        return self.permute(*range(self.ndim)[::-1])

    @property
    def T(self) -> Tensor:
        return self.permute(*range(self.ndim)[::-1])

    @property
    def mT(self) -> Tensor:
        return self.transpose(-1, -2)

    def expand(self, *size: Any) -> Tensor:
        wanted = sizes(size)
        if wanted == self._shape:
            return self
        more = len(wanted) - self.ndim
        own, strides = (1,) * more + self._shape, (0,) * more + steps_of(self)
        wanted = tuple(o if w == -1 else w for o, w in zip(own, wanted, strict=False))
        if more < 0 or any(o not in (1, w) for o, w in zip(own, wanted, strict=True)):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted[-1] if wanted else 1}) must match the existing size "
                f"({self._shape[-1]}) at non-singleton dimension {len(wanted) - 1}.  "
                f"Target sizes: {list(wanted)}.  Tensor sizes: {list(self._shape)}"
            )
        steps = tuple(0 if o != w else s for o, w, s in zip(own, wanted, strides, strict=True))
        return viewed(self, wanted, steps, self._offset, "ExpandBackward0", lambda g: (summed_to(g, self._shape),))

    broadcast_to = expand

    def expand_as(self, other: Tensor) -> Tensor:
        return self.expand(other._shape)

    def repeat(self, *repeats: Any) -> Tensor:
        times = sizes(repeats)
        if len(times) < self.ndim:
            raise RuntimeError(
                "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
            )
        own = (1,) * (len(times) - self.ndim) + self._shape
        mixed = [n for pair in zip([1] * len(own), own, strict=True) for n in pair]
        spread = [n for pair in zip(times, own, strict=True) for n in pair]
        whole = self.reshape(mixed).expand(spread)
        return whole.reshape([n * size for n, size in zip(times, own, strict=True)]).clone()

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return all_from("UnbindBackward0", (self.select(dim, i) for i in range(self._shape[within(dim, self.ndim)])))

    def select(self, dim: int, index: int) -> Tensor:
        if not self._shape:
            raise IndexError("select() cannot be applied to a 0-dim tensor.")
        return self[(slice(None),) * within(dim, self.ndim) + (index,)]

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        if not self._shape:
            raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
        (at,) = dimensions(self, [dim])
        start += self._shape[at] if start < 0 else 0
        if length < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        if start + length > self._shape[at]:
            raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({self._shape[at]}).")
        return self[(slice(None),) * at + (slice(start, start + length),)]

    def split(self, split_size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        if not self._shape:
            raise RuntimeError("split expects at least a 1-dimensional tensor")
        whole = self._shape[within(dim, self.ndim)]
        size = split_size
        lengths = [min(size, whole - i) for i in range(0, whole, size)] if isinstance(size, int) else size
        if sum(lengths) != whole:
            raise RuntimeError(f"split_with_sizes expects split_sizes to sum exactly to {whole}, but got {lengths}")
        starts = itertools.accumulate(lengths, initial=0)
        return all_from(
            "SplitBackward0", (self.narrow(dim, start, length) for start, length in zip(starts, lengths, strict=False))
        )

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        if not self._shape:
            raise RuntimeError("chunk expects at least a 1-dimensional tensor")
        return self.split(max(-(-self._shape[dim] // chunks), 1), dim)

    def flip(self, *dims: Any) -> Tensor:
        out = self.detach().clone()
        for d in dimensions(self, sizes(dims)) if self._shape else ():
            order = new([*range(self._shape[d])][::-1], (self._shape[d],), types.int64)
            out = out[(slice(None),) * d + (order,)]
        return record(out, "FlipBackward0", (self,), lambda g: (g.flip(*dims),))

    def diagonal(self, offset: int = 0) -> Tensor:
        if self.ndim < 2:
            raise IndexError(f"Dimension out of range (got 1, for a tensor of {self.ndim} dimensions)")
        if self.ndim > 2:
            raise NotInThePage("the diagonal of several matrices at once")
        rows, columns = self._shape[:2]
        row, column = max(-offset, 0), max(offset, 0)
        down, right = steps_of(self)[:2]
        size = max(min(rows - row, columns - column), 0)
        return viewed(
            self, (size,), (down + right,), self._offset + row * down + column * right, "DiagonalBackward0", None
        )

    def diag(self, diagonal: int = 0) -> Tensor:
        if self.ndim == 2:
            return self.diagonal(diagonal).clone()
        if self.ndim != 1:
            raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {self.ndim}D")
        size = self._shape[0] + abs(diagonal)
        out = new([self.dtype.stored([0])[0]] * size**2, (size, size), self.dtype)
        out.diagonal(diagonal)._write(self._values())
        return record(out, "DiagBackward0", (self,), lambda g: (g.diagonal(diagonal).clone(),))

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        if as_tuple:
            return (self if self._shape else self.unsqueeze(0)).nonzero().unbind(1)
        places = itertools.product(*map(range, self._shape))
        found = [place for place, value in zip(places, self._values(), strict=True) if value]
        return new([i for place in found for i in place], (len(found), self.ndim), types.int64)

    def __getitem__(self, key: Any) -> Tensor:
        return _indexing.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _indexing.put(self, key, value)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        if index.dtype.kind != 1:
            raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
        return self[(slice(None),) * within(dim, self.ndim) + (index,)]

    def masked_select(self, mask: Tensor) -> Tensor:
        if mask.dtype is not types.bool_:
            raise RuntimeError("masked_select: expected BoolTensor for mask")
        return self[mask.expand(self._shape)]

    # --- comparisons of two tensors --------------------------------------------------------------------------------

    def equal(self, other: Tensor) -> bool:
        return self._shape == other._shape and self._values() == other._values()

    def isclose(self, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
        if self.dtype is not other.dtype:
            raise RuntimeError(f"{self.dtype.long_name} did not match {other.dtype.long_name}")
        shape = joint_shape(self._shape, other._shape)
        pairs = zip(self.expand(shape)._values(), other.expand(shape)._values(), strict=True)
        near = [
            x == y or (abs(x - y) <= atol + rtol * abs(y) and abs(y) != math.inf) or (equal_nan and x != x and y != y)
            for x, y in pairs
        ]
        return new(near, shape, types.bool_)

    def allclose(self, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
        return bool(self.isclose(other, rtol, atol, equal_nan).all())

    # --- gradients -----------------------------------------------------------------------------------------------

    def backward(self, gradient: Tensor | None = None, retain_graph: bool | None = None, **more: Any) -> None:
        if more.get("create_graph"):
            raise NotInThePage("the gradient of a gradient (create_graph=True)")
        run_backward(self, gradient, retain_graph)


# --- making them -----------------------------------------------------------------------------------------------------


def new(values: Numbers, shape: Sequence[int], dtype: Kind) -> Tensor:
    """A tensor of these numbers, row by row. It keeps the list."""
    made: Tensor = object.__new__(Tensor)
    made._storage, made._shape, made._strides, made._offset, made._numel = values, tuple(shape), None, 0, len(values)
    made.dtype, made._grad, made._node, made._requires_grad, made._changes = dtype, None, None, False, [0]
    made._base = made._views = None
    return made


def sharing(source: Tensor, shape: tuple[int, ...], strides: tuple[int, ...] | None, offset: int) -> Tensor:
    """A tensor in the memory of another."""
    made: Tensor = object.__new__(Tensor)
    made._storage, made._shape, made._strides, made._offset = source._storage, shape, strides, offset
    made._numel, made._changes = math.prod(shape), source._changes
    made.dtype, made._grad, made._node, made._requires_grad = source.dtype, None, None, False
    made._base = made._views = None
    return made


def _rebuilt(values: Numbers, shape: tuple[int, ...], name: str, requires_grad: bool) -> Tensor:
    kinds = {one.name: one for one in vars(types).values() if isinstance(one, Kind)}
    return new(values, shape, kinds[name]).requires_grad_(requires_grad)


def viewed(
    source: Tensor, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, name: str, derivative: Any
) -> Tensor:
    """A view, which remembers where it comes from."""
    made = sharing(source, shape, None if strides == row_by_row(shape) else strides, offset)
    made._base = base = source if source._base is None else source._base
    if base._views is None:
        base._views = weakref.WeakValueDictionary()
    base._views[id(made)] = made
    if source._requires_grad and RECORDING[0]:
        record(made, name, (source,), derivative or at_places(source, made._positions()))
    return made


def all_from(name: str, views: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Views, with the name of the function that gave all of them."""
    several = tuple(views)
    for one in several:
        if one._node is not None:
            one._node.name = name
    return several


def at_places(source: Tensor, places: list[int]) -> Derivative:
    """The gradient for a tensor, of those of its numbers that are at some places in its memory."""

    def derivative(g: Tensor) -> tuple[Tensor]:
        ours = {place: n for n, place in enumerate(source._positions())}
        whole = new([0.0] * source._numel, source._shape, g.dtype)
        for place, value in zip(places, g._values(), strict=True):
            whole._storage[ours[place]] += value
        return (whole,)

    return derivative


def record(
    out: Tensor, name: str, inputs: Sequence[Any], derivative: Derivative, saved: Sequence[Saved] = ()
) -> Tensor:
    """Remember what a tensor was computed from, if a gradient may be asked for."""
    if RECORDING[0] and out.dtype.kind == 2:
        edges = [edge_of(one) if isinstance(one, Tensor) else None for one in inputs]
        if any(edge is not None for edge in edges):
            out._node, out._requires_grad = Node(name, edges, derivative, saved), True
    return out


def underivable(out: Tensor, name: str, inputs: Sequence[Any], what: str) -> Tensor:
    """Remember that a tensor has a gradient, which is not in the page."""

    def derivative(g: Tensor) -> tuple[Tensor]:
        raise NotInThePage(f"the derivative of {what}")

    return record(out, f"{name}Backward0", inputs, derivative)


def tensor(data: Any, *, dtype: Kind | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of numbers in nested lists."""
    check_device(device)
    if isinstance(data, Tensor):
        values, shape, kind = data._values(), data._shape, dtype or data.dtype
    else:
        values, shape = _indexing.flattened(data)
        kind = dtype or kind_of(values)
        most = 1 << (8 * kind.itemsize - (kind is not types.uint8))
        if kind.kind == 1 and not all(-most <= int(one) < most for one in values):
            wide = kind is types.int64
            raise (ValueError if wide else RuntimeError)(f"value cannot be converted to type {kind} without overflow")
    made = new(kind.stored(values), shape, kind)
    return made.requires_grad_() if requires_grad else made


def kind_of(values: Numbers) -> Kind:
    """The type of Python's numbers, and of tensors among them."""
    kinds = {one.dtype if isinstance(one, Tensor) else types.KINDS[kind_number(one)] or DEFAULT[0] for one in values}
    return max(kinds, key=lambda kind: kind.rank, default=DEFAULT[0])


def two(name: str, apply: Callable[[str, Tensor, Any], Any], one: Tensor, other: Any) -> Any:
    """An operation as a method, which fails where an operator would ask the other side."""
    out = NotImplemented
    if name not in OF_TENSORS or isinstance(other, Tensor):
        out = apply(name, one, other)
    if out is NotImplemented:
        what = "Tensor" if name in OF_TENSORS else "Tensor or Number"
        raise TypeError(f"{name}(): argument 'other' must be {what}, not {type(other).__name__}")
    return out


def check_device(wanted: Any) -> None:
    if wanted is not None and not isinstance(wanted, bool):
        device(wanted)


# --- the methods that are alike --------------------------------------------------------------------------------------

# Last, because they are made for the class.
from ._operations import (  # noqa: E402  # noqa: E402
    added,
    added_terms,
    arithmetic,
    bitwise,
    bounded,
    check_apart,
    check_in_place,
    compared,
    in_place,
    kind_number,
    one_by_one,
    overwrite,
    product,
    scaled,
    store,
    where,
)
from ._reductions import dimensions, end_of, reduced, running, spread, spread_to_ends, with_place  # noqa: E402

CONVERSIONS = {
    "double": types.float64, "float": types.float32, "half": types.float16, "int": types.int32, "long": types.int64,
    "bool": types.bool_,
}  # fmt: skip
"""The methods that change the type."""
OF_TENSORS = ("maximum", "minimum", "fmax", "fmin", "atan2", "hypot", "logical_and", "logical_or", "logical_xor")
"""Operations of two tensors, never of a tensor and a number."""
REVERSED = ("rsub", "rpow", "rremainder", "rfloor_divide")
"""Operations of a number and a tensor, which are no methods."""


def _add_methods() -> None:
    def of_type(kind: Kind) -> Callable[[Tensor], Tensor]:
        return lambda self: self.to(kind)

    def of_one(name: str) -> Callable[[Tensor], Tensor]:
        return lambda self: one_by_one(name, self)

    def of_two(name: str, apply: Callable[[str, Tensor, Any], Any]) -> Callable[..., Any]:
        return lambda self, other: two(name, apply, self, other)

    def in_place_of(method: Callable[..., Any]) -> Callable[..., Tensor]:
        return lambda self, *args, **more: store(self, lambda: method(self, *args, **more))

    for name, kind in CONVERSIONS.items():
        setattr(Tensor, name, of_type(kind))
    for name in (*FLOATING, *KEEPING, *ASKING):
        method = vars(Tensor).get(name) or of_one(name)
        setattr(Tensor, name, method)
        if name not in ASKING or name == "logical_not":
            setattr(Tensor, f"{name}_", in_place_of(method))
    for table, apply in ((ARITHMETIC, arithmetic), (COMPARISONS, compared), (BITWISE, bitwise)):
        for name in table:
            if name not in ("add", "sub") and name not in REVERSED:
                method = vars(Tensor).get(name) or of_two(name, apply)
                setattr(Tensor, name, method)
                setattr(Tensor, f"{name}_", in_place_of(method))
    for name, other in ALIASES.items():
        for end in ("", "_"):
            if hasattr(Tensor, f"{other}{end}"):
                setattr(Tensor, f"{name}{end}", getattr(Tensor, f"{other}{end}"))
    for name, value in [*vars(Tensor).items()]:
        if not name.startswith("_") and callable(value):
            value.__name__, value.__qualname__ = name, f"Tensor.{name}"
            setattr(Tensor, name, types.named(value))


ALIASES = {
    "multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "absolute": "abs", "negative": "neg",
    "greater": "gt", "less": "lt", "greater_equal": "ge", "less_equal": "le", "not_equal": "ne",
}  # fmt: skip
"""Second names of methods."""
_add_methods()
