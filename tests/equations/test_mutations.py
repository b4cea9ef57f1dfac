"""The errors that books on this subject print, injected into every equation and class: each must be caught.

A mutant that SymPy proves equal to the original is no error, and must pass. The score is printed by `pytest -rP`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
import sympy

from book._ext.page.equations import read_section
from conftest import ROOT, sample
from optim_code.equations import compiler as equations
from optim_code.equations.compiler import EquationError, UpdateRule, check_identity, check_update, class_for, read
from optim_code.equations.sections import read_page

# What is replaced by what, one occurrence at a time, in the LaTeX of an equation.
ERRORS: dict[str, list[tuple[str, str]]] = {
    "a sign": [(r"(?<=[\w})]) \+ ", " - "), (r"(?<=[\w})]) - ", " + "), (r"= - ", "= "), (r"\( ?- ?", "( ")],
    "a lost hat": [(r"\\hat\{(\w)\}(?=_t\}?[{}+])", r"\1")],
    "epsilon inside the root": [(r"\\sqrt\{((?:[^{}]|\{[^{}]*\})+)\} \+ \\varepsilon", r"\\sqrt{\1 + \\varepsilon}")],
    "a lost epsilon": [(r" \+ \\varepsilon", "")],
    "one minus, then the power": [(r"1 - (\\\w+)\^t", r"(1 - \1)^t")],
    "a shifted power": [(r"\^t\b", "^{t+1}"), (r"\^t\b", "^{t-1}"), (r"\^\{t-i\}", "^{t-i-1}"), (r"\^\{i\}", "^{i+1}")],
    "a shifted sum": [(r"\{i=1\}", "{i=0}"), (r"\{i=0\}", "{i=1}"), (r"\^\{t-1\}", "^{t}")],
    "a shifted index": [(r"_t\b", "_{t+1}"), (r"_\{t\+1\}", "_t"), (r"_\{t-1\}", "_t"), (r"_t\b", "_{t-1}")],
    "a missing learning rate": [(r"\\eta(\\,)? ?", "")],
    "a lost half": [(r"\\frac\{1\}\{2\}", "1"), (r"\{2 ", "{")],
    "a lost square": [(r"\^2", "")],
    "a lost root": [(r"\\sqrt\{((?:[^{}]|\{[^{}]*\})+)\}", r"(\1)")],
    "symbols swapped": [
        (r"\\alpha", r"\\beta"),
        (r"\\beta", r"\\alpha"),
        (r"\\eta", r"\\varepsilon"),
        (r"\\lambda", r"\\mu"),
        (r"\\mu", "L"),
    ],
    "decay and one minus decay swapped": [
        (r"(\\alpha|\\beta) (?=[mv]_)", r"(1 - \1) "),
        (r"\(1 - (\\alpha|\\beta)\)(?=\\,| g)", r"\1"),
    ],
    "momentum with an extra factor": [(r"(?<=\+ )g_t(?=$| \\\\)", r"(1 - \\beta) g_t")],
    "the gradient missing from the numerator": [(r"(?<=\\eta\\, )g_t", "1"), (r"\\hat\{m\}_t(?=\})", "1")],
    "a lost maximum": [(r"\\max\(u_\{t-1\}, v_t\)", "v_t"), (r"\\max\(u_\{t-1\}, v_t\)", "u_{t-1} + v_t")],
    "a lost decay": [(r" - \\eta\\, \\delta\\, w_\{t-1\}", ""), (r"\\delta\\, w_\{t-1\}", r"\\delta")],
}  # fmt: skip

# The same, in the Python of a class.
SLIPS: dict[str, list[tuple[str, str]]] = {
    "a sign": [(r"(alpha|value)=-group", r"\1=group"), (r"\.add_\(p\.grad\)", ".sub_(p.grad)"),
               (r"lerp_\(g", "lerp_(-g"), (r"value=1 - alpha", "value=alpha - 1"), (r"1 - (alpha|beta)\b", r"1 + \1")],
    "epsilon inside the root": [(r'(\S+)\.sqrt_?\(\)\.add_\(group\["eps"\]\)', r'(\1 + group["eps"]).sqrt()')],
    "a lost epsilon": [(r'\.add_\(group\["eps"\]\)', "")],
    "a lost hat": [(r"addcdiv_\(m_hat", 'addcdiv_(state["m"]'), (r"v_hat\.sqrt_", 'state["v"].sqrt')],
    "one minus, then the power": [(r"\(1 - (alpha|beta) \*\* (state\[.t.\])\)", r"((1 - \1) ** \2)")],
    "a shifted power": [(r'\*\* state\["t"\]', '** (state["t"] + 1)')],
    "a counter that never advances": [(r'state\["t"\] \+= 1', 'state["t"] = 1')],
    "a missing learning rate": [(r'-group\["lr"\]', "-1")],
    "a lost square": [(r"addcmul_\(g, g, value=", "add_(g, alpha=")],
    "a lost root": [(r"\.sqrt\(\)", ".clone()"), (r"\.sqrt_\(\)", "")],
    "symbols swapped": [(r'alpha, beta, g = group\["alpha"\], group\["momentum"\]',
                         'alpha, beta, g = group["momentum"], group["alpha"]')],
    "decay and one minus decay swapped": [(r"mul_\((alpha|beta)\)", r"mul_(1 - \1)"),
                                          (r"value=1 - alpha", "value=alpha"),
                                          (r"lerp_\(g, 1 - beta\)", "lerp_(g, beta)"),
                                          (r"lerp_\(g, 1 - beta\)", "mul_(1 - beta).add_(g, alpha=1 - beta)"),
                                          (r"lerp_\(g, 1 - beta\)", "mul_(beta).add_(g, alpha=beta)")],
    "the gradient missing from the numerator": [(r"addcdiv_\((g|m_hat),", r"addcdiv_(torch.ones_like(\1),")],
    "momentum with an extra factor": [(r"\.add_\(p\.grad\)", '.add_(p.grad, alpha=1 - group["momentum"])')],
    "a buffer shared by all parameters": [(r"if not state:", "state = group\n        if 'v' not in state:")],
    "one buffer for two": [(r'= torch\.zeros_like\(p\)\n +state\["v"\] = ', '= state["v"] = ')],
    "the gradient changed in place": [(r"p\.(add|addcdiv)_\(", r"p.grad.mul_(0.5)\n        p.\1_("),
                                      (r"addcmul_\(g, g,", "addcmul_(g, g.mul_(2).div_(3),")],
    "state changed on the way to the step": [(r'state\["(m|v)"\] / ', r'state["\1"].div_'),
                                             (r"\.sqrt\(\)", ".sqrt_()")],
    "a lost maximum": [(r'torch\.maximum\(state\["u"\]', 'torch.maximum(state["v"]'),
                       (r"torch\.maximum", "torch.minimum")],
    "a lost decay": [(r'1 - group\["lr"\] \* group\["weight_decay"\]', '1 - group["weight_decay"]'),
                     (r'p\.mul_\(1 - .*\)', 'p.grad.add_(p, alpha=group["weight_decay"])')],
    "a velocity too few": [(r'\* group\["momentum"\]\)', ")"), (r"p\.add_\(p\.grad, .*\n", "\n")],
    "state never stored": [(r'state\["(m|v)"\]\.(mul_|lerp_)',
                            r'state = {**state, "\1": state["\1"].clone()}\n        state["\1"].\2')],
}  # fmt: skip


# How many errors at least are made in each update, so that a pattern that finds nothing any more does not go unnoticed.
LEAST = {
    "in an equation": {
        "update-sgd": 5, "update-momentum": 10, "update-rmsprop": 18, "update-adam": 40,
        "update-nesterov": 10, "update-adagrad": 10, "update-adamw": 40, "update-amsgrad": 40,
    },
    "in a class": {
        "update-sgd": 3, "update-momentum": 6, "update-rmsprop": 9, "update-adam": 20,
        "update-nesterov": 8, "update-adagrad": 5, "update-adamw": 2, "update-amsgrad": 20,
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def each_side_is_parsed_once() -> Iterator[None]:
    """A mutant has most of its sides in common with the original, and to parse them takes longer than all else."""
    patch = pytest.MonkeyPatch()
    patch.setattr(equations, "parse_latex", cache(equations.parse_latex))
    yield
    patch.undo()


@cache
def book_equations(kind: str) -> tuple[tuple[str, str], ...]:
    found = []
    for docname in ("quadratic", "sgd", "momentum", "rmsprop", "adam", "landscapes", "beyond"):
        equations, _ = read_section(read_page(ROOT, f"book/{docname}"))
        found += [(e.label, e.latex) for e in equations if e.kind == kind]
    return tuple(found)


def mutants(text: str, errors: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Each error at each place where it can be made, one at a time."""
    seen = {text}
    for error, replacements in errors.items():
        for pattern, replacement in replacements:
            for match in re.finditer(pattern, text):
                mutant = text[: match.start()] + match.expand(replacement) + text[match.end() :]
                if mutant not in seen:
                    seen.add(mutant)
                    yield error, mutant


def is_still_true(latex: str) -> bool:
    """SymPy's proof that all sides of an identity are equal; it shares nothing with the check at random points."""
    try:
        parts = read(latex)
    except EquationError:
        return False
    positive = {s: sympy.Symbol(str(s), positive=True) for part in parts for side in part for s in side.free_symbols}
    sides = [[side.xreplace(positive).doit() for side in part] for part in parts]
    return all(sympy.simplify(side - part[0]) == 0 for part in sides for side in part[1:])


def is_same_update(mutant: str, original: str) -> bool:
    try:
        ours, theirs = (UpdateRule.from_latex(latex) for latex in (mutant, original))
    except EquationError:
        return False
    if [n for n, _ in ours.lines] != [n for n, _ in theirs.lines]:
        return False
    return all(sympy.simplify(a - b) == 0 for (_, a), (_, b) in zip(ours.lines, theirs.lines, strict=True))


def score(name: str, caught: int, same: int, escaped: list[str]) -> None:
    print(f"{name}: {caught} of {caught + len(escaped)} mutants caught, {same} equal to the original passed")
    assert not escaped, "\n".join(escaped)


@pytest.mark.parametrize(
    "label", sample([label for label, _ in book_equations("update")], "update-rmsprop", "update-adam")
)
def test_every_error_in_an_update_equation_is_caught(label):
    original = dict(book_equations("update"))[label]
    cls = class_for(label.removeprefix("update-"))
    caught, same, escaped = 0, 0, []
    for error, mutant in mutants(original, ERRORS):
        equal = is_same_update(mutant, original)
        try:
            check_update(UpdateRule.from_latex(mutant), cls)
        except EquationError:
            assert not equal, f"{label}, {error}: a correct equation was refused: {mutant}"
            caught += 1
        else:
            same += equal
            escaped += [] if equal else [f"{label}, {error}: {mutant}"]
    assert caught >= LEAST["in an equation"][label]
    score(label, caught, same, escaped)


@pytest.mark.parametrize("label", sample(dict(book_equations("identity")), *[*dict(book_equations("identity"))][::4]))
def test_every_error_in_an_identity_is_caught(label):
    original = dict(book_equations("identity"))[label]
    caught, same, escaped = 0, 0, []
    for error, mutant in mutants(original, ERRORS):
        try:
            check_identity(mutant)
        except EquationError:
            assert not is_still_true(mutant), f"{label}, {error}: a true identity was refused: {mutant}"
            caught += 1
        else:
            equal = is_still_true(mutant)
            same += equal
            escaped += [] if equal else [f"{label}, {error}: {mutant}"]
    assert caught >= 2
    score(label, caught, same, escaped)


def optimizers_with(source: str) -> dict[str, type]:
    namespace: dict[str, type] = {"__name__": "optim_code.optimizers"}  # type: ignore[dict-item]
    exec(compile(source.replace("from .optim", "from optim_code.optim"), "optimizers.py", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("label", [label for label, _ in book_equations("update")])
def test_every_error_in_a_class_is_caught(label):
    rule = UpdateRule.from_latex(dict(book_equations("update"))[label])
    whole = (ROOT / "optim_code" / "optimizers.py").read_text()
    name = class_for(label.removeprefix("update-")).__name__
    start = whole.index("    def my_step", whole.index(f"class {name}("))
    end = whole.find("\n\n\n", start)
    body = whole[start : end if end > 0 else len(whole)]
    caught, escaped = 0, []
    for error, mutant in mutants(body, SLIPS):
        cls = optimizers_with(whole.replace(body, mutant))[name]
        try:
            check_update(rule, cls)
        except EquationError:
            caught += 1
        except Exception as error_of_the_class:
            raise AssertionError(f"{label}, {error}: the mutant does not run: {mutant}") from error_of_the_class
        else:
            escaped.append(f"{label}, {error}: {mutant}")
    assert caught >= LEAST["in a class"][label]
    score(name, caught, 0, escaped)


@pytest.mark.parametrize(
    ("label", "old", "new"),
    [
        ("update-sgd", r"w_t - \eta\, g_t", r"- \eta\, g_t + w_t"),
        ("update-momentum", r"\beta v_t + g_t", r"g_t + v_t \beta"),
        ("update-rmsprop", r"(1 - \alpha)\, g_t^2", r"g_t g_t - \alpha g_t^2"),
        ("update-rmsprop", r"\frac{\eta\, g_t}{\sqrt{v_{t+1}} + \varepsilon}",
         r"\eta \frac{1}{\varepsilon + \sqrt{v_{t+1}}} g_t"),
        ("update-adam", r"\frac{m_t}{1 - \beta^t}", r"- \frac{m_t}{\beta^t - 1}"),
        ("update-adam", r"\sqrt{\hat{v}_t}", r"\hat{v}_t^{\frac{1}{2}}"),
    ],
)  # fmt: skip
def test_the_same_method_written_otherwise_passes(label, old, new):
    original = dict(book_equations("update"))[label]
    assert old in original
    found = check_update(UpdateRule.from_latex(original.replace(old, new)), class_for(label.removeprefix("update-")))
    assert found.largest <= equations.TOLERANCE


def test_two_labels_swapped_are_caught():
    updates = dict(book_equations("update"))
    for label in updates:
        for other, latex in updates.items():
            if other != label:
                with pytest.raises(EquationError):
                    check_update(UpdateRule.from_latex(latex), class_for(label.removeprefix("update-")))
