"""README.md is current: its stories print what stands there, its verbs are those of the command line."""

from pathlib import Path

import pytest

from engine.cli.main import VERBS
from tests.readme import README, clone, run, stories


def test_every_verb_is_in_the_table() -> None:
    text = README.read_text()
    assert all(f"| `{verb}` | {about} |" in text for verb, about in VERBS.items())


def test_the_stories_on_data_print_what_the_readme_says(tmp_path: Path) -> None:
    project = clone(tmp_path)
    run(project, "dvc repro quickstart-rows")
    for story in stories(README.read_text()):
        if not story.needs_training:
            for command, output in story.commands:
                assert run(project, command) == output, command


@pytest.mark.slow
def test_all_stories_print_what_the_readme_says(tmp_path: Path) -> None:
    project = clone(tmp_path)
    run(project, "dvc repro quickstart-claims")
    for story in stories(README.read_text()):
        for command, output in story.commands:
            assert run(project, command) == output, command


def test_the_trained_story_rebuilds_what_the_prediction_says() -> None:
    prediction, rebuild, *_ = stories(README.read_text())
    stages = prediction.commands[1][1].splitlines()
    expected = {line.split()[0] for line in stages if "will rebuild" in line and line.startswith("  ")}
    printed = [line.split(": ") for line in rebuild.commands[1][1].splitlines()]
    assert {run.partition("/")[2] for run, status in printed if status == "built"} == expected
    assert len(printed) > len(expected) > 0
