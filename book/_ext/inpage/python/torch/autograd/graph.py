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


TWICE = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
    "saved tensors after calling backward."
)
CHANGED = (
    "one of the variables needed for gradient computation has been modified by an inplace operation: "
    "[torch.{}Tensor {}]{} is at version {}; expected version {} instead."
)


class Saved:
    """A tensor or a number that a derivative needs. A call gives it, if it was not changed in place."""

    def __init__(self, what: Any) -> None:
        self.hold(what)

    def hold(self, what: Any) -> None:
        self.what, self.changes = what, [*getattr(what, "_changes", ())]

    def __call__(self) -> Any:
        if self.what is None:
            raise RuntimeError(TWICE)
        if not self.changes:
            return self.what
        one = self.what
        if one._changes != self.changes:
            source = f", which is output 0 of {one._node.name.partition('Backward')[0]}," if one._node else ""
            raise RuntimeError(CHANGED.format(one.dtype.long_name, [*one._shape], source, *one._changes, *self.changes))
        return one.detach()


class Node:
    """An operation that led to a tensor.

    Attributes:
        name: as PyTorch prints it, such as ``MulBackward0``.
        edges: what the operation was given: operations, leaves, or None for what has no gradient.
        derivative: gives the gradient for each of them, from that of the result.
        saved: what the derivative needs; it is let go after its use.
    """

    def __init__(self, name: str, edges: Sequence[Edge | None], derivative: Derivative, saved: Sequence[Saved] = ()):
        self.name, self.edges, self.derivative, self.saved = name, edges, derivative, saved

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
    """Count a change that was hidden from gradients."""
    one: Any
    for one in [tensor] if hasattr(tensor, "_changes") else tensor:
        one._changes[0] += 1


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
