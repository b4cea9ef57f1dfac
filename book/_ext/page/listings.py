"""Remove the docstring from a listing of a class, which the page takes from `optim_code` by `literalinclude`.

The text around the listing says what the docstring says, and the chapter *The module* shows the docstring.
"""

from __future__ import annotations

import ast

from docutils import nodes
from sphinx.application import Sphinx


def without_docstring(source: str) -> str:
    """The source of one class or function without its own docstring."""
    lines = source.splitlines()
    definition = ast.parse(source).body[0]
    assert isinstance(definition, (ast.ClassDef, ast.FunctionDef))
    first = definition.body[0]
    if ast.get_docstring(definition) is not None and first.end_lineno is not None:
        after = first.end_lineno
        while after < len(lines) and not lines[after].strip():
            after += 1
        del lines[first.lineno - 1 : after]
    return "\n".join(lines)


def remove_docstrings(app: Sphinx, document: nodes.document) -> None:
    """Remove the docstrings from all listings of a page, which have the class ``listing``."""
    for block in document.findall(nodes.literal_block):
        if "listing" in block["classes"]:
            source = without_docstring(block.astext())
            block.rawsource, block.children = source, []
            block += nodes.Text(source)
