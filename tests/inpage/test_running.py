"""Code runs in the page: by buttons, by the keyboard and by programs, from disk and from a server, under its policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from reading import EXERCISE, RIGHT, Reader, reader

pytestmark = pytest.mark.needs("chromium")
LAZY = "_static/inpage/"


@pytest.fixture(scope="module")
def disk(browser: Browser, html: Path) -> Iterator[Reader]:
    """A reader at *Momentum*, from disk. All tests of the module share the page, and so one start of Python."""
    with reader(browser, f"{html.as_uri()}/book/momentum.html") as found:
        yield found


def test_nothing_of_it_is_loaded_before_the_first_use(disk: Reader) -> None:
    for top in range(0, disk.page.evaluate("document.documentElement.scrollHeight"), 700):
        disk.page.evaluate("top => scrollTo(0, top)", top)
    assert not [address for address in disk.asked if LAZY in address]
    assert disk.block(EXERCISE).locator("textarea").is_visible()


def test_a_program_gets_what_was_printed_raised_drawn_and_judged(disk: Reader) -> None:
    disk.page.evaluate("window.descent.ready()")
    assert disk.run("print(6 * 7)\n'a value'") == {
        "printed": "42\n'a value'\n", "error": None, "figures": [], "verdict": None,
    }  # fmt: skip
    drawn = disk.run("output(SGDMomentumOptimizer([w], lr=0.1, momentum=0.5), nsteps=2, fname='mine.pdf')")
    assert drawn["error"] is None
    (figure,) = drawn["figures"]
    assert figure["fname"] == "mine.pdf"
    assert figure["alt"].startswith("Path of SGDMomentumOptimizer")
    assert figure["paths"][0]["points"] == [[1, 1], pytest.approx([0.9, 0.5]), pytest.approx([0.76, 0.0])]
    assert disk.run("1 / 0")["error"].endswith("ZeroDivisionError: division by zero")


def test_a_cell_runs_where_it_stands_and_the_cells_above_it_first(disk: Reader) -> None:
    cells = disk.page.locator(".cell > .run")
    last = cells.count() - 1
    disk.press(str(last), "Run")
    assert disk.said(str(last)) == "Ran."
    assert disk.run("BuggyMomentum.__mro__[1].__name__")["printed"] == "'Optim'\n"
    # What a cell above has defined is known; its own place stays empty until it is run itself.
    assert disk.run("type(optimizer).__name__")["printed"] == "'SGDMomentumOptimizer'\n"
    assert disk.block("1").locator(".run-said").inner_text() == ""


def test_a_cell_is_edited_run_and_put_back(disk: Reader) -> None:
    shown = disk.page.locator(".cell > .cell_input .highlight").nth(1)
    disk.press("1", "Edit")
    disk.page.keyboard.press("Control+End")
    disk.page.keyboard.insert_text("\nprint('edited')")
    assert shown.is_hidden()
    disk.page.keyboard.press("Control+Enter")
    assert disk.said("1") == "Ran."
    assert disk.block("1").locator(".run-printed").inner_text().strip() == "edited"
    picture = disk.block("1").locator("svg.play-bowl")
    assert "is 0.19 from the minimum" in (picture.get_attribute("aria-label") or "")
    assert picture.locator(".play-dots").get_attribute("d").count("M") == 11  # type: ignore[union-attr]
    disk.press("1", "Reset")
    assert shown.is_visible()
    assert disk.block("1").locator(".run-out").inner_text() == ""


def test_an_exercise_is_written_run_and_marked(disk: Reader) -> None:
    disk.write(EXERCISE, RIGHT)
    disk.page.keyboard.press("Control+Enter")
    assert disk.said(EXERCISE).startswith("✓ MyMomentum as momentum: passed")
    block = disk.block(EXERCISE)
    assert block.locator(".run-said").get_attribute("role") == "status"
    assert block.locator(".run-verdict").evaluate("verdict => getComputedStyle(verdict).borderLeftStyle") == "solid"
    # The class agrees with the equation, and so do the two paths, which two programs computed.
    lines = [path.get_attribute("d") for path in block.locator("svg.play-bowl .play-line").all()]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    label = block.locator("svg.play-bowl").get_attribute("aria-label") or ""
    assert "MyMomentum" in label
    assert "the book's Momentum, which ends at" in label


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("+ p.grad.data", "+ 0.25 * p.grad.data", "✗ MyMomentum as momentum: not yet: "),
        ("class MyMomentum", "class Another", "This exercise marks a class of the name MyMomentum."),
        ("p.data -=", "p.data -= nothing *", "NameError: name 'nothing' is not defined"),
        ("def my_step", "def my_step(", "SyntaxError: "),
    ],
)
def test_what_is_wrong_with_a_class_is_said(disk: Reader, old: str, new: str, expected: str) -> None:
    disk.run(RIGHT)  # what an earlier run has defined is not what is marked
    disk.write(EXERCISE, RIGHT.replace(old, new))
    disk.press(EXERCISE, "Run")
    assert expected in disk.said(EXERCISE)


def test_a_check_of_another_method_is_no_verdict_on_the_exercise(disk: Reader) -> None:
    plain = RIGHT.replace("* state", "* 0 * state")
    disk.write(EXERCISE, f"from optim_code import check\n{plain}\ncheck('momentum', MyMomentum)")
    disk.press(EXERCISE, "Run")
    assert disk.said(EXERCISE).startswith("✗ MyMomentum as momentum: not yet")
    disk.write(EXERCISE, f"{RIGHT}\nfrom optim_code import check, SGDOptimizer\ncheck('sgd', SGDOptimizer)")
    disk.press(EXERCISE, "Run")
    assert disk.said(EXERCISE).startswith("✓ MyMomentum as momentum: passed")


def test_a_draft_is_kept_and_reset_forgets_it(disk: Reader, browser: Browser, html: Path) -> None:
    disk.write(EXERCISE, "# a draft")
    again = disk.page.context.new_page()
    again.goto(disk.page.url)
    plain = again.locator(f"#{EXERCISE} textarea")
    assert plain.input_value() == "# a draft"
    again.locator(f"#{EXERCISE} button", has_text="Reset").click()
    expect(plain).to_have_value(re.compile("^import torch"))
    again.close()
    with reader(browser, f"{html.as_uri()}/book/momentum.html") as other:  # another browser has no draft
        assert other.block(EXERCISE).locator("textarea").input_value().startswith("import torch")


def test_the_keyboard_gets_into_the_editor_and_out_of_it(disk: Reader) -> None:
    disk.write(EXERCISE, "x = 1")
    disk.page.keyboard.press("Home")
    disk.page.keyboard.press("Tab")
    assert disk.editor(EXERCISE).inner_text() == "    x = 1"
    disk.page.keyboard.press("Escape")
    disk.page.keyboard.press("Tab")
    focus = "document.activeElement"
    assert disk.page.evaluate(f"{focus}.ariaLabel ?? {focus}.textContent") == "Run: Your MyMomentum"
    disk.page.keyboard.press("Shift+Tab")
    assert disk.page.evaluate(f"{focus}.className").startswith("cm-content")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_with_editor_and_results_open(disk: Reader, theme: str) -> None:
    disk.write(EXERCISE, RIGHT.replace("+ p.grad.data", "- p.grad.data"))
    disk.press(EXERCISE, "Run")
    disk.said(EXERCISE)
    disk.page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    found = Axe().run(disk.page, context=[f"#{EXERCISE}"]).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.parametrize("width", [360, 1280])
def test_no_part_of_it_is_wider_than_the_window(disk: Reader, width: int) -> None:
    disk.page.set_viewport_size({"width": width, "height": 900})
    wide = disk.page.evaluate("""() => [...document.querySelectorAll(".run, .run :not(.cm-editor *, pre *, svg *)")]
        .filter((element) => element.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className)""")
    disk.page.set_viewport_size({"width": 1280, "height": 900})
    assert wide == []


def test_it_asks_no_other_host_and_its_policy_allows_all_that_it_does(disk: Reader, html: Path) -> None:
    assert all(address.startswith((html.as_uri(), "data:", "blob:")) for address in disk.asked)
    assert disk.page.evaluate("violations") == []
    assert disk.faults == []


def test_on_paper_there_are_no_buttons(disk: Reader) -> None:
    disk.page.emulate_media(media="print")
    assert disk.page.locator(".run-bar:visible").count() == 0
    disk.page.emulate_media(media="screen")


def test_a_finger_and_a_server_do_as_well(browser: Browser, site: str) -> None:
    with reader(browser, f"{site}/book/momentum.html", has_touch=True) as phone:
        phone.page.set_viewport_size({"width": 375, "height": 700})
        phone.page.context.set_offline(False)
        phone.block("1").locator("button", has_text="Run").tap()
        assert phone.said("1") == "Ran."
        assert phone.block("1").locator("svg.play-bowl").is_visible()
        phone.block(EXERCISE).locator("textarea").tap()
        phone.editor(EXERCISE).wait_for()
        assert all(address.startswith((site, "data:", "blob:")) for address in phone.asked)
        assert phone.faults == []


def test_without_javascript_the_page_reads_as_before(browser: Browser, html: Path) -> None:
    window = browser.new_context(java_script_enabled=False)
    page = window.new_page()
    page.goto(f"{html.as_uri()}/book/momentum.html")
    assert page.locator(".run, .run-bar, textarea").count() == 0
    assert page.locator(f"#{EXERCISE}").is_visible()
    window.close()


def test_cells_that_need_all_of_pytorch_say_where_they_run(browser: Browser, html: Path) -> None:
    with reader(browser, f"{html.as_uri()}/book/training.html") as found:
        assert found.page.locator(".run button").count() == 0
        (said,) = found.page.locator(".cell > .run").all()
        assert said.inner_text().startswith("These cells need the whole of PyTorch")
        address = said.locator("a").get_attribute("href") or ""
        assert (html / "_notebooks" / address.rpartition("/")[2]).is_file()
        assert found.run("1 + 1")["printed"] == "2\n"  # a program may run what needs less
        assert found.faults == []


def test_a_class_that_has_passed_is_raced_in_the_playground_with_all_its_sliders(disk: Reader) -> None:
    disk.write(EXERCISE, RIGHT)
    disk.press(EXERCISE, "Run")
    assert "passed" in disk.said(EXERCISE)
    disk.press(EXERCISE, "Race MyMomentum in the playground")
    play = disk.page.locator(".playground").first
    paths = play.locator(".play-bowl .play-line")
    drawn = "play => [...play.querySelectorAll('.play-bowl .play-line')].map(p => p.getAttribute('d')).filter(d => d)"
    for steps, rate in ((10, 0.075), (25, 0.2)):
        play.get_by_label("steps, typed").fill(str(steps))
        play.get_by_label("η of MyMomentum, typed").fill(str(rate))
        play.get_by_label("Method to adjust").select_option("momentum")
        play.get_by_label("η of Momentum, typed").fill(str(rate))
        play.get_by_label("Method to adjust").select_option("MyMomentum")
        # Python answers a moment later: then both have gone the same way, by two programs.
        disk.page.wait_for_function(
            f"([play, count]) => {{ const all = ({drawn})(play);"
            " return all.length === 2 && all[0] === all[1] && all[0].split('L').length === count + 1; }",
            arg=[play.element_handle(), steps],
        )
    assert paths.count() >= 2
    assert disk.faults == []


def test_a_racing_class_that_fails_says_so_in_the_playground(disk: Reader) -> None:
    tired = """state["t"] = state.get("t", 0) + 1
        if state["t"] > 50:
            raise ValueError("tired")
        """
    disk.write(EXERCISE, RIGHT.replace("p.data -=", f"{tired}p.data -="))
    disk.press(EXERCISE, "Run")
    assert "passed" in disk.said(EXERCISE)
    disk.press(EXERCISE, "Race MyMomentum in the playground")
    play = disk.page.locator(".playground").first
    statements = play.locator(".play-statements")
    steps = play.get_by_label("steps, typed")
    for count, said in ((60, "MyMomentum: ValueError: tired"), (25, "MyMomentum: reached 0.001")):
        steps.fill(str(count))
        steps.press("Enter")
        expect(statements).to_contain_text(said)
    assert disk.faults == []
