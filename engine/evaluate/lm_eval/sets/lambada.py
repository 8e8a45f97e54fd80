"""LAMBADA: the last word of a passage; words end at a space."""

from engine.evaluate.lm_eval.sets.lines import Item, json_lines, metric
from engine.spec.errors import ArtifactError

CONFIG = {
    "output_type": "loglikelihood",
    "doc_to_text": "{{before}}",
    "doc_to_target": "{{' ' + last}}",
    "metric_list": [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}, metric("acc")],
}


def items(text: str, where: str) -> list[Item]:
    return [_item(line["text"], place) for place, line in json_lines(text, where, "text")]


def _item(text: str, place: str) -> Item:
    before, _, last = text.rpartition(" ")
    if not before or not last:
        raise ArtifactError(f"{place}: a passage must end with a word after a space")
    return {"before": before, "last": last}
