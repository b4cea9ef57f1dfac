"""`make bench`: how long the book's commands take, and how much of a book there is, measured on a copy of this tree."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from book._ext.equations import KINDS, read_section

ROOT = Path(__file__).resolve().parents[1]
SENTENCE = "A network's cost is an average"


def run(tree: Path, *command: str) -> tuple[float, str]:
    """The seconds that a command took, and what it printed; a failure ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", *command], cwd=tree, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} failed: {done.stderr.strip()}")
    return took, done.stdout


def measure(tree: Path) -> dict[str, str]:
    """One row a number."""
    rows: dict[str, str] = {}
    cold, said = run(tree, "book._ext.build", "html")
    rows["`make html`, nothing there yet"] = f"{cold:.1f} s"
    for section, seconds in re.findall(r"(\S+) … executed in (\S+) s", said):
        rows[f"… of it the cells of `{section}`"] = f"{seconds} s"
    rows["`make html`, nothing changed"] = f"{run(tree, 'book._ext.build', 'html')[0]:.1f} s"
    page = tree / "book" / "quadratic.md"
    text = page.read_text(encoding="utf-8")
    assert SENTENCE in text
    page.write_text(text.replace(SENTENCE, "The cost of a network is an average"), encoding="utf-8")
    rows["`make html`, one sentence changed"] = f"{run(tree, 'book._ext.build', 'html')[0]:.1f} s"
    page.write_text(text, encoding="utf-8")
    if shutil.which("lualatex"):
        run(tree, "book._ext.build", "html")
        rows["`make pdf`, after `make html`"] = f"{run(tree, 'book._ext.build', 'pdf')[0]:.1f} s"
    rows["`make equations`, for the first time"] = f"{first_check(tree):.1f} s"
    rows["`make equations`, again"] = f"{run(tree, 'book._ext.equations')[0]:.1f} s"
    pages = sorted(page.stem for page in (tree / "_build" / "html" / "book").glob("*.html"))
    rows["pages of HTML"] = str(len(pages))
    pdf = tree / "_build" / "pdf" / "descent.pdf"
    if pdf.exists() and shutil.which("pdfinfo"):
        info = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, check=True).stdout
        rows["pages of print"] = re.search(r"Pages:\s+(\d+)", info)[1]  # type: ignore[index]
    sections = [read_section(p, (tree / "book" / f"{p}.md").read_text(encoding="utf-8"))[0] for p in pages]
    found = [equation for equations in sections for equation in equations]
    kinds = ", ".join(f"{sum(e.kind == kind for e in found)} {kind}" for kind in KINDS)
    rows["displayed equations"] = f"{len(found)} ({kinds})"
    rows["figures"] = str(len(list((tree / "_build" / "figures").glob("*.pdf"))))
    return rows


def first_check(tree: Path) -> float:
    (tree / "_build" / ".equations.json").unlink()
    return run(tree, "book._ext.equations")[0]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "descent"
        tree.mkdir()
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
        rows = measure(tree)
    print("| what | measured |\n| --- | --- |")
    for what, number in rows.items():
        print(f"| {what} | {number} |")
    result = ROOT / "_build" / "bench" / "bench.json"
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
