"""Check updates and identities, in a process that may have imported torch and SymPy already.

The build runs ``python -m book._ext.page.verdicts SECONDS JSON`` with a list of pairs of label and LaTeX. The program
prints a `Finding` for each pair, as a line of JSON. It ends when a pair takes longer than that many seconds.
"""

from __future__ import annotations

import contextlib
import faulthandler
import inspect
import json
import sys
import traceback
import unicodedata
from typing import Any

Finding = tuple[str, str, dict[str, Any]]
"""What an equation was checked against, its fault (empty if it holds), and the program of an update for playgrounds."""


def verdict(label: str, latex: str) -> Finding:
    """The finding on one equation, given by its label and its LaTeX."""
    # Imported here, because a build with nothing to check needs neither torch nor SymPy.
    from optim_code.equations import compiler as equations

    kind, _, name = label.partition("-")
    try:
        if kind == "identity":
            largest = equations.check_identity(latex)
            close = f"to {largest:.1e}" if largest else "exactly"
            return f"equal at {equations.POINTS} random points, {close}", "", {}
        cls = equations.class_for(name)
        rule = equations.UpdateRule.from_latex(latex)
        agreement = equations.check_update(rule, cls)
    except equations.EquationError as error:
        return "", str(error), {}
    runs = f"{agreement.runs} runs of {agreement.steps} steps each, largest difference {agreement.largest:.1e}"
    against = f"{' and '.join(agreement.oracles)}, {runs}"
    return against, "", program(name, rule, cls)


def program(name: str, rule: Any, cls: type) -> dict[str, Any]:
    """An update as a playground runs it: its steps in JavaScript, its hyper-parameters, and the arguments of its class.

    Args:
        name: the label of the update without ``update-``.
        rule: the compiled update.
        cls: its class.
    """
    from optim_code.equations.notation import NOTATION
    from optim_code.optim import RANGES

    hyper = [
        {
            "name": symbol.name,
            "symbol": unicodedata.lookup(f"GREEK SMALL LETTER {symbol.latex.strip(chr(92)).removeprefix('var')}"),
            # A decay is below one. The slider of any other hyper-parameter has a logarithmic scale.
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
        "python": [*rule.plain.lines],
        "step": rule.to_js(),
        "uncorrected": rule.uncorrected.to_js() if rule.uncorrected else "",
    }


def main(seconds: int, equations: list[tuple[str, str]]) -> None:
    findings = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # a class may print
        for label, latex in equations:
            if seconds > 0:
                # It ends the process even if a class catches every exception.
                faulthandler.dump_traceback_later(seconds, exit=True)
            print(json.dumps(verdict(label, latex)), file=findings, flush=True)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), json.loads(sys.argv[2]))
    except SystemExit:
        traceback.print_exc()  # Python prints none, and the build reads the place from it
        raise
