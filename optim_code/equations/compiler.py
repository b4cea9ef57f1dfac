r"""Compile a printed equation, an update or an identity, into a program, and check that it is true.

SymPy reads the LaTeX and writes the code. This module adds what SymPy cannot know: what each symbol means (`NOTATION`),
that :math:`v_t` and :math:`v_{t+1}` are one buffer before and after a step, and with what a rule is compared.
"""

from __future__ import annotations

import functools
import inspect
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy
import torch
from numpy.typing import NDArray
from sympy.core.function import AppliedUndef
from sympy.parsing.latex import LaTeXParsingError, parse_latex
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.printing.pycode import PythonCodePrinter

from optim_code.descent import descend
from optim_code.equations import class_named_after
from optim_code.equations.notation import NOTATION, Symbol
from optim_code.equations.rules import Rule
from optim_code.optim import Optim
from optim_code.problems import Quadratic, lecture_bowl

Vector = NDArray[np.float64]


# parse_latex knows no hats, so a letter that has no other meaning takes the place of a letter with a hat.
HATS = {r"\hat{m}": "M", r"\hat{v}": "V", r"\hat{u}": "U"}
LARGEST = sympy.Symbol("Z")
"""Takes the place of ``\\max(a, b)``, which parse_latex does not know."""
# A symbol before a parenthesis is a factor in this book; parse_latex would call it a function.
LETTERS = "|".join(re.escape(HATS.get(s.latex, s.latex)) for s in NOTATION)
FACTOR = re.compile(rf"(?<![\\a-zA-Z])((?:{LETTERS})(?:_\w|_\{{[^}}]*\}})?)\s*\(")
SYMBOLS = {HATS.get(s.latex, s.latex.removeprefix("\\")): s for s in NOTATION}


class JavaScript(JavascriptCodePrinter):  # type: ignore[misc]  # SymPy has no types
    """SymPy's JavaScript, but with products in place of squares: they are many times faster, and as exact."""

    def _print_Pow(self, expr: sympy.Pow) -> str:
        if expr.exp == 2 and expr.base.is_Symbol:
            return f"{expr.base}*{expr.base}"
        return str(super()._print_Pow(expr))


class Python(PythonCodePrinter):  # type: ignore[misc]
    """SymPy's Python, but with the functions of `rules` where Python's own arithmetic would raise."""

    def _print_Mul(self, expr: sympy.Mul) -> str:
        above, below = [], []
        for factor in expr.args:
            if factor.is_Pow and factor.exp.could_extract_minus_sign():
                below.append(1 / factor)
            elif factor.is_Rational and factor.q != 1:
                above += [sympy.Integer(factor.p)] if factor.p != 1 else []
                below.append(sympy.Integer(factor.q))
            else:
                above.append(factor)
        top, bottom = ("*".join(self.parenthesize(one, PRECEDENCE["Mul"]) for one in some) for some in (above, below))
        return f"divided({top or 1}, {bottom})" if below else top

    def _print_Pow(self, expr: sympy.Pow, rational: bool = False) -> str:
        base, power = expr.args
        if power.could_extract_minus_sign():
            return f"divided(1, {self._print(base**-power)})"
        if power == sympy.Rational(1, 2):
            return f"root({self._print(base)})"
        if power == 2 and base.is_Symbol:
            return f"{base}*{base}"
        return f"power({self._print(base)}, {self._print(power)})"

    def _print_sign(self, expr: sympy.Expr) -> str:
        return f"sign({self._print(expr.args[0])})"

    def _print_Max(self, expr: sympy.Max) -> str:
        return f"larger({', '.join(map(self._print, expr.args))})"


class EquationError(ValueError):
    """An equation cannot be read, or is not true; the message is one line and says where."""


def read(latex: str) -> list[list[sympy.Expr]]:
    """The LaTeX of a displayed equation as SymPy expressions.

    Args:
        latex: one equation, or several in an ``aligned`` block or separated by ``\\qquad``.

    Returns:
        For each equation the sides between its equals signs, in their order.

    Raises:
        EquationError: if SymPy cannot read it, or a symbol is not in `NOTATION`.
    """
    text = re.sub(r"\\(begin|end)\{aligned\}|&|\\(left|right|bigl|bigr)(?![a-z])|(?<!\\)\\[,;! ]", " ", latex)
    text = re.sub(r"\\tfrac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text).replace(r"\tfrac", r"\frac")
    text = re.sub(r"\\hat\s+([a-z])", r"\\hat{\1}", text)
    for hat, letter in HATS.items():
        text = text.replace(hat, letter)
    text = FACTOR.sub(r"\1 \\cdot (", text)
    equations = []
    for line in re.split(r"\\\\|\\qquad", text):
        line = line.strip().rstrip(",.").strip()
        if line:
            equations.append([_expression(side, line) for side in _sides(line)])
    return equations


def _sides(line: str) -> list[str]:
    """The sides of an equation. An equals sign inside braces, as in the lower limit of a sum, does not count."""
    sides, depth = [""], 0
    for character in line:
        depth += (character == "{") - (character == "}")
        if character == "=" and depth == 0:
            sides.append("")
        else:
            sides[-1] += character
    return [side.strip() for side in sides]


def _without_maximum(side: str) -> tuple[str, str, str]:
    r"""A side with `LARGEST` in place of its ``\\max(a, b)``, and the two arguments; empty if there is none."""
    before, _, rest = side.partition(r"\max")
    depth, comma = 0, 0
    for place, character in enumerate(rest):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 1:
            comma = place
        elif character == ")" and depth == 0:
            return f"{before} {LARGEST} {rest[place + 1 :]}", rest[:comma].strip(" ("), rest[comma + 1 : place]
    return side, "", ""


def _expression(side: str, line: str) -> sympy.Expr:
    side, *largest_of = _without_maximum(side)
    if all(largest_of):
        return _expression(side, line).xreplace({LARGEST: sympy.Max(*(_expression(one, line) for one in largest_of))})
    try:
        parsed = parse_latex(side, strict=True)
    except LaTeXParsingError as error:
        reason = str(error).splitlines()[0]
        raise EquationError(f"cannot read `{side}` in `{line}`: {reason}") from None
    # In this book a letter before a parenthesis is a factor, never a function.
    expression = parsed.doit() if isinstance(parsed, sympy.Derivative) else parsed
    for call in expression.atoms(AppliedUndef):
        raise EquationError(f"`{call}` in `{line}` reads like a function; no identity or update may hold one")
    for symbol in sorted(expression.free_symbols, key=str):
        if symbol != LARGEST and _split(symbol)[0] not in SYMBOLS:
            raise EquationError(f"unknown symbol `{symbol}` in `{line}`; give it a row in NOTATION")
    return expression


def _split(symbol: sympy.Basic) -> tuple[str, int | None]:
    """The letter of a symbol and the offset of its index: ``w_{t + 1}`` is (w, 1), ``w`` is (w, None)."""
    letter, _, index = str(symbol).partition("_")
    index = index.strip("{}").replace(" ", "")
    if not index:
        return letter, None
    if not re.fullmatch(r"t([+-]\d+)?", index):
        raise EquationError(f"index `{index}` of `{symbol}` is not t, t+1 or t-1")
    return letter, int(index[1:] or 0)


@dataclass(frozen=True)
class UpdateRule:
    """An update equation, compiled.

    Attributes:
        lines: its lines in their order, each with the name of what it computes and the expression; ``v_new`` is the
            buffer after the step, ``v`` before it.
        state: the names of what is kept from step to step besides ``t``: the parameter ``w`` and its buffers.
        hyper: the names of the hyper-parameters.
    """

    lines: tuple[tuple[str, sympy.Expr], ...]
    state: tuple[str, ...]
    hyper: tuple[str, ...]

    @classmethod
    @functools.cache
    def from_latex(cls, latex: str) -> UpdateRule:
        r"""Compile an update equation.

        Args:
            latex: lines that each define a symbol at the new index, such as ``w_{t+1} = w_t - \eta g_t``. The index
                of the left-hand sides is either ``t+1``, and then ``g_t`` is the gradient at ``w_t``, or ``t``, and
                then ``g_t`` is the gradient that step ``t`` sees, counted from 1.

        Raises:
            EquationError: if it cannot be read, or uses a symbol that no update may use, or a value before it is
                computed.
        """
        equations = read(latex)
        if not all(len(sides) == 2 for sides in equations):
            raise EquationError("each line of an update must have one equals sign")
        new = [_split(left) if left.is_Symbol else (None, None) for left, _ in equations]
        offsets = {offset for _, offset in new}
        if len(offsets) != 1 or offsets - {0, 1}:
            raise EquationError("the left-hand sides of an update must all have the index t, or all t+1")
        (now,) = offsets
        defined: list[str] = []
        lines = []
        for (letter, _), (left, right) in zip(new, equations, strict=True):
            target = SYMBOLS[str(letter)]
            if target.role not in ("state", "mean"):
                raise EquationError(f"`{left}` cannot be updated: {target.latex} is no state")
            for call in right.atoms(sympy.Function):
                if not isinstance(call, (sympy.Abs, sympy.sign)):
                    what = "an update has sums, products, powers, roots and absolute values only"
                    raise EquationError(f"`{call.func}`: {what}")
            names = {s: sympy.Symbol(_role_name(s, int(now or 0), defined), real=True) for s in right.free_symbols}
            defined.append(target.name)
            lines.append((_new_name(target), right.xreplace(names)))
        if "w" not in defined:
            raise EquationError("the update does not say what becomes of w")
        used = {str(s) for _, right in lines for s in right.free_symbols}
        buffers = tuple(s.name for s in NOTATION if s.role == "state" and (s.name in used or s.name in defined))
        undefined = [name for name in buffers if name not in defined]
        if undefined:
            raise EquationError(f"`{undefined[0]}` is used, but no line says what becomes of it")
        hyper = tuple(s.name for s in NOTATION if s.role == "hyper" and s.name in used)
        # Exponents count steps from 1 where the left-hand side has the index t.
        shift = sympy.Symbol("t", real=True) - int(now or 0)
        shifted = tuple((name, right.subs(sympy.Symbol("t", real=True), shift)) for name, right in lines)
        return cls(shifted, buffers, hyper)

    def extended(
        self,
        lines: Mapping[str, sympy.Expr],
        buffers: Mapping[str, tuple[str, sympy.Expr]] | None = None,
        hyper: tuple[str, ...] = (),
    ) -> UpdateRule:
        """A rule with other lines, more buffers and more hyper-parameters.

        Args:
            lines: the new right-hand sides by the names of their lines.
            buffers: for each new buffer the name of the line after which its line comes (empty if it is the first
                line), and the right-hand side of its line.
            hyper: the names of the new hyper-parameters.
        """
        new: list[tuple[str, sympy.Expr]] = []
        own = dict(buffers or {})
        for after in ("", *(name for name, _ in self.lines)):
            new += [(after, lines.get(after, dict(self.lines)[after]))] if after else []
            new += [(f"{buffer}_new", right) for buffer, (place, right) in own.items() if place == after]
        return UpdateRule(tuple(new), (*self.state, *own), (*self.hyper, *hyper))

    @cached_property
    def plain(self) -> Rule:
        """The same rule in Python alone, for one coordinate."""
        return Rule(tuple((name, _python(right)) for name, right in self.lines), self.state, self.hyper)

    @property
    def uncorrected(self) -> UpdateRule | None:
        """The rule without its bias correction, that is, without the powers of ``t`` in the means with a hat.

        None if the rule has no bias correction.
        """
        means = {symbol.name for symbol in NOTATION if symbol.role == "mean"}
        t = sympy.Symbol("t", real=True)
        without = self.extended({name: _limit(right, t) for name, right in self.lines if name in means})
        return None if without.lines == self.lines else without

    def to_js(self) -> str:
        """The same step as a JavaScript function ``(state, g, hyper) => state`` of one coordinate."""
        state = ", ".join(self.state)
        hyper = ", ".join(self.hyper)
        lines = [f"  const {name} = {JavaScript().doprint(right)};" for name, right in self.lines]
        result = ", ".join(f"{name}: {name}_new" for name in self.state)
        head = f"  const {{ {state} }} = state, {{ {hyper} }} = hyper, t = state.t + 1;"
        return "\n".join(["(state, g, hyper) => {", head, *lines, f"  return {{ {result}, t }};", "}"])


def _limit(expression: sympy.Expr, t: sympy.Symbol) -> sympy.Expr:
    """The limit of an expression as ``t`` grows, when its powers with the exponent ``t`` go to zero."""
    return expression.replace(lambda part: part.is_Pow and t in part.exp.free_symbols, lambda part: sympy.S.Zero)


@functools.cache
def _python(right: sympy.Expr) -> str:
    code: str = Python().doprint(right)
    return code


def _new_name(symbol: Symbol) -> str:
    return f"{symbol.name}_new" if symbol.role == "state" else symbol.name


def _role_name(symbol: sympy.Symbol, now: int, defined: list[str]) -> str:
    """The name of the value of a symbol on the right-hand side, at a step whose new index is ``now``."""
    letter, offset = _split(symbol)
    known = SYMBOLS[letter]
    if known.role in ("hyper", "step"):
        if offset is not None:
            raise EquationError(f"`{symbol}`: {known.latex} has no index")
        return known.name
    if known.role == "gradient":
        if offset not in (None, 0):
            raise EquationError(f"`{symbol}`: the gradient of this step is g_t")
        return known.name
    if known.role == "quantity":
        raise EquationError(f"`{symbol}`: {known.latex} is neither state, gradient nor hyper-parameter")
    if offset == now:
        if known.name not in defined:
            raise EquationError(f"`{symbol}` is used before a line defines it")
        return _new_name(known)
    if known.role == "state" and offset == now - 1:
        return known.name
    raise EquationError(f"`{symbol}` belongs to another step")


# --- the check of an update rule -----------------------------------------------------------------------------------

TOLERANCE = 1e-12
NSTEPS = 60
SPLIT = 7
"""The number of coordinates in the first of two parameters."""
# In some of them epsilon is large enough to show where it stands.
SETTINGS: tuple[dict[str, float], ...] = (
    {"lr": 0.1, "momentum": 0.7, "alpha": 0.8, "eps": 1e-8, "weight_decay": 0.1},
    {"lr": 0.02, "momentum": 0.9, "alpha": 0.999, "eps": 1e-8, "weight_decay": 0.5},
    {"lr": 0.05, "momentum": 0.35, "alpha": 0.6, "eps": 1e-2, "weight_decay": 1.0},
    {"lr": 0.3, "momentum": 0.0, "alpha": 0.0, "eps": 1e-2, "weight_decay": 0.0},
)


@dataclass(frozen=True)
class Agreement:
    """What the check of an update rule found.

    Attributes:
        runs: the number of runs.
        steps: the number of steps of each run.
        oracles: the names of what the rule was compared with.
        largest: the largest relative difference.
    """

    runs: int
    steps: int
    oracles: tuple[str, ...]
    largest: float


def class_for(name: str) -> type[Optim]:
    """The optimizer that an update is named after.

    Args:
        name: the label of the equation without ``update-``.

    Raises:
        EquationError: if there is no such class.
    """
    classes = optimizer_classes()
    found = class_named_after(name, classes)
    if not found:
        raise EquationError(f"update-{name} has no class of that name in optim_code/optimizers.py")
    return classes[found]


def optimizer_classes() -> dict[str, type[Optim]]:
    """The optimizers of the book by their names."""
    # Imported here, because a student's kit compiles equations without this module.
    from optim_code import optimizers

    members = inspect.getmembers(optimizers, inspect.isclass)
    return {name: cls for name, cls in members if issubclass(cls, Optim) and cls is not Optim}


def torch_twin(cls: type[Optim], hyper: Mapping[str, float]) -> Callable[[list[torch.Tensor]], Any] | None:
    """A function that makes torch's own optimizer of the same method, or None.

    It is the optimizer of torch with the longest name with which the name of the class begins. If the rest of the name
    is a switch of that optimizer, such as ``nesterov`` of ``SGD``, it is on.
    """
    name = cls.__name__.removesuffix("Optimizer").lower()
    twins: dict[str, Any] = {key.lower(): twin for key, twin in inspect.getmembers(torch.optim, inspect.isclass)}
    fitting = sorted((n for n in twins if name.startswith(n)), key=len)
    if not fitting:
        return None
    twin = twins[fitting[-1]]
    takes = inspect.signature(twin).parameters
    given: dict[str, Any] = {key: value for key, value in hyper.items() if key in takes}
    switches = [switch for switch in takes if takes[switch].default is False and name.endswith(switch)]
    # Without a momentum Nesterov's step is SGD's, and torch refuses it.
    given |= {switch: True for switch in switches if switch != "nesterov" or hyper["momentum"] > 0}
    if "betas" in takes:
        given["betas"] = (hyper["momentum"], hyper["alpha"])
    return lambda params: twin(params, **given)


@functools.cache
def recorded_gradients() -> tuple[tuple[Vector, Vector], ...]:
    """The start and the gradients of runs of torch's SGD, one without noise and one with noise.

    The parameter has the coordinates of several bowls and of several random quadratics in five dimensions. All updates
    act on each coordinate by itself, so one run stands for many.
    """
    generator = torch.Generator().manual_seed(5)
    blocks = []
    for _ in range(3):
        root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
        blocks += [lecture_bowl().A, root @ root.T / 5 + 0.1 * torch.eye(5, dtype=torch.float64)]
    problem = Quadratic(torch.block_diag(*blocks))  # type: ignore[no-untyped-call]
    first = torch.randn(len(problem.b), generator=generator, dtype=torch.float64)
    first[:2] = 1.0
    recorded = []
    for noise in (0.0, 1.0):
        p = first.clone().requires_grad_()
        lr = 1.0 / float(problem.curvatures[-1])
        run = descend(torch.optim.SGD([p], lr=lr), problem, nsteps=NSTEPS, noise=noise, seed=1)
        recorded.append((first.numpy(), run.gradients.numpy()))
    return tuple(recorded)


def check_update(rule: UpdateRule, cls: type[Optim]) -> Agreement:
    """Compare an update rule with its class and with torch; all three get the same recorded gradients.

    With gradients of their own, two correct programs would differ near some settings, because their runs are chaotic.

    Raises:
        EquationError: if the rule differs from one of them: by how much, and at which step.
    """
    takes = [name for name in inspect.signature(cls).parameters if name != "params"]
    missing = [name for name in rule.hyper if name not in takes]
    if missing:
        raise EquationError(f"the equation uses {missing[0]}, which {cls.__name__} does not take")
    largest, runs, names = 0.0, 0, [cls.__name__]
    for first, gradients in recorded_gradients():
        for setting in SETTINGS:
            hyper = {name: setting[name] for name in takes if name in setting}
            makers: dict[str, Callable[..., Any]] = {cls.__name__: lambda ps, h=hyper: cls(ps, **h)}
            twin = torch_twin(cls, hyper)
            if twin is not None:
                makers["torch.optim"] = twin
            names = list(makers)
            runs += 1
            for oracle, make in makers.items():
                largest = max(largest, _compare(rule, make, oracle, first, gradients, hyper))
    return Agreement(runs, NSTEPS, tuple(names), largest)


def _compare(
    rule: UpdateRule,
    make: Callable[..., Any],
    oracle: str,
    first: Vector,
    gradients: Vector,
    hyper: Mapping[str, float],
) -> float:
    """The largest relative difference between a rule and one optimizer on the same gradients."""
    # Two parameters of different lengths: an optimizer that shares a buffer between them fails.
    params = [torch.tensor(part) for part in np.split(first, [SPLIT])]
    optimizer, state, largest = make(params), rule.plain.start(first.tolist()), 0.0
    for t, gradient in enumerate(gradients, start=1):
        for p, part in zip(params, np.split(gradient, [SPLIT]), strict=True):
            p.grad = torch.tensor(part)
        try:
            optimizer.step()
        except (Exception, SystemExit) as error:
            said = f"{oracle} raises {type(error).__name__} at step {t}: {error}".removesuffix(": ")
            raise EquationError(said) from error
        if not np.array_equal(torch.cat([p.grad for p in params if p.grad is not None]).numpy(), gradient):
            raise EquationError(f"{oracle} changes the gradient in place at step {t}")
        state = rule.plain.step(state, gradient.tolist(), hyper)
        expected = torch.cat(params).numpy()
        difference = np.abs(state["w"] - expected) / np.maximum(1.0, np.abs(expected))
        worst = float(difference.max()) if np.isfinite(difference).all() else math.inf
        if not worst <= TOLERANCE:
            where = ", ".join(f"{name}={value:g}" for name, value in hyper.items())
            raise EquationError(f"differs from {oracle} by {worst:.2g} at step {t} with {where}")
        largest = max(largest, worst)
    return largest


# --- identities ----------------------------------------------------------------------------------------------------

POINTS = 60


def check_identity(latex: str) -> float:
    """Evaluate both sides of an identity at random points of the domain that `NOTATION` states.

    Args:
        latex: one equation or several, each with two sides or more.

    Returns:
        The largest relative difference.

    Raises:
        EquationError: if it cannot be read, or if the sides differ: at which point, and by how much.
    """
    largest = 0.0
    for sides in read(latex):
        if len(sides) < 2:
            raise EquationError("an identity needs two sides, and an equals sign between them")
        symbols = sorted(set().union(*(side.free_symbols for side in sides)), key=str)
        functions = [sympy.lambdify(symbols, side, modules="math") for side in sides]
        draw = random.Random(0)
        for _ in range(POINTS):
            point = [_draw(SYMBOLS[_split(symbol)[0]], draw) for symbol in symbols]
            values = [function(*point) for function in functions]
            scale = max(abs(value) for value in values)
            for value in values[1:]:
                difference = abs(value - values[0]) / max(scale, 1e-300)
                if not difference <= 1e-9:
                    at = ", ".join(f"{s}={x:.4g}" for s, x in zip(symbols, point, strict=True))
                    raise EquationError(f"the two sides are {values[0]:.6g} and {value:.6g} at {at}")
                largest = max(largest, difference)
    return largest


def _draw(symbol: Symbol, draw: random.Random) -> float:
    if symbol.role == "step":
        return draw.randint(int(symbol.low), int(symbol.high))
    return draw.uniform(symbol.low, symbol.high)
