"""What a step of the book's classes costs beside torch's own: time and memory, on one thread.

`make bench` prints the table; the tests use `Peak`. By itself: `python -m tests.optimizer_cost`.
"""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from optim_code import AdamOptimizer, RMSPropOptimizer, SGDMomentumOptimizer, SGDOptimizer

Make = Callable[[list[nn.Parameter]], torch.optim.Optimizer]

PAIRS: dict[str, tuple[Make, Make]] = {
    "SGD": (
        lambda params: SGDOptimizer(params, lr=0.01),
        lambda params: torch.optim.SGD(params, lr=0.01, foreach=False),
    ),
    "momentum": (
        lambda params: SGDMomentumOptimizer(params, lr=0.01, momentum=0.9),
        lambda params: torch.optim.SGD(params, lr=0.01, momentum=0.9, foreach=False),
    ),
    "RMSProp": (
        lambda params: RMSPropOptimizer(params, lr=0.01, alpha=0.9),
        lambda params: torch.optim.RMSprop(params, lr=0.01, alpha=0.9, foreach=False),
    ),
    "Adam": (
        lambda params: AdamOptimizer(params, lr=0.01, alpha=0.999, momentum=0.9),
        lambda params: torch.optim.Adam(params, lr=0.01, betas=(0.9, 0.999), foreach=False),
    ),
}
"""The book's class and torch's, by the method; torch's visits one parameter after the other, too."""

SIZES = [(numbers, tensors) for numbers in (10**3, 10**5, 10**7) for tensors in (1, 100)]
ROUNDS = 15
AT_MOST = 1.10


class Peak(TorchDispatchMode):
    """Counts the bytes of the tensors that are made meanwhile.

    Attributes:
        peak: the most that they held at one time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
        self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and all(made is not x for x in args):
            storage = made.untyped_storage()
            self.held[storage] = storage.nbytes()
            self.peak = max(self.peak, sum(self.held.values()))
        return made


def ready(make: Make, numbers: int, tensors: int) -> torch.optim.Optimizer:
    """An optimizer whose parameters have gradients, and that has made its state in a first step."""
    torch.manual_seed(0)
    params = [nn.Parameter(torch.randn(numbers // tensors)) for _ in range(tensors)]
    for p in params:
        p.grad = torch.randn_like(p)
    optimizer = make(params)
    optimizer.step()
    return optimizer


def copies(make: Make, numbers: int, tensors: int) -> float:
    """What a step holds at its peak beside parameters, gradients and state, in copies of one tensor."""
    optimizer = ready(make, numbers, tensors)
    with Peak() as seen:
        optimizer.step()
    return seen.peak / (4 * (numbers // tensors))


def took(optimizer: torch.optim.Optimizer, steps: int) -> float:
    began = time.process_time()
    for _ in range(steps):
        optimizer.step()
    return time.process_time() - began


def ratio(pair: tuple[Make, Make], numbers: int, tensors: int) -> float:
    """The time of the book's step over torch's: the median of rounds in which each goes first in turn."""
    both = [ready(make, numbers, tensors) for make in pair]
    steps = max(1, 100 // tensors if numbers <= 10**5 else 1)
    found = []
    for number in range(ROUNDS):
        seconds = {optimizer: took(optimizer, steps) for optimizer in (both if number % 2 else both[::-1])}
        found.append(seconds[both[0]] / seconds[both[1]])
    return statistics.median(found)


def table() -> tuple[list[str], dict[str, dict[str, float]]]:
    """The rows of the table, and the ratios by size and method."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = [f"| step, to torch's | {' | '.join(PAIRS)} | at most |", f"| --- |{' ---: |' * (len(PAIRS) + 1)}"]
    found: dict[str, dict[str, float]] = {}
    for numbers, tensors in SIZES:
        what = f"{numbers:.0e} numbers in {tensors} tensor{'s' * (tensors > 1)}".replace("e+0", "e")
        found[what] = {name: ratio(pair, numbers, tensors) for name, pair in PAIRS.items()}
        rows.append(f"| {what} | {' | '.join(f'{value:.2f}' for value in found[what].values())} | {AT_MOST:.2f} |")
    held = {name: [copies(make, 10**5, 1) for make in pair] for name, pair in PAIRS.items()}
    rows.append(f"| copies held at the peak | {' | '.join(f'{a:g} : {b:g}' for a, b in held.values())} | 1 : 1 |")
    torch.set_num_threads(threads)
    return rows, found


if __name__ == "__main__":
    print("\n".join(table()[0]))
