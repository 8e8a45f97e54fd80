"""C++ kernels of the engine: compiled by torch's extension loader, once for each source, compiler and instruction set.

A source file has plain C functions (`extern "C"`), no torch headers, and is called through ctypes with the addresses
of tensors: it compiles in seconds. Headers (*.h) beside it are part of it, and those that its kernel names. Every
function takes the number of threads last, and splits its work so that no result depends on it.

A library is built in a folder of its own, sealed with the sha256 of its bytes and renamed into the cache, so several
processes may build it at once, a killed one leaves nothing that anyone waits for, and a damaged file is built again.
"""

import ctypes
import hashlib
import tempfile
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
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
SEAL = hashlib.sha256().digest_size  # bytes behind a library; a loader does not look there


def instruction_set() -> str:
    """What this process may use, as torch reports it: DEFAULT, AVX2 or AVX512; set by the spec's numerics."""
    found = torch.backends.cpu.get_cpu_capability()
    return found if found in SETS else "DEFAULT"


def check(op: str, tensors: dict[str, Tensor], *dtypes: torch.dtype) -> None:
    """ArtifactError with the first tensor that is not of one of these dtypes on the CPU; shapes the op has checked."""
    for name, tensor in tensors.items():
        if tensor.dtype not in dtypes or tensor.device.type != "cpu":
            raise ArtifactError(
                f"kernels.{op}: the native backend wants {name} in {' or '.join(map(str, dtypes))} on the CPU, not "
                f"{tensor.dtype} on {tensor.device}"
            )


def addresses(*tensors: Tensor) -> tuple[ctypes.c_void_p, ...]:
    """Where the elements of tensors lie, as a function of a library takes them."""
    return tuple(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors)


@cache
def library(source: Path, instructions: str, *options: str, headers: tuple[Path, ...] = ()) -> ctypes.CDLL:
    """The compiled source, from the cache when it was built before.

    `headers` lie elsewhere than the source. ArtifactError when there is no compiler, when the source does not compile,
    when the cache cannot be read or written, and when this machine cannot load what was built.
    """
    flags = (*FLAGS, *SETS[instructions], *options)
    text = b"".join(path.read_bytes() for path in (source, *sorted(source.parent.glob("*.h")), *headers))
    key = hashlib.sha256("\0".join((compiler(), *flags)).encode() + text).hexdigest()[:24]
    name = f"{source.stem}_{key}"  # torch numbers a name that one process builds twice, for two instruction sets
    built = _cache() / f"{name}.so"
    try:
        if not _is_whole(built):
            _build(built, source, flags, headers)
    except OSError as error:
        raise ArtifactError(
            f"compiled kernels are kept in {built.parent}, which cannot be used: {error}; make room there, make it "
            "writable, or set HOME to a folder that is"
        ) from error
    try:
        return ctypes.CDLL(str(built))
    except OSError as error:
        raise ArtifactError(
            f"{built} was compiled from {source.name} and cannot be loaded: {error}; it may come from another machine "
            "that shares this home: remove it, and it is compiled again"
        ) from error


def _cache() -> Path:
    try:
        return Path.home() / ".cache" / "facsimile" / "kernels"
    except RuntimeError as error:
        raise ArtifactError("compiled kernels are kept below the home folder, and there is none: set HOME") from error


def _is_whole(built: Path) -> bool:
    """Whether a library is there as it was sealed."""
    try:
        data = built.read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(data[:-SEAL]).digest() == data[-SEAL:]


def _build(built: Path, source: Path, flags: tuple[str, ...], headers: tuple[Path, ...]) -> None:
    built.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="building-", dir=built.parent) as folder:
        try:
            cpp_extension.load(
                name=built.stem, sources=[str(source)], extra_cflags=list(flags), extra_ldflags=["-fopenmp"],
                extra_include_paths=[str(header.parent) for header in headers], build_directory=folder,
                is_python_module=False,
            )  # fmt: skip
        except RuntimeError as error:
            raise ArtifactError(f"{source.name} does not compile with {compiler()}: {error}") from error
        (linked,) = Path(folder).glob("*.so")
        with linked.open("ab") as file:
            file.write(hashlib.sha256(linked.read_bytes()).digest())
        linked.replace(built)
