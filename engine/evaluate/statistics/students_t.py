"""Student's t for whole degrees of freedom in closed form, of + - * / and square roots: the same bits everywhere.

Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

import math

HALVINGS = 4  # of an angle, until its tangent is below 1/14
TERMS = 8  # of the series of the arc tangent there: what follows is below 1e-19


def quantile(probability: float, freedom: int) -> float:
    """The t that lies above a share `probability`, in [0.5, 1), of the distribution."""
    assert 0.5 <= probability < 1 <= freedom
    wanted = 2 * probability - 1
    if not wanted:
        return 0.0
    low, high = 0.0, 1.0
    while central(high, freedom) < wanted:
        low, high = high, 2 * high
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if central(middle, freedom) < wanted else (low, middle)
    return high


def central(t: float, freedom: int) -> float:
    """The probability of [-t, t], t >= 0."""
    cosine_squared = 1 / (1 + t * t / freedom)
    sine = t / math.sqrt(freedom) * math.sqrt(cosine_squared)
    if freedom % 2 == 0:
        return sine * _series(cosine_squared, 1, freedom // 2)
    tail = sine * math.sqrt(cosine_squared) * _series(cosine_squared, 2, freedom // 2)
    return 2 / math.pi * (arc_tangent(t / math.sqrt(freedom)) + tail)


def _series(x: float, first: int, terms: int) -> float:
    """1 + a/b x + a(a+2)/(b(b+2)) x^2 + ..., a = first, b = a + 1; nothing for no terms."""
    total, term = 0.0, 1.0
    for n in range(terms):
        total += term
        term *= x * (first + 2 * n) / (first + 1 + 2 * n)
    return total


def arc_tangent(x: float) -> float:
    """atan(x), x >= 0; libm's may differ from machine to machine."""
    if x > 1:
        return math.pi / 2 - arc_tangent(1 / x)
    for _ in range(HALVINGS):
        x /= 1 + math.sqrt(1 + x * x)
    square, total = x * x, 0.0
    for n in reversed(range(TERMS)):
        total = (1 - 2 * (n % 2)) / (2 * n + 1) + square * total
    return float(2**HALVINGS) * x * total
