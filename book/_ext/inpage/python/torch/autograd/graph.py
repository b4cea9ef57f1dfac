"""How a tensor remembers what it was computed from."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from .._tensor import Tensor

RECORDING = [True]
"""Whether operations are recorded; a list, so that all modules see one value."""


class Node:
    """An operation that led to a tensor.

    Attributes:
        name: as PyTorch prints it, such as ``MulBackward0``.
        edges: what the operation was given: operations, leaves, or None for what has no gradient.
        derivative: gives the gradient for each of them, from that of the result; None once it was used.
        leaf: the leaf whose memory the result shares, if the operation is a view of one.
    """

    def __init__(self, name: str, edges: Sequence[Edge | None], derivative: Derivative, leaf: Tensor | None = None):
        self.name, self.edges, self.leaf = name, edges, leaf
        self.derivative: Derivative | None = derivative

    def __repr__(self) -> str:
        return f"<{self.name}>"


Edge = Union[Node, "Tensor"]
Derivative = Callable[["Tensor"], "Sequence[Tensor | None]"]


def edge_of(tensor: Tensor) -> Edge | None:
    """The operation that a tensor comes from, or itself if it is a leaf; None if it has no gradient."""
    return (tensor._node or tensor) if tensor._requires_grad else None


def inputs_of(edge: Edge) -> list[Edge]:
    return [one for one in edge.edges if one is not None] if isinstance(edge, Node) else []


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Does nothing: this torch keeps no count of a tensor's changes."""


class _Mode(contextlib.ContextDecorator):
    """Sets whether operations are recorded, in a ``with`` or in a function that it decorates."""

    def __init__(self, recording: bool) -> None:
        self.recording, self.before = recording, []  # type: ignore[var-annotated]

    def __enter__(self) -> None:
        self.before.append(RECORDING[0])
        RECORDING[0] = self.recording

    def __exit__(self, *_: object) -> None:
        RECORDING[0] = self.before.pop()


def _mode(recording: bool) -> Callable[..., Any]:
    def mode(function: Callable[..., Any] | None = None) -> Any:
        return _Mode(recording) if function is None else functools.wraps(function)(_Mode(recording)(function))

    return mode


no_grad = _mode(False)
no_grad.__doc__ = """Within it nothing is recorded: ``with torch.no_grad():`` or ``@torch.no_grad()``."""
enable_grad = _mode(True)
enable_grad.__doc__ = """Within it operations are recorded again."""


def inference_mode(mode: bool = True) -> _Mode:
    """As `no_grad`; with False it changes nothing."""
    return _Mode(not mode and RECORDING[0])


class set_grad_enabled(_Mode):
    """Sets at once, and for a ``with`` that follows, whether operations are recorded."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.before.append(RECORDING[0])
        RECORDING[0] = bool(mode)

    def __enter__(self) -> None:
        pass


def is_grad_enabled() -> bool:
    return RECORDING[0]
