"""The DeepSpeed JSON against the installed DeepSpeed, and what our closed lists refuse."""

import copy
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import deepspeed
import pytest
from deepspeed.runtime.config import _REMOVED_TOP_LEVEL_CONFIG_KEYS, DeepSpeedConfig
from deepspeed.runtime.precision_config import DeepSpeedBF16Config, DeepSpeedFP16Config
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig, ZeroStageEnum
from pydantic import BaseModel

from engine.train.deepspeed import BLOCKS, TOP, Kind, check_config, deepspeed_config
from engine.train.spec import Train

LAYOUTS = [(1, 0), (2, 1), (480, 2), (480, 3)]


def train(world: int = 1, zero: Literal[0, 1, 2, 3] = 0) -> Train:
    return Train.model_validate_json(
        f"""{{
        "kind": "train", "rows": "rows@rows", "objective": {{"kind": "next_token"}}, "steps": 10, "seed": 1,
        "model": {{"kind": "llama", "vocabulary": 512, "layers": 2, "width": 64, "heads": 4, "kv_heads": 4, "mlp": 128,
                   "context": 128, "tied": false}},
        "batch": {{"rows": {8 * world}, "micro_rows": 4}}, "layout": {{"world": {world}, "zero": {zero}}},
        "optimizer": {{"kind": "adamw", "lr": {{"kind": "cosine", "peak": 1e-3, "floor": 1e-4, "warmup_steps": 2}},
                      "betas": [0.9, 0.95], "weight_decay": 0.1, "clip": 0.5}},
        "checkpoints": {{"every_steps": 5}}}}"""
    )


def config(stage: Train) -> dict[str, Any]:
    """What is written for a stage under `repeat`."""
    assert stage.layout is not None
    return dict(deepspeed_config(stage.batch, stage.layout))


class Ranks:
    """As much of Megatron's `mpu` as DeepSpeed asks to count data-parallel ranks."""

    def __init__(self, world: int) -> None:
        self.world = world

    def get_data_parallel_world_size(self) -> int:
        return self.world


class Asked(dict[str, Any]):
    """A configuration that notes every key that is looked for."""

    keys_asked: set[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.keys_asked = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.keys_asked.add(key)
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.keys_asked.add(str(key))
        return super().__contains__(key)

    def __copy__(self) -> "Asked":
        return self

    def keys(self) -> "Asked":  # type: ignore[override]
        return self


@pytest.fixture
def first_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process group DeepSpeed forgets the mpu and takes a world of 1."""
    monkeypatch.setattr(deepspeed.comm, "get_rank", lambda: 0)
    monkeypatch.setattr(deepspeed.comm, "get_world_size", lambda: 1)


@pytest.mark.parametrize(("world", "zero"), LAYOUTS)
@pytest.mark.usefixtures("first_rank")
def test_deepspeed_takes_what_we_write(world: int, zero: Literal[0, 1, 2, 3]) -> None:
    ours = config(train(world, zero))
    assert check_config(ours) == []
    taken = DeepSpeedConfig(copy.deepcopy(ours), mpu=Ranks(world))
    assert (taken.world_size, taken.train_batch_size) == (world, 8 * world)
    assert (taken.train_micro_batch_size_per_gpu, taken.gradient_accumulation_steps) == (4, 2)
    assert (taken.gradient_clipping, taken.zero_optimization_stage) == (0.0, zero)
    assert not (taken.zero_force_ds_cpu_optimizer or taken.bfloat16_config.enabled or taken.float16_config.enabled)
    assert taken.zero_config.overlap_comm is False


@pytest.mark.usefixtures("first_rank")
def test_the_list_of_top_level_keys_is_current() -> None:
    asked = Asked({"train_batch_size": 1})
    DeepSpeedConfig(asked)
    only_without_ranks = {"sequence_parallel_size", "data_parallel_size"}  # read where a device mesh is built
    assert set(TOP) == (asked.keys_asked | only_without_ranks) - set(_REMOVED_TOP_LEVEL_CONFIG_KEYS)


@pytest.mark.parametrize(
    ("block", "model"),
    [("bf16", DeepSpeedBF16Config), ("fp16", DeepSpeedFP16Config), ("zero_optimization", DeepSpeedZeroConfig)],
)
def test_the_fields_of_sub_blocks_are_current(block: str, model: type[BaseModel]) -> None:
    assert BLOCKS[block] == dict(_kinds(model))


def _kinds(model: type[BaseModel]) -> Iterator[tuple[str, Kind]]:
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra
        if not (isinstance(extra, dict) and extra.get("deprecated")):
            yield info.alias or name, _kind(info.annotation)


def _kind(annotation: Any) -> Kind:
    if get_origin(annotation) is Union:
        (annotation,) = (inner for inner in get_args(annotation) if inner is not type(None))
    if issubclass(annotation, BaseModel):
        return "block"
    kinds: dict[Any, Kind] = {bool: "bool", int: "integer", ZeroStageEnum: "integer", float: "number", str: "text"}
    return kinds[annotation]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"zero_optimizaton": {}}, "zero_optimizaton: DeepSpeed has no such key (did you mean 'zero_optimization'?)"),
        ({"gradient_clipping": "abc"}, "gradient_clipping: 'abc' is no number"),
        ({"train_batch_size": True}, "train_batch_size: True is no count"),
        ({"gradient_accumulation_steps": 0}, "gradient_accumulation_steps: 0 is no count"),
        ({"fp16": {"enabled": "no"}}, "fp16.enabled: 'no' is no bool"),
        (
            {"zero_optimization": {"stgae": 1}},
            "zero_optimization.stgae: DeepSpeed has no such key (did you mean 'stage'?)",
        ),
        ({"zero_optimization": 1}, "zero_optimization: 1 is no block"),
    ],
)
def test_what_deepspeed_would_let_pass_is_refused(change: dict[str, Any], problem: str) -> None:
    assert check_config(config(train()) | change) == [problem]


def test_all_problems_are_told_at_once() -> None:
    assert len(check_config({"stpes_per_print": 1, "dump_state": 0, "bf16": {"enable": True}})) == 3
