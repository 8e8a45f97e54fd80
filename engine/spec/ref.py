"""A reference to an output of an earlier stage, `stage@output`: the only special leaf of a spec."""

import re
from typing import Annotated, Any, NamedTuple, final

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import core_schema

NAME = r"[a-z0-9][a-z0-9._-]*"
NAME_RULE = "small letters, digits, '.', '_' and '-', a letter or digit first"
_NAME = re.compile(NAME)
PATTERN = rf"^{NAME}(\[[^\[\]@]+\])?@(\*|{NAME})$"
_REF = re.compile(rf"(?P<stage>{NAME})(?:\[(?P<cell>[^\[\]@]+)\])?@(?P<output>\*|{NAME})")


@final
class Ref(str):
    """`stage@output`, `stage[axis=value]@output`, `stage[*]@output` (all cells) or `stage@*` (all checkpoints).

    `stage[axis=value,seed=*]@output` is the cells of every seed.
    """

    __slots__ = ()

    @property
    def parts(self) -> "RefParts":
        found = _REF.fullmatch(self)
        assert found is not None
        return RefParts(found["stage"], found["cell"] or "", found["output"])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(cls.parse, core_schema.str_schema(strict=True))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": PATTERN, "description": "A reference, stage@output"}

    @classmethod
    def parse(cls, text: str) -> "Ref":
        """The reference that a text spells; ValueError says what a reference looks like."""
        if not is_ref(text):
            raise ValueError(f"{text!r} is not a reference; write stage@output, for instance corpus@documents")
        return cls(text)


def is_ref(text: str) -> bool:
    """Whether a text is spelt as a reference."""
    return _REF.fullmatch(text) is not None


def axes_of(cell: str) -> dict[str, str]:
    """The axes of a cell, `mix=dc1,seed=2`, and the texts of their values; none for no cell."""
    return {axis: value for axis, _, value in (part.partition("=") for part in cell.split(",") if part)}


def is_named(cell: str, by: str) -> bool:
    """Whether a reference to cells, `*` or one with `*` for values of some axes, names this one; axes are sorted."""
    ours, theirs = cell.split(","), by.split(",")
    fits = (a == b or b == f"{a.partition('=')[0]}=*" for a, b in zip(ours, theirs, strict=False))
    return by == "*" or (len(ours) == len(theirs) and all(fits))


class RefParts(NamedTuple):
    """What a reference names; `cell` is empty for a stage without a matrix, `*` or has `*` where it names several."""

    stage: str
    cell: str
    output: str


def _check_name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not a name; use {NAME_RULE}")
    return text


Name = Annotated[str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME}$"})]
