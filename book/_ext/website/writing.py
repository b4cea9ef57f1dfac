"""Decide which pages Sphinx writes again: those that it has read again, and all pages after a change of shared data.

Shared data is what a page can show about other pages: titles, numbers, labels, citations. Sphinx alone would leave an
old title or number on other pages. This module also copies the static files that a page may load.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.parallel import parallel_available

from book._ext import compat
from book._ext.files import read_json, text_digest, write_json
from book._ext.state import build_state, kept_state
from book._ext.website import assets

# The shared data in Sphinx's environment.
SHARED = ("titles", "longtitles", "tocs", "toctree_includes", "toc_secnumbers", "toc_fignumbers", "toc_num_entries")
OWN = ("index",)
"""The domains whose data is not shared."""
FEW = 4
"""Up to this number of pages, one process writes them faster than several."""


def find_pages_to_write(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """All pages if shared data has changed; none otherwise."""
    shared = [canonical(getattr(env, name)) for name in SHARED]
    shared += [f"{name}: {canonical(data)}" for name, data in sorted(env.domaindata.items()) if name not in OWN]
    digest = text_digest(*shared)
    kept, state = kept_state(env), build_state(app)
    before, kept.shared = kept.shared, digest
    builder: Any = app.builder
    state.written_for = text_digest(digest, app.config.descent_look_digest, canonical(env.domaindata["index"]))
    around = (Path(app.outdir, "genindex.html"), Path(app.outdir, "_static"))
    current = read_json(assets_note(app)).get("state") == state.written_for and all(path.exists() for path in around)
    state.pages_around_are_current = current
    if builder.name == "html":
        compat.replace_steps(builder, functools.partial(copy_assets, app), functools.partial(write, app))
    if current:
        # The general index and the search page would not change, either.
        compat.write_no_pages_around(builder)
    return sorted(env.found_docs) if before != digest else []


def write(app: Sphinx, outdated: list[str], updated: list[str], method: str = "update") -> None:
    """Write exactly these pages, because Sphinx would also write the first page; use several processes for many."""
    builder: Any = app.builder
    wanted = app.env.found_docs if outdated in (None, ["__all__"]) else {*outdated, *updated}
    compat.prepare_only(builder, wanted)
    if len(wanted) > FEW and parallel_available:
        # The first process only hands out the pages.
        app.parallel = 1 + (os.cpu_count() or 1)
        builder.parallel_ok = app.is_parallel_allowed("write")
    type(builder).write(builder, outdated, updated, method)


def keep_contents_pages(app: Sphinx, env: BuildEnvironment) -> None:
    """Do not write a page again because Sphinx has read a page in its table of contents: titles are shared data."""
    compat.ignore_contents_pages(env)


def cache_templates(app: Sphinx) -> None:
    """Keep the compiled templates for the next build."""
    compat.cache_templates_in(app.builder, Path(app.doctreedir).parent / "templates")


def canonical(value: Any) -> str:
    """A value as text, the same for equal values: without the order of sets, addresses of objects, and line numbers.

    A list of things on pages, such as citations, is in the order of the pages' names, because the page that Sphinx has
    read last would be the last in it.
    """
    if isinstance(value, nodes.Node):
        return re.sub(r' line="\d+"', "", value.pformat())
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{canonical(k)}: {canonical(v)}' for k, v in value.items() if k != 'line'))}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(canonical, value)))}}}"
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        if all(hasattr(item, "docname") for item in value):
            value = sorted(value, key=lambda item: item.docname)
        return f"[{', '.join(map(canonical, value))}]"
    if value is None or isinstance(value, (str, int, float, bool)):
        return repr(value)
    inside = value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", {})
    return f"{type(value).__name__}({canonical(dict(inside))})"


def assets_note(app: Sphinx) -> Path:
    """The file that notes for which state of the book the last build copied the static files."""
    return Path(app.doctreedir, "static.json")


def copy_assets(app: Sphinx) -> None:
    """Copy what pages offer to download; and the static files, if those of the last build are not current."""
    builder: Any = app.builder
    shutil.rmtree(Path(app.outdir, "_downloads"), ignore_errors=True)
    if build_state(app).pages_around_are_current:
        with compat.copy_errors_raised():
            builder.copy_download_files()
        return
    static = Path(app.outdir, "_static")
    for folder in (static, assets.sources(app)):
        shutil.rmtree(folder, ignore_errors=True)
    with compat.copy_errors_raised():
        type(builder).copy_assets(builder)
    # No page uses these hundred folders of translations, and publishing them takes half of its time. Icons are drawn
    # by style rules, and nobody debugs the theme here.
    for unused in ("locales", "vendor/fontawesome"):
        shutil.rmtree(static / unused, ignore_errors=True)
    for pattern in ("searchtools.js", "language_data.js", "*/*.map", "*webpack-macros.html"):
        for file in static.glob(pattern):
            file.unlink()
    write_json(assets_note(app), {"state": build_state(app).written_for})
