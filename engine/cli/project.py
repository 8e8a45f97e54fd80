"""The project a verb works on: the nearest folder above the current one that has specs/."""

import argparse
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

import engine
from engine.artifacts.placement import Placement
from engine.compile.code import CodeIndex
from engine.compile.dvc import dvc_stage, dvc_yaml
from engine.compile.equivalence import FILE, Equivalences, load_equivalences
from engine.compile.launch import SUFFIX, sbatch
from engine.compile.plan import Plan, compile_spec, golden_text
from engine.spec.errors import Problem, SpecError
from engine.spec.layout import Layout
from engine.spec.nearest import did_you_mean

SPEC_DEPTH = 2  # <paper>/<experiment>.yaml
NOT_SPECS = ("dvc.yaml", "published.yaml")
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx|inproc)://[^\s/]\S*")
_EXPERIMENT = re.compile(r"""^(["']?)experiment\1\s*:""", re.MULTILINE)
_EXTENDS = re.compile(r"""^(["']?)extends\1\s*:\s*(["']?)(?P<base>[^"'#\r\n]+?)\2\s*(#.*)?\r?$""", re.MULTILINE)


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

    @cached_property
    def equivalences(self) -> Equivalences:
        """What is proven of the engine's code."""
        return load_equivalences(self.specs / FILE)

    def spec_files(self) -> list[Path]:
        """Every spec, sorted by path: a file that is not meant to be one must say so, by its name or as a base."""
        bases = self.bases
        return [
            path
            for path in self.yaml_files
            if path.parent.parent == self.specs
            and path.suffix == ".yaml"
            and path.name not in NOT_SPECS
            and (path not in bases or _EXPERIMENT.search(_text(path)))
        ]

    @cached_property
    def yaml_files(self) -> list[Path]:
        """Every file below specs/ that looks like YAML, hidden ones left out, sorted by path."""
        found = []
        for folder, inner, names in os.walk(self.specs):
            inner[:] = [name for name in inner if not name.startswith(".")]
            found += [
                Path(folder, name) for name in names if name.lower().endswith((".yaml", ".yml")) and name[0] != "."
            ]
        return sorted(found)

    @cached_property
    def bases(self) -> frozenset[Path]:
        """Files that another one extends, by a light look at its lines: a base that is missed is refused as a spec."""
        named = ((path, found["base"]) for path in self.yaml_files for found in _EXTENDS.finditer(_text(path)))
        return frozenset(Path(os.path.normpath(path.parent / base)) for path, base in named)

    def misplaced(self) -> list[Problem]:
        """YAML files below specs/ that nothing would read, whose author may think otherwise."""
        problems = []
        for path in self.yaml_files:
            depth = len(path.relative_to(self.specs).parts)
            if path.suffix != ".yaml":
                problems.append(Problem(f"is not read; name it {path.stem}.yaml", file=str(path)))
            elif depth < SPEC_DEPTH or (depth > SPEC_DEPTH and path not in self.bases):
                place = self.specs / "PAPER" / path.name
                problems.append(Problem(f"is not read; a spec lies at {place}, move it there", file=str(path)))
        return problems

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
        return compile_spec(self.spec_file(experiment), self.specs, self.code, self.equivalences)

    def plans(self) -> list[Plan]:
        """The plans of all specs; problems of all of them are reported together."""
        plans: list[Plan] = []
        problems = self.misplaced()
        for path in self.spec_files():
            try:
                plans.append(compile_spec(path, self.specs, self.code, self.equivalences))
            except SpecError as error:
                problems += error.problems
        problems += [*same_names(self.spec_files()), *same_stages(plans)]
        if problems:
            raise SpecError(*problems)
        return plans

    def generated(self, plans: list[Plan]) -> dict[Path, str]:
        """Every generated file with its text: golden plans, pipelines (larger runs have their own), launch scripts."""
        files = {plan.files[0].with_suffix(".plan.json"): golden_text(plan) for plan in plans}
        proxies = [plan for plan in plans if plan.experiment.scale == "proxy"]
        files[self.root / "dvc.yaml"] = dvc_yaml(proxies, self.root, self.root)
        for folder in sorted({plan.files[0].parent for plan in plans if plan not in proxies}):
            mine = [plan for plan in plans if plan not in proxies and plan.files[0].parent == folder]
            files[folder / "dvc.yaml"] = dvc_yaml(mine, self.root, folder)
            files |= {plan.files[0].with_suffix(SUFFIX): sbatch(plan, self.root) for plan in mine}
        return files


def same_names(paths: Iterable[Path]) -> Iterator[Problem]:
    """Experiments that stand twice: their artifacts would lie in one folder."""
    seen: dict[str, Path] = {}
    for path in paths:
        first = seen.setdefault(path.stem, path)
        if first != path:
            message = f"the experiment {path.stem!r} stands in {first} too; names are unique in a project, rename one"
            yield Problem(message, "experiment", str(path))


def same_stages(plans: Iterable[Plan]) -> Iterator[Problem]:
    """Stages whose names are equal in dvc.yaml: `a-b` of `c`, and `b-c` of `a`."""
    seen: dict[str, Plan] = {}
    for plan, stage in ((one, stage) for one in plans for stage in one.stages()):
        first = seen.setdefault(dvc_stage(plan.name, stage), plan)
        if first.name != plan.name:
            message = f"would be called {dvc_stage(plan.name, stage)} in dvc.yaml, as one of {first.name}; rename one"
            yield Problem(message, f"stages.{stage}", str(plan.files[0]))


def _text(path: Path) -> str:
    """Empty where it cannot be read: loading it will say why."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def project(args: argparse.Namespace) -> Project:
    """The project that `--project` names, or the nearest one above the current folder."""
    start = (args.project or Path.cwd()).resolve()
    folders = (start,) if args.project else (start, *start.parents)
    for folder in folders:
        if (folder / "specs").is_dir():
            return Project(folder)
    raise SpecError(f"no project at {start}: no specs/ folder here or above; `facsimile init DIR` makes one")


def placement(root: Path, artifacts: Path | None = None) -> Placement:
    """Where this run is placed, from the environment.

    FACSIMILE_MIRRORS: folders, ':' between. FACSIMILE_WORKERS: processes here. FACSIMILE_SCHEDULER: address of a dask
    scheduler, whose workers then do the work of data stages. FACSIMILE_PARTITION_ROWS: most documents in a piece of it.
    FACSIMILE_LAYOUT: of training stages under `regroup`, as `world=2,zero=1`.
    """
    mirrors = tuple(Path(text).resolve() for text in os.environ.get("FACSIMILE_MIRRORS", "").split(":") if text)
    scheduler = os.environ.get("FACSIMILE_SCHEDULER", "")
    if scheduler and not _ADDRESS.fullmatch(scheduler):
        example = "tcp://scheduler:8786"
        raise SpecError(f"FACSIMILE_SCHEDULER={scheduler!r}: write the address of a dask scheduler, as {example}")
    return Placement(
        root=root,
        artifacts=artifacts or root / "data" / "artifacts",
        sources=root / "data" / "sources",
        results=None if artifacts else root / "data" / "results",
        mirrors=mirrors,
        workers=_count("FACSIMILE_WORKERS") or 1,
        executor="dask" if scheduler else "process",
        scheduler=scheduler,
        partition_rows=_count("FACSIMILE_PARTITION_ROWS"),
        layout=_layout("FACSIMILE_LAYOUT"),
    )


def _layout(variable: str) -> Layout | None:
    """None where the variable is not set, or empty."""
    text = os.environ.get(variable, "")
    words = [word.partition("=") for word in text.split(",") if word]
    values = {name: int(value) if value.isascii() and value.isdecimal() else value for name, _, value in words}
    try:
        return Layout.model_validate(values) if values else None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        fields = ", ".join(Layout.model_fields)
        raise SpecError(
            f"{variable}={text!r}: {where}: {first['msg']}; write for instance world=2,zero=1 (there are {fields})"
        ) from error


def _count(variable: str) -> int | None:
    """None where the variable is not set."""
    text = os.environ.get(variable)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise SpecError(f"{variable}={text!r}: write a whole number from 1")
    return int(text)
