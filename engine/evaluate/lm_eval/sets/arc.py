"""ARC: a question of school science, with three to five choices."""

from engine.evaluate.lm_eval.sets.lines import Item, Question, cut, json_lines, multiple_choice

CONFIG = multiple_choice("Question: {{question}}\nAnswer:", "acc", "acc_norm")


def items(text: str, where: str) -> list[Item]:
    return [
        {"question": cut(row.query, "Question: ", "", place), **row.answers()}
        for place, row in json_lines(Question, text, where)
    ]
