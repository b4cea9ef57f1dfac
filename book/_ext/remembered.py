"""What slow functions gave in earlier builds: a build asks them about every page and cell, of which few have changed.

A function with ``@remembered`` depends on nothing but its arguments and is asked by a digest of them. The results lie
in one file, for one state of the extension and of the installed packages; a file that is damaged counts as none. Only a
command remembers, from `start` to `save`, and only what came of a build without a fault: an error, or a file that was
saved meanwhile, leaves no result. Elsewhere the functions run each time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from book._ext.faults import ROOT
from book._ext.files import named_digest, pins, python_files, text_digest
from book._ext.inpage import parts
from optim_code.equations import sections

P = ParamSpec("P")
R = TypeVar("R")
FILE = ROOT / "_build" / ".remembered"
ROOM = 2_000_000
"""The bytes of results that are kept besides those of the last build, the latest first: an edit may be undone."""
DIGEST = 32


class Results:
    """The results of functions, pickled, by the digests of their arguments.

    Args:
        file: the file that keeps them.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        modules = [*python_files(Path(__file__).parent), *python_files(Path(sections.__file__).parent)]
        self.program = text_digest(named_digest((path.name, path) for path in modules), pins(ROOT), parts.installed())
        self.known: dict[str, bytes] = {}
        self.used: dict[str, bytes] = {}
        with contextlib.suppress(OSError, pickle.UnpicklingError):
            content = file.read_bytes()
            if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
                program, known = pickle.loads(content[DIGEST:])
                self.known = known if program == self.program else {}

    def save(self) -> None:
        """Write the file in one step, if this build has a new result."""
        if self.used.keys() <= self.known.keys():
            return
        room = ROOM
        others = [
            (key, result)
            for key, result in reversed(self.known.items())
            if key not in self.used and (room := room - len(result)) > 0
        ]
        content = pickle.dumps((self.program, {**dict(reversed(others)), **self.used}))
        new = self.file.with_suffix(f".{os.getpid()}")
        try:
            new.write_bytes(hashlib.sha256(content).digest() + content)
            new.replace(self.file)
        except OSError:  # without room the next build asks again
            with contextlib.suppress(OSError):
                new.unlink()


results: Results | None = None


def start() -> None:
    """Remember from now on, for this process, what the last build has kept."""
    global results
    if results is not None:
        return  # a command can build more than once
    results = Results(FILE)
    # The reader of sections is a part of `optim_code`, which knows nothing of builds.
    sections.parsed = functools.lru_cache(maxsize=256)(remembered(sections.parsed))


def save() -> None:
    """Keep the results for the next build, if there is room for them."""
    if results is not None:
        results.save()


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function give what it gave before for the same arguments, each time as an object of its own.

    Its arguments are texts, or what `repr` shows in full; its results can be pickled.
    """
    name = f"{function.__module__}.{function.__qualname__}"

    @functools.wraps(function)
    def ask(*arguments: P.args, **named: P.kwargs) -> R:
        if results is None:
            return function(*arguments, **named)
        said = [value if isinstance(value, str) else repr(value) for value in (*arguments, *named.items())]
        key = text_digest(name, *said)
        if key in results.known:
            results.used[key] = results.known[key]
        if key in results.used:
            known: R = pickle.loads(results.used[key])
            return known
        found = function(*arguments, **named)
        results.used[key] = pickle.dumps(found)
        return found

    return ask
