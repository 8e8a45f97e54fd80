"""Lowering: every reference settled, every default and every derived number written out."""

from collections.abc import Mapping
from typing import assert_never

from engine.compile.estimate import parameters
from engine.compile.resolve import Runs, in_order, named_runs, settled
from engine.data.dedup.spec import BandingRecall, CompareDrops, Decontaminate, Dedup, MinHash
from engine.data.spec import (
    AppendedSentinels,
    Chunks,
    Clean,
    Fim,
    FimPlan,
    Ingest,
    Pack,
    PackPlan,
    Plant,
    Split,
    Tokenizer,
    TokenizerKind,
)
from engine.evaluate.lm_eval.spec import LmEval, LmEvalPlan
from engine.evaluate.spec import Claims, ClaimsPlan, Perplexity, PerplexityPlan
from engine.experiment import Experiment, Lowered, Stage
from engine.models.pretrained.spec import Import, PublishedTokenizer
from engine.models.spec import Model
from engine.spec.layout import Layout
from engine.spec.ref import Ref
from engine.spec.refs import references, rewrite
from engine.train.deepspeed import deepspeed_config
from engine.train.spec import Train, TrainPlan

CLAIMS = "claims"
SENTINELS = 4  # prefix, middle, suffix, pad


def lower(experiment: Experiment) -> dict[str, Lowered]:
    """Lowered stages in an order in which they can run, the claims last; the experiment was checked before."""
    runs: dict[str, Lowered] = {}
    for run in in_order(experiment.stages):
        stage = rewrite(experiment.stages[run], lambda ref: settled(ref, runs))
        runs[run] = lower_stage(stage, runs, experiment)
    if experiment.claims:
        claims = rewrite(Claims(kind="claims", claims=experiment.claims), lambda ref: settled(ref, runs))
        runs[CLAIMS] = ClaimsPlan(**claims.__dict__, tokenizer_kinds=tokenizer_kinds(claims, runs))
    return runs


def lower_stage(stage: Stage, runs: Mapping[str, Lowered], experiment: Experiment) -> Lowered:
    """One stage, with what it takes from the stages it refers to."""
    match stage:
        case (
            Ingest()
            | Clean()
            | MinHash()
            | Dedup()
            | CompareDrops()
            | Plant()
            | Split()
            | Decontaminate()
            | BandingRecall()
            | Tokenizer()
            | Chunks()
            | Import()
        ):
            return stage
        case Pack():
            vocabulary, tokenizer_kind = tokenizer_of(one(stage.tokenizer, runs))
            return PackPlan(**stage.__dict__, vocabulary=vocabulary, tokenizer_kind=tokenizer_kind)
        case Fim():
            return lower_fim(stage, runs)
        case Train():
            return lower_train(stage, runs, experiment)
        case Perplexity():
            return PerplexityPlan(
                **stage.__dict__,
                tokenizer_kind=tokenizer_of(one(stage.tokenizer, runs))[1],
                determinism=experiment.determinism,
                numerics=experiment.numerics,
                model=model_of(one(stage.checkpoint, runs)),
            )
        case LmEval():
            return LmEvalPlan(
                **stage.__dict__,
                tokenizer_kind=tokenizer_of(one(stage.tokenizer, runs))[1],
                determinism=experiment.determinism,
                numerics=experiment.numerics,
                model=model_of(one(stage.checkpoint, runs)),
            )
        case _:
            assert_never(stage)


def lower_train(stage: Train, runs: Mapping[str, Lowered], experiment: Experiment) -> TrainPlan:
    """The training stage with its step arithmetic and its DeepSpeed JSON."""
    rows = packed(stage.rows, runs)
    layout = (stage.layout or Layout()) if experiment.determinism == "repeat" else None
    return TrainPlan(
        **{**stage.__dict__, "layout": layout},
        determinism=experiment.determinism,
        numerics=experiment.numerics,
        row_tokens=rows.row_tokens,
        micro_batches=stage.batch.rows // stage.batch.micro_rows,
        tokens_per_step=stage.batch.rows * rows.row_tokens,
        parameters=parameters(stage.model),
        deepspeed=deepspeed_config(stage.batch, layout) if layout else {},
    )


def lower_fim(stage: Fim, runs: Runs) -> FimPlan:
    """The stage with the vocabulary of its rows."""
    vocabulary, tokenizer_kind = tokenizer_of(one(stage.tokenizer, runs))
    more = sentinel_ids(stage)
    row_tokens = packed(stage.rows, runs).row_tokens
    return FimPlan(**stage.__dict__, vocabulary=vocabulary + more, tokenizer_kind=tokenizer_kind, row_tokens=row_tokens)


def sentinel_ids(stage: Stage | Lowered) -> int:
    """How many ids the rows of a stage have beyond those of its tokenizer."""
    return SENTINELS if isinstance(stage, Fim) and isinstance(stage.sentinels, AppendedSentinels) else 0


def sentinels_of(ref: Ref, runs: Runs) -> int:
    """How many ids the rows that a checked reference names have beyond those of their tokenizer."""
    found = one(ref, runs)
    while isinstance(found, Chunks):
        found = one(found.rows, runs)
    return sentinel_ids(found)


def packed(ref: Ref, runs: Runs) -> Pack:
    """The stage that packed the rows that a checked reference names."""
    found = one(ref, runs)
    while isinstance(found, Fim | Chunks):
        found = one(found.rows, runs)
    assert isinstance(found, Pack)
    return found


def one(ref: Ref, runs: Runs) -> Stage | Lowered:
    """The stage that a checked reference names; for all cells, the first of them."""
    return runs[named_runs(ref.parts, runs)[0]]


def model_of(stage: Stage | Lowered) -> Model:
    """The model whose weights a checked reference to a checkpoint names."""
    match stage:
        case Train() | Import():
            return stage.model
        case _:
            raise AssertionError(f"{stage.kind} has no checkpoint")


def tokenizer_of(stage: Stage | Lowered) -> tuple[int, TokenizerKind]:
    """Number of ids and kind of the tokenizer that a checked reference names."""
    match stage:
        case Tokenizer():
            return stage.method.vocabulary, stage.method.kind
        case Import(tokenizer=PublishedTokenizer(vocabulary=vocabulary)):
            return vocabulary, "huggingface"
        case _:
            raise AssertionError(f"{stage.kind} has no tokenizer")


def tokenizer_kinds(claims: Claims, runs: Runs) -> tuple[TokenizerKind, ...]:
    """The kinds of the tokenizers that checks read, each once."""
    read = ((ref.parts.output, one(ref, runs)) for _, ref in references(claims))
    named = {"tokenizer", "model"}  # outputs that are tokenizers
    return tuple(sorted({tokenizer_of(stage)[1] for output, stage in read if output in named}))
