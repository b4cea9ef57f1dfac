"""Solutions in all that MyST can put them into: not in what students get, or seen there by the search."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils
from wrappings import CUT, MISSED, Wrapping, wrapping

from book._ext.downloads.leaks import Secrets, leaks, repeated, solutions_in, texts_of
from book._ext.sources.editions import edition_text
from optim_code.equations.sections import SectionError, read_page

MANY = 300
EXAM = "---\nedition: teacher\n---\n# Exam notes\n\nAll of them are asked for the colour of the lighthouse.\n"
OTHERS = "  - file: book/exam\n  - file: book/shows\n"
EXTENSIONS = ["myst_nb", "sphinx_exercise", "sphinx_design", "two_parts"]


def write(root: Path, pages: list[Wrapping]) -> None:
    (root / "book").mkdir()
    for page in pages:
        for name, text in page.files.items():
            (root / "book" / name).write_bytes(text.encode())
    (root / "book" / "index.md").write_text("# All of them\n", encoding="utf-8")
    (root / "book" / "exam.md").write_text(EXAM, encoding="utf-8")
    (root / "book" / "shows.md").write_text("# Shows\n\n```{literalinclude} exam.md\n```\n", encoding="utf-8")
    chapters = "".join(f"  - file: book/page{page.number}\n" for page in pages)
    (root / "_toc.yml").write_text(
        f"format: jb-book\nroot: book/index\nchapters:\n{chapters}{OTHERS}", encoding="utf-8"
    )


def read(root: Path, edition: str, builder: str) -> Sphinx:
    """What Sphinx makes of all pages, with the extensions that they need and no others."""
    settings = {
        "extensions": EXTENSIONS,
        "root_doc": "book/index",
        "edition": edition,
        "myst_enable_extensions": ["colon_fence", "deflist", "dollarmath", "substitution"],
        "html_theme": "basic",
        "html_copy_source": True,
        "nb_execution_mode": "off",
        "numfig": True,
    }
    out = root.parent / edition
    with patch_docutils(None), docutils_namespace():
        app = Sphinx(
            str(root), None, str(out), str(out / ".doctrees"), builder, settings, status=None, warning=io.StringIO()
        )
        app.build()
    return app


def test_a_solution_is_taken_out_of_every_container_and_the_text_beside_it_stays(tmp_path: Path) -> None:
    pages = [wrapping(number, CUT) for number in range(MANY)]
    write(tmp_path, pages)
    for page in pages:
        source = read_page(tmp_path, f"book/page{page.number}")
        text = edition_text(source.text, "student", source.where)
        assert page.nonce not in text, page.names
        assert len(text.split("\n")) == len(source.lines)
        for word in ("before it", "after it", "its end", "For you.", "The note.", "The end of the page."):
            # A comment goes as a whole.
            if not {"html_comment", "percent_comment"} & {*page.names}:
                assert text.count(word) == source.text.count(word), (page.names, word)
        if "for_students" not in page.names:
            theirs = edition_text(source.text, "teacher", source.where)
            assert theirs.count(page.nonce) == source.text.count(page.nonce)


def can_be_cut(root: Path, page: Wrapping) -> bool:
    source = read_page(root, f"book/page{page.number}")
    try:
        edition_text(source.text, "student", source.where)
    except SectionError:
        return False
    return True


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Wrapping], Path, Sphinx, Sphinx]:
    """Pages of which the student's edition does not look into every container, in both editions."""
    root = tmp_path_factory.mktemp("wrapped") / "root"
    root.mkdir()
    pages = [wrapping(number, [*CUT, *MISSED]) for number in range(MANY)]
    pages += [wrapping(MANY + number, [container], 1) for number, container in enumerate([*CUT, *MISSED])]
    write(root, pages)
    # Of some there is no kit anyway: their fences have no end.
    pages = [page for page in pages if can_be_cut(root, page)]
    shutil.rmtree(root / "book")
    write(root, pages)
    return pages, root, read(root, "teacher", "dummy"), read(root, "student", "html")


def test_the_search_finds_every_solution_that_is_not_taken_out(
    wrapped: tuple[list[Wrapping], Path, Sphinx, Sphinx],
) -> None:
    pages, root, teacher, student = wrapped
    folder = Path(student.outdir)
    told = {line.partition(" tells ")[0] for line in leaks(folder, Secrets.of(root, teacher))}
    told |= {line.partition(" tells ")[0].removeprefix("html/") for line in repeated(teacher, student)}
    missed = 0
    assert len(pages) > 0.95 * MANY
    for page in pages:
        files = [
            folder / "book" / f"page{page.number}.html",
            folder / "_sources" / "book" / f"page{page.number}.md.txt",
        ]
        holding = [path for path in files if path.exists() and page.nonce in path.read_text(encoding="utf-8")]
        missed += bool(holding)
        names = {path.relative_to(folder).as_posix() for path in files}
        assert not holding or names & told, page.names
    assert missed > MANY / 10


def shape(tree: nodes.document) -> list[str]:
    """The kinds of all nodes of a page but for its solutions and comments."""
    for node in [*solutions_in(tree), *tree.findall(nodes.comment)]:
        node.parent.remove(node)
    return [node.tagname for node in tree.findall(nodes.Element) if not isinstance(node, nodes.raw)]


def test_the_blocks_around_a_solution_do_not_change(wrapped: tuple[list[Wrapping], Path, Sphinx, Sphinx]) -> None:
    pages, _, teacher, student = wrapped
    whole = {container.__name__ for container in CUT} - {"for_students", "html_comment", "percent_comment"}
    compared = 0
    for page in pages:
        names, text = {*page.names[:-2]}, "".join(page.files.values())
        # Where nothing stands beside it, what is around it may go.
        if names <= whole and "before it" in text:
            theirs, mine = (app.env.get_doctree(f"book/page{page.number}") for app in (teacher, student))
            assert shape(mine) == shape(theirs), page.names
            compared += 1
    assert compared > MANY / 20


def test_the_search_finds_a_page_for_teachers_in_a_page_for_students(
    wrapped: tuple[list[Wrapping], Path, Sphinx, Sphinx],
) -> None:
    _, root, teacher, student = wrapped
    secrets = Secrets.of(root, teacher)
    assert secrets.where["exam.md: the page"] == "book/exam.md:1"
    ((_, shown),) = texts_of("shows.html", (Path(student.outdir) / "book" / "shows.html").read_bytes())
    told = secrets.secrets_in(shown)
    assert told == ["exam.md: the page"]


BEFORE = "# One\n\n```{exercise} It\n:label: ex-it\nTry.\n```\n\n"
AFTER = "\n\nWhat comes after it may be read by all who want to.\n"
GATES = "```{solution-start} ex-it\n```\n@\n\n```{solution-end}\n```"


@pytest.mark.parametrize(
    "marked",
    [
        "```{solution} ex-it\n@\n```",
        ":::::{solution}  ex-it\n:class: dropdown\n@\n:::::",
        "~~~ {Solution} ex-it\n@\n~~~",
        GATES,
        "````{note}\n```{solution} ex-it\n@\n```\n````",
        "<!--\n```{solution} ex-it\n@\n```\n-->",
        "% ```{solution} ex-it\n% @\n% ```",
        "| a | ```{solution} ex-it @``` |",
        "- > ```{solution} ex-it\n  > @\n  > ```",
        "```{eval-rst}\n.. solution:: ex-it\n\n   @\n\nNot in it.\n```",
        '<div class="x">```{solution} ex-it\n@\n```\n</div>',
    ],
)
@pytest.mark.parametrize("answer", ["42", "It is *slower* then, as all of us have seen long ago."])
def test_solutions_are_found_from_the_sources_alone(marked: str, answer: str, tmp_path: Path) -> None:
    solution = marked.replace("@", answer)
    (tmp_path / "_toc.yml").write_text("root: one\n", encoding="utf-8")
    (tmp_path / "one.md").write_text(f"{BEFORE}{solution}{AFTER}", encoding="utf-8")
    secrets = Secrets.of(tmp_path)
    assert secrets.where == {"one.md: ex-it": f"one.md:{line_of('solution', BEFORE + solution)}"}
    assert secrets.secrets_in(BEFORE + AFTER) == []
    assert secrets.secrets_in(f"{BEFORE}<p>{solution}</p>{AFTER}") == ["one.md: ex-it"]
    # Its words without its mark, if they are more than a number that can stand anywhere.
    assert secrets.secrets_in(f"A page: {answer}") == (["one.md: ex-it"] if len(answer) > 2 else [])


def line_of(word: str, text: str) -> int:
    return next(number for number, line in enumerate(text.lower().split("\n"), 1) if word in line)


def test_text_that_students_read_elsewhere_is_no_secret(tmp_path: Path) -> None:
    said = "It is slower then, as all of us have seen long ago."
    (tmp_path / "_toc.yml").write_text("root: one\nchapters:\n- file: two\n", encoding="utf-8")
    (tmp_path / "one.md").write_text(f"{BEFORE}```{{solution}} ex-it\n{said}\n```\n", encoding="utf-8")
    (tmp_path / "two.md").write_text(f"# Two\n\n{said}\n", encoding="utf-8")
    assert Secrets.of(tmp_path).secrets_in(said) == []
