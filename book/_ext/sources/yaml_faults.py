"""Find the faults of YAML: where it cannot be read, and where it silently loses a part of what was written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Any

from book._ext.sources.findings import SourceFault
from optim_code.equations.sections import Page


def read_yaml(page: Page, text: str, first: int, what: str) -> tuple[Any, list[SourceFault]]:
    """Read YAML in a page.

    Args:
        page: the page.
        text: the YAML.
        first: its first line in the page.
        what: a name for it in messages.

    Returns:
        Its value, and its faults: where it cannot be read, or loses a part of the text.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(text, loader)
    except yaml.YAMLError as error:
        line, reason = why_not_yaml(text, error)
        return None, [SourceFault(page, first + line, f"{what} cannot be read: {reason}")]
    lines, faults = text.split("\n"), []
    if "#" in text or "\\" in text or text.count(":") > 1:
        for node, key in scalars(yaml.compose(text, loader)):
            line = node.start_mark.line
            if key is DOUBLE:
                reason = f"{node.value} stands twice; join the two"
                faults.append(SourceFault(page, first + line, f"{what}: {reason}"))
            elif lost := lost_in(node, lines):
                faults.append(SourceFault(page, first + node.start_mark.line, f"{what}: {lost}"))
    return value, faults


def read_plain(page: Page, text: str, first: int, what: str) -> tuple[Any, list[SourceFault]]:
    """As `read_yaml`, for the options of a directive that is no cell: MyST reads them as names and texts."""
    from myst_parser.parsers.options import TokenizeError, options_to_items

    text = textwrap.dedent(text)
    try:
        items, state = options_to_items(text)
    except TokenizeError as error:
        reason = next(text for pattern, text in REASONS if re.search(pattern, error.problem))
        return None, [SourceFault(page, first + error.problem_mark.line, f"{what} cannot be read: {reason}")]
    faults, seen = [], set()
    for number, line in enumerate(text.split("\n")):
        found = re.match(r"([\w-]+):(?:\s+(.*)|$)", line)
        name, value = (found[1], found[2] or "") if found else ("", line)
        if name in seen:
            faults.append(SourceFault(page, first + number, f"{what}: {name} stands twice; join the two"))
        seen |= {name} if name else set()
        quoted = re.match(r"\"(?:[^\"\\]|\\.)*\"?|'(?:[^']|'')*'?", value)
        eaten = EATEN.search(value) if value.startswith('"') else None
        lost = re.search(r"(?:^|\s)(#\S*)", value[quoted.end() if quoted else 0 :])
        if eaten:
            reason = f"{eaten[1]} in double quotes loses its backslash; write single quotes"
            faults.append(SourceFault(page, first + number, f"{what}: {reason}"))
        elif lost and state.has_comments:
            reason = f"all from {lost[1]} on is lost, as a comment; put the text in quotes"
            faults.append(SourceFault(page, first + number, f"{what}: {reason}"))
    return dict(items), faults


DOUBLE = object()
"""Marks a key that a mapping has twice."""


def scalars(node: Any, key: Any = None) -> Iterator[tuple[Any, Any]]:
    """The scalars of a YAML document, each with its key, and the second of two equal keys, with `DOUBLE`."""
    import yaml

    if isinstance(node, yaml.ScalarNode):
        yield node, key
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from scalars(item, key)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                if name.value in seen:
                    yield name, DOUBLE
                seen.add(name.value)
            yield from scalars(value, getattr(name, "value", None))


EATEN = re.compile(r"(?<!\\)(?:\\\\)*(\\(?:[abefrvx]|nabla|ne|nu|not|times|tau|theta|text|to|tan|tilde)[A-Za-z]*)")
"""A command of LaTeX in double quotes, whose first letter YAML reads as the name of a character."""


def lost_in(node: Any, lines: list[str]) -> str:
    """A message about what YAML loses of a scalar; empty if it loses nothing."""
    start, end = node.start_mark, node.end_mark
    if node.style == '"':
        source = "\n".join(lines[start.line : end.line + 1])
        found = EATEN.search(source, start.column)
        return f"{found[1]} in double quotes loses its backslash; write single quotes" if found else ""
    if node.style in ("'", "|", ">") or end.line >= len(lines):
        return ""
    rest = lines[end.line][end.column :].strip()
    # After a number or a single word, a text that looks like a comment is one.
    is_text, no_space = node.tag.endswith((":str", ":null")), bool(rest[1:2].strip())
    if rest.startswith("#") and is_text and (" " in node.value or no_space):
        return f"all from {rest.split()[0]} on is lost, as a comment; put the text in quotes"
    return ""


# What to say about errors of the parsers; the first pattern that fits gives the message.
REASONS = (
    (r"mapping values are not allowed", "a colon inside a text; put the text in quotes"),
    (r"'\\t'", "a tab; write spaces"),
    (r"got '?<stream end>|expected ',' or|unexpected end of stream", "a bracket or a quote is not closed; close it"),
    (r"not find expected ':'|expected ':'", "a line without a colon; write name: value"),
    (r"cannot start any token|undefined alias|expected alphabetic|unknown escape",
     "a sign that no text begins with; put the text in quotes"),
    (r"expected key to start", "words after a quote, or a line that is indented; put the whole text in quotes"),
    (r"expected <block end>", "a line that is indented otherwise than the one above it; indent both alike"),
    (r"could not determine a constructor|tag", "a text that begins with !; put it in quotes"),
)  # fmt: skip


def why_not_yaml(text: str, error: Any) -> tuple[int, str]:
    """Where and why a text is not YAML.

    Args:
        text: the text.
        error: the error of the parser.

    Returns:
        The line, counted from 0, and the reason with what to do.
    """
    import yaml

    try:
        # The parser in Python reports more than the one in C.
        yaml.load(text, yaml.loader.SafeLoader)
    except yaml.YAMLError as other:
        error = other
    mark, problem = getattr(error, "problem_mark", None), str(getattr(error, "problem", None) or error)
    reason = next((text for pattern, text in REASONS if re.search(pattern, problem)), None)
    context = getattr(error, "context_mark", None)
    if reason and reason.startswith("a bracket") and context is not None:
        mark = context
    line = text.split("\n")[mark.line] if mark and mark.line <= text.count("\n") else ""
    if "expected <block end>" in problem and re.search(r""":\s+(["'\[{])""", line):
        reason = "words after a quote or a bracket; put the whole text in quotes"
    if "mapping values" in problem and re.fullmatch(r"\s*[\w-]+:(\s[^:]*)?", line):
        reason = "a line that is indented otherwise than the one above it; indent both alike"
    if reason is None:
        reason = f"{problem.splitlines()[0]}; put texts in quotes"
    at = mark.line if mark else 0
    if reason.startswith("a line without") and context is not None:
        at = context.line
    return min(at, max(text.count("\n") - 1, 0)), reason
