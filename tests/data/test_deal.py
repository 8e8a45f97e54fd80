"""Dealing against a literal transcription of K2's rule, and what it promises: repeats, distances, even chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.data.deal import Deck, slots_of

Domain = tuple[int, float]  # rows, repeat


def as_k2_does(chunks: int, domains: list[Domain]) -> list[list[tuple[int, int]]]:
    """For each target chunk, (domain, row) in order: one pass over all rows for each chunk, as in gather.py."""
    found = []
    for target in range(chunks):
        chunk, counter = [], 0
        for domain, (rows, repeat) in enumerate(domains):
            pseudo_chunks = int(chunks / repeat)
            counter = counter % pseudo_chunks
            for row in range(rows):
                if counter == target % pseudo_chunks:
                    chunk.append((domain, row))
                counter = (counter + 1) % pseudo_chunks
        found.append(chunk)
    return found


def dealt(chunks: int, domains: list[Domain], pieces: int = 1) -> tuple[list[Deck], list[tuple[int, int]]]:
    """The decks, and (domain, row) of each stored row; rows come in pieces, as from a stream."""
    decks: list[Deck] = []
    stored: list[tuple[int, int]] = []
    for domain, (rows, repeat) in enumerate(domains):
        slots = slots_of(chunks, repeat)
        deck = decks[-1].next(str(domain), slots) if decks else Deck(str(domain), chunks, slots, 0, 0, 0)
        for part in np.array_split(np.arange(rows), pieces):
            deck, taken = deck.more(len(part))
            stored += [(domain, int(row)) for row in part[taken]]
        assert deck.base + deck.stored == len(stored)
        decks.append(deck)
    return decks, stored


DOMAINS = st.lists(
    st.tuples(st.integers(0, 150), st.sampled_from([1.0, 3.0, 6.0, 0.5, 0.3, 1.5, 5.0, 36.0, 0.1, 2.0])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([1, 2, 7, 36]), DOMAINS, st.integers(1, 4))
def test_every_chunk_holds_what_k2_puts_there(chunks: int, domains: list[Domain], pieces: int) -> None:
    domains = [(rows, min(repeat, chunks)) for rows, repeat in domains]
    decks, stored = dealt(chunks, domains, pieces)
    for target, expected in enumerate(as_k2_does(chunks, domains)):
        rows = np.concatenate([deck.chunk(target) for deck in decks])
        assert [stored[row] for row in rows.tolist()] == expected
    used = {row for target in range(chunks) for deck in decks for row in deck.chunk(target).tolist()}
    assert used == set(range(len(stored)))


@pytest.mark.parametrize(("repeat", "slots"), [(1.0, 36), (3.0, 12), (6.0, 6), (0.5, 72), (1.5, 24), (5.0, 7)])
def test_slots(repeat: float, slots: int) -> None:
    assert slots_of(36, repeat) == slots


@pytest.mark.parametrize("repeat", [1, 3, 6])
def test_a_repeat_is_the_same_rows_so_many_chunks_later(repeat: int) -> None:
    decks, stored = dealt(36, [(50, 1.0), (400, float(repeat))])
    deck, distance = decks[1], 36 // repeat
    for chunk in range(36 - distance):
        assert deck.chunk(chunk).tolist() == deck.chunk(chunk + distance).tolist()
    times = np.bincount(np.concatenate([deck.chunk(chunk) for chunk in range(36)]))[50:]
    assert times.tolist() == [repeat] * 400
    assert len(stored) == 450


def test_half_a_repeat_never_shows_half_of_the_rows() -> None:
    _, stored = dealt(36, [(720, 0.5)])
    assert stored == [(0, row) for row in range(720) if row % 72 < 36]


def test_a_repeat_that_does_not_divide_repeats_some_rows_more_often() -> None:
    (deck,), _ = dealt(36, [(240, 1.5)])
    times = np.bincount(np.concatenate([deck.chunk(chunk) for chunk in range(36)]))
    assert times.tolist() == [2 if row % 24 < 12 else 1 for row in range(240)]


def test_the_counter_carries_on_so_that_chunks_stay_even() -> None:
    decks, _ = dealt(36, [(7, 1.0)] * 50)
    sizes = [sum(len(deck.chunk(chunk)) for deck in decks) for chunk in range(36)]
    assert max(sizes) - min(sizes) <= 1
