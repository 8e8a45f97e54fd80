"""The one base of all specs: frozen, strict, closed, and never without a value."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

NEUTRAL = "neutral"  # the mark of a field that was added after format 1 was first published


class Spec(BaseModel):
    """Plain, frozen data. Unknown keys, NaN and wrong types are refused; `replace` validates again."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated as if it were new (`model_copy` validates nothing)."""
        fields = type(self).model_fields
        unknown = sorted(set(changes) - set(fields))
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {unknown[0]!r}")
        values = {**self.__dict__, **changes}
        return type(self).model_validate({fields[name].alias or name: value for name, value in values.items()})


def is_neutral(field: FieldInfo, value: object) -> bool:
    """Whether a later field still holds its declared neutral value, and so is left out of the canonical bytes.

    Declared as `Field(default=0, json_schema_extra={NEUTRAL: 0})`. The neutral value means what the engine did before
    the field was there; it may differ from the default.
    """
    extra = field.json_schema_extra
    if not isinstance(extra, dict) or NEUTRAL not in extra:
        return False
    neutral = extra[NEUTRAL]
    if isinstance(value, Spec):
        return repr(value.model_dump(mode="json", by_alias=True)) == repr(neutral)
    return type(value) is type(neutral) and repr(value) == repr(neutral)  # repr tells 1 from True and 0.0 from -0.0
