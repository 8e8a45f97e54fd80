"""HellaSwag: how a scene goes on, four endings. Six lines of text an item."""

import re
from typing import Annotated

from pydantic import Field, StringConstraints

from engine.evaluate.lm_eval.sets.lines import Item, Row, Words, checked, multiple_choice, wrong

CONFIG = multiple_choice("{{query}}", "acc", "acc_norm")
LINES = 6  # context, label, four endings
_LATER = re.compile(r"(.*[.!?]) ([a-z].*)", re.DOTALL)


class Scene(Row):
    """The lines of an item."""

    context: Words
    """a text that is not blank"""
    label: Annotated[str, StringConstraints(pattern=r"^[0-3]$")]
    """the index of the right ending, 0 to 3"""
    endings: Annotated[list[Words], Field(min_length=4, max_length=4)]
    """four texts, none of them blank"""


def items(text: str, where: str) -> list[Item]:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) % LINES:
        raise wrong(where, "the whole", f"{len(lines)} lines", f"{LINES} lines an item")
    return [_item(lines[begin : begin + LINES], f"{where} line {begin + 1}") for begin in range(0, len(lines), LINES)]


def _item(lines: list[str], place: str) -> Item:
    context, label, *endings = lines
    scene = checked(Scene, {"context": context, "label": label, "endings": endings}, place)
    return {"query": capital(scene.context.strip()), "choices": scene.endings, "gold": int(scene.label)}


def capital(context: str) -> str:
    """The context with a capital where its second part begins, as far as the joined text shows it (spec.py)."""
    found = _LATER.fullmatch(context)
    return f"{found[1]} {found[2].capitalize()}" if found else context
