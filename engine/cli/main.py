"""The console script: chooses a verb, prints its answer as text or JSON, and turns errors into exit codes."""

import argparse
import errno
import importlib
import io
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn, Protocol, cast

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
    "bisect": "the first step, then the first tensor, at which two training runs differ",
    "run": "build one stage (DVC calls this)",
    "record": "write the digests just built as the recorded ones, for this toolchain",
    "verify": "rebuild in a scratch folder and say equal or not, stage by stage or a piece of a run",
    "equate": "prove that two versions of the code give equal bits, so that recipes stay",
    "audit": "re-hash an artifact and its whole lineage, down to the raw sources",
    "lineage": "the graph of what an artifact was made from",
    "trace": "tokens of a step to documents, or a document to its steps and checkpoints",
    "why": "where a document went: what kept it, what dropped it, what stands for it",
    "licences": "licences of all that a checkpoint saw, in tokens and documents",
    "croissant": "a Croissant description of a corpus, for publishing it",
    "claims": "verdicts of the claims of all experiments",
    "export": "a checkpoint for other people's tools",
}
EXTRAS = {
    **dict.fromkeys(("datasets", "deepspeed", "dvc", "safetensors", "sentencepiece"), "train"),
    **dict.fromkeys(("tokenizers", "torch", "transformers"), "train"),
    **dict.fromkeys(("fastwarc", "ftfy", "numba", "py3langid", "resiliparse", "zstandard"), "data"),
    "lm_eval": "eval",
    "gguf": "import",
}  # libraries that only some verbs and stages need, by the extra in pyproject.toml that brings them
FINE, FAILED, USER_ERROR, OUR_FAULT = 0, 1, 2, 3
INTERRUPTED = 130  # as shells say it
DISK_TROUBLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
}  # a missing file is not among them: who needs one says so in better words, or it is our fault


class Verb(Protocol):
    """What a verb's module offers."""

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def answer(self, args: argparse.Namespace) -> Answer: ...


class Parser(argparse.ArgumentParser):
    """Refuses by SpecError, so that a wrong argument too is told as text or as JSON; no abbreviated flags."""

    def error(self, message: str) -> NoReturn:
        raise SpecError(f"{message}; see: {self.prog} --help")

    def words(self, words: Sequence[str]) -> argparse.Namespace:
        """The parsed words; the first unknown one is told with the nearest flag."""
        args, unknown = self.parse_known_args(words)
        if unknown:
            flags = re.findall(r"--[a-z]+", self.format_usage())
            self.error(f"unknown argument {unknown[0]!r}{did_you_mean(unknown[0], flags)}")
        return args


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; 0 fine, 1 the check failed, 2 the user's error, 3 our fault."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that has not all letters
    if not words or words[0] in ("-h", "--help"):
        _print(overview())
        return FINE if words else USER_ERROR
    if words[0] == "--version":
        _print(f"facsimile {__version__}")
        return FINE
    as_json = "--json" in words
    try:
        answer = _answer(words)
    except (SpecError, ArtifactError) as error:
        return _refuse(error, as_json)
    except ModuleNotFoundError as error:
        wanted = extra_of(error)
        return _refuse(wanted, as_json) if wanted else _fault(as_json)
    except OSError as error:
        return _fault(as_json) if error.errno not in DISK_TROUBLE else _refuse(_of_disk(error), as_json)
    except KeyboardInterrupt:
        print("interrupted; what was half-made does not count as built", file=sys.stderr)
        return INTERRUPTED
    except Exception:
        return _fault(as_json)
    _print(_json(answer.data) if as_json else answer.text.rstrip("\n"))
    return FINE if answer.passed else FAILED


def _answer(words: list[str]) -> Answer:
    name = words[0]
    if name not in VERBS:
        raise SpecError(f"no verb {name!r}; see: facsimile --help{did_you_mean(name, VERBS)}")
    verb = cast("Verb", importlib.import_module(f"engine.cli.{name}"))
    parser = Parser(prog=f"facsimile {name}", description=VERBS[name], allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    text = "the project folder (default: the nearest one above this folder)"
    parser.add_argument("--project", type=Path, metavar="DIR", help=text)
    verb.arguments(parser)
    return verb.answer(parser.words(words[1:]))


def _print(text: str) -> None:
    """Prints; a reader that has seen enough, such as `head`, is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _json(data: object) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False)


def _refuse(error: SpecError | ArtifactError, as_json: bool) -> int:
    problems = error.problems if isinstance(error, SpecError) else (Problem(str(error)),)
    if as_json:
        _print(_json({"error": type(error).__name__, "problems": [asdict(problem) for problem in problems]}))
    else:
        count = f"{len(problems)} problems:\n" if len(problems) > 1 else ""
        print(f"error: {count}{error}", file=sys.stderr)
    return USER_ERROR if isinstance(error, SpecError) else FAILED


def extra_of(error: ModuleNotFoundError) -> SpecError | None:
    """What to install when a library of an extra is not there; None for any other module."""
    library = (error.name or "").partition(".")[0]
    if library not in EXTRAS:
        return None
    extra = EXTRAS[library]
    return SpecError(
        f"{library} is not installed; this needs the extra `{extra}`: in the checkout of the engine, "
        f'pip install -e ".[{extra}]" (elsewhere: pip install "facsimile-llm[{extra}] @ URL")'
    )


def _of_disk(error: OSError) -> ArtifactError:
    """A file that the system would not let us read or write."""
    where = f"{error.filename}: " if error.filename else ""
    return ArtifactError(f"{where}{error.strerror}; mend that, then run the same command again")


def _fault(as_json: bool) -> int:
    traceback.print_exc()
    text = "This is a fault of the engine, not of your spec; please report it with the text above."
    print(f"\n{text}", file=sys.stderr)
    if as_json:
        _print(_json({"error": "Fault", "problems": [asdict(Problem(text))]}))
    return OUR_FAULT


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
