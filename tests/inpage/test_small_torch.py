"""The page's small torch does what PyTorch does: function by function, on random shapes, types, views and aliases."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import random
import textwrap
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis.strategies import randoms

from book._ext.inpage.data import names_of_torch

small = importlib.import_module("book._ext.inpage.python.torch")

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True, scope="module")
def names_of_the_whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What PyTorch has, as the build writes it beside the small one."""
    path, before = tmp_path_factory.mktemp("names") / "whole.json", small._numbers.WHOLE
    path.write_text(json.dumps(names_of_torch()), encoding="utf-8")
    small._numbers.WHOLE = path
    yield
    small._numbers.WHOLE = before


KINDS = ("float64", "float32", "int64", "bool")
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.5, 1e-9, 1e9, math.inf, -math.inf, math.nan]
SHAPES = [(), (1,), (2,), (3,), (2, 1), (1, 3), (2, 3), (4, 1, 3), (2, 3, 2), (0,), (2, 0)]
FULL = [shape for shape in SHAPES if 0 not in shape]
RUNS = 40


def examples(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test of this many random examples, the same each time; if one fails, a small one that fails is shown."""
    some = settings(max_examples=count, derandomize=True, deadline=None, database=None)
    return lambda test: some(given(draw=randoms(use_true_random=False))(test))


def numbers(draw: random.Random, count: int, kind: str, special: bool = True) -> list[Any]:
    if kind == "bool":
        return [draw.random() < 0.5 for _ in range(count)]
    if kind == "int64":
        return [draw.randint(-4, 4) for _ in range(count)]
    found = [draw.choice(SPECIAL) if special and draw.random() < 0.3 else draw.uniform(-6, 6) for _ in range(count)]
    # Squares of numbers below 1e-154 vanish, here in a sum and there not.
    return [x if abs(x) > 1e-9 or x != x else math.copysign(0.0, x) for x in found]


class Pair:
    """The same thing in both torches."""

    def __init__(self, theirs: Any, ours: Any) -> None:
        self.both = theirs, ours

    @classmethod
    def drawn(cls, draw: random.Random, shape: tuple[int, ...], kind: str, special: bool = True) -> Pair:
        values = numbers(draw, math.prod(shape), kind, special)
        return cls(*(t.tensor(values, dtype=getattr(t, kind)).reshape(shape) for t in (torch, small)))

    def view(self, draw: random.Random) -> Pair:
        """A view of it, in some ways in which there are views."""
        theirs, ours = self.both
        for _ in range(draw.randint(0, 2)):
            ways: list[Callable[[Any], Any]] = [lambda x: x.T if x.ndim == 2 else x, lambda x: x.unsqueeze(0)]
            if theirs.ndim and theirs.shape[0] > 1:
                start, step = draw.randint(0, theirs.shape[0] - 1), draw.randint(1, 2)
                ways += [lambda x, a=start, s=step: x[a::s], lambda x, a=start: x[a], lambda x: x.detach()]
            way = draw.choice(ways)
            theirs, ours = way(theirs), way(ours)
        return Pair(theirs, ours)


def outcome(compute: Callable[[], Any]) -> Any:
    """What a computation gives, or the class of its error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return compute()
        except Exception as error:
            return error


def seen_by_both(theirs: str, ours: str, where: str) -> list[Any]:
    """What is called `seen` after code has run with PyTorch, and with the small torch; errors must be the same."""
    found = []
    for t, code in ((torch, theirs), (small, ours)):
        names: dict[str, Any] = {"torch": t}
        error = outcome(lambda names=names, code=code: exec(textwrap.dedent(code), names))
        found.append([names.get("seen"), error])
    assert_same(found[0][1], found[1][1], where)
    return [seen for seen, _ in found]


ROUNDING: dict[str, tuple[float, float]] = {
    "float64": (1e-14, 1e-300),
    "float32": (2e-6, 1e-37),
    "float16": (2e-3, 1e-7),
}


def assert_same(theirs: Any, ours: Any, where: str = "", loose: float = 1) -> None:
    """Both are errors of one class, or the same numbers, to the last digits, of the same type and shape."""
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        assert isinstance(theirs, Exception), f"{where}: PyTorch gives {theirs}, ours raises {ours!r}"
        assert isinstance(ours, Exception), f"{where}: PyTorch raises {theirs!r}, ours gives {ours}"
        assert isinstance(ours, type(theirs)) or isinstance(theirs, type(ours)), f"{where}: {theirs!r} {ours!r}"
    elif isinstance(theirs, torch.Tensor):
        assert isinstance(ours, small.Tensor), f"{where}: {theirs} {ours}"
        assert tuple(theirs.shape) == tuple(ours.shape), f"{where}: {theirs.shape} {ours.shape}"
        assert str(theirs.dtype) == str(ours.dtype), f"{where}: {theirs.dtype} {ours.dtype}"
        pairs = [*zip(theirs.flatten().tolist(), ours.flatten().tolist(), strict=True)]
        rtol, atol = ROUNDING.get(ours.dtype.name, (0, 0))
        # What several operations round, may cancel afterwards.
        largest = max((abs(a) for a, _ in pairs if math.isfinite(a)), default=0)
        atol += rtol * largest * (loose > 1)
        for a, b in pairs:
            same = a == b or (a != a and b != b) or abs(a - b) <= atol + loose * rtol * max(abs(a), abs(b))
            assert same, f"{where}: {theirs} {ours}"
            assert type(a) is type(b), where
    elif isinstance(theirs, (tuple, list)):
        for a, b in zip(theirs, ours, strict=True):
            assert_same(a, b, where, loose)
    else:
        assert theirs == ours or (theirs != theirs and ours != ours), f"{where}: {theirs} {ours}"


def compare(where: str, call: Callable[[Any, list[Any]], Any], *pairs: Pair, loose: float = 1) -> None:
    """A call gives the same in both, and leaves the same in what it was given."""
    given = [[pair.both[n] for pair in pairs] for n in range(2)]
    theirs, ours = (outcome(lambda t=t, a=a: call(t, a)) for t, a in zip((torch, small), given, strict=True))
    if isinstance(ours, small.NotInThePage):  # some things of several matrices at once
        assert any(pair.both[0].ndim > 2 for pair in pairs), ours
        return
    said = f"{where} of {[pair.both[0] for pair in pairs]}"
    assert_same(theirs, ours, said, loose)
    for pair in pairs:
        assert_same(*pair.both, f"after {said}", loose)


ONE = (
    *("sqrt", "rsqrt", "reciprocal", "exp", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "tanh"),
    *("sigmoid", "abs", "neg", "sign", "square", "relu", "floor", "ceil", "trunc", "isfinite", "isnan", "isinf"),
    *("logical_not", "atan", "erf", "round"),
)


@pytest.mark.parametrize("name", ONE)
@examples(RUNS)
def test_a_function_of_one_tensor(name: str, draw: random.Random) -> None:
    kind = draw.choice(KINDS)
    x = Pair.drawn(draw, draw.choice(SHAPES), kind)
    if kind == "bool" and name in ("neg", "sign", "relu", "floor", "ceil", "trunc", "round", "abs", "square"):
        return
    compare(f"x.{name}()", lambda t, a: getattr(a[0], name)(), x)
    compare(f"torch.{name}(x)", lambda t, a: getattr(t, name)(a[0]), x)
    if name not in ("isfinite", "isnan", "isinf") and kind.startswith("float"):
        view = x.view(draw)
        compare(f"x.{name}_()", lambda t, a: getattr(a[0], f"{name}_")(), view, x)


TWO = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge", "remainder")
SIGNS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "**": lambda a, b: a**b, "%": lambda a, b: a % b, "//": lambda a, b: a // b, "<": lambda a, b: a < b,
    "==": lambda a, b: a == b, ">=": lambda a, b: a >= b, "&": lambda a, b: a & b, "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b, "@": lambda a, b: a @ b,
}  # fmt: skip


def harmless(name: str, *pairs: Pair) -> bool:
    """Whether PyTorch says what the result is: not for whole numbers divided by zero, or to a negative power."""
    whole = all(pair.both[0].dtype in (torch.int64, torch.bool) for pair in pairs)
    return not (whole and name in ("pow", "**", "%", "//", "remainder"))


@pytest.mark.parametrize("exponent", [0.5, -0.5])
def test_a_power_that_is_a_root_is_one_for_a_number_and_not_for_a_tensor(exponent: float) -> None:
    for one in (torch, small):
        x = one.tensor([-math.inf, -0.0, 4.0])
        assert math.isnan((x**exponent)[0])
        assert (x ** one.tensor(exponent))[0] == (math.inf if exponent > 0 else 0)
        assert (x**exponent)[2] == (x ** one.tensor(exponent))[2] == 4**exponent


@pytest.mark.parametrize("name", TWO)
@examples(3 * RUNS)
def test_a_function_of_two_tensors(name: str, draw: random.Random) -> None:
    a = Pair.drawn(draw, draw.choice(SHAPES), draw.choice(KINDS)).view(draw)
    b = Pair.drawn(draw, draw.choice(SHAPES), draw.choice(KINDS)).view(draw)
    if not harmless(name, a, b) or (name == "remainder" and special(a, b)):
        return
    compare(f"torch.{name}(a, b)", lambda t, x: getattr(t, name)(*x), a, b)
    if name not in ("maximum", "minimum"):
        compare(f"a.{name}_(b)", lambda t, x: getattr(x[0], f"{name}_")(x[1]), a, b)


def special(*pairs: Pair) -> bool:
    return any(not bool(torch.isfinite(pair.both[0]).all()) or bool((pair.both[0] == 0).any()) for pair in pairs)


@pytest.mark.parametrize("name", SIGNS)
@examples(2 * RUNS)
def test_an_operator_of_tensors_and_numbers(name: str, draw: random.Random) -> None:
    a = Pair.drawn(draw, draw.choice(SHAPES), draw.choice(KINDS)).view(draw)
    b = Pair.drawn(draw, draw.choice(SHAPES), draw.choice(KINDS)).view(draw)
    number = draw.choice([0.3, -2.0, 2, 3, 0.5, 1, True, 1e-8])
    if (name in ("%", "//") and special(a, b)) or not harmless(name, a, b):
        return
    if name == "@" and (a.both[0].dtype == torch.bool or b.both[0].ndim > 2):
        return
    compare(f"a {name} b", lambda t, x: SIGNS[name](*x), a, b)
    if harmless(name, a):
        compare(f"a {name} {number}", lambda t, x, n=number: SIGNS[name](x[0], n), a)
        if name not in ("%", "//"):
            compare(f"{number} {name} a", lambda t, x, n=number: SIGNS[name](n, x[0]), a)


STATEMENTS = [
    "p.add_(x, alpha={n})", "p.add_({n}, x)", "p.sub_(x, alpha={n})", "p.sub_({n} * x)", "p.mul_({n})", "p.mul_(x)",
    "p.div_({n})", "p.addcmul_(x, y, value={n})", "p.addcmul_({n}, x, y)", "p.addcmul_(x, y)",
    "p.addcdiv_(x, y, value={n})", "p.addcdiv_({n}, x, y)", "p.addcdiv_(x, y)", "p.lerp_(x, {n})", "p.lerp_(x, 0.9)",
    "p.copy_(x)", "p.zero_()", "p.fill_({n})", "p.clamp_(min=-1)", "p.clamp_(-0.5, 0.5)", "p.sqrt_()", "p.pow_(2)",
    "p += x", "p -= {n} * x", "p *= {n}", "p /= y", "p **= 2", "p[...] = x", "p[:] = {n}", "p[0] = {n}",
    "p[-1] -= x[0]",
    "p.data = x", "p.data = x.clone()", "p.data -= {n} * x", "p.data.mul_({n}).add_(x)", "p.view(-1)[0] = {n}",
    "q = p.reshape(-1); q += 1", "q = p.flatten(); q[0] = 5", "q = p.T; q *= 2", "q = p.detach(); q -= 1",
    "q = p.clone(); q -= 1", "q = p[0]; q += 1", "q = p.unsqueeze(0); q[0] = x", "p[p > 0] = {n}", "p[p < 0] *= -1",
    "p.masked_fill_(p > 0, 1.0)", "p.abs_()", "p.neg_()", "p.sign_()", "p.exp_()", "p.swap", "p.add_(None)",
    "p.data.add_(-{n}, x.data)", "q = x; q.zero_()", "p.data[:] = p.data - x * {n}", "for r in p: r -= 1",
]  # fmt: skip
"""What students write, in one line each."""


@pytest.mark.parametrize("kind", ["float64", "float32"])
@examples(12 * RUNS)
def test_what_is_written_in_place_shows_under_all_names(kind: str, draw: random.Random) -> None:
    shape = draw.choice([(2,), (3,), (2, 3), (1,), (2, 2), (2, 3, 2)])
    p, x, y = (Pair.drawn(draw, shape, kind, special=draw.random() < 0.2) for _ in range(3))
    if draw.random() < 0.3:
        x = Pair.drawn(draw, shape, draw.choice(["float64", "float32"]), special=False)
    alias = Pair(*(one.view(-1) for one in p.both))
    lines = [draw.choice(STATEMENTS).format(n=draw.choice([0.1, -0.3, 2.0, 1])) for _ in range(draw.randint(1, 4))]
    results = []
    for n, t in enumerate((torch, small)):
        names = {"torch": t, "p": p.both[n], "x": x.both[n], "y": y.both[n], "alias": alias.both[n]}
        failed = [type(outcome(lambda line=line, names=names: exec(line, names))).__name__ for line in lines]
        results.append((failed, [names[name] for name in ("p", "x", "y", "alias")]))
    said = f"{lines} on {shape}"
    assert results[0][0] == results[1][0], said
    assert_same(results[0][1], results[1][1], said, loose=10)


REDUCTIONS = {
    "sum": "x.sum({d})", "mean": "x.mean({d})", "prod": "x.prod()", "norm": "x.norm()",
    "norm of rows": "x.norm(dim={d1})",
    "amax": "x.amax({d1})", "amin": "x.amin({d1})", "max": "x.max()", "min": "x.min()", "max of rows": "x.max({d1})",
    "argmax": "x.argmax()", "argmin of rows": "x.argmin({d1})", "all": "(x > 0).all()", "any": "(x > 0).any({d1})",
    "std": "x.std()", "var of rows": "x.var({d1})", "cumsum": "x.cumsum({d1})", "diff": "x.diff(dim={d1})",
    "keepdim": "x.sum({d1}, keepdim=True)", "mean keepdim": "x.mean({d1}, keepdim=True)", "median": "x.median()",
    "vector_norm": "torch.linalg.vector_norm(x, dim={d1})", "nonzero": "(x > 0).nonzero()", "sort": "x.sort({d1})",
    "largest norm": "x.norm(float('inf'))", "sum of sizes": "x.norm(1)", "cumprod": "x.cumprod({d1})",
}  # fmt: skip
SHAPING = {
    "flatten": "x.flatten()", "reshape": "x.reshape(-1)", "T": "x.T", "t": "x.t()", "unsqueeze": "x.unsqueeze(-1)",
    "squeeze": "x.squeeze()", "squeeze one": "x.squeeze(0)", "expand": "x.expand(2, *x.shape)",
    "repeat": "x.repeat(2, 1)",
    "transpose": "x.transpose(0, -1)", "diag": "torch.diag(x)", "diagonal": "x.diagonal()",
    "stack": "torch.stack([x, x])",
    "stack last": "torch.stack([x, x], dim=-1)", "cat": "torch.cat([x, x])", "cat last": "torch.cat([x, x], dim=-1)",
    "unbind": "x.unbind()", "split": "x.split(2)", "chunk": "x.chunk(2)", "flip": "x.flip(0)", "list": "[*x]",
    "zeros_like": "torch.zeros_like(x)", "ones_like": "torch.ones_like(x)", "full_like": "torch.full_like(x, 2)",
    "where": "torch.where(x > 0, x, 0.0)", "where two": "torch.where(x > 0, x, -x)", "clamp": "x.clamp(min=0.5)",
    "clamp by tensor": "x.clamp(max=x.abs())", "lerp": "x.lerp(x * 2, 0.3)", "double": "x.double()",
    "float": "x.float()",
    "half": "(x / 4).half()", "int": "x.round().clamp(-9, 9).int()", "bool": "x.bool()", "tolist": "x.tolist()",
    "len": "len(x)", "shape": "tuple(x.shape)", "size": "x.size(0)", "numel": "x.numel()", "stride": "x.stride()",
    "contiguous": "x.T.is_contiguous()", "item": "x.item()", "truth": "bool(x)", "to": "x.to(torch.float32)",
    "type_as": "x.type_as(torch.zeros(1))", "new_zeros": "x.new_zeros(2, 3)", "mask": "x[x > 0]", "allclose":
    "torch.allclose(x, x + 1e-12)", "equal": "torch.equal(x, x.clone())",
    "meshgrid": "torch.meshgrid(x, x, indexing='xy')",
    "outer": "torch.outer(x, x)", "dot": "x.dot(x)", "matmul": "x @ x.T", "view": "x.T.view(-1)",
    "float of": "float(x)",
    "in": "1.0 in x", "isclose": "torch.isclose(x, x)", "narrow": "x.narrow(0, 1, 1)", "select": "x.select(0, 1)",
    "permute": "x.unsqueeze(0).permute(*range(x.ndim, -1, -1))", "swap": "x.transpose(1, 0)",
    "contains": "x.sum() in x",
    "string": "format(x.sum(), '.3g')", "atan2": "torch.atan2(x, x + 1)", "masked": "x.masked_fill(x > 0, 0.0)",
    "argsort": "x.argsort()", "nan": "torch.tensor(float('nan')) == x", "addcmul": "torch.addcmul(x, x, x, value=0.5)",
}  # fmt: skip


@pytest.mark.parametrize("code", [*REDUCTIONS.values(), *SHAPING.values()], ids=[*REDUCTIONS, *SHAPING])
@examples(RUNS)
def test_an_expression(code: str, draw: random.Random) -> None:
    x = Pair.drawn(draw, draw.choice(FULL), draw.choice(("float64", "float64", "float32")), special=False)
    dims = draw.choice(["", "0", "-1", "(0, -1)", "1"]), draw.choice(["0", "-1", "1"])
    line = code.format(d=dims[0], d1=dims[1])
    compare(line, lambda t, a, line=line: eval(line, {"torch": t, "x": a[0]}), x, loose=2)


MAKERS = [
    "torch.tensor([1, 2])", "torch.tensor([1.0, 2])", "torch.tensor(3)", "torch.tensor(0.5)", "torch.tensor([True])",
    "torch.tensor([[1, 2], [3, 4]], dtype=torch.float64)", "torch.tensor([[1, 2], [3]])", "torch.tensor('a')",
    "torch.tensor([])", "torch.zeros(2)", "torch.zeros(2, 3)", "torch.zeros((2, 3))",
    "torch.ones(3, dtype=torch.int64)",
    "torch.full((2,), 0.5)", "torch.full((2,), 3)", "torch.eye(3)", "torch.arange(5)", "torch.arange(1, 2, 0.25)",
    "torch.arange(3, dtype=torch.float64)", "torch.linspace(0, 1, 5)", "torch.linspace(-1, 2, 7, dtype=torch.float64)",
    "torch.logspace(0, 2, 3)", "torch.as_tensor([1, 2], dtype=torch.float64)", "torch.empty(0)", "torch.zeros(())",
    "torch.tensor([1, 2]) / 2", "torch.tensor([1, 2]) * 0.5", "torch.tensor(2) ** torch.tensor(3.0)",
    "torch.Tensor([1, 2])",
    "torch.Tensor(2, 3).shape", "torch.zeros(-1)", "torch.tensor([1.0]).item()", "torch.tensor(1) + 1",
    "torch.tensor(1.0, dtype=torch.float64) * torch.ones(2)", "torch.sqrt(2.0)", "torch.tensor([1, 2]).mean()",
    "torch.tensor([1.0, 2.0]) @ torch.tensor([1.0])", "torch.stack([torch.ones(1), torch.ones(2)])", "torch.cat([])",
    "torch.maximum(torch.ones(2), torch.zeros(2), out=torch.zeros(2))", "torch.tensor(None)", "torch.finfo().eps",
    "torch.tensor([1, 2]).requires_grad_()", "torch.tensor([1e40, 1e-50])", "torch.tensor([2, 3]) // 2", "torch.pi",
    "torch.tensor([3, -3]) % 2", "~torch.tensor([True, False])", "-torch.tensor([1, 2])", "torch.tensor([True]) + 1",
    "str(torch.float64)", "str(torch.zeros(2).dtype)", "torch.zeros(2).device.type", "torch.is_tensor(torch.zeros(1))",
    "torch.zeros(2).add(1, alpha=2)", "torch.zeros(3)[3]", "torch.zeros(2, 2)[0, 2]", "torch.zeros(2)['a']",
    "torch.zeros(2).view(3)", "torch.zeros(2).reshape(3)", "torch.zeros(2, 3).sum(5)", "len(torch.tensor(1))",
    "torch.zeros(2) + torch.zeros(3)", "torch.zeros(2).grad", "torch.zeros(2).is_leaf", "[1, 2] + torch.zeros(2)",
    "torch.clamp_min(torch.ones(2), 2)", "torch.greater_equal(torch.ones(2), 1)", "torch.ones(2).not_equal(1)",
    "torch.add(2, torch.ones(2), alpha=3)", "torch.sub(0.1, torch.ones(2).double())", "torch.mul(2, 'a')",
    "torch.mul(0.1, torch.tensor([3]))", "torch.mul(2, other=torch.ones(2))",
    "torch.div(1, torch.tensor([3.0, 7.0]))", "torch.div(2, 3)", "torch.pow(2, 3)",
    "torch.remainder(5, torch.tensor([2, -3]))", "torch.floor_divide(5, torch.tensor([2, -3]))",
    "torch.maximum(2, torch.ones(2))", "torch.bitwise_and(3, torch.tensor([1, 6]))", "torch.eq(2, torch.ones(2))",
    "5 // torch.tensor([2, -3])", "5.5 % torch.tensor([2, -3])", "torch.pow(torch.ones(2), exponent=2)",
    "torch.ones(2).pow_(exponent=2)", "torch.div(torch.ones(2), other=2, rounding_mode=None)",
    "torch.tensor([7, -7]).div(2, rounding_mode='floor')", "torch.ones(2).div_(2, rounding_mode='floor')",
    "torch.ones(2, 3).sum(axis=0, keepdims=True)", "torch.mean(a=torch.ones(2, 3), axis=1)",
    "torch.stack([torch.ones(2)], axis=1)", "torch.linalg.norm(torch.ones(2, 3), axis=0)",
    "torch.max(torch.ones(2), other=torch.zeros(2))", "torch.mm(torch.eye(2), mat2=torch.eye(2))",
    "torch.mv(torch.eye(2), vec=torch.ones(2))", "torch.dot(torch.ones(2), tensor=torch.ones(2))",
    "torch.outer(torch.ones(2), vec2=torch.ones(3))", "torch.ones(4).split(split_size=2)",
    "torch.zeros(size=(2,), dtype=int)", "torch.ones(4).view(size=(2, 2))", "torch.ones(2, 3).permute(dims=(1, 0))",
    "torch.ones(2).repeat(repeats=(2,))", "torch.ones(2).expand(size=(3, 2))", "torch.tensor([1, 2], dtype=float)",
    "torch.zeros(2, dtype=bool)", "torch.ones(2).to(int)", "torch.ones(2).to(dtype=float)",
    "torch.as_tensor([1, 2], float)", "torch.ones(2).sum(dtype=float)", "torch.tensor([1], dtype='float32')",
    "torch.zeros(2) - None", "torch.zeros(2) < 'a'", "torch.zeros(2) == None", "torch.zeros(2) * [1, 2]",
]  # fmt: skip


REFUSED = [
    "torch.where(torch.tensor([1, 0]), 1.0, 2.0)", "torch.where(torch.ones(2), 1.0, 2.0)", "torch.where(True, x, 0)",
    "torch.where(x > 0, None, 0)", "torch.where(x > 0, 'a', 0)", "torch.where(x > 0, input=x, other=-x)",
    "x.where(x > 1, 0)",
    "x.masked_fill(torch.tensor([1, 0]), 0.0)", "x.masked_fill(x > 0, x)", "x.masked_fill_(x, 0.0)",
    "torch.tensor([1, 2]).masked_fill(x > 0, 7)", "x.masked_select(torch.tensor([1, 0]))", "torch.mm(torch.eye(2), x)",
    "torch.mm(x, torch.eye(2))", "torch.mv(torch.eye(2), torch.eye(2))", "torch.mv(x, x)", "torch.eye(2).mm([1])",
    "torch.inner(torch.ones(2, 3), torch.eye(3) * 2)", "torch.inner(x, torch.tensor([[1.0, 2], [3, 4]]))",
    "torch.inner(x, torch.tensor(2.0))", "torch.maximum(x, 0.0)", "x.minimum(0)", "torch.atan2(x, 1)",
    "torch.hypot(x, 1)",
    "torch.logical_and(x, True)", "x.logical_or(1)", "x.clamp(torch.zeros(2), 1)", "x.clamp(0, max=torch.zeros(2))",
    "x.__setitem__(0, [1.0])", "x.__setitem__(slice(None), [1.0, 2.0])", "x.__setitem__([0], (1.0,))",
    "x.__setitem__(0, None)", "x.__setitem__(0, range(1))", "x.copy_([1.0, 2.0])", "torch.tensor([x, x])",
    "torch.tensor([*torch.eye(2)])", "torch.tensor([*x])", "torch.tensor([[*x], [1, 2]])",
    "torch.tensor([1, torch.ones(0)])",
    "torch.tensor([x.double()[0], 2])", "torch.tensor([torch.tensor(1), 2.5])", "torch.tensor([torch.ones(1), 2])",
    "torch.tensor([torch.tensor(True)])", "torch.full((2,), torch.tensor(2.5))",
    "torch.tensor([1, 2]) ** -1", "torch.tensor([1, 2]).pow_(-1)", "torch.tensor([1, 2]) ** -1.0",
    "2 ** torch.tensor([-1, 2])", "torch.tensor(2**63)", "torch.tensor(-(2**63))", "torch.tensor(2**70, dtype=float)",
    "torch.tensor(2**31, dtype=torch.int32)", "torch.tensor(300, dtype=torch.uint8)", "-(x > 0)", "(x > 0).relu()",
    "(x > 0).abs()", "(x > 0).floor()", "torch.zeros(1).expand(3).add_(1)",
    "torch.zeros(1).expand(3).copy_(torch.ones(3))",
    "torch.zeros(1).expand(3).__setitem__(slice(None), 1)", "torch.rand_like(x.long())", "torch.randn(2, dtype=int)",
    "x.long().normal_()", "x.long().uniform_()", "x.unsqueeze(3)", "x.unsqueeze(-3)", "x.squeeze(5)",
    "torch.ones(3, 1, 1).squeeze((1, 2))", "torch.cat([x, x], dim=2)", "torch.cat([x, x], dim=-2)",
    "torch.stack([x, x], dim=2)", "torch.stack([x, x], dim=3)", "x.permute(2)", "torch.eye(2).permute(0, 0)",
    "torch.eye(2).permute(0)", "x.select(1, 0)", "x.index_select(1, torch.tensor([0]))", "x.index_select(0, x > 0)",
    "torch.eye(2).flip(0, 0)", "x.split([1, 2])", "x.split(1, 1)", "x.flatten(1)", "torch.eye(2).flatten(1, 0)",
    "x.narrow(0, -1, 1)", "x.narrow(0, 0, -1)", "torch.full(2, 3.0)", "torch.randint(10, 5)",
    "torch.randint(5, 5, (3,))",
    "torch.zeros()", "torch.ones()", "torch.randn()", "torch.zeros((2.0,))", "torch.zeros('a')", "torch.rand(-1)",
    "torch.zeros(torch.tensor(2))", "torch.eye(-1)", "torch.arange(5, 0)", "torch.arange(0, 5, 0)", "torch.arange(-1)",
    "torch.arange(5, 5)", "torch.linspace(0, 1, -1)", "torch.finfo(torch.int64)", "torch.finfo(float).eps",
    "torch.set_default_dtype(torch.int64)", "torch.set_default_dtype(float)", "torch.addcdiv(*[torch.tensor([2])] * 3)",
    "torch.tensor([1]).add(1, alpha=0.5)", "x.sum(keepdim=True)", "x.max(keepdim=True)", "x.amax(keepdim=True)",
    "torch.sum(x, 0, keepdim=True)", "x.sum([])", "x.norm(dim=[])",
]  # fmt: skip
"""What the small torch would compute, and PyTorch refuses or computes otherwise; ``x`` is of two numbers."""


@pytest.mark.parametrize("code", REFUSED)
def test_what_pytorch_refuses_is_refused(code: str) -> None:
    x = Pair(*(t.tensor([1.5, -2.0]) for t in (torch, small)))
    compare(code, lambda t, a: eval(code, {"torch": t, "x": a[0]}), x)


UNUSUAL = [
    "A.std(1, False)", "A.std(1, True)", "A.var(0, False, True)", "A.var(False)", "torch.std(A, True)", "A.var(1, 0)",
    "A.var(1, unbiased=False, keepdim=True)", "A.var(1, correction=0)", "A.var(1, unbiased=True, correction=0)",
    "A.norm(-inf)", "A.norm(-inf, dim=1)", "A.norm(0)", "A.norm(0, dim=0)", "A.norm(inf, keepdim=True)", "A.norm(-1)",
    "A.norm(2, 1, dtype=torch.float64)", "A.long().norm()", "torch.linalg.norm(A)", "torch.linalg.norm(A, 'fro')",
    "torch.linalg.norm(A, 1, dim=0)", "torch.linalg.norm(A[0], inf)", "torch.linalg.norm(A, 1, dim=(1,))",
    "torch.linalg.norm(A.reshape(1, 2, 3), 1)", "torch.linalg.norm(A[0], 'fro')", "torch.linalg.norm(A[0, 0], 1)",
    "torch.fmax(n, n.flip(0))", "torch.fmin(n, n.flip(0))", "torch.fmax(torch.tensor([1, 2]), torch.tensor([2.5, 1]))",
    "n.sort()", "n.sort(descending=True)", "n.argsort(stable=True)", "torch.tensor([True, False]).sort()",
    "A.median(1)", "A.median(0, keepdim=True)", "n.median()", "n.reshape(2, 3).median(0)", "A.nonzero(as_tuple=True)",
    "torch.nonzero(A[1, 0], as_tuple=True)", "A.round(decimals=1)", "(A / 7).round_(decimals=2)",
    "A.round(decimals=-1)",
    "A.long().round(decimals=1)", "torch.stack([1.0, 2.0])", "torch.cat([A, 1.0])", "torch.stack(A)", "torch.cat(A)",
    "torch.hstack([A[0, 0], n])", "torch.vstack([A[0, 0], A[0, 1]])", "torch.hstack([1.0])", "torch.sinh(1000 * A)",
    "str(torch.trunc(-A / 9))", "str(torch.ceil(-A / 9))", "str(torch.round(-A / 9))",
]  # fmt: skip
"""Norms, variances, orders and roundings whose numbers are easily others; ``n`` has no numbers among its numbers."""


@pytest.mark.parametrize("code", UNUSUAL)
def test_an_unusual_call_has_pytorchs_numbers(code: str) -> None:
    pairs = [
        Pair(*(t.tensor(values) for t in (torch, small)))
        for values in ([[0.0, -1, 2], [3, -4, 5.5]], [1.0, math.nan, 0.0, math.nan, -math.inf, 1.0])
    ]
    compare(code, lambda t, a: eval(code, {"torch": t, "A": a[0], "n": a[1], "inf": math.inf}), *pairs)


@pytest.mark.parametrize("order", [1, -1, 2, -2, math.inf, -math.inf, "nuc"])
def test_a_norm_of_matrices_that_is_not_there_is_refused(order: Any) -> None:
    with pytest.raises(small.NotInThePage, match=f"{order} is not in the small torch of this page"):
        small.linalg.norm(small.ones(2, 3), order)


@pytest.mark.parametrize("right", [(2, 1), (2, 3)])
def test_least_squares_of_several_right_sides_are_refused(right: tuple[int, ...]) -> None:
    with pytest.raises(small.NotInThePage, match="lstsq of anything but one matrix and one vector"):
        small.linalg.lstsq(small.eye(2), small.ones(right))


@pytest.mark.parametrize("code", MAKERS)
def test_what_makes_a_tensor_or_fails(code: str) -> None:
    compare(code, lambda t, _: eval(code, {"torch": t}))


KEYS = [
    "0", "-1", "...", "None", ":", "::2", "1:", "[0]", "[0, -1]", "(0, 1)", "(slice(None), 0)", "(..., 0)",
    "(..., None)",
    "(None, 0)", "(slice(None), [0, 1])", "([0, 1], [1, 0])", "x > 0", "torch.tensor([0, 1])", "torch.tensor(1)", "5",
    "(0, slice(1, 3))", "(slice(None), None, 0)", "'a'", "1.5", "torch.tensor([[0, 1], [1, 0]])", "(0, ..., 0)", "True",
    "(slice(None), torch.tensor([1, 0]), 0)", "(torch.tensor([True, False]), 0)", "torch.tensor([True, False])",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_what_stands_in_brackets(key: str) -> None:
    draw = random.Random(key)
    code = key if ":" in key and "(" not in key else f"{key}"
    for shape in ((2,), (2, 3), (2, 3, 2), ()):
        x = Pair.drawn(draw, shape, "float64", special=False)
        if key == "True":
            continue
        compare(f"x[{code}]", lambda t, a: eval(f"x[{code}]", {"torch": t, "x": a[0]}), x)
        for value in ("7.0", "x.sum()"):
            line = f"x[{code}] = {value}"
            compare(line, lambda t, a, line=line: exec(line, {"torch": t, "x": a[0]}), x)


GRADIENTS = [
    "(x**2).sum()", "(x * y).sum()", "(x / y).sum()", "((x @ A) * x).sum(-1).sum() / 2", "(x - y).norm()",
    "x.exp().mean()",
    "x.sin().sum() + x.cos().sum()", "(x.abs() + y).sqrt().sum()", "torch.stack([x, y]).sum()",
    "torch.cat([x, y]).pow(3).sum()",
    "x[0] * 3 + x[-1]", "(x[1:] * y[:-1]).sum()", "x.tanh().sum()", "x.clamp(min=0.1).sum()", "(x.T * y.T).sum()",
    "x.reshape(-1).sum()", "x.mean() ** 2", "x.max()", "x.amax()", "(2 / (x.abs() + 1)).sum()",
    "(1 - x).square().sum()",
    "(x * x.detach()).sum()", "torch.where(x > 0, x, y).sum()", "(x.unsqueeze(0) * y).sum()",
    "(x.expand(2, *x.shape)).sum()",
    "x.log1p().sum()", "torch.maximum(x, y).sum()", "x.sigmoid().sum()", "(x.double() * 2).sum()", "(-x).sum()",
    "(x + x + x).sum()",
    "x.diagonal().sum()", "torch.diag(x).sum()", "x[x > 0].sum()", "x[[0, 0]].sum()", "(x ** y.abs()).sum()",
    "x.relu().sum()",
    "(x.log() * y).sum()", "x.view(-1)[0] * 2", "(x.T @ y).sum()", "x.flatten().dot(y.flatten())", "x.prod()", "x",
]  # fmt: skip


@pytest.mark.parametrize("code", GRADIENTS)
def test_a_gradient(code: str) -> None:
    draw = random.Random(code)
    for shape in ((2,), (3,), (2, 2), (3, 3)):
        pairs = [Pair.drawn(draw, shape, "float64", special=False) for _ in range(2)]
        square = Pair.drawn(draw, (shape[-1], shape[-1]), "float64", special=False)
        found = []
        for n, t in enumerate((torch, small)):
            x, y = (pair.both[n].clone().requires_grad_() for pair in pairs)
            names = {"torch": t, "x": x, "y": y, "A": square.both[n]}
            result = outcome(lambda names=names: eval(code, names).backward())
            found.append([result if isinstance(result, Exception) else None, x.grad, y.grad])
        assert_same(*found, code, loose=100)


RECORDED = [
    "x.max(0).values", "x.max(1).values", "x.max(-1, keepdim=True).values", "x.min(0, True).values", "x.max(0)[0]",
    "torch.max(x, 0).values", "torch.max(x, 1)[0]", "x.median()", "x.max()", "x.min()", "x.amax(0)", "x.amin((0, 1))",
    "x.amax()", "x.max(y)", "torch.max(x, y)", "torch.min(x, y)", "x.fmax(y)", "torch.fmin(x, y)", "x.minimum(y)",
    "torch.maximum(x, y)", "x.clamp(y)", "x.clamp(max=y)", "x.clamp(0, 1)", "x.clip(-1, 1)", "x.clamp_min(1.0)",
    "x.clamp_max(1.0)", "x.clamp(2, 1)", "x.sum(0)", "x.sum((0, 1))", "x.sum(1, True)", "x.sum(dtype=torch.float32)",
    "x.mean(1)", "x.mean((0, 1), True)", "x.var(0)", "x.var(unbiased=False)", "x.std(1, True)", "x.std()", "x.prod()",
    "(x + 9).prod(1)", "x.norm()", "x.norm(1)", "x.norm(3)", "x.norm(float('inf'))", "x.norm(2, 0)",
    "x.norm(dim=1, keepdim=True)", "x.norm(1, dim=0)", "torch.linalg.vector_norm(x)", "torch.linalg.norm(x)", "x * y",
    "2 * x", "x * True", "x / y", "2 / x", "x / 2", "x - y", "1 - x", "x + 1", "x ** y.abs()", "x.abs() ** y", "x**0",
    "x**1", "x**2", "x**3", "x**-1", "x.abs() ** 0.5", "2**x", "0 ** x.abs()", "(-2) ** x", "0.0**x",
    "x ** torch.tensor(2.0)", "torch.pow(2, x)", "torch.pow(x, 2)", "-x", "+x", "abs(x)", "x.add(y, alpha=2)",
    "x.sub(y, alpha=0.5)", "torch.add(x, y, alpha=3)", "torch.sub(x, y)", "torch.mul(x, y)", "torch.div(x, y)",
    "x.multiply(y)", "x.divide(2)", "x.subtract(y)", "x.negative()", "x.absolute()", "x.addcmul(x, y)",
    "x.addcmul(x, y, value=0.5)", "torch.addcdiv(y, x, x.abs() + 1)", "x.addcdiv(y, x + 10, value=2)",
    "x.lerp(y, 0.3)", "x.lerp(y, 0.8)", "x.lerp(y, y.abs() / 9)", "torch.lerp(x, y, 0.5)",
    "x.lerp(y, torch.tensor(0.5))", "x @ y[0]", "x[0] @ y[0]", "x[0].dot(y[0])", "x[0].outer(y[0])",
    "torch.outer(x[0], x[0])", "x[0].inner(y[0])", "x.T @ x", "x.exp()", "x.expm1()", "x.log()", "x.log1p()",
    "x.sqrt()", "x.rsqrt()", "x.reciprocal()", "x.sin()", "x.cos()", "x.tanh()", "x.sigmoid()", "x.relu()",
    "x.square()", "x.abs()", "x.sign()", "x.floor()", "x.ceil()", "x.round()", "x.trunc()", "torch.exp(x)",
    "torch.sigmoid(x)", "torch.relu(x)", "torch.square(x)", "torch.where(x > 0, x, y)", "torch.where(x > 0, x, 0)",
    "torch.where(x > 0, 1.0, x)", "x.masked_fill(x > 0, 2.0)", "x.masked_select(x > 0)", "x[x > 0]", "x[0]",
    "x[:, 1]", "x[..., 0]", "x[None]", "x[[0, 0]]", "x[:, [1, 0]]", "x[[0, 1], [1, 0]]", "x[0][1]", "x[0:1]",
    "x[::2]", "x[torch.tensor([1])]", "x[True]", "x.index_select(1, torch.tensor([1, 1]))", "x.select(0, 1)",
    "x.narrow(0, 0, 1)", "x.split(1)[1]", "x.chunk(2)[0]", "x.unbind(1)[0]", "[*x][0]", "x.diagonal()", "x.diag()",
    "torch.diag(x[0])", "x.diagonal(1)", "x.flip(0)", "x.flip(0, 1)", "x.flip([1])", "torch.flip(x, [0])", "x.diff()",
    "x.diff(dim=0)", "x.diff(n=2)", "x.T", "x.t()", "x.mT", "x.permute(1, 0)", "x.transpose(0, 1)", "x.reshape(-1)",
    "x.view(-1)", "x.view(3, 2)", "x.flatten()", "x.ravel()", "x.squeeze()", "x.unsqueeze(0)", "x.expand(2, 2, 3)",
    "x[0].expand(3, 3)", "x.repeat(2, 1)", "x.broadcast_to(2, 2, 3)", "x.expand_as(x)", "x.view_as(y)",
    "x.reshape_as(y)", "x[0].repeat(2)", "torch.cat([x, y])", "torch.cat([x, x], 1)", "torch.cat((x, y), dim=-1)",
    "torch.stack([x, y])", "torch.stack([x, x], dim=1)", "torch.hstack([x, y])", "torch.vstack([x, y])",
    "torch.concat([x, y])", "torch.meshgrid(x[0], y[0], indexing='ij')[0]", "torch.broadcast_tensors(x, y)[0]",
    "torch.stack([x[0, 0], y[0, 1]])", "torch.stack(list(x))", "x.double()", "x.float()", "x.to(torch.float32)",
    "x.type(torch.float32)", "x.type_as(torch.zeros(1))", "x.half()", "x.clone()", "x.contiguous()",
    "x.T.contiguous()", "x.cpu()", "x.to('cpu')", "x.detach() * x", "x.data * x", "x.to(torch.float64, copy=True)",
    "torch.clone(x)", "torch.as_tensor(x)", "torch.as_tensor(x, dtype=torch.float32)", "torch.normal(x, 1.0) * 0 + x",
    "x.isclose(y) * x", "(x > 0) * x", "(x > 0).double() * x", "torch.full_like(x, 2) * x", "x.new_tensor([1.0]) * x",
    "x.logical_not() * x", "torch.tensor(1.0) * x", "x.bool() * x", "x.sum() * x", "torch.max(x.sum(), y.sum())",
    "x.nonzero().sum() * x", "x.std(dim=0, correction=0)",
]  # fmt: skip
"""What has a gradient, called in the ways in which it can be."""
LOST = [
    "x // 2", "x % 2", "x.remainder(y)", "x.tan()", "x.erf()", "x.log2()", "x.log10()", "x.atan()",
    "torch.hypot(x, y)", "torch.atan2(x, y)", "x.frac()", "x.sinh()", "x.asin()", "x.cumsum(0)", "x.cumprod(0)",
    "x.sort().values", "x.sort(0, descending=True).values", "torch.sort(x)[0]",
    "torch.linalg.solve(x[:, :2] + 3 * torch.eye(2), y[0, :2])", "torch.linalg.solve(torch.eye(2) * 2, x[:, 0])",
    "torch.linalg.inv(x[:, :2])", "torch.linalg.eigvalsh(x[:, :2])", "torch.linalg.eigh(x[:, :2]).eigenvalues",
    "torch.linalg.lstsq(x, y[:, 0]).solution",
]  # fmt: skip
"""What has a gradient in PyTorch, and none here."""
FACTORS = [
    ([[1.0, -2.0, 0.5], [3.0, 0.3, 2.0]], [[2.0, 1.0, 0.5], [3.0, -0.3, 1.0]]),
    ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0], [1.0, 2.0, 0.0]]),
    ([[0.0, 0.0, 1.0], [0.0, -1.0, 2.0]], [[0.0, 2.0, 1.0], [-1.0, -1.0, 2.0]]),
    ([[math.nan, 1.0, 2.0], [math.inf, 0.0, -1.0]], [[1.0, math.nan, 2.0], [0.0, 0.0, -2.0]]),
]


def gradients(t: Any, code: str, x: Any, y: Any) -> Any:
    """Those of the sum of a result, each of its numbers with another weight."""
    x, y = (t.tensor(one, dtype=t.float64, requires_grad=True) for one in (x, y))
    result = eval(code, {"torch": t, "x": x, "y": y})
    weights = t.arange(1, result.numel() + 1).to(result.dtype).reshape(result.shape)
    (result * weights).sum().backward()
    return [x.grad, y.grad]


@pytest.mark.parametrize("code", RECORDED)
def test_all_that_has_a_gradient_gives_pytorchs(code: str) -> None:
    for x, y in FACTORS:
        found = [outcome(lambda t=t, x=x, y=y: gradients(t, code, x, y)) for t in (torch, small)]
        if "product that is zero" not in str(found[1]):  # that is not in the page
            assert_same(*found, f"{code} of {x} and {y}", loose=100)


@pytest.mark.parametrize("code", LOST)
def test_a_gradient_that_is_not_in_the_page_is_refused(code: str) -> None:
    with pytest.raises(small.NotInThePage, match="the derivative of"):
        gradients(small, code, *FACTORS[0])


SAVING = [
    "w.sum()", "w * 2", "w * x", "w * w", "w + 1", "w - x", "1 - w", "w / 2", "w / x", "x / w", "2 / w", "w**2", "2**w",
    "x**w", "-w", "w.abs()", "w.mean()", "w.mean(0)", "w.var()", "w.std()", "w.amax()", "w.max()", "w.clamp(min=1)",
    "w.clamp(1, 3)", "w[0]", "w[:, 0]", "w[[0, 0]]", "w[x > 1]", "w.T", "w.view(4)", "w[None, [0]]", "w.flip(())",
    "w**0", "w.repeat(2, 1)", "w.prod()", "torch.cat([w, w])",
    "torch.stack([w, x])", "w.exp()", "w.log()", "w.sqrt()", "w.reciprocal()", "w.sin()",
    "w.tanh()", "w.sigmoid()", "w.relu()", "w.square()", "w.sign()", "torch.maximum(w, x)", "w.double()", "w.clone()",
    "w.flip(0)", "w.diff()", "w.lerp(x, 0.3)", "x.lerp(w, 0.7)", "torch.addcmul(x, w, x)", "torch.addcdiv(x, x, w)",
    "torch.outer(w[0], x[0])", "(w * 1).exp_()", "(w * 1).pow_(2)", "(w * 1).mul_(w)", "(w * 1).clamp_(1, 3)",
    "w.norm()", "w.norm(dim=0)", "w @ x", "x @ w", "w @ w", "w[0].dot(x[0])", "torch.where(x > 1, w, x)",
    "w.masked_fill(x > 1, 0.0)",
]  # fmt: skip


@pytest.mark.parametrize("code", SAVING)
@pytest.mark.parametrize(
    "then", ["r.backward()", "w.sub_(0.5)", "w.data.sub_(0.5)", "w.data = w - 0.5", "o.mul_(2)", "count(w)"]
)
def test_a_gradient_after_a_second_backward_or_a_change_is_refused_if_what_it_needs_has_gone(
    code: str, then: str
) -> None:
    line = f"""
        from torch.autograd.graph import increment_version as count
        w = torch.tensor([[1.0, 2.0], [3.0, 4.5]], dtype=torch.float64, requires_grad=True)
        x = torch.tensor([[2.0, 1.0], [0.5, 0.7]], dtype=torch.float64)
        o = {code}
        r = o.sum()
        if {then!r} == "r.backward()":
            r.backward()
        else:
            with torch.no_grad():
                {then}
        try:
            r.backward()
            seen = w.grad
        except RuntimeError as error:
            seen = str(error)[:90]
    """
    assert_same(*seen_by_both(line, line.replace("from torch.", f"from {small.__name__}."), code), code, loose=10)


def test_an_update_before_backward_is_refused_in_pytorchs_words() -> None:
    line = """
        w = torch.tensor([1.0, 2.0], requires_grad=True)
        loss = (w**2).sum()
        with torch.no_grad():
            w -= 0.5
        try:
            loss.backward()
        except RuntimeError as error:
            seen = str(error).partition(" Hint")[0]
    """
    theirs, ours = seen_by_both(line, line, "update")
    assert theirs == ours


WRITING = [
    "b = w * 1; b.fill_(3.0)", "b = w * 1; b.zero_()", "b = w * 1; b.copy_(x)", "b = w * 1; b[0] = 5",
    "b = w * 1; b[0] *= 5", "b = w * 1; b[[0, 1]] = 5", "b = w * 1; b[...] = 5", "b = w * 1; b[True] = 5",
    "b = w * 1; v = b[:2]; v *= 2; b = v * b.sum()", "b = w * 1; v = b[:2]; b *= 2; b = v",
    "b = w * 1; v = b.view(3, 1); c = v[:2]; c *= 2; b = v * b", "b = torch.zeros(3); v = b[:2]; v += w[:2]",
    "b = torch.zeros(3); v = b[:2]; b += w; b = v", "b = torch.zeros(3); b[0] = w[0]; b[1] = w[2] * 2; b = b * x",
    "b = torch.zeros(2, 3); b[1] = w; b[:, 0] = w[:2]; b = b * b", "b = torch.zeros(2, 3); b[:] = w; b.T[0] *= 3",
    "b = torch.zeros(3); b[x > 1] = w[:2]", "b = torch.zeros(3); b[[2, 0]] = w[1]", "b = torch.zeros(3).int(); b += w",
    "b = w * 1; b *= b", "b = w * 1; b.pow_(2)", "b = w * 1; b.exp_()", "b = w * 1; b.exp_(); b += 1",
    "b = w * 1; v = b[:1]; v.exp_()", "b = w * 1; v = b[:1]; v.exp_(); b[1] = 3", "b = w * 1; b[0] = b[1]",
    "b = w * 1; b[b > 1] *= 2", "b = w * 1; b[b > 1] = 0", "b = w * 1; b.view(3, 1)[0] = 0", "v = w[:1]; v *= 2",
    "b = w * 1; b.masked_fill_(x > 1, 0.0)", "b = w * 1; c = b.exp(); b[0] = 1; b = c", "v = w.detach()[:1]; v *= 2",
    "b = w * 1; c = b * b; b[0] = 1; b = c", "b = w * 1; c = b * x; b[0] = 1; b = c", "v = w[0]; w[0] = 2",
    "b = w * x; x[0] = 1", "b = w * x; x.data[0] = 1", "b = w * w; w.data = w.data - 1", "b = w * 1; b.eq_(2)",
    "with torch.no_grad(): v = w[:2]\nv *= 2", "b = w * 1\nwith torch.no_grad(): v = b[:2]\nv *= 2",
    "b = w * 1\nfor r in b: r *= 2", "b = torch.zeros(3)\nfor n in range(3): b[n] = w[n] ** n",
    "b = w * 1; v = b.split(1)[0]; v *= 2", "b = w * 1; v = b.detach(); v *= 2", "b = w * 1; v = b[:2]; v.detach_()",
    "b = w * 1; v = b.expand(2, 3); b *= 2; b = v", "b = w * 1; v = b[0]; b[0] = 4; b = v", "b = w * 1; b.T.mul_(3)",
    "b = w * 1; b += x; b -= 1; b /= x", "b = torch.zeros(3); b.copy_(w)", "b = torch.zeros(3).float(); b.copy_(w)",
    "b = torch.zeros(3).float(); b[:] = w", "b = w * 1; b.detach_(); b *= 2", "b = w * 1; b[0].mul_(3)",
    "v = x[:2]; x.requires_grad_(); v += 1", "v = x[:2]; x.requires_grad_(); v += w[:2]", "torch.add(w, 1, out=x)",
    "b = w * 1; b.clamp_(0, 2)", "b = w * 1; b.clamp_(min=2)", "b = w * 1; b.lerp_(x, 0.3)", "b = w * 1; b.div_(w)",
    "b = w * 1; b.addcmul_(b, x)", "b = w * 1; b.addcdiv_(x, b)", "b = w * 1; b.addcmul_(w, x, value=2)",
    "b = w * 1; b.sub_(b, alpha=2)", "b = w * 1; b.sqrt_()", "b = w * 1; v = b.data; v *= 2; b = b * b",
    "b = w * 1; torch.add(x, 1, out=b)", "c = torch.tensor([0, 1]); b = w[c]; c[0] = 2",
    "c = x > 1; b = w[c]; c[0] = False",
    "c = x > 1; b = torch.where(c, w, x); c[0] = False", "b = torch.where(x > 1, w - 1, 0 * w).sqrt()",
    "b = w * 1\nwith torch.no_grad(): b *= 2",
]  # fmt: skip
"""What writes into tensors of which a gradient is asked; `b` is what it is taken of."""


@pytest.mark.parametrize("code", WRITING)
def test_a_gradient_after_what_was_written_in_place(code: str) -> None:
    given = """
        torch.set_default_dtype(torch.float64)
        w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
        x = torch.tensor([2.0, 1.0, 4.0])
        b = w * 0
    """
    line = f"{textwrap.dedent(given)}{code}\nb.sum().backward()\nseen = b, w.grad"
    try:
        assert_same(*seen_by_both(line, line, code), code)
    finally:
        for one in (torch, small):
            one.set_default_dtype(one.float32)


OVERLAPPING = [
    "e.fill_(2)", "e.zero_()", "e.copy_(x)", "e += 1", "e[0] = 5", "e[0] = x[0]", "e[:] = x", "e[:, 0] = 7", "e[:] = 5",
    "e[...] = x", "e.exp_()", "e.clamp_(0, 0.5)", "e[0] *= 2", "e.mul_(x)", "e[0, 0] = 3", "e.T.sub_(1)",
    "e[:1] += 1", "f = x[:1].expand(1, 3); f += 1", "e.expand(2, 2, 3).div_(2)", "e.lerp_(x, 0.5)", "e.abs_()",
]  # fmt: skip


@pytest.mark.parametrize("code", OVERLAPPING)
def test_what_is_written_where_several_numbers_share_a_place(code: str) -> None:
    line = f"p = torch.ones(3)\ne = p.expand(2, 3)\nx = torch.ones(2, 3) * 4\n{code}\nseen = p, x"
    assert_same(*seen_by_both(line, line, code), code)


LOOPS = {
    "a training loop": """
        p = torch.ones(2, dtype=torch.float64, requires_grad=True)
        for _ in range(3):
            p.grad = None
            loss = (p**2).sum()
            loss.backward()
            with torch.no_grad():
                p -= 0.1 * p.grad
        seen = p.tolist(), p.grad.tolist(), p.requires_grad, loss.item()
    """,
    "gradients that add up": """
        p = torch.ones(2, requires_grad=True)
        for _ in range(2):
            (p * 3).sum().backward()
        seen = p.grad.tolist()
    """,
    "a leaf that is changed": """
        p = torch.ones(2, requires_grad=True)
        p -= 1
    """,
    "a view of a leaf that is changed": """
        p = torch.ones(2, requires_grad=True)
        p[0] = 1
    """,
    "backward twice": """
        p = torch.ones(2, requires_grad=True)
        loss = (p**2).sum()
        loss.backward()
        loss.backward()
    """,
    "a graph that is kept": """
        p = torch.ones(2, requires_grad=True)
        loss = (p**2).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        seen = p.grad.tolist()
    """,
    "without a graph": "torch.ones(2).sum().backward()",
    "autograd.grad": """
        p = torch.ones(2, requires_grad=True)
        (g,) = torch.autograd.grad((p * 2).sum(), p)
        seen = g.tolist(), p.grad
    """,
    "not used": """
        p, q = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
        torch.autograd.grad((p * 2).sum(), q)
    """,
    "modes": """
        seen = [torch.is_grad_enabled()]
        with torch.no_grad():
            seen.append(torch.is_grad_enabled())
            with torch.enable_grad():
                seen.append(torch.is_grad_enabled())
        @torch.no_grad()
        def f(x):
            return (x * 2).requires_grad
        seen += [f(torch.ones(1, requires_grad=True)), torch.is_grad_enabled(), f.__name__]
    """,
    "numpy of what has a gradient": "torch.ones(2, requires_grad=True).numpy()",
    "a gradient of another shape": "p = torch.ones(2, requires_grad=True); p.grad = torch.ones(3)",
    "a gradient of another type": "p = torch.ones(2, requires_grad=True); p.grad = torch.ones(2).double()",
    "whole numbers with a gradient": "torch.tensor([1, 2], requires_grad=True)",
    "detached": """
        p = torch.ones(2, requires_grad=True)
        q = (p * 2).detach()
        seen = q.requires_grad, (p * 2).requires_grad, p.data.requires_grad, p.is_leaf, (p * 2).is_leaf
    """,
    "a dictionary of tensors": """
        p, q = torch.ones(2), torch.ones(2)
        state = {p: 1, q: 2}
        seen = state[p], state[q], p in state, len(state)
    """,
    "data_ptr": """
        p = torch.ones(4)
        seen = p.data_ptr() == p.data.data_ptr() == p.view(2, 2).data_ptr(), p[1:].data_ptr() == p.data_ptr()
        seen += (p.clone().data_ptr() == p.data_ptr(), p[1:].data_ptr() - p.data_ptr())
    """,
    "copies": """
        import copy, pickle
        p = torch.ones(2, dtype=torch.float64, requires_grad=True)
        q, r = copy.deepcopy(p), pickle.loads(pickle.dumps(p))
        with torch.no_grad():
            q += 1
        seen = p.tolist(), q.tolist(), r.tolist(), q.requires_grad, str(r.dtype)
    """,
    "a copy of all": """
        import copy
        p = torch.ones(2, requires_grad=True)
        p.grad, p.note = torch.tensor([3.0, 4.0]), [1]
        a, b, c = copy.deepcopy([p, p, p.detach()[1:]])
        c += 1
        seen = a.tolist(), a is b, a.grad.tolist(), a.grad is p.grad, a.requires_grad, a.note, a.note is p.note
        seen += (p.tolist(), c.tolist())
    """,
    "a copy of what was computed": "import copy; copy.deepcopy(torch.ones(2, requires_grad=True) * 2)",
    "default type": """
        torch.set_default_dtype(torch.float64)
        seen = str(torch.zeros(1).dtype), str(torch.get_default_dtype())
        torch.set_default_dtype(torch.float32)
    """,
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_a_piece_of_code(name: str) -> None:
    # Both are called torch, so one of them cannot be pickled here.
    code = LOOPS[name]
    found = seen_by_both(code, code.replace("pickle.loads(pickle.dumps(p))", "copy.copy(p)"), name)
    assert found[0] == found[1]


# --- random numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 42, 2**31, 2**63, -1, 12345678901234567890])
def test_random_numbers_are_pytorchs_own_bit_for_bit(seed: int) -> None:
    ours, theirs = (t.Generator().manual_seed(seed) for t in (small, torch))
    draw = random.Random(seed)
    for _ in range(60):
        shape = draw.choice([(1,), (2,), (3,), (2, 2), (15,), (16,), (17,), (100,), (5, 7), (33,)])
        name = draw.choice(["randn", "rand"])
        a = getattr(torch, name)(*shape, generator=theirs, dtype=torch.float64)
        b = getattr(small, name)(*shape, generator=ours, dtype=small.float64)
        assert a.flatten().tolist() == b.flatten().tolist(), (name, shape)


def test_random_numbers_of_float32_are_pytorchs_too() -> None:
    ours, theirs = (t.Generator().manual_seed(7) for t in (small, torch))
    for shape in ((2,), (3,), (15,), (1,), (7,)):
        assert torch.randn(shape, generator=theirs).tolist() == small.randn(shape, generator=ours).tolist()
        assert torch.rand(shape, generator=theirs).tolist() == small.rand(shape, generator=ours).tolist()
    # From sixteen on, PyTorch's float32 depends on the processor.
    assert_same(torch.randn(40, generator=theirs), small.randn(40, generator=ours))
    assert torch.randperm(50, generator=theirs).tolist() == small.randperm(50, generator=ours).tolist()
    assert torch.randint(7, (20,), generator=theirs).tolist() == small.randint(7, (20,), generator=ours).tolist()
    assert torch.manual_seed(3).initial_seed() == small.manual_seed(3).initial_seed()
    assert torch.randn(4).tolist() == small.randn(4).tolist()


# --- how it is printed -----------------------------------------------------------------------------------------------


def test_a_tensor_is_printed_as_pytorch_prints_it() -> None:
    draw = random.Random(0)
    for _ in range(400):
        shape = draw.choice([(), (1,), (2,), (7,), (30,), (2, 3), (2, 2, 2), (0,), (0, 3), (12, 9), (1001,), (40, 30)])
        kind = draw.choice(KINDS)
        count = math.prod(shape)
        scale = 10.0 ** draw.randint(-6, 9)
        values = numbers(draw, count, kind, special=draw.random() < 0.3)
        if kind.startswith("float"):
            values = [x * scale for x in values]
            if draw.random() < 0.2:
                values = [float(round(x)) if math.isfinite(x) else x for x in values]
        texts = []
        for t in (torch, small):
            one = t.tensor(values, dtype=getattr(t, kind)).reshape(shape)
            texts.append(repr(one.requires_grad_() if kind.startswith("float") and draw.random() < 0 else one))
        assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "values",
    [
        [1.5, 1499.0], [1.5, 1501.0], [2.0, 2000.0], [2.0, 2002.0], [1e8 - 1, 1e8], [1e8 + 1, 1e8], [1e-4, 1e-3],
        [9e-5, 1e-3], [0.5, 99999999.0], [0.0, 0.1], [0.0, 5.0], [math.nan, 1.0], [math.inf, 1.5], [-0.0], [1e-300],
    ],
)  # fmt: skip
def test_small_and_large_numbers_are_printed_in_pytorchs_form(values: list[float]) -> None:
    assert repr(torch.tensor(values, dtype=torch.float64)) == repr(small.tensor(values, dtype=small.float64))


@pytest.mark.parametrize(
    "code",
    [
        "A.max(1)", "A.min(0, keepdim=True)", "torch.max(A, 1)", "A.sort()", "A.median(0)", "A.max(1)[0]",
        "torch.linalg.eigh(A.T @ A)", "A.shape[:1]", "A.shape[0]", "A.shape + (1,)", "(1,) + A.shape", "A.shape * 2",
        "2 * A.shape", "A.T.shape[::-1]",
        "type(A)", "type(A.shape)", "type(A.dtype)", "type(A.device)", "type(A.max(1))",
    ],
)  # fmt: skip
def test_what_is_no_tensor_is_printed_as_pytorch_prints_it(code: str) -> None:
    texts = [repr(eval(code, {"torch": t, "A": t.tensor([[0.0, 1.0], [2.0, 0.0]])})) for t in (torch, small)]
    assert texts[0] == texts[1]


def test_a_tensor_with_a_gradient_is_printed_with_it() -> None:
    for t, code in itertools.product((small,), ("x", "x * 2", "x.sum()", "x[0]", "x - 1", "x / 2", "x**2")):
        texts = [repr(eval(code, {"x": u.ones(2, dtype=u.float64, requires_grad=True)})) for u in (torch, t)]
        assert texts[0] == texts[1]


# --- linear algebra --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_linear_algebra(size: int) -> None:
    draw = random.Random(size)
    for _ in range(10):
        values = [[draw.gauss(0, 1) for _ in range(size)] for _ in range(size)]
        both = [t.tensor(values, dtype=t.float64) for t in (torch, small)]
        A, ours = (x @ x.T for x in both)
        assert small.linalg.eigvalsh(ours).tolist() == pytest.approx(torch.linalg.eigvalsh(A).tolist(), rel=1e-10)
        found = small.linalg.eigh(ours)
        again = found.eigenvectors @ small.diag(found.eigenvalues) @ found.eigenvectors.T
        assert again.flatten().tolist() == pytest.approx(A.flatten().tolist(), abs=1e-12)
        b = [draw.gauss(0, 1) for _ in range(size)]
        solutions = [
            t.linalg.solve(x, t.tensor(b, dtype=t.float64)).tolist() for t, x in zip((torch, small), both, strict=True)
        ]
        assert solutions[0] == pytest.approx(solutions[1], rel=1e-8)
        tall = [[draw.gauss(0, 1) for _ in range(size)] for _ in range(3 * size)]
        if draw.random() < 0.5 and size > 1:  # one column is another's multiple
            tall = [[*row[:-1], 2 * row[0]] for row in tall]
        right = [draw.gauss(0, 1) for _ in range(3 * size)]
        found_both = [
            t.linalg.lstsq(t.tensor(tall, dtype=t.float64), t.tensor(right, dtype=t.float64), driver="gelsd").solution
            for t in (torch, small)
        ]
        assert found_both[0].tolist() == pytest.approx(found_both[1].tolist(), rel=1e-8, abs=1e-10)


# --- optimizers ------------------------------------------------------------------------------------------------------

OPTIMIZERS = {
    "no parameters": "torch.optim.Optimizer([], {})",
    "a tensor": "torch.optim.Optimizer(torch.zeros(2), {})",
    "no tensors": "torch.optim.Optimizer([1.0], {})",
    "not a leaf": "torch.optim.Optimizer([torch.zeros(2, requires_grad=True) * 2], {})",
    "twice": "p = torch.zeros(2); o = torch.optim.Optimizer([p], {}); o.add_param_group({'params': [p]})",
    "groups": """
        p, q = torch.zeros(2), torch.zeros(3)
        o = torch.optim.Optimizer([{"params": [p]}, {"params": q, "lr": 2}], {"lr": 1})
        seen = [[g["lr"], len(g["params"])] for g in o.param_groups], o.defaults, [*o.state]
    """,
    "state": """
        p, q = torch.zeros(2), torch.zeros(3)
        o = torch.optim.Optimizer([p, q], {"lr": 1})
        o.state[q]["v"] = 5
        saved = o.state_dict()
        other = torch.optim.Optimizer([torch.ones(2), torch.ones(3)], {"lr": 7})
        other.load_state_dict(saved)
        seen = saved["state"], saved["param_groups"], other.param_groups[0]["lr"], [*other.state.values()]
    """,
    "zero_grad": """
        p = torch.zeros(2, requires_grad=True)
        p.grad = torch.ones(2)
        o = torch.optim.Optimizer([p], {})
        o.zero_grad(set_to_none=False)
        seen = [p.grad.tolist()]
        o.zero_grad()
        seen.append(p.grad)
    """,
    "repr": "seen = repr(torch.optim.Optimizer([torch.zeros(2)], {'lr': 1, 'a': 2}))",
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_base_class_of_optimizers(name: str) -> None:
    found = seen_by_both(OPTIMIZERS[name], OPTIMIZERS[name], name)
    assert found[0] == found[1]
