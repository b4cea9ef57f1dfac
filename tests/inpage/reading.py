"""A reader at a page that runs code: what the tests of it share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Locator, Page

WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation",
      (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
RIGHT = """\
import torch

from optim_code import Optim


class MyMomentum(Optim):
    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    def my_step(self, p, state, group):
        if not state:
            state["v"] = torch.zeros_like(p.data)
        state["v"] = group["momentum"] * state["v"] + p.grad.data
        p.data -= group["lr"] * state["v"]
"""
EXERCISE = "ex-momentum-my-step"


@dataclass
class Reader:
    """A reader at a page.

    Attributes:
        page: the page.
        asked: the address of each request that it has made.
        faults: what its scripts have failed with.
    """

    page: Page
    asked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run(self, code: str) -> dict[str, Any]:
        """Run code as a program does."""
        result: dict[str, Any] = self.page.evaluate("code => window.descent.run(code)", code)
        return result

    def block(self, name: str) -> Locator:
        """The controls of an exercise, by its id, or of a cell, by its number from 0."""
        if name.isdecimal():
            return self.page.locator(".cell > .run").nth(int(name))
        return self.page.locator(f"#{name} .run")

    def said(self, name: str) -> str:
        """What is said of a run, once it has ended."""
        block = self.block(name)
        self.page.wait_for_function(
            "said => said.textContent && !said.textContent.endsWith('…')",
            arg=block.locator(".run-said").element_handle(),
            timeout=60_000,
        )
        return block.locator(".run-said").inner_text()

    def write(self, name: str, code: str) -> None:
        """Put code into an editor, in the place of what is there, by the keyboard."""
        block = self.block(name)
        if block.locator("textarea").is_visible():
            block.locator("textarea").click()
        self.editor(name).click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)

    def editor(self, name: str) -> Locator:
        if name.isdecimal():
            return self.page.locator(".cell > .cell_input").nth(int(name)).locator(".cm-content")
        return self.block(name).locator(".cm-content")

    def press(self, name: str, button: str) -> None:
        self.block(name).locator("button", has_text=button).click()


@contextmanager
def reader(browser: Browser, address: str, **context: Any) -> Iterator[Reader]:
    """A reader who has opened a page, in a window of its own."""
    window = browser.new_context(viewport={"width": 1280, "height": 900}, **context)
    page = window.new_page()
    page.set_default_timeout(20_000)
    found = Reader(page)
    page.on("request", lambda request: found.asked.append(request.url))
    page.on("pageerror", lambda error: found.faults.append(str(error)))
    page.add_init_script(WATCH)
    page.goto(address)
    yield found
    window.close()
