"""From a lowered stage to the function that does its work; imports only what the chosen kind needs."""

from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.draft import Draft
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.data.dedup.spec import BandingRecall, CompareDrops, Decontaminate, Dedup, MinHash
from engine.data.spec import Chunks, Clean, FimPlan, Ingest, PackPlan, Plant, Split, Tokenizer
from engine.evaluate.lm_eval.spec import LmEvalPlan
from engine.evaluate.spec import ClaimsPlan, PerplexityPlan
from engine.experiment import Lowered
from engine.models.pretrained.spec import Import
from engine.train.spec import TrainPlan


def run_stage(stage: Lowered, inputs: Inputs, out: Draft, placement: Placement) -> dict[str, JsonValue]:
    """Runs the stage, which writes its outputs through `out`; gives its metrics."""
    match stage:
        case Ingest():
            from engine.data.run import run_ingest

            return run_ingest(stage, inputs, out, placement)
        case Clean():
            from engine.data.run import run_clean

            return run_clean(stage, inputs, out, placement)
        case Dedup():
            from engine.data.run import run_dedup

            return run_dedup(stage, inputs, out, placement)
        case CompareDrops():
            from engine.data.run import run_compare_drops

            return run_compare_drops(stage, inputs, out, placement)
        case MinHash():
            from engine.data.run import run_minhash

            return run_minhash(stage, inputs, out, placement)
        case Decontaminate():
            from engine.data.run import run_decontaminate

            return run_decontaminate(stage, inputs, out, placement)
        case BandingRecall():
            from engine.data.run import run_banding_recall

            return run_banding_recall(stage, inputs, out, placement)
        case Plant():
            from engine.data.run import run_plant

            return run_plant(stage, inputs, out, placement)
        case Split():
            from engine.data.run import run_split

            return run_split(stage, inputs, out, placement)
        case Tokenizer():
            from engine.data.run import run_tokenizer

            return run_tokenizer(stage, inputs, out, placement)
        case PackPlan():
            from engine.data.run import run_pack

            return run_pack(stage, inputs, out, placement)
        case Chunks():
            from engine.data.run import run_chunks

            return run_chunks(stage, inputs, out, placement)
        case FimPlan():
            from engine.data.run import run_fim

            return run_fim(stage, inputs, out, placement)
        case Import():
            from engine.models.run import run_import

            return run_import(stage, inputs, out, placement)
        case TrainPlan():
            from engine.train.run import run_train

            return run_train(stage, inputs, out, placement)
        case PerplexityPlan():
            from engine.evaluate.run import run_perplexity

            return run_perplexity(stage, inputs, out, placement)
        case LmEvalPlan():
            from engine.evaluate.run import run_lm_eval

            return run_lm_eval(stage, inputs, out, placement)
        case ClaimsPlan():
            from engine.evaluate.run import run_claims

            return run_claims(stage, inputs, out, placement)
        case _:
            assert_never(stage)
