"""What documents and checkpoints come from, stage by stage."""

from collections.abc import Iterator

from engine.compile.resolve import Runs, named_runs
from engine.data.dedup.spec import Decontaminate, Dedup
from engine.data.sources.spec import Source
from engine.data.spec import Chunks, Clean, Fim, Ingest, Pack, Plant, Split
from engine.experiment import Lowered, Stage
from engine.spec.ref import Ref
from engine.train.spec import FromScratch, Train


def sources(ref: Ref, above: Runs) -> Iterator[Source]:
    """The sources that documents come from."""
    for stage in behind(ref, above):
        if isinstance(stage, Ingest):
            yield from stage.sources


def behind(ref: Ref, above: Runs) -> Iterator[Stage | Lowered]:
    """The stages that documents, rows or a trained checkpoint went through, the last first."""
    for run in named_runs(ref.parts, above):
        stage = above[run]
        yield stage
        match stage:
            case (
                Clean(documents=inner)
                | Dedup(documents=inner)
                | Plant(documents=inner)
                | Split(documents=inner)
                | Decontaminate(documents=inner)
                | Pack(documents=inner)
                | Fim(documents=inner)
                | Chunks(documents=inner)
            ):
                yield from behind(inner, above)
            case Train(rows=rows, start=start):
                yield from behind(rows, above)
                if not isinstance(start, FromScratch):
                    yield from behind(start.checkpoint, above)
            case _:
                pass
