"""`facsimile init DIR`: a new project with a first spec, its compiled files and CI, that uses the installed engine."""

import argparse
import subprocess
from importlib.resources import files
from pathlib import Path

from engine import __version__
from engine.cli.answer import Answer
from engine.cli.project import Project
from engine.spec.errors import SpecError

COPIES = {
    "specs/first/first.yaml": "specs/first/first.yaml",
    "gitignore": ".gitignore",
    "workflows/facsimile.yaml": ".github/workflows/facsimile.yaml",
    "README.md": "README.md",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet, or is empty")


def answer(args: argparse.Namespace) -> Answer:
    root = args.folder.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise SpecError(f"{args.folder} is there already and not empty; name a new folder")
    templates = files("engine.cli") / "templates"
    for source, target in COPIES.items():
        _write(root / target, templates.joinpath(source).read_text())
    _write(root / "requirements.txt", f"facsimile=={__version__}\n")
    here = Project(root)
    for path, text in here.generated(here.plans()).items():
        _write(path, text)
    said = [_start(root, "git", "init", "--quiet"), _start(root, "dvc", "init", "--quiet")]
    if not said[1]:
        _start(root, "dvc", "config", "core.analytics", "false")
    written = sorted(
        str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() and not hidden(path, root)
    )
    text = "\n".join([f"made {args.folder}", *(f"  {name}" for name in written), *filter(None, said)])
    return Answer(f"{text}\nnext: cd {args.folder} && dvc repro", {"folder": str(root), "files": written})


def hidden(path: Path, root: Path) -> bool:
    """Whether a file belongs to git or DVC."""
    return path.relative_to(root).parts[0] in (".git", ".dvc")


def _start(root: Path, *command: str) -> str:
    """Runs a command in the new project; gives a line for the person when it could not."""
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"not done: {' '.join(command)} ({command[0]} is not installed)"
    return "" if done.returncode == 0 else f"not done: {' '.join(command)} ({done.stderr.strip()})"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
