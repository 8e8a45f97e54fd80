"""The stage on a tiny model: equal to a bare lm-eval call on the exported model, whatever the batches and the order."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from pydantic import JsonValue
from tokenizers.processors import TemplateProcessing

from engine.artifacts.draft import Draft
from engine.artifacts.read import Input, Inputs, read_table, read_tensors
from engine.evaluate.lm_eval.evaluate import language_model
from engine.evaluate.lm_eval.offline import configuration, items_of
from engine.evaluate.lm_eval.spec import LmEvalPlan, OfflineTask
from engine.evaluate.run import run_lm_eval
from engine.models.huggingface import export_hf
from engine.models.init import initial_weights
from engine.models.spec import Llama
from engine.spec.canonical import canonical
from engine.spec.errors import ArtifactError
from tests.data.built import WORDS, Built, bpe, build, documents, placement, prose, trained

MODEL = Llama(kind="llama", vocabulary=400, layers=2, width=32, heads=4, kv_heads=2, mlp=48, context=96, tied=True)
ITEMS = 12


def words(seed: int, count: int) -> str:
    return " ".join(WORDS[(seed * 31 + place * place * 7 + place) % len(WORDS)] for place in range(count))


def arc() -> str:
    lines = (
        {
            "query": f"Question: {words(n, 6)}?",
            "choices": [words(n + 5 * k, 2 + k % 3) for k in range(4)],
            "gold": n % 4,
        }
        for n in range(ITEMS)
    )
    return "".join(json.dumps(line) + "\n" for line in lines)


def lambada() -> str:
    return "".join(json.dumps({"text": words(n + 90, 9)}) + "\n" for n in range(ITEMS))


def gsm8k() -> str:
    lines = ({"question": words(n, 4), "answer": f"{words(n, 3)}\n#### {n}"} for n in range(3))
    return "".join(json.dumps(line) + "\n" for line in lines)


FILES = {"arc.jsonl": arc(), "lambada.jsonl": lambada(), "gsm8k.jsonl": gsm8k()}


def task(name: str, form: dict[str, Any], file: str, **more: Any) -> dict[str, Any]:
    data = {"kind": "file", "path": file, "sha256": sha256(FILES[file].encode()).hexdigest(), "licence": "CC0-1.0"}
    return {"kind": "offline", "name": name, "set": form, "data": data, **more}


TASKS = [
    task("arc", {"kind": "arc"}, "arc.jsonl"),
    task("arc-shots", {"kind": "arc"}, "arc.jsonl", shots={"kind": "held", "count": 2, "seed": 3}, limit=4),
    task("lambada", {"kind": "lambada"}, "lambada.jsonl"),
    task("gsm8k", {"kind": "gsm8k", "most_tokens": 12}, "gsm8k.jsonl"),
]


@pytest.fixture(name="given", scope="module")
def _given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Input]:
    folder = tmp_path_factory.mktemp("given")
    corpus = documents(folder, [*prose("news", 6), *prose("wiki", 6)])
    checkpoint = build(folder, "stage1", put_checkpoint)
    return {
        "tokenizer@model": trained(folder, corpus, bpe()).outputs["model"],
        "stage1@step-0": checkpoint.outputs["step-0"],
    }


def put_checkpoint(out: Draft) -> dict[str, JsonValue]:
    weights = {name: weight * 8 if weight.ndim == 2 else weight for name, weight in initial_weights(MODEL, 1).items()}
    out.tensors("step-0", "model", weights)
    out.close("step-0")
    return {}


def stage(**changes: Any) -> LmEvalPlan:
    fields = {
        "kind": "lm_eval",
        "checkpoint": "stage1@step-0",
        "tokenizer": "tokenizer@model",
        "tasks": TASKS,
        "context_tokens": 96,
        "batch_rows": 8,
        "bootstrap": 100,
        "determinism": "repeat",
        "numerics": {"threads": torch.get_num_threads()},
        "model": MODEL,
        "tokenizer_kind": "sentencepiece_bpe",
    }
    return LmEvalPlan.model_validate_json(canonical(fields | changes))


Run = Callable[..., Built]


@pytest.fixture(name="run")
def _run(given: dict[str, Input], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a stage below a name; nothing in it may ask the network."""
    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setenv("DISABLE_MULTIPROC", "1")  # lm-eval would start a pool for its bootstrap; the draws are the same
    inputs = Inputs({ref: (item,) for ref, item in given.items()})

    def run(name: str, **changes: Any) -> Built:
        root = tmp_path / name
        root.mkdir()
        for file, text in FILES.items():
            (root / file).write_text(text)
        return build(root, "lm_eval", lambda out: run_lm_eval(stage(**changes), inputs, out, placement(root)))

    return run


def refuse(*_: object) -> None:
    raise AssertionError("lm-eval reached for the network")


def results(built: Built) -> Any:
    return json.loads((built.outputs["results"].folder / "results.json").read_text())


def sample_rows(built: Built) -> list[dict[str, Any]]:
    return [row for part in read_table(built.outputs["samples"].folder) for row in part.to_pylist()]


def test_batches_and_the_order_of_tasks_move_no_bit(run: Run) -> None:
    eight = run("eight")
    one, turned = run("one", batch_rows=1), run("turned", tasks=TASKS[::-1])
    assert one.digests() == eight.digests()
    assert results(turned)["tasks"] == results(eight)["tasks"]


def test_results_are_bound_to_what_they_depend_on(run: Run, given: dict[str, Input]) -> None:
    built = run("bound", tasks=TASKS[:2])
    found = results(built)
    assert found["checkpoint"] == given["stage1@step-0"].digest
    assert found["lm_eval"] == lm_eval.__version__
    first, shots = found["tasks"]["arc"], found["tasks"]["arc-shots"]
    assert first["data"] == shots["data"] == TASKS[0]["data"]["sha256"]
    assert first["template"] == shots["template"]
    assert (first["shots"], shots["shots"], first["scored"], shots["scored"]) == (0, 2, ITEMS, 4)
    assert len({first["items"], shots["items"], first["prompts"], shots["prompts"], shots["shot_items"]}) == 5
    metrics: Any = built.metrics
    assert metrics["tasks"]["arc"] == first["metrics"]
    assert set(first["metrics"]) == {"acc", "acc_stderr", "acc_norm", "acc_norm_stderr"}


def test_samples_hold_every_item(run: Run) -> None:
    built = run("samples", tasks=[TASKS[0], TASKS[3]])
    rows = sample_rows(built)
    arc_rows = [row for row in rows if row["task"] == "arc"]
    assert [row["item"] for row in arc_rows] == list(range(ITEMS))
    for row in arc_rows:
        values = json.loads(row["loglikelihoods"])
        assert [float.fromhex(text) for text in json.loads(row["loglikelihoods_hex"])] == values
        assert values[row["chosen"]] == max(values)
        assert row["correct"] == float(row["chosen"] == row["item"] % 4) == json.loads(row["metrics"])["acc"]
    assert sum(row["correct"] for row in arc_rows) / ITEMS == results(built)["tasks"]["arc"]["metrics"]["acc"]
    assert {row["filter"] for row in rows} == {"none", "strict-match", "flexible-extract"}


@pytest.fixture(name="exported", scope="module")
def _exported(given: dict[str, Input], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "hf"
    weights = read_tensors(given["stage1@step-0"].folder, "model")
    export_hf(weights, MODEL, given["tokenizer@model"].folder, folder)
    return folder


@pytest.mark.parametrize("batch_size", [1, 8])
def test_a_bare_call_on_the_exported_model_says_the_same(run: Run, exported: Path, batch_size: int) -> None:
    built = run(f"bare{batch_size}")
    root = built.outputs["results"].folder.parent.parent
    offline = [wanted for wanted in stage().tasks if isinstance(wanted, OfflineTask)]
    said = bare(exported, [configuration(wanted, items_of(wanted, placement(root))) for wanted in offline], batch_size)
    for name, result in said["results"].items():
        expected = {key.removesuffix(",none"): value for key, value in result.items() if "," in key}
        found = results(built)["tasks"][name]["metrics"]
        if "perplexity" in expected:  # a real number of every item, where kernels may differ in the last bits
            for key in ("perplexity", "perplexity_stderr"):
                assert found.pop(key) == pytest.approx(expected.pop(key), rel=1e-5)
        assert found == expected
        ours = [row for row in sample_rows(built) if row["task"] == name]
        logged = sorted(said["samples"][name], key=lambda sample: (sample["filter"], sample["doc_id"]))
        for row, sample in zip(ours, logged, strict=True):
            given = [responses[0] for responses in sample["resps"]]
            if isinstance(given[0], str):
                assert row["response"] == given[0]
            else:
                assert json.loads(row["loglikelihoods"]) == pytest.approx([value for value, _ in given], abs=1e-4)


def bare(exported: Path, tasks: list[Any], batch_size: int) -> Any:
    """lm-eval by itself, less its report on the machine, which takes longer than the model."""
    theirs = HFLM(pretrained=str(exported), dtype="float32", device="cpu", batch_size=batch_size)
    manager = TaskManager(include_defaults=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lm_eval.evaluator.add_env_info", lambda _: None)
        return lm_eval.simple_evaluate(model=theirs, tasks=tasks, task_manager=manager, bootstrap_iters=100)


def test_rolling_loglikelihoods_are_theirs(given: dict[str, Input], exported: Path) -> None:
    texts = [words(3, 5), words(8, 150)]  # the second is several windows long
    asked = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts]
    ours = language_model(stage(), Inputs({ref: (item,) for ref, item in given.items()}))
    theirs = HFLM(pretrained=str(exported), dtype="float32", device="cpu", batch_size=1)
    found = ours.loglikelihood_rolling(asked, disable_tqdm=True)
    assert found == pytest.approx(theirs.loglikelihood_rolling(asked, disable_tqdm=True), rel=1e-5)


PUBLISHED = {
    "kind": "published", "name": "winogrande", "origin": "allenai/winogrande", "shots": 5, "items": 1267,
    "sequences": 2, "tokens": 200,
}  # fmt: skip


def test_an_id_before_every_text_is_theirs_under_add_bos_token(given: dict[str, Input], exported: Path) -> None:
    ours = language_model(stage(lead=1), Inputs({ref: (item,) for ref, item in given.items()}))
    theirs = HFLM(pretrained=str(exported), dtype="float32", device="cpu", batch_size=1, add_bos_token=True)
    theirs.tokenizer.bos_token = "<s>"
    theirs.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair=None, special_tokens=[("<s>", 1)]
    )
    pairs = [(words(n, 5), f" {words(n + 9, 3)}") for n in range(3)] + [("", words(4, 6))]
    asked = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
    found, expected = (np.array(side.loglikelihood(asked, True)) for side in (ours, theirs))
    assert found == pytest.approx(expected, rel=1e-6)
    assert ours.tok_encode("") == [1]
    rolled = [Instance("loglikelihood_rolling", {}, (words(n, 12),), n) for n in range(2)]
    assert ours.loglikelihood_rolling(rolled, True) == pytest.approx(
        theirs.loglikelihood_rolling(rolled, True), rel=1e-6
    )
    written = [Instance("generate_until", {}, (words(3, 5), {"until": ["\n"], "max_gen_toks": 6}), 0)]
    assert ours.generate_until(written, True) == theirs.generate_until(written, True)


def test_a_published_task_is_refused_before_anything_is_computed(run: Run) -> None:
    with pytest.raises(ArtifactError, match=r"not run here.*winogrande .allenai/winogrande, revision unknown"):
        run("published", tasks=[TASKS[0], PUBLISHED])


def test_generated_text_needs_room(run: Run) -> None:
    wide = task("gsm8k", {"kind": "gsm8k", "most_tokens": 96}, "gsm8k.jsonl")
    with pytest.raises(ArtifactError, match="leave no room in a context of 96"):
        run("room", tasks=[wide])


def test_what_was_cut_off_is_counted(run: Run) -> None:
    assert results(run("short", tasks=TASKS[:1], context_tokens=16))["tasks"]["arc"]["truncated"] > 0
