"""What a stage will cost, in closed form: parameters, products, memory, bytes on disk, seconds at a stated rate."""

from typing import assert_never

from engine.compile.deepspeed import BUCKET_ELEMENTS
from engine.data.spec import Clean, Dedup, Ingest, PackPlan, Split, Tokenizer
from engine.evaluate.spec import Claims, PerplexityPlan
from engine.experiment import Lowered
from engine.models.spec import Llama
from engine.spec.base import Spec
from engine.spec.units import Index, NonNegative, Positive
from engine.train.spec import TrainPlan

FP32_BYTES = 4
LOG_LINE_BYTES = 300  # assumed: one JSON line a step with two numbers in decimal and in hex, and a digest
FLOPS_PER_SECOND = 5e10  # measured 6e10: one Xeon core, AVX2, fp32, 3 M parameters; less for the optimizer and the log


class StageEstimate(Spec):
    """Closed-form costs of a stage; zero where a stage computes nothing, or where only the data will tell."""

    parameters: Index = 0
    tokens: Index = 0
    """Tokens read by a training run; 0 for an evaluation, whose documents are not counted before they are built."""
    flops_per_token: Index = 0
    """Multiplications and additions of all matrix products, counted one each, rounded down."""
    flops: Index = 0
    flops_6nd: Index = 0
    """The convention 6 x parameters x tokens, which leaves out attention and counts the input embedding."""
    memory_bytes: Index = 0
    """Of one rank."""
    artifact_bytes: Index = 0
    seconds: NonNegative = 0.0
    flops_per_second: Positive
    """The rate that `seconds` takes for one rank; ranks are taken to scale perfectly."""


class Memory(Spec):
    """Bytes of one rank in training, by what holds them; the framework's own and fragmentation are left out."""

    weights: Index
    gradients: Index
    optimizer: Index
    activations: Index
    buffers: Index

    def total_bytes(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.buffers


def estimate(stage: Lowered, flops_per_second: float = FLOPS_PER_SECOND) -> StageEstimate:
    """The costs of a lowered stage at a rate of one rank."""
    match stage:
        case TrainPlan():
            return _train(stage, flops_per_second)
        case PerplexityPlan():
            return _perplexity(stage, flops_per_second)
        case Ingest() | Clean() | Dedup() | Split() | Tokenizer() | PackPlan() | Claims():
            return StageEstimate(flops_per_second=flops_per_second)
        case _:
            assert_never(stage)


def _train(stage: TrainPlan, flops_per_second: float) -> StageEstimate:
    steps = stage.steps - stage.first_step()
    tokens = steps * stage.tokens_per_step
    rows = steps * stage.batch.rows
    flops = rows * train_flops_per_row(stage.model, stage.row_tokens)
    return StageEstimate(
        flops_per_second=flops_per_second,
        parameters=stage.parameters,
        tokens=tokens,
        flops_per_token=train_flops_per_row(stage.model, stage.row_tokens) // stage.row_tokens,
        flops=flops,
        flops_6nd=6 * stage.parameters * tokens,
        memory_bytes=train_memory(stage).total_bytes(),
        artifact_bytes=len(stage.kept_steps()) * checkpoint_bytes(stage.model) + steps * LOG_LINE_BYTES,
        seconds=flops / (flops_per_second * stage.layout.world),
    )


def _perplexity(stage: PerplexityPlan, flops_per_second: float) -> StageEstimate:
    model, window, rows = stage.model, stage.window_tokens, stage.batch_rows
    return StageEstimate(
        flops_per_second=flops_per_second,
        parameters=parameters(model),
        flops_per_token=forward_flops_per_row(model, window) // window,
        memory_bytes=FP32_BYTES * (parameters(model) + rows * window * (2 * model.vocabulary + _layer_values(stage))),
    )


def parameters(model: Llama) -> int:
    """Every trained number, exactly: embeddings, blocks with two norms each, the last norm."""
    embeddings = model.vocabulary * model.width * (1 if model.tied else 2)
    return embeddings + model.layers * (_block_matrices(model) + 2 * model.width) + model.width


def _block_matrices(model: Llama) -> int:
    """Query and output, key and value, and the three matrices of the gated feed-forward block."""
    return 2 * model.width**2 + 2 * model.width * _kv_width(model) + 3 * model.width * model.mlp


def _kv_width(model: Llama) -> int:
    return model.width // model.heads * model.kv_heads


def forward_flops_per_row(model: Llama, row_tokens: int) -> int:
    """All matrix products of one row, exactly; attention counts the pairs that the causal mask keeps."""
    matrices = model.layers * _block_matrices(model) + model.vocabulary * model.width
    pairs = row_tokens * (row_tokens + 1) // 2
    attention = model.layers * 2 * model.width * pairs  # scores and their product with the values
    return 2 * (row_tokens * matrices + attention)


def train_flops_per_row(model: Llama, row_tokens: int) -> int:
    """Forward, and backward as twice the forward: one product for the input's gradient, one for the weight's."""
    return 3 * forward_flops_per_row(model, row_tokens)


def train_memory(stage: TrainPlan) -> Memory:
    """fp32 everywhere. ZeRO 1 shares out the optimizer (two moments, a master copy), ZeRO 2 the gradients too."""
    count, world, zero = stage.parameters, stage.layout.world, stage.layout.zero
    shard = -(-count // world)
    tokens = stage.batch.micro_rows * stage.row_tokens
    values = tokens * (stage.model.layers * _layer_values(stage) + 3 * stage.model.vocabulary + 2 * stage.model.width)
    return Memory(
        weights=FP32_BYTES * count,
        gradients=FP32_BYTES * (shard if zero == 2 else count),
        optimizer=FP32_BYTES * (3 * shard if zero else 2 * count),
        activations=FP32_BYTES * values,
        buffers=FP32_BYTES * min(count, BUCKET_ELEMENTS) if zero or world > 1 else 0,
    )


def _layer_values(stage: TrainPlan | PerplexityPlan) -> int:
    """Numbers that one block keeps for a token: about 8 of the width, 3 of keys and values, 4 of the inner width.

    Inputs and outputs of both norms, queries before and after rotation, the output of attention and of the block;
    keys before and after rotation, values; gate, its activation, up and their product. The reference attention
    keeps scores and probabilities besides.
    """
    model = stage.model
    kept = 8 * model.width + 3 * _kv_width(model) + 4 * model.mlp
    match stage.kernels.attention:
        case "reference":
            return kept + 2 * model.heads * _row_tokens(stage)
        case "sdpa":
            return kept + model.heads
        case other:
            assert_never(other)


def _row_tokens(stage: TrainPlan | PerplexityPlan) -> int:
    match stage:
        case TrainPlan():
            return stage.row_tokens
        case PerplexityPlan():
            return stage.window_tokens
        case _:
            assert_never(stage)


def checkpoint_bytes(model: Llama) -> int:
    """Tensor bytes of one checkpoint: weights and two moments in fp32."""
    return 3 * FP32_BYTES * parameters(model)
