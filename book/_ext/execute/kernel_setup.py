"""Set up the kernel of a section before its first cell runs: its random numbers, figures, glued numbers and failures.

IPython loads this module as an extension, in forked and in ordinary kernels: `running.run` names it on the kernel's
command line. It does not import matplotlib, because a section may not need it.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import itertools
import numbers
import os
import random
import sys
from collections.abc import Iterator, Mapping
from typing import Any

BACKEND = "module://matplotlib_inline.backend_inline"
FORMATS = {"image/svg+xml": "svg", "application/pdf": "pdf"}
# With these settings a figure has the same bytes in each build. Without a salt the ids in an SVG are random.
REPEATABLE = {"svg.hashsalt": "descent", "svg.fonttype": "path", "pdf.fonttype": 42}


def load_ipython_extension(shell: Any) -> None:
    """Set up the shell of a kernel. IPython calls this function when it loads the extension."""
    seed_first_cell(shell)
    show_figures(shell)
    notice_failures(shell)
    shell.ast_transformers.append(Comparisons())
    import myst_nb.ext.glue

    myst_nb.ext.glue.glue = functools.partial(glue, myst_nb.ext.glue.glue)


def seed_first_cell(shell: Any) -> None:
    """Let random numbers for which no cell sets a seed be the same in each build; each process would have others."""

    def seed(info: Any) -> None:
        shell.events.unregister("pre_run_cell", seed)
        random.seed(0)
        with contextlib.suppress(ImportError):
            import numpy
            import torch

            numpy.random.seed(0)
            numpy.random.default_rng = functools.partial(seeded, numpy.random.default_rng, itertools.count())
            torch.manual_seed(0)

    # The kernel itself may draw before the first cell runs.
    shell.events.register("pre_run_cell", seed)


def seeded(default_rng: Any, number: Iterator[int], seed: Any = None) -> Any:
    """NumPy's generator of random numbers, with the next number as its seed if it is given none."""
    return default_rng(next(number) if seed is None else seed)


def show_figures(shell: Any) -> None:
    """Show matplotlib's figures as any Jupyter kernel does, but as SVG (for pages) and PDF (for print)."""
    pylabtools: Any = importlib.import_module("IPython.core.pylabtools")
    os.environ["MPLBACKEND"] = BACKEND
    # A forked kernel has imported matplotlib already, and matplotlib reads that variable only once.
    if "matplotlib" in sys.modules:
        sys.modules["matplotlib"].rcParams["backend"] = BACKEND
    shell.config.InlineBackend.figure_formats = set(FORMATS.values())
    pylabtools.print_figure = functools.partial(print_figure, pylabtools.print_figure)
    # These show a figure that was made without pyplot, so that no backend was loaded.
    for mime_type, name in FORMATS.items():
        draw = functools.partial(pylabtools.print_figure, fmt=name, base64=name == "pdf")
        shell.display_formatter.formatters[mime_type].for_type_by_name("matplotlib.figure", "Figure", draw)


def notice_failures(shell: Any) -> None:
    """Let a cell fail if it calls ``exit``, or if one of its shell commands fails; IPython would go on."""
    shell.user_ns["exit"] = shell.user_ns["quit"] = sys.exit
    system = shell.system

    def run(command: str) -> None:
        system(command)
        status = shell.user_ns.get("_exit_code")
        if status:
            raise RuntimeError(f"!{command} failed with exit status {status}")

    shell.system = run


class Comparisons(ast.NodeTransformer):
    """Gives `holds` the values of a comparison, of which it would otherwise get only the result.

    ``holds("name", a < b)`` becomes ``holds("name", ("a < b", a, "<", b))``.
    """

    SIGNS: Mapping[type[ast.cmpop], str] = {
        ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    }  # fmt: skip

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if getattr(node.func, "id", "") == "holds" and not any(isinstance(arg, ast.Starred) for arg in node.args):
            node.args[1:] = map(self.with_values, node.args[1:])
        return ast.fix_missing_locations(node)

    def with_values(self, claim: ast.expr) -> ast.expr:
        """The tuple that `holds` gets in place of a claim."""
        code = ast.copy_location(ast.Constant(ast.unparse(claim)), claim)
        parts: list[ast.expr] = [code, claim]
        if isinstance(claim, ast.Compare) and all(type(sign) in self.SIGNS for sign in claim.ops):
            signs = [ast.Constant(self.SIGNS[type(sign)]) for sign in claim.ops]
            parts = [code, claim.left, *(part for pair in zip(signs, claim.comparators, strict=True) for part in pair)]
        return ast.copy_location(ast.Tuple(parts, ast.Load()), claim)


def print_figure(original: Any, figure: Any, fmt: str = "png", **settings: Any) -> Any:
    """Draw a figure as IPython does, with the same bytes each time."""
    import matplotlib

    with matplotlib.rc_context(REPEATABLE):
        return original(figure, fmt, **settings)


def glue(original: Any, name: str, variable: Any, display: bool = True) -> None:
    """Glue a number or a text under a name, as MyST-NB does, but a number of NumPy or torch as a plain number.

    Args:
        original: MyST-NB's own function.
        name: the name that the text of the page uses.
        variable: a number, a text, or an array or tensor of one of them.
        display: whether the cell shows it, too.

    Raises:
        TypeError: for any other variable, because the text could not show it.
    """
    original(name, Glued(as_text(name, variable)), display)


class Glued:
    """A glued value, in the form in which the output of its cell stores it.

    Args:
        text: the number or the quoted text, as Python would read it.
    """

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def as_text(name: str, variable: Any) -> str:
    """A number, or a text in quotes, as Python would write it.

    Raises:
        TypeError: for anything else.
    """
    numpy, value = sys.modules.get("numpy"), single(variable)
    if isinstance(value, str):
        return repr(str(value))
    # NumPy writes a number with the digits of its precision: 0.1 in single precision is not 0.10000000149011612.
    if isinstance(value, numbers.Number) or (numpy and isinstance(value, numpy.bool_)):
        return str(value)
    what = type(variable).__name__
    size = getattr(variable, "shape", None)
    what += f" of shape {tuple(size)}" if size is not None else ""
    raise TypeError(f'glue("{name}", …) takes a number or a text, got {what}; glue one number of it, or a text')


def single(variable: Any) -> Any:
    """The element of an array or a tensor with one element; any other value unchanged."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch and isinstance(variable, torch.Tensor) and variable.numel() == 1:
        value = variable.detach().cpu().reshape(())
        variable = (value.float() if value.dtype is torch.bfloat16 else value).numpy()
    if numpy and isinstance(variable, numpy.ndarray) and variable.size == 1:
        return variable.reshape(())[()]
    return variable
