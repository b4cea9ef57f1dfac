"""The own settings of the book in `_config.yml`: a wrong value is one line that says where it stands, what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from book._ext.faults import Fault
from book._ext.sources.settings import check_config, read_yaml
from conftest import ROOT

LIST = "write a list of names, each as in the fname of a figure, without .pdf"
FIGURE = "write the name of one figure, as in its fname, without .pdf"
POINTS = "write {class: 10, answer: 5}, with whole numbers"


def checked(text: str, folder: Path) -> None:
    path = folder / "_config.yml"
    path.write_text(text, encoding="utf-8")
    (folder / "book").mkdir()
    (folder / "book" / "references.bib").write_text("", encoding="utf-8")
    check_config(read_yaml(path), path)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("cover", "", FIGURE),
        ("cover", "[race]", FIGURE),
        ("slides", "adam_noise_example", LIST),
        ("slides", "[adam, 5]", LIST),
        ("slides", "[[adam]]", LIST),
        ("slides", "{adam: 1}", LIST),
        ("slides", "", LIST),
        ("exercise_points", "10", POINTS),
        ("exercise_points", "{class: 10}", POINTS),
        ("exercise_points", "{class: 10, answer: five}", POINTS),
        ("exercise_points", "{class: 10, answer: -1}", POINTS),
        ("exercise_points", "{class: 10, answer: true}", POINTS),
        ("exercise_points", "{class: 10, answer: 5, other: 1}", POINTS),
        ("exercise_points", "[10, 5]", POINTS),
    ],
)
def test_a_wrong_value_is_named_with_its_line(key: str, value: str, what: str, tmp_path: Path) -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    # The key with the list below it, if it has one, gives way to the wrong value.
    wrong, found = re.subn(rf"^    {key}:.*\n(      - .*\n)*", f"    {key}: {value}\n", text, flags=re.M)
    assert found == 1
    line = wrong[: wrong.index(f"    {key}:")].count("\n") + 1
    with pytest.raises(Fault) as fault:
        checked(wrong, tmp_path)
    assert re.fullmatch(rf"_config\.yml:{line}: {key}: .+ is not what it takes; {re.escape(what)}", str(fault.value))


@pytest.mark.parametrize(
    "settings", ["cover: ''", "cover: race", "slides: []", "slides: [adam]", "exercise_points: {answer: 0, class: 3}"]
)
def test_a_right_value_is_taken(settings: str, tmp_path: Path) -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    key = settings.partition(":")[0]
    checked(re.sub(rf"^    {key}:.*\n(      - .*\n)*", f"    {settings}\n", text, flags=re.M), tmp_path)
