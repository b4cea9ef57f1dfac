"""Whatever happens to a build, the last good book stays whole, and the next build succeeds."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_rebuilding import assert_same, everything
from test_warm_kernels import helpers_of, wait_until

from small_book import NOTEBOOK, ONE, Copy, copy_book

KILLS = 30
SLOW = f"""{NOTEBOOK}
# Updates

```{{code-cell}} ipython3
import time

time.sleep(0.4)
print("number 0")
```
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    copy = copy_book(tmp_path_factory.mktemp("interrupted") / "book")
    copy.write("book/updates.md", SLOW + (copy.root / "book/updates.md").read_text().replace("# Updates", "## All"))
    build_warm(copy)
    return copy


def build_warm(copy: Copy) -> None:
    """Build to the end, in a fork of a warm process: this is not what is tested."""
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr


def begin(copy: Copy) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "book._ext.cli.build", "html"],
        cwd=copy.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def change(copy: Copy, number: int) -> None:
    """In turn a sentence, and a sentence and a cell."""
    copy.write("book/one.md", f"{ONE}\nVersion {number}.\n")
    if number % 2:
        text = (copy.root / "book/updates.md").read_text(encoding="utf-8")
        copy.write("book/updates.md", re.sub(r"number \d+", f"number {number}", text))


KILLED_AT = """
import os, signal, sys

event, path, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
building = os.getpid()


def watch(name, arguments):
    # What Python is about to do to files. A process that writes pages is not the build.
    global times
    if name == event and os.getpid() == building and any(str(argument).endswith(path) for argument in arguments):
        times -= 1
        if not times:
            os.kill(building, signal.SIGKILL)


sys.addaudithook(watch)
from book._ext.cli.build import main

main(["html"])
"""
POINTS = {
    "pages are written, the state of the work is not noted": ("os.rename", "_build/.finished.json", 1),
    "the state of the work is noted, nothing is published": ("shutil.copytree", "_build/.html.new", 1),
    "half of the pages are copied": ("shutil.copytree", "_build/.html.new/book", 1),
    "all pages are copied, and not yet in their place": ("ctypes.dlsym", "renameat2", 1),
    "the pages are in their place, the last ones beside them": ("shutil.rmtree", "_build/.html.new", 3),
    "the pages are in their place, the figures are not": ("ctypes.dlsym", "renameat2", 2),
    "the figures are in their place, the report is not": ("os.rename", "_build/.facts.json", 1),
    "all is in its place, the end is not noted": ("os.rename", "_build/.finished.json", 2),
}
"""What a build has done, and the step before which it is killed: Python's audit event, its file, counted from 1."""


def assert_whole(left: dict[str, bytes], before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """The pages that a kill has left are those of the last book, or those of the new one, and no mixture."""
    books = [{name: data for name, data in book.items() if name.startswith("_build/html/")} for book in (before, after)]
    assert {name: data for name, data in left.items() if name.startswith("_build/html/")} in books, "half a book"


def test_a_build_that_is_killed_at_any_step_of_publishing_leaves_a_whole_book(copy: Copy) -> None:
    for number, (point, told) in enumerate(POINTS.items(), 100):
        before = everything(copy.root)
        change(copy, number)
        command = [sys.executable, "-c", KILLED_AT, *map(str, told)]
        done = subprocess.run(command, cwd=copy.root, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == -signal.SIGKILL, f"{point}: {done.stdout}{done.stderr}"
        assert done.stderr == "", point
        left = everything(copy.root)
        build_warm(copy)
        after = everything(copy.root)
        assert f"Version {number}.".encode() in after["_build/html/book/one.html"], point
        assert_whole(left, before, after)
    build_warm(copy)
    assert_same(everything(copy.root), after)
    wait_until(lambda: helpers_of(copy.root) == [])


@pytest.mark.slow
def test_after_thirty_kills_at_random_moments_there_was_always_a_whole_book(copy: Copy) -> None:
    draw, longest = random.Random(0), [0.0, 0.0]
    for number in (0, 1):
        change(copy, number)
        began = time.monotonic()
        begin(copy).communicate(timeout=120)
        longest[number] = time.monotonic() - began
    killed, number = 0, 2
    while killed < KILLS:
        assert number < 3 * KILLS, "most builds end before they can be killed"
        before = everything(copy.root)
        change(copy, number)
        building = begin(copy)
        time.sleep(draw.uniform(0, longest[number % 2]))
        killed += building.poll() is None
        building.send_signal((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[number % 3])
        said, complained = building.communicate(timeout=60)
        assert "Traceback" not in said + complained
        left = everything(copy.root)
        build_warm(copy)
        after = everything(copy.root)
        assert f"Version {number}.".encode() in after["_build/html/book/one.html"]
        assert_whole(left, before, after)
        number += 1
    wait_until(lambda: helpers_of(copy.root) == [])


def test_two_builds_at_once_wait_for_each_other_and_both_succeed(copy: Copy) -> None:
    copy.write("book/one.md", f"{ONE}\nTwo at once.\n")
    copy.replace("book/updates.md", "time.sleep(0.4)", "time.sleep(0.5)")
    both = [begin(copy), begin(copy)]
    said = [building.communicate(timeout=120) for building in both]
    assert [building.returncode for building in both] == [0, 0], said
    assert sum("waiting for it" in out for out, _ in said) == 1
    assert b"Two at once." in everything(copy.root)["_build/html/book/one.html"]
    wait_until(lambda: helpers_of(copy.root) == [])


def test_a_file_saved_during_a_build_is_in_the_book(copy: Copy) -> None:
    copy.replace("book/updates.md", "time.sleep(0.5)", "time.sleep(3.0)")
    building = begin(copy)
    wait_until(lambda: helpers_of(copy.root) != [])
    time.sleep(2)
    copy.write("book/one.md", f"{ONE}\nSaved late.\n")
    said, _ = building.communicate(timeout=120)
    assert building.returncode == 0
    assert "building again" in said
    assert b"Saved late." in everything(copy.root)["_build/html/book/one.html"]


def test_a_file_that_a_cell_writes_at_each_run_is_named_with_the_cell(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    writes = "import time\nfrom pathlib import Path\n\nimport optim_code\n\n"
    writes += 'Path(optim_code.__file__).parents[1].joinpath("book", "out.csv").write_text(str(time.time()))'
    copy.replace("book/one.md", 'print("the first cell")', writes)
    done = copy.build(cold=True)  # a build of the preview does not try again
    assert done.stdout.count("book/out.csv changed during the build; building again") == 1
    assert done.stderr == (
        "descent: book/out.csv changed during the build; build again, or if a cell writes it (book/one.md:10 names it),"
        " let it write to a temporary folder\n"
    )


FULL_DISK = """
import os, shutil, subprocess, sys
from pathlib import Path

root = Path(sys.argv[1])
build = root / "_build"
build.mkdir(exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(build)], check=True)
command = [sys.executable, "-m", "book._ext.cli.build", "html"]
page = root / "book" / "one.md"
text = page.read_text()
everything = lambda: {p: p.read_bytes() for p in sorted((build / "html").rglob("*")) if p.is_file()}

assert subprocess.run(command, cwd=root).returncode == 0
for number, room in enumerate((0, 100_000, 1_000_000, 2_500_000)):
    before = everything()
    # With another title all pages are written again.
    page.write_text(text.replace("# One", f"# One {number}") + f"\\nDisk {number}.\\n")
    (root / "book/updates.md").write_text((root / "book/updates.md").read_text() + f"\\nDisk {number}.\\n")
    free = shutil.disk_usage(build).free
    (build / "filler").write_bytes(bytes(max(0, free - room - 8192)))
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    print(room, done.returncode, done.stderr, flush=True)
    if done.returncode:
        assert everything() == before, "the last good book has changed"
        assert done.stderr.startswith("descent: ") and "No space left" in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stdout, done.stderr
    else:
        assert room > 2_000_000
    (build / "filler").unlink()
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"Disk {number}.".encode() in (build / "html/book/one.html").read_bytes()
"""


@pytest.mark.slow
@pytest.mark.parametrize("others", [0, 6], ids=["pages written by one process", "pages written side by side"])
def test_a_full_disk_leaves_the_last_good_book_and_says_so_in_one_line(tmp_path: Path, others: int) -> None:
    # A small disk of its own, that only this process and its children see.
    copy = copy_book(tmp_path / "book")
    copy.add_pages(others)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", sys.executable, "-c", FULL_DISK, str(copy.root)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("No space left") >= 3


def test_where_folders_cannot_be_exchanged_a_book_half_in_its_place_is_put_back(
    copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_warm(copy)
    good = everything(copy.root)
    html = copy.root / "_build" / "html"
    html.rename(html.with_name(".html.old"))  # killed between the two steps
    copy.write("book/one.md", f"{ONE}\nBroken {{ref}}`nothing`.\n")
    done = copy.build()
    assert done.returncode != 0
    assert_same(everything(copy.root), good)
    copy.write("book/one.md", ONE)
    build_warm(copy)
