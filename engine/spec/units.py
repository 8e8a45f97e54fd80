"""Numbers with a range and texts with a form, named once: counts, fractions, digests, project paths."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


def _check_sha256(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise ValueError(f"{text!r} is not a sha256; write its 64 hexadecimal digits")
    return text


def _check_inside(text: str) -> str:
    parts = text.split("/")
    if re.search(r"[\\\x00-\x1f]", text) or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{text!r} leaves its folder; write a relative path with '/' and without '.' or '..'")
    return text


Sha256 = Annotated[str, AfterValidator(_check_sha256)]
InnerPath = Annotated[str, AfterValidator(_check_inside)]
