"""The one identity function: a value of plain data to canonical bytes to sha256.

The bytes are JSON with sorted keys, no spaces, UTF-8, floats in their shortest round-trip form and told from
integers by their point or exponent. The list of types is closed: anything else raises.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from engine.spec.base import Spec, is_neutral

_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: it has no UTF-8


def plain(value: object) -> Any:
    """The value as JSON data: specs become mappings (without neutral fields), tuples become lists."""
    match value:
        case Spec():
            fields = type(value).model_fields
            kept = {name: item for name, item in value.__dict__.items() if not is_neutral(fields[name], item)}
            return {fields[name].alias or name: plain(item) for name, item in kept.items()}
        case bool() | int() | None:
            return value
        case str() if not _SURROGATE.search(value):
            return value
        case float() if math.isfinite(value):
            return value
        case tuple() | list():
            return [plain(item) for item in value]
        case Mapping() if all(type(key) is str for key in value):
            return {key: plain(value[key]) for key in value}
        case _:
            raise TypeError(
                f"{type(value).__name__} {value!r:.80} has no stable bytes; keep to specs, whole text, int, "
                "finite float, bool, None, tuples, lists and mappings with str keys"
            )


def canonical(value: object) -> bytes:
    """Canonical bytes of plain data; equal data gives equal bytes on every machine."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")


def digest(value: object) -> str:
    """sha256 (64 hex digits) of the canonical bytes: the identity of a value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def pretty(value: object) -> str:
    """The text of a JSON file that people read and git keeps: sorted, indented, ends in a newline."""
    return json.dumps(plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
