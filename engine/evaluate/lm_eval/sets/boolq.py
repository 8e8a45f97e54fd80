"""BoolQ: a passage and a question about it, to be answered by no or yes."""

from pydantic import field_validator

from engine.evaluate.lm_eval.sets.lines import Item, Question, cut, json_lines, multiple_choice, wrong

CONFIG = multiple_choice("{{passage}}\nQuestion: {{question}}?\nAnswer:", "acc")


class YesOrNo(Question):
    """An item as its file has it."""

    choices: list[str]
    """"no" and "yes", in this order"""

    @field_validator("choices")
    @classmethod
    def _both(cls, choices: list[str]) -> list[str]:
        if choices != ["no", "yes"]:
            raise ValueError("these are other choices")
        return choices


def items(text: str, where: str) -> list[Item]:
    return [_item(row, place) for place, row in json_lines(YesOrNo, text, where)]


def _item(row: YesOrNo, place: str) -> Item:
    passage, _, question = cut(row.query, "Passage: ", "?", place).rpartition("\nQuestion: ")
    if not passage.strip() or not question.strip():
        raise wrong(place, "query", row.query, "a passage, then '\\nQuestion: ' and a question, neither of them blank")
    return {"passage": passage, "question": question, **row.answers()}
