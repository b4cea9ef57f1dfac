"""A build of one page in a temporary folder, so that the builds of the live preview are faster.

`kernel_server` runs this file in the process from which it forks builds. After it, that process has imported what a
build imports, compiled its patterns, schemas and queries, and read its tables: a build that changes a sentence then
takes a third less time. The page belongs to no book, because an editor may be changing this one.
"""

import contextlib
import functools
import importlib
import io
import logging
import mimetypes
import tempfile
import warnings
from pathlib import Path

from jupyter_book.config import get_final_config
from pybtex import plugin
from sphinx import theming
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils
from sphinxcontrib.bibtex import plugin as referencing

CONFIG = """
title: Rehearsal
execute: {execute_notebooks: "off"}
parse: {myst_enable_extensions: [colon_fence, deflist, dollarmath, substitution]}
bibtex_bibfiles: [page.bib]
sphinx:
  extra_extensions: [sphinx.ext.autodoc, sphinx.ext.napoleon, sphinx_exercise]
  config: {bibtex_default_style: unsrt, bibtex_reference_style: author_year, numfig: true}
"""
PAGE = r"""---
file_format: mystnb
kernelspec: {name: python3}
language_info: {name: python, pygments_lexer: ipython3}
---
# Page

As {cite:t}`work` say in {eq}`one`, **bold**, $x$, `code`.

$$
f(x) = x
$$ (one)

```{code-cell} ipython3
:tags: [hide-input]
def f(x): return [x, 1.0, "text"]
```

```{exercise} Title
:label: ask
Why?
```

```{solution} ask
So.
```

| a | b |
| - | - |
| 1 | 2 |

```bash
make html
```

```{bibliography}
```
"""
WORK = r"""
@article{work, author = {Some One and M{\"u}ller, A. B.}, title = {A {Title}}, journal = {J}, volume = {1},
         number = {2}, pages = {1--2}, year = {1999}, doi = {10.1/1}, url = {https://example.org}}
@inproceedings{talk, author = {One, Some}, title = {A}, booktitle = {B}, year = {2000}, url = {https://example.org}}
@book{book, author = {One, Some}, title = {A}, publisher = {B}, year = {2000}}
@misc{note, author = {One, Some}, title = {A}, howpublished = {B}, year = {2000}, eprint = {1}, note = {C}}
"""
RARE = ("docutils.parsers.rst.directives.parts", "docutils.parsers.rst.directives.references", "ipykernel.kernelspec",
        "pygments.styles.bw", "sympy.parsing.latex")  # fmt: skip
"""Modules that builds import, and this one does not."""


# Each build searches all installed packages nine times, and finds the same.
for module in (plugin, referencing, theming):
    vars(module)["entry_points"] = functools.cache(module.entry_points)


def rehearse(folder: Path) -> None:
    """Build a book of one page.

    Args:
        folder: an empty folder for the sources; the book is built beside it.
    """
    mimetypes.init()
    aside = folder.parent
    (folder / "_config.yml").write_text(CONFIG)
    (folder / "_toc.yml").write_text("format: jb-book\nroot: page\n")
    (folder / "page.md").write_text(PAGE)
    (folder / "page.bib").write_text(WORK)
    settings = {"external_toc_path": str(folder / "_toc.yml"), "latex_individualpages": False}
    with contextlib.redirect_stdout(io.StringIO()):
        config, _ = get_final_config(user_yaml=folder / "_config.yml", cli_config=settings, sourcedir=folder)
    # Sphinx's collectors look at all objects of the process, and some of them are deprecated.
    warnings.simplefilter("ignore")
    with patch_docutils(None), docutils_namespace():
        Sphinx(
            srcdir=str(folder), confdir=None, outdir=str(aside / "html"), doctreedir=str(aside / "doctrees"),
            buildername="html", confoverrides=config, status=None, warning=io.StringIO(),
        ).build()  # fmt: skip
    for name in RARE:
        importlib.import_module(name)


with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
    source = Path(name, "source")
    source.mkdir()
    rehearse(source)
# A style of the theme's sets up logging when it is imported, and each build would print what nbclient has to say.
logging.getLogger().handlers.clear()
logging.getLogger().setLevel(logging.WARNING)
