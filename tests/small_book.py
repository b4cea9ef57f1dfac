"""A copy of the book with two short sections, to break and to change, and the updates that its classes must have."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from conftest import BUILD, PAGES, ROOT, run_build

NO_BOOK = "named above; there is no new book, and the last one stays as it was"
"""How a build with warnings ends."""
FINDINGS, REMEMBERED = ".equations.json", ".remembered"
TOC = "format: jb-book\nroot: book/one\nchapters:\n  - file: book/updates\n  - file: book/two\n"
NOTEBOOK = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n"
ONE = f"""{NOTEBOOK}
# One

```{{code-cell}} ipython3
print("the first cell")
```

See {{eq}}`def-two` and {{ref}}`sec-two`.
"""
TWO = """\
(sec-two)=
# Two

$$
f(w) = w
$$ (def-two)

As {cite:t}`robbins1951stochastic` say.

```{bibliography}
```
"""


@dataclass
class Copy:
    """A copy of the book with two short sections."""

    root: Path

    def add_pages(self, count: int) -> None:
        """Give the book so many more pages, which hold nothing but a title."""
        self.write("_toc.yml", TOC + "".join(f"  - file: book/another{n}\n" for n in range(count)))
        for n in range(count):
            self.write(f"book/another{n}.md", f"# Another {n}\n")

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def replace(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def build(self, target: str = "html", cold: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
        return run_build(target, self.root, cold=cold, **env)

    def published(self) -> dict[str, bytes]:
        """The book as a reader finds it: every file and its bytes."""
        html = self.root / "_build" / "html"
        return {str(p.relative_to(html)): p.read_bytes() for p in sorted(html.rglob("*")) if p.is_file()}

    def faults(self) -> list[str]:
        """Build what cannot be built; what is said about it, the last line being the build's own."""
        before = self.published()
        done = self.build()
        assert self.published() == before, "the last good book has changed"
        return complaints(done)

    def fault(self) -> str:
        """Build what cannot be built; the one line that says why."""
        *lines, last = self.faults()
        if last == "descent: 1 warning, named above; there is no new book, and the last one stays as it was":
            last = lines.pop()
        assert lines == [], [*lines, last]
        return last


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of a failed build that say what to mend."""
    said = done.stdout + done.stderr
    assert done.returncode > 0, said
    assert "Traceback" not in said, said
    assert "\x1b" not in said, "colour codes where nobody sees colours"
    assert str(ROOT) not in said, said
    lines = done.stderr.strip().splitlines()
    assert lines, said
    assert lines[-1].startswith("descent: "), said
    return lines


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would, for two minutes at most."""
    # The tests may run under make, a person doesn't.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=folder, env={**outside, **env}, capture_output=True, text=True, timeout=120, check=False
    )


@functools.cache
def remembered() -> bytes:
    """What a build of the small book has found out about the theme, the fonts and `optim_code`; made once."""
    with tempfile.TemporaryDirectory() as folder:
        first = tree(Path(folder, "book"))
        done = first.build()
        assert done.returncode == 0, done.stdout + done.stderr
        return (first.root / "_build" / REMEMBERED).read_bytes()


def copy_book(folder: Path) -> Copy:
    """A copy of the tree, its contents short sections, not built yet; what all such builds find is there."""
    copy = tree(folder)
    (copy.root / "_build").mkdir(exist_ok=True)
    (copy.root / "_build" / REMEMBERED).write_bytes(remembered())
    return copy


def tree(folder: Path) -> Copy:
    """The same without what another build has found out."""
    copy = Copy(folder)
    shutil.copytree(ROOT, copy.root, ignore=shutil.ignore_patterns("_build", ".*", "__pycache__"))
    sections = [(ROOT / f"{page}.md").read_text(encoding="utf-8") for page in PAGES]
    found = re.findall(r"^(\$\$\n[^$]+^\$\$ \((update-[\w-]+)\))$", "\n".join(sections), flags=re.M)
    updates = {label: equation for equation, label in found}
    assert updates
    copy.write("_toc.yml", TOC)
    copy.replace("_config.yml", "    cover: race\n", "")
    copy.write("book/one.md", ONE)
    copy.write("book/updates.md", "\n\n".join(["# Updates", *updates.values(), ""]))
    copy.write("book/two.md", TWO)
    # What the book's own build has found about its updates holds for the same updates and code, and need not be found
    # again; a digest of both is part of the note.
    if (found := BUILD / FINDINGS).exists():
        (copy.root / "_build").mkdir()
        shutil.copyfile(found, copy.root / "_build" / FINDINGS)
    return copy
