"""Leave out of a style sheet what no page of the book can use: more than half of Bootstrap and of the theme.

A rule stays unless each of its selectors names a class or an id that no page has and no script contains as a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from book._ext.remembered import remembered

NAME = re.compile(r"[\w-]+")
GIVEN = re.compile(r"""\s(?:class|id)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.I)
PUT_TOGETHER = "bs-"
"""How the names begin that Bootstrap's script puts together from parts, so that they occur nowhere as a whole."""
GROUPS = ("media", "supports")
"""The rules that hold other rules."""


def names_in(pages: Iterable[str], scripts: Iterable[str]) -> set[str]:
    """All that may be the name of a class or of an id: what elements of these pages have, and all words of scripts."""
    return set[str]().union(*map(given_in, pages), *map(words_in, scripts))


@remembered
def given_in(page: str) -> set[str]:
    """The classes and ids of a page."""
    return {name for values in GIVEN.findall(page) for name in "".join(values).split()}


@remembered
def words_in(script: str) -> set[str]:
    """All words of a script or a style sheet."""
    return {*NAME.findall(script)}


def asked_for(css: str, names: Iterable[str]) -> list[str]:
    """Those of these names that a style sheet can ask for, in order; it may write a name with backslashes in it."""
    words = words_in(css)
    return sorted(name for name in names if words.issuperset(NAME.findall(name)))


@remembered
def without_unused(css: str, names: Sequence[str]) -> str:
    """The style sheet without the rules that apply to nothing, and without the comments that aren't about a licence.

    Args:
        css: the style sheet.
        names: those of `names_in` all pages and scripts, or those of them that it asks for, in order.
    """
    import tinycss2  # only a change of a style sheet or of the names needs it

    return "\n".join(rules(tinycss2.parse_stylesheet(css, skip_whitespace=True), {*names}))


def rules(parsed: list[Any], names: set[str]) -> Iterator[str]:
    """The rules that stay, as they are written."""
    import tinycss2

    for rule in parsed:
        if rule.type == "qualified-rule":
            kept = [tinycss2.serialize(one).strip() for one in selectors(rule.prelude) if can_apply(one, names)]
            if kept:
                yield f"{','.join(kept)}{{{tinycss2.serialize(rule.content).strip()}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in GROUPS and rule.content is not None:
            inner = list(rules(tinycss2.parse_rule_list(rule.content, skip_whitespace=True), names))
            if inner:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{' '.join(inner)}}}"
        elif rule.type != "comment" or rule.value.startswith("!"):
            yield rule.serialize()


def selectors(prelude: list[Any]) -> Iterator[list[Any]]:
    """The selectors of a rule, each as its tokens."""
    one: list[Any] = []
    for token in prelude:
        if token == ",":
            yield one
            one = []
        else:
            one.append(token)
    yield one


def can_apply(selector: list[Any], names: set[str]) -> bool:
    """Whether all classes and ids that it asks for occur; what stands in brackets, as in ``:not(.a)``, isn't read."""
    asked = [token.value for token in selector if token.type == "hash"]
    asked += [name.value for dot, name in pairwise(selector) if dot == "." and name.type == "ident"]
    return all(name in names or name.startswith(PUT_TOGETHER) for name in asked)
