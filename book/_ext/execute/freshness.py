"""What a section depends on, by content: what its cells run, and what its page shows.

A section's outputs depend on its cells, on the modules of `optim_code` that they can import, on data files and on the
pinned versions. A hash of these names the folder of its notebook cache, so a change to what a section runs executes it
again, a change to anything else does not, and going back finds the old outputs again.

Which modules a section can import follows from the imports, wherever the modules lie: from the names of its cells that
`optim_code` exports or that are names of modules, from there by every import statement. A module counts as a whole,
without its comments and docstrings. Cells that inspect code at run time depend on every byte of `optim_code`.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from book._ext.files import files_digest, is_source, named_digest, python_files, source_files, text_digest
from book._ext.state import build_state, kept_state
from optim_code.equations import sections
from optim_code.equations.sections import Page, read_page

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

PACKAGE = "optim_code"
HOME = "HOME"
"""The table in a package's ``__init__`` that says of each name that it exports lazily in which module that is."""
# Names that inspect code, or import it by a computed name. A section that uses one depends on every byte.
INSPECTING = {"getmembers", "globals", "vars", "__dict__", "__subclasses__", "import_module", "getsource", "getdoc"}
INSPECTING |= {"__doc__", "help", "eval", "exec", "dir", "locals", "__import__", "modules", "attrgetter", "*"}
INSPECTING |= {"methodcaller", "find_spec", "exec_module", "run_path", "run_module", "walk_packages", "iter_modules"}
IMPORTING = {"import_module", "__import__", "exec", "eval", "spec_from_file_location"}
NOT_READ = {"_ext", "_static", "_templates"}
LISTING = "{equation-coverage}"
SHOWS_CODE = ("{auto", ".. auto", "{notation}")
"""What of a page shows docstrings or tables of `optim_code`, wherever in it they stand."""
NOT_DATA = {".md", ".bib", ".pyc", ".sty"}
NOT_DATA_AT_THE_TOP = {*NOT_DATA, ".yml", ".toml", ".txt", ""}
_code_cache: dict[Path, Code] = {}


def pins(root: Path) -> str:
    """What is pinned, and the Python that it is installed for."""
    try:
        lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join([sys.version, *(line for line in lines if line.strip() and not line.startswith("#"))])


def cells(page: Page) -> list[str]:
    """The code of a section's cells, without their options: a caption is not run."""
    return [block.body for block in page.blocks if block.name == "code-cell"]


def cells_as_written(page: Page) -> list[str]:
    """What makes a notebook's cells and says how they run: the front matter, the cells, their options."""
    shown = ("\n".join(page.lines[block.first : block.last]) for block in page.blocks if block.name == "code-cell")
    return [page.text.partition("\n---")[0], *shown]


def code_of(root: Path) -> Code:
    """The code of `optim_code` as it stands; read once for each state of it."""
    every_byte = files_digest(root / PACKAGE)
    if root not in _code_cache or _code_cache[root].every_byte != every_byte:
        _code_cache[root] = Code(root)
    return _code_cache[root]


class Code:
    """The modules of `optim_code`, and which of them a piece of code can import.

    Attributes:
        every_byte: a hash of all files.
        modules: of each module, by its name within the package (empty for ``__init__``), a hash of its syntax without
            docstrings.
        imports: the modules that each one imports, anywhere in it.
        exports: the modules of the names that the package exports lazily; under an empty name, that of all others.
        inspects: the modules that import others by a computed name.
        fault: the first module that is not Python, as a line for the editor; empty if all are.
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
            # The package itself finds its modules by the table that was read.
            if (module or not self.exports) and IMPORTING & set(names(tree)):
                self.inspects.add(module)

    @cached_property
    def whole(self) -> str:
        """A hash of all modules, without comments and docstrings."""
        return self.digest_of(self.modules)

    @property
    def data(self) -> str:
        """What lies beside the code and the sections, for cells to read."""
        files = [
            path
            for path in source_files(*data_folders(self.root))
            if path.suffix not in NOT_DATA
            and not NOT_READ & {*path.relative_to(self.root).parts}
            # The modules of optim_code are counted by themselves; what else a cell may import is one file to it.
            and not (path.suffix == ".py" and path.is_relative_to(self.root / PACKAGE))
        ]
        return named_digest((path.relative_to(self.root).as_posix(), path) for path in files)

    @property
    def kernel(self) -> str:
        """What sets up the kernels, and puts their outputs into one form."""
        folder = self.root / "book" / "_ext" / "execute"
        return files_digest(folder / "kernel_setup.py", folder / "output_forms.py")

    def reachable_digest(self, sources: Iterable[str]) -> str:
        """A hash of all that code made of these sources can import of `optim_code`."""
        mentioned: set[str] = set()
        for source in sources:
            try:
                # A line of IPython's is not Python.
                mentioned |= set(names(ast.parse(re.sub(r"^\s*[%!].*$", "pass", source, flags=re.M))))
            except SyntaxError:  # it will fail when it runs
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
        """The module that a dotted name is, or that defines it."""
        module = name
        while module and module not in self.modules:
            module = module.rpartition(".")[0]
        return module or self.exports.get(name, self.exports.get("", ""))

    def digest_of(self, modules: Iterable[str]) -> str:
        return text_digest(*(f"{module}: {self.modules[module]}" for module in sorted(modules)))

    def outputs_key(self, page: Page) -> str:
        """The name of the folder that holds a section's outputs; empty if it has no cells."""
        sources = cells(page)
        if not sources:
            return ""
        depends = [page.docname, *sources, self.reachable_digest(sources), self.data, self.kernel, pins(self.root)]
        return f"{page.docname.replace('/', '-')}-{text_digest(*depends)[:16]}"


def data_folders(root: Path) -> list[Path]:
    """The folders whose files cells may read, those of all pages among them; of the top of the book, its files."""
    docnames = sections.contents(root)
    beside = {root / docname.partition("/")[0] for docname in docnames if "/" in docname}
    folders = sorted({root / PACKAGE, root / "book", *beside})
    if any("/" not in docname for docname in docnames):
        top = (path for path in root.iterdir() if path.is_file() and path.suffix not in NOT_DATA_AT_THE_TOP)
        folders += sorted(path for path in top if is_source(path.name))
    return folders


def files_read(env: BuildEnvironment) -> Iterator[Path]:
    """What the pages of a book were made from: their files, what they include and show, and where their data lies."""
    root = Path(env.srcdir)
    for docname in env.found_docs:
        yield Path(env.doc2path(docname))
        yield from (root / name for name in env.dependencies.get(docname, ()))
    yield from (root / name for name in env.images)
    yield from data_folders(root)


def imported_names(tree: ast.AST, package: str) -> Iterator[str]:
    """The dotted names, within `optim_code`, of all that a module imports of it; also inside functions.

    Args:
        tree: the module.
        package: the package that it is in, by its name within `optim_code`.
    """
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            waiting += node.orelse  # the rest is never run
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
    """The table ``HOME`` of a package, in which its lazy ``__getattr__`` looks up names; empty if it has none."""
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == HOME for t in node.targets):
            try:
                return {str(name): str(module) for name, module in dict(ast.literal_eval(node.value)).items()}
            except (ValueError, TypeError):
                return {}
    return {}


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            is_text = isinstance(node.body[0], ast.Expr) if node.body else False
            if is_text and isinstance(getattr(node.body[0], "value", None), ast.Constant):
                node.body = node.body[1:] or ([] if isinstance(node, ast.Module) else [ast.Pass()])
    # A text after an assignment documents it, and does nothing.
    tree.body = [n for n in tree.body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return tree


def names(tree: ast.AST) -> Iterator[str]:
    """All that a piece of code names; also in texts, for getattr may use them."""
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
            # By a name that only running it tells, it may get anything.
            yield from () if all(isinstance(name, ast.Constant) for name in node.args[1:2]) else ("__dict__",)


def configure(app: Sphinx, config: Config) -> None:
    root = Path(app.srcdir)
    config["nb_execution_cache_path"] = str(root / "_build" / ".jupyter_cache")
    # A changed extension renders the same outputs differently: re-read all, execute nothing.
    config["descent_extension_digest"] = files_digest(root / "book" / "_ext", Path(sections.__file__))
    # A changed style sheet or template: write all pages again, read none; Sphinx would not even copy the style sheet.
    config["descent_look_digest"] = files_digest(root / "book" / "_static", root / "book" / "_templates")
    configure_environment(root)


def configure_environment(root: Path) -> None:
    """What cells and figures must find, in whatever process."""
    # Cells run in a folder of their own, and must still find optim_code. Fixed dates make a figure the same each time.
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])
    # Sections run side by side, one a core; threads of torch's own would wait for one another, and round differently.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")
    os.environ.setdefault("FORCE_SOURCE_DATE", "1")


def restore_code(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Take the code as the last build read it, before anything asks for it; `code_of` sees whether it is the same."""
    known = kept_state(env).code
    if known is not None and known.root == Path(app.srcdir):
        _code_cache.setdefault(known.root, known)
    return []


def find_outdated(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Find the pages that show something else now, by content: Sphinx looks at times, and an old file can come back."""
    root, kept = Path(app.srcdir), kept_state(env)
    code = kept.code = code_of(root)
    pages = {docname: read_page(root, docname) for docname in sorted(env.found_docs)}
    build_state(app).pages = pages
    kept.outputs = {docname: code.outputs_key(page) for docname, page in pages.items()}
    return [docname for docname, page in pages.items() if kept.shown.get(docname) != page_digest(env, page)]


def page_digest(env: BuildEnvironment, page: Page) -> str:
    """A hash of what a page is made of: its text with all that it includes, its outputs, the files that it shows."""
    root, docname, kept = Path(env.srcdir), page.docname, kept_state(env)
    files = [root / name for name in sorted(env.dependencies.get(docname, ())) if "_build" not in Path(name).parts]
    parts = [page.text, kept.outputs[docname], files_digest(*files)]
    if kept.code is not None and any(mark in page.text for mark in SHOWS_CODE):
        parts.append(kept.code.every_byte)
    if LISTING in page.text:
        parts.append(kept.equations)
    return text_digest(*parts)


def remember_shown(app: Sphinx, env: BuildEnvironment) -> None:
    """After reading: what each page was made of. A text that was changed meanwhile is read again at the next build."""
    kept_state(env).shown = {docname: page_digest(env, page) for docname, page in build_state(app).pages.items()}


def setup(app: Sphinx) -> None:
    app.add_config_value("descent_extension_digest", "", "env")
    app.add_config_value("descent_look_digest", "", "html")
