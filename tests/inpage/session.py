"""Run cells as the page does: in a Python of their own that has the page's files and nothing that is installed.

The program reads one JSON text a line: the data of a page first, then cells. It writes the result of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from book._ext.inpage.data import site_files
from conftest import ROOT
from optim_code.marking import checking

PROGRAM = """
import json, os, sys
sys.platform = "emscripten"  # where there are neither processes nor threads
sys.path.insert(0, sys.argv[1])
import reader
sending = os.fdopen(os.dup(1), "w")
reader.start(json.loads(sys.stdin.readline()))
for line in sys.stdin:
    sending.write(json.dumps(reader.run(json.loads(line))) + "\\n")
    sending.flush()
"""


def write_site(folder: Path, edition: str = "teacher") -> Path:
    """Write the files of the page's Python."""
    for name, text in site_files(ROOT, edition, checking.updates()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


class Session:
    """A page whose cells run one after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def send(self, data: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(data) + "\n")
        self.process.stdin.flush()

    def run(self, code: str) -> dict[str, Any]:
        assert self.process.stdout is not None
        self.send(code)
        result: dict[str, Any] = json.loads(self.process.stdout.readline())
        return result


@contextmanager
def session(site: Path, page: dict[str, Any] | None = None) -> Iterator[Session]:
    """A new page.

    Args:
        site: the folder that `write_site` wrote.
        page: what `page_data` gives; a page without a set-up if not given.
    """
    command = [sys.executable, "-S", "-c", PROGRAM, str(site)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=site) as process:
        opened = Session(process)
        opened.send(page or {"runs": True, "setup": []})
        try:
            yield opened
        finally:
            process.stdin.close()  # type: ignore[union-attr]
            process.kill()
