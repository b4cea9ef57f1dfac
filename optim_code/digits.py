"""Handwritten digits, and the small network that the section *Training a network* trains on them.

The images are the test set of Alpaydin and Kaynak (1998), 1797 of 8 by 8 pixels, which scikit-learn brings along;
nothing is downloaded.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import numpy
import torch
from torch import Tensor, nn

PIXELS, HIDDEN, CLASSES = 64, 64, 10


@functools.cache
def digits() -> tuple[Tensor, Tensor]:
    """The images and their labels.

    Returns:
        The pixels, of shape (1797, 64), in float32 between 0 and 1, less the mean of each pixel; and the labels, the
        digits 0 to 9, of shape (1797,).
    """
    # Only its file is read: to import scikit-learn takes a second, and each worker of a training would do so.
    paths = [Path(folder, "sklearn/datasets/data/digits.csv.gz") for folder in sys.path]
    file = next(filter(Path.is_file, paths), None)
    if file is None:
        raise ModuleNotFoundError("the digits come with scikit-learn, which is not installed: pip install scikit-learn")
    table = numpy.loadtxt(file, delimiter=",")  # in each row the pixels, between 0 and 16, and the label
    pixels = torch.as_tensor(table[:, :-1], dtype=torch.float32) / 16
    return pixels - pixels.mean(0), torch.as_tensor(table[:, -1], dtype=torch.int64)


def network(seed: int = 0) -> nn.Sequential:
    """A network of 64 inputs, 64 hidden units with tanh, and 10 outputs, drawn at random.

    Args:
        seed: of the generator that draws the weights; torch's own is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, CLASSES))


def squared_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """Half the squared distance from the outputs to 1 for the right digit and 0 for the others, averaged over examples.

    Args:
        outputs: of the network, of shape (…, examples, 10); leading dimensions are networks side by side.
        labels: the digits, of shape (…, examples).

    Returns:
        The loss of each network, of shape (…), a single number for one network.
    """
    targets = (labels[..., None] == torch.arange(CLASSES, device=labels.device)).to(outputs.dtype)
    return (outputs - targets).square().sum(-1).mean(-1) / 2


def flat(net: nn.Module) -> Tensor:
    """The parameters of a network as one vector, of shape (4810,)."""
    return nn.utils.parameters_to_vector(net.parameters()).detach()


def outputs_of(stack: Tensor, images: Tensor) -> Tensor:
    """The outputs of many networks side by side.

    Args:
        stack: the networks, each as `flat` gives it, of shape (…, 4810).
        images: of shape (examples, 64), or (…, examples, 64) if each network has its own.

    Returns:
        The outputs, of shape (…, examples, 10).
    """
    sizes = [HIDDEN * PIXELS, HIDDEN, CLASSES * HIDDEN, CLASSES]
    w1, b1, w2, b2 = torch.split(stack, sizes, dim=-1)
    hidden = torch.tanh(images @ w1.reshape(*w1.shape[:-1], HIDDEN, PIXELS).mT + b1.unsqueeze(-2))
    return hidden @ w2.reshape(*w2.shape[:-1], CLASSES, HIDDEN).mT + b2.unsqueeze(-2)


def train_all(
    optimizer_class: Callable[..., torch.optim.Optimizer],
    rates: Sequence[float],
    starts: Tensor,
    batches: Iterable[Tensor],
    loss: Callable[[Tensor, Tensor], Tensor] = squared_loss,
    *,
    clear: bool = True,
    watch: Collection[int] = (),
    **hyper: float,
) -> tuple[Tensor, list[Tensor]]:
    """Train each of several networks with each of several learning rates, all side by side.

    The optimizers of the book treat each parameter by itself, so every run is what it would be alone, up to rounding.

    Args:
        optimizer_class: its learning rate must be called ``lr``.
        rates: the learning rates.
        starts: the networks at the start, of shape (networks, 4810).
        batches: for each step which digits each network sees, of shape (networks, examples).
        loss: of the outputs and labels, as `squared_loss`.
        clear: whether the gradients are cleared before each step.
        watch: the steps before which the networks are recorded.
        hyper: the other hyper-parameters of the optimizer.

    Returns:
        The networks at the end, of shape (rates, networks, 4810), and those before each of the watched steps.
    """
    images, labels = digits()
    copies = [starts.clone().requires_grad_() for _ in rates]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(copies, rates, strict=True)]
    optimizer, watched = optimizer_class(groups, lr=0.0, **hyper), []
    for step, batch in enumerate(batches):
        stack = torch.stack(copies)
        if step in watch:
            watched.append(stack.detach())
        if clear:
            optimizer.zero_grad()
        torch.autograd.backward(loss(outputs_of(stack, images[batch]), labels[batch]).sum())
        optimizer.step()
    return torch.stack(copies).detach(), watched
