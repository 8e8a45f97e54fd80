"""PIQA: a goal in everyday physics, and two ways to it."""

from typing import Annotated

from pydantic import Field

from engine.evaluate.lm_eval.sets.lines import Item, Question, Words, cut, json_lines, multiple_choice

CONFIG = multiple_choice("Question: {{question}}\nAnswer:", "acc", "acc_norm")


class Goal(Question):
    """An item as its file has it."""

    choices: Annotated[list[Words], Field(min_length=2, max_length=2)]
    """two texts, neither of them blank"""


def items(text: str, where: str) -> list[Item]:
    return [
        {"question": cut(row.query, "Question: ", "\n", place), **row.answers()}
        for place, row in json_lines(Goal, text, where)
    ]
