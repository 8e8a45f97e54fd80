"""Progress of long work with the time left: a bar on a terminal, a line about every five seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import NoReturn, TypeVar, final

from tqdm import tqdm

T = TypeVar("T")
_SECONDS = 5.0


def progress(items: Iterable[T], total: int | None, unit: str, label: str) -> Iterator[T]:
    """The items, unchanged; says on stderr how many are done and how long the rest will take."""
    told = Told(total, unit, label)
    try:
        for item in items:
            yield item
            told.one_more()
    finally:
        told.end()


@final
class Told:
    """What is said of the items; it is given none of them, so it cannot change what is made of them."""

    def __init__(self, total: int | None, unit: str, label: str) -> None:
        self._total, self._unit, self._label = total, unit, label
        self._bar: tqdm[NoReturn] | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(total=total, unit=f" {unit}", desc=label, file=sys.stderr, dynamic_ncols=True)
        self._began = self._said = time.monotonic()
        self._done = 0

    def one_more(self) -> None:
        """Another item is done."""
        if self._bar is not None:
            self._bar.update()
            return
        self._done += 1
        now = time.monotonic()
        if now - self._said >= _SECONDS:
            self._said = now
            line = _line(self._label, self._done, self._total, self._unit, now - self._began)
            print(line, file=sys.stderr, flush=True)

    def end(self) -> None:
        """There are no more; short work says nothing."""
        if self._bar is not None:
            self._bar.close()
        elif self._said > self._began:
            took = _clock(time.monotonic() - self._began)
            print(f"{self._label}: {self._done:,} {self._unit} in {took}", file=sys.stderr, flush=True)


def _line(label: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    if not total:
        return f"{label}: {done:,} {unit}, {_clock(seconds)} so far"
    left = seconds / done * max(total - done, 0)
    return f"{label}: {min(done / total, 1):4.0%}, {done:,} of {total:,} {unit}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
