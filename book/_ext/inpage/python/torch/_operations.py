"""Operations on tensors: the shape and the type of a result, what is written in place, and the gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any

from . import _numbers as types
from ._numbers import ARITHMETIC, ASKING, BITWISE, COMPARISONS, FLOATING, KEEPING, NotInThePage, Numbers, total_of
from ._numbers import dtype as Kind
from ._shapes import joint_shape, steps_of, summed_to
from ._tensor import DEFAULT, Tensor, at_places, new, record, sharing, tensor
from .autograd.graph import RECORDING, Saved

LEAF = "a leaf Variable that requires grad is being used in an in-place operation."
VIEW = "a view of a leaf Variable that requires grad is being used in an in-place operation."
UNRECORDED = "A view was created in no_grad mode and is being modified inplace with grad mode enabled."
ONE_OF_SEVERAL = (
    "This view is the output of a function that returns multiple views. Such functions do not allow the output views "
    "to be modified inplace. You should replace the inplace operation by an out-of-place one."
)
OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please "
    "clone() the tensor before performing the operation."
)
SEVERAL = ("UnbindBackward0", "SplitBackward0")
"""The functions that return several views."""


def joint_type(a: Tensor, b: Any) -> Kind:
    """The type of the result of two operands. Numbers and tensors without dimensions yield to other tensors."""
    if isinstance(b, Tensor):
        if a.dtype is b.dtype:
            return a.dtype
        if bool(a._shape) != bool(b._shape):
            dimensioned, other = (a, b) if a._shape else (b, a)
            if other.dtype.kind <= dimensioned.dtype.kind:
                return dimensioned.dtype
        return a.dtype if a.dtype.rank >= b.dtype.rank else b.dtype
    kind = kind_number(b)
    return a.dtype if kind <= a.dtype.kind else (types.KINDS[kind] or DEFAULT[0])


def kind_number(one: Any) -> int:
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
        0 if size != wanted else step
        for size, wanted, step in zip(one._shape, shape[more:], steps_of(one), strict=True)
    )
    return sharing(one, shape, steps, one._offset)._values()


def is_number(one: Any) -> bool:
    return isinstance(one, (int, float, Real))


def arithmetic(name: str, a: Tensor, b: Any) -> Any:
    """An operation of two tensors, or of a tensor and a number, as a new tensor."""
    if not isinstance(b, Tensor) and not is_number(b):
        if isinstance(b, complex):
            raise NotInThePage("a complex number")
        return NotImplemented
    kind = joint_type(a, b)
    if kind.kind != 2 and name in ("div", "atan2", "hypot"):
        kind = DEFAULT[0]
    if name in ("sub", "rsub") and 0 in (a.dtype.kind, kind_number(b)):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a "
            "mask, use the `~` or `logical_not()` operator instead."
        )
    if name == "pow" and kind.kind == 1 and not isinstance(b, Tensor) and b < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    x, y, shape = _operands(a, b, kind)
    # PyTorch takes a root for the number 0.5, but not for a tensor of it: minus infinity has a power, and no root.
    root = {0.5: "sqrt", -0.5: "rsqrt"}.get(b) if name == "pow" and not isinstance(b, Tensor) else None
    values = [FLOATING[root](number) for number in x] if root else ARITHMETIC[name](x, y)
    if kind is not types.float64 or a.dtype is not kind or (isinstance(b, Tensor) and b.dtype is not kind):
        values = kind.stored(values)
    out = new(values, shape, kind)
    if RECORDING[0] and (a._requires_grad or (isinstance(b, Tensor) and b._requires_grad)):
        back = DERIVATIVES.get(name)
        saved = [Saved(one) for one in (a, b, out)]
        needed = [isinstance(one, Tensor) and one._requires_grad for one in (a, b)]

        def derivative(g: Tensor) -> list[Tensor | None]:
            if back is None:
                raise NotInThePage(f"the derivative of {name}")
            return [
                summed_to(slope(), one._shape).to(one.dtype) if wanted else None
                for slope, one, wanted in zip(back(g, *saved), (a, b), needed, strict=True)
            ]

        record(out, f"{name.removeprefix('r').capitalize()}Backward0", (a, b), derivative, saved)
    return out


Later = Callable[[], "Tensor"]
DERIVATIVES: dict[str, Callable[[Tensor, Saved, Saved, Saved], tuple[Later, Later]]] = {
    "add": lambda g, a, b, out: (lambda: g, lambda: g),
    "sub": lambda g, a, b, out: (lambda: g, lambda: -g),
    "rsub": lambda g, a, b, out: (lambda: -g, lambda: g),
    "mul": lambda g, a, b, out: (lambda: g * b(), lambda: g * a()),
    "div": lambda g, a, b, out: (lambda: g / b(), lambda: -g * (a() / b() / b())),
    "pow": lambda g, a, b, out: (lambda: _base_slope(g, a(), b()), lambda: _exponent_slope(g, a(), b(), out())),
    "rpow": lambda g, a, b, out: (lambda: _exponent_slope(g, tensor(b(), dtype=g.dtype), a(), out()), lambda: g),
    "maximum": lambda g, a, b, out: (
        lambda: _shared_out(g, a(), b(), "lt"), lambda: _shared_out(g, b(), a(), "lt")
    ),
    "minimum": lambda g, a, b, out: (
        lambda: _shared_out(g, a(), b(), "gt"), lambda: _shared_out(g, b(), a(), "gt")
    ),
}  # fmt: skip
"""The gradients for the two operands of an operation, from that of its result. They call what they need."""


def _base_slope(g: Tensor, a: Tensor, b: Any) -> Tensor:
    slope = g * (b * a ** (b - 1))
    return where(b == 0, 0.0, slope) if isinstance(b, Tensor) else slope if b else g.new_zeros(g._shape)


def _exponent_slope(g: Tensor, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    return where((a == 0) & (b >= 0), 0.0, g * (out * a.log()))


def _shared_out(g: Tensor, a: Any, b: Any, relation: str) -> Tensor:
    return where(compared(relation, a, b), 0.0, where(compared("eq", a, b), g / 2, g))


def compared(name: str, a: Tensor, b: Any) -> Any:
    if not isinstance(b, Tensor) and not is_number(b):
        return NotImplemented
    kind = joint_type(a, b)
    x, y, shape = _operands(a, b, kind)
    return new(COMPARISONS[name](x, y), shape, types.bool_)


def bitwise(name: str, a: Tensor, b: Any) -> Any:
    if not isinstance(b, Tensor) and not is_number(b):
        return NotImplemented
    kind = joint_type(a, b)
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
        if kind.kind == 0 and name != "sign":
            kind_of_error = RuntimeError if name in ("neg", "relu") else NotImplementedError
            raise kind_of_error(f"{name} is not implemented for 'Bool'; to invert a mask, use `~`")
        values = [KEEPING[name](x) for x in a._values()]
    out = new(kind.stored(values), a._shape, kind)
    if RECORDING[0] and a._requires_grad:
        saved = Saved(a), Saved(out)
        slope = SLOPES.get(name)

        def derivative(g: Tensor) -> tuple[Tensor]:
            if slope is None:
                raise NotInThePage(f"the derivative of {name}")
            return (slope(g, *saved),)

        record(out, f"{name.capitalize()}Backward0", (a,), derivative, saved)
    return out


SLOPES: dict[str, Callable[[Tensor, Saved, Saved], Tensor]] = {
    "sqrt": lambda g, a, out: g / (2 * out()),
    "rsqrt": lambda g, a, out: -0.5 * g * out() ** 3,
    "reciprocal": lambda g, a, out: -g * (out() * out()),
    "exp": lambda g, a, out: g * out(),
    "expm1": lambda g, a, out: g * (out() + 1),
    "log": lambda g, a, out: g / a(),
    "log1p": lambda g, a, out: g / (a() + 1),
    "sin": lambda g, a, out: g * a().cos(),
    "cos": lambda g, a, out: -g * a().sin(),
    "tanh": lambda g, a, out: g * (1 - out() * out()),
    "sigmoid": lambda g, a, out: g * out() * (1 - out()),
    "abs": lambda g, a, out: g * a().sign(),
    "neg": lambda g, a, out: -g,
    "square": lambda g, a, out: g * 2 * a(),
    "relu": lambda g, a, out: where(out() <= 0, 0.0, g),
    **dict.fromkeys(("sign", "floor", "ceil", "round", "trunc"), lambda g, a, out: g.new_zeros(g._shape)),
}
"""The gradient for the operand of a function, from that of its result. It calls what it needs of the two."""


def check_in_place(one: Tensor) -> None:
    base = one if one._base is None else one._base
    if RECORDING[0]:
        if base._requires_grad and base._node is None:
            raise RuntimeError(LEAF if base is one else VIEW)
        if one._requires_grad and one._node is None:
            raise RuntimeError(LEAF)
        if base._requires_grad and one._node is None:
            raise RuntimeError(UNRECORDED)
        if one._node is not None and one._node.name in SEVERAL:
            raise RuntimeError(ONE_OF_SEVERAL)


def check_apart(one: Tensor) -> None:
    if any(step == 0 and size > 1 for size, step in zip(one._shape, one._strides or (), strict=False)):
        raise RuntimeError(OVERLAP)


def store(one: Tensor, compute: Callable[[], Any], any_type: bool = False) -> Tensor:
    """Compute new numbers for a tensor, and write them where its numbers are."""
    check_in_place(one)
    if not any_type:
        check_apart(one)
    out = compute()
    if out is NotImplemented:
        raise TypeError("unsupported operand type")
    if out._shape != one._shape:
        raise RuntimeError(f"output with shape {list(one._shape)} doesn't match the broadcast shape {list(out._shape)}")
    saved = out._node.saved if out._node is not None else ()
    if saved and saved[0].what is one:
        saved[0].hold(one.detach().clone())  # what it was
    if out.dtype.kind > one.dtype.kind and not any_type:
        raise RuntimeError(
            f"result type {out.dtype.long_name} can't be cast to the desired output type {one.dtype.long_name}"
        )
    overwrite(one, out)
    for result in saved:
        if result.what is out:
            result.hold(one)
    return one


def overwrite(one: Tensor, source: Tensor, places: list[int] | None = None) -> None:
    """Write numbers where those of a tensor are, or at some places in its memory.

    What it is a view of, and all views of that, remember it for gradients.
    """
    whole = places is None and one._base is None
    name = "CopySlices" if not whole else "CopyBackwards" if source._node is None else source._node.name
    source = source.to(one.dtype)
    if places is None:
        one._write(source._values())
    else:
        for place, value in zip(places, source._values(), strict=True):
            one._storage[place] = value
        one._changes[0] += 1
    base = one if one._base is None else one._base
    if not RECORDING[0] or not (base._requires_grad or source._requires_grad):
        return
    ours = {place: n for n, place in enumerate(base._positions())}
    written = [ours[place] for place in (one._positions() if places is None else places)]

    def derivative(g: Tensor) -> tuple[Tensor, Tensor]:
        kept = [*g._values()]
        part = new([kept[n] for n in written], source._shape, g.dtype)
        for n in written:
            kept[n] = 0.0
        return new(kept, base._shape, g.dtype), part

    record(base, name, (base, source), derivative)
    for view in [] if base._views is None else base._views.values():
        record(view, "AsStridedBackward0", (base,), at_places(base, view._positions()))


def in_place(name: str, a: Tensor, b: Any) -> Any:
    if not isinstance(b, Tensor) and not is_number(b):
        return NotImplemented
    return store(a, lambda: arithmetic(name, a, b))


def scaled(args: tuple[Any, ...], count: int, scale: Any, *named: Any) -> tuple[Any, list[Any]]:
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


def added(name: str, a: Tensor, b: Any, scale: Any) -> Tensor:
    if scale == 1:
        return arithmetic(name, a, b)
    kind = joint_type(a, b)
    if kind.kind < kind_number(scale):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if a._requires_grad or (isinstance(b, Tensor) and b._requires_grad) or kind is not types.float64:
        return arithmetic(name, a, scale * b)
    x, y, shape = _operands(a, b, kind)
    scale = float(scale) if name == "add" else -float(scale)
    return new([p + scale * q for p, q in zip(x, y, strict=True)], shape, kind)


def added_terms(a: Tensor, scale: Any, one: Tensor, two: Tensor, name: str) -> Tensor:
    """``a + scale * one * two``, or divided by ``two``, in the type of all three."""
    kind = max((one, two, a), key=lambda x: (bool(x._shape), x.dtype.rank)).dtype
    if name == "div" and kind.kind != 2:
        raise RuntimeError("Integer division with addcdiv is no longer supported")
    first, second = one.to(kind), two.to(kind)
    term = arithmetic(name, first if scale == 1 else arithmetic("mul", first, scale), second)
    return arithmetic("add", a, term)


def bounded(name: str, one: Tensor, bound: Any) -> Tensor:
    out = arithmetic(name, one.detach(), bound.detach() if isinstance(bound, Tensor) else bound)
    within, past = ("ge", "lt") if name == "maximum" else ("le", "gt")
    saved = Saved(one), Saved(bound)

    def derivative(g: Tensor) -> list[Tensor | None]:
        return [
            summed_to(where(compared(relation, *(each() for each in saved)), g, 0.0), to._shape).to(to.dtype)
            if isinstance(to, Tensor) else None
            for to, relation in ((one, within), (bound, past))
        ]  # fmt: skip

    return record(out, "ClampBackward1", (one, bound), derivative, saved)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """Numbers of one where a condition holds, and of another where it doesn't."""
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    one = input
    if not isinstance(condition, Tensor) or not all(isinstance(x, Tensor) or is_number(x) for x in (one, other)):
        raise TypeError("where() takes a tensor, and two tensors or numbers")
    if condition.dtype not in (types.bool_, types.uint8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype.long_name}"
        )
    if not isinstance(one, Tensor) and not isinstance(other, Tensor):
        one = tensor(one)
    first = one if isinstance(one, Tensor) else other
    kind = joint_type(first, other if first is one else one)
    one, other = (x if isinstance(x, Tensor) else new(kind.stored([x]), (), kind) for x in (one, other))
    shape = joint_shape(joint_shape(condition._shape, one._shape), other._shape)
    values = [
        x if c else y
        for c, x, y in zip(_repeated(condition, shape), _repeated(one, shape), _repeated(other, shape), strict=True)
    ]
    out = new(kind.stored(values), shape, kind)

    saved = Saved(condition)

    def derivative(g: Tensor) -> tuple[Tensor, Tensor]:
        return (
            summed_to(where(saved(), g, 0.0), one._shape), summed_to(where(saved(), 0.0, g), other._shape)
        )  # fmt: skip

    return record(out, "WhereBackward0", (one, other), derivative, [saved])


def _plain_product(a: Tensor, b: Tensor) -> Tensor:
    rows, inner = a._shape
    columns = b._shape[1]
    x, y = a._values(), b.t()._values()
    values = [
        total_of([p * q for p, q in zip(x[i : i + inner], y[j : j + inner], strict=True)])
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
    left = a if a.ndim == 2 else a.reshape(math.prod(a._shape[:-1]), a._shape[-1])
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
    saved, needed = (Saved(left), Saved(right)), (left._requires_grad, right._requires_grad)

    def derivative(g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        return (
            _plain_product(g, saved[1]().t()) if needed[0] else None,
            _plain_product(saved[0]().t().contiguous(), g) if needed[1] else None,
        )

    record(out, "MmBackward0", (left, right), derivative, saved)
    return out.reshape(a._shape[:-1] + b._shape[1:])
