"""A manifest is read back as it was written, numbers to the last bit, or not at all."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.disk import write_whole
from engine.artifacts.manifest import Manifest, content_digest, output_of, read_manifest
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def manifest(metrics: object = 1) -> Manifest:
    return Manifest.model_validate(
        {
            "format": 1,
            "run": "toy/rows",
            "recipe": "a" * 64,
            "code": "c" * 64,
            "content": content_digest({}, {"value": None}),
            "stage": {},
            "inputs": {},
            "outputs": {},
            "metrics": {"value": metrics},
        }
    )


@given(JSON)
@settings(max_examples=150, deadline=None)
def test_metrics_survive(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "manifest.json"
    path.write_text(pretty(manifest(value)), encoding="utf-8")
    assert pretty(read_manifest(path)) == pretty(manifest(value))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"format": 1', '"format": 2'),
        ('"run"', '"ran"'),
        ("{\n", "{ \n"),
        ('"inputs": {}', '"inputs": []'),
        ("}\n", "}"),
    ],
)
def test_another_text_is_not_a_manifest(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "manifest.json"
    write_whole(path, pretty(manifest()).replace(old, new, 1))
    with pytest.raises(ArtifactError, match=r"manifest\.json (is damaged|was changed after it was written)"):
        read_manifest(path)


@pytest.mark.parametrize("text", [b"", b"\xff", b"null", b"[" * 100_000, b'{"format": 1e999}'])
def test_rubbish_is_not_a_manifest(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(ArtifactError, match="damaged"):
        read_manifest(tmp_path / "manifest.json")


def test_a_renamed_output_or_part_is_other_content() -> None:
    empty = output_of({})
    assert content_digest({"a": empty}, {}) != content_digest({"b": empty}, {})
    assert content_digest({}, {"loss": 1}) != content_digest({}, {"loss": 2})
