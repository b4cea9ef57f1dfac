"""The mistakes that students make with an update rule, each as a version of the compiled rule.

Nothing here knows a method: what can be mistaken is found in the rule's expressions, so a new one has its mistakes at
once. A mistake is named if the class takes the same steps as the rule with that mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import sympy

from optim_code.equations.compiler import UpdateRule
from optim_code.marking.hints import HINTS, LETTERS, TOO
from optim_code.marking.trials import DECAYS
from optim_code.marking.versions import Family, Method, Version

Lines = dict[str, sympy.Expr]
Wrong = Iterator[tuple[str, Lines]]
"""Names of mistakes, each with the changed lines of the rule."""


def method(rule: UpdateRule) -> Method:
    """All that a class is compared with. Each mistake is made when it is asked for."""
    return Method(rule.plain, mistakes(rule), pairs(rule), families(rule))


def mistakes(rule: UpdateRule) -> Iterator[Version]:
    """All mistakes of a rule. Where two take the same steps, the more likely one comes first."""
    in_lines = (
        in_the_step, in_the_decay, in_the_hats, in_the_buffers, in_the_way, in_signs, in_the_letters, in_the_tree,
    )  # fmt: skip
    right = dict(rule.lines)
    for name, lines in itertools.chain.from_iterable(find(rule) for find in in_lines):
        changed = any(right[one] != line for one, line in lines.items())
        if changed and not any(line.has(sympy.zoo, sympy.nan) for line in lines.values()):
            hint = HINTS["weighed too"] if name.startswith(TOO) else HINTS.get(name, LETTERS)
            yield Version(rule.extended(lines).plain, name, hint)
            if name in ("square forgotten", "parentheses in the wrong place"):
                # A value below a root can then be negative. Students take its absolute value.
                sizes = {one: line.replace(is_root, lambda root: sympy.sqrt(abs(root.base))) for one, line in
                         (right | lines).items()}  # fmt: skip
                if sizes != right | lines:
                    yield Version(rule.extended(sizes).plain, name, hint)
    yield from in_the_state(rule)
    yield from in_the_hyper_parameters(rule)
    yield from other_methods(rule)


COMMON = (
    "step uphill", "lr forgotten", "eps inside the root", "eps not in the denominator",
    "eps added before the correction", "bias correction forgotten", "hat forgotten on one of two",
    "corrected mean stored", "one minus, then the power", "counter off by one", "counter never advances",
    "decay and one minus decay swapped", "decay forgotten", "extra one minus decay", "one minus decay forgotten",
    "square forgotten", "root forgotten", "Nesterov's step", "bias correction that the equation hasn't",
    "lr under the root",
)  # fmt: skip
"""Mistakes that are common enough to be tried in pairs."""


def pairs(rule: UpdateRule) -> Iterator[Version]:
    """Two common mistakes at once, and one of them in a buffer that begins with the first gradient."""
    done = set()
    for one, lines in common(rule):
        changed = rule.extended(lines)
        for first in ("g", "g * g"):
            copied = "first gradient copied instead of zeros"
            begin = dict.fromkeys(buffers(rule), first)
            yield Version(changed.plain, f"{one}, and {copied}", f"{HINTS[one]} {HINTS[copied]}", begin=begin)
        for two, more in common(changed):
            both = changed.extended(more)
            if one != two and both.lines not in done:
                done.add(both.lines)
                yield Version(both.plain, f"{one}, and {two}", f"{HINTS[one]} {HINTS[two]}")


def common(rule: UpdateRule) -> Iterator[tuple[str, Lines]]:
    """The common mistakes in the lines of a rule, each of them once everywhere that it can be."""
    right, seen = dict(rule.lines), set()
    for find in (in_the_step, in_the_hats, in_the_buffers, in_the_way):
        for name, lines in find(rule):
            key = name, sum(name.count(word) for word in ("one of two", "counter", "decay forgotten")) and str(lines)
            fine = not any(line.has(sympy.zoo, sympy.nan) for line in lines.values())
            if name in COMMON and key not in seen and fine and any(right[one] != other for one, other in lines.items()):
                seen.add(key)
                yield name, lines


def families(rule: UpdateRule) -> Iterator[Family]:
    """Mistakes with an unknown number: a hyper-parameter that is fixed, weight decay, dampening, clipping."""
    fixed = "With another value of it in the constructor your steps stay the same. Where do your lines read it?"
    for name in rule.hyper:
        high = 1.0 if name in DECAYS else 10.0
        if name == "eps":
            own_value = "The equation has 1e-8, or what the constructor is given. Which number have your lines?"
            yield Family("eps has a value of its own", own_value, 1e-12, high, name, Version(rule.plain))
        else:
            yield Family(f"{name} is a fixed number", fixed, 1e-12, high, name, Version(rule.plain))
    c, w, g, t = symbol("c"), symbol("w"), symbol("g"), symbol("t")
    decayed = {name: right.xreplace({g: g + c * w}) for name, right in rule.lines}
    step = dict(rule.lines)["w_new"]
    own: list[tuple[str, Lines]] = [
        ("weight decay in the gradient", decayed),
        ("weight decay beside the step", {"w_new": step - symbol("lr") * c * w}),
        ("weight decay beside the step", {"w_new": step - c * w}),
        ("weight decay beside the step", {"w_new": step * (1 - symbol("lr") * c)}),
        ("weight decay beside the step", {"w_new": step * (1 - c)}),
        ("the gradient is clipped", replaced(rule, {g: clipped(g, c)})),
    ]
    for old in buffers(rule):
        line = dict(rule.lines)[f"{old}_new"]
        own.append(("the buffer is clipped", {f"{old}_new": clipped(line, c)}))
        past = line.coeff(symbol(old)) * symbol(old)
        if past == symbol(old):
            own.append(("a mean in place of the sum", {f"{old}_new": c * past + (1 - c) * (line - past)}))
        if not (line - past - g).free_symbols:
            # Torch's dampening takes the first gradient whole: this power of zero is 1 at the first step only.
            is_first = sympy.Integer(0) ** (t - 1)
            own.append(("dampening", {f"{old}_new": past + (c + (1 - c) * is_first) * g}))
    for name, lines in own:
        yield Family(name, HINTS[name], 1e-8, 10.0, "c", Version(rule.extended(lines, hyper=("c",)).plain))
    more, name = one_more(rule), "momentum that the equation hasn't"
    lr, u, u_new = symbol("lr"), symbol(more), symbol(f"{more}_new")
    (place,) = ("", *(line for line, _ in rule.lines))[-2:-1]
    for size in (sympy.Integer(1), lr):
        velocity = {more: (place, c * u + (w - step) / lr * size)}
        above = rule.extended({"w_new": w - lr / size * u_new}, velocity, ("c",))
        yield Family(name, HINTS[name], 1e-8, 1.0, "c", Version(above.plain))
    if step.has(g):
        mean = rule.extended({"w_new": step.xreplace({g: u_new})}, {more: ("", c * u + (1 - c) * g)}, ("c",))
        yield Family(name, HINTS[name], 1e-8, 1.0, "c", Version(mean.plain))
    name = "the gradient is clipped by its norm"
    yield Family(name, HINTS[name], 1e-8, 10.0, "c", Version(rule.plain, view="g * min(1.0, c / norm)"))


def other_methods(rule: UpdateRule) -> Iterator[Version]:
    """Other published methods that are similar to the rule."""
    lines, g, w, lr, t = dict(rule.lines), symbol("g"), symbol("w"), symbol("lr"), symbol("t")
    more = one_more(rule)
    eps, u, u_new = symbol("eps"), symbol(more), symbol(f"{more}_new")
    step = lines["w_new"]
    hats = {str(mean): name for name, right in rule.lines for mean in right.free_symbols if not name.endswith("_new")
            and str(mean).endswith("_new")}  # fmt: skip

    def named(name: str, lines: Lines, extra: dict[str, tuple[str, sympy.Expr]] | None = None) -> Version:
        return Version(rule.extended(lines, extra).plain, name, HINTS[name])

    for old in buffers(rule):
        new, line = symbol(f"{old}_new"), lines[f"{old}_new"]
        used = symbol(hats.get(str(new), str(new)))
        own = f"{old}_new"
        decays = sorted(line.coeff(symbol(old)).free_symbols, key=str)
        present = sympy.expand(line - line.coeff(symbol(old)) * symbol(old))
        if present.has(g**2):
            bare = {sympy.sqrt(used): abs(used)}
            yield named(
                "the size in place of square and root",
                {own: line.xreplace({g**2: abs(g)}), "w_new": step.xreplace(bare)},
            )
            yield named("the square of the mean", {own: line.xreplace({g**2: g}), "w_new": step.xreplace(bare)})
            for decay in decays:
                towards = symbol(old) - (1 - decay) * sympy.sign(symbol(old) - g**2) * g**2
                yield named("Yogi's mean", {own: towards})
            falls = decays and not any(right.has(sympy.Max) for right in lines.values())
            for name in dict.fromkeys((hats.get(own, own), own)) if falls else ():
                largest = larger(u, symbol(name))
                there = {key: right.xreplace({symbol(name): u_new}) for key, right in rule.lines if key != own}
                yield named("AMSGrad's largest mean", there, {more: (name, largest)})
            for decay in decays:
                mean = {more: (own, decay * u + (1 - decay) * g)}
                centred = {key: right.xreplace({new: new - u_new**2}) for key, right in rule.lines if key != own}
                yield named("centred mean square", centred, mean)
                for size in (abs(g), abs(g) + eps):
                    for bottom in (new + eps, new):
                        root = {sympy.sqrt(used): new} if bottom != new else {sympy.sqrt(used) + eps: new}
                        changed = {own: larger(decay * symbol(old), size), "w_new": step.xreplace(root)}
                        yield named("AdaMax's largest gradient", changed)
                for other in (mean for mean in buffers(rule) if mean != old and lines[f"{mean}_new"].has(g)):
                    for before in (symbol(f"{other}_new"), symbol(other)):
                        for above in (sympy.Integer(0), eps):
                            yield named("AdaBelief's mean", {own: line.xreplace({g**2: (g - before) ** 2}) + above})
                if eps in step.free_symbols and len(buffers(rule)) == 1:
                    root = sympy.sqrt(u + eps) / sympy.sqrt(new + eps)
                    other_root = (sympy.sqrt(u) + eps) / (sympy.sqrt(new) + eps)
                    for ratio in (root, other_root):
                        kept = {more: (own, decay * u + (1 - decay) * (g * ratio) ** 2)}
                        yield named("Adadelta's step", {"w_new": w - lr * g * ratio}, kept)
                        yield named("Adadelta's step", {"w_new": w - g * ratio}, kept)
        elif present.has(g):
            for decay in decays if used != new else ():
                now = (1 - decay) * g / (1 - decay**t)
                for ahead in (decay * used, decay * new / (1 - decay ** (t + 1))):
                    yield named("NAdam's look ahead", {"w_new": step.xreplace({used: ahead + now})})
            yield named("the sign of the buffer", {"w_new": w - lr * sympy.sign(new)})
            last = {own: line.xreplace({symbol(old): line.coeff(g) * u})}
            yield named("only the last gradient is remembered", last, {more: (own, g)})
            if used == new:
                nesterov = rule.extended({"w_new": step.xreplace({new: line.xreplace({symbol(old): new})})})
                past = line.coeff(symbol(old)) * symbol(old)
                inside = {own: past + lr * (line - past), "w_new": nesterov.lines[-1][1]}
                ahead = past.xreplace({symbol(old): new}) + lr * (line - past)
                yield Version(
                    rule.extended({**inside, "w_new": w - ahead}).plain, "Nesterov's step", HINTS["Nesterov's step"]
                )
    yield named("the gradient of the step before", replaced(rule, {g: u}), {more: ("w_new", g)})
    yield named("gradients are added up", replaced(rule, {g: u_new}), {more: ("", u + g)})
    name = "the gradient is divided by its norm"
    yield Version(rule.plain, name, HINTS[name], view="g / norm")
    yield named("p set to the step", {"w_new": step - w})
    yield named("p set to the step", {"w_new": w - step})
    every = {symbol(f"{old}_new"): symbol(old) for old in buffers(rule)}
    if len(every) > 1:
        name = "buffer used before its update"
        early = {key: right.xreplace(every) for key, right in rule.lines if not key.endswith("_new") or key == "w_new"}
        yield named(name, early)
        yield named(name, {key: right.xreplace({t: larger(t - 1, sympy.Integer(1))}) for key, right in early.items()})


def in_the_step(rule: UpdateRule) -> Wrong:
    """What goes wrong in the last line, and around epsilon."""
    (step,) = (right for name, right in rule.lines if name == "w_new")
    yield "step uphill", {"w_new": 2 * symbol("w") - step}
    yield "lr forgotten", replaced(rule, {symbol("lr"): sympy.Integer(1)})
    yield "lr used twice", replaced(rule, {symbol("lr"): symbol("lr") ** 2})
    yield "lr under the root", {"w_new": symbol("w") + (step - symbol("w")) / sympy.sqrt(symbol("lr"))}
    for wrong in rate_inside(rule):
        yield "lr inside the buffer", wrong
        yield "lr used twice", {name: right for name, right in wrong.items() if name != "w_new"}
    scaled = {name: right.xreplace({symbol("g"): symbol("lr") * symbol("g")}) for name, right in rule.lines}
    yield "lr inside the buffer", {f"{old}_new": scaled[f"{old}_new"] for old in buffers(rule)}
    for name, change in (
        ("eps inside the root", eps_inside),
        ("eps not in the denominator", lambda node: node - symbol("eps") if symbol("eps") in node.args else None),
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


def in_the_decay(rule: UpdateRule) -> Wrong:
    """Weight decay in other places than the equation has it, and a factor that the last line lacks."""
    delta, w, g, lr = symbol("weight_decay"), symbol("w"), symbol("g"), symbol("lr")
    step = dict(rule.lines)["w_new"]
    for factor in sorted(step.free_symbols & {symbol(name) for name in DECAYS}, key=str):
        yield f"{factor} forgotten in the step", {"w_new": step.xreplace({factor: sympy.Integer(1)})}
    if step.has(delta):
        plain = step.xreplace({delta: sympy.Integer(0)})
        yield "weight decay forgotten", {"w_new": plain}
        penalty = {name: right.xreplace({g: g + delta * w}) for name, right in rule.lines}
        yield "weight decay in the gradient", {**penalty, "w_new": plain.xreplace({g: g + delta * w})}
        yield "lr forgotten in the decay", {"w_new": plain - delta * w}
        yield "weight decay after the step", {"w_new": plain * (1 - lr * delta)}


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
        ("counter off by one", larger(t - 1, sympy.Integer(1))),
        ("counter never advances", sympy.Integer(1)),
        ("counter advances twice", 2 * t),
        ("counter advances twice", 2 * t - 1),
    ):
        for wrong in each(rule, instead(t, other)):
            yield name, wrong


def in_the_buffers(rule: UpdateRule) -> Wrong:
    """What goes wrong in the lines of the buffers: decays, squares and roots."""
    lines = dict(rule.lines)
    changed: dict[tuple[str, int], Lines] = {}  # by the name and its place, because a name can have several forms
    for old in buffers(rule):
        line = lines[f"{old}_new"]
        past = line.coeff(symbol(old)) * symbol(old)
        present = sympy.expand(line - past)
        for decay in past.free_symbols - {symbol(old)}:
            weight = 1 - decay
            share = sympy.cancel(present / weight)
            weighed = not sympy.denom(share).has(decay)
            for place, (name, other) in enumerate((
                ("decay and one minus decay swapped", line.xreplace({decay: weight})),
                ("decay forgotten", symbol(old) + line - past),
                ("decay forgotten", symbol(old) + (share if weighed else present)),
                ("one minus decay forgotten", past + share) if weighed else
                ("extra one minus decay", past + weight * present),
                ("extra one minus decay", past + weight * present),
                (f"the gradient is weighed by {decay} too", past + decay * present),
            )):  # fmt: skip
                changed.setdefault((name, place), {})[f"{old}_new"] = other
    for (name, _), others in changed.items():
        for some in subsets(list(others)):
            yield name, {line: others[line] for line in some}
    for power, name in ((2, "square forgotten"), (sympy.Rational(1, 2), "root forgotten")):
        powers = {node for _, right in rule.lines for node in right.atoms(sympy.Pow) if node.exp == power}
        for node in sorted(powers, key=str):
            for other in (node.base, abs(node.base)):
                yield from ((name, wrong) for wrong in each(rule, instead(node, other)))


def in_the_way(rule: UpdateRule) -> Wrong:
    """Mistakes between the buffers and the step: something is added, missing, or stored instead of used."""
    lines = dict(rule.lines)
    step, w = lines["w_new"], symbol("w")
    hats = [name for name in lines if not name.endswith("_new")]
    for old in buffers(rule):
        line, new = lines[f"{old}_new"], symbol(f"{old}_new")
        yield "buffer never updated", {f"{old}_new": symbol(old)}
        ahead = step.xreplace({new: line.xreplace({symbol(old): new})})
        yield "Nesterov's step" if step.coeff(symbol("lr") * new) == -1 else "buffer updated twice", {"w_new": ahead}
        for decay in line.coeff(symbol(old)).free_symbols if not hats else ():
            corrected = step.xreplace({new: new / (1 - decay ** symbol("t"))})
            yield "bias correction that the equation hasn't", {"w_new": corrected}
        for node in sympy.preorder_traversal(step - w):
            if node != new and node.has(new) and not node.free_symbols & {symbol("g"), w, *map(symbol, hats)}:
                for sign in (1, -1):
                    kept = {f"{old}_new": sign * node.xreplace({new: line}), "w_new": step.xreplace({node: sign * new})}
                    yield "buffer overwritten on the way to the step", kept
    for hat in hats:
        (mean,) = (s for s in lines[hat].free_symbols if str(s).endswith("_new"))
        root, twice = (lines[hat].xreplace({mean: other}) for other in (sympy.sqrt(mean), lines[hat]))
        yield "root before the correction", {"w_new": step.xreplace({sympy.sqrt(symbol(hat)): root})}
        yield "corrected twice", {hat: twice}


def in_the_tree(rule: UpdateRule) -> Wrong:
    """One operator for another, a parenthesis elsewhere, and one symbol for another, wherever the equation has any."""
    for name, change in (
        ("a product for a power", lambda node: node.base * node.exp if powers(node) else None),
        ("multiplied instead of divided", lambda node: 1 / node if node.is_Pow and node.exp == -1 else None),
        ("eps as a floor", lambda node: larger(*node.args) if node.is_Add and symbol("eps") in node.args else None),
        ("divided instead of multiplied", lambda node: 1 / node if node == symbol("lr") else None),
        ("the square of the gradient", lambda node: node**2 if node == symbol("g") else None),
        ("parentheses in the wrong place", lambda node: node.base / 2 if is_root(node) else None),
        ("the sign of the gradient", lambda node: sympy.sign(node) if node == symbol("g") else None),
        ("the size of the gradient", lambda node: abs(node) if node == symbol("g") else None),
    ):
        yield from ((name, wrong) for wrong in each(rule, change))
    known = [symbol(name) for name in ("g", *rule.state)]
    for line, right in rule.lines:
        for node in sympy.preorder_traversal(right):
            for other in unparenthesised(node):
                yield "parentheses in the wrong place", {line: right.xreplace({node: other})}
        here = sorted(right.free_symbols & {*known}, key=str)
        for one, other in itertools.product(here, known):
            if one != other:
                yield f"{plain(other)} in the place of {plain(one)}", {line: right.xreplace({one: other})}
        for one, other in itertools.combinations(here, 2):
            yield f"{plain(one)} and {plain(other)} swapped", {line: right.xreplace({one: other, other: one})}
        known.append(symbol(line))
    for one, other in itertools.combinations(map(symbol, rule.hyper), 2):
        both = each(rule, lambda node, a=one, b=other: {a: b, b: a}.get(node))  # type: ignore[misc]
        yield from ((f"{one} and {other} swapped", wrong) for wrong in both)


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
            for change in (instead(place, value), instead(1 - place, 1 - value)):
                yield from ((f"{value} in the place of {place}", wrong) for wrong in each(rule, change))


def in_the_state(rule: UpdateRule) -> Iterator[Version]:
    """What goes wrong between two steps: beginning, remembering, and sharing."""
    own = buffers(rule)
    right = rule.plain
    for some in subsets(own):
        name = "state never stored"
        yield Version(right, name, HINTS[name], forgotten=some)
        yield Version(right, name, HINTS[name], forgotten=(*some, "t"))
        for choice in itertools.product(("g", "g * g"), repeat=len(some)):
            name = "first gradient copied instead of zeros"
            yield Version(right, name, HINTS[name], begin=dict(zip(some, choice, strict=True)))
        name = "buffer begins at one"
        yield Version(right, name, HINTS[name], begin=dict.fromkeys(some, "1.0"))
        name = "buffer begins at the parameter"
        yield Version(right, name, HINTS["buffer begins at one"], begin=dict.fromkeys(some, "w"))
    for some in subsets([*own, "t"]):
        for scope in ("group", "optimizer", "class"):
            name = "state shared between parameters"
            yield Version(right, name, HINTS[name], shared=some, scope=scope)


def in_the_hyper_parameters(rule: UpdateRule) -> Iterator[Version]:
    """Values that are not those of the group."""
    right = rule.plain
    for some in subsets(rule.hyper):
        name = "hyper-parameters not read from the group"
        yield Version(right, name, HINTS[name], constructors=some)
        yield Version(right, name, HINTS[name], leading=some)
    name = "lr of the first step kept"
    yield Version(right, name, HINTS[name], first=("lr",))


# --- rewriting -----------------------------------------------------------------------------------------------------


def symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name, real=True)


def one_more(rule: UpdateRule) -> str:
    """A name for a buffer that the rule does not have."""
    return "u" if "u" not in rule.state else "u_too"


def buffers(rule: UpdateRule) -> list[str]:
    return [name for name in rule.state if name != "w"]


def subsets(names: Sequence[str]) -> list[tuple[str, ...]]:
    """All non-empty subsets, the largest first."""
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
    """A buffer that collects steps in place of gradients, which is the same as long as lr is constant."""
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
    roots = [term for term in node.args if is_root(term)]
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


def is_root(node: sympy.Expr) -> bool:
    return bool(node.is_Pow and node.exp == sympy.Rational(1, 2))


def clipped(x: sympy.Expr, c: sympy.Expr) -> sympy.Expr:
    """The number between -c and c that is nearest to x."""
    return (abs(x + c) - abs(x - c)) / 2


def larger(one: sympy.Expr, other: sympy.Expr) -> sympy.Expr:
    return (one + other + abs(one - other)) / 2


def plain(s: sympy.Symbol) -> str:
    return str(s).removesuffix("_new")


def powers(node: sympy.Expr) -> bool:
    return bool(node.is_Pow and (node.exp == 2 or node.exp.has(symbol("t"))))


def unparenthesised(node: sympy.Expr) -> Iterator[sympy.Expr]:
    """The expressions that result if a factor or divisor applies to only a part of a sum."""
    for power in node.args if node.is_Mul else ():
        if power.is_Pow and power.exp == -1 and power.base.is_Add:
            sign, top = (node / power).as_coeff_Mul()
            for term in power.base.args:
                rest = power.base - term
                yield from (sign * (top / term + rest), sign * top / term + rest)
    for sum_ in node.args if node.is_Mul else ():
        if sum_.is_Add:
            yield from (node / sum_ * term + sum_ - term for term in sum_.args)
    for term in node.args if node.is_Add and len(node.args) == 2 else ():
        for factor in term.args if term.is_Mul else ():
            yield factor * (term / factor + node - term)


def one_minus_then_power(node: sympy.Expr) -> sympy.Expr | None:
    if node.is_Add and len(node.args) == 2 and sympy.Integer(1) in node.args:
        power = 1 - node
        return (1 - power.base) ** power.exp if power.is_Pow and power.exp == symbol("t") else None
    return None
