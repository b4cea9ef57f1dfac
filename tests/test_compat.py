"""What other packages do not promise is as `book/_ext/compat.py` takes it to be: a new version fails here first."""

from __future__ import annotations

import asyncio
import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from jupyter_client.manager import AsyncKernelManager
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.util.docutils import docutils_namespace, patch_docutils

from book._ext import compat
from conftest import ROOT

INDEX = "# Index\n\n```{toctree}\ntwo\n```\n"
PAGES = {"index": INDEX, "one": "# One\n\nThe word.\n", "two": "# Two\n\n```{toctree}\none\n```\n"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Sphinx]:
    """An application for a book of three pages, not built."""
    source = tmp_path / "source"
    source.mkdir()
    for name, text in PAGES.items():
        (source / f"{name}.md").write_text(text, encoding="utf-8")
    settings = {"extensions": ["myst_nb"], "nb_execution_mode": "off", "html_theme": "basic"}
    with patch_docutils(None), docutils_namespace():
        yield Sphinx(
            str(source), None, str(tmp_path / "html"), str(tmp_path / "trees"), "html", settings,
            status=None, warning=io.StringIO(),
        )  # fmt: skip


def pages(app: Sphinx) -> set[str]:
    return {path.stem for path in Path(app.outdir).glob("*.html")}


def test_warnings_are_counted(app: Sphinx) -> None:
    app.build()
    assert compat.warning_count(app) == 0
    logging.getLogger("sphinx.test").warning("one")
    assert compat.warning_count(app) == 1


def test_a_filter_of_the_warnings_sees_each_of_them(app: Sphinx) -> None:
    seen: list[str] = []
    assert set(compat.warning_handlers()) < set(compat.log_handlers())
    for handler in compat.warning_handlers():
        handler.filters.insert(0, lambda record: seen.append(record.getMessage()) or True)
    logging.getLogger("sphinx.test").warning("one")
    logging.getLogger("sphinx.test").info("two")
    assert seen == ["one"]


@pytest.mark.parametrize("ignored", [False, True])
def test_pages_whose_contents_name_a_page_that_was_read_can_be_left(app: Sphinx, ignored: bool) -> None:
    app.build()
    Path(app.srcdir, "one.md").write_text("# One\n\nAnother word.\n", encoding="utf-8")
    Path(app.outdir, "two.html").write_text("as it was", encoding="utf-8")
    if ignored:
        app.connect("env-check-consistency", lambda app, env: compat.ignore_contents_pages(env))
    app.build()
    assert (Path(app.outdir, "two.html").read_text(encoding="utf-8") == "as it was") == ignored


def test_no_index_is_written_for_the_search(app: Sphinx) -> None:
    compat.write_no_index(app.builder)
    app.build()
    assert "search" in pages(app)
    assert not Path(app.outdir, "searchindex.js").exists()


def test_the_pages_around_are_left(app: Sphinx) -> None:
    compat.write_no_pages_around(app.builder)
    app.build()
    assert pages(app) == {"index", "one", "two"}


def test_only_the_wanted_pages_are_written_and_by_our_function(app: Sphinx) -> None:
    steps: list[str] = []
    builder: Any = app.builder

    def write(*arguments: Any) -> None:
        steps.append("write")
        compat.prepare_only(builder, {"two"})
        type(builder).write(builder, *arguments)

    def copy_assets() -> None:
        steps.append("assets")
        Path(app.outdir, "_static").mkdir(parents=True)

    compat.replace_steps(builder, copy_assets, write)
    compat.write_no_pages_around(builder)
    app.build()
    assert sorted(steps) == ["assets", "write"]
    assert pages(app) == {"two"}
    assert not Path(app.outdir, "_static", "basic.css").exists()


def test_templates_are_compiled_once(app: Sphinx, tmp_path: Path) -> None:
    compat.cache_templates_in(app.builder, tmp_path / "templates")
    app.build()
    assert list((tmp_path / "templates").iterdir())
    compat.cache_templates_in(object(), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_an_extension_is_taken_out(app: Sphinx) -> None:
    called: list[str] = []
    app.connect("builder-inited", lambda app: called.append("ours"))
    app.registry.add_css_files("somewhere.css")
    compat.remove_extension(app, __name__, "somewhere")
    app.emit("builder-inited")
    app.builder.init_css_files()  # type: ignore[attr-defined]
    app.build()
    assert called == []
    assert "somewhere.css" not in Path(app.outdir, "one.html").read_text(encoding="utf-8")
    assert "basic.css" in Path(app.outdir, "one.html").read_text(encoding="utf-8")


def test_all_directives_and_roles_are_known(app: Sphinx) -> None:
    directives, roles = compat.directives_and_roles(app)
    # docutils' own, Sphinx's, a domain's with and without its prefix, an extension's.
    assert {"note", "figure", "toctree", "literalinclude", "py:function", "code-cell", "math"} <= set(directives)
    assert {"emphasis", "ref", "std:ref", "doc", "py:class", "math:numref"} <= roles
    assert "width" in directives["figure"].option_spec
    # docutils imports this one only when a page uses it
    assert directives["pull-quote"].has_content
    assert not {"no-such-directive"} & set(directives)


def test_a_reader_of_notebooks_gets_our_function_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from myst_nb.core import read

    monkeypatch.setattr(read, "read_myst_markdown_notebook", lambda text: [text])

    def twice(original: Any) -> Any:
        return lambda text: original(text) * 2

    compat.replace_reader(twice)
    compat.replace_reader(twice)
    assert read.read_myst_markdown_notebook("a") == ["a", "a"]


def test_the_end_of_a_kernel_is_noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def wait(_: object, pollinterval: float) -> None:
        asked.append(pollinterval)

    monkeypatch.setattr(AsyncKernelManager, "_async_wait", wait)
    asyncio.run(compat.kernel_manager()().finish_shutdown())
    assert set(asked) == {0.005}


def test_outputs_come_from_our_client(app: Sphinx) -> None:
    from myst_nb.core import execute

    class Client(execute.NotebookClientBase):  # type: ignore[misc]
        def start_client(self) -> None:
            self.notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="from our client")]
            self.exec_metadata = {"succeeded": True, "traceback": None}

    front = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python}\n---\n"
    Path(app.srcdir, "one.md").write_text(f"{front}# One\n\n```{{code-cell}}\n1 + 1\n```\n", encoding="utf-8")
    env: Any = app.env
    env.mystnb_config = env.mystnb_config.copy(execution_mode="cache")
    own = execute.NotebookClientCache
    compat.use_client(Client)
    try:
        app.build()
    finally:
        compat.use_client(own)
    assert "from our client" in Path(app.outdir, "one.html").read_text(encoding="utf-8")
    assert env.nb_metadata["one"]["exec_data"]["succeeded"]


LATE = """
import sys
from book._ext.compat import import_clients_late
import_clients_late()
from myst_nb.core.execute import create_client
from myst_nb import sphinx_ext
from myst_nb.core.config import NbParserConfig
import nbformat
print(sorted({"sqlalchemy", "nbclient", "jupyter_client"} & {*sys.modules}))
for mode in ("force", "inline", "cache"):
    client = create_client(nbformat.v4.new_notebook(), "none", NbParserConfig(execution_mode=mode), None)
    print(type(client).__module__.rpartition(".")[2])
"""


def test_mystnb_imports_what_runs_cells_when_it_makes_a_client() -> None:
    done = subprocess.run([sys.executable, "-c", LATE], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["[]", "direct", "inline", "cache"], done.stderr


def test_plug_ins_are_looked_for_once() -> None:
    from pybtex import plugin
    from sphinxcontrib.bibtex import plugin as referencing

    compat.cache_entry_points()
    found = plugin.entry_points(group="pybtex.database.input")
    assert {"bibtex", "yaml"} <= {plug_in.name for plug_in in found}
    assert referencing.entry_points(group="pybtex.database.input") is found
    assert plugin.entry_points.cache_info().misses == 1


# --- sphinx-external-toc


def test_sphinxs_collector_of_contents_is_disabled_and_no_other(app: Sphinx, monkeypatch: pytest.MonkeyPatch) -> None:
    from sphinx_external_toc import collectors

    def handlers() -> list[str]:
        every = [listener.handler for listeners in app.events.listeners.values() for listener in listeners]
        return sorted(type(getattr(handler, "__self__", None)).__name__ for handler in every)

    monkeypatch.setattr(collectors, "disable_builtin_toctree_collector", None)
    before = handlers()
    compat.disable_collector_quickly()
    for _ in range(2):
        collectors.disable_builtin_toctree_collector(app)
    assert handlers() == [name for name in before if name != "TocTreeCollector"] != before


# --- Beautiful Soup

SIMPLY = """
import sys
from book._ext.compat import select_simply
select_simply()
select_simply()
import bs4
loaded = lambda: "soupsieve.css_parser" in sys.modules
soup = bs4.BeautifulSoup('<ul><li class="a b">1</li><li>2</li></ul>', "html.parser")
print(soup.select("ul > li.a")[0].text, soup.select_one("li.b").text, soup.select_one("p"), end=" ")
print(len(soup.select("li", limit=1)), loaded())
print(soup.select("li:first-child")[0].text, soup.css.select_one("li").text, loaded())
"""


def test_soupsieve_is_imported_for_a_selector_that_is_not_simple() -> None:
    done = subprocess.run([sys.executable, "-c", SIMPLY], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["1 1 None 1 False", "1 1 True"], done.stderr


CONTENTS = """
<ul class="nav current"><li class="toctree-l1 has-children"><a class="reference internal" href="#">A</a>
<details><summary><p class="caption">B</p></summary><ul><li class="toctree-l2"><a class="reference">C</a></li></ul>
</details></li><li class="toctree-l1">D</li></ul><p>E <i class="caption">F</i></p>
"""


@pytest.mark.parametrize(
    ("selector", "simple"),
    [
        ("li", True),
        (".caption", True),
        ("li.toctree-l1", True),
        ("li.toctree-l1 > details", True),
        ("ul > li > a.reference", True),
        ("details > p.caption", True),
        ("summary > .caption", True),
        ("ol", True),
        ("li a", False),
        ("li, p", False),
        ("*", False),
        ("ul.nav.current", False),
        ("a[href]", False),
        ("#x", False),
        ("li:first-child > details", False),
    ],
)
def test_a_simple_selector_finds_what_soupsieve_finds(selector: str, simple: bool) -> None:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(CONTENTS, "html.parser")
    for tag in (soup, soup.li, soup.details):
        found = compat.simply_selected(tag, selector)
        assert (found is not None) == simple
        if found is not None:
            assert list(map(id, found)) == list(map(id, tag.css.select(selector)))


# --- pydata-sphinx-theme


def test_the_themes_fontawesome_has_its_outlines_and_rules_where_they_are_read() -> None:
    from book._ext.website.icons import Icon, all_icons, class_rules, sizes

    icons = all_icons()
    assert len({icon for (kind, _), icon in icons.items() if kind == "fas"}) > 1000
    # by its name, by an older one, and by its code
    assert icons["fas", "magnifying-glass"] == icons["fas", "search"] == icons["fas", "f002"]
    assert icons["fab", "github"].path.startswith("M")
    assert isinstance(icons["far", "bell"], Icon)
    assert "1.25em" in sizes()["fa-lg"]
    assert class_rules(["fa-lg fa-sun fas"]).count("mask:") >= 1


def test_a_file_of_the_theme_that_cannot_be_copied_is_an_error(tmp_path: Path) -> None:
    theme, out = tmp_path / "theme", tmp_path / "out"
    (theme / "static").mkdir(parents=True)
    (theme / "static" / "a.css").write_text("a {}", encoding="utf-8")
    (out / "_static" / "a.css").mkdir(parents=True)  # a folder of its name is in the way
    builder: Any = SimpleNamespace(
        theme=SimpleNamespace(get_theme_dirs=lambda: [str(theme)]), templates=None, outdir=str(out)
    )
    StandaloneHTMLBuilder.copy_theme_static_files(builder, {})  # Sphinx only warns
    with pytest.raises(OSError, match=r"a\.css"), compat.copy_errors_raised():
        StandaloneHTMLBuilder.copy_theme_static_files(builder, {})


@pytest.mark.parametrize(
    ("styles", "left"),
    [("import a11y_pygments", "20 1"), ("from book._ext import compat; compat.import_styles()", "30 0")],
)
def test_the_themes_styles_set_up_no_logging(styles: str, left: str) -> None:
    code = f"import logging; {styles}; print(logging.root.level, len(logging.root.handlers))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == left
