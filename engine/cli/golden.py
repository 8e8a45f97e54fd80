"""A and B of a diff: a spec compiled now, a golden plan from a git revision, or the manifest of a finished run."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.artifacts.manifest import MANIFEST, Manifest, read_manifest
from engine.cli.project import Project
from engine.compile.dvc import artifact_path
from engine.compile.plan import code_in_recipe, golden
from engine.spec.errors import SpecError
from engine.spec.nearest import did_you_mean

ALONE = "(engine code)"  # stands for all definitions: a manifest keeps only their digest together


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a diff as plain data: a golden plan, or a finished run (`run` is its name) with what it gave."""

    name: str
    plan: dict[str, Any]
    run: str = ""
    manifest: Manifest | None = None


def side(text: str, here: Project) -> Side:
    """The side that a word of the command line names."""
    experiment, slash, run = text.partition("/")
    for folder in (Path(text), here.root / artifact_path(experiment, run)) if slash else ():
        if (folder / MANIFEST).is_file():
            return finished(text, read_manifest(folder / MANIFEST))
    revision, colon, experiment = text.rpartition(":")
    if colon:
        return Side(text, _kept(revision, experiment, here.root))
    if "/" in text and not text.endswith(".yaml"):
        raise SpecError(f"{text} is no finished run (no {MANIFEST} there), nor an experiment, nor REVISION:EXPERIMENT")
    return Side(text, golden(here.plan(text)))


def finished(name: str, manifest: Manifest) -> Side:
    """A finished run as a plan of that run alone."""
    experiment, _, run = manifest.run.partition("/")
    inputs = {
        ref: {f"{item.run.partition('/')[2]}@{item.output}": item.recipe for item in records}
        for ref, records in manifest.inputs.items()
    }
    entry = {"recipe": manifest.recipe, "code": {"digest": manifest.code}, "stage": manifest.stage}
    return Side(name, alone(experiment, run, entry, inputs), run, manifest)


def alone(experiment: str, run: str, entry: dict[str, Any], inputs: dict[str, dict[str, str]]) -> dict[str, Any]:
    """A golden plan of one run, and of its inputs as far as their recipes go."""
    needs = {name.rpartition("@")[0]: recipe for names in inputs.values() for name, recipe in names.items()}
    code = code_in_recipe(entry)
    runs = {need: _bare(recipe) for need, recipe in needs.items()}
    own = {
        **entry,
        "code": {"digest": code, "definitions": {ALONE: code}},
        "inputs": {ref: list(names) for ref, names in inputs.items()},
    }
    return {"format": 1, "experiment": experiment, "runs": {**runs, run: own}}


def _bare(recipe: str) -> dict[str, Any]:
    return {"recipe": recipe, "code": {"digest": "", "definitions": {}}, "inputs": {}, "stage": {}}


def narrowed(whole: Side, run: str) -> Side:
    """Of a plan only one run, to be compared with a finished one; SpecError when it has no such run."""
    runs = whole.plan["runs"]
    if run not in runs:
        raise SpecError(f"{whole.name} has no run {run!r}; it has {', '.join(runs)}{did_you_mean(run, runs)}")
    entry = runs[run]
    inputs = {
        ref: {name: runs[name.rpartition("@")[0]]["recipe"] for name in names} for ref, names in entry["inputs"].items()
    }
    return Side(f"{whole.name}, {run}", alone(whole.plan["experiment"], run, entry, inputs), run)


def _kept(revision: str, experiment: str, root: Path) -> dict[str, Any]:
    """The golden plan that a git revision keeps: it is compared as it is, never compiled again."""
    prefix = _git(root, "rev-parse", "--show-prefix").strip()
    commit = commit_of(root, revision)
    names = _git(root, "ls-tree", "-r", "--name-only", "--full-tree", commit, f"{prefix}specs/").splitlines()
    kept = {Path(name).name.removesuffix(".plan.json"): name for name in names if name.endswith(".plan.json")}
    wanted = experiment.rpartition("/")[2].removesuffix(".yaml")
    if wanted not in kept:
        known = ", ".join(kept) or "none; was it compiled and committed there?"
        raise SpecError(f"{revision} keeps no plan of {wanted!r}; it keeps {known}{did_you_mean(wanted, kept)}")
    return plan_in(_git(root, "show", f"{commit}:{kept[wanted]}"), f"{revision}:{kept[wanted]}")


def plan_in(text: str, where: str) -> dict[str, Any]:
    """The golden plan that a text is; SpecError says where one that is none lies."""
    try:
        plan: Any = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{where} is no JSON: {error}") from error
    match plan:
        case {"format": 1, "runs": dict()}:
            return dict(plan)
        case {"format": found}:
            raise SpecError(f"{where} has format {found!r}; this engine reads format 1")
        case _:
            raise SpecError(f"{where} is no golden plan")


def commit_of(root: Path, revision: str) -> str:
    """The commit that a revision names; SpecError where there is none."""
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").strip()
    except SpecError as error:
        if not _git(root, "for-each-ref", "--count=1", "refs/heads", "refs/remotes").strip():
            raise SpecError(f"no revision {revision!r}: the git repository of {root} has no commits yet") from error
        raise SpecError(f"no revision {revision!r} in the git repository of {root}; see: git log --oneline") from error


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise SpecError("git is not installed, and a revision is asked of it") from error
    if done.returncode:
        raise SpecError(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
