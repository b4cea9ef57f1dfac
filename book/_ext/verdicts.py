"""Hold updates and identities against the code: what takes torch and SymPy, in a process that may have them already.

Run as ``python -m book._ext.verdicts JSON``, a list of pairs of label and LaTeX; prints a list of pairs: against what
each was held, and what is wrong with it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable


def verdicts(equations: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """For each label and LaTeX: against what it was held, and the fault, which is empty if it holds."""
    return [verdict(label, latex) for label, latex in equations]


def verdict(label: str, latex: str) -> tuple[str, str]:
    # Only here, for a build with nothing to check needs neither torch nor SymPy.
    from optim_code import equations

    kind, _, name = label.partition("-")
    try:
        if kind == "identity":
            largest = equations.check_identity(latex)
            close = f"to {largest:.1e}" if largest else "exactly"
            return f"equal at {equations.POINTS} random points, {close}", ""
        cls = equations.class_for(name)
        found = equations.check_update(equations.UpdateRule.from_latex(latex), cls)
    except equations.EquationError as error:
        return "", str(error)
    oracles = " and ".join(found.oracles)
    return f"{oracles}, {found.runs} runs of {found.steps} steps each, largest difference {found.largest:.1e}", ""


if __name__ == "__main__":
    print(json.dumps(verdicts(json.loads(sys.argv[1]))))
