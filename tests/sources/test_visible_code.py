"""The code that a section shows runs as a reader types it: alone, in their order, in a fresh process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import PAGES, ROOT
from optim_code.equations.sections import Block, Page, read_options, read_page

HIDDEN = {"remove-cell", "remove-input", "hide-cell", "hide-input"}
# Torch is imported once, before the processes part, with what it imports at the first optimizer; each starts with no
# names at all, as a fresh one does.
RUN = """
import json, os, sys, traceback
import optim_code.figures, torch._dynamo

for name, cells in json.load(sys.stdin).items():
    read, write = os.pipe()
    if not os.fork():
        names = {"__name__": "__main__"}
        try:
            for where, code in cells:
                place = where
                exec(compile(code, where, "exec"), names)
        except BaseException as error:
            os.write(write, f"{place}: {type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        print(json.dumps([name, said.read()]), flush=True)
    os.wait()
"""


def visible_code(page: Page) -> list[tuple[str, str]]:
    """The code that a page shows, each piece with its place: cells, and Python that is only printed."""
    return [(page.where(block.start), block.body) for block in page.blocks if shows_code(block, page)]


def shows_code(block: Block, page: Page) -> bool:
    if block.name == "code-cell":
        tags = read_options(block, page.where(block.first)).get("tags") or []
        return not HIDDEN & ({tags} if isinstance(tags, str) else set(tags))
    return block.kind in ("code", "directive") and "python" in (block.argument, block.name)


def run_alone(sections: dict[str, list[tuple[str, str]]], folder: Path) -> dict[str, str]:
    """Run each section's code in a process of its own; what went wrong in it, or an empty text."""
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), "OMP_NUM_THREADS": "1"},
        input=json.dumps(sections),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


SECTIONS = {name: visible_code(read_page(ROOT, name)) for name in PAGES if name != "book/editing"}


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return run_alone(SECTIONS, tmp_path_factory.mktemp("reader"))


@pytest.mark.parametrize("section", [name for name, code in SECTIONS.items() if code])
def test_the_visible_code_of_a_section_runs_as_a_reader_types_it(faults: dict[str, str], section: str) -> None:
    assert faults[section] == ""


def test_hidden_cells_do_not_help_visible_ones(tmp_path: Path) -> None:
    source = """\
# One

```{{code-cell}} ipython3
:tags: [{tag}]
import math
```

- ```{{code-cell}} ipython3
  math.pi
  ```

````{{solution}} ex-one
```python
assert math.pi > 3
```
````
"""
    pages = {}
    for tag in [*HIDDEN, "remove-output"]:
        (tmp_path / f"{tag}.md").write_text(source.format(tag=tag), encoding="utf-8")
        pages[tag] = visible_code(read_page(tmp_path, tag))
    found = run_alone(pages, tmp_path)
    assert [code.strip() for _, code in pages["remove-output"]] == ["import math", "math.pi", "assert math.pi > 3"]
    assert found.pop("remove-output") == ""
    assert found == {tag: f"{tag}.md:9: NameError: name 'math' is not defined" for tag in HIDDEN}


def test_no_line_of_code_breaks_in_a_page_as_wide_as_its_text() -> None:
    shown = [piece for page in PAGES for piece in printed_code(read_page(ROOT, page))]
    classes = (ROOT / "optim_code" / "optimizers.py").read_text(encoding="utf-8")
    shown.append(("optimizers.py", re.sub(r'r?""".*?"""', "", classes, flags=re.S)))
    long = [(where, line) for where, code in shown for line in code.split("\n") if len(line) > WIDE]
    assert len(shown) > 60
    assert long == []


WIDE = 79
"""Letters of code in a line of a page that is 1280 pixels wide."""


def printed_code(page: Page) -> list[tuple[str, str]]:
    """All code that a page prints, in whatever language."""
    listed = [block for block in page.blocks if block.kind == "code" or block.name in ("code-block", "code")]
    return visible_code(page) + [(page.where(block.start), block.body) for block in listed]
