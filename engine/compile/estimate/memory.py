"""Bytes of a model: in training by what holds them, in inference, in a checkpoint, and stored with 1-bit matrices."""

import math
from typing import assert_never

from engine.compile.estimate.model import counts, kept_values, parameters, state_values
from engine.kernels.spec import ChunkedLoss, Kernels, LigerLoss, PackedBinary, ReferenceBinary, ReferenceLoss
from engine.models.spec import Dense, FbiLinear, Model
from engine.spec.base import Spec
from engine.spec.layout import Layout
from engine.spec.units import Index
from engine.train.spec import TrainPlan

FP32_BYTES = 4
FP16_BYTES = 2
BITS = 8  # of a byte
LOGITS_TRAINED = 3  # logits, their log-softmax, the gradient
LOGITS_SCORED = 2  # logits, their log-softmax
DENSE_COPIES = 2  # the signs and the matrix made of them, which the reference keeps for the backward pass


class Memory(Spec):
    """Bytes of one rank by what holds them; the framework's own and fragmentation are left out."""

    weights: Index = 0
    gradients: Index = 0
    optimizer: Index = 0
    activations: Index = 0
    logits: Index = 0
    state: Index = 0
    """Keys and values, or the state of a scan, of sequences that are decoded."""
    buffers: Index = 0

    def total_bytes(self) -> int:
        return (
            self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.state + self.buffers
        )


def train_memory(stage: TrainPlan, layout: Layout) -> Memory:
    """fp32 everywhere. ZeRO 1 shares out the optimizer (two moments, a master copy), ZeRO 2 the gradients too."""
    count, world, zero = stage.parameters, layout.world, layout.zero
    shard = -(-count // world)
    tokens = stage.row_tokens - 1  # the last one of a row is a target alone
    positions = stage.batch.micro_rows * tokens
    kept = positions * kept_values(stage.model, tokens, stage.kernels) + _dense_copies(stage.model, stage.kernels)
    return Memory(
        weights=FP32_BYTES * count,
        gradients=FP32_BYTES * (shard if zero == 2 else count),
        optimizer=FP32_BYTES * (3 * shard if zero else 2 * count),
        activations=FP32_BYTES * kept,
        logits=FP32_BYTES * loss_values(stage.model, positions, stage.kernels),
        buffers=FP32_BYTES * min(count, layout.bucket_elements) if zero or world > 1 else 0,
    )


def loss_values(model: Model, positions: int, kernels: Kernels) -> int:
    """Numbers that the loss holds at its peak; in chunks, also the gradients of its input and of the head."""
    gradients = positions * model.width + model.vocabulary * model.width
    match kernels.linear_cross_entropy:
        case ReferenceLoss():
            return LOGITS_TRAINED * positions * model.vocabulary
        case ChunkedLoss(tokens=chunk):
            return LOGITS_SCORED * min(positions, chunk) * model.vocabulary + gradients
        case LigerLoss():  # it takes chunks of about as many logits as its input has numbers
            return LOGITS_SCORED * positions * model.width + gradients
        case other:
            assert_never(other)


def _dense_copies(model: Model, kernels: Kernels) -> int:
    """What the reference of 1-bit matrices keeps beside the latent ones."""
    if isinstance(model.linear, FbiLinear) and isinstance(kernels.binary_linear, ReferenceBinary):
        return DENSE_COPIES * counts(model).matrices
    return 0


def scoring_memory(model: Model, rows: int, tokens: int, kernels: Kernels) -> Memory:
    """A forward pass of `rows` x `tokens` that keeps nothing but the block it is in, and the log-softmax of all."""
    positions = rows * tokens
    return Memory(
        weights=weight_bytes(model, kernels),
        activations=FP32_BYTES * (positions * kept_values(model, tokens, kernels) // model.layers),
        logits=FP32_BYTES * LOGITS_SCORED * positions * model.vocabulary,
    )


def decoding_memory(model: Model, rows: int, positions: int, kernels: Kernels) -> Memory:
    """One token after another: weights, the decode state of sequences of `positions` tokens, one row of logits each."""
    return Memory(
        weights=weight_bytes(model, kernels),
        logits=FP32_BYTES * rows * model.vocabulary,
        state=FP32_BYTES * rows * state_values(model, positions),
    )


def weight_bytes(model: Model, kernels: Kernels) -> int:
    """Of the weights in memory: fp32, and one bit for an entry of a matrix that is packed."""
    match kernels.binary_linear:
        case PackedBinary() if isinstance(model.linear, FbiLinear):
            found = counts(model)
            return math.ceil(found.matrices / BITS) + FP32_BYTES * (found.total - found.matrices)
        case _:
            return FP32_BYTES * parameters(model)


def storage_bytes(model: Model) -> int:
    """As papers count them: 16 bits a number, one bit an entry of a 1-bit matrix (alpha and beta are numbers)."""
    found = counts(model)
    match model.linear:
        case Dense():
            return FP16_BYTES * found.total
        case FbiLinear():
            return math.ceil(found.matrices / BITS) + FP16_BYTES * (found.total - found.matrices)
        case other:
            assert_never(other)


def checkpoint_bytes(model: Model) -> int:
    """Tensor bytes of one checkpoint: weights and two moments in fp32."""
    return 3 * FP32_BYTES * parameters(model)
