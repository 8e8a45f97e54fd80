"""LAMBADA: the last word of a passage; words end at a space."""

from typing import Annotated

from pydantic import StringConstraints

from engine.evaluate.lm_eval.sets.lines import Item, Row, json_lines, metric

CONFIG = {
    "output_type": "loglikelihood",
    "doc_to_text": "{{before}}",
    "doc_to_target": "{{' ' + last}}",
    "metric_list": [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}, metric("acc")],
}


class Passage(Row):
    """An item as its file has it."""

    text: Annotated[str, StringConstraints(pattern=r"(?s)\S.* [^ ]*\S$")]
    """a text that ends with a word after a space"""


def items(text: str, where: str) -> list[Item]:
    parts = (row.text.rpartition(" ") for _, row in json_lines(Passage, text, where))
    return [{"before": before, "last": last} for before, _, last in parts]
