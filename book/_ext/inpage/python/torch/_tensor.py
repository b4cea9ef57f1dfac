"""Tensors: numbers in a list that several tensors may share, with a shape, strides and an offset as in PyTorch.

An operation is written once, on lists of numbers (`_numbers`). Here are the shapes, the types, what is written in
place, and what is recorded for gradients (`autograd`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from typing import Any, NamedTuple

from . import _indexing, _printing, _random
from . import _numbers as types
from ._numbers import ARITHMETIC, ASKING, BITWISE, COMPARISONS, FLOATING, KEEPING, NotInThePage, Numbers
from ._numbers import dtype as Kind
from .autograd import backward as run_backward
from .autograd.graph import RECORDING, Derivative, Node, edge_of

DEFAULT = [types.float32]
"""The type of floats for which nothing else is said; a list, so that all modules see one value."""
LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW = "a view of a leaf Variable that requires grad is being used in an in-place operation."


class Size(tuple):  # type: ignore[type-arg]
    """The shape of a tensor."""

    def numel(self) -> int:
        return math.prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"


class Values(NamedTuple):
    """What ``max`` and ``min`` give along a dimension."""

    values: Tensor
    indices: Tensor


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
        "__dict__", "__weakref__", "_grad", "_node", "_numel", "_offset", "_requires_grad", "_shape", "_storage",
        "_strides", "dtype",
    )  # fmt: skip
    _storage: Numbers
    _shape: tuple[int, ...]
    _strides: tuple[int, ...] | None  # None: row by row, without gaps
    _offset: int
    _numel: int
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
        return self.detach()

    @data.setter
    def data(self, other: Tensor) -> None:
        if not isinstance(other, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(other).__name__}")
        self._storage, self._shape, self._strides = other._storage, other._shape, other._strides
        self._offset, self._numel, self.dtype = other._offset, other._numel, other.dtype

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
        return self.shape if dim is None else self._shape[dim]

    def stride(self, dim: int | None = None) -> Any:
        strides = _steps(self)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        return self._offset

    def data_ptr(self) -> int:
        return (id(self._storage) + self._offset * self.dtype.itemsize) if self._numel else 0

    def is_contiguous(self) -> bool:
        steps = zip(self._shape, _steps(self), row_by_row(self._shape), strict=True)
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
        for size, step in zip(self._shape, _steps(self), strict=True):
            places = [place + step * i for place in places for i in range(size)]
        return places

    def _write(self, values: Numbers) -> None:
        if self._strides is None:
            self._storage[self._offset : self._offset + self._numel] = values
        else:
            for place, value in zip(self._positions(), values, strict=True):
                self._storage[place] = value

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

    def __getattr__(self, name: str) -> Any:
        raise types.lacking("Tensor", name)

    # --- copies and types ----------------------------------------------------------------------------------------

    def detach(self) -> Tensor:
        return _shared(self, self._shape, self._strides, self._offset)

    def detach_(self) -> Tensor:
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
            if isinstance(one, Kind):
                wanted = one
            elif isinstance(one, Tensor):
                wanted = one.dtype
            else:
                _check_device(one)
        _check_device(device)
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
        return arithmetic("rdiv", self, other)

    def __pow__(self, other: Any) -> Any:
        return arithmetic("pow", self, other)

    def __rpow__(self, other: Any) -> Any:
        return arithmetic("rpow", self, other)

    def __mod__(self, other: Any) -> Any:
        return arithmetic("remainder", self, other)

    def __floordiv__(self, other: Any) -> Any:
        return arithmetic("floor_divide", self, other)

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
        scale, (more,) = _scaled(args, 1, alpha, other)
        return _added("add", self, more, scale)

    def add_(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = _scaled(args, 1, alpha, other)
        return _store(self, lambda: _added("add", self, more, scale))

    def sub(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = _scaled(args, 1, alpha, other)
        return _added("sub", self, more, scale)

    def sub_(self, *args: Any, alpha: Any = 1, other: Any = None) -> Tensor:
        scale, (more,) = _scaled(args, 1, alpha, other)
        return _store(self, lambda: _added("sub", self, more, scale))

    def addcmul(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = _scaled(args, 2, value, tensor1, tensor2)
        return _added_terms(self, scale, one, two, "mul")

    def addcmul_(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = _scaled(args, 2, value, tensor1, tensor2)
        return _store(self, lambda: _added_terms(self, scale, one, two, "mul"))

    def addcdiv(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = _scaled(args, 2, value, tensor1, tensor2)
        return _added_terms(self, scale, one, two, "div")

    def addcdiv_(self, *args: Any, value: Any = 1, tensor1: Any = None, tensor2: Any = None) -> Tensor:
        scale, (one, two) = _scaled(args, 2, value, tensor1, tensor2)
        return _store(self, lambda: _added_terms(self, scale, one, two, "div"))

    def lerp(self, end: Tensor, weight: Any) -> Tensor:
        if end.dtype is not self.dtype:
            own, other = self.dtype.long_name.lower(), end.dtype.long_name.lower()
            raise RuntimeError(f"expected dtype {own} for `end` but got dtype {other}")
        if isinstance(weight, Tensor) and weight._shape:
            near = self + weight * (end - self)
            return where(weight.abs() < 0.5, near, end - (end - self) * (1 - weight))
        return self + weight * (end - self) if abs(float(weight)) < 0.5 else end - (end - self) * (1 - weight)

    def lerp_(self, end: Tensor, weight: Any) -> Tensor:
        return _store(self, lambda: self.lerp(end, weight))

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        if min is None and max is None:
            raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
        out = self if min is None else _bounded("maximum", self, min)
        return out if max is None else _bounded("minimum", out, max)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        return _store(self, lambda: self.clamp(min, max))

    clip, clip_ = clamp, clamp_

    def clamp_min(self, min: Any) -> Tensor:
        return self.clamp(min=min)

    def clamp_max(self, max: Any) -> Tensor:
        return self.clamp(max=max)

    def matmul(self, other: Tensor) -> Tensor:
        return product(self, other)

    mm = mv = inner = matmul

    def dot(self, other: Tensor) -> Tensor:
        if self.ndim != 1 or other.ndim != 1:
            raise RuntimeError(f"1D tensors expected, but got {self.ndim}D and {other.ndim}D tensors")
        return product(self, other)

    def outer(self, other: Tensor) -> Tensor:
        if self.ndim != 1 or other.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument self, but got {self.ndim}-D")
        return self.unsqueeze(-1) * other

    # --- in place ------------------------------------------------------------------------------------------------

    def copy_(self, other: Any, non_blocking: bool = False) -> Tensor:
        source = other if isinstance(other, Tensor) else tensor(other, dtype=self.dtype)
        return _store(self, lambda: source.expand(self._shape), any_type=True)

    def fill_(self, value: Any) -> Tensor:
        return _store(self, lambda: new(self.dtype.stored([value]), (), self.dtype).expand(self._shape))

    def zero_(self) -> Tensor:
        return self.fill_(0)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        return where(mask, value, self)

    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        return _store(self, lambda: where(mask, value, self), any_type=True)

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
        draws = _random.normal(self._numel, self.dtype, generator)
        return _store(self, lambda: new([mean + std * x for x in draws], self._shape, self.dtype))

    def uniform_(self, start: float = 0.0, end: float = 1.0, *, generator: Any = None) -> Tensor:
        draws = _random.uniform(self._numel, self.dtype, generator)
        return _store(self, lambda: new([start + (end - start) * x for x in draws], self._shape, self.dtype))

    # --- one number, or one along a dimension ----------------------------------------------------------------------

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Kind | None = None) -> Tensor:
        source = self if dtype is None else self.to(dtype)
        kind = source.dtype if source.dtype.kind == 2 else types.int64
        out = reduced(source, dim, keepdim, _total, kind)
        return record(out, "SumBackward0", (source,), lambda g: (_spread(g, source, dim, keepdim),))

    def mean(self, dim: Any = None, keepdim: bool = False, *, dtype: Kind | None = None) -> Tensor:
        source = self if dtype is None else self.to(dtype)
        if source.dtype.kind != 2:
            raise RuntimeError(
                "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
                f"Got: {source.dtype.long_name}"
            )
        total = source.sum(dim, keepdim)
        return total / (source._numel // total._numel if total._numel else 1)

    def prod(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        out = reduced(self, dim, keepdim, math.prod, self.dtype if self.dtype.kind == 2 else types.int64)

        def derivative(g: Tensor) -> tuple[Tensor]:
            own = self.detach()
            if not own.all():
                raise NotInThePage("the derivative of a product that is zero")
            return (_spread(g * out.detach(), self, dim, keepdim) / own,)

        return record(out, "ProdBackward0", (self,), derivative)

    def var(self, dim: Any = None, keepdim: bool = False, *, unbiased: bool = True, correction: int = 1) -> Tensor:
        apart = self - self.mean(dim, keepdim=True)
        total = (apart * apart).sum(dim, keepdim)
        count = self._numel // max(total._numel, 1) - (correction if unbiased else 0)
        return total / max(count, 0)

    def std(self, dim: Any = None, keepdim: bool = False, *, unbiased: bool = True, correction: int = 1) -> Tensor:
        return self.var(dim, keepdim, unbiased=unbiased, correction=correction).sqrt()

    def norm(self, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
        if p is None or isinstance(p, str):  # Frobenius' norm
            p = 2
        if p == 2:
            out = reduced(self, dim, keepdim, lambda x: math.sqrt(_total([y * y for y in x])), self.dtype)

            def derivative(g: Tensor) -> tuple[Tensor]:
                length = _spread(out.detach(), self, dim, keepdim)
                share = self.detach() / length
                return (_spread(g, self, dim, keepdim) * where(length == 0, 0.0, share),)

            return record(out, "LinalgVectorNormBackward0", (self,), derivative)
        sizes = self.abs()
        if p == math.inf:
            return sizes.max() if dim is None else sizes.amax(dim, keepdim)
        return sizes.sum(dim, keepdim) if p == 1 else (sizes**p).sum(dim, keepdim) ** (1 / p)

    def amax(self, dim: Any = (), keepdim: bool = False) -> Tensor:
        return _spread_to_ends(self, reduced(self, dim, keepdim, _most, self.dtype), dim, keepdim)

    def amin(self, dim: Any = (), keepdim: bool = False) -> Tensor:
        return _spread_to_ends(self, reduced(self, dim, keepdim, _least, self.dtype), dim, keepdim)

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        return _end(self, dim, keepdim, _most, "maximum")

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        return _end(self, dim, keepdim, _least, "minimum")

    def argmax(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, lambda x: x.index(_most(x)), types.int64)

    def argmin(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, lambda x: x.index(_least(x)), types.int64)

    def all(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, all, types.bool_)

    def any(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return reduced(self, dim, keepdim, any, types.bool_)

    def median(self) -> Tensor:
        values = sorted(self._values())
        return new([values[(len(values) - 1) // 2]], (), self.dtype)

    def cumsum(self, dim: int) -> Tensor:
        return _running(self, dim, lambda x: [*itertools.accumulate(x)])

    def cumprod(self, dim: int) -> Tensor:
        return _running(self, dim, lambda x: [*itertools.accumulate(x, lambda a, b: a * b)])

    def diff(self, n: int = 1, dim: int = -1) -> Tensor:
        if not self._shape:
            raise RuntimeError("diff expects input to be at least one-dimensional")
        _dims(self, dim)
        out = self
        for _ in range(n):
            size = out._shape[dim]
            out = out.narrow(dim, 1, max(size - 1, 0)) - out.narrow(dim, 0, max(size - 1, 0))
        return out

    def sort(self, dim: int = -1, descending: bool = False) -> Values:
        order = _running(self, dim, lambda x: sorted(range(len(x)), key=x.__getitem__, reverse=descending), types.int64)
        return Values(_running(self, dim, lambda x: sorted(x, reverse=descending)), order)

    def argsort(self, dim: int = -1, descending: bool = False) -> Tensor:
        return self.sort(dim, descending).indices

    # --- shapes --------------------------------------------------------------------------------------------------

    def view(self, *shape: Any) -> Tensor:
        if len(shape) == 1 and isinstance(shape[0], Kind):
            raise NotInThePage("Tensor.view with a type")
        wanted = _fitting(sizes(shape), self._numel)
        strides = _indexing.strides_of_view(self._shape, _steps(self), wanted)
        if strides is None:
            raise RuntimeError(
                "view size is not compatible with input tensor's size and stride (at least one dimension spans across "
                "two contiguous subspaces). Use .reshape(...) instead."
            )
        return _viewed(self, wanted, strides, self._offset, "ViewBackward0", lambda g: (g.reshape(self._shape),))

    def view_as(self, other: Tensor) -> Tensor:
        return self.view(other._shape)

    def reshape(self, *shape: Any) -> Tensor:
        wanted = _fitting(sizes(shape), self._numel)
        if _indexing.strides_of_view(self._shape, _steps(self), wanted) is None:
            return self.clone().view(wanted)
        return self.view(wanted)

    def reshape_as(self, other: Tensor) -> Tensor:
        return self.reshape(other._shape)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        if not self._shape:
            return self.reshape(1)
        first, last = start_dim % self.ndim, end_dim % self.ndim
        middle = math.prod(self._shape[first : last + 1])
        return self.reshape(*self._shape[:first], middle, *self._shape[last + 1 :])

    ravel = flatten

    def squeeze(self, dim: int | None = None) -> Tensor:
        kept = [
            i for i, size in enumerate(self._shape) if size != 1 or (dim is not None and i != dim % max(self.ndim, 1))
        ]
        strides = _steps(self)
        return _viewed(
            self, tuple(self._shape[i] for i in kept), tuple(strides[i] for i in kept), self._offset,
            "SqueezeBackward0", lambda g: (g.reshape(self._shape),),
        )  # fmt: skip

    def unsqueeze(self, dim: int) -> Tensor:
        at = dim % (self.ndim + 1)
        strides = _steps(self)
        shape, steps = [*self._shape], [*strides]
        shape.insert(at, 1)
        steps.insert(at, 1)
        return _viewed(
            self, tuple(shape), tuple(steps), self._offset, "UnsqueezeBackward0", lambda g: (g.reshape(self._shape),)
        )

    def permute(self, *dims: Any) -> Tensor:
        order = [d % self.ndim for d in sizes(dims)]
        back = [order.index(i) for i in range(self.ndim)]
        strides = _steps(self)
        return _viewed(
            self, tuple(self._shape[d] for d in order), tuple(strides[d] for d in order), self._offset,
            "PermuteBackward0", lambda g: (g.permute(*back),),
        )  # fmt: skip

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        _dims(self, [dim0]), _dims(self, [dim1])
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

    def expand(self, *shape: Any) -> Tensor:
        wanted = sizes(shape)
        if wanted == self._shape:
            return self
        more = len(wanted) - self.ndim
        own, strides = (1,) * more + self._shape, (0,) * more + _steps(self)
        wanted = tuple(o if w == -1 else w for o, w in zip(own, wanted, strict=False))
        if more < 0 or any(o not in (1, w) for o, w in zip(own, wanted, strict=True)):
            raise RuntimeError(
                f"The expanded size of the tensor ({wanted[-1] if wanted else 1}) must match the existing size "
                f"({self._shape[-1]}) at non-singleton dimension {len(wanted) - 1}.  "
                f"Target sizes: {list(wanted)}.  Tensor sizes: {list(self._shape)}"
            )
        steps = tuple(0 if o != w else s for o, w, s in zip(own, wanted, strides, strict=True))
        return _viewed(self, wanted, steps, self._offset, "ExpandBackward0", lambda g: (summed_to(g, self._shape),))

    broadcast_to = expand

    def expand_as(self, other: Tensor) -> Tensor:
        return self.expand(other._shape)

    def repeat(self, *counts: Any) -> Tensor:
        times = sizes(counts)
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
        return tuple(self.select(dim, i) for i in range(self._shape[dim]))

    def select(self, dim: int, index: int) -> Tensor:
        if not self._shape:
            raise IndexError("select() cannot be applied to a 0-dim tensor.")
        return self[(slice(None),) * (dim % self.ndim) + (index,)]

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        if not self._shape:
            raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
        (at,) = _dims(self, [dim])
        if start + length > self._shape[at]:
            raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({self._shape[at]}).")
        return self[(slice(None),) * at + (slice(start, start + length),)]

    def split(self, size: Any, dim: int = 0) -> tuple[Tensor, ...]:
        if not self._shape:
            raise RuntimeError("split expects at least a 1-dimensional tensor")
        whole = self._shape[dim]
        lengths = [min(size, whole - i) for i in range(0, whole, size)] if isinstance(size, int) else size
        starts = itertools.accumulate(lengths, initial=0)
        return tuple(self.narrow(dim, start, length) for start, length in zip(starts, lengths, strict=False))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        if not self._shape:
            raise RuntimeError("chunk expects at least a 1-dimensional tensor")
        return self.split(max(-(-self._shape[dim] // chunks), 1), dim)

    def flip(self, *dims: Any) -> Tensor:
        out = self
        for d in sizes(dims) if self._shape else ():
            order = new([*range(self._shape[d])][::-1], (self._shape[d],), types.int64)
            out = out[(slice(None),) * (d % self.ndim) + (order,)]
        return out

    def diagonal(self, offset: int = 0) -> Tensor:
        if self.ndim < 2:
            raise IndexError(f"Dimension out of range (got 1, for a tensor of {self.ndim} dimensions)")
        if self.ndim > 2:
            raise NotInThePage("the diagonal of several matrices at once")
        rows, columns = self._shape[:2]
        row, column = max(-offset, 0), max(offset, 0)
        down, right = _steps(self)[:2]
        size = max(min(rows - row, columns - column), 0)
        return _viewed(
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

    def nonzero(self) -> Tensor:
        places = itertools.product(*map(range, self._shape))
        found = [place for place, value in zip(places, self._values(), strict=True) if value]
        return new([i for place in found for i in place], (len(found), self.ndim), types.int64)

    def __getitem__(self, key: Any) -> Tensor:
        return _indexing.get(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _indexing.put(self, key, value)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        return self[(slice(None),) * (dim % self.ndim) + (index,)]

    def masked_select(self, mask: Tensor) -> Tensor:
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
    made.dtype, made._grad, made._node, made._requires_grad = dtype, None, None, False
    return made


def _shared(source: Tensor, shape: tuple[int, ...], strides: tuple[int, ...] | None, offset: int) -> Tensor:
    """A tensor in the memory of another."""
    made: Tensor = object.__new__(Tensor)
    made._storage, made._shape, made._strides, made._offset = source._storage, shape, strides, offset
    made._numel = math.prod(shape)
    made.dtype, made._grad, made._node, made._requires_grad = source.dtype, None, None, False
    return made


def _rebuilt(values: Numbers, shape: tuple[int, ...], name: str, requires_grad: bool) -> Tensor:
    kinds = {one.name: one for one in vars(types).values() if isinstance(one, Kind)}
    return new(values, shape, kinds[name]).requires_grad_(requires_grad)


def _viewed(
    source: Tensor, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, name: str, derivative: Any
) -> Tensor:
    """A view, which remembers where it comes from."""
    made = _shared(source, shape, None if strides == row_by_row(shape) else strides, offset)
    if source._requires_grad and RECORDING[0]:
        if derivative is None:  # the gradient is zero outside of the view

            def derivative(g: Tensor) -> tuple[Tensor]:
                whole = new([0.0] * source._numel, source._shape, g.dtype)
                flat = new([*range(source._numel)], source._shape, types.int64)
                steps = row_by_row(source._shape)
                ours = dict(zip(source._positions(), flat._values(), strict=True))
                del steps
                for place, value in zip(made._positions(), g._values(), strict=True):
                    whole._storage[ours[place]] += value
                return (whole,)

        record(made, name, (source,), derivative)
        node = made._node
        if node is not None:
            node.leaf = source if source._node is None else source._node.leaf
    return made


def record(out: Tensor, name: str, inputs: Sequence[Any], derivative: Derivative) -> Tensor:
    """Remember what a tensor was computed from, if a gradient may be asked for."""
    if RECORDING[0] and out.dtype.kind == 2:
        edges = [edge_of(one) if isinstance(one, Tensor) else None for one in inputs]
        if any(edge is not None for edge in edges):
            out._node, out._requires_grad = Node(name, edges, derivative), True
    return out


def tensor(data: Any, *, dtype: Kind | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of numbers in nested lists."""
    _check_device(device)
    if isinstance(data, Tensor):
        values, shape, kind = data._values(), data._shape, dtype or data.dtype
    else:
        values, shape = _indexing.flattened(data)
        kind = dtype or _kind_of(values)
    made = new(kind.stored(values), shape, kind)
    return made.requires_grad_() if requires_grad else made


def _kind_of(values: Numbers) -> Kind:
    if any(isinstance(one, float) for one in values) or not values:
        return DEFAULT[0]
    return types.bool_ if all(isinstance(one, bool) for one in values) else types.int64


def _check_device(wanted: Any) -> None:
    if wanted is not None and not isinstance(wanted, bool):
        device(wanted)


# --- shapes ----------------------------------------------------------------------------------------------------------


def row_by_row(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def _steps(one: Tensor) -> tuple[int, ...]:
    return row_by_row(one._shape) if one._strides is None else one._strides


def sizes(given: tuple[Any, ...]) -> tuple[int, ...]:
    """A shape that was given as one sequence or as several numbers."""
    if len(given) == 1 and not isinstance(given[0], int):
        given = tuple(given[0])
    return tuple(int(size) for size in given)


def _fitting(shape: tuple[int, ...], numel: int) -> tuple[int, ...]:
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


# --- operations ------------------------------------------------------------------------------------------------------


def _joint_type(a: Tensor, b: Any) -> Kind:
    """The type of the result of two operands. Numbers and tensors without dimensions yield to other tensors."""
    if isinstance(b, Tensor):
        if a.dtype is b.dtype:
            return a.dtype
        if bool(a._shape) != bool(b._shape):
            dimensioned, other = (a, b) if a._shape else (b, a)
            if other.dtype.kind <= dimensioned.dtype.kind:
                return dimensioned.dtype
        return a.dtype if a.dtype.rank >= b.dtype.rank else b.dtype
    kind = _kind_number(b)
    return a.dtype if kind <= a.dtype.kind else (types.KINDS[kind] or DEFAULT[0])


def _kind_number(one: Any) -> int:
    """0 for truths, 1 for whole numbers, 2 for floats."""
    if isinstance(one, Tensor):
        return one.dtype.kind
    return 0 if isinstance(one, bool) else 1 if isinstance(one, int) else 2


def _operands(a: Tensor, b: Any, kind: Kind) -> tuple[Numbers, Numbers, tuple[int, ...]]:
    if isinstance(b, Tensor):
        if a._shape == b._shape:
            x, y, shape = a._values(), b._values(), a._shape
        else:
            shape = joint_shape(a._shape, b._shape)
            x, y = _repeated(a, shape), _repeated(b, shape)
        if a.dtype is not b.dtype:
            x = x if a.dtype.rank <= kind.rank else kind.stored(x)
            y = y if b.dtype.rank <= kind.rank else kind.stored(y)
        return x, y, shape
    number = float(b) if kind.kind == 2 else b
    if kind is types.float32 or kind is types.float16:
        (number,) = types.float32.stored([number])
    return a._values(), [number] * a._numel, a._shape


def _repeated(one: Tensor, shape: tuple[int, ...]) -> Numbers:
    if one._shape == shape:
        return one._values()
    if one._numel == 1:
        return one._values() * math.prod(shape)
    more = len(shape) - one.ndim
    steps = (0,) * more + tuple(
        0 if size != wanted else step for size, wanted, step in zip(one._shape, shape[more:], _steps(one), strict=True)
    )
    return _shared(one, shape, steps, one._offset)._values()


def is_number(one: Any) -> bool:
    return isinstance(one, (int, float, Real))


def arithmetic(name: str, a: Tensor, b: Any) -> Any:
    """An operation of two tensors, or of a tensor and a number, as a new tensor."""
    if not isinstance(b, Tensor) and not is_number(b):
        if isinstance(b, complex):
            raise NotInThePage("a complex number")
        return NotImplemented
    kind = _joint_type(a, b)
    if kind.kind != 2 and name in ("div", "rdiv", "atan2", "hypot"):
        kind = DEFAULT[0]
    if name in ("sub", "rsub") and 0 in (a.dtype.kind, _kind_number(b)):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a "
            "mask, use the `~` or `logical_not()` operator instead."
        )
    x, y, shape = _operands(a, b, kind)
    values = ARITHMETIC[name](x, y)
    if kind is not types.float64 or a.dtype is not kind or (isinstance(b, Tensor) and b.dtype is not kind):
        values = kind.stored(values)
    out = new(values, shape, kind)
    if RECORDING[0] and (a._requires_grad or (isinstance(b, Tensor) and b._requires_grad)):
        a_, b_ = a.detach(), b.detach() if isinstance(b, Tensor) else b
        back = DERIVATIVES.get(name)

        def derivative(g: Tensor) -> tuple[Tensor | None, Tensor | None]:
            if back is None:
                raise NotInThePage(f"the derivative of {name}")
            first, second = back(g, a_, b_, out.detach())
            return (
                summed_to(first, a_._shape).to(a_.dtype),
                summed_to(second(), b_._shape).to(b_.dtype) if isinstance(b_, Tensor) else None,
            )

        record(out, f"{name.removeprefix('r').capitalize()}Backward0", (a, b), derivative)
    return out


Later = Callable[[], "Tensor"]
DERIVATIVES: dict[str, Callable[[Tensor, Tensor, Any, Tensor], tuple[Tensor, Later]]] = {
    "add": lambda g, a, b, out: (g, lambda: g),
    "sub": lambda g, a, b, out: (g, lambda: -g),
    "rsub": lambda g, a, b, out: (-g, lambda: g),
    "mul": lambda g, a, b, out: (g * b, lambda: g * a),
    "div": lambda g, a, b, out: (g / b, lambda: -g * out / b),
    "rdiv": lambda g, a, b, out: (-g * out / a, lambda: g / a),
    "pow": lambda g, a, b, out: (_power_slope(g, a, b), lambda: g * out * a.log()),
    "rpow": lambda g, a, b, out: (g * out * math.log(b), lambda: g),
    "maximum": lambda g, a, b, out: (_shared_out(g, a, b, "gt"), lambda: _shared_out(g, b, a, "gt")),
    "minimum": lambda g, a, b, out: (_shared_out(g, a, b, "lt"), lambda: _shared_out(g, b, a, "lt")),
}
"""The gradients for the two operands of an operation, from that of its result."""


def _power_slope(g: Tensor, a: Tensor, b: Any) -> Tensor:
    return g * b * a ** (b - 1) if isinstance(b, Tensor) or b != 0 else g * 0.0


def _shared_out(g: Tensor, a: Any, b: Any, relation: str) -> Tensor:
    return where(compared(relation, a, b), g, where(compared("eq", a, b), g / 2, g * 0.0))


def compared(name: str, a: Tensor, b: Any) -> Any:
    if not isinstance(b, Tensor) and not is_number(b):
        return NotImplemented
    kind = _joint_type(a, b)
    x, y, shape = _operands(a, b, kind)
    return new(COMPARISONS[name](x, y), shape, types.bool_)


def bitwise(name: str, a: Tensor, b: Any) -> Any:
    if not isinstance(b, Tensor) and not is_number(b):
        return NotImplemented
    kind = _joint_type(a, b)
    if kind.kind == 2:
        raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind.long_name}'")
    x, y, shape = _operands(a, b, kind)
    return new(kind.stored(BITWISE[name](x, y)), shape, kind)


def one_by_one(name: str, a: Tensor) -> Tensor:
    """A function of one number, of each."""
    if name in ASKING:
        return new([ASKING[name](x) for x in a._values()], a._shape, types.bool_)
    if name in FLOATING:
        kind = a.dtype if a.dtype.kind == 2 else DEFAULT[0]
        values = [FLOATING[name](x) for x in a._values()]
    else:
        kind = a.dtype
        values = [KEEPING[name](x) for x in a._values()]
    out = new(kind.stored(values), a._shape, kind)
    if RECORDING[0] and a._requires_grad:
        a_ = a.detach()
        slope = SLOPES.get(name)

        def derivative(g: Tensor) -> tuple[Tensor]:
            if slope is None:
                raise NotInThePage(f"the derivative of {name}")
            return (slope(g, a_, out.detach()),)

        record(out, f"{name.capitalize()}Backward0", (a,), derivative)
    return out


SLOPES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "sqrt": lambda g, a, out: g / (2 * out),
    "rsqrt": lambda g, a, out: -0.5 * g * out**3,
    "reciprocal": lambda g, a, out: -g * out * out,
    "exp": lambda g, a, out: g * out,
    "expm1": lambda g, a, out: g * (out + 1),
    "log": lambda g, a, out: g / a,
    "log1p": lambda g, a, out: g / (a + 1),
    "sin": lambda g, a, out: g * a.cos(),
    "cos": lambda g, a, out: -g * a.sin(),
    "tanh": lambda g, a, out: g * (1 - out * out),
    "sigmoid": lambda g, a, out: g * out * (1 - out),
    "abs": lambda g, a, out: g * a.sign(),
    "neg": lambda g, a, out: -g,
    "square": lambda g, a, out: g * 2 * a,
    "relu": lambda g, a, out: g * (a > 0),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), lambda g, a, out: g * 0.0),
}
"""The gradient for the operand of a function, from that of its result."""


def _check_in_place(one: Tensor) -> None:
    if one._requires_grad and RECORDING[0]:
        if one._node is None:
            raise RuntimeError(LEAF)
        if one._node.leaf is not None:
            raise RuntimeError(VIEW)


def _store(one: Tensor, compute: Callable[[], Any], any_type: bool = False) -> Tensor:
    """Compute new numbers for a tensor, and write them where its numbers are."""
    _check_in_place(one)
    out = compute()
    if out is NotImplemented:
        raise TypeError("unsupported operand type")
    if out._shape != one._shape:
        raise RuntimeError(f"output with shape {list(one._shape)} doesn't match the broadcast shape {list(out._shape)}")
    if out.dtype is not one.dtype:
        if out.dtype.kind > one.dtype.kind and not any_type:
            raise RuntimeError(
                f"result type {out.dtype.long_name} can't be cast to the desired output type {one.dtype.long_name}"
            )
        one._write(one.dtype.stored(out._values()))
    else:
        one._write(out._values())
    if out._requires_grad and RECORDING[0]:
        one._node, one._requires_grad = out._node or Node("CopyBackwards", [out], lambda g: (g,)), True
    return one


def in_place(name: str, a: Tensor, b: Any) -> Any:
    if not isinstance(b, Tensor) and not is_number(b):
        return NotImplemented
    return _store(a, lambda: arithmetic(name, a, b))


def _scaled(args: tuple[Any, ...], count: int, scale: Any, *named: Any) -> tuple[Any, list[Any]]:
    """The factor and the tensors of a method that may be called in PyTorch's old order: the factor first."""
    given = [*args, *(one for one in named if one is not None)]
    if len(given) == count + 1:
        scale, *given = given
    if len(given) != count:
        raise TypeError(f"expected {count} tensors and perhaps a factor, got {len(given)} arguments")
    for one in given:
        if not isinstance(one, Tensor) and not (count == 1 and is_number(one)):
            raise TypeError(f"argument 'other' must be Tensor, not {type(one).__name__}")
    if isinstance(scale, Tensor):
        scale = scale.item()
    return scale, given


def _added(name: str, a: Tensor, b: Any, scale: Any) -> Tensor:
    if scale == 1:
        return arithmetic(name, a, b)
    kind = _joint_type(a, b)
    if a._requires_grad or (isinstance(b, Tensor) and b._requires_grad) or kind is not types.float64:
        return arithmetic(name, a, scale * b)
    x, y, shape = _operands(a, b, kind)
    scale = float(scale) if name == "add" else -float(scale)
    return new([p + scale * q for p, q in zip(x, y, strict=True)], shape, kind)


def _added_terms(a: Tensor, scale: Any, one: Tensor, two: Tensor, name: str) -> Tensor:
    """``a + scale * one * two``, or divided by ``two``, in the type of all three."""
    kind = max((one, two, a), key=lambda x: (bool(x._shape), x.dtype.rank)).dtype
    first, second = one.to(kind), two.to(kind)
    term = arithmetic(name, first if scale == 1 else arithmetic("mul", first, scale), second)
    return arithmetic("add", a, term)


def _bounded(name: str, one: Tensor, bound: Any) -> Tensor:
    if isinstance(bound, Tensor):
        return arithmetic(name, one, bound)
    kind = _joint_type(one, bound)
    (limit,) = kind.stored([bound])
    function = types.larger if name == "maximum" else types.smaller
    out = new(kind.stored([function(x, limit) for x in one._values()]), one._shape, kind)
    inside = (one.detach() >= limit) if name == "maximum" else (one.detach() <= limit)
    return record(out, "ClampBackward1", (one,), lambda g: (g * inside,))


def where(condition: Tensor, one: Any = None, other: Any = None) -> Any:
    """Numbers of one where a condition holds, and of another where it doesn't."""
    if one is None:
        return tuple(condition.nonzero().unbind(1))
    both = [x if isinstance(x, Tensor) else None for x in (one, other)]
    if both[0] is None and both[1] is None:
        one = tensor(one)
    first = one if isinstance(one, Tensor) else other
    kind = _joint_type(first, other if first is one else one)
    one, other = (x if isinstance(x, Tensor) else new(kind.stored([x]), (), kind) for x in (one, other))
    shape = joint_shape(joint_shape(condition._shape, one._shape), other._shape)
    values = [
        x if c else y
        for c, x, y in zip(_repeated(condition, shape), _repeated(one, shape), _repeated(other, shape), strict=True)
    ]
    out = new(kind.stored(values), shape, kind)

    def derivative(g: Tensor) -> tuple[Tensor, Tensor]:
        zero = g * 0.0
        return (
            summed_to(where(condition, g, zero), one._shape), summed_to(where(condition, zero, g), other._shape)
        )  # fmt: skip

    return record(out, "WhereBackward0", (one, other), derivative)


def _plain_product(a: Tensor, b: Tensor) -> Tensor:
    rows, inner = a._shape
    columns = b._shape[1]
    x, y = a._values(), b.t()._values()
    values = [
        _total([p * q for p, q in zip(x[i : i + inner], y[j : j + inner], strict=True)])
        for i in range(0, rows * inner, inner) for j in range(0, columns * inner, inner)
    ] if inner else [0.0] * (rows * columns)  # fmt: skip
    return new(a.dtype.stored(values), (rows, columns), a.dtype)


def product(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product, of vectors, matrices, and of several matrices with one."""
    if not isinstance(b, Tensor):
        raise TypeError(f"matmul(): argument 'other' must be Tensor, not {type(b).__name__}")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {a.dtype.long_name.lower()} != "
            f"{b.dtype.long_name.lower()}"
        )
    if not a._shape or not b._shape:
        raise RuntimeError("both arguments to matmul need to be at least 1D, but they are 0D and 1D")
    if b.ndim > 2:
        raise NotInThePage("the product with several matrices at once")
    left = a.reshape(math.prod(a._shape[:-1]), a._shape[-1])
    right = b if b.ndim == 2 else b.unsqueeze(1)
    if left._shape[1] != right._shape[0]:
        if a.ndim == b.ndim == 1:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor [{a._numel}] and src [{b._numel}] to have the same number "
                f"of elements, but got {a._numel} and {b._numel} elements respectively"
            )
        said = f"{left._shape[0]}x{left._shape[1]} and {right._shape[0]}x{right._shape[1]}"
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({said})")
    out = _plain_product(left, right)
    left_, right_ = left.detach(), right.detach()
    record(
        out, "MmBackward0", (left, right),
        lambda g: (_plain_product(g, right_.t()), _plain_product(left_.t().contiguous(), g)),
    )  # fmt: skip
    return out.reshape(a._shape[:-1] + b._shape[1:])


# --- reductions ------------------------------------------------------------------------------------------------------


def _total(values: Numbers) -> Any:
    # Not `sum`: from Python 3.12 on it adds floats with a correction, which PyTorch does not.
    total = values[0] if values else 0.0
    for value in values[1:]:
        total = total + value
    return total


def _most(values: Numbers) -> Any:
    return next((x for x in values if x != x), None) if any(x != x for x in values) else max(values)


def _least(values: Numbers) -> Any:
    return next((x for x in values if x != x), None) if any(x != x for x in values) else min(values)


def _dims(one: Tensor, dim: Any) -> list[int]:
    if dim is None or dim == ():
        return [*range(one.ndim)]
    for d in [dim] if isinstance(dim, int) else dim:
        if not -max(one.ndim, 1) <= d < max(one.ndim, 1):
            low, high = -max(one.ndim, 1), max(one.ndim, 1) - 1
            raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {d})")
    dims = [d % max(one.ndim, 1) for d in ([dim] if isinstance(dim, int) else dim)]
    if len({*dims}) < len(dims):
        raise RuntimeError(f"dim {max(dims, key=dims.count)} appears multiple times in the list of dims")
    return dims


def reduced(one: Tensor, dim: Any, keepdim: bool, function: Callable[[Numbers], Any], kind: Kind) -> Tensor:
    """One number of all, or of all along some dimensions."""
    over = _dims(one, dim)
    if len(over) >= one.ndim:
        shape = (1,) * one.ndim if keepdim else ()
        rows = [one._values()]
    else:
        kept = [d for d in range(one.ndim) if d not in over]
        last = one.permute(*kept, *over)._values() if RECORDING[0] is False else _still(one, kept, over)
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


def _still(one: Tensor, kept: list[int], over: list[int]) -> Numbers:
    return one.detach().permute(*kept, *over)._values()


def _spread(g: Tensor, source: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """The gradient of a sum, for each of its terms."""
    if not keepdim:
        for d in sorted(_dims(source, dim)) if source.ndim else ():
            g = g.unsqueeze(d)
    return g.expand(source._shape)


def _spread_to_ends(source: Tensor, out: Tensor, dim: Any, keepdim: bool) -> Tensor:
    """The gradient of a largest or smallest number goes in equal parts to all that have its value."""

    def derivative(g: Tensor) -> tuple[Tensor]:
        here = source.detach() == _spread(out.detach(), source, dim, keepdim)
        count = here.sum(None if dim in (None, ()) else dim, keepdim=True)
        return (_spread(g, source, dim, keepdim) * here / count,)

    return record(out, "AmaxBackward0", (source,), derivative)


def _end(one: Tensor, dim: Any, keepdim: bool, function: Callable[[Numbers], Any], pair: str) -> Any:
    if isinstance(dim, Tensor):
        return arithmetic(pair, one, dim)
    out = reduced(one, dim, keepdim, function, one.dtype)
    if dim is None:
        return _spread_to_ends(one, out, None, keepdim)
    return Values(out, reduced(one, dim, keepdim, lambda x: x.index(function(x)), types.int64))


def _running(one: Tensor, dim: int, function: Callable[[Numbers], Numbers], kind: Kind | None = None) -> Tensor:
    """What a function makes of each row along a dimension: a row of the same length."""
    _dims(one, dim)
    if not one._shape:
        return new(function(one._values()), (), kind or one.dtype)
    turned = one.detach().transpose(dim, -1)
    values, size = turned._values(), turned._shape[-1]
    rows = [function(values[i : i + size]) for i in range(0, len(values), size or 1)]
    kind = kind or (one.dtype if one.dtype.kind == 2 else types.int64)
    out = new(kind.stored([x for row in rows for x in row]), turned._shape, kind).transpose(dim, -1).contiguous()

    def derivative(g: Tensor) -> tuple[Tensor]:
        raise NotInThePage("the derivative of what runs along a dimension, such as cumsum")

    return record(out, "CumsumBackward0", (one,), derivative)


# --- the methods that are alike --------------------------------------------------------------------------------------


CONVERSIONS = {
    "double": types.float64, "float": types.float32, "half": types.float16, "int": types.int32, "long": types.int64,
    "bool": types.bool_,
}  # fmt: skip
"""The methods that change the type."""


def _add_methods() -> None:
    def of_type(kind: Kind) -> Callable[[Tensor], Tensor]:
        return lambda self: self.to(kind)

    def of_one(name: str) -> Callable[[Tensor], Tensor]:
        return lambda self: one_by_one(name, self)

    def of_one_in_place(name: str) -> Callable[[Tensor], Tensor]:
        return lambda self: _store(self, lambda: one_by_one(name, self))

    def of_two(name: str, apply: Callable[[str, Tensor, Any], Any]) -> Callable[[Tensor, Any], Any]:
        def method(self: Tensor, other: Any) -> Any:
            out = apply(name, self, other)
            if out is NotImplemented:
                raise TypeError(f"{name}(): argument 'other' must be Tensor or Number, not {type(other).__name__}")
            return out

        return method

    def of_two_in_place(method: Callable[[Tensor, Any], Any]) -> Callable[[Tensor, Any], Tensor]:
        return lambda self, other: _store(self, lambda: method(self, other))

    for name, kind in CONVERSIONS.items():
        setattr(Tensor, name, of_type(kind))
    for name in (*FLOATING, *KEEPING, *ASKING):
        setattr(Tensor, name, of_one(name))
        if name not in ASKING or name == "logical_not":
            setattr(Tensor, f"{name}_", of_one_in_place(name))
    for table, apply in ((ARITHMETIC, arithmetic), (COMPARISONS, compared), (BITWISE, bitwise)):
        for name in table:
            if name not in ("add", "sub", "rsub", "rdiv", "rpow"):
                method = of_two(name, apply)
                setattr(Tensor, name, method)
                setattr(Tensor, f"{name}_", of_two_in_place(method))
    for name, other in ALIASES.items():
        for end in ("", "_"):
            if hasattr(Tensor, f"{other}{end}"):
                setattr(Tensor, f"{name}{end}", getattr(Tensor, f"{other}{end}"))


ALIASES = {
    "multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "absolute": "abs", "negative": "neg",
    "greater": "gt", "less": "lt", "fmax": "maximum", "fmin": "minimum",
}  # fmt: skip
"""Second names of methods."""
_add_methods()
