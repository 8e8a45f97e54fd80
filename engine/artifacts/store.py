"""The store of artifacts: one folder a run, begun in a scratch folder, finished by one rename.

Beside the artifact `<name>` lie `.<name>.lock`, `.<name>.partial` (being written) and, for a moment, `.<name>.old` (the
one that is being replaced). A cell of a matrix is named `stage[axis=value]` there, and lies in `stage/axis=value`.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.artifacts import content, disk, seal
from engine.artifacts.digest import file_digest
from engine.artifacts.draft import FRAGMENTS, Draft
from engine.artifacts.manifest import MANIFEST, Manifest, content_digest, read_manifest
from engine.spec.canonical import pretty
from engine.spec.errors import ArtifactError, SpecError
from engine.spec.ref import NAME

_RUN = re.compile(rf"(?P<experiment>{NAME})/(?P<stage>{NAME})(?:\[(?P<cell>[A-Za-z0-9][^\[\]@/\0]*)\])?")
_KEY = ".key"
OBSERVATION = ".observation.json"  # in the draft; it goes to its place beside the artifact by the commit


class Store:
    """The artifacts of a project, or of a scratch folder."""

    def __init__(self, artifacts: Path) -> None:
        self.artifacts = artifacts
        self._locks: dict[Path, int] = {}

    def folder(self, run: str) -> Path:
        """Where the artifact of a run lies."""
        found = _RUN.fullmatch(run)
        if found is None:
            raise SpecError(f"{run!r} is not a run; write experiment/stage or experiment/stage[axis=value]")
        folder = self.artifacts / found["experiment"] / found["stage"]
        return folder / found["cell"] if found["cell"] else folder

    def beside(self, run: str, ending: str, hidden: bool = True) -> Path:
        """A path beside the artifact of a run, never inside a folder that is hashed."""
        experiment, _, name = run.partition("/")
        assert self.folder(run)
        return self.artifacts / experiment / f"{'.' if hidden else ''}{name}.{ending}"

    def observation(self, run: str) -> Path:
        """Where the observation of a run lies."""
        return self.beside(run, "observation.json", hidden=False)

    def manifest(self, run: str) -> Manifest | None:
        """The manifest of a finished artifact, None when there is none; ArtifactError when it is damaged."""
        folder = self.folder(run)
        if not folder.exists() and self.beside(run, "old").exists():
            with self._locked(run, wait=True):
                self._recover(run)
        try:
            manifest = read_manifest(folder / MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if manifest.run != run:
            raise ArtifactError(f"{folder / MANIFEST} is that of {manifest.run}, not of {run}; build it again")
        return manifest

    def whole(self, run: str, recipe: str) -> bool:
        """Whether the artifact is there with this recipe and all its files in their sizes. Reads no file but two."""
        return self._finished(run, self.folder(run), recipe)

    def finish_killed(self, run: str, recipe: str) -> None:
        """Ends the commit of a run that was killed between its seal and the end of its rename."""
        partial = self.beside(run, "partial")
        if self.beside(run, "old").exists():
            with self._locked(run, wait=True):
                self._recover(run)
        if self.whole(run, recipe) or not self._finished(run, partial, recipe, draft=True):
            return
        with self._locked(run, wait=True):  # another process may be about to rename it
            if self._finished(run, partial, recipe, draft=True):
                self._recover(run)
                self._rename(run)

    def begin(self, run: str, key: str, keep: bool) -> Draft:
        """A scratch folder for a run, locked until its commit or the end of the draft's context.

        With `keep`, what a killed run with the same key has closed stays; the key says all that its bits depend on.
        """
        partial = self.beside(run, "partial")
        with disk.writing(partial.parent):
            partial.parent.mkdir(parents=True, exist_ok=True)
            self._lock(run)
            try:
                self._recover(run)
                self._prepare(partial, key, keep)
            except BaseException:
                self._unlock(run)
                raise
        return Draft(partial, lambda: self._unlock(run))

    def commit(self, draft: Draft, manifest: Manifest) -> None:
        """Seals the draft and puts it in the place of the artifact; afterwards it is durable."""
        run, folder = manifest.run, draft.folder
        assert folder == self.beside(run, "partial"), f"{folder} is not the draft of {run}"
        assert manifest.outputs == draft.outputs(), "the manifest has other outputs than the draft"
        assert manifest.content == content_digest(manifest.outputs, manifest.metrics)
        files = draft.files()
        strangers = set(disk.files_below(folder)) - set(files)
        left = sorted(name for name in strangers if not name.startswith("."))
        assert not left, f"{folder / left[0]} was written past the draft"
        with disk.writing(folder):
            disk.write_whole(folder / MANIFEST, pretty(manifest))
            seal.write_seal(folder, files | {MANIFEST: file_digest(folder / MANIFEST)})
            self._rename(run)
        self._unlock(run)

    def keep_only(self, stage: str, cells: tuple[str, ...]) -> None:
        """Removes from the folder of a matrix stage whatever is not one of its cells; no cells: nothing to remove."""
        if cells and self.folder(stage).is_dir():
            for path in sorted(self.folder(stage).iterdir()):
                if path.name not in cells:
                    disk.remove(path)

    def verify_seal(self, run: str, outputs: tuple[str, ...] | None = None) -> list[str]:
        """Problems found by reading every byte of the artifact, or of some outputs; empty when there is none."""
        return seal.broken(self.folder(run), outputs)

    def verify_content(self, run: str) -> list[str]:
        """Problems found by computing every content digest of the manifest again."""
        try:
            manifest = self.manifest(run)
        except ArtifactError as error:
            return [str(error)]
        if manifest is None:
            return [f"{self.folder(run)} has no {MANIFEST}"]
        return content.broken(self.folder(run), manifest)

    def _finished(self, run: str, folder: Path, recipe: str, draft: bool = False) -> bool:
        """Whether a folder is a whole artifact of a recipe; a draft may have its scratch files besides."""
        try:
            manifest = read_manifest(folder / MANIFEST)
            problems = seal.missing(folder, seal.read_seal(folder), scratch=draft)
        except (ArtifactError, FileNotFoundError, NotADirectoryError):
            return False
        return not problems and (manifest.run, manifest.recipe) == (run, recipe)

    def _prepare(self, partial: Path, key: str, keep: bool) -> None:
        marker = partial / _KEY
        if not (keep and marker.is_file() and marker.read_text("utf-8") == key + "\n"):
            disk.remove(partial)
            partial.mkdir()
            disk.write_whole(marker, key + "\n")
        for name in (MANIFEST, seal.SEAL):
            (partial / name).unlink(missing_ok=True)
        (partial / FRAGMENTS).mkdir(exist_ok=True)
        Draft(partial).discard_unfinished()

    def _rename(self, run: str) -> None:
        partial, target, old = self.beside(run, "partial"), self.folder(run), self.beside(run, "old")
        if (partial / OBSERVATION).is_file():
            (partial / OBSERVATION).replace(self.observation(run))
        for path in sorted(partial.glob(".*")):
            disk.remove(path)
        disk.sync_folder(partial)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        for parent in {target.parent, partial.parent}:
            disk.sync_folder(parent)
        disk.remove(old)

    def _recover(self, run: str) -> None:
        """Ends what a crash between two renames left: the old artifact comes back if there is no new one."""
        target, old = self.folder(run), self.beside(run, "old")
        if old.exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            old.rename(target)
            disk.sync_folder(target.parent)
        disk.remove(old)

    @contextmanager
    def _locked(self, run: str, wait: bool = False) -> Iterator[None]:
        self._lock(run, wait)
        try:
            yield
        finally:
            self._unlock(run)

    def _lock(self, run: str, wait: bool = False) -> None:
        path = self.beside(run, "lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            holder = os.pread(descriptor, 100, 0).decode("utf-8", "replace").strip() or "unknown"
            os.close(descriptor)
            raise ArtifactError(
                f"{run} is already being built by process {holder} (lock {path}); wait for it, or end it"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._locks[path] = descriptor

    def _unlock(self, run: str) -> None:
        descriptor = self._locks.pop(self.beside(run, "lock"), None)
        if descriptor is not None:
            os.close(descriptor)
