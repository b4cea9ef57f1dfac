"""The PDFs: the book and its hand-outs, as they are printed, and a small book for what goes wrong."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import zlib
from collections import Counter
from hashlib import sha256
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from book._ext.printing.pdf import expected_labels, install_command, place_of_text, read_log, run_latexmk
from book._ext.printing.typeset import column_spec
from conftest import BUILD, ROOT, run_build

printed = pytest.mark.needs("tex", "poppler")


def run(*command: object) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True).stdout


def text_of(path: Path) -> str:
    """The text of a PDF on one line, so that a line break hides nothing."""
    return " ".join(run("pdftotext", "-enc", "UTF-8", path, "-").split())


def numbered_sections(root: Path = ROOT) -> list[str]:
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [Path(chapter["file"]).name for part in toc["parts"] if part.get("numbered") for chapter in part["chapters"]]


def every(folder: Path) -> list[Path]:
    """All PDFs that a build left."""
    return sorted(folder.rglob("*.pdf"))


def tex_of(path: Path) -> Path:
    """The LaTeX that a PDF of the book was made from."""
    edition = "student-latex" if path.parent.name == "student" else "latex"
    return BUILD / ".work" / edition / "latex" / f"{path.stem}.tex"


def heading(section: str, folder: Path) -> tuple[str, str]:
    """The number and the title of a section, by its HTML page."""
    page = (folder / "book" / f"{section}.html").read_text(encoding="utf-8")
    found = re.search(r'<h1><span class="section-number">([\d.]+)\. </span>(.*?)<a ', page)
    assert found, section
    return found[1], unescape(re.sub(r"<[^>]*>", "", found[2]))


LABEL = re.compile(r"\\newlabel\{([^}]*)\}\{\{([^}]*)\}")


def labels(aux: Path) -> dict[str, str]:
    """What TeX says is the number of each label."""
    return dict(LABEL.findall(aux.read_text(encoding="utf-8")))


# The book


@printed
def test_there_is_the_book_and_two_handouts_of_each_numbered_section(pdf: Path) -> None:
    handouts = {f"{name}.pdf" for name in numbered_sections()}
    found = {path.relative_to(pdf).as_posix() for path in every(pdf)}
    assert found == {"descent.pdf", *handouts, *(f"student/{name}" for name in handouts)}


@printed
def test_the_book_has_its_title_and_every_section_with_the_number_of_the_html(pdf: Path, html: Path) -> None:
    text = text_of(pdf / "descent.pdf")
    assert text.startswith("Descent SGD, momentum, RMSProp and Adam")
    assert "Contents" in text
    for section in numbered_sections():
        number, title = heading(section, html)
        assert f"{number} {title}" in text
        assert text_of(pdf / f"{section}.pdf").startswith("Descent: SGD, momentum, RMSProp and Adam")
        assert f"{number} {title}" in text_of(pdf / f"{section}.pdf")


@printed
def test_the_cover_shows_the_run_that_the_settings_name_and_the_contents_take_one_page(
    pdf: Path, html: Path, tmp_path: Path
) -> None:
    name = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]["cover"]
    rows = list(csv.DictReader((html / "_figures" / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
    run("pdftoppm", "-r", 72, "-f", 1, "-l", 1, "-singlefile", pdf / "descent.pdf", tmp_path / "cover")
    _, size, _, pixels = (tmp_path / "cover.ppm").read_bytes().split(b"\n", 3)
    width, height = map(int, size.split())
    for row, after in pairwise(rows[:6]):
        # The middle of a step of the first path: the picture is as wide as the page and shows 2.3 by 2.3 of the plane.
        across, up = ((float(row[w]) + float(after[w])) / 2 for w in ("w1", "w2"))
        x, y = round((across + 1.13) / 2.3 * width), round(height - (up + 1.22) / 2.3 * width)
        near = [pixels[3 * (width * v + u) :][:3] for u in range(x - 1, x + 2) for v in range(y - 1, y + 2)]
        assert any(red > 150 and green < 120 for red, green, _ in near), (row["run"], row["step"])
    contents = run("pdftotext", "-f", 2, "-l", 2, pdf / "descent.pdf", "-")
    assert contents.startswith("Contents")
    assert "Add an optimizer" in contents


@printed
def test_figures_that_the_text_compares_stand_in_one_row(pdf: Path) -> None:
    word = r'yMin="([\d.]+)" xMax="[\d.]+" yMax="([\d.]+)">([^<]*)</word>'
    captions: dict[str, float] = {}
    for (top, bottom, first), (_, _, second) in pairwise(
        re.findall(word, run("pdftotext", "-bbox", pdf / "momentum.pdf", "-"))
    ):
        if first == "Figure" and float(bottom) - float(top) < 10:  # a caption is smaller than the text
            captions.setdefault(second, float(top))
    assert captions["3.2"] == captions["3.3"] == captions["3.4"]
    assert captions["3.6"] == captions["3.7"]


@printed
def test_no_page_is_mostly_white(pdf: Path, tmp_path: Path) -> None:
    for number, document in enumerate(every(pdf)):
        run("pdftoppm", "-r", 20, "-gray", document, tmp_path / str(number))
        pages = sorted(tmp_path.glob(f"{number}-*.pgm"))
        assert len(pages) > 5
        for page in pages[document.name == "descent.pdf" :]:  # the first is the cover
            _, size, _, pixels = page.read_bytes().split(b"\n", 3)
            width, height = map(int, size.split())
            lines = [pixels[width * y : width * (y + 1)] for y in range(int(0.1 * height), int(0.9 * height))]
            last = max((y for y, line in enumerate(lines) if min(line) < 200), default=0)
            assert last > 0.45 * len(lines), (document.name, page.name)


def read_instead(path: Path) -> list[str]:
    """What is read in the place of figures and formulas of a PDF, on one line each."""
    raw = path.read_bytes()
    packed = [raw[found.end() :] for found in re.finditer(rb"/ObjStm.*?stream\r?\n", raw, re.S)]
    plain = b"".join([raw, *(zlib.decompressobj().decompress(part) for part in packed)])
    texts = (bytes.fromhex(text.decode()).decode("utf-16") for text in re.findall(rb"/Alt ?<([0-9A-Fa-f]+)>", plain))
    return [" ".join(text.split()) for text in texts]


@printed
def test_headings_figures_and_formulas_have_tags_with_what_is_read_in_their_place(pdf: Path, html: Path) -> None:
    for section in numbered_sections():
        page = BeautifulSoup((html / "book" / f"{section}.html").read_text(encoding="utf-8"), "html.parser")
        figures = [figure["aria-label"] for figure in page.select("figure .drawing")]
        formulas = [formula.get_text() for formula in page.select("article div.math annotation")]
        assert figures
        assert formulas
        path = pdf / f"{section}.pdf"
        assert {" ".join(text.split()) for text in [*figures, *formulas]} <= {*read_instead(path)}, section
        done = subprocess.run(["pdfinfo", "-struct", path], capture_output=True, text=True, check=True)
        assert not done.stderr, section
        tags = Counter(line.split()[0] for line in done.stdout.splitlines() if line.strip())
        assert tags["H1"] == 1
        assert tags["H2"] >= len(page.select("article h2"))
        assert tags["H3"] >= len(page.select("article h3"))
        assert tags["Figure"] >= len(figures)
        assert tags["Formula"] >= len(formulas)


@printed
def test_nothing_is_left_untypeset(pdf: Path) -> None:
    never = r"<Figure size|<inline|\?\?|Traceback"
    # The book's own page on how to write a section shows some of these.
    markup = rf"{never}|\{{(?:ref|eq|numref|glue|cite)\S*\}}|:::|```|\\begin|\\frac|\$\$"
    for path in every(pdf):
        raw = never if path.stem == "descent" else markup
        assert re.findall(rf".{{0,40}}(?:{raw}).{{0,40}}", text_of(path)) == [], path.name


@printed
def test_words_are_found_in_a_search_ligatures_or_not(pdf: Path) -> None:
    assert not re.search("[ﬀ-ﬄ]", text_of(pdf / "descent.pdf"))


@printed
def test_all_fonts_are_embedded_and_none_is_a_bitmap(pdf: Path) -> None:
    for path in every(pdf):
        fonts = [line for line in run("pdffonts", path).splitlines()[2:] if line.strip()]
        assert fonts
        for font in fonts:
            assert "Type 3" not in font, f"{path.name}: {font}"
            assert re.search(r"\s(yes|no) +(yes|no) +(yes|no) +\d+ +\d+$", font)[1] == "yes", f"{path.name}: {font}"


@printed
def test_no_figure_is_a_raster(pdf: Path) -> None:
    for path in every(pdf):
        assert run("pdfimages", "-list", path).splitlines()[2:] == [], path.name


@printed
def test_the_metadata_say_what_it_is_and_the_paper_is_a4(pdf: Path, html: Path) -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    titles = {"descent": config["title"]}
    for section in numbered_sections():
        titles[section] = f"{heading(section, html)[1]} ({config['title']})"
    for name, title in titles.items():
        info = dict(re.findall(r"^(\w[\w ]*): +(.*)$", run("pdfinfo", pdf / f"{name}.pdf"), re.MULTILINE))
        assert info["Title"] == title
        assert info["Author"] == config["author"]
        assert info["Page size"].endswith("(A4)")


@printed
def test_the_bookmarks_are_the_sections(pdf: Path, html: Path) -> None:
    def bookmarks(name: str) -> list[str]:
        found = run("pdftohtml", "-xml", "-i", "-stdout", pdf / f"{name}.pdf")
        return [unescape(item) for item in re.findall(r"<item [^>]*>(.*?)</item>", found)]

    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert len(bookmarks("descent")) > 1 + sum(len(part["chapters"]) for part in toc["parts"])
    for section in numbered_sections():
        number, title = heading(section, html)
        assert f"{number} {title}" in bookmarks("descent")
        assert bookmarks(section)[0] == f"{number} {title}"


@printed
def test_a_playground_is_a_link_in_print(pdf: Path, html: Path) -> None:
    for section in numbered_sections():
        page = (html / "book" / f"{section}.html").read_text(encoding="utf-8")
        for name in re.findall(r'id="(play-fig-[^"]+)"', page):
            number = re.search(r"you can play with Figure ([\d.]+) here", page)
            assert number is not None
            for path in (pdf / f"{section}.pdf", pdf / "descent.pdf"):
                text = " ".join(run("pdftotext", path, "-").split())
                assert f"Figure {number[1]} is alive in the HTML edition" in text, path.name
                assert f"{section}.html#{name}" in text, path.name
                assert f"../html/book/{section}.html#{name}\n" in run("pdfinfo", "-url", path), path.name


@printed
def test_the_logs_of_tex_are_clean(pdf: Path) -> None:
    for path in every(pdf):
        log = tex_of(path).with_suffix(".log")
        assert read_log(log.read_text(encoding="utf-8", errors="replace"), []) == []


@printed
def test_figures_equations_and_exercises_have_the_numbers_of_the_html(pdf: Path, html: Path) -> None:
    seen = 0
    whole = labels(BUILD / ".work" / "latex" / "latex" / "descent.aux")
    for section in numbered_sections():
        page = (html / "book" / f"{section}.html").read_text(encoding="utf-8")
        own = labels(BUILD / ".work" / "latex" / "latex" / f"{section}.aux")
        text = text_of(pdf / f"{section}.pdf")
        figures = re.findall(
            r'<figure [^>]*id="([^"]*)".*?<span class="caption-number">Figure ([\d.]+) ', page, re.DOTALL
        )
        for name, number in figures:
            assert own[f"book/{section}:{name}"] == whole[f"book/{section}:{name}"] == number, name
        equations = re.findall(r'id="(equation-[^"]*)">\s*<span class="eqno">\(([\d.]+)\)', page)
        printed_equations = {
            key.rsplit(":", 1)[1]: number for key, number in own.items() if key.startswith("equation:")
        }
        assert {name.removeprefix("equation-"): number for name, number in equations} == printed_equations
        assert printed_equations.items() <= {key.rsplit(":", 1)[1]: number for key, number in whole.items()}.items()
        exercises = re.findall(r'<p class="admonition-title"><span class="caption-number">(Exercise [\d.]+) ', page)
        for exercise in exercises:
            assert exercise in text
        seen += len(figures) + len(equations) + len(exercises)
    assert seen > 20


# Hand-outs: the text, the exercise sheet, the answers

A4_WIDTH, TEXT_TOP, TEXT_BOTTOM = 595, 70, 775
"""In points; between the two the text stands, without the running head and the number of the page."""
MM = 72 / 25.4


def squeezed(text: str) -> str:
    """Its letters and digits, so that no line break, hyphen or quotation mark hides that two texts are the same."""
    return re.sub(r"[\W_]+", "", text)


def bodies(section: str, directive: str) -> list[str]:
    """What stands in the exercises or the solutions of a section, as its source has it."""
    source = (ROOT / "book" / f"{section}.md").read_text(encoding="utf-8")
    return [found[2] for found in re.finditer(rf"^(`{{3,}})\{{{directive}\}}[^\n]*\n(.*?)^\1$", source, re.M | re.S)]


def pieces(body: str) -> list[str]:
    """The parts of a body that are plain words in print, those that are long enough to be nobody else's."""
    words = re.sub(r"^(:[\w-]+:.*|`{3,}.*)$", "", body, flags=re.M)
    parts = map(squeezed, re.split(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|[`*\n]", words))
    return [part for part in parts if len(part) >= 24]


def texts(path: Path) -> list[str]:
    """The text of each page, without head and foot, in the order in which it was set."""
    crop = ["-raw", "-r", "72", "-x", 0, "-y", TEXT_TOP, "-W", A4_WIDTH, "-H", TEXT_BOTTOM - TEXT_TOP]
    return run("pdftotext", "-enc", "UTF-8", *crop, path, "-").split("\f")[:-1]


def parts(path: Path) -> tuple[list[str], list[str], list[str]]:
    """The pages of a hand-out: its text, its exercise sheet, its answers."""
    pages = texts(path)
    sheet = next((n for n, text in enumerate(pages) if text.startswith("Exercise sheet: ")), len(pages))
    answers = next((n for n, text in enumerate(pages) if text.startswith("Answers: ")), len(pages))
    return pages[:sheet], pages[sheet:answers], pages[answers:]


@printed
def test_the_answers_are_the_last_pages_of_the_teachers_handout_and_nowhere_else(pdf: Path) -> None:
    for section in numbered_sections():
        text, sheet, answers = parts(pdf / f"{section}.pdf")
        before, after = squeezed("".join(text + sheet)), squeezed("".join(answers))
        student = squeezed("".join(texts(pdf / "student" / f"{section}.pdf")))
        whole = squeezed("".join(texts(pdf / "descent.pdf")))
        solutions = bodies(section, "solution")
        # A line of code that the section itself shows, such as the head of `my_step`, tells nobody a solution.
        shown = (ROOT / "book" / f"{section}.md").read_text(encoding="utf-8")
        for body in solutions:
            shown = shown.replace(body, "")
        shown = squeezed(shown)
        said = [piece for body in solutions for piece in pieces(body) if piece not in shown]
        assert len(said) >= len(solutions) > 0
        for piece in said:
            assert piece in after, f"{section}: {piece}"
            assert piece in whole, f"{section}: {piece}"
            assert piece not in before, f"{section}: {piece}"
            assert piece not in student, f"{section}: {piece}"
        assert "SolutiontoExercise" not in before + student


@printed
def test_the_class_of_a_section_is_in_the_teachers_handout_and_not_in_the_students(pdf: Path) -> None:
    source = (ROOT / "optim_code" / "optimizers.py").read_text(encoding="utf-8")
    heads = [squeezed(head) for head in re.findall(r"^class \w+\(Optim\):$", source, re.M)]
    printed_classes = {"teacher": set(), "student": set()}
    for path in every(pdf):
        text = squeezed("".join(texts(path)))
        edition = "student" if path.parent.name == "student" else "teacher"
        printed_classes[edition] |= {head for head in heads if head in text}
    assert printed_classes == {"teacher": set(heads), "student": set()}


@printed
def test_the_sheet_has_every_exercise_with_its_number_and_is_the_same_for_all(pdf: Path, html: Path) -> None:
    for section in numbered_sections():
        page = (html / "book" / f"{section}.html").read_text(encoding="utf-8")
        numbers = re.findall(r'<p class="admonition-title"><span class="caption-number">(Exercise [\d.]+) ', page)
        assert numbers
        _, sheet, _ = parts(pdf / f"{section}.pdf")
        assert re.findall(r"(Exercise [\d.]+) \(", "".join(sheet)) == numbers
        for body in bodies(section, "exercise"):
            for piece in pieces(body):
                assert piece in squeezed("".join(sheet)), f"{section}: {piece}"
        assert parts(pdf / "student" / f"{section}.pdf")[1:] == (sheet, [])


def rooms(path: Path) -> list[tuple[str, float]]:
    """The exercises of a sheet, and how much is free below each, in millimetres."""
    found: list[tuple[str, float]] = []
    pages = run("pdftotext", "-bbox", path, "-").split("</page>")
    count = [len(part) for part in parts(path)]
    for page in pages[count[0] : count[0] + count[1]]:
        words = [
            (unescape(text), float(top), float(bottom))
            for top, bottom, text in re.findall(r'yMin="([\d.]+)" xMax="[\d.]+" yMax="([\d.]+)">(.*?)</word>', page)
            if TEXT_TOP < float(top) < TEXT_BOTTOM
        ]
        heads = [
            number
            for number, (word, *_) in enumerate(words[:-2])
            if word == "Exercise" and words[number + 2][0].startswith("(")
        ]
        for head, after in zip(heads, [*heads[1:], len(words)], strict=True):
            lowest = max(bottom for _, _, bottom in words[head:after])
            below = words[after][1] if after < len(words) else 28 * MM + 242 * MM
            found.append((" ".join(word for word, *_ in words[head:after]), (below - lowest) / MM))
    return found


@printed
def test_below_each_exercise_there_is_room_to_write_and_most_where_a_class_is_asked_for(pdf: Path) -> None:
    for section in numbered_sections():
        below = rooms(pdf / f"{section}.pdf")
        assert len(below) == len(bodies(section, "exercise"))
        for text, room in below:
            if "def my_step(self, p, state, group):" in text:
                assert 'check("' in text
                assert room > 95, text
            else:
                assert "check(" not in text
                assert room > 40, text


def sizes(path: Path) -> Counter[float]:
    """How many letters, of words, a PDF has in each size, in points."""
    zoom = 3.0  # the sizes come as whole numbers
    found: Counter[float] = Counter()
    size: dict[str, float] = {}
    for font, points, used, text in re.findall(
        r'<fontspec id="(\d+)" size="(\d+)"|<text [^>]*font="(\d+)">(.*?)</text>',
        run("pdftohtml", "-xml", "-i", "-stdout", "-zoom", zoom, path),
    ):
        if font:
            size[font] = int(points) / zoom
        else:
            found[size[used]] += sum(map(len, re.findall(r"[^\W\d_]{3,}", re.sub(r"<[^>]*>", "", text))))
    return +found


@printed
def test_two_pages_on_one_sheet_can_still_be_read(pdf: Path) -> None:
    smaller = 0.5**0.5
    for section in numbered_sections():
        for path in (pdf / f"{section}.pdf", pdf / "student" / f"{section}.pdf"):
            letters = sizes(path)
            assert letters.total() > 2000
            assert min(letters) * smaller > 5, "a word in a figure"
            body = sum(count for size, count in letters.items() if size * smaller > 6)
            assert body / letters.total() > 0.95, path.name


# A small book, to look closely and to break things

PAGES = {
    "intro": "# Small\n\nSee {ref}`sec-one`, {numref}`sec-two-deep`, {eq}`def-three`.\n\n## A heading\n\nText.\n",
    "one": """---
file_format: mystnb
kernelspec: {name: python3}
---
(sec-one)=
# One

$$ a = 1 $$ (def-one)

Own: {eq}`def-one`. Elsewhere: {eq}`def-three`, {numref}`tab-two`, {numref}`sec-two-deep`, {ref}`sec-two`,
{ref}`sec-two-deep`, {ref}`ex-two`, [my words](two.md). The same {cite:t}`writer2001one` as {cite:p}`writer2001one`.

```{exercise} First
:label: ex-one
Do it.
```

```{solution} ex-one
:class: dropdown
Done, as in {ref}`ex-one`.
```

```{code-cell} ipython3
:tags: [hide-input]
print("shown" + "-output")
```

```python
a_long_line = "it does not run off the page, however long it is, for it goes on in the next line, and the next", end
```

Text with η → ½ ≤ κ, “quoted” – so.
""",
    "two": """(sec-two)=
# Two

$$ b = 2 $$ (def-two)

$$ c = 3 $$ (def-three)

```{table} Numbers.
:name: tab-two

| a | b |
| - | - |
| 1 | 2 |
```

(sec-two-deep)=
## Deep $\\nabla$

Back to {eq}`def-one` and {cite:t}`writer2001one`.

```{exercise}
:label: ex-two
Do that.
```
""",
    "three": f"# Three{' and three' * 6}\n\n```{{exercise}}\n:label: ex-three\nDo it.\n```\n",
    "plain": "# Plain\n\nText.\n",
    "references": "# References\n\n```{bibliography}\n```\n\nSuch as {cite:t}`writer2001one`.\n",
}
BIB = "@article{writer2001one, author = {Writer, Wanda}, title = {On One}, journal = {Journal of One}, year = {2001}}\n"


def write_small_book(root: Path, *chapters: str) -> None:
    (root / "book").mkdir(parents=True, exist_ok=True)
    for name, text in PAGES.items():
        (root / "book" / f"{name}.md").write_text(text, encoding="utf-8")
    (root / "book" / "references.bib").write_text(BIB, encoding="utf-8")
    # A module without optimizers, for which the book would have to print an update equation.
    (root / "optim_code").mkdir(exist_ok=True)
    (root / "optim_code" / "optimizers.py").write_text("", encoding="utf-8")
    shutil.copytree(ROOT / "optim_code" / "equations", root / "optim_code" / "equations", dirs_exist_ok=True)
    for name in ("book/_ext", "book/_static"):
        shutil.copytree(ROOT / name, root / name, dirs_exist_ok=True)
    for name in ("_config.yml", "requirements.txt", "apt.txt", "book/kit.md"):
        shutil.copyfile(ROOT / name, root / name)
    config = (root / "_config.yml").read_text(encoding="utf-8")
    (root / "_config.yml").write_text(config.replace("    cover: race\n", ""), encoding="utf-8")
    toc = {
        "format": "jb-book",
        "root": "book/intro",
        "parts": [
            {"caption": "Sections", "numbered": True, "chapters": [{"file": f"book/{name}"} for name in chapters]},
            *([] if "references" in chapters else [{"caption": "End", "chapters": [{"file": "book/references"}]}]),
        ],
    }
    (root / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")


def pdfs(root: Path) -> dict[str, str]:
    """The digest of each PDF: of bytes that differ, pytest would spend an hour on how."""
    folder = root / "_build" / "pdf"
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in every(folder)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("small")
    write_small_book(root, "one", "two")
    done = run_build("pdf", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@printed
def test_a_handout_names_what_is_in_other_sections(small: Path) -> None:
    text = text_of(small / "_build" / "pdf" / "one.pdf")
    assert "Own: (1.1)." in text
    assert (
        "Elsewhere: (2.2) in Two, Table 2.1 in Two, Section 2.1 in Two, Two, Deep ∇ in Two, Exercise 2.1 in Two, "
        "my words (Two)."
    ) in text
    assert "2.1 Deep ∇ Back to (1.1) in One" in text_of(small / "_build" / "pdf" / "two.pdf")


@printed
@pytest.mark.parametrize(("name", "place"), [("one", "book/one.md: "), ("descent", "_config.yml: ")])
def test_what_tex_says_of_a_title_has_its_place(small: Path, name: str, place: str) -> None:
    source = (small / "_build/.work/latex/latex" / f"{name}.tex").read_text(encoding="utf-8").splitlines()
    assert place_of_text(source, "\\title{") == place


@printed
def test_the_book_has_links_to_its_other_sections(small: Path) -> None:
    text = text_of(small / "_build" / "pdf" / "descent.pdf")
    assert "Elsewhere: (2.2), Table 2.1, Section 2.1, Two, Deep ∇, Exercise 2.1, my words." in text
    assert "See One, Section 2.1, (2.2). A heading Text." in text


@printed
def test_cited_works_stand_in_the_references_of_the_book_and_at_the_end_of_a_handout(small: Path) -> None:
    for name in ("descent", "one", "two"):
        text = text_of(small / "_build" / "pdf" / f"{name}.pdf")
        assert "Writer [2001]" in text
        assert text.count("References Wanda Writer. On one. Journal of One, 2001.") == 1, name


@printed
def test_print_opens_solutions_and_leaves_out_hidden_code(small: Path) -> None:
    text = text_of(small / "_build" / "pdf" / "one.pdf")
    assert "Exercise 1.1 (First) Do it." in text
    assert "Solution to Exercise 1.1 (First) Done, as in Exercise 1.1." in text
    assert "shown-output" in text
    assert "print" not in text
    assert "Text with η → ½ ≤ κ, “quoted” – so." in text


@printed
def test_long_code_goes_on_in_the_next_line(small: Path) -> None:
    words = run("pdftotext", "-bbox", small / "_build" / "pdf" / "one.pdf", "-")
    right = max(float(edge) for edge in re.findall(r'xMax="([\d.]+)"', words))
    width = float(re.search(r'<page width="([\d.]+)"', words)[1])
    assert "next&quot;," in words
    assert right < width - 60


@pytest.mark.slow
@printed
def test_the_same_text_gives_the_same_bytes_elsewhere(small: Path, tmp_path: Path) -> None:
    write_small_book(tmp_path, "one", "two")
    assert run_build("pdf", tmp_path).returncode == 0
    assert pdfs(tmp_path) == pdfs(small)


@printed
def test_a_handout_is_there_after_two_runs_of_latex(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "_build" / ".work" / "latex" / "latex", tmp_path, dirs_exist_ok=True)
    left = [path for path in tmp_path.glob("one.*") if path.suffix != ".tex"]
    for path in left:
        path.unlink()
    done = run_latexmk(tmp_path / "one.tex")
    assert done.returncode == 0
    assert re.findall(r"Run number (\d) of rule 'lualatex'", done.stdout) == ["1", "2"]


@printed
def test_the_labels_that_the_first_run_is_told_have_the_numbers_that_it_finds(pdf: Path) -> None:
    told = 0
    for tex in map(tex_of, every(pdf)):
        found = labels(tex.with_suffix(".aux"))
        for label, number in LABEL.findall(expected_labels(tex.read_text(encoding="utf-8"))):
            if label.startswith("equation:"):  # that of any other label is not printed
                assert found[label] == number, label
                told += 1
    assert told > 100


@pytest.mark.slow
@printed
def test_a_section_is_added_and_removed_by_the_table_of_contents_alone(small: Path) -> None:
    before = pdfs(small)
    write_small_book(small, "one", "two", "three", "references")
    assert run_build("pdf", small).returncode == 0
    handouts = {"one.pdf", "two.pdf", "three.pdf", "references.pdf"}
    assert set(pdfs(small)) == {"descent.pdf", *handouts, *(f"student/{name}" for name in handouts)}
    # The head of the sheet has room for a long title alone.
    sheet = run("pdftotext", "-f", 2, small / "_build" / "pdf" / "student" / "three.pdf", "-")
    assert " ".join(sheet.split()).startswith(f"Exercise sheet: Three{' and three' * 6} Exercise sheet: Three")
    write_small_book(small, "one", "two")
    assert run_build("pdf", small).returncode == 0
    assert pdfs(small) == before


@printed
@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "$$ \\plim $$ (def-four)",
            r"book/two\.md:26: TeX stops at '.*\\plim.*': Undefined control",
            marks=pytest.mark.slow,
        ),
        (
            f"$$ {'a + ' * 80} b $$ (def-four)\n\n\U000f1234",
            r"book/two\.md:26: [\d.]+ pt too much for the page \(and 1 more\)",
        ),
    ],
)
def test_a_fault_is_one_line_that_names_the_page_and_the_last_good_pdfs_stay(small: Path, text: str, said: str) -> None:
    before = pdfs(small)
    (small / "book" / "two.md").write_text(f"{PAGES['two']}\n{text}\n", encoding="utf-8")
    done = run_build("pdf", small)
    write_small_book(small, "one", "two")
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert re.match(rf"descent: {said}.*; fix it there; (?:descent|two)\.pdf is not made, ", lines[0])
    assert pdfs(small) == before


# A hand-out by itself


@printed
def test_a_cover_that_the_book_cannot_have_is_one_line(small: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small, tmp_path / "book"))
    config = (root / "_config.yml").read_text(encoding="utf-8")
    (root / "_config.yml").write_text(
        config.replace("    slides:\n", "    cover: raec\n    slides:\n"), encoding="utf-8"
    )
    before = pdfs(root)
    done = run_build("pdf", root)
    line = 1 + config[: config.index("    slides:\n")].count("\n")
    remedy = "draw it with that fname, or leave cover empty"
    said = f"_config.yml:{line}: cover: no figure of runs in a bowl is saved as raec.pdf; {remedy}"
    assert (done.returncode, done.stderr) == (1, f"descent: {said}\n")
    assert pdfs(root) == before


@printed
@pytest.mark.slow
def test_make_handout_replaces_its_two_and_no_other(small: Path) -> None:
    before = pdfs(small)
    for name in ("one", "two"):
        (small / "book" / f"{name}.md").write_text(f"{PAGES[name]}\nA new end.\n", encoding="utf-8")
    done = run_build("handout one", small)
    after = pdfs(small)
    write_small_book(small, "one", "two")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "_build/pdf: one.pdf, student/one.pdf in " in done.stdout
    assert {name for name in before if before[name] != after[name]} == {"one.pdf", "student/one.pdf"}
    assert "A new end." in text_of(small / "_build" / "pdf" / "student" / "one.pdf")
    assert run_build("handout one", small).returncode == 0
    assert pdfs(small) == before


@printed
def test_a_section_without_exercises_has_a_handout_without_a_sheet_and_a_line_says_so(small: Path) -> None:
    write_small_book(small, "one", "two", "plain")
    done = run_build("handout plain", small)
    text = text_of(small / "_build" / "pdf" / "plain.pdf")
    write_small_book(small, "one", "two")
    (small / "_build" / "pdf" / "plain.pdf").unlink()
    (small / "_build" / "pdf" / "student" / "plain.pdf").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  plain has no exercises, so its hand-out has no exercise sheet\n" in done.stdout
    assert "3 Plain Text." in text
    assert "Exercise sheet" not in text
    assert "Answers" not in text


THERE_ARE = "name one that _toc.yml numbers: make handout SECTION=one|two"


@printed
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("handout", f"make handout needs a section; {THERE_ARE}"),
        ("handout adma", f"there is no section adma; {THERE_ARE}"),
        (
            "handout references",
            "_toc.yml:10: book/references has no number, and only a section with one has a hand-out; "
            "put it into a part with numbered: true",
        ),
    ],
)
def test_a_section_without_a_handout_is_refused_at_once_in_one_line_that_says_why(
    tmp_path: Path, target: str, said: str
) -> None:
    write_small_book(tmp_path, "one", "two")
    done = run_build(target, tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"descent: {said}\n"
    assert not (tmp_path / "_build").exists()


# Without TeX


@pytest.mark.parametrize(
    ("target", "there"), [("pdf", []), ("pdf", ["latexmk"]), ("handout one", []), ("slides", ["lualatex"])]
)
def test_without_tex_one_line_says_what_to_install_and_nothing_is_built(
    tmp_path: Path, target: str, there: list[str]
) -> None:
    write_small_book(tmp_path, "one")
    path = tmp_path / "bin"
    path.mkdir()
    for program in there:
        (path / program).write_text("#!/bin/sh\n")
        (path / program).chmod(0o755)
    done = run_build(target, tmp_path, PATH=str(path))
    assert done.returncode == 1
    assert done.stderr == f"descent: make {target.split()[0]} needs lualatex and latexmk; {install_command()}\n"
    assert not (tmp_path / "_build").exists()


def test_the_packages_to_install_are_those_of_apt_txt() -> None:
    listed = (ROOT / "apt.txt").read_text(encoding="utf-8").split()
    named = install_command().removeprefix("apt-get install ").split()
    assert "texlive-luatex" in named
    assert "chromium" not in named
    assert set(named) <= set(listed)


# Long tables


def test_a_long_table_breaks_the_lines_of_its_widest_column_only_if_they_are_too_long() -> None:
    assert column_spec([[5.0, 20.0], [8.0, 30.0]]) == "ll"
    found = column_spec([[10.0, 20.0, 200.0], [8.0, 30.0, 9.0]])
    assert found is not None
    assert re.fullmatch(r"ll>\{\\raggedright\\arraybackslash\}\\X\{\d+\}\{\d+\}", found)
    rest, whole = map(int, re.findall(r"\d+", found))
    assert rest + 10 + 30 == whole


# The log of TeX

SOURCE = [
    "% from book/sgd.md",
    r"\section{Step}",
    "% from book/sgd.md:7",
    r"See \ref{book/sgd:gone}",
    "% from book/adam.md",
    "x = 1",
]


@pytest.mark.parametrize(
    ("log", "problem"),
    [
        ("LaTeX Warning: Reference `book/sgd:gone' on page 3 undefined on input line 3.", r"book/sgd.md:7: nothing"),
        ("LaTeX Warning: Hyper reference `book/sgd:gone' on page 3 undefined on input line 3.", r"^book/sgd.md:7: no"),
        ("LaTeX Warning: Citation `kingma' on page 2 undefined on input line 2.", "nothing has the label kingma"),
        ("warning  (pdf backend): unreferenced destination with name 'cite.x:id1'", "nothing has the label cite.x:id1"),
        ("warning  (pdf backend): ignoring duplicate destination with the name 'a'", "two things have the label a"),
        ("LaTeX Warning: Label `update' multiply defined.", "two things have the label update"),
        ("Missing character: There is no ∯ (U+222F) in font [lmroman10-regular.otf]!", "the fonts have no ∯"),
        (
            "Overfull \\hbox (12.5pt too wide) in paragraph at lines 6--7\n[]\\TU/x/m/n/11 too wide",
            "^book/adam.md: 12.5 pt too much",
        ),
        ("Overfull \\hbox (12.5pt too wide) detected at line 2", "^book/sgd.md: 12.5 pt too much"),
        ("Overfull \\vbox (96.9pt too high) has occurred while \\output is active []\n\n [16<./a.pdf>]", "on page 16"),
        (
            "LaTeX Warning: Float too large for page by 8.9pt on input line 4.",
            "^book/sgd.md:7: 8.9 pt too much for the page: it is too high with its caption$",
        ),
        (
            "Overfull \\hbox (12.5pt too wide) detected at line 6\n! Package tagpdf Error: 2 begin and 1 end\nl.9 x",
            "^book/adam.md: 12.5 pt too much",
        ),
        ("! Package tagpdf Error: 2 begin and 1 end\nl.6 x", "^book/adam.md: TeX stops at 'x'"),
        ("! Undefined control sequence.\nl.6 x = \\foo\n", r"^book/adam.md: TeX stops at 'x = ..foo'"),
        ("! LaTeX Error: File `unicode-math.sty' not found.", "apt-get install latexmk"),
    ],
)
def test_a_fault_in_the_log_is_reported_once(log: str, problem: str) -> None:
    problems = read_log(f"This is LuaTeX\n{log}\n{log}\nOutput written", SOURCE)
    assert len(problems) == 1
    assert re.search(problem, problems[0])


@pytest.mark.parametrize(
    "log",
    [
        "Overfull \\hbox (1.9pt too wide) in paragraph at lines 5--6\n[]\\TU/x/m/n/11 a hair",
        "Underfull \\hbox (badness 10000) in paragraph at lines 5--6",
        "Package hyperref Info: Hyper figures OFF on input line 4.",
        "LaTeX Font Warning: Font shape `TU/x/b/n' undefined",
    ],
)
def test_what_cannot_be_seen_is_no_fault(log: str) -> None:
    assert read_log(log, SOURCE) == []


@printed
@pytest.mark.slow
def test_pages_offer_only_pdfs_that_are_up_to_date(small: Path, tmp_path: Path) -> None:
    root = tmp_path / "book"
    shutil.copytree(small, root)
    pages = root / "_build" / "html"

    def offered() -> list[str]:
        page = (pages / "book" / "one.html").read_text(encoding="utf-8")
        return re.findall(r'href="\.\./(_handouts/[^"]*)"', page)

    assert run_build("html", root).returncode == 0
    assert offered() == ["_handouts/one.pdf", "_handouts/descent.pdf"]
    for address in offered():
        assert sha256((pages / address).read_bytes()).hexdigest() == pdfs(root)[Path(address).name]
    page = root / "book" / "one.md"
    page.write_text(page.read_text(encoding="utf-8") + "\nOne sentence more.\n", encoding="utf-8")
    assert run_build("html", root).returncode == 0
    assert offered() == []
    assert not (pages / "_handouts").exists()
    assert run_build("pdf", root).returncode == 0
    assert offered() == ["_handouts/one.pdf", "_handouts/descent.pdf"]
    assert "One sentence more." in text_of(pages / "_handouts" / "one.pdf")
