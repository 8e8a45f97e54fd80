"""What a stage will cost, in closed form: parameters, products, memory, bytes on disk, seconds on a stated device."""

from types import MappingProxyType
from typing import assert_never

from pydantic import Field

from engine.compile.estimate import data, rates
from engine.compile.estimate.device import CORE, Device
from engine.compile.estimate.memory import FP32_BYTES, Memory, checkpoint_bytes, scoring_memory, train_memory
from engine.compile.estimate.model import counts, forward_flops_per_row, parameters, train_flops_per_row
from engine.compile.estimate.tasks import CHARACTERS, task_reading, text_characters
from engine.compile.resolve import Runs
from engine.data.dedup.spec import BandingRecall, CompareDrops, Decontaminate, Dedup, MinHash
from engine.data.spec import Chunks, Clean, FimPlan, Ingest, PackPlan, Plant, Split, Tokenizer
from engine.evaluate.lm_eval.spec import LmEvalPlan
from engine.evaluate.spec import ByDocument, Claims, Joined, PerplexityPlan
from engine.experiment import Lowered
from engine.models.pretrained.spec import Import
from engine.spec.base import NEUTRAL, Spec
from engine.spec.layout import Layout
from engine.spec.units import Index, NonNegative, Positive
from engine.train.spec import TrainPlan

__all__ = ["StageEstimate", "checkpoint_bytes", "estimate", "parameters"]

NOTHING: Runs = MappingProxyType({})
LOG_LINE_BYTES = 300  # assumed: one JSON line a step with two numbers in decimal and in hex, and a digest


class StageEstimate(Spec):
    """Closed-form costs of a stage; zero where a stage computes nothing, or where only the data will tell."""

    parameters: Index = 0
    scales: Index = 0
    """Those of the parameters that are alpha or beta of 1-bit matrices: published counts leave them out."""
    tokens: Index = 0
    """Tokens read; 0 for documents that are not counted before they are built."""
    flops_per_token: Index = 0
    """Multiplications and additions of all matrix products, counted one each, rounded down."""
    flops: Index = 0
    flops_6nd: Index = 0
    """The convention 6 x parameters x tokens, which leaves out attention and counts the input embedding."""
    memory: Memory = Memory()
    """Of one rank."""
    artifact_bytes: Index = 0
    seconds: NonNegative = 0.0
    documents: Index = Field(default=0, json_schema_extra={NEUTRAL: 0})
    """Documents that a stage of the data room reads, at most; `seconds` are then those of one core."""
    text_bytes: Index = Field(default=0, json_schema_extra={NEUTRAL: 0})
    """Bytes of their text, at most."""
    scratch_bytes: Index = Field(default=0, json_schema_extra={NEUTRAL: 0})
    """On disk while the stage runs."""
    worker_bytes: Index = Field(default=0, json_schema_extra={NEUTRAL: 0})
    """Memory of one worker of a data stage, whatever the corpus."""
    unknown: tuple[str, ...] = ()
    """What the figures leave out, since only the data will tell."""
    device: str
    flops_per_second: Positive
    """The rate of one device that `seconds` takes; devices are taken to scale perfectly."""


def estimate(
    stage: Lowered, device: Device = CORE, above: Runs = NOTHING, layout: Layout | None = None
) -> StageEstimate:
    """The costs of a lowered stage, with a device for each rank; `above` are the stages that it may refer to.

    A training stage without a layout of its own is laid out as `layout` says, or else on one rank.
    """
    match stage:
        case TrainPlan():
            return _train(stage, stage.layout or layout or Layout(), device)
        case PerplexityPlan():
            return _perplexity(stage, device, above)
        case LmEvalPlan():
            return _lm_eval(stage, device)
        case Import():
            return _import(stage, device)
        case Ingest() | Clean() | MinHash() | Dedup() | Split() | Decontaminate() | PackPlan() | FimPlan():
            return _data(stage, device, above)
        case CompareDrops() | Chunks() | Plant() | BandingRecall() | Tokenizer() | Claims():
            return StageEstimate(device=device.name, flops_per_second=device.flops_per_second("fp32"))
        case _:
            assert_never(stage)


def _train(stage: TrainPlan, layout: Layout, device: Device) -> StageEstimate:
    steps = stage.steps - stage.first_step()
    tokens = steps * stage.tokens_per_step
    row = train_flops_per_row(stage.model, stage.row_tokens, stage.kernels)
    flops = steps * stage.batch.rows * row
    rate = device.flops_per_second(stage.kernels.products)
    return StageEstimate(
        device=device.name,
        flops_per_second=rate,
        parameters=stage.parameters,
        scales=counts(stage.model).scales,
        tokens=tokens,
        flops_per_token=row // stage.row_tokens,
        flops=flops,
        flops_6nd=6 * stage.parameters * tokens,
        memory=train_memory(stage, layout),
        artifact_bytes=len(stage.kept_steps()) * checkpoint_bytes(stage.model) + steps * LOG_LINE_BYTES,
        seconds=flops / (rate * layout.world),
    )


def _data(stage: data.DataStage, device: Device, above: Runs) -> StageEstimate:
    given = data.read(stage, above)
    found = data.cost(stage, given)
    return StageEstimate(
        device=device.name,
        flops_per_second=device.flops_per_second("fp32"),
        documents=given.documents,
        text_bytes=given.bytes,
        seconds=found.seconds,
        artifact_bytes=found.written,
        scratch_bytes=found.scratch,
        worker_bytes=rates.HOST if given.documents else 0,
        unknown=tuple(data.left_out(given)),
    )


def _import(stage: Import, device: Device) -> StageEstimate:
    return StageEstimate(
        device=device.name,
        flops_per_second=device.flops_per_second("fp32"),
        parameters=parameters(stage.model),
        scales=counts(stage.model).scales,
        artifact_bytes=FP32_BYTES * parameters(stage.model),
    )


def _perplexity(stage: PerplexityPlan, device: Device, above: Runs) -> StageEstimate:
    """Whole windows, of as many tokens as the text is taken to have."""
    model, window = stage.model, stage.window_tokens
    row = forward_flops_per_row(model, window, stage.kernels)
    characters = text_characters(stage.documents, above)
    windows = 0 if characters is None else _tokens(stage, characters) // window
    rate = device.flops_per_second(stage.kernels.products)
    return StageEstimate(
        unknown=(f"the tokens of {stage.documents!s}",) if characters is None else (),
        device=device.name,
        flops_per_second=rate,
        parameters=parameters(model),
        scales=counts(model).scales,
        tokens=windows * window,
        flops_per_token=row // window,
        flops=windows * row,
        seconds=windows * row / rate,
        memory=scoring_memory(model, stage.batch_rows, window, stage.kernels),
    )


def _tokens(stage: PerplexityPlan, characters: int) -> int:
    match stage.windows:
        case Joined(first_tokens=int(most)):
            return min(most, characters // CHARACTERS)
        case Joined() | ByDocument():
            return characters // CHARACTERS
        case _:
            assert_never(stage.windows)


def _lm_eval(stage: LmEvalPlan, device: Device) -> StageEstimate:
    """Every sequence as long as the mean one of its task, one at a time, and none longer than the context."""
    model, kernels = stage.model, stage.kernels
    tokens = flops = 0
    for task in stage.tasks:
        reading = task_reading(task)
        if reading is not None:
            length = min(reading.tokens // reading.sequences, stage.context_tokens)
            tokens += reading.sequences * length
            flops += reading.sequences * forward_flops_per_row(model, length, kernels)
    rate = device.flops_per_second(kernels.products)
    return StageEstimate(
        unknown=tuple(f"the tokens of {task.name}" for task in stage.tasks if task_reading(task) is None),
        device=device.name,
        flops_per_second=rate,
        parameters=parameters(model),
        scales=counts(model).scales,
        tokens=tokens,
        flops_per_token=flops // tokens if tokens else 0,
        flops=flops,
        memory=scoring_memory(model, 1, stage.context_tokens, kernels),
        seconds=flops / rate,
    )
