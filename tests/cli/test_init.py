"""`init` makes a project that compiles, is a git repository under DVC, has CI, and builds."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from engine import __version__
from engine.cli import init
from tests.cli.conftest import call, commit
from tests.conftest import ROOT, Cli

FILES = [
    ".github/workflows/facsimile.yaml",
    ".gitignore",
    "README.md",
    "dvc.yaml",
    "requirements.txt",
    "specs/first/first.plan.json",
    "specs/first/first.yaml",
]
TOOLS = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def test_a_new_project_compiles_and_is_ready_for_its_first_commit(tmp_path: Path) -> None:
    done = call(tmp_path, "init", "new", "--json", PATH=TOOLS)
    root = tmp_path / "new"
    assert (done.code, done.json) == (0, {"folder": str(root), "files": FILES, "not_done": []})
    assert call(root, "compile", "--check").out == "2 generated files are current\n"
    assert set(YAML(typ="safe", pure=True).load(root / "dvc.yaml")["stages"]) >= {"first-corpus", "first-claims"}
    assert "analytics = false" in (root / ".dvc" / "config").read_text()
    status = subprocess.run(["git", "-C", str(root), "status", "--short"], capture_output=True, text=True, check=True)
    assert sorted(line[3:] for line in status.stdout.splitlines() if line.startswith("A  ")) == sorted(
        [".dvc/.gitignore", ".dvc/config", ".dvcignore", *FILES]
    )
    commit(root)
    assert call(root, "diff", "HEAD:first", "first").out.splitlines()[-1] == "0 of 8 will rebuild"


def test_ci_of_the_new_project_checks_what_the_readme_says(tmp_path: Path) -> None:
    call(tmp_path, "init", "new", PATH=TOOLS)
    steps = YAML(typ="safe", pure=True).load(tmp_path / "new" / FILES[0])["jobs"]["check"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [
        "sed 's/\\[train\\]//' requirements.txt | pip install -r /dev/stdin",
        "facsimile compile --check",
    ]
    ignored = (tmp_path / "new" / ".gitignore").read_text().splitlines()
    assert {"/data/artifacts/", "/data/sources/"} <= set(ignored)


def test_without_git_and_dvc_the_project_is_made_and_the_rest_is_said(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = call(tmp_path, "init", "new", PATH=str(tmp_path / "bin"))
    assert done.code == 0
    lines = [line for line in done.out.splitlines() if line.startswith("not done: ")]
    assert lines[:2] == [
        "not done: git init --quiet (git is not installed)",
        "not done: dvc init --quiet (dvc is not installed)",
    ]
    assert call(tmp_path / "new", "compile", "--check").code == 0


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    full, file = call(tmp_path, "init", "full"), call(tmp_path, "init", "full/mine.txt")
    assert (full.code, full.err) == (2, "error: full is there already and not empty; name a new folder\n")
    assert (file.code, file.err) == (2, "error: full/mine.txt is a file; name a new folder\n")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    (tmp_path / "empty").mkdir()
    assert call(tmp_path, "init", "empty", PATH=TOOLS).code == 0


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    done = call(tmp_path, "init", "/proc/nowhere")
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: /proc/nowhere cannot be made: /proc/nowhere: No such file or directory\n"


class Installed:
    """A distribution that pip installed from somewhere."""

    def __init__(self, origin: str | None) -> None:
        self._origin = origin

    def read_text(self, _name: str) -> str | None:
        return self._origin


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, f"facsimile-llm[train] @ {ROOT.resolve().as_uri()}"),
        (
            '{"url": "https://example.org/f.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "facsimile-llm[train] @ git+https://example.org/f.git@abc",
        ),
        ('{"url": "file:///srv/f", "dir_info": {}}', "facsimile-llm[train] @ file:///srv/f"),
    ],
)
def test_the_requirement_names_the_very_engine(monkeypatch: pytest.MonkeyPatch, origin: str | None, line: str) -> None:
    monkeypatch.setattr(init, "distribution", lambda _name: Installed(origin))
    assert init.requirement().splitlines()[-1] == line


def test_the_requirement_of_an_engine_from_an_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(init, "distribution", lambda _name: Installed(None))
    monkeypatch.setattr(init.engine, "__file__", str(tmp_path / "site-packages" / "engine" / "__init__.py"))
    assert init.requirement() == f"facsimile-llm[train]=={__version__}\n"


def test_nothing_is_installed_by_a_name_that_is_not_ours() -> None:
    texts = (ROOT / "README.md", *(ROOT / "engine" / "cli" / "templates").rglob("*.*"))
    assert not [path for path in texts if re.search(r"install[^\n]*\bfacsimile(?!-llm)\b", path.read_text())]


@pytest.mark.slow
def test_a_new_project_builds_and_verifies(tmp_path: Path, cli: Callable[[Path], Cli]) -> None:
    call(tmp_path, "init", "new", PATH=TOOLS)
    root = tmp_path / "new"
    commit(root)
    environment = {**os.environ, "PATH": TOOLS, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    built = subprocess.run(["dvc", "repro"], cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    assert call(root, "plan", "first", "--json").json["would_run"] == []
    assert call(root, "claims").code == 0
    assert call(root, "record", "first").code == 0
    assert "first: 8 of 8 stages as recorded" in cli(root)("verify", "first")
    assert call(root, "audit", "first/train@final").code == 0
