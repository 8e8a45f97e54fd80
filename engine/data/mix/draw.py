"""Rows drawn with replacement over domains: the row at a position is a function of the seed, the position and the rows.

The domain at position p is where the p-th uniform of a stream falls among the shares. The k-th draw of a domain of n
rows takes the row at place k mod n of the permutation that belongs to epoch k // n: a domain is read through before any
of its rows comes again, and a longer sequence begins with every shorter one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.mix.permutation import Numbers, Permutation
from engine.spec.philox import generator

BLOCK = 1 << 20  # positions drawn at a time


@dataclass(frozen=True, slots=True)
class Pool:
    """The rows of one domain: `rows` of them from number `base` on, drawn with probability `share`."""

    domain: str
    base: int
    rows: int
    share: float


def draw(pools: tuple[Pool, ...], positions: int, seed: int) -> Iterator[tuple[Numbers, npt.NDArray[np.int64]]]:
    """(rows, index of the pool of each) for the positions in order, a block at a time."""
    stream = generator(seed, "data", "mix")
    bounds = np.cumsum([pool.share for pool in pools])
    drawn = np.zeros(len(pools), np.int64)
    for begin in range(0, positions, BLOCK):
        uniform = stream.uniform(min(BLOCK, positions - begin)) * bounds[-1]
        chosen = np.minimum(np.searchsorted(bounds, uniform, side="right"), len(pools) - 1)
        rows = np.empty(len(chosen), np.int64)
        for index, pool in enumerate(pools):
            mine = np.flatnonzero(chosen == index)
            rows[mine] = pool.base + _rows_of(pool, np.arange(drawn[index], drawn[index] + len(mine)), seed)
            drawn[index] += len(mine)
        yield rows, chosen


def _rows_of(pool: Pool, draws: Numbers, seed: int) -> Numbers:
    """The rows of some draws of a pool, counted from 0."""
    found = np.empty(len(draws), np.int64)
    epochs = draws // pool.rows
    for epoch in np.unique(epochs).tolist():
        mine = epochs == epoch
        order = Permutation(pool.rows, seed, "data", "mix", pool.domain, f"epoch-{epoch}")
        found[mine] = order.at(draws[mine] % pool.rows)
    return found


def shares_of_rows(
    shares: Mapping[str, float], unit: str, rows: Mapping[str, int], documents: Mapping[str, int]
) -> dict[str, float]:
    """The shares as shares of rows; a share of documents weighs with the rows that a document has on average."""
    if unit != "documents":
        return dict(shares)
    weights = {name: share * rows[name] / documents[name] for name, share in shares.items()}
    total = sum(weights[name] for name in sorted(weights))
    return {name: weight / total for name, weight in weights.items()}
