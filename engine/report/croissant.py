"""A corpus described in Croissant (MLCommons, version 1.1): JSON-LD that names its files, fields, licences and origin.

The sha256 of every file is computed from its bytes, which must be those that were sealed. Tables become record sets;
arrays, which the format knows no reader for, are files with their type and shape in words.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa

from engine.artifacts.built import as_read, output_of
from engine.artifacts.digest import file_digest
from engine.artifacts.lineage import SourceNode, graph
from engine.artifacts.manifest import ArrayPart, Manifest, Output, TablePart
from engine.artifacts.read import Input, read_array, read_schema, read_table
from engine.artifacts.seal import read_seal
from engine.artifacts.store import Store
from engine.report.licences import documents_in_rows, with_origin
from engine.report.seen import one
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError, SpecError

CONFORMS_TO = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
PARQUET = "application/x-parquet"
NPY = "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"
TYPES = {"string": "sc:Text", "int32": "cr:Int32", "int64": "cr:Int64", "double": "cr:Float64", "bool": "sc:Boolean"}
PREFIXES = {
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
}
TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)
"""Terms of the format that are names in its own vocabulary and nothing else."""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": PREFIXES["sc"],
    **PREFIXES,
    **{term: f"cr:{term}" for term in TERMS},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
}
ABOUT = {
    "id": "32 hex digits: the first half of the sha256 of the raw file's sha256 and the locator",
    "source": "the source of the spec that the document is from",
    "domain": "what mixes and scores go by",
    "group": "equal for documents that stay on one side of a split",
    "locator": "file!member#unit in the raw file",
    "licence": "as its source states it",
    "text": "the text of the document",
    "row": "the stored row of token ids",
    "segment": "the place of the segment in its row, from 0",
    "document": "the id of the document that the segment is cut from",
    "byte_begin": "where the segment begins in the UTF-8 text of the document",
    "byte_end": "where it ends",
    "first": "index of the first token in the row",
    "tokens": "tokens of the segment, end ids counted",
    "separators": "end ids among the tokens, always the last",
    "reason": "why the document was dropped",
    "stands_for": "the id of the document that stands for it; empty where none does",
    "measured": "the number that decided, or the similarity",
}
ARRAYS = {
    "ids": "token ids, one row a training row",
    "order": "the stored row at every position of the training order",
    "chunks": "where each chunk of the training order begins, and the end of the last",
}


@final
@dataclass(frozen=True, slots=True)
class Stated:
    """What no artifact knows: said by who publishes. What is empty is left out."""

    date: str  # YYYY-MM-DD
    version: str
    url: str
    creator: str


def croissant(store: Store, run: str, output: str, beside: Path, stated: Stated) -> dict[str, Any]:
    """The description of an output; paths of files are relative to `beside`, where it will lie.

    SpecError for an output without tables; ArtifactError for files that are not as they were sealed.
    """
    manifest = store.manifest(run)
    assert manifest is not None
    shown = [output, "provenance"] if output == "rows" and "provenance" in manifest.outputs else [output]
    files = [item for name in shown for item in _files(store, manifest, name, beside)]
    records = [_record_set(store, manifest, name, files) for name in shown if _is_table(manifest.outputs[name])]
    if not records:
        tables = [name for name, found in manifest.outputs.items() if _is_table(found)]
        raise SpecError(f"{run}@{output} is no corpus; describe {', '.join([*tables, 'rows'])} of a data stage")
    sources, counts = graph(store, run).sources, _counts(store, manifest, output)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{run}@{output}",
        "description": _description(manifest, output, counts),
        "conformsTo": list(CONFORMS_TO),
        **_said(stated, run, output, manifest),
        "license": sorted({licence for licence, _ in counts} or {source.licence for source in sources}),
        "keywords": sorted({domain for _, domain in counts}),
        "identifier": [_property("recipe", manifest.recipe), _property("content", manifest.outputs[output].digest)],
        "isBasedOn": [_source(source) for source in sources],
        "rai:dataPreprocessingProtocol": _protocol(store, run),
        "distribution": files,
        "recordSet": records,
    }


def _said(stated: Stated, run: str, output: str, manifest: Manifest) -> dict[str, Any]:
    digest = manifest.outputs[output].digest
    key = f"{run}-{output}".replace("/", "-").replace("[", "-").replace("]", "")
    note = f"content sha256 {digest}, recipe {manifest.recipe}"
    entries = {"author": stated.creator, "title": f"{run}@{output}", "year": stated.date[:4], "url": stated.url}
    told = ", ".join(f"{name} = {{{value}}}" for name, value in {**entries, "note": note}.items() if value)
    return {
        "citeAs": f"@misc{{{key}, {told}}}",
        "datePublished": stated.date,
        "version": stated.version or f"1.0.0+{digest[:12]}",
        **({"url": stated.url} if stated.url else {}),
        **({"creator": {"@type": "sc:Organization", "name": stated.creator}} if stated.creator else {}),
    }


def _description(manifest: Manifest, output: str, counts: Mapping[tuple[str, str], int]) -> str:
    domains: dict[str, int] = {}
    for (_, domain), count in counts.items():
        domains[domain] = domains.get(domain, 0) + count
    told = ", ".join(f"{count:,} of {domain}" for domain, count in sorted(domains.items()))
    what = "Rows of token ids in training order, with the documents that they are cut from" if output == "rows" else ""
    what = what or f"The table `{output}` of the stage `{manifest.stage['kind']}`"
    return f"{what}. Documents: {told}." if told else f"{what}."


def _is_table(output: Output) -> bool:
    return all(isinstance(part, TablePart) for part in output.parts.values())


def _files(store: Store, manifest: Manifest, output: str, beside: Path) -> list[dict[str, Any]]:
    """Every file of an output, and a set of them where a table has several parts."""
    folder = store.folder(manifest.run)
    sealed = {name: found for name, found in read_seal(folder).files.items() if name.startswith(f"{output}/")}
    files = []
    for name, expected in sealed.items():
        found = file_digest(folder / name)
        if (found.bytes, found.xxh3) != (expected.bytes, expected.xxh3):
            raise ArtifactError(f"{folder / name} has other bytes than those that were sealed; build it again")
        place = Path(os.path.relpath(folder / name, beside)).as_posix()
        files.append(_file(name, place, found.bytes, found.sha256, manifest.outputs[output]))
    parts = [file for file in files if file["encodingFormat"] == PARQUET]
    if len(parts) > 1:
        pattern = f"{parts[0]['contentUrl'].rpartition('/')[0]}/part-*.parquet"
        if pattern.startswith(".."):
            raise SpecError(f"{manifest.run}@{output} has {len(parts)} files; write --out into a folder above {folder}")
        files.append({"@type": "cr:FileSet", "@id": f"{output}/parts", "name": f"{output}/parts"})
        files[-1] |= {"encodingFormat": PARQUET, "includes": pattern}
    return files


def _file(name: str, place: str, size: int, sha256: str, output: Output) -> dict[str, Any]:
    head = {"@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": place, "contentSize": f"{size} B"}
    if name.endswith(".parquet"):
        return {**head, "encodingFormat": PARQUET, "sha256": sha256}
    match output.parts.get(stem := Path(name).stem):
        case ArrayPart(dtype=dtype, shape=shape):
            told = f"{ARRAYS.get(stem, 'an array')}: {dtype}, {' x '.join(map(str, shape))}"
            return {**head, "description": told, "encodingFormat": NPY, "sha256": sha256}
        case _:
            return {**head, "encodingFormat": "application/octet-stream", "sha256": sha256}


def _record_set(store: Store, manifest: Manifest, output: str, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The rows of a table; its fields are read from its one file, or from the set of them."""
    schema = read_schema(store.folder(manifest.run) / output)
    sets = [file["@id"] for file in files if file["@id"] == f"{output}/parts"]
    place = {"fileSet": {"@id": sets[0]}} if sets else {"fileObject": {"@id": f"{output}/part-00000.parquet"}}
    fields = [_field(output, field, place) for field in schema]
    key = {"key": {"@id": f"{output}/id"}} if "id" in schema.names else {}
    rows = sum(part.rows for part in manifest.outputs[output].parts.values() if isinstance(part, TablePart))
    told = {"name": output, "description": f"{rows:,} rows"}
    return {"@type": "cr:RecordSet", "@id": output, **told, **key, "field": fields}


def _field(output: str, field: pa.Field, place: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(field.type)
    if kind not in TYPES:
        raise SpecError(f"{output} has a column {field.name} of {kind}, which the format has no name for")
    return {
        "@type": "cr:Field",
        "@id": f"{output}/{field.name}",
        "name": field.name,
        **({"description": ABOUT[field.name]} if field.name in ABOUT else {}),
        "dataType": TYPES[kind],
        "source": {**place, "extract": {"column": field.name}},
    }


def _counts(store: Store, manifest: Manifest, output: str) -> dict[tuple[str, str], int]:
    """Documents by (licence, domain): those of the table, or those that the rows are cut from."""
    folder = store.folder(manifest.run) / output
    if output == "rows":
        found = [_of_rows(store, manifest)]
    elif {"licence", "domain"} <= {*read_schema(folder).names}:
        found = [pa.Table.from_batches([batch]) for batch in read_table(folder, ("licence", "domain"))]
    else:
        found = []
    counts: dict[tuple[str, str], int] = {}
    for table in found:
        for row in table.group_by(["licence", "domain"]).aggregate([([], "count_all")]).to_pylist():
            key = (row["licence"], row["domain"])
            counts[key] = counts.get(key, 0) + row["count_all"]
    return dict(sorted(counts.items()))


def _of_rows(store: Store, manifest: Manifest) -> pa.Table:
    documents: Input = as_read(manifest.run, one(manifest, str(manifest.stage["documents"])), store)
    order = read_array(store.folder(manifest.run) / "rows", "order")
    provenance = output_of(manifest, "provenance", store)
    return with_origin(documents_in_rows(provenance, *np.unique(order, return_counts=True)), documents)


def _source(source: SourceNode) -> dict[str, Any]:
    """A raw file: where it was published, its sha256, its licence."""
    where = {"url": source.uri} if source.uri.startswith("https://") else {}
    identifiers = [_property("uri", source.uri), _property("sha256", source.sha256)]
    return {
        "@type": "sc:CreativeWork",
        "name": source.name,
        **where,
        "license": source.licence,
        "identifier": identifiers,
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"@type": "sc:PropertyValue", "propertyID": name, "value": value}


def _protocol(store: Store, run: str) -> list[str]:
    """Every stage from the raw files to the corpus, as it was lowered, with its recipe; raw files stand elsewhere."""
    told = []
    for node in reversed(graph(store, run).runs):
        manifest = store.manifest(node.run)
        if manifest is None:
            raise ArtifactError(f"{node.run}, which {run} is made from, is gone; get it back (dvc checkout)")
        stage = {key: value for key, value in manifest.stage.items() if key != "sources"}
        told.append(f"{node.run} (recipe sha256 {node.recipe}): {canonical(stage).decode('utf-8')}")
    return told
