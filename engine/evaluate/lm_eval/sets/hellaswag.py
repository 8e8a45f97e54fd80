"""HellaSwag: how a scene goes on, four endings. Six lines of text an item."""

import re

from engine.evaluate.lm_eval.sets.lines import Item, choices, multiple_choice
from engine.spec.errors import ArtifactError

CONFIG = multiple_choice("{{query}}", "acc", "acc_norm")
LINES = 6  # context, label, four endings
_LATER = re.compile(r"(.*[.!?]) ([a-z].*)", re.DOTALL)


def items(text: str, where: str) -> list[Item]:
    lines = text.removesuffix("\n").split("\n")
    if len(lines) % LINES:
        raise ArtifactError(f"{where} has {len(lines)} lines, no multiple of {LINES}; is this the file of the task?")
    return [_item(lines[begin : begin + LINES], f"{where} line {begin + 1}") for begin in range(0, len(lines), LINES)]


def _item(lines: list[str], place: str) -> Item:
    context, label, *endings = lines
    if not label.isdigit():
        raise ArtifactError(f"{place}: the second line is {label!r}, not the index of an ending")
    return {"query": capital(context.strip()), **choices({"choices": endings, "gold": int(label)}, place)}


def capital(context: str) -> str:
    """The context with a capital where its second part begins, as far as the joined text shows it (spec.py)."""
    found = _LATER.fullmatch(context)
    return f"{found[1]} {found[2].capitalize()}" if found else context
