"""`graph: inductor`: a method of a module compiled by torch.compile, its code kept in a folder of the engine's own.

Modules and the names of their parameters stay as they are. One shape is compiled; so many others that torch would go
back to eager are an error.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, assert_never

import torch
import torch._dynamo.config as dynamo_config
import torch._inductor.config as inductor_config

from engine.artifacts.compiler import compiler
from engine.artifacts.environment import effective
from engine.kernels.record import ran
from engine.kernels.spec import Graph
from engine.spec.canonical import digest

Given = ParamSpec("Given")
Found = TypeVar("Found")


def compiled(method: Callable[Given, Found], graph: Graph, whole: bool) -> Callable[Given, Found]:
    """The method, compiled forward and backward at its first call; ArtifactError when there is no compiler.

    `whole` refuses what the graph cannot hold; without it, such calls run between two graphs.
    """
    ran("graph", graph)
    match graph:
        case "eager":
            return method
        case "inductor":
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder())  # noqa: TID251 (inductor reads it nowhere else)
            torch.compiler.reset()  # modules of an earlier job count towards the limit of graphs otherwise
            dynamo_config.fail_on_recompile_limit_hit = True
            inductor_config.deterministic = True  # nothing is chosen by timing
            inductor_config.compile_threads = 1
            return torch.compile(method, fullgraph=whole, dynamic=False)
        case _:
            assert_never(graph)


def folder() -> Path:
    """Where the code of graphs lies: one folder for each torch, compiler and instruction set."""
    key = digest({"torch": f"{torch.__version__} {torch.version.git_version}", "compiler": compiler(), **effective()})
    return Path.home() / ".cache" / "facsimile" / "graphs" / key[:24]
