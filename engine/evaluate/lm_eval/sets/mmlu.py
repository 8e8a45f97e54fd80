"""MMLU: a question and four choices by letter; the letter is what the model gives."""

import csv
import io

from engine.evaluate.lm_eval.sets.lines import Item, metric
from engine.evaluate.lm_eval.spec import Mmlu
from engine.spec.errors import ArtifactError

LETTERS = ["A", "B", "C", "D"]
PROMPT = "{{question.strip()}}\n" + "".join(f"{x}. {{{{texts[{n}]}}}}\n" for n, x in enumerate(LETTERS)) + "Answer:"
HEAD = ["question", "choice0", "choice1", "choice2", "choice3", "answer"]


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
    rows = list(csv.reader(io.StringIO(text, newline="")))
    found = rows[1:] if rows and rows[0] == HEAD else rows
    return [_item(row, f"{where} row {number}") for number, row in enumerate(found, 1)]


def _item(row: list[str], place: str) -> Item:
    answers = {**{letter: n for n, letter in enumerate(LETTERS)}, **{str(n): n for n in range(len(LETTERS))}}
    if len(row) != len(HEAD) or row[-1] not in answers:
        raise ArtifactError(f"{place} is no question with four choices and an answer; is this the file of the task?")
    return {"question": row[0], "texts": row[1:-1], "gold": answers[row[-1]]}
