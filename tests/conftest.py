"""What the tests share: the book, built once, and the tools that some of them need."""

from __future__ import annotations

import contextlib
import functools
import gc
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from book._ext.cli.publishing import LASTING
from book._ext.execute.freshness import configure_environment
from book._ext.execute.warm_kernels import WarmKernels, can_fork

if TYPE_CHECKING:
    from small_book import Copy

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"


def listed(toc: object) -> list[str]:
    """The pages that a table of contents names, in its order."""
    if isinstance(toc, dict):
        return [page for key, value in toc.items() for page in ([value] if key in ("root", "file") else listed(value))]
    return [page for entry in toc for page in listed(entry)] if isinstance(toc, list) else []


PAGES = listed(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
SOURCES = {page: (ROOT / f"{page}.md").read_text(encoding="utf-8") for page in PAGES}
SECTIONS = [page for page, text in SOURCES.items() if text.startswith("---\nfile_format: mystnb\n")]
"""The pages that run cells, and so have figures."""

# The tools that a marked test needs: the program, and the Debian packages that bring it (apt.txt names them too).
TOOLS = {
    "chromium": ("chromium", "chromium"),
    "tex": (
        "lualatex",
        "latexmk texlive-luatex texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended tex-gyre "
        "fonts-freefont-otf",
    ),
    "poppler": ("pdftotext", "poppler-utils"),
    "git": ("git", "git"),
}


def pytest_configure(config: pytest.Config) -> None:
    # In the background of a script Ctrl-C is ignored, and all that the tests start would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: the test runs with CI=true, and where it is asked for; see `sample`")
    config.addinivalue_line("markers", "quick: the test builds no book and takes no minute; make test-quick runs it")
    config.addinivalue_line("markers", f"needs(*tools): the test needs these programs: {', '.join(TOOLS)}")


def sample(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Values for `parametrize`: on those that are kept the test always runs; on the others, like them, it is slow."""
    values = list(values)
    assert all(value in values for value in kept), kept
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else [value]), marks=[] if value in kept else [pytest.mark.slow]
        )
        for value in values
    ]


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark as slow what needs the PDFs of the book or its kit, and what a browser sees on each page, but on one."""
    asked = set(getattr(item, "fixturenames", ()))
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    pages = [value for value in values if isinstance(value, str) and value in PAGES]
    if ("made" in asked and asked & {"pdf", "deck", "kit"}) or ("browser" in asked and pages and pages != [ONE_PAGE]):
        item.add_marker(pytest.mark.slow)


ONE_PAGE = "book/momentum"
"""The page that stands for all: it has figures, a playground, code to run, marks, exercises and citations."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, by name and aloud, what this machine cannot run; with CI=true that is an error."""
    left_out: dict[str, list[pytest.Item]] = {}
    for item in items:
        for tool in {tool for mark in item.iter_markers("needs") for tool in mark.args}:
            if shutil.which(TOOLS[tool][0]) is None:
                left_out.setdefault(tool, []).append(item)
    lines = [
        f"left out: {len(out)} tests, for there is no {TOOLS[tool][0]}: apt-get install {TOOLS[tool][1]}"
        for tool, out in left_out.items()
    ]
    if left_out and os.environ.get("CI") == "true":
        said = "with CI=true nothing may be left out; " + "; ".join(lines)
        if not hasattr(config, "workeroutput"):
            raise pytest.UsageError(said)
        # One of several processes runs nothing, and the one that waits for them says why.
        config.workeroutput["left_out"] = [f"ERROR: {said}"]
        items.clear()
        return
    gone = {id(item) for out in left_out.values() for item in out}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in gone])
    items[:] = [item for item in items if id(item) not in gone]
    if config.option.markexpr == "not slow":
        slow = sum(item.get_closest_marker("slow") is not None for item in items)
        lines.append(f"left out: {slow} slow tests; CI=true make test runs them")
    config.stash[LEFT_OUT] = lines
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = lines
        spread(items)


def spread(items: list[pytest.Item]) -> None:
    """Put the files into an order in which processes that take one after the other are all busy to the end.

    First comes one that needs the whole book, which is then made; then those that make small books of their own, while
    the others would have to wait; then the others, the longest first.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    wait = [path for path in files if any("made" in getattr(item, "fixturenames", ()) for item in files[path])]
    longest_first = sorted(files, key=lambda path: (path not in wait, -path.stat().st_size))
    order = longest_first[:1] + sorted(longest_first[1:], key=lambda path: path in wait)
    items[:] = [item for path in order for item in files[path]]


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the tests have imported, hundreds of thousands of objects, each time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What tests that run side by side left out is said by the process that waits for them."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", [])


LEFT_OUT = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(LEFT_OUT, []):
        terminalreporter.write_line(line, yellow=True)


@functools.cache
def build_server() -> tuple[WarmKernels, dict[str, str]]:
    """The process that builds are forked from, as the live preview forks its own, and the variables that lead to it.

    It has imported what every build imports, and nothing of the book. It starts when it is first asked for, and ends
    with the tests.
    """
    before = dict(os.environ)
    try:
        configure_environment(ROOT)
        server = WarmKernels(builds=True)
        names = os.environ.keys() - before.keys() | {"JUPYTER_PATH", "OMP_NUM_THREADS"}
        return server, {**{name: os.environ[name] for name in names}, LASTING: str(server.folder)}
    finally:
        os.environ.clear()
        os.environ.update(before)


def pytest_unconfigure(config: pytest.Config) -> None:
    if build_server.cache_info().currsize:
        build_server()[0].stop()


def set_up_kernels(patch: pytest.MonkeyPatch) -> None:
    """Let notebooks run in this process as in a build; where a process can be forked, `build_server` forks kernels."""
    patch.setattr(os, "environ", dict(os.environ))
    if can_fork():
        os.environ.update(build_server()[1])
        del os.environ[LASTING]  # a build that starts cold starts a server of its own
    else:
        configure_environment(ROOT)


def run_module(
    module: str, *arguments: str, root: Path = ROOT, cold: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE …` in the tree at ``root``.

    Args:
        module: the module, of the tree's own.
        arguments: what it takes.
        root: the tree.
        cold: whether to start a new process for it, as a person does. Otherwise it runs in a fork of one that has
            imported torch and Sphinx, which saves most of the time; `test_rebuilding` and `test_bad_input` hold the
            two against each other.
        env: variables that are set besides.
    """
    command, variables = [sys.executable], env
    if not cold and can_fork():
        server, leading = build_server()
        command, variables = server.stub, {**leading, "PYTHONPATH": str(root), **env}
    return subprocess.run(
        [*command, "-m", module, *arguments],
        cwd=root,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def run_build(target: str, root: Path = ROOT, *, cold: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `make html` or the like, without the installation that came before the tests.

    Args:
        target: the target, and what it takes: `handout adam`.
        root: the tree.
        cold: as for `run_module`.
        env: variables that are set besides.
    """
    return run_module("book._ext.cli.build", *target.split(), root=root, cold=cold, **env)


def run_equations(root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `make equations`."""
    return run_module("book._ext.page.equations", root=root)


@pytest.fixture(scope="session")
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of the book that the collected tests ask for, made before any of them looks at it, and only once.

    Tests that run side by side share it: one process makes it while the others wait, and from then on nothing there
    changes. With the PDFs there, the pages are made again, to offer them.
    """
    fixtures = [getattr(item, "fixturenames", ()) for item in request.session.items]
    asked = {name for names in fixtures if "made" in names for name in names}
    side_by_side = "PYTEST_XDIST_WORKER" in os.environ
    shared = tmp_path_factory.getbasetemp().parent if side_by_side else tmp_path_factory.getbasetemp()
    with one_at_a_time(shared / "lock"):
        if not (shared / "made").exists():
            for fixture, target in OF_THE_BOOK.items():
                if fixture == "html" or fixture in asked:
                    done = run_build(target, cold=fixture == "html")
                    assert done.returncode == 0, done.stdout + done.stderr
            (shared / "made").touch()
    return BUILD


OF_THE_BOOK = {"html": "html", "deck": "slides", "pdf": "pdf", "kit": "student"}
"""The parts of the built book, by their fixtures, and the targets that make them, in the order of making."""


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process of the tests is here."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def html(made: Path) -> Path:
    """The folder of the built HTML book."""
    return made / "html"


@pytest.fixture(scope="session")
def pdf(made: Path) -> Path:
    """The folder of the built PDFs."""
    return made / "pdf"


@pytest.fixture(scope="session")
def deck(made: Path) -> Path:
    """The slides."""
    return made / "slides" / "slides.pdf"


@pytest.fixture(scope="session")
def kit(made: Path) -> Path:
    """The folder of the students' kit."""
    return made / "student"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A small book, not built, that each test copies."""
    from small_book import copy_book  # it imports from here

    return copy_book(tmp_path_factory.mktemp("pristine") / "book")


@pytest.fixture
def copy(pristine: Copy, tmp_path: Path) -> Copy:
    """A copy of the small book, to break and to change."""
    return replace(pristine, root=Path(shutil.copytree(pristine.root, tmp_path / "book")))


@pytest.fixture
def unmoved() -> Iterator[None]:
    """Puts the start of the lecture back after a test that runs readers' programs, which may move it."""
    yield
    from optim_code import w

    w.data.fill_(1.0)


FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(html: Path) -> Iterator[str]:
    """The address of the built book on this machine."""
    handler = functools.partial(Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()
