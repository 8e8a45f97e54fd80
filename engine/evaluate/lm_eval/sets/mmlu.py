"""MMLU: a question and four choices by letter; the letter is what the model gives."""

import csv
import io
from collections.abc import Iterator
from typing import Literal

from engine.evaluate.lm_eval.sets.lines import Item, Row, Words, checked, metric, wrong
from engine.evaluate.lm_eval.spec import Mmlu

LETTERS = ["A", "B", "C", "D"]
PROMPT = "{{question.strip()}}\n" + "".join(f"{x}. {{{{texts[{n}]}}}}\n" for n, x in enumerate(LETTERS)) + "Answer:"
HEAD = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]


class Choice(Row):
    """A row of the file."""

    question: Words
    """a text that is not blank"""
    choice0: Words
    """a text that is not blank"""
    choice1: Words
    """a text that is not blank"""
    choice2: Words
    """a text that is not blank"""
    choice3: Words
    """a text that is not blank"""
    answer: Literal["A", "B", "C", "D", "0", "1", "2", "3"]
    """the letter of the right choice, A to D, or its index, 0 to 3"""


def config(spec: Mmlu) -> Item:
    """The subject stands in the first line of a prompt."""
    subject = spec.subject.replace("_", " ")
    return {
        "output_type": "multiple_choice",
        "description": f"The following are multiple choice questions (with answers) about {subject}.\n\n",
        "doc_to_text": PROMPT,
        "doc_to_choice": LETTERS,
        "doc_to_target": "gold",
        "metric_list": [metric("acc")],
    }


def items(text: str, where: str) -> list[Item]:
    """Rows of a CSV with a head or, as its authors have it, without one and with the answer as a letter."""
    rows = list(_rows(text, where))
    found = rows[1:] if rows and rows[0][1] == HEAD else rows
    return [_item(row, place) for place, row in found]


def _rows(text: str, where: str) -> Iterator[tuple[str, list[str]]]:
    """(place, columns) of every row that is not blank; the place is the line where it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if row:
                yield f"{where} line {reader.line_num}", row
    except csv.Error as error:
        raise wrong(f"{where} line {reader.line_num}", "the whole", str(error), "CSV with closed quotes") from error


def _item(row: list[str], place: str) -> Item:
    if len(row) != len(HEAD):
        raise wrong(place, "the whole", f"{len(row)} columns", f"{len(HEAD)} columns, {', '.join(HEAD)}")
    found = checked(Choice, dict(zip(HEAD, row, strict=True)), place)
    texts = [found.choice0, found.choice1, found.choice2, found.choice3]
    return {"question": found.question, "texts": texts, "gold": "ABCD0123".index(found.answer) % len(LETTERS)}
