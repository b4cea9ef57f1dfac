"""What each symbol of the book means: the only table that connects print and code. It needs nothing but Python."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Symbol:
    """A symbol of the book.

    Attributes:
        latex: the symbol in print.
        name: its name in Python.
        meaning: its meaning in words, in MyST.
        role: its role in an update rule: ``state``, ``mean`` (corrected, not kept), ``gradient``, ``hyper``,
            ``step``; or ``quantity``, which no update may use.
        low: the lower end of the domain on which identities are checked.
        high: the upper end of that domain.
        code: what the code of the module writes, if that is not the name.
    """

    latex: str
    name: str
    meaning: str
    role: str = "quantity"
    low: float = 0.1
    high: float = 3.0
    code: str | None = None


NOTATION = (
    Symbol("w", "w", "the parameters; $w_t$ after $t$ steps", "state", -3, 3, "`w`, `p.data`"),
    Symbol("C", "C", "the cost", code=""),
    Symbol("f", "f", "the cost of {ref}`sec-quadratic`, a quadratic; in {ref}`sec-landscapes` any cost",
           code="`problem`"),
    Symbol("g", "g", "the gradient that the optimizer sees", "gradient", -3, 3, "`p.grad.data`"),
    Symbol(r"\eta", "lr", "the learning rate", "hyper", 0.01, 1),
    Symbol(r"\beta", "momentum", "the momentum; the decay of the mean of the gradient", "hyper", 0.05, 0.95),
    Symbol(r"\alpha", "alpha", "the decay of the mean of the squared gradient", "hyper", 0.05, 0.95),
    Symbol(r"\varepsilon", "eps", "the constant in the denominator, $10^{-8}$", "hyper", 1e-8, 1e-2),
    Symbol(r"\delta", "weight_decay", "the weight decay", "hyper", 1e-3, 1),
    Symbol("v", "v", "the velocity (momentum); the mean of the squared gradient (RMSProp, Adam); their sum (AdaGrad)",
           "state", 0.1, 3,
           '`state["v"]`'),
    Symbol("m", "m", "the mean of the gradient (Adam)", "state", -3, 3, '`state["m"]`'),
    Symbol(r"\hat{m}", "m_hat", "the mean of the gradient, corrected for its bias", "mean", -3, 3),
    Symbol(r"\hat{v}", "v_hat", "the mean of the squared gradient, corrected for its bias", "mean", 0.1, 3),
    Symbol("u", "u", "the largest mean of the squared gradient so far (AMSGrad)", "state", 0.1, 3, '`state["u"]`'),
    Symbol(r"\hat{u}", "u_hat", "the largest mean of the squared gradient, corrected for its bias", "mean", 0.1, 3),
    Symbol("t", "t", "the step", "step", 1, 30, '`state["t"]`'),
    Symbol("A", "A", "the matrix of the quadratic"),
    Symbol("b", "b", "the vector of the quadratic", low=-3),
    Symbol(r"w^\star", "minimum", "the point where the cost is smallest"),
    Symbol(r"\lambda", "curvature", "the curvature of a direction, an eigenvalue of $A$", code="`curvatures`"),
    Symbol(r"\mu", "mu", "the smallest curvature", code=""),
    Symbol("L", "L", "the largest curvature", code=""),
    Symbol(r"\kappa", "condition_number", "the condition number $L/\\mu$", low=1, high=100),
    Symbol(r"\xi", "xi", "the noise of one step"),
    Symbol(r"\sigma", "sigma", "the standard deviation of each coordinate of $\\xi$", code="`noise`"),
    Symbol(r"\varphi", "phi", r"short for $1 + \beta - \eta\lambda$ in {ref}`sec-momentum`", code=""),
    Symbol(r"\gamma", "gamma", "a covariance of the positions of a long run, in {ref}`sec-momentum`", code=""),
    Symbol("r", "r", "a root of the polynomial of {ref}`sec-momentum`", low=-0.9, high=0.9, code=""),
    Symbol("c", "c", "a positive constant", code=""),
)  # fmt: skip
"""All symbols of the book: the only table that connects print and code."""
