"""Debian packages from Debian's own archives; old versions leave them, so a mirror by digest is the safer place."""

from typing import IO
from urllib.parse import quote

from engine.data.sources import https
from engine.data.sources.receive import Origin
from engine.data.sources.spec import AptFile
from engine.spec.errors import ArtifactError

ARCHIVES = ("https://deb.debian.org/debian", "https://security.debian.org/debian-security")


def download(source: AptFile, part: IO[bytes]) -> Origin:
    """Streams the package into `part` from the first archive that has it. ArtifactError when none has."""
    told: list[str] = []
    for archive in ARCHIVES:
        try:
            return https.download(f"{archive}/{quote(source.pool)}/{quote(source.file)}", source.file, part)
        except ArtifactError as error:
            told.append(str(error))
    raise ArtifactError("\n".join(told))
