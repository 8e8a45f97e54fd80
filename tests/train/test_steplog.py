"""The step log read back: whole lines in order, nothing after a torn or misplaced one."""

from pathlib import Path

import pytest

from engine.spec.errors import ArtifactError
from engine.train.steplog import LOG, Step, StepLog, lines, metrics, read_steps


def step(number: int) -> Step:
    loss = 5.0 / number
    return Step(
        step=number, loss=loss, loss_hex=loss.hex(), grad_norm=1.0, grad_norm_hex=(1.0).hex(), lr=1e-3,
        rows_seen=4 * number, batch="ab",
    )  # fmt: skip


def test_what_was_written_is_read(tmp_path: Path) -> None:
    log = StepLog(tmp_path)
    for number in (5, 6, 7):
        log.write(step(number))
    log.close()
    assert read_steps(tmp_path / LOG, 5) == (step(5), step(6), step(7))
    assert read_steps(tmp_path / LOG, 1) == ()


@pytest.mark.parametrize("tail", [b'{"step":3,', lines((step(3),))[:-1], lines((step(4),)), b"\xff\n"])
def test_reading_stops_at_a_torn_or_misplaced_line(tmp_path: Path, tail: bytes) -> None:
    (tmp_path / LOG).write_bytes(lines((step(1), step(2))) + tail + lines((step(3),)))
    assert read_steps(tmp_path / LOG, 1) == (step(1), step(2))


def test_metrics_follow_from_the_log() -> None:
    found = metrics(tuple(step(number) for number in range(1, 41)), 64)
    assert found["first_loss"] == 5.0
    assert found["final_loss"] == 0.125
    assert found["last_20_loss"] == pytest.approx(sum(5 / n for n in range(21, 41)) / 20)
    assert found["tokens"] == 2560
    with pytest.raises(ArtifactError, match="no step"):
        metrics((), 64)
