"""Peak memory of clean, dedup and split does not follow the corpus."""

from pathlib import Path

import pytest

from bench.data_memory import peaks_of


@pytest.mark.slow
def test_four_times_the_corpus_needs_no_more_memory(tmp_path: Path) -> None:
    once, four_times = peaks_of(32, tmp_path), peaks_of(128, tmp_path)
    assert four_times["split"] < once["split"] + 48, (once, four_times)  # the corpus grew by 96 MB of text
