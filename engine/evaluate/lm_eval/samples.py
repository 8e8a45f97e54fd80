"""One row an item and filter: what was asked, by digest, what the model gave, and whether it was right."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from engine.spec.canonical import digest

SCHEMA = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("filter", pa.string(), nullable=False),
        pa.field("item", pa.int64(), nullable=False),
        pa.field("item_digest", pa.string(), nullable=False),
        pa.field("prompt_digest", pa.string(), nullable=False),
        pa.field("loglikelihoods", pa.string(), nullable=False),
        pa.field("loglikelihoods_hex", pa.string(), nullable=False),
        pa.field("chosen", pa.int64()),
        pa.field("response", pa.string(), nullable=False),
        pa.field("metrics", pa.string(), nullable=False),
        pa.field("correct", pa.float64()),
    ]
)
"""Log-likelihoods and metrics are JSON: one number a choice; a number for each metric. `chosen` is the choice of the
highest log-likelihood, null where there is none; `correct` the metric that says so: 1, 0, or a share."""
CORRECT = ("acc", "exact_match", "pass@1")


def rows(task: str, logged: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, object]]:
    """The rows of a task from what lm-eval logs, in the order of filters and items."""
    for sample in sorted(logged, key=lambda sample: (sample["filter"], sample["doc_id"])):
        yield row(task, sample)


def row(task: str, sample: Mapping[str, Any]) -> dict[str, object]:
    """One row; `resps` holds pairs of log-likelihood and greediness, sums, or texts."""
    given = [responses[0] for responses in sample["resps"]]
    numbers = [float(one[0] if isinstance(one, tuple) else one) for one in given if not isinstance(one, str)]
    found = {name: number(sample[name]) for name in sample["metrics"]}
    return {
        "task": task,
        "filter": sample["filter"],
        "item": int(sample["doc_id"]),
        "item_digest": item_digest(sample["doc"]),
        "prompt_digest": digest([plain_arguments(arguments) for arguments in sample["arguments"]]),
        "loglikelihoods": json.dumps(numbers),
        "loglikelihoods_hex": json.dumps([value.hex() for value in numbers]),
        "chosen": numbers.index(max(numbers)) if len(numbers) > 1 else None,
        "response": given[0] if isinstance(given[0], str) else "",
        "metrics": json.dumps(found, sort_keys=True),
        "correct": next((found[name] for name in CORRECT if isinstance(found.get(name), float)), None),
    }


def item_digest(item: Mapping[str, Any]) -> str:
    """sha256 over an item as data; what is neither text nor number counts by its type and repr."""
    return digest(json.loads(json.dumps(item, default=repr, sort_keys=True)))


def plain_arguments(arguments: Iterable[Any]) -> list[Any]:
    """Context and continuation, or context and settings of generation."""
    found: list[Any] = json.loads(json.dumps(list(arguments), sort_keys=True))
    return found


def number(value: Any) -> object:
    """A metric of one item: a number as float, anything composite as lm-eval has it, in JSON's types."""
    if isinstance(value, (tuple, list)):
        return [number(one) for one in value]
    return float(value)


def batch(found: Iterable[Mapping[str, object]]) -> pa.RecordBatch:
    """Rows as a record batch."""
    return pa.RecordBatch.from_pylist(list(found), schema=SCHEMA)
