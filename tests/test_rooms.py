"""The rooms: who may import whom, what no vocabulary may import, and that an import does nothing."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import engine

ENGINE = Path(engine.__file__).parent
FILES = sorted(ENGINE.rglob("*.py"))

ORDER = (
    "spec",
    "artifacts",
    "kernels",
    "data",
    "models",
    "evaluate",
    "train",
    "experiment",
    "dispatch",
    "compile",
    "run",
    "report",
    "cli",
)
"""A room imports only itself and those before it."""

LIGHT = ("artifacts", "compile", "cli", "data", "report", "spec")
"""Rooms, besides every spec.py, that load without torch."""

SHAPELESS = {"utils", "common", "helpers", "misc", "core"}


def name_of(file: Path) -> str:
    parts = file.relative_to(ENGINE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room of `engine.data.pack` is `data`; that of `engine` itself, and its entry, is the last."""
    room = (*module.split("."), "cli")[1]
    return "cli" if room == "__main__" else room


def imported(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, local ones too."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)


def test_every_module_stands_in_a_known_room() -> None:
    assert {room_of(name_of(file)) for file in FILES} <= set(ORDER)


def test_a_room_imports_only_itself_and_earlier_rooms() -> None:
    wrong = [
        f"{file}:{line}: {name}"
        for file in FILES
        for line, name in imported(file)
        if name.startswith("engine.")
        and name != "engine.__version__"
        and ORDER.index(room_of(name)) > ORDER.index(room_of(name_of(file)))
    ]
    assert wrong == []


def test_no_file_has_a_name_that_says_nothing() -> None:
    shapeless = [file for file in FILES if file.stem in SHAPELESS or file.stem.startswith("base_")]
    assert shapeless == []


def test_the_first_line_of_a_file_says_its_idea() -> None:
    silent = []
    for file in FILES:
        text = file.read_text("utf-8")
        if text and not text.startswith(('"""', 'r"""')):
            silent.append(str(file))
    assert silent == []


def test_code_is_ascii() -> None:
    assert [str(file) for file in FILES if not file.read_bytes().isascii()] == []


def test_no_import_is_local_where_it_need_not_be() -> None:
    """Allowed in dispatch.py, cli/ and a room's run.py (start-up time), and for what the base install does not have."""
    own_sources = ".triton."  # our Triton programs import triton, which only the extra `gpu` brings
    optional = {"torch", "deepspeed", "transformers", "tokenizers", "sentencepiece", "safetensors", "unearth", "gguf"}
    optional |= {"distributed", "liger_kernel", "mamba_ssm"}
    one_choice = (
        "engine.data.tokenizers.",
        "engine.data.cleaning.",
        "engine.data.leaks.",
        "engine.data.readers.",
        "engine.data.mix.",
        "engine.data.sources.zstd",
    )  # a module for each, in its arm
    local = []
    for file in FILES:
        if file.stem == "run" or room_of(name_of(file)) in ("dispatch", "cli"):
            continue
        top = {node.lineno for node in ast.parse(file.read_bytes()).body}
        local += [
            f"{file}:{line}: {name}"
            for line, name in imported(file)
            if line not in top and name.split(".")[0] not in optional
            if not name.startswith(one_choice) and own_sources not in name
        ]
    assert local == []


PROBE = """
import importlib, socket, sys

def refuse(*_):
    raise AssertionError("an import reached for the network")

socket.socket.connect = refuse
for name in sys.argv[2:]:
    importlib.import_module(name)
assert sys.argv[1] == "heavy" or "torch" not in sys.modules, "torch"
"""


def test_vocabulary_and_light_rooms_load_without_torch() -> None:
    names = [name_of(file) for file in FILES]
    light = [name for name in names if name.endswith(".spec") or name.split(".")[1:2] in [[room] for room in LIGHT]]
    done = probe("light", *light, "engine.experiment", "engine.run")
    assert done.returncode == 0, done.stderr


def test_every_module_loads_and_does_nothing_else(tmp_path: Path) -> None:
    names = [name_of(file) for file in FILES if file.stem != "__main__"]
    done = probe("heavy", *names, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert list(tmp_path.iterdir()) == []


def probe(weight: str, *names: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Imports modules in a fresh process that may not open a connection; warnings are errors."""
    environment = {"PYTHONPATH": str(ENGINE.parent), "DS_ACCELERATOR": "cpu", "PATH": os.defpath}
    command = [sys.executable, "-W", "error", "-c", PROBE, weight, *names]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
