"""Lineage: the graph of runs and raw sources that an artifact came from, read from manifests alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from engine.artifacts.manifest import InputRecord, Manifest
from engine.artifacts.store import Store
from engine.spec.errors import ArtifactError


@final
@dataclass(frozen=True, slots=True)
class SourceNode:
    """A raw file as a stage names it: its sha256 is its identity, the uri says where it was published.

    Several may share one file, each with a part of it under a licence of its own.
    """

    sha256: str
    name: str
    uri: str
    licence: str


@final
@dataclass(frozen=True, slots=True)
class RunNode:
    """A run; `problem` is not empty where its manifest is missing or cannot be read."""

    run: str
    kind: str
    recipe: str
    content: str
    sources: tuple[SourceNode, ...]
    problem: str = ""


@final
@dataclass(frozen=True, slots=True)
class Edge:
    """`run` read `output` of `source`, whose content then had this digest."""

    run: str
    source: str
    output: str
    digest: str


@final
@dataclass(frozen=True, slots=True)
class Graph:
    """Everything behind `root`; runs breadth first from it."""

    root: str
    runs: tuple[RunNode, ...]
    edges: tuple[Edge, ...]

    @property
    def sources(self) -> tuple[SourceNode, ...]:
        """Every raw file once, as it is met."""
        return tuple(dict.fromkeys(source for node in self.runs for source in node.sources))

    def inputs_of(self, run: str) -> tuple[Edge, ...]:
        return tuple(edge for edge in self.edges if edge.run == run)


def graph(store: Store, run: str) -> Graph:
    """The lineage of a run; ArtifactError when the run itself is not there, a node with a problem for any other."""
    if store.manifest(run) is None:
        raise ArtifactError(f"{run}: there is no such artifact in {store.folder(run)}; build it with `dvc repro`")
    runs: dict[str, RunNode] = {}
    edges: list[Edge] = []
    waiting = [run]
    for name in waiting:  # grows while it is walked: breadth first
        if name in runs:
            continue
        runs[name], manifest = _visit(store, name)
        for record in input_records(manifest) if manifest else ():
            edges.append(Edge(name, record.run, record.output, record.digest))
            waiting.append(record.run)
    return Graph(run, tuple(runs.values()), tuple(dict.fromkeys(edges)))


def _visit(store: Store, run: str) -> tuple[RunNode, Manifest | None]:
    try:
        manifest = store.manifest(run)
    except ArtifactError as error:
        return RunNode(run, "", "", "", (), str(error)), None
    if manifest is None:
        return RunNode(run, "", "", "", (), "missing"), None
    sources = tuple(dict.fromkeys(stage_sources(manifest.stage)))
    return RunNode(run, str(manifest.stage["kind"]), manifest.recipe, manifest.content, sources), manifest


def input_records(manifest: Manifest) -> Iterator[InputRecord]:
    """Every input of a run, in the order of the references that name them."""
    for ref in sorted(manifest.inputs):
        yield from manifest.inputs[ref]


def stage_sources(stage: object) -> Iterator[SourceNode]:
    """The raw files that a lowered stage names, wherever in it they stand: what has a sha256 and a licence."""
    match stage:
        case {"kind": str(kind), "sha256": str(sha256), "licence": str(licence), **rest}:
            uri = source_uri(kind, rest)
            yield SourceNode(sha256, str(rest.get("name", uri)), uri, licence)
        case {"kind": "hub", "repository": repository, "revision": revision, "licence": str(licence), "files": files}:
            for file in files:
                uri = f"hf:{repository}@{revision}:{file['path']}"
                yield SourceNode(file["sha256"], uri, uri, licence)
        case Mapping():
            for key in stage:
                yield from stage_sources(stage[key])
        case tuple() | list():
            for item in stage:
                yield from stage_sources(item)


def source_uri(kind: str, place: Mapping[Any, Any]) -> str:
    """Where a source was published, on one line; `place` has the fields of the source besides its identity."""
    match kind, place:
        case "pypi", {"package": package, "file": file}:
            return f"pypi:{package}/{file}"
        case "https", {"url": url}:
            return str(url)
        case "git", {"repository": repository, "commit": commit, "path": path}:
            return f"git:{repository}@{commit}:{path}"
        case "apt", {"pool": pool, "file": file}:
            return f"apt:{pool}/{file}"
        case "hf", {"dataset": dataset, "revision": revision, "path": path}:
            return f"hf:{dataset}@{revision}:{path}"
        case _, {"path": path}:
            return f"{kind}:{path}"
        case _:
            return f"{kind}:"
