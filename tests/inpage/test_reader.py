"""What a reader runs in the page gives what it gives in a notebook, and whatever goes wrong ends in a clear line."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from reading import reader
from session import Session, session, write_site
from students import CONSTANT_RATE, FAULTY, RIGHT, WRONG, Answer

import optim_code
from book._ext.inpage.data import page_cells, page_data
from conftest import PAGES, ROOT
from optim_code.figures import Drawing
from optim_code.marking import checking, faults
from optim_code.marking.checking import Verdict

NEAR = 1e-12
THERE = "the section's notebook runs it"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def student_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(tmp_path_factory.mktemp("student"), "student")


@pytest.fixture(scope="module")
def page(site: Path) -> Iterator[Session]:
    """A page in which all imports of the book have run, shared by tests that leave it clean."""
    with session(site, {"setup": ["from optim_code import *", "import torch"]}) as opened:
        yield opened


# --- the same runs ---------------------------------------------------------------------------------------------------

NINE = {
    "sgd_lr_opt_example.pdf": "SGDOptimizer([w], lr=0.33333)",
    "sgd_lr_good_example.pdf": "SGDOptimizer([w], lr=0.1)",
    "sgd_50mom_example.pdf": "SGDMomentumOptimizer([w], lr=0.15 * (1 - 0.5), momentum=0.5), 10",
    "sgd_25mom_example.pdf": "SGDMomentumOptimizer([w], lr=0.15 * (1 - 0.25), momentum=0.25), 10",
    "sgd_75mom_example.pdf": "SGDMomentumOptimizer([w], lr=0.15 * (1 - 0.75), momentum=0.75), 10",
    "sgd_noise_example.pdf": "SGDMomentumOptimizer([w], lr=0.1, momentum=0), 30, 1.0",
    "sgd_mom_noise_example.pdf": "SGDMomentumOptimizer([w], lr=0.1 * (1 - 0.8), momentum=0.8), 30, 1.0",
    "rmsprop_noise_example.pdf": "RMSPropOptimizer([w], lr=0.1, alpha=0.8), 30, 1.0",
    "adam_noise_example.pdf": "AdamOptimizer([w], lr=0.1, alpha=0.7, momentum=0.7), 30, 1.0",
}
COURSE = """
class SGDOptimizer(Optim):
    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))
    def my_step(self, p, state, group):
        p.data.add_(-group["lr"], p.grad.data)

class SGDMomentumOptimizer(Optim):
    def __init__(self, params, lr, momentum):
        super().__init__(params, dict(lr=lr, momentum=momentum))
    def my_step(self, p, state, group):
        if "v" not in state:
            state["v"] = torch.zeros_like(p.data)
        state["v"] = group["momentum"] * state["v"] + p.grad.data
        p.data -= group["lr"] * state["v"]

class RMSPropOptimizer(Optim):
    def __init__(self, params, lr, alpha):
        super().__init__(params, dict(lr=lr, alpha=alpha))
    def my_step(self, p, state, group):
        if "v" not in state:
            state["v"] = torch.zeros_like(p.data)
        state["v"] = group["alpha"] * state["v"] + (1 - group["alpha"]) * p.grad.data ** 2
        p.data -= group["lr"] * p.grad.data / (state["v"].sqrt() + 1e-8)

class AdamOptimizer(Optim):
    def __init__(self, params, lr, alpha, momentum):
        super().__init__(params, dict(lr=lr, alpha=alpha, momentum=momentum))
    def my_step(self, p, state, group):
        if not state:
            state.update(t=0, m=torch.zeros_like(p.data), v=torch.zeros_like(p.data))
        state["t"] += 1
        state["m"] = group["momentum"] * state["m"] + (1 - group["momentum"]) * p.grad.data
        state["v"] = group["alpha"] * state["v"] + (1 - group["alpha"]) * p.grad.data ** 2
        m, v = state["m"] / (1 - group["momentum"] ** state["t"]), state["v"] / (1 - group["alpha"] ** state["t"])
        p.data -= group["lr"] * m / (v.sqrt() + 1e-8)
"""
"""The four classes as a course writes them."""


def assert_same_figure(drawing: Drawing, figure: dict[str, Any]) -> None:
    """The page's figure has the name, the text and the points of a drawing."""
    assert (figure["fname"], figure["alt"]) == (drawing.fname, drawing.alt)
    assert drawing.trajectory is not None
    (path,) = figure["paths"]
    assert figure["title"] == path["name"] == drawing.trajectory.optimizer
    expected = drawing.trajectory.points.tolist()
    assert len(path["points"]) == len(expected)
    for ours, theirs in zip(path["points"], expected, strict=True):
        assert ours == pytest.approx(theirs, abs=NEAR)
    A = drawing.trajectory.problem.A.tolist()
    assert figure["bowl"] == {"A": A, "b": [0.0, 0.0], "minimum": [0.0, 0.0]}


def real(code: str, names: dict[str, Any]) -> Any:
    """Run a cell with PyTorch. Returns the value of its last line."""
    *lines, last = code.rstrip().split("\n")
    exec("\n".join(lines), names)
    return eval(last, names)


@pytest.mark.parametrize("fname", NINE)
def test_the_figures_that_teachers_know_by_name(page: Session, fname: str, in_a_folder: None) -> None:
    code = f'output({NINE[fname]}, fname="{fname}")'
    names: dict[str, Any] = {}
    exec("from optim_code import *", names)
    result = page.run(code)
    assert (result["error"], result["printed"]) == (None, "")
    (figure,) = result["figures"]
    assert_same_figure(real(code, names), figure)


@pytest.fixture
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("in_a_folder")
def test_a_notebook_of_the_course_pasted_into_one_cell_draws_nine_figures(student_site: Path) -> None:
    head = "import torch\nfrom optim_code import Optim, output, w\n"
    lines = "\n".join(f'output({call}, fname="{fname}")' for fname, call in NINE.items())
    with session(student_site) as opened:
        result = opened.run(head + COURSE + lines)
    assert result["error"] is None
    assert [figure["fname"] for figure in result["figures"]] == [*NINE]
    names: dict[str, Any] = {}
    exec(head + COURSE, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch's on an old order of arguments
        for call, figure in zip(NINE.values(), result["figures"], strict=True):
            assert_same_figure(real(f'output({call}, fname="{figure["fname"]}")', names), figure)


def visible(name: str, edition: str = "teacher") -> list[str]:
    return [code for code, hidden in page_cells(ROOT, name, edition) if not hidden]


RUNNING = [name for name in PAGES if page_data(ROOT, name, "teacher")["runs"] and visible(name)]
PYTORCHS_OWN = re.compile(r"torch\.optim\.(?!Optimizer)\w+")
"""What only a notebook has: there the book's classes are compared with PyTorch's."""


def test_the_pages_whose_cells_run() -> None:
    assert {name.rpartition("/")[2] for name in RUNNING} >= {
        "quadratic", "sgd", "momentum", "rmsprop", "adam", "beyond", "landscapes",
    }  # fmt: skip


@pytest.mark.usefixtures("in_a_folder")
@pytest.mark.parametrize("name", RUNNING)
def test_the_visible_cells_of_a_page_do_what_they_do_in_a_notebook(site: Path, name: str) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = 0
    with session(site, page_data(ROOT, name, "teacher")) as opened:
        for code in visible(name):
            result = opened.run(code)
            if PYTORCHS_OWN.search(code):
                (missing,) = {*re.findall(r"(torch\.optim\.\w+) is not in", result["error"])}
                assert missing in code
                continue
            assert result["error"] is None, result["error"]
            value = last_value(code, names)
            if isinstance(value, Drawing):
                outputs += 1
                assert_same_figure(value, result["figures"][-1])
            else:
                assert result["printed"] == ("" if value is None else f"{value!r}\n")
    assert outputs == sum("output(" in code for code in visible(name))


def last_value(code: str, names: dict[str, Any]) -> Any:
    """Run a cell with PyTorch, and give the value of its last line, or None if that has none."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


@pytest.mark.parametrize("name", RUNNING)
def test_in_the_students_edition_the_methods_run_by_their_equations(student_site: Path, name: str) -> None:
    with session(student_site, page_data(ROOT, name, "student")) as opened:
        for code in visible(name, "student"):
            result = opened.run(code)
            if not PYTORCHS_OWN.search(code):
                assert result["error"] is None, result["error"]


def test_no_class_that_students_write_travels_with_their_page(student_site: Path) -> None:
    files = [path for path in student_site.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    text = "".join(path.read_text("utf-8") for path in files)
    assert "class SGDOptimizer" not in text
    assert "addcdiv_(m_hat" not in text
    with session(student_site) as opened:
        result = opened.run("from optim_code import AdamOptimizer, check\ncheck('adam', AdamOptimizer)")
    assert "is made from the compiled equation itself" in result["error"]


def test_a_path_is_drawn_with_others(page: Session) -> None:
    code = "from optim_code.descent import descend\nfrom optim_code.figures import draw_paths\n"
    code += "draw_paths({'a': descend(SGDOptimizer([w], lr=0.1)), 'b': descend(SGDOptimizer([w], lr=0.41))})"
    (figure,) = page.run(code)["figures"]
    assert [path["name"] for path in figure["paths"]] == ["a", "b"]
    assert figure["title"] == "a, b"
    assert figure["alt"].startswith("Paths over the contours of the bowl, all from (1, 1): a is 0.12 from the minimum")


# --- the same verdicts -----------------------------------------------------------------------------------------------

CORPUS = {**RIGHT, **CONSTANT_RATE, **WRONG, **FAULTY}
EXCEPTIONS: dict[str, str] = {}
"""Answers whose mistake has another name in the page, with the reason."""


def marked_here(answer: Answer, monkeypatch: pytest.MonkeyPatch, site: Path) -> Verdict:
    """The verdict of `check` with PyTorch; in this process, and on the site's mistakes, because that is faster."""
    monkeypatch.setattr(checking, "METHODS", site / "optim_code/methods")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "breakpointhook", faults.refuse_breakpoint)  # pytest's own would ask
    return optim_code.check(answer.method, answer.cls())


def assert_same_verdicts(
    run: Callable[[str], dict[str, Any]], names: list[str], site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, times = {}, []
    for name in names:
        answer = CORPUS[name]
        begun = time.monotonic()
        result = run(f'{answer.source}\nfrom optim_code import check\ncheck("{answer.method}", Mine)')
        times.append(time.monotonic() - begun)
        found, right = result["verdict"], marked_here(answer, monkeypatch, site)
        assert found is not None, result["error"]
        assert (result["error"], result["printed"]) == (None, ""), name
        assert found["passed"] == right.passed, name
        assert {*found} == {"method", "cls", "passed", "mistake", "found", "hint", "step", "note"}
        if found["mistake"] != right.mistake:
            other[name] = found["mistake"]
        elif "another run takes other steps" not in right.mistake:
            assert (found["hint"], found["step"], found["note"]) == (right.hint, right.step, right.note), name
    print(f"{len(names)} answers, median {sorted(times)[len(times) // 2]:.2f} s, longest {max(times):.2f} s")
    assert other.keys() <= EXCEPTIONS.keys()
    assert len(other) <= 0.02 * len(names)


def test_a_part_of_the_corpus_gets_the_same_verdicts(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with session(site) as opened:
        assert_same_verdicts(opened.run, [*[*CORPUS][::9], *FAULTY], site, monkeypatch)


@pytest.mark.slow
@pytest.mark.needs("chromium")
def test_the_whole_corpus_gets_the_same_verdicts_in_a_browser(
    browser: Browser, html: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader(browser, f"{html.as_uri()}/book/momentum.html") as opened:
        opened.page.evaluate("window.descent.ready()")
        assert_same_verdicts(opened.run, [*CORPUS], site, monkeypatch)


def test_a_verdict_is_that_of_the_last_check(page: Session) -> None:
    result = page.run("check('sgd', SGDOptimizer)\nv = check('adam', AdamOptimizer)\nprint(v.passed)")
    assert result["verdict"]["method"] == "adam"
    assert result["printed"] == "True\n"
    assert page.run("1")["verdict"] is None


def marked(page: Session, *lines: str) -> Any:
    """What the page says of a class for SGD whose `my_step` has these lines."""
    head = [
        "class Mine(Optim):",
        "    def __init__(self, params, lr):",
        "        super().__init__(params, dict(lr=lr))",
    ]
    step = ["    def my_step(self, p, state, group):", *(f"        {line}" for line in lines)]
    return page.run("\n".join([*head, *step, 'check("sgd", Mine)']))


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("torch.fft.fft(p.grad)", f"torch.fft is not in the small torch of this page; {THERE}"),
        ("torch._foreach_neg_([p.grad])", f"torch._foreach_neg_ is not in the small torch of this page; {THERE}"),
        ("import numpy", f"numpy is not in this page; {THERE}"),
        (
            "p.ndim == 2 and torch.diff(p.grad, prepend=p.grad)",
            "the small torch of this page breaks off with TypeError: Tensor.diff() got an unexpected keyword argument "
            "'prepend'; try it in the section's notebook",
        ),
        (
            "p.grad.allclose(3)",
            "the small torch of this page breaks off with AttributeError: 'int' object has no attribute 'dtype'; "
            "try it in the section's notebook",
        ),
    ],
)
def test_a_class_that_uses_what_the_page_lacks_gets_no_verdict(page: Session, line: str, lacks: str) -> None:
    result = marked(page, line, 'p.data -= group["lr"] * p.grad')
    assert result["verdict"] is None
    assert result["error"].splitlines()[-1] == f"CannotMark: this page cannot mark Mine: {lacks}"


@pytest.mark.parametrize(
    "line",
    [
        'p.data -= torch.mul(group["lr"], p.grad)', 'p.data -= torch.div(p.grad, 1 / group["lr"], rounding_mode=None)',
        'p.data -= torch.pow(p.grad, exponent=1) * torch.tensor(group["lr"], dtype=float)',
        'p.data -= group["lr"] * torch.stack([p.grad, 0 * p.grad]).sum(axis=0)',
    ],
)  # fmt: skip
def test_a_right_class_passes_in_each_of_pytorchs_ways_to_write_it(page: Session, line: str) -> None:
    assert marked(page, line)["verdict"]["passed"]


@pytest.mark.parametrize(
    "line", ["p.sqroot()", "torch.sqrt(2.0)", "p.data.mul_(None)", "p.grad & 1", "p.shape[9]", "p.size(9)"]
)
def test_what_pytorch_refuses_too_is_a_mistake_of_the_class(page: Session, line: str) -> None:
    verdict = marked(page, line)["verdict"]
    assert not verdict["passed"]
    assert line in verdict["found"], verdict
    assert verdict["mistake"] != "my_step is not written"


def test_a_class_that_is_raced_on(page: Session) -> None:
    result = page.run("from optim_code.marking.checking import compiled\noutput(compiled('sgd')([w], lr=0.1))")
    assert result["figures"][0]["paths"][0]["points"][1] == pytest.approx([0.9, 0.5])


# --- what goes wrong -------------------------------------------------------------------------------------------------

WRONG_CODE = {
    "1 / 0": "ZeroDivisionError: division by zero",
    "x = = 3": "SyntaxError: invalid syntax",
    "def f():\n\treturn 1\n        return 2": "TabError: inconsistent use of tabs and spaces in indentation",
    "if True:\nx = 1": "IndentationError: expected an indented block after 'if' statement on line 1",
    "import numpy": "ModuleNotFoundError: numpy is not in this page; the section's notebook runs it",
    "import matplotlib.pyplot as plt": "ModuleNotFoundError: matplotlib is not in this page; "
    "the section's notebook runs it",
    "input('name?')": "EOFError: there is nobody to ask in the page; write the value into your code",
    "breakpoint()": "Breakpoint: there is no debugger in the page; to see a number, print it",
    "import os\nos._exit(0)": "SystemExit: the page's Python goes on; take the call out",
    "import sys\nsys.exit()": "SystemExit: the page's Python goes on",
    "raise SystemExit(3)": "SystemExit: 3",
    "def f():\n    return f()\nf()": "RecursionError: maximum recursion depth exceeded",
    "print('x' * 10**6)": "The output is cut after 20000 characters, and the run was stopped there.",
    "for _ in range(10**9):\n    print(1)": "The output is cut after 20000 characters, and the run was stopped there.",
    "undefined": "NameError: name 'undefined' is not defined",
    "check('adem', AdamOptimizer)": "CheckError: check knows no method 'adem'; it knows \"adagrad\", \"adam\"",
    "check('sgd', NoSuchClass)": "NameError: name 'NoSuchClass' is not defined",
    "check('sgd', int)": "CheckError: check takes a class made from Optim, got int; "
    "begin it with: class MyOptimizer(Optim):",
    "torch.fft": "NotInThePage: torch.fft is not in the small torch of this page; the section's notebook runs it",
    "from torch import fft": "ImportError: torch.fft is not in the small torch of this page",
    "torch.ones(2).cholesky()": "NotInThePage: Tensor.cholesky is not in the small torch of this page",
    "torch.ones(2).allclose(3)": "NotInThePage: the small torch of this page breaks off with AttributeError: 'int' "
    "object has no attribute 'dtype'; try it in the section's notebook",
    "torch.ones(2).sqroot()": "AttributeError: 'Tensor' object has no attribute 'sqroot'",
    "torch.sqroot": "AttributeError: module 'torch' has no attribute 'sqroot'",
    "from torch import sqroot": "ImportError: module 'torch' has no attribute 'sqroot'",
    "torch.optim.SGD([w], lr=0.1)": "NotInThePage: torch.optim.SGD is not in the small torch of this page",
    "torch.nn.Linear(1, 2)": "NotInThePage: torch.nn is not in the small torch of this page",
    "from optim_code.figures import draw_lines\ndraw_lines({'a': [1, 2]}, ylabel='y')": "NotDrawn: draw_lines draws in "
    "the section's notebook; this page draws paths only",
    "output(SGDOptimizer([w], lr=0.1)).save('a.svg')": "NotDrawn: this page shows a figure, but makes no file of it",
    "output(SGDOptimizer([w], lr=0.1), fname='a.png')": "ValueError: a figure is saved as .pdf or .svg, got 'a.png'",
    "SGDOptimizer([w], lr=-1)": "ValueError: lr must be finite and >= 0, got -1",
    "raise BaseException('odd')": "BaseException: odd",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
}  # fmt: skip


@pytest.mark.parametrize("code", WRONG_CODE)
def test_what_goes_wrong_ends_in_a_clear_line(page: Session, code: str) -> None:
    result = page.run(code)
    assert result["error"].splitlines()[-1].startswith(WRONG_CODE[code]), result["error"]
    assert "/" not in re.sub(r"File \"<cell \d+>\"|1 ?/ ?0", "", result["error"]), "a path that is not the reader's"
    assert page.run("1 + 1") == {"printed": "2\n", "error": None, "figures": [], "verdict": None}


def test_a_traceback_has_the_readers_own_lines_only(page: Session) -> None:
    code = """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))

            def my_step(self, p, state, group):
                p.data -= group["rate"] * p.grad

        output(Mine([w], lr=0.1))
    """
    error = page.run(textwrap.dedent(code).strip())["error"]
    lines = [line for line in error.splitlines() if "~" not in line and "^" not in line]
    assert [re.sub(r"\d+(?=>)", "1", line) for line in lines] == [
        "Traceback (most recent call last):",
        '  File "<cell 1>", line 8, in <module>',
        "    output(Mine([w], lr=0.1))",
        '  File "<cell 1>", line 6, in my_step',
        '    p.data -= group["rate"] * p.grad',
        "KeyError: 'rate'",
    ]


def test_output_is_cut_within_the_limit(page: Session) -> None:
    result = page.run("while True:\n    print('x' * 99)")
    assert len(result["printed"]) == 20_000


PATCHES = [
    "torch.sqrt = None", "torch.Tensor.sqrt = lambda self: self", "del torch.Tensor.mul_",
    "torch.float64 = torch.float32",
    "import optim_code.marking.checking as c; c.check = print",
    "import optim_code.marking.judging as j; j.judge = None",
    "import optim_code.marking.trials as t; t.LIMIT = 0; t.drive = None", "import builtins; builtins.print = None",
    "import optim_code; optim_code.check = lambda *_: True", "optim_code_extra = 1; torch.extra = 1",
    "import sys; del sys.modules['torch']", "import sys; sys.modules['torch'] = None", "import math; math.sqrt = abs",
    "torch.set_default_dtype(torch.float16)", "torch.set_grad_enabled(False)", "Optim.my_step = None",
    "import builtins; del builtins.len", "import sys; sys.stdout = None", "import random; random.Random = None",
    "import optim_code.figures as f; f.output = None", "torch.optim.Optimizer.zero_grad = None",
    "import sys; sys.setrecursionlimit(90)", "import sys; sys.path.clear(); sys.meta_path.clear()",
    "import optim_code.optim as o; o.RANGES.clear()", "import optim_code.marking.judging as j; j.HINTS.clear()",
    "import builtins as b; b.isinstance = b.vars = b.dict = b.getattr = b.setattr = b.len = b.type = None",
    "import traceback; traceback.extract_tb = None; 1 / 0", "import contextlib; contextlib.redirect_stdout = None",
    "import json; json.loads = None", "import optim_code.pictures as p; p.drawn = None",
    "import warnings; warnings.warn = None",
]  # fmt: skip


@pytest.mark.parametrize("patch", PATCHES)
def test_the_run_after_a_patch_is_clean(page: Session, patch: str) -> None:
    page.run(patch)
    code = (
        "from optim_code import check\nfrom optim_code.optimizers import AdamOptimizer as A\nfrom optim_code import w\n"
    )
    code += "import torch, optim_code\noptim_code.output(A([w], 0.1, 0.7, 0.7))\nprint(hasattr(torch, 'extra'))\n"
    result = page.run(f"{code}check('adam', A)")
    assert result["error"] is None, result["error"]
    assert result["verdict"]["passed"], result["verdict"]
    assert result["printed"] == "False\n"
    assert len(result["figures"]) == 1


def test_names_outlast_a_run_and_a_value_is_shown_as_in_a_notebook(page: Session) -> None:
    assert page.run("a = torch.ones(2)\na;")["printed"] == ""
    assert page.run("print('first')\na")["printed"] == "first\ntensor([1., 1.])\n"
    assert page.run("_ * 2")["printed"] == "tensor([2., 2.])\n"
    assert page.run("None")["printed"] == ""
    assert page.run("import warnings\nwarnings.warn('old')")["printed"] == "UserWarning: old\n"
    assert page.run("import sys\nprint('e', file=sys.stderr)")["printed"] == "e\n"
    assert page.run("{str(i) * 9: i for i in range(8)}")["printed"].count("\n") == 8
    assert page.run("") == {"printed": "", "error": None, "figures": [], "verdict": None}
    assert page.run("# nothing")["error"] is None


def test_what_a_class_keeps_on_itself_is_warned_of(page: Session) -> None:
    code = """
        class Mine(Optim):
            def __init__(self, params, lr):
                super().__init__(params, dict(lr=lr))
                self.t = 0

            def my_step(self, p, state, group):
                self.t += 1
                p.data -= group["lr"] * p.grad

        output(Mine([w], lr=0.1))
    """
    assert "Mine keeps t on self, which outlasts the run" in page.run(textwrap.dedent(code))["printed"]


def test_a_result_can_be_sent_as_text(page: Session) -> None:
    result = page.run("output(SGDOptimizer([w], lr=2.0), nsteps=400)\nprint('\\ud800', chr(0))")
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_session_begins_soon(site: Path) -> None:
    program = (
        "import sys, time\nsys.path.insert(0, sys.argv[1])\nsys.platform = 'emscripten'\nbegun = time.monotonic()\n"
    )
    program += "import reader\nreader.start({'setup': []})\nprint(time.monotonic() - begun)"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(site)], env=environment, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 2
