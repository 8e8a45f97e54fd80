"""The project a verb works on: the nearest folder above the current one that has specs/."""

import argparse
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import engine
from engine.artifacts.placement import Placement
from engine.compile.code import CodeIndex
from engine.compile.dvc import dvc_yaml
from engine.compile.plan import Plan, compile_spec, golden_text
from engine.spec.errors import Problem, SpecError
from engine.spec.nearest import did_you_mean

_EXPERIMENT = re.compile(r"^experiment\s*:", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """A folder with specs/, and the plans compiled from them by the installed engine."""

    root: Path

    @property
    def specs(self) -> Path:
        return self.root / "specs"

    @cached_property
    def code(self) -> CodeIndex:
        return CodeIndex(Path(engine.__file__).parent)

    def spec_files(self) -> list[Path]:
        """Every spec: a YAML file with an `experiment` key, sorted by path."""
        found = sorted(path for path in self.specs.glob("*/*.yaml") if path.name != "dvc.yaml")
        return [path for path in found if _EXPERIMENT.search(path.read_text(encoding="utf-8", errors="replace"))]

    def spec_file(self, experiment: str) -> Path:
        """The spec with this name or path."""
        if experiment.endswith(".yaml"):
            path = Path(experiment).resolve()
            if path.is_file() and self.specs in path.parents:
                return path
            raise SpecError(f"{experiment}: no such spec below {self.specs}")
        found = sorted(self.specs.glob(f"*/{experiment}.yaml"))
        if len(found) == 1:
            return found[0]
        known = [path.stem for path in self.spec_files()]
        if found:
            raise SpecError(f"{experiment!r} stands in {', '.join(map(str, found))}; experiment names are unique")
        names = ", ".join(known) or "none"
        raise SpecError(
            f"no experiment {experiment!r} in {self.specs}; there are {names}{did_you_mean(experiment, known)}"
        )

    def plan(self, experiment: str) -> Plan:
        """The freshly compiled plan of an experiment."""
        return compile_spec(self.spec_file(experiment), self.specs, self.code)

    def plans(self) -> list[Plan]:
        """The plans of all specs; problems of all of them are reported together."""
        plans: list[Plan] = []
        problems: list[Problem] = []
        for path in self.spec_files():
            try:
                plans.append(compile_spec(path, self.specs, self.code))
            except SpecError as error:
                problems += error.problems
        if problems:
            raise SpecError(*problems)
        return plans

    def generated(self, plans: list[Plan]) -> dict[Path, str]:
        """Every generated file with its text: golden plans, the root dvc.yaml, one for each paper's larger runs."""
        files = {plan.files[0].with_suffix(".plan.json"): golden_text(plan) for plan in plans}
        proxies = [plan for plan in plans if plan.experiment.scale == "proxy"]
        files[self.root / "dvc.yaml"] = dvc_yaml(proxies, self.root, self.root)
        for folder in sorted({plan.files[0].parent for plan in plans if plan not in proxies}):
            mine = [plan for plan in plans if plan not in proxies and plan.files[0].parent == folder]
            files[folder / "dvc.yaml"] = dvc_yaml(mine, self.root, folder)
        return files


def project(args: argparse.Namespace) -> Project:
    """The project that `--project` names, or the nearest one above the current folder."""
    start = (args.project or Path.cwd()).resolve()
    folders = (start,) if args.project else (start, *start.parents)
    for folder in folders:
        if (folder / "specs").is_dir():
            return Project(folder)
    raise SpecError(f"no project at {start}: no specs/ folder here or above; `facsimile init DIR` makes one")


def placement(root: Path, artifacts: Path | None = None) -> Placement:
    """Where this run is placed, from FACSIMILE_MIRRORS (folders, ':' between) and FACSIMILE_WORKERS."""
    mirrors = tuple(Path(text).resolve() for text in os.environ.get("FACSIMILE_MIRRORS", "").split(":") if text)
    workers = os.environ.get("FACSIMILE_WORKERS", "1")
    if not workers.isdecimal() or int(workers) < 1:
        raise SpecError(f"FACSIMILE_WORKERS={workers!r}: write a whole number from 1")
    return Placement(
        root=root,
        artifacts=artifacts or root / "data" / "artifacts",
        sources=root / "data" / "sources",
        results=None if artifacts else root / "data" / "results",
        mirrors=mirrors,
        workers=int(workers),
    )
