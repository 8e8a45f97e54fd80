"""JSON Lines: the text of one key of each object."""

import json
from collections.abc import Iterator
from typing import IO, Any

from engine.data.readers.spec import JsonLines
from engine.data.readers.text import decoded_lines
from engine.data.readers.unit import Skipped, Unit
from engine.spec.errors import ArtifactError


def read_jsonl(stream: IO[bytes], where: str, form: JsonLines) -> Iterator[Unit | Skipped]:
    """One unit a line; ArtifactError names the line that is no object with that text."""
    for number, line in decoded_lines(stream, where):
        if line.strip():
            yield Unit(f"line={number}", _text(line, form.text, f"{where} line {number}"))
        else:
            yield Skipped("blank_line")


def _text(line: str, path: str, where: str) -> str:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where} is not JSON ({error}); mend the file, or leave this member out") from error
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            keys = ", ".join(sorted(value)[:12]) if isinstance(value, dict) else type(value).__name__
            raise ArtifactError(f"{where} has no {path!r} (there is: {keys}); name the key of the text in `text:`")
        value = value[key]
    if not isinstance(value, str):
        raise ArtifactError(f"{where}: {path!r} is {type(value).__name__}, not text; name the key of the text")
    return value
