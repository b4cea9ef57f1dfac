"""Random numbers in PyTorch's own sequence: Mersenne Twister, and Box and Muller's normal numbers.

Source: ATen's ``DistributionsHelper.h`` and ``DistributionTemplates.h``. Fewer than sixteen normal numbers are drawn
one pair after the other, more than that in blocks of sixteen, by another formula.
"""

from __future__ import annotations

import math
import random
from typing import Any

from ._numbers import Numbers, dtype

DEFAULT_SEED = 67280421310721
BLOCK = 16


class Generator:
    """A source of random numbers."""

    def __init__(self, device: Any = "cpu") -> None:
        self.manual_seed(DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        self._next: float | None = None
        words = [seed % 2**32]
        for n in range(1, 624):
            words.append((1812433253 * (words[-1] ^ (words[-1] >> 30)) + n) % 2**32)
        self._words = random.Random()
        self._words.setstate((3, (*words, 624), None))
        return self

    def initial_seed(self) -> int:
        return self._seed

    def seed(self) -> int:
        seed = random.SystemRandom().getrandbits(64)
        self.manual_seed(seed)
        return seed

    def get_state(self) -> Any:
        return self._words.getstate(), self._next

    def set_state(self, state: Any) -> Generator:
        words, self._next = state
        self._words.setstate(words)
        return self

    def word(self) -> int:
        """The next 32 bits."""
        return self._words.getrandbits(32)

    def words(self) -> int:
        """The next 64 bits; the first word is the upper half."""
        return self.word() << 32 | self.word()

    def even(self, double: bool) -> float:
        """A number from 0 up to 1, of 53 or 24 bits."""
        return (self.words() % 2**53) * 2.0**-53 if double else (self.word() % 2**24) * 2.0**-24

    def normal(self) -> float:
        """A normal number; the second of a pair is kept for the next call."""
        if self._next is not None:
            found, self._next = self._next, None
            return found
        turn, size = self.even(True), self.even(True)
        radius, angle = math.sqrt(-2.0 * math.log1p(-size)), 2.0 * math.pi * turn
        self._next = radius * math.sin(angle)
        return radius * math.cos(angle)


default = Generator()


def uniform(count: int, dtype: dtype, generator: Generator | None) -> Numbers:
    """Numbers from 0 up to 1."""
    if dtype.kind != 2:
        raise NotImplementedError(f"random floats are not implemented for '{dtype.long_name}'")
    source = generator or default
    return [source.even(dtype.name == "float64") for _ in range(count)]


def normal(count: int, dtype: dtype, generator: Generator | None) -> Numbers:
    """Normal numbers of mean 0 and variance 1."""
    source = generator or default
    if count < BLOCK and dtype.kind == 2:
        return dtype.stored([source.normal() for _ in range(count)])
    even = uniform(count, dtype, source)
    for first in range(0, count - BLOCK + 1, BLOCK):
        even[first : first + BLOCK] = _block(even[first : first + BLOCK], dtype)
    if count % BLOCK:  # the last sixteen are drawn again
        even[-BLOCK:] = _block(uniform(BLOCK, dtype, source), dtype)
    return even


def _block(even: Numbers, dtype: dtype) -> Numbers:
    half = BLOCK // 2
    pairs = zip(even[:half], even[half:], strict=True)
    polar = [(math.sqrt(-2.0 * math.log(1 - u)), 2.0 * math.pi * v) for u, v in pairs]
    cosines, sines = ([radius * f(angle) for radius, angle in polar] for f in (math.cos, math.sin))
    return dtype.stored([*cosines, *sines])


def permutation(count: int, generator: Generator | None) -> list[int]:
    """The numbers below ``count`` in a random order."""
    source, order = generator or default, [*range(count)]
    for i in range(count - 1):
        other = i + source.word() % (count - i)
        order[i], order[other] = order[other], order[i]
    return order


def whole(low: int, high: int, count: int, generator: Generator | None) -> list[int]:
    """Whole numbers from ``low`` up to ``high``."""
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    source = generator or default
    return [low + (source.word() if high - low < 2**32 else source.words()) % (high - low) for _ in range(count)]
