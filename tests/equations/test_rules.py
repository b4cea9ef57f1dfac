"""A rule in Python alone takes the steps that NumPy takes, and a method comes back from its data as it was."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import sympy
import torch

from conftest import ROOT
from optim_code.equations import rules
from optim_code.equations.compiler import UpdateRule
from optim_code.marking import checking, mistakes, trials
from optim_code.marking.versions import Method, Version

pytestmark = pytest.mark.quick

UPDATES = checking.updates()
HYPER = {"lr": 0.1, "momentum": 0.7, "alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1}


@pytest.fixture(scope="module", params=[*UPDATES])
def rule(request: pytest.FixtureRequest) -> UpdateRule:
    return UpdateRule.from_latex(UPDATES[request.param])


def assert_same_steps(rule: UpdateRule) -> None:
    """Ten steps from a start with zeros in it, with the rule in Python and with SymPy's own code for NumPy."""
    draw = np.random.default_rng(0)
    ours = rule.plain.start([0.0, 1.0, -2.0])
    theirs = {name: np.array(value) for name, value in ours.items()}
    names = [*rule.state, *HYPER, "g", "t", *(name for name, _ in rule.lines)]
    symbols = [sympy.Symbol(name, real=True) for name in names]
    functions = {name: sympy.lambdify(symbols, right, "numpy") for name, right in rule.lines}
    for step in range(10):
        gradient = draw.normal(0, 2, 3) * (step != 3)
        gradient[0] *= step > 0
        ours = rule.plain.step(ours, gradient.tolist(), HYPER)
        known = {**dict.fromkeys(names), **theirs, **HYPER, "g": gradient, "t": step + 1}
        for name, function in functions.items():
            with np.errstate(all="ignore"):
                known[name] = function(*(known[one] for one in names))
        theirs = {name: known[f"{name}_new"] for name in rule.state}
        for name in rule.state:
            assert np.allclose(ours[name], theirs[name], rtol=1e-12, atol=0, equal_nan=True), (name, step)


def test_a_rule_takes_numpys_steps(rule: UpdateRule) -> None:
    assert_same_steps(rule)


def test_a_rule_with_a_mistake_takes_numpys_steps(rule: UpdateRule) -> None:
    found = [rule.extended(lines) for _, lines in mistakes.common(rule)]
    assert found
    for changed in found:
        assert_same_steps(changed)


@pytest.mark.slow
def test_the_data_of_the_methods_are_the_same_in_every_process() -> None:
    code = (
        "import json; from optim_code.marking import checking; from book._ext.inpage.data import methods;"
        "print(json.dumps(methods(checking.updates())))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in range(4)
    }  # fmt: skip
    assert len(told) == 1


@pytest.mark.parametrize("label", [*UPDATES])
def test_all_coordinates_at_once_are_each_by_itself(label: str) -> None:
    cls = checking.compiled(label.removeprefix("update-"))
    hyper = {name: HYPER[name] for name in cls.rule.hyper}
    w = torch.tensor([[0.0, 1.0, -2.0], [3.0, 1e-200, 1e200]], dtype=torch.float64, requires_grad=True)
    optimizer, state = cls([w], **hyper), cls.rule.start(w.flatten().tolist())
    draw = torch.Generator().manual_seed(0)
    for step in range(10):
        w.grad = torch.randn(w.shape, generator=draw, dtype=torch.float64) * (step != 3)
        w.grad[0, 0] *= step > 0  # as long as it is zero, Adam's division is of zero by eps
        optimizer.step()
        state = cls.rule.step(state, w.grad.flatten().tolist(), hyper)
        assert w.flatten().tolist() == state["w"]


@pytest.mark.parametrize("name", ["divided", "power"])
def test_arithmetic_of_two_numbers_is_a_processors(name: str) -> None:
    numbers = [0.0, -0.0, 1.0, -1.0, 0.3, -2.0, 3.0, 1e300, math.inf, -math.inf, math.nan]
    numpys = {"divided": np.divide, "power": np.power}[name]
    for x, y in itertools.product(numbers, numbers):
        with np.errstate(all="ignore"):
            expected = float(numpys(np.float64(x), np.float64(y)))
        found = getattr(rules, name)(x, y)
        assert found == expected or (found != found and expected != expected), (x, y)


@pytest.mark.parametrize("x", [0.0, 2.0, -1.0, math.inf, math.nan])
def test_a_root_and_a_sign_are_numpys(x: float) -> None:
    for name in ("root", "sign"):
        with np.errstate(all="ignore"):
            expected = float({"root": np.sqrt, "sign": np.sign}[name](x))
        found = getattr(rules, name)(x)
        assert found == expected or (found != found and expected != expected)


def test_a_buffer_of_another_length_is_refused(rule: UpdateRule) -> None:
    state = rule.plain.start([1.0, 2.0])
    with pytest.raises(ValueError, match="zip"):
        rule.plain.step(state, [1.0], HYPER)


def test_a_method_comes_back_from_its_data(rule: UpdateRule) -> None:
    again = Method.from_data(json.loads(json.dumps(mistakes.method(rule).to_data())))
    before = mistakes.method(rule)
    assert again.rule == before.rule
    (trial, *_) = trials.trials(rule.hyper, rule.hyper)
    for ours, theirs in [*zip(again.mistakes, before.mistakes, strict=True)][::7]:
        assert (ours.name, ours.hint, ours.scope) == (theirs.name, theirs.hint, theirs.scope)
        assert same(ours, theirs, trial), ours.name
    for ours, theirs in [*zip(again.pairs, before.pairs, strict=True)][::40]:
        assert ours.name == theirs.name
        assert same(ours, theirs, trial), ours.name
    for one, other in zip(again.families, before.families, strict=True):
        assert (one.name, one.low, one.high, one.unknown) == (other.name, other.low, other.high, other.unknown)
        assert same(one.at(0.3), other.at(0.3), trial), one.name


def same(ours: Version, theirs: Version, trial: trials.Trial) -> bool:
    return np.array_equal(ours.path(trial), theirs.path(trial), equal_nan=True)
