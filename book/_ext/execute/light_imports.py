"""Import `optim_code` without torch, matplotlib and SymPy, because the build reads only its docstrings and tables.

These packages take two seconds to import. Autodoc's mock objects stand in for them in every build, so a page is the
same everywhere. Cells and equations run in other processes, with the real packages.
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
mocks_of_page = contextlib.ExitStack()
"""Keeps the mock objects while Sphinx reads a page with autodoc's directives."""
MODULE = re.compile(rf"\b{PACKAGE}(?:\.\w+)*")


def imported(name: str) -> Any:
    """A module of `optim_code`, for its docstrings, its tables and its functions on texts."""
    if name not in sys.modules:
        try:
            with without_heavy():
                importlib.import_module(name)
            restore_signatures()
        except Exception:
            # At import it does more than a mock object can, or it is broken: import it with the real packages.
            remove_modules(PACKAGE)
    return importlib.import_module(name)


@contextlib.contextmanager
def without_heavy() -> Iterator[None]:
    """While this lasts, an import of a heavy package gives a mock object."""
    hidden = remove_modules(*HEAVY)
    try:
        with mock(HEAVY):
            yield
    finally:
        sys.modules.update(hidden)


def remove_modules(*packages: str) -> dict[str, ModuleType]:
    """Remove all modules of these packages from `sys.modules`, and return them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in packages}


def restore_signatures() -> None:
    """Give classes that inherit from a mock object their own signature; autodoc would show that of the mock object."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == PACKAGE]
    classes: set[Any] = {cls for module in modules for cls in vars(module).values() if inspect.isclass(cls)}
    for cls in classes:
        constructor = vars(cls).get("__init__")
        if constructor is not None and hasattr(cls, "__sphinx_mock__") and cls.__module__.startswith(PACKAGE):
            signature = inspect.signature(constructor)
            cls.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])


def import_documented(app: Sphinx, docname: str, source: list[str]) -> None:
    """Import the modules that autodoc will import on this page. It reports those that cannot be imported."""
    if ".. auto" in source[0]:
        for name in sorted({*MODULE.findall(source[0])}):
            with contextlib.suppress(Exception):
                imported(name)
        # It also looks into the modules of base classes.
        mocks_of_page.enter_context(without_heavy())


def restore_imports(app: Sphinx, doctree: nodes.document) -> None:
    """Put the real packages back after the page was read."""
    mocks_of_page.close()
