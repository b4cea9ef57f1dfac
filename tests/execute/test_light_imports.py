"""The module's page: made without torch, and yet it says what the real classes and functions take."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from conftest import ROOT

READS = """
import sys
from book._ext.execute.light_imports import HEAVY, imported
print(imported("optim_code.figures").dark('fill="#1a1c20"'))
print(imported("optim_code.equations.notation").NOTATION[0].name)
print(*imported("optim_code.optim").Optim.__signature__.parameters)
print([name for name in sys.modules if name.partition(".")[0] in HEAVY])
"""
AFTER = "import torch; torch.zeros(1)\nfrom book._ext.execute.light_imports import imported\n"
COMPUTES = "import torch\n\nONE = torch.eye(2) @ torch.eye(2)\n"


def run(program: str, folder: Path = ROOT) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_build_reads_the_module_without_what_takes_seconds_to_import() -> None:
    assert run(READS) == ['fill="#e8eaee"', "w", "params defaults", "[]"]


def test_where_torch_is_there_already_it_is_there_afterwards() -> None:
    program = f"{AFTER}imported('optim_code.figures'); import sys; print(sys.modules['torch'] is torch, torch.zeros(1))"
    assert run(program) == ["True tensor([0.])"]


def test_a_module_that_computes_when_it_is_imported_is_imported_for_real(tmp_path: Path) -> None:
    (tmp_path / "optim_code").mkdir()
    (tmp_path / "optim_code" / "__init__.py").write_text(COMPUTES, encoding="utf-8")
    program = f"import sys; sys.path.append({str(ROOT)!r})\nfrom book._ext.execute.light_imports import imported\n"
    assert run(f"{program}print(imported('optim_code').ONE.tolist())", tmp_path) == ["[[1.0, 0.0], [0.0, 1.0]]"]


def documented(html: Path) -> dict[str, list[str]]:
    """What the module's page says that its classes, functions and methods take, by their full names."""
    page = BeautifulSoup((html / "book" / "api.html").read_text(encoding="utf-8"), "html.parser")
    shown = page.select(":is(dl.class, dl.function, dl.method) > dt.sig[id]")
    return {str(dt["id"]): [p.get_text().partition("=")[0] for p in dt.select(".sig-param")] for dt in shown}


def real(name: str) -> tuple[Any, bool]:
    """What has this name in the package, and whether it belongs to a class."""
    owner = pkgutil.resolve_name(name.rpartition(".")[0])
    return getattr(owner, name.rpartition(".")[2]), inspect.isclass(owner)


def test_the_page_says_what_each_takes(html: Path) -> None:
    pages = documented(html)
    assert {"optim_code.optimizers.AdamOptimizer", "optim_code.optim.Optim.step"} < set(pages)
    for name, shown in pages.items():
        thing, of_class = real(name)
        if isinstance(thing, property):
            continue
        takes = [p.name for p in inspect.signature(thing).parameters.values()]
        assert [p.lstrip("*") for p in shown if p != "*"] == takes[of_class:], name
