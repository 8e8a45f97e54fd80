"""What a reader gives: units of text with their place in the member, what it passed over, and what is damaged."""

from typing import NamedTuple


class Unit(NamedTuple):
    """A text. `place` is empty for a whole file; `group` is empty where the unit stands alone."""

    place: str  # page=Title, line=12, chars=0-3991, conversation=3
    text: str
    group: str = ""


class Skipped(NamedTuple):
    """Something that is no document of this corpus; it is counted."""

    reason: str


class Faulty(NamedTuple):
    """A unit that is damaged: an error with this message, or counted by its reason, as the source says."""

    reason: str
    message: str
