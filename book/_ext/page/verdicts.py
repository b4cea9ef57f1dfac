"""Hold updates and identities against the code: what takes torch and SymPy, in a process that may have them already.

Run as ``python -m book._ext.page.verdicts JSON``, a list of pairs of label and LaTeX; prints for each against what it
was held, what is wrong with it, and, of an update, the program that the playground runs.
"""

from __future__ import annotations

import inspect
import json
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

Finding = tuple[str, str, dict[str, Any]]


def verdicts(equations: Iterable[tuple[str, str]]) -> list[Finding]:
    """For each label and LaTeX: against what it was held, the fault, which is empty if it holds, and the program."""
    return [verdict(label, latex) for label, latex in equations]


def verdict(label: str, latex: str) -> Finding:
    # Only here, for a build with nothing to check needs neither torch nor SymPy.
    from optim_code.equations import compiler as equations

    kind, _, name = label.partition("-")
    try:
        if kind == "identity":
            largest = equations.check_identity(latex)
            close = f"to {largest:.1e}" if largest else "exactly"
            return f"equal at {equations.POINTS} random points, {close}", "", {}
        cls = equations.class_for(name)
        rule = equations.UpdateRule.from_latex(latex)
        found = equations.check_update(rule, cls)
    except equations.EquationError as error:
        return "", str(error), {}
    oracles = " and ".join(found.oracles)
    against = f"{oracles}, {found.runs} runs of {found.steps} steps each, largest difference {found.largest:.1e}"
    return against, "", program(name, rule, cls)


def program(name: str, rule: Any, cls: type) -> dict[str, Any]:
    """An update as the playground runs it: its steps in JavaScript, what they take, and how its class is called."""
    from optim_code.equations.compiler import NOTATION
    from optim_code.optim import RANGES

    hyper = [
        {
            "name": symbol.name,
            "symbol": unicodedata.lookup(f"GREEK SMALL LETTER {symbol.latex.strip(chr(92)).removeprefix('var')}"),
            # A decay lies below one; what doesn't have to is shown on a logarithmic scale.
            "decay": symbol.name in RANGES and not RANGES[symbol.name][1](1.0),
            "low": symbol.low,
            "high": symbol.high,
        }
        for symbol in NOTATION
        if symbol.name in rule.hyper
    ]
    takes = list(inspect.signature(cls).parameters.values())[1:]
    return {
        "name": name,
        "class": cls.__name__,
        "arguments": [[p.name, None if p.default is p.empty else p.default] for p in takes],
        "state": list(rule.state),
        "hyper": hyper,
        "step": rule.to_js(),
        "uncorrected": rule.uncorrected.to_js() if rule.uncorrected else "",
    }


if __name__ == "__main__":
    print(json.dumps(verdicts(json.loads(sys.argv[1]))))
