"""Each phrase that the text marks as asserted has an assertion that would fail if the phrase were false."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from book._ext.sources.marks import marks_of
from conftest import PAGES, ROOT
from optim_code.equations.sections import read_page

HERE = Path(__file__).parent
MARKED = {page: [mark.name for mark in marks_of(read_page(ROOT, page))] for page in PAGES}


@pytest.mark.parametrize("page", [page for page, names in MARKED.items() if names])
def test_an_assertion_fails_if_its_sentence_is_false(page: str) -> None:
    file = HERE / f"{Path(page).name}.yml"
    assert set(yaml.safe_load(file.read_text(encoding="utf-8"))) == set(MARKED[page]), f"{file.name} and {page}.md"
    done = subprocess.run(
        [sys.executable, str(HERE / "falsify.py"), Path(page).name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: said for name, said in found.items() if not said.startswith(f"{name}: ")} == {}
