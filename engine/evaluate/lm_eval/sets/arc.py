"""ARC: a question of school science, with three to five choices."""

from engine.evaluate.lm_eval.sets.lines import Item, choices, cut, json_lines, multiple_choice

CONFIG = multiple_choice("Question: {{question}}\nAnswer:", "acc", "acc_norm")


def items(text: str, where: str) -> list[Item]:
    return [
        {"question": cut(line["query"], "Question: ", "", place), **choices(line, place)}
        for place, line in json_lines(text, where, "query", "choices", "gold")
    ]
