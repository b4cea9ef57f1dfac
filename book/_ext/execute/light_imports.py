"""The build imports `optim_code` without what that computes with: it reads its docstrings and tables, and runs nothing.

Torch, matplotlib and SymPy take two seconds to import. In their place stand autodoc's stand-ins, always, so that a page
says the same wherever it is built; what cells and equations run, other processes do, with the real ones.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.autodoc.mock import mock

PACKAGE = "optim_code"
HEAVY = ["fontTools", "matplotlib", "sympy", "torch"]
reading = contextlib.ExitStack()
MODULE = re.compile(rf"\b{PACKAGE}(?:\.\w+)*")


def imported(name: str) -> Any:
    """A module of `optim_code`, for its docstrings, its tables and what it does with text."""
    if name not in sys.modules:
        try:
            with without_heavy():
                importlib.import_module(name)
            say_how_classes_are_made()
        except Exception:
            # Being imported, it does more than a stand-in can, or it is broken: then so it is without stand-ins.
            take_out(PACKAGE)
    return importlib.import_module(name)


@contextlib.contextmanager
def without_heavy() -> Iterator[None]:
    hidden = take_out(*HEAVY)
    try:
        with mock(HEAVY):
            yield
    finally:
        sys.modules.update(hidden)


def take_out(*packages: str) -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in packages}


def say_how_classes_are_made() -> None:
    """A class made from a stand-in seems to take anything; autodoc believes what the class itself says first."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == PACKAGE]
    classes: set[Any] = {cls for module in modules for cls in vars(module).values() if inspect.isclass(cls)}
    for cls in classes:
        made = vars(cls).get("__init__")
        if made is not None and hasattr(cls, "__sphinx_mock__") and cls.__module__.startswith(PACKAGE):
            signature = inspect.signature(made)
            cls.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])


def import_documented(app: Sphinx, docname: str, source: list[str]) -> None:
    """Import what autodoc is about to; of what cannot be imported it tells by itself."""
    if ".. auto" in source[0]:
        for name in sorted({*MODULE.findall(source[0])}):
            with contextlib.suppress(Exception):
                imported(name)
        # It looks into the modules of the classes that others are made from, too.
        reading.enter_context(without_heavy())


def restore_imports(app: Sphinx, doctree: nodes.document) -> None:
    reading.close()
