"""HumanEval: the body of a Python function, run against its tests in a sandbox."""

from collections.abc import Callable, Sequence
from functools import partial

from engine.evaluate.lm_eval.sandbox import Limits, passes
from engine.evaluate.lm_eval.sets.lines import Item, json_lines, metric
from engine.evaluate.lm_eval.spec import HumanEval

UNTIL = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]


def config(spec: HumanEval) -> Item:
    """One greedy program an item; pass@1 is 1 when prompt, program and tests run to their end."""
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
    keys = ("task_id", "prompt", "entry_point", "test")
    return [{key: line[key] for key in keys} for _, line in json_lines(text, where, *keys)]


def score(doc: Item, results: Sequence[str], limits: Limits) -> dict[str, float]:
    """Runs prompt + program + tests."""
    program = f"{doc['prompt']}{results[0]}\n{doc['test']}\ncheck({doc['entry_point']})\n"
    return {"pass@1": float(passes(program, limits))}
