"""What a verb gives back: the same facts as text for people and as data for programs."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """`passed` false makes the exit code 1."""

    text: str
    data: Any
    passed: bool = True


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: Container[str] = ()) -> str:
    """Rows as aligned columns, those in `right` to the right; a column that is empty in every row is left out."""
    kept = [i for i in range(len(header)) if any(row[i] for row in rows)]
    widths = {i: max(len(row[i]) for row in (header, *rows)) for i in kept}
    lines = [
        "  ".join(row[i].rjust(widths[i]) if header[i] in right else row[i].ljust(widths[i]) for i in kept).rstrip()
        for row in (header, *rows)
    ]
    lines.insert(1, "  ".join("-" * width for width in widths.values()))
    return "\n".join(lines)
