"""What a build remembers of earlier ones: the results of functions, by their arguments, and nothing that is not so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from book._ext import remembered
from book._ext.remembered import Results
from conftest import ROOT

pytestmark = pytest.mark.quick

asked: list[tuple[str, int]] = []


@remembered.remembered
def split(text: str, size: int = 1) -> list[str]:
    asked.append((text, size))
    return [text[n : n + size] for n in range(0, len(text), size)]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Results]:
    """Begin a build; what the one before has saved is there."""
    asked.clear()

    def begin() -> Results:
        found = Results(tmp_path / "kept")
        monkeypatch.setattr(remembered, "results", found)
        return found

    return begin


def test_the_next_build_does_not_ask_again(build: Callable[[], Results]) -> None:
    first = build()
    assert split("ab") == split("ab") == ["a", "b"]
    assert split("ab", 2) == ["ab"]
    assert split("abc") == ["a", "b", "c"]
    first.save()
    build()
    assert split("ab") == ["a", "b"]
    assert split("ab", 2) == ["ab"]
    assert split("ab", size=3) == ["ab"]
    assert asked == [("ab", 1), ("ab", 2), ("abc", 1), ("ab", 3)]


def test_each_caller_gets_an_object_of_its_own(build: Callable[[], Results]) -> None:
    first = build()
    split("ab").append("c")
    split("ab").append("c")
    assert split("ab") == ["a", "b"]
    first.save()
    build()
    split("ab").append("c")
    assert split("ab") == ["a", "b"]


def test_outside_of_a_command_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "results", None)
    asked.clear()
    assert split("ab") == split("ab")
    assert len(asked) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "text"])
def test_a_damaged_file_counts_as_none(build: Callable[[], Results], damage: str) -> None:
    first = build()
    split("ab")
    first.save()
    content = first.file.read_bytes()
    middle = len(content) // 2
    harm = {"cut": content[:-3], "empty": b"", "text": b"nothing of ours" * 9}
    harm["changed"] = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    first.file.write_bytes(harm[damage])
    assert build().known == {}
    assert split("ab") == ["a", "b"]
    assert len(asked) == 2


def test_another_state_of_the_program_or_of_its_packages_begins_anew(
    build: Callable[[], Results], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build()
    split("ab")
    first.save()
    for part in ("book/_ext", "optim_code/equations"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "npm"))
    monkeypatch.setattr(remembered, "__file__", str(tmp_path / "book" / "_ext" / "remembered.py"))
    monkeypatch.setattr(remembered.sections, "__file__", str(tmp_path / "optim_code" / "equations" / "sections.py"))
    assert build().known  # a copy is the same program
    for module in ("book/_ext/page/plays.py", "optim_code/equations/sections.py"):
        text = (tmp_path / module).read_text()
        (tmp_path / module).write_text(f"{text}\n# another state\n")
        assert build().known == {}
        (tmp_path / module).write_text(text)
    monkeypatch.setattr(remembered, "pins", lambda root: "other packages")
    assert build().known == {}


def test_without_room_nothing_is_kept_and_nothing_is_left(build: Callable[[], Results]) -> None:
    first = build()
    split("ab")
    first.file.mkdir()  # nothing can take the place of a folder
    first.save()
    assert list(first.file.parent.iterdir()) == [first.file]
    assert build().known == {}


def test_what_earlier_builds_asked_is_kept_as_long_as_there_is_room(
    build: Callable[[], Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        current = build()
        split(f"{n}" * 300)
        (result,) = current.used.values()
        monkeypatch.setattr(remembered, "ROOM", 2.5 * len(result))  # of this build one, and two of earlier ones
        current.save()
    asked.clear()
    build()
    for n in (3, 2, 1, 0):
        split(f"{n}" * 300)
    assert [text[0] for text, _ in asked] == ["0"]
