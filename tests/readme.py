"""The stories of README.md as commands with their real output: parsed, run again, compared, renewed.

`python tests/readme.py` runs every story in a scratch clone of this project, builds what they need, and writes the
output back into README.md.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
_STORY = re.compile(r"<!-- story(?P<needs>: trained)? -->\n```console\n(?P<body>.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Story:
    """One block of README.md: commands with the output that stands below each."""

    needs_training: bool
    commands: tuple[tuple[str, str], ...]
    begin: int
    end: int


def stories(text: str) -> Iterator[Story]:
    """Every block that is marked as a story."""
    for found in _STORY.finditer(text):
        parts = re.split(r"^\$ (.*)\n", found["body"], flags=re.MULTILINE)[1:]
        commands = tuple(zip(parts[::2], parts[1::2], strict=True))
        yield Story(found["needs"] is not None, commands, found.start("body"), found.end("body"))


def clone(folder: Path) -> Path:
    """A clone of the checkout as it is now, with its downloads when there are some; nothing in it is built."""
    project = folder / "project"
    names = ("specs", "dvc.yaml", ".gitignore", "data/sources")
    for name in names:
        source, target = ROOT / name, project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        elif source.is_file():
            shutil.copy2(source, target)
    for command in (
        "git init -q",
        "git add -A",
        "git -c user.name=r -c user.email=r@r commit -qm clone",
        "dvc init -q",
    ):
        run(project, command)
    return project


def run(project: Path, command: str) -> str:
    """What a shell command prints in the project, less the word that a trace is a forecast where nothing is trained."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return "".join(line for line in done.stdout.splitlines(keepends=True) if not line.startswith("forecast: "))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        renew(clone(Path(folder)))


def renew(project: Path) -> None:
    """Writes what the commands print in a built project into README.md."""
    built = ROOT / "data" / "artifacts"
    if built.is_dir():  # spares the training; DVC takes what is there for built when its digests are those of the plan
        shutil.copytree(built, project / "data" / "artifacts")
    run(project, "dvc repro quickstart-claims")
    text = README.read_text()
    pieces, at = [], 0
    for story in stories(text):
        body = "".join(f"$ {command}\n{run(project, command)}" for command, _ in story.commands)
        pieces += [text[at : story.begin], body]
        at = story.end
    README.write_text("".join([*pieces, text[at:]]))


if __name__ == "__main__":
    main()
