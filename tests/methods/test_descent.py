"""The bowl's facts against closed forms, and what a run is."""

from __future__ import annotations

import math
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from optim_code import AdamOptimizer, Optim, RMSPropOptimizer, SGDMomentumOptimizer, SGDOptimizer, w
from optim_code.descent import descend
from optim_code.problems import Quadratic, bowl, lecture_bowl, start

pytestmark = pytest.mark.quick

CURVATURES = torch.tensor([1.0, 5.0], dtype=torch.float64)


def test_the_bowl_is_the_lectures():
    bowl = lecture_bowl()
    point = torch.tensor([0.3, -0.7], dtype=torch.float64)
    assert math.isclose(bowl(point), 0.5 * (0.3**2 + 5 * 0.7**2))
    assert torch.equal(bowl.curvatures, CURVATURES)
    assert bowl.condition_number == 5.0
    assert torch.equal(bowl.minimum, torch.zeros(2, dtype=torch.float64))
    assert w.dtype == torch.float64
    assert w.tolist() == [1.0, 1.0]


def test_noise_injected_into_b_is_subtracted_from_the_gradient():
    problem = Quadratic([[2.0, 1.0], [1.0, 3.0]], b=[1.0, -1.0])
    point, xi = start(), torch.tensor([0.5, -0.25], dtype=torch.float64)
    problem(point, xi).backward()
    assert torch.allclose(point.grad, torch.tensor([3 - 1 - 0.5, 4 + 1 + 0.25], dtype=torch.float64))
    assert torch.allclose(problem.A @ problem.minimum, problem.b)


@pytest.mark.parametrize(
    ("A", "b", "said"),
    [
        ([[1.0, 2.0], [0.0, 1.0]], None, "A must be a symmetric matrix"),
        ([[1.0, 0.0]], None, "A must be a symmetric matrix"),
        ([[1.0, 0.0], [0.0, -1.0]], None, "A must be positive definite"),
        ([[1.0, 0.0], [0.0, 1.0]], [1.0], r"b must have shape \(2,\)"),
    ],
)
def test_a_matrix_that_makes_no_bowl_is_refused(A, b, said):
    with pytest.raises(ValueError, match=said):
        Quadratic(torch.tensor(A), b)


@pytest.mark.parametrize("lr", [0.1, 0.33333, 0.41])
def test_sgd_follows_its_closed_form(lr):
    run = descend(SGDOptimizer([w], lr=lr))
    t = torch.arange(21, dtype=torch.float64)[:, None]
    assert torch.allclose(run.points, (1 - lr * CURVATURES) ** t, rtol=1e-12)


@pytest.mark.parametrize(("lr", "diverges"), [(0.399, False), (0.401, True)])
def test_sgd_is_stable_up_to_two_over_L(lr, diverges):
    assert descend(SGDOptimizer([w], lr=lr), nsteps=2000).diverged == diverges


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_momentum_is_stable_up_to_two_times_one_plus_beta_over_L(beta):
    limit = 2 * (1 + beta) / 5
    assert not descend(SGDMomentumOptimizer([w], lr=0.99 * limit, momentum=beta), nsteps=1000).diverged
    assert descend(SGDMomentumOptimizer([w], lr=1.01 * limit, momentum=beta), nsteps=1000).diverged


class NesterovOptimizer(Optim):
    """Nesterov's momentum as torch has it, for a linear rule that looks back at the last gradient."""

    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    def my_step(self, p, state, group):
        state["v"] = group["momentum"] * state.get("v", torch.zeros_like(p.data)) + p.grad.data
        p.data -= group["lr"] * (p.grad.data + group["momentum"] * state["v"])


LINEAR = {  # the optimizer, its limit over 1/L, and the steps that show it
    "sgd": (lambda p, lr, beta: SGDOptimizer([p], lr), lambda beta: 2.0, 3),
    "momentum": (lambda p, lr, beta: SGDMomentumOptimizer([p], lr, beta), lambda beta: 2 * (1 + beta), 3),
    "nesterov": (
        lambda p, lr, beta: NesterovOptimizer([p], lr, beta),
        lambda beta: 2 * (1 + beta) / (1 + 2 * beta),
        4,
    ),
}


def a_bowl_and_a_run(draw):
    """A bowl, perhaps moved and turned; a start on it, often at the minimum, near it or on an axis; noise and steps."""
    kappa, degrees = draw.choice((1, 5, draw.uniform(1, 1000))), draw.choice((0, draw.uniform(0, 180)))
    b = torch.tensor(draw.choice(([0.0, 0.0], [0.5, -2.0])), dtype=torch.float64)
    problem = Quadratic(bowl(kappa, degrees).A, b)
    away = draw.choice(((0, 0), (1e-4, 0), (0.1, 0), (1, 0), (1, 1), (draw.uniform(-2, 2), draw.uniform(-2, 2))))
    p = (problem.minimum + torch.tensor(away, dtype=torch.float64)).requires_grad_()
    noise, nsteps = draw.choice((0.0, 0.1, draw.uniform(0, 3))), draw.choice((5, 20, draw.randint(4, 150)))
    return problem, p, away, degrees, dict(noise=noise, nsteps=nsteps, seed=draw.randrange(1000))


@pytest.mark.parametrize("name", LINEAR)
def test_a_run_of_a_linear_rule_has_diverged_if_and_only_if_theory_says_so(name):
    make, limit_of, _ = LINEAR[name]
    draw, kinds = random.Random(name), set()
    for _ in range(100):
        problem, p, away, degrees, setting = a_bowl_and_a_run(draw)
        beta = 0.0 if name == "sgd" else draw.choice((0.5, draw.uniform(0, 0.99)))
        limit = limit_of(beta) / float(problem.curvatures[-1])
        part = draw.choice((1.0, 0.59 / 0.6, 0.9999, 1.0001, 1.02, draw.uniform(0.01, 2)))
        run = descend(make(p, part * limit, beta), problem, **setting)
        # Without noise a run stays at the minimum, and never leaves a flat axis that it began on.
        still = setting["noise"] == 0 and (
            away == (0, 0) or (away[1] == 0 and degrees == 0 and problem.condition_number > 1)
        )
        kinds.add((part > 1, still))
        if not (still and away != (0, 0) and torch.any(problem.b)):  # there, rounding may push it off its axis
            assert run.diverged == (part > 1 and not still), (name, beta, part, away, degrees, setting)
        assert run.diverged == ("diverges" in run.summary())
    assert len(kinds) == 4


@pytest.mark.parametrize("name", LINEAR)
def test_as_few_steps_as_are_said_show_divergence(name):
    make, limit_of, enough = LINEAR[name]
    beta = 0.0 if name == "sgd" else 0.5
    for part, expected in ((1.05, True), (0.95, False)):
        optimizer = make(start(), part * limit_of(beta) / 5, beta)
        assert descend(optimizer, nsteps=enough).diverged == expected
        assert not descend(optimizer, nsteps=enough - 1).diverged or enough > 3


def test_no_run_of_another_rule_has_diverged_while_its_loss_is_a_number():
    draw, farther = random.Random(2), 0
    for _ in range(100):
        problem, p, _, _, setting = a_bowl_and_a_run(draw)
        lr, alpha = 10 ** draw.uniform(-3, 1), draw.choice((0.0, draw.uniform(0, 0.999)))
        momentum = draw.choice((0.0, draw.uniform(0, 0.999)))
        adam = AdamOptimizer([p], lr=lr, alpha=alpha, momentum=momentum)
        run = descend(draw.choice((adam, RMSPropOptimizer([p], lr=lr, alpha=alpha))), problem, **setting)
        assert not run.diverged, run.setting
        farther += "farther out than it began" in run.summary()
    assert farther > 5


def test_the_summary_says_what_became_of_a_run_that_rose():
    gentle = descend(SGDMomentumOptimizer([w], lr=0.59, momentum=0.5), nsteps=3)
    assert gentle.losses[-1] > gentle.losses[0]
    assert gentle.summary().startswith(
        f"is {gentle.distances[-1]:.2g} from the minimum after 3 steps, farther out than"
    )
    edge = descend(SGDMomentumOptimizer([w], lr=0.6, momentum=0.5), nsteps=1000)
    assert edge.losses[-1] > edge.losses[0] * 0.1
    assert "diverge" not in edge.summary()
    early = descend(SGDOptimizer([w], lr=0.401), nsteps=5)
    assert early.summary().startswith("diverges, though the loss falls from 3 to 2.63 in 5 steps")
    late = descend(SGDOptimizer([w], lr=0.41))
    assert late.summary().startswith(f"diverges: the loss grows from 3 to {late.losses[-1]:.3g} in 20 steps")


def test_momentum_at_its_best_shrinks_by_the_root_of_beta():
    run = descend(SGDMomentumOptimizer([w], lr=0.38196601125, momentum=0.14589803375), nsteps=30)
    t, r = torch.arange(31, dtype=torch.float64)[:, None], torch.tensor([1, -1]) * 0.38196601125
    assert torch.allclose(run.points, (1 + t * (1 - r)) * r**t, rtol=1e-4, atol=1e-12)


def test_the_stationary_variance_of_momentum_is_as_derived():
    many = Quadratic(torch.diag(CURVATURES.repeat(300)))
    for lr, beta, expected in ((0.1, 0.0, (0.05263, 0.01333)), (0.02, 0.8, (0.05028, 0.01029))):
        p = torch.zeros(600, dtype=torch.float64, requires_grad=True)
        x = descend(SGDMomentumOptimizer([p], lr=lr, momentum=beta), many, nsteps=500, noise=1.0).points[150:]
        for i in range(2):
            assert math.isclose(x[:, i::2].pow(2).mean().item(), expected[i], rel_tol=0.06)


def test_rmsprop_ends_in_a_cycle_of_half_the_learning_rate():
    run = descend(RMSPropOptimizer([w], lr=0.1, alpha=0.8), nsteps=400)
    assert torch.allclose(run.points[-2:].abs(), torch.full((2, 2), 0.05, dtype=torch.float64), rtol=1e-5)
    assert torch.allclose(run.points[-1], -run.points[-2], rtol=1e-5)


def test_a_run_of_n_steps_has_n_plus_one_points_and_starts_at_the_start():
    run = descend(SGDOptimizer([w], lr=0.1), nsteps=7)
    assert run.points.shape == (8, 2)
    assert run.losses.shape == (8,)
    assert run.gradients.shape == (7, 2)
    assert run.points[0].tolist() == [1.0, 1.0]
    assert torch.equal(run.losses, lecture_bowl()(run.points))
    assert descend(SGDOptimizer([w], lr=0.1), nsteps=0).points.tolist() == [[1.0, 1.0]]


def test_a_run_leaves_parameter_gradient_and_state_as_they_were():
    p = start()
    optimizer = AdamOptimizer([p], lr=0.1, alpha=0.9, momentum=0.9)
    first = descend(optimizer, nsteps=10, noise=1.0)
    assert p.tolist() == [1.0, 1.0]
    assert p.grad is None
    assert not optimizer.state
    assert torch.equal(first.points, descend(optimizer, nsteps=10, noise=1.0).points)


def test_the_parameter_is_put_back_even_if_a_step_raises():
    class Raises(SGDOptimizer):
        def my_step(self, p, state, group):
            p.data += 1
            raise RuntimeError("of the student's")

    p = start()
    with pytest.raises(RuntimeError, match="of the student's"):
        descend(Raises([p], lr=0.1))
    assert p.tolist() == [1.0, 1.0]


def test_the_same_seed_meets_the_same_noise_whatever_the_optimizer_and_the_length():
    def noise(optimizer, nsteps, level, seed=0):
        run = descend(optimizer, nsteps=nsteps, noise=level, seed=seed)
        return (run.points[:-1] * CURVATURES - run.gradients) / level

    long = noise(SGDOptimizer([w], lr=0.1), 40, 1.0)
    short = noise(AdamOptimizer([w], lr=0.1, alpha=0.9, momentum=0.9), 5, 0.1)
    assert torch.allclose(long[:5], short, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(long, noise(SGDOptimizer([w], lr=0.1), 40, 1.0, seed=1))
    assert 0.7 < long.std() < 1.3


def test_a_diverging_run_goes_to_infinity_without_an_error():
    run = descend(SGDOptimizer([w], lr=1e300), nsteps=10)
    assert run.diverged
    assert "diverges" in run.summary()


def test_the_summary_counts_steps_and_crossings():
    run = descend(SGDOptimizer([w], lr=0.33333))
    by_hand = next(t for t in range(21) if math.hypot((1 - 0.33333) ** t, (1 - 5 * 0.33333) ** t) <= 1e-3)
    assert run.summary() == f"comes within 0.001 of the minimum in {by_hand} steps, crossing the valley 20 times"
    far = descend(SGDOptimizer([w], lr=0.1))
    assert far.summary() == f"is {0.9**20:.2g} from the minimum after 20 steps, never crossing the valley"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (dict(nsteps=-1), "nsteps must be a whole number >= 0, got -1"),
        (dict(nsteps=2.5), "nsteps must be a whole number >= 0, got 2.5"),
        (dict(noise=-1.0), "noise must be finite and >= 0, got -1.0"),
        (dict(noise=math.nan), "noise must be finite and >= 0, got nan"),
    ],
)
def test_a_bad_argument_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        descend(SGDOptimizer([w], lr=0.1), **arguments)


def test_a_parameter_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="one parameter, got 2"):
        descend(SGDOptimizer([start(), start()], lr=0.1))
    with pytest.raises(ValueError, match=r"shape \(2,\) to fit the problem, got \(3,\)"):
        descend(SGDOptimizer([torch.zeros(3, dtype=torch.float64, requires_grad=True)], lr=0.1))
    with pytest.raises(ValueError, match="must be float64"):
        descend(SGDOptimizer([torch.ones(2, requires_grad=True)], lr=0.1))
    with pytest.raises(ValueError, match="requires_grad=True"):
        descend(SGDOptimizer([torch.ones(2, dtype=torch.float64)], lr=0.1))


def test_bowls_side_by_side_are_the_same_sums_as_any_quadratic():
    A, b = torch.diag(CURVATURES.repeat(3)), torch.linspace(-1, 1, 6, dtype=torch.float64)
    turn = torch.linalg.qr(torch.arange(36, dtype=torch.float64).reshape(6, 6).sin()).Q
    points = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(4, 6)
    plain, turned = Quadratic(A, b), Quadratic(turn @ A @ turn.T, turn @ b)
    assert torch.allclose(plain(points), turned(points @ turn.T), rtol=1e-12)


# --- what is refused, in one line, and what holds whatever the caller does


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (dict(seed=-(2**70)), ValueError, "seed must be a whole number of 64 bits, got -1180591620717411303424"),
        (dict(seed=1.5), ValueError, "seed must be a whole number of 64 bits, got 1.5"),
        (dict(seed="x"), ValueError, "seed must be a whole number of 64 bits, got 'x'"),
        (dict(seed=None), ValueError, "seed must be a whole number of 64 bits, got None"),
        (dict(noise="1"), ValueError, "noise must be finite and >= 0, got '1'"),
        (dict(noise=None), ValueError, "noise must be finite and >= 0, got None"),
        (dict(noise=1j), ValueError, "noise must be finite and >= 0, got 1j"),
        (dict(noise=10**400), ValueError, "noise must be finite and >= 0, got 1000"),
        (dict(nsteps="3"), ValueError, "nsteps must be a whole number >= 0, got '3'"),
        (dict(nsteps=None), ValueError, "nsteps must be a whole number >= 0, got None"),
        (dict(problem="bowl"), TypeError, r"problem must be a Quadratic, such as bowl\(5\), got str"),
        (dict(problem=bowl), TypeError, r"problem must be a Quadratic, such as bowl\(5\), got function"),
    ],
)
def test_a_refused_argument_leaves_parameter_and_state_alone(arguments, error, said):
    p = start()
    optimizer = AdamOptimizer([p], lr=0.1, alpha=0.9, momentum=0.9)
    p.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step()
    at, state = p.tolist(), dict(optimizer.state[p])
    with pytest.raises(error, match=f"^{said}"):
        descend(optimizer, **arguments)
    assert p.tolist() == at
    assert optimizer.state[p] == state


def test_what_is_no_optimizer_is_refused():
    for wrong, what in ((SGDOptimizer, "the class SGDOptimizer"), ("sgd", "str"), (w, "Tensor"), (None, "NoneType")):
        with pytest.raises(TypeError, match=rf"^descend needs an optimizer, such as SGDOptimizer\(.*\), got {what}$"):
            descend(wrong)


@pytest.mark.parametrize("name", sorted(n for n, c in vars(torch.optim).items() if isinstance(c, type)))
def test_every_optimizer_of_torchs_runs_twice_alike_or_is_refused_in_one_line(name):
    if name in ("Optimizer", "Muon"):  # the base class, and one for matrices: torch refuses to make them of a vector
        with pytest.raises((TypeError, ValueError)):
            getattr(torch.optim, name)([start()])
        return
    optimizer = getattr(torch.optim, name)([start()])
    if name in ("LBFGS", "SparseAdam"):
        with pytest.raises(ValueError, match=name) as caught:
            descend(optimizer)
        assert "\n" not in str(caught.value)
        return
    first, second = (descend(optimizer, nsteps=5, noise=0.1) for _ in range(2))
    assert torch.equal(first.points, second.points)
    assert not torch.equal(first.points[0], first.points[-1])
    assert first.optimizer.startswith(name)
    assert all(isinstance(value, (str, int, float)) for value in first.setting.values())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_run_has_gradients_whatever_mode_the_caller_is_in(mode):
    tilted = [[2.0, 1.0], [1.0, 3.0]]
    usual = descend(SGDOptimizer([w], lr=0.1), Quadratic(tilted))
    with mode():
        assert torch.equal(descend(SGDOptimizer([w], lr=0.1), Quadratic(tilted)).points, usual.points)
        p = start()
    if mode is torch.inference_mode:
        with pytest.raises(ValueError, match="outside inference_mode"):
            descend(SGDOptimizer([p], lr=0.1))


@pytest.mark.parametrize("at", [math.nan, math.inf, 1e200, -1e160])
def test_a_run_that_cannot_begin_is_refused(at):
    p = torch.tensor([at, 1.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"^a run must start where the cost is finite, got ") as caught:
        descend(SGDOptimizer([p], lr=0.1))
    assert f"{at:g}" in str(caught.value)


class Counts(Optim):
    """A class that keeps on itself what belongs in ``state``."""

    def __init__(self, params, lr, kind):
        super().__init__(params, dict(lr=lr))
        kept = {"number": 0, "tensor": torch.zeros(2).double(), "dict": {}, "list": [0.0]}
        self.kind, self.kept, self.seen = kind, kept[kind], []

    def my_step(self, p, state, group):
        self.seen.append(p.tolist())
        if self.kind == "number":
            self.kept += 1
            p.data -= group["lr"] / self.kept * p.grad.data
        elif self.kind == "tensor":
            self.kept.mul_(0.5).add_(p.grad.data)
            p.data -= group["lr"] * self.kept
        elif self.kind == "list":
            self.kept[0] = 0.5 * self.kept[0] + p.grad.data
            p.data -= group["lr"] * self.kept[0]
        else:
            self.kept[p] = 0.5 * self.kept.get(p, 0.0) + p.grad.data
            p.data -= group["lr"] * self.kept[p]


@pytest.mark.parametrize("kind", ["number", "tensor", "dict", "list"])
def test_what_outlasts_a_run_on_self_is_said(kind):
    optimizer = Counts([start()], lr=0.1, kind=kind)
    said = "^Counts keeps kept on self, which outlasts the run, so another run may differ; keep it in state, or "
    with pytest.warns(UserWarning, match=said) as warned:
        first = descend(optimizer)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    with pytest.warns(UserWarning, match=said):
        assert not torch.equal(first.points, descend(optimizer).points)


def test_hyper_parameters_and_a_parameter_that_a_step_replaces_are_put_back():
    class Falls(SGDOptimizer):
        def my_step(self, p, state, group):
            p.data = p.data - group["lr"] * p.grad.data
            group["lr"] *= 0.9

    p = start()
    place, optimizer = p.data_ptr(), Falls([p], lr=0.1)
    first = descend(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert p.tolist() == [1.0, 1.0]
    assert p.data_ptr() == place
    assert torch.equal(first.points, descend(optimizer).points)
    assert first.setting["lr"] == 0.1


def test_runs_in_several_threads_do_not_meet():
    optimizer = AdamOptimizer([w], lr=0.1, alpha=0.9, momentum=0.9)
    alone = descend(optimizer, nsteps=300, noise=0.1).points
    # A step that lets the others go on, in the middle of the run.
    optimizer.register_step_post_hook(lambda *_: time.sleep(0))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: descend(optimizer, nsteps=300, noise=0.1).points, range(8)))
    assert all(torch.equal(points, alone) for points in found)
    assert w.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "A", ["x", None, 3, [], [[]], [[1.0, 2.0], [3.0]], [[math.nan, 0], [0, 1]], [[math.inf]]], ids=str
)
def test_what_is_no_matrix_is_refused_in_one_line(A):
    with pytest.raises(ValueError, match=r"^A must ") as caught:
        Quadratic(A)
    assert "\n" not in str(caught.value)


def test_a_quadratic_does_not_change_with_the_tensor_that_it_was_made_of():
    A = torch.eye(2, dtype=torch.float64)
    problem = Quadratic(A)
    A[0, 0] = -1
    assert problem.A.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    for arguments in (dict(condition_number="5"), dict(condition_number=None), dict(rotation="x"), dict(rotation=1j)):
        with pytest.raises(
            ValueError, match=f"{next(iter(arguments))} must be .*, got {next(iter(arguments.values()))!r}"
        ):
            bowl(**arguments)
