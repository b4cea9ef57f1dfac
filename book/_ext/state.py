"""The state of a build: what one run of Sphinx knows, and what it keeps with its environment for the next one.

`BuildState` is an attribute of the application and ends with it. `KeptState` is an attribute of the environment, which
Sphinx stores between builds. No other object of Sphinx has attributes of this extension.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor
    from subprocess import Popen

    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

    from book._ext.execute.freshness import Code
    from book._ext.page.equations import Checker, Verdict
    from optim_code.equations.sections import Page


@dataclass
class BuildState:
    """What one run of Sphinx knows.

    Attributes:
        code: the modules of `optim_code`, as they were when the build first asked for them.
        pages: the sources of all pages, as they were when the build searched for outdated ones.
        checker: the check of the equations; None until they are collected.
        verdicts: the future verdicts on all equations, on which another process works.
        pool: the threads that wait for running sections.
        jobs: for each running section the future number of seconds that it took.
        cells_read: the page that Sphinx has read last of those with cells, and its code cells with their outputs.
        pages_around_are_current: whether style sheets, index and search page can stay as they are.
        library: the file with the book's own code as it runs in pages.
        making: the process that makes this file; None if it is there.
        scripts: what pages load when code first runs: the text of each script by its name in `_static`.
        written_for: a digest of the shared data, the style sheets and the general index.
        warnings_before_notebook: how many warnings there were when the last notebook was written.
    """

    code: Code | None = None
    pages: dict[str, Page] = field(default_factory=dict)
    checker: Checker | None = None
    verdicts: Future[list[Verdict]] | None = None
    pool: ThreadPoolExecutor | None = None
    jobs: dict[str, Future[float]] = field(default_factory=dict)
    cells_read: tuple[str, list[Any]] = ("", [])
    pages_around_are_current: bool = False
    library: Path = Path()
    making: Popen[str] | None = None
    scripts: dict[str, str] = field(default_factory=dict)
    written_for: str = ""
    warnings_before_notebook: int = 0


@dataclass
class KeptState:
    """What is kept for the next build.

    Attributes:
        outputs: for each page the name under which its outputs are stored; empty if it has no cells.
        shown: for each page a digest of all that it is made of.
        listed_digest: a digest of all that the list of equations and sentences shows.
        listed: the verdicts that the list of all equations shows.
        marks: the text of the mark of each update equation, by label.
        in_solutions: for each page the ids of what stands in solutions.
        sentences: how many phrases each page marks as asserted.
        playground: what all playgrounds share, and the figures that they can show.
        scripts: the names of the scripts that pages load when code first runs; none if they can run no code.
        shared: a digest of the shared data: what pages can show about other pages.
        notebooks: the names of the notebooks by page.
    """

    outputs: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    listed_digest: str = ""
    listed: list[dict[str, Any]] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)
    in_solutions: dict[str, set[str]] = field(default_factory=dict)
    sentences: dict[str, int] = field(default_factory=dict)
    playground: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))
    scripts: dict[str, str] = field(default_factory=dict)
    shared: str = ""
    notebooks: dict[str, str] = field(default_factory=dict)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load a state that may be of an older version of this class: attributes that it lacks get their defaults."""
        vars(self).update(vars(KeptState()) | state)


def build_state(app: Sphinx) -> BuildState:
    """The state of this run of Sphinx."""
    state: BuildState = vars(app).setdefault("descent", BuildState())
    return state


def kept_state(env: BuildEnvironment) -> KeptState:
    """The state that is stored with this environment."""
    state: KeptState = vars(env).setdefault("descent", KeptState())
    return state
