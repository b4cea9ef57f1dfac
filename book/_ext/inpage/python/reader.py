"""Run a reader's code in the page: one session for each page, in which its cells run one after the other.

The page's worker writes the files of `book._ext.inpage.data.site_files` into one folder, puts that folder first on
``sys.path``, and then calls

    reader.start(page)         # once: `page` is what `data.page_data` gave for this page
    reader.run(code)           # for each cell; the result is plain data, which JSON can hold

``run`` returns what `window.descent.run` promises:

    printed   text: what the code printed, and the value of its last line as a notebook shows it
    error     None, or text: the reader's own lines that led to the error, and a last line that says what is wrong
    figures   for each figure that the code drew, in its order: ``fname`` (None if it was not named), ``title``,
              ``alt``, ``paths``: a list of ``{"name": …, "points": [[x, y], …]}``, and ``bowl``: ``{"A": 2 × 2,
              "b": 2, "minimum": 2}``, the landscape that the paths run on
    verdict   None, or that of the last `check`: ``method``, ``cls``, ``passed``, ``mistake``, ``found``, ``hint``,
              ``step`` (None if no step differs), ``note``

Names outlast a run, as in a notebook. What the code changes in modules and in classes that are not the reader's is put
back after each run. A loop without end, or one that takes all memory, is for the worker's owner to end.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import io
import linecache
import os
import pprint
import re
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

LONGEST = 20_000
"""How many characters a run may print."""
OWN = "<cell "
"""How the names of the reader's cells begin."""
LINE = 79
"""The width to which a notebook lays out a value."""
USED = (
    *("torch.linalg", "torch.optim", "optim_code.descent", "optim_code.figures", "optim_code.optimizers"),
    *("optim_code.pictures", "optim_code.marking.judging", "optim_code.marking.trials", "optim_code.marking.versions"),
)
"""Modules that are otherwise imported late; what is not there when a session begins cannot be put back."""


class PrintedTooMuch(BaseException):
    """Ends a run that prints more than `LONGEST` characters."""


class Printed(io.TextIOBase):
    """Keeps what is printed, up to `LONGEST` characters."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.left = LONGEST

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.parts.append(text[: self.left])
        self.left -= len(text)
        if self.left < 0:
            self.left = 0
            raise PrintedTooMuch
        return len(text)

    @property
    def text(self) -> str:
        return "".join(self.parts)


class CannotMark(Exception):
    """A class uses what the page has not, so nothing is known of its steps."""


LACKS = re.compile(r"\S+ is not in (the small torch of )?this page; the section's notebook runs it")
"""What is said of a part of PyTorch, or of a package, that the page has not."""
TORCH = str(Path(__file__).with_name("torch"))


def page_lacks(error: BaseException) -> str:
    """What an error says about the page, in words; empty if it is about the reader's code.

    An error that the small torch does not raise in so many words is an accident there: PyTorch may run that line.
    """
    if isinstance(error, (AttributeError, ImportError)) and LACKS.search(str(error)):
        return str(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    inside = [frame for frame in last if frame.filename.startswith(TORCH) and not str(frame.line).startswith("raise")]
    if not inside or isinstance(error, (RecursionError, MemoryError)) or not isinstance(error, Exception):
        return ""
    said = "".join(traceback.format_exception_only(type(error), error)).strip()
    return f"the small torch of this page breaks off with {said}; try it in the section's notebook"


class Missing:
    """Says of a package that the page lacks that the notebook has it; one of `sys.meta_path`."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        if path is None and name in PACKAGES:
            raise ModuleNotFoundError(f"{name} is not in this page; the section's notebook runs it", name=name)


PACKAGES = {
    *("IPython", "cupy", "jax", "matplotlib", "myst_nb", "numba", "numpy", "pandas", "plotly", "scipy", "seaborn"),
    *("sklearn", "sympy", "tensorflow", "torchvision", "tqdm"),
}
"""Packages that readers may ask for."""


class Session:
    """What one page knows: its names, and how all modules were before the reader's first line."""

    def __init__(self, page: dict[str, Any]) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.cells = 0
        self.figures: list[dict[str, Any]] = []
        self.verdicts: list[dict[str, Any]] = []
        watch(self)
        for code in page["setup"]:
            exec(compile(code, "<set-up>", "exec"), self.names)
        self.before = Snapshot()

    def run(self, code: str) -> dict[str, Any]:
        """Run a cell; see the module."""
        self.cells += 1
        self.figures, self.verdicts = [], []
        name, printed = f"{OWN}{self.cells}>", Printed()
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        raised: BaseException | None = None
        try:
            with kept_inside(printed), warnings.catch_warnings():
                warnings.simplefilter("default")
                warnings.showwarning = lambda said, kind, *_: printed.write(f"{kind.__name__}: {said}\n")  # type: ignore[assignment]
                try:
                    self.execute(code, name)
                except BaseException as error:
                    raised = error
                finally:
                    builtins.__dict__.update(self.before.builtins)  # all that follows needs them
        finally:
            self.before.restore()
        return {
            "printed": printed.text,
            "error": None if raised is None else told(raised, name),
            "figures": self.figures,
            "verdict": self.verdicts[-1] if self.verdicts else None,
        }

    def execute(self, code: str, name: str) -> None:
        body = ast.parse(code, name).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), name, "exec"), self.names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), self.names)
            if value is not None and not code.rstrip().endswith(";"):
                self.names["_"] = value
                show(value)


def show(value: Any) -> None:
    """Print a value as a notebook shows it. A verdict and a figure are shown by the page itself."""
    from optim_code.figures import Drawing
    from optim_code.marking.checking import Verdict

    if isinstance(value, (Verdict, Drawing)):
        return
    text = repr(value)
    if len(text) > LINE and "\n" not in text and type(value) in (list, tuple, dict, set):
        text = pprint.pformat(value, width=LINE, sort_dicts=False)
    print(text)


def watch(session: Session) -> None:
    """Let a session know of each figure that is drawn, and of each verdict."""
    from optim_code.marking import checking, faults, trials

    for name in USED:
        importlib.import_module(name)
    pictures: Any = sys.modules["optim_code.pictures"]  # the page's own, beside this file

    check, lacking = checking.check, dict[str, str]()

    def first_line(error: BaseException) -> str:
        said = faults.first_line(error)
        lacking[said] = page_lacks(error)
        return said

    trials.first_line = first_line  # type: ignore[attr-defined]

    def watched_check(name: str, cls: Any) -> Any:
        lacking.clear()
        verdict = check(name, cls)
        for lacks in (lacks for said, lacks in lacking.items() if lacks and said in verdict.found):
            raise CannotMark(f"this page cannot mark {verdict.cls}: {lacks}")
        fields = ("method", "cls", "passed", "mistake", "found", "hint", "step", "note")
        session.verdicts.append({field: getattr(verdict, field) for field in fields})
        return verdict

    watched_check.__doc__, watched_check.__name__ = check.__doc__, "check"
    checking.check = watched_check
    pictures.drawn = lambda figure: session.figures.append(figure)


# --- one run ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def kept_inside(printed: Printed) -> Iterator[None]:
    """What is printed goes to the page; nobody is asked, and nothing ends Python."""

    from optim_code.marking.faults import Breakpoint

    def no_input(*_: object) -> str:
        raise EOFError("there is nobody to ask in the page; write the value into your code")

    def no_exit(*_: object) -> None:
        raise SystemExit("the page's Python goes on; take the call out")

    def no_debugger(*_: object, **__: object) -> None:
        raise Breakpoint("there is no debugger in the page; to see a number, print it")

    replaced: list[tuple[Any, str, Callable[..., Any]]] = [
        (builtins, "input", no_input), (os, "_exit", no_exit), (os, "abort", no_exit), (os, "kill", no_exit),
        (sys, "breakpointhook", no_debugger),
    ]  # fmt: skip
    before = [(place, name, getattr(place, name)) for place, name, _ in replaced if hasattr(place, name)]
    for place, name, other in replaced:
        setattr(place, name, other)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        for place, name, other in before:
            setattr(place, name, other)


def told(error: BaseException, cell: str) -> str:
    """An error as text: the reader's own lines on the way to it, and what it says."""
    if isinstance(error, PrintedTooMuch):
        return f"The output is cut after {LONGEST} characters, and the run was stopped there."
    said = "".join(traceback.format_exception_only(type(error), error)).rstrip()
    said = said.removeprefix(f"{type(error).__module__}.")
    if isinstance(error, SyntaxError) and error.filename == cell:
        return said
    with contextlib.suppress(Exception):
        lines = error._render_traceback_()  # type: ignore[attr-defined]
        return "\n".join(lines)
    if isinstance(error, ImportError) and (name := re.match(r"cannot import name '(\w+)'", error.msg or "")):
        try:
            getattr(sys.modules[error.name or ""], name[1])
        except (AttributeError, KeyError) as lacking:
            said = f"ImportError: {lacking}"
    if isinstance(error, SystemExit):
        said = f"SystemExit: {error.code}" if error.code not in (None, 0) else "SystemExit: the page's Python goes on"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(OWN)]
    own = "".join(traceback.StackSummary.from_list(frames).format())
    if (lacks := page_lacks(error)) and not LACKS.search(said):
        said = f"NotInThePage: {lacks}"
    return f"Traceback (most recent call last):\n{own}{said}" if own else said


class Snapshot:
    """How Python and all modules are; see `restore`."""

    def __init__(self) -> None:
        self.builtins, self.recursion = dict(vars(builtins)), sys.getrecursionlimit()
        self.modules = {
            name: (module, dict(vars(module)))
            for name, module in [*sys.modules.items()]
            if is_module(module) and name != "__main__"  # the worker's own names
        }
        own = [value for name, (_, values) in self.modules.items() if is_ours(name) for value in values.values()]
        self.classes = {cls: dict(vars(cls)) for cls in own if isinstance(cls, type) and is_ours(cls.__module__)}
        self.lists = [(one, [*one]) for one in (sys.path, sys.meta_path, *own) if type(one) is list]
        self.tables = [(one, {**one}) for one in own if type(one) is dict]

    def restore(self) -> None:
        """Put back what has changed since."""
        sys.settrace(None)
        sys.setrecursionlimit(self.recursion)
        for name, (module, values) in self.modules.items():
            sys.modules[name] = module
            now = vars(module)
            for key, value in values.items():
                if now.get(key, self) is not value:
                    now[key] = value
            if (is_ours(name) or module is builtins) and len(now) > len(values):
                for key in [key for key, value in now.items() if key not in values and not is_module(value)]:
                    del now[key]
        for cls, values in self.classes.items():
            now = dict(vars(cls))
            for key in {*now, *values}:
                if now.get(key) is not values.get(key) and key not in ("__dict__", "__weakref__"):
                    if key in values:
                        setattr(cls, key, values[key])
                    else:
                        delattr(cls, key)
        for one, items in self.lists:
            one[:] = items
        for table, entries in self.tables:
            if table != entries:
                table.clear()
                table.update(entries)


def is_ours(module: str) -> bool:
    """Whether a module is of torch or of the book."""
    return module.partition(".")[0] in ("torch", "optim_code")


def is_module(value: Any) -> bool:
    return isinstance(value, types.ModuleType)


# --- the page's one session ------------------------------------------------------------------------------------------

_session: list[Session] = []


def start(page: dict[str, Any]) -> None:
    """Begin the session of a page.

    Args:
        page: what `book._ext.inpage.data.page_data` gave: ``setup``, a list of pieces of code that run first.
    """
    if not any(isinstance(finder, Missing) for finder in sys.meta_path):
        sys.meta_path.insert(0, Missing())
    _session[:] = [Session(page)]


def run(code: str) -> dict[str, Any]:
    """Run a reader's cell; see the module for what it returns.

    Args:
        code: the cell.

    Raises:
        RuntimeError: before `start`.
    """
    if not _session:
        raise RuntimeError("call start first")
    return _session[0].run(code)
