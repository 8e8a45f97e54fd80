"""The base of all specs, references, names and numbers: what they take and what they refuse."""

import pytest
from pydantic import TypeAdapter, ValidationError

from engine.spec.base import Spec
from engine.spec.ref import Name, Ref, RefParts
from engine.spec.units import Count, Fraction, InnerPath, Seed, Sha256


class Batch(Spec):
    rows: Count
    weights: tuple[float, ...] = ()


@pytest.mark.parametrize(
    "values", [{"rows": True}, {"rows": "3"}, {"rows": 3.0}, {"rows": 0}, {"rows": 1, "row": 1}, {}]
)
def test_a_spec_is_strict_and_closed(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Batch.model_validate(values)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), "1"])
def test_a_number_is_finite(weight: object) -> None:
    with pytest.raises(ValidationError):
        Batch.model_validate({"rows": 1, "weights": (weight,)})


def test_a_spec_is_frozen_and_replace_validates() -> None:
    batch = Batch(rows=1)
    with pytest.raises(ValidationError):
        batch.rows = 2  # type: ignore[misc]
    assert batch.replace(rows=2) == Batch(rows=2)
    assert batch.rows == 1
    with pytest.raises(ValidationError):
        batch.replace(rows=0)
    with pytest.raises(TypeError, match="no field 'row'"):
        batch.replace(row=2)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("corpus@documents", RefParts("corpus", "", "documents")),
        ("stage1@step-940", RefParts("stage1", "", "step-940")),
        ("stage1@*", RefParts("stage1", "", "*")),
        ("rows[*]@rows", RefParts("rows", "*", "rows")),
        ("t[mix=dc1,optimizer.lr.peak=0.001]@final", RefParts("t", "mix=dc1,optimizer.lr.peak=0.001", "final")),
    ],
)
def test_a_reference_has_parts(text: str, parts: RefParts) -> None:
    assert Ref.parse(text).parts == parts
    assert TypeAdapter(Ref).validate_python(text) == Ref(text)


@pytest.mark.parametrize(
    "text", ["", "rows", "@rows", "rows@", "Rows@rows", "rows@rows\n", "a/b@c", "a@b@c", "a[]@b", "*@b", "a@../b"]
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write stage@output"):
        Ref.parse(text)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Name, ["a", "0", "dc1-v2.1_x"], ["", "A", "-a", ".a", "a b", "a/b", "a\n", "é"]),
        (
            InnerPath,
            ["a", "a/b.txt", "..a", "a b"],
            ["", "/a", "a/", "a//b", "..", "a/../b", "a\\b", "a\0b", "a\n"],
        ),
        (Sha256, ["0" * 64], ["0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n", ""]),
        (Count, [1, 2**70], [0, -1, True, 1.0]),
        (Seed, [0, 2**63 - 1], [-1, 2**63]),
        (Fraction, [0.5, 1e-9], [0.0, 1.0, 1, -0.1]),
    ],
)
def test_names_paths_and_numbers_have_a_form(kind: object, good: list[object], bad: list[object]) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    assert [adapter.validate_python(value, strict=True) for value in good] == good
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value, strict=True)
