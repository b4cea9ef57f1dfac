"""Which sections have to run again, and which pages Sphinx has to read again: contents decide, not times.

A section's outputs depend on its cells, on the modules of `optim_code` that they can import, on data files and on the
pinned versions. A digest of these is the name of the folder that holds the outputs. So a change to one of them runs the
section again, a change to anything else does not, and after an edit is undone the build finds the old outputs again.

A section can import the modules whose names, or whose exported names, are in its cells, and all modules that those
import, in any layout of folders. A module counts as a whole, without its comments and docstrings. Cells that inspect
code at run time depend on every byte of `optim_code`.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from book._ext.files import files_digest, is_source, named_digest, python_files, source_files, text_digest
from book._ext.inpage.parts import installed
from book._ext.state import build_state, kept_state
from optim_code.equations import sections
from optim_code.equations.sections import Page, read_page

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

PACKAGE = "optim_code"
HOME = "HOME"
"""The table in a package's ``__init__`` with the module of each name that the package exports lazily."""
# Names that inspect code, or import it by a computed name. A section that uses one depends on every byte.
INSPECTING = {"getmembers", "globals", "vars", "__dict__", "__subclasses__", "import_module", "getsource", "getdoc"}
INSPECTING |= {"__doc__", "help", "eval", "exec", "dir", "locals", "__import__", "modules", "attrgetter", "*"}
INSPECTING |= {"methodcaller", "find_spec", "exec_module", "run_path", "run_module", "walk_packages", "iter_modules"}
IMPORTING = {"import_module", "__import__", "exec", "eval", "spec_from_file_location"}
NOT_READ = {"_ext", "_static", "_templates"}
LISTING = "-coverage}"
"""How the directives end that list all equations, and all sentences with a mark."""
SHOWS_CODE = ("{auto", ".. auto", "{notation}")
"""The directives that show docstrings or tables from any module of `optim_code`."""
NOT_DATA = {".md", ".bib", ".pyc", ".sty"}
"""The suffixes of files that cells do not read."""
NOT_DATA_AT_THE_TOP = {"_build", "tests", "node_modules", "_config.yml", "_toc.yml", "apt.txt", "requirements.txt"}
NOT_DATA_AT_THE_TOP |= {"requirements.lock", "pyproject.toml", "Makefile", "LICENSE", "CITATION.cff", "run"}
"""The files and folders at the top of the book that cells do not read; `optim_code.train` writes to ``run``."""
_code_cache: dict[Path, Code] = {}


def pins(root: Path) -> str:
    """The pinned versions of packages, and the version of Python."""
    try:
        lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join([sys.version, *(line for line in lines if line.strip() and not line.startswith("#"))])


def cells(page: Page) -> list[str]:
    """The code of a section's cells, without their options, because a caption does not run."""
    return [block.body for block in page.blocks if block.name == "code-cell"]


@functools.lru_cache(maxsize=512)
def parse_cell(source: str) -> ast.Module:
    """The syntax of a cell, not to be changed, with `pass` in place of IPython's own commands, which are not Python.

    Raises:
        SyntaxError: if the rest is not Python either.
    """
    return ast.parse(re.sub(r"^\s*[%!].*$", "pass", source, flags=re.M))


def cells_as_written(page: Page) -> list[str]:
    """All that decides what MyST-NB makes of a page's cells: the front matter, and the cells with their options."""
    shown = ("\n".join(page.lines[block.first : block.last]) for block in page.blocks if block.name == "code-cell")
    return [page.text.partition("\n---")[0], *shown]


def code_of(root: Path) -> Code:
    """The modules of `optim_code`, read again only after a change."""
    every_byte = files_digest(root / PACKAGE)
    if root not in _code_cache or _code_cache[root].every_byte != every_byte:
        _code_cache[root] = Code(root)
    return _code_cache[root]


class Code:
    """The modules of `optim_code`, and which of them a piece of code can import.

    Attributes:
        every_byte: a digest of all files.
        modules: for each module a digest of its syntax without docstrings. The keys are names within the package; that
            of ``__init__`` is empty.
        imports: for each module the modules that it imports, anywhere in it.
        exports: for each name that the package exports lazily its module; the empty name stands for all other names.
        inspects: the modules that import others by a computed name.
        fault: a message about the first module that is not Python; empty if there is none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.every_byte = files_digest(root / PACKAGE)
        self.modules: dict[str, str] = {}
        self.imports: dict[str, set[str]] = {}
        self.exports: dict[str, str] = {}
        self.inspects: set[str] = set()
        self.fault = ""
        trees: dict[str, ast.Module] = {}
        packages: set[str] = set()
        for path in python_files(root / PACKAGE):
            parts = list(path.relative_to(root / PACKAGE).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
                packages.add(".".join(parts))
            try:
                trees[".".join(parts)] = without_docstrings(ast.parse(sections.read_text(path, root)))
            except sections.SectionError as error:
                self.fault = self.fault or str(error)
            except SyntaxError as error:
                name = path.relative_to(root).as_posix()
                self.fault = self.fault or f"{name}:{error.lineno}: SyntaxError: {error.msg}; fix that line"
        self.exports = lazy_exports(trees.get(""))
        self.modules = dict.fromkeys(trees, "")
        for module, tree in trees.items():
            self.modules[module] = text_digest(ast.dump(tree))
            package = module if module in packages else module.rpartition(".")[0]
            self.imports[module] = {self.module_of(name) for name in imported_names(tree, package)}
            # The package itself imports by a computed name, but its table says which modules.
            if (module or not self.exports) and IMPORTING & set(names(tree)):
                self.inspects.add(module)

    @cached_property
    def whole(self) -> str:
        """A digest of all modules, without comments and docstrings."""
        return self.digest_of(self.modules)

    @property
    def data(self) -> str:
        """A digest of the data files: all files in the tree that cells could read, but the texts that pages include."""
        texts = {path for page in sections.read_pages(self.root).values() for path in page.included}
        files = [
            path
            for path in source_files(*data_folders(self.root))
            if path.suffix not in NOT_DATA
            and path not in texts
            and not NOT_READ & {*path.relative_to(self.root).parts}
            # `reachable_digest` knows the modules of optim_code; any other module is a data file.
            and not (path.suffix == ".py" and path.is_relative_to(self.root / PACKAGE))
        ]
        return named_digest((path.relative_to(self.root).as_posix(), path) for path in files)

    @property
    def kernel(self) -> str:
        """A digest of the code that sets up kernels and changes the form of outputs."""
        folder = self.root / "book" / "_ext" / "execute"
        return files_digest(folder / "kernel_setup.py", folder / "output_forms.py")

    def reachable_digest(self, sources: Iterable[str]) -> str:
        """A digest of all modules of `optim_code` that these pieces of code can import."""
        mentioned: set[str] = set()
        for source in sources:
            try:
                mentioned |= set(names(parse_cell(source)))
            except SyntaxError:  # the cell will fail
                return self.every_byte
        if self.fault or mentioned & INSPECTING:
            return self.every_byte
        waiting = [module for module in self.modules if not module or mentioned & {*module.split(".")}]
        waiting += [module for name, module in self.exports.items() if not name or name in mentioned]
        reached: set[str] = set()
        while waiting:
            module = waiting.pop()
            if module in reached or module not in self.modules:
                continue
            reached.add(module)
            if module in self.inspects:
                return self.whole
            waiting += self.imports[module]
            # Importing a module runs the packages around it.
            waiting += [module.rpartition(".")[0]] if module else []
        return self.digest_of(reached)

    def module_of(self, name: str) -> str:
        """The module that a dotted name means, or in which it is defined."""
        module = name
        while module and module not in self.modules:
            module = module.rpartition(".")[0]
        return module or self.exports.get(name, self.exports.get("", ""))

    def digest_of(self, modules: Iterable[str]) -> str:
        return text_digest(*(f"{module}: {self.modules[module]}" for module in sorted(modules)))

    def outputs_key(self, page: Page, data: str) -> str:
        """The name of the folder for a section's outputs; empty if the section has no cells."""
        sources = cells(page)
        if not sources:
            return ""
        depends = [page.docname, *sources, self.reachable_digest(sources), data, self.kernel, pins(self.root)]
        return f"{page.docname.replace('/', '-')}-{text_digest(*depends)[:16]}"


def data_folders(root: Path) -> list[Path]:
    """The files and folders at the top of the book that cells may read, wherever they lie below."""
    found = [path for path in root.iterdir() if is_source(path.name) and path.name not in NOT_DATA_AT_THE_TOP]
    # An environment of Python's may have any name.
    return sorted(path for path in found if path.suffix not in NOT_DATA and not (path / "pyvenv.cfg").exists())


def files_read(env: BuildEnvironment) -> Iterator[Path]:
    """All files and folders that the pages of a book were made from."""
    root = Path(env.srcdir)
    for docname in env.found_docs:
        yield Path(env.doc2path(docname))
        yield from (root / name for name in env.dependencies.get(docname, ()))
    yield from (root / name for name in env.images)


def imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    """The dotted names, within `optim_code`, of all that a module imports from there, also inside functions.

    Args:
        tree: the module.
        package: the name, within `optim_code`, of the package that contains the module.
    """
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse  # the rest never runs
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.partition(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                above = package.split(".") if package else []
                base = above[: len(above) + 1 - node.level]
            elif (node.module or "").partition(".")[0] == PACKAGE:
                base = []
            else:
                continue
            module = (node.module or "") if node.level else (node.module or "").partition(".")[2]
            start = ".".join([*base, *filter(None, [module])])
            yield from (f"{start}.{alias.name}".strip(".") for alias in node.names)


def lazy_exports(tree: ast.Module | None) -> dict[str, str]:
    """The table `HOME` of a package: the module of each name that it exports lazily. Empty if it has none."""
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == HOME for t in node.targets):
            try:
                return {str(name): str(module) for name, module in dict(ast.literal_eval(node.value)).items()}
            except (ValueError, TypeError):
                return {}
    return {}


def without_docstrings(tree: ast.Module) -> ast.Module:
    """A module without the docstrings of its classes, functions and constants; the given tree is changed."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            is_text = isinstance(node.body[0], ast.Expr) if node.body else False
            if is_text and isinstance(getattr(node.body[0], "value", None), ast.Constant):
                node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    # A string after an assignment is its docstring.
    tree.body = [n for n in tree.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return tree


def names(tree: ast.AST) -> Iterator[str]:
    """All names in a piece of code, and all strings that are names, because `getattr` may use them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.alias):
            yield from node.name.split(".")
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from node.module.split(".")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
            # With a computed name, `getattr` may get anything.
            yield from () if all(isinstance(name, ast.Constant) for name in node.args[1:2]) else ("__dict__",)


def configure(app: Sphinx, config: Config) -> None:
    """Add what decides about reading and writing to the settings, so that Sphinx sees a change of it."""
    root = Path(app.srcdir)
    config["nb_execution_cache_path"] = str(root / "_build" / ".jupyter_cache")
    # A changed extension may show the same outputs in another way: Sphinx reads all pages again, and no cell runs.
    extension = files_digest(root / "book" / "_ext", Path(sections.__file__))
    config["descent_extension_digest"] = text_digest(extension, installed())
    # After a change of a style sheet or a template, Sphinx writes all pages again, but reads none.
    config["descent_look_digest"] = files_digest(root / "book" / "_static", root / "book" / "_templates")
    configure_environment(root)


def configure_environment(root: Path) -> None:
    """Set the environment variables with which cells run and figures are drawn, in any process."""
    # Cells run in a folder of their own, and must still find optim_code.
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])
    # One section runs on each core. With several threads torch would be slower, and would round differently.
    os.environ["OMP_NUM_THREADS"] = "1"
    # With a fixed date a figure has the same bytes in each build.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")
    os.environ.setdefault("FORCE_SOURCE_DATE", "1")


def restore_code(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Give `code_of` the modules as the last build read them; it reads them again if they have changed."""
    known = kept_state(env).code
    if known is not None and known.root == Path(app.srcdir):
        _code_cache.setdefault(known.root, known)
    return []


def find_outdated(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Find the pages whose contents have changed. Sphinx compares times, but an older file can replace a newer one."""
    root, kept = Path(app.srcdir), kept_state(env)
    code = kept.code = code_of(root)
    pages = {docname: read_page(root, docname) for docname in sorted(env.found_docs)}
    build_state(app).pages = pages
    data = code.data
    kept.outputs = {docname: code.outputs_key(page, data) for docname, page in pages.items()}
    return [docname for docname, page in pages.items() if kept.shown.get(docname) != page_digest(env, page)]


def page_digest(env: BuildEnvironment, page: Page) -> str:
    """A digest of all that a page is made of: its text with all that it includes, its outputs, the files it shows."""
    root, docname, kept = Path(env.srcdir), page.docname, kept_state(env)
    files = [root / name for name in sorted(env.dependencies.get(docname, ())) if "_build" not in Path(name).parts]
    parts = [page.text, kept.outputs[docname], files_digest(*files)]
    if kept.code is not None and any(mark in page.text for mark in SHOWS_CODE):
        parts.append(kept.code.every_byte)
    if LISTING in page.text:
        parts.append(kept.listed_digest)
    return text_digest(*parts)


def remember_shown(app: Sphinx, env: BuildEnvironment) -> None:
    """Note what each page was made of. The texts are those from before reading, so a later change counts next time."""
    kept_state(env).shown = {docname: page_digest(env, page) for docname, page in build_state(app).pages.items()}


def setup(app: Sphinx) -> None:
    app.add_config_value("descent_extension_digest", "", "env")
    app.add_config_value("descent_look_digest", "", "html")
