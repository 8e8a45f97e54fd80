"""GSM8K: a sum in words, answered step by step."""

from typing import Annotated

from pydantic import StringConstraints

from engine.evaluate.lm_eval.sets.lines import Item, Row, Words, json_lines
from engine.evaluate.lm_eval.spec import Gsm8k

STRICT = r"#### (\-?[0-9\.\,]+)"  # the number as the training answers write it
FLEXIBLE = r"(-?[$0-9.,]{2,})|(-?[0-9]+)"  # the last number of the answer
IGNORED = [",", r"\$", r"(?s).*#### ", r"\.$"]


class Sum(Row):
    """An item as its file has it."""

    question: Words
    """a text that is not blank"""
    answer: Annotated[str, StringConstraints(pattern=r"#### -?[0-9][0-9.,]*$")]
    """a text that ends with '#### ' and a number"""


def config(spec: Gsm8k) -> Item:
    """Two filters find a number in what the model wrote; both are compared with the true one."""
    strict = [{"function": "regex", "regex_pattern": STRICT}, {"function": "take_first"}]
    flexible = [{"function": "regex", "group_select": -1, "regex_pattern": FLEXIBLE}, {"function": "take_first"}]
    return {
        "output_type": "generate_until",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {
            "until": ["Question:", "</s>", "<|im_end|>"],
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": spec.most_tokens,
        },
        "filter_list": [{"name": "strict-match", "filter": strict}, {"name": "flexible-extract", "filter": flexible}],
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": True,
                "ignore_punctuation": False,
                "regexes_to_ignore": IGNORED,
            }
        ],
    }


def items(text: str, where: str) -> list[Item]:
    return [{"question": row.question, "answer": row.answer} for _, row in json_lines(Sum, text, where)]
