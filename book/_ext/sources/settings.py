"""Check `_config.yml` and `_toc.yml`, and make from them the Sphinx configuration that `jupyter-book build .` uses."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from book._ext.faults import ROOT, Fault, one_line
from book._ext.sources.editions import EDITIONS, student_contents
from book._ext.sources.findings import near
from book._ext.sources.yaml_faults import lost_in, why_not_yaml
from optim_code.equations.sections import SectionError, read_text

PAPERS = ("a4paper", "letterpaper", "legalpaper", "executivepaper", "a5paper", "b5paper")
POINT_SIZES = ("10pt", "11pt", "12pt")
REPLACED = (
    "geometry", "fontpkg", "fncychap", "maketitle", "tableofcontents", "contentsname", "tocdepth", "secnumdepth",
    "title", "author", "date", "release", "releasename",
)  # fmt: skip
"""Keys of `latex_elements` that have no effect, because the style of the book replaces them."""


POINTS = {name: {"type": "integer", "minimum": 0} for name in ("class", "answer")}
FORMS = {
    "cover": ({"type": "string"}, "write the name of one figure, as in its fname, without .pdf"),
    "slides": (
        {"type": "array", "items": {"type": "string"}},
        "write a list of names, each as in the fname of a figure, without .pdf",
    ),
    "exercise_points": (
        {"type": "object", "properties": POINTS, "required": list(POINTS), "additionalProperties": False},
        "write {class: 10, answer: 5}, with whole numbers",
    ),
    "numfig_format": ({"type": "object"}, "write {figure: Figure %s}"),
    **dict.fromkeys(
        ("html_css_files", "html_js_files", "html_static_path", "html_extra_path", "templates_path"),
        ({"type": "array"}, "write a list of names, such as [one, two]"),
    ),
}
"""Settings below ``sphinx: config:`` of which Sphinx would say too little: their schemas, and what to write."""

EXECUTION = {
    "execute_notebooks": ("cache", "leave cells or figures out", "write cache"),
    "exclude_patterns": ([], "leave cells or figures out", "take it out"),
    "allow_errors": (False, "let a cell fail", "write false"),
    "raise_on_error": (True, "let a cell fail", "write true"),
}
"""Settings below ``execute:`` that a book must not change: the value, what another one would do, and what to do."""


def read_settings(edition: str, folder: Path) -> dict[str, Any]:
    """Check `_config.yml` and `_toc.yml`, and make Sphinx's configuration for an edition of them.

    Args:
        edition: one of `EDITIONS`.
        folder: the working folder of the edition; the student's table of contents is written there.

    Returns:
        The configuration.

    Raises:
        Fault: if one of the files is wrong; with the file, and with the line if possible.
    """
    import yaml
    from jupyter_book.config import get_final_config

    check_config(read_yaml(ROOT / "_config.yml"), ROOT / "_config.yml")
    toc = ROOT / "_toc.yml"
    contents = read_yaml(toc)
    check_contents(toc)
    if edition != EDITIONS[0]:
        toc = folder / toc.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            contents = student_contents(contents, ROOT)
        except SectionError as error:
            raise Fault(str(error)) from error
        toc.write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")
    overrides = {"external_toc_path": toc.as_posix(), "latex_individualpages": False}
    with contextlib.redirect_stdout(sys.stderr):
        config, _ = get_final_config(user_yaml=ROOT / "_config.yml", cli_config=overrides, sourcedir=ROOT)
    # `cell_fault` reports a failing cell, with its place.
    suppressed = [*config.get("suppress_warnings", []), "mystnb.exec"]
    return {**config, "suppress_warnings": suppressed, "edition": edition}


def read_yaml(path: Path) -> Any:
    """The value in a YAML file.

    Raises:
        Fault: if the file does not exist, is not UTF-8 or not YAML; with the line.
    """
    import yaml

    try:
        text = read_text(path)
        return yaml.safe_load(text)
    except SectionError as error:
        missing = f"{path.name}: No such file or directory; the book needs it at its top level"
        raise Fault(str(error) if path.is_file() else missing) from error
    except yaml.YAMLError as error:
        line, reason = why_not_yaml(text, error)
        mark = getattr(error, "problem_mark", None)
        number = mark.line + 1 if mark else line + 1
        there = f" (opened in line {line + 1})" if number != line + 1 else ""
        raise Fault(f"{path.name}:{number}: not YAML: {reason}{there}") from error


def check_config(config: Any, path: Path) -> None:
    """Refuse settings that Jupyter Book would ignore: a key that it does not know, a value of the wrong type.

    Args:
        config: the settings.
        path: their file.

    Raises:
        Fault: with the line.
    """
    import yaml
    from jupyter_book.config import PATH_YAML_DEFAULT, get_validator

    if not isinstance(config, dict):
        raise Fault("_config.yml: holds no settings; put the book's title, author and the rest back")
    lines = lines_of(path)
    for error in get_validator().iter_errors(config):
        place = ".".join(str(part) for part in error.absolute_path)
        line = lines.get(tuple(error.absolute_path), 1)
        how = "put it in quotes" if error.message.endswith("is not of type 'string'") else "fix that value"
        raise Fault(f"_config.yml: {place}: {one_line(error.message)} (line {line}); {how}")
    known = yaml.safe_load(PATH_YAML_DEFAULT.read_text(encoding="utf-8"))
    known["bibtex_bibfiles"], known["execute"]["raise_on_error"], known["execute"]["show_tb"] = [], False, False
    unknown: list[tuple[tuple[Any, ...], Any]] = [((key,), known) for key in config if key not in known]
    for key, value in config.items():
        if key != "sphinx" and isinstance(value, dict) and isinstance(known.get(key), dict):
            unknown += [((key, name), known[key]) for name in value if name not in known[key]]
    for keys, names in unknown:
        fault = f"_config.yml: Jupyter Book knows no setting {': '.join(map(str, keys))} (line {lines[keys]})"
        raise Fault(f"{fault}; {near(str(keys[-1]), map(str, names)) or 'fix its name or take it out'}")
    if not (config.get("title") or "").strip():
        raise Fault("_config.yml: there is no title; write one, such as title: Descent")
    check_print(config)
    if "repository" in config:
        said = "repository: has no effect; write repository_url below sphinx and config, and take this out"
        raise Fault(f"_config.yml:{lines['repository',]}: {said}")
    own = (config.get("sphinx") or {}).get("config") or {}
    for key, (schema, how) in FORMS.items():
        if key in own and not get_validator().evolve(schema=schema).is_valid(own[key]):
            line = lines["sphinx", "config", key]
            raise Fault(f"_config.yml:{line}: {key}: {one_line(own[key])} is not what it takes; {how}")
    for key in own:
        if re.match(r"(nb_|jupyter_)?exec", str(key)):
            line = lines["sphinx", "config", key]
            raise Fault(f"_config.yml:{line}: {key}: how cells run is set below execute: at the top; take this out")
    for key, value in (config.get("execute") or {}).items():
        if key in EXECUTION and value != EXECUTION[key][0]:
            line, (_, fault, how) = lines["execute", key], EXECUTION[key]
            raise Fault(f"_config.yml:{line}: {key}: {value} would {fault}; {how}")
    for kind, text in (own.get("numfig_format") or {}).items():
        try:
            text % "1.2"
        except (TypeError, ValueError):
            line = lines["sphinx", "config", "numfig_format", kind]
            said = f"numfig_format: {kind}: {one_line(text)} has no place for a number"
            raise Fault(
                f"_config.yml:{line}: {said}; write %s where it goes, such as {str(kind).capitalize()} %s"
            ) from None
    for name in config.get("bibtex_bibfiles", []):
        if not (path.parent / name).is_file():
            line = lines["bibtex_bibfiles",]
            fault = f"_config.yml: names {name} (line {line}), but there is no such file"
            raise Fault(f"{fault}; write it or fix bibtex_bibfiles")


def lines_of(path: Path) -> dict[tuple[Any, ...], int]:
    """The line of each entry of a YAML file, by the keys and indices that lead to it.

    Raises:
        Fault: if YAML would ignore a part of the file: the first of two values for a key, a text after a #.
    """
    import yaml

    text = read_text(path)
    lines: dict[tuple[Any, ...], int] = {}

    def note_lines(node: Any, keys: tuple[Any, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                key = (*keys, name.value if name.tag.endswith(":str") else yaml.safe_load(name.value))
                if key in lines:
                    what, line = key[-1], name.start_mark.line + 1
                    how = "begin a new entry with -" if what in ("file", "url") else "take one of the two out"
                    raise Fault(f"{path.name}:{line}: {what} stands at line {lines[key]} already; {how}")
                lines[key] = name.start_mark.line + 1
                note_lines(value, key)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                lines[(*keys, number)] = item.start_mark.line + 1
                note_lines(item, (*keys, number))
        elif isinstance(node, yaml.ScalarNode) and (lost := lost_in(node, text.split("\n"))):
            raise Fault(f"{path.name}:{node.start_mark.line + 1}: {lost}")

    note_lines(yaml.compose(text, yaml.SafeLoader), ())
    return lines


# The keys that a table of contents can have: at its top, for texts, for lists, in an entry, in a part.
TOP = ("format", "root", "parts", "chapters", "sections", "defaults", "meta", "options", "title")
TEXTS = ("title", "caption", "file", "root", "glob", "url")
LISTS = ("parts", "chapters", "sections", "entries", "subtrees")
ENTRY = ("file", "url", "glob", "title", "sections", "options", "parts", "chapters", "subtrees", "entries")
PART = ("caption", "chapters", "numbered", "maxdepth", "hidden", "reversed", "titlesonly", "style", "restart_numbering")


def find_page(name: str, pages: Iterable[str]) -> str:
    """The page that is meant by ``adam``, ``a/adam`` or ``book/a/adam.md``; empty if there is none, or several."""
    wanted = name.removeprefix("./").removesuffix(".md")
    fitting = [page for page in pages if f"/{page}".endswith(f"/{wanted}")] if wanted else []
    return fitting[0] if len(fitting) == 1 else wanted if wanted in fitting else ""


def line_in(path: Path, words: str) -> str:
    """File and line of the last place with some words; the name of the file if it does not hold them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pattern = re.compile(rf"(?<![\w/.-]){re.escape(words)}(?![\w/-])")
    number = next((n for n in range(len(lines), 0, -1) if pattern.search(lines[n - 1])), 0)
    return f"{path.name}:{number}" if number else path.name


def check_print(config: dict[str, Any]) -> None:
    """Refuse settings of LaTeX that the print of the book (`handouts`, `descentprint.sty`) does not use."""
    elements = ((config.get("sphinx") or {}).get("config") or {}).get("latex_elements") or {}
    path = ROOT / "_config.yml"
    if not isinstance(elements, dict):
        raise Fault(f"{line_in(path, 'latex_elements')}: latex_elements: not a list of keys with values; fix it")
    for key, known in {"papersize": PAPERS, "pointsize": POINT_SIZES}.items():
        if key in elements and elements[key] not in known:
            fault = f"latex_elements: {key}: {elements[key]!r} is none that LaTeX knows"
            raise Fault(f"{line_in(path, f'{key}:')}: {fault}; write one of {', '.join(known)}")
    for key in REPLACED:
        if elements.get(key):
            style = "book/_ext/printing/descentprint.sty"
            fault = f"latex_elements: {key}: has no effect, because {style} replaces it"
            raise Fault(f"{line_in(path, f'{key}:')}: {fault}; change it there, or in latex_elements: preamble")


def check_contents(toc: Path = ROOT / "_toc.yml") -> Any:
    """Check a table of contents.

    Args:
        toc: its file.

    Returns:
        A `SiteMap` of sphinx-external-toc.

    Raises:
        Fault: with the line.
    """
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    contents = read_yaml(toc)
    if not isinstance(contents, dict):
        raise Fault("_toc.yml: names no pages; begin it with format: jb-book and root: book/intro")
    lines = lines_of(toc)
    if contents.get("format") not in ("jb-book", "jb-article"):
        raise Fault(f"_toc.yml:{lines.get(('format',), 1)}: the format is not given; write format: jb-book")
    if "root" not in contents:
        raise Fault("_toc.yml: names no first page; write root: book/intro below format: jb-book")
    named: dict[str, int] = {}
    check_entry(contents, (), lines, named)
    try:
        return parse_toc_yaml(toc)
    except MalformedError as error:
        raise Fault(f"_toc.yml: {one_line(error)}; see Jupyter Book's table of contents, format jb-book") from error


def check_entry(entry: Any, keys: tuple[Any, ...], lines: dict[tuple[Any, ...], int], named: dict[str, int]) -> None:
    """Check a part of a table of contents, and all below it.

    Args:
        entry: the part.
        keys: the keys and indices that lead to it.
        lines: the line of each entry, by the keys and indices that lead to it.
        named: the lines of the pages that the file has named so far; this part adds its pages.
    """
    where = f"_toc.yml:{lines.get(keys, 1)}"
    if not isinstance(entry, dict):
        name = str(entry or "…").removeprefix("file:").strip()
        raise Fault(f"{where}: no entry that it takes; write - file: {name}, with a space after the colon")
    takes = PART if keys and keys[-2] in ("parts", "subtrees") else ENTRY if keys else TOP
    for key, value in entry.items():
        place = f"_toc.yml:{lines.get((*keys, key), lines.get(keys, 1))}"
        if key not in takes:
            raise Fault(f"{place}: there is no {key} here; {near(str(key), takes) or 'it takes ' + ', '.join(takes)}")
        if key in TEXTS and not isinstance(value, str):
            how = "put it in quotes" if value is not None else "write it behind the colon"
            raise Fault(f"{place}: the {key}{'' if value is None else f' {value}'} is no text; {how}")
        if key in ("options", "defaults", "meta") and not isinstance(value, dict):
            raise Fault(f"{place}: {key} takes settings below it, indented, each as name: value; write them so")
        if key in LISTS:
            if not isinstance(value, list) or not value:
                raise Fault(f"{place}: {key} has no list below it; write - file: … there, a line for each page")
            for number, item in enumerate(value):
                check_entry(item, (*keys, key, number), lines, named)
        if key in ("file", "root"):
            check_file(value, lines.get((*keys, key), 1), named)
    if takes is PART and "chapters" not in entry and "entries" not in entry:
        raise Fault(f"{where}: the part has no chapters; write chapters: and its pages below it")
    both = [key for key in LISTS if key in entry]
    if len(both) > 1:
        place = f"_toc.yml:{lines[(*keys, both[-1])]}"
        raise Fault(f"{place}: {both[0]} and {both[-1]} side by side; put one below the other")
    if keys and takes is ENTRY and not {"file", "url", "glob"} & set(entry):
        raise Fault(f"{where}: the entry names no page; write file: and its name")


def check_file(value: str, line: int, named: dict[str, int]) -> None:
    """Check the name of a page in a table of contents."""
    name = value.removesuffix(".md")
    if "\\" in name:
        raise Fault(f"_toc.yml:{line}: a backslash in {value}; write /")
    if name in named:
        raise Fault(f"_toc.yml:{line}: {name} stands at line {named[name]} already; take one of the two out")
    named[name] = line
    if not (ROOT / f"{name}.md").is_file():
        folder, _, last = name.rpartition("/")
        hint = near(last, [path.stem for path in (ROOT / folder).glob("*.md")])
        hint = hint or f"write it or take line {line} out"
        raise Fault(f"_toc.yml: names {name}, but there is no {name}.md (line {line}); {hint}")
