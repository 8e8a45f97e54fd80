"""Faulty specs, one a file in cases/faults: its `#!` lines are all the problems it has, in order, with their places.

`#! 7:10 stages.rows.mix: expected a mapping` stands for that line and column, that path, and a message that starts so;
a problem in another file starts with that file's name.
"""

import re
from pathlib import Path

import pytest

from engine.experiment import Experiment
from engine.spec.errors import Problem, SpecError
from engine.spec.load import load

CASES = Path(__file__).parent / "cases"
FAULTS = sorted(path for path in (CASES / "faults").glob("*.yaml") if "#!" in path.read_text())
EXPECTED = re.compile(
    r"^#! (?:(?P<file>\S+\.yaml):)?(?P<line>\d+):(?P<column>\d+) (?P<path>.*?): (?P<message>.*)$", re.M
)


def problems(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        load(path, Experiment, CASES)
    return caught.value.problems


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_every_problem_is_told_once_with_its_place(path: Path) -> None:
    expected = list(EXPECTED.finditer(path.read_text()))
    found = problems(path)
    places = [(e["file"] or path.name, int(e["line"]), int(e["column"]), e["path"].strip()) for e in expected]
    assert [(Path(p.file).name, p.line, p.column, p.path) for p in found] == places
    for problem, wanted in zip(found, expected, strict=True):
        assert problem.message.startswith(wanted["message"])
