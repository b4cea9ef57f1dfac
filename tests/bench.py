"""`make bench`: the book's build beside stock `jupyter-book build` of the same sources, measured in one run.

Everything happens in copies of this tree. Each number is the median of RUNS runs, ours and stock's in turn; what counts
are the ratios. Leaves `_build/bench/bench.json` and a plot of how the time grows with the number of sections.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from book._ext.page.equations import KINDS, read_section
from book._ext.sources.marks import marks_of
from optim_code.equations.sections import read_pages
from tests.methods import optimizer_cost

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "_build" / "bench"
RUNS = int(os.environ.get("RUNS", "3"))
SECTIONS = [int(n) for n in os.environ.get("SECTIONS", "5 10 20 40").split()]
# What may be, by the book's own demands: ours as a part of stock's.
LIMITS = {"cold": 0.30, "nothing": 0.50, "sentence, live": 0.30, "cell, live": 0.25, "slope": 0.20}

SENTENCE = ("book/quadratic.md", "A network's cost is an average", "The cost {} of a network is an average")
# A cell that is shown, so that the page tells when it has run.
CELL = ("book/quadratic.md", "class FixedLength(Optim):", "mark = {}\n\n\nclass FixedLength(Optim):")
EDITS = {"sentence": SENTENCE, "cell": CELL}
CLASS = ("optim_code/optimizers.py", 'state["t"] += 1', 'state["t"] = state["t"] + 1 + 0 * {}')
SYNTHETIC = """---
file_format: mystnb
kernelspec:
  name: python3
---

# Section {n}

```{{code-cell}} ipython3
from optim_code import SGDOptimizer, output, w

output(SGDOptimizer([w], lr=0.1), nsteps={n}, fname="section_{n}.pdf");
```
"""
FLOOR = """
import contextlib, io, os, sys, tempfile
from pathlib import Path
root = Path(sys.argv[1]); sys.path.insert(0, str(root))
import torch, torch._dynamo, matplotlib.backends.backend_svg, matplotlib.backends.backend_pdf, ipykernel.kernelapp
from IPython.core.interactiveshell import InteractiveShell
from myst_nb.core.read import read_myst_markdown_notebook
shell = InteractiveShell.instance()
shell.extension_manager.load_extension("book._ext.execute.kernel_setup")
os.chdir(tempfile.mkdtemp())
for path in sorted((root / "book").glob("*.md")):
    text = path.read_text()
    if "file_format: mystnb" in text[:200]:
        shell.reset()
        for cell in read_myst_markdown_notebook(text).cells:
            if cell.cell_type == "code":
                with contextlib.redirect_stdout(io.StringIO()):
                    shell.run_cell(cell.source).raise_error()
"""


# What the playground is timed by, in the page: milliseconds a frame, and for the map of each method.
FRAMES = """() => {
    const play = Object.values(descentPlayground.open)[0], times = [];
    play.change({ nsteps: 200, noise: 0.5, race: descentPlayground.methods.map((method) => method.name) });
    for (let i = 0; i < 300; i++) {
        play.change({ "sgd.lr": 0.1 + 1e-4 * i, "adam.lr": 0.05 + 1e-4 * i });
        const began = performance.now();
        play.render();
        times.push(performance.now() - began);
    }
    return times.slice(100);
}"""
MAP = """async ([name, w1]) => {
    const play = Object.values(descentPlayground.open)[0];
    play.change({ race: [name], adjust: name, view: "map", noise: 0, w1 });
    await new Promise((done) => setTimeout(done, 50));
    while (play.map.row < 64) await new Promise((done) => setTimeout(done, 10));
    return play.map.took;
}"""
SECTION = "book/momentum"
LOADS = {
    "requests": "requests",
    "kB": "kilobytes",
    "largest contentful paint, ms": "lcp",
    "total blocking time, ms": "blocked",
    "cumulative layout shift": "shift",
}
MILLISECONDS = {"a frame of the playground: four methods, 200 steps": 4, "the map of the slowest method": 300}


CODE = re.compile(r"^(```\{code-cell\} ipython3\n(?:---\n.*?^---\n|(?::[^\n]*\n)*))(.*?)```", re.M | re.S)
"""A cell of a section: its head, and its code."""


@dataclass
class Tree:
    """A copy of the book, and the command that builds it."""

    root: Path
    stock: bool = False
    original: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        if self.stock:
            return [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "."]
        return [sys.executable, "-m", "book._ext.cli.build", "html"]

    @property
    def environment(self) -> dict[str, str]:
        # The modules of the book are compiled once, as those of stock have been.
        given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {**given, "PYTHONPATH": str(self.root)} if self.stock else given

    def build(self) -> float:
        """The seconds that a build took; a failure ends the benchmark."""
        return run(self.command, self.root, self.environment)[0]

    def cold(self) -> float:
        shutil.rmtree(self.root / "_build", ignore_errors=True)
        return self.build()

    def edit(self, change: tuple[str, str, str], number: int) -> None:
        name, old, new = change
        path = self.root / name
        text = self.original.setdefault(name, path.read_text(encoding="utf-8"))
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new.format(number), 1), encoding="utf-8")

    def restore(self) -> None:
        for name, text in self.original.items():
            (self.root / name).write_text(text, encoding="utf-8")

    def memory(self) -> float:
        """The most memory, in MB, that a build from nothing and all it starts hold together."""
        shutil.rmtree(self.root / "_build", ignore_errors=True)
        building = psutil.Popen(
            self.command, cwd=self.root, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        most = 0.0
        while building.poll() is None:
            held = 0
            for process in [building, *children(building)]:
                try:
                    held += process.memory_full_info().pss  # shared pages once
                except psutil.Error:
                    continue
            most = max(most, held / 1e6)
            time.sleep(0.3)
        return most


def children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> tuple[float, str]:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"bench: {' '.join(command)} failed: {done.stderr.strip()[-2000:]}")
    return took, done.stdout


def copy(folder: Path, stock: bool = False) -> Tree:
    """A copy of what git knows; for stock without our extension, and with an own word for what only that knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    if stock:
        shutil.rmtree(folder / "book" / "_ext")
        settings = (folder / "_config.yml").read_text(encoding="utf-8")
        ours = r"^ +(local_extensions|latex_additional_files|subtitle):.*\n"
        (folder / "_config.yml").write_text(re.sub(ours, "", settings, flags=re.M), encoding="utf-8")
        for page in (folder / "book").glob("*.md"):
            text = page.read_text(encoding="utf-8")
            page.write_text(CODE.sub(lambda cell: without_holds(cell[0]), text), encoding="utf-8")
    return Tree(folder, stock)


def without_holds(cell: str) -> str:
    """A cell without its calls of `holds`, whose comparisons of tensors only our kernel understands."""
    head, lines = CODE.fullmatch(cell)[1], CODE.fullmatch(cell)[2].split("\n")  # type: ignore[index]
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "holds":
            last = node.end_lineno or node.lineno
            lines[node.lineno - 1 : last] = [" " * node.col_offset + "pass", *[""] * (last - node.lineno)]
    return head + "\n".join(lines) + "```"


def synthetic(tree: Tree, count: int) -> None:
    """Leave a front page with the updates that the classes need, and so many sections with a figure each."""
    updates = "".join(
        found
        for page in ("sgd", "momentum", "rmsprop", "adam", "beyond")
        for found in re.findall(
            r"^\$\$\n[^$]+^\$\$ \(update-[\w-]+\)\n", (ROOT / f"book/{page}.md").read_text(encoding="utf-8"), re.M
        )
    )
    for page in (tree.root / "book").glob("*.md"):
        page.unlink()
    (tree.root / "book" / "front.md").write_text(f"# Front\n\n{updates}\n", encoding="utf-8")
    lines = ["format: jb-book", "root: book/front", "chapters:"]
    for n in range(1, count + 1):
        text = SYNTHETIC.format(n=n).replace("```{code-cell} ipython3\n", f"{FIGURE.format(n=n)}", 1)
        (tree.root / "book" / f"section{n}.md").write_text(text.replace('pdf");', 'pdf")'), encoding="utf-8")
        lines.append(f"  - file: book/section{n}")
    (tree.root / "_toc.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


FIGURE = """```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-section-{n}
    caption: A path of {n} steps.
---
"""


@contextmanager
def preview(tree: Tree) -> Iterator[Callable[[tuple[str, str, str], int], float]]:
    """`make serve`; gives a function that saves a change and waits until the page shows it."""
    serving = subprocess.Popen(
        [sys.executable, "-m", "book._ext.cli.serve", "--port", "8765"],
        cwd=tree.root, env=tree.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def save(change: tuple[str, str, str], number: int) -> float:
        page = tree.root / "_build" / "html" / change[0].replace(".md", ".html")
        shown = re.sub(r"\s*\n.*", "", change[2].format(number), flags=re.S).encode()
        began = time.perf_counter()
        tree.edit(change, number)
        seen = -1
        # Another page is another file, for a published one is never written to.
        while (now := page.stat().st_ino) == seen or shown not in re.sub(rb"<[^>]+>", b"", page.read_bytes()):
            seen = now
            if time.perf_counter() - began > 300:
                sys.exit(f"bench: the preview never showed {shown!r}")
            time.sleep(0.002)
        took = time.perf_counter() - began
        time.sleep(1.0)
        return took

    try:
        # The first builds of all are done while nobody waits.
        save(SENTENCE, 1000)
        save(CELL, 1000)
        yield save
    finally:
        serving.terminate()
        serving.wait()


def measure(folder: Path) -> dict[str, dict[str, list[float]]]:
    """All seconds by what was done and by whom."""
    seconds: dict[str, dict[str, list[float]]] = {}

    def note(what: str, who: str, took: float) -> None:
        seconds.setdefault(what, {}).setdefault(who, []).append(took)
        print(f"  {what}, {who}: {took:.2f} {'MB' if what == 'memory' else 's'}", flush=True)

    ours, live, stock = copy(folder / "ours"), copy(folder / "live"), copy(folder / "stock", stock=True)
    for number in range(RUNS):
        note("cold", "ours", ours.cold())
        note("cold", "stock", stock.cold())
        took, _ = run([sys.executable, "-c", FLOOR, str(ours.root)], folder)
        note("floor: one process runs all cells", "floor", took)
        note("nothing", "ours", ours.build())
        note("nothing", "stock", stock.build())
        for what, change in EDITS.items():
            for tree, who in ((stock, "stock"), (ours, "ours")):
                tree.edit(change, number)
                note(what, who, tree.build())
        for tree, who in ((ours, "ours"), (stock, "stock")):
            tree.restore()
            tree.build()
            tree.edit(CLASS, number)
            note("class in optim_code", who, tree.build())
            tree.restore()
    # A preview looks at its files all the time; where it isn't measured, it doesn't run.
    live.cold()
    stock.build()
    with preview(live) as save:
        for number in range(RUNS, 2 * RUNS):
            for what, change in EDITS.items():
                note(f"{what}, live", "ours", save(change, number))
                stock.edit(change, number)
                note(what, "stock", stock.build())
    settings = (stock.root / "_config.yml").read_text(encoding="utf-8")
    (stock.root / "_config.yml").write_text(settings.replace("notebooks: cache", 'notebooks: "off"'), encoding="utf-8")
    for _ in range(RUNS):
        note("floor: Sphinx executes nothing", "floor", stock.cold())
    (stock.root / "_config.yml").write_text(settings, encoding="utf-8")
    note("memory", "ours", ours.memory())
    note("memory", "stock", stock.memory())
    for count in SECTIONS:
        mine, theirs = copy(folder / f"ours{count}"), copy(folder / f"stock{count}", stock=True)
        synthetic(mine, count)
        synthetic(theirs, count)
        for _ in range(RUNS):
            note(f"{count} sections", "ours", mine.cold())
            note(f"{count} sections", "stock", theirs.cold())
    return seconds


def slope(medians: dict[str, dict[str, float]], who: str) -> float:
    """Seconds for each section more, by least squares."""
    return statistics.linear_regression(SECTIONS, [medians[f"{n} sections"][who] for n in SECTIONS]).slope


def ratios(medians: dict[str, dict[str, float]]) -> dict[str, float]:
    found = {
        what: medians[what]["ours"] / medians[what.removesuffix(", live")]["stock"]
        for what in ("cold", "nothing", "sentence", "sentence, live", "cell", "cell, live", "class in optim_code")
    }
    floor = sum(value["floor"] for what, value in medians.items() if what.startswith("floor"))
    found["cold to the floor"] = medians["cold"]["ours"] / floor
    if len(SECTIONS) > 1:
        found["slope"] = slope(medians, "ours") / slope(medians, "stock")
    return found


def plot(medians: dict[str, dict[str, float]]) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "bench"}):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        for who, style in (("stock", "s--"), ("ours", "o-")):
            axes.plot(SECTIONS, [medians[f"{n} sections"][who] for n in SECTIONS], style, label=who)
        axes.set(xlabel="sections", ylabel="seconds, from nothing", ylim=(0, None))
        axes.legend()
        figure.savefig(OUT / "sections.svg")


def playground(html: Path) -> dict[str, float]:
    """Milliseconds that the playground takes, by what for: medians."""
    # Run as a module of the tree, this file does not have the tests beside it on its path.
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import FLAGS

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        page.goto((html / "book" / "intro.html").as_uri())
        page.wait_for_function("() => window.descentPlayground?.open")
        names = page.evaluate("descentPlayground.methods.map((method) => method.name)")
        frame = statistics.median(page.evaluate(FRAMES))
        # Another start each time, or the map would be there already.
        maps = [statistics.median(page.evaluate(MAP, [name, 1 - 0.1 * n]) for n in range(RUNS)) for name in names]
        browser.close()
    return dict(zip(MILLISECONDS, (frame, max(maps)), strict=True))


def loads(ours: Path, stock: Path) -> list[str]:
    """A table of what the first load of a section costs beside stock's, on a slow phone: medians of runs in turn."""
    sys.path.insert(0, str(ROOT / "tests"))
    from conftest import FLAGS
    from tests.page.page_weight import Load, load, served

    runs: dict[str, list[Load]] = {"ours": [], "stock": []}
    with sync_playwright() as playwright, served(ours) as mine, served(stock) as theirs:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for _ in range(RUNS):
            runs["ours"].append(load(browser, f"{mine}/{SECTION}.html", slow=True))
            runs["stock"].append(load(browser, f"{theirs}/{SECTION}.html", slow=True))
        browser.close()
    rows = [f"| first load of {SECTION}, slow phone | ours | stock | ratio |", "| --- | ---: | ---: | ---: |"]
    for what, name in LOADS.items():
        us, them = (statistics.median(getattr(one, name) for one in runs[who]) for who in ("ours", "stock"))
        rows.append(f"| {what} | {us:.4g} | {them:.4g} | {us / them:.2f} |" if them else f"| {what} | {us:.4g} | 0 | |")
    return rows


def sizes() -> dict[str, str]:
    """How much of a book there is."""
    pages = read_pages(ROOT).values()
    sections = [read_section(page)[0] for page in pages]
    found = [equation for equations in sections for equation in equations]
    kinds = ", ".join(f"{sum(e.kind == kind for e in found)} {kind}" for kind in KINDS)
    marked = sum(len(marks_of(page)) for page in pages)
    return {
        "pages of HTML": str(len(pages)),
        "displayed equations": f"{len(found)} ({kinds})",
        "marked phrases": str(marked),
    }


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(Path(folder))
        ours, stock = Path(folder, "ours", "_build", "html"), Path(folder, "stock", "_build", "html")
        milliseconds = playground(ours) if shutil.which("chromium") else {}
        loaded = loads(ours, stock) if shutil.which("chromium") else []
    medians = {what: {who: statistics.median(all_) for who, all_ in by.items()} for what, by in seconds.items()}
    found = ratios(medians)
    print(f"\nMedians of {RUNS} runs on {os.cpu_count()} cores.\n")
    print(f"| what | ours | stock | ratio | at most |\n| --- |{' ---: |' * 4}")
    for what, by in medians.items():
        unit = "MB" if what == "memory" else "s"
        ours, stock = (f"{by[who]:.1f} {unit}" if who in by else "" for who in ("ours", "stock"))
        floor = f"{by['floor']:.1f} s" if "floor" in by else ""
        ratio = f"{found[what]:.2f}" if what in found else ""
        print(f"| {what} | {ours or floor} | {stock} | {ratio} | {LIMITS.get(what, '')} |")
    if "slope" in found:
        line = f"{slope(medians, 'ours'):.2f} s | {slope(medians, 'stock'):.2f} s | {found['slope']:.2f}"
        print(f"| for each section more | {line} | {LIMITS['slope']} |")
        plot(medians)
    print(f"| cold, as a part of the floor | | | {found['cold to the floor']:.2f} | 1.6 |")
    for what, took in milliseconds.items():
        print(f"| {what} | {took:.1f} ms | | | {MILLISECONDS[what]} ms |")
    for what, number in sizes().items():
        print(f"| {what} | {number} | | | |")
    rows, steps = optimizer_cost.table()
    print("\n" + "\n".join(rows) + "\n\n" + "\n".join(loaded))
    report = {"runs": RUNS, "cores": os.cpu_count(), "seconds": seconds, "medians": medians, "ratios": found}
    report["playground, ms"] = milliseconds
    report["steps, to torch's"] = steps
    (OUT / "bench.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
