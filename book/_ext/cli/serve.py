"""`make serve`: a live preview on this machine. Whenever an editor saves a file, the browser shows the new book.

Each build runs as `make html`, but in a fork of a process that has imported what builds need (`warm_kernels`). The
browser shows `_build/html`. If a build fails, the last good page stays, below a line that says why.
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
from optim_code.equations.sections import name_of

BOOK = BUILD / "html"
POLL = 0.03
"""Seconds between two checks of the times of all files. A check takes a millisecond."""
UNCHANGED = 0.01
"""Seconds without a change after which a save is complete: an editor may save in several steps."""

BUSY = "building …"
Stamp = dict[Path, tuple[int, int]]
"""For each file its time and its size."""
NOT_YET = "<title>Descent</title><body>There is no book yet.</body></html>"


class Preview:
    """The builds, and the pages that are open in browsers.

    Attributes:
        pages: the connections to the open pages.
        state: the last message to them: ``busy`` or ``fault`` with a text, or two empty strings.
        again: why the running build is stopped and started again; empty if it is not.
        requirements: `requirements.txt` as it was at the start.
    """

    def __init__(self) -> None:
        self.pages: set[Live] = set()
        self.state = ("", "")
        self.again = ""
        self.requirements = requirements()

    def send(self, state: str, text: str = "") -> None:
        """Send a message to all open pages."""
        self.state = (state, text)
        for page in list(self.pages):
            page.send_state()

    async def follow(self) -> None:
        """Build, and build again whenever a file changes, until this task is cancelled."""
        built: Stamp = {}
        while True:
            if stamp() == built:
                await asyncio.sleep(POLL)
                continue
            built = await stable_stamp()
            await self.build(built)

    async def build(self, files: Stamp) -> None:
        """Build the book, and send its progress to the pages; stop the build if a file is saved during it.

        Args:
            files: the times and sizes of the files at the start.
        """
        if requirements() != self.requirements:
            self.send("fault", "requirements.txt has changed: stop make serve and start it again, and it is installed")
            print(f"descent: {self.state[1]}", file=sys.stderr)
            return
        self.send("busy", self.again or BUSY)
        warm_kernels.start(builds=True)
        process = await asyncio.create_subprocess_exec(
            *warm_kernels.python(), "-m", "book._ext.cli.build", "html",
            cwd=ROOT, env=warm_kernels.environment(), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        self.again = ""
        errors: list[str] = []
        outputs = asyncio.gather(
            self.pass_on(process.stdout, sys.stdout, []), self.pass_on(process.stderr, sys.stderr, errors)
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
            return  # the next build prints its own messages
        if process.returncode:
            text = "\n".join(errors).replace("descent: ", "").strip()
            self.send("fault", text or "the build ended without a word")
        else:
            self.send("")

    async def pass_on(self, stream: asyncio.StreamReader, to: TextIO, lines: list[str]) -> None:
        """Print the lines of a build, add them to `lines`, and show its progress on the pages."""
        while line := (await stream.readline()).decode():
            if self.again:
                continue
            print(line, end="", file=to, flush=True)
            lines.append(line.rstrip("\n"))
            if to is sys.stdout and line.startswith("  "):
                self.send("busy", f"{BUSY} {line.strip()}")

    async def watch(self, files: Stamp, process: asyncio.subprocess.Process) -> None:
        """Stop a build, as Ctrl-C would, as soon as a file is saved: the build may have read it already."""
        paths = sources()  # a folder that this build notes at its end must not count as saved
        while (now := stamp(paths)) == files:
            await asyncio.sleep(POLL)
        self.again = f"{saved(files, now)}; building again"
        print(self.again, flush=True)
        self.send("busy", self.again)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)


def saved(before: Stamp, after: Stamp) -> str:
    """A text that says which file was saved, or removed, between two stamps."""
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    first = name_of(changed[0], ROOT)
    if len(changed) > 1:
        return f"{first} and {len(changed) - 1} more were saved"
    return f"{first} was {'saved' if changed[0] in after else 'removed'}"


def stamp(paths: Iterable[Path] | None = None) -> Stamp:
    """The times and sizes of all files below these paths; of all files that the book is made from if None."""
    stamps = {}
    for file in source_files(*(sources() if paths is None else paths)):
        with contextlib.suppress(OSError):
            status = file.stat()
            stamps[file] = (status.st_mtime_ns, status.st_size)
    return stamps


def requirements() -> bytes:
    """The contents of `requirements.txt`; empty if there is none."""
    with contextlib.suppress(OSError):
        return (ROOT / "requirements.txt").read_bytes()
    return b""


async def stable_stamp() -> Stamp:
    """The times and sizes of all files after an editor has saved: it may write, remove and rename a file."""
    now = stamp()
    while True:
        await asyncio.sleep(UNCHANGED)
        later = stamp()
        if later == now:
            return now
        now = later


def page_digest(path: str) -> str:
    """A digest of a built page. The page names checksums of its style sheets, so the digest depends on them, too."""
    file = BOOK / path.lstrip("/")
    try:
        return hashlib.sha256((file / "index.html" if file.is_dir() else file).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""


class Page(StaticFileHandler):
    """Sends a file of the book; a page gets the script that waits for the next build."""

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-store")

    def compute_etag(self) -> None:
        return None  # a browser must always ask for the file itself

    async def get(self, path: str, include_body: bool = True) -> None:
        file = (BOOK / path).resolve()
        if not file.is_relative_to(BOOK.resolve()):  # `_build` may be a link, to a disk in memory, say
            raise HTTPError(403)
        file = file / "index.html" if file.is_dir() else file
        if file.suffix == ".html" or not BOOK.exists():
            text = file.read_text(encoding="utf-8") if file.exists() else f"<!DOCTYPE html><html>{NOT_YET}"
            self.set_status(200 if file.exists() else 404)
            mark = f'<html data-seen="{html.escape(page_digest("/" + path))}"'
            self.finish(
                text.replace("<html", mark, 1).replace("</body>", '<script src="/.live.js"></script></body>', 1)
            )
        else:
            await super().get(path, include_body)


class Script(RequestHandler):
    """Sends the script that waits for the next build."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(Path(__file__).with_suffix(".js").read_bytes())


class Live(WebSocketHandler):
    """The connection to one open page."""

    preview: Preview

    def initialize(self, preview: Preview) -> None:
        self.preview = preview

    def open(self, *_: str, **__: str) -> None:
        self.path, self.shown = self.get_argument("page"), self.get_argument("seen", "")
        self.preview.pages.add(self)
        self.send_state()

    def on_close(self) -> None:
        self.preview.pages.discard(self)

    def send_state(self) -> None:
        """Send the state of the build, or tell the page to reload itself because it has changed."""
        state, text = self.preview.state
        now = page_digest(self.path)
        if state == "" and now and now != self.shown:
            state = "reload"
        elif state == "" and self.shown and not now:
            state, text = "fault", "this page is not in the book any more"
        with contextlib.suppress(WebSocketClosedError):
            self.write_message(json.dumps({"state": state, "text": text}))


@contextlib.contextmanager
def server(port: int, preview: Preview) -> Iterator[None]:
    """Serve the book at a port; exit with a message if the port is in use."""
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


async def serve(port: int, browser: bool) -> None:
    """Serve the book and build it after each change, until Ctrl-C.

    Args:
        port: the port.
        browser: whether to open a browser.
    """
    preview = Preview()
    with server(port, preview):
        address = f"http://localhost:{port}/"
        print(f"the book is at {address}, and follows the files; end with Ctrl-C", flush=True)
        if browser:
            webbrowser.open(address)
        following = asyncio.ensure_future(preview.follow())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, following.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await following


def main() -> None:
    """Run the preview as the command line says."""
    parser = argparse.ArgumentParser(prog="make serve", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--browser", action="store_true", help="open a browser, too")
    given = parser.parse_args()
    os.chdir(ROOT)
    logging.getLogger("tornado.access").setLevel(logging.ERROR)
    configure_environment(ROOT)
    try:
        asyncio.run(serve(given.port, given.browser))
    finally:
        warm_kernels.stop()


if __name__ == "__main__":
    main()
