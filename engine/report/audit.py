"""Audit: re-hashes an artifact and everything that it came from, down to the raw files, and names what is broken.

The walk goes breadth first from the artifact towards the sources, inputs in the order of their references; every run
and every raw file is one link. The first broken link is the first one on this walk, so the nearest to the artifact;
all others are listed too. A manifest that is damaged is not believed: the walk ends there, and says so.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from engine.artifacts import seal
from engine.artifacts.digest import file_digest
from engine.artifacts.lineage import SourceNode, input_records, stage_sources
from engine.artifacts.manifest import MANIFEST, InputRecord, Manifest, content_digest, recipe_digest
from engine.artifacts.observation import read_observation
from engine.artifacts.progress import progress
from engine.artifacts.store import Store
from engine.spec.errors import ArtifactError, SpecError


@final
@dataclass(frozen=True, slots=True)
class Link:
    """A run or a raw file on the way: what was checked, and every problem found, each naming a file."""

    name: str
    kind: str  # the kind of the stage, or "source"
    checked: tuple[str, ...]
    problems: tuple[str, ...]
    licences: tuple[tuple[str, str], ...] = ()  # (name of a source, its licence): a file may hold several
    toolchain: str = ""


@final
@dataclass(frozen=True, slots=True)
class AuditReport:
    """Links in the order of the walk."""

    artifact: str
    fast: bool
    links: tuple[Link, ...]

    @property
    def passed(self) -> bool:
        return self.first_broken is None

    @property
    def first_broken(self) -> Link | None:
        return next((link for link in self.links if link.problems), None)

    @property
    def licences(self) -> dict[str, tuple[str, ...]]:
        """Names of sources by licence."""
        found: dict[str, list[str]] = {}
        for name, licence in (pair for link in self.links for pair in link.licences):
            found.setdefault(licence, []).append(name)
        return {licence: tuple(names) for licence, names in sorted(found.items())}

    def text(self) -> str:
        """A line for each link, the licences and toolchains, and the verdict last."""
        width = max(len(link.name) for link in self.links)
        lines = [line for link in self.links for line in _lines(link, width)]
        lines += [f"licence {name}: {', '.join(files)}" for name, files in self.licences.items()]
        lines += [f"toolchain {name}" for name in sorted({link.toolchain for link in self.links if link.toolchain})]
        if self.fast:
            lines.append("fast: sizes were compared, no data file was read; run without --fast for a proof")
        return "\n".join([*lines, self._conclusion()])

    def data(self) -> dict[str, Any]:
        """The report as JSON data."""
        first = self.first_broken
        facts = {"passed": self.passed, "first_broken": asdict(first) if first else None, "licences": self.licences}
        return {**asdict(self), **facts}

    def _conclusion(self) -> str:
        broken = [link for link in self.links if link.problems]
        if not broken:
            return f"{self.artifact}: {len(self.links)} links, all whole"
        return f"{self.artifact}: {len(broken)} of {len(self.links)} links broken, the first: {broken[0].problems[0]}"


def _lines(link: Link, width: int) -> list[str]:
    state = "BROKEN" if link.problems else "ok    "
    checked = ", ".join(link.checked)
    return [
        f"{state} {link.name:<{width}}  {link.kind:<10}  ({checked})",
        *(f"         {problem}" for problem in link.problems),
    ]


@final
@dataclass(slots=True)
class _Stop:
    """A run on the walk while it is being gathered: who read what of it, and whether its manifest can be believed."""

    run: str
    readers: list[tuple[str, InputRecord]]
    manifest: Manifest | None = None
    damage: str = ""


def audit(store: Store, sources: Path, run: str, output: str, fast: bool) -> AuditReport:
    """Checks a run, all its outputs (`output` must be one of them, or empty), and everything behind it.

    `sources` holds the raw files by sha256. With `fast` no byte of a data file is read: files are only there with
    the size in the seal, and the report says so.
    """
    stops = _walk(store, run)
    manifest = stops[0].manifest
    if manifest is not None and output and output not in manifest.outputs:
        raise SpecError(f"{run} has no output {output!r}; it has {', '.join(sorted(manifest.outputs))}")
    work: list[_Stop | tuple[SourceNode, ...]] = [*stops, *_raw_files(stops)]
    artifact = f"{run}@{output}" if output else run
    return AuditReport(artifact, fast, tuple(_links(store, sources, work, fast)))


def _raw_files(stops: list[_Stop]) -> Iterator[tuple[SourceNode, ...]]:
    """The raw files in the order of the walk, each with all sources that it serves."""
    served: dict[str, dict[SourceNode, None]] = {}
    for source in (source for stop in stops if stop.manifest for source in stage_sources(stop.manifest.stage)):
        served.setdefault(source.sha256, {})[source] = None
    yield from map(tuple, served.values())


def _links(store: Store, sources: Path, work: list[_Stop | tuple[SourceNode, ...]], fast: bool) -> Iterator[Link]:
    for item in progress(work, len(work), "links", "audit"):
        match item:
            case _Stop():
                yield _run_link(store, item, fast)
            case tuple():
                yield _source_link(sources, item, fast)


def _walk(store: Store, run: str) -> list[_Stop]:
    """Every run behind `run`, itself first, breadth first, with all edges that lead to each."""
    store.folder(run)  # a wrong name is the user's error
    stops = {run: _Stop(run, [])}
    waiting = [run]
    for name in waiting:  # grows while it is walked
        stop = stops[name]
        stop.manifest, stop.damage = _believed(store, name)
        for record in input_records(stop.manifest) if stop.manifest else ():
            if record.run not in stops:
                stops[record.run] = _Stop(record.run, [])
                waiting.append(record.run)
            stops[record.run].readers.append((name, record))
    return list(stops.values())


def _believed(store: Store, run: str) -> tuple[Manifest | None, str]:
    """The manifest of a run if its bytes are those that were sealed; else what is wrong with it."""
    folder = store.folder(run)
    path = folder / MANIFEST
    try:
        manifest = store.manifest(run)
        if manifest is None:
            return None, f"{path} is missing: the artifact was never built here, was removed, or is withheld"
        sealed = seal.read_seal(folder).files.get(MANIFEST)
    except ArtifactError as error:
        return None, str(error)
    if sealed != file_digest(path):
        return None, f"{path} has other bytes than those that were sealed"
    return manifest, ""


def _run_link(store: Store, stop: _Stop, fast: bool) -> Link:
    if stop.manifest is None:
        files = _files(store.folder(stop.run), fast) if (store.folder(stop.run) / seal.SEAL).exists() else []
        found = dict.fromkeys([stop.damage, *files, f"{stop.run}: what it was made from cannot be followed"])
        return Link(stop.run, "unknown", ("manifest",), tuple(found))
    manifest = stop.manifest
    problems: list[str] = [*_files(store.folder(stop.run), fast), *_statement(store, manifest)]
    checked = [f"{_counted(len(manifest.outputs), 'output')}: {'sizes' if fast else 'every byte'}"]
    if not fast and not problems:  # a damaged file is not parsed
        problems += store.verify_content(stop.run)
        checked.append("content digests")
    checked.append("recipe")
    if stop.readers:
        problems += _edges(store, stop.readers, manifest)
        checked.append(f"what {_counted(len(stop.readers), 'reader')} recorded")
    toolchain, damage = _observed(store, manifest)
    checked += ["observation"] if toolchain or damage else []
    return Link(stop.run, str(manifest.stage["kind"]), tuple(checked), (*problems, *damage), toolchain=toolchain)


def _files(folder: Path, fast: bool) -> list[str]:
    """Every file of an artifact against its seal: by size, or by reading it."""
    if not fast:
        return seal.broken(folder)
    try:
        return seal.missing(folder, seal.read_seal(folder))
    except ArtifactError as error:
        return [str(error)]


def _statement(store: Store, manifest: Manifest) -> list[str]:
    """Whether a manifest agrees with itself: its content with its outputs, its recipe with what it was made of."""
    path = store.folder(manifest.run) / MANIFEST
    problems = []
    if content_digest(manifest.outputs, manifest.metrics) != manifest.content:
        problems.append(f"{path}: the content digest is not that of its outputs and metrics")
    recipes = {ref: tuple(record.recipe for record in records) for ref, records in manifest.inputs.items()}
    if recipe_digest(manifest.stage, recipes, manifest.code) != manifest.recipe:
        problems.append(f"{path}: the recipe is not the digest of its stage, inputs and code")
    return problems


def _edges(store: Store, readers: list[tuple[str, InputRecord]], manifest: Manifest) -> list[str]:
    """Whether what each reader read is what lies here now."""
    path = store.folder(manifest.run) / MANIFEST
    problems = []
    for reader, record in readers:
        output = manifest.outputs.get(record.output)
        if output is None:
            problems.append(f"{path} has no output {record.output}, which {reader} read")
        elif output.digest != record.digest:
            found = f"{record.digest[:12]}, here it is {output.digest[:12]}"
            problems.append(f"{path}: {reader} read {record.output} with content {found}; build {reader} again")
        elif manifest.recipe != record.recipe:
            found = f"{record.recipe[:12]}, here it is {manifest.recipe[:12]}"
            problems.append(f"{path}: {reader} read an artifact of recipe {found}; build {reader} again")
        elif manifest.content != record.content:
            found = f"{record.content[:12]}, here it is {manifest.content[:12]}"
            problems.append(f"{path}: {reader} read an artifact of content {found}; build {reader} again")
    return problems


def _observed(store: Store, manifest: Manifest) -> tuple[str, list[str]]:
    """The toolchain that the observation beside an artifact tells of, in words, and what is wrong with the file.

    An artifact that came without an observation is whole: the observation says how it was built, not what it is.
    """
    path = store.observation(manifest.run)
    try:
        seen = read_observation(path)
    except ArtifactError as error:
        return "", [str(error)]
    if seen is None:
        return "", []
    if (seen.run, seen.recipe, seen.content) != (manifest.run, manifest.recipe, manifest.content):
        return "", [f"{path} tells of another build of {seen.run}; remove it"]
    facts = ", ".join(f"{name} {value}" for name, value in seen.toolchain.facts.items())
    return f"{seen.toolchain.digest[:12]}: {facts}", []


def _source_link(folder: Path, sources: tuple[SourceNode, ...], fast: bool) -> Link:
    """A raw file, and the sources that it serves."""
    first = sources[0]
    path = folder / first.sha256
    problems = []
    if not path.is_file():
        problems.append(f"{path} is missing: {first.uri} is withheld, or was never fetched here")
    elif not fast and (found := file_digest(path).sha256) != first.sha256:
        problems.append(f"{path} has sha256 {found[:12]}: it is no longer {first.uri}; remove it and fetch it again")
    name = ", ".join(source.name for source in sources)
    licences = tuple((source.name, source.licence) for source in sources)
    return Link(name, "source", ("is there",) if fast else ("sha256",), tuple(problems), licences)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
