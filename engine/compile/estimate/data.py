"""What the stages of the data room will cost, from the sizes that sources state and the rates that were measured.

An upper bound of what reaches a stage: as if no stage before it had dropped anything but the held-out share.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, assert_never

from engine.compile.estimate import rates
from engine.compile.resolve import Runs, named_runs
from engine.data.dedup.spec import Decontaminate, Dedup, MinHash
from engine.data.sources.spec import Source
from engine.data.spec import Clean, FimPlan, Ingest, PackPlan, Plant, Split
from engine.spec.ref import Ref


class Volume(NamedTuple):
    """Documents and bytes of text, and the sources whose size nobody states, which are not in them."""

    documents: int
    bytes: int
    unstated: tuple[str, ...]


class DataCost(NamedTuple):
    """Of one stage: core-seconds, bytes that stay on disk, and bytes of scratch files while it runs."""

    seconds: float
    written: int
    scratch: int


NOTHING = Volume(0, 0, ())


def volume(ref: Ref, above: Runs) -> Volume:
    """What a reference to documents names."""
    found = NOTHING
    for run in named_runs(ref.parts, above):
        found = _sum(found, _of_stage(run, ref.parts.output, above))
    return found


def _of_stage(run: str, output: str, above: Runs) -> Volume:
    stage = above[run]
    match stage:
        case Ingest():
            return stated(stage.sources)
        case Split(documents=inner, heldout=share):
            return _part(volume(inner, above), share if output == "heldout" else 1 - share)
        case Clean(documents=inner) | Dedup(documents=inner) | Plant(documents=inner) | Decontaminate(documents=inner):
            return volume(inner, above)
        case _:
            return NOTHING


def stated(sources: tuple[Source, ...]) -> Volume:
    """The sum of what sources state; nothing at all, and nothing missing, where none of them states a size."""
    known = [source.stated for source in sources if source.stated is not None]
    if not known:
        return NOTHING
    unstated = tuple(source.name for source in sources if source.stated is None)
    return Volume(sum(one.documents for one in known), sum(one.bytes for one in known), unstated)


def _sum(one: Volume, other: Volume) -> Volume:
    return Volume(one.documents + other.documents, one.bytes + other.bytes, one.unstated + other.unstated)


def _part(whole: Volume, share: float) -> Volume:
    return whole._replace(documents=round(whole.documents * share), bytes=round(whole.bytes * share))


DataStage = Ingest | Clean | MinHash | Dedup | Split | Decontaminate | PackPlan | FimPlan


def read(stage: DataStage, above: Runs) -> Volume:
    """What a stage reads."""
    return stated(stage.sources) if isinstance(stage, Ingest) else volume(stage.documents, above)


def cost(stage: DataStage, given: Volume) -> DataCost:
    """Of a stage that reads so much."""
    text, tables = given.bytes, round(given.bytes * rates.WRITTEN)
    match stage:
        case Ingest():
            return DataCost(text / rates.INGEST, tables, tables)
        case Clean(steps=steps):
            return DataCost(sum(text / _rate(rates.CLEAN, step.kind) for step in steps), tables, tables)
        case MinHash():
            return DataCost(text / rates.MINHASH, given.documents * rates.BANDS, 0)
        case Dedup(method=method):
            return DataCost(text / _rate(rates.DEDUP, method.kind), tables, given.documents * _spilled(method.kind))
        case Split():
            return DataCost(text / rates.SPLIT, tables, 0)
        case Decontaminate(tests=tests):
            return DataCost(sum(text / _rate(rates.LEAKS, test.kind) for test in tests), tables, tables)
        case PackPlan(vocabulary=vocabulary) | FimPlan(vocabulary=vocabulary):
            wide = 2 if vocabulary >= 1 << 16 else 1  # 32-bit ids
            return DataCost(text / rates.PACK, round(wide * text * rates.PACKED), 0)
        case _:
            assert_never(stage)


def _rate(table: Mapping[str, float], kind: str) -> float:
    """Bytes a second; what has no rate of its own is taken for the slowest that has one."""
    return table.get(kind, min(table.values()))


def _spilled(kind: str) -> int:
    return rates.SPILLED.get(kind, max(rates.SPILLED.values()))


def left_out(given: Volume) -> Iterator[str]:
    """What the figures do not hold, since a source states no size."""
    yield from (f"the documents of {name}" for name in dict.fromkeys(given.unstated))
