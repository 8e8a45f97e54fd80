"""Progress passes items on, and outside a terminal says every few seconds how long the rest will take."""

import itertools

import pytest

from engine.artifacts.progress import progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves by one second every time somebody looks."""
    monkeypatch.setattr("time.monotonic", itertools.count().__next__)


@pytest.mark.usefixtures("clock")
def test_a_line_every_five_seconds_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(100), 100, "rows", "pack")) == list(range(100))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "pack:   5%, 5 of 100 rows, 1:35 left"
    assert lines[1] == "pack:  10%, 10 of 100 rows, 1:30 left"
    assert lines[-1] == "pack: 100 rows in 1:41"
    assert len(lines) == 21


@pytest.mark.usefixtures("clock")
def test_an_unknown_total_tells_the_time_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress(range(5), None, "rows", "pack"))
    assert capsys.readouterr().err.splitlines()[0] == "pack: 5 rows, 0:05 so far"


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress(range(1000), 1000, "rows", "pack"))
    assert capsys.readouterr().err == ""


def test_items_are_not_taken_ahead() -> None:
    taken = []
    items = progress((taken.append(i) for i in range(10)), 10, "rows", "pack")
    next(items)
    assert len(taken) == 1
