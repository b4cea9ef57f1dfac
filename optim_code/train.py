"""Train the network of digits with an optimizer of the book, in one process or in several side by side.

A program: ``python -m optim_code.train --help`` says how to use it. It writes a checkpoint and a CSV of the run into a
folder, and goes on from that checkpoint when it is started again.
"""

from __future__ import annotations

import os

if __name__ == "__main__":  # torch reads this on import; without it, a lost worker prints pages of C++ frames
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")

import argparse
import contextlib
import csv
import difflib
import inspect
import io
import math
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from optim_code.digits import digits, network, squared_loss
from optim_code.optim import RANGES, Optim

TRAINING = 1437
"""How many of the images are trained on; the others are the test set."""
WAIT = timedelta(seconds=60)
"""How long a worker waits for the others, at the start and in each exchange."""
RANK = int(rank) if (rank := os.environ.get("RANK", "0")).isdecimal() else 0
"""The number of this worker, from 0, as torchrun gives it."""
PATIENCE = 10.0
"""Seconds for which a run waits until another one has left its folder: one whose torchrun was killed ends soon."""
COLUMNS = ("epoch", "step", "loss", "test_loss", "test_accuracy")
"""What is kept of each epoch: the losses are those after it, on the whole training set and on the whole test set."""
EPILOG = """
examples:
  python -m optim_code.train --optimizer sgd --lr 0.2
  torchrun --standalone --nproc-per-node 2 --max-restarts 3 \\
    -m optim_code.train --optimizer adam --lr 0.01 --alpha 0.999 --momentum 0.9 --shard --plot adam.pdf

Several workers share each batch, and take the steps that one alone would take. torchrun starts them, each on a GPU of
its own, or on the CPU where there is no GPU (CUDA_VISIBLE_DEVICES= hides them). If a worker dies, torchrun starts all
again, and the run goes on from its last whole epoch. It also does if you stop it, and give the same command again.
torchrun adds many lines of its own when a worker ends early: the one that begins with "train:" says why.
--standalone takes a free port. Without it torchrun takes 29500, and fails by itself if another program has that one:
add --standalone, or --master-port and another number.

In the folder of the run, checkpoint.pt is the last whole epoch, and log.csv has a row for each.
"""
Result = TypeVar("Result")


class Fault(Exception):
    """A fault that a person can fix; its message is one line that says what is wrong and what to do."""


# --- what is asked for ---


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Fault(f"{message}; --help says what there is")


def parser() -> Parser:
    """The flags of the program, those of all hyper-parameters among them."""
    takes = {name: hyper_parameters(cls) for name, cls in methods().items()}
    lines = ["optimizers, and what each takes (in brackets: what may be left out):"]
    for name, hypers in takes.items():
        flags = (flag(h) if default is None else f"[{flag(h)} {default:g}]" for h, default in hypers.items())
        lines.append(f"  {name:<10} {' '.join(flags)}")
    made = Parser(
        prog="python -m optim_code.train",
        description="Train a small network to read handwritten digits, with an optimizer of the book.",
        epilog="\n".join(lines) + "\n" + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("--optimizer", required=True, metavar="NAME", help=f"the method: {', '.join(takes)}")
    for hyper in dict.fromkeys(h for hypers in takes.values() for h in hypers):
        where = ", ".join(name for name, hypers in takes.items() if hyper in hypers)
        text = f"{meaning(hyper)}, {RANGES[hyper][0] if hyper in RANGES else 'a number'}; of {where}"
        made.add_argument(flag(hyper), type=float, metavar="X", default=argparse.SUPPRESS, help=text)
    for name, count, text in (
        ("--epochs", 20, "passes through the training set"),
        ("--batch", 32, "images a step, of all workers together"),
        ("--seed", 0, "of the weights, and of the order of the images"),
    ):
        made.add_argument(name, type=int, default=count, metavar="N", help=f"{text} (default {count})")
    made.add_argument("--out", type=Path, default=Path("run"), metavar="DIR", help="folder of the run (default run)")
    made.add_argument("--plot", type=Path, metavar="FILE", help="draw the losses at the end, as .pdf or .svg")
    made.add_argument("--shard", action="store_true", help="split the optimizer's state over the workers (ZeRO)")
    made.add_argument("--resume", action="store_true", help="only go on: stop if DIR has no checkpoint")
    return made


def methods() -> dict[str, type[Optim]]:
    """The optimizers of the book, by the names of their updates, which are what their docstrings begin with.

    Raises:
        Fault: in a student's kit, which has none.
    """
    try:
        from optim_code import optimizers
    except ImportError:
        raise Fault("there are no optimizers here; write their classes into optim_code/optimizers.py") from None
    found = {}
    for cls in vars(optimizers).values():
        if isinstance(cls, type) and issubclass(cls, Optim) and cls is not Optim:
            name, colon, _ = (cls.__doc__ or "").partition(":")
            found[(name if colon and name.isalpha() else cls.__name__.removesuffix("Optimizer")).lower()] = cls
    return found


def hyper_parameters(cls: type[Optim]) -> dict[str, float | None]:
    """The hyper-parameters that a constructor takes, with their defaults; None for one that must be given."""
    parameters = list(inspect.signature(cls).parameters.values())[1:]
    return {p.name: None if p.default is p.empty else p.default for p in parameters}


def flag(hyper: str) -> str:
    return f"--{hyper.replace('_', '-')}"


def meaning(hyper: str) -> str:
    """What a hyper-parameter is: the first words about it in a docstring."""
    found = (re.search(rf"^ +{hyper}: (.+?)(?: :math:|[.;,]|$)", cls.__doc__ or "", re.M) for cls in methods().values())
    return next((match[1] for match in found if match), hyper)


def read_arguments(argv: list[str] | None) -> argparse.Namespace:
    """The run that the command line asks for, with all hyper-parameters of its optimizer in ``hyper``.

    Raises:
        Fault: for a flag, a method or a value that cannot be.
    """
    run, known = parser().parse_args(argv), methods()
    run.optimizer = run.optimizer.lower()
    if run.optimizer not in known:
        near = difflib.get_close_matches(run.optimizer, known, 1, 0.5)
        advice = f"did you mean {near[0]}?" if near else f"take {', '.join(known)}"
        raise Fault(f"there is no optimizer {run.optimizer}; {advice}")
    takes = hyper_parameters(known[run.optimizer])
    others = {hyper for cls in known.values() for hyper in hyper_parameters(cls)} - takes.keys()
    if unknown := [hyper for hyper in vars(run) if hyper in others]:
        raise Fault(f"{run.optimizer} has no {unknown[0]}; it takes {', '.join(map(flag, takes))}")
    run.hyper = {hyper: getattr(run, hyper, default) for hyper, default in takes.items()}
    if lacking := [flag(hyper) for hyper, value in run.hyper.items() if value is None]:
        raise Fault(f"{run.optimizer} needs {' and '.join(lacking)}, too")
    try:
        known[run.optimizer]([torch.zeros(1)], **run.hyper)
    except ValueError as error:
        raise Fault(str(error)) from None
    if not 1 <= run.batch <= TRAINING:
        raise Fault(f"batch must be 1 to {TRAINING}, the number of images to train on, got {run.batch}")
    if run.epochs < 1 or not 0 <= run.seed < 2**63:
        raise Fault(f"epochs must be >= 1, and seed >= 0 and < 2**63, got {run.epochs} and {run.seed}")
    possible = run.plot and run.plot.suffix in (".pdf", ".svg") and is_folder(run.plot.parent)
    if run.plot and (not possible or is_folder(run.plot)):
        raise Fault(f"plot must be a file in a folder that exists, and end in .pdf or .svg, got {run.plot}")
    return run


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False


# --- what is kept ---


def settings(run: argparse.Namespace) -> dict[str, Any]:
    """What decides the trajectory; the number of workers does not."""
    return {"optimizer": run.optimizer, **run.hyper, "batch": run.batch, "seed": run.seed}


def open_folder(run: argparse.Namespace, held: contextlib.ExitStack) -> dict[str, Any] | None:
    """Make the folder of the run if need be, keep other runs out of it, and read its checkpoint.

    Args:
        run: what is asked for.
        held: what is left at the end of the run; it gets the folder.

    Returns:
        The checkpoint; None if there is none.

    Raises:
        Fault: for a folder that can't be written or that another run writes to, or a checkpoint that is missing,
            damaged, or of another run.
    """
    path, ours = run.out / "checkpoint.pt", settings(run)
    try:
        if run.resume and not path.exists():
            raise Fault(f"there is no {path} to go on from; without --resume a run begins there")
        run.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=run.out).close()
    except OSError as error:
        raise Fault(f"the folder {run.out} can't be written ({error.strerror}); choose another --out") from None
    held.enter_context(alone_in(run.out))
    if not path.exists():
        return None
    checkpoint = read_checkpoint(path)
    theirs = checkpoint["settings"]
    if differ := [name for name in ours if theirs.get(name) != ours[name]]:
        said = f"{differ[0]} {theirs.get(differ[0])}, not {ours[differ[0]]}"
        raise Fault(f"{path} is of a run with {said}; choose another --out, or give what that run was given")
    if not fits(run, checkpoint):
        raise Fault(damaged(path))
    write_log(run, checkpoint["rows"])
    return checkpoint


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder until the end of the block, or of this process.

    Raises:
        Fault: if another run is still there after `PATIENCE`.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    lock, began = os.open(folder, os.O_RDONLY), time.monotonic()
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() - began > PATIENCE:
                    raise Fault(f"another run is writing to {folder}; stop it, or choose another --out") from None
                time.sleep(0.1)
                continue
            except OSError:
                pass  # a file system of another machine may have no locks
            break
        yield
    finally:
        os.close(lock)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, and nothing in it that could run code.

    Raises:
        Fault: if it is damaged, or was written by another program.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch writes checksums, and doesn't look at them
            whole = archive.testzip() is None
        checkpoint = torch.load(path, map_location="cpu", weights_only=True) if whole else {}
    except Exception:  # a damaged file raises nearly anything
        checkpoint = {}
    parts = {"settings": dict, "network": dict, "optimizer": dict, "rows": list}
    if not isinstance(checkpoint, dict) or checkpoint.keys() != parts.keys():
        raise Fault(damaged(path))
    if not all(isinstance(checkpoint[name], kind) for name, kind in parts.items()):
        raise Fault(damaged(path))
    return checkpoint


def damaged(path: Path) -> str:
    return f"{path} is damaged, or no checkpoint of this program; move it away, and a run begins there"


def fits(run: argparse.Namespace, checkpoint: dict[str, Any]) -> bool:
    """Whether a run can go on from what is in a checkpoint: the weights, the optimizer's state and the rows."""
    net = network(run.seed).double()
    optimizer = methods()[run.optimizer](net.parameters(), **run.hyper)
    try:
        net.load_state_dict(checkpoint["network"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        numbers = [[float(number) for number in row] for row in checkpoint["rows"]]
    except Exception:  # what torch raises depends on what is wrong
        return False
    kept = [(p, buffer) for p, state in optimizer.state.items() for buffer in state.values() if torch.is_tensor(buffer)]
    counted = [row[0] for row in numbers] == [*range(len(numbers))]
    return counted and {len(row) for row in numbers} == {len(COLUMNS)} and all(p.shape == b.shape for p, b in kept)


def keep(run: argparse.Namespace, net: nn.Module, optimizer: torch.optim.Optimizer, rows: list[list[float]]) -> None:
    """Write the checkpoint and the log.

    Raises:
        Fault: if they can't be written, or the loss is not finite.
    """
    epoch, _, loss, *_ = rows[-1]
    if not math.isfinite(loss):
        raise Fault(f"the loss is {loss} after epoch {epoch}; take a smaller lr")
    content = io.BytesIO()
    whole = dict(settings=settings(run), network=net.state_dict(), optimizer=optimizer.state_dict(), rows=rows)
    torch.save(whole, content)
    write(run.out / "checkpoint.pt", content.getvalue())
    write_log(run, rows)


def write_log(run: argparse.Namespace, rows: list[list[float]]) -> None:
    """Write the CSV, all of it from the rows of a checkpoint, so that a restart neither repeats a row nor loses one."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    write(run.out / "log.csv", text.getvalue().encode())


def write(path: Path, content: bytes) -> None:
    """Write a file so that after a crash at any moment the old one is there or the new one, and never a part of one.

    Raises:
        Fault: if it can't be written; the old one is left.
    """
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        if os.name == "posix":  # the new name must reach the disk, too
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()  # on a full disk it would be in the way of the next run
        raise Fault(f"{path} can't be written ({error.strerror}); what was there is left as it was") from None


def draw(run: argparse.Namespace, rows: list[list[float]]) -> None:
    """Draw the losses of the run."""
    from optim_code.figures import draw_lines  # matplotlib takes a second to import

    losses = {"training set": [row[2] for row in rows], "test set": [row[3] for row in rows]}
    try:
        draw_lines(losses, ylabel=f"loss of {run.optimizer}", xlabel="epoch", fname=run.plot)
    except OSError as error:
        raise Fault(f"{run.plot} can't be written ({error.strerror}); the run is kept, choose another --plot") from None


# --- the workers ---


def meet() -> torch.device:
    """Wait until all workers are there; a process that nobody gave a number is the only one.

    Returns:
        Where this worker computes.

    Raises:
        Fault: if one doesn't come, the port is in use, or there are too few GPUs.
    """
    device = torch.device("cpu")
    if torch.cuda.is_available():
        device, there = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))), torch.cuda.device_count()
        if device.index >= there:
            raise Fault(f"worker {RANK} has no GPU, there are {there}; CUDA_VISIBLE_DEVICES= trains on the CPU")
        torch.cuda.set_device(device)
    torch.set_num_threads(1)  # the network is small, and so sums are rounded in the same order everywhere
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT, **meeting_place())
    except ValueError as error:
        names = "RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT"
        raise Fault(f"{names} are not what torchrun sets ({first_line(error)}); unset them, or use torchrun") from None
    except dist.DistError as error:
        if "EADDRINUSE" in str(error):
            port = os.environ["MASTER_PORT"]
            raise Fault(f"port {port} is in use; give all workers another MASTER_PORT") from None
        raise Fault(f"worker {RANK} did not meet all others within {WAIT.seconds} s: {first_line(error)}") from None
    return device


def meeting_place() -> dict[str, Any]:
    """Where the workers find each other, for ``init_process_group``; empty where torch finds it by itself."""
    env = os.environ
    if "RANK" not in env:
        return dict(store=dist.HashStore(), rank=0, world_size=1)  # type: ignore[attr-defined]
    if "TORCHELASTIC_RESTART_COUNT" in env and env["LOCAL_WORLD_SIZE"] == env["WORLD_SIZE"]:
        # torchrun keeps one store for all restarts, with the addresses of dead workers in it, so each start gets a part
        # of its own. On several machines the counts can differ, and a start that meets an old address is repeated.
        address = env["MASTER_ADDR"], int(env["MASTER_PORT"])
        store = dist.TCPStore(*address, is_master=False, timeout=WAIT)  # type: ignore[attr-defined]
        part = dist.PrefixStore(f"start-{env['TORCHELASTIC_RESTART_COUNT']}", store)  # type: ignore[attr-defined]
        return dict(store=part, rank=RANK, world_size=int(env["WORLD_SIZE"]))
    return {}


def on_first(action: Callable[[], Result]) -> Result:
    """Let worker 0 do something, and give all the result. If it fails, worker 0 says why, and all stop."""
    result: list[Any] = [False, None]
    if RANK == 0:
        try:
            result = [True, action()]
        except Fault as fault:
            say(fault)
    dist.broadcast_object_list(result)
    if not result[0]:
        sys.exit(2)
    return result[1]


def first_line(error: Exception) -> str:
    """The first line of torch's message, without the place in its C++ sources and without advice."""
    line = str(error).strip().partition("\n")[0]
    return re.sub(r"\[/\S+\] |\. This is typically .*|\.$", "", line)


def say(fault: object) -> None:
    print(f"train: {fault}", file=sys.stderr, flush=True)


# --- the training ---


class Examples(NamedTuple):
    """Images, of shape (examples, 64), and their labels, of shape (examples,)."""

    images: Tensor
    labels: Tensor

    def share(self, places: Tensor) -> Examples:
        """This worker's share of the examples at some places; shares differ by one at most, and may be empty."""
        mine = places.tensor_split(dist.get_world_size())[dist.get_rank()]
        return Examples(self.images[mine], self.labels[mine])


def train(run: argparse.Namespace, device: torch.device) -> None:
    """Train from the start, or from where the checkpoint ends, and keep each epoch.

    All is in float64. What two workers add up is rounded in another way than what one adds up, and Adam can make that
    larger: in float32 to 1e-5 and more within ten epochs.
    """
    with contextlib.ExitStack() as held:
        checkpoint = on_first(lambda: open_folder(run, held))
        go_on(run, device, checkpoint)


def go_on(run: argparse.Namespace, device: torch.device, checkpoint: dict[str, Any] | None) -> None:
    """Train from where a checkpoint ends, or from the start if there is none."""
    started_by = os.getppid()
    images, labels = digits()
    data = Examples(images.to(device, torch.float64), labels.to(device))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    training, test = order[:TRAINING], order[TRAINING:]
    net = network(run.seed).to(device, torch.float64)
    model = DistributedDataParallel(net)
    optimizer = make_optimizer(run, model)
    rows: list[list[float]] = []
    if checkpoint:
        net.load_state_dict(checkpoint["network"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        rows = checkpoint["rows"]
    steps, done = math.ceil(TRAINING / run.batch), max(len(rows) - 1, 0)
    # The bar is for a terminal: with None there is none elsewhere.
    total, disable = max(run.epochs, done) * steps, None if RANK == 0 else True
    with tqdm(total=total, initial=done * steps, unit="step", leave=False, disable=disable) as bar:

        def tell(line: str) -> None:
            if RANK == 0:
                write_line(bar, line)

        if rows:
            tell(f"{run.out / 'checkpoint.pt'} holds epoch {done} of {max(run.epochs, done)}")
        for epoch in range(len(rows), run.epochs + 1):
            if "TORCHELASTIC_RUN_ID" in os.environ and os.getppid() != started_by:
                raise Fault("torchrun has ended before its workers; the same command goes on from the last whole epoch")
            if epoch:  # before the first, the network is measured only
                # The order depends on nothing but the seed and the epoch, so that a restart repeats it.
                shuffled = training[np.random.default_rng([run.seed, epoch]).permutation(TRAINING)]
                for batch in torch.split(shuffled, run.batch):
                    step(model, optimizer, data.share(batch), len(batch))
                    bar.update()
            rows.append([epoch, epoch * steps, *measure(net, data, training, test)])
            if run.shard:
                optimizer.consolidate_state_dict()  # type: ignore[attr-defined]  # collects all parts at worker 0
            on_first(lambda: keep(run, net, optimizer, rows))
            tell("epoch {}, step {}: loss {:.5f}, test loss {:.5f}, test accuracy {:.1%}".format(*rows[-1]))
    if run.plot:
        on_first(lambda: draw(run, rows))


def write_line(bar: tqdm[Any], line: str) -> None:
    """Write a line above the bar; where nobody reads it any more, say so once, and nothing else from then on."""
    try:
        bar.write(line)
        sys.stdout.flush()
    except OSError as error:
        say(f"standard output can't be written ({error.strerror}); the run goes on, and log.csv has its numbers")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def make_optimizer(run: argparse.Namespace, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer. Sharded, each worker keeps the state of some parameters, updates those, and sends them round."""
    cls = methods()[run.optimizer]
    if run.shard:
        from torch.distributed.optim import ZeroRedundancyOptimizer  # warns of what torch itself does

        return ZeroRedundancyOptimizer(model.parameters(), cls, **run.hyper)
    return cls(model.parameters(), **run.hyper)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, mine: Examples, batch: int) -> None:
    """Take one step.

    Args:
        model: the network; its backward pass averages the gradients over the workers.
        optimizer: its optimizer.
        mine: this worker's share of the batch.
        batch: the number of examples in the whole batch.
    """
    optimizer.zero_grad()
    # Not the mean of the share: shares can differ, and then the average of their means is not the mean of the batch.
    loss = summed_loss(model(mine.images), mine.labels) * dist.get_world_size() / batch
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def summed_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """The sum of the losses of the examples, which is 0 if there are none."""
    return squared_loss(outputs, labels) * len(labels) if len(labels) else outputs.sum()


def measure(net: nn.Module, data: Examples, training: Tensor, test: Tensor) -> list[float]:
    """The loss on the training set, the loss on the test set, and the share of the test set that is read right."""
    sums = []
    with torch.no_grad():
        for places in (training, test):
            mine = data.share(places)
            outputs = net(mine.images)
            sums += [summed_loss(outputs, mine.labels), (outputs.argmax(1) == mine.labels).sum().double()]
    total = torch.stack(sums)
    dist.all_reduce(total)
    loss, _, test_loss, right = total.tolist()
    return [loss / len(training), test_loss / len(test), right / len(test)]


def main(argv: list[str] | None = None) -> int:
    """Run the program, and return its exit code."""
    if sys.stdout is None or sys.stderr is None:  # the process was started without them
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 (open to the end)
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    try:
        if {"-h", "--help"} & {*(sys.argv[1:] if argv is None else argv)}:
            print(parser().format_help() if RANK == 0 else "", end="")
            return 0
        device = meet()
        train(on_first(lambda: read_arguments(argv)), device)
        return 0
    except SystemExit as ended:
        # While it is on its way out, the model lives on in its frames. As the last to know the process group it would
        # end that with Python locked, and a thread of the group may be waiting for just this lock.
        return int(ended.code or 0)
    except Fault as fault:
        say(fault)
        return 2
    except KeyboardInterrupt:
        if RANK == 0:
            say("stopped; the same command goes on from the last whole epoch")
        return 130
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        say(f"worker {RANK} lost another; the same command goes on from the last whole epoch ({first_line(error)})")
        return 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


if __name__ == "__main__":
    sys.exit(main())
