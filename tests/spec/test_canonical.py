"""Identity: equal data gives equal bytes, pinned here; what has no stable bytes is refused."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from engine.spec.base import NEUTRAL, Spec
from engine.spec.canonical import canonical, digest, plain, pretty
from engine.spec.ref import Ref

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Step(Spec):
    kind: Literal["step"]
    reads: Ref
    rate: float = 0.5
    class_: str = Field(default="x", alias="class")
    sizes: tuple[int, ...] = ()


class StepLater(Step):
    """`Step` of a later release: two fields more, each with the value that means what was before."""

    threads: int = Field(default=4, json_schema_extra={NEUTRAL: 1})
    names: tuple[str, ...] = Field(default=(), json_schema_extra={NEUTRAL: ()})  # type: ignore[dict-item]


STEP = Step(kind="step", reads=Ref("rows@rows"), sizes=(3, 1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (STEP, '{"class":"x","kind":"step","rate":0.5,"reads":"rows@rows","sizes":[3,1]}'),
        ({"b": 1, "a": [True, None, 1.0]}, '{"a":[true,null,1.0],"b":1}'),
        ((1e-3, 1e16, 1e22, 5e-324, -0.0, 0.1), "[0.001,1e+16,1e+22,5e-324,-0.0,0.1]"),
        (2**64, "18446744073709551616"),
        ('é\n"\\\x7f\u2028字', '"é\\n\\"\\\\\x7f\u2028字"'),
        (np.float64(0.1), "0.1"),
        ({}, "{}"),
    ],
)
def test_canonical_bytes_are_pinned(value: object, text: str) -> None:
    assert canonical(value) == text.encode()
    assert digest(value) == hashlib.sha256(text.encode()).hexdigest()


def test_the_digest_of_a_step_is_pinned() -> None:
    assert digest(STEP) == "4fe71ed274cf36a54fe2afa1de6512a828e2f106bef1085662e15f208380d1db"


def test_a_field_added_later_moves_no_digest_while_it_is_neutral() -> None:
    later = StepLater(kind="step", reads=Ref("rows@rows"), sizes=(3, 1), threads=1)
    assert canonical(later) == canonical(STEP)
    assert digest(later.replace(threads=2)) != digest(STEP)
    assert digest(later.replace(names=("a",))) != digest(STEP)
    assert "threads" in plain(StepLater(kind="step", reads=Ref("a@b")))  # its default is not its neutral value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1, 2}, b"x", {1: 2}, object(), len, Step, np.int64(1), [np.zeros(2)], "\ud800", 1j],
)
def test_what_has_no_stable_bytes_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="no stable bytes"):
        canonical(value)


@given(JSON)
def test_canonical_bytes_read_back_to_the_same_data(value: Any) -> None:
    again = json.loads(canonical(value))
    assert repr(sorted_keys(again)) == repr(sorted_keys(plain(value)))
    assert canonical(again) == canonical(value)
    assert json.loads(pretty(value)) == again


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_keys_moves_nothing(value: dict[str, int]) -> None:
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0.0, -0.0), ("1", 1), ([], {}), (None, False)])
def test_values_that_python_calls_equal_stay_apart(one: object, other: object) -> None:
    assert canonical(one) != canonical(other)


def sorted_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(item) for item in value] if isinstance(value, list) else value
