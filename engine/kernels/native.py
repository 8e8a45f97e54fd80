"""C++ kernels of the engine: compiled by torch's extension loader, once for each source, compiler and instruction set.

A source file has plain C functions (`extern "C"`), no torch headers, and is called through ctypes with the addresses
of tensors: it compiles in seconds. Headers (*.h) beside it are part of it. Every function takes the number of threads
last, and splits its work so that no result depends on it.
"""

import ctypes
import hashlib
from functools import cache
from pathlib import Path

import torch
from torch.utils import cpp_extension

from engine.artifacts.compiler import compiler
from engine.spec.errors import ArtifactError

FLAGS = ("-O3", "-std=c++17", "-fopenmp", "-ffp-contract=off", "-fno-math-errno")
SETS = {
    "DEFAULT": ("-DPORTABLE",),
    "AVX2": ("-mavx2", "-mfma", "-mf16c"),
    "AVX512": (
        "-mavx2",
        "-mfma",
        "-mf16c",
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mprefer-vector-width=512",
    ),
}


def instruction_set() -> str:
    """What this process may use, as torch reports it: DEFAULT, AVX2 or AVX512; set by the spec's numerics."""
    found = torch.backends.cpu.get_cpu_capability()
    return found if found in SETS else "DEFAULT"


@cache
def library(source: Path, instructions: str, *options: str) -> ctypes.CDLL:
    """The compiled source, from the cache when it was built before. ArtifactError when there is no compiler."""
    flags = (*FLAGS, *SETS[instructions], *options)
    text = b"".join(path.read_bytes() for path in (source, *sorted(source.parent.glob("*.h"))))
    key = hashlib.sha256("\0".join((compiler(), *flags)).encode() + text).hexdigest()[:24]
    name = f"{source.stem}_{key}"  # torch numbers a name that one process builds twice, for two instruction sets
    folder = Path.home() / ".cache" / "facsimile" / "kernels" / name
    built = folder / f"{name}.so"
    if not built.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            cpp_extension.load(
                name=name, sources=[str(source)], extra_cflags=list(flags), extra_ldflags=["-fopenmp"],
                build_directory=str(folder), is_python_module=False,
            )  # fmt: skip
        except RuntimeError as error:
            raise ArtifactError(f"{source.name} does not compile with {compiler()}: {error}") from error
    return ctypes.CDLL(str(built))
