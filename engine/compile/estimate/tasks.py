"""How many tokens a benchmark makes a model read, as far as that is known before its data are read."""

from dataclasses import dataclass
from typing import assert_never

from engine.evaluate.lm_eval.spec import (
    FirstShots,
    Gsm8k,
    HeldShots,
    HumanEval,
    LibraryTask,
    NoShots,
    OfflineTask,
    PublishedTask,
    Shots,
    Task,
)

CHARACTERS = 4  # of a token: assumed, as English text has it in the vocabularies of these models
TRUTHFULQA_SHOTS = 850  # characters of the six questions before every item, about


@dataclass(frozen=True, slots=True)
class Extent:
    """Counted once in a file: items, the sequences that they become (one a choice), characters of these together."""

    items: int
    sequences: int
    characters: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads of a task."""

    sequences: int
    tokens: int


EXTENTS = {
    # PIQA, BoolQ, ARC easy, ARC challenge, HumanEval (prompts): as mosaicml/llm-foundry has them
    "d2870e73aec5154df3faf259b7700876e11608eebdf69e9d6667435673dbe4e0": Extent(1838, 3676, 537564),
    "454ff101e614370bb1807fe7ebbda6fdb57e794b9662cc1ccae211bf1ff626c8": Extent(3270, 6540, 4099002),
    "d2d12e59543acf9a5ef6079634a72b30215e36c2fd4236fff3bc855d287b87f5": Extent(2376, 9504, 1398791),
    "1ae3aeedf1951d881cbd5c2e3a31e78a1993d251479afbe4cb413b6707244636": Extent(1172, 4688, 804666),
    "a0eb83f052f2ad70ba09061d558a8942b0f78823fb391adab7c5cbf728e1b82c": Extent(164, 164, 73897),
    # HellaSwag, validation
    "50b637899e4263c2bc456c2dc726c95d2c8cd8e2a552ea5bd7719ce3cb03fe5b": Extent(10042, 40168, 14559130),
    # TruthfulQA: all choices of mc2
    "c90d853454fd48c676accb33e16923ac438dbb6fb37ecc7c6a70e33c9e556e87": Extent(
        790, 6045, 662548 + 6045 * TRUTHFULQA_SHOTS
    ),
    "b3799639bc76c939836d587de7d30b48d91012cb34be04806d33106ce06c162a": Extent(
        817, 6204, 681923 + 6204 * TRUTHFULQA_SHOTS
    ),
    # GSM8K (questions), LAMBADA
    "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14": Extent(1319, 1319, 316390),
    "4aa8d02cd17c719165fc8a7887fddd641f43fcafa4b1c806ca8abc31fabdb226": Extent(5153, 5153, 1663859),
}
"""Files by sha256; measured here over their bytes."""


def task_reading(task: Task) -> Reading | None:
    """All sequences of a task, written tokens included; None where the data were never counted."""
    match task:
        case PublishedTask():
            sequences = task.items * task.sequences
            return Reading(sequences, sequences * task.tokens)
        case OfflineTask():
            extent = EXTENTS.get(task.data.sha256)
            return None if extent is None else _offline(task, extent)
        case LibraryTask():
            return None
        case _:
            assert_never(task)


def _offline(task: OfflineTask, extent: Extent) -> Reading:
    items = min(task.limit or extent.items, extent.items)
    read = extent.characters * (1 + shots_of(task.shots)) // CHARACTERS
    tokens = read + extent.sequences * _written(task)
    return Reading(extent.sequences * items // extent.items, tokens * items // extent.items)


def _written(task: OfflineTask) -> int:
    """Most tokens that the model writes for an item."""
    match task.set:
        case Gsm8k(most_tokens=most) | HumanEval(most_tokens=most):
            return most
        case _:
            return 0


def shots_of(shots: Shots) -> int:
    """Examples before an item, each taken to be as long as the item."""
    match shots:
        case NoShots():
            return 0
        case HeldShots(count=count) | FirstShots(count=count):
            return count
        case _:
            assert_never(shots)
