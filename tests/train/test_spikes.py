"""Loss spikes: when they are malignant, what remedies make of a run, and that a healed run replays to the same bits."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from engine.artifacts.draft import Draft
from engine.artifacts.read import read_array
from engine.spec.canonical import canonical
from engine.spec.layout import Layout
from engine.train.checkpoint import read_state
from engine.train.data import Rows, chunk_order
from engine.train.job import Job
from engine.train.run import beginning, finish
from engine.train.spec import ClipHarder, Defer, LowerRate, NoRemedy, Reading, RollBack, Spikes, TrainPlan
from engine.train.spikes import Event, Watch, clip_norm, deferred_chunks, rate_factor, read_events, see, treated
from engine.train.steplog import read_steps
from tests.train import toy
from tests.train.group import run_group

RULE = Spikes(window=4, factor=1.5, patience=3, remedy=Defer(kind="defer"))
CHUNKS, EVERY = 6, 4
STEPS = CHUNKS * EVERY
POISONED = 3


def watched(losses: list[float], rule: Spikes = RULE) -> list[Event]:
    watch, events = Watch(), []
    for step, loss in enumerate(losses, start=1):
        watch, event = see(rule, watch, step, loss)
        events += [] if event is None else [event]
    return events


def test_a_spike_that_stays_is_malignant() -> None:
    (event,) = watched([2.0, 2.1, 1.9, 2.0, 4.0, 5.0, 4.5])
    assert event == Event(kind="malignant", begun=5, ended=7, level=2.0, peak=5.0, above=3)


def test_a_spike_that_heals_by_itself_is_benign_and_leaves_the_level_as_it_was() -> None:
    losses = [2.0, 2.1, 1.9, 2.0, 9.0, 2.0, 2.0, 2.0, 3.1, 3.2, 3.3]
    assert [(e.kind, e.begun, e.above, e.level) for e in watched(losses)] == [
        ("benign", 5, 1, 2.0),
        ("malignant", 9, 3, 2.0),
    ]


def test_nothing_is_a_spike_before_the_window_is_full() -> None:
    assert watched([2.0, 2.0, 2.0, 9.0]) == []


def test_a_slow_rise_is_no_spike() -> None:
    assert watched([2.0 * 1.1**n for n in range(20)]) == []


def test_a_remedy_goes_back_to_the_last_checkpoint_before_the_chunk() -> None:
    event = Event(kind="malignant", begun=15, ended=17, level=2.0, peak=5.0, above=3)
    kept = (0, 4, 8, 12, 14)
    defer = treated(RULE, event, (), kept, 3, 12)
    assert (defer.remedy, defer.back_to, defer.deferred) == ("defer", 12, 3)
    back = treated(RULE.replace(remedy=RollBack(kind="roll_back")), event, (), kept, 3, 12)
    assert (back.remedy, back.back_to, back.deferred) == ("roll_back", 14, None)
    assert treated(RULE.replace(remedy=NoRemedy(kind="none")), event, (), kept, 3, 12) == event
    assert treated(RULE, event.replace(kind="benign"), (), kept, 3, 12).remedy == "none"


def test_a_chunk_is_deferred_once_and_remedies_are_counted() -> None:
    event = Event(kind="malignant", begun=15, ended=17, level=2.0, peak=5.0, above=3)
    done = event.replace(remedy="defer", back_to=12, deferred=3)
    assert treated(RULE, event, (done,), (0, 12), 3, 12).remedy == "none"
    assert treated(RULE, event, (done,), (0, 12), 4, 12).deferred == 4
    assert treated(RULE.replace(most=1), event, (done,), (0, 12), 4, 12).remedy == "none"
    assert deferred_chunks((event, done)) == (3,)


def test_rates_and_bounds_are_lower_for_so_many_steps() -> None:
    lower = RULE.replace(remedy=LowerRate(kind="lower_rate", factor=0.5, steps=4))
    harder = RULE.replace(remedy=ClipHarder(kind="clip_harder", norm=0.25, steps=4))
    events = (
        Event(kind="malignant", begun=15, ended=17, level=2.0, peak=5.0, above=3, remedy="lower_rate", back_to=12),
    )
    assert [rate_factor(lower, events, step) for step in (12, 13, 16, 17)] == [1.0, 0.5, 0.5, 1.0]
    assert [clip_norm(harder, events, step, 1.0) for step in (12, 13, 16, 17)] == [1.0, 0.25, 0.25, 1.0]
    assert rate_factor(lower, events * 2, 13) == 0.25
    assert rate_factor(harder, events, 13) == 1.0
    assert rate_factor(None, events, 13) == 1.0


def test_chunks_are_read_as_k2_read_its_own() -> None:
    """LLM360 k2-train, main.py: ranges first, then two chunks moved to the end, which makes 186 the last."""
    order = chunk_order(360, Reading(first=((0, 15), (32, 37), (44, 51)), last=(160, 186)))
    assert order[:17] == (*range(16), 32)
    assert order[30] == 16
    assert (order[160], order[185], order[358], order[359]) == (161, 187, 160, 186)
    assert sorted(order) == list(range(360))
    assert chunk_order(6, None, (2, 0)) == (1, 3, 4, 5, 2, 0)


def test_rows_and_their_places_are_inverse(tmp_path: Path) -> None:
    toy.write_rows(tmp_path, 4 * STEPS, CHUNKS)
    rows = Rows(tmp_path / "rows", stage(RULE), (1, 4))
    positions = np.concatenate([rows.positions(step) for step in range(1, STEPS + 1)])
    assert sorted(positions) == list(range(4 * STEPS))
    assert list(rows.places(positions)) == list(range(4 * STEPS))
    assert rows.chunk_of(EVERY + 1) == (2, EVERY)
    assert rows.chunk_of(STEPS) == (4, STEPS - EVERY)


def stage(rule: Spikes | None) -> TrainPlan:
    """A toy run of 6 chunks of 4 steps, each of which ends with a checkpoint."""
    return toy.plan(level="regroup", steps=STEPS, every=EVERY).replace(spikes=rule)


REMEDIES = {
    "none": NoRemedy(kind="none"),
    "roll_back": RollBack(kind="roll_back"),
    "defer": Defer(kind="defer"),
    "lower_rate": LowerRate(kind="lower_rate", factor=0.5, steps=4),
    "clip_harder": ClipHarder(kind="clip_harder", norm=0.1, steps=4),
}
TOY_RULE = Spikes(window=4, factor=1.1, patience=3, remedy=Defer(kind="defer"), most=2)


@dataclass(frozen=True)
class Healed:
    """Finished runs, by the name of their remedy or layout."""

    root: Path

    def events(self, name: str) -> tuple[Event, ...]:
        return read_events(self.root / name / "log")

    def losses(self, name: str) -> list[float]:
        return [step.loss for step in read_steps(self.root / name / "log" / "steps.jsonl", 1)]


@pytest.fixture(scope="module")
def healed(tmp_path_factory: pytest.TempPathFactory, closed: None) -> Healed:  # noqa: ARG001 (an effect)
    """Every remedy on one poisoned chunk; deferral in two layouts, and killed in the middle of the spike."""
    root = tmp_path_factory.mktemp("spikes")
    toy.write_rows(root / "pack", 4 * STEPS, CHUNKS, POISONED)
    plans = {name: stage(TOY_RULE.replace(remedy=remedy)) for name, remedy in REMEDIES.items()}
    plans |= dict.fromkeys(("again", "killed", "killed-after"), plans["defer"])
    layouts = {"again": Layout(world=2, zero=2), "killed": Layout(world=2)}
    dies = {"killed": POISONED * EVERY + 3, "killed-after": STEPS - 2}

    def jobs(names: list[str]) -> dict[str, tuple[Job, int]]:
        return {name: (job(root, name, plans[name], layouts.get(name, Layout())), dies.pop(name, 0)) for name in names}

    run_group(root, jobs(list(plans)))
    run_group(root, jobs(["killed", "killed-after"]))
    for name, plan in plans.items():
        (root / f"{name}.json").write_bytes(canonical(finish(plan, Draft(root / name))))
    return Healed(root)


def job(root: Path, name: str, plan: TrainPlan, layout: Layout) -> Job:
    begin = beginning(plan, toy.inputs(root / "pack"), Draft(root / name)) if (root / name).exists() else None
    folder = "" if begin is None or begin.folder is None else str(begin.folder)
    written = begin is not None and begin.written
    rows = str(root / "pack" / "rows")
    return Job(stage=plan, layout=layout, rows=rows, checkpoint=folder, written=written, out=str(root / name))


def test_a_poisoned_chunk_is_deferred_and_the_run_goes_on_from_the_chunk_before(healed: Healed) -> None:
    first, *_ = healed.events("defer")
    assert (first.kind, first.remedy) == ("malignant", "defer")
    assert (first.begun, first.back_to, first.deferred) == (POISONED * EVERY + 1, POISONED * EVERY, POISONED)
    spiked, done = healed.losses("none"), healed.losses("defer")
    at = POISONED * EVERY
    assert spiked[:at] == done[:at]
    assert min(spiked[at : at + 3]) > 1.1 * first.level
    assert max(done[at : at + 3]) <= 1.02 * first.level


def test_deferral_keeps_the_multiset_of_rows(healed: Healed) -> None:
    plan, folder = stage(TOY_RULE), healed.root / "pack" / "rows"
    order = read_array(folder, "order")
    deferred = deferred_chunks(healed.events("defer"))
    assert deferred == (POISONED,)
    rows = [Rows(folder, plan, moved) for moved in ((), deferred)]
    positions = [np.concatenate([read.positions(step) for step in range(1, STEPS + 1)]) for read in rows]
    seen = [Counter(order[found].tolist()) for found in positions]
    assert seen[0] == seen[1]


def test_the_same_data_again_is_the_same_spike_again(healed: Healed) -> None:
    assert healed.losses("roll_back") == healed.losses("none")
    assert [event.remedy for event in healed.events("roll_back")[:3]] == ["roll_back", "roll_back", "none"]
    abandoned = [healed.root / "roll_back" / "log" / f"abandoned-{n}.jsonl" for n in (1, 2)]
    assert abandoned[0].read_bytes() == abandoned[1].read_bytes()
    assert json.loads((healed.root / "roll_back.json").read_bytes())["spikes"]["abandoned_steps"] == 6


@pytest.mark.parametrize("name", ["lower_rate", "clip_harder"])
def test_other_remedies_leave_the_data_and_change_the_steps_after_the_checkpoint(healed: Healed, name: str) -> None:
    at = healed.events(name)[0].back_to
    assert healed.events(name)[0].remedy == name
    assert at == POISONED * EVERY
    spiked, done = (read_steps(healed.root / n / "log" / "steps.jsonl", 1) for n in ("none", name))
    assert [step.batch for step in done] == [step.batch for step in spiked]
    assert done[:at] == spiked[:at]
    assert done[at + 1].loss != spiked[at + 1].loss


@pytest.mark.parametrize("name", ["again", "killed", "killed-after"])
def test_a_healed_run_replays_to_the_same_bits_in_another_layout_and_after_a_kill(healed: Healed, name: str) -> None:
    assert toy.digests(healed.root / name) == toy.digests(healed.root / "defer")
    assert (healed.root / f"{name}.json").read_bytes() == (healed.root / "defer.json").read_bytes()


def test_a_checkpoint_after_a_remedy_descends_from_it(healed: Healed) -> None:
    states = {step: read_state(healed.root / "defer" / f"step-{step}") for step in range(0, STEPS + 1, EVERY)}
    at = POISONED * EVERY
    assert [len(states[step].events) > 0 for step in states] == [step > at for step in states]
    assert states[at + EVERY].parent == toy.digests(healed.root / "defer")[f"step-{at}"]
