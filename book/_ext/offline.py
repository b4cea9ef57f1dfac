"""No page asks another host for anything: MathJax comes from disk, the part of it that pages use; no live kernels."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

MATHJAX = "mathjax/tex-chtml.js"
# tex-chtml.js holds the TeX reader, the HTML writer and the menu in one file; the rest of MathJax's 24 MB stays behind.
USED = ("tex-chtml.js", "output/chtml/fonts/woff-v2", "a11y/assistive-mml.js")
FORMULA_SCRIPTS = ("formula_menu.js", "copy_formulas.js")
"""Every page that loads MathJax loads these before it."""


def mathjax_tags(static: str) -> str:
    """The tags that load MathJax on a page that Sphinx does not write, from the `_static` folder at ``static``."""
    return "\n".join(f'<script defer src="{static}/{file}"></script>' for file in (*FORMULA_SCRIPTS, MATHJAX))


def point_to_disk(app: Sphinx, config: Config) -> None:
    config["mathjax_path"] = MATHJAX


def load_formula_scripts(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Load the scripts for the menu and for copying on pages with formulas, before MathJax, whose priority is 500."""
    if doctree is not None and app.env.get_domain("math").has_equations(pagename):  # type: ignore[attr-defined]
        for script in FORMULA_SCRIPTS:
            app.add_js_file(script, priority=400, loading_method="defer")


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.name != "html":
        return
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed: pip install -r requirements.txt")
    source, target = Path(spec.origin).parent / "static" / "mathjax", Path(app.outdir) / "_static" / "mathjax"
    for name in USED:
        if (target / name).exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
        copy(source / name, target / name)


def drop_live_kernels(app: Sphinx) -> None:
    """Jupyter Book always brings sphinx-thebe, which writes the address of a kernel somewhere else into each page."""
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if listener.handler.__module__ != "sphinx_thebe"]
    app.registry.css_files[:] = [file for file in app.registry.css_files if "thebe" not in str(file[0])]


def setup(app: Sphinx) -> dict[str, Any]:
    drop_live_kernels(app)
    app.connect("config-inited", point_to_disk)
    app.connect("html-page-context", load_formula_scripts)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
