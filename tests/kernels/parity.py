"""Case files of ops: backends, tolerances and cases, and how a result is held against the definition in fp64."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor

from engine.kernels.spec import Kernels

CASES = Path(__file__).parent / "cases"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Case:
    """A row of a case file."""

    op: str
    name: str
    seed: int
    dtype: torch.dtype
    tolerance: Mapping[str, float]  # `value`, `gradient`: of the largest magnitude of a tensor
    sizes: Mapping[str, Any]

    def draw(self, *shape: int, part: int) -> Tensor:
        """Normal numbers in the case's dtype; `part` tells the tensors of a case apart."""
        drawn = torch.Generator().manual_seed(1000 * self.seed + part)
        return torch.randn(*shape, generator=drawn).to(self.dtype)

    def check(self, found: Sequence[Tensor], defined: Sequence[Tensor], kind: str = "value") -> None:
        """Fails where a tensor is further from its definition than the tolerance of its kind."""
        for number, (ours, theirs) in enumerate(zip(found, defined, strict=True)):
            assert ours.shape == theirs.shape, f"{kind} {number}: {tuple(ours.shape)}, not {tuple(theirs.shape)}"
            away, largest = (ours.double() - theirs).abs().max().item(), theirs.abs().max().item()
            allowed = self.tolerance[kind] * largest + 1e-30
            assert away <= allowed, f"{kind} {number} is off by {away:.3e}, and {allowed:.3e} is allowed"


def read(op: str) -> dict[str, Any]:
    """The case file of an op."""
    found: dict[str, Any] = YAML(typ="safe").load(CASES / f"{op}.yaml")
    return found


def backend(op: str, said: object) -> Any:
    """The value of the field `op` of Kernels, from what YAML says."""
    return dict(Kernels.model_validate({op: said}))[op]


def cases(op: str) -> Iterator[Case]:
    file = read(op)
    for row in file["cases"]:
        named = {key: row[key] for key in ("name", "seed", "dtype")}
        sizes = {key: value for key, value in row.items() if key not in named}
        yield Case(op, named["name"], named["seed"], DTYPES[named["dtype"]], file["tolerance"][named["dtype"]], sizes)


def parity(op: str) -> pytest.MarkDecorator:
    """Parametrises a test by (case, backend) of the case file; those of `gpu:` are marked so."""
    file, found = read(op), []
    for case in cases(op):
        for said in (*file["backends"], *file.get("gpu", ())):
            marks = [pytest.mark.gpu] if said in file.get("gpu", ()) else []
            name = said if isinstance(said, str) else "-".join(str(value) for value in said.values())
            found.append(pytest.param(case, backend(op, said), id=f"{case.name}-{name}", marks=marks))
    return pytest.mark.parametrize(("case", "backend"), found)


def wide(*given: Tensor) -> tuple[Tensor, ...]:
    """The tensors in fp64, with gradients."""
    return tuple(x.detach().double().requires_grad_() for x in given)


def leaves(*given: Tensor) -> tuple[Tensor, ...]:
    """The tensors, with gradients."""
    return tuple(x.detach().clone().requires_grad_() for x in given)
