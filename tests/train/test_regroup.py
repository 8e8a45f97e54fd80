"""Under `regroup` one digest comes out of every world size, ZeRO stage, kill and resume; under `repeat` several do."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.artifacts.draft import Draft
from engine.spec.layout import Determinism, Layout
from engine.spec.philox import generator
from engine.train.job import Job
from engine.train.run import beginning
from engine.train.steplog import LOG
from tests.train import toy
from tests.train.group import SENT, run_group

WORLDS, ZEROS = (1, 2, 4), (0, 1, 2, 3)
OVERHEAD = 4096  # bytes of losses, peaks, norms, and of what pads partitions and the last bucket
BUCKET = 3000  # far below the 20,416 parameters of the toy, and no divisor of any tensor
PARAMETERS = toy.plan(level="regroup").parameters
LAST = "step-6"


@dataclass(frozen=True)
class Matrix:
    """Finished cells by name."""

    root: Path

    def last(self, name: str) -> str:
        return toy.digests(self.root / name)[LAST]

    def sent(self, name: str) -> list[int]:
        """Bytes that rank 0 gave to collectives, by step."""
        found: list[int] = json.loads((self.root / name / f".{SENT}").read_text())
        return found


def layout(world: int, zero: int, **more: object) -> Layout:
    return Layout.model_validate({"world": world, "zero": zero, "bucket_elements": BUCKET, **more})


def job(root: Path, name: str, where: Layout, level: Determinism = "regroup", micro_rows: int = 1) -> Job:
    """A cell from its beginning, or from the last whole checkpoint that is in its folder."""
    stage = toy.plan(where if level == "repeat" else None, level=level, micro_rows=micro_rows)
    out = root / name
    begin = beginning(stage, toy.inputs(root / "pack"), Draft(out)) if out.exists() else None
    checkpoint = "" if begin is None or begin.folder is None else str(begin.folder)
    written = begin is not None and begin.written
    rows = str(root / "pack" / "rows")
    return Job(stage=stage, layout=where, rows=rows, checkpoint=checkpoint, written=written, out=str(out))


@pytest.fixture(scope="session")
def matrix(tmp_path_factory: pytest.TempPathFactory, closed: None) -> Iterator[Matrix]:  # noqa: ARG001 (an effect)
    """Straight runs in every layout; runs that die in one layout at a random step, and go on in another."""
    root = tmp_path_factory.mktemp("matrix")
    toy.write_rows(root / "pack")
    cells = [(world, zero) for world in WORLDS for zero in ZEROS]
    straight = {f"w{w}z{z}": (job(root, f"w{w}z{z}", layout(w, z)), 0) for w, z in cells}
    more = {
        "three": (job(root, "three", layout(3, 2)), 0),
        "recompute": (job(root, "recompute", layout(2, 0, activations="recompute")), 0),
        "recompute-z3": (job(root, "recompute-z3", layout(2, 3, activations="recompute")), 0),
        "one-bucket": (job(root, "one-bucket", Layout(world=2, zero=1)), 0),
        "pairs": (job(root, "pairs", layout(1, 0), micro_rows=2), 0),
        **{f"repeat-w{w}": (job(root, f"repeat-w{w}", Layout(world=w), "repeat"), 0) for w in WORLDS},
        "repeat-w2z2": (job(root, "repeat-w2z2", Layout(world=2, zero=2), "repeat"), 0),
    }
    drawn = generator(3, "test", "kill").raw(len(cells)) % 5
    killed = {f"killed-w{w}z{z}": (w, z, 1 + int(drawn[i])) for i, (w, z) in enumerate(cells)}
    dying = {name: (job(root, name, layout(w, z)), 1 + step) for name, (w, z, step) in killed.items()}
    run_group(root, {**straight, **more, **dying})
    elsewhere = [cells[(i * 5 + 7) % len(cells)] for i in range(len(cells))]
    going_on = {name: (job(root, name, layout(*elsewhere[i])), 0) for i, name in enumerate(killed)}
    assert sum(job.written for job, _ in going_on.values()) == len(cells)
    run_group(root, going_on)
    yield Matrix(root)


@pytest.mark.parametrize("zero", ZEROS)
@pytest.mark.parametrize("world", WORLDS)
def test_every_layout_ends_in_the_same_bits(matrix: Matrix, world: int, zero: int) -> None:
    assert matrix.last(f"w{world}z{zero}") == matrix.last("w1z0")
    assert toy.digests(matrix.root / f"w{world}z{zero}") == toy.digests(matrix.root / "w1z0")


@pytest.mark.parametrize("zero", ZEROS)
@pytest.mark.parametrize("world", WORLDS)
def test_a_killed_run_that_goes_on_in_another_layout_ends_in_the_same_bits(
    matrix: Matrix, world: int, zero: int
) -> None:
    assert toy.digests(matrix.root / f"killed-w{world}z{zero}") == toy.digests(matrix.root / "w1z0")
    assert (matrix.root / f"killed-w{world}z{zero}" / LOG).read_bytes() == (matrix.root / "w1z0" / LOG).read_bytes()


@pytest.mark.parametrize("name", ["three", "recompute", "recompute-z3", "one-bucket"])
def test_ranks_that_do_not_divide_the_batch_recomputation_and_buckets_change_nothing(matrix: Matrix, name: str) -> None:
    assert toy.digests(matrix.root / name) == toy.digests(matrix.root / "w1z0")


def test_repeat_differs_where_it_may(matrix: Matrix) -> None:
    names = ("repeat-w1", "repeat-w2", "repeat-w4", "repeat-w2z2")
    assert len({matrix.last(name) for name in names}) == len(names)


def test_another_shape_of_micro_batches_is_another_run(matrix: Matrix) -> None:
    assert matrix.last("pairs") != matrix.last("w1z0")


@pytest.mark.parametrize(
    ("name", "passes"), [("w1z0", 1), ("w2z0", 1), ("w4z1", 1), ("w4z2", 1), ("w2z2", 2), ("w2z3", 2)]
)
def test_a_rank_sends_each_gradient_once_a_step(matrix: Matrix, name: str, passes: int) -> None:
    """Once a pass where gradients are shared, as in DeepSpeed itself; never once a micro-batch of the batch."""
    first, *later = matrix.sent(name)
    own = 4 * PARAMETERS * passes
    assert later
    assert all(own <= step < own + OVERHEAD for step in later)
    assert first >= 2 * own  # the first step is computed twice, since nothing was known of its gradients


def test_ranks_that_trust_their_own_peaks_are_caught(tmp_path: Path, closed: None) -> None:  # noqa: ARG001
    toy.write_rows(tmp_path / "pack")
    jobs = {f"w{w}": (job(tmp_path, f"w{w}", layout(w, 0)), 0) for w in (1, 2)}
    run_group(tmp_path, jobs, mutant="own-peaks")
    one, two = (toy.digests(tmp_path / name) for name in jobs)
    assert one["step-0"] == two["step-0"]
    assert one[LAST] != two[LAST]
