"""The C++ compiler that native kernels and compiled graphs are built with; nothing else of the engine needs one."""

import shutil
import subprocess
from functools import cache

from engine.spec.errors import ArtifactError

COMPILER = "g++"


@cache
def compiler() -> str:
    """The compiler's name and version; ArtifactError says what to install when it is missing."""
    path = shutil.which(COMPILER)
    if path is None:
        raise ArtifactError(
            f"no {COMPILER} is on the PATH, and the spec declares a native kernel or graph: inductor; install it "
            "(apt install g++), or declare the backend `reference` and graph: eager"
        )
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
