"""Named random streams: golden values, sane statistics, an exact enough logarithm, purposes that do not touch."""

import hashlib
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.spec.philox import generator, log


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(values.astype(values.dtype.newbyteorder("<")).tobytes()).hexdigest()


def test_golden_words_uniforms_and_order() -> None:
    assert [hex(word) for word in generator(0, "golden").raw(3).tolist()] == WORDS
    assert [x.hex() for x in generator(0, "golden").uniform(3).tolist()] == UNIFORMS
    assert generator(0, "golden").permutation(10).tolist() == ORDER


def test_golden_normals() -> None:
    normals = generator(0, "golden").normal(100_000)
    assert [x.hex() for x in normals[:3].tolist()] == NORMALS
    assert sha256(normals) == NORMALS_SHA256


@pytest.mark.parametrize("other", [(1, "a", "b"), (0, "a"), (0, "ab"), (0, "a", "c"), (0, "b", "a"), (0,)])
def test_a_purpose_is_a_stream_of_its_own(other: tuple[int | str, ...]) -> None:
    seed, *purpose = other
    assert isinstance(seed, int)
    assert not np.array_equal(generator(seed, *map(str, purpose)).raw(4), generator(0, "a", "b").raw(4))


def test_draws_of_a_purpose_do_not_depend_on_others() -> None:
    alone = generator(7, "data", "order").raw(100)
    before, wanted = generator(7, "model", "init"), generator(7, "data", "order")
    first = wanted.raw(50)
    before.normal(1000)
    assert np.array_equal(np.concatenate([first, wanted.raw(50)]), alone)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=4))
def test_pieces_equal_the_whole(pieces: list[int]) -> None:
    for name in ("raw", "uniform", "normal"):
        stream, total = generator(3, name), sum(pieces)
        draw = {"raw": stream.raw, "uniform": stream.uniform, "normal": stream.normal}[name]
        whole_stream = generator(3, name)
        whole = {"raw": whole_stream.raw, "uniform": whole_stream.uniform, "normal": whole_stream.normal}[name]
        assert np.array_equal(np.concatenate([draw(n) for n in pieces]), whole(total))


def test_normals_have_the_moments_of_a_normal() -> None:
    n = 1_000_000
    x = generator(1, "moments").normal(n)
    assert abs(x.mean()) < 5 / np.sqrt(n)
    assert abs(x.var() - 1) < 5 * np.sqrt(2 / n)
    assert abs((x**3).mean()) < 5 * np.sqrt(15 / n)
    assert abs((x**4).mean() - 3) < 5 * np.sqrt(96 / n)
    assert abs((np.abs(x) < 1).mean() - 0.682689492) < 5 * np.sqrt(0.25 / n)
    assert abs(np.corrcoef(x[0::2], x[1::2])[0, 1]) < 5 / np.sqrt(n / 2)


def test_uniforms_lie_inside_the_interval_and_are_even() -> None:
    u = generator(1, "uniform").uniform(1_000_000)
    assert u.min() > 0 and u.max() < 1
    counts, _ = np.histogram(u, bins=100, range=(0, 1))
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 99 + 5 * np.sqrt(2 * 99)


def test_permutation_holds_every_index_once_and_every_place_is_reached() -> None:
    assert np.array_equal(np.sort(generator(2, "p").permutation(1000)), np.arange(1000))
    first = [int(generator(seed, "p").permutation(4)[0]) for seed in range(400)]
    assert min(np.bincount(first, minlength=4)) > 60
    assert generator(2, "p").permutation(0).tolist() == []


def test_logarithm_against_fifty_digits() -> None:
    u = generator(5, "log").uniform(3000)
    edges = np.array([2.0**-1022, 2.0**-53, 0.5, 1 - 2.0**-53, 1 + 2.0**-52, 2.0, 1.7e308, np.sqrt(0.5), np.sqrt(2.0)])
    x = np.concatenate([u, 1 - u * 1e-6, edges])
    with localcontext() as context:
        context.prec = 50
        exact = [Decimal(v).ln() for v in x.tolist()]
        worst = max(abs((Decimal(got) - want) / want) for got, want in zip(log(x).tolist(), exact, strict=True))
    assert worst < 5e-16
    assert log(np.array([1.0])).tolist() == [0.0]


WORDS = ["0x2262364821a16227", "0x683d30466e1860fc", "0x9f81dc5cdc33c7e3"]
UNIFORMS = ["0x1.1311b2410d0b4p-3", "0x1.a0f4c119b861ap-2", "0x1.3f03b8b9b8679p-1"]
ORDER = [0, 3, 1, 5, 7, 2, 9, 4, 6, 8]
NORMALS = ["-0x1.075a3299392a3p+0", "-0x1.0b5e4475a5cbfp-2", "0x1.7c94786898132p-2"]
NORMALS_SHA256 = "393dea614b60b78a064aab4a5a4ce098457a3dd7ec7faceaf35bc909db492aa4"
