"""What a test for leaks says of a document that repeats a protected one."""

from collections.abc import Callable
from typing import NamedTuple

from engine.data.documents import Document


class Leak(NamedTuple):
    """`number` is that of the protected document; `measured` is what decided, or how similar the two are."""

    reason: str
    number: int
    measured: float | None


Finder = Callable[[Document, bytes], Leak | None]
"""Takes a document and the sha256 of its text."""
