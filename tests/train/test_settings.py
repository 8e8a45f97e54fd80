"""Which settings keep the promise of `repeat`: the toy in two fresh processes under each graph, product, backend."""

import os
from itertools import product
from pathlib import Path

import pytest

from engine.artifacts.environment import closed_environment
from engine.kernels.spec import Kernels
from engine.spec.numerics import Numerics
from tests.train import toy
from tests.train.conftest import NATIVE, Cells, run_jobs

BACKENDS = {"reference": Kernels(), "native": NATIVE}
EVERY = {
    f"{graph}-{products}-{name}": backend.replace(graph=graph, products=products)
    for graph, products, (name, backend) in product(("eager", "inductor"), ("fp32", "bf16"), BACKENDS.items())
}
FP32 = {name: kernels for name, kernels in EVERY.items() if kernels.products == "fp32"}


def finals(root: Path, numerics: Numerics, settings: dict[str, Kernels]) -> dict[str, str]:
    """The digest of the last checkpoint under each setting, all computed by one fresh process."""
    root.mkdir()
    toy.write_rows(root / "pack")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in closed_environment(numerics, os.environ).items():
            patch.setenv(name, value)
        run_jobs(root, {name: (toy.plan().replace(kernels=k, numerics=numerics), "") for name, k in settings.items()})
    return {name: toy.digests(root / name)["step-6"] for name in settings}


def test_native_kernels_give_the_same_bits_in_a_fresh_process(cells: Cells, tmp_path: Path) -> None:
    again = finals(tmp_path / "again", Numerics(), {"native": BACKENDS["native"]})
    assert again["native"] == cells.digests("native")["step-6"]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("instructions", "settings"), [("avx2", FP32), ("amx", EVERY)])
def test_every_setting_that_a_spec_may_declare(
    instructions: str, settings: dict[str, Kernels], threads: int, tmp_path: Path
) -> None:
    if instructions == "amx" and "amx_tile" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
        settings, instructions = FP32, "avx2"  # bfloat16 products are refused there
    numerics = Numerics.model_validate({"instruction_set": instructions, "threads": threads})
    first, second = (finals(tmp_path / which, numerics, settings) for which in ("first", "second"))
    assert first == second
