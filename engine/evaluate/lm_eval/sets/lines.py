"""How a benchmark's file is read: item by item, each held against the form that its set declares."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from engine.spec.errors import ArtifactError

Item = dict[str, Any]
Words = Annotated[str, StringConstraints(pattern=r"\S")]
FOUND_CHARACTERS = 80  # of a value that is told
FOREIGN = "is this the file of the task?"


class Row(BaseModel):
    """An item as its file has it; keys that the task does not read are left alone. A field's docstring is told."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


R = TypeVar("R", bound=Row)


class Question(Row):
    """An item of multiple choice, as llm-foundry has it."""

    query: Words
    """a text that is not blank"""
    choices: Annotated[list[Words], Field(min_length=2)]
    """two texts or more, none of them blank"""
    gold: int
    """the index of the right choice, from 0 and below their number"""

    @field_validator("gold")
    @classmethod
    def _names_a_choice(cls, gold: int, info: ValidationInfo) -> int:
        choices = info.data.get("choices", ())
        if choices and not 0 <= gold < len(choices):  # without choices there is nothing to hold it against
            raise ValueError(f"there are {len(choices)} choices")
        return gold

    def answers(self) -> Item:
        """What lm-eval's configuration of a multiple choice reads."""
        return {"choices": self.choices, "gold": self.gold}


def json_lines(form: type[R], text: str, where: str) -> Iterator[tuple[str, R]]:
    """(place, item) of every line that is not blank; ArtifactError for one that is not as the form has it."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{where} line {number}"
            yield place, checked(form, read_json(line, place), place)


def read_json(text: str, place: str) -> object:
    """JSON in which no key stands twice in one object."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise wrong(place, "the whole", text, f"JSON ({error})") from error


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:FOUND_CHARACTERS]!r} stands twice in an object")
    return found


def checked(form: type[R], value: object, place: str) -> R:
    """The value in its form; ArtifactError tells every key that is not."""
    try:
        return form.model_validate(value)
    except ValidationError as error:
        raise ArtifactError("\n".join(_told(form, one, place) for one in error.errors())) from error


def _told(form: type[Row], error: ErrorDetails, place: str) -> str:
    fields = {field.alias or name: field for name, field in form.model_fields.items()}
    if not error["loc"]:
        return told(place, "the whole", error["input"], f"an object with {', '.join(fields)}")
    key = ".".join(str(part) for part in error["loc"])[:FOUND_CHARACTERS]
    found = Nothing() if error["type"] == "missing" else error["input"]
    return told(place, key, found, fields[str(error["loc"][0])].description or error["msg"])


class Nothing:
    """A key that is not there."""

    def __repr__(self) -> str:
        return "nothing"


def told(place: str, key: str, found: object, allowed: str) -> str:
    """The one shape of an error of an item: file and line, key, what was found, what is allowed."""
    shown = repr(found)
    short = shown if len(shown) <= FOUND_CHARACTERS else f"{shown[:FOUND_CHARACTERS]}..."
    return f"{place}, {key}: found {short}, allowed: {allowed}; {FOREIGN}"


def wrong(place: str, key: str, found: object, allowed: str) -> ArtifactError:
    """The error of one key."""
    return ArtifactError(told(place, key, found, allowed))


def cut(text: str, before: str, after: str, place: str) -> str:
    """The part of a query between what must stand before and after it, which is not blank."""
    found = text[len(before) : len(text) - len(after)]
    if not (text.startswith(before) and text.endswith(after) and found.strip()):
        raise wrong(place, "query", text, f"a text with {before!r} first and {after!r} last")
    return found


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
