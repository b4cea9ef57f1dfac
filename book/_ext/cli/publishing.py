"""What is in `_build` can be trusted, whatever happened to the build before: a kill, a full disk, a damaged file.

A finished build notes a hash of its inputs, of what it left to work on, and of what it published. What differs from its
note is made anew. A book takes the place of the last one in one step, so there is no moment without a whole one.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from book._ext.execute.freshness import pins
from book._ext.faults import ROOT
from book._ext.files import files_digest, read_json, text_digest, write_json
from book._ext.sources.editions import EDITIONS

BUILD = ROOT / "_build"
WORK = BUILD / ".work"
FINISHED = BUILD / ".finished.json"
CHECKSUMS = BUILD / ".checksums.json"
LASTING = "DESCENT_WARM"
"""The variable that tells a build that it is one of many, and of the kernel server that stays for them."""
PUBLISHED = ("html", "figures")
# What a build goes on from. The rest of the work folder is TeX's, which looks after itself.
KEPT_WORK = (".doctrees", "html", "figures", "jupyter_cache", "jupyter_execute")
# All that a page can come from.
SOURCES = ("_config.yml", "_toc.yml", "requirements.txt", "book", "optim_code")
# A change to one of these builds all pages anew; their cells come from the cache.
CONFIGURED_BY = ("_config.yml", "_toc.yml", "requirements.txt", "book/_ext", "book/_templates")
EXCHANGE, AT_FDCWD = 2, -100
# Sphinx's note for itself, of the configuration: it differs with the folder that all is installed in.
left_out = shutil.ignore_patterns(".buildinfo")


def work_of(builder: str, edition: str) -> str:
    """The name of the folder, below `WORK`, in which a builder makes an edition."""
    return builder if edition == EDITIONS[0] else f"{edition}-{builder}"


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """Wait until no other build of this tree runs; the system ends the wait, however that build ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    with (BUILD / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another build of this book is running; waiting for it to finish", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sources() -> list[Path]:
    """All files and folders that the book is made from: those of every book, and what the last build read elsewhere."""
    elsewhere = read_note().get("elsewhere", [])
    return [path for path in (ROOT / name for name in (*SOURCES, *elsewhere)) if path.exists()]


def note_sources(read: Iterable[Path]) -> bool:
    """Note what a build has read that does not lie in the folders of every book; whether that is new.

    Args:
        read: the pages, what they include and show, and the folders where their data lies.
    """
    usual, elsewhere = [ROOT / name for name in SOURCES], set()
    for path in (Path(os.path.normpath(path)) for path in read):
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
        # What is generated is no source, and what is installed is pinned.
        if name and not name.startswith((".", "_build")) and not any(path.is_relative_to(folder) for folder in usual):
            elsewhere.add(name)
    is_new = sorted(elsewhere) != read_note().get("elsewhere", [])
    if is_new:
        write_note(elsewhere=sorted(elsewhere))
    return is_new


def input_digest() -> str:
    """A hash of all that the book is made from."""
    return text_digest(files_digest(*sources()), pins(ROOT))


def config_digest() -> str:
    bibliographies = sorted(path for folder in sources() for path in folder.rglob("*.bib"))
    present = [path for path in [*(ROOT / name for name in CONFIGURED_BY), *bibliographies] if path.exists()]
    return text_digest(files_digest(*present), pins(ROOT))


def read_note() -> dict[str, Any]:
    return read_json(FINISHED)


def write_note(**parts: str | list[str]) -> None:
    """Add to the note of what is finished, in one step."""
    write_json(FINISHED, {**read_note(), **parts})


def keep_known_checksums() -> None:
    if LASTING in os.environ:
        write_json(CHECKSUMS, {path: sum for path, sum in known_checksums().items() if os.path.exists(path)})


def bytes_digest(*folders: Path) -> str:
    """A hash of all files in these folders, hidden ones too.

    A command reads each of them. The preview builds again and again: it believes the system that a file with the same
    size and time is the one that it read before.
    """
    known = known_checksums() if LASTING in os.environ else {}
    below = [Path(root, name) for folder in folders for root, _, names in os.walk(folder) for name in names]
    sha = hashlib.sha256()
    for path in sorted(os.fspath(path) for path in below if path.is_file()):
        status = os.stat(path)
        state = [status.st_size, status.st_mtime_ns, status.st_ino]
        if path not in known or known[path][1:] != state:
            known[path] = [hashlib.sha256(Path(path).read_bytes()).hexdigest(), *state]
        sha.update(f"{path.removeprefix(os.fspath(BUILD))}\0{known[path][0]}\0".encode())
    return sha.hexdigest()


@functools.cache
def known_checksums() -> dict[str, Any]:
    """For each file that the last build of the preview has read: a hash of it, its size, its time, its number."""
    found = read_json(CHECKSUMS)
    return {path: sum for path, sum in found.items() if isinstance(sum, list)}


def published_digest() -> str:
    return bytes_digest(*(BUILD / name for name in PUBLISHED))


def note_pdfs(work: str, names: Iterable[str]) -> None:
    """Note of these PDFs, by their names below `_build/pdf`, of which state of the book they are."""
    made_from = read_note()[f"{work} inputs"]
    write_note(**{f"pdf {name}": f"{made_from} {files_digest(BUILD / 'pdf' / f'{name}.pdf')}" for name in names})


def current_pdfs() -> dict[str, Path]:
    """The PDFs in `_build/pdf` that are of the book as it stands now, by name."""
    note, now = read_note(), input_digest()
    found = {path.stem: path for path in sorted((BUILD / "pdf").glob("*.pdf"))}
    return {name: path for name, path in found.items() if note.get(f"pdf {name}") == f"{now} {files_digest(path)}"}


def work_digest(builder: str) -> str:
    return bytes_digest(*(WORK / builder / name for name in KEPT_WORK))


def remove_untrusted_work(builder: str) -> None:
    """Make room for a build: leftovers of one that was killed go, and whatever is not as the last one left it."""
    note = read_note()
    for name in (*PUBLISHED, "pdf", "slides", "student", "assignment"):
        place, old, new = places(name)
        if old.exists() and not place.exists():
            old.rename(place)  # killed between the two steps that exchange needs where the system has no single one
        for leftover in (old, new):
            shutil.rmtree(leftover, ignore_errors=True)
    if note.get(f"{builder} config") != config_digest() or note.get(f"{builder} work") != work_digest(builder):
        shutil.rmtree(WORK / builder, ignore_errors=True)


def places(name: str) -> tuple[Path, Path, Path]:
    return BUILD / name, BUILD / f".{name}.old", BUILD / f".{name}.new"


def publish(builder: str, *names: str) -> None:
    """Put what a builder made in the place of the last good one, each in one step."""
    untouched = PUBLISHED if read_note().get("published") == published_digest() else ()
    for name in names:
        place, old, new = places(name)
        source = WORK / builder / name
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)
        link = functools.partial(link_or_copy, source=os.fspath(source), last=os.fspath(place))
        try:
            copy = link if name in untouched else shutil.copy2
            shutil.copytree(source, new, ignore=left_out, copy_function=copy)
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise
        if not place.exists():
            new.rename(place)
        elif exchange(new, place):
            shutil.rmtree(new, ignore_errors=True)
        else:
            place.rename(old)
            new.rename(place)
            shutil.rmtree(old, ignore_errors=True)


def link_or_copy(file: str, target: str, source: str, last: str) -> str:
    """Copy a file of a tree, or, if the last book has it already, link it: a published file is never written to."""
    there = last + file.removeprefix(source)
    with contextlib.suppress(OSError):
        old, new = os.stat(there), os.stat(file)
        if (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
            os.link(there, target)
            return target
    return str(shutil.copy2(file, target))


def exchange(one: Path, other: Path) -> bool:
    """Let two folders change places, in one step; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def write_checksum(folder: Path) -> None:
    """Note that a folder is whole."""
    folder.with_suffix(".checksum").write_text(bytes_digest(folder), encoding="utf-8")


def is_intact(folder: Path) -> bool:
    """Whether a folder is as it was when it was when its checksum was written."""
    try:
        return folder.with_suffix(".checksum").read_text(encoding="utf-8") == bytes_digest(folder)
    except OSError:
        return False
