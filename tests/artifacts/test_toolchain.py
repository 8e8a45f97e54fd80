"""A toolchain names what may change bits of this kind of stage, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.artifacts.toolchain import toolchain
from engine.spec.numerics import Numerics


def test_data_depends_on_libraries_and_unicode_alone() -> None:
    libraries = {"pyarrow", "ruamel.yaml", "sentencepiece", "tokenizers"}
    assert set(toolchain("data", None).facts) == {"format", "python", "unicode"} | libraries


def test_data_asks_without_torch() -> None:
    code = (
        "import sys; from engine.artifacts.toolchain import toolchain\n"
        "toolchain('data', None); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_computing_depends_on_versions_blas_instruction_set_and_maker() -> None:
    found = toolchain("compute", Numerics())
    assert all(found.facts.values()), found.facts
    aten = torch.backends.cpu.get_cpu_capability().lower()  # used, not asked for
    assert found.facts["instruction_set"] in (aten, "amx" if aten == "avx512" else aten)
    assert found == toolchain("compute", Numerics())
    assert found.digest != toolchain("compute", Numerics(threads=2)).digest


def test_the_compiler_counts_only_where_something_is_compiled() -> None:
    plain, compiling = toolchain("compute", Numerics()), toolchain("compute", Numerics(), compiles=True)
    assert set(compiling.facts) - set(plain.facts) == {"compiler", "cpu_flags"}
    assert compiling.facts["compiler"].startswith("g++")


def test_another_maker_of_the_cpu_is_another_toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for maker, flags in (
        ("GenuineIntel", "avx2"),
        ("GenuineIntel", "avx2 avx512f"),
        ("AuthenticAMD", "avx2"),
        ("AuthenticAMD", "avx2 avx512f"),
    ):
        (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {maker}\nflags\t\t: fpu {flags}\n")
        monkeypatch.setattr("engine.artifacts.toolchain.CPU_FACTS", tmp_path / "cpuinfo")
        digests.add(toolchain("compute", Numerics()).digest)
    assert len(digests) == 3  # Intel's MKL obeys the spec's instruction set whatever the CPU offers
