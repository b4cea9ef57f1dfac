"""Whatever a reader writes ends in a clear line, the page goes on, and the next run is as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from reading import EXERCISE, Reader, reader

from conftest import sample

pytestmark = pytest.mark.needs("chromium")
FOREVER = {
    "loop": "while True:\n    pass",
    "comprehension": "any(x for x in iter(int, 1))",
    "init": "class Endless:\n    def __init__(self):\n        while True:\n            pass\n\nEndless()",
    "power": "10 ** 10 ** 8",
}
ENDS = {
    "prints": ("for i in range(10**9):\n    print(i)", "The output is cut after"),
    "memory": ("kept = []\nwhile True:\n    kept.append(bytearray(10**7))", "MemoryError"),
    "ten gigabytes": ("x = bytearray(10**10)", "OverflowError"),
    "recursion": ("def f(n):\n    return f(n + 1)\n\nf(0)", "RecursionError"),
    "deeper": ("eval('(' * 10**4 + ')' * 10**4)", "Python itself has stopped"),
    "syntax": ("def f(:", "SyntaxError"),
    "tabs": ("if True:\n        x = 1\n\ty = 2", "TabError"),
    "numpy": ("import numpy", "numpy is not in this page"),
    "input": ("input('?')", "there is nobody to ask"),
    "exit": ("import os\nos._exit(0)", "the page's Python goes on"),
    "worker": ("import js\njs.close()", "No module named 'js'"),
    "patched": ("import torch\nimport optim_code\ntorch.zeros_like = optim_code.output = None", ""),
}
NEXT = """\
import torch
from optim_code import SGDMomentumOptimizer, output, w
output(SGDMomentumOptimizer([w], lr=0.1, momentum=0.5), nsteps=3)
torch.zeros_like(w.data).sum().item()"""


@pytest.fixture(scope="module")
def at_page(browser: Browser, html: Path) -> Iterator[Reader]:
    with reader(browser, f"{html.as_uri()}/book/momentum.html") as found:
        # The time limit is a timer of the page: the tests put its clock forward in place of waiting.
        found.page.clock.install()
        found.page.evaluate("window.descent.ready()")
        yield found


def check_next(at_page: Reader) -> None:
    after = at_page.run(NEXT)
    assert after["error"] is None
    assert len(after["figures"]) == 1
    assert after["printed"] == "0.0\n"


@pytest.mark.parametrize("case", ENDS)
def test_code_ends_in_a_clear_line_and_the_next_run_is_clean(at_page: Reader, case: str) -> None:
    code, expected = ENDS[case]
    error = at_page.run(code)["error"]
    if expected:
        assert expected in error.strip().split("\n")[-1]
    else:
        assert error is None
    check_next(at_page)


@pytest.mark.parametrize("case", sample(FOREVER, "power"))  # the only one that Python itself could not break off
def test_what_never_ends_is_ended_while_the_page_goes_on(at_page: Reader, case: str) -> None:
    at_page.page.evaluate("code => { window.going = window.descent.run(code); }", FOREVER[case])
    at_page.page.wait_for_timeout(500)
    at_page.page.clock.fast_forward(12_000)
    state = "Promise.race([window.going, new Promise(done => done('runs'))])"
    assert at_page.page.evaluate(state) == "runs"
    at_page.page.clock.fast_forward(9_000)
    assert at_page.page.evaluate("window.going.then(({ error }) => error)").startswith("This ran for 20 seconds")
    check_next(at_page)


def test_stop_ends_a_run_at_once_and_cells_above_run_again_where_they_are_needed(at_page: Reader) -> None:
    at_page.press("2", "Run")
    assert at_page.said("2") == "Ran."
    at_page.write(EXERCISE, FOREVER["loop"])
    at_page.press(EXERCISE, "Run")
    at_page.press(EXERCISE, "Stop")
    assert at_page.said(EXERCISE) == "Stopped. All that ran before is forgotten."
    at_page.press("2", "Run")
    assert at_page.said("2") == "Ran."
    assert at_page.run("type(optimizer).__name__")["printed"] == "'SGDMomentumOptimizer'\n"


def test_closing_the_page_in_the_middle_of_a_run_leaves_the_browser_and_the_draft(browser: Browser, html: Path) -> None:
    window = browser.new_context()
    for _ in range(2):
        page = window.new_page()
        page.goto(f"{html.as_uri()}/book/momentum.html")
        page.locator(f"#{EXERCISE} textarea").click()
        page.locator(f"#{EXERCISE} .cm-content").click()
        page.keyboard.press("Control+End")
        page.keyboard.insert_text("\nwhile True:\n    pass\n")
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(300)
        page.close()
    page = window.new_page()
    page.goto(f"{html.as_uri()}/book/momentum.html")
    assert page.locator(f"#{EXERCISE} textarea").input_value().count("while True:") == 2
    window.close()


def test_where_a_script_cannot_be_loaded_a_line_says_so_and_the_next_run_loads_it(browser: Browser, site: str) -> None:
    with reader(browser, f"{site}/book/momentum.html") as cut_off:
        cut_off.page.route("**/python.*.js", lambda route: route.abort())
        cut_off.press("1", "Run")
        said = cut_off.said("1")
        assert said.startswith("Python did not start: python.")
        assert said.endswith("could not be loaded.")
        cut_off.page.unroute("**/python.*.js")
        cut_off.press("1", "Run")
        assert cut_off.said("1") == "Ran."
