"""PIQA: a goal in everyday physics, and two ways to it."""

from engine.evaluate.lm_eval.sets.lines import Item, choices, cut, json_lines, multiple_choice

CONFIG = multiple_choice("Question: {{question}}\nAnswer:", "acc", "acc_norm")


def items(text: str, where: str) -> list[Item]:
    return [
        {"question": cut(line["query"], "Question: ", "\n", place), **choices(line, place)}
        for place, line in json_lines(text, where, "query", "choices", "gold")
    ]
