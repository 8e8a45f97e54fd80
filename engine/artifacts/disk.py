"""Durable bytes: fsync, whole-file replacement, and a full disk told as what it is."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.spec.errors import ArtifactError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: the process's file size limit, the same news to the user


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns "no space left" into an error that names the folder; other errors of the system pass unchanged."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise ArtifactError(
            f"the disk is full ({error.strerror}): cannot go on writing in {folder}; nothing that was finished has "
            "been touched. Make room and run the same command again"
        ) from error


def sync_folder(folder: Path) -> None:
    """Makes the names inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Replaces a file with this text: a reader, or a crash, sees all of the old or all of the new."""
    part = path.with_name(f".{path.name}.{os.getpid()}.new")
    with writing(path.parent):
        try:
            with part.open("wb") as file:
                file.write(text.encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_folder(path.parent)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def remove(path: Path) -> None:
    """Removes a file, a link, or a folder and all in it; what is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def files_below(folder: Path) -> dict[str, Path]:
    """Every file below a folder (links too, never followed) by its relative path with '/', sorted."""
    found = {}
    for root, folders, names in os.walk(folder, followlinks=False):
        linked = [name for name in folders if (Path(root) / name).is_symlink()]
        for name in (*names, *linked):
            path = Path(root) / name
            found[path.relative_to(folder).as_posix()] = path
    return dict(sorted(found.items()))
