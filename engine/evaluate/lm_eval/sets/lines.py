"""JSON lines and the shapes that several benchmarks share."""

import json
from collections.abc import Iterator
from typing import Any

from engine.spec.errors import ArtifactError

Item = dict[str, Any]


def json_lines(text: str, where: str, *keys: str) -> Iterator[tuple[str, Item]]:
    """(place, object) of every line that is not blank; ArtifactError names one that lacks a key."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{where} line {number}"
        try:
            value = json.loads(line)
        except ValueError as error:
            raise ArtifactError(f"{place} is not JSON ({error}); the task wants JSON lines") from error
        yield place, checked(value, place, *keys)


def checked(value: object, place: str, *keys: str) -> Item:
    """The value as an object that has all keys."""
    if not isinstance(value, dict) or not set(keys) <= value.keys():
        raise ArtifactError(f"{place}: the task wants an object with {', '.join(keys)}; is this the file of the task?")
    return value


def choices(value: Item, place: str) -> Item:
    """`choices` and `gold`, checked: texts that are not empty, and an index into them."""
    texts, gold = value["choices"], value["gold"]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ArtifactError(f"{place}: choices must be texts, none of them empty")
    if type(gold) is not int or not 0 <= gold < len(texts):
        raise ArtifactError(f"{place}: gold is {gold!r}, which is no index into {len(texts)} choices")
    return {"choices": list(texts), "gold": gold}


def cut(text: str, before: str, after: str, place: str) -> str:
    """The text between what must stand before and after it."""
    if not (text.startswith(before) and text.endswith(after)):
        raise ArtifactError(f"{place}: expected {before!r} first and {after!r} last; is this the file of the task?")
    return text[len(before) : len(text) - len(after)]


def multiple_choice(prompt: str, *metrics: str) -> Item:
    """lm-eval's configuration of a multiple choice over our items; each metric is a mean over items."""
    return {
        "output_type": "multiple_choice",
        "doc_to_text": prompt,
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [metric(name) for name in metrics],
    }


def metric(name: str) -> Item:
    """A metric whose mean over items is reported; more is better."""
    return {"metric": name, "aggregation": "mean", "higher_is_better": True}
