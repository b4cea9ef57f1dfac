"""The Sphinx configuration that `jupyter-book build .` would use, the files it comes from checked first."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optim_code.sections import SectionError

from .editions import EDITIONS, contents_of
from .faults import ROOT, Fault, one_line

PAPERS = ("a4paper", "letterpaper", "legalpaper", "executivepaper", "a5paper", "b5paper")
POINT_SIZES = ("10pt", "11pt", "12pt")
REPLACED = (
    "geometry",
    "fontpkg",
    "fncychap",
    "maketitle",
    "tableofcontents",
    "contentsname",
    "tocdepth",
    "secnumdepth",
    "title",
    "author",
    "date",
    "release",
    "releasename",
)
"""Keys of `latex_elements` whose effect the style of the book replaces; in ours some are empty, which says the same."""


def read_settings(edition: str, folder: Path) -> dict[str, Any]:
    """Check `_config.yml` and `_toc.yml`, and make Sphinx's configuration for an edition of them.

    Args:
        edition: one of `EDITIONS`.
        folder: where the edition is made; a table of contents that is not the book's is written there.

    Raises:
        Fault: naming the file, and where it can the line, that is wrong.
    """
    import yaml
    from jupyter_book.config import get_final_config

    check_config(read_yaml(ROOT / "_config.yml"))
    toc = ROOT / "_toc.yml"
    contents = read_yaml(toc)
    check_contents(toc)
    if edition != EDITIONS[0]:
        toc = folder / toc.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            contents = contents_of(contents, ROOT)
        except SectionError as error:
            raise Fault(str(error)) from error
        toc.write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")
    overrides = {"external_toc_path": toc.as_posix(), "latex_individualpages": False}
    with contextlib.redirect_stdout(sys.stderr):
        config, _ = get_final_config(user_yaml=ROOT / "_config.yml", cli_config=overrides, sourcedir=ROOT)
    # A failing cell is reported by ourselves, with its place.
    suppressed = [*config.get("suppress_warnings", []), "mystnb.exec"]
    return {**config, "suppress_warnings": suppressed, "edition": edition}


def read_yaml(path: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fault(f"{path.name}: {error.strerror}; the book needs it at its top level") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise Fault(f"{path.name}{line}: not YAML: {getattr(error, 'problem', error)}; mend that line") from error


def check_config(config: Any) -> None:
    """Refuse what Jupyter Book would pass over in silence: a key that it does not know, a value of the wrong kind."""
    import yaml
    from jupyter_book.config import PATH_YAML_DEFAULT, get_validator

    if not isinstance(config, dict):
        raise Fault("_config.yml: holds no settings; put the book's title, author and the rest back")
    for error in get_validator().iter_errors(config):
        place = ".".join(str(part) for part in error.absolute_path)
        raise Fault(f"_config.yml: {place}: {one_line(error.message)}; mend that value")
    known = yaml.safe_load(PATH_YAML_DEFAULT.read_text(encoding="utf-8"))
    known["bibtex_bibfiles"], known["execute"]["raise_on_error"], known["execute"]["show_tb"] = [], False, False
    unknown = [key for key in config if key not in known]
    for key, value in config.items():
        if key != "sphinx" and isinstance(value, dict) and isinstance(known.get(key), dict):
            unknown += [f"{key}: {name}" for name in value if name not in known[key]]
    if unknown:
        raise Fault(f"_config.yml: Jupyter Book knows no setting {unknown[0]}; mend its name or take it out")
    if not (config.get("title") or "").strip():
        raise Fault("_config.yml: there is no title; write one, such as title: Descent")
    check_print(config)
    for name in config.get("bibtex_bibfiles", []):
        if not (ROOT / name).is_file():
            raise Fault(f"_config.yml: names {name}, but there is no such file; write it or mend bibtex_bibfiles")


def read_contents() -> Any:
    """The table of contents, checked: a `SiteMap` of sphinx-external-toc.

    Raises:
        Fault: if it is not there, not a table of contents, or names a page that is not there.
    """
    read_yaml(ROOT / "_toc.yml")
    return check_contents(ROOT / "_toc.yml")


def find_page(name: str, pages: Iterable[str]) -> str:
    """The page that somebody means by ``adam``, ``a/adam`` or ``book/a/adam.md``; nothing if it is none, or not one."""
    wanted = name.removeprefix("./").removesuffix(".md")
    found = [page for page in pages if f"/{page}".endswith(f"/{wanted}")] if wanted else []
    return found[0] if len(found) == 1 else wanted if wanted in found else ""


def line_in(path: Path, text: str) -> str:
    """A file of the top level and the line of it that a text last stands in, as far as it does, for a message."""
    lines = path.read_text(encoding="utf-8").splitlines()
    number = next((n for n in range(len(lines), 0, -1) if text in lines[n - 1]), 0)
    return f"{path.name}:{number}" if number else path.name


def check_print(config: dict[str, Any]) -> None:
    """Refuse what the book's own print (`handouts`, `descentprint.sty`) could not honour, or would silently replace."""
    asked = ((config.get("sphinx") or {}).get("config") or {}).get("latex_elements") or {}
    path = ROOT / "_config.yml"
    if not isinstance(asked, dict):
        raise Fault(f"{line_in(path, 'latex_elements')}: latex_elements: not a list of keys with values; fix it")
    for key, known in {"papersize": PAPERS, "pointsize": POINT_SIZES}.items():
        if key in asked and asked[key] not in known:
            said = f"latex_elements: {key}: {asked[key]!r} is none that LaTeX knows"
            raise Fault(f"{line_in(path, f'{key}:')}: {said}; write one of {', '.join(known)}")
    for key in REPLACED:
        if asked.get(key):
            said = f"latex_elements: {key}: has no effect, for book/_ext/descentprint.sty says what it would"
            raise Fault(f"{line_in(path, f'{key}:')}: {said}; change it there, or in latex_elements: preamble")


def check_contents(toc: Path) -> Any:
    from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

    try:
        site = parse_toc_yaml(toc)
    except MalformedError as error:
        raise Fault(f"_toc.yml: {one_line(error)}; see Jupyter Book's table of contents, format jb-book") from error
    missing = [doc for doc in site if not (ROOT / f"{doc.removesuffix('.md')}.md").is_file()]
    if missing:
        raise Fault(f"_toc.yml: names {missing[0]}, but there is no {missing[0]}.md; write it or take the line out")
    return site
