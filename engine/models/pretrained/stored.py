"""What files hold of a model: its spec as they state it, and its weights by the engine's names, read one by one."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt

from engine.models.spec import Model
from engine.spec.canonical import plain
from engine.spec.errors import ArtifactError

Array = npt.NDArray[np.float32]
UNSTATED = ("init",)  # of a model that is trained already, no file says how its weights were drawn


@final
@dataclass(frozen=True, slots=True)
class Stored:
    """A model in files; `where` names them in messages, `types` counts their tensors by stored type."""

    where: str
    model: Model
    types: Counter[str]
    read: Callable[[str], Array]


def check_model(declared: Model, stored: Stored) -> None:
    """ArtifactError with every field in which the files state another model than the spec declares."""
    ours, theirs = plain(declared), plain(stored.model)
    odd = [
        f"{name} is {theirs.get(name)}, not {value}"
        for name, value in ours.items()
        if name not in UNSTATED and theirs.get(name) != value
    ]
    if odd:
        raise ArtifactError(
            f"{stored.where} holds another model than the spec declares under `model`: {'; '.join(odd)}"
        )


def check_names(where: str, expected: Iterable[str], found: Iterable[str]) -> None:
    """ArtifactError when tensors are missing, or there are others, whose meaning nobody knows."""
    ours, theirs = set(expected), set(found)
    missing, unknown = sorted(ours - theirs), sorted(theirs - ours)
    if missing:
        raise ArtifactError(f"{where} lacks {len(missing)} tensors of the model: {', '.join(missing[:3])}")
    if unknown:
        raise ArtifactError(
            f"{where} holds {len(unknown)} tensors that the model has no place for: {', '.join(unknown[:3])}"
        )


def checked(stored: Stored, name: str, wanted: tuple[int, ...]) -> Array:
    """One weight in fp32 and C order; ArtifactError for another shape, or a number that is none."""
    value = np.ascontiguousarray(stored.read(name))
    if value.shape != wanted:
        raise ArtifactError(f"{stored.where}: {name} has shape {value.shape}, the model wants {wanted}")
    if not np.isfinite(value).all():
        raise ArtifactError(f"{stored.where}: {name} holds NaN or infinity; these weights are damaged")
    return value
