"""Small drawings as SVG text: rows of points and intervals over one axis; equal numbers give equal bytes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from typing import final

WIDTH, SIDE, TOP, LABEL, MARK, FOOT, LINE = 760, 24, 52, 26, 10, 40, 18  # pixels
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#999999")  # Okabe and Ito
PADDING = 0.04  # of the axis, free at both ends
TICKS = 6
ROUNDED = 1e-9  # of a step: how far a tick may lie beyond the end of an axis


@final
@dataclass(frozen=True, slots=True)
class Mark:
    """A mean with its interval, where there is one, over the values that it is the mean of."""

    mean: float
    low: float | None = None
    high: float | None = None
    values: tuple[float, ...] = ()
    colour: int = 0


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A label and what stands in its line."""

    label: str
    marks: tuple[Mark, ...]


@final
@dataclass(frozen=True, slots=True)
class Strip:
    """A drawing: rows over an axis, upright lines through all of them, and a legend of the marks' colours."""

    title: str
    about: str
    axis: str
    rows: tuple[Row, ...]
    lines: tuple[float, ...] = ()
    legend: tuple[str, ...] = ()
    logarithmic: bool = False
    """All numbers are above 0."""


@final
class Scale:
    """From a number to its place on the axis."""

    def __init__(self, numbers: Sequence[float], logarithmic: bool) -> None:
        self.logarithmic = logarithmic
        self.low, self.high = min(numbers), max(numbers)
        begin, end = self._at(self.low), self._at(self.high)
        spread = (end - begin) or abs(end) or 1.0
        self._begin, self._spread = begin - PADDING * spread, (1 + 2 * PADDING) * spread

    def _at(self, number: float) -> float:
        return math.log10(number) if self.logarithmic else number

    def x(self, number: float) -> str:
        """Pixels from the left."""
        return f"{SIDE + (WIDTH - 2 * SIDE) * (self._at(number) - self._begin) / self._spread:.1f}"

    def ticks(self) -> list[float]:
        """Round numbers within the ends of the axis."""
        if self.logarithmic and self.high >= 4 * self.low:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [step * 10.0**power for power in powers for step in (1, 2, 5)]
            return [tick for tick in found if self.low <= tick <= self.high]
        rough = (self.high - self.low) / TICKS or abs(self.high) / TICKS or 1.0
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first, last = math.ceil(self.low / step - ROUNDED), math.floor(self.high / step + ROUNDED)
        return [n * step for n in range(first, last + 1)] or [self.low]


def draw(strip: Strip) -> str:
    """The text of an SVG file."""
    scale = Scale([*_numbers(strip), *strip.lines], strip.logarithmic)
    tops = list(accumulate((LABEL + MARK * len(row.marks) for row in strip.rows), initial=TOP))
    bottom = tops.pop()
    height = bottom + FOOT + LINE * len(strip.legend)
    body = [
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(SIDE, 20, strip.title, "font-weight='bold'"),
        _text(SIDE, 38, strip.about, "fill='#555'"),
        *_axis(scale, strip.axis, bottom),
        *(_upright(scale.x(line), bottom, "stroke='#333' stroke-dasharray='4 3'") for line in strip.lines),
    ]
    for row, top in zip(strip.rows, tops, strict=True):
        body += _row(row, top, scale)
    for n, name in enumerate(strip.legend):
        y = bottom + FOOT + LINE * n
        body += [_point(str(SIDE + 4), y - 4, n), _text(SIDE + 16, y, name)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join([f'{head} font-family="sans-serif" font-size="12">', *body, "</svg>"]) + "\n"


def _numbers(strip: Strip) -> Iterator[float]:
    for row in strip.rows:
        for mark in row.marks:
            yield from (mark.mean, *mark.values, *(end for end in (mark.low, mark.high) if end is not None))


def _axis(scale: Scale, name: str, bottom: int) -> Iterator[str]:
    for tick in scale.ticks():
        yield _upright(scale.x(tick), bottom, "stroke='#ddd'")
        yield _text(scale.x(tick), bottom + 14, f"{tick:.6g}", "text-anchor='middle' fill='#555'")
    yield _text(WIDTH - SIDE, bottom + 28, name, "text-anchor='end' fill='#555'")


def _row(row: Row, top: int, scale: Scale) -> Iterator[str]:
    yield _text(SIDE, top + 12, row.label)
    for n, mark in enumerate(row.marks):
        y, colour = top + LABEL - 4 + MARK * n, _colour(mark.colour)
        if mark.low is not None and mark.high is not None:
            ends = f'x1="{scale.x(mark.low)}" x2="{scale.x(mark.high)}" y1="{y}" y2="{y}"'
            yield f'<line {ends} stroke="{colour}" stroke-width="2"/>'
        for value in mark.values:
            yield f'<circle cx="{scale.x(value)}" cy="{y}" r="3" fill="none" stroke="{colour}"/>'
        yield _point(scale.x(mark.mean), y, mark.colour)


def _point(x: str, y: int, number: int) -> str:
    """A dot; a diamond of the same colours where they have run out."""
    if number // len(COLOURS) % 2:
        return f'<path d="M {x} {y - 5} l 5 5 l -5 5 l -5 -5 z" fill="{_colour(number)}"/>'
    return f'<circle cx="{x}" cy="{y}" r="4" fill="{_colour(number)}"/>'


def _upright(x: str, bottom: int, style: str) -> str:
    return f'<line x1="{x}" x2="{x}" y1="{TOP}" y2="{bottom}" {style}/>'


def _text(x: int | str, y: int, text: str, style: str = "") -> str:
    return f'<text x="{x}" y="{y}"{" " + style if style else ""}>{escape(text, quote=False)}</text>'


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]
