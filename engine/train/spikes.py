"""Loss spikes: when one begins, whether it heals by itself, and what the spec's remedy makes of the run.

A loss above `factor` times the level opens a watch of `patience` steps. When more than half of them lie above it, the
spike is malignant, else benign. The level is the median of the last `window` losses outside of watches. All of it
follows from the losses, so that a healed run replays to the same bits. (K2-65B: malignant ones last over 100 steps.)
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from pydantic import Field, JsonValue

from engine.spec.base import NEUTRAL, Spec
from engine.spec.units import Count, Index
from engine.train.spec import ClipHarder, Defer, LowerRate, NoRemedy, Spikes


class Watch(Spec):
    """What the losses so far leave for the next step to know."""

    calm: tuple[float, ...] = ()
    """The last losses outside of watches, in order."""
    begun: Index = 0
    """The first step of the open watch; 0 when none is open."""
    above: Index = 0
    """Steps of the open watch above its bound."""
    peak: float = 0.0


class Event(Spec):
    """A spike, and what was done about it."""

    kind: Literal["benign", "malignant"]
    begun: Count
    ended: Count
    """The last step of its watch."""
    level: float
    peak: float
    above: Index
    remedy: Literal["none", "roll_back", "defer", "lower_rate", "clip_harder"] = "none"
    back_to: Index = 0
    """The step whose checkpoint the run went back to, when there is a remedy."""
    deferred: Index | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """The chunk that was moved to the end of the order."""


def see(rule: Spikes, watch: Watch, step: int, loss: float) -> tuple[Watch, Event | None]:
    """The watch after one more loss, and the event that it ends with, without a remedy."""
    if watch.begun == 0:
        if len(watch.calm) < rule.window or loss <= rule.factor * median(watch.calm):
            return watch.replace(calm=(*watch.calm, loss)[-rule.window :]), None
        watch = watch.replace(begun=step, above=0, peak=0.0)
    level = median(watch.calm)
    watch = watch.replace(above=watch.above + (loss > rule.factor * level), peak=max(watch.peak, loss))
    if step - watch.begun + 1 < rule.patience:
        return watch, None
    event = Event(
        kind="malignant" if 2 * watch.above > rule.patience else "benign",
        begun=watch.begun,
        ended=step,
        level=level,
        peak=watch.peak,
        above=watch.above,
    )
    return Watch(calm=watch.calm), event


def treated(
    rule: Spikes, event: Event, events: Sequence[Event], kept: Sequence[int], chunk: int, chunk_begin: int
) -> Event:
    """The event with the remedy that the spec names, where one is left: `kept` are the steps of whole checkpoints.

    `chunk` was read at the step at which the spike began, and first read after step `chunk_begin`.
    """
    spent = sum(1 for before in events if before.remedy != "none") >= rule.most
    if event.kind == "benign" or spent or isinstance(rule.remedy, NoRemedy):
        return event
    latest = min(event.begun - 1, chunk_begin) if isinstance(rule.remedy, Defer) else event.begun - 1
    back_to = max((step for step in kept if step <= latest), default=None)
    again = any(before.deferred == chunk for before in events)
    if back_to is None or (isinstance(rule.remedy, Defer) and again):
        return event
    deferred = chunk if isinstance(rule.remedy, Defer) else None
    return event.replace(remedy=rule.remedy.kind, back_to=back_to, deferred=deferred)


def deferred_chunks(events: Sequence[Event]) -> tuple[int, ...]:
    """The chunks that were moved to the end, in the order in which they were."""
    return tuple(event.deferred for event in events if event.deferred is not None)


def rate_factor(rule: Spikes | None, events: Sequence[Event], step: int) -> float:
    """What remedies multiply the learning rate of a step by."""
    factor = 1.0
    for event in events:
        match rule:
            case Spikes(remedy=LowerRate(factor=lower, steps=steps)) if applies(event, step, steps):
                factor *= lower
            case _:
                pass
    return factor


def clip_norm(rule: Spikes | None, events: Sequence[Event], step: int, clip: float) -> float:
    """The largest gradient norm of a step, where a remedy lowers it."""
    for event in events:
        match rule:
            case Spikes(remedy=ClipHarder(norm=norm, steps=steps)) if applies(event, step, steps):
                clip = min(clip, norm)
            case _:
                pass
    return clip


def applies(event: Event, step: int, steps: int) -> bool:
    """Whether a remedy that lasts so many steps after the checkpoint it went back to holds at a step."""
    return event.remedy != "none" and event.back_to < step <= event.back_to + steps


def read_events(folder: Path) -> tuple[Event, ...]:
    """The events in the log of a finished run; none where its spec does not look for spikes."""
    path = folder / "spikes.jsonl"
    texts = path.read_text(encoding="ascii").splitlines() if path.is_file() else []
    return tuple(Event.model_validate_json(text) for text in texts)


def summary(events: Sequence[Event], abandoned: int) -> dict[str, JsonValue]:
    """What a run reports of its spikes; `abandoned` counts steps that were taken back."""
    return {
        "benign": sum(1 for event in events if event.kind == "benign"),
        "malignant": sum(1 for event in events if event.kind == "malignant"),
        "remedies": sum(1 for event in events if event.remedy != "none"),
        "abandoned_steps": abandoned,
    }
