"""Libraries: a stage's toolchain names those of its own steps and no others."""

from engine.artifacts.toolchain import toolchain
from engine.data.cleaning.spec import CleanStep, Ftfy, Language, LeastChars
from engine.data.spec import Clean
from engine.run import toolchain_of
from engine.spec.ref import Ref

SHORT = LeastChars(kind="least_chars", chars=10)


def facts(*steps: CleanStep) -> set[str]:
    return set(toolchain_of(Clean(kind="clean", documents=Ref("corpus@documents"), steps=steps)).facts)


def test_a_step_adds_the_libraries_that_may_change_its_bytes() -> None:
    plain = set(toolchain("data", None).facts)
    assert facts(SHORT) == plain
    assert facts(SHORT, Ftfy(kind="ftfy")) == plain | {"ftfy"}
    language = Language(kind="language", keep=("en",))
    assert facts(Ftfy(kind="ftfy"), language) == plain | {"ftfy", "numpy", "py3langid"}
