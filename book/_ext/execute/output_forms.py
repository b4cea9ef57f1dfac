"""Bring the outputs of cells into the form in which they are stored: the same in each build, and only what shows."""

from __future__ import annotations

import re
from typing import Any

IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "application/pdf")
BACKSPACE = re.compile(r"[^\n\x08]\x08")
# What a cell shows besides the figure if it ends with a function of matplotlib.
ARTISTS = re.compile(r"<(?:matplotlib\.|mpl_toolkits\.|Axes|\w*Container object)|^\[?Text\(")

MATHS = re.compile(r"\$\$(?P<a>.+?)\$\$|\$(?P<b>[^$]+?)\$|\\\[(?P<c>.+?)\\\]|\\\((?P<d>.+?)\\\)", re.S)
# Environments that stand by themselves in LaTeX, and those that do the same inside a formula.
INSIDE = {"align": "aligned", "eqnarray": "aligned", "gather": "gathered", "equation": "gathered"}
INSIDE |= {"multline": "gathered"}  # codespell:ignore
ENVIRONMENT = re.compile(rf"\\(begin|end)\{{({'|'.join(INSIDE)})\*?\}}")
NUMBERING = re.compile(r"\\label\{[^{}]*\}|\\(?:nonumber|notag)\b")
WHOLE_ENVIRONMENT = re.compile(r"\\begin\{(\w+\*?)\}.*\\end\{\1\}", re.S)
FROM_LATEX = "from_latex"
"""The key in the metadata of an output whose Markdown was LaTeX."""


def normalise(notebook: Any) -> None:
    """Bring the outputs of a notebook's cells into the form in which every build stores them.

    Texts in a row become one text, as a notebook shows them in the end; no picture comes twice; LaTeX is either one
    formula or Markdown.

    Args:
        notebook: a notebook that has run; it is changed.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = without_repeats(merged(cell.outputs))
            for output in cell.outputs:
                if "text/latex" in output.get("data", {}):
                    convert_latex(output)


def merged(outputs: list[Any]) -> list[Any]:
    """Join texts in a row that go to the same stream; into how many pieces they are cut is chance."""
    found: list[Any] = []
    for output in outputs:
        last = found[-1] if found else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            last["text"] += output["text"]
        else:
            found.append(output)
    for output in found:
        if output["output_type"] == "stream":
            output["text"] = overwritten(output["text"])
    return [output for output in found if output["output_type"] != "stream" or output["text"]]


def overwritten(text: str) -> str:
    """A text as it shows after carriage returns and backspaces have overwritten parts of it."""
    while "\x08" in text and (shorter := BACKSPACE.sub("", text)) != text:
        text = shorter
    text = text.replace("\x08", "")
    return "\n".join(map(overwritten_line, text.replace("\r\n", "\n").split("\n"))) if "\r" in text else text


def overwritten_line(line: str) -> str:
    """A line as it shows after carriage returns."""
    shown = ""
    for part in line.split("\r"):
        shown = part + shown[len(part) :]
    return shown


def without_repeats(outputs: list[Any]) -> list[Any]:
    """The outputs of a cell without repeated pictures, and without the values that drawing functions returned."""
    pictures = [data for output in outputs if (data := picture(output))]
    found: list[Any] = []
    seen: list[Any] = []
    for output in outputs:
        data = output.get("data", {})
        if picture(output):
            if picture(output) in seen:
                continue
            seen.append(picture(output))
        elif pictures and list(data) == ["text/plain"] and ARTISTS.search(data["text/plain"]):
            continue
        found.append(output)
    return found


def picture(output: Any) -> dict[str, Any]:
    """The formats of the picture in an output; empty if it is not a picture."""
    return {kind: data for kind, data in output.get("data", {}).items() if kind in IMAGES}


def convert_latex(output: Any) -> None:
    """Turn the LaTeX of an output into one formula, or into Markdown if there is text around its formulas.

    As in a notebook, everything outside of dollars is text.
    """
    data = output["data"]
    latex = NUMBERING.sub("", ENVIRONMENT.sub(lambda m: rf"\{m[1]}{{{INSIDE[m[2]]}}}", data.pop("text/latex").strip()))
    if MATHS.fullmatch(latex) or WHOLE_ENVIRONMENT.fullmatch(latex):
        data["text/latex"] = latex
    elif not {"text/markdown", "text/html"} & {*data}:
        data["text/markdown"] = MATHS.sub(in_dollars, latex)
        output["metadata"][FROM_LATEX] = True


def in_dollars(formula: re.Match[str]) -> str:
    displayed, inside = formula["a"] or formula["c"], formula["b"] or formula["d"]
    return f"\n\n$$\n{displayed.strip()}\n$$\n\n" if displayed else f"${inside.strip()}$"
