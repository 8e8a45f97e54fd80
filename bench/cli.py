"""Start-up and planning: `--help`, `compile` of this project, `plan` and `diff` of 200 stages, beside a bare Python."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = """format: 1
experiment: wide
paper: wide
determinism: repeat
stages:
  corpus:
    kind: ingest
    sources:
      - kind: file
        name: text
        domain: text
        path: text.txt
        sha256: {zeros}
        licence: none
        format: {{kind: text, unit: line}}
"""
STAGE = """  clean-{n}:
    kind: clean
    documents: {above}@documents
    steps:
      - {{kind: nfc}}
      - {{kind: least_chars, chars: {chars}}}
"""


def project(root: Path, stages: int) -> None:
    """A project with one experiment that is a chain of stages, committed to git so that a revision can be diffed."""
    folder = root / "specs" / "wide"
    folder.mkdir(parents=True)
    write(folder, stages, chars=40)
    run(root, "compile")
    for words in (("init", "-q"), ("add", "-A"), ("-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "b")):
        subprocess.run(["git", *words], cwd=root, check=True)
    write(folder, stages, chars=41)


def write(folder: Path, stages: int, chars: int) -> None:
    """The spec file of the chain."""
    text = HEAD.format(zeros="a" * 64)
    for n in range(1, stages):
        text += STAGE.format(n=n, above="corpus" if n == 1 else f"clean-{n - 1}", chars=chars)
    (folder / "wide.yaml").write_text(text)


def run(root: Path, *words: str) -> float:
    """Seconds of one `facsimile` process."""
    return seconds(root, [sys.executable, "-m", "engine", *words])


def seconds(root: Path, command: list[str]) -> float:
    """Seconds of one process, with this checkout's engine."""
    began = time.perf_counter()
    subprocess.run(
        command, cwd=root, check=False, capture_output=True, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    )
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder)
        project(wide, 200)
        cases = {
            "python -c pass": lambda: seconds(ROOT, [sys.executable, "-c", "pass"]),
            "facsimile --help": lambda: run(ROOT, "--help"),
            "facsimile compile --check (this project)": lambda: run(ROOT, "compile", "--check"),
            "facsimile plan (200 stages)": lambda: run(wide, "plan", "wide"),
            "facsimile diff HEAD:wide wide (200 stages)": lambda: run(wide, "diff", "HEAD:wide", "wide"),
        }
        bare = statistics.median(cases["python -c pass"]() for _ in range(5))
        for name, call in cases.items():
            took = statistics.median(call() for _ in range(5))
            print(f"{name:<44} {took:6.3f} s  {took / bare:5.1f} x bare python")


if __name__ == "__main__":
    main()
