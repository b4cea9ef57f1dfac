"""Kernels forked from one warm process: each a world of its own, and nothing left when the build ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from book._ext.compat import kernel_manager
from book._ext.execute import running, warm_kernels
from book._ext.execute.freshness import configure_environment
from conftest import ROOT, sample
from small_book import NOTEBOOK, ONE, Copy, complaints, copy_book, run

CELL = "\n```{{code-cell}} ipython3\n{code}\n```\n"
MARKS = """\
import builtins, math, os, random, sys
import torch
math.pi = 3
builtins.left_behind = True
os.environ["LEFT_BEHIND"] = "1"
sys.path.append("/left/behind")
torch.manual_seed(1)
torch.set_default_dtype(torch.float64)
random.seed(1)
drawn = random.random()"""
LOOKS = """\
import sys
loaded = {*sys.modules}
import builtins, math, os, random
import torch
assert math.pi > 3.14
assert not hasattr(builtins, "left_behind")
assert "LEFT_BEHIND" not in os.environ
assert "/left/behind" not in sys.path
assert torch.initial_seed() != 1
assert torch.get_default_dtype() is torch.float32
assert random.random() != random.Random(1).random()
assert "torch" in loaded  # it is a fork of the warm process"""

# As on a busy machine: the cell has ended, but for six seconds what it put out does not arrive.
LATE = """\
import sys, time
sys.stdout.flush_timeout = sys.stderr.flush_timeout = 0.01  # it does not wait for that itself
get_ipython().kernel.iopub_thread.schedule(lambda: time.sleep(6))
"late, and " + "here"
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return copy_book(tmp_path_factory.mktemp("warm") / "book")


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def helpers_of(root: Path) -> list[psutil.Process]:
    """The processes of this copy's kernel server, its stubs and its kernels."""
    mark = str(root / "book" / "_ext" / "execute" / "kernel_")
    return [p for p in psutil.process_iter(["cmdline"]) if any(mark in part for part in p.info["cmdline"] or ())]


def left_in(temporary: Path) -> list[str]:
    """What a build has left among temporary files, but for the folder that torch makes for its own builds."""
    return [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor_")]


def test_what_one_section_sets_seeds_or_patches_no_other_sees(copy: Copy, tmp_path: Path) -> None:
    # In both orders, for the sections run side by side.
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    copy.write("book/one.md", ONE + CELL.format(code=MARKS))
    copy.write("book/updates.md", NOTEBOOK + (copy.root / "book/updates.md").read_text() + CELL.format(code=LOOKS))
    done = copy.build(cold=True, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("executed in") == 2
    copy.write("book/one.md", ONE + CELL.format(code=LOOKS))
    done = copy.build(cold=True, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert helpers_of(copy.root) == []
    assert left_in(temporary) == []


def test_nothing_is_started_where_nothing_is_to_run(copy: Copy) -> None:
    copy.write("book/one.md", ONE)
    assert copy.build().returncode == 0
    done = copy.build(cold=True)
    assert done.returncode == 0
    assert "executed" not in done.stdout
    assert helpers_of(copy.root) == []


@pytest.mark.parametrize("number", sample([signal.SIGTERM, signal.SIGKILL], signal.SIGKILL))
def test_server_and_kernels_end_when_the_build_is_killed(copy: Copy, tmp_path: Path, number: int) -> None:
    note = tmp_path / "pid"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    slow = f"import os, pathlib, time\npathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(100)"
    copy.write("book/one.md", ONE + CELL.format(code=slow))
    building = subprocess.Popen(
        [sys.executable, "-m", "book._ext.cli.build", "html"],
        cwd=copy.root,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: note.exists() and note.read_text() != "", 60)
        building.send_signal(number)
        building.wait(timeout=30)
        wait_until(lambda: helpers_of(copy.root) == [])
        wait_until(lambda: not psutil.pid_exists(int(note.read_text())))
        wait_until(lambda: left_in(temporary) == [])
    finally:
        building.kill()
        copy.write("book/one.md", ONE)
    assert copy.build().returncode == 0


def test_where_forking_is_not_to_be_had_ordinary_kernels_run_after_one_line(copy: Copy) -> None:
    copy.write("book/one.md", ONE + CELL.format(code="import sys\nassert 'matplotlib.pyplot' not in sys.modules"))
    without = (
        "from book._ext.cli import build; from book._ext.execute import warm_kernels; "
        "warm_kernels.can_fork = lambda: False; build.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", without, "html"], cwd=copy.root, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kernels start one by one here") == 1
    assert "book/one … executed" in done.stdout
    copy.write("book/one.md", ONE)


def test_a_folder_for_temporary_files_may_have_a_long_name(copy: Copy, tmp_path: Path) -> None:
    temporary = tmp_path / "long".ljust(100, "-")
    temporary.mkdir()
    copy.write("book/one.md", ONE + CELL.format(code="print('a long name')"))
    done = copy.build(cold=True, TMPDIR=str(temporary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"a long name" in copy.published()["book/one.html"]
    assert left_in(temporary) == []
    copy.write("book/one.md", ONE)


@pytest.mark.slow
def test_a_client_that_waits_for_its_kernel_tries_often(tmp_path: Path) -> None:
    client = running.Client(transport="ipc", ip=str(tmp_path / "kernel"), context=kernel_manager()().context)
    for number, channel in enumerate(("shell", "iopub", "stdin", "hb", "control"), start=1):
        setattr(client, f"{channel}_port", number)

    async def connected() -> list[int]:
        client.start_channels(hb=False)
        sockets = [client.shell_channel.socket, client.iopub_channel.socket]
        try:
            return [socket.reconnect_ivl for socket in sockets]
        finally:
            client.stop_channels()

    assert asyncio.run(connected()) == [running.RETRY, running.RETRY]
    client.context.destroy(linger=0)


def test_outputs_that_come_late_are_in_the_book_or_an_error_never_left_out(copy: Copy) -> None:
    copy.write("book/one.md", ONE + CELL.format(code=LATE))
    impatient = "from book._ext.cli import build; from book._ext.execute import running; running.LATE = 1; build.main()"
    # The kernel says by itself that it is late.
    *_, line = complaints(run([sys.executable, "-c", impatient, "html"], copy.root))
    assert re.search(r"book/one\.md:\d+: cell 2: ended, but what it put out did not arrive in 1 s; ", line)
    done = copy.build(cold=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"late, and here" in copy.published()["book/one.html"]
    copy.write("book/one.md", ONE)


@pytest.mark.slow
def test_a_section_whose_outputs_are_not_stored_runs_when_it_is_read(copy: Copy, tmp_path: Path) -> None:
    # As when somebody changes a source while it runs: its outputs are not those of what is there now.
    forgetful = "from book._ext.cli import build; from book._ext.execute import execution; execution.store = print; "
    command = [sys.executable, "-c", f"{forgetful}build.main()", "html"]
    copy.write("book/one.md", ONE + CELL.format(code="print('there', 'all', 'the', 'same')"))
    done = run(command, copy.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"there all the same" in copy.published()["book/one.html"]
    ran = tmp_path / "ran"
    once = f"from pathlib import Path\n\nran = Path({str(ran)!r})\nassert not ran.exists(), 'again'\nran.touch()"
    copy.write("book/one.md", ONE + CELL.format(code=once))
    *_, line = complaints(run(command, copy.root))
    assert re.search(r"book/one\.md:\d+: cell 2, line 4: AssertionError: again in ", line)
    copy.write("book/one.md", ONE)


def test_a_stub_that_is_killed_while_it_asks_leaves_no_word_and_the_next_is_served(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    warm = warm_kernels.WarmKernels()
    try:
        request = {"argv": ["-m", "this"], "cwd": str(ROOT), "env": dict(os.environ)}
        with socket.socket(socket.AF_UNIX) as killed:
            killed.connect(str(warm.folder / "socket"))
            killed.sendall(f"{request!r}\n".encode())
        assert "Zen of Python" in run([*warm.stub, "-m", "this"], ROOT).stdout
        wait_until(lambda: psutil.Process(warm.server.pid).children() == [])
    finally:
        warm.stop()
    assert capfd.readouterr() == ("", "")


def test_a_stub_hears_the_signal_to_stop_also_where_its_parents_ignore_it(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:  # it never answers
        server.bind(str(tmp_path / "socket"))
        server.listen()
        script = ROOT / "book" / "_ext" / "execute" / "kernel_stub.py"
        command = [sys.executable, "-I", "-S", str(script), str(tmp_path / "socket"), "-m", "this"]
        ignoring = (
            "import os, signal, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nos.execv(sys.argv[1], sys.argv[1:])"
        )
        stub = subprocess.Popen([sys.executable, "-c", ignoring, *command])
        try:
            with server.accept()[0] as asking:
                asking.recv(1)
                stub.send_signal(signal.SIGINT)
                assert stub.wait(timeout=30) == -signal.SIGINT
        finally:
            stub.kill()


def test_the_rehearsal_of_a_build_comes_to_its_end(tmp_path: Path) -> None:
    # A server whose rehearsal fails says nothing, and is slower.
    script = ROOT / "book" / "_ext" / "execute" / "rehearsal.py"
    command = [sys.executable, "-I", "-W", "error::FutureWarning", str(script)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_kernel_of_the_preview_finds_nothing_of_the_rehearsal(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    # Jupyter's cache has everything logged, for one.
    code = "import logging\nassert not logging.getLogger().isEnabledFor(logging.INFO)"
    copy.write("book/one.md", ONE + CELL.format(code=code))
    monkeypatch.setattr(os, "environ", dict(os.environ))
    configure_environment(copy.root)
    warm_kernels.start(builds=True)
    try:
        command = [*warm_kernels.python(), "-m", "book._ext.cli.build", "html"]
        done = run(command, copy.root, **{**warm_kernels.environment(), "PYTHONPATH": str(copy.root)})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "book/one … executed" in done.stdout
    finally:
        warm_kernels.stop()
        copy.write("book/one.md", ONE)


def test_a_module_that_is_no_more_is_one_line_and_the_server_goes_on(tmp_path: Path) -> None:
    server = (ROOT / "book/_ext/execute/kernel_server.py").read_text()
    assert '"torch",' in server
    (tmp_path / "kernel_server.py").write_text(server.replace('"torch",', '"torch.no_such_module",'))
    command = [sys.executable, "-s", str(tmp_path / "kernel_server.py"), str(tmp_path / "socket")]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until((tmp_path / "socket").exists)
        assert "Zen of Python" in run([*warm_kernels.stub_command(tmp_path), "-m", "this"], ROOT).stdout
        assert started.poll() is None
    finally:
        started.terminate()
        out, err = started.communicate(timeout=30)
    line = "kernel_server.py: torch.no_such_module is not imported early (ModuleNotFoundError: "
    assert [text.startswith(line) for text in out.splitlines()] == [True]
    assert err == ""


STEPS = """\
import sys
import torch
from kernel_server import COMPILER, spare_compiler
if sys.argv[1] != "as torch has it":
    spare_compiler()
if sys.argv[1] == "imported":
    import torch._dynamo
for name in sorted(n for n in torch.optim.__all__ if n[0].isupper() and n not in ("Optimizer", "SparseAdam")):
    torch.manual_seed(0)
    w = torch.nn.Parameter(torch.randn(3, 2))
    optimizer = getattr(torch.optim, name)([w], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        w.square().sum().backward()
        optimizer.step(lambda: w.square().sum())
    optimizer.load_state_dict(optimizer.state_dict())
    rate = torch.tensor(0.1, requires_grad=True)
    followed = torch.ones(2, requires_grad=True) * 1
    followed.grad = torch.ones(2)
    torch.optim.SGD([followed], lr=rate, differentiable=True, foreach=False).step()
    print(name, w.tolist(), torch.autograd.grad(followed.sum(), rate)[0].item(), torch.is_grad_enabled())
print(COMPILER in sys.modules, file=sys.stderr)
"""


def test_optimizers_step_as_torch_has_it_without_its_compiler() -> None:
    said = {}
    for how in ("as torch has it", "spared", "imported"):
        command = [sys.executable, "-c", STEPS, how]
        done = run(command, ROOT, PYTHONPATH=str(ROOT / "book/_ext/execute"))
        said[how] = done.stdout
        assert done.stderr.split() == [str(how != "spared")], done.stderr
    assert said["as torch has it"].count("True") > 10
    assert said["spared"] == said["imported"] == said["as torch has it"]


def test_a_socket_that_is_there_takes_connections(tmp_path: Path) -> None:
    server = (ROOT / "book/_ext/execute/kernel_server.py").read_text()
    slow = server.replace("    listener.listen()\n", "    __import__('time').sleep(0.5)\n    listener.listen()\n")
    assert slow != server
    (tmp_path / "kernel_server.py").write_text(slow)
    command = [sys.executable, "-s", str(tmp_path / "kernel_server.py"), str(tmp_path / "socket")]
    started = subprocess.Popen(command)
    try:
        wait_until((tmp_path / "socket").exists)
        with socket.socket(socket.AF_UNIX) as early:
            early.connect(str(tmp_path / "socket"))
    finally:
        started.kill()
        started.wait()


@pytest.mark.parametrize(
    "ends",
    sample(
        ["sys.exit(3)", "listen(sys.argv[1]); os._exit(3)", "threading.Timer(0.5, os._exit, [4]).start()"],
        "listen(sys.argv[1]); os._exit(3)",
    ),
)
def test_where_the_server_ends_ordinary_kernels_run_after_one_line(copy: Copy, ends: str) -> None:
    server = (copy.root / "book/_ext/execute/kernel_server.py").read_text()
    begin = "    try:\n        serve(sys.argv[1], "
    assert begin in server
    copy.write("book/_ext/execute/kernel_server.py", server.replace(begin, f"    {ends}\n{begin}"))
    copy.write("book/one.md", ONE + CELL.format(code=f"print('run by an ordinary kernel, {len(ends)}')"))
    try:
        done = copy.build(cold=True)
    finally:
        copy.write("book/_ext/execute/kernel_server.py", server)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"an ordinary kernel, {len(ends)}".encode() in copy.published()["book/one.html"]
    assert done.stdout.count("the kernel server ended before the build did") == 1
    assert done.stderr == ""
    assert helpers_of(copy.root) == []
    copy.write("book/one.md", ONE)
