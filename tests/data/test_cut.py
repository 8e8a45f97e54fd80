"""Streams cut into rows: the rows are the stream, and every segment says where its bytes are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.cut import Cutter
from engine.data.encode import Encoded

END = 0
Document = list[int]  # the bytes of each token


def encoded(documents: list[Document], first: int) -> Encoded:
    """Tokens are numbered from `first`, the end id is 0."""
    ids, ends = [], []
    for document in documents:
        ids += [*range(first, first + len(document)), END]
        total = np.cumsum([0, *document]).tolist()
        ends += [*total[1:], total[-1]]
        first += len(document)
    tokens = [len(document) + 1 for document in documents]
    return Encoded(np.array(ids, np.int32), np.array(ends, np.int64), np.array(tokens, np.int64))


def slowly(documents: list[Document], row_tokens: int) -> tuple[list[list[int]], list[tuple[int, ...]]]:
    """Rows and (row, segment, document, begin, end, first, tokens, separators), token by token."""
    stream, number = [], 1
    for document, sizes in enumerate(documents):
        byte = 0
        for size in sizes:
            stream.append((number, document, byte, byte + size, 0))
            byte, number = byte + size, number + 1
        stream.append((END, document, byte, byte, 1))
    rows, segments = [], []
    for row in range(len(stream) // row_tokens):
        tokens = stream[row * row_tokens : (row + 1) * row_tokens]
        rows.append([token[0] for token in tokens])
        within: list[list[int]] = []
        for place, (_, document, begin, end, separator) in enumerate(tokens):
            if not within or within[-1][2] != document:
                within.append([row, len(within), document, begin, end, place, 0, 0])
            within[-1][4] = end
            within[-1][6] += 1
            within[-1][7] += separator
        segments += [tuple(segment) for segment in within]
    return rows, segments


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(st.lists(st.integers(0, 4), max_size=12), max_size=5), max_size=5),
    st.integers(2, 9),
)
def test_rows_and_segments(batches: list[list[Document]], row_tokens: int) -> None:
    cutter, rows, segments, seen, first = Cutter(row_tokens), [], [], 0, 1
    for batch in batches:
        names = [str(seen + place) for place in range(len(batch))]
        cut = cutter.push(names, encoded(batch, first))
        columns = (cut.row + len(rows), cut.segment, cut.document, cut.byte_begin, cut.byte_end, cut.first)
        for found in zip(*(c.tolist() for c in (*columns, cut.tokens, cut.separators)), strict=True):
            segments.append((*found[:2], int(cut.documents[found[2]]), *found[3:]))
        rows += cut.ids.tolist()
        seen, first = seen + len(batch), first + sum(map(len, batch))
    documents = [document for batch in batches for document in batch]
    assert (rows, segments) == slowly(documents, row_tokens)
    assert cutter.held_tokens == sum(len(document) + 1 for document in documents) % row_tokens


@pytest.mark.parametrize("row_tokens", [2, 3])
def test_a_separator_alone_in_a_row_names_the_end_of_its_document(row_tokens: int) -> None:
    cutter, size = Cutter(row_tokens), 3 * row_tokens
    cutter.push(["d"], encoded([[3] * row_tokens], 1))
    cut = cutter.push(["e"], encoded([[1] * row_tokens], 10))
    assert (cut.byte_begin[0], cut.byte_end[0], cut.tokens[0], cut.separators[0]) == (size, size, 1, 1)
