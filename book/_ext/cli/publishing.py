"""Publish a finished book in one step, and find out what of the last build is intact.

A finished build notes digests of its inputs, of its working files and of what it published in `_build/.finished.json`.
The next build makes again whatever differs from the note, so a killed build, a full disk or a damaged file does no
harm. A new book replaces the last one in one step, so readers always find a whole book.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import hashlib
import os
import shutil
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from book._ext.execute.freshness import data_folders
from book._ext.faults import ROOT
from book._ext.files import files_digest, pins, read_json, source_files, text_digest, write_json
from book._ext.inpage import parts
from book._ext.sources.editions import EDITIONS
from optim_code.equations.sections import name_of

BUILD = ROOT / "_build"
WORK = BUILD / ".work"
FINISHED = BUILD / ".finished.json"
CHECKSUMS = BUILD / ".checksums.json"
LASTING = "DESCENT_WARM"
"""The environment variable of a build of the preview; its value is the folder of the preview's kernel server."""
PUBLISHED = ("html", "figures")
"""The folders that `publish` replaces for `make html`."""
KEPT_WORK = (".doctrees", "html", "figures", "jupyter_execute")
"""The working files that the next build uses. The other ones belong to TeX, which checks them itself."""
SOURCES = ("_config.yml", "_toc.yml", "requirements.txt", "book", "optim_code")
"""What pages are made from, besides data."""
# After a change to one of these, Sphinx builds all pages again; the outputs of their cells are kept.
CONFIGURED_BY = ("_config.yml", "_toc.yml", "requirements.txt", "book/_ext", "book/_templates")
EXCHANGE, AT_FDCWD = 2, -100
# Sphinx's own note about the settings: it depends on the folder of the installed packages.
left_out = shutil.ignore_patterns(".buildinfo")


def work_of(builder: str, edition: str) -> str:
    """The name of the folder below `WORK` in which a builder builds an edition."""
    return builder if edition == EDITIONS[0] else f"{edition}-{builder}"


@contextlib.contextmanager
def build_lock() -> Iterator[None]:
    """Wait until no other build of this tree runs, and hold the lock. The system releases it if a build is killed."""
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
    """All files and folders that the book is made from: the usual ones, and what the last build read elsewhere."""
    elsewhere = read_note().get("elsewhere", [])
    return [path for path in (*usual_sources(), *(ROOT / name for name in elsewhere)) if path.exists()]


def usual_sources() -> list[Path]:
    """`SOURCES`, and all other folders and files in which a cell may find data."""
    return list(dict.fromkeys([*(ROOT / name for name in SOURCES), *data_folders(ROOT)]))


def note_sources(read: Iterable[Path]) -> bool:
    """Note which files and folders a build has read that are not among the usual ones.

    Args:
        read: all files and folders that it has read.

    Returns:
        Whether the note has changed.
    """
    usual, elsewhere = {*source_files(*usual_sources())}, set()
    # Generated files are no sources, and installed packages are pinned.
    places = (BUILD, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")))
    no_sources = [path for place in places for path in (place, place.resolve())]
    for path in (Path(os.path.normpath(path)) for path in read):
        if not usual.issuperset(source_files(path)) and not any(path.is_relative_to(place) for place in no_sources):
            elsewhere.add(name_of(path, ROOT))
    is_new = sorted(elsewhere) != read_note().get("elsewhere", [])
    if is_new:
        write_note(elsewhere=sorted(elsewhere))
    return is_new


def input_digests() -> dict[str, str]:
    """A digest of each file that the book is made from, by its name, and one of what is installed."""
    files = {name_of(path, ROOT): files_digest(path) for path in source_files(*sources()) if path.is_file()}
    return {**files, "what is installed": text_digest(pins(ROOT), parts.installed())}


def input_digest(digests: dict[str, str] | None = None) -> str:
    """A digest of all that the book is made from: of these digests, or of the files as they are now."""
    found = input_digests() if digests is None else digests
    return text_digest(*(f"{name}\0{found[name]}" for name in sorted(found)))


def config_digest() -> str:
    """A digest of `CONFIGURED_BY` and of the bibliographies."""
    bibliographies = sorted(path for path in source_files(*sources()) if path.suffix == ".bib")
    present = [path for path in [*(ROOT / name for name in CONFIGURED_BY), *bibliographies] if path.exists()]
    return text_digest(files_digest(*present), pins(ROOT))


def read_note() -> dict[str, Any]:
    """The note about what is finished."""
    return read_json(FINISHED)


def write_note(**parts: str | list[str]) -> None:
    """Add entries to the note about what is finished."""
    write_json(FINISHED, {**read_note(), **parts})


def keep_known_checksums() -> None:
    """Keep the checksums of files for the next build of the preview."""
    if LASTING in os.environ:
        write_json(CHECKSUMS, {path: sum for path, sum in known_checksums().items() if os.path.exists(path)})


def bytes_digest(*paths: Path) -> str:
    """A digest of these files and of all files in these folders, including hidden ones.

    A command such as `make html` reads each file once, and again if its size, its time or its number has changed. The
    preview, which builds often, also knows what its last build has read.
    """
    known = known_checksums()
    below = [Path(root, name) for path in paths for root, _, names in os.walk(path) for name in names]
    sha = hashlib.sha256()
    for path in sorted(os.fspath(path) for path in (*paths, *below) if path.is_file()):
        status = os.stat(path)
        state = [status.st_size, status.st_mtime_ns, status.st_ino]
        if path not in known or known[path][1:] != state:
            known[path] = [hashlib.sha256(Path(path).read_bytes()).hexdigest(), *state]
        sha.update(f"{path.removeprefix(os.fspath(BUILD))}\0{known[path][0]}\0".encode())
    return sha.hexdigest()


@functools.cache
def known_checksums() -> dict[str, Any]:
    """For each file that this build has read, or the last one of the preview: its digest, size, time and number."""
    found = read_json(CHECKSUMS) if LASTING in os.environ else {}
    return {path: sum for path, sum in found.items() if isinstance(sum, list)}


def published_digest() -> str:
    return bytes_digest(*(BUILD / name for name in PUBLISHED))


def note_pdfs(work: str, names: Iterable[str]) -> None:
    """Note from which state of the book these PDFs in `_build/pdf` were made."""
    made_from = read_note()[f"{work} inputs"]
    write_note(**{f"pdf {name}": f"{made_from} {files_digest(BUILD / 'pdf' / f'{name}.pdf')}" for name in names})


def current_pdfs() -> dict[str, Path]:
    """The PDFs in `_build/pdf` that were made from the book as it is now, by name."""
    note, now = read_note(), input_digest()
    found = {path.stem: path for path in sorted((BUILD / "pdf").glob("*.pdf"))}
    return {name: path for name, path in found.items() if note.get(f"pdf {name}") == f"{now} {files_digest(path)}"}


def work_digest(builder: str) -> str:
    return bytes_digest(*(WORK / builder / name for name in KEPT_WORK))


def remove_untrusted_work(builder: str) -> None:
    """Remove the leftovers of killed builds, and working files that differ from the note or the settings."""
    note = read_note()
    for name in (*PUBLISHED, "pdf", "slides", "student", "assignment"):
        place, old, new = places(name)
        if old.exists() and not place.exists():
            old.rename(place)  # a build was killed between the two steps of `publish`
        for leftover in (old, new):
            shutil.rmtree(leftover, ignore_errors=True)
    if note.get(f"{builder} config") != config_digest() or note.get(f"{builder} work") != work_digest(builder):
        shutil.rmtree(WORK / builder, ignore_errors=True)


def places(name: str) -> tuple[Path, Path, Path]:
    """A published folder, and the names that it has while `publish` replaces it: the old one and the new one."""
    return BUILD / name, BUILD / f".{name}.old", BUILD / f".{name}.new"


def publish(builder: str, *names: str) -> None:
    """Replace published folders by those that a builder has made, each in one step if the system can.

    Args:
        builder: the name of the folder below `WORK`.
        names: the folders in it.
    """
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
    """Copy a file of a tree, or link it if the last book has the same file: nobody writes to a published file."""
    there = last + file.removeprefix(source)
    with contextlib.suppress(OSError):
        old, new = os.stat(there), os.stat(file)
        if (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns):
            os.link(there, target)
            return target
    return str(shutil.copy2(file, target))


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step. Returns False if the system cannot do that."""
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


def write_checksum(path: Path) -> None:
    """Write the digest of a file or a folder beside it, which marks it as complete."""
    path.with_suffix(".checksum").write_text(bytes_digest(path), encoding="utf-8")


def is_intact(path: Path) -> bool:
    """Whether a file or a folder is unchanged since its checksum was written."""
    try:
        return path.with_suffix(".checksum").read_text(encoding="utf-8") == bytes_digest(path)
    except OSError:
        return False
