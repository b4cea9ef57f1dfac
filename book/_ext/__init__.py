"""The Sphinx extension of the book, which `_config.yml` loads by the name of this package.

`LISTENERS` lists all that happens in a build, in order. `PARTS` are the modules with directives, nodes, builders or
settings of their own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx

CODE = Path(__file__).parents[2] / "optim_code"
# All other modules import these files, so only this place can report in one line that they are missing.
for needed in ("equations/sections.py",) if CODE.is_dir() else ("optimizers.py",):
    if not (CODE / needed).is_file():
        sys.exit(f"descent: optim_code/{needed}: No such file or directory; put it back")

PARTS = (
    "sources.reading",
    "sources.warning_remedies",
    "sources.editions",
    "execute.freshness",
    "execute.execution",
    "page.equations",
    "page.sentences",
    "page.playground",
    "page.plays",
    "page.bibliography",
    "page.formulas",
    "website.offline",
    "website.repository",
    "website.licences",
    "figures.beside",
    "figures.inline",
    "figures.figure_downloads",
    "printing.handouts",
    "downloads.downloads",
)


# `cli.console` adds three more, which print what a build is doing.
LISTENERS = {
    "config-inited": (
        (500, "sources.editions:set_edition", "the setting `edition` → a fault if there is no such edition"),
        (400, "inpage.parts:bring", "`inpage/npm` → its packages in the environment, if they are not there"),
        (500, "execute.freshness:configure", "code, style sheets → digests in the settings; environment variables"),
        (500, "figures.inline:use_palette", "the palettes of figures → the colours of figures.css; a digest"),
        (500, "website.repository:switch_on_links", "the setting `repository_url` → the theme's links"),
    ),
    "builder-inited": (
        (100, "sources.checking:check_all_sources", "all sources → all their mistakes, as one fault"),
        (500, "website.search:use_own_index", "→ our search in place of Sphinx's"),
        (900, "website.writing:cache_templates", "→ a cache of compiled templates"),
    ),
    "env-get-outdated": (
        (45, "page.equations:collect_equations", "sources, `optim_code` → what can be told by reading them"),
        (
            50,
            "execute.freshness:find_outdated",
            "all sources, last digests → the pages to read; where outputs are kept",
        ),
        (100, "execute.warm_kernels:start_if_needed", "kept outputs → the kernel server, if cells have to run"),
    ),
    "env-before-read-docs": (
        (100, "page.equations:start_check", "the equations that have to be run → a process that checks them meanwhile"),
        (450, "inpage.library:start_library", "`optim_code`, updates → a process that makes them ready for the page"),
        (500, "execute.execution:start_outdated_sections", "pages to read → kernels that run them; their order"),
    ),
    "source-read": (
        (10, "sources.reading:give_page_text", "the page and what it includes → the text that all below read"),
        (50, "downloads.notebooks:note_class_file", "the text → a dependency of a page that leaves a class out"),
        (100, "sources.editions:cut_edition", "the text → the text of this edition"),
        (500, "page.equations:fill_listing", "the verdicts → what the list of all equations shows"),
        (500, "execute.execution:await_section", "the running section → its outputs, which MyST-NB gets with the text"),
        (500, "execute.light_imports:import_documented", "the text → `optim_code`, imported for autodoc without torch"),
    ),
    "outputs-known": (
        (500, "execute.outputs:check_outputs", "the outputs → a fault for what print or page cannot show"),
    ),
    "doctree-read": (
        (500, "sources.checking:check_math", "the doctree → a warning for a displayed equation that is not checked"),
        (500, "page.formulas:check_formulas", "the doctree → a warning for a formula that cannot be typeset"),
        (500, "page.equations:mark_updates", "the doctree → a mark beside each update equation"),
        (500, "page.sentences:note_assertions", "outputs → what each mark shows"),
        (500, "figures.figure_files:describe_figures", "figures of cells → alt texts, the files of each figure"),
        (500, "figures.changes:note_figures", "figures and numbers → what the report of changes compares"),
        (500, "execute.light_imports:restore_imports", "→ torch and the others as they were"),
        (500, "page.listings:remove_docstrings", "listings of classes → the same without docstrings"),
        (500, "inpage.page:note_code", "cells, exercises → what of the page can be run"),
        (500, "page.exercises:give_bodies_own_ids", "exercises → ids that are unique"),
        (500, "page.exercises:note_solutions", "solutions → the ids of what stands in them"),
        (500, "website.offline:refuse_other_hosts", "the doctree → a warning for what another host would send"),
    ),
    "env-updated": (
        (50, "execute.freshness:remember_shown", "what pages were made of → digests for the next build"),
        (500, "page.equations:require_verdicts", "the verdicts → the marks; or a fault that ends the build"),
        (500, "downloads.notebooks:find_renamed", "the pages → the pages whose notebook has another name"),
    ),
    "env-get-updated": (
        (550, "page.exercises:number_solutions_last", "all numbers → the same, with those in solutions last"),
        (
            850,
            "page.playground:collect_playgrounds",
            "verdicts, figures, numbers → what playgrounds run; pages to write",
        ),
        (860, "inpage.page:make_scripts", "npm's packages, `optim_code` → the scripts that run code; pages to write"),
        (900, "website.writing:find_pages_to_write", "titles, numbers, labels → all pages, if one of these changed"),
    ),
    "env-check-consistency": (
        (500, "execute.outputs:check_glued_names", "the glued names → a warning for a name of two sections"),
        (500, "website.writing:keep_contents_pages", "→ no page is written because of a title alone"),
    ),
    "html-page-context": (
        (500, "page.playground:load_scripts", "the doctree → the playground's script and style"),
        (500, "inpage.page:offer_to_run", "what can be run → its data, script and style in the page"),
        (500, "page.formulas:give_plain_title", "the title → the same with formulas as plain text"),
        (500, "page.bibliography:make_entries_list_items", "the HTML → roles that screen readers know"),
        (500, "website.search:collect_words", "the HTML → the words of the page"),
        (500, "downloads.notebooks:write_notebook", "the doctree, cells, numbers → the notebook of the page"),
        (600, "downloads.downloads:offer_downloads", "the notebook, the PDFs → the menu at the head of the page"),
        (600, "website.repository:offer_to_run", "the notebook → links to Binder and Colab"),
    ),
    "build-finished": (
        (100, "execute.execution:finish_sections", "the running sections → their outputs; the oldest ones removed"),
        (400, "figures.figure_downloads:lay_out_downloads", "figures → their files, beside the book and in it"),
        (500, "page.formulas:write_font", "the formulas of all pages → a font with their characters"),
        (500, "website.fonts:write_fonts", "the text and the code of all pages → fonts with their characters"),
        (500, "inpage.page:write_scripts", "the scripts that run code → `_static/inpage`"),
        (500, "website.search:write_index", "the words of all pages → the index of the search"),
        (500, "execute.warm_kernels:stop_server", "→ the end of the kernel server"),
        (
            700,
            "website.assets:bundle_assets",
            "the pages, static files → one style sheet and one script a page; its policy",
        ),
        (800, "website.leftovers:remove_stale_files", "all pages → no page or picture that the book has no more"),
        (800, "downloads.notebooks:remove_stale_notebooks", "the pages → no notebook that the book has no more"),
        (900, "sources.strict:fail_on_warnings", "the number of warnings → the end of a build that warned"),
    ),
}
"""For each event of Sphinx, in the order of a build, its listeners: the priority (the lowest is first), the function,
and what it reads → what it writes, besides the arguments of the event."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Set up the parts, and connect the listeners of all modules."""
    from book._ext.compat import import_styles

    import_styles()
    for part in PARTS:
        import_module(f"{__name__}.{part}").setup(app)
    connect(app)
    # While Sphinx reads pages, threads of this process run sections and check equations. With `-j` Sphinx would read in
    # forks of this process, which have no such threads and would wait for ever. The number of processes is set here
    # because Sphinx would otherwise warn that it does not read in parallel, and a warning ends the build.
    app.parallel = 1
    return {"parallel_read_safe": False, "parallel_write_safe": True}


def connect(app: Sphinx, *modules: str) -> None:
    """Connect the listeners of these modules; of all, if none is named."""
    for event, listeners in LISTENERS.items():
        for priority, function, _ in listeners:
            if not modules or function.partition(":")[0] in modules:
                app.connect(event, resolve_name(f"{__name__}.{function}"), priority=priority)
