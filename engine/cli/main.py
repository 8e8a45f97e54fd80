"""The console script: chooses a verb, prints its answer as text or JSON, and turns errors into exit codes."""

import argparse
import importlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from engine import __version__
from engine.cli.answer import Answer
from engine.spec.errors import ArtifactError, Problem, SpecError
from engine.spec.nearest import did_you_mean

VERBS = {
    "init": "a new project that uses the installed engine",
    "compile": "compile every spec; write or check golden plans and dvc.yaml",
    "plan": "what would run and why; parameters, FLOPs, memory, the DeepSpeed JSON",
    "explain": "which file and line set a value",
    "schema": "JSON Schema of specs, for editors",
    "diff": "what changed between two specs, revisions or runs, and what will rebuild",
    "run": "build one stage (DVC calls this)",
    "record": "write the digests just built as the recorded ones, for this toolchain",
    "verify": "rebuild in a scratch folder and say equal or not, stage by stage",
    "audit": "re-hash an artifact and its whole lineage, down to the raw sources",
    "lineage": "the graph of what an artifact was made from",
    "trace": "tokens of a step to documents, or a document to its steps",
    "claims": "verdicts of the claims of all experiments",
    "export": "a checkpoint for other people's tools",
}
FINE, FAILED, USER_ERROR, OUR_FAULT = 0, 1, 2, 3


class Verb(Protocol):
    """What a verb's module offers."""

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def answer(self, args: argparse.Namespace) -> Answer: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; 0 fine, 1 the check failed, 2 the user's error, 3 our fault."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return FINE if words else USER_ERROR
    if words[0] == "--version":
        print(f"facsimile {__version__}")
        return FINE
    as_json = "--json" in words
    if words[0] not in VERBS:
        return _say(SpecError(f"no verb {words[0]!r}; see facsimile --help{did_you_mean(words[0], VERBS)}"), as_json)
    return _run_verb(words[0], words[1:], as_json)


def _run_verb(name: str, words: list[str], as_json: bool) -> int:
    verb = cast("Verb", importlib.import_module(f"engine.cli.{name}"))
    parser = argparse.ArgumentParser(prog=f"facsimile {name}", description=VERBS[name])
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--project", type=Path, help="the project folder (default: the nearest one above this folder)")
    verb.arguments(parser)
    args = parser.parse_args(words)
    try:
        answer = verb.answer(args)
        print(json.dumps(answer.data, indent=1, ensure_ascii=False) if as_json else answer.text)
        sys.stdout.flush()
    except (SpecError, ArtifactError) as error:
        return _say(error, as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except KeyboardInterrupt:
        print("interrupted; what is finished stays, the rest is taken up again", file=sys.stderr)
        return 130
    except Exception:
        traceback.print_exc()
        print(
            "\nThis is a fault of the engine, not of your spec; please report it with the text above.", file=sys.stderr
        )
        return OUR_FAULT
    return FINE if answer.passed else FAILED


def _say(error: SpecError | ArtifactError, as_json: bool) -> int:
    problems = error.problems if isinstance(error, SpecError) else (Problem(str(error)),)
    if as_json:
        rows = [
            {"message": p.message, "path": p.path, "file": p.file, "line": p.line, "column": p.column} for p in problems
        ]
        print(json.dumps({"error": type(error).__name__, "problems": rows}, indent=1, ensure_ascii=False))
    else:
        count = f"{len(problems)} problems:\n" if len(problems) > 1 else ""
        print(f"error: {count}{error}", file=sys.stderr)
    return USER_ERROR if isinstance(error, SpecError) else FAILED


def overview() -> str:
    """The text of `facsimile --help`."""
    width = max(map(len, VERBS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, text in VERBS.items())
    return (
        "facsimile: from one spec to a bit-exact rebuild\n\n"
        f"usage: facsimile VERB [--json] [--project DIR] ...\n\n{rows}\n\n"
        "facsimile VERB --help tells the arguments of a verb.\n"
        "EXPERIMENT is a name or the path of a spec, RUN is experiment/stage, ARTIFACT is experiment/stage@output.\n"
        "Exit codes: 0 fine, 1 a check failed, 2 your error, 3 our fault."
    )
