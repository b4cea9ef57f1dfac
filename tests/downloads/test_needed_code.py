"""The code that a figure, or a notebook without its hidden cells, needs: all of it, in order, and little else."""

from __future__ import annotations

import random
import re

import pytest

from book._ext.figures.figure_index import seeds
from book._ext.figures.needed_code import program


def whole(*cells: str) -> str:
    """The program that the last line of the last cell needs, without empty lines."""
    return re.sub(r"\n+", "\n", program(cells, [len(cells) - 1], len(cells) - 1).whole)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # what gives its names a value, and nothing that does not
        (["a = 1\nb = 2", "c = 3", "draw(a)"], "a = 1\ndraw(a)"),
        # the last value counts
        (["a = 1", "a = 2", "draw(a)"], "a = 2\ndraw(a)"),
        (["a = 1", "a = a + 1", "draw(a)"], "a = 1\na = a + 1\ndraw(a)"),
        (["a, b = 1, 2", "b = 3", "draw(a, b)"], "a, b = 1, 2\nb = 3\ndraw(a, b)"),
        # what changes a value
        (["a = []", "a.append(1)", "draw(a)"], "a = []\na.append(1)\ndraw(a)"),
        (["a = {}", "a['x'] = 1", "draw(a)"], "a = {}\na['x'] = 1\ndraw(a)"),
        (["a = 1", "a += 1", "draw(a)"], "a = 1\na += 1\ndraw(a)"),
        (["p.grad = g", "draw(p)"], "p.grad = g\ndraw(p)"),
        # a generator is another after every draw
        (
            ["g = Generator()", "a = randn(generator=g)", "b = randn(generator=g)", "draw(b)"],
            "g = Generator()\na = randn(generator=g)\nb = randn(generator=g)\ndraw(b)",
        ),
        # a call leaves its function and its arguments as they are
        (["draw(a)", "draw(b)"], "draw(b)"),
        # nor does a method that only computes change what it is called on, unless a class of the section says otherwise
        (["a = ones()", "b = a.flatten().abs().sum()", "draw(a)"], "a = ones()\ndraw(a)"),
        (["a = ones()", "b = a.flatten().zero_()", "draw(a)"], "a = ones()\nb = a.flatten().zero_()\ndraw(a)"),
        (["a = ones()", "b = a.clone().zero_()", "draw(a)"], "a = ones()\ndraw(a)"),
        (
            ["class A(list):\n    def sum(self):\n        self.append(1)", "a = A()", "b = a.sum()", "draw(a)"],
            "class A(list):\n    def sum(self):\n        self.append(1)\n\na = A()\nb = a.sum()\ndraw(a)",
        ),
        # and of a call's result it leaves the function as it is, if that is imported
        (["from m import f", "b = f(1).add_(2)", "draw(f(3))"], "from m import f\ndraw(f(3))"),
        (
            ["a = []\ndef f():\n    return a", "b = f().pop()", "draw(f())"],
            "a = []\ndef f():\n    return a\n\nb = f().pop()\ndraw(f())",
        ),
        # a function needs what it names when it is called, though that is set after it
        (
            ["def f():\n    return a", "a = 1", "draw(f())"],
            "def f():\n    return a\n\n\na = 1\ndraw(f())",
        ),
        # names of its own are no others'
        (
            ["t = 1", "def f(t):\n    return t", "draw(f(2), [t for t in (1, 2)])"],
            "def f(t):\n    return t\n\n\ndraw(f(2), [t for t in (1, 2)])",
        ),
        (
            ["x = 1\ny = 2", "a = {}\nfor x in 1, 2:\n    y = x\n    a[x] = y", "draw(a)"],
            "a = {}\nfor x in 1, 2:\n    y = x\n    a[x] = y\ndraw(a)",
        ),
        (
            ["y = 0", "for x in 1, 2:\n    y = y + x", "draw(y)"],
            "y = 0\nfor x in 1, 2:\n    y = y + x\ndraw(y)",
        ),
        # after a seed, every random number depends on those drawn before it
        (
            [
                "import torch\ntorch.manual_seed(1)",
                "a = torch.randn(2)\nassert a.sum() > 0",
                "b = torch.randn(2)",
                "draw(b)",
            ],
            "import torch\ntorch.manual_seed(1)\na = torch.randn(2)\nb = torch.randn(2)\ndraw(b)",
        ),
        # where names do not tell what code does, all of it is kept
        (["a = 1\nb = 2", "exec('a = b')", "draw(a)"], "a = 1\nb = 2\nexec('a = b')\ndraw(a)"),
        (["a = 1\nb = 'a'", "c = globals()[b]", "draw(c)"], "a = 1\nb = 'a'\nc = globals()[b]\ndraw(c)"),
        (["from m import *\nb = 2", "draw(a)"], "from m import *\nb = 2\ndraw(a)"),
        (
            ["a = 1", "def f():\n    global a\n    a = 2", "f()", "draw(a)"],
            "a = 1\ndef f():\n    global a\n    a = 2\n\nf()\ndraw(a)",
        ),
        # checks and glued numbers are left out, also in a loop that does something else
        (
            ["a = 1\nassert a\nglue('a', a)", "for x in (a,):\n    assert x\n    b = x", "draw(b)"],
            "a = 1\nfor x in (a,):\n    b = x\ndraw(b)",
        ),
        (
            ["a = 1", "# all of them\nfor a in (1, 2):\n    assert a", "draw(a)"],
            "a = 1\n# all of them\nfor a in (1, 2):\n    pass\ndraw(a)",
        ),
        # of an import what is needed, and the lines of the shell never
        (["%matplotlib inline\nfrom m import a, b as c, d", "draw(c)"], "from m import b as c\n\ndraw(c)"),
        # a comment stays with what it says something of
        (["# one\na = 1  # two\n# three\nb = 2", "draw(a)"], "# one\na = 1  # two\ndraw(a)"),
    ],
)
def test_a_program_holds_what_the_last_line_needs(cells: list[str], expected: str) -> None:
    assert whole(*cells) == re.sub(r"\n+", "\n", expected)


def test_the_lines_of_a_program_stand_as_in_their_cells_and_its_cells_apart() -> None:
    cells = ["from m import b, c", "a = 1\nx = 2\n\n\ndef f(t):\n    return t", "a += b\n\ndraw(f(a))"]
    assert program(cells, [2], 2).whole == (
        "from m import b\n\na = 1\n\n\ndef f(t):\n    return t\n\na += b\ndraw(f(a))"
    )


def test_the_lines_of_the_figures_own_cell_are_known() -> None:
    found = program(["a = 1", "from m import b\nc = a + b\ndraw(c)", "a = 2"], [1], 1)
    assert found.whole == "a = 1\n\nfrom m import b\nc = a + b\ndraw(c)"
    assert found.own == "from m import b\nc = a + b\ndraw(c)"


def test_a_program_draws_no_other_figure() -> None:
    assert program(["a = 1\ndraw(a)", "a += 1\ndraw(a)"], [0, 1], 1).whole == "a = 1\n\na += 1\ndraw(a)"


@pytest.mark.parametrize("cells", [["a = 1", "files = !ls", "draw(a)"], ["a = 1", "b = 2; draw(a)"]])
def test_a_section_that_is_not_python_has_no_program_but_the_cell(cells: list[str]) -> None:
    assert program(cells, [len(cells) - 1], len(cells) - 1) == ("", cells[-1])


# Statements about four names; N is one of them, and M and K are others.
STATEMENTS = [
    "N = [2]",
    "N = M",
    "N = [*M]",
    "N = [M, K]",
    "N.append(3)",
    "N.append(M)",
    "N[0] = 5",
    "N[0] = M",
    "N += [1]",
    "N = M.copy()",
    "K = M.copy()\nK.append(6)",
    "N = twice(M)",
    "N = twice([M])",
    "N = Holder([M])\nN.step()",
    "N = Holder([M])",
    "N, M = M, N",
    "N = [rng.random()]",
    "N = [v for v in M]",
    "N = M.pop() if M else 1\nN = [N]",
    "for v in range(2):\n    assert v >= 0\n    N = [v, *M]",
    "for v in M:\n    assert True",
    "if M:\n    N = [7]\nelse:\n    assert True",
    "def f():\n    return [*N]",
    "def f():\n    N.append(9)\n    return []",
    "M = f()",
    "f()",
    "with nullcontext(M) as N:\n    N.append(4)",
    "try:\n    N = M[0] + 1\nexcept (TypeError, IndexError):\n    N = [0]\nN = [N]",
    "x = 1; N = [x]; assert x",
    "# why\nassert N is not None",
    "while len(N) < 2:\n    N.append(len(M))",
    "random.shuffle(N)",
    "heappush(N, 0) if all(isinstance(v, int) for v in N) else None",
    "f = lambda: [N.append(1)]",
    "N = [*map(lambda v: [v, *M], N)]",
    "class Own(Holder):\n    kept = N\n    def get(self):\n        return M\nK = Own([N]).get()",
    "lazy = (v for v in N)\nM = list(lazy)",
]
BEGINNING = """\
import random
from contextlib import nullcontext
from heapq import heappush

rng = random.Random(1)
a, b, c, d = [1], [2], [3], [4]


def f():
    return [0]


def twice(v):
    return [*v, *v]


class Holder(list):
    def step(self):
        for v in self:
            if isinstance(v, list):
                v.append(len(v))
"""


def drawn_by(code: str) -> list[str]:
    """What code draws, or what stops it."""
    shown: list[str] = []
    random.seed(3)
    try:
        exec(code, {"draw": lambda *values: shown.append(repr(values)), "glue": lambda *_: None})
    except (TypeError, AttributeError, IndexError, RecursionError, ValueError) as error:
        return [type(error).__name__]
    return shown


def test_a_program_draws_the_same_as_its_section_whatever_is_in_it() -> None:
    compared = shorter = 0
    for seed in range(400):
        chance = random.Random(seed)
        cells = [BEGINNING]
        for _ in range(chance.randint(2, 9)):
            names = dict(zip("NMK", chance.sample("abcd", 3), strict=True))
            written = re.sub(r"\b[NMK]\b", lambda found: names[found[0]], chance.choice(STATEMENTS))  # noqa: B023
            cells.append(written)
        cells.append(f"draw({', '.join(chance.sample('abcd', 2))})")
        section, found = "\n".join(cells), program(cells, [len(cells) - 1], len(cells) - 1).whole
        wanted = drawn_by(section)
        if len(wanted) == 1 and wanted[0].startswith("("):
            compared += 1
            shorter += len(found) < len(section)
            assert drawn_by(found) == wanted, f"{section}\n--- is not ---\n{found}"
    assert compared > 300
    assert shorter > compared / 2


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("descend(o)", []),
        ("descend(o, noise=0.0, nsteps=3)", []),
        ("descend(o, noise=1.0)", [0]),
        ("descend(o, noise=sigma)", [0]),
        ("descend(o, noise=1.0, seed=7)\nGenerator().manual_seed(3)", [3, 7]),
    ],
)
def test_the_seeds_of_a_program_are_found(code: str, expected: list[int]) -> None:
    assert seeds(code) == expected
