"""The text of a task's file: fetched by sha256, one member of an archive, unpacked where its name says so."""

from pathlib import Path
from tempfile import TemporaryDirectory

from engine.artifacts.placement import Placement
from engine.data.sources.archive import Member, contents, select
from engine.data.sources.fetch import file_name, resolve
from engine.data.sources.spec import RawFile
from engine.spec.errors import ArtifactError


def text_of(source: RawFile, placement: Placement) -> str:
    """The UTF-8 text of a file, or of the one member of an archive."""
    path, name = resolve(source, placement), file_name(source)
    with TemporaryDirectory() as spool:
        whole = (Member("", path.stat().st_size, path, zipped=False),)
        members = select(path, name, source.members, Path(spool)) if source.members else whole
        if len(members) != 1:
            raise ArtifactError(f"{name}: a task reads one file, members name {', '.join(m.name for m in members)}")
        ((_, data),) = ((member, stream.read()) for member, stream in contents(members, name))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{name} is no UTF-8 text ({error}); is this the file of the task?") from error
