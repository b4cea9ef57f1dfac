"""What the first load of a page costs: its bytes as a server compresses them, its requests, and its times in Chromium.

The tests ask for the bytes and requests; `make bench` sets the times beside stock's, on a slow network and processor.
"""

from __future__ import annotations

import functools
import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser

SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 0.75e6 / 8}
"""A slow phone's network: milliseconds, and bytes a second."""
OBSERVE = """
window.load = { lcp: 0, blocked: 0, shift: 0 };
const watch = (type, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
watch("largest-contentful-paint", (entry) => { load.lcp = entry.startTime; });
watch("longtask", (entry) => { load.blocked += Math.max(0, entry.duration - 50); });
watch("layout-shift", (entry) => { if (!entry.hadRecentInput) load.shift += entry.value; });
"""


class Load(NamedTuple):
    """What a first load cost.

    Attributes:
        requests: how many there were, the page itself included.
        kilobytes: what came over the network in all of them, without headers.
        lcp: milliseconds to the largest contentful paint.
        blocked: milliseconds, the total blocking time.
        shift: the cumulative layout shift.
    """

    requests: int
    kilobytes: float
    lcp: float
    blocked: float
    shift: float


class Compressing(http.server.SimpleHTTPRequestHandler):
    """Serves a folder as a host of static pages does: texts and pictures in SVG compressed by gzip."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        kind, body = self.guess_type(str(path)), path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if kind.startswith("text/") or kind.endswith(("javascript", "json", "svg+xml")):
            body = gzip.compress(body, 9)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder while it is served."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Compressing, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def load(browser: Browser, address: str, slow: bool = False) -> Load:
    """Load a page for the first time, and scroll through it so that all of it is drawn.

    Args:
        browser: a Chromium.
        address: of the page.
        slow: whether the network and the processor are a slow phone's.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    came: list[int] = []
    # A stock book asks for files of other hosts, too: where they cannot be reached, they are not counted.
    page.on("requestfinished", lambda request: came.append(request.sizes()["responseBodySize"]))
    page.add_init_script(OBSERVE)
    if slow:
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", SLOW)
        session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    page.goto(address, wait_until="load")
    page.wait_for_timeout(500)
    times = page.evaluate("load")
    for top in range(0, page.evaluate("document.documentElement.scrollHeight"), 700):
        page.evaluate("top => { window.scrollTo({ top, behavior: 'instant' }); }", top)
        page.wait_for_timeout(30)
    page.wait_for_load_state("networkidle")
    context.close()
    return Load(len(came), sum(came) / 1000, times["lcp"], times["blocked"], times["shift"])
