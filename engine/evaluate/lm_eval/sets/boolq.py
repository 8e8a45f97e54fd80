"""BoolQ: a passage and a question about it, to be answered by no or yes."""

from engine.evaluate.lm_eval.sets.lines import Item, choices, cut, json_lines, multiple_choice

CONFIG = multiple_choice("{{passage}}\nQuestion: {{question}}?\nAnswer:", "acc")


def items(text: str, where: str) -> list[Item]:
    return [_item(line, place) for place, line in json_lines(text, where, "query", "choices", "gold")]


def _item(line: Item, place: str) -> Item:
    passage, _, question = cut(line["query"], "Passage: ", "?", place).rpartition("\nQuestion: ")
    return {"passage": passage, "question": question, **choices(line, place)}
