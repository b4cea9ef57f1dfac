"""Types of numbers, and arithmetic on lists of them as a processor does it: no division by zero, no overflow raises."""

from __future__ import annotations

import functools
import inspect
import json
import math
import struct
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

WHOLE = Path(__file__).with_name("whole.json")
"""The names that the whole PyTorch has, by the class or module that has them; `book._ext.inpage.data` writes them."""

Numbers = list[Any]
"""Floats, whole numbers or truths, as the type of their tensor says."""


class NotInThePage(AttributeError):
    """Raised for what PyTorch has and this small torch lacks; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not in the small torch of this page; the section's notebook runs it")


Stored = Callable[[Numbers], Numbers]


def lacking(place: str, name: str) -> AttributeError:
    """What to raise for a name that a module or class has not: PyTorch may have it, and has many private ones."""
    known = json.loads(WHOLE.read_text(encoding="utf-8")).get(place, "")
    if not name.startswith("__") and (name.startswith("_") or name in known.split()):
        return NotInThePage(f"{place}.{name}")
    return AttributeError(
        f"'Tensor' object has no attribute '{name}'"
        if place == "Tensor"
        else f"module '{place}' has no attribute '{name}'"
    )


class dtype:
    """A type of numbers, such as ``torch.float64``.

    Attributes:
        name: its name without ``torch.``.
        long_name: the name that PyTorch's errors have.
        rank: a tensor of a lower rank is converted where it meets one of a higher rank.
        kind: 0 for truths, 1 for whole numbers, 2 for floats.
        size: of a number in bytes.
        stored: rounds or converts a list of numbers to what the type can hold.
    """

    def __init__(
        self, name: str, long_name: str, rank: int, kind: int, size: int, stored: Callable[[Numbers], Numbers]
    ):
        self.name, self.long_name, self.rank, self.kind, self.itemsize, self.stored = (
            name, long_name, rank, kind, size, stored,
        )  # fmt: skip

    @property
    def is_floating_point(self) -> bool:
        return self.kind == 2

    @property
    def is_complex(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


def _half(number: Any) -> float:
    try:
        return float(struct.unpack("e", struct.pack("e", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _whole(bits: int) -> Callable[[Numbers], Numbers]:
    half = 1 << (bits - 1)
    return lambda numbers: [(int(x) + half) % (2 * half) - half for x in numbers]


bool_ = dtype("bool", "Bool", 0, 0, 1, lambda numbers: [bool(x) for x in numbers])
uint8 = dtype("uint8", "Byte", 1, 1, 1, lambda numbers: [int(x) % 256 for x in numbers])
int32 = dtype("int32", "Int", 2, 1, 4, _whole(32))
int64 = dtype("int64", "Long", 3, 1, 8, _whole(64))
float16 = dtype("float16", "Half", 4, 2, 2, lambda numbers: [_half(x) for x in numbers])
float32 = dtype("float32", "Float", 5, 2, 4, lambda numbers: array("f", numbers).tolist())
float64 = dtype("float64", "Double", 6, 2, 8, lambda numbers: [*map(float, numbers)])
KINDS = (bool_, int64, None)
"""The type of Python's own truths and whole numbers; that of its floats is the default type."""
PYTHON = {bool: bool_, int: int64, float: float64}
"""The types that Python's own stand for."""
SYNONYMS = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}
"""NumPy's names of arguments, which PyTorch takes, too."""

OVER = ("sum", "mean", "prod", "max", "min", "median")
"""The methods that keep a dimension only if they are told which."""


def as_dtype(one: Any) -> Any:
    found = PYTHON.get(one, one) if isinstance(one, type) else one
    if found is complex:
        raise NotInThePage("a complex number")
    if found is not None and not isinstance(found, dtype):
        raise TypeError(f"argument 'dtype' must be torch.dtype, not {type(one).__name__}")
    return found


def named(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes its arguments by all the names that they have in PyTorch, a shape among them."""
    code = function.__code__
    place = code.co_argcount + code.co_kwonlyargcount
    several = code.co_varnames[place] if code.co_flags & inspect.CO_VARARGS else ""

    @functools.wraps(function)
    def call(*args: Any, **more: Any) -> Any:
        if more:
            more = {SYNONYMS.get(key, key): as_dtype(one) if key == "dtype" else one for key, one in more.items()}
            if several in more:
                args = (*args, more.pop(several))
            if "keepdim" in more and "dim" not in more and len(args) == 1 and function.__name__ in OVER:
                raise TypeError(f"{function.__name__}() takes keepdim only beside dim")
        return function(*args, **more)

    return call


# --- one number at a time ------------------------------------------------------------------------------------------


def divided(x: float, y: float) -> float:
    try:
        return x / y
    except ZeroDivisionError:
        return math.nan if x == 0 or x != x else math.copysign(math.inf, x) * math.copysign(1.0, y)


def power(x: float, y: float) -> float:
    if y == 2:
        return x * x
    try:
        return math.pow(x, y)
    except OverflowError:
        return -math.inf if x < 0 and y % 2 == 1 else math.inf
    except ValueError:
        if x == 0:
            return math.copysign(math.inf, x) if y % 2 == 1 else math.inf
        return math.nan


def root(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan if x < 0 else x


def sign(x: Any) -> Any:
    return type(x)((x > 0) - (x < 0))


def larger(x: Any, y: Any) -> Any:
    return x if x != x or x > y else y


def smaller(x: Any, y: Any) -> Any:
    return x if x != x or x < y else y


def remainder(x: Any, y: Any) -> Any:
    try:
        return x % y
    except ZeroDivisionError:
        if isinstance(x, int) and isinstance(y, int):
            raise RuntimeError("ZeroDivisionError") from None
        return math.nan


def quotient(x: Any, y: Any) -> Any:
    try:
        return x // y
    except ZeroDivisionError:
        if isinstance(x, int) and isinstance(y, int):
            raise RuntimeError("ZeroDivisionError") from None
        return divided(x, y)


def defined(function: Callable[[float], float], pole: float = math.nan) -> Callable[[float], float]:
    """A function of `math` that gives infinity or NaN where that raises; at its ``pole`` it is minus infinity."""

    def wrapped(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return -math.inf if x == pole else math.nan

    return wrapped


def sigmoid(x: float) -> float:
    return 0.0 if x < -700 else 1 / (1 + math.exp(-x))


def rounded(function: Callable[[float], int]) -> Callable[[float], float]:
    return lambda x: math.copysign(function(x), x) if math.isfinite(x) else x


# --- lists ---------------------------------------------------------------------------------------------------------


def _divided(a: Numbers, b: Numbers) -> Numbers:
    try:
        return [x / y for x, y in zip(a, b, strict=True)]
    except ZeroDivisionError:
        return [divided(x, y) for x, y in zip(a, b, strict=True)]


def _powers(a: Numbers, b: Numbers) -> Numbers:
    if all(type(x) is int for x in a) and all(type(y) is int for y in b):
        return [x**y if y >= 0 else int(x**y) for x, y in zip(a, b, strict=True)]
    return [power(x, y) for x, y in zip(a, b, strict=True)]


def _each(function: Callable[[Any, Any], Any]) -> Callable[[Numbers, Numbers], Numbers]:
    return lambda a, b: [function(x, y) for x, y in zip(a, b, strict=True)]


def total_of(values: Numbers) -> Any:
    # Not `sum`: from Python 3.12 on it adds floats with a correction, which PyTorch does not.
    total = 0 if values else 0.0
    for value in values:
        total = total + value
    return total


def most(values: Numbers) -> Any:
    return next((x for x in values if x != x), None) if any(x != x for x in values) else max(values)


def least(values: Numbers) -> Any:
    return next((x for x in values if x != x), None) if any(x != x for x in values) else min(values)


ARITHMETIC: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "add": lambda a, b: [x + y for x, y in zip(a, b, strict=True)],
    "sub": lambda a, b: [x - y for x, y in zip(a, b, strict=True)],
    "rsub": lambda a, b: [y - x for x, y in zip(a, b, strict=True)],
    "mul": lambda a, b: [x * y for x, y in zip(a, b, strict=True)],
    "div": _divided,
    "pow": _powers,
    "rpow": lambda a, b: _powers(b, a),
    "maximum": _each(larger),
    "minimum": _each(smaller),
    "fmax": _each(lambda x, y: x if x > y or y != y else y),
    "fmin": _each(lambda x, y: x if x < y or y != y else y),
    "remainder": _each(remainder),
    "rremainder": _each(lambda x, y: remainder(y, x)),
    "floor_divide": _each(quotient),
    "rfloor_divide": _each(lambda x, y: quotient(y, x)),
    "atan2": _each(math.atan2),
    "hypot": _each(math.hypot),
}
COMPARISONS: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "eq": lambda a, b: [x == y for x, y in zip(a, b, strict=True)],
    "ne": lambda a, b: [x != y for x, y in zip(a, b, strict=True)],
    "lt": lambda a, b: [x < y for x, y in zip(a, b, strict=True)],
    "le": lambda a, b: [x <= y for x, y in zip(a, b, strict=True)],
    "gt": lambda a, b: [x > y for x, y in zip(a, b, strict=True)],
    "ge": lambda a, b: [x >= y for x, y in zip(a, b, strict=True)],
    "logical_and": lambda a, b: [bool(x and y) for x, y in zip(a, b, strict=True)],
    "logical_or": lambda a, b: [bool(x or y) for x, y in zip(a, b, strict=True)],
    "logical_xor": lambda a, b: [bool(x) != bool(y) for x, y in zip(a, b, strict=True)],
}
BITWISE: dict[str, Callable[[Numbers, Numbers], Numbers]] = {
    "bitwise_and": lambda a, b: [x & y for x, y in zip(a, b, strict=True)],
    "bitwise_or": lambda a, b: [x | y for x, y in zip(a, b, strict=True)],
    "bitwise_xor": lambda a, b: [x ^ y for x, y in zip(a, b, strict=True)],
}
FLOATING: dict[str, Callable[[float], float]] = {
    "sqrt": root,
    "rsqrt": lambda x: divided(1.0, root(x)),
    "reciprocal": lambda x: divided(1.0, x),
    "exp": defined(math.exp),
    "expm1": defined(math.expm1),
    "log": defined(math.log, 0.0),
    "log2": defined(math.log2, 0.0),
    "log10": defined(math.log10, 0.0),
    "log1p": defined(math.log1p, -1.0),
    "sin": defined(math.sin),
    "cos": defined(math.cos),
    "tan": defined(math.tan),
    "asin": defined(math.asin),
    "acos": defined(math.acos),
    "atan": math.atan,
    "sinh": lambda x: math.copysign(defined(math.sinh)(abs(x)), x),
    "cosh": defined(math.cosh),
    "tanh": math.tanh,
    "erf": math.erf,
    "sigmoid": sigmoid,
}
"""Functions of one number whose result is a float."""
KEEPING: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "neg": lambda x: -x,
    "sign": sign,
    "square": lambda x: x * x,
    "relu": lambda x: x if x != x or x > 0 else type(x)(0),
    "floor": rounded(math.floor),
    "ceil": rounded(math.ceil),
    "trunc": rounded(math.trunc),
    "round": rounded(round),
    "frac": lambda x: math.fmod(x, 1.0) if math.isfinite(x) else math.nan,
}
"""Functions of one number whose result has its type."""
ASKING: dict[str, Callable[[Any], bool]] = {
    "isfinite": math.isfinite,
    "isnan": math.isnan,
    "isinf": math.isinf,
    "signbit": lambda x: math.copysign(1.0, x) < 0,
    "logical_not": lambda x: not x,
}
"""Questions on one number."""
