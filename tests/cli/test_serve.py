"""The live preview as an editor meets it: a real browser looks on while files are saved, broken and mended."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from test_warm_kernels import helpers_of, wait_until
from tornado.httpclient import AsyncHTTPClient

from book._ext.cli import serve
from small_book import NOTEBOOK, TOC, Copy, copy_book

pytestmark = pytest.mark.needs("chromium")

SECONDS = 40_000  # milliseconds that a build may take before a test gives up on it
PARAGRAPHS = "\n\n".join(
    f"(sec-{n})=\n## Part {n}\n\nParagraph {n} of a long page, with $\\frac{{\\eta}}{{{n} + 1}}$." for n in range(80)
)
LONG = f"""{NOTEBOOK}
# Long

```{{code-cell}} ipython3
from optim_code import w

answer = 40 + 1
print(f"the answer is {{answer}}")
```

{PARAGRAPHS}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Desk:
    """An editor's desk: a book, the preview that follows it, and a browser."""

    copy: Copy
    page: Page
    process: subprocess.Popen[str]
    port: int

    @property
    def panel(self) -> Locator:
        return self.page.locator("div[role=status][aria-live]").last

    def settle(self) -> None:
        """Wait until all formulas have their font, and take their room."""
        self.page.evaluate("document.fonts.ready.then(() => true)")
        self.page.wait_for_timeout(300)

    def break_and_mend(self, file: str, old: str, new: str, complaint: str) -> None:
        """Break a file: an error over the last good page; mend it: the error goes."""
        path = self.copy.root / file
        text = path.read_text()
        self.settle()
        shown = self.page.locator("article").inner_text()
        self.copy.replace(file, old, new)
        expect(self.panel).to_have_class("fault", timeout=SECONDS)
        expect(self.panel).to_contain_text(re.compile(complaint))
        assert self.page.locator("article").inner_text() == shown
        path.write_text(text)
        expect(self.panel).to_have_class("", timeout=SECONDS)
        expect(self.panel).to_be_hidden()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Desk]:
    copy = copy_book(tmp_path_factory.mktemp("serve") / "book")
    copy.write("_toc.yml", TOC + "  - file: book/long\n")
    copy.write("book/long.md", LONG)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "book._ext.cli.serve", "--port", str(port)],
        cwd=copy.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        built = copy.root / "_build/html/book/long.html"
        wait_until(built.exists, 120)
        page.goto(f"http://127.0.0.1:{port}/book/long.html")
        yield Desk(copy, page, process, port)
        assert complaints == []
    finally:
        page.close()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


def test_a_saved_sentence_is_shown_at_the_place_where_the_reader_was(desk: Desk) -> None:
    part = desk.page.locator("#sec-60")
    desk.page.evaluate("document.querySelector('#sec-60').scrollIntoView({behavior: 'instant'})")
    before = part.bounding_box()
    desk.copy.replace("book/long.md", "# Long\n", "# Long\n\n" + "A new first sentence. " * 60 + "\n")
    expect(desk.page.locator("article")).to_contain_text("A new first sentence.", timeout=SECONDS)
    desk.settle()
    after = part.bounding_box()
    assert abs(after["y"] - before["y"]) < 5
    assert desk.page.evaluate("scrollY") > 1000


def test_a_file_that_is_saved_by_renaming_is_noticed(desk: Desk) -> None:
    path = desk.copy.root / "book/long.md"
    new = path.with_name(".long.md.swp")
    new.write_text(path.read_text().replace("Paragraph 3 of", "Paragraph three of"))
    os.replace(new, path)
    expect(desk.page.locator("article")).to_contain_text("Paragraph three of", timeout=SECONDS)


def test_a_broken_cell_is_an_error_over_the_last_good_page(desk: Desk) -> None:
    desk.break_and_mend("book/long.md", "40 + 1", "40 + one", r"book/long\.md:\d+: cell 1, line 3: NameError")


def test_a_broken_equation_is_an_error_over_the_last_good_page(desk: Desk) -> None:
    wrong = r"book/updates\.md:\d+: update-sgd: differs from SGDOptimizer by"
    desk.break_and_mend("book/updates.md", r"w_t - \eta", r"w_t + \eta", wrong)


def test_a_broken_reference_is_an_error_over_the_last_good_page(desk: Desk) -> None:
    desk.break_and_mend("book/long.md", "# Long\n", "# Long\n\n{ref}`nowhere`\n", "undefined label: 'nowhere'")


def test_a_syntax_error_in_the_module_is_an_error_over_the_last_good_page(desk: Desk) -> None:
    desk.break_and_mend(
        "optim_code/figures.py", "def output(", "def output(:", r"optim_code/figures\.py:\d+: SyntaxError"
    )


def test_a_broken_toc_is_an_error_over_the_last_good_page(desk: Desk) -> None:
    desk.break_and_mend("_toc.yml", "format: jb-book", "format: [", r"_toc\.yml")


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("book/two.md", "there is no book/two.md"),
        ("_toc.yml", "_toc.yml: No such file"),
        ("_config.yml", "_config.yml: No such file"),
        ("requirements.txt", "requirements.txt has changed"),
        ("optim_code", "optim_code/optimizers.py: No such file"),
    ],
)
def test_what_is_deleted_is_an_error_until_it_is_back(desk: Desk, file: str, complaint: str) -> None:
    path = desk.copy.root / file
    away = path.rename(desk.copy.root / "away")
    expect(desk.panel).to_have_class("fault", timeout=SECONDS)
    expect(desk.panel).to_contain_text(complaint)
    away.rename(path)
    expect(desk.panel).to_have_class("", timeout=SECONDS)


def test_a_cell_and_the_module_reach_the_page(desk: Desk) -> None:
    desk.copy.replace("book/long.md", "40 + 1", "40 + 2")
    expect(desk.page.locator("article")).to_contain_text("the answer is 42", timeout=SECONDS)
    # Going back is shown, too.
    desk.copy.replace("book/long.md", "40 + 2", "40 + 1")
    expect(desk.page.locator("article")).to_contain_text("the answer is 41", timeout=SECONDS)


def test_pages_are_served_where_the_folder_of_builds_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk" / "html").mkdir(parents=True)
    (tmp_path / "disk" / "html" / "one.html").write_text("<html><body>One.</body></html>", encoding="utf-8")
    (tmp_path / "_build").symlink_to("disk")
    monkeypatch.setattr(serve, "BOOK", tmp_path / "_build" / "html")

    async def fetched(path: str) -> tuple[int, str]:
        port = free_port()
        with serve.server(port, serve.Preview()):
            found = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/{path}", raise_error=False)
        return found.code, found.body.decode()

    with ThreadPoolExecutor(1) as thread:  # this one may have a loop of events already, of a browser
        code, text = thread.submit(asyncio.run, fetched("one.html")).result()
        assert (code, "One." in text) == (200, True)
        assert thread.submit(asyncio.run, fetched("%2e%2e/%2e%2e/secret.html")).result()[0] in (403, 404)


def test_the_preview_serves_the_built_book_and_only_adds_its_script(desk: Desk) -> None:
    built = (desk.copy.root / "_build/html/book/two.html").read_text()
    assert ".live" not in built
    served = desk.page.request.get(f"http://127.0.0.1:{desk.port}/book/two.html").text()
    served = re.sub(r' data-seen="\w+"|<script src="/\.live\.js"></script>', "", served)
    assert served == built
    sheet, *_ = (desk.copy.root / "_build/html/_static").glob("styles.*.css")
    style = desk.page.request.get(f"http://127.0.0.1:{desk.port}/_static/{sheet.name}")
    assert style.body() == sheet.read_bytes()
    outside = desk.page.request.get(f"http://127.0.0.1:{desk.port}/%2e%2e/%2e%2e/_config.yml")
    assert outside.status in (403, 404)


def test_a_taken_port_is_one_line(desk: Desk) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "book._ext.cli.serve", "--port", str(desk.port)],
        cwd=desk.copy.root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    expected = f"descent: port {desk.port}: Address already in use; choose another: make serve PORT={desk.port + 1}"
    assert done.stderr.splitlines() == [expected]


def test_without_a_book_the_preview_says_why_and_shows_it_when_it_is_there(desk: Desk, browser: Browser) -> None:
    root = desk.copy.root.parent / "broken"
    shutil.copytree(desk.copy.root, root, ignore=shutil.ignore_patterns("_build"))
    copy, port = Copy(root), free_port()
    copy.replace("_toc.yml", "format: jb-book", "format: [")
    process = subprocess.Popen(
        [sys.executable, "-m", "book._ext.cli.serve", "--port", str(port)],
        cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    page = browser.new_page()
    try:
        wait_until(lambda: not port_is_free(port))
        page.goto(f"http://127.0.0.1:{port}/book/long.html")
        expect(page.locator("body")).to_contain_text("There is no book yet.")
        panel = page.locator("div[role=status][aria-live]").last
        expect(panel).to_contain_text("_toc.yml", timeout=SECONDS)
        copy.replace("_toc.yml", "format: [", "format: jb-book")
        expect(page.locator("article")).to_contain_text("Paragraph 4 of", timeout=SECONDS)
    finally:
        page.close()
        process.terminate()
        process.wait(timeout=30)
    wait_until(lambda: helpers_of(root) == [])


@pytest.fixture(scope="module")
def slow_desk(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[tuple[Desk, Path, Path]]:
    """A preview whose first build waits in a cell; the file that lets it go on, and what stood in the terminal."""
    folder = tmp_path_factory.mktemp("slow")
    go, terminal = folder / "go", folder / "terminal"
    copy = copy_book(folder / "book")
    cell = f"import os, pathlib, time\n\npathlib.Path({str(folder / 'pid')!r}).write_text(str(os.getpid()))\n"
    cell += f"while not pathlib.Path({str(go)!r}).exists():\n    time.sleep(0.05)\nprint('the cell has ended')"
    copy.write("book/one.md", f"{NOTEBOOK}\n# One\n\n```{{code-cell}} ipython3\n{cell}\n```\n")
    port = free_port()
    with terminal.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "book._ext.cli.serve", "--port", str(port)], cwd=copy.root, stdout=said, stderr=said
        )
    page = browser.new_page()
    try:
        wait_until(lambda: not port_is_free(port))
        page.goto(f"http://127.0.0.1:{port}/book/one.html")
        yield Desk(copy, page, process, port), go, terminal
    finally:
        page.close()
        process.terminate()
        process.wait(timeout=30)


def test_the_first_build_and_a_save_during_it_are_shown_in_the_terminal_and_on_the_page(
    slow_desk: tuple[Desk, Path, Path],
) -> None:
    desk, go, terminal = slow_desk
    expect(desk.page.locator("body")).to_contain_text("There is no book yet.")
    expect(desk.panel).to_contain_text("book/one … running", timeout=3 * SECONDS)
    assert "  book/one … running\n" in terminal.read_text()
    pid = go.with_name("pid")
    wait_until(pid.exists)
    first = pid.read_text()
    desk.copy.replace("book/two.md", "# Two", "# Two, saved meanwhile")
    wait_until(lambda: "\nbook/two.md was saved; building again\n" in terminal.read_text())
    # The build of before is ended, and so is its cell; the one that follows runs it again.
    wait_until(lambda: pid.read_text() not in ("", first))
    wait_until(lambda: not Path(f"/proc/{first}/cmdline").exists())
    expect(desk.panel).to_have_class("busy")
    go.touch()
    expect(desk.page.locator("article")).to_contain_text("the cell has ended", timeout=SECONDS)
    expect(desk.panel).to_be_hidden()
    said = terminal.read_text()
    assert "interrupted" not in said
    assert "Traceback" not in said
    assert said.count("building again") == 1
    desk.page.goto(f"http://127.0.0.1:{desk.port}/book/two.html")
    expect(desk.page.locator("article h1")).to_contain_text("Two, saved meanwhile")


def test_a_later_build_says_where_it_is_and_which_file_was_saved_or_removed(
    slow_desk: tuple[Desk, Path, Path],
) -> None:
    desk, go, terminal = slow_desk
    go.unlink()
    desk.copy.replace("book/one.md", "the cell has ended", "another cell has ended")
    expect(desk.panel).to_contain_text("book/one … running", timeout=SECONDS)
    data = desk.copy.root / "book" / "data.csv"
    data.write_text("1\n")
    expect(desk.panel).to_contain_text(re.compile("book/data.csv was saved; building again|book/one … running"))
    wait_until(lambda: "book/data.csv was saved; building again" in terminal.read_text())
    expect(desk.panel).to_contain_text("book/one … running", timeout=SECONDS)
    data.unlink()
    wait_until(lambda: "book/data.csv was removed; building again" in terminal.read_text())
    go.touch()
    desk.page.goto(f"http://127.0.0.1:{desk.port}/book/one.html")
    expect(desk.page.locator("article")).to_contain_text("another cell has ended", timeout=SECONDS)


def test_a_page_that_left_the_book_says_so(slow_desk: tuple[Desk, Path, Path]) -> None:
    desk, *_ = slow_desk
    desk.page.goto(f"http://127.0.0.1:{desk.port}/book/two.html")
    desk.copy.replace("_toc.yml", "  - file: book/two\n", "")
    desk.copy.write("book/one.md", "# One\n")
    expect(desk.panel).to_contain_text("this page is not in the book any more", timeout=SECONDS)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_ctrl_c_ends_it_and_all_that_it_started(desk: Desk) -> None:
    os.killpg(desk.process.pid, signal.SIGINT)
    said, _ = desk.process.communicate(timeout=30)
    assert "Traceback" not in said
    wait_until(lambda: helpers_of(desk.copy.root) == [])
    assert Path(desk.copy.root / "_build/html/book/long.html").exists()
