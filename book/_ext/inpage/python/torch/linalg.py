"""Linear algebra of small matrices, by Jacobi's rotations, which are exact to the last digits."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from . import _tensor
from ._numbers import NotInThePage, lacking, named
from ._printing import fields_text
from ._tensor import Tensor, new, underivable

Rows = list[list[float]]


class linalg_eigh(NamedTuple):
    """The eigenvalues of a symmetric matrix, the smallest first, and its eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor

    def __repr__(self) -> str:
        return fields_text(self)


class linalg_lstsq(NamedTuple):
    """What `lstsq` gives."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor

    def __repr__(self) -> str:
        return fields_text(self)


def eigh(A: Tensor, UPLO: str = "L") -> linalg_eigh:
    """The eigenvalues and eigenvectors of a symmetric matrix."""
    n = _square("linalg.eigh", A)
    rows = [[A.tolist()[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]
    turned = [[float(i == j) for j in range(n)] for i in range(n)]
    for _ in range(60):
        if sum(rows[i][j] ** 2 for i in range(n) for j in range(i)) < 1e-300:
            break
        for i in range(n):
            for j in range(i):
                _rotate(rows, turned, i, j)
    order = sorted(range(n), key=lambda k: rows[k][k])
    values = [rows[k][k] for k in order]
    vectors = [turned[i][k] for i in range(n) for k in order]
    found = new(A.dtype.stored(values), (n,), A.dtype), new(A.dtype.stored(vectors), (n, n), A.dtype)
    return linalg_eigh(*(underivable(one, "LinalgEigh", (A,), "linalg.eigh") for one in found))


def _rotate(rows: Rows, turned: Rows, i: int, j: int) -> None:
    """Turn the coordinates i and j so that the entry between them vanishes."""
    if rows[i][j] == 0:
        return
    apart = (rows[j][j] - rows[i][i]) / (2 * rows[i][j])
    t = math.copysign(1.0, apart) / (abs(apart) + math.sqrt(apart * apart + 1)) if math.isfinite(apart) else 0.0
    c = 1 / math.sqrt(t * t + 1)
    s = t * c
    for row in (*rows, *turned):
        row[i], row[j] = c * row[i] - s * row[j], s * row[i] + c * row[j]
    rows[i], rows[j] = (
        [c * a - s * b for a, b in zip(rows[i], rows[j], strict=True)],
        [s * a + c * b for a, b in zip(rows[i], rows[j], strict=True)],
    )
    if not math.isfinite(apart):
        rows[i][j] = rows[j][i] = 0.0


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    return eigh(A, UPLO).eigenvalues


def solve(A: Tensor, B: Tensor) -> Tensor:
    """The solution of ``A x = B``, by elimination with row exchanges."""
    n = _square("linalg.solve", A)
    right = B.tolist() if B.ndim == 2 else [[value] for value in B.tolist()]
    rows = [[*row, *more] for row, more in zip(A.tolist(), right, strict=True)]
    for k in range(n):
        best = max(range(k, n), key=lambda i: abs(rows[i][k]))
        rows[k], rows[best] = rows[best], rows[k]
        if rows[k][k] == 0:
            raise LinAlgError("torch.linalg.solve: The solver failed because the input matrix is singular.")
        for i in range(k + 1, n):
            share = rows[i][k] / rows[k][k]
            rows[i] = [a - share * b for a, b in zip(rows[i], rows[k], strict=True)]
    width = len(right[0]) if right else 0
    found: Rows = [[]] * n
    for k in reversed(range(n)):
        found[k] = [
            (rows[k][n + c] - sum(rows[k][j] * found[j][c] for j in range(k + 1, n))) / rows[k][k] for c in range(width)
        ]
    out = new(A.dtype.stored([x for row in found for x in row]), B.shape, A.dtype)
    return underivable(out, "LinalgSolveEx", (A, B), "linalg.solve")


def inv(A: Tensor) -> Tensor:
    n = _square("linalg.inv", A)
    return solve(A, new([float(i == j) for i in range(n) for j in range(n)], (n, n), A.dtype))


def det(A: Tensor) -> Tensor:
    raise NotInThePage("torch.linalg.det")


def lstsq(A: Tensor, B: Tensor, *, rcond: float | None = None, driver: str | None = None) -> linalg_lstsq:
    """The shortest of the vectors ``x`` for which ``A x`` is nearest to ``B``, by singular values.

    The columns of ``A`` are turned until they are orthogonal (Hestenes' one-sided Jacobi method).
    """
    if (A.ndim, B.ndim) != (2, 1):
        raise NotInThePage("lstsq of anything but one matrix and one vector")
    count, width = A.shape
    columns = [[row[k] for row in A.tolist()] for k in range(width)]
    turned = [[float(i == k) for i in range(width)] for k in range(width)]
    for _ in range(60):
        off = 0.0
        for i in range(width):
            for j in range(i):
                a, b = columns[i], columns[j]
                alpha, beta, gamma = _dot(a, a), _dot(b, b), _dot(a, b)
                if gamma == 0 or abs(gamma) <= 1e-17 * math.sqrt(alpha * beta):
                    continue
                off = max(off, abs(gamma) / math.sqrt(alpha * beta))
                zeta = (beta - alpha) / (2 * gamma)
                t = math.copysign(1.0, zeta) / (abs(zeta) + math.sqrt(1 + zeta * zeta))
                c = 1 / math.sqrt(1 + t * t)
                for some in (columns, turned):
                    x, y = some[i], some[j]
                    some[i] = [c * p - c * t * q for p, q in zip(x, y, strict=True)]
                    some[j] = [c * t * p + c * q for p, q in zip(x, y, strict=True)]
        if off < 1e-15:
            break
    sizes = [math.sqrt(_dot(column, column)) for column in columns]
    limit = (max(count, width) * 2.0**-52 if rcond is None else rcond) * max(sizes, default=0.0)
    right = [*B._values()]
    solution = [0.0] * width
    for column, turn, size in zip(columns, turned, sizes, strict=True):
        if size > limit:
            share = _dot(column, right) / size**2
            solution = [x + share * v for x, v in zip(solution, turn, strict=True)]
    rank = sum(size > limit for size in sizes)
    empty = new([], (0,), A.dtype)
    shortest = new(A.dtype.stored(solution), (width,), A.dtype)
    return linalg_lstsq(
        underivable(shortest, "LinalgLstsq", (A, B), "linalg.lstsq"), empty, _tensor.tensor(rank),
        new(sorted(sizes, reverse=True), (width,), A.dtype),
    )  # fmt: skip


def _dot(a: list[float], b: list[float]) -> float:
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


@named
def vector_norm(x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    return x.norm(ord, dim, keepdim)


@named
def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Tensor:
    count = A.ndim if dim is None else 1 if isinstance(dim, int) else len(dim)
    if ord is not None and (count != 1 or isinstance(ord, str)):
        if count != 2:
            raise RuntimeError(f"linalg.norm: ord is for vectors and matrices, got {count} dimensions")
        if ord != "fro":
            raise NotInThePage(f"the norm of a matrix with ord={ord}")
    return A.norm(ord, dim, keepdim)


class LinAlgError(RuntimeError):
    """A matrix cannot be inverted."""


def _square(name: str, A: Tensor) -> int:
    if A.ndim != 2 or A.shape[0] != A.shape[1]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {' by '.join(map(str, A.shape))}"
        )
    return int(A.shape[0])


def __getattr__(name: str) -> Any:
    raise lacking("torch.linalg", name)
