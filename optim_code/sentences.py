"""Assert what the text claims about a run, under the name with which the text marks the phrase.

In the text: ``{holds}`crosses the valley at every step <sgd-zigzag>` ``. In a hidden cell of the same page:
``holds("sgd-zigzag", crossings == nsteps, over="starts")``. The build fails if one of the two lacks the other, or if
the comparison is false. The page shows what was compared, over what, and the numbers.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
RECORD = "application/papermill.record/"
"""The prefix with which MyST-NB stores what a cell glues and does not show."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class DoesNotHold(AssertionError):
    """A sentence of the text is false; the message has the comparison and the numbers."""


def holds(name: str, *claims: object, over: str = "") -> None:
    """Assert that a marked phrase is true.

    Args:
        name: the name of the phrase, as in ``{holds}`phrase <name>` ``.
        claims: truths and comparisons, ``a < b`` or ``a < b < c``, of numbers, arrays or tensors of any shape. All
            must hold, and all elements of each. In a build each comparison arrives as a tuple: its code, and then its
            values and relations in turn (`book/_ext/execute/kernel_setup.py`), so that the numbers can be shown.
        over: what the elements range over, in the plural: ``over="starts"`` is shown as "all 20 starts". For a single
            number it says what the number was taken over.

    Raises:
        DoesNotHold: if a claim is false, or compares with NaN.
        TypeError: if there is no claim, or a claim is neither a number nor a truth.
    """
    if not claims:
        raise TypeError(f'holds("{name}") asserts nothing; write holds("{name}", a < b)')
    lines: list[str] = []
    for claim in claims:
        code, *chain = claim if isinstance(claim, tuple) else ("", claim)
        values = [as_numbers(name, code, value) for value in chain[::2]]
        relations = [str(relation) for relation in chain[1::2]]
        true = is_true(name, code, values, relations)
        shown = in_words(values, relations, true, over)
        if not true.size:
            raise DoesNotHold(f"{name}: {code or 'the claim'} compares no numbers at all")
        if not true.all():
            raise DoesNotHold(f"{name}: {code or 'the claim'} is false: {shown}")
        lines += [code, shown]
    record(name, "\n".join(lines))


def as_numbers(name: str, code: str, value: Any) -> Any:
    """A value of a comparison as an array of numbers or truths."""
    array = np.asarray(value.detach() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "biuf":
        what = f"{type(value).__name__}{f' in {code}' if code else ''}"
        raise TypeError(f'holds("{name}", …) takes numbers and truths, got {what}; compare numbers')
    return array


def is_true(name: str, code: str, values: list[Any], relations: list[str]) -> Any:
    """For each element whether the whole chain of comparisons holds; NaN fulfils none."""
    if not relations:
        if values[0].dtype.kind != "b":
            what = f"{code} is a number" if code else "the claim is a number"
            raise TypeError(f'holds("{name}", …): {what}, which is neither true nor false; compare it')
        return values[0]
    try:
        result = np.broadcast_to(True, np.broadcast_shapes(*(value.shape for value in values)))
    except ValueError:
        shapes = " and ".join(str(value.shape) for value in values)
        raise TypeError(f'holds("{name}", …): {code} compares arrays of shapes {shapes}; give them one shape') from None
    for left, relation, right in zip(values, relations, values[1:], strict=False):
        result = result & RELATIONS[relation](left, right) & ~(np.isnan(left) | np.isnan(right))
    return result


def in_words(values: list[Any], relations: list[str], true: Any, over: str) -> str:
    """The numbers of a comparison, and over how many things it was made."""
    numbers = " ".join(x for pair in zip(map(span, values), [*relations, ""], strict=True) for x in pair).strip()
    failed = int((~true).sum())
    if true.size == 1:
        return f"{numbers}{over and f', over {over}'}"
    many = f"{true.size}{over and f' {over}'}"
    return f"{numbers}, {f'in {failed} of {many} it fails' if failed else f'all {many}'}"


def span(value: Any) -> str:
    """A number, or the smallest and the largest of several."""
    if not value.size:
        return "nothing"
    least, most = value.min(), value.max()
    return in_figures(least) if least == most or np.isnan(least) else f"{in_figures(least)} … {in_figures(most)}"


def in_figures(number: Any) -> str:
    """A number with four digits, or a truth."""
    if number.dtype.kind == "b":
        return "true" if number else "false"
    text = f"{number}" if number.dtype.kind in "iu" else f"{number:.4g}"
    digits, _, power = text.partition("e")
    return digits.replace("-", "−") + (f" × 10{str(int(power)).translate(RAISED)}" if power else "")


def record(name: str, text: str) -> None:
    """Give the build what was compared, as MyST-NB's ``glue`` gives it a number; outside of a kernel do nothing."""
    ipython: Any = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        note = {"scrapbook": {"name": f"holds:{name}", "mime_prefix": RECORD}}
        ipython.display.publish_display_data({f"{RECORD}text/plain": text}, metadata=note)
