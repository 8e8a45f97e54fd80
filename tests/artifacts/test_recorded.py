"""Recorded digests: what is kept, and every outcome of comparing a rebuild with it."""

from pathlib import Path

import pytest

from engine.artifacts.manifest import Manifest, Output, content_digest
from engine.artifacts.recorded import (
    Kind,
    Recorded,
    compare,
    flat_metrics,
    largest_difference,
    load_recorded,
    recorded_text,
    recording,
)
from engine.spec.canonical import digest
from engine.spec.errors import ArtifactError

HERE, THERE = digest("this toolchain"), digest("another toolchain")
FACTS = {"torch": "2.13"}


def built(outputs: dict[str, str], metrics: dict[str, float] | None = None, recipe: str = "one") -> Manifest:
    """A manifest whose outputs have the digests of some words."""
    found = {name: Output(digest=digest(word), parts={}) for name, word in outputs.items()}
    return Manifest(
        format=1,
        run="toy/stage",
        recipe=digest(recipe),
        code=digest("code"),
        content=content_digest(found, metrics or {}),
        stage={"kind": "test"},
        inputs={},
        outputs=found,
        metrics={} if metrics is None else dict(metrics),
    )


def recorded(manifest: Manifest, kind: Kind, toolchain: str = HERE) -> Recorded:
    return recording(Recorded(), "stage", manifest, kind, toolchain, FACTS)


TRAINED = built({"step-0": "init", "step-9": "end", "log": "log"}, {"loss": 2.0})


@pytest.mark.parametrize("toolchain", [HERE, THERE])
def test_data_is_compared_on_every_toolchain(toolchain: str) -> None:
    known = recorded(built({"documents": "a"}), "data")
    assert compare(known, "stage", built({"documents": "a"}), "data", toolchain, 0.1).status == "equal"
    found = compare(known, "stage", built({"documents": "b"}), "data", toolchain, 0.1)
    assert found.status == "different"
    assert "output documents" in found.detail


def test_an_output_more_or_less_is_different() -> None:
    known = recorded(built({"documents": "a"}), "data")
    more = built({"documents": "a", "dropped": "d"})
    assert "nothing was recorded" in compare(known, "stage", more, "data", HERE, 0.1).detail


def test_nothing_recorded_is_said() -> None:
    for kind in ("data", "compute"):
        assert compare(Recorded(), "stage", TRAINED, kind, HERE, 0.1).status == "not recorded"


def test_training_on_the_same_toolchain_is_equal_or_different() -> None:
    known = recorded(TRAINED, "compute")
    found = compare(known, "stage", TRAINED, "compute", HERE, 0.1)
    assert (found.status, found.difference) == ("equal", 0.0)
    moved = built({"step-0": "init", "step-9": "moved", "log": "log"}, {"loss": 2.0})
    assert compare(known, "stage", moved, "compute", HERE, 0.1).status == "different"


@pytest.mark.parametrize(
    ("loss", "status"), [(2.1, "another toolchain"), (1.9, "another toolchain"), (2.3, "different")]
)
def test_training_on_another_toolchain_may_move_results_within_the_tolerance(loss: float, status: str) -> None:
    known = recorded(TRAINED, "compute")
    elsewhere = built({"step-0": "init", "step-9": "moved", "log": "moved"}, {"loss": loss})
    found = compare(known, "stage", elsewhere, "compute", THERE, 0.1)
    assert found.status == status
    assert found.difference == pytest.approx(abs(loss - 2) / 2)
    assert ("data equal, results within 0.05" in found.detail) == (status == "another toolchain")


def test_initial_weights_may_not_move_on_any_toolchain() -> None:
    known = recorded(TRAINED, "compute")
    elsewhere = built({"step-0": "moved", "step-9": "moved", "log": "moved"}, {"loss": 2.0})
    found = compare(known, "stage", elsewhere, "compute", THERE, 0.1)
    assert found.status == "different"
    assert "step-0" in found.detail


def test_the_nearest_of_several_toolchains_is_taken() -> None:
    far = built({"step-0": "init", "step-9": "far", "log": "far"}, {"loss": 4.0})
    known = recording(recorded(TRAINED, "compute"), "stage", far, "compute", THERE, FACTS)
    third = built({"step-0": "init", "step-9": "third", "log": "third"}, {"loss": 4.004})
    found = compare(known, "stage", third, "compute", digest("a third"), 0.1)
    assert found.difference == pytest.approx(0.001)


def test_metrics_of_other_names_are_different() -> None:
    known = recorded(TRAINED, "compute")
    other = built({"step-0": "init", "step-9": "moved", "log": "moved"}, {"perplexity": 2.0})
    assert compare(known, "stage", other, "compute", THERE, 0.1).status == "different"


@pytest.mark.parametrize("toolchain", [HERE, THERE])
def test_the_record_of_another_recipe_says_nothing_of_this_one(toolchain: str) -> None:
    known = recorded(TRAINED, "compute")
    edited = built({"step-0": "init", "step-9": "edited", "log": "edited"}, {"loss": 1.0}, recipe="two")
    found = compare(known, "stage", edited, "compute", toolchain, 0.1)
    assert found.status == "not recorded"
    assert "recorded for recipe" in found.detail


def test_equal_content_by_another_recipe_is_equal_and_says_so() -> None:
    known = recorded(built({"documents": "a"}), "data")
    found = compare(known, "stage", built({"documents": "a"}, recipe="two"), "data", HERE, 0.1)
    assert found.status == "equal"
    assert "another recipe" in found.detail


def test_recording_a_new_recipe_forgets_what_other_toolchains_gave_for_the_old_one() -> None:
    known = recorded(TRAINED, "compute", THERE)
    edited = built({"step-0": "init", "log": "edited"}, recipe="two")
    assert set(recording(known, "stage", edited, "compute", HERE, FACTS).trained) == {HERE}
    assert set(recording(known, "stage", TRAINED, "compute", HERE, FACTS).trained) == {HERE, THERE}


def test_a_run_may_change_from_data_to_compute() -> None:
    known = recorded(built({"verdicts": "v"}), "data")
    assert recording(known, "stage", built({"verdicts": "v"}), "compute", HERE, FACTS).data == {}


def test_the_file_is_the_same_for_the_same_record_and_reads_back(tmp_path: Path) -> None:
    known = recorded(TRAINED, "compute")
    path = tmp_path / "toy.digests.json"
    assert load_recorded(path) == Recorded()
    path.write_text(recorded_text(known))
    assert load_recorded(path) == known
    assert recorded_text(load_recorded(path)) == recorded_text(known)
    path.write_text("{")
    with pytest.raises(ArtifactError, match=r"toy\.digests\.json"):
        load_recorded(path)


def test_metrics_are_flattened_to_dotted_names_and_numbers_alone() -> None:
    metrics = {"all": {"ppl": 2.5, "words": None}, "steps": 3, "ok": True, "name": "x"}
    assert flat_metrics(metrics) == {"all.ppl": 2.5, "steps": 3.0}


def test_a_difference_from_zero_is_not_a_number() -> None:
    assert largest_difference({"a": 0.0}, {"a": 0.0}) == 0.0
    assert largest_difference({"a": 0.0}, {"a": 1.0}) is None
