"""`facsimile init DIR`: a new project with a first spec, its compiled files and CI, that uses the installed engine."""

import argparse
import json
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path

import engine
from engine.cli.answer import Answer
from engine.cli.project import Project
from engine.spec.errors import ArtifactError, SpecError

DISTRIBUTION = "facsimile-llm"  # `facsimile` on PyPI is somebody else's project
COPIES = {
    "specs/first/first.yaml": "specs/first/first.yaml",
    "gitignore": ".gitignore",
    "workflows/facsimile.yaml": ".github/workflows/facsimile.yaml",
    "README.md": "README.md",
}
LOCAL = "# The engine lies on this machine; name a place that others reach too."
COMMANDS = (
    ("git", "init", "--quiet"),
    ("dvc", "init", "--quiet"),
    ("dvc", "config", "core.analytics", "false"),
    ("git", "add", "--all"),
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder that does not exist yet, or is empty")


def answer(args: argparse.Namespace) -> Answer:
    root = args.folder.resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        state = "is there already and not empty" if root.is_dir() else "is a file"
        raise SpecError(f"{args.folder} {state}; name a new folder")
    try:
        written = write_project(root)
    except OSError as error:
        raise ArtifactError(f"{args.folder} cannot be made: {error.filename}: {error.strerror}") from error
    left = start(root)
    lines = [f"made {args.folder}", *(f"  {name}" for name in written), *(f"not done: {text}" for text in left)]
    data = {"folder": str(root), "files": written, "not_done": left}
    return Answer("\n".join([*lines, f"next: cd {args.folder}, then as README.md says"]), data)


def write_project(root: Path) -> list[str]:
    """The files of a new project, compiled; their names."""
    templates = files("engine.cli") / "templates"
    texts = {root / target: templates.joinpath(source).read_text(encoding="utf-8") for source, target in COPIES.items()}
    texts[root / "requirements.txt"] = requirement()
    for path, text in texts.items():
        _write(path, text)
    here = Project(root)
    made = here.generated(here.plans())
    for path, text in made.items():
        _write(path, text)
    return sorted(str(path.relative_to(root)) for path in (*texts, *made))


def requirement() -> str:
    """The line that installs this very engine elsewhere, from where it was installed here (PEP 610)."""
    checkout = Path(engine.__file__).resolve().parent.parent
    try:
        found = distribution(DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        found = None
    match json.loads(found or "{}"):
        case {"url": str(url), "vcs_info": {"vcs": str(vcs), "commit_id": str(commit)}}:
            return f"{DISTRIBUTION}[train] @ {vcs}+{url}@{commit}\n"
        case {"url": str(url)}:
            return f"{LOCAL}\n{DISTRIBUTION}[train] @ {url}\n"
        case _ if (checkout / "pyproject.toml").is_file():  # run from a checkout that was not installed
            return f"{LOCAL}\n{DISTRIBUTION}[train] @ {checkout.as_uri()}\n"
        case _:
            return f"{DISTRIBUTION}[train]=={engine.__version__}\n"


def start(root: Path) -> list[str]:
    """Makes the project a git repository that DVC works in; what could not be done, with the reason."""
    left = []
    for command in COMMANDS:
        problem = _run(root, command)
        if problem:
            left.append(f"{' '.join(command)} ({problem})")
    return left


def _run(root: Path, command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{command[0]} is not installed"
    return "" if done.returncode == 0 else done.stderr.strip() or f"it ended with code {done.returncode}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
