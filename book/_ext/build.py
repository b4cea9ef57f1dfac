"""`make html` and `make pdf`: Jupyter Book's configuration, Sphinx, and one clear line for whatever goes wrong.

The book is built in `_build/.work`; only a build without a fault replaces the last good one in `_build/html`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from .console import Console
from .faults import ROOT as ROOT
from .faults import Fault as Fault
from .faults import cell_fault, one_line
from .settings import read_settings

BUILD = ROOT / "_build"
WORK = BUILD / ".work"


def build(builder: str) -> Any:
    """Run one Sphinx builder over the book and return the application.

    Raises:
        Fault: whatever goes wrong, in one line.
    """
    check_writable()
    from docutils.utils import SystemMessage
    from myst_nb.core.execute import ExecutionError
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.console import nocolor
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    from .equations import EquationsFail
    from .execution import SectionFails

    config = read_settings()
    if not sys.stderr.isatty():
        nocolor()
    console = Console()
    try:
        with patch_docutils(None), docutils_namespace():
            app = Sphinx(
                srcdir=str(ROOT),
                confdir=None,
                outdir=str(WORK / builder),
                doctreedir=str(WORK / ".doctrees"),
                buildername=builder,
                confoverrides=config,
                status=None,
                warning=console,  # type: ignore[arg-type]
            )
            console.follow(app)
            app.build()
            return app
    except SectionFails as error:
        cause = error.cause.__cause__ if isinstance(error.cause, ExecutionError) else error.cause
        raise cell_fault(error.path, cause) from error
    except EquationsFail as error:
        raise Fault(str(error)) from error
    except (SphinxError, SystemMessage) as error:
        said = one_line(error)
        place = "_config.yml: " if said.startswith("Could not import extension") else ""
        raise Fault(f"{place}{said}") from error
    finally:
        console.close_line()


def check_writable() -> None:
    """Ask for a place to write before anything is computed."""
    try:
        WORK.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=BUILD):
            pass
    except OSError as error:
        raise Fault(f"_build: {error.strerror}; the build writes there: make it writable, or remove it") from error


def publish(*names: str) -> None:
    """Put what was built in the place of the last good one; a copy first, so that a reader never meets half a book."""
    for name in names:
        new, old, place = BUILD / f".{name}.new", BUILD / f".{name}.old", BUILD / name
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        shutil.copytree(WORK / name, new)
        if place.exists():
            place.rename(old)
        new.rename(place)
        shutil.rmtree(old, ignore_errors=True)


def make_html() -> str:
    app = build("html")
    front = app.config.root_doc
    (WORK / "html" / "index.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{app.config.html_title}</title>'
        f'<meta http-equiv="refresh" content="0; url={front}.html"></head>'
        f'<body><p><a href="{front}.html">{app.config.html_title}</a></p></body></html>\n',
        encoding="utf-8",
    )
    publish("html", "figures")
    return "_build/html/index.html"


@contextlib.contextmanager
def faults_in_one_line() -> Iterator[None]:
    try:
        yield
    except Fault as fault:
        sys.exit("\n".join(f"descent: {line}" for line in str(fault).splitlines()))
    except KeyboardInterrupt:
        print("descent: interrupted; the last good book is untouched", file=sys.stderr)
        leave_at_once()
    except Exception as error:
        log = BUILD / "error.log"
        with contextlib.suppress(OSError):
            log.write_text(traceback.format_exc(), encoding="utf-8")
        sys.exit(f"descent: {one_line(error)} ({type(error).__name__}); details in _build/error.log")


def leave_at_once() -> NoReturn:
    """Stop the kernel, or TeX, and go; on the usual way out nbclient would stumble over its kernel's absence."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            # The kernel server sees by itself that the build is gone, and cleans up behind it.
            if not any(part.endswith("kernel_server.py") for part in child.cmdline()):
                child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(130)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m book._ext.build", description=__doc__)
    parser.add_argument("target", choices=["html", "pdf"])
    target = parser.parse_args().target
    began = time.perf_counter()
    with faults_in_one_line():
        print(f"building the book ({target})", flush=True)
        if target == "html":
            left = make_html()
        else:
            from book._ext.pdf import make_pdf

            left = make_pdf(build)
    print(f"{left} in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    # Under its own name, so that a Fault is the same class wherever it is raised.
    from book._ext.build import main as run

    run()
