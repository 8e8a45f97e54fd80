"""A computing process sees a closed environment, and it takes effect."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.artifacts.environment import closed_environment, not_in_effect
from engine.spec.numerics import Numerics

WILD = {
    "PATH": "/bin",
    "HOME": "/home/a",
    "https_proxy": "http://proxy",
    "PIP_INDEX_URL": "https://index",
    "FACSIMILE_MIRRORS": "/mirror",
    "TZ": "Asia/Tokyo",
    "LANG": "de_DE.UTF-8",
    "LC_NUMERIC": "de_DE.UTF-8",
    "PYTHONHASHSEED": "5",
    "PYTHONOPTIMIZE": "2",
    "OMP_NUM_THREADS": "64",
    "MKL_DEBUG_CPU_TYPE": "5",
    "MKL_CBWR": "COMPATIBLE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
    "LD_PRELOAD": "libevil.so",
    "RANK": "3",
}


def test_what_may_change_a_bit_is_fixed_and_the_rest_dropped() -> None:
    closed = closed_environment(Numerics(), WILD)
    assert closed == closed_environment(Numerics(), {**closed, "LANGUAGE": "de"})
    dropped = {"LANG", "LC_NUMERIC", "PYTHONOPTIMIZE", "MKL_DEBUG_CPU_TYPE", "LD_PRELOAD", "RANK"}
    assert not dropped & set(closed)
    assert {name: closed[name] for name in WILD if closed.get(name) == WILD[name]} == {
        name: WILD[name] for name in ("HOME", "https_proxy", "PIP_INDEX_URL", "FACSIMILE_MIRRORS")
    }
    assert closed["PATH"].split(os.pathsep) == ["/bin", str(Path(sys.executable).parent)]  # ninja lies there
    assert closed["OMP_NUM_THREADS"] == closed["MKL_NUM_THREADS"] == "1"
    assert closed["MKL_CBWR"] == closed["ONEDNN_MAX_CPU_ISA"] == "AVX2"


def test_threads_are_those_of_the_spec() -> None:
    assert closed_environment(Numerics(threads=3), {})["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize("instructions", ["avx2", "avx512", "amx"])
def test_it_takes_effect_or_says_what_does(instructions: str) -> None:
    numerics = Numerics.model_validate({"instruction_set": instructions})
    root = Path(__file__).parents[2]
    base = {"PATH": os.defpath, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(root)}
    code = "import json; from engine.artifacts.environment import effective; print(json.dumps(effective()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=closed_environment(numerics, base),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    if {"avx2": "avx2", "avx512": "avx512bw", "amx": "amx_bf16"}[instructions] in flags:
        assert not_in_effect(numerics, found) == []
        assert found["onednn_isa"] == instructions
    else:
        assert any("instruction_set is" in odd for odd in not_in_effect(numerics, found))


def test_what_the_machine_has_not_got_is_named() -> None:
    found = {"instruction_set": "avx512", "mkl_branch": "avx512", "threads": "1", "denormals": "keep"}
    assert not_in_effect(Numerics(instruction_set="amx"), found) == ["instruction_set is avx512, not amx"]
    assert not_in_effect(Numerics(instruction_set="avx512"), {**found, "mkl_branch": "compatible"}) == [
        "mkl_branch is compatible, not avx512"
    ]
