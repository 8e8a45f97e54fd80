"""HumanEval: the body of a Python function, run against its tests in a sandbox."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial

from pydantic import ValidationInfo, field_validator

from engine.evaluate.lm_eval.sandbox import Limits, Trial, passes
from engine.evaluate.lm_eval.sets.lines import Item, Row, Words, json_lines, metric, wrong
from engine.evaluate.lm_eval.spec import HumanEval

UNTIL = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]
EMPTY_BODY = "    pass\n"


class Problem(Row):
    """An item as its file has it."""

    task_id: Words
    """a text that is not blank, and no other item has"""
    prompt: Words
    """the beginning of a Python program, up to the body of a function"""
    entry_point: Words
    """the name of the function that the prompt begins"""
    test: Words
    """a Python program with a function `check`"""

    @field_validator("prompt")
    @classmethod
    def _begins_a_function(cls, prompt: str) -> str:
        return _python(prompt + EMPTY_BODY) and prompt

    @field_validator("entry_point")
    @classmethod
    def _is_begun(cls, name: str, info: ValidationInfo) -> str:
        if not name.isidentifier() or f"def {name}(" not in info.data.get("prompt", f"def {name}("):
            raise ValueError("the prompt begins another")
        return name

    @field_validator("test")
    @classmethod
    def _checks(cls, test: str) -> str:
        if "def check(" not in test:
            raise ValueError("there is no check")
        return _python(test)


def _python(text: str) -> str:
    """The text, when Python reads it; ValueError when not."""
    with warnings.catch_warnings(action="ignore"):  # of backslashes in a docstring
        try:
            compile(text, "x.py", "exec")
        except SyntaxError as error:
            raise ValueError(str(error)) from error
    return text


def config(spec: HumanEval) -> Item:
    """One greedy program an item; pass@1 is 1 when the tests of prompt and program run to their end."""
    limits = Limits(seconds=spec.seconds, memory_bytes=spec.memory_mib << 20)
    process: Callable[[Item, Sequence[str]], dict[str, float]] = partial(score, limits=limits)
    return {
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{test}}\ncheck({{entry_point}})",
        "generation_kwargs": {"until": UNTIL, "max_gen_toks": spec.most_tokens, "do_sample": False},
        "process_results": process,
        "metric_list": [metric("pass@1")],
    }


def items(text: str, where: str) -> list[Item]:
    places: dict[str, str] = {}
    found = []
    for place, row in json_lines(Problem, text, where):
        if row.task_id in places:
            raise wrong(place, "task_id", row.task_id, f"an id that {places[row.task_id]} does not have")
        places[row.task_id] = place
        found.append(row.model_dump())
    return found


def score(doc: Item, results: Sequence[str], limits: Limits) -> dict[str, float]:
    """Tests the function that prompt and program define."""
    program, prelude = f"{doc['prompt']}{results[0]}\n", f"{doc['prompt']}{EMPTY_BODY}"
    return {"pass@1": float(passes(Trial(program, prelude, doc["test"], doc["entry_point"]), limits))}
