"""The module of *Descent*: its optimizers, the bowl on which they run, figures of their runs, a check of your class.

A module is imported when a name of it is first used: the check of a class needs SymPy, and reading a section not even
torch.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .figures import output, w
    from .marking.checking import check
    from .optim import Optim
    from .optimizers import (
        AdagradOptimizer,
        AdamAMSGradOptimizer,
        AdamOptimizer,
        AdamWOptimizer,
        RMSPropOptimizer,
        SGDMomentumOptimizer,
        SGDNesterovOptimizer,
        SGDOptimizer,
    )

HOME = {"Optim": "optim", "check": "marking.checking", "output": "figures", "w": "figures", "": "optimizers"}
"""The module of each name; the empty name stands for all other names. The build reads this table, too."""
OPTIMIZERS = f"{__name__}.{HOME['']}"

__all__ = [
    "AdagradOptimizer",
    "AdamAMSGradOptimizer",
    "AdamOptimizer",
    "AdamWOptimizer",
    "Optim",
    "RMSPropOptimizer",
    "SGDMomentumOptimizer",
    "SGDNesterovOptimizer",
    "SGDOptimizer",
    "check",
    "output",
    "w",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used.

    Raises:
        ImportError: for an optimizer in a student's kit, which has no optimizers.
        AttributeError: for a name that does not exist.
    """
    if name in HOME:
        return getattr(import_module(f"{__name__}.{HOME[name]}"), name)
    if not name.startswith("_"):
        if find_spec(f"{__name__}.{name}") is not None:
            return import_module(f"{__name__}.{name}")
        if find_spec(OPTIMIZERS) is not None:
            found = vars(import_module(OPTIMIZERS)).get(name)
            if isinstance(found, type):
                return found
        elif name.endswith("Optimizer"):
            raise ImportError(f"{name} is not in this kit; write it as a class of your own, made from Optim")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
