"""The module of *Descent*: four optimizers, the bowl they walk on, and the figures of their walks."""

from .figures import output, w
from .optim import Optim
from .optimizers import AdamOptimizer, RMSPropOptimizer, SGDMomentumOptimizer, SGDOptimizer

__all__ = ["AdamOptimizer", "Optim", "RMSPropOptimizer", "SGDMomentumOptimizer", "SGDOptimizer", "output", "w"]
