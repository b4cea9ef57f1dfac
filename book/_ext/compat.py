"""What the build uses of other packages that they do not promise to keep: private names, patches, layouts of folders.

A new version of one of these packages can break this module, but no other part of the extension. The headings name
the packages, and `tests/test_compat.py` has a test for each function.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import re
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from book._ext.files import package_folder

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment


# --- Sphinx --------------------------------------------------------------------------------------------------------


def warning_count(app: Sphinx) -> int:
    """The number of warnings so far, which Sphinx 7.4 offers only to its own command line."""
    return app._warncount


def log_handlers() -> list[logging.Handler]:
    """The handlers of Sphinx's messages, because its logger has no other place for filters."""
    return logging.getLogger("sphinx").handlers


def warning_handlers() -> list[logging.Handler]:
    """The handlers that write warnings, not progress."""
    from sphinx.util.logging import WarningStreamHandler

    return [handler for handler in log_handlers() if isinstance(handler, WarningStreamHandler)]


def ignore_contents_pages(env: BuildEnvironment) -> None:
    """Do not write a page again only because Sphinx has read a page in its table of contents."""
    env.files_to_rebuild = {}


def write_no_index(builder: Any) -> None:
    """Write the search page, but no index for it."""
    builder.load_indexer = lambda docnames: setattr(builder, "indexer", None)


def write_no_pages_around(builder: Any) -> None:
    """Do not write the general index and the search page."""
    builder.gen_indices = builder.gen_additional_pages = lambda: None


def replace_steps(builder: Any, copy_assets: Callable[[], None], write: Callable[..., None]) -> None:
    """Let a builder copy static files and write pages with these functions; `type(builder)` still has Sphinx's own."""
    builder.copy_assets, builder.write = copy_assets, write


@contextlib.contextmanager
def copy_errors_raised() -> Iterator[None]:
    """Raise the error if a file of the theme cannot be copied, as on a full disk; Sphinx warns of each, and goes on."""

    def check(record: logging.LogRecord) -> bool:
        for argument in record.args or ():
            if isinstance(argument, OSError):
                raise argument
        return True

    logger = logging.getLogger("sphinx.sphinx.builders.html")
    logger.addFilter(check)
    try:
        yield
    finally:
        logger.removeFilter(check)


def prepare_only(builder: Any, wanted: set[str]) -> None:
    """Let a builder write only these pages; it would always write the first page of the book, too."""
    prepare = builder.prepare_writing

    def prepare_wanted(docnames: set[str]) -> None:
        docnames &= wanted
        prepare(docnames)

    builder.prepare_writing = prepare_wanted


def cache_templates_in(builder: Any, folder: Path) -> None:
    """Keep the compiled templates of a builder in a folder, if it has templates."""
    from jinja2 import FileSystemBytecodeCache

    templates = getattr(builder, "templates", None)
    if templates is not None:
        folder.mkdir(parents=True, exist_ok=True)
        templates.environment.bytecode_cache = FileSystemBytecodeCache(str(folder))


def remove_extension(app: Sphinx, package: str, files: str) -> None:
    """Remove the listeners and style sheets of an extension that Jupyter Book always loads.

    Args:
        app: the application.
        package: the package of the extension.
        files: a part of the names of its style sheets.
    """
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if listener.handler.__module__ != package]
    app.registry.css_files[:] = [file for file in app.registry.css_files if files not in str(file[0])]


def directives_and_roles(app: Sphinx) -> tuple[dict[str, Any], set[str]]:
    """All directives by name, and the names of all roles, of docutils, Sphinx and the extensions.

    The tables of docutils are private, and it imports a directive only when a page uses it.
    """
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    found: dict[str, Any] = {name: docutils_directive(name) for name in directives._directive_registry}
    found |= {name: found.get(of) for name, of in en.directives.items()}
    known = {*roles._role_registry, *en.roles, *roles._roles}
    for domain in app.env.domains.values():
        # Those of the standard domain and of the primary one need no prefix.
        own = domain.name in ("std", app.config.primary_domain)
        for prefix in ("", f"{domain.name}:") if own else (f"{domain.name}:",):
            found |= {f"{prefix}{name}": directive for name, directive in domain.directives.items()}
            known |= {f"{prefix}{name}" for name in domain.roles}
    return found | directives._directives, known


def docutils_directive(name: str) -> Any:
    """A directive of docutils; None if this version does not have it."""
    from docutils.parsers.rst import directives

    module, directive = directives._directive_registry[name]
    return getattr(importlib.import_module(f"docutils.parsers.rst.directives.{module}"), directive, None)


# --- sphinx-external-toc -------------------------------------------------------------------------------------------


def disable_collector_quickly() -> None:
    """Let the package find Sphinx's collector of contents among the listeners, not among all objects of the process."""
    from sphinx.environment.collectors.toctree import TocTreeCollector
    from sphinx_external_toc import collectors

    def disable(app: Sphinx) -> None:
        handlers = [listener.handler for listeners in app.events.listeners.values() for listener in listeners]
        for collector in (getattr(handler, "__self__", None) for handler in handlers):
            # A collector without listeners has been disabled already.
            if isinstance(collector, TocTreeCollector) and collector.listener_ids is not None:
                collector.disable(app)

    collectors.disable_builtin_toctree_collector = disable


# --- MyST-NB -------------------------------------------------------------------------------------------------------


def replace_reader(patched: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace MyST-NB's reader of notebooks in Markdown, once, by what a function makes of it."""
    from myst_nb.core import read

    if not hasattr(read.read_myst_markdown_notebook, "__wrapped__"):
        original = read.read_myst_markdown_notebook
        read.read_myst_markdown_notebook = functools.wraps(original)(patched(original))


CLIENTS = {"cache": "NotebookClientCache", "direct": "NotebookClientDirect", "inline": "NotebookClientInline"}
"""The modules of MyST-NB's clients, which run cells, and their classes."""


def import_clients_late() -> None:
    """Let MyST-NB import a client when it makes one: they bring jupyter-cache with a database, and Jupyter's client."""
    for module, client in CLIENTS.items():
        name = f"myst_nb.core.execute.{module}"
        if name not in sys.modules:
            sys.modules[name] = stand_in = ModuleType(name)
            setattr(stand_in, client, functools.partial(import_client, stand_in, client))


def import_client(stand_in: ModuleType, client: str, *arguments: Any, **named: Any) -> Any:
    """Make one of MyST-NB's clients, from the module for which another one stood in."""
    return imported_attribute(stand_in, client)(*arguments, **named)


def use_client(client: Callable[..., Any]) -> None:
    """Let MyST-NB use this client in place of the one that takes outputs from a cache."""
    from myst_nb.core import execute

    execute.NotebookClientCache = client


# --- jupyter-client ------------------------------------------------------------------------------------------------


@functools.cache
def kernel_manager() -> type:
    """Jupyter's manager of a kernel, but it asks every few milliseconds, not every 100, if the kernel has ended."""
    from jupyter_client.manager import AsyncKernelManager

    class Manager(AsyncKernelManager):
        async def _async_wait(self, pollinterval: float = 0.1) -> None:
            await super()._async_wait(pollinterval=0.005)

    return Manager


# --- pybtex and sphinxcontrib-bibtex -------------------------------------------------------------------------------


def cache_entry_points() -> None:
    """Search for plug-ins once in each process; both packages search all installed packages at each citation."""
    from pybtex import plugin
    from sphinxcontrib.bibtex import plugin as referencing

    find = functools.cache(metadata.entry_points().select)
    for module in (plugin, referencing):
        vars(module)["entry_points"] = find


# --- Beautiful Soup ------------------------------------------------------------------------------------------------

STEP = re.compile(r"([a-z]\w*)?(?:\.([\w-]+))?")
"""A step of a selector that asks for a tag, for a class, or for both."""


def select_simply() -> None:
    """Let Beautiful Soup find by itself what the theme asks for: soupsieve takes a sixth of a second to set itself up.

    The theme looks through a page's contents with selectors such as ``li.toctree-l1 > details``. For any other selector
    soupsieve is imported.
    """
    if "bs4" not in sys.modules:
        sys.modules["soupsieve"] = stand_in = ModuleType("soupsieve")
        vars(stand_in)["__getattr__"] = functools.partial(imported_attribute, stand_in)
    from bs4 import Tag

    if hasattr(Tag.select, "__wrapped__"):
        return
    by_soupsieve = Tag.select

    @functools.wraps(by_soupsieve)
    def select(tag: Any, selector: str, namespaces: Any = None, limit: int = 0, **named: Any) -> Any:
        found = None if namespaces or named else simply_selected(tag, selector)
        return by_soupsieve(tag, selector, namespaces, limit, **named) if found is None else found[: limit or None]

    def select_one(tag: Any, selector: str, namespaces: Any = None, **named: Any) -> Any:
        return next(iter(tag.select(selector, namespaces, 1, **named)), None)

    for name, function in {"select": select, "select_one": select_one}.items():
        setattr(Tag, name, function)


def imported_attribute(stand_in: ModuleType, attribute: str) -> Any:
    """An attribute of the module for which another one stood in."""
    if sys.modules[stand_in.__name__] is stand_in:
        del sys.modules[stand_in.__name__]
    return getattr(importlib.import_module(stand_in.__name__), attribute)


def simply_selected(tag: Any, selector: str) -> list[Any] | None:
    """All elements within `tag` that a selector of tags, classes and ``>`` finds; None for any other selector."""
    matches = [STEP.fullmatch(step) for step in selector.split(" > ")]
    steps = [match.groups() for match in matches if match and match[0]]
    if len(steps) < len(matches):
        return None
    found = []
    for element in tag.find_all(True):
        line = [element, *element.parents][: len(steps)]
        if len(line) == len(steps) and all(
            (not name or name == one.name) and (not kind or kind in one.get_attribute_list("class"))
            for one, (name, kind) in zip(reversed(line), steps, strict=True)
        ):
            found.append(element)
    return found


# --- pydata-sphinx-theme -------------------------------------------------------------------------------------------


@functools.cache
def fontawesome() -> Path:
    """The folder of the FontAwesome that the theme brings, with `js/all.min.js` and `css/all.min.css`."""
    (folder,) = package_folder("pydata_sphinx_theme").glob("theme/*/static/vendor/fontawesome/*")
    return folder


def import_styles() -> None:
    """Import the theme's styles of code, and undo that they set up logging, or fontTools says hundreds of lines."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    importlib.import_module("a11y_pygments")
    root.handlers[:] = handlers
    root.setLevel(level)
