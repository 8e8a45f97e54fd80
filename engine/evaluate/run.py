"""The entry of the evaluate room: one function a stage kind."""

from pydantic import JsonValue

from engine.artifacts.disk import write_whole
from engine.artifacts.draft import Draft
from engine.artifacts.observation import OBSERVED
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.evaluate.checks import check_claims
from engine.evaluate.lm_eval.spec import LmEvalPlan
from engine.evaluate.spec import Claims, PerplexityPlan
from engine.evaluate.verdict import VERDICTS, VERDICTS_FILE, metrics, verdicts_json
from engine.spec.canonical import pretty


def run_perplexity(stage: PerplexityPlan, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """Perplexity of a checkpoint, and of a baseline where the stage has one; writes `scores`."""
    from engine.evaluate.perplexity import observed, score  # torch: claims are checked without it

    scores = score(stage, inputs)
    out.json("scores", "scores.json", scores)
    out.close("scores")
    write_whole(out.folder / OBSERVED, pretty(observed()))
    return scores


def run_lm_eval(stage: LmEvalPlan, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Benchmarks of a checkpoint by lm-eval; writes `results` and `samples`."""
    from engine.evaluate.lm_eval.evaluate import evaluate_stage  # torch and lm_eval

    return evaluate_stage(stage, inputs, out, placement)


def run_claims(stage: Claims, inputs: Inputs, out: Draft, _placement: Placement) -> dict[str, JsonValue]:
    """The verdict on every claim; writes `verdicts`. A claim that fails is a result, not an error."""
    verdicts = check_claims(stage, inputs, out.folder)
    out.json(VERDICTS, VERDICTS_FILE, verdicts_json(verdicts))
    out.close(VERDICTS)
    return metrics(verdicts)
