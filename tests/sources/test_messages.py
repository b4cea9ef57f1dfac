"""What an editor is told: each mistake is one line, with file and line, what is wrong and what to do.

The mistakes stand in `mistakes.txt` and `warnings.txt`, each with the lines that it must bring; those of the first stop
a build before anything is read, those of the second are Sphinx's warnings. One build has them all, a page for each.
"""

from __future__ import annotations

import base64
import logging
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from book._ext.faults import Fault
from book._ext.sources import settings
from book._ext.sources.checking import check_bibliography, check_page_names
from book._ext.sources.findings import near
from book._ext.sources.warning_remedies import Lines
from conftest import ROOT, run_equations
from small_book import NO_BOOK, NOTEBOOK, ONE, TOC, Copy, complaints, run

HERE = Path(__file__).parent
DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg=="
)


def mistakes(file: str) -> dict[str, tuple[str, list[str]]]:
    """The pages that have a mistake, and what must be said of it, by the name of the mistake."""
    found = {}
    for part in re.split(r"^=== ", (HERE / file).read_text(encoding="utf-8"), flags=re.M)[1:]:
        name, _, rest = part.partition("\n")
        text, _, said = rest.partition("\n>>>")
        if name.startswith("[page] "):
            page = f"{text}\n"
        elif name.startswith("[cell] "):
            page = f"{NOTEBOOK}# Title\n\n{text}\n"
        else:
            page = f"# Title\n\n{text}\n"
        found[name] = (page, [line.removeprefix(">>>").strip() for line in f">>>{said}".strip().split("\n")])
    return found


def lay(copy: Copy, pages: dict[str, bytes]) -> None:
    """Put pages into a copy of the book, and into its contents."""
    contents = [TOC]
    for name, data in pages.items():
        path = copy.root / f"{name}.md"
        path.write_bytes(data)
        contents.append(f"  - file: {name}\n")
    copy.write("_toc.yml", "".join(contents))


def said_of(file: str) -> tuple[dict[str, bytes], dict[str, str], list[str]]:
    """The pages of a file of mistakes, the names of the mistakes by page, and all lines that they must bring."""
    wrong = mistakes(file)
    pages = {f"book/m{n:03}": page.encode() for n, (page, _) in enumerate(wrong.values())}
    names = dict(zip(pages, wrong, strict=True))
    said = {page: of_page for page, (_, of_page) in zip(pages, wrong.values(), strict=True)}
    lines = [f"{page}.md:{line.replace('PAGE', page)}" for page, of_page in said.items() for line in of_page]
    return pages, names, lines


def by_mistake(lines: list[str], names: dict[str, str]) -> dict[str, list[str]]:
    """Lines that were said, under the names of the mistakes."""
    found: dict[str, list[str]] = {}
    for line in lines:
        page = line.partition(".md:")[0]
        found.setdefault(names.get(page, page), []).append(line)
    return found


def test_each_mistake_in_a_page_is_its_own_line_and_no_more_before_a_cell_runs(copy: Copy) -> None:
    pages, names, expected = said_of("mistakes.txt")
    lay(copy, pages)
    copy.write("book/orphan.md", "# Not in the contents\n")
    by_hand = run([str(Path(sys.executable).with_name("jupyter-book")), "build", "."], copy.root)
    assert by_hand.returncode != 0
    assert set(expected) <= {line.strip() for line in by_hand.stderr.splitlines()}
    for said in (copy.build(), run_equations(copy.root)):
        lines = [line.removeprefix("descent: ") for line in complaints(said)]
        assert all(line.startswith("descent: ") for line in complaints(said))
        assert by_mistake(lines, names) == by_mistake(expected, names)
        assert "executed" not in said.stdout


def test_each_warning_of_sphinx_says_what_to_do(copy: Copy) -> None:
    pages, names, expected = said_of("warnings.txt")
    lay(copy, pages)
    *lines, last = complaints(copy.build())
    assert by_mistake(lines, names) == by_mistake(expected, names)
    assert last == f"descent: {len(expected)} warnings, {NO_BOOK}"


def test_every_line_says_what_is_wrong_and_what_to_do() -> None:
    lines = [line for file in ("mistakes.txt", "warnings.txt") for _, said in mistakes(file).values() for line in said]
    assert len(lines) > 150
    for line in lines:
        number, _, text = line.partition(": ")
        wrong, _, remedy = text.rpartition("; ")
        assert number.isdigit(), line
        assert wrong, line
        assert remedy or text.startswith("WARNING: there is no"), line
        assert not re.search(r"Traceback|mend\b|<function", line), line


def test_what_is_legal_passes_without_a_line(copy: Copy) -> None:
    lay(copy, {f"book/{name}": (HERE / f"{name}.md").read_bytes() for name in ("legal", "legal_cells")})
    copy.replace("_toc.yml", "book/legal\n", "book/legal.md\n")
    (copy.root / "book" / "dot.png").write_bytes(DOT)
    done = copy.build()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    page = BeautifulSoup((copy.root / "_build/html/book/legal.html").read_text(encoding="utf-8"), "html.parser")
    assert "It costs $3 today, Two says, and $5 tomorrow" in page.get_text()


def test_files_that_are_not_utf_8_are_named_with_their_lines(copy: Copy) -> None:
    windows, text = "# T\n\nA \x93quote\x94.\n".encode("latin-1"), "# T\n"
    lay(copy, {"book/windows": windows, "book/marked": text.encode("utf-16"), "book/bare": text.encode("utf-16-le")})
    expected = [
        "descent: book/windows.md:3: byte 0x93 is not UTF-8; save the file as UTF-8",
        "descent: book/marked.md:1: byte 0xff is not UTF-8; save the file as UTF-8",
        "descent: book/bare.md:1: the file holds zero bytes: it is not UTF-8; save it as UTF-8",
    ]
    assert complaints(copy.build()) == expected
    assert complaints(run_equations(copy.root)) == expected


def test_a_byte_order_mark_in_a_module_changes_nothing_and_another_byte_is_named(copy: Copy) -> None:
    module = copy.root / "optim_code/optimizers.py"
    module.write_text(module.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert copy.build().returncode == 0
    style = copy.root / "book/_static/descent.css"
    style.write_bytes("/* Größe */\n".encode("latin-1") + style.read_bytes())
    assert copy.fault() == "descent: descent.css:1: byte 0xf6 is not UTF-8; save the file as UTF-8"


def test_a_byte_order_mark_changes_nothing(copy: Copy) -> None:
    cell = "\n```{code-cell} ipython3\nprint(6 * 7)\n```\n"
    (copy.root / "book" / "one.md").write_text(ONE + cell, encoding="utf-8")
    assert copy.build().returncode == 0
    before = copy.published()
    (copy.root / "book" / "one.md").write_text(ONE + cell, encoding="utf-8-sig", newline="\r\n")
    done = copy.build()
    assert done.returncode == 0, done.stderr
    assert "executed" not in done.stdout
    assert copy.published() == before
    (copy.root / "book" / "one.md").write_text(f"{ONE}{cell.replace('6 * 7', '6 / 0')}", encoding="utf-8-sig")
    line = ONE.count("\n") + 3
    assert complaints(copy.build())[-1].startswith(f"descent: book/one.md:{line}: cell 2, line 1: ZeroDivisionError")


@pytest.mark.parametrize("name", ["search", "Search", "index", "genindex", "py-modindex"])
def test_a_page_with_the_name_of_one_of_sphinx_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "_toc.yml").write_text(f"{TOC}  - file: {name}\n", encoding="utf-8")
    (said,) = check_page_names(tmp_path, ["book/one", name])
    assert re.match(rf"_toc\.yml:6: {name} is the name of .*; give the file another, or put it in book/", said)


# --- the other files

CONTENTS = "format: jb-book\nroot: book/intro\nchapters:\n  - file: book/adam\n  - file: book/sgd\n"
PART = "format: jb-book\nroot: book/intro\nparts:\n  - caption: {}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CONTENTS + "\t- file: book/api\n", "_toc.yml:6: not YAML: a tab; write spaces"),
        (CONTENTS + "    file: book/api\n", "_toc.yml:6: file stands at line 5 already; begin a new entry with -"),
        (CONTENTS.replace("  - file: book/adam", "  file: book/adam", 1).replace("  - file: book/sgd\n", ""),
         "_toc.yml:3: chapters has no list below it; write - file: … there, a line for each page"),
        (CONTENTS + "  - book/api\n",
         "_toc.yml:6: no entry that it takes; write - file: book/api, with a space after the colon"),
        (CONTENTS + "  - file:book/api\n",
         "_toc.yml:6: no entry that it takes; write - file: book/api, with a space after the colon"),
        (CONTENTS + "  - files: book/api\n", "_toc.yml:6: there is no files here; did you mean file?"),
        (CONTENTS + "  - file: book/adam\n",
         "_toc.yml:6: book/adam stands at line 4 already; take one of the two out"),
        (CONTENTS + "  - file: book/adam.md\n",
         "_toc.yml:6: book/adam stands at line 4 already; take one of the two out"),
        (CONTENTS + "  - file: book/adan\n",
         "_toc.yml: names book/adan, but there is no book/adan.md (line 6); did you mean adam?"),
        (CONTENTS + "  - file: book\\api\n", "_toc.yml:6: a backslash in book\\api; write /"),
        (CONTENTS + "  - file: book/api\n    title: 5\n", "_toc.yml:7: the title 5 is no text; put it in quotes"),
        (CONTENTS + "  - file: book/api\n    title: Adam: a method\n",
         "_toc.yml:7: not YAML: a colon inside a text; put the text in quotes"),
        (CONTENTS + "  - file: book/api\n    title: Run #2\n",
         "_toc.yml:7: all from #2 on is lost, as a comment; put the text in quotes"),
        (PART.format(2026), "_toc.yml:4: the caption 2026 is no text; put it in quotes"),
        (PART.format("A"), "_toc.yml:4: the part has no chapters; write chapters: and its pages below it"),
        (CONTENTS.replace("chapters", "chapter"),
         "_toc.yml:3: there is no chapter here; did you mean chapters?"),
        (CONTENTS + "5: 1\n",
         "_toc.yml:6: there is no 5 here; it takes format, root, parts, chapters, sections, defaults, meta, options, "
         "title"),
        (CONTENTS + "    true: 1\n",
         "_toc.yml:6: there is no True here; it takes file, url, glob, title, sections, options, parts, chapters, "
         "subtrees, entries"),
        (CONTENTS + "options: 3\n",
         "_toc.yml:6: options takes settings below it, indented, each as name: value; write them so"),
        (CONTENTS + "  - file:\n", "_toc.yml:6: the file is no text; write it behind the colon"),
        (CONTENTS + "  - glob: [a]\n", "_toc.yml:6: the glob ['a'] is no text; put it in quotes"),
        (CONTENTS.replace("format: jb-book\n", ""), "_toc.yml:1: the format is not given; write format: jb-book"),
        (CONTENTS + "   - file: book/api\n",
         "_toc.yml:6: not YAML: a line that is indented otherwise than the one above it; indent both alike"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_contents_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    toc = tmp_path / "_toc.yml"
    toc.write_text(text, encoding="utf-8")
    with pytest.raises(Fault, match=f"^{re.escape(said)}$"):
        settings.check_contents(toc)


def test_a_right_table_of_contents_passes(tmp_path: Path) -> None:
    settings.check_contents(ROOT / "_toc.yml")
    toc = tmp_path / "_toc.yml"
    toc.write_text(f'{CONTENTS}    title: "Run #2: go"  # a comment\n    sections:\n      - file: book/api.md\n')
    settings.check_contents(toc)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("notebooks: cache", "notebooks: auto",
         "_config.yml:{}: execute_notebooks: auto would leave cells or figures out; write cache"),
        ("  timeout:", "  allow_errors: true\n  timeout:",
         "_config.yml:{}: allow_errors: True would let a cell fail; write false"),
        ("  raise_on_error: true", "  raise_on_error: false",
         "_config.yml:{}: raise_on_error: False would let a cell fail; write true"),
        ("  timeout:", "  exclude_patterns: [book/adam.md]\n  timeout:",
         "_config.yml:{}: exclude_patterns: ['book/adam.md'] would leave cells or figures out; take it out"),
        ("    nitpicky:", "    nb_execution_allow_errors: true\n    nitpicky:",
         "_config.yml:{}: nb_execution_allow_errors: how cells run is set below execute: at the top; take this out"),
        ("    nitpicky:", "    jupyter_execute_notebooks: 'off'\n    nitpicky:",
         "_config.yml:{}: jupyter_execute_notebooks: how cells run is set below execute: at the top; take this out"),
        ("title: Descent", "title: 5", "_config.yml: title: 5 is not of type 'string' (line {}); put it in quotes"),
        ("title: Descent", "title: Descent: a book",
         "_config.yml:{}: not YAML: a colon inside a text; put the text in quotes"),
        ("title: Descent", "title: Descent #2",
         "_config.yml:{}: all from #2 on is lost, as a comment; put the text in quotes"),
        ("  timeout:", "\ttimeout:", "_config.yml:{}: not YAML: a tab; write spaces"),
        ("  timeout:", "  timout:",
         "_config.yml: Jupyter Book knows no setting execute: timout (line {}); did you mean timeout?"),
        ("    html_css_files: [descent.css]", "    html_css_files: own.css",
         "_config.yml:{}: html_css_files: own.css is not what it takes; write a list of names, such as [one, two]"),
        ('figure: "Figure %s"', 'figure: "Figure %d"', "_config.yml:{}: numfig_format: figure: Figure %d has no place "
         "for a number; write %s where it goes, such as Figure %s"),
        ('figure: "Figure %s"', 'figure: "Figure"', "_config.yml:{}: numfig_format: figure: Figure has no place "
         "for a number; write %s where it goes, such as Figure %s"),
        ("title: Descent", "5: 1\ntitle: Descent",
         "_config.yml: Jupyter Book knows no setting 5 (line {}); fix its name or take it out"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_named_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert old in text
    number = text[: text.index(old)].count("\n") + 1
    path = tmp_path / "_config.yml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Fault, match=f"^{re.escape(said.format(number))}$"):
        settings.check_config(settings.read_yaml(path), path)


BRACE = "the entry cannot be read ('}' expected); write the comma, brace or quote that is missing"
END = BRACE.replace("'}' expected", "premature end of file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("@book{a,\n title = {A}\n year = 3\n}\n\n@book{b,\n title = {B}\n}\n", f"1: {BRACE}"),
        ("@book{a,\n title = {A}\n}\n\n@book{a,\n title = {B}\n}\n",
         "5: a stands at line 1 already; take one of the two out"),
        ("@book{a,\n title = {A}\n}\n\n@book{b,\n title = {B}\n", f"5: {END}"),
        ("@book{a,\n title = {A,\n year = 3\n}\n\n@book{b,\n title = {B}\n}\n", f"1: {BRACE}"),
        ("@book{\n title = {A}\n}\n", "1: an entry without a key; write one after the brace, and a comma"),
        ("book{a,\n title = {A}\n}\n", "1: an entry without @; write @book"),
    ],
    ids=["comma", "twice", "end", "brace", "key", "at"],
)  # fmt: skip
def test_a_mistake_in_the_references_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "references.bib").write_text(text, encoding="utf-8")
    assert list(check_bibliography(tmp_path)) == [f"book/references.bib:{said}"]


def test_right_references_pass() -> None:
    assert list(check_bibliography(ROOT)) == []


def test_mistakes_in_all_files_at_once_are_all_said(copy: Copy) -> None:
    lay(copy, {"search": b"# Line search\n", "book/three": b"Text.\n"})
    with (copy.root / "book" / "references.bib").open("a", encoding="utf-8") as file:
        file.write("\n@book{a,\n title = {A}\n year = 3\n}\n")
    said = [line.removeprefix("descent: ") for line in complaints(copy.build())]
    assert [line.split(":")[0] for line in said] == ["_toc.yml", "book/references.bib", "book/three.md"]


# --- the module

OPTIMIZERS = "optim_code/optimizers.py"
NAMES = ("SGDOptimizer", "SGDMomentumOptimizer", "RMSPropOptimizer", "AdamOptimizer")


def said_of_equations(copy: Copy) -> list[str]:
    done = run_equations(copy.root)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    rows = [row.partition("FAILS: ") for row in done.stdout.splitlines() if "FAILS: " in row]
    lines = [f"{row.split()[2]}: {row.split()[1]}: {fault}" for row, _, fault in rows]
    return lines + [line.removeprefix("descent: ") for line in done.stderr.splitlines()]


def test_a_mistake_in_an_optimizer_says_where_it_is(copy: Copy) -> None:
    source = (copy.root / OPTIMIZERS).read_text(encoding="utf-8")
    sgd, momentum, rmsprop, adam, later = (source.index(f"class {name}") for name in (*NAMES, "SGDNesterov"))
    copy.write(
        OPTIMIZERS,
        source[:sgd]
        + source[sgd:momentum]
        + source[momentum:rmsprop].replace("class SGDMomentumOptimizer", "class SGDMomentumOptimiser")
        + source[rmsprop:adam].replace('group["alpha"]', 'group["decay"]')
        + source[adam:later].replace("def my_step", "def step_of")
        + source[later:],
    )
    at = r"book/updates\.md:\d+: update"
    place = r"fix the class, optim_code/optimizers\.py"
    lines = {number: text for number, text in enumerate(source.splitlines(), 1) if text.startswith("class ")}
    (of_rmsprop,), (of_adam,) = ([n for n, text in lines.items() if name in text] for name in NAMES[2:])
    expected = [
        rf"{at}-momentum: update-momentum has no class of that name in {OPTIMIZERS}; write it, or fix the label",
        rf"{at}-rmsprop: RMSPropOptimizer raises KeyError at step 1: 'decay'; {place}:{of_rmsprop}",
        rf"{at}-adam: AdamOptimizer raises NotImplementedError at step 1: .*; {place}:{of_adam}",
    ]
    said = said_of_equations(copy)
    assert len(said) == len(expected), said
    for line, pattern in zip(said, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_a_module_that_cannot_be_imported_says_where(copy: Copy) -> None:
    copy.replace(OPTIMIZERS, "import torch\n", "import torch\nimport torhc\n")
    number = (copy.root / OPTIMIZERS).read_text(encoding="utf-8").splitlines().index("import torhc") + 1
    (said,) = said_of_equations(copy)
    reason = "ModuleNotFoundError: No module named 'torhc', so the equations cannot be checked"
    assert said == f"{OPTIMIZERS}:{number}: {reason}; fix that line, or what it imports"


FIX = "fix that line, or one above it"
CANNOT = "so the equations cannot be checked; fix that line, or what it imports"
LION = """

class LionOptimizer(Optim):
    def __init__(self, params, lr=0.1):
        super().__init__(params, dict(lr=lr))
        FIRST

    def my_step(self, p, state, group):
        STEP
"""


@pytest.mark.parametrize(
    ("first", "step", "said"),
    [
        ("pass", "while True: pass", "PAGE: its check takes longer than 15 s; fix LionOptimizer, CLASS"),
        ("pass", "import os; os._exit(0)", "PAGE: its check ended without a word; fix LionOptimizer, CLASS"),
        ("pass", "sys.exit()", "PAGE: LionOptimizer raises SystemExit at step 1; fix the class, CLASS"),
        ("sys.exit()", "pass", f"FIRST: SystemExit, {CANNOT}"),
        ("print('here')", "p.sub_(group['lr'] * p.grad)", ""),
    ],
    ids=["endless", "killed", "exit", "exit at first", "print"],
)  # fmt: skip
def test_a_class_whose_check_does_not_end_is_named_with_its_line(copy: Copy, first: str, step: str, said: str) -> None:
    copy.replace("_config.yml", "timeout: 120", "timeout: 15")
    module = (copy.root / OPTIMIZERS).read_text(encoding="utf-8") + "\nimport sys\n"
    line = module.count("\n") + 3
    copy.write(OPTIMIZERS, module + LION.replace("FIRST", first).replace("STEP", step))
    updates = (copy.root / "book" / "updates.md").read_text(encoding="utf-8")
    copy.write("book/updates.md", updates + "\n$$\nw_{t+1} = w_t - \\eta\\, g_t\n$$ (update-lion)\n")
    page = f"book/updates.md:{updates.count(chr(10)) + 2}: update-lion"
    places = {"PAGE": page, "CLASS": f"{OPTIMIZERS}:{line}", "FIRST": f"{OPTIMIZERS}:{line + 3}"}
    for name, place in places.items():
        said = said.replace(name, place)
    done = run_equations(copy.root)
    lines = [row.partition("FAILS: ")[2] for row in done.stdout.splitlines() if "FAILS" in row]
    lines = [f"{page}: {fault}" for fault in lines] + done.stderr.replace("descent: ", "").splitlines()
    assert lines == [said] * bool(said), done.stdout


def test_scripts_that_no_browser_can_read_are_named_with_their_lines(copy: Copy) -> None:
    copy.replace("_config.yml", "html_static_path: [book/_static]", "html_static_path: [book/_static, book/more]")
    copy.write("book/_static/wide.js", "let a = 1;\nfunction ( {\n")
    (copy.root / "book" / "more" / "deep").mkdir(parents=True)
    copy.write("book/more/deep/own.js", "const a = ;\n")
    copy.write("book/more/fine.js", "export const a = await 1;\n")
    copy.write("book/more/module.js", "export const a = {\n")
    copy.write("book/more/z.js", "return 1;\n")
    assert [line.removeprefix("descent: ") for line in copy.faults()] == [
        f"book/_static/wide.js:2: SyntaxError: Function statements require a function name; {FIX}",
        f"book/more/deep/own.js:1: SyntaxError: Unexpected token ';'; {FIX}",
        f"book/more/module.js:2: SyntaxError: Unexpected end of input; {FIX}",
        f"book/more/z.js:1: SyntaxError: Illegal return statement; {FIX}",
    ]


def test_templates_and_files_of_the_look_that_cannot_be_used_are_named_with_their_lines(copy: Copy) -> None:
    copy.replace("_config.yml", "html_css_files: [descent.css]", "html_css_files: [descent.css, own.css, bowl.css]")
    copy.replace(
        "_config.yml", "    templates_path:", "    html_js_files: [[own.js, {defer: defer}]]\n    templates_path:"
    )
    copy.write("book/_templates/own.html", "<p>\n{% if title %}\n{{ title }\n")
    line = (copy.root / "_config.yml").read_text(encoding="utf-8").split("html_css_files")[0].count("\n") + 1
    how = "in book/_static; write it or fix the name"
    assert [text.removeprefix("descent: ") for text in copy.faults()] == [
        "book/_templates/own.html:3: unexpected '}'; fix that line, or one above it",
        f"_config.yml:{line}: html_css_files: there is no own.css {how}",
        f"_config.yml:{line + 1}: html_js_files: there is no own.js {how}",
    ]


def test_a_name_that_is_like_another_is_proposed_and_no_other() -> None:
    assert near("code-cel", ["code-cell", "note"]) == "did you mean code-cell?"
    assert near("quaternion", ["code-cell", "note"]) == ""


def test_a_warning_about_a_setting_is_placed_in_the_settings_and_in_no_page(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("Any version of it.\n", encoding="utf-8")
    env = SimpleNamespace(found_docs={"page"}, doc2path=lambda name: str(tmp_path / f"{name}.md"))
    lines = Lines(SimpleNamespace(srcdir=str(tmp_path), env=env))  # type: ignore[arg-type]

    def place(message: str) -> object:
        record = logging.makeLogRecord({"msg": message, "location": None})
        assert lines.filter(record)
        return record.location

    about = 'conf value "version" should not be empty for EPUB3'
    assert place(about) is None
    (tmp_path / "_config.yml").write_text("sphinx:\n  config:\n    version: ''\n", encoding="utf-8")
    assert place(about) == f"{tmp_path}/_config.yml:3"
    assert place("what is 'version'?") == f"{tmp_path}/page.md:1"
