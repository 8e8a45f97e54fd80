"""The vocabulary of mixes: rows dealt to chunks, or drawn by weight."""

from typing import Annotated, Literal

from pydantic import Field

from engine.spec.base import Spec
from engine.spec.ref import Name, Ref
from engine.spec.units import Count, Positive


class Deal(Spec):
    """Rows dealt round-robin to chunks as K2 does it: repeat r puts a row into r chunks, r < 1 drops the rest.

    Source: LLM360/k2-data-prep, gather.py. A domain that is not named has repeat 1.
    """

    kind: Literal["deal"]
    chunks: Count
    repeats: dict[Name, Positive] = {}  # noqa: RUF012 (a frozen model: Pydantic copies the default)


Share = Annotated[float, Field(ge=0, le=1)]


class ByWeight(Spec):
    """The shares of a mix, in `unit`; they sum to 1."""

    kind: Literal["weights"] = "weights"
    recipe: Name
    """Which of `recipes` is meant: an axis of a matrix may name it."""
    recipes: Annotated[dict[Name, dict[Name, Share]], Field(min_length=1)]
    unit: Literal["tokens", "rows", "documents"]
    """`tokens` and `rows` mean the same, since all rows have one length. With `documents` a domain is drawn as if whole
    documents were, each of the mean length of its domain: its share of rows is its share times that length."""


class ByCopies(Spec):
    """Each document as often as it stood in the corpus before duplicates went: TxT360's stored counts."""

    kind: Literal["copies"]
    dropped: Annotated[tuple[Ref, ...], Field(min_length=1)]
    """The `dropped` outputs of all stages that removed duplicates, in any order."""


Weighting = Annotated[ByWeight | ByCopies, Field(discriminator="kind")]


class Sample(Spec):
    """Rows drawn with replacement over domains, each domain cycling through a permutation of its rows.

    The row at position p is a function of (seed, p) and of the rows alone: a longer run extends a shorter one.
    """

    kind: Literal["sample"]
    rows: Count
    """Length of the sequence."""
    weights: Weighting
    tolerance: Share = 0.02
    """How far, at most, a domain's share of the sequence may lie from the declared one; drawing makes it differ."""
    most_repeats: Annotated[dict[Name, Positive], Field()] = {}  # noqa: RUF012
    """By domain: an error where the sequence would show a row more often than this."""


Mix = Annotated[Deal | Sample, Field(discriminator="kind")]
