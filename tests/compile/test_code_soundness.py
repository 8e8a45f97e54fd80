"""All that works for a stage is in its code digest: the toy is built while every call into the engine is noted.

A definition that works without being covered could change a result and leave its recipe as it is. Excepted is only
what the code digest declares to be outside, with what that reaches.
"""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

import engine
from engine.artifacts.environment import closed_environment
from engine.compile.code import OUTSIDE, CodeIndex, is_outside
from engine.compile.plan import Plan, PlannedRun, compile_spec
from engine.compile.source import MAIN, TOP, Module
from engine.spec.numerics import Numerics
from tests.conftest import ROOT, TOY

ENGINE = Path(engine.__file__).parent
INDEX = CodeIndex(ENGINE)
RUNS = ("corpus", "clean", "unique", "split", "tokenizer", "rows", "train", "perplexity", "claims")

Calls = Mapping[str, list[tuple[str, str, int]]]  # by run: file, qualified name, first line


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy without its second training run, and with a claim on a metric."""
    root = tmp_path_factory.mktemp("soundness") / "project"
    shutil.copytree(TOY, root)
    spec = root / "specs" / "toy" / "toy.yaml"
    text = spec.read_text()
    resumed, after = text.index("  resumed:\n"), text.index("  perplexity:\n")
    text = (text[:resumed] + text[after:]).replace("right: resumed@final", "right: train@step-6")
    metric = "{of: train@log, key: final_loss}"
    spec.write_text(
        f"{text}  - id: steady\n    class: invariant\n    says: a loss is at most twice itself\n"
        f"    check: {{kind: at_most, left: {metric}, factor: 2.0, right: {metric}}}\n"
    )
    return root


@pytest.fixture(scope="module")
def plan(project: Path) -> Plan:
    """The compiled toy."""
    specs = project / "specs"
    return compile_spec(specs / "toy" / "toy.yaml", specs, INDEX)


@pytest.fixture(scope="module")
def calls(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """What was called for each run."""
    folder = tmp_path_factory.mktemp("calls")
    environment = closed_environment(Numerics(), {"PYTHONPATH": str(ROOT)})
    command = [sys.executable, "-m", "tests.compile.tracing", str(project), str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[tuple[str, str, int]]] = {}
    for report in sorted(folder.glob("*.json")):
        found.setdefault(report.name.partition(".")[0], []).extend(map(tuple, json.loads(report.read_text())))
    return found


def test_every_kind_of_stage_is_built(plan: Plan, calls: Calls) -> None:
    assert tuple(plan.runs) == RUNS
    assert set(calls) == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_what_works_for_a_stage_is_covered_by_its_code_digest(name: str, plan: Plan, calls: Calls) -> None:
    covered = plan.runs[name].code.definitions.keys() | beneath_outside(plan.runs[name])
    within = [call for call in calls[name] if not is_outside(module_of(call[0]), (definition(*call),))]
    assert len(within) > 20
    assert {
        f"{file}:{line} {called}" for file, called, line in within if not units(file, called, line) & covered
    } == set()


def test_an_import_has_no_effect() -> None:
    """Or else what a module does when it is imported would have to be followed, too.

    But for gradients of an op, which torch keeps by the op's name: they are told to it where the op is defined.
    """
    for file in sorted(ENGINE.rglob("*.py")):
        if not is_outside(module_of(str(file))):
            told = [ast.unparse(statement) for statement in module_of(str(file)).statements[TOP]]
            told = [text for text in told if not text.startswith("if TYPE_CHECKING:")]
            assert [text for text in told if ".register_autograd(" not in text] == [], f"{file} does more than bind"


def test_ops_that_are_not_chosen_are_no_code(plan: Plan) -> None:
    names = [name for run in plan.runs.values() for name in run.code.definitions]
    assert [name for name in names if ".native" in name or "chunked" in name or "triton" in name] == []


def beneath_outside(run: PlannedRun) -> set[str]:
    """What those functions reach for a stage that are declared to be outside."""
    found: set[str] = set()
    for *path, name in (out.split(".") for out in OUTSIDE):
        module = INDEX.module(("engine", *path))
        if module is not None and name in module.statements:
            found |= INDEX.reach((".".join(module.name), name), run.stage).definitions.keys()
    return found


def units(file: str, called: str, line: int) -> set[str]:
    """How the code digest may name what was called: by the definition round it, or as a method of a spec."""
    module = ".".join(module_of(file).name)
    method = ".".join(called.split(".")[:2])
    return {f"{module}.{definition(file, called, line)}", f"{module}.{method}"}


def definition(file: str, _called: str, line: int) -> str:
    """The name that the module binds by the statement round a line; MAIN for what it does when it is run."""
    for name, statements in module_of(file).statements.items():
        for statement in statements:
            if first_line(statement) <= line <= (statement.end_lineno or 0):
                return name
    assert line == 1, f"{file}:{line} stands in no definition"
    return MAIN


def first_line(statement: ast.stmt) -> int:
    """A decorator comes before its function, and code objects begin there."""
    match statement:
        case ast.FunctionDef() | ast.ClassDef():
            return min([statement.lineno, *(decorator.lineno for decorator in statement.decorator_list)])
        case _:
            return statement.lineno


@cache
def module_of(file: str) -> Module:
    """The module of a file of the engine."""
    path = Path(file).relative_to(ENGINE.parent).with_suffix("")
    return Module(path.parent.parts if path.name == "__init__" else path.parts, Path(file))
