"""A class of `optim_code` as the page prints it: the source itself, by `literalinclude`, without its docstring.

What the docstring says stands in the text around the listing, and whole in the chapter *The module*.
"""

from __future__ import annotations

import ast

from docutils import nodes
from sphinx.application import Sphinx


def without_docstring(source: str) -> str:
    """The source of one class or function, its own docstring taken out."""
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
    for block in document.findall(nodes.literal_block):
        if "listing" in block["classes"]:
            source = without_docstring(block.astext())
            block.rawsource, block.children = source, []
            block += nodes.Text(source)
