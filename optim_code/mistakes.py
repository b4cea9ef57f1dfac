"""The mistakes that are made with an update rule, each as a run of its own, made by rewriting the compiled rule.

Nothing here knows a method: what can be mistaken is found in the rule's expressions, so a new one has its mistakes at
once. A mistake is named where a class walks the same way as it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import sympy

from .equations import UpdateRule, Vector
from .versions import Version

HINTS = {
    "step uphill": "The gradient points to where the cost grows. Which way do you go?",
    "lr forgotten": "Which number sets how long the step is, and does your step use it?",
    "lr used twice": "Follow `lr` through your lines: how often does it come into one step?",
    "lr inside the buffer": "When `lr` changes, what becomes of the gradients that are in the buffer by then?",
    "lr of the first step kept": "A scheduler changes `lr` between two steps. When do your lines read it?",
    "eps inside the root": "Look at the denominator in the equation: is `eps` there when the root is taken?",
    "eps forgotten": "What does the equation divide by? Compare it with yours, term by term.",
    "eps added before the correction": "Which comes first in the equation: the correction of the mean, or `eps`?",
    "bias correction forgotten": "Means that start at zero are too small at first. Where does the equation mend that?",
    "hat forgotten on one of two": "Which symbols of the last line have a hat in the equation, and which in your step?",
    "corrected mean stored": "The recursion goes on with the plain mean. What do you carry to the next step?",
    "one minus, then the power": "Read the correction again: is the power taken before or after the subtraction?",
    "counter off by one": "What is t at the first step, in the equation and in your class?",
    "counter never advances": "Look at your counter after three steps. What should it be?",
    "counter advances twice": "Look at your counter after three steps. What should it be?",
    "decay and one minus decay swapped": "In the equation, which of the two weighs the past, and which the gradient?",
    "wrong sign of decay": "Look at the signs in the line that updates the buffer, one by one.",
    "wrong sign": "Compare the signs with those of the equation, one by one.",
    "decay forgotten": "How much of the old buffer does the equation keep?",
    "extra one minus decay": "With what weight does the new gradient enter the buffer in the equation?",
    "one minus decay forgotten": "With what weight does the new gradient enter the buffer in the equation?",
    "square forgotten": "The equation has a power that your line hasn't.",
    "root forgotten": "The equation takes a root on the way from the buffer to the step. Do you?",
    "gradient missing from the step": "What stands in the numerator of the equation's last line?",
    "division forgotten": "What does the last line of the equation divide by?",
    "buffer not used": "Which of the symbols that your lines compute does the step use, and which the equation's?",
    "buffer used before its update": "Compare the indices in the equation: is the old or the new buffer used?",
    "first gradient copied instead of zeros": "What is in the buffers before the first step, by the section's text?",
    "buffer begins at one": "What is in the buffers before the first step, by the section's text?",
    "state never stored": "What is in `state` when the step is done? Only that is still there at the next one.",
    "state shared between parameters": "Each parameter has a `state` of its own. Where do you keep what you remember?",
    "hyper-parameters not read from the group": "Two groups may have different values. Where do you read yours?",
}
LETTERS = "Go through the hyper-parameters of the equation: does each stand where yours stands?"
FIXED = "The constructor is given a value. Does your step use that one?"


def mistakes(rule: UpdateRule, defaults: Mapping[str, float]) -> Iterator[Version]:
    """All that can be mistaken in a rule, the likelier first where two walk the same way.

    Args:
        rule: the right one.
        defaults: the values that the class's constructor has for hyper-parameters that it isn't given.
    """
    in_lines = (in_the_step, in_the_hats, in_the_buffers, in_signs, in_the_letters)
    for name, lines in itertools.chain.from_iterable(find(rule) for find in in_lines):
        if not any(line.has(sympy.zoo, sympy.nan) for line in lines.values()):
            yield Version(rule.rewritten(lines), name, HINTS.get(name, LETTERS))
    yield from in_the_state(rule)
    yield from in_the_hyper_parameters(rule, defaults)


Lines = dict[str, sympy.Expr]
Wrong = Iterator[tuple[str, Lines]]
"""Names of mistakes, each with the lines of the rule as they are then."""


def in_the_step(rule: UpdateRule) -> Wrong:
    """What goes wrong in the last line, and around epsilon."""
    (step,) = (right for name, right in rule.lines if name == "w_new")
    yield "step uphill", {"w_new": 2 * symbol("w") - step}
    yield "lr forgotten", replaced(rule, {symbol("lr"): sympy.Integer(1)})
    yield "lr used twice", replaced(rule, {symbol("lr"): symbol("lr") ** 2})
    yield from (("lr inside the buffer", wrong) for wrong in rate_inside(rule))
    for name, change in (
        ("eps inside the root", eps_inside),
        ("eps forgotten", lambda node: node - symbol("eps") if symbol("eps") in node.args else None),
        ("eps added before the correction", lambda node: eps_early(rule, node)),
    ):
        yield from ((name, wrong) for wrong in each(rule, change, "eps"))
    top, bottom = sympy.fraction(sympy.together(step - symbol("w")))
    for s in sorted(step.free_symbols - {symbol(name) for name in ("w", "t", *rule.hyper)}, key=str):
        used_above = top.has(s)
        name = "gradient missing from the step" if used_above else "division forgotten"
        yield name, {"w_new": step.xreplace({s: sympy.Integer(1)})}
        if used_above and s != symbol("g"):
            yield "buffer not used", {"w_new": step.xreplace({s: symbol("g")})}
    if bottom.free_symbols:
        yield "division forgotten", {"w_new": symbol("w") + top}
    for old in buffers(rule):
        for wrong in each(rule, instead(symbol(f"{old}_new"), symbol(old))):
            yield "buffer used before its update", wrong


def in_the_hats(rule: UpdateRule) -> Wrong:
    """What goes wrong with corrected means, and with the power of t in them."""
    lines = dict(rule.lines)
    hats = [name for name in lines if not name.endswith("_new")]
    for some in subsets(hats):
        plain = {hat: next(s for s in lines[hat].free_symbols if str(s).endswith("_new")) for hat in some}
        lost = {symbol(hat): mean for hat, mean in plain.items()}
        name = "bias correction forgotten" if len(some) == len(hats) else "hat forgotten on one of two"
        yield name, {"w_new": lines["w_new"].xreplace(lost)}
        stored = {str(mean): lines[hat].xreplace({mean: lines[str(mean)]}) for hat, mean in plain.items()}
        yield "corrected mean stored", {**stored, **plain}
    for wrong in each(rule, one_minus_then_power):
        yield "one minus, then the power", wrong
    t = symbol("t")
    for name, other in (
        ("counter off by one", t + 1),
        ("counter off by one", t - 1),
        ("counter never advances", sympy.Integer(1)),
        ("counter advances twice", 2 * t),
        ("counter advances twice", 2 * t - 1),
    ):
        for wrong in each(rule, instead(t, other)):
            yield name, wrong


def in_the_buffers(rule: UpdateRule) -> Wrong:
    """What goes wrong in the lines of the buffers: decays, squares and roots."""
    lines = dict(rule.lines)
    changed: dict[str, dict[str, sympy.Expr]] = {}
    for old in buffers(rule):
        line = lines[f"{old}_new"]
        past = line.coeff(symbol(old)) * symbol(old)
        present = sympy.expand(line - past)
        for decay in past.free_symbols - {symbol(old)}:
            weight = 1 - decay
            share = sympy.cancel(present / weight)
            weighed = not sympy.denom(share).has(decay)
            for name, other in (
                ("decay and one minus decay swapped", line.xreplace({decay: weight})),
                ("decay forgotten", symbol(old) + line - past),
                ("one minus decay forgotten", past + share) if weighed else
                ("extra one minus decay", past + weight * present),
            ):  # fmt: skip
                changed.setdefault(name, {})[f"{old}_new"] = other
    for name, others in changed.items():
        for some in subsets(list(others)):
            yield name, {line: others[line] for line in some}
    for power, name in ((2, "square forgotten"), (sympy.Rational(1, 2), "root forgotten")):
        powers = {node for _, right in rule.lines for node in right.atoms(sympy.Pow) if node.exp == power}
        for node in sorted(powers, key=str):
            yield from ((name, wrong) for wrong in each(rule, instead(node, node.base)))


def in_signs(rule: UpdateRule) -> Wrong:
    """Every sign, one at a time."""
    for line, right in rule.lines:
        name = "wrong sign of decay" if line != "w_new" and line.endswith("_new") else "wrong sign"
        for node in sympy.preorder_traversal(right):
            for term in node.args if node.is_Add else ():
                yield name, {line: right.xreplace({node: node - 2 * term})}


def in_the_letters(rule: UpdateRule) -> Wrong:
    """Hyper-parameters that stand where another belongs."""
    for one, other in itertools.combinations(rule.hyper, 2):
        a, b = symbol(one), symbol(other)
        yield f"{one} and {other} swapped", replaced(rule, {a: b, b: a})
        for place, value in ((a, b), (b, a)):
            for wrong in each(rule, instead(place, value)):
                yield f"{value} in the place of {place}", wrong


def in_the_state(rule: UpdateRule) -> Iterator[Version]:
    """What goes wrong between two steps: beginning, remembering, and sharing."""
    own = buffers(rule)
    makers: tuple[Callable[[Vector], Vector], ...] = (lambda g: g, lambda g: g * g)
    for some in subsets(own):
        name = "state never stored"
        yield Version(rule, name, HINTS[name], forgotten=some)
        yield Version(rule, name, HINTS[name], forgotten=(*some, "t"))
        for choice in itertools.product(makers, repeat=len(some)):
            name = "first gradient copied instead of zeros"
            yield Version(rule, name, HINTS[name], begin=dict(zip(some, choice, strict=True)))
        name = "buffer begins at one"
        yield Version(rule, name, HINTS[name], begin=dict.fromkeys(some, np.ones_like))
    for some in subsets([*own, "t"]):
        for scope in ("group", "optimizer", "class"):
            name = "state shared between parameters"
            yield Version(rule, name, HINTS[name], shared=some, scope=scope)


def in_the_hyper_parameters(rule: UpdateRule, defaults: Mapping[str, float]) -> Iterator[Version]:
    """Values that are not those of the group."""
    for some in subsets(rule.hyper):
        name = "hyper-parameters not read from the group"
        yield Version(rule, name, HINTS[name], constructors=some)
    name = "lr of the first step kept"
    yield Version(rule, name, HINTS[name], first=("lr",))
    usual = {"lr": (0.1, 0.01, 0.001), "eps": (1e-8,)}
    for hyper in rule.hyper:
        for value in {*usual.get(hyper, (0.5, 0.9, 0.99, 0.999)), *([defaults[hyper]] if hyper in defaults else [])}:
            yield Version(rule, f"{hyper} is a fixed number", FIXED, fixed={hyper: value})


# --- rewriting -----------------------------------------------------------------------------------------------------


def symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, real=True)


def buffers(rule: UpdateRule) -> list[str]:
    return [name for name in rule.state if name != "w"]


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All of them, then each smaller choice; not none."""
    return [some for size in range(len(names), 0, -1) for some in itertools.combinations(names, size)]


def replaced(rule: UpdateRule, others: Mapping[sympy.Expr, sympy.Expr]) -> Lines:
    return {name: right.xreplace(others) for name, right in rule.lines}


def instead(of: sympy.Expr, other: sympy.Expr) -> Callable[[sympy.Expr], sympy.Expr | None]:
    return lambda node: other if node == of else None


def each(rule: UpdateRule, change: Callable[[sympy.Expr], sympy.Expr | None], within: str = "") -> Iterator[Lines]:
    """The lines with a change made wherever it can be, and in one line at a time; ``within`` skips what lacks it."""
    lines = {}
    for name, right in rule.lines:
        nodes = [node for node in sympy.preorder_traversal(right) if not within or node.has(symbol(within))]
        others = {node: other for node in nodes if (other := change(node)) is not None}
        if others:
            lines[name] = right.xreplace(others)
    for some in subsets(list(lines)):
        yield {name: lines[name] for name in some}


def rate_inside(rule: UpdateRule) -> Iterator[Lines]:
    """A buffer that collects steps in place of gradients: the same thing as long as lr is."""
    lines, lr = dict(rule.lines), symbol("lr")
    for old in buffers(rule):
        line, new = lines[f"{old}_new"], symbol(f"{old}_new")
        past = line.coeff(symbol(old)) * symbol(old)
        if lines["w_new"].coeff(lr * new) == -1:
            yield {f"{old}_new": past + lr * (line - past), "w_new": lines["w_new"].xreplace({lr: sympy.Integer(1)})}


def root_in(node: sympy.Expr) -> sympy.Expr | None:
    """The square root among the terms of a sum with epsilon."""
    if not (node.is_Add and symbol("eps") in node.args):
        return None
    roots = [term for term in node.args if term.is_Pow and term.exp == sympy.Rational(1, 2)]
    return roots[0] if roots else None


def eps_inside(node: sympy.Expr) -> sympy.Expr | None:
    root = root_in(node)
    return None if root is None else node - root - symbol("eps") + sympy.sqrt(root.base + symbol("eps"))


def eps_early(rule: UpdateRule, node: sympy.Expr) -> sympy.Expr | None:
    """The root of a corrected mean plus epsilon, as it is if the correction comes last."""
    root, means = root_in(node), {name: right for name, right in rule.lines if not name.endswith("_new")}
    if root is None or str(root.base) not in means:
        return None
    plain, correction = sympy.fraction(means[str(root.base)])
    return (sympy.sqrt(plain) + symbol("eps")) / sympy.sqrt(correction)


def one_minus_then_power(node: sympy.Expr) -> sympy.Expr | None:
    if node.is_Add and len(node.args) == 2 and sympy.Integer(1) in node.args:
        power = 1 - node
        return (1 - power.base) ** power.exp if power.is_Pow and power.exp == symbol("t") else None
    return None
