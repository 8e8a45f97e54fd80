"""A copy of the engine that a test edits, and the toy project that the copy compiles."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SPEC = Path("specs") / "toy" / "toy.yaml"


@dataclass(frozen=True)
class Runs:
    """The compiled toy: by run its recipe, and the definitions that its code digest covers."""

    recipes: Mapping[str, str]
    definitions: Mapping[str, frozenset[str]]

    def moved(self, before: "Runs") -> set[str]:
        """The runs whose recipes are others than before."""
        return {run for run, recipe in self.recipes.items() if recipe != before.recipes[run]}


@dataclass(frozen=True)
class Copy:
    """The root holds `engine/`, the project is beside it."""

    root: Path
    project: Path

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces the first place of a text that must be there."""
        path = self.root / "engine" / file
        text = path.read_text()
        assert old in text, f"engine/{file} no longer holds {old!r}; choose other text to edit"
        path.write_text(text.replace(old, new, 1))

    def add(self, file: str, text: str) -> None:
        """A new file of the engine."""
        path = self.root / "engine" / file
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def imports(self, file: str, *lines: str) -> None:
        """New imports in front of the first of the engine's own."""
        self.edit(file, "\nfrom engine.", "".join(f"\n{line}" for line in lines) + "\nfrom engine.")

    def arm(self, file: str, known: str, head: str, body: str) -> None:
        """A new `case` in front of every one of a known pattern."""
        path = self.root / "engine" / file
        lines = []
        for line in path.read_text().splitlines():
            depth = line[: len(line) - len(line.lstrip())]
            if line.lstrip() == f"case {known}:":
                lines += [f"{depth}case {head}:", f"{depth}    {body}"]
            lines.append(line)
        assert any(f"case {head}:" in line for line in lines), f"engine/{file} matches no {known}"
        path.write_text("\n".join(lines) + "\n")

    def also(self, experiment: str, *changes: tuple[str, str]) -> None:
        """A second experiment: the toy with other text."""
        text = (self.project / SPEC).read_text()
        for old, new in (("experiment: toy", f"experiment: {experiment}"), *changes):
            assert old in text, f"the toy no longer holds {old!r}"
            text = text.replace(old, new)
        (self.project / SPEC).with_name(f"{experiment}.yaml").write_text(text)

    def compile(self, experiment: str = "toy") -> Runs:
        """`facsimile compile` by the copy, in a process of its own."""
        command = [sys.executable, "-m", "engine", "compile"]
        environment = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=self.project, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return self.compiled(experiment)

    def compiled(self, experiment: str) -> Runs:
        """What the last compile wrote."""
        runs = json.loads((self.project / SPEC).with_name(f"{experiment}.plan.json").read_text())["runs"]
        return Runs(
            {name: run["recipe"] for name, run in runs.items()},
            {name: frozenset(run["code"]["definitions"]) for name, run in runs.items()},
        )


def copied(engine: Path, toy: Path, folder: Path) -> Copy:
    """A copy of an engine with its compiled files, and of the toy."""
    shutil.copytree(engine, folder / "root" / "engine")
    shutil.copytree(toy, folder / "project")
    return Copy(folder / "root", folder / "project")
