"""The search of the student's kit for secrets: solutions, the code of classes, and pages for teachers.

It reads all files: pages, scripts, notebooks with metadata, PDFs with titles, and archives. Text is compared by runs of
words, without marks and case. Code is compared by tokens, without layout and the names of variables.

The secrets are not taken from `editions`, because a solution that is not found there would then not be found here. They
come from the teacher's pages as Sphinx has read them, where a solution is a node, and from the sources, where all from
a line with ``{solution`` to the end of its fence counts as a solution, wherever it stands.
"""

from __future__ import annotations

import ast
import contextlib
import html
import io
import json
import re
import shutil
import subprocess
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_exercise.nodes import solution_end_node, solution_node, solution_start_node, solution_title

from book._ext.faults import Fault
from book._ext.page.formulas import with_tex
from book._ext.sources.editions import class_files, student_contents
from optim_code.equations.sections import contents, name_of, pages_of, read_text

RUN_LENGTH = 6
"""Words in a run. A run of a solution is a leak, unless it also stands in what students may read."""
MIN_TOKENS = 12
"""Tokens that a piece of code must have; with fewer it is too common to be a secret."""
MIN_WORDS = 3
"""Words, the label among them, that a solution needs if it is shorter than a run."""
SECRET = ("solution", "teacher")
SOLUTIONS = (solution_node, solution_start_node, solution_end_node)

MARK = re.compile(
    r"(?:(?P<fence>`{3,}|~{3,}|:{3,})\s*\{\s*|\.\.\s+)(?P<name>solution(?:-start)?|only|code-cell)(?:\s*\}|::)(?P<rest>.*)",
    re.I,
)
INCLUDES = re.compile(r"(?:\{include\}|\.\.[ \t]+include::)[ \t]*(\S+)")
HIDDEN_TEXT = re.compile(r"<!--(.*?)-->|(?:alt|title|content|aria-label|data-[\w-]+)=\"([^\"]*)\"", re.S)
SCRIPT = re.compile(r"<script\b[^>]*>(.*?)</script>", re.S | re.I)
LITERAL = re.compile(r'"(?:[^"\\\n]|\\.)*"')
LISTING = re.compile(r"^(?P<fence>`{3,}|~{3,})\s*(?:python|\{code-block\}.*)\n(?P<code>.*?)^(?P=fence)", re.M | re.S)
COMMENT = re.compile(r"(?<!\S)#\s.*")
WORD = re.compile(r"[a-z0-9]+")
TOKEN = re.compile(
    r"""(?P<text>"[^"\n]*"|'[^'\n]*')|(?P<attribute>(?<=\.)[A-Za-z_]\w*)|(?P<name>[A-Za-z_]\w*)"""
    r"|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])"
)
KEPT = {"def", "class", "if", "else", "not", "in", "is", "for", "return", "while", "with", "and", "or", "self"}
"""Words of code that cannot be renamed."""
# Characters of print, and what stands for them in code.
AS_TYPED = str.maketrans({"−": "-", "–": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "ﬁ": "fi", "ﬂ": "fl", "\xad": ""})


def words(text: str) -> list[str]:
    """The words of a text. A word that is broken at the end of a line counts as one."""
    return WORD.findall(re.sub(r"(?<=\w)-\n\s*(?=\w)", "", text.translate(AS_TYPED)).lower())


def on_one_line(text: str) -> str:
    """The words of a text on one line, with a space before and after each."""
    return f" {' '.join(words(text))} "


def word_runs(text: str) -> set[tuple[str, ...]]:
    """All runs of `RUN_LENGTH` words."""
    found = words(text)
    return {tuple(found[n : n + RUN_LENGTH]) for n in range(len(found) - RUN_LENGTH + 1)}


@dataclass(frozen=True)
class Tokens:
    """The tokens of a piece of code, or of a text that may contain code."""

    code: str

    @cached_property
    def found(self) -> list[tuple[str, str]]:
        """The tokens with their kinds. Those that can be renamed have the kind ``name`` or ``text``."""
        matches = TOKEN.finditer(COMMENT.sub("", self.code.translate(AS_TYPED)))
        pairs = [(str(match.lastgroup), match.group()) for match in matches]
        return [("sign", token) if kind == "name" and token in KEPT else (kind, token) for kind, token in pairs]

    @cached_property
    def kinds(self) -> str:
        """The tokens as one text, the same for code that differs in names only."""
        return "\n" + "\n".join(kind if kind in ("name", "text") else token for kind, token in self.found) + "\n"

    def contains(self, other: Tokens) -> bool:
        """Whether it contains the other's code, each name of the other's replaced by one name of its own."""
        place = self.kinds.find(other.kinds)
        while place >= 0:
            first = self.kinds.count("\n", 0, place + 1) - 1
            here = self.found[first : first + len(other.found)]
            if len({*zip(here, other.found, strict=True)}) == len({*here}) == len({*other.found}):
                return True
            place = self.kinds.find(other.kinds, place + 1)
        return False


@dataclass(frozen=True)
class Secrets:
    """What the kit must not contain.

    Attributes:
        solutions: runs of words, by the exercise that they solve or the page that they are from.
        code: pieces of code by name.
        where: the file and line of each name.
    """

    solutions: dict[str, set[tuple[str, ...]]]
    code: dict[str, Tokens]
    where: dict[str, str]

    @classmethod
    def of(cls, root: Path, teacher: Sphinx | None = None, beside: str = "") -> Secrets:
        """The secrets of a book.

        Args:
            root: the top of the book.
            teacher: an application that has read the teacher's edition. If it is given, the solutions that Sphinx has
                read, and pages and parts of pages for teachers, are secrets as well.
            beside: other text that students may read.
        """
        sources = Sources.of(root)
        known = "\n".join([beside, *(read_text(path, root) for path in modules(root))])
        found = cls(defaultdict(set), {}, {})
        open_to_all = "\n".join([known, *(source.outside for source in sources.open)])
        marked = [secret for source in sources.all for secret in source.secrets]
        if teacher is None:
            marked = [secret for secret in marked if secret.kind == "solution"]
        else:
            marked += [source.page for source in sources.for_teachers]
        found.add(marked, open_to_all)
        if teacher is not None:
            shown, allowed = read_doctrees(teacher, sources)
            found.add(shown, "\n".join([known, allowed, *(source.run for source in sources.open)]))
        code = {name: tokens for name, tokens in found.code.items() if len(tokens.found) >= MIN_TOKENS}
        for path in class_files(root):
            for name, (line, tokens) in step_bodies(read_text(path, root)).items():
                code[name], found.where[name] = tokens, f"{path.relative_to(root).as_posix()}:{line}"
        return cls(dict(found.solutions), code, found.where)

    def add(self, secrets: Iterable[Secret], allowed: str) -> None:
        """Add secrets, without what students may read anyway."""
        open_rows, open_words, open_code = word_runs(allowed), on_one_line(allowed), Tokens(allowed)
        for secret in secrets:
            self.where.setdefault(secret.name, secret.where)
            short = {row for row in [tuple(words(secret.text))] if MIN_WORDS <= len(row) < RUN_LENGTH}
            if secret.kind != "solution node":  # a node's words have no label
                self.solutions[secret.name] |= {row for row in short if f" {' '.join(row)} " not in open_words}
            self.solutions[secret.name] |= word_runs(secret.text) - open_rows
            for code in secret.code:
                if not open_code.contains(Tokens(code)):
                    self.code[secret.name] = Tokens(code)

    def secrets_in(self, text: str) -> list[str]:
        """The names of the secrets that a text contains."""
        found, line, tokens = word_runs(text), on_one_line(text), Tokens(text)
        told = [
            name
            for name, secret in self.solutions.items()
            if secret & found or any(len(row) < RUN_LENGTH and f" {' '.join(row)} " in line for row in secret)
        ]
        return told + [name for name, secret in self.code.items() if name not in told and tokens.contains(secret)]


@dataclass(frozen=True)
class Secret:
    """A text that students must not read.

    Attributes:
        kind: ``solution``, ``solution node``, ``teacher`` or ``page``.
        name: its name in messages.
        where: its file and line.
        text: its text.
        code: the pieces of code in it.
    """

    kind: str
    name: str
    where: str
    text: str
    code: list[str]


# --- in the sources ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A file of the sources, searched line by line, without a parser that could miss a part of it.

    Attributes:
        name: its path from the top of the book.
        text: all of it.
    """

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def regions(self) -> list[tuple[str, re.Match[str], int, int]]:
        """What is marked in it, at any depth: kind, match of the mark, first line, line after the last."""
        found = []
        for number, line in enumerate(self.lines):
            if mark := MARK.search(line):
                name = mark["name"].lower()
                kind = mark["rest"].split(None, 1)[0:1] if name == "only" else [name.removesuffix("-start")]
                last = end_of(self.lines, number, mark)
                found.append((*(kind or ["teacher"]), mark, number, last))
        return found

    @property
    def secrets(self) -> list[Secret]:
        """Its solutions and its text for teachers."""
        found = []
        for kind, mark, first, last in self.regions:
            if kind in SECRET:
                # The mark is part of it: a solution that was not taken out shows at least its label.
                text = "\n".join([self.lines[first][mark.start() :], *self.lines[first + 1 : last]])
                label = " ".join(mark["rest"].split()[:1]) if kind == "solution" else "for teachers"
                name = f"{PurePosixPath(self.name).name}: {label}"
                found.append(Secret(kind, name, f"{self.name}:{first + 1}", text, code_in(text)))
        return found

    @property
    def page(self) -> Secret:
        """The whole file as a secret."""
        return Secret("page", f"{PurePosixPath(self.name).name}: the page", f"{self.name}:1", self.text, [])

    def lines_of(self, secret: bool) -> set[int]:
        """The lines of what is marked: of secrets, or of all else."""
        return {n for kind, _, first, last in self.regions if (kind in SECRET) == secret for n in range(first, last)}

    def text_of(self, numbers: set[int]) -> str:
        return "\n".join(self.lines[number] for number in sorted(numbers))

    @property
    def outside(self) -> str:
        """The text outside secrets."""
        return self.text_of({*range(len(self.lines))} - self.lines_of(secret=True))

    @property
    def run(self) -> str:
        """What students may read and the teacher's pages may lack: cells, and text for students alone."""
        return self.text_of(self.lines_of(secret=False) - self.lines_of(secret=True))


def end_of(lines: list[str], number: int, mark: re.Match[str]) -> int:
    """The line after the end of what a mark opens. In doubt it is too late, never too early."""
    if mark["name"].lower().endswith("-start"):
        return next((n + 1 for n in range(number + 1, len(lines)) if "solution-end" in lines[n].lower()), len(lines))
    if mark["fence"] is None:  # in reStructuredText it ends before a line with the same indent
        left = len(lines[number]) - len(lines[number].lstrip())
        inside = re.compile(rf"\s*$|\s{{{left + 1}}}")
        return next((n for n in range(number + 1, len(lines)) if not inside.match(lines[n])), len(lines))
    fence = re.escape(mark["fence"])
    if re.search(fence, mark["rest"]):
        return number + 1
    # A line with more indent is inside the fence. Before the end may stand what stands before the beginning.
    end = re.compile(rf"(?=[\s>%]{{0,{mark.start() + 3}}}{fence})[\s>%]*{fence}{fence[-1]}*\s*$")
    return next((n + 1 for n in range(number + 1, len(lines)) if end.match(lines[n])), len(lines))


@dataclass(frozen=True)
class Sources:
    """The sources of a book.

    Attributes:
        open: the files of pages that students read.
        for_teachers: the files of the other pages.
        pages: the names of those other pages.
    """

    open: list[Source]
    for_teachers: list[Source]
    pages: set[str]

    @property
    def all(self) -> list[Source]:
        return [*self.open, *self.for_teachers]

    @classmethod
    def of(cls, root: Path) -> Sources:
        import yaml

        toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
        students = {*pages_of(student_contents(toc, root), root)}
        found: tuple[dict[Path, Source], dict[Path, Source]] = {}, {}
        pages = contents(root)
        for docname in pages:
            for path in files_of(root, docname):
                found[docname not in students].setdefault(path, Source(name_of(path, root.resolve()), read_text(path)))
        ours, theirs = found
        own = {(root / f"{docname}.md").resolve() for docname in pages if docname not in students}
        read = [source for path, source in ours.items() if path not in own]
        others = [source for path, source in theirs.items() if path in own or path not in ours]
        return cls(read, others, {*pages} - students)


def files_of(root: Path, docname: str) -> Iterator[Path]:
    """The file of a page and all files that it includes."""
    page = (root / f"{docname}.md").resolve()
    found, left = {page}, [page]
    while left:
        path = left.pop()
        yield path
        for named in INCLUDES.findall(read_text(path)):
            folders = [root] if named.startswith("/") else [page.parent, path.parent]
            for file in {(folder / named.lstrip("/")).resolve() for folder in folders} - found:
                if file.is_file() and file.suffix != ".py":
                    found.add(file)
                    left.append(file)


def modules(root: Path) -> list[Path]:
    """The modules that students get."""
    return sorted({*(root / "optim_code").rglob("*.py")} - {*class_files(root)})


# --- in what Sphinx has read ---------------------------------------------------------------------------------------


def read_doctrees(teacher: Sphinx, sources: Sources) -> tuple[list[Secret], str]:
    """The solutions and the pages for teachers as Sphinx has read them, and all other text."""
    found: list[Secret] = []
    said = []
    for docname in sorted(teacher.env.found_docs):
        tree, file = teacher.env.get_doctree(docname), f"{docname}.md"
        if docname in sources.pages:
            found.append(Secret("page", f"{PurePosixPath(file).name}: the page", f"{file}:1", tree.astext(), []))
            continue
        for node in solutions_in(tree):
            name = f"{PurePosixPath(file).name}: {node['target_label']}"
            code = [block.astext() for block in node.findall(nodes.literal_block)]
            found.append(Secret("solution node", name, f"{file}:{node.line or 1}", text_in(node), code))
            node.parent.remove(node)
        said.append(tree.astext())
    return found, "\n".join(said)


def solutions_in(tree: nodes.Element) -> list[nodes.Element]:
    """The outermost solutions of a page."""
    found: list[nodes.Element] = []
    for node in tree.findall(lambda node: isinstance(node, SOLUTIONS)):
        above = node.parent
        while above is not None and above not in found:
            above = above.parent
        if above is None:
            found.append(node)
    return found


def text_in(solution: nodes.Element) -> str:
    """The text of a solution, without its title."""
    return "\n\n".join(child.astext() for child in solution.children if not isinstance(child, solution_title))


def repeated(teacher: Sphinx, student: Sphinx) -> list[str]:
    """Where the student's edition repeats a part of a solution, however short: page and secret, a line each.

    A paragraph, a formula or a listing of a solution is repeated if the student's page has it more often than the
    teacher's page has it outside solutions.
    """
    said = []
    for docname in sorted(student.env.found_docs):
        place, name = f"html/{docname}.html", f"{PurePosixPath(docname).name}.md"
        theirs, mine = teacher.env.get_doctree(docname), student.env.get_doctree(docname)
        said += [f"{place} tells {name}: {node.get('target_label', 'a solution')}" for node in solutions_in(mine)]
        secret = [(node["target_label"], list(pieces(node))) for node in solutions_in(theirs)]
        for node in solutions_in(theirs):
            node.parent.remove(node)
        more = Counter(pieces(mine)) - Counter(pieces(theirs))
        said += [f"{place} tells {name}: {label}" for label, told in secret if any(piece in more for piece in told)]
    return list(dict.fromkeys(said))


def pieces(tree: nodes.Element) -> Iterator[str]:
    """The texts of all paragraphs, formulas and listings in a node."""
    for node in tree.findall(nodes.TextElement):
        text = " ".join(node.astext().split())
        if text and not isinstance(node, (nodes.Inline, solution_title)):
            yield text


# --- in code -------------------------------------------------------------------------------------------------------


def code_in(solution: str) -> list[str]:
    """The pieces of code in a solution."""
    return [shown["code"] for shown in LISTING.finditer(solution)]


def step_bodies(source: str) -> dict[str, tuple[int, Tokens]]:
    """The body of ``my_step`` of each class in a module, with its first line, by the name of the class."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name == "my_step":
                    first = method.body[ast.get_docstring(method) is not None :][0]
                    code = "\n".join(source.splitlines()[first.lineno - 1 : method.end_lineno])
                    found[node.name] = first.lineno, Tokens(code)
    return found


# --- in a folder ---------------------------------------------------------------------------------------------------


def leaks(folder: Path, secrets: Secrets) -> list[str]:
    """The files in a folder that contain a secret: file and secret, one line each."""
    said = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for place, text in texts_of(path.relative_to(folder).as_posix(), path.read_bytes()):
            said += [f"{place} tells {secret}" for secret in secrets.secrets_in(text)]
    return said


def texts_of(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    """The texts in a file, each with the name of its place."""
    suffix = name.rpartition(".")[2]
    if suffix == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from texts_of(f"{name}: {member}", archive.read(member))
    elif suffix == "pdf":
        yield name, text_of_pdf(content)
    elif suffix in ("ipynb", "json"):
        # A notebook splits its text into strings, line by line.
        yield name, "\n".join(strings(json.loads(content)))
    elif b"\0" not in content[:1000]:
        text = content.decode("utf-8", errors="replace")
        scripts = SCRIPT.findall(text) if suffix == "html" else [text] if suffix == "js" else []
        read = text_of_html(text) if suffix in ("html", "svg") else text
        yield name, "\n".join([read, *(said for script in scripts for said in strings_in_script(script))])


def strings_in_script(script: str) -> Iterator[str]:
    """The strings of several lines in a script, as the script that reads them has them."""
    for literal in LITERAL.findall(script):
        if "\\n" in literal:
            with contextlib.suppress(ValueError):  # not every string of a script is one of JSON
                yield json.loads(literal)


def text_of_html(page: str) -> str:
    """The text of an HTML page, with its formulas in TeX, its comments, and the attributes that hold text."""
    hidden = [comment or title for comment, title in HIDDEN_TEXT.findall(page)]
    return html.unescape("\n".join([re.sub(r"<[^>]*>", "", with_tex(page)), *hidden]))


def strings(value: Any) -> Iterable[str]:
    """All texts in a JSON value. A list of strings is one text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        yield "".join(value)
    elif isinstance(value, (list, dict)):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from strings(entry)


def text_of_pdf(content: bytes) -> str:
    read = subprocess.run(["pdftotext", "-layout", "-", "-"], input=content, capture_output=True, check=True)
    return read.stdout.decode("utf-8", errors="replace")


def check_poppler() -> None:
    """Fail early if pdftotext is not installed."""
    if shutil.which("pdftotext") is None:
        raise Fault("make student searches its PDFs with pdftotext, which is not there; apt-get install poppler-utils")
