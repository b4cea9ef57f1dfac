"""Words of the text that set a playground: what they say of a run is true, and a click brings the run about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from test_browser import visit
from test_playground import SECTION, UPDATES, assert_faults

from book._ext.page.plays import outcome_of
from book._ext.page.verdicts import program
from conftest import ROOT, sample
from optim_code.descent import descend
from optim_code.equations.compiler import UpdateRule, class_for
from optim_code.problems import bowl
from small_book import TOC, copy_book

WORDS = re.compile(r"\{play\}`[^`<]*<([^>]*)>`")
USUAL = dict(lr=0.1, momentum=0.7, alpha=0.8, eps=1e-8, weight_decay=0.1)


@pytest.mark.parametrize(("kappa", "rotation"), [(5, 0), (20, 30)])
@pytest.mark.parametrize("lr", sample([0.02, 0.1, 0.5, 3.0], 0.5))
@pytest.mark.parametrize("name", UPDATES)
def test_what_becomes_of_a_run_is_what_becomes_of_the_classes(name: str, lr: float, kappa: int, rotation: int) -> None:
    cls = class_for(name)
    method = program(name, UpdateRule.from_latex(UPDATES[name]), cls)
    hyper = {one["name"]: USUAL[one["name"]] for one in method["hyper"]} | {"lr": lr}
    setting = {**hyper, "w1": 1.0, "w2": -0.5, "nsteps": 60, "condition_number": kappa, "rotation": rotation}
    start = torch.tensor([1.0, -0.5], dtype=torch.float64, requires_grad=True)
    run = descend(cls([start], **hyper), bowl(kappa, rotation), nsteps=1000)
    steps = run.steps_to(1e-3)
    arrives = steps is not None and steps <= 60
    if run.diverged or run.distances[-1] > 1000 * run.distances[0]:
        assert outcome_of(method, setting)[0] == "diverges"
    else:
        assert outcome_of(method, setting) == (("arrives", steps) if arrives else ("misses", 60))


def test_each_section_with_a_method_has_words_that_set_its_playground() -> None:
    for section in ("sgd", "momentum", "rmsprop", "adam"):
        words = WORDS.findall((ROOT / "book" / f"{section}.md").read_text(encoding="utf-8"))
        assert len(words) >= 3, section


def test_words_that_are_not_true_or_set_nothing_are_refused_in_one_line(tmp_path: Path) -> None:
    copy = copy_book(tmp_path / "book")
    walk = SECTION[: SECTION.index("# A sum")] + "# Walk\n" + SECTION[SECTION.index("\n```{code-cell}") :]
    walk = walk.replace("AdasumOptimizer", "SGDOptimizer").replace("adasum", "walk").replace(":set: noise=0.5", "")
    right = ["sgd.lr=0.39 nsteps=400 arrives", "sgd.lr=0.41 diverges", "sgd.lr=0.1 nsteps=1 misses"]
    right = [f"fig-walk {target}" for target in right]
    wrong = {
        "fig-walk sgd.lr=0.39 nsteps=400 diverges": "with sgd.lr=0.39 nsteps=400 the run of sgd arrives at step",
        "fig-walk sgd.lr=0.41 arrives": "the run of sgd diverges; the words say that it arrives",
        "fig-walk sgd.lr=0.1 nsteps=1 arrives": "the run of sgd misses with nsteps=1;",
        "fig-walk sgd.lr=0.41": "the last word says what becomes of the run: arrives, misses, diverges",
        "fig-walk sgd.lr=fast arrives": "cannot set sgd.lr=fast",
        "fig-walk sgd.speed=1 arrives": "cannot set sgd.speed=1",
        "fig-walk sgd.lr=1000 diverges": "cannot set sgd.lr=1000; sgd.lr goes from 0.001 to 10",
        "fig-walk nsteps=5000 diverges": "cannot set nsteps=5000; nsteps goes from 1 to 1000",
        "fig-walk momentum.lr=0.1 arrives": "momentum does not run in the playground of fig-walk; there are sgd",
        "fig-walk sgd.lr=0.1 noise=1 arrives": "a run with noise depends on its seed",
        "fig-other sgd.lr=0.1 arrives": "this page has no playground of fig-other; it has fig-walk",
        "arrives": "there is no figure and no outcome in it; write {play}`words <fig-name method.lr=0.1 arrives>`",
    }
    lines = [f"{{play}}`words <{target}>`" for target in [*right, *wrong]]
    copy.write("book/walk.md", walk + "\n" + "\n\n".join(lines) + "\n")
    copy.write("_toc.yml", f"{TOC}  - file: book/walk\n")
    assert_faults(copy, [*wrong.values()])


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    opened = visit(browser, site, "book/sgd.html")
    opened.show("light", 1280)
    yield opened.page
    assert opened.complaints == []
    opened.page.context.close()


def setting(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate("Object.values(descentPlayground.open)[0].setting")
    return found


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_words_move_the_playground_there_and_back(page: Page, by: str) -> None:
    words = page.locator("a.play-set")
    beyond = words.filter(has_text="at 0.41")
    began = setting(page)
    statement = page.locator(".play-statements")
    for there in (True, False, True):
        if by == "mouse":
            beyond.click()
        else:
            beyond.focus()
            page.keyboard.press("Enter")
        expect(statement).to_contain_text("diverged at step" if there else "reached 0.001")
        assert (setting(page) == began) != there
        assert setting(page)["sgd.lr"] == (0.41 if there else began["sgd.lr"])
        assert beyond.get_attribute("data-set") == ("" if there else None)
        expect(page.locator(".play-bowl")).to_be_in_viewport(ratio=1)
    words.filter(has_text="At 0.39").click()
    expect(statement).to_contain_text("reached 0.001 in")
    assert beyond.get_attribute("data-set") is None


@pytest.mark.needs("chromium")
def test_the_browsers_way_back_leads_to_the_words(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    words = page.locator("a.play-set").filter(has_text="at 0.41")
    words.evaluate("words => words.scrollIntoView({ block: 'end', behavior: 'instant' })")
    words.click()
    expect(page.locator(".play-title")).to_be_in_viewport()
    page.wait_for_timeout(1000)  # for the address to follow
    page.go_back()
    expect(words).to_be_in_viewport()
    assert setting(page)["sgd.lr"] == 0.41


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("section", ["sgd", "momentum", "rmsprop", "adam", "beyond"])
def test_what_the_words_say_is_what_the_playground_says(browser: Browser, site: str, section: str) -> None:
    opened = visit(browser, site, f"book/{section}.html").page
    text = (ROOT / "book" / f"{section}.md").read_text(encoding="utf-8")
    targets = [target.split() for target in WORDS.findall(text)]
    links = opened.locator("a.play-set").all()
    assert len(links) == len(targets) >= 3
    for link, (figure, *changes, outcome) in zip(links, targets, strict=True):
        link.click()
        opened.wait_for_timeout(100)
        said = opened.locator(f"#play-{figure} .play-statements li").all_inner_texts()
        methods = {change.split(".")[0] for change in changes if "." in change.split("=")[0]}
        titles = opened.evaluate(
            "names => descentPlayground.methods.filter(({ name }) => names.includes(name)).map(({ title }) => title)",
            [*methods],
        )
        mine = [one for one in said if not titles or one.split(":")[0].strip() in titles]
        assert mine
        for one in mine:
            kind = "diverges" if "diverge" in one else "arrives" if "reached 0.001" in one else "misses"
            assert kind == outcome, (changes, one)
    opened.context.close()
