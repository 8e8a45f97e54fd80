"""What may change a bit below the level of Python; part of every stage that computes in floating point."""

from typing import Literal

from engine.spec.base import Spec
from engine.spec.units import Count


class Numerics(Spec):
    """The instruction set and threads that products and sums may use; avx2 and one thread cost nothing measurable."""

    instruction_set: Literal["avx2", "avx512", "amx"] = "avx2"
    threads: Count = 1
    denormals: Literal["keep"] = "keep"
