"""Libraries and code: a stage depends on those of its own steps and no others."""

from pathlib import Path

import engine
from engine.artifacts.toolchain import toolchain
from engine.compile.code import CodeIndex
from engine.compile.plan import ENTRY
from engine.data.cleaning.spec import CleanStep, Ftfy, Language, LeastChars
from engine.data.dedup.spec import Decontaminate, SameText, SharedNgram
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


def methods(stage: Clean | Decontaminate) -> set[str]:
    """The files of steps and tests whose code is the stage's."""
    reached = CodeIndex(Path(engine.__file__).parent).reach(ENTRY, stage).definitions
    rooms = ("engine.data.cleaning.", "engine.data.leaks.")
    return {name.split(".")[3] for name in reached if name.startswith(rooms)} - {"spec"}


def test_code_is_that_of_the_chosen_steps_and_tests() -> None:
    corpus, held = Ref("corpus@documents"), Ref("held@documents")
    clean = Clean(kind="clean", documents=corpus, steps=(SHORT,))
    assert methods(clean) == {"least_chars"}
    assert methods(clean.replace(steps=(SHORT, Ftfy(kind="ftfy")))) == {"least_chars", "ftfy_nfc"}
    exact = SameText(kind="exact")
    free = Decontaminate(kind="decontaminate", documents=corpus, against=(held,), tests=(exact,))
    shared = {"decontaminate", "leak", "protected", "sorted_rows"}
    assert methods(free) == shared | {"exact"}
    assert methods(free.replace(tests=(exact, SharedNgram(kind="ngram")))) == shared | {"exact", "ngrams", "word_runs"}
