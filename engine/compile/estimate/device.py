"""What a stage is said to run on, so that FLOPs become hours: one core, or one GPU for training at full scale.

A forecast, never an identity: where a stage runs is placement, and no recipe digest holds any of this.
"""

from dataclasses import dataclass
from typing import Literal

Products = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Device:
    """Peak rates of matrix products by number format, and the share of them that is counted on."""

    name: str
    peak: dict[Products, float]
    """FLOPs a second."""
    utilisation: float
    memory_bytes: int | None
    source: str

    def flops_per_second(self, products: Products) -> float:
        return self.utilisation * self.peak[products]


CORE = Device(
    name="one core",
    peak={"fp32": 5e10, "bf16": 5e10},
    utilisation=1.0,
    memory_bytes=None,
    source="measured 6e10: one Xeon core, AVX2, fp32, 3 M parameters; less for the optimizer and the log",
)
A100 = Device(
    name="A100 80 GB",
    peak={"fp32": 19.5e12, "bf16": 312e12},
    utilisation=0.4,
    memory_bytes=80 * 10**9,
    source="peaks: NVIDIA's data sheet of the A100, dense; utilisation: assumed",
)


def device_of(scale: Literal["proxy", "full", "evaluation"]) -> Device:
    """Proxies and evaluations run on CPU cores; the published systems were trained on A100s."""
    return A100 if scale == "full" else CORE
