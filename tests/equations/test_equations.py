"""Reading equations, the rules compiled from them, and each thing that can be wrong with one, said in one line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from book._ext.page.equations import Checker, read_section
from book._ext.page.verdicts import Finding, verdict
from conftest import PAGES, ROOT
from optim_code.equations.compiler import (
    SETTINGS,
    TOLERANCE,
    EquationError,
    UpdateRule,
    check_identity,
    check_update,
    class_for,
    optimizer_classes,
    read,
    recorded_gradients,
    torch_twin,
)
from optim_code.equations.notation import NOTATION
from optim_code.equations.sections import read_page
from optim_code.train import methods

pytestmark = pytest.mark.quick

MOMENTUM = r"\begin{aligned} v_{t+1} &= \beta v_t + g_t \\ w_{t+1} &= w_t - \eta\, v_{t+1} \end{aligned}"
ADAM = r"""
\begin{aligned}
m_t &= \beta m_{t-1} + (1 - \beta)\, g_t \\
v_t &= \alpha v_{t-1} + (1 - \alpha)\, g_t^2 \\
\hat{m}_t &= \frac{m_t}{1 - \beta^t} \\
\hat{v}_t &= \frac{v_t}{1 - \alpha^t} \\
w_t &= w_{t-1} - \frac{\eta\, \hat{m}_t}{\sqrt{\hat{v}_t} + \varepsilon}
\end{aligned}
"""


def test_a_rule_does_what_its_equation_says_computed_by_hand():
    rule = UpdateRule.from_latex(MOMENTUM).plain
    assert set(rule.state) == {"w", "v"}
    assert set(rule.hyper) == {"lr", "momentum"}
    state = rule.start([1.0, -2.0])
    hyper = {"lr": 0.1, "momentum": 0.5}
    state = rule.step(state, [2.0, 4.0], hyper)
    assert state["w"] == [1.0 - 0.1 * 2, -2.0 - 0.1 * 4]
    state = rule.step(state, [1.0, 0.0], hyper)
    assert state["v"] == [2.0, 2.0]
    assert np.allclose(state["w"], [0.8 - 0.2, -2.4 - 0.2], rtol=1e-15)
    assert state["t"] == 2


def test_powers_of_t_count_steps_from_one_whatever_the_index():
    shifted = ADAM.replace("_t", "_{t+1}").replace("_{t-1}", "_t").replace("g_{t+1}", "g_t").replace("^t", "^{t+1}")
    ends = []
    for latex in (ADAM, shifted):
        rule = UpdateRule.from_latex(latex).plain
        state = rule.start([0.0, 0.0])
        for g in ([1.0, -3.0], [0.5, 2.0], [-2.0, 0.1]):
            state = rule.step(state, g, {"lr": 0.1, "momentum": 0.9, "alpha": 0.99, "eps": 1e-8})
        ends.append(state["w"])
    assert ends[0] == ends[1]
    assert np.abs(ends[0]).max() > 0.01


def test_a_step_leaves_the_state_it_was_given_alone():
    rule = UpdateRule.from_latex(MOMENTUM).plain
    state = rule.start([1.0, 1.0])
    rule.step(state, [1.0, 1.0], {"lr": 0.1, "momentum": 0.5})
    assert state["w"] == [1.0, 1.0]
    assert state["t"] == 0


@pytest.mark.parametrize("latex", [MOMENTUM, ADAM])
def test_the_javascript_is_the_same_rule(latex):
    node = shutil.which("node")
    rule = UpdateRule.from_latex(latex)
    generator = np.random.default_rng(0)
    gradients = generator.normal(size=50).tolist()
    hyper = {"lr": 0.1, "momentum": 0.9, "alpha": 0.99, "eps": 1e-3}
    state = rule.plain.start([0.5])
    for g in gradients:
        state = rule.plain.step(state, [g], hyper)
    if node is None:  # the browser runs the same function in the tests of the playground; here its text must do
        assert "Math.sqrt" in rule.to_js() or latex is MOMENTUM
        return
    zeros = {name: 0.5 if name == "w" else 0 for name in rule.state} | {"t": 0}
    script = (
        f"const step = {rule.to_js()}; let s = {json.dumps(zeros)};"
        f"for (const g of {json.dumps(gradients)}) s = step(s, g, {json.dumps(hyper)});"
        "console.log(JSON.stringify(s));"
    )
    done = subprocess.run([node, "-e", script], capture_output=True, text=True, timeout=60, check=True)
    theirs = json.loads(done.stdout)
    for name in rule.state:
        assert np.isclose(theirs[name], state[name], rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("latex", "said"),
    [
        (r"w_{t+1} = w_t - \eta \frac{g_t", "cannot read"),
        (r"w_{t+1} = w_t - \omega g_t", "unknown symbol `omega`"),
        (r"w_{t+1} = w_t - \eta v_{t+1}", r"`v_\{t \+ 1\}` is used before a line defines it"),
        (r"w_{t+1} = w_t - \eta v_t", "`v` is used, but no line says what becomes of it"),
        (r"w_{t+1} = w_t - \eta g_{t+1}", "the gradient of this step is g_t"),
        (r"w_t = w_{t-1} - \eta g_{t-1}", "the gradient of this step is g_t"),
        (r"w_{t+1} = w_{t-1} - \eta g_t", "belongs to another step"),
        (r"v_{t+1} = \beta v_t + g_t", "does not say what becomes of w"),
        (r"w_{t+1} = w_t - \lambda g_t", "neither state, gradient nor hyper-parameter"),
        (r"w_{t+1} - w_t = -\eta g_t", "must all have the index"),
        (r"\eta_{t+1} = \eta_t", "cannot be updated"),
        (r"w_{t+1} = w_t = g_t", "one equals sign"),
        (r"w_{t+1} = w_{t+2} - \eta g_t", "belongs to another step"),
        (r"w_{n+1} = w_n - \eta g_n", "is not t, t\\+1 or t-1"),
    ],
)
def test_what_cannot_be_an_update_is_refused_in_one_line(latex, said):
    with pytest.raises(EquationError, match=said) as caught:
        UpdateRule.from_latex(latex)
    assert "\n" not in str(caught.value)


def test_every_optimizer_of_the_book_has_a_torch_twin_and_a_rule_that_agrees_with_both():
    agreed = 0
    for docname in PAGES:
        equations, _ = read_section(read_page(ROOT, docname))
        for equation in equations:
            if equation.kind == "update":
                found = check_update(UpdateRule.from_latex(equation.latex), class_for(equation.label[7:]))
                assert len(found.oracles) == 2
                assert found.steps >= 50
                assert 0 < found.largest <= TOLERANCE
                agreed += 1
    assert agreed == len(optimizer_classes()) >= 8


def test_the_check_covers_what_it_promises():
    assert len(SETTINGS) >= 3
    assert any(setting["eps"] == 1e-2 for setting in SETTINGS)
    (first, quiet), (_, noisy) = recorded_gradients()
    assert quiet.shape[0] >= 50
    assert np.abs(quiet - noisy).max() > 0.5
    assert first.shape == (3 * (2 + 5),)
    assert np.isfinite(noisy).all()


def test_an_update_is_held_against_the_class_of_its_name_only():
    with pytest.raises(EquationError, match="update-adadelta has no class"):
        class_for("adadelta")
    assert class_for("momentum").__name__ == "SGDMomentumOptimizer"
    assert class_for("sgd").__name__ == "SGDOptimizer"
    with pytest.raises(EquationError, match="uses momentum, which SGDOptimizer does not take"):
        check_update(UpdateRule.from_latex(MOMENTUM), class_for("sgd"))


@pytest.mark.parametrize("function", [r"\tanh", r"\log", r"\cos"])
def test_a_function_that_no_rule_can_run_is_refused_by_its_name(function):
    with pytest.raises(EquationError, match=rf"`{function[1:]}`: an update has sums, products"):
        UpdateRule.from_latex(rf"w_{{t+1}} = w_t - \eta {function}(g_t)")
    absolute = UpdateRule.from_latex(r"w_{t+1} = w_t - \eta |g_t|").plain
    assert absolute.step(absolute.start([1.0]), [-2.0], {"lr": 0.5})["w"] == [0.0]


def test_a_new_optimizer_finds_its_torch_twin_by_its_name():
    class AdagradOptimizer(class_for("rmsprop")):
        pass

    make = torch_twin(AdagradOptimizer, {"lr": 0.1, "eps": 1e-3})
    assert isinstance(make([torch.zeros(1, requires_grad=True)]), torch.optim.Adagrad)


def test_an_identity_is_checked_in_every_part():
    assert check_identity(r"a + b = b + a".replace("a", r"\eta")) < 1e-12
    with pytest.raises(EquationError, match=r"the two sides are .* at lambda="):
        check_identity(r"\lambda = \lambda, \qquad 2 \lambda = 3 \lambda")
    with pytest.raises(EquationError, match="two sides"):
        check_identity(r"\lambda + 1")
    with pytest.raises(EquationError, match="reads like a function"):
        check_identity(r"x(\lambda) = \lambda")


def test_sums_and_derivatives_are_evaluated_not_assumed():
    with pytest.raises(EquationError, match="the two sides are"):
        check_identity(r"\sum_{i=0}^{t} \beta^{i} = \frac{1 - \beta^t}{1 - \beta}")
    with pytest.raises(EquationError, match="the two sides are"):
        check_identity(r"\frac{d}{d w} \left( \lambda w^2 \right) = \lambda w")


def test_a_factor_before_a_parenthesis_is_a_factor():
    assert check_identity(r"\lambda (w + 1)^2 = \lambda w^2 + 2 \lambda w + \lambda") < 1e-9
    ((left, right),) = read(r"g \left( w - w_t \right) = g w - g w_t")
    assert (left - right).expand() == 0


def test_the_table_of_symbols_has_each_symbol_once():
    assert len({s.latex for s in NOTATION}) == len(NOTATION)
    assert len({s.name for s in NOTATION}) == len(NOTATION)
    assert all(s.low < s.high for s in NOTATION)


# --- sections, on a small tree of their own ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose one section defines all updates, which were checked there."""
    root = tmp_path_factory.mktemp("checked")
    shutil.copytree(ROOT / "optim_code", root / "optim_code", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", root)
    text = []
    for docname in PAGES:
        equations, _ = read_section(read_page(ROOT, docname))
        text += [f"$$\n{e.latex}\n$$ ({e.label})\n" for e in equations if e.kind == "update"]
    (root / "page.md").write_text("# Page\n\n" + "\n".join(text))
    assert not [verdict.complaint for verdict in Checker(root, ["page"]).run(verdicts) if verdict.fault]
    return root


@pytest.fixture
def tree(checked: Path, tmp_path: Path) -> Path:
    """The same tree to break and to change; what was found about its updates is there."""
    return Path(shutil.copytree(checked, tmp_path / "tree"))


class Recorder:
    """Reaches verdicts as ever, and notes of which equations."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def __call__(self, equations: list[tuple[str, str]]) -> list[Finding]:
        self.labels += [label for label, _ in equations]
        return verdicts(equations)


def verdicts(equations: list[tuple[str, str]]) -> list[Finding]:
    return [verdict(*equation) for equation in equations]


RAN = Recorder()


def complaints(tree: Path, added: str = "", old: str = "", new: str = "") -> list[str]:
    page = tree / "page.md"
    text = page.read_text()
    assert old in text
    page.write_text(text.replace(old, new, 1) + "\n" + added)
    return [verdict.complaint for verdict in Checker(tree, ["page"]).run(RAN) if verdict.fault]


def test_a_section_in_order_has_no_complaint(tree):
    assert complaints(tree, "$$\nf = 1\n$$ (def-x)\n") == []


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("$$\nf = 1\n$$\n", "page.md:66: equation: a displayed equation needs a label"),
        ("Text $$f = 1$$ in a line.\n", "a displayed equation needs a label"),
        ("```{math}\nf = 1\n```\n", "a displayed equation needs a label"),
        ("```{hint}\n$$\nf = 1\n$$\n```\n", "page.md:67: equation: a displayed equation needs a label"),
        ("$$\nf = 1\n$$ (eq-x)\n", "eq-x: the label must begin with one of update-, identity-, claim-, def-"),
        ("$$\nf = 1\n$$ (def-x)\n\n$$\nf = 2\n$$ (def-x)\n", "def-x: the label is used at page.md:66 already"),
        ("$$\nf = 1\n$$ (claim-x)\n", "claim-x: a claim needs a hidden cell with an assert"),
        ("$$\nf = 1\n$$ (claim-x)\n\n```{code-cell}\n:tags: [claim-x]\nx = 1\n```\n", "a claim needs a hidden cell"),
        ("$$\n\\eta = 2 \\eta\n$$ (identity-x)\n", "identity-x: the two sides are"),
        ("$$\n\\eta = \\omega\n$$ (identity-x)\n", "identity-x: unknown symbol `omega`"),
        ("$$\nw_{t+1} = w_t\n$$ (update-nobody)\n", "update-nobody: update-nobody has no class of that name"),
    ],
)
def test_each_fault_of_an_equation_is_one_line_with_its_place(tree, added, said):
    (complaint,) = complaints(tree, added)
    assert said in complaint
    assert complaint.startswith("page.md:")
    assert "\n" not in complaint


CLAIM = "$$\nf = 1\n$$ (claim-x)\n\n```{code-cell} ipython3\n:tags: [remove-cell, claim-x]\n"


@pytest.mark.parametrize(
    "code",
    [
        "assert 1 + 1 == 2",
        "files = !ls\nassert files",
        "for n in (1, 2):\n    for m in (3, 4):\n        assert n < m",
        'if True:\n    !ls\nholds("x", 1 < 2)',
    ],
)
def test_a_claim_with_an_asserting_cell_is_taken(tree, code):
    assert complaints(tree, f"{CLAIM}{code}\n```\n") == []


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    assert 1 > 2",
        "class F:\n    def f(self):\n        assert 1 > 2",
        "if False:\n    assert 1 > 2",
        "while False:\n    assert 1 > 2",
        "for n in (1, 2):\n    if n > 2:\n        assert 1 > 2",
        "try:\n    assert 1 > 2\nexcept AssertionError:\n    pass",
        "from contextlib import suppress\n\nwith suppress(AssertionError):\n    assert 1 > 2",
        '"""\nassert 1 > 2\n"""',
        "%%html\nassert 1 > 2",
    ],
)
def test_a_claim_whose_assert_may_not_run_is_refused(tree, code):
    (complaint,) = complaints(tree, f"{CLAIM}{code}\n```\n")
    assert complaint.endswith(
        "claim-x: a claim needs a hidden cell with an assert at its left margin, or in a loop there: "
        ":tags: [remove-cell, claim-x]"
    )


def test_a_class_without_an_equation_is_named_with_its_place(tree):
    (complaint,) = complaints(tree, old="(update-adam)", new="(def-adam)")
    assert re.match(r"optim_code/optimizers\.py:\d+: AdamOptimizer: AdamOptimizer has no update equation", complaint)


def test_a_difference_says_how_much_at_which_step_and_against_what(tree):
    (complaint,) = complaints(tree, old=r"\sqrt{v_{t+1}} + \varepsilon", new=r"\sqrt{v_{t+1} + \varepsilon}")
    pattern = r"page\.md:\d+: update-rmsprop: differs from RMSPropOptimizer by \S+ at step \d+ with lr=\S+"
    assert re.match(pattern, complaint)


def test_when_class_and_equation_share_a_mistake_torch_still_objects(tree):
    module = tree / "optim_code" / "optimizers.py"
    right = 'value=1 - alpha)\n        root = state["v"].sqrt()'
    text = module.read_text()
    assert right in text
    wrong = text.replace(right, right.replace("1 - alpha", "1 + alpha"))
    namespace: dict[str, object] = {"__name__": "optim_code.optimizers"}
    exec(compile(wrong.replace("from .optim", "from optim_code.optim"), "optimizers.py", "exec"), namespace)
    latex = (
        r"v_{t+1} = \alpha v_t + (1 + \alpha) g_t^2 \\ w_{t+1} = w_t - \frac{\eta g_t}{\sqrt{v_{t+1}} + \varepsilon}"
    )
    with pytest.raises(EquationError, match=r"differs from torch\.optim by"):
        check_update(UpdateRule.from_latex(latex), namespace["RMSPropOptimizer"])


def test_what_was_checked_is_not_checked_again_until_it_changes(tree):
    ran = RAN.labels
    ran.clear()
    (tree / "_build" / ".equations.json").unlink()
    complaints(tree)
    updates = [*ran]
    assert {*updates} == {f"update-{name}" for name in methods()}
    ran.clear()
    complaints(tree, "$$\n\\eta = \\eta\n$$ (identity-x)\n")
    assert ran == ["identity-x"]
    ran.clear()
    module = tree / "optim_code" / "optimizers.py"
    text = module.read_text()
    assert 'p.add_(state["v"]' in text
    module.write_text(text.replace('p.add_(state["v"]', 'p.add_(1 * state["v"]'))
    complaints(tree)
    # All code counts, a comment does not.
    assert len(ran) == len(updates) + 1
    ran.clear()
    module.write_text(module.read_text().replace("import torch", "import torch  # new"))
    complaints(tree)
    assert ran == []
    (tree / "_build" / ".equations.json").write_text("{ not json")
    ran.clear()
    assert complaints(tree) == []
    assert len(ran) == len(updates) + 1


def test_make_equations_prints_a_row_for_each_equation_of_the_book():
    done = subprocess.run(
        [sys.executable, "-m", "book._ext.page.equations"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *rows, last = done.stdout.splitlines()
    displayed = sum(text.count("\n$$ (") for text in (p.read_text() for p in (ROOT / "book").glob("*.md")))
    in_fences = (ROOT / "book" / "editing.md").read_text().count("\n$$ (")  # shown as source, not displayed
    assert len(rows) == displayed - in_fences
    assert last.startswith(f"{len(rows)} equations: {len(methods())} update, ")
    definitions = sum(row.startswith("def ") for row in rows)
    assert definitions <= len(rows) / 4
    assert last.endswith("; 0 fail")
