"""Progress of long work with the time left: a bar on a terminal, a line about every five seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
_SECONDS = 5.0


def progress(items: Iterable[T], total: int | None, unit: str, label: str) -> Iterator[T]:
    """The items, unchanged; says on stderr how many are done and how long the rest will take."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, unit=f" {unit}", desc=label, file=sys.stderr, dynamic_ncols=True)
        return
    began = said = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if now - said >= _SECONDS:
            said = now
            print(_line(label, done, total, unit, now - began), file=sys.stderr, flush=True)
    if said > began:
        print(f"{label}: {done:,} {unit} in {_clock(time.monotonic() - began)}", file=sys.stderr, flush=True)


def _line(label: str, done: int, total: int | None, unit: str, seconds: float) -> str:
    if not total:
        return f"{label}: {done:,} {unit}, {_clock(seconds)} so far"
    left = seconds / done * max(total - done, 0)
    return f"{label}: {min(done / total, 1):4.0%}, {done:,} of {total:,} {unit}, {_clock(left)} left"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
