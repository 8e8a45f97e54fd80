"""What really ran: every backend notes itself with its block sizes, and the plan's declaration is held against it."""

from collections.abc import Mapping
from typing import Any

import torch

from engine.kernels.spec import Kernels
from engine.spec.errors import ArtifactError

_RAN: dict[str, list[Mapping[str, object]]] = {}


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # under torch.compile: called once, when the graph is traced
def ran(op: str, kind: str, **blocks: object) -> None:
    """Called by a backend as it computes: `op` is the field of `Kernels`, `blocks` its sizes by their names there."""
    note = {"kind": kind, **blocks}
    found = _RAN.setdefault(op, [])
    if note not in found:
        found.append(note)


def forget() -> None:
    """Begins a new record."""
    _RAN.clear()


def record() -> dict[str, list[Mapping[str, object]]]:
    """Every op that ran in this process since `forget`, with each distinct backend and its block sizes."""
    return {op: list(notes) for op, notes in sorted(_RAN.items())}


def check_declared(kernels: Kernels) -> None:
    """ArtifactError when an op was computed by another backend, or in other blocks, than the spec declares.

    Of a backend that the spec declares by its name alone, block sizes are constants of its code: they are noted, for
    the observation, and the code digest holds them.
    """
    declared: dict[str, Any] = kernels.model_dump()  # neutral values too
    for op, notes in record().items():
        said = declared[op] if isinstance(declared[op], dict) else {"kind": declared[op]}
        for note in notes:
            held = note if isinstance(declared[op], dict) else {"kind": note["kind"]}
            if held != said:
                raise ArtifactError(f"kernels.{op}: the spec declares {said}, but {dict(note)} ran; nothing was kept")
