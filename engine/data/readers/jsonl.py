"""JSON Lines: the text of one key of each object."""

import json
from collections.abc import Iterator
from typing import IO, Any

from engine.data.readers.spec import JsonLines
from engine.data.readers.text import decoded_lines
from engine.data.readers.unit import Faulty, Skipped, Unit


def read_jsonl(stream: IO[bytes], where: str, form: JsonLines, most_bytes: int) -> Iterator[Unit | Skipped | Faulty]:
    """One unit a line; a line that is no object with that text is a fault that names the line."""
    for number, line in decoded_lines(stream, where, most_bytes):
        if isinstance(line, Faulty):
            yield line
        elif line.strip():
            yield _unit(line, form, number, f"{where} line {number}")
        else:
            yield Skipped("blank_line")


def _unit(line: str, form: JsonLines, number: int, where: str) -> Unit | Skipped | Faulty:
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        return Faulty("not_json", f"{where} is not JSON ({error}); mend the file, or pass it over with `faults: skip`")
    if form.only is not None:
        found = at(value, form.only.key, where)
        if isinstance(found, Faulty):
            return found
        if found != form.only.equals:
            return Skipped(f"not_{form.only.equals}")
    text = at(value, form.text, where)
    if isinstance(text, str):
        return Unit(f"line={number}", text)
    if isinstance(text, Faulty):
        return text
    message = f"{where}: {form.text!r} is {type(text).__name__}, not text; name the key of the text"
    return Faulty("no_text", message)


def at(value: Any, path: str, where: str) -> Any:
    """The value at a dotted path, or the fault that there is none."""
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            keys = ", ".join(sorted(value)[:12]) if isinstance(value, dict) else type(value).__name__
            return Faulty("no_key", f"{where} has no {path!r} (there is: {keys}); name a key that is there")
        value = value[key]
    return value
