"""The toolchain of a stage: the versions and machine facts that may change its bits, and a digest over them."""

import importlib.metadata
import platform
import re
import sys
import unicodedata
from pathlib import Path
from typing import Literal, assert_never

from engine.artifacts.compiler import compiler
from engine.artifacts.environment import effective, settings
from engine.spec.base import Spec
from engine.spec.canonical import digest
from engine.spec.numerics import Numerics
from engine.spec.units import Sha256

FORMAT = "1"
CPU_FACTS = Path("/proc/cpuinfo")
_ABSENT = "absent"


class Toolchain(Spec):
    """Facts by name. Two builds of one recipe by one toolchain have the same content."""

    facts: dict[str, str]
    digest: Sha256


def toolchain(
    kind: Literal["data", "weights", "compute"], numerics: Numerics | None, compiles: bool = False
) -> Toolchain:
    """The toolchain of this process on this machine. `compute` needs the stage's numerics, and imports torch.

    What is named there is what took effect, not what was asked for. `compiles` says that the stage declares native
    kernels or a compiled graph: the compiler is a fact then, and so is the CPU that it compiles for.
    """
    match kind:
        case "data":
            facts = _data()
        case "weights":
            facts = _weights()
        case "compute":
            assert numerics is not None, "a stage that computes has numerics"
            facts = {**_compute(numerics), **(_compiling() if compiles else {})}
        case _:
            assert_never(kind)
    return Toolchain(facts=facts, digest=digest(facts))


def with_libraries(found: Toolchain, packages: tuple[str, ...]) -> Toolchain:
    """The toolchain of a stage whose results depend on the versions of some more packages."""
    facts = {**found.facts, **{package: _version(package) for package in packages}}
    return Toolchain(facts=facts, digest=digest(facts))


def _data() -> dict[str, str]:
    return {
        "format": FORMAT,
        "python": _python(),  # its readers of XML, JSON, HTML entities and bzip2
        "pyarrow": _version("pyarrow"),
        "ruamel.yaml": _version("ruamel.yaml"),
        "sentencepiece": _version("sentencepiece"),
        "tokenizers": _version("tokenizers"),
        "unicode": unicodedata.unidata_version,
    }


def _weights() -> dict[str, str]:
    """Of imports: readers of files. Widening is exact, dequantising elementwise, so neither BLAS nor CPU is named."""
    return {
        "format": FORMAT,
        "python": _python(),
        "gguf": _version("gguf"),
        "numpy": _version("numpy"),
        "safetensors": _version("safetensors"),
        "tokenizers": _version("tokenizers"),
        "transformers": _version("transformers"),  # makes the tokenizer of a GGUF file
    }


def _compute(numerics: Numerics) -> dict[str, str]:
    import torch

    found = effective()
    shown = torch.__config__.show()
    return {
        "format": FORMAT,
        "python": _python(),
        "numpy": _version("numpy"),
        "torch": f"{torch.__version__} {torch.version.git_version} cuda {torch.version.cuda or 'no'}",
        "deepspeed": _version("deepspeed"),
        "blas": _found(r"Math Kernel Library Version (\S+)", shown, "mkl ") or _found(r"BLAS_INFO=(\w+)", shown, ""),
        "onednn": _found(r"MKL-DNN (v\S+)", shown, ""),
        "libc": " ".join(platform.libc_ver()),  # Python's own cos and exp are the C library's
        "cpu": _cpu(),
        **found,
        "environment": digest(settings(numerics)),
    }


def _compiling() -> dict[str, str]:
    """A compiled graph is built with -march=native, so the whole list of what the CPU offers counts."""
    try:
        text = CPU_FACTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    flags = sorted(_found(r"flags\s*:\s*(.*)", text, "").split())
    return {"compiler": compiler(), "cpu_flags": digest(flags)}


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _ABSENT


def _found(pattern: str, text: str, lead: str) -> str:
    found = re.search(pattern, text)
    return lead + found[1] if found else ""


def _cpu() -> str:
    """The maker and architecture; for other makers than Intel also the width that MKL may take of its own accord."""
    try:
        text = CPU_FACTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    maker = _found(r"vendor_id\s*:\s*(\S+)", text, "") or "unknown"
    if maker == "GenuineIntel":  # MKL obeys MKL_CBWR there
        return f"{platform.machine()} {maker}"
    flags = set(_found(r"flags\s*:\s*(.*)", text, "").split())
    width = next((name for name in ("avx512f", "avx2") if name in flags), "narrow")
    return f"{platform.machine()} {maker} {width}"
