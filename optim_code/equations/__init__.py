"""Read sections, and compile their printed equations into rules that run."""

from __future__ import annotations

from collections.abc import Iterable


def class_named_after(update: str, classes: Iterable[str]) -> str:
    """The optimizer that an update is named after: ``adam`` gives AdamOptimizer, ``momentum`` SGDMomentumOptimizer.

    Args:
        update: the label of the equation without ``update-``.
        classes: the names of all optimizers.

    Returns:
        The name of the class; empty if there is none, or more than one.
    """
    short = update.replace("-", "")
    names = {name.lower().removesuffix("optimizer"): name for name in classes}
    fitting = [key for key in names if key == short] or [key for key in names if key.endswith(short)]
    return names[fitting[0]] if len(fitting) == 1 and short else ""
