"""What the loop refuses, and how it adds losses."""

import pytest

from engine.spec.errors import ArtifactError
from engine.spec.numerics import Numerics
from engine.train.loop import check_finite, check_numerics
from tests.train import toy


def test_a_process_that_computes_otherwise_than_the_plan_says_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"threads is \d+, not 63.*closes the environment"):
        check_numerics(toy.plan().replace(numerics=Numerics(threads=63)))


@pytest.mark.parametrize(("losses", "norm"), [([1.0, float("nan")], 1.0), ([1.0], float("inf"))])
def test_a_number_that_is_not_finite_stops_the_run(losses: list[float], norm: float) -> None:
    with pytest.raises(ArtifactError, match=r"step 3: .* diverged"):
        check_finite(3, losses, norm)
