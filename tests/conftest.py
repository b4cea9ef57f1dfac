"""What the tests share: the book, built once, and the tools that some of them need."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, sync_playwright

from book._ext.cli.publishing import LASTING
from book._ext.execute.freshness import configure_environment
from book._ext.execute.warm_kernels import WarmKernels, can_fork

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "_build"


def listed(toc: object) -> list[str]:
    """The pages that a table of contents names, in its order."""
    if isinstance(toc, dict):
        return [page for key, value in toc.items() for page in ([value] if key in ("root", "file") else listed(value))]
    return [page for entry in toc for page in listed(entry)] if isinstance(toc, list) else []


PAGES = listed(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))

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
    config.addinivalue_line("markers", "slow: the test takes minutes; it runs with CI=true, and where it is asked for")
    config.addinivalue_line("markers", "quick: the test builds no book and takes no minute; make test-quick runs it")
    config.addinivalue_line("markers", f"needs(*tools): the test needs these programs: {', '.join(TOOLS)}")


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
        raise pytest.UsageError("with CI=true nothing may be left out; " + "; ".join(lines))
    gone = {id(item) for out in left_out.values() for item in out}
    config.hook.pytest_deselected(items=[item for item in items if id(item) in gone])
    items[:] = [item for item in items if id(item) not in gone]
    config.stash[LEFT_OUT] = lines


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
        build_server()[0].end()


def run_build(target: str, root: Path = ROOT, *, cold: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `make html` or the like on the tree at ``root``, without the installation that came before the tests.

    Args:
        target: the target, and what it takes: `handout adam`.
        root: the tree.
        cold: whether to run the command in a new process, as a person does. Otherwise it runs in a fork of one that
            has imported torch and Sphinx, which saves most of the time; `test_rebuilding` and `test_bad_input` hold
            the two against each other.
        env: variables that are set besides.
    """
    command, variables = [sys.executable], dict(env)
    if not cold and can_fork():
        server, leading = build_server()
        command, variables = server.stub, {**leading, "PYTHONPATH": str(root), **env}
    return subprocess.run(
        [*command, "-m", "book._ext.cli.build", *target.split()],
        cwd=root,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built HTML book."""
    done = run_build("html", cold=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "html"


@pytest.fixture(scope="session")
def pdf() -> Path:
    """The folder of the built PDFs."""
    done = run_build("pdf")
    assert done.returncode == 0, done.stdout + done.stderr
    return BUILD / "pdf"


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
