"""The licences of all that a checkpoint saw: tokens as often as they were seen, and documents, each counted once."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.artifacts.lineage import SourceNode, graph
from engine.artifacts.manifest import Manifest
from engine.artifacts.read import Input, read_array, read_table
from engine.artifacts.store import Store
from engine.data.provenance import Positions
from engine.report.seen import Reading, history
from engine.spec.errors import ArtifactError

KEYS = ("licence", "domain", "source")
COUNTED = pa.schema([("document", pa.string()), ("tokens", pa.int64())])


@final
@dataclass(frozen=True, slots=True)
class Share:
    """What was seen of one source."""

    licence: str
    domain: str
    source: str
    documents: int
    tokens: int  # end ids counted, and a token that was seen twice counts twice


@final
@dataclass(frozen=True, slots=True)
class Licences:
    """What one checkpoint has seen, and the raw files of its lineage of which it saw nothing."""

    checkpoint: str
    shares: tuple[Share, ...]
    unseen: tuple[SourceNode, ...]
    """Dropped, held out, in no row yet; or no text at all, as a published tokenizer."""

    @property
    def tokens(self) -> int:
        return sum(share.tokens for share in self.shares)

    def by_licence(self) -> dict[str, tuple[int, int]]:
        """(documents, tokens) by licence, sorted."""
        found: dict[str, tuple[int, int]] = {}
        for share in self.shares:
            documents, tokens = found.get(share.licence, (0, 0))
            found[share.licence] = (documents + share.documents, tokens + share.tokens)
        return found

    def data(self) -> dict[str, Any]:
        totals = self.by_licence().items()
        return {
            **asdict(self),
            "tokens": self.tokens,
            "licences": {name: {"documents": documents, "tokens": tokens} for name, (documents, tokens) in totals},
        }


def licences(store: Store, run: str, manifest: Manifest, step: int) -> Licences:
    """What the checkpoint of a finished training run saw, with all that the run goes on from.

    Memory is an id and a count for each document that was seen. ArtifactError when the rows, their provenance or their
    documents are no longer what was read, or do not add up.
    """
    found = [named for item in history(store, run, manifest, step) if (named := _named(item))]
    shares = tuple(Share(*row) for row in _summed(found)) if found else ()
    seen = {share.source for share in shares}
    unseen = tuple(source for source in graph(store, run).sources if source.name not in seen)
    return Licences(f"{run}@step-{step}", shares, unseen)


def _named(item: Reading) -> pa.Table | None:
    """Tokens of every document that a run read, with its licence, domain and source."""
    order = read_array(item.rows.folder, "order")
    steps = range(item.stage.first_step() + 1, item.last + 1)
    positions = order[np.concatenate([np.zeros(0, np.int64), *map(item.batches().positions, steps)])]
    if not len(positions):
        return None
    counted = documents_in_rows(item.provenance, *np.unique(positions, return_counts=True))
    tokens = pc.sum(counted.column("tokens")).as_py()
    if tokens != len(positions) * item.stage.row_tokens:
        raise ArtifactError(
            f"{item.provenance.run}@provenance tells of {tokens:,} tokens, {item.name} read "
            f"{len(positions) * item.stage.row_tokens:,}; `facsimile audit {item.name}` tells what was changed"
        )
    return with_origin(counted, item.documents)


def documents_in_rows(provenance: Input, rows: Positions, times: Positions) -> pa.Table:
    """Tokens by document (COUNTED) of some stored rows, which rise, each counted so many times."""
    parts = [COUNTED.empty_table()]
    for batch in read_table(provenance.folder, ("row", "document", "tokens")):
        row = batch.column("row").to_numpy()
        places = np.minimum(np.searchsorted(rows, row), len(rows) - 1)
        tokens = np.where(rows[places] == row, times[places] * batch.column("tokens").to_numpy(), 0)
        counted = pa.table([batch.column("document"), pa.array(tokens, pa.int64())], schema=COUNTED)
        parts.append(_sum(counted.filter(pa.array(tokens > 0)), "document").select(["document", "tokens"]))
    return _sum(pa.concat_tables(parts), "document").select(["document", "tokens"])


def with_origin(counted: pa.Table, documents: Input) -> pa.Table:
    """The same with licence, domain and source; ArtifactError for a document that is not there."""
    joined = _origins(counted, documents)
    if joined.num_rows != counted.num_rows:
        raise ArtifactError(
            f"{counted.num_rows - joined.num_rows} documents that the rows name are not in "
            f"{documents.run}@{documents.output}; build the rows again"
        )
    return joined


def _origins(counted: pa.Table, documents: Input) -> pa.Table:
    wanted = counted.column("document")
    found = [
        pa.table({"document": rows.column("id"), **{key: rows.column(key) for key in KEYS}})
        for batch in read_table(documents.folder, ("id", *KEYS))
        if (rows := batch.filter(pc.is_in(batch.column("id"), value_set=wanted))).num_rows
    ]
    if not found:
        return counted.slice(0, 0)
    return pa.concat_tables(found).join(counted, "document", join_type="inner")


def _summed(found: Sequence[pa.Table]) -> Iterator[tuple[Any, ...]]:
    """(licence, domain, source, documents, tokens), sorted."""
    each = _sum(pa.concat_tables(found), "document", *KEYS)
    rows = each.group_by(KEYS).aggregate([([], "count_all"), ("tokens", "sum")]).to_pylist()
    yield from sorted((*(row[key] for key in KEYS), row["count_all"], row["tokens_sum"]) for row in rows)


def _sum(table: pa.Table, *keys: str) -> pa.Table:
    return table.group_by(keys).aggregate([("tokens", "sum")]).rename_columns([*keys, "tokens"])
