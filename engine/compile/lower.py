"""Lowering: every reference settled, every default and every derived number written out."""

from collections.abc import Mapping
from typing import assert_never

from engine.compile.deepspeed import deepspeed_config
from engine.compile.estimate import parameters
from engine.compile.resolve import Runs, named_runs, settled
from engine.data.spec import Clean, Dedup, Ingest, Pack, PackPlan, Split, Tokenizer
from engine.evaluate.spec import Claims, Perplexity, PerplexityPlan
from engine.experiment import Experiment, Lowered, Stage
from engine.spec.ref import Ref
from engine.spec.refs import rewrite
from engine.train.spec import Train, TrainPlan

CLAIMS = "claims"


def lower(experiment: Experiment) -> dict[str, Lowered]:
    """Lowered stages in the order of the spec, the claims as a last stage; the experiment was checked before."""
    runs: dict[str, Lowered] = {}
    for run, stage in experiment.stages.items():
        runs[run] = lower_stage(rewrite(stage, lambda ref: settled(ref, runs)), runs, experiment)
    if experiment.claims:
        claims = Claims(kind="claims", claims=experiment.claims)
        runs[CLAIMS] = rewrite(claims, lambda ref: settled(ref, runs))
    return runs


def lower_stage(stage: Stage, runs: Mapping[str, Lowered], experiment: Experiment) -> Lowered:
    """One stage, with what it takes from the stages it refers to."""
    match stage:
        case Ingest() | Clean() | Dedup() | Split() | Tokenizer():
            return stage
        case Pack():
            tokenizer = one(stage.tokenizer, runs)
            assert isinstance(tokenizer, Tokenizer)
            return PackPlan(**_fields(stage), vocabulary=tokenizer.method.vocabulary)
        case Train():
            return lower_train(stage, runs, experiment)
        case Perplexity():
            trained = one(stage.checkpoint, runs)
            assert isinstance(trained, Train)
            return PerplexityPlan(
                **_fields(stage),
                determinism=experiment.determinism,
                numerics=experiment.numerics,
                model=trained.model,
            )
        case _:
            assert_never(stage)


def lower_train(stage: Train, runs: Mapping[str, Lowered], experiment: Experiment) -> TrainPlan:
    """The training stage with its step arithmetic and its DeepSpeed JSON."""
    rows = one(stage.rows, runs)
    assert isinstance(rows, Pack)
    micro_batches = stage.batch.rows // stage.batch.micro_rows
    return TrainPlan(
        **_fields(stage),
        determinism=experiment.determinism,
        numerics=experiment.numerics,
        row_tokens=rows.row_tokens,
        micro_batches=micro_batches,
        tokens_per_step=stage.batch.rows * rows.row_tokens,
        parameters=parameters(stage.model),
        deepspeed=deepspeed_config(stage, micro_batches),
    )


def one(ref: Ref, runs: Runs) -> Stage | Lowered:
    """The stage that a checked reference names; for all cells, the first of them."""
    return runs[named_runs(ref.parts, runs)[0]]


def _fields(stage: Pack | Train | Perplexity) -> dict[str, object]:
    return {name: stage.__dict__[name] for name in type(stage).model_fields}
