"""A phrase that the text marks has an assertion, which fails if the phrase is false and which a reader can open."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bs4 import BeautifulSoup, Tag
from docutils import nodes
from playwright.sync_api import Browser, Page

from book._ext.page.sentences import keep_together
from book._ext.sources.marks import marks_of
from conftest import PAGES, ROOT, sample
from optim_code.equations.sections import read_page
from optim_code.sentences import DoesNotHold, holds
from small_book import ONE, Copy

HERE = Path(__file__).parent
MARKED = {page: [mark.name for mark in marks_of(read_page(ROOT, page))] for page in PAGES}
CELL = """
```{{code-cell}} ipython3
:tags: [remove-cell]
from optim_code.sentences import holds
{}
```
"""
MARKS = (
    CELL.format(
        """
import torch

start = 3
holds("one-zigzag", torch.arange(5) < 7, 1 < 2 <= 2.0, over="paths")
holds("one-steps", 0.00001 < 8)
holds("one-falls", [1, start][0] < 3)"""
    )
    + """
## It {holds}`zig-zags a *lot* <one-zigzag>`

A path of {holds}`at most $2^3$ steps <one-steps>`, see {numref}`fig-one`.

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line that falls.
  figure:
    name: fig-one
    caption: |
      A line that {holds}`falls <one-falls>`.
---
import matplotlib.pyplot as plt

plt.plot([start, 1]);
```
"""
)


@pytest.fixture(scope="module")
def marked(pristine: Copy, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A small book with marks in a heading, in a text and in a caption."""
    copy = Copy(Path(shutil.copytree(pristine.root, tmp_path_factory.mktemp("marked") / "book")))
    copy.write("book/one.md", ONE + MARKS)
    done = copy.build()
    assert done.returncode == 0, done.stderr
    return copy


# --- the sentences of the book


WITH_MARKS = [page for page, names in MARKED.items() if names]


@pytest.mark.parametrize("page", WITH_MARKS)
def test_each_marked_phrase_has_a_change_that_makes_it_false(page: str) -> None:
    file = HERE / f"{Path(page).name}.yml"
    names = re.findall(r"^([\w-]+):", file.read_text(encoding="utf-8"), re.M)
    assert sorted(names) == sorted(MARKED[page]), f"{file.name} and {page}.md"


@pytest.mark.parametrize("page", sample(WITH_MARKS, "book/rmsprop"))
def test_an_assertion_fails_if_its_sentence_is_false(page: str) -> None:
    command = [sys.executable, str(HERE / "falsify.py"), Path(page).name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: said for name, said in found.items() if not said.startswith(f"{name}: ")} == {}


def test_every_section_marks_what_it_claims() -> None:
    sections = [page for page in PAGES if (HERE / f"{Path(page).name}.yml").exists()]
    assert sum(len(MARKED[page]) for page in sections) > 150
    quoted = [page for page in sections if '# "' in (ROOT / f"{page}.md").read_text(encoding="utf-8")]
    assert quoted == [], "a comment quotes the text; mark the phrase"


COUNTS = {"three": 3, "six": 6, "ten": 10, "twenty": 20, "thirty": 30}


def test_a_caption_says_how_many_steps_its_cell_takes() -> None:
    said = []
    for page in PAGES:
        for cell in (block for block in read_page(ROOT, page).blocks if block.name == "code-cell"):
            taken = {int(number) for number in re.findall(r"nsteps=(\d+)", cell.body)}
            first = re.search(rf"\b({'|'.join(COUNTS)})\s+steps\b", cell.options.partition("caption:")[2], re.I)
            if taken and first:
                said.append((f"{page}.md:{cell.first + 1}: {first[0]}", COUNTS[first[1].lower()] in taken))
    assert len(said) >= 8
    assert [where for where, is_right in said if not is_right] == []


# --- holds


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ((False,), "one: the claim is false: false, over starts"),
        ((torch.tensor([True, False, False]),), "one: the claim is false: false … true, in 2 of 3 starts it fails"),
        ((("a < b", 3, "<", 2.5),), "one: a < b is false: 3 < 2.5, over starts"),
        ((("1 < a < 3", 1, "<", torch.tensor([2.0, 3.0]), "<", 3),), "1 < 2 … 3 < 3, in 1 of 2 starts it fails"),
        ((("a == a", math.nan, "==", math.nan),), "one: a == a is false: nan == nan, over starts"),
        ((("a != a", 1, "!=", math.nan),), "1 != nan"),
        ((("a < 0", torch.zeros(0), "<", 0),), "one: a < 0 compares no numbers at all"),
        ((("a < 0", -1e-7, "<", -1.5),), "−1 × 10⁻⁷ < −1.5"),
        ((True, False), "one: the claim is false"),
    ],
)
def test_a_false_claim_is_said_with_its_numbers(claims: tuple[object, ...], said: str) -> None:
    with pytest.raises(DoesNotHold) as error:
        holds("one", *claims, over="starts")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ((), 'holds("one") asserts nothing; write holds("one", a < b)'),
        (("yes",), 'holds("one", …) takes numbers and truths, got str; compare numbers'),
        ((None,), 'holds("one", …) takes numbers and truths, got NoneType; compare numbers'),
        ((3.5,), 'holds("one", …): the claim is a number, which is neither true nor false; compare it'),
        (
            (("a < b", None, "<", 1),),
            'holds("one", …) takes numbers and truths, got NoneType in a < b; compare numbers',
        ),
        ((("a < b", [1, 2], "<", [1, 2, 3]),), "a < b compares arrays of shapes (2,) and (3,); give them one shape"),
    ],
)
def test_what_is_no_claim_is_refused_in_one_line(claims: tuple[object, ...], said: str) -> None:
    with pytest.raises(TypeError) as error:
        holds("one", *claims)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_true_claim_passes_in_silence_outside_of_a_kernel() -> None:
    holds(
        "one", True, torch.tensor([True]), ("a < b", 1, "<", 2), ("a == b", torch.ones(3, requires_grad=True), "==", 1)
    )


# --- in a build


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            'holds("one-a", 3 + 1 == 5, over="runs")',
            "“never crosses” does not hold: 3 + 1 == 5 is false: 4 == 5, over runs",
        ),
        ('holds("one-a", "yes")', "TypeError: holds(\"one-a\", …) takes numbers and truths, got str in 'yes'; compare"),
        (
            'if 1 > 2:\n    holds("one-a", 1 < 2)',
            "nothing was asserted about “never crosses”: its cell did not reach holds",
        ),
        (
            'for _ in range(2):\n    holds("one-a", 1 < 2)',
            "asserts one-a twice; compare all of it in one call of holds",
        ),
    ],
)
def test_a_sentence_that_does_not_hold_ends_the_build_on_every_try(copy: Copy, code: str, said: str) -> None:
    copy.write("book/one.md", ONE + "\nIt {holds}`never\ncrosses <one-a>`.\n" + CELL.format(code))
    lines = (copy.root / "book/one.md").read_text(encoding="utf-8").splitlines()
    for _ in range(2):
        fault = copy.fault()
        assert said in fault, fault
    if "does not hold" in said:
        assert f"book/one.md:{lines.index('It {holds}`never') + 1}: “" in fault
        assert f"(book/one.md:{lines.index(code) + 1}: cell 2, line 2); fix the sentence or the run" in fault


def test_a_mark_shows_what_was_compared_over_what_and_with_which_numbers(marked: Copy) -> None:
    page = BeautifulSoup(marked.published()["book/one.html"], "html.parser")
    shown = {
        note["id"]: [claim.get_text() for claim in note.select(".held-claim")] for note in page.select(".held-note")
    }
    assert shown == {
        "holds-one-zigzag": ["torch.arange(5) < 7 0 … 4 < 7, all 5 paths", "1 < 2 <= 2.0 1 < 2 <= 2, over paths"],
        "holds-one-steps": ["1e-05 < 8 1 × 10⁻⁵ < 8"],
        "holds-one-falls": ["[1, start][0] < 3 1 < 3"],
    }
    labels = [button["aria-label"] for button in page.select("article button.held-mark")]
    assert labels == ["checked: zig-zags a lot", "checked: at most 2³ steps", "checked: falls"]
    assert page.select_one("h2 .held em") is not None
    assert page.select_one(".held .math") is not None


def test_a_copy_of_a_heading_in_the_contents_has_no_mark(marked: Copy) -> None:
    page = BeautifulSoup(marked.published()["book/one.html"], "html.parser")
    inside = page.select_one("#pst-page-toc-nav, .bd-sidebar-secondary")
    assert isinstance(inside, Tag)
    assert "It zig-zags a lot" in inside.get_text()
    assert inside.select(".held, .held-mark, .held-note") == []


def test_in_a_notebook_and_in_the_search_a_phrase_is_plain_text(marked: Copy) -> None:
    published = marked.published()
    text = published["_notebooks/one.ipynb"].decode()
    assert "A path of at most $2^3$ steps, see" in text
    assert "A line that falls." in text
    assert "start = 3" in text
    assert "holds" not in text
    assert b"Asserted at this build" not in published["searchindex.js"]


def test_a_reader_opens_a_mark_by_mouse_touch_or_keyboard_and_closes_it(marked: Copy, browser: Browser) -> None:
    address = (marked.root / "_build/html/book/one.html").as_uri()
    context = browser.new_context(viewport={"width": 375, "height": 700}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    mark, note = page.locator("p .held-mark").first, page.locator("#holds-one-steps")
    for use in (mark.click, mark.tap, lambda: mark.press("Enter"), lambda: mark.press(" ")):
        use()
        assert note.is_visible()
        assert is_inside(page, note.bounding_box())
        page.keyboard.press("Escape")
        assert not note.is_visible()
    page.emulate_media(media="print")
    assert not mark.is_visible()
    context.close()


def is_inside(page: Page, box: object) -> bool:
    """Whether a box is inside the window."""
    assert isinstance(box, dict)
    size = page.viewport_size
    assert size is not None
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return box["x"] >= 0 and box["y"] >= 0 and right <= size["width"] and bottom <= size["height"]


def test_the_appendix_counts_the_phrases_of_each_section(copy: Copy) -> None:
    copy.write("book/one.md", ONE + MARKS)
    copy.write("book/updates.md", (copy.root / "book/updates.md").read_text() + "\n```{sentence-coverage}\n```\n")
    for _ in range(2):  # a second build reads the list in any case, because then all verdicts are known
        copy.write("book/one.md", (copy.root / "book/one.md").read_text() + "\nMore.\n")
        assert counted(copy) == ["One", "3", "all", "3"]
    copy.replace("book/one.md", "{holds}`falls <one-falls>`", "falls")
    copy.replace("book/one.md", '\nholds("one-falls", [1, start][0] < 3)', "")
    assert counted(copy) == ["One", "2", "all", "2"]


def counted(copy: Copy) -> list[str]:
    """What the list of a freshly built book says."""
    assert copy.build().returncode == 0
    page = BeautifulSoup(copy.published()["book/updates.html"], "html.parser")
    return [cell.get_text() for cell in page.select("article td")][-4:]


@pytest.mark.parametrize(
    ("phrase", "together"),
    [("gets wider", "wider"), ("change less than 10 %", "10 %"), ("within 0.5 %", "0.5 %"), ("one", "one")],
)
def test_a_mark_stays_with_the_last_word_or_with_the_number_before_a_percent_sign(phrase: str, together: str) -> None:
    body = [phrase]
    keep_together(body, nodes.Text(phrase))
    assert body == [f'{phrase.removesuffix(together)}<span class="held-end">{together}']
