"""A computing process sees a closed environment, and it takes effect."""

import json
import os
import subprocess
import sys
from pathlib import Path

from engine.artifacts.environment import closed_environment
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
        name: WILD[name] for name in ("PATH", "HOME", "https_proxy", "PIP_INDEX_URL", "FACSIMILE_MIRRORS")
    }
    assert closed["OMP_NUM_THREADS"] == closed["MKL_NUM_THREADS"] == "1"
    assert closed["MKL_CBWR"] == closed["ONEDNN_MAX_CPU_ISA"] == "AVX2"


def test_threads_are_those_of_the_spec() -> None:
    assert closed_environment(Numerics(threads=3), {})["OMP_NUM_THREADS"] == "3"


def test_it_takes_effect() -> None:
    root = Path(__file__).parents[2]
    base = {"PATH": os.defpath, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(root)}
    code = "import json; from engine.artifacts.environment import effective; print(json.dumps(effective()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=closed_environment(Numerics(), base),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found.pop("mkl_branch") in ("avx2", "auto", "unknown")  # auto: not Intel's; unknown: a torch without MKL
    assert found == {"instruction_set": "avx2", "threads": "1", "denormals": "keep"}
