"""What draws a figure, found in the cells of a section: all that it needs, in order, and little else."""

from __future__ import annotations

import pytest

from book._ext.programs import program, read, seeds

pytestmark = pytest.mark.quick


def whole(*cells: str) -> str:
    return program(read(list(cells)), len(cells) - 1).whole


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
        # checks and glued numbers are left out, also in a loop that does something else
        (
            ["a = 1\nassert a\nglue('a', a)", "for x in (a,):\n    assert x\n    b = x", "draw(b)"],
            "a = 1\nfor x in (a,):\n    b = x\ndraw(b)",
        ),
        (["a = 1", "# all of them\nfor a in (1, 2):\n    assert a", "draw(a)"], "a = 1\ndraw(a)"),
        # of an import what is needed, and the lines of the shell never
        (["%matplotlib inline\nfrom m import a, b as c, d", "draw(c)"], "from m import b as c\n\ndraw(c)"),
        # a comment stays with what it says something of
        (["# one\na = 1  # two\n# three\nb = 2", "draw(a)"], "# one\na = 1  # two\ndraw(a)"),
    ],
)
def test_a_program_holds_what_the_last_line_needs(cells: list[str], expected: str) -> None:
    assert whole(*cells) == expected


def test_what_of_a_program_is_the_cells_own_is_told_apart() -> None:
    found = program(read(["a = 1", "from m import b\nc = a + b\ndraw(c)", "a = 2"]), 1)
    assert found.whole == "a = 1\n\nfrom m import b\n\nc = a + b\ndraw(c)"
    assert found.own == "c = a + b\ndraw(c)"


@pytest.mark.parametrize("cell", ["files = !ls", "a = 1; b = 2"])
def test_a_cell_that_cannot_be_taken_apart_is_refused(cell: str) -> None:
    with pytest.raises(SyntaxError):
        read(["a = 1", cell])


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
