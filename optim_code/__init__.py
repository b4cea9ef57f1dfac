"""The module of *Descent*: four optimizers, the bowl they walk on, the figures of their walks, and a check of yours."""

from typing import NoReturn

from .checking import check
from .figures import output, w
from .optim import Optim

try:
    from .optimizers import AdamOptimizer, RMSPropOptimizer, SGDMomentumOptimizer, SGDOptimizer
except ModuleNotFoundError as error:
    if error.name != f"{__name__}.optimizers":
        raise

__all__ = ["AdamOptimizer", "Optim", "RMSPropOptimizer", "SGDMomentumOptimizer", "SGDOptimizer", "check", "output", "w"]


def __getattr__(name: str) -> NoReturn:
    """Say what is missing where the optimizers are left out, as they are in a student's kit."""
    if name in __all__:
        raise ImportError(f"{name} is not in this kit; write it as a class of your own, made from Optim")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
