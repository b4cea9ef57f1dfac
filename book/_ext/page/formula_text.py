r"""Turn formulas into plain text for the search: `\frac{2}{L}` becomes 2/L, and `\hat{v}_{t+1}` becomes v̂_(t+1)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from docutils import nodes
from docutils.utils.math import tex2unichar
from sphinx.util.nodes import clean_astext

TOKEN = re.compile(r"\\([A-Za-z]+)\*?|\\(.)|([{}^_~&])|\s+|(.)", re.S)
TABLES = "mathbin mathclose mathfence mathop mathopen mathord mathpunct mathrel mathalpha"
SYMBOLS = {name: sign for table in TABLES.split() for name, sign in getattr(tex2unichar, table).items()}
SYMBOLS |= {"lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "iff": "⟺", "implies": "⟹"}
SYMBOLS |= {"dots": "…", "dotsb": "…", "dotsc": "…"}
ACCENTS = {name: mark for name, mark in tex2unichar.mathaccent.items() if len(mark) == 1}
ACCENTS |= {"widehat": ACCENTS["hat"], "widetilde": ACCENTS["tilde"], "overline": ACCENTS["bar"]}
SCRIPTS = {
    "^": str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"),
    "_": str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"),
}
FRACTIONS = ("frac", "dfrac", "tfrac", "cfrac")
WORDS = {"text", "textrm", "textbf", "textit", "mathrm", "mathbf", "mathit", "mathcal", "mathbb", "mathsf", "mathtt"}
WORDS |= {"operatorname", "boldsymbol", "mbox"}
COLUMNED = ("array", "alignat", "alignedat")
LAYOUT = ("label", "begin", "end", "tag")
"""Commands whose argument is about the layout or the label of a formula, not part of it."""
SIZES = {"left", "right", "middle"}
SIZES |= {f"{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")}
FUNCTIONS = {"max", "min", "exp", "log", "ln", "sin", "cos", "tan", "det", "lim", "sup", "inf", "arg", "Pr"}
SPACED = {*"=<>+−→←↔⇒≤≥≠≈≡∼∈∝≪≫", *tex2unichar.mathrel.values()}


def plain_text(tex: str) -> str:
    """Return a formula in TeX as a line of plain text, without any command.

    Args:
        tex: the formula, without the delimiters around it.

    Returns:
        The text. A command without a sign of its own is left out, or is its name if it is a function such as `\\max`.
    """
    text = " ".join(sequence(TOKEN.finditer(tex)).split())
    return unicodedata.normalize("NFC", re.sub(r"(?<=[(\[{]) | (?=[)\]},.^_])", "", text))


def plain_words(node: nodes.Element) -> str:
    """The text of a node, such as a title, with its formulas as plain text."""
    copy = node.deepcopy()
    for formula in list(copy.findall(nodes.math)):
        formula.replace_self(nodes.Text(plain_text(formula.astext())))
    return clean_astext(copy)


def sequence(tokens: Iterator[re.Match[str]]) -> str:
    """The text of the tokens up to the end of the group, or of the formula."""
    text = ""
    for token in tokens:
        if token[3] == "}":
            break
        text += token_text(token, tokens)
    return text


def token_text(token: re.Match[str], tokens: Iterator[re.Match[str]]) -> str:
    """The text of one token, together with the arguments that it takes."""
    command, escaped, special, char = token.groups()
    if command in FRACTIONS:
        above, below = argument(tokens), argument(tokens)
        return f"{in_brackets(above)}/{in_brackets(below)}"
    if command == "sqrt":
        return f"√{in_brackets(argument(tokens))}"
    if command in ACCENTS:
        return argument(tokens) + ACCENTS[command]
    if command in WORDS:
        return argument(tokens)
    if command in LAYOUT:
        if argument(tokens) in COLUMNED and command == "begin":
            argument(tokens)
        return " "
    if command in SIZES:
        return ""
    if command:
        sign = SYMBOLS.get(command, f" {command} " if command in FUNCTIONS else " ")
        return f" {sign} " if sign in SPACED else sign
    if escaped:
        return escaped if escaped in "{}%$#&_|" else " "
    if special == "{":
        return sequence(tokens)
    if special in ("^", "_"):
        script = re.sub(r" ([=+]) ", r"\1", argument(tokens))
        return script.translate(SCRIPTS[special]) if script.isdigit() else f"{special}{in_brackets(script)}"
    if special or char in (None, "\\"):
        return " "
    return f" {char} " if char in SPACED else char


def argument(tokens: Iterator[re.Match[str]]) -> str:
    """The text of the next argument: a group, or one token."""
    for token in tokens:
        if not token[0].isspace():
            return token_text(token, tokens).strip()
    return ""


def in_brackets(text: str) -> str:
    """The text, in brackets unless it is one number, letter or word."""
    alone = len(re.sub(r"[\u0300-\u036f]", "", text)) <= 1 or re.fullmatch(r"[\d.]+|[A-Za-z]+", text)
    return text if alone else f"({text})"
