"""The playgrounds in a real browser: they run the printed equations to the last digits, and everybody can work them."""

from __future__ import annotations

import functools
import gzip
import itertools
import math
import random
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, expect
from test_browser import THEMES, Visit, visit

from book._ext.page.equations import read_section
from conftest import PAGES, ROOT, sample
from optim_code import AdamOptimizer, SGDMomentumOptimizer, SGDOptimizer, optimizers, output, w
from optim_code.descent import descend
from optim_code.equations.compiler import UpdateRule, class_for
from optim_code.equations.sections import read_page
from optim_code.problems import bowl
from small_book import NOTEBOOK, TOC, Copy, copy_book

pytestmark = pytest.mark.needs("chromium")

WITH = {"book/intro": 1, "book/sgd": 1, "book/momentum": 2, "book/rmsprop": 1, "book/adam": 1, "book/beyond": 4}
NAMED = {  # the figures that teachers know by name
    "sgd_lr_opt_example": (SGDOptimizer, dict(lr=0.33333), 20, 0.0),
    "sgd_lr_good_example": (SGDOptimizer, dict(lr=0.1), 20, 0.0),
    "sgd_50mom_example": (SGDMomentumOptimizer, dict(lr=0.15 * (1 - 0.5), momentum=0.5), 10, 0.0),
    "sgd_25mom_example": (SGDMomentumOptimizer, dict(lr=0.15 * (1 - 0.25), momentum=0.25), 10, 0.0),
    "sgd_75mom_example": (SGDMomentumOptimizer, dict(lr=0.15 * (1 - 0.75), momentum=0.75), 10, 0.0),
    "sgd_noise_example": (SGDMomentumOptimizer, dict(lr=0.1, momentum=0), 30, 1.0),
    "sgd_mom_noise_example": (SGDMomentumOptimizer, dict(lr=0.1 * (1 - 0.8), momentum=0.8), 30, 1.0),
    "rmsprop_noise_example": (optimizers.RMSPropOptimizer, dict(lr=0.1, alpha=0.8), 30, 1.0),
    "adam_noise_example": (AdamOptimizer, dict(lr=0.1, alpha=0.7, momentum=0.7), 30, 1.0),
}
UPDATES = {
    equation.label.removeprefix("update-"): equation.latex
    for page in PAGES
    for equation in read_section(read_page(ROOT, page))[0]
    if equation.kind == "update"
}


class Play:
    """A playground on an open page: its controls as a reader finds them, and the setting behind them."""

    def __init__(self, seen: Visit) -> None:
        self.seen, self.page = seen, seen.page
        self.page.wait_for_function("() => window.descentPlayground?.open")
        self.root = self.page.locator(".playground").first
        self.root.scroll_into_view_if_needed()

    def ask(self, script: str, given: Any = None) -> Any:
        """Run a function of the playground, and of something given."""
        return self.page.evaluate(
            f"(given) => {{ const play = Object.values(descentPlayground.open)[0]; return ({script})(play, given); }}",
            given,
        )

    @property
    def setting(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("(play) => play.setting")
        return found

    def change(self, **values: Any) -> None:
        self.ask("(play, values) => play.change(values)", {k.replace("__", "."): v for k, v in values.items()})
        self.drawn()

    def drawn(self) -> None:
        """Wait until what was asked for is on the screen."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def settle(self) -> None:
        """Wait until the address and the announcement have followed, too."""
        self.page.wait_for_timeout(750)

    def button(self, name: str) -> Locator:
        return self.root.get_by_role("button", name=name, exact=True)

    @property
    def words(self) -> str:
        return self.root.locator(".play-word").inner_text()

    @property
    def said(self) -> str:
        return self.root.locator(".play-statements").inner_text()


@pytest.fixture(scope="module")
def at_rest(browser: Browser, site: str) -> Iterator[Play]:
    """Adam's playground, opened once, for what only asks it and changes nothing."""
    opened = visit(browser, site, "book/adam.html")
    yield Play(opened)
    opened.page.context.close()


@pytest.fixture
def play(at_rest: Play) -> Play:
    """The same as it begins, whatever the test before did to it."""
    at_rest.seen.show("light", 1280)
    at_rest.page.evaluate("document.activeElement.blur(); document.querySelector('.play-take').open = false")
    at_rest.button("Reset").click()
    at_rest.drawn()
    at_rest.seen.complaints.clear()
    return at_rest


# --- it runs the book's equations ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", WITH)
def test_every_optimizer_section_and_the_introduction_have_one_with_the_compiled_equations(
    html: Path, page: str
) -> None:
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    assert text.count('class="playground ') == WITH[page]
    for name, latex in UPDATES.items():
        assert f'"name": "{name}"' in text
        assert UpdateRule.from_latex(latex).to_js() in text


def test_each_method_has_a_dash_of_its_own(play: Play) -> None:
    dashes = [line.get_attribute("stroke-dasharray") for line in play.root.locator(".play-methods path").all()]
    assert len(dashes) == len(UPDATES) >= 8
    assert len({*dashes}) == len(dashes)


def test_a_playground_begins_when_it_comes_near_and_not_before(browser: Browser, site: str) -> None:
    page = visit(browser, site, "book/sgd.html").page
    waiting = page.locator(".playground.play-waiting")
    expect(waiting).to_have_count(1)
    place = page.evaluate("document.querySelector('.playground').offsetTop")
    page.evaluate(
        "window.scrollTo({ top: document.querySelector('.playground').offsetTop - 1300, behavior: 'instant' })"
    )
    expect(waiting).to_have_count(0)
    expect(page.locator(".playground").get_by_role("button", name="Reset")).to_have_count(1)
    assert place > 2000
    page.context.close()


@pytest.mark.parametrize("by", ["loading the page", "a link on it"])
def test_a_playground_that_is_named_in_the_address_begins_at_once(browser: Browser, site: str, by: str) -> None:
    name = "play-fig-sgd-lr-opt"
    page = visit(browser, site, f"book/sgd.html{f'#{name}?noise=1' * (by == 'loading the page')}").page
    if by == "a link on it":
        page.evaluate(f"location.hash = '#{name}?noise=1'")
    expect(page.locator(".play-waiting")).to_have_count(0)
    assert page.evaluate(f"descentPlayground.open['{name}'].setting.noise") == 1
    expect(page.locator(".play-title")).to_be_in_viewport()
    page.context.close()


def test_no_method_is_named_in_the_script() -> None:
    script = (ROOT / "book/_static/playground.js").read_text(encoding="utf-8")
    code = re.sub(r"/\*.*?\*/|//.*", "", script, flags=re.S)
    assert not re.search(r"\b(sgd|rmsprop|adam)\b", code, flags=re.I)


def test_the_noise_of_a_seed_is_torchs(at_rest: Play) -> None:
    for seed in (0, 1, 7, 9999):
        theirs = at_rest.ask(
            "(_, seed) => { const next = descentPlayground.generator(seed); return [...Array(1600)].map(next); }", seed
        )
        generator = torch.Generator().manual_seed(seed)
        ours = torch.cat([torch.randn(2, generator=generator, dtype=torch.float64) for _ in range(800)])
        assert torch.allclose(torch.tensor(theirs, dtype=torch.float64), ours, rtol=1e-14, atol=1e-15)


RUN = """(_, { name, hyper, corrected = true, ...rest }) => {
    const method = descentPlayground.methods.find((candidate) => candidate.name === name);
    const run = descentPlayground.simulate(method, hyper, corrected, rest);
    return { points: [...run.xs].map((x, i) => [x, run.ys[i]]), losses: [...run.losses], count: run.count };
}"""


def points(found: dict[str, Any]) -> torch.Tensor:
    return torch.tensor(found["points"], dtype=torch.float64)


@functools.cache
def recording(seed: int) -> torch.Tensor:
    """The gradients that SGD saw in 200 noisy steps on a turned bowl."""
    p = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    return descend(SGDOptimizer([p], lr=0.1), bowl(9, 20), nsteps=200, noise=1.0, seed=seed).gradients


@pytest.mark.parametrize("name", sample(UPDATES, "momentum", "adam"))
def test_driven_by_recorded_gradients_its_updates_are_those_of_the_class(at_rest: Play, name: str) -> None:
    draw, cls = random.Random(1), class_for(name)
    for number in range(20):
        hyper = {
            h: draw.uniform(0.001, 0.5) if h == "lr" else draw.uniform(0, 0.999)
            for h in ("lr", "momentum", "alpha", "weight_decay")
        }
        hyper = {h: hyper[h] for h in UpdateRule.from_latex(UPDATES[name]).hyper if h in hyper} | (
            {"eps": 10 ** draw.uniform(-9, -2)} if "varepsilon" in UPDATES[name] else {}
        )
        p, recorded = torch.zeros(2, dtype=torch.float64, requires_grad=True), recording(number)
        optimizer, ours = cls([p], **hyper), [p.detach().clone()]
        for gradient in recorded:
            p.grad = gradient.clone()
            optimizer.step()
            ours.append(p.detach().clone())
        given = {"name": name, "hyper": hyper, "A": [1, 0, 5], "start": [0, 0], "nsteps": 200}
        theirs = points(at_rest.ask(RUN, {**given, "gradients": recorded.flatten().tolist()}))
        updates = torch.stack(ours).diff(dim=0)
        worst = ((theirs.diff(dim=0) - updates).abs() / torch.stack(ours)[1:].abs().clamp(min=1e-3)).max()
        assert worst <= 1e-12, (hyper, worst)
        assert updates.abs().max() > 0


@pytest.mark.parametrize("fname", NAMED)
def test_a_free_run_of_a_named_figure_ends_where_the_figure_ends(at_rest: Play, fname: str) -> None:
    cls, hyper, nsteps, noise = NAMED[fname]
    ours = output(cls([w], **hyper), nsteps=nsteps, noise=noise).trajectory
    assert ours is not None
    (preset,) = at_rest.ask("(_, fname) => descentPlayground.presets.filter((one) => one.fname === fname)", fname)
    (run,) = preset["runs"]
    assert (run["optimizer"], run["nsteps"], run["noise"]) == (cls.__name__, nsteps, noise)
    name = next(name for name in UPDATES if class_for(name) is cls)
    generator = torch.Generator().manual_seed(0)
    xi = torch.cat([torch.randn(2, generator=generator, dtype=torch.float64) for _ in range(nsteps)])
    given = {"name": name, "hyper": run, "A": [1, 0, 5], "start": run["start"], "nsteps": nsteps}
    theirs = points(at_rest.ask(RUN, {**given, "noise": noise, "xi": xi.tolist()}))
    assert (theirs - ours.points).abs().max() <= 1e-9
    assert len(theirs) == nsteps + 1


def test_without_bias_correction_it_is_adam_without_the_hats(at_rest: Play) -> None:
    hyper = {"lr": 0.1, "alpha": 0.99, "momentum": 0.9, "eps": 1e-8}
    gradients = torch.randn(100, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    m = v = p = torch.zeros(2, dtype=torch.float64)
    ours = [p]
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        p = p - 0.1 * m / (v.sqrt() + 1e-8)
        ours.append(p)
    given = {"name": "adam", "hyper": hyper, "A": [1, 0, 5], "start": [0, 0], "nsteps": 100}
    given |= {"gradients": gradients.flatten().tolist()}
    theirs = points(at_rest.ask(RUN, {**given, "corrected": False}))
    assert torch.allclose(theirs, torch.stack(ours), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(points(at_rest.ask(RUN, given)), torch.stack(ours), rtol=1e-2)


def test_the_bowl_is_the_modules(at_rest: Play) -> None:
    for kappa, degrees in ((5, 0), (10, 30), (1000, 135), (1, 77)):
        a, b, c = at_rest.ask("(_, [kappa, degrees]) => descentPlayground.bowl(kappa, degrees)", [kappa, degrees])
        assert torch.allclose(torch.tensor([[a, b], [b, c]], dtype=torch.float64), bowl(kappa, degrees).A, rtol=1e-12)


# --- what it says ----------------------------------------------------------------------------------------------------


def test_it_says_what_becomes_of_a_run_and_what_theory_knows(play: Play) -> None:
    play.change(race=["sgd"], adjust="sgd", noise=0, nsteps=20, sgd__lr=0.33333)
    run = descend(SGDOptimizer([w], lr=0.33333))
    assert f"reached 0.001 in {run.steps_to(1e-3)} steps" in play.said
    assert "stable: η < 2/L = 0.4; rate 0.6667" in play.said
    play.change(sgd__lr=0.41)
    assert "unstable: η > 2/L = 0.4" in play.said
    losses = descend(SGDOptimizer([w], lr=0.41)).losses
    last = int(torch.nonzero(losses <= losses[0])[-1])
    assert f"diverged at step {last + 1}" in play.said
    play.change(condition_number=20, sgd__lr=0.05)
    assert "stable: η < 2/L = 0.1" in play.said
    expect(play.root.get_by_role("status")).to_contain_text("stable: η < 2/L = 0.1")


TELL = """(play, settings) => settings.map((values) => {
    play.change(values);
    play.render();
    const [{ statement, theory, left, losses, count }] = play.runs;
    return [statement, theory?.limit ?? null, left || losses[count] > losses[0]];
})"""
LIMITS: dict[str, Callable[[float], float]] = {
    "sgd": lambda beta: 2,
    "momentum": lambda beta: 2 * (1 + beta),
    "nesterov": lambda beta: 2 * (1 + beta) / (1 + 2 * beta),
}
"""The largest stable learning rates of the linear methods, in units of 1/L; of the others it says nothing."""
STARTS = ((0, 0), (1e-4, 0), (0.1, 0), (1, 0), (1, 1), (1, 1e-9))


def a_setting(draw: random.Random, name: str) -> dict[str, Any]:
    """A setting of one method, often at an end of a range, at a limit or just beside it."""
    kappa = draw.choice((1, 5, draw.uniform(1, 1000)))
    hyper = {h: draw.choice((0, 0.5, draw.uniform(0, 0.999))) for h in ("momentum", "alpha")}
    limit = LIMITS.get(name, LIMITS["sgd"])(hyper["momentum"])
    beside = draw.choice((1, 0.59 / 0.6, 1 - 1e-6, 1 + 1e-6, 1.001, draw.uniform(0.01, 2)))
    w1, w2 = draw.choice((*STARTS, (draw.uniform(-1.6, 1.6), draw.uniform(-1.6, 1.6))))
    return {
        "race": [name],
        "adjust": name,
        "condition_number": kappa,
        "rotation": draw.choice((0, 30, draw.uniform(0, 180))),
        "noise": draw.choice((0, 0, 0.1, draw.uniform(0, 3))),
        "seed": draw.randrange(10000),
        "nsteps": draw.choice((1, 2, 20, 1000, draw.randint(1, 1000))),
        "w1": w1,
        "w2": w2,
        f"{name}.lr": min(max(beside * limit / kappa, 0.001), 10),
        **{f"{name}.{h}": value for h, value in hyper.items() if h in UpdateRule.from_latex(UPDATES[name]).hyper},
    }


@pytest.mark.parametrize("name", sample(UPDATES, "adam"))
def test_no_two_words_of_a_verdict_contradict_each_other_or_the_book(play: Play, name: str) -> None:
    draw = random.Random(name)
    settings = [a_setting(draw, name) for _ in range(150 if name in LIMITS else 40)]
    kinds = set()
    for given, (said, limit, risen) in zip(settings, play.ask(TELL, settings), strict=True):
        case = f"{said} {given}"
        if name not in LIMITS:
            assert limit is None, case
            assert not re.search("stable|limit|diverge", said), case  # none of these methods can leave
            continue
        beta, kappa, lr = given.get(f"{name}.momentum", 0), given["condition_number"], given[f"{name}.lr"]
        bound = LIMITS[name](beta) / kappa
        assert math.isclose(limit, bound, rel_tol=1e-9), case
        kind = "unstable: η >" if lr > bound else "; stable: η <"
        kind = "at the limit, η =" if math.isclose(lr, bound, rel_tol=1e-9) else kind
        kinds.add(kind)
        assert kind in said, case
        assert len(re.findall("at the limit|unstable|; stable", said)) == 1, case
        assert ("diverge" in said) == (kind == "unstable: η >"), case
        assert "diverge" not in said or not re.search("reached|began|farther", said), case
        assert ("diverged at" in said) == (kind == "unstable: η >" and risen), case
        times, edge = (float(number) for number in re.findall(r"η [<>=] (\S+?)/L = ([^\s;:]+)", said)[0])
        assert math.isclose(edge, bound, rel_tol=1e-3), case
        assert math.isclose(times, LIMITS[name](beta), rel_tol=1e-3), case
        assert edge > lr if kind == "; stable: η <" else edge < lr if kind == "unstable: η >" else True, case
        rate = re.findall(r"rate (\S+)", said)
        assert len(rate) == (kind == "; stable: η <"), case
        assert all(float(number.replace("−", "-")) < 1 for number in rate), case
    assert name not in LIMITS or len(kinds) == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"momentum.lr": 0.59}, r"1.27 from the minimum after 10 steps; stable: η < 3/L = 0.6; rate 0.8851"),
        (
            {"momentum.lr": 0.6, "nsteps": 1000},
            ".* after 1000 steps.*; at the limit, η = 3/L = 0.6: errors neither die out nor grow",
        ),
        (
            {"momentum.lr": 0.3, "w1": 0.1, "w2": 0, "noise": 1},
            r"\S+ from the minimum after 10 steps, farther out than it began; stable: .*",
        ),
        (
            {"momentum.lr": 0.7, "w1": 0, "w2": 0},
            "diverges from almost every start; here it is 0 from the minimum after 10 steps; unstable: .*",
        ),
        (
            {"momentum.lr": 0.3, "w1": 0, "w2": 0},
            r"began within 0.001 of the minimum; 0 from the minimum after 10 steps; stable: .*",
        ),
        ({"momentum.lr": 0.7, "nsteps": 1}, "diverged at step 1; unstable: η > 3/L = 0.6"),
    ],
)
def test_what_is_not_divergence_is_called_what_it_is(play: Play, values: dict[str, Any], said: str) -> None:
    base = {"race": ["momentum"], "adjust": "momentum", "momentum.momentum": 0.5, "noise": 0, "nsteps": 10}
    ((statement, _, _),) = play.ask(TELL, [{**base, **values}])
    assert re.fullmatch(f"Momentum: {said}", statement), statement


CELLS_OF_A_MAP = """async (play, { values, axis, cells }) => {
    const name = values.adjust, up = axis === "condition_number" ? axis : `${name}.${axis}`;
    play.change({ ...values, axis, view: "map" });
    play.render();
    while (play.map.row < 64 || !play.map.key) await new Promise((done) => setTimeout(done, 5));
    const steps = play.map.steps.map((count) => count);
    return cells.map(([row, column]) => {
        const [low, high] = axis === "condition_number" ? [0, Math.log(1000)] : [0, 0.999];
        const part = low + ((high - low) * (63 - row + 0.5)) / 64, bottom = Math.log(0.001);
        play.change({
            [up]: axis === "condition_number" ? Math.exp(part) : part,
            [`${name}.lr`]: Math.exp(bottom + ((Math.log(10) - bottom) * (column + 0.5)) / 64),
        });
        play.render();
        const count = steps[row * 64 + column];
        const painted = Number.isNaN(count) ? "diverges" : count === Infinity ? "longer" : String(count);
        return [play.runs[0].statement, painted];
    });
}"""


@pytest.mark.parametrize("name", sample(UPDATES, "momentum", "adam"))
def test_the_paint_of_the_map_agrees_with_the_verdict_at_every_place(play: Play, name: str) -> None:
    draw, kinds = random.Random(name), set()
    axes = [h for h in ("momentum", "alpha") if h in UpdateRule.from_latex(UPDATES[name]).hyper] + ["condition_number"]
    # The map looks 200 steps ahead. That a linear method diverges later it knows from its matrix; AdamW may, too.
    horizons = (200,) if name == "adamw" else (200, 400)
    for start in ((0, 0), (0.1, 0), (draw.uniform(-1.6, 1.6), 1)):
        values = {**a_setting(draw, name), "w1": start[0], "w2": start[1], "nsteps": draw.choice(horizons)}
        cells = [[draw.randrange(64), draw.randrange(64)] for _ in range(60)]
        given = {"values": values, "axis": draw.choice(axes), "cells": cells}
        for said, painted in play.ask(CELLS_OF_A_MAP, given):
            case = f"{painted}: {said} {given}"
            kinds.add(painted)
            assert ("diverge" in said) == (painted == "diverges"), case
            reached = re.search(r"reached 0\.001 in (\d+)", said)
            count = reached[1] if reached else "0" if "began within" in said else None
            if painted == "longer":
                assert count is None or int(count) > 200, case
            elif painted != "diverges":
                assert count == painted, case
    assert "0" in kinds
    assert name not in LIMITS or "diverges" in kinds


@pytest.mark.parametrize(("beta", "kappa"), [(0.0, 5), (0.5, 5), (0.9, 50), (0.1459, 5)])
def test_rate_and_limit_of_momentum_are_those_of_its_section(play: Play, beta: float, kappa: float) -> None:
    lr = 1.5 / kappa
    play.change(
        race=["momentum"], adjust="momentum", noise=0, condition_number=kappa, momentum__momentum=beta, momentum__lr=lr
    )
    (found,) = play.ask("(play) => play.runs.map((run) => run.theory)")
    assert math.isclose(found["limit"], 2 * (1 + beta) / kappa, rel_tol=1e-6)
    radii = []
    for curvature in (1, kappa):
        trace = 1 + beta - lr * curvature
        root = complex(trace**2 - 4 * beta) ** 0.5
        radii += [abs(trace + root) / 2, abs(trace - root) / 2]
    assert math.isclose(found["rate"], max(radii), rel_tol=1e-4)


def test_no_rate_is_claimed_for_a_method_that_is_not_linear(play: Play) -> None:
    play.change(race=["rmsprop", "adam"], noise=0)
    assert play.ask("(play) => play.runs.map((run) => run.theory)") == [None, None]
    assert "stable" not in play.said
    assert play.root.locator(".play-theory").count() == 0


def test_the_map_counts_the_steps_that_the_module_counts(play: Play) -> None:
    play.change(race=["momentum"], adjust="momentum", noise=0, view="map")
    play.page.wait_for_function("() => Object.values(descentPlayground.open)[0].map.row === 64")
    steps = play.ask("(play) => [...play.map.steps].map((n) => Number.isNaN(n) ? 'lost' : n === Infinity ? 'long' : n)")
    low, high = math.log(0.001), math.log(10)
    kinds = set()
    for row, column in ((20, 30), (5, 33), (40, 35), (60, 38), (10, 10), (30, 60), (63, 40), (0, 20)):
        momentum = 0.999 * (63 - row + 0.5) / 64
        lr = math.exp(low + (high - low) * (column + 0.5) / 64)
        run = descend(SGDMomentumOptimizer([w], lr=lr, momentum=momentum), nsteps=200)
        found = steps[64 * row + column]
        kinds.add(found if isinstance(found, str) else "near")
        assert found == (run.steps_to(1e-3) if run.steps_to(1e-3) is not None else "lost" if run.diverged else "long")
    assert kinds == {"near", "lost", "long"}


def test_a_path_that_goes_far_out_is_drawn_in_its_own_direction(play: Play) -> None:
    read = """(play, values) => {
        play.change(values);
        play.render();
        const [{ xs, ys, count }] = play.runs;
        const lines = [...document.querySelectorAll(".play-bowl .play-line")];
        const drawn = lines.map((line) => line.getAttribute("d")).join("");
        return [[...xs].slice(0, count + 1), [...ys].slice(0, count + 1), drawn];
    }"""
    base = {"noise": 0, "w1": 1, "w2": 1, "nsteps": 60}
    cases = [
        {"race": ["adam"], "adjust": "adam", "adam.lr": 10, "adam.momentum": 0.999, "adam.alpha": 0, "rotation": 20},
        {"race": ["momentum"], "adjust": "momentum", "momentum.lr": 10, "momentum.momentum": 0.999},
        {"race": ["sgd"], "adjust": "sgd", "sgd.lr": 10, "condition_number": 1000, "rotation": 77},
        {"race": ["rmsprop"], "adjust": "rmsprop", "rmsprop.lr": 10, "rmsprop.alpha": 0.999, "w1": -0.3},
    ]
    clipped = 0
    for case in cases:
        xs, ys, drawn = play.ask(read, {**base, **case})
        scale = 370 / 3.38
        path = [((x + 1.69) * scale + 30, (1.69 - y) * scale) for x, y in zip(xs, ys, strict=True)]
        assert max(abs(value) for point in path for value in point) > 6000, "nothing is far out here"
        strokes = [
            [tuple(map(float, point.split())) for point in stroke.split("L")] for stroke in drawn.split("M") if stroke
        ]
        for stroke in strokes:
            for one, two in itertools.pairwise(stroke):
                clipped += 1
                # Both ends lie on one segment of the path, to a tenth of a pixel, and not far outside the picture.
                assert max(abs(value) for value in (*one, *two)) < 6000
                assert min(max(off(one, *pair), off(two, *pair)) for pair in itertools.pairwise(path)) < 0.2, case
    assert clipped >= len(cases)


def off(point: tuple[float, ...], one: tuple[float, ...], two: tuple[float, ...]) -> float:
    """How far a point is from a segment."""
    way = (two[0] - one[0], two[1] - one[1])
    size = way[0] ** 2 + way[1] ** 2
    part = ((point[0] - one[0]) * way[0] + (point[1] - one[1]) * way[1]) / size if size else 0
    part = min(max(part, 0), 1)
    return math.dist(point, (one[0] + part * way[0], one[1] + part * way[1]))


def test_every_number_on_an_axis_can_be_read(play: Play) -> None:
    cut = """(play, values) => {
        play.change(values);
        play.render();
        return [...document.querySelectorAll(".playground svg")].flatMap((svg) => {
            if (!svg.checkVisibility()) return [];
            const frame = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll("text.play-tick")];
            const boxes = texts.map((text) => text.getBoundingClientRect());
            const outside = (box) => box.left < frame.left - 0.5 || box.right > frame.right + 0.5
                || box.top < frame.top - 0.5 || box.bottom > frame.bottom + 0.5;
            const meets = (one, two) => one.left < two.right && two.left < one.right
                && one.top + 3 < two.bottom && two.top + 3 < one.bottom;
            return texts.map((text) => text.textContent).filter((_, i) =>
                outside(boxes[i]) || boxes.some((box, j) => j > i && meets(box, boxes[i])));
        });
    }"""
    for width in (1280, 375):
        play.seen.show("light", width)
        for nsteps in (1, 2, 3, 7, 10, 50, 99, 100, 101, 357, 500, 999, 1000):
            assert play.ask(cut, {"nsteps": nsteps, "view": "loss"}) == [], (nsteps, width)
        assert play.ask(cut, {"view": "map"}) == []
    play.change(race=["sgd"], adjust="sgd", sgd__lr=10, condition_number=1000, nsteps=1000)
    assert play.ask(cut, {"view": "loss"}) == []


# --- everybody can work it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adjust", sample(UPDATES, "adam"))
def test_every_slider_goes_by_keyboard_by_mouse_and_by_typing(play: Play, adjust: str) -> None:
    play.change(race=list(UPDATES), adjust=adjust)
    seen = 0
    for row in play.root.locator(".play-slider").all():
        if not row.is_visible():
            continue
        seen += 1
        slider, typed = row.get_by_role("slider"), row.get_by_role("textbox")
        assert row.locator("label").inner_text()
        before = play.setting
        slider.focus()
        play.page.keyboard.press("ArrowRight")
        play.page.keyboard.press("PageUp")
        play.drawn()
        moved = play.setting
        assert moved != before, row.inner_text()
        slider.evaluate("e => e.scrollIntoView({ block: 'center' })")
        box = slider.bounding_box()
        assert box is not None
        aside = 0.85 if float(slider.input_value()) < 500 else 0.15  # a click on the thumb moves nothing
        play.page.mouse.click(box["x"] + aside * box["width"], box["y"] + box["height"] / 2)
        play.drawn()
        clicked = play.setting
        assert clicked != moved, row.inner_text()
        value = "0.0123" if "eps" in row.inner_text() else "7" if "seed" in row.inner_text() else "0.9"
        value = "37" if re.search("steps|κ|rotation", row.inner_text()) else value
        typed.fill(value)
        typed.press("Enter")
        play.drawn()
        (changed,) = [key for key, now in play.setting.items() if now != clicked[key] and key != "shown"]
        assert play.setting[changed] == float(value)
        assert typed.input_value() == value
        assert play.words == ""
    assert seen == len(UpdateRule.from_latex(UPDATES[adjust]).hyper) + 5


def test_one_step_of_a_slider_changes_its_value_wherever_it_stands(play: Play) -> None:
    play.change(race=["adam"], noise=1)
    moves = """(play, [id, key, values]) => {
        const range = document.getElementById(id), found = [];
        for (const value of values) for (const by of [-1, 1]) {
            play.change({ [key]: value });
            play.render();
            if (by > 0) range.stepUp(); else range.stepDown(); // what an arrow key does
            range.dispatchEvent(new Event("input", { bubbles: true }));
            found.push([value, by, play.setting[key]]);
        }
        return found;
    }"""
    keys = {
        "nsteps": (1, 1000),
        "seed": (0, 9999),
        "condition_number": (1, 1000),
        "rotation": (0, 180),
        "noise": (0, 3),
    }
    keys |= play.ask(
        """() => Object.fromEntries(descentPlayground.methods.flatMap((method) => method.hyper.map((hyper) =>
            [`${method.name}.${hyper.name}`, hyper.decay ? [0, 0.999] : [hyper.low / 10, hyper.high * 10]])))"""
    )
    draw = random.Random(4)
    # Where a slider stops depends on its range and scale; of several that have the same, one is tried everywhere.
    tried: list[list[Any]] = []
    for key, (low, high) in keys.items():
        identity = f"play-fig-adam-noise-{key.replace('.', '-')}"
        if "." in key:
            method = key.split(".")[0]
            play.change(race=[method], adjust=method)
        inside = [10**e for e in range(-9, 4)] + [draw.uniform(low, high) for _ in range(20)]
        whole = key in ("nsteps", "seed")
        values = sorted({round(v) if whole else v for v in (*inside, *range(1, 13), 99, 100, 101) if low <= v <= high})
        scale = play.ask("({ table }, key) => [table[key]].map((e) => [e.low, e.high, e.log, e.whole])[0]", key)
        values = values[::8] if scale in tried else values
        tried.append(scale)
        for value, by, now in play.ask(moves, [identity, key, [low, *values, high]]):
            if value == (low if by < 0 else high):
                assert now == value
            else:
                assert (now - value) * by >= (1 if whole else 1e-12), (key, value, by, now)
                assert low <= now <= high
        play.change(nsteps=10, noise=1)  # and no longer run at each of the next values
    play.change(race=list(UPDATES))
    play.root.get_by_role("slider", name="steps").focus()
    play.page.keyboard.press("ArrowRight")
    play.drawn()
    assert play.setting["nsteps"] == 11
    play.page.keyboard.press("ArrowLeft")
    play.page.keyboard.press("ArrowLeft")
    play.drawn()
    assert play.setting["nsteps"] == 9


def test_the_seed_can_be_set_only_where_there_is_noise(play: Play) -> None:
    slider = play.root.get_by_role("slider", name="seed")
    typed = play.root.get_by_role("textbox", name="seed, typed")
    for noise in (0, 0.5, 0):
        play.change(noise=noise)
        for control in (slider, typed):
            assert control.is_enabled() == bool(noise)
    press(play, play.button("New noise"), "mouse")
    assert play.setting["noise"] == 1
    assert slider.is_enabled()


def press(play: Play, target: Locator, by: str) -> None:
    target.scroll_into_view_if_needed()
    if by == "keyboard":
        target.focus()
        play.page.keyboard.press("Space" if target.get_attribute("type") == "checkbox" else "Enter")
    else:
        target.click()
    play.drawn()


@pytest.mark.parametrize("by", ["keyboard", "mouse"])
def test_every_button_and_box_does_what_it_says(play: Play, by: str) -> None:
    press(play, play.button("Back"), by)
    assert play.setting["shown"] == 29
    press(play, play.button("Back"), by)
    press(play, play.button("Step"), by)
    assert play.setting["shown"] == 29
    press(play, play.button("All"), by)
    assert play.setting["shown"] == 30
    assert play.root.locator(".play-shown").inner_text() == "step 30 of 30"
    press(play, play.button("New noise"), by)
    assert play.setting["seed"] == 1
    press(play, play.root.get_by_role("checkbox", name="bias correction"), by)
    assert play.setting["adam.corrected"] == "no"
    press(play, play.root.get_by_role("checkbox", name="SGD"), by)
    assert play.setting["race"] == ["sgd", "adam"]
    assert play.setting["adjust"] == "sgd"
    play.root.get_by_role("combobox", name="Method to adjust").select_option("adam")
    press(play, play.root.get_by_role("checkbox", name="SGD"), by)
    press(play, play.root.get_by_role("checkbox", name="Adam", exact=True), by)
    assert play.setting["race"] == ["adam"], "the last one stays"
    assert play.root.get_by_role("checkbox", name="Adam", exact=True).is_checked()
    press(play, play.button("Map of settings"), by)
    assert play.root.locator(".play-map").is_visible()
    assert not play.root.locator(".play-loss").is_visible()
    play.root.get_by_role("combobox", name="Vertical axis of the map").select_option("alpha")
    assert play.setting["axis"] == "alpha"
    press(play, play.button("Loss"), by)
    assert play.root.locator(".play-loss").is_visible()
    press(play, play.button("Reset"), by)
    first = play.setting
    assert (first["seed"], first["adam.corrected"], first["race"], first["axis"]) == (0, "yes", ["adam"], "")


def test_every_named_figure_can_be_begun_from(play: Play) -> None:
    choice = play.root.get_by_role("combobox", name="A figure of the book to begin from")
    offered = choice.locator("option").all_inner_texts()
    for fname, (cls, hyper, nsteps, noise) in NAMED.items():
        (label,) = [text for text in offered if text.endswith(f": {fname}")]
        choice.select_option(label=label)
        play.drawn()
        name = next(name for name in UPDATES if class_for(name) is cls)
        now = play.setting
        assert (now["race"], now["nsteps"], now["noise"]) == ([name], nsteps, noise)
        assert {h: now[f"{name}.{h}"] for h in hyper} == hyper
        assert choice.locator("option:checked").inner_text() == label


def middle(target: Locator) -> tuple[float, float]:
    box = target.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(play: Play, handle: Locator, dx: float, dy: float, by: str) -> None:
    """Move a handle by mouse or finger, in steps as a hand does."""
    handle.scroll_into_view_if_needed()
    x, y = middle(handle)
    if by == "mouse":
        play.page.mouse.move(x, y)
        play.page.mouse.down()
        play.page.mouse.move(x + dx / 2, y + dy / 2)
        play.page.mouse.move(x + dx, y + dy)
        play.page.mouse.up()
    else:
        finger = play.page.context.new_cdp_session(play.page)
        for kind, part in (("touchStart", 0.0), ("touchMove", 0.3), ("touchMove", 0.7), ("touchMove", 1.0)):
            at = [{"x": x + part * dx, "y": y + part * dy}]
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    play.drawn()


@pytest.fixture(params=["mouse", "touch"])
def hand(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[tuple[Play, str]]:
    """Adam's playground, worked by mouse on a desk, or by finger on a telephone."""
    if request.param == "mouse":
        opened = visit(browser, site, "book/adam.html")
    else:
        page = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 375, "height": 800}).new_page()
        page.goto(f"{site}/book/adam.html")
        opened = Visit(page)
    playing = Play(opened)
    playing.settle()
    yield playing, request.param
    opened.page.context.close()


def test_the_start_is_dragged(hand: tuple[Play, str]) -> None:
    play, by = hand
    top = play.page.evaluate("scrollY")
    drag(play, play.root.locator(".play-bowl .play-handle"), -30, 130, by)
    now = play.setting
    assert 0 < now["w1"] < 0.95
    assert -1.2 < now["w2"] < 0
    assert play.ask("(play) => [play.runs[0].xs[0], play.runs[0].ys[0]]") == [now["w1"], now["w2"]]
    assert by == "mouse" or abs(play.page.evaluate("scrollY") - top) < 400, "the page scrolled away under the finger"


def test_the_dot_on_the_map_is_dragged(hand: tuple[Play, str]) -> None:
    play, by = hand
    play.change(view="map")
    before = play.setting
    drag(play, play.root.locator(".play-map .play-handle"), -40, 30, by)
    now = play.setting
    assert now["adam.lr"] < 0.6 * before["adam.lr"]
    assert now["adam.momentum"] < before["adam.momentum"] - 0.05


def test_a_finger_works_buttons_boxes_and_sliders(browser: Browser, site: str) -> None:
    page = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 375, "height": 800}).new_page()
    page.goto(f"{site}/book/adam.html")
    play = Play(Visit(page))
    play.settle()
    play.button("Back").tap()
    play.root.locator(".play-more > summary").tap()
    play.button("New noise").tap()
    play.root.get_by_role("checkbox", name="SGD").tap()
    play.settle()
    slider = play.root.locator("#play-fig-adam-noise-condition_number")
    box = slider.bounding_box()
    assert box is not None
    slider.tap(position={"x": 0.8 * box["width"], "y": box["height"] / 2})
    play.settle()
    now = play.setting
    assert (now["shown"], now["seed"], now["race"]) == (29, 1, ["sgd", "adam"])
    assert now["condition_number"] > 100
    page.context.close()


def swipe(play: Play, x: float, y: float, dx: float, dy: float) -> list[dict[str, Any]]:
    """Draw a finger over the page; the settings on the way, and when all is quiet again."""
    finger, settings = play.page.context.new_cdp_session(play.page), []
    for part in (None, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        at = [{"x": x + (part or 0) * dx, "y": y + (part or 0) * dy}]
        finger.send(
            "Input.dispatchTouchEvent", {"type": "touchStart" if part is None else "touchMove", "touchPoints": at}
        )
        play.drawn()
        settings.append(play.setting)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    play.drawn()
    play.page.wait_for_timeout(100)
    return [*settings, play.setting]


def test_a_finger_that_scrolls_the_page_over_a_slider_changes_nothing(browser: Browser, site: str) -> None:
    page = browser.new_context(has_touch=True, is_mobile=True, viewport={"width": 375, "height": 800}).new_page()
    page.goto(f"{site}/book/adam.html")
    play = Play(Visit(page))
    play.settle()
    play.root.locator(".play-more > summary").tap()
    sliders = [slider for slider in play.root.get_by_role("slider").all() if slider.get_attribute("type") == "range"]
    assert len(sliders) == 9
    for slider in sliders:
        slider.evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
        before, top, box = play.setting, play.page.evaluate("scrollY"), slider.bounding_box()
        assert box is not None
        part = 0.8 if float(slider.input_value()) < 0.5 * float(slider.get_attribute("max") or 0) else 0.2
        x, y = box["x"] + part * box["width"], box["y"] + box["height"] / 2
        assert all(seen == before for seen in swipe(play, x, y, 3, -200)), slider.get_attribute("id")
        assert play.page.evaluate("scrollY") > top + 50
        slider.evaluate("e => e.scrollIntoView({ block: 'center', behavior: 'instant' })")
        y = middle(slider)[1]
        *_, moved = swipe(play, x, y, (0.65 if part > 0.5 else 0.35) * box["width"] + box["x"] - x, 5)
        assert moved != before, slider.get_attribute("id")
    page.context.close()


def test_start_and_dot_move_with_the_arrow_keys_and_show_the_focus(play: Play) -> None:
    handle = play.root.locator(".play-bowl .play-handle")
    handle.focus()
    ring = "e => getComputedStyle(e.querySelector('.play-grip')).stroke"
    play.page.keyboard.press("ArrowLeft")
    assert handle.evaluate(ring) != "none"
    play.page.keyboard.press("ArrowDown")
    play.page.keyboard.press("Shift+ArrowDown")
    play.drawn()
    assert (play.setting["w1"], play.setting["w2"]) == (0.95, 0.7)
    assert handle.get_attribute("aria-valuetext") == "w₁ = 0.95, w₂ = 0.7"
    play.change(view="map")
    dot = play.root.locator(".play-map .play-handle")
    before = play.setting
    dot.focus()
    play.page.keyboard.press("ArrowRight")
    play.page.keyboard.press("ArrowUp")
    play.drawn()
    assert play.setting["adam.lr"] > before["adam.lr"]
    assert play.setting["adam.momentum"] > before["adam.momentum"]
    assert "steps" in str(dot.get_attribute("aria-valuetext"))


def test_play_goes_step_by_step_pauses_and_ends(browser: Browser, site: str) -> None:
    page = browser.new_context(reduced_motion="no-preference").new_page()
    page.goto(f"{site}/book/adam.html")
    play = Play(Visit(page))
    play.button("Play").click()
    page.wait_for_function("() => Object.values(descentPlayground.open)[0].setting.shown > 3")
    play.button("Pause").click()
    stopped = play.setting["shown"]
    page.wait_for_timeout(500)
    assert play.setting["shown"] == stopped < 30
    dots = play.root.locator(".play-bowl .play-dots").evaluate_all(
        "paths => paths.map((path) => path.getAttribute('d'))"
    )
    assert [path.count("M") for path in dots if path] == [stopped + 1]  # only Adam runs
    play.button("Play").click()
    page.wait_for_function("() => Object.values(descentPlayground.open)[0].setting.shown === 30")
    expect(play.button("Play")).to_be_visible()
    page.context.close()


def test_who_wants_no_motion_gets_none(play: Play) -> None:
    press(play, play.button("Back"), "mouse")
    press(play, play.button("Play"), "mouse")
    assert play.setting["shown"] == 30
    assert play.button("Play").is_visible()


# --- where its parts stand --------------------------------------------------------------------------------------------


def box(place: Locator) -> dict[str, float]:
    found = place.bounding_box()
    assert found is not None
    return {**found, "right": found["x"] + found["width"], "bottom": found["y"] + found["height"]}


@pytest.mark.parametrize("view", ["loss", "map"])
def test_in_a_wide_window_bowl_view_verdict_and_rates_are_seen_together(browser: Browser, site: str, view: str) -> None:
    page = visit(browser, site, "book/momentum.html").page
    page.set_viewport_size({"width": 1280, "height": 800})
    play = Play(Visit(page))
    play.change(view=view)
    play.root.evaluate("root => root.scrollIntoView({ block: 'start', behavior: 'instant' })")
    bowl, said = box(play.root.locator(".play-bowl")), box(play.root.locator(".play-statements"))
    other = box(play.root.locator(".play-loss, .play-map >> visible=true"))
    column = box(page.locator(".bd-article p").first)
    assert bowl["right"] < other["x"]
    assert other["y"] < bowl["bottom"]
    assert other["right"] > column["right"] + 100  # it breaks out of the text's column
    assert other["bottom"] < said["y"] < bowl["bottom"] + 80
    for name in ("η (lr)", "β (momentum)"):
        slider = box(play.root.get_by_role("slider", name=name))
        assert said["bottom"] <= slider["y"]
        assert slider["bottom"] < 800
        assert slider["width"] > 500
    page.context.close()


def test_on_a_phone_the_bowl_stays_in_view_above_the_rates(browser: Browser, site: str) -> None:
    page = visit(browser, site, "book/momentum.html").page
    page.set_viewport_size({"width": 375, "height": 667})
    play = Play(Visit(page))
    assert not play.root.get_by_role("slider", name="noise σ", exact=True).is_visible()
    for name in ("η (lr)", "β (momentum)"):
        slider = play.root.get_by_role("slider", name=name)
        slider.evaluate("slider => slider.scrollIntoView({ block: 'end', behavior: 'instant' })")
        bowl = box(play.root.locator(".play-bowl"))
        assert 0 < bowl["y"] < bowl["bottom"] <= box(slider)["y"] < 667
    map_ = play.root.locator(".play-map")
    map_.evaluate("map => map.scrollIntoView({ block: 'end', behavior: 'instant' })")
    assert 0 < box(play.root.locator(".play-bowl"))["y"] < box(map_)["bottom"] < 670
    play.root.locator(".play-more > summary").click()
    assert play.root.get_by_role("slider", name="noise σ", exact=True).is_visible()
    page.context.close()


def test_what_was_closed_on_a_narrow_page_is_open_on_a_wide_one(play: Play) -> None:
    noise = play.root.get_by_role("slider", name="noise σ", exact=True)
    for width, open_ in ((375, False), (1280, True), (375, False), (1280, True)):
        play.seen.show("light", width)
        expect(noise).to_be_visible(visible=open_)


def test_it_can_fill_the_window_and_gives_it_back(play: Play) -> None:
    small = box(play.root.locator(".play-bowl"))
    play.button("Large").click()
    large = box(play.root.locator(".play-bowl"))
    assert box(play.root)["width"] >= 1265  # all but a scroll bar
    assert large["width"] > 1.3 * small["width"]
    assert large["bottom"] < 900
    links = play.page.locator(".bd-sidebar a, article p a")
    assert links.count() > 10
    assert links.evaluate_all("links => links.every((link) => link.closest('[inert]'))")
    play.page.mouse.click(640, 880)
    play.page.keyboard.press("Escape")
    assert play.page.locator("[inert]").count() == 0
    assert box(play.root.locator(".play-bowl"))["width"] == small["width"]
    assert play.button("Large").get_attribute("aria-pressed") == "false"


# --- theory where the hand is -----------------------------------------------------------------------------------------

LIMIT = """(play, name) => {
    const track = play.root.querySelector(`#${play.root.id}-${name}-lr`).parentElement;
    return track.hasAttribute("data-limit") ? Number(track.style.getPropertyValue("--limit")) : null;
}"""


def test_the_track_of_the_learning_rate_shows_where_it_is_stable(play: Play) -> None:
    play.change(race=["momentum"], adjust="momentum", momentum__momentum=0.5)
    limit = 2 * (1 + 0.5) / 5
    for lr, side in ((0.98 * limit, -1), (1.03 * limit, 1)):
        play.change(momentum__lr=lr)
        range_ = play.root.get_by_role("slider", name="η (lr)")
        part = float(range_.input_value()) / 1000
        assert (part - play.ask(LIMIT, "momentum")) * side > 0
    play.change(race=["adam"], adjust="adam")
    assert play.ask(LIMIT, "adam") is None


@pytest.mark.parametrize("kappa", [2, 5, 40])
def test_the_map_has_the_limit_and_the_best_setting_of_theory(play: Play, kappa: float) -> None:
    play.change(race=["momentum"], adjust="momentum", view="map", condition_number=kappa)
    play.page.wait_for_function("() => Object.values(descentPlayground.open)[0].map.row === 64")
    root = math.sqrt(kappa)
    lr, beta = (2 / (1 + root)) ** 2, ((root - 1) / (root + 1)) ** 2
    numbers = [float(text) for text in re.findall(r"\d*\.\d+", play.root.locator(".play-best").inner_text())]
    assert numbers == pytest.approx([math.sqrt(beta), lr, beta], rel=0.01)
    drawn = play.root.locator(".play-limit").get_attribute("d")
    assert drawn is not None
    points = [tuple(map(float, point.split(","))) for point in drawn[1:].split("L")]
    assert len(points) >= 60
    for x, y in points:  # the map is 348 by 240, from (44, 4), over 0.001 to 10 and 0 to 0.999
        reached, memory = 0.001 * 10 ** (4 * (x - 44) / 348), 0.999 * (1 - (y - 4) / 240)
        assert reached == pytest.approx(2 * (1 + memory) / kappa, rel=0.01)
    play.change(race=["adam"], adjust="adam")
    play.page.wait_for_function("() => Object.values(descentPlayground.open)[0].map.row === 64")
    expect(play.root.locator(".play-limit")).to_have_count(0)
    assert play.root.locator(".play-best").inner_text() == ""


def test_round_numbers_are_hit_by_the_mouse(play: Play) -> None:
    play.change(race=["momentum"], adjust="momentum")
    stops = play.ask("(play) => play.stops('momentum.lr')")
    assert {0.001, 0.01, 0.075, 0.1, 0.25, 0.6, 0.61, 1, 10} <= set(stops)
    assert all(after / before <= 1.026 for before, after in itertools.pairwise(stops))
    track = box(play.root.get_by_role("slider", name="η (lr)"))
    assert track["width"] / len(stops) > 0.8


# --- in the place of its figure ---------------------------------------------------------------------------------------


def test_the_first_page_opens_on_the_race_itself(browser: Browser, site: str) -> None:
    opened = visit(browser, site, "book/intro.html")
    play, still = Play(opened), opened.page.locator("#fig-intro-race .drawing")
    assert opened.page.locator("#fig-intro-race .playground").count() == 1
    assert play.setting["race"] == ["sgd", "momentum", "rmsprop", "adam"]
    assert play.root.get_by_text("drag me").is_visible()
    assert not still.is_visible()
    rest = play.root.get_by_role("group", name="Steps, bowl and noise")
    assert not rest.is_visible()
    play.root.get_by_text("More: methods").click()
    assert rest.is_visible()
    opened.page.emulate_media(media="print")
    assert still.is_visible()
    assert not play.root.is_visible()
    opened.page.context.close()


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_it_plays_once_for_those_who_want_motion(browser: Browser, site: str, motion: Any) -> None:
    page = browser.new_context(reduced_motion=motion).new_page()
    page.goto(f"{site}/book/intro.html")
    page.evaluate(
        """() => {
            const play = Object.values(descentPlayground.open)[0];
            window.steps = [];
            play.refresh.push(() => steps.push(play.setting.shown));
        }"""
    )
    page.locator(".play-bowl").scroll_into_view_if_needed()
    if motion == "reduce":
        page.wait_for_timeout(1500)
        assert set(page.evaluate("steps")) <= {20}
    else:
        page.wait_for_function("() => steps.includes(1) && steps.at(-1) === 20")
        steps = page.evaluate("steps")
        after = steps[steps.index(1) :]
        assert after == sorted(after)
        page.wait_for_timeout(1000)
        assert page.evaluate("steps.at(-1)") == 20
        assert "shown" not in page.url
    page.context.close()


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_with_all_opened(play: Play, theme: str) -> None:
    play.change(race=list(UPDATES), view="map")
    play.root.locator(".play-take > summary").click()
    play.seen.show(theme, 1280)
    play.settle()
    found = Axe().run(play.page, context=".playground").response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("page", WITH)
def test_on_the_narrowest_telephone_nothing_runs_off_the_side(
    browser: Browser, site: str, page: str, theme: str
) -> None:
    opened = visit(browser, site, f"{page}.html")
    opened.show(theme, 360)
    play = Play(opened)
    play.root.locator(".play-take > summary").click()
    play.change(view="map", race=list(UPDATES))
    assert opened.page.evaluate("document.scrollingElement.scrollWidth") <= 360
    edge = opened.page.evaluate(
        "Math.max(...[...document.querySelectorAll('.playground :not(.play-spoken, .play-python, .play-python *)')]"
        ".filter(e => !e.closest('svg') || e.tagName === 'svg').map(e => e.getBoundingClientRect().right))"
    )
    assert edge <= 360
    assert opened.complaints == []
    opened.page.context.close()


def test_without_javascript_the_figure_is_there_and_says_so(browser: Browser, site: str) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/book/adam.html")
    assert page.locator("#fig-adam-noise svg[role=img]").first.is_visible()
    expect(page.locator(".playground")).to_have_text(
        re.compile(r"With JavaScript, you can play with Figure 5\.\d here\.")
    )
    page.context.close()


# --- to take away ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unmoved")
def test_the_copied_python_draws_the_same(play: Play) -> None:
    play.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    play.root.locator(".play-take > summary").click()
    cases: list[dict[str, Any]] = [
        {},
        dict(seed=7, w1=-0.5, w2=1.2, condition_number=12.5, rotation=30, nsteps=44),
        dict(race=["sgd", "momentum", "adam"], adjust="adam", adam__eps=0.01, noise=0.3),
    ]
    for case in cases:
        play.change(**case)
        press(play, play.button("Copy as Python"), "mouse")
        code = play.page.evaluate("navigator.clipboard.readText()")
        assert code == play.root.locator(".play-python").inner_text().strip()
        *before, last = re.split(r"\n\n", code)
        names: dict[str, Any] = {}
        exec("\n".join(before), names)
        drawing = eval(last, names)
        theirs = play.ask("(play) => play.runs.map((run) => [run.xs, run.ys].map((values) => values[run.count]))")
        runs = [drawing.trajectory] if drawing.trajectory else []
        if not runs:
            settings = list(drawing.runs.values())
            assert [s["optimizer"] for s in settings] == [class_for(n).__name__ for n in case["race"]]
            calls = re.findall(r"(output\(.*\)\.trajectory),", last)
            runs = [eval(call, names) for call in calls]
        for run, end in zip(runs, theirs, strict=True):
            assert torch.allclose(run.points[-1], torch.tensor(end, dtype=torch.float64), rtol=0, atol=1e-9)
        expect(play.button("Copy as Python")).to_be_visible(timeout=5000)


STEADY = """element => {
    element.scrollIntoView();
    Object.assign(element.style, { position: "relative", left: 0, top: 0, borderRadius: 0 });
    const { left, top } = element.getBoundingClientRect();
    Object.assign(element.style, { left: `${Math.ceil(left) - left}px`, top: `${Math.ceil(top) - top}px` });
}"""
"""The shades of edges depend on where they lie inside of a pixel. Those of the frame's round corners differ by one of
255 from one time to the next, while other programs run."""


def picture(play: Play) -> str:
    """The digest of what the playground looks like, without what floats over the page."""
    play.page.mouse.move(0, 0)
    play.page.add_style_tag(content="header, [class^=bd-header], #pst-back-to-top, #pst-skip-link { display: none }")
    play.root.evaluate(STEADY)
    return sha256(play.root.screenshot(animations="disabled")).hexdigest()


@pytest.mark.parametrize("width", sample([1280, 375], 375))
@pytest.mark.parametrize("theme", sample(THEMES, "dark"))
def test_an_address_brings_back_the_same_picture(browser: Browser, site: str, theme: str, width: int) -> None:
    pictures, settings = [], []
    address = "book/adam.html"
    for turn in range(2):
        opened = visit(browser, site, address)
        opened.show(theme, width)
        play = Play(opened)
        if turn == 0:
            first = picture(play)
            play.change(
                race=["sgd", "adam"], seed=3, condition_number=9, rotation=40, w1=-0.7, adam__corrected="no", shown=12
            )
            play.settle()
            address = opened.page.url.removeprefix(f"{site}/")
            assert address.startswith("book/adam.html#play-fig-adam-noise?")
        play.settle()
        settings.append(play.setting)
        pictures.append(picture(play))
        opened.page.context.close()
    assert settings[0] == settings[1]
    assert pictures[0] == pictures[1]
    assert first != pictures[0]


def test_a_link_on_the_page_itself_and_reset_change_the_address(play: Play) -> None:
    play.page.evaluate("location.hash = '#play-fig-adam-noise?noise=0&nsteps=12'")
    play.settle()
    assert (play.setting["noise"], play.setting["nsteps"]) == (0, 12)
    press(play, play.button("Reset"), "mouse")
    play.settle()
    assert "?" not in play.page.url
    assert play.setting["nsteps"] == 30


HOSTILE = {
    "numbers beyond all bounds": "noise=1e308&nsteps=1e300&condition_number=1e6&adam.lr=99999&w1=-1e99",
    "no numbers": "noise=NaN&nsteps=Infinity&seed=-Infinity&rotation=&adam.lr=abc&w1=0x10",
    "markup": "race=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E&view=%3Cscript%3Ealert(1)%3C/script%3E&noise=%3Cb%3E1",
    "the names of objects": "__proto__=1&constructor=2&toString=3&hasOwnProperty=4&adam.__proto__=1",
    "a thousand keys": "&".join(f"key{i}={i}" for i in range(1000)),
    "a thousand times the same": "&".join("race=sgd,adam" for _ in range(1000)),
    "broken escapes": "noise=%E0%A4%A&%=%&&&===&nsteps",
    "no rate, a ravine, and a hundred thousand steps": "adam.lr=0&condition_number=1000000&nsteps=100000",
    "a run to infinity": "race=sgd&sgd.lr=10&condition_number=1000&nsteps=1000",
    "a very long value": f"race={'sgd,' * 4000}",
}


@pytest.mark.parametrize("name", sample(HOSTILE, "numbers beyond all bounds", "no numbers", "markup"))
def test_an_address_can_do_no_harm(browser: Browser, site: str, name: str) -> None:
    opened = visit(browser, site, f"book/adam.html#play-fig-adam-noise?{HOSTILE[name]}")
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    play = Play(opened)
    play.settle()
    now = play.setting
    assert all(math.isfinite(value) for value in now.values() if isinstance(value, (int, float)))
    assert 0.001 <= now["adam.lr"] <= 10
    assert now["nsteps"] <= 1000
    assert now["condition_number"] <= 1000
    assert set(now["race"]) <= set(UPDATES)
    assert play.root.locator("img, script, b").count() == 0
    harmless = name in ("a run to infinity", "a thousand times the same", "a very long value")
    assert (play.words != "") != harmless, play.words
    assert len(play.words) < 600
    for path in play.root.locator("path").all():
        assert not re.search("NaN|Infinity", path.get_attribute("d") or "")
    began = play.page.evaluate("performance.now()")
    play.change(seed=5)
    assert play.page.evaluate("performance.now()") - began < 5000, "the tab is stuck"
    assert dialogs == []
    assert opened.complaints == []
    if name == "a run to infinity":
        assert "diverged at step 1" in play.said
    opened.page.context.close()


@pytest.mark.parametrize(
    ("label", "typed", "taken", "said"),
    [
        ("η of Adam, typed", "0", 0.001, "η of Adam goes from 0.001 to 10, so it is 0.001 now"),
        ("η of Adam, typed", "fast", 0.1, "η of Adam must be a number, so it stays 0.1"),
        ("condition number κ, typed", "1e6", 1000, "κ goes from 1 to 1000, so it is 1000 now"),
        ("steps, typed", "100000", 1000, "steps goes in whole numbers from 1 to 1000, so it is 1000 now"),
        ("steps, typed", "12.6", 13, "steps goes in whole numbers from 1 to 1000, so it is 13 now"),
        ("β of Adam, typed", "1", 0.999, "β of Adam goes from 0 to 0.999, so it is 0.999 now"),
    ],
)
def test_what_is_typed_wrongly_is_mended_with_a_word(
    play: Play, label: str, typed: str, taken: float, said: str
) -> None:
    box = play.root.get_by_role("textbox", name=label)
    box.fill(typed)
    box.press("Enter")
    play.settle()
    assert play.words == said
    assert float(box.input_value()) == taken
    expect(play.root.get_by_role("status")).to_contain_text(said)


@pytest.mark.parametrize(
    ("typed", "taken"),
    [("0,1", 0.1), (",5", 0.5), ("1/3", 1 / 3), (" 1 / 3 ", 1 / 3), ("0,5/2", 0.25), ("1e-2", 0.01), ("2.5e0/5", 0.5)],
)
def test_a_number_may_be_typed_with_a_comma_or_as_a_fraction(play: Play, typed: str, taken: float) -> None:
    box = play.root.get_by_role("textbox", name="η of Adam, typed")
    box.fill(typed)
    box.press("Enter")
    play.drawn()
    assert play.setting["adam.lr"] == taken
    assert math.isclose(float(box.input_value()), taken, rel_tol=1e-9)
    assert play.words == ""


@pytest.mark.parametrize("typed", ["1/0", "1/2/3", "1,2,3", "/3", "1/", "1,", "a/b", "--1", ""])
def test_what_is_no_number_is_still_refused(play: Play, typed: str) -> None:
    box = play.root.get_by_role("textbox", name="η of Adam, typed")
    box.fill(typed)
    box.press("Enter")
    play.drawn()
    assert (play.setting["adam.lr"], float(box.input_value())) == ((1, 1) if typed == "1," else (0.1, 0.1))
    assert (play.words == "η of Adam must be a number, so it stays 0.1") == (typed != "1,")


def test_it_works_from_disk(html: Path, browser: Browser) -> None:
    opened = visit(browser, html.as_uri(), "book/adam.html")
    play = Play(opened)
    play.change(seed=3)
    play.settle()
    assert opened.page.url.endswith("book/adam.html#play-fig-adam-noise?seed=3")
    play.change(view="map")
    play.page.wait_for_function("() => Object.values(descentPlayground.open)[0].map.row === 64")
    assert opened.complaints == []
    assert opened.elsewhere == []
    opened.page.context.close()


def test_it_is_light() -> None:
    files = [ROOT / "book/_static" / name for name in ("playground.js", "playground.css")]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in files) <= 30_000


# --- another optimizer, and what an author can do wrong --------------------------------------------------------------

ADASUM = """

class AdasumOptimizer(Optim):
    \"\"\"AdaSum: the gradient divided by the root of the sum of its squares.\"\"\"

    def __init__(self, params, lr, eps=1e-8):
        super().__init__(params, dict(lr=lr, eps=eps))

    def my_step(self, p, state, group):
        if not state:
            state["v"] = torch.zeros_like(p.data)
        state["v"] = state["v"] + p.grad.data ** 2
        p.data -= group["lr"] * p.grad.data / (state["v"].sqrt() + group["eps"])
"""
SECTION = rf"""{NOTEBOOK}
# A sum that only grows

$$
\begin{{aligned}}
v_{{t+1}} &= v_t + g_t^2 \\
w_{{t+1}} &= w_t - \eta\, \frac{{g_t}}{{\sqrt{{v_{{t+1}}}} + \varepsilon}}
\end{{aligned}}
$$ (update-adasum)

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-adasum
    caption: The path of AdaSum over the bowl.
---
from optim_code import AdasumOptimizer, output, w
from optim_code.equations.sections import read_page

output(AdasumOptimizer([w], lr=0.5), nsteps=25, fname="adasum.pdf")
```

```{{playground}} fig-adasum
:set: noise=0.5
```
"""


@pytest.fixture(scope="module")
def adasum(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small book with one more optimizer, and a page with three playgrounds, two of them of one figure."""
    copy = copy_book(tmp_path_factory.mktemp("adasum") / "book")
    path = copy.root / "optim_code/optimizers.py"
    path.write_text(path.read_text() + ADASUM)
    copy.write("book/adasum.md", SECTION)
    again = SECTION[SECTION.index("```{code-cell}") : SECTION.index("```{playground}")]
    again = again.replace("fig-adasum", "fig-again").replace("adasum.pdf", "again.pdf")
    more = "\n```{playground} fig-adasum\n:set: noise=0.2\n```\n\n```{playground} fig-again\n```\n"
    copy.write("book/three.md", f"{NOTEBOOK}\n# Three\n\n```{{playground}} fig-adasum\n```\n\n{again}{more}")
    copy.write("_toc.yml", f"{TOC}  - file: book/adasum\n  - file: book/three\n")
    done = copy.build()
    assert done.returncode == 0, done.stderr
    return copy.root / "_build/html"


ALL_SETTINGS = "Object.fromEntries(Object.entries(descentPlayground.open).map(([id, play]) => [id, play.setting]))"
CHANGE_ONE = "([id, values]) => descentPlayground.open[id].change(values)"


@pytest.mark.slow
def test_several_playgrounds_of_a_page_each_keep_their_part_of_the_address(adasum: Path, browser: Browser) -> None:
    opened = visit(browser, adasum.as_uri(), "book/three.html")
    page = opened.page
    page.wait_for_function("() => window.descentPlayground?.open")
    ids = [element.get_attribute("id") for element in page.locator(".playground").all()]
    assert ids == ["play-fig-adasum", "play-fig-adasum-2", "play-fig-again"]
    begun = page.evaluate(ALL_SETTINGS)
    for number, identity in enumerate(ids, 1):
        page.evaluate(CHANGE_ONE, [identity, {"nsteps": 40 + number, "race": ["sgd", "adasum"]}])
        page.wait_for_timeout(400)
    settings = page.evaluate(ALL_SETTINGS)
    assert [settings[identity]["nsteps"] for identity in ids] == [41, 42, 43]
    address = page.url
    fresh = visit(browser, adasum.as_uri(), f"book/three.html#{address.split('#')[1]}")
    fresh.page.wait_for_timeout(700)
    assert fresh.page.evaluate(ALL_SETTINGS) == settings
    assert fresh.page.url == address
    # A link that one of them gives begins with its own part; Reset takes away that part only.
    second = page.locator(f"#{ids[1]}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    second.locator(".play-take > summary").click()
    second.get_by_role("button", name="Copy link").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert [part.split("?")[0] for part in link.split("#")[1].split(";")] == [ids[1], ids[0], ids[2]]
    second.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(700)
    assert [part.split("?")[0] for part in page.url.split("#")[1].split(";")] == [ids[0], ids[2]]
    page.evaluate(f"location.hash = '#{ids[1]}?nsteps=7'")
    page.wait_for_timeout(700)
    now = page.evaluate(ALL_SETTINGS)
    assert now == {**settings, ids[1]: {**begun[ids[1]], "nsteps": 7, "shown": 7}}
    assert opened.complaints == fresh.complaints == []
    opened.page.context.close()
    fresh.page.context.close()


def test_a_new_optimizer_can_be_played_with_at_once(adasum: Path, browser: Browser) -> None:
    opened = visit(browser, adasum.as_uri(), "book/adasum.html")
    play = Play(opened)
    assert play.root.get_by_role("checkbox", name="AdaSum").is_checked()
    # The updates stand on one page here: a method's name is its own, and not that of a page.
    named = [method["title"] for method in play.ask("() => descentPlayground.methods")]
    assert {*named} == {"AdaSum", *(str(class_for(name).__doc__).partition(":")[0] for name in UPDATES)}
    assert {"AMSGrad", "SGD"} < {*named}
    assert play.setting["noise"] == 0.5
    slider = play.root.get_by_role("slider", name="η (lr)")
    slider.focus()
    play.page.keyboard.press("ArrowRight")
    play.settle()
    lr = play.setting["adasum.lr"]
    assert lr > 0.5
    p, v = torch.ones(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for _ in range(25):
        g = bowl().A @ p - 0.5 * torch.randn(2, generator=generator, dtype=torch.float64)
        v = v + g**2
        p = p - lr * g / (v.sqrt() + 1e-8)
    end = play.ask("(play) => [play.runs[0].xs[25], play.runs[0].ys[25]]")
    assert torch.allclose(torch.tensor(end, dtype=torch.float64), p, rtol=0, atol=1e-9)
    assert "AdasumOptimizer([w], lr=" in play.ask("(play) => play.python()")
    assert opened.complaints == []
    opened.page.context.close()


def test_a_playground_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    walk = SECTION[: SECTION.index("# A sum")] + "# Walk\n" + SECTION[SECTION.index("\n```{code-cell}") :]
    walk = (
        walk.replace("AdasumOptimizer", "SGDOptimizer").replace("adasum", "walk").replace(":set: noise=0.5", "OPTION")
    )
    own = walk[walk.index("```{code-cell}") : walk.index("```{playground}")].replace("walk", "own")
    own = own.replace("output(SGD", "class MyOptimizer(SGDOptimizer): pass\n\noutput(SGD").replace(
        "output(SGD", "output(My"
    )
    wrong = {
        "```{playground} fig-nowhere\n```": "there is no figure fig-nowhere that shows paths over a bowl",
        "```{playground} fig-own\n```": "fig-own shows a class that has no update equation",
        "```{playground} fig-walk\n:methods: sgd adams\n```": "no equation is labelled update-adams",
        "```{playground} fig-walk\n:set: adam.speed=3\n```": "cannot set adam.speed=3",
        "```{playground} fig-walk\n:set: noise=loud\n```": "cannot set noise=loud",
    }
    copy.write("book/walk.md", walk[: walk.index("```{playground}")] + own + "\n\n".join(wrong) + "\n")
    copy.write("_toc.yml", f"{TOC}  - file: book/walk\n")
    assert_faults(copy, [*wrong.values()])


def assert_faults(copy: Copy, said: list[str]) -> None:
    """The build finds these faults in `book/walk.md`, in this order, and no others."""
    *faults, _ = copy.faults()
    assert len(faults) == len(said), faults
    for fault, words in zip(sorted(faults, key=lambda line: int(re.search(r"md:(\d+)", line)[1])), said, strict=True):
        assert words in fault
        assert fault.startswith("book/walk.md:")
