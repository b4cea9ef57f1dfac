"""A small PyTorch for the page, in Python alone: what the book's module, its cells and students' classes use of it.

It has PyTorch's names, and its results and errors, and is tested against it. What it lacks raises `NotInThePage`, which
names it. `WHOLE` says what the whole PyTorch has, so that a misspelt name is told from one that is missing here.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

from . import _functions, _numbers, _operations, _random, _tensor
from . import autograd as autograd
from ._numbers import NotInThePage as NotInThePage

__version__ = "small"

Tensor, Size, device, layout, strided = _tensor.Tensor, _tensor.Size, _tensor.device, _tensor.layout, _tensor.STRIDED
tensor, where, Generator = _numbers.named(_tensor.tensor), _numbers.named(_operations.where), _random.Generator
FloatTensor = Tensor

dtype, bool, uint8, int32, int64 = _numbers.dtype, _numbers.bool_, _numbers.uint8, _numbers.int32, _numbers.int64
float16, float32, float64 = _numbers.float16, _numbers.float32, _numbers.float64
half, float, double, int, long = float16, float32, float64, int32, int64
inf, nan, pi, e, newaxis = math.inf, math.nan, math.pi, math.e, None

no_grad, enable_grad = autograd.graph.no_grad, autograd.graph.enable_grad
inference_mode, set_grad_enabled = autograd.graph.inference_mode, autograd.graph.set_grad_enabled
is_grad_enabled = autograd.graph.is_grad_enabled

for _class in (Tensor, Size, device, layout, dtype):
    _class.__module__ = "torch"

# Last, because among the functions are names of Python's own, such as `abs` and `all`.
globals().update(_functions.PUBLIC)


def __getattr__(name: str) -> Any:
    if name in ("linalg", "optim"):
        return importlib.import_module(f"{__name__}.{name}")
    raise _numbers.lacking("torch", name)
