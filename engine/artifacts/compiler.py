"""The C++ compiler that native kernels and compiled graphs are built with; nothing else of the engine needs one."""

import shutil
import subprocess
from functools import cache

from engine.spec.errors import ArtifactError

COMPILER = "g++"


@cache
def compiler() -> str:
    """The compiler's name and version; ArtifactError says what to install when it is missing or does not start."""
    path = shutil.which(COMPILER)
    if path is None:
        raise ArtifactError(
            f"no {COMPILER} is on the PATH, and the spec declares a native kernel or graph: inductor; install it "
            "(apt install g++), or declare the backend `reference` and graph: eager"
        )
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise ArtifactError(f"{path} does not tell its version ({error}); install {COMPILER} again") from error
