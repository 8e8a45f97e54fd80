"""The names of the finished artifacts of a store, and the outputs that a run says it read."""

from collections.abc import Iterator
from pathlib import Path

from engine.artifacts.manifest import MANIFEST, InputRecord, Manifest
from engine.artifacts.read import Input
from engine.artifacts.store import Store
from engine.spec.errors import ArtifactError


def built_runs(store: Store, experiment: str = "") -> Iterator[str]:
    """Every run that has a manifest, of one experiment or of all, sorted by experiment, stage and cell."""
    experiments = [store.artifacts / experiment] if experiment else _folders(store.artifacts)
    for stage in (stage for folder in experiments for stage in _folders(folder)):
        name = f"{stage.parent.name}/{stage.name}"
        if (stage / MANIFEST).is_file():
            yield name
        else:
            yield from (f"{name}[{cell.name}]" for cell in _folders(stage) if (cell / MANIFEST).is_file())


def _folders(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if path.is_dir() and not path.name.startswith(".")]


def as_read(reader: str, record: InputRecord, store: Store) -> Input:
    """An output as a run read it, if it still lies there; else ArtifactError says what was rebuilt since."""
    run = record.run
    manifest = store.manifest(run)
    experiment, _, stage = reader.partition("/")
    again = f"build {reader} again (dvc repro {experiment}-{stage.partition('[')[0]})"
    if manifest is None:
        raise ArtifactError(f"{run}, which {reader} read, is gone; get it back (dvc checkout), or {again}")
    then = (record.recipe, record.content, record.digest)
    output = manifest.outputs.get(record.output)
    now = (manifest.recipe, manifest.content, output.digest if output else "")
    if then != now:
        compared = zip(("recipe", "content", "digest"), then, now, strict=True)
        what, was, found = next(entry for entry in compared if entry[1] != entry[2])
        raise ArtifactError(
            f"{run} was built again since {reader} read it ({what} {was[:12]} then, {found[:12]} now), so it cannot "
            f"tell what was read; {again}, or get the old one back (git checkout of the old dvc.lock, dvc checkout)"
        )
    if not store.whole(run, record.recipe):
        raise ArtifactError(f"{run} is not whole; `facsimile audit {run}` tells what is missing")
    return output_of(manifest, record.output, store)


def output_of(manifest: Manifest, output: str, store: Store) -> Input:
    """An output of an artifact that is there."""
    run = manifest.run
    ref = f"{run.partition('/')[2]}@{output}"
    return Input(ref, run, output, store.folder(run) / output, manifest.outputs[output].digest, manifest)
