"""A toy project driven as people drive it: git, dvc and facsimile as processes, held or killed at a chosen moment."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOLDER = ROOT / "tests" / "hold"
PATIENCE_SECONDS = 120
DATA_STAGES = ("corpus", "clean", "unique", "split", "tokenizer", "rows")
STAGES = (*DATA_STAGES, "train", "resumed", "perplexity", "claims")

Process = subprocess.Popen[str]
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Project:
    """A project folder and the commands that people type in it."""

    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "specs" / "toy" / "toy.yaml"

    def artifact(self, stage: str) -> Path:
        return self.root / "data" / "artifacts" / "toy" / stage

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces the first `old` in a file of the project; it must be there."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    def remove(self, stage: str) -> None:
        """Takes away the artifact of a stage."""
        shutil.rmtree(self.artifact(stage))

    def copy(self, to: Path) -> "Project":
        shutil.copytree(self.root, to, symlinks=True)
        return Project(to)

    def facsimile(self, *words: str, code: int = 0, **environment: str) -> str:
        return self.said([sys.executable, "-m", "engine", *words], code, environment)

    def dvc(self, *words: str, code: int = 0, **environment: str) -> str:
        return self.said(["dvc", *words], code, environment)

    def build(self, stage: str, code: int = 0, **environment: str) -> str:
        """One stage, by the command in dvc.yaml."""
        return self.said(self.command(stage), code, environment)

    def said(self, command: list[str], code: int, environment: dict[str, str]) -> str:
        """What a command prints, on either stream; it must end with this code."""
        done = self.run(command, **environment)
        assert done.returncode == code, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def run(self, command: list[str], **environment: str) -> Done:
        env = surroundings(self.root) | environment
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=False)

    def command(self, stage: str) -> list[str]:
        """What dvc.yaml says for a stage."""
        lines = (self.root / "dvc.yaml").read_text(encoding="utf-8").splitlines()
        words = next(line for line in lines if f" run toy {stage} " in line).split()[2:]
        return [sys.executable, "-m", "engine", *words]

    def manifests(self, *stages: str) -> dict[str, bytes]:
        """The manifest of every run, or of some; it holds the digests of all that was built."""
        return {stage: (self.artifact(stage) / "manifest.json").read_bytes() for stage in stages or STAGES}

    def files(self) -> list[str]:
        """Every file below data/, hidden ones too."""
        return sorted(str(path.relative_to(self.root)) for path in (self.root / "data").rglob("*") if path.is_file())

    def processes(self) -> list[str]:
        """Command lines of processes that work in this project."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                here = (folder / "cwd").readlink()
            except OSError:
                continue
            if words and (str(self.root) in words or here == self.root):
                found.append(words)
        return found

    def is_left_alone(self) -> bool:
        """Whether no process works here any more; waits a little for it."""
        return any(not self.processes() or time.sleep(0.05) for _ in range(400))


def surroundings(root: Path) -> dict[str, str]:
    """The environment of a person's shell: this engine, the commands beside this Python, no settings of dvc."""
    settings = root.parent / "dvc"
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(settings),
        "DVC_SITE_CACHE_DIR": str(settings),
    }


def new_project(folder: Path) -> Project:
    """The toy, compiled, under git and dvc; nothing is built."""
    shutil.copytree(ROOT / "tests" / "toy", folder)
    project = Project(folder)
    project.said(["git", "init", "--quiet"], 0, {})
    project.dvc("init", "--quiet")
    project.facsimile("compile")
    return project


def start(project: Project, command: list[str], **environment: str) -> Process:
    """A command in a process group of its own; what it says goes to a file, which `output` reads."""
    with output_file(project).open("wb") as sink:
        env = surroundings(project.root) | environment
        return subprocess.Popen(
            command, cwd=project.root, env=env, stdout=sink, stderr=sink, text=True, start_new_session=True
        )


def output_file(project: Project) -> Path:
    return project.root.parent / f"{project.root.name}.output"


def kill(process: Process) -> None:
    """kill -9 for the whole process group, as by the out-of-memory killer or a lost terminal."""
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@contextmanager
def held(project: Project, command: list[str], words: str, moment: int) -> Iterator[Process]:
    """The command, while the process below it whose command line has these words waits at a moment; leaving lets it go.

    A moment is the next call of fsync or the next rename, counted from the start of that process.
    """
    process, sign = start_holding(project, command, words, moment)
    try:
        assert reaches(process, sign / "held"), f"no moment {moment}:\n{output_of(project)}"
        yield process
        (sign / "go").touch()
        process.wait(PATIENCE_SECONDS)
    finally:
        if process.poll() is None:
            kill(process)


def killed(project: Project, command: list[str], words: str, moment: int) -> bool:
    """Runs the command and kills it at a moment of one of its processes; false when it ended well before."""
    process, sign = start_holding(project, command, words, moment)
    if not reaches(process, sign / "held"):
        assert process.wait() == 0, output_of(project)
        return False
    kill(process)
    assert project.is_left_alone(), project.processes()
    return True


def start_holding(project: Project, command: list[str], words: str, moment: int) -> tuple[Process, Path]:
    """Starts the command, and the folder in which the held process gives its sign and looks for ours."""
    sign = project.root.parent / f"{project.root.name}.hold"
    shutil.rmtree(sign, ignore_errors=True)
    sign.mkdir()
    paths = f"{HOLDER}{os.pathsep}{ROOT}"
    return start(project, command, PYTHONPATH=paths, FACSIMILE_HOLD=f"{words}|{moment}|{sign}"), sign


def reaches(process: Process, path: Path, lines: int = 0) -> bool:
    """Waits until a file is there and has so many lines; false when the process ends before."""
    for _ in range(PATIENCE_SECONDS * 500):
        if path.is_file() and path.read_bytes().count(b"\n") >= lines:
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    raise AssertionError(f"{path} was not written in {PATIENCE_SECONDS} seconds")


def output_of(project: Project) -> str:
    """What the process that was started last has said."""
    return output_file(project).read_text(encoding="utf-8")


def flip_bit(path: Path, place: float = 0.5) -> None:
    """Flips one bit, at this part of the file's length."""
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 4
    path.write_bytes(data)
