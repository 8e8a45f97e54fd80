"""The command line called in this process, and projects whose data stages are built once for all tests of verbs."""

import functools
import io
import json
import shutil
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli import project
from engine.cli.main import main
from engine.cli.run import MARK
from engine.compile.code import CodeIndex
from tests.conftest import TOY

shared_index = functools.cache(CodeIndex)  # reading the engine's source is most of the time of a short verb

DATA_STAGES = ("corpus", "clean", "unique", "split", "tokenizer", "rows")
CELLS = """\
format: 1
experiment: cells
paper: toy
determinism: repeat
stages:
  corpus:
    kind: ingest
    sources:
      - kind: file
        name: notes
        domain: notes
        path: texts/notes.jsonl
        sha256: 22fc3de37b4d44ddc004fdf23d6f812219a9a4cc40ecb87414ef5baee0498ce9
        licence: CC0-1.0
        format: {kind: jsonl}
  split:
    kind: split
    matrix: {seed: [1, 2], heldout: [0.1, 0.2]}
    documents: corpus@documents
    by: document
    heldout: 0.1
    seed: 1
"""


@dataclass(frozen=True)
class Said:
    """What one call of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(root: Path, *words: str, **environment: str) -> Said:
    """Runs `facsimile` in a project; only `run` and `verify` start processes."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(root)
        patch.setattr(project, "CodeIndex", shared_index)
        for name, value in environment.items():
            patch.setenv(name, value)
        code = main(words)
    return Said(code, out.getvalue(), err.getvalue())


def build(root: Path, experiment: str, *stages: str) -> None:
    """Builds data stages in this process: they compute nothing that its environment could change."""
    for stage in stages:
        recipe = call(root, "run", experiment, stage).err.split("has --recipe ")[1].split()[0]
        done = call(root, "run", experiment, stage, "--recipe", recipe, **{MARK: "1"})
        assert done.code == 0, done.err


def commit(root: Path, message: str = "Change") -> None:
    """Commits all that git does not ignore."""
    words = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", str(root)]
    subprocess.run([*words, "add", "--all"], check=True)
    subprocess.run([*words, "commit", "--quiet", "--message", message], check=True)


def edit(path: Path, old: str, new: str) -> None:
    """Replaces a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the toy experiment, its data stages built and recorded, and one with a matrix."""
    root = tmp_path_factory.mktemp("cli") / "project"
    shutil.copytree(TOY, root)
    (root / "specs" / "toy" / "cells.yaml").write_text(CELLS)
    (root / ".gitignore").write_text("/data/artifacts/\n/data/sources/\n")
    assert call(root, "compile").code == 0
    build(root, "toy", *DATA_STAGES)
    build(root, "cells", "corpus", "split")
    assert call(root, "record", "cells").code == 0
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    commit(root)
    return root


@pytest.fixture
def built(built_once: Path, tmp_path: Path) -> Path:
    """A copy of the built project for one test."""
    root = tmp_path / "built"
    shutil.copytree(built_once, root)
    return root
