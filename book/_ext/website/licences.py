"""The directive `{licences}`: whose work is shipped with the pages, and under which licences.

Reads the metadata of the installed packages, so that versions and licences are those of what is shipped. What runs code
in pages comes from npm; a book that is built without it does not name it.
"""

from __future__ import annotations

from importlib.metadata import metadata
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book._ext.inpage import parts
from book._ext.page.equations import parse_myst


class Work(NamedTuple):
    """A work of others that is shipped with the pages.

    Attributes:
        name: what it is called.
        package: the installed package that brings it.
        part: what of it is shipped.
        licence: its licence; empty if it is that of the package.
    """

    name: str
    package: str
    part: str
    licence: str = ""


SHIPPED = (
    Work("Sphinx", "sphinx", "style, scripts"),
    Work("PyData Sphinx Theme", "pydata-sphinx-theme", "style, scripts"),
    Work("Bootstrap", "pydata-sphinx-theme", "style, scripts", "MIT"),
    Work("Font Awesome Free", "pydata-sphinx-theme", "outlines of icons", "CC BY 4.0"),
    Work("Sphinx Book Theme", "sphinx-book-theme", "style, scripts"),
    Work("sphinx-copybutton", "sphinx-copybutton", "style, scripts"),
    Work("clipboard.js", "sphinx-copybutton", "script", "MIT"),
    Work("sphinx-togglebutton", "sphinx-togglebutton", "style, scripts"),
    Work("MyST-NB", "myst-nb", "style"),
    Work("sphinx-exercise", "sphinx-exercise", "style"),
    Work("Pygments", "pygments", "colours of code"),
    Work("STIX Two Math", "ziamath", "font of formulas", "SIL OFL 1.1"),
    Work("DejaVu Sans Mono", "matplotlib", "font of code", "Bitstream Vera"),
)
"""The works of which the pages load something; `tests/page/test_assets.py` compares this with the files."""
FROM_NPM = (
    Work("Pyodide", "pyodide", "script, runs Python"),
    Work("Python", "pyodide", "its own library", "PSF-2.0"),
    Work("CodeMirror", "@codemirror/view", "editor"),
    Work("Lezer", "@lezer/python", "colours of the editor"),
    Work("STIX Two Text", "@fontsource/stix-two-text", "font of the text"),
)
"""The works that run code in pages, and the font of their text; `book/_ext/inpage` brings them."""


def licence_of(package: str) -> str:
    """The licence of an installed package, from its metadata."""
    said = metadata(package)
    classes = [entry for entry in said.get_all("Classifier") or [] if entry.startswith("License ::")]
    named = [entry.rpartition(" :: ")[2].removesuffix(" License") for entry in classes]
    return str([*(said.get_all("License-Expression") or []), *named, *(said.get_all("License") or [])][0])


class Licences(SphinxDirective):
    """`{licences}`: a table of all works that are shipped with the pages."""

    def run(self) -> list[nodes.Node]:
        lines = ["| work | what of it | licence | brought by |", "| --- | --- | --- | --- |"]
        for work in SHIPPED:
            brought = f"{work.package} {metadata(work.package)['Version']}"
            lines.append(f"| {work.name} | {work.part} | {work.licence or licence_of(work.package)} | {brought} |")
        for work in FROM_NPM if parts.installed() else ():
            said = parts.metadata(work.package)
            brought = f"{work.package} {said['version']}"
            lines.append(f"| {work.name} | {work.part} | {work.licence or said['license']} | {brought} |")
        return parse_myst(self, lines)


def setup(app: Sphinx) -> None:
    app.add_directive("licences", Licences)
