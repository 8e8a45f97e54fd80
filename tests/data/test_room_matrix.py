"""The whole room, from documents to rows: equal bytes for any workers, partitions and executor."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from distributed import LocalCluster

from engine.artifacts.placement import Placement
from engine.artifacts.read import Input, Inputs
from engine.data.cleaning.spec import CleanStep, Ftfy, SlimPajamaShort
from engine.data.dedup.spec import Decontaminate, Keep, MinHash, SameText, SharedNgram, Shingle
from engine.data.documents import Document
from engine.data.mix.spec import ByWeight, Sample
from engine.data.run import run_clean, run_decontaminate, run_minhash
from engine.data.spec import Clean
from engine.spec.canonical import plain
from engine.spec.ref import Ref
from tests.data.built import bpe, build, document, documents, packed_at, placement, plan, prose, trained
from tests.data.duplicates import CORPUS, Scope, dedup, near, unique

DOCUMENTS = 64
OUTPUTS = 12
DASK: Literal["dask"] = "dask"
SCOPES: tuple[Scope, ...] = ("local", "global")
STEPS: tuple[CleanStep, ...] = (Ftfy(kind="ftfy"), SlimPajamaShort(kind="slimpajama_short"))
BANDS = MinHash(kind="minhash", documents=CORPUS, shingle=Shingle(width=5), seed=1)
LEAKS = Decontaminate(
    kind="decontaminate",
    documents=CORPUS,
    against=(Ref("heldout@documents"),),
    tests=(SameText(kind="exact"), SharedNgram(kind="ngram", words=8)),
)
MIX = Sample(
    kind="sample",
    rows=200,
    weights=ByWeight(recipe="even", unit="tokens", recipes={"even": {"wiki": 0.5, "web": 0.5}}),
    tolerance=0.2,
)


def corpus() -> list[Document]:
    """Prose, copies with one word exchanged in another domain, equal ones within it, and texts that are too short."""
    found, own = [], prose("web", DOCUMENTS)
    for number, one in enumerate(prose("wiki", DOCUMENTS // 2)):
        copy = one.text.replace(one.text.split()[9], "exchanged") if number % 3 else own[number // 6].text
        found += [one, document("web", number, copy if number % 7 else "short")]
    return found


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[Input, Input, Input]:
    """The corpus, held-out documents, and a tokenizer."""
    folder, items = tmp_path_factory.mktemp("given"), corpus()
    all_of_it = documents(folder, items)
    model = trained(folder, all_of_it, bpe()).outputs["model"]
    return all_of_it, documents(folder, items[6:60:20], "heldout"), model


def room(given: tuple[Input, Input, Input], place: Placement) -> dict[str, str]:
    """The digest of every output of every stage."""
    folder, (raw, heldout, model) = place.root, given
    clean = Clean(kind="clean", documents=CORPUS, steps=STEPS)
    cleaned = build(folder, "clean", lambda out: run_clean(clean, Inputs({str(CORPUS): (raw,)}), out, place))
    texts = cleaned.outputs["documents"]
    index = build(folder, "bands", lambda out: run_minhash(BANDS, Inputs({str(CORPUS): (texts,)}), out, place))
    bands = index.outputs["bands"]
    made = replace(bands, manifest=bands.manifest.replace(stage=plain(BANDS)))
    keep = Keep(priority=("wiki",), then="text_digest")
    found = {"clean": cleaned, "bands": index}
    for scope in SCOPES:
        found[scope] = unique(folder, texts, dedup(near(), scope, keep), made, place, scope)
    inputs = Inputs({str(CORPUS): (found["local"].outputs["documents"],), "heldout@documents": (heldout,)})
    found["safe"] = build(folder, "safe", lambda out: run_decontaminate(LEAKS, inputs, out, place))
    packing = plan().model_copy(update={"mix": MIX})
    found["rows"] = packed_at(place, found["safe"].outputs["documents"], model, packing, "rows")
    return {f"{run}@{name}": digest for run, built in found.items() for name, digest in built.digests().items()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, given: tuple[Input, Input, Input]) -> dict[str, str]:
    return room(given, placement(tmp_path_factory.mktemp("alone")))


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


def cut(place: Placement, partitions: int) -> Placement:
    return replace(place, partition_rows=-(-DOCUMENTS // partitions))


def test_every_stage_has_something_to_do(alone: dict[str, str]) -> None:
    """Equal digests would be two tables without rows."""
    assert len(set(alone.values())) == len(alone) == OUTPUTS


@pytest.mark.parametrize("partitions", [2, 3, 5, 8, 16])
def test_partitions_change_no_byte(
    tmp_path: Path, given: tuple[Input, Input, Input], alone: dict[str, str], partitions: int
) -> None:
    assert room(given, cut(placement(tmp_path), partitions)) == alone


@pytest.mark.parametrize(
    ("workers", "partitions"),
    [(2, 8), pytest.param(4, 16, marks=pytest.mark.slow), pytest.param(2, 16, marks=pytest.mark.slow)],
)
def test_processes_change_no_byte(
    tmp_path: Path, given: tuple[Input, Input, Input], alone: dict[str, str], workers: int, partitions: int
) -> None:
    assert room(given, cut(placement(tmp_path, workers), partitions)) == alone


@pytest.mark.parametrize("partitions", [1, 16])
def test_dask_changes_no_byte(
    tmp_path: Path, given: tuple[Input, Input, Input], alone: dict[str, str], scheduler: str, partitions: int
) -> None:
    place = replace(cut(placement(tmp_path, 2), partitions), executor=DASK, scheduler=scheduler)
    assert room(given, place) == alone
