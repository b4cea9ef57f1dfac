"""Which sections have to run again, and which pages Sphinx has to read again: contents decide, not times.

A section's outputs depend on its cells, on the code of `optim_code` that they can reach, on data files and on the
pinned versions. A digest of these is the name of the folder that holds the outputs. So a change to one of them runs the
section again, a change to anything else does not, and after an edit is undone the build finds the old outputs again.

Of `optim_code` the modules at its top count for every section, as a whole, without their comments and docstrings. A
folder in it, such as the one that marks classes, counts for a section whose cells name it, or name what the package
exports from it, and where other code that counts does; that of modules beside the package counts. Cells that inspect or
read code, or compute names, depend on every byte.
"""

from __future__ import annotations

import ast
import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from book._ext.files import files_digest, is_source, named_digest, pins, python_files, source_files, text_digest
from book._ext.inpage.parts import installed
from book._ext.remembered import remembered
from book._ext.state import build_state, kept_state
from optim_code.equations import sections
from optim_code.equations.sections import Page, read_page

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

PACKAGE = "optim_code"
OUTPUTS = Path("_build", ".outputs")
"""The folder of stored outputs."""
HOME = "HOME"
"""The table in the package's ``__init__`` with the module of each name that it exports lazily."""
WORD = re.compile(r"\w+")
NAME = re.compile(r"'([\w.]+)'")
"""A name in a dump of syntax, or a string that may be one."""
# Words of code that computes names, of modules among others; and, for cells, of code that inspects or reads other code.
COMPUTING = {"__import__", "eval", "exec", "importlib", "pkgutil", "runpy"}
INSPECTING = COMPUTING | {"__dict__", "__doc__", "__subclasses__", "dir", "getattr", "getdoc", "getmembers"}
INSPECTING |= {"getsource", "globals", "help", "inspect", "locals", "modules", "operator", "py", "vars"}
EXTENSION, LOOK = "_ext", {"_static", "_templates"}
LOOKS = {".css", ".html", ".jinja", ".js"}
"""The suffixes of the style sheets, scripts and templates in `LOOK`; other files there are data."""
LISTING = "-coverage}"
"""How the directives end that list all equations, and all sentences with a mark."""
SHOWS_CODE = ("{auto", ".. auto", "{notation}")
"""The directives that show docstrings or tables from any module of `optim_code`."""
NOT_DATA = {".md", ".bib", ".pyc", ".sty"}
"""The suffixes of files that are no data, unless a cell names them."""
NOT_DATA_AT_THE_TOP = {"_build", "tests", "node_modules", "_config.yml", "_toc.yml", "apt.txt", "requirements.txt"}
NOT_DATA_AT_THE_TOP |= {"requirements.lock", "pyproject.toml", "Makefile", "LICENSE", "CITATION.cff", "run"}
"""The files and folders at the top of the book that cells do not read; `optim_code.train` writes to ``run``."""


def cells(page: Page) -> list[str]:
    """The code of a section's cells, without their options, because a caption does not run."""
    return [block.body for block in page.blocks if block.name == "code-cell"]


class Syntax(NamedTuple):
    """What decides about a module besides its place.

    Attributes:
        digest: a digest of its syntax without docstrings and comments.
        words: the names in it, and the words of strings that may be names.
        exports: for each name that it exports lazily the module of that.
    """

    digest: str
    words: set[str]
    exports: dict[str, str]


@remembered
def read_syntax(source: str, of_package: bool) -> Syntax:
    """Read the source of a module, which may be the ``__init__`` of the package.

    Raises:
        SyntaxError: if it is not Python.
    """
    tree = without_docstrings(ast.parse(source))
    dump = ast.dump(tree)
    exports = lazy_exports(tree) if of_package else {}
    # By computed names it imports what its table says; what else it imports, it does by a statement.
    names, computing = ("".join(map(ast.dump, import_statements(tree))), COMPUTING) if exports else (dump, set[str]())
    words = set[str]().union(*({*name.split(".")} - computing for name in NAME.findall(names)))
    return Syntax(text_digest(dump), words, exports)


class Data(NamedTuple):
    """The files of a tree that cells may read.

    Attributes:
        digest: a digest of the data files.
        modules: the texts of the modules among them, which cells may import.
        others: the other files, such as texts and style sheets, which count for a section that names them.
    """

    digest: str
    modules: list[str]
    others: tuple[Path, ...] = ()


class Code:
    """The modules of `optim_code`.

    Attributes:
        every_byte: a digest of all files.
        folders: for each folder of the package a digest of the syntax of its modules, without docstrings; those at the
            top are in the folder with the empty name.
        words: for each folder the names in its modules, and the words of strings that may be names.
        exports: for each name that the package exports lazily the folder of its module; the empty name stands for all
            other names.
        fault: a message about the first module that is not Python; empty if there is none.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.every_byte = files_digest(root / PACKAGE)
        self.exports: dict[str, str] = {}
        self.words: dict[str, set[str]] = {}
        self.fault = ""
        modules: dict[str, list[str]] = {"": []}
        for path in python_files(root / PACKAGE):
            place = path.relative_to(root / PACKAGE).as_posix()
            folder = place.rpartition("/")[0].partition("/")[0]
            try:
                syntax = read_syntax(sections.read_text(path, root), place == "__init__.py")
            except sections.SectionError as error:
                self.fault = self.fault or str(error)
                continue
            except SyntaxError as error:
                name = path.relative_to(root).as_posix()
                self.fault = self.fault or f"{name}:{error.lineno}: SyntaxError: {error.msg}; fix that line"
                continue
            modules.setdefault(folder, []).append(f"{place}: {syntax.digest}")
            self.words.setdefault(folder, set()).update(syntax.words)
            for name, module in syntax.exports.items():
                self.exports[name] = module.rpartition(".")[0].partition(".")[0]
        self.folders = {folder: text_digest(*sources) for folder, sources in modules.items()}

    @property
    def whole(self) -> str:
        """A digest of all modules, without comments and docstrings."""
        return self.digest_of(self.folders)

    @property
    def data(self) -> Data:
        """The data files: all files in the tree that cells could read, but the texts that pages include."""
        texts = {path for page in sections.read_pages(self.root).values() for path in page.included}
        # `folders` has the modules of optim_code; any other module is a data file.
        package = {*python_files(self.root / PACKAGE)}
        readable = [path for path in source_files(*data_folders(self.root)) if path not in package]
        files: list[Path] = []
        others: list[Path] = []
        for path in readable:
            parts = {*path.relative_to(self.root).parts}
            is_look = bool(LOOK & parts) and path.suffix in LOOKS
            is_other = path.suffix in NOT_DATA or path in texts or EXTENSION in parts or is_look
            (others if is_other else files).append(path)
        digest = named_digest((path.relative_to(self.root).as_posix(), path) for path in files)
        modules = [path for path in files if path.suffix == ".py"]
        return Data(digest, [path.read_text(encoding="utf-8", errors="replace") for path in modules], tuple(others))

    @property
    def kernel(self) -> str:
        """A digest of the code that sets up kernels and changes the form of outputs."""
        folder = self.root / "book" / "_ext" / "execute"
        return files_digest(folder / "kernel_setup.py", folder / "output_forms.py")

    def reachable_digest(self, sources: Iterable[str]) -> str:
        """A digest of what these pieces of code can run of `optim_code`."""
        words = words_of("\n".join(sources))
        if self.fault or words & INSPECTING:
            return self.every_byte
        reached: set[str] = set()
        while more := ({"", *(self.exports.get(word, word) for word in {"", *words})} & {*self.folders}) - reached:
            reached |= more
            words = words.union(*(self.words.get(folder, set()) for folder in more))
        if any(self.words.get(folder, set()) & COMPUTING for folder in reached):
            return self.whole
        return self.digest_of(reached)

    def digest_of(self, folders: Iterable[str]) -> str:
        return text_digest(*(f"{folder}: {self.folders[folder]}" for folder in sorted(folders)))

    def outputs_key(self, page: Page, data: Data) -> str:
        """The name under which a section's outputs are stored; empty if the section has no cells."""
        sources = cells(page)
        if not sources:
            return ""
        code = self.reachable_digest([*sources, *data.modules])
        text = "\n".join([*sources, *data.modules])
        named = files_digest(*(path for path in data.others if path.name in text))
        depends = [page.docname, *sources, code, data.digest, named, self.kernel, pins(self.root)]
        return f"{page.docname.replace('/', '-')}-{text_digest(*depends)[:16]}"


@remembered
def words_of(source: str) -> set[str]:
    """All words of a piece of code."""
    return {*WORD.findall(source)}


def code_of(app: Sphinx) -> Code:
    """The modules of `optim_code` as they were when this run of Sphinx first asked for them."""
    state = build_state(app)
    if state.code is None:
        state.code = Code(Path(app.srcdir))
    return state.code


def outputs_path(root: Path, key: str) -> Path:
    """The notebook with the outputs that are stored under a key."""
    return root / OUTPUTS / f"{key}.ipynb"


def data_folders(root: Path) -> list[Path]:
    """The files and folders at the top of the book that cells may read, wherever they lie below."""
    found = [path for path in root.iterdir() if is_source(path.name) and path.name not in NOT_DATA_AT_THE_TOP]
    # An environment of Python's may have any name.
    return sorted(path for path in found if path.suffix not in NOT_DATA and not (path / "pyvenv.cfg").exists())


def files_read(env: BuildEnvironment) -> Iterator[Path]:
    """All files and folders that the pages of a book were made from."""
    root = Path(env.srcdir)
    yield from look_files(root, env.config)
    for docname in env.found_docs:
        yield Path(env.doc2path(docname))
        yield from (root / name for name in env.dependencies.get(docname, ()))
    yield from (root / name for name in env.images)


def look_files(root: Path, config: Config) -> list[Path]:
    """The files and folders that the settings name for the look of pages: style sheets, templates, logos and more."""
    logos = config.html_theme_options.get("logo") or {}
    names = [config.html_logo, config.html_favicon, logos.get("image_light"), logos.get("image_dark")]
    names += [*config.html_static_path, *config.templates_path, *config.html_extra_path]
    return [root / name for name in names if name]


def lazy_exports(tree: ast.Module) -> dict[str, str]:
    """The table `HOME` of a package: the module of each name that it exports lazily. Empty if it has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == HOME for t in node.targets):
            try:
                return {str(name): str(module) for name, module in dict(ast.literal_eval(node.value)).items()}
            except (ValueError, TypeError):
                return {}
    return {}


def import_statements(tree: ast.Module) -> list[ast.AST]:
    """The imports of a module that may run: all but those below an `if`, which are there for the checker of types."""
    statements = [node for node in tree.body if not isinstance(node, ast.If)]
    inner = [node for statement in statements for node in ast.walk(statement)]
    return [node for node in inner if isinstance(node, (ast.Import, ast.ImportFrom))]


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


def configure(app: Sphinx, config: Config) -> None:
    """Add what decides about reading and writing to the settings, so that Sphinx sees a change of it."""
    root = Path(app.srcdir)
    # A changed extension may show the same outputs in another way: Sphinx reads all pages again, and no cell runs.
    extension = files_digest(root / "book" / "_ext", Path(sections.__file__))
    config["descent_extension_digest"] = text_digest(extension, installed())
    # After a change of a style sheet or a template, Sphinx writes all pages again, but reads none.
    config["descent_look_digest"] = files_digest(*look_files(root, config))
    configure_environment(root)


def configure_environment(root: Path) -> None:
    """Set the environment variables with which cells run and figures are drawn, in any process."""
    # Cells run in a folder of their own, and must still find optim_code.
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])
    # One section runs on each core. With several threads torch would be slower, and would round differently.
    os.environ["OMP_NUM_THREADS"] = "1"
    # The order of a set of texts is the same in each build.
    os.environ["PYTHONHASHSEED"] = "0"
    # With a fixed date a figure has the same bytes in each build.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")
    os.environ.setdefault("FORCE_SOURCE_DATE", "1")


def find_outdated(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Find the pages whose contents have changed. Sphinx compares times, but an older file can replace a newer one."""
    root, kept = Path(app.srcdir), kept_state(env)
    code = code_of(app)
    pages = {docname: read_page(root, docname) for docname in sorted(env.found_docs)}
    build_state(app).pages = pages
    data = code.data
    kept.outputs = {docname: code.outputs_key(page, data) for docname, page in pages.items()}
    return [docname for docname, page in pages.items() if kept.shown.get(docname) != page_digest(app, page)]


def page_digest(app: Sphinx, page: Page) -> str:
    """A digest of all that a page is made of: its text with all that it includes, its outputs, the files it shows."""
    root, docname, kept = Path(app.srcdir), page.docname, kept_state(app.env)
    files = [root / name for name in sorted(app.env.dependencies.get(docname, ())) if "_build" not in Path(name).parts]
    parts = [page.text, kept.outputs[docname], files_digest(*files)]
    if ".*" in page.text:  # a new file beside an old one may be the one that is shown
        parts += sorted(str(path) for file in files for path in beside(file))
    if any(mark in page.text for mark in SHOWS_CODE):
        parts.append(code_of(app).every_byte)
    if LISTING in page.text:
        parts.append(kept.listed_digest)
    return text_digest(*parts)


def beside(file: Path) -> Iterator[Path]:
    """The files that have the same name up to its first dot."""
    return file.parent.glob(f"{glob.escape(file.name.partition('.')[0])}.*")


def remember_shown(app: Sphinx, env: BuildEnvironment) -> None:
    """Note what each page was made of. The texts are those from before reading, so a later change counts next time."""
    kept_state(env).shown = {docname: page_digest(app, page) for docname, page in build_state(app).pages.items()}


def setup(app: Sphinx) -> None:
    app.add_config_value("descent_extension_digest", "", "env")
    app.add_config_value("descent_look_digest", "", "html")
