"""`graph: inductor`: a module compiled in place by torch.compile, its code kept in a folder of the engine's own.

The names of parameters stay. One shape is compiled; another shape, or an operation that the graph cannot hold, is an
error and never a silent return to eager.
"""

import os
from pathlib import Path
from typing import assert_never

import torch
import torch._dynamo.config as dynamo_config
import torch._inductor.config as inductor_config
from torch import nn

from engine.artifacts.compiler import compiler
from engine.artifacts.environment import effective
from engine.kernels.record import ran
from engine.kernels.spec import Graph
from engine.spec.canonical import digest


def apply_graph(module: nn.Module, graph: Graph) -> None:
    """Compiles the module's forward and backward at its first call; ArtifactError when there is no compiler."""
    ran("graph", graph)
    match graph:
        case "eager":
            return
        case "inductor":
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder())  # noqa: TID251 (inductor reads it nowhere else)
            torch.compiler.reset()  # modules of an earlier job count towards the limit of graphs otherwise
            dynamo_config.fail_on_recompile_limit_hit = True
            inductor_config.deterministic = True  # nothing is chosen by timing
            inductor_config.compile_threads = 1
            module.compile(fullgraph=True, dynamic=False)
        case _:
            assert_never(graph)


def folder() -> Path:
    """Where the code of graphs lies: one folder for each torch, compiler and instruction set."""
    key = digest({"torch": f"{torch.__version__} {torch.version.git_version}", "compiler": compiler(), **effective()})
    return Path.home() / ".cache" / "facsimile" / "graphs" / key[:24]
