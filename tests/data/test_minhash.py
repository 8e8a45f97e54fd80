"""Signatures: the compiled loop is the definition, functions depend on seed and number alone, bands are its slices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.artifacts.read import Inputs, read_table
from engine.data.dedup.bands import BAND_BYTES, BANDS_SCHEMA
from engine.data.dedup.minhash import band_keys, functions, signed
from engine.data.dedup.minhash_reference import shingle_hash, shingle_set, signature
from engine.data.dedup.shingles import compared_text, jaccard, shingle_hashes
from engine.data.dedup.spec import MinHash, Shingle
from engine.data.run import run_minhash
from engine.spec.ref import Ref
from tests.data.built import Built, build, document, documents, prose
from tests.data.given import place

STAGE = MinHash(kind="minhash", documents=Ref("corpus@documents"), seed=1)
BY = functions(STAGE)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(st.lists(TEXTS, max_size=4), st.integers(1, 15))
@settings(max_examples=60, deadline=None)
def test_the_compiled_signature_is_the_definition(texts: list[str], width: int) -> None:
    found = signed(texts, width, BY)
    assert found.shape == (len(texts), 117)
    for text, row in zip(texts, found, strict=True):
        assert (row == signature(text, width, BY)).all()


@given(TEXTS, st.integers(1, 15))
@settings(max_examples=60, deadline=None)
def test_shingles_are_the_set_of_runs(text: str, width: int) -> None:
    found = shingle_hashes(text, Shingle(width=width, text="plain"))
    assert found.tolist() == sorted({shingle_hash(piece) for piece in shingle_set(text, width)})


def test_golden_signature() -> None:
    text = compared_text("The Quick  brown fox, jumps over the lazy dog!", STAGE.shingle)
    assert text == "the quick brown fox jumps over the lazy dog"
    assert signed([text], 13, BY)[0, :3].tolist() == GOLDEN
    assert band_keys(signed([text], 13, BY)[0], 9)[:BAND_BYTES].hex() == GOLDEN_BAND


def test_a_function_depends_on_the_seed_and_its_number_alone() -> None:
    more = functions(STAGE.replace(permutations=500, bands=20, rows=20))
    assert (more[0][:117] == BY[0]).all()
    assert (more[1][:117] == BY[1]).all()
    assert not (functions(STAGE.replace(seed=2))[0] == BY[0]).any()
    assert (BY[0] % 2 == 1).all()


def test_similarity_of_sets() -> None:
    plain = Shingle(width=3, text="plain")
    a, b = shingle_hashes("abcdef", plain), shingle_hashes("abcdxy", plain)
    assert jaccard(a, b) == 2 / 6
    assert jaccard(a, a) == 1.0
    assert jaccard(shingle_hashes("", plain), shingle_hashes("", plain)) == 1.0
    assert jaccard(a, shingle_hashes("", plain)) == 0.0


def test_a_band_is_the_hash_of_its_slice() -> None:
    row = signed(["a text that is long enough"], 13, BY)[0]
    keys = band_keys(row, 9)
    assert len(keys) == 9 * BAND_BYTES
    assert keys[32:48] == xxhash.xxh3_128_digest(np.ascontiguousarray(row[26:39], "<u4").tobytes())


def banded(folder: Path, workers: int, rows: int | None) -> Built:
    corpus = [*prose("wiki", 40), document("wiki", 99, " ,.! "), document("code", 1, "x"), *prose("code", 30)]
    folder.mkdir()
    inputs = Inputs({STAGE.documents: (documents(folder, corpus),)})
    placement = replace(place(folder), workers=workers, partition_rows=rows)
    return build(folder, "bands", lambda out: run_minhash(STAGE, inputs, out, placement))


def test_bands_are_equal_for_every_number_of_workers_and_partitions(tmp_path: Path) -> None:
    built = [banded(tmp_path / f"{w}-{r}", w, r).outputs["bands"] for w, r in ((1, None), (1, 7), (2, 16))]
    assert len({item.digest for item in built}) == 1
    table = pa.Table.from_batches(list(read_table(built[0].folder)), BANDS_SCHEMA)
    assert table.num_rows == 72
    assert set(map(len, table.column("bands").to_pylist())) == {0, 9 * BAND_BYTES}
    assert table.column("bands")[40].as_py() == b""


@pytest.mark.parametrize("text", ["", "\U0001f600" * 20, "e\u0301" * 10])
def test_texts_at_the_edge(text: str) -> None:
    assert (signed([text], 13, BY)[0] == signature(text, 13, BY)).all()


GOLDEN = [278594944, 12181823, 111320092]
GOLDEN_BAND = "7ee4b6d1c237a666512c9d89e6b08e15"
