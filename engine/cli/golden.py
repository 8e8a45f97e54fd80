"""A and B of a diff: a spec compiled now, a golden plan from a git revision, or the manifest of a finished run."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.artifacts.manifest import MANIFEST, read_manifest
from engine.cli.project import Project
from engine.compile.plan import golden
from engine.spec.errors import SpecError


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a diff: a golden plan as plain data, and metrics by run where there are any."""

    name: str
    plan: dict[str, Any]
    metrics: dict[str, Any]


def side(text: str, here: Project) -> Side:
    """The side that a word of the command line names."""
    folder = Path(text)
    if (folder / MANIFEST).is_file():
        return _finished(folder)
    revision, colon, experiment = text.rpartition(":")
    if colon:
        return Side(text, _revision(revision, experiment, here.root), {})
    return Side(text, golden(here.plan(text)), {})


def _finished(folder: Path) -> Side:
    manifest = read_manifest(folder / MANIFEST)
    run = {
        "recipe": manifest.recipe,
        "code": {"digest": manifest.code, "definitions": {"(engine code)": manifest.code}},
        "inputs": {},
        "stage": manifest.stage,
    }
    return Side(str(folder), {"format": 1, "runs": {"run": run}}, {"run": manifest.metrics})


def _revision(revision: str, experiment: str, root: Path) -> dict[str, Any]:
    prefix = _git(root, "rev-parse", "--show-prefix").strip()
    names = _git(root, "ls-tree", "-r", "--name-only", "--full-tree", revision, f"{prefix}specs/").splitlines()
    wanted = experiment.rpartition("/")[2].removesuffix(".yaml")
    found = [name for name in names if name.endswith(f"/{wanted}.plan.json")]
    if not found:
        known = [Path(name).name.removesuffix(".plan.json") for name in names if name.endswith(".plan.json")]
        raise SpecError(f"{revision} keeps no plan of {experiment!r}; it keeps {', '.join(known) or 'none'}")
    plan: dict[str, Any] = json.loads(_git(root, "show", f"{revision}:{found[0]}"))
    if plan.get("format") != 1:
        raise SpecError(f"{revision}:{found[0]} has format {plan.get('format')}; this engine reads format 1")
    return plan


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpecError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
