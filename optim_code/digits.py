"""Handwritten digits, and the small network that the section *Training a network* trains on them.

The images are the test set of Alpaydin and Kaynak (1998), 1797 of 8 by 8 pixels, which scikit-learn brings along;
nothing is downloaded.
"""

from __future__ import annotations

import functools

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
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = torch.as_tensor(images, dtype=torch.float32) / 16
    return pixels - pixels.mean(0), torch.as_tensor(labels)


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
