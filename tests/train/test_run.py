"""The stage as a whole: outputs and metrics, killed at several steps, and stopped by what is wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.artifacts.draft import Draft
from engine.spec.errors import ArtifactError
from engine.train.job import JOB
from engine.train.run import beginning, run_train
from engine.train.steplog import LOG
from tests.train import toy
from tests.train.conftest import Cells

ROOT = Path(__file__).parents[2]


def children(out: Path) -> list[int]:
    """Processes that work on the job of a draft, the launcher first."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(out / JOB).encode() in words:
            found.append(int(folder.name))
    return sorted(found)


def start(root: Path) -> "subprocess.Popen[bytes]":
    """The toy run in a process of its own, which can be killed."""
    code = f"from pathlib import Path; from tests.train import toy; toy.run(Path({str(root)!r}))"
    with (root / "stderr").open("wb") as stderr:
        return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=stderr)


def wait_for(out: Path, steps: int, process: "subprocess.Popen[bytes]") -> None:
    """Returns as soon as the log has so many steps."""
    for _ in range(12000):
        log = out / LOG
        if log.is_file() and log.read_bytes().count(b"\n") >= steps:
            return
        assert process.poll() is None, (out.parent / "stderr").read_text()
        time.sleep(0.005)
    raise AssertionError(f"{out} never reached step {steps}")


def ended(out: Path) -> bool:
    """Whether no process works on a draft any more; waits a little for it."""
    for _ in range(200):
        if not children(out):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def project(tmp_path: Path, closed: None) -> Path:  # noqa: ARG001 (an effect)
    toy.write_rows(tmp_path / "pack")
    (tmp_path / "out").mkdir()
    return tmp_path


def test_killed_runs_end_in_the_digests_of_an_undisturbed_one(project: Path, cells: Cells) -> None:
    out = project / "out"
    first = start(project)
    wait_for(out, 1, first)
    first.kill()
    first.wait()
    assert ended(out), "a rank outlived its parent"
    second = start(project)
    wait_for(out, 3, second)
    os.killpg(children(out)[0], signal.SIGKILL)
    assert second.wait() == 1
    assert "a training rank ended with code" in (project / "stderr").read_text()
    assert ended(out)
    metrics = toy.run(project)
    found = toy.digests(out)
    assert {name: found[name] for name in found if name != "log"} == cells.digests("straight")
    assert (out / "log" / "steps.jsonl").read_bytes() == (cells.root / "straight" / LOG).read_bytes()
    assert metrics["steps"] == 6
    assert metrics["tokens"] == 6 * 4 * toy.ROW_TOKENS
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [".observed.json"]


def test_goes_on_from_the_last_checkpoint_whose_bytes_are_right(project: Path, cells: Cells) -> None:
    out = project / "out"
    shutil.copytree(cells.root / "straight", out, dirs_exist_ok=True)
    with (out / "step-4" / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    begin = beginning(toy.plan(), toy.inputs(project / "pack"), Draft(out))
    assert (begin.step, begin.written) == (2, True)
    assert Draft(out).closed() == ("step-0", "step-2")
    assert [json.loads(line)["step"] for line in (out / LOG).read_text().splitlines()] == [1, 2]


def test_a_checkpoint_that_was_trained_on_other_rows_is_not_gone_on_from(project: Path, cells: Cells) -> None:
    out = project / "out"
    shutil.copytree(cells.root / "straight", out, dirs_exist_ok=True)
    lines = (out / LOG).read_text(encoding="ascii").splitlines(keepends=True)
    batch = json.loads(lines[2])["batch"]
    (out / LOG).write_text("".join(lines).replace(batch, "0" * 64), encoding="ascii")
    begin = beginning(toy.plan(), toy.inputs(project / "pack"), Draft(out))
    assert (begin.step, begin.written) == (2, True)


def test_a_finished_run_whose_commit_was_killed_needs_no_ranks(project: Path, cells: Cells) -> None:
    shutil.copytree(cells.root / "straight", project / "out", dirs_exist_ok=True)
    before = toy.run(project)
    assert toy.run(project) == before


def test_divergence_stops_the_run_at_its_step(project: Path) -> None:
    with pytest.raises(ArtifactError, match=r"step [2-6]: loss .* not finite"):
        toy.run(project, peak=1e30)
    assert "step-0" in Draft(project / "out").closed()


def test_too_few_rows_are_told_before_anything_is_trained(project: Path) -> None:
    with pytest.raises(ArtifactError, match=r"24 rows .* 7 steps of 4 rows need 28; train for at most 6 steps"):
        toy.run(project, steps=7)
    assert list((project / "out").iterdir()) == []


def test_a_checkpoint_of_another_model_is_refused(project: Path, cells: Cells) -> None:
    plan = toy.plan(start="straight@step-4")
    other = plan.replace(model=plan.model.replace(mlp=56))
    given = toy.inputs(project / "pack", ("straight@step-4", cells.root / "straight"))
    with pytest.raises(ArtifactError, match=r"another model: 'layers.0.mlp.down.weight'"):
        run_train(other, given, Draft(project / "out"), toy.placement(project))
