"""`make serve`: a live preview on this machine. Save a file, and the browser shows the book that it makes.

Each build is a fork of one warm process, like the kernels it starts (`warm_kernels`), and is the same build as
`make html`: what the browser shows is `_build/html`. A build that fails leaves the last good page there, under the line
that says why.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import html
import json
import logging
import os
import signal
import sys
import webbrowser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from book._ext.cli.publishing import BUILD, sources
from book._ext.execute import warm_kernels
from book._ext.execute.freshness import configure_environment
from book._ext.faults import ROOT
from book._ext.files import source_files

BOOK = BUILD / "html"
POLL = 0.03
"""Seconds between two looks at the files; looking at a hundred takes a millisecond, and misses no way of saving."""
SETTLE = 0.01
"""Seconds for which files must stay as they are: an editor may save in several steps."""

BUSY = "building …"
Stamp = dict[Path, tuple[int, int]]
"""What files look like from outside: their times and sizes."""
NOT_YET = "<title>Descent</title><body>There is no book yet.</body></html>"


class Preview:
    """What is built, and who looks at it.

    Attributes:
        pages: the open pages, each with a hash of what it shows.
        state: what they are told: ``busy`` and ``fault`` with a text, or nothing.
        again: why the build that runs is ended and another one follows, or nothing.
    """

    def __init__(self) -> None:
        self.pages: set[Live] = set()
        self.state = ("", "")
        self.again = ""
        self.requirements = requirements()

    def tell(self, state: str, text: str = "") -> None:
        self.state = (state, text)
        for page in list(self.pages):
            page.tell()

    async def follow(self) -> None:
        """Build, and build again whenever a file has changed, for ever."""
        built: Stamp = {}
        while True:
            if stamp() == built:
                await asyncio.sleep(POLL)
                continue
            built = await settled()
            await self.build(built)

    async def build(self, files: Stamp) -> None:
        """Build the book, and say meanwhile where the build is; a build whose files are saved meanwhile is ended.

        Args:
            files: what the files look like that are built.
        """
        if requirements() != self.requirements:
            self.tell("fault", "requirements.txt has changed: stop make serve and start it again, and it is installed")
            print(f"descent: {self.state[1]}", file=sys.stderr)
            return
        self.tell("busy", self.again or BUSY)
        warm_kernels.start(builds=True)
        process = await asyncio.create_subprocess_exec(
            *warm_kernels.python(), "-m", "book._ext.cli.build", "html",
            cwd=ROOT, env=warm_kernels.environment(), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        self.again = ""
        complained: list[str] = []
        outputs = asyncio.gather(
            self.pass_on(process.stdout, sys.stdout, []), self.pass_on(process.stderr, sys.stderr, complained)
        )
        watching = asyncio.ensure_future(self.watch(files, process))
        try:
            await outputs
            await process.wait()
        finally:
            watching.cancel()
            if process.returncode is None:
                process.terminate()
        if self.again:
            return  # The next build says all again that is still true.
        if process.returncode:
            said = "\n".join(complained).replace("descent: ", "").strip()
            self.tell("fault", said or "the build ended without a word")
        else:
            self.tell("")

    async def pass_on(self, stream: asyncio.StreamReader, to: TextIO, kept: list[str]) -> None:
        """Print the lines of a build as they come, and keep them; pages show where it is."""
        while line := (await stream.readline()).decode():
            if self.again:
                continue
            print(line, end="", file=to, flush=True)
            kept.append(line.rstrip("\n"))
            if to is sys.stdout and line.startswith("  "):
                self.tell("busy", f"{BUSY} {line.strip()}")

    async def watch(self, files: Stamp, process: asyncio.subprocess.Process) -> None:
        """End a build, as Ctrl-C would, once a file is saved that it may have read already."""
        paths = sources()  # what this build notes at its end is no file that was saved
        while (now := stamp(paths)) == files:
            await asyncio.sleep(POLL)
        self.again = f"{saved(files, now)}; building again"
        print(self.again, flush=True)
        self.tell("busy", self.again)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)


def saved(before: Stamp, after: Stamp) -> str:
    """What was saved, or removed, between two looks at the files."""
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    first = changed[0].relative_to(ROOT).as_posix()
    if len(changed) > 1:
        return f"{first} and {len(changed) - 1} more were saved"
    return f"{first} was {'saved' if changed[0] in after else 'removed'}"


def stamp(paths: Iterable[Path] | None = None) -> Stamp:
    """What the files look like from outside, those of the book or below these: their times and sizes."""
    found = {}
    for file in source_files(*(sources() if paths is None else paths)):
        with contextlib.suppress(OSError):
            status = file.stat()
            found[file] = (status.st_mtime_ns, status.st_size)
    return found


def requirements() -> bytes:
    with contextlib.suppress(OSError):
        return (ROOT / "requirements.txt").read_bytes()
    return b""


async def settled() -> Stamp:
    """What the files look like once they stay as they are: an editor may write, remove and rename."""
    now = stamp()
    while True:
        await asyncio.sleep(SETTLE)
        later = stamp()
        if later == now:
            return now
        now = later


def seen(path: str) -> str:
    """A hash of a page as it is built now; it names its style sheets with their sums, so it tells of those too."""
    file = BOOK / path.lstrip("/")
    try:
        return hashlib.sha256((file / "index.html" if file.is_dir() else file).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


class Page(StaticFileHandler):
    """A file of the book; a page with the script that listens for the next build."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> None:
        return None  # what is shown is always what is there

    async def get(self, path: str, include_body: bool = True) -> None:
        file = (BOOK / path).resolve()
        if not file.is_relative_to(BOOK):
            raise HTTPError(403)
        file = file / "index.html" if file.is_dir() else file
        if file.suffix == ".html" or not BOOK.exists():
            text = file.read_text(encoding="utf-8") if file.exists() else f"<!DOCTYPE html><html>{NOT_YET}"
            self.set_status(200 if file.exists() else 404)
            # A page that only sends the reader on need not listen, unless there is nothing yet to send to.
            mark = f'<html data-seen="{html.escape(seen("/" + path))}"'
            self.finish(
                text.replace("<html", mark, 1).replace("</body>", '<script src="/.live.js"></script></body>', 1)
            )
        else:
            await super().get(path, include_body)


class Script(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(Path(__file__).with_suffix(".js").read_bytes())


class Live(WebSocketHandler):
    """The line to one open page."""

    preview: Preview

    def initialize(self, preview: Preview) -> None:
        self.preview = preview

    def open(self, *_: str, **__: str) -> None:
        self.path, self.shown = self.get_argument("page"), self.get_argument("seen", "")
        self.preview.pages.add(self)
        self.tell()

    def on_close(self) -> None:
        self.preview.pages.discard(self)

    def tell(self) -> None:
        state, text = self.preview.state
        now = seen(self.path)
        if state == "" and now and now != self.shown:
            state = "reload"
        elif state == "" and self.shown and not now:
            state, text = "fault", "this page is not in the book any more"
        with contextlib.suppress(WebSocketClosedError):
            self.write_message(json.dumps({"state": state, "text": text}))


@contextlib.contextmanager
def server(port: int, preview: Preview) -> Iterator[None]:
    handlers: list[Any] = [
        (r"/\.live", Live, {"preview": preview}),
        (r"/\.live\.js", Script),
        (r"/(.*)", Page, {"path": str(BOOK), "default_filename": "index.html"}),
    ]
    http = HTTPServer(Application(handlers))
    try:
        http.listen(port, "127.0.0.1")
    except OSError as error:
        sys.exit(f"descent: port {port}: {error.strerror}; choose another: make serve PORT={port + 1}")
    try:
        yield
    finally:
        http.stop()


async def preview(port: int, browser: bool) -> None:
    watched = Preview()
    with server(port, watched):
        address = f"http://localhost:{port}/"
        print(f"the book is at {address}, and follows the files; end with Ctrl-C", flush=True)
        if browser:
            webbrowser.open(address)
        following = asyncio.ensure_future(watched.follow())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, following.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await following


def main() -> None:
    parser = argparse.ArgumentParser(prog="make serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--browser", action="store_true", help="open a browser, too")
    given = parser.parse_args()
    os.chdir(ROOT)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    configure_environment(ROOT)
    try:
        asyncio.run(preview(given.port, given.browser))
    finally:
        warm_kernels.stop()


if __name__ == "__main__":
    main()
