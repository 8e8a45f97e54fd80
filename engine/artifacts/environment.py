"""The closed environment of computing processes, and what of it really took effect.

Measured on an Intel Xeon with AVX-512 and AMX (torch 2.13.0, MKL 2024.2, oneDNN 3.12), one thread:
- MKL_CBWR=AVX2 changes the bits of fp32 matmul (most shapes), of exp (torch takes it from MKL) and so of attention; it
  costs a third of the speed of a large fp32 matmul. MKL_ENABLE_INSTRUCTIONS=AVX2 gives the same bits at the same cost.
- ATEN_CPU_CAPABILITY=avx2 changes softmax and attention, not matmul or exp.
- ONEDNN_MAX_CPU_ISA=AVX2 changes bfloat16 matmul (AMX otherwise), not fp32.
- Under AVX2, oneDNN has no bfloat16 products, and torch's own are forty times slower than AMX's.
So without the MKL settings "avx2" would be untrue there. Makers other than Intel: MKL ignores them (its documentation).
"""

import ctypes
import os
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import assert_never

from engine.spec.canonical import plain
from engine.spec.numerics import Numerics

KEPT = (
    "PATH",
    "HOME",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
)
KEPT_PREFIXES = ("FACSIMILE_", "PIP_", "UV_")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
_AVX512 = {"ATEN_CPU_CAPABILITY": "avx512", "MKL_CBWR": "AVX512", "MKL_ENABLE_INSTRUCTIONS": "AVX512"}
_BRANCHES = {1: "off", 2: "auto", 3: "compatible", 9: "avx", 10: "avx2", 12: "avx512"}  # mkl_types.h: MKL_CBWR_*


def closed_environment(numerics: Numerics, base: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a process that builds an artifact: what may change a bit is fixed, the rest dropped."""
    kept = {name: value for name, value in base.items() if _is_kept(name)}
    path = {"PATH": _with_own_programs(base.get("PATH", ""))}
    return dict(sorted({**kept, **path, **settings(numerics)}.items()))


def _with_own_programs(path: str) -> str:
    """The search path with the folder of this Python, where ninja lies when the environment is not activated."""
    own, parts = str(Path(sys.executable).parent), path.split(os.pathsep) if path else []
    return path if own in parts else os.pathsep.join([*parts, own])


def settings(numerics: Numerics) -> dict[str, str]:
    """The part of the closed environment that may change a bit."""
    return {**_fixed(), **_threads(numerics.threads), **_instructions(numerics)}


def not_closed(numerics: Numerics, found: Mapping[str, str]) -> list[str]:
    """What in an environment is not as the closed one has it, as text; empty when it is closed."""
    wanted = closed_environment(numerics, found)
    odd = [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]
    return [f"{name}={found[name]}" if name in found else f"{name} is not set" for name in odd]


def not_in_effect(numerics: Numerics, found: Mapping[str, str]) -> list[str]:
    """What the libraries really do otherwise than the numerics say, as text; empty when all is in effect."""
    wanted = {name: str(value) for name, value in plain(numerics).items()}
    odd = [f"{name} is {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]
    branch = _mkl_of(numerics)
    if found["mkl_branch"] not in (branch, "auto", "unknown"):  # auto: not Intel's; unknown: a torch without MKL
        odd.append(f"mkl_branch is {found['mkl_branch']}, not {branch}")
    return odd


def _mkl_of(numerics: Numerics) -> str:
    """MKL's branch for an instruction set; its fp32 products do not use AMX."""
    return "avx2" if numerics.instruction_set == "avx2" else "avx512"


def _is_kept(name: str) -> bool:
    return name in KEPT or name.startswith(KEPT_PREFIXES) or name.lower() in _PROXIES


def _fixed() -> dict[str, str]:
    return {
        "CUDA_VISIBLE_DEVICES": "",  # no stage computes on a GPU
        "DS_ACCELERATOR": "cpu",
        "DS_BUILD_OPS": "0",
        "HF_HUB_OFFLINE": "1",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "TZ": "UTC",
    }


def _threads(threads: int) -> dict[str, str]:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {**dict.fromkeys(names, str(threads)), "OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE"}


def _instructions(numerics: Numerics) -> dict[str, str]:
    match numerics.instruction_set:
        case "avx2":
            return {
                "ATEN_CPU_CAPABILITY": "avx2",
                "ONEDNN_MAX_CPU_ISA": "AVX2",
                "MKL_CBWR": "AVX2",
                "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            }
        case "avx512":
            return {**_AVX512, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}
        case "amx":
            return {**_AVX512, "ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}
        case _:
            assert_never(numerics.instruction_set)


def effective() -> dict[str, str]:
    """What took effect in this process, asked of the libraries themselves; imports torch."""
    import torch

    smallest = torch.tensor(2.0**-126) * 0.5
    return {
        "instruction_set": _instruction_set(torch.backends.cpu.get_cpu_capability().lower(), _onednn()),
        "mkl_branch": _mkl_branch(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"),
        "threads": str(torch.get_num_threads()),
        "denormals": "keep" if smallest.item() else "flush",
        "onednn_isa": _onednn(),
    }


def _instruction_set(aten: str, onednn: str) -> str:
    """The name in `Numerics` of what torch's own loops and oneDNN use; both names where that is no name of ours."""
    match aten, onednn:
        case ("avx2", "avx2") | ("avx512", "avx512"):
            return aten
        case ("avx512", "amx"):
            return "amx"
        case (_, "unknown"):
            return aten
        case _:
            return f"{aten} with oneDNN's {onednn}"


@cache
def _onednn() -> str:
    """What oneDNN says it uses, from its verbose output on one small call; `unknown` where it says nothing known."""
    import torch

    said = _printed(torch)
    isa = next((line.partition("isa:")[2] for line in said.splitlines() if ",isa:" in line), "")
    known = {"AMX": "amx", "AVX-512 with Intel DL Boost": "avx512 with dot products", "AVX-512": "avx512"}
    known |= {"AVX10": "avx512 with dot products", "AVX2": "avx2"}
    return next((name for part, name in known.items() if part in isa), "unknown")


def _printed(torch: ModuleType) -> str:
    """Everything that oneDNN prints of a copy; it writes to the descriptor 1 itself, past Python."""
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 1)
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                torch.ones(1).to_mkldnn()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode("utf-8", errors="replace")


def _mkl_branch(library: Path) -> str:
    """MKL's code branch for reproducible results; `unknown` where this build of torch does not tell."""
    try:
        ask = ctypes.CDLL(str(library)).mkl_serv_cbwr_get
    except (OSError, AttributeError):
        return "unknown"
    return _BRANCHES.get(int(ask(1)), "unknown")  # 1: MKL_CBWR_BRANCH
