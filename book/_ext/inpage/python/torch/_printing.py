"""A tensor as PyTorch prints it: four digits, in columns, with its type where that is not the default."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ._numbers import dtype

if TYPE_CHECKING:
    from ._tensor import Tensor

PRECISION, THRESHOLD, EDGE, WIDTH = 4, 1000, 3, 80


class Form:
    """How the numbers of one tensor are written: all in one width."""

    def __init__(self, values: list[Any], kind: dtype) -> None:
        self.floating, self.whole, self.scientific, self.width = kind.kind == 2, True, False, 1
        if not self.floating:
            self.width = max([1, *(len(f"{value}") for value in values)])
            return
        finite = [x for x in values if math.isfinite(x) and x != 0]
        if not finite:
            return
        self.whole = all(x == math.ceil(x) for x in finite)
        least, most = min(map(abs, finite)), max(map(abs, finite))
        self.scientific = most / least > 1000 or most > 1e8 or (not self.whole and least < 1e-4)
        if self.scientific:
            texts = [f"{x:.{PRECISION}e}" for x in finite]
        elif self.whole:
            texts = [f"{x:.0f}." for x in finite]
        else:
            texts = [f"{x:.{PRECISION}f}" for x in finite]
        self.width = max([1, *map(len, texts)])

    def text(self, value: Any) -> str:
        if not self.floating:
            said = f"{value}"
        elif self.scientific:
            said = f"{value:.{PRECISION}e}"
        elif self.whole:
            said = f"{value:.0f}" + ("." if math.isfinite(value) else "")
        else:
            said = f"{value:.{PRECISION}f}"
        return said.rjust(self.width)


def tensor_text(tensor: Tensor, default: dtype) -> str:
    """The text of a tensor.

    Args:
        tensor: the tensor.
        default: the type that is not named.
    """
    start, kind = "tensor(", tensor.dtype
    named = kind is default or kind.name in ("int64", "bool")
    after = []
    if tensor.numel() == 0:
        after += [f"size={tuple(tensor.shape)}"] if tensor.ndim != 1 else []
        after += [f"dtype={kind}"] if kind is not default else []
        said = "[]"
    else:
        after += [] if named else [f"dtype={kind}"]
        detached = tensor.detach()
        cut = tensor.numel() > THRESHOLD
        form = Form(_shown(detached)._values() if cut else detached._values(), kind)
        said = _rows(detached, len(start), cut, form)
    if tensor.grad_fn is not None:
        after.append(f"grad_fn={tensor.grad_fn}")
    elif tensor.requires_grad:
        after.append("requires_grad=True")
    text = start + said
    last = len(text) - text.rfind("\n") + 1
    for one in after:
        if last + len(one) + 2 > WIDTH:
            text += ",\n" + " " * len(start) + one
            last = len(start) + len(one)
        else:
            text += f", {one}"
            last += len(one) + 2
    return f"{text})"


def fields_text(found: Any) -> str:
    """The text of several tensors with names."""
    fields = ",\n".join(f"{name}={getattr(found, name)!r}" for name in found._fields)
    return f"torch.return_types.{type(found).__name__}(\n{fields})"


def _shown(tensor: Tensor) -> Tensor:
    """The numbers at the edges of a large tensor, which are all that is printed of it."""
    from ._functions import cat

    for dim in range(tensor.ndim):
        size = tensor.shape[dim]
        if size > 2 * EDGE:
            tensor = cat([tensor.narrow(dim, 0, EDGE), tensor.narrow(dim, size - EDGE, EDGE)], dim)
    return tensor


def _rows(tensor: Tensor, indent: int, cut: bool, form: Form) -> str:
    if tensor.ndim == 0:
        return form.text(tensor.item())
    edges = cut and len(tensor) > 2 * EDGE
    if tensor.ndim == 1:
        texts = [form.text(value) for value in tensor._values()]
        texts = [*texts[:EDGE], " ...", *texts[-EDGE:]] if edges else texts
        per_line = max(1, (WIDTH - indent) // (form.width + 2))
        lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    places = [*range(len(tensor))]
    rows = [_rows(tensor[i], indent + 1, cut, form) for i in (places[:EDGE] + places[-EDGE:] if edges else places)]
    rows = [*rows[:EDGE], "...", *rows[-EDGE:]] if edges else rows
    return "[" + ("," + "\n" * (tensor.ndim - 1) + " " * (indent + 1)).join(rows) + "]"
