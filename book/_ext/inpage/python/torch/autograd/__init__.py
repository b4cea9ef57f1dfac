"""Gradients, as far as the book's cells need them: first derivatives of what tensors compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._numbers import NotInThePage
from . import graph as graph
from .graph import Edge, Node, edge_of, inputs_of

if TYPE_CHECKING:
    from .._tensor import Tensor

UNUSED = (
    "One of the differentiated Tensors appears to not have been used in the graph. "
    "Set allow_unused=True if this is the desired behavior."
)
NO_GRAPH = "element 0 of tensors does not require grad and does not have a grad_fn"


def backward(tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool | None = None) -> None:
    """Add the gradient of a tensor to the ``grad`` of each leaf that it was computed from."""
    for leaf, grad in _derivatives(tensor, gradient, bool(retain_graph)):
        if not isinstance(leaf, Node):
            # Added in place where there is one already, as PyTorch does: others may hold it.
            if leaf._grad is None:
                leaf._grad = grad.clone()
            else:
                with graph.no_grad():
                    leaf._grad.add_(grad)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradient of an output with respect to each input.

    Raises:
        NotInThePage: for the gradient of a gradient.
        RuntimeError: if the output was not computed from an input.
    """
    if create_graph:
        raise NotInThePage("the gradient of a gradient (create_graph=True)")
    (output,) = outputs if isinstance(outputs, Sequence) else (outputs,)
    wanted = inputs if isinstance(inputs, Sequence) else (inputs,)
    (first,) = grad_outputs if isinstance(grad_outputs, Sequence) else (grad_outputs,)
    found = {id(edge): value for edge, value in _derivatives(output, first, bool(retain_graph))}
    result = tuple(found.get(id(edge_of(one))) for one in wanted)
    if not allow_unused and any(one is None for one in result):
        raise RuntimeError(UNUSED)
    return result


def _derivatives(tensor: Tensor, gradient: Tensor | None, retain: bool) -> list[tuple[Edge, Tensor]]:
    """The gradient of a tensor with respect to all that it was computed from."""
    first = edge_of(tensor)
    if first is None:
        raise RuntimeError(NO_GRAPH)
    if gradient is None:
        if tensor.numel() != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        gradient = tensor.detach().clone().fill_(1)
    found: dict[int, tuple[Edge, Tensor]] = {id(first): (first, gradient)}
    order = _ordered(first)
    with graph.no_grad():
        for node in order:
            if not isinstance(node, Node) or id(node) not in found:
                continue
            for edge, part in zip(node.edges, node.derivative(found[id(node)][1]), strict=True):
                if edge is not None and part is not None:
                    before = found.get(id(edge))
                    found[id(edge)] = (edge, part if before is None else before[1] + part)
            for saved in () if retain else node.saved:
                saved.hold(None)
    return list(found.values())


def _ordered(first: Edge) -> list[Edge]:
    """All that a tensor was computed from, each after all that was computed from it."""
    done: set[int] = set()
    order: list[Edge] = []
    waiting: list[tuple[Edge, bool]] = [(first, False)]
    while waiting:
        edge, finished = waiting.pop()
        if finished:
            order.append(edge)
        elif id(edge) not in done:
            done.add(id(edge))
            waiting.append((edge, True))
            waiting += [(one, False) for one in inputs_of(edge)]
    return order[::-1]
