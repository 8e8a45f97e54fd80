"""What is not an item of its set is refused with file, line, key, what was found and what is allowed."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from engine.evaluate.lm_eval.sets import arc, boolq, gsm8k, hellaswag, humaneval, lambada, mmlu, piqa, truthfulqa
from engine.evaluate.lm_eval.sets.lines import Item
from engine.evaluate.lm_eval.spec import TruthfulQa
from engine.spec.errors import ArtifactError

Read = Callable[[str, str], list[Item]]
ARC = {"query": "Question: what?", "choices": ["a", "b"], "gold": 1}
PIQA = ARC | {"query": "Question: what?\n"}
BOOLQ = {"query": "Passage: so.\nQuestion: is it?", "choices": ["no", "yes"], "gold": 0}
SCENE = ["A man sits.", "3", "one", "two", "three", "four"]
LAMBADA = {"text": "the last word"}
GSM8K = {"question": "how many?", "answer": "It is one.\n#### 1"}
ROW = ["what?", "a", "b", "c", "d", "C"]
HUMANEVAL = {"task_id": "x/0", "prompt": 'def f():\n    """One."""\n', "entry_point": "f", "test": "def check(f): pass"}
TRUTH = {"question": "so?", "mc1_targets": {"yes": 1, "no": 0}, "mc2_targets": {"yes": 1, "so": 1}}


def mc1(text: str, where: str) -> list[Item]:
    return truthfulqa.items(TruthfulQa(kind="truthfulqa", answers="mc1"), text, where)


def mc2(text: str, where: str) -> list[Item]:
    return truthfulqa.items(TruthfulQa(kind="truthfulqa", answers="mc2"), text, where)


JSON_LINES: list[tuple[Read, dict[str, Any]]] = [
    (arc.items, ARC), (piqa.items, PIQA), (boolq.items, BOOLQ), (lambada.items, LAMBADA), (gsm8k.items, GSM8K),
    (humaneval.items, HUMANEVAL),
]  # fmt: skip
EVERY = [(read, key) for read, item in JSON_LINES for key in item]


def refusal(read: Read, text: str) -> str:
    with pytest.raises(ArtifactError) as error:
        read(text, "file.x")
    for line in str(error.value).split("\n"):
        assert re.match(r"file\.x( (line|item) \d+)?, .+: found .+, allowed: .+; is this the file of the task\?$", line)
    return str(error.value)


def test_good_items_are_read_and_other_keys_left_alone() -> None:
    for read, item in JSON_LINES:
        assert len(read(json.dumps(item | {"more": [1]}) + "\n\n", "file.x")) == 1
    assert hellaswag.items("\n".join(SCENE), "x")[0]["gold"] == 3
    assert mmlu.items(",".join(ROW), "x")[0]["gold"] == 2
    assert (mc1(json.dumps([TRUTH]), "x")[0]["labels"], mc2(json.dumps([TRUTH]), "x")[0]["labels"]) == ([1, 0], [1, 1])


@pytest.mark.parametrize(("read", "key"), EVERY)
def test_a_key_that_is_missing_or_of_another_type_is_told(read: Read, key: str) -> None:
    item = dict(JSON_LINES)[read]
    without = {name: value for name, value in item.items() if name != key}
    assert f"file.x line 1, {key}: found nothing" in refusal(read, json.dumps(without))
    others: tuple[object, ...] = (None, 1.0, True, {}, [], "", " ")
    for found in others:
        assert f"file.x line 1, {key}: found {found!r}" in refusal(read, json.dumps(item | {key: found}))


@pytest.mark.parametrize("read", [read for read, _ in JSON_LINES])
def test_what_is_no_object_is_told(read: Read) -> None:
    for text in ("not json", "[]", "3", "null", '"x"', '{"a": 1, "a": 2}', "[" * 100_000):
        assert refusal(read, text).startswith("file.x line 1, the whole: ")


@pytest.mark.parametrize(
    ("read", "item", "key"),
    [
        *((read, item | {"gold": gold}, "gold") for read, item in JSON_LINES[:3] for gold in (-1, 2)),
        (arc.items, ARC | {"choices": ["a"]}, "choices"),
        (arc.items, ARC | {"choices": ["a", ""]}, r"choices\.1"),
        (arc.items, ARC | {"query": "what?"}, "query"),
        (arc.items, ARC | {"query": "Question: \ud800"}, "query"),
        (piqa.items, PIQA | {"choices": ["a", "b", "c"]}, "choices"),
        (boolq.items, BOOLQ | {"choices": ["yes", "no"]}, "choices"),
        (boolq.items, BOOLQ | {"query": "Passage: so?"}, "query"),
        (lambada.items, {"text": "word"}, "text"),
        (lambada.items, {"text": "a word "}, "text"),
        (gsm8k.items, GSM8K | {"answer": "It is 1."}, "answer"),
        (gsm8k.items, GSM8K | {"answer": "#### one"}, "answer"),
        (humaneval.items, HUMANEVAL | {"entry_point": "g"}, "entry_point"),
        (humaneval.items, HUMANEVAL | {"test": "assert f()"}, "test"),
        (humaneval.items, HUMANEVAL | {"prompt": "def f(:"}, "prompt"),
    ],
)
def test_an_item_that_no_model_could_answer_is_told(read: Read, item: dict[str, Any], key: str) -> None:
    assert re.match(rf"file\.x line 2, {key}: ", refusal(read, "\n" + json.dumps(item)))


def test_an_id_that_stands_twice_is_told() -> None:
    twice = json.dumps(HUMANEVAL) + "\n" + json.dumps(HUMANEVAL)
    assert "file.x line 2, task_id: found 'x/0', allowed: an id that file.x line 1" in refusal(humaneval.items, twice)


@pytest.mark.parametrize(
    ("place", "found", "key"),
    [(0, "", "context"), (1, "4", "label"), (1, "\u00b2", "label"), (1, "-1", "label"), (5, " ", r"endings\.3")],
)
def test_a_scene_is_six_lines(place: int, found: str, key: str) -> None:
    lines = [*SCENE, *SCENE[:place], found, *SCENE[place + 1 :]]
    assert re.match(rf"file\.x line 7, {key}: ", refusal(hellaswag.items, "\n".join(lines)))
    assert "found '7 lines'" in refusal(hellaswag.items, "\n".join([*SCENE, "more"]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("what?,a,b,c,D", "line 2, the whole: found '5 columns'"),
        ("what?,a,b,c,d,E", "line 2, answer: found 'E'"),
        ("what?,a,,c,d,0", "line 2, choice1: found ''"),
        ('"what?,a,b,c,d,0', "line 2, the whole: found 'unexpected end of data'"),
    ],
)
def test_a_row_is_six_columns(text: str, said: str) -> None:
    assert said in refusal(mmlu.items, ",".join(ROW) + "\n" + text)


TARGETS: tuple[Any, ...] = (
    None, [], {}, {"a": 1}, {"a": 0, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": True},
    {"a": 1, "": 0}, {"a": 1, "b": "0"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("read", "targets"), [*((read, one) for read in (mc1, mc2) for one in TARGETS), (mc1, {"a": 1, "b": 1})]
)
def test_answers_are_texts_with_their_truth(read: Read, targets: Any) -> None:
    item = TRUTH | {"mc1_targets": targets, "mc2_targets": targets}
    assert refusal(read, json.dumps([TRUTH, item])).startswith(f"file.x item 2, {read.__name__}_targets")
    for text in ("{}", "3", "[", '[{"question": "x", "question": "y"}]'):
        assert refusal(read, text).startswith("file.x, the whole: ")
