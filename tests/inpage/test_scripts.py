"""The scripts that run code: how large they are, what they are made of, and a book that is built without them."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_weight import served
from playwright.sync_api import Browser

from book._ext.downloads.leaks import Secrets, leaks
from book._ext.files import text_digest
from book._ext.inpage import parts
from book._ext.inpage.data import site_files
from conftest import ROOT, sample
from optim_code.equations.sections import displayed_updates

if TYPE_CHECKING:
    from small_book import Copy

NOWHERE = "http://127.0.0.1:9/"  # a registry that nobody runs


def scripts(html: Path) -> dict[str, Path]:
    return {path.name.partition(".")[0]: path for path in (html / "_static" / "inpage").iterdir()}


def test_a_script_that_a_build_has_found_is_there_when_it_reads_it(tmp_path: Path) -> None:
    places = [tmp_path / f"library.{number}.js" for number in range(parts.MANY + 2)]
    for number, place in enumerate(places[:-1]):
        parts.keep(place, str(number))
        os.utime(place, (number, number))
    first, second = places[1], places[2]  # the very first has been removed
    assert [path.exists() for path in places[:3]] == [False, True, True]
    assert parts.is_kept(first)
    assert not parts.is_kept(places[-1])
    parts.keep(places[-1], "another build's")
    assert first.read_text() == "1"
    assert not second.exists()


def test_the_first_use_loads_at_most_eight_megabytes_and_the_book_grows_by_25_at_most(html: Path) -> None:
    found = scripts(html)
    assert {*found} == {"library", "python", "workbench"}
    sizes = {name: path.stat().st_size for name, path in found.items()}
    compressed = sum(len(gzip.compress(path.read_bytes(), 6)) for path in found.values())
    assert compressed <= 8e6
    assert sum(sizes.values()) <= 25e6


def test_each_script_is_named_by_its_bytes(html: Path) -> None:
    for name, path in scripts(html).items():
        assert path.name == f"{name}.{text_digest(path.read_text(encoding='utf-8'))[:16]}.js"


@pytest.mark.parametrize("page", ["sgd", "adam", "beyond"])
def test_what_a_page_loads_before_the_first_use_is_small(html: Path, page: str) -> None:
    text = (html / "book" / f"{page}.html").read_text(encoding="utf-8")
    data = re.search(r"<script>var descentInPage = .*?</script>", text)
    assert data is not None
    own = "".join((ROOT / "book" / "_static" / name).read_text() for name in ("inpage.js", "inpage.css", "bowl.css"))
    assert len(gzip.compress((data[0] + own).encode())) <= 20_000


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("page", sample(["sgd", "adam", "beyond"], "beyond"))
def test_a_page_asks_for_no_script_that_runs_code_before_the_first_use(browser: Browser, html: Path, page: str) -> None:
    with served(html) as address:
        window = browser.new_context()
        opened = window.new_page()
        asked: list[str] = []
        opened.on("request", lambda request: asked.append(request.url))
        opened.goto(f"{address}/book/{page}.html", wait_until="networkidle")
        window.close()
    assert not [address for address in asked if "inpage" in address]


def test_the_lock_pins_each_package_by_its_hash_and_names_no_registry() -> None:
    lock = json.loads((parts.LOCK / "package-lock.json").read_text(encoding="utf-8"))
    asked = json.loads((parts.LOCK / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = {name.removeprefix("node_modules/"): said for name, said in lock["packages"].items() if name}
    assert lock["packages"][""]["dependencies"] == asked
    for name, version in asked.items():
        assert packages[name]["version"] == version
        assert parts.metadata(name)["version"] == version
    for said in packages.values():
        assert said["integrity"].startswith("sha512-")
        assert "resolved" not in said


def test_where_npm_cannot_be_reached_a_book_is_built_without_and_one_line_says_so(copy: Copy) -> None:
    copy.replace("book/_ext/inpage/npm/package.json", "What runs", "What else runs")  # so that it is not installed yet
    done = copy.build(npm_config_registry=NOWHERE)
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if "npm" in line]
    lacks = "pages will run no code, and be in a font of the system"
    assert said.startswith(f"descent: {lacks}: what they need cannot be had from npm: ")
    assert not (copy.root / "_build" / "html" / "_static" / "inpage").exists()
    page = (copy.root / "_build" / "html" / "book" / "one.html").read_text(encoding="utf-8")
    assert "descentInPage" not in page
    assert "wasm" not in page
    # Where it can be had again, the book is made again, although no file of its own has changed.
    copy.replace("book/_ext/inpage/npm/package.json", "What else runs", "What runs")
    done = copy.build()
    assert done.returncode == 0, done.stderr
    assert "descentInPage" in (copy.root / "_build" / "html" / "book" / "one.html").read_text(encoding="utf-8")


def test_students_get_no_answer_with_the_code_and_a_planted_one_is_found(tmp_path: Path) -> None:
    secrets, place = Secrets.of(ROOT), tmp_path / "library.0.js"
    files = site_files(ROOT, "student", displayed_updates(ROOT))
    place.write_text(f"window.descentLibrary = {json.dumps({'files': files})};\n", encoding="utf-8")
    assert leaks(tmp_path, secrets) == []
    files["optim_code/problems.py"] += (ROOT / "optim_code" / "optimizers.py").read_text(encoding="utf-8")
    place.write_text(f"window.descentLibrary = {json.dumps({'files': files})};\n", encoding="utf-8")
    assert "library.0.js tells AdamOptimizer" in leaks(tmp_path, secrets)


FILES = """
import hashlib, json, sys
from pathlib import Path
from book._ext.inpage.data import site_files
from optim_code.equations.sections import displayed_updates
files = site_files(Path(), "teacher", displayed_updates(Path()))
sys.stdout.write(hashlib.sha256(json.dumps(files).encode()).hexdigest())
"""


@pytest.mark.slow
def test_the_library_does_not_depend_on_what_its_process_has_imported_before() -> None:
    # A process that the kernel server forks has all of this.
    after = "import torch._dynamo, torch.onnx, matplotlib.pyplot, ipykernel.kernelapp\n" + FILES
    done = [subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True) for code in (FILES, after)]
    assert done[0].stdout, done[0].stderr
    assert done[0].stdout == done[1].stdout
