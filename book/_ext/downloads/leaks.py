"""Whether a folder gives away what students are to find out: a solution, the code of a class, a page for teachers.

It looks at everything: pages, scripts, notebooks and their metadata, the text and the titles of PDFs, what is in an
archive. Words are compared without marks and case, a few in a row; code by its tokens, whatever its layout and however
its variables are called.

What is secret does not come from `editions`, or a solution that is not found there would not be found here either. It
comes from two other places: from the teacher's pages as Sphinx has read them, in which a solution is a node, and from
the sources, in which all from a line with ``{solution`` to the end of its fence is taken for one, wherever it stands.
"""

from __future__ import annotations

import ast
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
from book._ext.sources.editions import class_files, student_contents
from optim_code.equations.sections import contents, name_of, pages_of, read_text

IN_A_ROW = 6
"""So many words of a solution, one after another, are a leak, if they are nowhere in what students may read."""
FEWEST = 12
"""Tokens; a piece of code with fewer is too common to be anybody's."""

SHORTEST = 3
"""So many words, with the label among them, are enough where a solution has fewer than `IN_A_ROW`."""
SECRET = ("solution", "teacher")
SOLUTIONS = (solution_node, solution_start_node, solution_end_node)

OPENS = re.compile(
    r"(?:(?P<fence>`{3,}|~{3,}|:{3,})\s*\{\s*|\.\.\s+)(?P<name>solution(?:-start)?|only|code-cell)(?:\s*\}|::)(?P<rest>.*)",
    re.I,
)
INCLUDES = re.compile(r"(?:\{include\}|\.\.[ \t]+include::)[ \t]*(\S+)")
UNSEEN = re.compile(r"<!--(.*?)-->|(?:alt|title|content|aria-label|data-[\w-]+)=\"([^\"]*)\"", re.S)
SHOWN = re.compile(r"^(?P<fence>`{3,}|~{3,})\s*(?:python|\{code-block\}.*)\n(?P<code>.*?)^(?P=fence)", re.M | re.S)
COMMENT = re.compile(r"(?<!\S)#\s.*")
WORD = re.compile(r"[a-z0-9]+")
TOKEN = re.compile(
    r"""(?P<text>"[^"\n]*"|'[^'\n]*')|(?P<attribute>(?<=\.)[A-Za-z_]\w*)|(?P<name>[A-Za-z_]\w*)"""
    r"|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])"
)
KEPT = {"def", "class", "if", "else", "not", "in", "is", "for", "return", "while", "with", "and", "or", "self"}
"""Names that nobody can change."""
# How print writes what code has.
AS_TYPED = str.maketrans({"−": "-", "–": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "ﬁ": "fi", "ﬂ": "fl", "\xad": ""})


def words(text: str) -> list[str]:
    """The words of a text; a word broken at the end of a line is one."""
    return WORD.findall(re.sub(r"(?<=\w)-\n\s*(?=\w)", "", text.translate(AS_TYPED)).lower())


def in_a_line(text: str) -> str:
    """The words of a text in one line, each between spaces."""
    return f" {' '.join(words(text))} "


def rows(text: str) -> set[tuple[str, ...]]:
    """All rows of `IN_A_ROW` words."""
    found = words(text)
    return {tuple(found[n : n + IN_A_ROW]) for n in range(len(found) - IN_A_ROW + 1)}


@dataclass(frozen=True)
class Tokens:
    """A piece of code, or a text that may hold code, as its tokens."""

    code: str

    @cached_property
    def found(self) -> list[tuple[str, str]]:
        """Each token with its kind; what can be renamed is of the kind ``name`` or ``text``."""
        matches = TOKEN.finditer(COMMENT.sub("", self.code.translate(AS_TYPED)))
        pairs = [(str(match.lastgroup), match.group()) for match in matches]
        return [("sign", token) if kind == "name" and token in KEPT else (kind, token) for kind, token in pairs]

    @cached_property
    def kinds(self) -> str:
        """One line in which equal code looks equal, whatever its names."""
        return "\n" + "\n".join(kind if kind in ("name", "text") else token for kind, token in self.found) + "\n"

    def holds(self, other: Tokens) -> bool:
        """Whether the other's code is in it, up to names, each of which must stand for one of the other's."""
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
    """What a folder must not tell.

    Attributes:
        solutions: the rows of words by the exercise that they solve, or the page that they are from.
        code: the pieces of code by their names.
        where: file and line of each of them.
    """

    solutions: dict[str, set[tuple[str, ...]]]
    code: dict[str, Tokens]
    where: dict[str, str]

    @classmethod
    def of(cls, root: Path, teacher: Sphinx | None = None, beside: str = "") -> Secrets:
        """The secrets of a book.

        Args:
            root: the top of the book.
            teacher: an application that has read the teacher's edition. With it come the solutions as Sphinx has read
                them, and what is for teachers alone: pages, and parts of pages.
            beside: other texts that students may read.
        """
        sources = Sources.of(root)
        known = "\n".join([beside, *(path.read_text(encoding="utf-8") for path in modules(root))])
        found = cls(defaultdict(set), {}, {})
        open_to_all = "\n".join([known, *(text for source in sources.open for text in source.outside)])
        marked = [secret for source in sources.all for secret in source.secrets]
        if teacher is None:
            marked = [secret for secret in marked if secret.kind == "solution"]
        else:
            marked += [source.page for source in sources.for_teachers]
        found.add(marked, open_to_all)
        if teacher is not None:
            shown, allowed = read_doctrees(teacher, sources)
            found.add(shown, "\n".join([known, allowed, *(text for source in sources.open for text in source.run)]))
        code = {name: tokens for name, tokens in found.code.items() if len(tokens.found) >= FEWEST}
        for path in class_files(root):
            for name, (line, tokens) in steps(path.read_text(encoding="utf-8")).items():
                code[name], found.where[name] = tokens, f"{path.relative_to(root).as_posix()}:{line}"
        return cls(dict(found.solutions), code, found.where)

    def add(self, secrets: Iterable[Secret], allowed: str) -> None:
        """Add some secrets, but for what students may read anyway."""
        open_rows, open_words, open_code = rows(allowed), in_a_line(allowed), Tokens(allowed)
        for secret in secrets:
            self.where.setdefault(secret.name, secret.where)
            short = {row for row in [tuple(words(secret.text))] if SHORTEST <= len(row) < IN_A_ROW}
            if secret.kind != "solution node":  # the label is among its words
                self.solutions[secret.name] |= {row for row in short if f" {' '.join(row)} " not in open_words}
            self.solutions[secret.name] |= rows(secret.text) - open_rows
            for code in secret.code:
                if not open_code.holds(Tokens(code)):
                    self.code[secret.name] = Tokens(code)

    def told_by(self, text: str) -> list[str]:
        """The names of the secrets that a text tells."""
        found, line, tokens = rows(text), in_a_line(text), Tokens(text)
        told = [
            name
            for name, secret in self.solutions.items()
            if secret & found or any(len(row) < IN_A_ROW and f" {' '.join(row)} " in line for row in secret)
        ]
        return told + [name for name, secret in self.code.items() if name not in told and tokens.holds(secret)]


@dataclass(frozen=True)
class Secret:
    """A text that students must not read.

    Attributes:
        kind: ``solution``, ``solution node``, ``teacher`` or ``page``.
        name: what it is, as a message says it.
        where: its file and line.
        text: its words.
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
    """A file of the sources, read in the crudest way: line by line.

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
        """What is marked in it, wherever it stands: kind, the mark, first line, line after the last."""
        found = []
        for number, line in enumerate(self.lines):
            if mark := OPENS.search(line):
                name = mark["name"].lower()
                kind = mark["rest"].split(None, 1)[0:1] if name == "only" else [name.removesuffix("-start")]
                last = end_of(self.lines, number, mark)
                found.append((*(kind or ["teacher"]), mark, number, last))
        return found

    @property
    def secrets(self) -> list[Secret]:
        """Its solutions, and what it says to teachers."""
        found = []
        for kind, mark, first, last in self.regions:
            if kind in SECRET:
                # From the mark itself on: where nothing took a solution out, its label may be all that is told with it.
                text = "\n".join([self.lines[first][mark.start() :], *self.lines[first + 1 : last]])
                label = " ".join(mark["rest"].split()[:1]) if kind == "solution" else "for teachers"
                name = f"{PurePosixPath(self.name).name}: {label}"
                found.append(Secret(kind, name, f"{self.name}:{first + 1}", text, listings(text)))
        return found

    @property
    def page(self) -> Secret:
        """All of it, as a secret."""
        return Secret("page", f"{PurePosixPath(self.name).name}: the page", f"{self.name}:1", self.text, [])

    @property
    def outside(self) -> list[str]:
        """What stands between what is secret."""
        inside = {n for kind, _, first, last in self.regions if kind in SECRET for n in range(first, last)}
        return ["\n".join(self.lines[n] for n in part) for part in parts({*range(len(self.lines))} - inside)]

    @property
    def run(self) -> list[str]:
        """What students read that need not be on the teacher's pages: cells, and what is said to them alone."""
        inside = {n for kind, _, first, last in self.regions if kind in SECRET for n in range(first, last)}
        shown = {n for kind, _, first, last in self.regions if kind not in SECRET for n in range(first, last)}
        return ["\n".join(self.lines[n] for n in part) for part in parts(shown - inside)]


def end_of(lines: list[str], number: int, mark: re.Match[str]) -> int:
    """The line after the end of what is marked in a line; rather too late than too early."""
    if mark["name"].lower().endswith("-start"):
        return next((n + 1 for n in range(number + 1, len(lines)) if "solution-end" in lines[n].lower()), len(lines))
    if mark["fence"] is None:  # in reStructuredText it ends where a line stands as far to the left
        left = len(lines[number]) - len(lines[number].lstrip())
        inside = re.compile(rf"\s*$|\s{{{left + 1}}}")
        return next((n for n in range(number + 1, len(lines)) if not inside.match(lines[n])), len(lines))
    fence = re.escape(mark["fence"])
    if re.search(fence, mark["rest"]):
        return number + 1
    # What stands further to the right is in the fence; before the end may be what is before the beginning.
    end = re.compile(rf"(?=[\s>%]{{0,{mark.start() + 3}}}{fence})[\s>%]*{fence}{fence[-1]}*\s*$")
    return next((n + 1 for n in range(number + 1, len(lines)) if end.match(lines[n])), len(lines))


def parts(numbers: set[int]) -> Iterator[list[int]]:
    """Line numbers, those together that follow one another."""
    part: list[int] = []
    for number in sorted(numbers):
        if part and number > part[-1] + 1:
            yield part
            part = []
        part.append(number)
    if part:
        yield part


@dataclass(frozen=True)
class Sources:
    """The sources of a book.

    Attributes:
        open: those of the pages that students read.
        for_teachers: those of the others.
        pages: the names of the others.
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
    """The file of a page, and those that it includes, and so on."""
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
    """The code that students get."""
    return sorted({*(root / "optim_code").rglob("*.py")} - {*class_files(root)})


# --- in what Sphinx has read ---------------------------------------------------------------------------------------


def read_doctrees(teacher: Sphinx, sources: Sources) -> tuple[list[Secret], str]:
    """The solutions and the pages for teachers as Sphinx has read them, and all else that it has."""
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
    """What a solution says, without its title."""
    return "\n\n".join(child.astext() for child in solution.children if not isinstance(child, solution_title))


def repeated(teacher: Sphinx, student: Sphinx) -> list[str]:
    """Where the student's edition has a solution, however short, or a page for teachers: page and secret, a line each.

    A paragraph, a formula or a listing of a solution is told if the student's page has it more often than the
    teacher's has outside solutions.
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
    """The texts of the paragraphs, formulas, listings and so on below a node."""
    for node in tree.findall(nodes.TextElement):
        text = " ".join(node.astext().split())
        if text and not isinstance(node, (nodes.Inline, solution_title)):
            yield text


# --- in code -------------------------------------------------------------------------------------------------------


def listings(solution: str) -> list[str]:
    """The code that a solution itself shows."""
    return [shown["code"] for shown in SHOWN.finditer(solution)]


def steps(source: str) -> dict[str, tuple[int, Tokens]]:
    """What each class of a module has in its ``my_step``, with its first line, by the name of the class."""
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
    """Where a folder tells one of the secrets: file and secret, one line each."""
    said = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        for place, text in texts_of(path.relative_to(folder).as_posix(), path.read_bytes()):
            said += [f"{place} tells {secret}" for secret in secrets.told_by(text)]
    return said


def texts_of(name: str, content: bytes) -> Iterator[tuple[str, str]]:
    """The texts that a file holds, each with the name of its place."""
    suffix = name.rpartition(".")[2]
    if suffix == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from texts_of(f"{name}: {member}", archive.read(member))
    elif suffix == "pdf":
        yield name, text_of_pdf(content)
    elif suffix in ("ipynb", "json"):
        # As it is read, not as it is written: a line is broken into strings there.
        yield name, "\n".join(strings(json.loads(content)))
    elif b"\0" not in content[:1000]:
        text = content.decode("utf-8", errors="replace")
        yield name, text_of_html(text) if suffix in ("html", "svg") else text


def text_of_html(page: str) -> str:
    """What a page of HTML says, and its comments and titles, which nobody sees at first."""
    hidden = [comment or title for comment, title in UNSEEN.findall(page)]
    return html.unescape("\n".join([re.sub(r"<[^>]*>", "", page), *hidden]))


def strings(value: Any) -> Iterable[str]:
    """All texts in a value of JSON; those of a list are lines of one."""
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
    """Ask for what looks into PDFs before anything is computed."""
    if shutil.which("pdftotext") is None:
        raise Fault("make student searches its PDFs with pdftotext, which is not there; apt-get install poppler-utils")
