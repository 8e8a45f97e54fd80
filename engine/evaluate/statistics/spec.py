"""The vocabulary of claims over repeated runs: numbers that runs report, and what must hold of them over seeds."""

from typing import Annotated, Literal

from pydantic import Field

from engine.spec.base import NEUTRAL, Spec
from engine.spec.ref import Name, Ref
from engine.spec.units import Positive


class Mean(Spec):
    """Their arithmetic mean, each of equal weight."""

    kind: Literal["mean"] = "mean"


class Sum(Spec):
    """Their sum."""

    kind: Literal["sum"]


class Largest(Spec):
    """The largest of them."""

    kind: Literal["largest"]


class Rrgs(Spec):
    """Risk of random guessing score: 1 - the mean of |s - 1/choices| over the scores s, which are fractions.

    SlimPajama-DC has it over the subjects of MMLU, of four choices. 1 means that every score lies at chance; a score
    below chance lowers it as much as one above, so it is no measure of quality.
    """

    kind: Literal["rrgs"]
    choices: Annotated[int, Field(ge=2)] = 4


Fold = Annotated[Mean | Sum | Largest | Rrgs, Field(discriminator="kind")]


class Reported(Spec):
    """A number that a stage reports, or one that several of them fold into."""

    of: Ref
    """For a claim over seeds, the cells that it is read from, for instance `perplexity[mix=dc6,seed=*]@scores`."""
    key: str
    """Dotted path in the stage's metrics, for instance `all.token_perplexity`.

    A part may name several: `*` is any text, and `|` stands between names. `domains.*.token_perplexity` is the mean of
    the perplexities of the domains, `domains.github|arxiv.token_perplexity` that of two of them.
    """
    fold: Fold = Field(default=Mean(), json_schema_extra={NEUTRAL: {"kind": "mean"}})
    """What is made of several numbers."""
    absent: Literal["refused", "zero"] = Field(default="refused", json_schema_extra={NEUTRAL: "refused"})
    """`zero`: what is not reported counts as 0, as stages leave out counts of nothing."""


class Metric(Reported):
    """A reported number, or a share of it."""

    over: tuple[Reported, ...] = Field(default=(), json_schema_extra={NEUTRAL: ()})  # type: ignore[dict-item]
    """The number is divided by the sum of these, each read of one run or of the same cells."""
    times: Positive = Field(default=1.0, json_schema_extra={NEUTRAL: 1.0})
    """The number is multiplied by this."""


class Design(Spec):
    """How repeated runs are compared. Runs are matched on the axis, and differences are taken between matched runs.

    Intervals are Student's, two-sided. The smallest effect that a design could see is (t(level) + t(power)) standard
    errors: a true effect of that size has its interval on one side of zero with probability `power`, to the
    approximation that takes quantiles of the central t (0.77 for three runs and 0.79 for five, where 0.8 is wanted).
    """

    axis: str = "seed"
    """The axis of a matrix whose values are repetitions of one thing."""
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    power: Annotated[float, Field(ge=0.5, lt=1)] = 0.8


Side = Literal["lower", "higher"]


class Paired(Spec):
    """left is lower, or higher, than right: the mean difference of matched runs lies on that side of `than`.

    Holds where the whole interval lies there, is not reproduced where all of it lies on the other side, else undecided.
    """

    kind: Literal["paired"]
    left: Metric
    right: Metric
    left_is: Side
    relative: bool = False
    """Compares left / right - 1, not left - right."""
    than: float = 0.0
    """`left_is: lower, relative: true, than: 0.02` says that left is at most 2% worse where lower is better."""
    design: Design = Design()


class Best(Spec):
    """The cell is better than each of the others, the runner-up too, on matched runs.

    Holds where every interval lies on that side of zero. One of the others counts as better only at the level that
    Bonferroni asks of as many looks; then the claim is not reproduced. All else is undecided.
    """

    kind: Literal["best"]
    cell: Metric
    others: Annotated[tuple[Metric, ...], Field(min_length=1)]
    """A reference that names the cell too leaves it out."""
    best: Literal["lowest", "highest"]
    design: Design = Design()


class Ordered(Spec):
    """Each number is below the next, on matched runs; of runs without seeds the numbers themselves are compared.

    The verdict follows from all neighbours as in `best`.
    """

    kind: Literal["ordered"]
    rising: Annotated[tuple[Metric, ...], Field(min_length=2)]
    design: Design = Design()


class Bound(Spec):
    """Every cell has its mean over seeds within [low, high]; the verdict follows from all cells as in `best`.

    Of a run without seeds the number itself is compared.
    """

    kind: Literal["bound"]
    of: Annotated[tuple[Metric, ...], Field(min_length=1)]
    low: float | None = None
    high: float | None = None
    design: Design = Design()


class Contrast(Spec):
    """The effect of having left instead of right."""

    left: Metric
    right: Metric


class Interaction(Spec):
    """The effect is lower, or higher, in the first setting than in the second: a 2 x 2, matched on the axis."""

    kind: Literal["interaction"]
    first: Contrast
    second: Contrast
    first_is: Side
    relative: bool = False
    """Effects are left / right - 1, not left - right."""
    than: float = 0.0
    design: Design = Design()


Correlation = Annotated[float, Field(ge=-1, le=1)]


class Ranks(Spec):
    """Spearman's correlation of x and y over cells lies within [low, high]: one for each seed, then their interval."""

    kind: Literal["ranks"]
    x: Annotated[tuple[Metric, ...], Field(min_length=1)]
    y: Annotated[tuple[Metric, ...], Field(min_length=1)]
    """As many as `x`, each over the same cells as the x at its place."""
    low: Correlation = -1.0
    high: Correlation = 1.0
    or_other_best: Literal["no", "lowest", "highest"] = "no"
    """The claim holds too where, in every seed, the cell of the lowest x is not that of the lowest, or highest, y."""
    design: Design = Design()


class ByDomain(Spec):
    """Numbers of one run by domain."""

    of: Ref
    key: str
    """Dotted path in the stage's metrics, for instance `dropped_bytes`."""


class Agree(Spec):
    """Each number of left lies within `within` of that of the same name on the right; a name that one lacks has 0."""

    kind: Literal["agree"]
    left: ByDomain
    right: ByDomain
    within: Positive


class Shares(Spec):
    """The share part / (part + rest) of each domain in `highest` is above that of every other domain.

    A domain that one of the two leaves out has none of it.
    """

    kind: Literal["shares"]
    part: ByDomain
    rest: ByDomain
    highest: Annotated[tuple[Name, ...], Field(min_length=1)]
