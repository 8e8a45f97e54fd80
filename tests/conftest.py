"""What many tests share: a small project in a scratch folder, and the command line run as a person would."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("TRITON_INTERPRET", "1")  # before anything imports triton; see tests/kernels/README.md
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch: small products wait for a second thread

from tests.running import Project, new_project

ROOT = Path(__file__).parent.parent
TOY = ROOT / "tests" / "toy"


@dataclass(frozen=True)
class Cli:
    """Runs `facsimile` in a project; `python -m engine` so that no console script is needed."""

    root: Path

    def __call__(self, *words: str, code: int | None = 0, **environment: str) -> str:
        done = self.run(*words, **environment)
        if code is not None:
            assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "engine", *words]
        env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)

    def json(self, *words: str, code: int = 0) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A project with the toy spec, whose sources are files of its own."""
    root = tmp_path / "project"
    shutil.copytree(TOY, root)
    return root


@pytest.fixture
def cli() -> Callable[[Path], Cli]:
    """Makes a command line for a project."""
    return Cli


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy project, built by `dvc repro` in peace. Never changed: `project` gives a copy."""
    project = new_project(tmp_path_factory.mktemp("undisturbed") / "project")
    project.dvc("repro")
    return project


@pytest.fixture
def project(undisturbed: Project, tmp_path: Path) -> Project:
    """A copy of the built toy project."""
    return undisturbed.copy(tmp_path / "project")


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The toy project with nothing built. Never changed: `bare` gives a copy."""
    return new_project(tmp_path_factory.mktemp("untouched") / "project")


@pytest.fixture
def bare(untouched: Project, tmp_path: Path) -> Project:
    """A copy of the toy project with nothing built."""
    return untouched.copy(tmp_path / "project")
