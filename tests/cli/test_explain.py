"""`explain` names the file and line of a value, or the default it is; a wrong key is told with what is there."""

from pathlib import Path

import pytest

from tests.cli.conftest import call


def test_explain_names_the_line_and_the_default(toy: Path) -> None:
    spec = toy / "specs" / "toy" / "toy.yaml"
    line = spec.read_text().splitlines().index("    seed: 1") + 1
    done = call(toy, "explain", "toy", "stages.split.seed")
    assert done.out.startswith(f"stages.split.seed = 1\n  set in {spec}:{line}:")
    data = call(toy, "explain", "toy", "stages.train.optimizer.eps", "--json").json
    assert (data["value"], data["set_in"], data["default_of"]) == (1e-08, None, "AdamW.eps")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("stages.trian.seed", "did you mean 'train'?"),
        ("stages.train.lr", 'stages.train has no "lr"; it has kind, model'),
        ("train.seed", "; write stages.train.seed"),
        ("stages.train.seed.x", "stages.train.seed is 1 and has nothing below it"),
        ("", "KEY is empty"),
    ],
)
def test_explain_tells_what_is_there_instead(toy: Path, key: str, told: str) -> None:
    done = call(toy, "explain", "toy", key)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
