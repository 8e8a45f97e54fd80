"""The files of a published model by their names at their origin, without torch; a pickle is never one of them."""

from pathlib import Path, PurePosixPath
from shutil import copyfileobj
from typing import assert_never

from engine.artifacts.placement import Placement
from engine.data.sources.archive import contents, select
from engine.data.sources.fetch import file_name, resolve
from engine.data.sources.spec import HttpsFile, RawFile
from engine.models.pretrained.spec import HfFolder, HubModel
from engine.spec.errors import ArtifactError

CONFIG, TOKENIZER, INDEX, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors.index.json", ".safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
HUB = "https://huggingface.co"


def raw_files(source: HfFolder | HubModel) -> tuple[RawFile, ...]:
    """What is to be fetched; a hub file has its address at the commit."""
    match source:
        case HfFolder():
            return source.files
        case HubModel():
            base = f"{HUB}/{source.repository}/resolve/{source.revision}"
            return tuple(
                HttpsFile(kind="https", url=f"{base}/{file.path}", sha256=file.sha256, licence=source.licence)
                for file in source.files
            )
        case _:
            assert_never(source)


def file_names(source: HfFolder | HubModel) -> tuple[str, ...]:
    """The names of the files, in the order of the spec."""
    return tuple(name_of(file) for file in raw_files(source))


def name_of(file: RawFile) -> str:
    """The name at its origin, or that of its first member."""
    return PurePosixPath(file.members[0]).name if file.members else file_name(file)


def fetched(source: HfFolder | HubModel, placement: Placement, scratch: Path) -> dict[str, Path]:
    """Every file by its name, its sha256 checked."""
    return {name_of(file): fetch(file, placement, scratch) for file in raw_files(source)}


def fetch(file: RawFile, placement: Placement, scratch: Path) -> Path:
    """A file on disk with its sha256 checked; a member of an archive is unpacked into `scratch`, under a new name."""
    path, name = resolve(file, placement), file_name(file)
    if not file.members:
        return path
    target = scratch / f"member-{file.sha256}-{name_of(file)}"
    members = select(path, name, file.members, scratch)
    if len(members) != 1:
        raise ArtifactError(f"{name}: members name {', '.join(member.name for member in members)}; name one of them")
    for _, stream in contents(members, name):
        with target.open("wb") as copy:
            copyfileobj(stream, copy, 1 << 20)
    return target
