"""The four classes against torch's own, step for step, and as real torch optimizers."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from optim_code import AdamOptimizer, Optim, RMSPropOptimizer, SGDMomentumOptimizer, SGDOptimizer
from optim_code.descent import descend
from optim_code.problems import start

# Each class with the torch optimizer it must equal, for one setting of the hyper-parameters.
TWINS = {
    "sgd": (lambda ps: SGDOptimizer(ps, lr=0.1), lambda ps: torch.optim.SGD(ps, lr=0.1)),
    "momentum": (
        lambda ps: SGDMomentumOptimizer(ps, lr=0.02, momentum=0.8),
        lambda ps: torch.optim.SGD(ps, lr=0.02, momentum=0.8),
    ),
    "rmsprop": (
        lambda ps: RMSPropOptimizer(ps, lr=0.01, alpha=0.9),
        lambda ps: torch.optim.RMSprop(ps, lr=0.01, alpha=0.9, eps=1e-8),
    ),
    "rmsprop, large eps": (
        lambda ps: RMSPropOptimizer(ps, lr=0.01, alpha=0.9, eps=1e-2),
        lambda ps: torch.optim.RMSprop(ps, lr=0.01, alpha=0.9, eps=1e-2),
    ),
    "adam": (
        lambda ps: AdamOptimizer(ps, lr=0.01, alpha=0.999, momentum=0.9),
        lambda ps: torch.optim.Adam(ps, lr=0.01, betas=(0.9, 0.999), eps=1e-8),
    ),
    "adam, large eps": (
        lambda ps: AdamOptimizer(ps, lr=0.01, alpha=0.7, momentum=0.6, eps=1e-2),
        lambda ps: torch.optim.Adam(ps, lr=0.01, betas=(0.6, 0.7), eps=1e-2),
    ),
}
BITWISE = {"sgd", "momentum"}  # torch does the same operations in the same order here
OURS = {
    SGDOptimizer: dict(lr=0.1),
    SGDMomentumOptimizer: dict(lr=0.1, momentum=0.9),
    RMSPropOptimizer: dict(lr=0.1, alpha=0.9, eps=1e-8),
    AdamOptimizer: dict(lr=0.1, alpha=0.9, momentum=0.9, eps=1e-8),
}


def bowl_gradients(nsteps: int = 200) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The start, and the gradients of a noisy run on the bowl."""
    run = descend(AdamOptimizer([start()], lr=0.05, alpha=0.9, momentum=0.9), nsteps=nsteps, noise=0.5, seed=7)
    return [run.points[0]], [[g] for g in run.gradients]


def network_gradients(nsteps: int = 200) -> tuple[list[Tensor], list[list[Tensor]]]:
    """The weights of a random network of three layers, and the gradients of a run of torch's SGD on it."""
    torch.manual_seed(11)
    net = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x, y = torch.randn(64, 6, dtype=torch.float64), torch.randn(64, 1, dtype=torch.float64)
    first = [p.detach().clone() for p in net.parameters()]
    optimizer, seen = torch.optim.SGD(net.parameters(), lr=0.05), []
    for _ in range(nsteps):
        batch = torch.randint(64, (8,))
        optimizer.zero_grad()
        nn.functional.mse_loss(net(x[batch]), y[batch]).backward()
        seen.append([p.grad.clone() for p in net.parameters()])
        optimizer.step()
    return first, seen


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("recorded", [bowl_gradients, network_gradients])
def test_equals_its_torch_twin_when_both_see_the_same_gradients(name, recorded):
    first, gradients = recorded()
    sides = []
    for make in TWINS[name]:
        params = [nn.Parameter(p.clone()) for p in first]
        sides.append((params, make(params)))
    assert len(gradients) == 200
    for t, step in enumerate(gradients):
        for params, optimizer in sides:
            for p, g in zip(params, step, strict=True):
                p.grad = g.clone()
            optimizer.step()
        for ours, theirs in zip(sides[0][0], sides[1][0], strict=True):
            if name in BITWISE:
                assert torch.equal(ours, theirs), f"step {t}"
            else:
                assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12), f"step {t}"


@pytest.mark.parametrize("cls", OURS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", -0.1),
        ("lr", math.nan),
        ("lr", math.inf),
        ("lr", "0.1x"),
        ("momentum", 1.0),
        ("momentum", -0.1),
        ("momentum", math.nan),
        ("alpha", 1.0),
        ("alpha", 1.5),
        ("alpha", -1e-9),
        ("alpha", math.nan),
        ("eps", -1e-8),
        ("eps", math.inf),
    ],
)
def test_a_bad_hyper_parameter_is_refused_with_its_name_and_value(cls, name, value):
    if name not in OURS[cls]:
        with pytest.raises(TypeError):
            cls([start()], **{**OURS[cls], name: value})
        return
    with pytest.raises(ValueError, match=rf"^{name} must be .*, got ") as caught:
        cls([start()], **{**OURS[cls], name: value})
    assert repr(value) in str(caught.value)


def test_a_bad_hyper_parameter_of_a_group_is_refused_too():
    with pytest.raises(ValueError, match="lr must be finite and >= 0, got -1"):
        SGDOptimizer([dict(params=[start()], lr=-1)], lr=0.1)


@pytest.mark.parametrize("cls", OURS)
def test_groups_use_their_own_hyper_parameters(cls):
    a, b, alone = start(), start(), start()
    optimizer = cls([dict(params=[a], lr=0.3), dict(params=[b])], **OURS[cls])
    single = cls([alone], **{**OURS[cls], "lr": 0.3})
    for p in (a, b, alone):
        p.grad = torch.tensor([1.0, -2.0], dtype=torch.float64)
    optimizer.step()
    single.step()
    assert torch.equal(a, alone)
    assert not torch.equal(b, alone)


@pytest.mark.parametrize("cls", OURS)
def test_parameters_without_a_gradient_are_left_alone(cls):
    a, b = start(), start()
    optimizer = cls([a, b], **OURS[cls])
    a.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step()
    assert not torch.equal(a, start())
    assert torch.equal(b, start())
    assert b not in optimizer.state


@pytest.mark.parametrize("cls", OURS)
def test_each_parameter_has_a_state_of_its_own(cls):
    a, b, alone = start(), start(), start()
    both, single = cls([a, b], **OURS[cls]), cls([alone], **OURS[cls])
    for t in range(5):
        a.grad = torch.full((2,), 1.0 + t, dtype=torch.float64)
        b.grad = torch.full((2,), -3.0, dtype=torch.float64)
        alone.grad = a.grad.clone()
        both.step()
        single.step()
    assert torch.equal(a, alone)


@pytest.mark.parametrize("cls", OURS)
def test_the_gradient_is_not_changed(cls):
    p = start()
    optimizer = cls([p], **OURS[cls])
    p.grad = torch.tensor([3.0, -4.0], dtype=torch.float64)
    for _ in range(3):
        optimizer.step()
    assert torch.equal(p.grad, torch.tensor([3.0, -4.0], dtype=torch.float64))


@pytest.mark.parametrize("cls", OURS)
def test_a_saved_and_loaded_optimizer_goes_on_as_if_nothing_had_happened(cls, tmp_path):
    torch.manual_seed(0)
    gradients = torch.randn(20, 2, dtype=torch.float64)

    def run(p, optimizer, part):
        for g in part:
            p.grad = g.clone()
            optimizer.step()

    p = start()
    optimizer = cls([p], **OURS[cls])
    run(p, optimizer, gradients[:10])
    torch.save(optimizer.state_dict(), tmp_path / "state.pt")
    q = p.detach().clone().requires_grad_()
    fresh = cls([q], **{**OURS[cls], "lr": 9.0})
    fresh.load_state_dict(torch.load(tmp_path / "state.pt"))
    run(p, optimizer, gradients[10:])
    run(q, fresh, gradients[10:])
    assert torch.equal(p, q)
    assert fresh.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]


@pytest.mark.parametrize("cls", OURS)
def test_a_scheduler_changes_the_steps(cls):
    p, q = start(), start()
    optimizer = cls([p], **OURS[cls])
    plain = cls([q], **OURS[cls])
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.0)
    moved = []
    for _ in range(2):
        before = p.detach().clone()
        for x, o in ((p, optimizer), (q, plain)):
            x.grad = torch.ones(2, dtype=torch.float64)
            o.step()
        scheduler.step()
        moved.append(not torch.equal(p, before))
    assert moved == [True, False]


@pytest.mark.parametrize("cls", OURS)
def test_step_calls_the_closure_with_gradients_enabled_and_returns_its_loss(cls):
    p = start()
    optimizer = cls([p], **OURS[cls])

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss.item() == 2.0
    assert (p < 1).all()
    assert optimizer.step() is None


def test_a_subclass_without_my_step_says_what_to_write():
    class Empty(Optim):
        def __init__(self, params):
            super().__init__(params, {})

    p = start()
    p.grad = torch.ones(2, dtype=torch.float64)
    with pytest.raises(NotImplementedError, match=r"Empty must define my_step\(self, p, state, group\)"):
        Empty([p]).step()


def test_a_student_class_with_only_lr_runs_as_it_stands():
    class Mine(Optim):
        def __init__(self, params, lr=1e-3):
            super().__init__(params, dict(lr=lr))

        def my_step(self, p, state, group):
            p.data.add_(-group["lr"] * p.grad.data)

    ours = descend(Mine([start()], lr=0.1))
    assert torch.allclose(ours.points, descend(SGDOptimizer([start()], lr=0.1)).points, rtol=1e-14)


def test_adam_first_step_is_lr_times_sign():
    p = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    p.grad = torch.tensor([1e-3, -5.0, 70.0], dtype=torch.float64)
    AdamOptimizer([p], lr=0.1, alpha=0.999, momentum=0.9).step()
    assert torch.allclose(p.detach(), torch.tensor([-0.1, 0.1, -0.1], dtype=torch.float64), rtol=1e-4)


@pytest.mark.parametrize("cls", OURS)
def test_a_copy_of_an_optimizer_is_independent(cls):
    p = start()
    optimizer = cls([p], **OURS[cls])
    p.grad = torch.ones(2, dtype=torch.float64)
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    before = p.detach().clone()
    (q,) = twin.param_groups[0]["params"]
    q.grad = torch.ones(2, dtype=torch.float64)
    twin.step()
    assert torch.equal(p, before)
