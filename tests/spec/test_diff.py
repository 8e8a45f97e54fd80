"""Differences as values: they print, and applied to the old they give the new."""

from typing import Any

import pytest
from hypothesis import given

from engine.spec.canonical import canonical
from engine.spec.diff import Added, Changed, Removed, apply, diff
from tests.spec.test_canonical import JSON


@given(JSON, JSON)
def test_applied_to_the_old_it_gives_the_new(old: Any, new: Any) -> None:
    assert canonical(apply(old, diff(old, new))) == canonical(new)


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert diff(value, value) == ()


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            {"stages": {"prune": {"sparsity": 0.5}}},
            {"stages": {"prune": {"sparsity": 0.6}}},
            "stages.prune.sparsity: 0.5 -> 0.6",
        ),
        ({"lr": 1}, {"lr": 1.0}, "lr: 1 -> 1.0"),
        ({"betas": [0.9, 0.95]}, {"betas": [0.9, 0.99]}, "betas.1: 0.95 -> 0.99"),
        ({"keep": ["a"]}, {"keep": ["b", "a"]}, 'keep: ["a"] -> ["b", "a"]'),
        ({"a": 1}, {"a": 1, "b": {"c": None}}, 'b: added {"c": null}'),
        ({"a": 1, "b": "x"}, {"a": 1}, 'b: removed "x"'),
        ({"a": {"b": 1}}, {"a": 2}, 'a: {"b": 1} -> 2'),
        (1, 2, "(all): 1 -> 2"),
    ],
)
def test_a_change_prints_on_one_line(old: Any, new: Any, text: str) -> None:
    assert [str(change) for change in diff(old, new)] == [text]


def test_changes_are_values_sorted_by_key() -> None:
    found = diff({"b": 1, "c": 1, "d": [1, 2]}, {"a": 1, "b": 2, "d": [1, 3]})
    assert found == (Added(("a",), 1), Changed(("b",), 1, 2), Removed(("c",), 1), Changed(("d", 1), 2, 3))


def test_the_old_value_is_left_alone() -> None:
    old = {"a": {"b": [1, 2]}}
    assert apply(old, diff(old, {"a": {"b": [1, 3]}})) == {"a": {"b": [1, 3]}}
    assert old == {"a": {"b": [1, 2]}}
