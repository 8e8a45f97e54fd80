"""Documents that repeat protected ones out: indexes of the protected side are written once, every worker reads them.

Memory is that of the protected documents while the indexes are made, and one partition for each worker.
"""

from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.data.dedup.spec import Decontaminate, LeakTest, SameText, SharedBand, SharedNgram
from engine.data.documents import Document, Drop
from engine.data.leaks.leak import Finder
from engine.data.leaks.protected import Protected, ProtectedIds
from engine.data.scratch import scratch_folder
from engine.data.sift import sift_in


def decontaminate(stage: Decontaminate, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Writes `documents` and `dropped`; gives the counts, and what of the protected side each test looks for."""
    with scratch_folder(out) as folder:
        protected = Protected(tuple(item for ref in stage.against for item in inputs.all(ref)))
        protected.save_ids(folder)
        tests: dict[str, JsonValue] = {}
        for place, test in enumerate(stage.tests):
            inner = folder / str(place)
            inner.mkdir()
            tests[f"{place}_{test.kind}"] = _index(test, protected, inputs, inner)
        sieve = partial(without_leaks, stage.tests, folder)
        counts = sift_in(folder, inputs.one(stage.documents), sieve, out, placement, "decontaminate")
    return counts | {"protected": {"documents": len(protected), **tests}}


def _index(test: LeakTest, protected: Protected, inputs: Inputs, folder: Path) -> dict[str, JsonValue]:
    match test:
        case SameText():
            from engine.data.leaks.exact import index_texts

            return index_texts(protected, folder)
        case SharedBand():
            from engine.data.leaks.near import index_bands  # wants the extra `data`

            return index_bands(tuple(item for ref in test.bands for item in inputs.all(ref)), protected, folder)
        case SharedNgram():
            from engine.data.leaks.ngrams import index_ngrams

            return index_ngrams(test, protected, folder)
        case _:
            assert_never(test)


def without_leaks(
    tests: tuple[LeakTest, ...], folder: Path, documents: Iterator[Document], drop: Drop
) -> Iterator[Document]:
    """The documents in which no test finds a leak; the first test that does gives the reason."""
    finders = [_finder(test, folder / str(place)) for place, test in enumerate(tests)]
    names = ProtectedIds(folder)
    for document in documents:
        digest = sha256(document.text.encode("utf-8")).digest()
        leak = next((found for finder in finders if (found := finder(document, digest))), None)
        if leak:
            drop(document, leak.reason, names[leak.number], leak.measured)
        else:
            yield document


def _finder(test: LeakTest, folder: Path) -> Finder:
    match test:
        case SameText():
            from engine.data.leaks.exact import SameTexts

            return SameTexts(folder)
        case SharedBand():
            from engine.data.leaks.near import SharedBands

            return SharedBands(test, folder)
        case SharedNgram():
            from engine.data.leaks.ngrams import SharedRuns

            return SharedRuns(test, folder)
        case _:
            assert_never(test)
