"""Signatures by MinHash (Broder 1997) folded into bands (Indyk and Motwani 1998): the index of near duplicates.

Function k maps a shingle's hash x (the upper 32 bits) to a_k x + b_k modulo 2^32, with a_k odd: a permutation of the
32-bit numbers. a_k and b_k depend on the seed and on k alone. Value k of a signature is the least over the shingles;
band b is the values from b * rows on, `rows` of them. Functions that no band uses are not computed.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash
from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.progress import progress
from engine.artifacts.read import Input
from engine.data.dedup.bands import BANDS_SCHEMA
from engine.data.dedup.rolling import signatures
from engine.data.dedup.shingles import code_points, compared_text
from engine.data.dedup.spec import BandingRecall, MinHash
from engine.data.partitions import Partition, partitions, read_partition
from engine.data.pool import in_order
from engine.data.scratch import scratch_folder
from engine.data.sift import read_back, spill
from engine.spec.philox import generator

BATCH_CHARS = 1 << 20

Words = npt.NDArray[np.uint32]
Functions = tuple[Words, Words]


def minhash(stage: MinHash, documents: Input, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes and closes `bands`, one row a document in the order of the documents."""
    pieces = partitions(documents, placement)
    with scratch_folder(out) as folder:
        work = ((folder / f"{number:08d}", (piece, folder / f"{number:08d}")) for number, piece in enumerate(pieces))
        table = out.table("bands", BANDS_SCHEMA)
        try:
            with closing(in_order(partial(_sign_one, stage), work, placement)) as done:
                for target, _ in progress(done, len(pieces), "parts", "minhash"):
                    for batch in read_back(target):
                        table.write(batch)
        except BaseException:
            table.abort()
            raise
        table.close()
    out.close("bands")
    return {"documents": table.rows}


def functions(stage: MinHash | BandingRecall) -> Functions:
    """a [k] and b [k] of the functions that bands use."""
    words = generator(stage.seed, "data", "minhash").raw(2 * stage.permutations).astype(np.uint32)
    used = stage.bands * stage.rows
    return words[0::2][:used] | np.uint32(1), words[1::2][:used].copy()


def signed(texts: Sequence[str], width: int, by: Functions) -> Words:
    """The signatures [texts, functions] of texts as they are compared."""
    codes, ends = code_points(texts)
    found = np.empty((len(texts), len(by[0])), np.uint32)
    signatures(codes, ends, width, *by, found)
    return found


def band_keys(signature: Words, bands: int) -> bytes:
    """The keys of a document's bands, one after the other."""
    values = signature.astype("<u4").reshape(bands, -1)
    return b"".join(xxhash.xxh3_128_digest(band.tobytes()) for band in values)


def _sign_one(stage: MinHash, work: tuple[Partition, Path]) -> None:
    piece, target = work
    by = functions(stage)
    with spill(target, BANDS_SCHEMA) as writer:
        for rows in _pieces(read_partition(piece, ("id", "domain", "source", "text"))):
            writer.write_batch(_signed_rows(rows, stage, by))


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """Runs of rows of about BATCH_CHARS bytes of text."""
    step = max(1, BATCH_CHARS * table.num_rows // max(table.column("text").nbytes, 1))
    for begin in range(0, table.num_rows, step):
        yield table.slice(begin, step)


def _signed_rows(rows: pa.Table, stage: MinHash, by: Functions) -> pa.RecordBatch:
    texts = rows.column("text").to_pylist()
    compared = [compared_text(text, stage.shingle) for text in texts]
    found = signed(compared, stage.shingle.width, by)
    columns = [rows.column(name).combine_chunks() for name in ("id", "domain", "source")]
    digests = pa.array([sha256(text.encode()).digest() for text in texts], pa.binary())
    bands = [band_keys(row, stage.bands) if text else b"" for row, text in zip(found, compared, strict=True)]
    return pa.RecordBatch.from_arrays([*columns, digests, pa.array(bands, pa.binary())], schema=BANDS_SCHEMA)
