"""The nearest known name, for messages: `did you mean`."""

import difflib
from collections.abc import Iterable


def nearest(found: str, known: Iterable[str]) -> str:
    """The known name that is spelt most alike; empty where none is near."""
    return next(iter(difflib.get_close_matches(found, list(known), n=1, cutoff=0.6)), "")


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, or nothing when no known name is near."""
    near = nearest(found, known)
    return f" (did you mean {near!r}?)" if near else ""
