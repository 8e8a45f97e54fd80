"""Prompts, answers and metrics of our tasks are those of lm-eval's own, rendered on the same items."""

from pathlib import Path
from typing import Any

import datasets
import lm_eval.tasks
import pytest
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks._yaml_loader import load_yaml

from engine.evaluate.lm_eval.offline import Items, configuration
from engine.evaluate.lm_eval.sets import arc, boolq, gsm8k, hellaswag, humaneval, lambada, mmlu, piqa, truthfulqa
from engine.evaluate.lm_eval.sets.lines import Item
from engine.evaluate.lm_eval.spec import Mmlu, OfflineTask, TruthfulQa
from engine.spec.canonical import canonical

LIBRARY = Path(lm_eval.tasks.__file__).parent
FORMAT: dict[str, Any] = {"kind": "file", "path": "x", "sha256": "0" * 64, "licence": "CC0-1.0"}


def ours(form: dict[str, Any], items: list[Item], shots: list[Item]) -> ConfigurableTask:
    fields = {"kind": "offline", "name": "ours", "set": form, "data": FORMAT}
    task = OfflineTask.model_validate_json(canonical(fields))
    return ConfigurableTask(config=configuration(task, Items(tuple(items), tuple(shots))))


def theirs(file: str, docs: list[Item], shots: list[Item], functions: bool = False) -> ConfigurableTask:
    """The library's task of a YAML file over documents as the hub has them."""
    config = dict(load_yaml(LIBRARY / file, resolve_func=functions, recursive=True))
    split = config.get("test_split") or config["validation_split"]
    data = {split: datasets.Dataset.from_list(docs)}
    changes = {
        "custom_dataset": lambda **_: data,
        "training_split": None,
        "fewshot_split": None,
        "num_fewshot": len(shots),
        "fewshot_config": {"sampler": "first_n", "samples": shots},
        "process_results": None if not functions else config.get("process_results"),
        "unsafe_code": False,
    }
    if not functions:
        config.pop("process_docs", None)
        if file.startswith("humaneval"):
            config.pop("metric_list"), config.pop("filter_list")
    return ConfigurableTask(config=config | changes)


def asked(task: ConfigurableTask) -> list[Any]:
    """Every request with its arguments, in order."""
    task.build_all_requests(limit=None, rank=0, world_size=1)
    return [(instance.request_type, instance.arguments) for instance in task.instances]


def assert_equal(our: ConfigurableTask, their: ConfigurableTask, metrics: bool = True) -> None:
    assert asked(our) == asked(their)
    if metrics:
        assert our.config.metric_list == their.config.metric_list or [
            entry["metric"] for entry in our.config.metric_list
        ] == [entry["metric"] for entry in their.config.metric_list]
        assert our.aggregation() == their.aggregation()
        assert our.higher_is_better() == their.higher_is_better()


QUESTIONS = ["What is ice?", "Which falls  faster,\nlead or a feather", "Why {{x}}?"]
CHOICES = [["water", "fire", "air"], ["lead", "a feather", "both", "none"], ["a", "b"]]
GOLD = [0, 2, 1]


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("file", ["arc/arc_easy.yaml", "arc/arc_challenge.yaml"])
def test_arc(file: str, shots: int) -> None:
    lines = [
        {"query": f"Question: {q}", "choices": c, "gold": g} for q, c, g in zip(QUESTIONS, CHOICES, GOLD, strict=True)
    ]
    items = arc.items("".join(canonical(line).decode() + "\n" for line in lines), "x")
    docs = [
        {"question": q, "choices": {"text": c, "label": list("ABCD"[: len(c)])}, "answerKey": "ABCD"[g]}
        for q, c, g in zip(QUESTIONS, CHOICES, GOLD, strict=True)
    ]
    assert_equal(ours({"kind": "arc"}, items[2:], items[:shots]), theirs(file, docs[2:], docs[:shots]))


@pytest.mark.parametrize("shots", [0, 2])
def test_piqa(shots: int) -> None:
    goals = ["open a jar", "boil  an egg", "run"]
    lines = [{"query": f"Question: {goal}\n", "choices": ["twist", "hit"], "gold": 1} for goal in goals]
    items = piqa.items("".join(canonical(line).decode() + "\n" for line in lines), "x")
    docs = [{"goal": goal, "sol1": "twist", "sol2": "hit", "label": 1} for goal in goals]
    assert_equal(ours({"kind": "piqa"}, items[2:], items[:shots]), theirs("piqa/piqa.yaml", docs[2:], docs[:shots]))


@pytest.mark.parametrize("shots", [0, 1])
def test_boolq(shots: int) -> None:
    passages = ["Ice is water.\nQuestion: not this", "Lead is heavy."]
    lines = [{"query": f"Passage: {p}\nQuestion: is it so?", "choices": ["no", "yes"], "gold": 1} for p in passages]
    items = boolq.items("".join(canonical(line).decode() + "\n" for line in lines), "x")
    docs = [{"passage": p, "question": "is it so", "label": 1} for p in passages]
    their = theirs("super_glue/boolq/default.yaml", docs[1:], docs[:shots])
    assert_equal(ours({"kind": "boolq"}, items[1:], items[:shots]), their)


@pytest.mark.parametrize("shots", [0, 1])
def test_hellaswag(shots: int) -> None:
    scenes = [
        ("Roof", "A man is sitting on a roof.", "he", ["is wet.", "falls.", "sings.", "starts to sleep."]),
        ("Cooking", "Take an egg. Boil it.", "", ["Eat it.", "Throw it.", "Paint it.", "Sell it."]),
    ]
    parts = ([f"{label}: {first} {second}".strip(), "2", *endings] for label, first, second, endings in scenes)
    text = "".join("\n".join(lines) + "\n" for lines in parts)
    docs = [
        {"activity_label": label, "ctx_a": first, "ctx_b": second, "endings": endings, "label": "2"}
        for label, first, second, endings in scenes
    ]
    their = theirs("hellaswag/hellaswag.yaml", docs[1:], [], functions=True)
    items = hellaswag.items(text, "x")
    if shots:  # the library takes its shots from the processed split
        processed = their.config.process_docs(datasets.Dataset.from_list(docs))
        their = theirs("hellaswag/hellaswag.yaml", docs[1:], list(processed)[:shots], functions=True)
    assert_equal(ours({"kind": "hellaswag"}, items[1:], items[:shots]), their)


@pytest.mark.parametrize("shots", [0, 2])
def test_mmlu(shots: int) -> None:
    text = 'question,choice0,choice1,choice2,choice3,answer\n" a, b?\nc",1,2,3,4,2\nwhat?,w,x,y,z,0\n'
    items = mmlu.items(text, "x")
    assert mmlu.items('" a, b?\nc",1,2,3,4,C\nwhat?,w,x,y,z,A\n', "x") == items
    docs = [{"question": i["question"], "choices": i["texts"], "answer": i["gold"]} for i in items]
    form = {"kind": "mmlu", "subject": "college_biology"}
    their = theirs("mmlu/default/mmlu_college_biology.yaml", docs, docs[:shots])
    assert_equal(ours(form, items, items[:shots]), their)
    assert "college biology" in mmlu.config(Mmlu(kind="mmlu", subject="college_biology"))["description"]


TRUE = {"mc1": [1, 0, 0], "mc2": [1, 1, 0]}


def truthful(answers: str, functions: bool) -> tuple[ConfigurableTask, ConfigurableTask]:
    question = "Is water wet?"
    entry = {f"{key}_targets": dict(zip("xyz", found, strict=True)) for key, found in TRUE.items()}
    form = TruthfulQa.model_validate({"kind": "truthfulqa", "answers": answers})
    items = truthfulqa.items(form, canonical([{"question": question, **entry}]).decode(), "x")
    docs = [{"question": question, f"{answers}_targets": {"choices": list("xyz"), "labels": TRUE[answers]}}]
    our = ours({"kind": "truthfulqa", "answers": answers}, items, [])
    return our, theirs(f"truthfulqa/truthfulqa_{answers}.yaml", docs, [], functions)


@pytest.mark.parametrize("answers", ["mc1", "mc2"])
def test_truthfulqa(answers: str) -> None:
    assert_equal(*truthful(answers, functions=False))


@pytest.mark.slow  # the library's file imports sacrebleu and rouge
def test_the_share_of_true_answers() -> None:
    our, their = truthful("mc2", functions=True)
    given = [(-1.5, False), (-0.25, True), (-3.0, False)]
    assert our.process_results(our.eval_docs[0], given) == their.process_results(their.eval_docs[0], given)


def test_lambada() -> None:
    texts = ["one two  three", "a\nb c's"]
    items = lambada.items("".join(canonical({"text": text}).decode() + "\n" for text in texts), "x")
    their = theirs("lambada/lambada_openai.yaml", [{"text": text} for text in texts], [])
    assert_equal(ours({"kind": "lambada"}, items, []), their)


@pytest.mark.parametrize("shots", [0, 1])
def test_gsm8k(shots: int) -> None:
    docs = [{"question": "1 + 1?", "answer": "so\n#### 2"}, {"question": "2 + 2?", "answer": "so\n#### 4"}]
    items = gsm8k.items("".join(canonical(doc).decode() + "\n" for doc in docs), "x")
    our, their = ours({"kind": "gsm8k"}, items, items[:shots]), theirs("gsm8k/gsm8k.yaml", docs, docs[:shots])
    for (kind, (prompt, settings)), (their_kind, (their_prompt, their_settings)) in zip(
        asked(our), asked(their), strict=True
    ):
        assert (kind, prompt) == (their_kind, their_prompt)
        assert settings == their_settings | {"max_gen_toks": 256}
    for answer in ("#### 1,234.", "it is $12", "none", "1 and then 7.", "So #### 5 and 6"):
        for task in (our, their):
            for instance in task.instances:
                instance.resps = [answer]
            task.apply_filters()
        assert scores(our, docs[0]) == scores(their, docs[0])


def scores(task: ConfigurableTask, doc: Item) -> list[Any]:
    """What every filter of a task finds in the answers, and what it is worth."""
    found = [answer for instance in task.instances for answer in instance.filtered_resps.items()]
    return [(name, answer, task.process_results(doc, [answer])) for name, answer in found]


def test_humaneval() -> None:
    docs = [{"task_id": "x/0", "prompt": "def f():\n", "entry_point": "f", "test": "def check(f): pass"}]
    items = humaneval.items("".join(canonical(doc).decode() + "\n" for doc in docs), "x")
    our, their = ours({"kind": "humaneval"}, items, []), theirs("humaneval/humaneval.yaml", docs, [])
    assert asked(our) == asked(their)
    assert our.doc_to_target(items[0]) == their.doc_to_target(docs[0])
