"""What a section depends on, by content: what its cells run, and what its page shows.

A section's outputs depend on its cells, on the code of `optim_code` that they reach, on data files and on the pinned
versions. A hash of these names the folder of its notebook cache, so a change to what a section runs executes it anew,
a change to anything else does not, and going back finds the old outputs again. It needs no import of what it looks at.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:  # a build that finds nothing changed does not import Sphinx
    from sphinx.application import Sphinx
    from sphinx.config import Config
    from sphinx.environment import BuildEnvironment

# A fence at the left, to its end: what stands in another one is that one's, be it only shown.
FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)", re.M | re.S)
CELL = re.compile(r"^\s*(?:`{3,}|~{3,}|:{3,})\s*\{code-cell\}", re.M)
OPTIONS = re.compile(r"\A(?:---\n.*?^---\n|(?::[\w-]+:[^\n]*\n)+)", re.M | re.S)
# What reads names or texts of code while it runs: who uses it depends on all of the module, to the byte.
LOOKING = {"getmembers", "globals", "vars", "__dict__", "__subclasses__", "import_module", "getsource", "getdoc"}
LOOKING |= {"__doc__", "help", "eval", "exec", "dir", "locals", "__import__", "modules", "attrgetter", "methodcaller"}
NOT_READ = {"_ext", "_static", "_templates"}
LISTING = "{equation-coverage}"
LOOKED_AT: dict[Path, Code] = {}
NOT_DATA = {".md", ".bib", ".pyc", ".sty"}


def source_files(*paths: Path) -> list[Path]:
    """The given files, and all files below the given folders, in order; not what editors leave beside them."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        below: list[Path] = []
        for folder, inside, files in os.walk(path):
            inside[:] = filter(is_source, inside)
            below += [Path(folder, name) for name in filter(is_source, files)]
        found += sorted(below)
    return found


def is_source(name: str) -> bool:
    return not name.startswith((".", "#")) and not name.endswith("~") and name != "__pycache__"


def digest(*paths: Path) -> str:
    """A hash of the given sources, and of all below the given folders: their names and bytes."""
    return hash_of((str(file.relative_to(path.parent)), file) for path in paths for file in source_files(path))


def hash_of(files: Iterable[tuple[str, Path]]) -> str:
    sha = hashlib.sha256()
    for name, file in files:
        if file.is_file():
            sha.update(f"{name}\0".encode())
            sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()[:16]


def pins(root: Path) -> str:
    """What is pinned, and the Python that it is installed for."""
    try:
        lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return "\n".join([sys.version, *(line for line in lines if line.strip() and not line.startswith("#"))])


def cells(text: str) -> list[str]:
    """The code of a section's cells, without their options: a caption is not run.

    Where it is not plain which fences are cells, for some are indented or only shown, the whole text counts as code.
    """
    fences = FENCE.finditer(text)
    found = [OPTIONS.sub("", f["body"], count=1) for f in fences if f["info"].strip().startswith("{code-cell}")]
    if "file_format: mystnb" in text.partition("\n---")[0] and len(CELL.findall(text)) != len(found):
        return [text]
    return found


def cells_as_written(text: str) -> list[str]:
    """What of a section makes a notebook's cells and says how they run: its front matter, the cells, their options."""
    if cells(text) == [text]:
        return [text]
    fences = (fence for fence in FENCE.finditer(text) if fence["info"].strip().startswith("{code-cell}"))
    return [text.partition("\n---")[0], *(fence.group() for fence in fences)]


def code_of(root: Path) -> Code:
    """The code of `optim_code` as it stands; looked at once for each state of it."""
    whole = digest(root / "optim_code")
    if root not in LOOKED_AT or LOOKED_AT[root].whole != whole:
        LOOKED_AT[root] = Code(root)
    return LOOKED_AT[root]


class Piece(NamedTuple):
    """A statement of a module: a hash of what it is, whatever its layout, and all that it names."""

    module: str
    hash: str
    names: frozenset[str]


class Code:
    """The definitions of `optim_code`, and which of them a piece of code can reach.

    One reaches another by naming it. Names are compared as they stand, in any module, so rather too much is reached
    than too little; and what looks around by itself (`LOOKING`) reaches everything.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole = digest(root / "optim_code")
        self.definitions: dict[str, list[Piece]] = {}
        self.always: dict[str, list[Piece]] = {}
        self.pieces: defaultdict[str, list[Piece]] = defaultdict(list)
        self.imports: dict[str, set[str]] = {}
        self.broken = ""
        self.found: dict[str, str] = {}
        for path in (path for path in source_files(root / "optim_code") if path.suffix == ".py"):
            self.always[path.stem], self.imports[path.stem] = [], set()
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except SyntaxError as error:
                self.broken = f"optim_code/{path.name}:{error.lineno}: SyntaxError: {error.msg}; mend that line"
                continue
            for node in without_docstrings(tree).body:
                self.take(path.stem, node)

    def take(self, module: str, node: ast.AST) -> None:
        """Sort a statement of a module: a definition by its name, or what importing it runs."""
        piece = Piece(module, hashlib.sha256(ast.dump(node).encode()).hexdigest(), frozenset(names(node)))
        self.pieces[module].append(piece)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            self.define(node.name, piece)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pass  # never run
        elif isinstance(node, ast.Try) and all(isinstance(n, ast.ImportFrom) and n.level for n in node.body):
            # An import of what may be left out: the package is the same, whoever names nothing of it.
            for statement in (*node.body, *node.handlers, *node.orelse, *node.finalbody):
                self.take(module, statement)
        elif isinstance(node, ast.ImportFrom) and node.level:
            self.imports[module].add((node.module or "__init__").partition(".")[0])
            for alias in node.names:
                self.imports[module].add(alias.name)
                if alias.asname:
                    self.define(alias.asname, Piece(module, alias.name, frozenset({alias.name})))
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and not any(isinstance(n, ast.Call) for n in ast.walk(node)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    self.define(target.id, piece)
                else:
                    self.always[module].append(piece)
        else:
            self.always[module].append(piece)

    def define(self, name: str, piece: Piece) -> None:
        self.definitions.setdefault(name, []).append(piece)

    @property
    def data(self) -> str:
        """What lies beside the code and the sections, for cells to read."""
        files = [
            path
            for path in source_files(self.root / "optim_code", self.root / "book")
            if path.suffix not in NOT_DATA
            and not NOT_READ & {*path.relative_to(self.root).parts}
            # The code of optim_code is looked at piece by piece; what else a cell may import is one file to it.
            and not (path.suffix == ".py" and path.is_relative_to(self.root / "optim_code"))
        ]
        return hash_of((path.relative_to(self.root).as_posix(), path) for path in files)

    def reached(self, sources: Iterable[str]) -> str:
        """A hash of all that code made of these sources can run of `optim_code`."""
        sources = list(sources)
        key = hashlib.sha256("\0".join(sources).encode()).hexdigest()
        if key not in self.found:
            self.found[key] = self.reach(sources)
        return self.found[key]

    def reach(self, sources: list[str]) -> str:
        waiting: set[str] = set()
        for source in sources:
            try:
                waiting |= set(names(ast.parse(re.sub(r"^\s*[%!].*$", "pass", source, flags=re.M))))
            except SyntaxError:  # it will fail when it runs
                return self.whole
        imported: set[str] = set()
        parts: set[str] = set()
        seen: set[str] = set()
        waiting.add("__init__")
        while waiting:
            name = waiting.pop()
            seen.add(name)
            for module in self.imported(name) - imported:
                imported.add(module)
                parts |= {piece.hash for piece in self.always[module]}
                waiting |= {named for piece in self.always[module] for named in piece.names} - seen
                # What was named before may be defined in it.
                waiting |= seen
            for piece in self.definitions.get(name, ()):
                if piece.module in imported:
                    parts.add(f"{piece.module}.{name}: {piece.hash}")
                    waiting |= piece.names - seen
        if self.broken or seen & LOOKING:
            return self.whole
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()

    def imported(self, name: str) -> set[str]:
        """The modules that are imported if this one is named, be it by an import inside a function."""
        waiting, imported = {name} & set(self.imports), set()
        while waiting:
            module = waiting.pop()
            imported.add(module)
            waiting |= (self.imports[module] & set(self.imports)) - imported
        return imported

    def key(self, docname: str, text: str) -> str:
        """The name of the folder that holds a section's outputs; empty if it has no cells."""
        sources = cells(text)
        if not sources:
            return ""
        # What sets up the kernel and puts the outputs into their form runs with the cells, too.
        ways = digest(*(self.root / "book" / "_ext" / f"{name}.py" for name in ("kernel_setup", "output_forms")))
        depends = [docname, *sources, self.reached(sources), self.data, pins(self.root), ways]
        return f"{docname.replace('/', '-')}-{hashlib.sha256(chr(0).join(depends).encode()).hexdigest()[:16]}"


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


def settle(app: Sphinx, config: Config) -> None:
    root = Path(app.srcdir)
    config["nb_execution_cache_path"] = str(root / "_build" / ".jupyter_cache")
    # A changed extension renders the same outputs differently: re-read all, execute nothing.
    config["descent_extension_digest"] = digest(root / "book" / "_ext")
    # A changed style sheet or template: write all pages again, read none; Sphinx would not even copy the style sheet.
    config["descent_look_digest"] = digest(root / "book" / "_static", root / "book" / "_templates")
    settle_environment(root)


def settle_environment(root: Path) -> None:
    """What cells and figures must find, in whatever process."""
    # Cells run in a folder of their own, and must still find optim_code. Fixed dates make a figure the same each time.
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(root)]
    os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *others])
    # Sections run side by side, one a core; threads of torch's own would wait for one another, and round differently.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")
    os.environ.setdefault("FORCE_SOURCE_DATE", "1")


def look(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Look at the code, before all others do; what was found at the last build is still true of the same code."""
    root = Path(app.srcdir)
    known: Code | None = getattr(env, "descent_code", None)
    if known is not None and known.root == root:
        LOOKED_AT.setdefault(root, known)
    env.descent_code = code_of(root)  # type: ignore[attr-defined]
    return []


def find_outdated(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Find the pages that show something else now, by content: Sphinx looks at times, and an old file can come back."""
    code: Code = env.descent_code  # type: ignore[attr-defined]
    before: dict[str, str] = getattr(env, "descent_shown", {})
    texts = {name: Path(env.doc2path(name)).read_text(encoding="utf-8") for name in sorted(env.found_docs)}
    app.descent_texts = texts  # type: ignore[attr-defined]
    env.descent_keys = {name: code.key(name, text) for name, text in texts.items()}  # type: ignore[attr-defined]
    return [name for name, text in texts.items() if before.get(name) != shown(env, name, text)]


def shown(env: BuildEnvironment, docname: str, text: str) -> str:
    """A hash of what a page is made of: its text, its outputs, the files that it includes."""
    root = Path(env.srcdir)
    files = [root / name for name in sorted(env.dependencies.get(docname, ())) if "_build" not in Path(name).parts]
    keys: dict[str, str] = env.descent_keys  # type: ignore[attr-defined]
    parts = [text, keys[docname], digest(*files)]
    if "{auto" in text:
        parts.append(env.descent_code.whole)  # type: ignore[attr-defined]
    if LISTING in text:
        parts.append(env.descent_equations)  # type: ignore[attr-defined]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def remember(app: Sphinx, env: BuildEnvironment) -> None:
    """After reading: what each page was made of. A text that was changed meanwhile is read again at the next build."""
    texts: dict[str, str] = app.descent_texts  # type: ignore[attr-defined]
    env.descent_shown = {name: shown(env, name, text) for name, text in texts.items()}  # type: ignore[attr-defined]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("descent_extension_digest", "", "env")
    app.add_config_value("descent_look_digest", "", "html")
    app.connect("config-inited", settle)
    app.connect("env-get-outdated", look, priority=40)
    app.connect("env-get-outdated", find_outdated, priority=50)
    app.connect("env-updated", remember, priority=50)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
