"""`optim_code.train`: two workers take the path of one, a restart goes on to the bit, and bad input is one line."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from conftest import PAGES, ROOT, sample
from optim_code import train

ADAM = ["--optimizer", "adam", "--lr", "0.01", "--alpha", "0.999", "--momentum", "0.9"]
SGD = ["--optimizer", "sgd", "--lr", "0.2"]
VALUES = dict(lr=0.01, momentum=0.9, alpha=0.99, eps=1e-8, weight_decay=0.1)
# Torch warns of functions of its own when its ZeRO is imported.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.* is deprecated:DeprecationWarning")
LIMIT = 120
"""After so many seconds a process that a test started is ended."""
ALONE = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "MASTER_PORT")}
ENVIRONMENT = {**ALONE, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run in this process leaves the number of torch's threads as it was, and uses no GPU."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    yield
    torch.set_num_threads(threads)


class Started:
    """A command that runs, and all that it starts; at the end of the block none of it is left."""

    def __init__(self, *command: object, cwd: Path = ROOT, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)], env={**ENVIRONMENT, **variables}, cwd=cwd, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.limit = threading.Timer(LIMIT, self.stop)

    def __enter__(self) -> Started:
        self.limit.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.limit.cancel()
        self.stop()
        self.process.communicate()

    def workers(self) -> dict[int, psutil.Process]:
        """The workers that live, by their numbers."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                found[int(child.environ()["RANK"])] = child
            except (psutil.Error, KeyError):  # it is just ending, or has not become a worker yet
                continue
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
                try:
                    process.kill()
                except psutil.Error:
                    continue

    def end(self) -> tuple[int, str, str]:
        """Wait for the end: the exit code, and what was printed."""
        out, err = self.process.communicate()
        return self.process.returncode, out, err


def torchrun(workers: int, *options: object) -> list[object]:
    return ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", workers, *options, "-m", train.__name__]


def run(*command: object, cwd: Path = ROOT, **variables: str) -> tuple[int, str, str]:
    with Started(*command, cwd=cwd, **variables) as started:
        return started.end()


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    """Run the program in this process, which takes no seconds to import torch."""

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            code: Any = train.main([*map(str, arguments)])
        except SystemExit as ended:
            code = ended.code
        return (code, *capsys.readouterr())

    return call


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(LIMIT * 50):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"waited {LIMIT} s")


def log(out: Path) -> list[list[float]]:
    """The rows of the log."""
    names, *rows = csv.reader((out / "log.csv").read_text(encoding="utf-8").splitlines())
    assert names == [*train.COLUMNS]
    return [[float(number) for number in row] for row in rows]


def numbers(out: Path) -> torch.Tensor:
    """All numbers of a checkpoint, those of the optimizer among them."""
    checkpoint = torch.load(out / "checkpoint.pt", weights_only=True)
    states = checkpoint["optimizer"]["state"]
    buffers = [torch.as_tensor(states[p][name]) for p in sorted(states) for name in sorted(states[p])]
    return torch.cat([value.double().flatten() for value in (*checkpoint["network"].values(), *buffers)])


# --- many workers -----------------------------------------------------------------------------------------------------


def test_the_digits_are_those_that_scikit_learn_loads() -> None:
    from sklearn.datasets import load_digits

    pixels, labels = map(torch.as_tensor, load_digits(return_X_y=True))
    images, digits = train.digits()
    expected = (pixels / 16).float()
    assert torch.equal(images, expected - expected.mean(0))
    assert torch.equal(digits, labels)


@pytest.mark.parametrize(
    ("workers", "asked"),
    sample([
        # The last batch has 29 images, so the shares of two workers differ.
        (2, [*ADAM, "--batch", 32, "--epochs", 5, "--shard"]),
        (2, [*ADAM, "--batch", 100, "--epochs", 2]),
        # The last batch has 1 image, so two of three workers have none.
        (3, ["--optimizer", "momentum", "--lr", 0.05, "--momentum", 0.9, "--batch", 359, "--epochs", 4, "--shard"]),
    ], (2, [*ADAM, "--batch", 32, "--epochs", 5, "--shard"])),
)  # fmt: skip
def test_several_workers_take_the_path_of_one(workers: int, asked: list[object], here: Here, tmp_path: Path) -> None:
    alone, many = tmp_path / "alone", tmp_path / "many"
    assert here(*asked[:-1] if asked[-1] == "--shard" else asked, "--out", alone)[0] == 0
    code, out, err = run(*torchrun(workers), *asked, "--out", many)
    assert code == 0, err
    assert len(log(many)) == len(log(alone)) == out.count("\n")
    assert log(many)[0][2] > 2 * log(many)[-1][2]
    assert (
        max(abs(a - b) for rows in zip(log(many), log(alone), strict=True) for a, b in zip(*rows, strict=True)) < 1e-12
    )
    assert (numbers(many) - numbers(alone)).abs().max() < 1e-12


LONG = [*ADAM, "--epochs", 40, "--shard"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two workers that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert run(*torchrun(2), *LONG, "--out", out)[0] == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_after_a_worker_was_killed_the_run_goes_on_to_the_bit(killed: int, whole: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    with Started(*torchrun(2, "--max-restarts", 1), *LONG, "--out", broken) as started:
        wait_for(lambda: (broken / "log.csv").exists() and len(log(broken)) > 3)
        started.workers()[killed].send_signal(signal.SIGKILL)
        code, out, err = started.end()
    assert code == 0, err
    went_on = re.search(rf"{broken}/checkpoint.pt holds epoch (\d+) of 40\n", out)
    assert went_on
    assert 3 <= int(went_on[1]) < 40  # in mid-run
    told = [int(epoch) for epoch in re.findall(r"^epoch (\d+),", out, re.M)]
    assert told == sorted({*told})  # none twice; the worker may die between an epoch and its line
    assert (broken / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert torch.equal(numbers(broken), numbers(whole))


def test_a_worker_that_dies_at_the_start_is_started_again(tmp_path: Path) -> None:
    with Started(*torchrun(2, "--max-restarts", 1), *SGD, "--epochs", 2, "--out", tmp_path) as started:
        wait_for(lambda: 1 in started.workers())
        started.workers()[1].kill()
        assert started.end()[0] == 0
    assert len(log(tmp_path)) == 3


def test_a_worker_that_dies_at_the_start_costs_nothing_that_was_there(here: Here, tmp_path: Path) -> None:
    here(*SGD, "--epochs", 1, "--out", tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with Started(*torchrun(2), *SGD, "--epochs", 2000, "--out", tmp_path) as started:
        wait_for(lambda: 1 in started.workers())
        started.workers()[1].kill()
        code, _, err = started.end()
    assert code != 0
    assert "train.py" not in err  # no traceback of ours, in that of torchrun
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_of_several_workers_one_says_what_is_wrong(tmp_path: Path) -> None:
    code, out, err = run(*torchrun(2), *SGD, "--batch", 5000, "--out", tmp_path / "run")
    assert code != 0
    assert not out
    said = "train: batch must be 1 to 1437, the number of images to train on, got 5000"
    assert [line for line in err.splitlines() if line.startswith("train:")] == [said]
    assert "train.py" not in err
    assert not (tmp_path / "run").exists()


def as_worker(port: int) -> dict[str, str]:
    """The variables of worker 0 of 2."""
    return dict(RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = run("-m", train.__name__, *SGD, "--out", tmp_path / "run", **as_worker(port))
    assert (code, out, err) == (2, "", f"train: port {port} is in use; give all workers another MASTER_PORT\n")


def test_a_worker_that_does_not_come_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("", 0)) as free:
        port = free.getsockname()[1]
    program = "import datetime, sys; from optim_code import train; train.WAIT = datetime.timedelta(seconds=2); "
    quiet = dict(as_worker(port), TORCH_CPP_LOG_LEVEL="FATAL")
    code, out, err = run("-c", f"{program}sys.exit(train.main())", *SGD, "--out", tmp_path / "run", **quiet)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("train: worker 0 did not meet all others within 2 s: ")
    assert "1/2 clients joined" in err


# --- what is kept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shard", [[], ["--shard"]])
@pytest.mark.parametrize("name", train.methods())
def test_a_run_in_two_parts_is_the_run_in_one(name: str, shard: list[str], here: Here, tmp_path: Path) -> None:
    hyper = [x for h in train.hyper_parameters(train.methods()[name]) for x in (train.flag(h), VALUES[h])]
    asked, whole, parts = ["--optimizer", name, *hyper, "--batch", 100], tmp_path / "whole", tmp_path / "parts"
    assert here(*asked, "--epochs", 4, "--out", whole)[0] == 0
    assert here(*asked, "--epochs", 2, "--out", parts, *shard)[0] == 0
    code, out, err = here(*asked, "--epochs", 4, "--out", parts, "--resume")
    assert (code, err) == (0, "")
    assert re.findall(r"^epoch (\d)|holds epoch (\d)", out, re.M) == [("", "2"), ("3", ""), ("4", "")]
    assert (parts / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert torch.equal(numbers(parts), numbers(whole))


def test_the_log_is_made_good_where_the_crash_was_after_the_checkpoint(here: Here, tmp_path: Path) -> None:
    here(*SGD, "--epochs", 2, "--out", tmp_path)
    written = (tmp_path / "log.csv").read_text(encoding="utf-8")
    (tmp_path / "log.csv").write_text(written[: written.rstrip().rindex("\n")], encoding="utf-8")
    (tmp_path / "checkpoint.pt.part").write_bytes(b"torn")
    assert here(*SGD, "--epochs", 2, "--out", tmp_path)[0] == 0
    assert (tmp_path / "log.csv").read_text(encoding="utf-8") == written


def test_a_file_is_old_or_new_whenever_writing_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, happened = tmp_path / "file", []

    def fails(at: str) -> Callable[..., None]:
        def full(*arguments: object) -> None:
            happened.append(at)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return full

    train.write(path, b"old")
    for owner, step in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as broken:
            broken.setattr(owner, step, fails(step))
            with pytest.raises(train.Fault, match=r"file can't be written \(No space left on device\)"):
                train.write(path, b"new")
        assert path.read_bytes() == b"old"
    assert happened == ["fsync", "replace"]
    order: list[str] = []
    with monkeypatch.context() as seen:
        for owner, step in ((os, "fsync"), (Path, "replace")):
            done = getattr(owner, step)
            seen.setattr(owner, step, lambda *a, step=step, done=done: (order.append(step), done(*a))[1])
        train.write(path, b"new")
    assert order == ["fsync", "replace", "fsync"]  # the content, the name, the folder
    assert path.read_bytes() == b"new"


def test_a_full_disk_stops_the_run_and_leaves_the_epoch_before(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = train.write, []

    def until_full(path: Path, content: bytes) -> None:
        written.append(path.name)
        if written.count("checkpoint.pt") == 3:
            raise train.Fault(f"{path} can't be written")
        write(path, content)

    monkeypatch.setattr(train, "write", until_full)
    code, _, err = here(*SGD, "--epochs", 5, "--out", tmp_path)
    assert (code, err) == (2, f"train: {tmp_path}/checkpoint.pt can't be written\n")
    assert len(log(tmp_path)) == 2
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "holds epoch 1 of 5" in here(*SGD, "--epochs", 5, "--out", tmp_path)[1]


def test_the_model_is_gone_before_the_process_group_ends(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[weakref.ref[Any]] = []
    destroy, alive = train.dist.destroy_process_group, []

    def model(net: Any) -> Any:
        made = DistributedDataParallel(net)
        models.append(weakref.ref(made))
        return made

    def fails(*_: object) -> None:
        raise train.Fault("it can't be written")

    def end() -> None:
        alive.append(models[-1]() is not None)
        destroy()

    monkeypatch.setattr(train, "DistributedDataParallel", model)
    monkeypatch.setattr(train.dist, "destroy_process_group", end)
    assert here(*SGD, "--epochs", 1, "--out", tmp_path / "whole")[0] == 0
    monkeypatch.setattr(train, "write", fails)
    assert here(*SGD, "--epochs", 1, "--out", tmp_path / "fails")[0] == 2
    assert (len(models), alive) == (2, [False, False])


class Touch:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_damaged_checkpoint_is_refused_and_left(here: Here, tmp_path: Path) -> None:
    path = tmp_path / "run" / "checkpoint.pt"
    here(*SGD, "--epochs", 1, "--out", path.parent)
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    torch.save({"a": 1}, tmp_path / "other")
    torch.save({"settings": Touch(tmp_path / "ran")}, tmp_path / "code")
    others = [(tmp_path / name).read_bytes() for name in ("other", "code")]
    said = f"train: {path} is damaged, or no checkpoint of this program; move it away, and a run begins there\n"
    for content in (good[: len(good) // 2], good[:-1], b"", bytes(flipped), *others):
        path.write_bytes(content)
        assert here(*SGD, "--epochs", 2, "--out", path.parent) == (2, "", said)
        assert path.read_bytes() == content
    assert not (tmp_path / "ran").exists()
    checkpoint = torch.load(io.BytesIO(good), weights_only=True)
    others = {
        "settings": [[1], None, {}],
        "network": [{}, None, {name: x[:1] for name, x in checkpoint["network"].items()}],
        "optimizer": [{}, None, {**checkpoint["optimizer"], "state": {0: {"v": torch.zeros(3)}}}],
        "rows": [None, [], [[1]], [[1, 2, 3, 4, 5]], [["a"] * 5], checkpoint["rows"][1:]],
    }
    for name, parts in others.items():
        for part in parts:
            torch.save({**checkpoint, name: part}, path)
            code, out, err = here(*SGD, "--epochs", 2, "--out", path.parent)
            assert (code, out) == (2, ""), (name, part)
            other = err.startswith(f"train: {path} is of a run with optimizer None, not sgd; ")
            assert other if (name, part) == ("settings", {}) else err == said, (name, part, err)


def test_what_could_not_be_written_leaves_no_part_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(train.Fault):
        train.write(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_two_runs_do_not_write_to_one_folder(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "PATIENCE", 0.2)
    with train.alone_in(tmp_path):
        line = f"train: another run is writing to {tmp_path}; stop it, or choose another --out\n"
        assert here(*SGD, "--epochs", 1, "--out", tmp_path) == (2, "", line)
        assert list(tmp_path.iterdir()) == []
    assert here(*SGD, "--epochs", 1, "--out", tmp_path)[0] == 0


@pytest.mark.slow
def test_workers_whose_torchrun_was_killed_end_and_the_same_command_goes_on(tmp_path: Path) -> None:
    command = [*torchrun(2), *ADAM, "--batch", 100, "--epochs", 2000, "--out", tmp_path]
    with Started(*command) as first:
        wait_for(lambda: (tmp_path / "log.csv").exists() and len(log(tmp_path)) > 2)
        workers = [*first.workers().values()]
        assert len(workers) == 2
        first.process.kill()
        try:
            with Started(*command) as second:
                wait_for(lambda: not any(worker.is_running() for worker in workers))
                went_on = second.process.stdout.readline()
        finally:
            for worker in workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
    assert re.fullmatch(rf"{tmp_path}/checkpoint.pt holds epoch \d+ of 2000\n", went_on)


@pytest.mark.parametrize(
    ("redirect", "said"),
    sample([(">&-", ""), (">/dev/full", "No space left on device"), ("", "Broken pipe")], ("", "Broken pipe")),
)
def test_a_run_goes_on_where_nobody_reads_what_it_prints(redirect: str, said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", train.__name__, *SGD, "--epochs", "3", "--out", str(tmp_path / "run")]
    nobody, pipe = os.pipe()
    os.close(nobody)
    done = subprocess.run(
        ["bash", "-c", f"{shlex.join(command)} {redirect}"], env=ENVIRONMENT, timeout=LIMIT,
        stdout=pipe, stderr=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    os.close(pipe)
    line = f"train: standard output can't be written ({said}); the run goes on, and log.csv has its numbers\n"
    assert done.stderr == (line if said else "")
    assert len(log(tmp_path / "run")) == 4


@pytest.mark.parametrize(
    "variables",
    sample(
        [{"RANK": "abc"}, {"RANK": "0"}, {"WORLD_SIZE": "x"}, {"WORLD_SIZE": "0"}, {"MASTER_PORT": "99999"}],
        {"RANK": "0"},
    ),
)
def test_what_a_shell_has_left_in_the_environment_is_one_line(variables: dict[str, str], tmp_path: Path) -> None:
    others = {} if "RANK" in variables else as_worker(29500)
    code, out, err = run("-m", train.__name__, *SGD, "--out", tmp_path / "run", **{**others, **variables})
    assert (code, out) == (2, "")
    assert re.fullmatch(r"train: RANK, .* are not what torchrun sets \(.*\); unset them, or use torchrun\n", err)


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("--optimizer adan --lr 1", "there is no optimizer adan; did you mean adam?"),
        ("--optimizer xyz --lr 1", "there is no optimizer xyz; take sgd, momentum, rmsprop, adam"),
        ("--optimizer sgd --lr nan", "lr must be finite and >= 0, got nan"),
        ("--optimizer sgd --lr fast", "argument --lr: invalid float value: 'fast'; --help says what there is"),
        ("--optimizer sgd --lr 1 --momentum 0.9", "sgd has no momentum; it takes --lr"),
        ("--optimizer sgd --lr 1 --speed 2", "unrecognized arguments: --speed 2; --help says what there is"),
        ("--optimizer momentum --lr 1 --momentum 1", "momentum must be >= 0 and < 1, got 1.0"),
        ("--optimizer adam --lr 1", "adam needs --alpha and --momentum, too"),
        ("--lr 1", "the following arguments are required: --optimizer; --help says what there is"),
        ("--optimizer sgd --lr 1 --batch 1438", "batch must be 1 to 1437, the number of images to train on, got 1438"),
        ("--optimizer sgd --lr 1 --batch 0", "batch must be 1 to 1437, the number of images to train on, got 0"),
        ("--optimizer sgd --lr 1 --epochs 0", "epochs must be >= 1, and seed >= 0 and < 2**63, got 0 and 0"),
        ("--optimizer sgd --lr 1 --resume", "there is no run/checkpoint.pt to go on from; without --resume a run"),
        ("--optimizer sgd --lr 1 --plot a.png", "plot must be a file in a folder that exists, and end in .pdf or .svg"),
        ("--optimizer sgd --lr 1 --plot no/a.pdf", "plot must be a file in a folder that exists, and end in .pdf or"),
        (f"--optimizer sgd --lr 1 --plot {'x' * 300}/a.pdf", "plot must be a file in a folder that exists, and end in"),
        ("--optimizer sgd --lr 1 --plot folder.svg", "plot must be a file in a folder that exists, and end in .pdf or"),
        (f"--optimizer sgd --lr 1 --resume --out {'x' * 300}", f"the folder {'x' * 300} can't be written (File name"),
        ("--optimizer sgd --lr 1 --out file", "the folder file can't be written (File exists); choose another --out"),
        ("--optimizer sgd --lr 1 --out file/in", "the folder file/in can't be written (Not a directory); choose"),
        ("--optimizer sgd --lr 1 --out /proc", "the folder /proc can't be written (No such file or directory); choose"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_nothing_is_made(
    asked: str, said: str, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder.svg").mkdir()
    code, out, err = here(*asked.split())
    assert (code, out) == (2, "")
    assert err.startswith(f"train: {said}")
    assert err.count("\n") == 1
    assert sorted(os.listdir()) == ["file", "folder.svg"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([*ADAM], "optimizer sgd, not adam"),
        (["--optimizer", "sgd", "--lr", 0.1], "lr 0.2, not 0.1"),
        ([*SGD, "--seed", 1], "seed 0, not 1"),
        ([*SGD, "--batch", 64], "batch 32, not 64"),
    ],
)
def test_the_checkpoint_of_another_run_is_refused_and_left(
    asked: list[str], said: str, here: Here, tmp_path: Path
) -> None:
    here(*SGD, "--epochs", 1, "--out", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    advice = "choose another --out, or give what that run was given"
    line = f"train: {tmp_path}/checkpoint.pt is of a run with {said}; {advice}\n"
    assert here(*asked, "--epochs", 2, "--out", tmp_path) == (2, "", line)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_loss_that_is_not_finite_stops_the_run(here: Here, tmp_path: Path) -> None:
    code, _, err = here("--optimizer", "sgd", "--lr", 1e30, "--out", tmp_path)
    assert (code, err) == (2, "train: the loss is nan after epoch 1; take a smaller lr\n")
    assert len(log(tmp_path)) == 1


def test_the_seed_draws_the_weights_and_the_order(here: Here, tmp_path: Path) -> None:
    for seed in (0, 1):
        assert here(*SGD, "--epochs", 1, "--seed", seed, "--out", tmp_path / str(seed))[0] == 0
    assert log(tmp_path / "0")[0][2] != log(tmp_path / "1")[0][2]


def test_a_run_is_drawn_and_an_old_one_too(here: Here, tmp_path: Path) -> None:
    for name in ("first.pdf", "second.svg"):
        assert here(*SGD, "--epochs", 2, "--out", tmp_path / "run", "--plot", tmp_path / name)[0] == 0
    assert (tmp_path / "first.pdf").read_bytes().startswith(b"%PDF")
    assert "Loss of sgd against epoch: training set falls" in (tmp_path / "second.svg").read_text(encoding="utf-8")


def test_help_names_each_method_and_each_flag(here: Here) -> None:
    code, out, err = here("--help")
    assert (code, err) == (0, "")
    for name, cls in train.methods().items():
        line = re.search(rf"^  {name} +(--.*)$", out, re.M)
        assert line
        assert re.findall(r"--([\w-]+)", line[1]) == [train.flag(h)[2:] for h in train.hyper_parameters(cls)]
    for name in ("optimizer", "lr", "epochs", "batch", "seed", "out", "plot", "shard", "resume"):
        assert re.search(rf"^  --{name} .*\S", out, re.M), name
    assert "the learning rate, finite and >= 0; of sgd," in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.slow
def test_the_examples_of_the_help_run(tmp_path: Path) -> None:
    found = re.findall(r"^  ((?:python|torchrun) .*)", train.EPILOG.replace("\\\n", ""), re.M)
    assert len(found) == 2
    for number, example in enumerate(found):
        command = [word for word in example.split() if word != "python"]
        command = ["-m", "torch.distributed.run", *command[1:]] if command[0] == "torchrun" else command
        command = [tmp_path / word if word.endswith(".pdf") else word for word in command]
        code, out, err = run(*command, "--epochs", "1", "--out", tmp_path / str(number))
        assert code == 0, err
        assert out.count("\n") == 2


def test_the_names_of_the_methods_are_those_of_the_updates() -> None:
    texts = [(ROOT / f"{page}.md").read_text(encoding="utf-8") for page in PAGES if (ROOT / f"{page}.md").exists()]
    assert {*train.methods()} == {
        name for text in texts for name in re.findall(r"^\$\$ \(update-([\w-]+)\)$", text, re.M)
    }


def test_there_is_a_bar_on_a_terminal_only(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [*SGD, "--epochs", 3, "--out"]
    assert here(*arguments, tmp_path / "piped")[2] == ""
    master, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as screen, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        _, out, _ = here(*arguments, tmp_path / "seen")
    shown = b""
    while True:
        try:
            shown += os.read(master, 4096)
        except OSError:  # all is read
            break
    os.close(master)
    assert b"/135 [" in shown
    assert re.findall(r"^epoch (\d)", out, re.M) == ["0", "1", "2", "3"]


def test_it_needs_neither_sphinx_nor_the_book(tmp_path: Path) -> None:
    program = """
import sys
class Absent:
    def find_spec(name, *rest):
        if name.partition(".")[0] in ("sphinx", "myst_nb", "book"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
from optim_code import train
sys.exit(train.main())
"""
    code, _, err = run("-c", program, *SGD, "--epochs", 1, "--out", tmp_path, "--plot", tmp_path / "run.pdf")
    assert code == 0, err


def test_a_kit_without_optimizers_says_so(tmp_path: Path) -> None:
    left_out = shutil.ignore_patterns("optimizers.py", "__pycache__")
    shutil.copytree(ROOT / "optim_code", tmp_path / "optim_code", ignore=left_out)
    code, _, err = run("-m", train.__name__, *SGD, cwd=tmp_path, PYTHONPATH="")
    assert code == 2, err
    assert err == "train: there are no optimizers here; write their classes into optim_code/optimizers.py\n"
