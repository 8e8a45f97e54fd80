"""Every reason for which a cleaning step or a test drops has the value that decided, by its place in the stage."""

from pathlib import Path
from typing import Any

import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.store import Store
from engine.data.cleaning.spec import GopherQuality, GopherRepetition, Language
from engine.report.thresholds import thresholds
from engine.spec.canonical import plain
from tests.chain import make_run

STEPS = (
    {"kind": "nfc"},
    {"kind": "slimpajama_short", "chars": 200},
    plain(Language(kind="language", keep=("en",), least=0.65)),
    plain(GopherQuality(kind="gopher_quality")),
    plain(GopherRepetition(kind="gopher_repetition")),
    {"kind": "slimpajama_short", "chars": 300},
)
REASONS: dict[str, dict[str, Any]] = {
    "nul": {},
    "slimpajama_short": {"steps.1.chars": 200, "steps.5.chars": 300},
    "language.de": {"steps.2.keep": ["en"]},
    "language.unsure": {"steps.2.least": 0.65},
    "gopher_quality.words": {"steps.3.words": [50, 100000]},
    "gopher_quality.least_stop_words": {"steps.3.least_stop_words": 2},
    "gopher_repetition.duplicate_lines": {"steps.4.duplicate_lines": 0.3},
    "gopher_repetition.top_ngram_chars.2": {"steps.4.top_ngram_chars.0": 0.2},
    "gopher_repetition.top_ngram_chars.4": {"steps.4.top_ngram_chars.2": 0.16},
    "gopher_repetition.duplicate_ngram_chars.10": {"steps.4.duplicate_ngram_chars.5": 0.1},
}


def nothing(draft: Draft) -> None:
    draft.json("documents", "empty.json", {})
    draft.close("documents")


@pytest.mark.parametrize("reason", REASONS)
def test_the_threshold_of_a_cleaning_step(tmp_path: Path, reason: str) -> None:
    stage = {"kind": "clean", "documents": "corpus@documents", "steps": list(STEPS)}
    manifest = make_run(Store(tmp_path / "artifacts"), "toy/clean", stage, {}, nothing)
    assert thresholds(manifest, reason, {}) == REASONS[reason]


def test_a_stage_without_thresholds_has_none(tmp_path: Path) -> None:
    manifest = make_run(Store(tmp_path / "artifacts"), "toy/rows", {"kind": "pack"}, {}, nothing)
    assert thresholds(manifest, "irreversible", {}) == {}
