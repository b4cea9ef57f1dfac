"""A page is written again if it was read again, or if anything that pages show of one another has changed.

Sphinx alone writes a page again if it was read again, and leaves a number, a title or a link on another page as it was.
What it writes beside the pages, the marks of the style sheets, depends on what was there before; here it does not.
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

SHARED = ("titles", "longtitles", "tocs", "toctree_includes", "toc_secnumbers", "toc_fignumbers", "toc_num_entries")
OWN = ("index",)
"""The domains that pages do not show of one another."""
FEW = 4
"""Up to so many pages are written faster one after the other than side by side."""


def find_pages_to_write(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """All pages, if one has changed something that others may show: a title, a number, a label, a citation."""
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
        compat.replace_steps(builder, functools.partial(lay_out_assets, app), functools.partial(write, app))
    if current:
        # Nor would the pages around these change.
        compat.write_no_pages_around(builder)
    return sorted(env.found_docs) if before != digest else []


def write(app: Sphinx, outdated: list[str], updated: list[str], method: str = "update") -> None:
    """Write these pages and no other, for Sphinx would always write the first; many of them side by side."""
    builder: Any = app.builder
    wanted = app.env.found_docs if outdated in (None, ["__all__"]) else {*outdated, *updated}
    compat.prepare_only(builder, wanted)
    if len(wanted) > FEW and parallel_available:
        # It counts its own process, which hands out the pages.
        app.parallel = 1 + (os.cpu_count() or 1)
        builder.parallel_ok = app.is_parallel_allowed("write")
    type(builder).write(builder, outdated, updated, method)


def keep_contents_pages(app: Sphinx, env: BuildEnvironment) -> None:
    """Sphinx would write a page again whenever one that its table of contents names was read; titles are shared."""
    compat.ignore_contents_pages(env)


def cache_templates(app: Sphinx) -> None:
    """Compile the templates once, not at every build."""
    compat.cache_templates_in(app.builder, Path(app.doctreedir).parent / "templates")


def canonical(value: Any) -> str:
    """A value as text, the same for equal values: without the order of a set, the address of an object, a line."""
    if isinstance(value, nodes.Node):
        return re.sub(r' line="\d+"', "", value.pformat())
    if isinstance(value, dict):
        return f"{{{', '.join(sorted(f'{canonical(k)}: {canonical(v)}' for k, v in value.items() if k != 'line'))}}}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(canonical, value)))}}}"
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return f"[{', '.join(map(canonical, value))}]"
    if value is None or isinstance(value, (str, int, float, bool)):
        return repr(value)
    inside = value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", {})
    return f"{type(value).__name__}({canonical(dict(inside))})"


def assets_note(app: Sphinx) -> Path:
    """The file that notes which scripts and style sheets the last build copied, and for which state of the book."""
    return Path(app.doctreedir, "static.json")


def scripts(static: Path) -> list[str]:
    return [file.relative_to(static).as_posix() for file in static.rglob("*") if file.suffix in (".css", ".js")]


def lay_out_assets(app: Sphinx) -> None:
    """Before the first page: lay out the style sheets, whose sums pages name."""
    builder: Any = app.builder
    static = Path(app.outdir, "_static")
    if build_state(app).pages_around_are_current:
        # Some extensions lay theirs out only after the pages, which then did not name their sums.
        for late in set(scripts(static)) - set(read_json(assets_note(app))["files"]):
            (static / late).unlink()
        # The theme writes its own over it, also after the pages.
        builder.create_pygments_style_file()
    else:
        shutil.rmtree(static, ignore_errors=True)
        type(builder).copy_assets(builder)
        # Hundred folders of words in other languages, which no page asks for: half of the time of publishing.
        shutil.rmtree(static / "locales", ignore_errors=True)
        for unused in ("searchtools.js", "language_data.js"):
            (static / unused).unlink(missing_ok=True)
        write_json(assets_note(app), {"state": build_state(app).written_for, "files": scripts(static)})
