"""What moves a code digest, and what does not: on a small package of its own, then on the engine."""

import ast
import io
import shutil
import tokenize
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

import engine
from engine.compile.code import Code, CodeIndex
from engine.compile.lower import lower
from engine.compile.source import MAIN, TOP, Module
from engine.experiment import Experiment, Lowered
from engine.spec.base import Spec
from engine.spec.load import load

ENGINE = Path(engine.__file__).parent


class Exact(Spec):
    """Stands in toy/data/spec.py."""

    __module__ = "toy.data.spec"
    backend: Literal["reference", "fast"] = "reference"
    other: Literal["fast"] = "fast"
    """Chooses nothing for `backend`."""


class Fuzzy(Spec):
    """Another method, which a stage may hold instead."""

    __module__ = "toy.data.spec"


class Clean(Spec):
    """A stage that holds its method."""

    __module__ = "toy.data.spec"
    method: Exact | Fuzzy = Exact()

    def kept(self) -> int:
        """Has its source in the toy's spec.py too."""
        return 1


class CleanPlan(Clean):
    """The lowered stage."""

    __module__ = "toy.data.spec"


class Train(Spec):
    """A stage of another room."""

    __module__ = "toy.train.spec"


TOY = {
    "__init__.py": "",
    "dispatch.py": """
from toy.data.spec import Clean
from toy.train.spec import Train

def run_stage(stage):
    match stage:
        case Clean():
            from toy.data.run import run
            return run(stage)
        case Train():
            from toy.train.run import run
            return run(stage)
""",
    "data/__init__.py": "",
    "data/spec.py": """
class Exact: ...
class Fuzzy: ...
class Clean:
    def kept(self):
        return 1
    def other(self):
        return 2
""",
    "data/run.py": """
import toy.data.count as count
from math import exp
from toy.data import rows
from toy.data.exact import Table
from toy.data.fuzzy import near
from toy.data.spec import Exact, Fuzzy

LIMIT = 10
UNUSED = 1

def run(stage):
    '''Runs.'''
    table = Table()  # a comment
    print(stage.kept(), exp(LIMIT), rows.first(table), count.total)
    match stage.method:
        case Exact(backend="reference"):
            return table.find("toy.data.worker")
        case Exact():
            return fast()
        case Fuzzy():
            return near()

def fast():
    return 1

def beside():
    return 2
""",
    "data/exact.py": """
SIZE = 3

class Table:
    '''A table.

    of rows
    '''
    def find(self, key):
        return helper(key) + SIZE

def helper(key):
    text = '''two
    \n    lines # no comment
    '''
    return key + text
""",
    "data/fuzzy.py": "def near():\n    return 0\n",
    "data/rows.py": "def first(table):\n    return table\n\ndef second(table):\n    return table\n",
    "data/count.py": "total = 1\nprint('side effect')\n",
    "data/worker.py": "def main():\n    work()\n\ndef work(): ...\n\nif __name__ == '__main__':\n    main()\n",
    "train/__init__.py": "",
    "train/spec.py": "class Train: ...\n",
    "train/run.py": "from toy.data.rows import second\n\ndef run(stage):\n    return second(stage)\n",
}

Toy = Callable[..., Code]


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """Writes the toy package, with some files replaced; gives what a stage then reaches."""

    def build(stage: Spec, *edits: tuple[str, str, str], add: dict[str, str] | None = None) -> Code:
        files = TOY | (add or {})
        for name, old, new in edits:
            assert old in files[name]
            files[name] = files[name].replace(old, new)
        for name, text in files.items():
            file = tmp_path / "toy" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        return CodeIndex(tmp_path / "toy").reach(("toy.dispatch", "run_stage"), stage)

    return build


def test_what_is_reached_is_named_definition_by_definition(toy: Toy) -> None:
    assert set(toy(CleanPlan()).definitions) == {
        "toy.data.count.<top>",
        "toy.data.count.total",
        "toy.data.exact.SIZE",
        "toy.data.exact.Table",
        "toy.data.exact.helper",
        "toy.data.rows.first",
        "toy.data.run.LIMIT",
        "toy.data.run.fast",
        "toy.data.run.run",
        "toy.data.spec.Clean.kept",
        "toy.data.worker.<main>",
        "toy.data.worker.main",
        "toy.data.worker.work",
    }
    assert set(toy(Train()).definitions) == {"toy.train.run.run", "toy.data.rows.second"}


@pytest.mark.parametrize(
    "edit",
    [
        ("data/run.py", "  # a comment", "  # another, longer comment"),
        ("data/run.py", "'''Runs.'''", "'''Does it.\n\n    At length.\n    '''\n"),
        ("data/run.py", "LIMIT = 10\n", "\n\n# why ten\nLIMIT = 10   \n"),
        ("data/exact.py", "    of rows\n", "    of rows, by key\n\n"),
        ("data/run.py", "UNUSED = 1", "UNUSED = 2"),
        ("data/run.py", "def beside():\n    return 2", "def beside():\n    return 3\n\ndef further(): ..."),
        ("data/rows.py", "def second(table):\n    return table", "def second(table):\n    return None"),
        ("data/fuzzy.py", "return 0", "return 1"),
        ("data/run.py", "return near()", "return near(1)"),
        ("data/run.py", "def run(stage):", "def run(stage: 'Clean') -> int:"),
        ("data/spec.py", "return 2", "return 3"),
        ("dispatch.py", "return run(stage)", "return  run(stage)"),
    ],
)
def test_what_changes_nothing(toy: Toy, edit: tuple[str, str, str]) -> None:
    before = toy(CleanPlan())
    if "def run(" in edit[1]:
        before = toy(CleanPlan(), edit)  # an annotation is text, yet leads nowhere
        assert "toy.data.spec.Clean" not in before.definitions
    else:
        assert toy(CleanPlan(), edit) == before


@pytest.mark.parametrize(
    ("edit", "moved"),
    [
        (("data/run.py", "LIMIT = 10", "LIMIT = 11"), "toy.data.run.LIMIT"),
        (("data/exact.py", "SIZE = 3", "SIZE = 4"), "toy.data.exact.SIZE"),
        (("data/exact.py", "helper(key) + SIZE", "SIZE + helper(key)"), "toy.data.exact.Table"),
        (("data/exact.py", "lines # no comment", "lines # not a comment"), "toy.data.exact.helper"),
        (("data/exact.py", "    \n    lines", "\n    lines"), "toy.data.exact.helper"),
        (("data/run.py", "from math import exp", "from numpy import exp"), "toy.data.run.run"),
        (("data/spec.py", "return 1", "return 7"), "toy.data.spec.Clean.kept"),
        (("data/worker.py", "def work(): ...", "def work(): pass"), "toy.data.worker.work"),
        (("data/count.py", "side effect", "another"), "toy.data.count.<top>"),
    ],
)
def test_what_changes_the_stages_that_reach_it(toy: Toy, edit: tuple[str, str, str], moved: str) -> None:
    before, other = toy(CleanPlan()), toy(Train())
    after = toy(CleanPlan(), edit)
    assert {name for name in after.definitions if after.definitions[name] != before.definitions.get(name)} == {moved}
    assert after.digest != before.digest
    assert toy(Train(), edit) == other


def test_a_method_added_beside_the_chosen_one_changes_nothing(toy: Toy) -> None:
    before = toy(CleanPlan())
    arm = "        case New(inner=Fuzzy()) | Fuzzy(a=New()):\n            return new()\n        case Fuzzy():"
    names = "from toy.data.spec import Exact, Fuzzy"
    edits = (
        ("data/run.py", "        case Fuzzy():", arm),
        ("data/run.py", names, f"{names}, New\nfrom toy.data.new import new"),
        ("data/spec.py", "class Fuzzy: ...", "class Fuzzy: ...\nclass New: ..."),
    )
    assert toy(CleanPlan(), *edits, add={"data/new.py": "def new():\n    return 5\n"}) == before


@pytest.mark.parametrize(
    "case",
    [
        "        case Exact(backend='reference') | New():\n",
        "        case (\n            Exact(backend='reference')\n            | New(a=1)  # for later\n        ):\n",
    ],
)
def test_an_alternative_added_to_a_chosen_arm_changes_nothing(toy: Toy, case: str) -> None:
    quoted = ("data/run.py", '        case Exact(backend="reference"):\n', "        case Exact(backend='reference'):\n")
    before = toy(CleanPlan(), quoted)
    names = "from toy.data.spec import Exact, Fuzzy"
    known = ("data/spec.py", "class Fuzzy: ...", "class Fuzzy: ...\nclass New: ...")
    assert toy(CleanPlan(), (*quoted[:2], case), ("data/run.py", names, f"{names}, New"), known) == before


def test_another_method_has_other_code(toy: Toy) -> None:
    fuzzy = toy(CleanPlan(method=Fuzzy()))
    assert "toy.data.fuzzy.near" in fuzzy.definitions
    assert "toy.data.run.fast" not in fuzzy.definitions


def test_a_text_pattern_is_decided_by_a_literal_of_the_stage(toy: Toy) -> None:
    decided = ("data/run.py", "        case Exact():", '        case Exact(backend="fast"):')
    assert "toy.data.run.fast" not in toy(CleanPlan(), decided).definitions
    assert "toy.data.run.fast" in toy(CleanPlan(method=Exact(backend="fast")), decided).definitions
    undecided = ("data/run.py", "        case Exact():", '        case Exact(backend=".bz2"):')
    assert "toy.data.run.fast" in toy(CleanPlan(), undecided).definitions


def test_a_spec_made_by_kept_code_counts_as_held(toy: Toy) -> None:
    made = ("data/run.py", "table = Table()", "table = Table(Fuzzy())")
    assert "toy.data.fuzzy.near" in toy(CleanPlan(), made).definitions


MADE = """class Fuzzy: ...
class Base:
    step = 1
class Extra(Base):
    size: int = 1
    def area(self):
        return 1
"""
BUILT = [
    ("data/run.py", "import Exact, Fuzzy", "import Exact, Extra, Fuzzy"),
    ("data/run.py", "    return 1", "    return Extra().size"),
    ("data/spec.py", "class Fuzzy: ...", MADE),
]


@pytest.mark.parametrize(
    ("change", "unit"),
    [
        (("size: int = 1", "size: int = 2"), "Extra"),
        (("return 1", "return 9"), "Extra"),
        (("step = 1", "step = 2"), "Base"),
    ],
)
def test_all_of_a_spec_class_counts_that_kept_code_makes(toy: Toy, change: tuple[str, str], unit: str) -> None:
    before = toy(CleanPlan(), *BUILT)
    after = toy(CleanPlan(), *BUILT[:2], ("data/spec.py", "class Fuzzy: ...", MADE.replace(*change)))
    assert different(before, after) == {f"toy.data.spec.{unit}"}
    assert not [name for name in toy(CleanPlan(), BUILT[2]).definitions if "Extra" in name]


@pytest.mark.parametrize(
    "member",
    [
        "MARGIN: ClassVar[int] = 1",
        "MARGIN = 1",
        "if True:\n        MARGIN = 1",
        "@property\n    def MARGIN(self):\n        return 1",
        "BASE = 1\n    MARGIN = BASE",
        "def __len__(self):\n        return 1",
    ],
)
def test_what_kept_code_names_on_a_spec_counts_unless_it_is_a_field(toy: Toy, member: str) -> None:
    names = ("data/run.py", "    return 1", "    return Clean.MARGIN")
    reads = ("data/run.py", "    print(", "    print(stage.MARGIN, ")

    def build(text: str, *edits: tuple[str, str, str]) -> Code:
        return toy(CleanPlan(), ("data/spec.py", "    def kept", f"    {text}\n    def kept"), *edits)

    assert build(member, reads).digest != build(member.replace("1", "2"), reads).digest
    if "__len__" not in member:
        assert build(member) == build(member.replace("1", "2"))
    matched = ("data/run.py", "case Exact():", "case Clean(MARGIN=0) | Exact():")
    clean = ("data/run.py", "import Exact, Fuzzy", "import Clean, Exact, Fuzzy")
    assert build(member, matched, clean).digest != build(member.replace("1", "2"), matched, clean).digest
    assert build(member, names, clean).digest != build(member.replace("1", "2"), names, clean).digest


def test_a_field_of_a_spec_is_a_value_and_no_code(toy: Toy) -> None:
    reads = ("data/run.py", "    print(", "    print(stage.size, ")
    one, two = (("data/spec.py", "    def kept", f"    size: int = {n}\n    def kept") for n in (1, 2))
    assert toy(CleanPlan(), reads, one) == toy(CleanPlan(), reads, two)


@pytest.mark.parametrize("package", ["__init__.py", "data/__init__.py"])
def test_what_a_package_does_when_it_is_imported_counts(toy: Toy, package: str) -> None:
    before = toy(CleanPlan())
    say = {package: "'Words.'\n__version__ = '1'\n"}
    assert toy(CleanPlan(), add=say) == before
    does = {package: say[package] + "import math\nmath.exp = math.log\n"}
    name = ".".join(("toy", *package.split("/")[:-1], TOP))
    assert different(before, toy(CleanPlan(), add=does)) == {name}
    if package == "data/__init__.py":  # which runs for it too: the entry imports its vocabulary
        assert different(toy(Train(), add={package: ""}), toy(Train(), add=does)) == {name}


def test_a_package_may_name_a_function_as_the_module_that_it_is_from(toy: Toy) -> None:
    add = {
        "data/sound/__init__.py": "from toy.data.sound.sound import sound\n\ndef tell():\n    return sound()\n",
        "data/sound/sound.py": "def sound():\n    return 1\n",
    }
    uses = ("data/run.py", "LIMIT = 10", "from toy.data.sound import tell\n\nLIMIT = tell()")
    assert "toy.data.sound.sound.sound" in toy(Clean(), uses, add=add).definitions


def test_what_a_backend_tells_of_itself_chooses_nothing(toy: Toy) -> None:
    add = {
        "kernels/__init__.py": "",
        "kernels/record.py": "def ran(op, kind):\n    print(op, kind)\n",
        "kernels/op.py": "from toy.kernels.record import ran\n\ndef op():\n    ran('backend', 'reference')\n",
    }
    uses = ("data/run.py", "LIMIT = 10", "from toy.kernels.op import op\n\nLIMIT = op()")
    stage = Clean(method=Exact(backend="fast"))
    told = {**add, "kernels/op.py": "def op():\n    print('reference')\n"}
    quiet, loud = toy(stage, uses, add=add).definitions, toy(stage, uses, add=told).definitions
    assert "toy.data.worker.work" not in quiet
    assert "toy.data.worker.work" in loud


def test_methods_of_the_placement_count_and_its_fields_do_not(toy: Toy) -> None:
    file = "artifacts/placement.py"
    placement = "class Placement:\n    root: Path\n    def scratch(self):\n        return 1\n"
    reads = ("data/run.py", "    print(", "    print(stage.scratch(), stage.root, ")
    packages = {"artifacts/__init__.py": ""}
    before = toy(CleanPlan(), reads, add={**packages, file: placement})
    field = placement.replace("root: Path", "root: Path = None\n    workers: int = 1")
    assert toy(CleanPlan(), reads, add={**packages, file: field}) == before
    other = toy(CleanPlan(), reads, add={**packages, file: placement.replace("return 1", "return 2")})
    assert different(before, other) == {"toy.artifacts.placement.Placement.scratch"}


def different(before: Code, after: Code) -> set[str]:
    """The definitions that only one of them has, or that differ."""
    return {name for name, _ in before.definitions.items() ^ after.definitions.items()}


def test_line_ends_are_no_difference(toy: Toy, tmp_path: Path) -> None:
    before = toy(CleanPlan())
    for file in (tmp_path / "toy").rglob("*.py"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert CodeIndex(tmp_path / "toy").reach(("toy.dispatch", "run_stage"), CleanPlan()) == before


@pytest.mark.parametrize(
    "line",
    [
        "from toy.data.rows import *",
        "from . import rows",
    ],
)
def test_imports_that_cannot_be_followed_are_refused(toy: Toy, line: str) -> None:
    with pytest.raises(AssertionError, match=r"run\.py:2"):
        toy(CleanPlan(), ("data/run.py", "import toy.data.count as count", f"{line}\nfrom toy.data import count"))


@pytest.mark.parametrize(
    "call", ["getattr(rows, stage)", "getattr(stage, 'first')", "eval('rows')", "__import__('re')"]
)
def test_calls_that_hide_a_name_are_refused(toy: Toy, call: str) -> None:
    with pytest.raises(AssertionError, match=r"run\.py:15"):
        toy(CleanPlan(), ("data/run.py", "print(stage.kept(), exp", f"print({call}, stage.kept(), exp"))


def test_a_missing_definition_is_our_bug(toy: Toy) -> None:
    with pytest.raises(AssertionError, match=r"there is no toy\.data\.gone"):
        toy(CleanPlan(), ("data/run.py", "from toy.data import rows", "from toy.data import gone as rows"))


def test_a_local_name_hides_a_module_name(toy: Toy) -> None:
    hides = (
        "data/run.py",
        "def fast():\n    return 1",
        "def fast(beside=1):\n    return [UNUSED + beside for UNUSED in 'a']",
    )
    reached = set(toy(CleanPlan(), hides).definitions)
    assert not {"toy.data.run.beside", "toy.data.run.UNUSED"} & reached


def test_an_argument_leads_to_the_class_that_it_is_annotated_with(toy: Toy) -> None:
    """Its methods are called on what came in, so no other name leads there."""
    annotated = ("data/rows.py", "def second(table):", "from toy.data.exact import Table\n\ndef second(table: Table):")
    assert set(toy(Train(), annotated).definitions) == {
        "toy.data.exact.SIZE",
        "toy.data.exact.Table",
        "toy.data.exact.helper",
        "toy.data.rows.second",
        "toy.train.run.run",
    }


def test_kernel_sources_count_byte_by_byte(tmp_path: Path) -> None:
    root = tmp_path / "toy"
    (root / "kernels" / "norm").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "kernels" / "__init__.py").write_text("")
    (root / "kernels" / "norm" / "__init__.py").write_text("")
    (root / "kernels" / "norm" / "native.py").write_text("def norm(): ...\n")
    (root / "kernels" / "norm" / "norm.cpp").write_text("// one\n")
    (root / "dispatch.py").write_text("from toy.kernels.norm.native import norm\n\ndef run_stage(stage):\n    norm()\n")
    one = CodeIndex(root).reach(("toy.dispatch", "run_stage"), Train())
    assert "toy/kernels/norm/norm.cpp" in one.definitions
    (root / "kernels" / "norm" / "norm.cpp").write_text("// two\n")
    assert CodeIndex(root).reach(("toy.dispatch", "run_stage"), Train()).digest != one.digest


def test_memory_of_earlier_walks_tells_stages_apart(toy: Toy, tmp_path: Path) -> None:
    toy(CleanPlan(), ("data/run.py", "        case Exact():", '        case Exact(backend="fast"):'))
    index, entry = CodeIndex(tmp_path / "toy"), ("toy.dispatch", "run_stage")
    reference, fast = CleanPlan(), CleanPlan(method=Exact(backend="fast"))
    apart = [index.reach(entry, stage) for stage in (reference, fast, reference, fast)]
    assert apart[0] is apart[2] and apart[1] is apart[3] and apart[0] != apart[1]


MODULES = sorted(ENGINE.rglob("*.py"))
WALKED = [file for file in MODULES if file.parent != ENGINE / "cli"]  # there verbs are imported by their names


def test_the_engine_can_be_followed() -> None:
    for file in WALKED:
        module = Module((file.stem,), file)
        for name in list(module.statements):
            module.definition(name)


def test_comments_and_strings_are_found_as_the_tokenizer_finds_them() -> None:
    for file in MODULES:
        source = file.read_bytes()
        spans = [t for t in tokenize.tokenize(io.BytesIO(source).readline) if t.type == tokenize.COMMENT]
        lines = source.decode().split("\n")
        for token in spans:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
        bare = [line.decode().rstrip() for line in Module((file.stem,), file)._bare[0]]
        assert bare == [line.rstrip() for line in lines], file


def test_text_that_is_hashed_still_parses_to_the_same_code() -> None:
    for file in WALKED:
        module = Module((file.stem,), file)
        for name in module.statements:
            if name in (TOP, MAIN) or "." in name:
                continue
            definition = module.definition(name)
            told = "\n".join(ast.unparse(_without_prose(statement)) for statement in module.statements[name])
            ours = "\n".join(
                ast.unparse(_without_prose(node)) for node in ast.parse(_filled(definition.lines, module._bare[1])).body
            )
            assert ours == told, f"{file}: {name}"


def _without_prose(tree: ast.stmt) -> ast.stmt:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                kept = [item for item in node.body if not _stands_alone(item)]
                node.body = kept or [ast.Pass()]
    return tree


def _stands_alone(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _filled(lines: list[tuple[int, bytes]], inside: frozenset[int]) -> str:
    """A body that held nothing but a docstring gets a `pass`."""
    filled = []
    for (number, line), (_, following) in pairwise([*lines, (0, b"")]):
        filled.append(line.decode())
        depth = len(line) - len(line.lstrip())
        if line.endswith(b":") and number not in inside and len(following) - len(following.lstrip()) <= depth:
            filled.append(" " * (depth + 1) + "pass")
    return "\n".join(filled)


ENTRY = ("engine.dispatch", "run_stage")


@pytest.fixture(scope="module")
def stages() -> dict[str, Lowered]:
    """The lowered quickstart."""
    specs = ENGINE.parent / "specs"
    return lower(load(specs / "quickstart" / "quickstart.yaml", Experiment, specs).value)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the engine to edit."""
    return shutil.copytree(ENGINE, tmp_path / "engine", ignore=shutil.ignore_patterns("__pycache__"))


def moved(stages: dict[str, Lowered], copied: Path) -> set[str]:
    """The stages whose code digest the copy changes."""
    old, new = CodeIndex(ENGINE), CodeIndex(copied)
    return {name for name, stage in stages.items() if old.reach(ENTRY, stage) != new.reach(ENTRY, stage)}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, f"{file} has changed; choose another line to edit"
    file.write_text(text.replace(old, new, 1))


def test_a_comment_in_every_engine_file_moves_nothing(stages: dict[str, Lowered], copied: Path) -> None:
    for file in copied.rglob("*.py"):
        file.write_text(file.read_text() + "\n# a remark\n")
    assert moved(stages, copied) == set()


def test_a_changed_constant_moves_the_stages_that_reach_it(stages: dict[str, Lowered], copied: Path) -> None:
    edit(copied / "train" / "schedule.py", "PI = ", "PI = 0 + ")
    assert moved(stages, copied) == {"stage1", "resumed"}
    edit(copied / "data" / "readers" / "mediawiki.py", "PAGE_CHARS = ", "PAGE_CHARS = 0 + ")
    assert moved(stages, copied) == {"corpus", "stage1", "resumed"}


def test_a_reader_that_no_source_chooses_moves_nothing(stages: dict[str, Lowered], copied: Path) -> None:
    file = copied / "data" / "readers" / "parquet.py"
    file.write_text(
        file.read_text().replace("def read_", "PAGE = 1\n\n\ndef read_").replace("return", "return  (1) and")
    )
    assert moved(stages, copied) == set()


def test_a_model_family_an_objective_and_a_data_step_added_beside_move_nothing(
    stages: dict[str, Lowered], copied: Path
) -> None:
    add_beside(copied, "models", "Llama", copied / "models" / "build.py")
    add_beside(copied, "train", "NextToken", copied / "train" / "objective.py")
    add_beside(copied, "data/cleaning", "LeastChars", copied / "data" / "clean.py")
    assert moved(stages, copied) == set()


def add_beside(copied: Path, room: str, known: str, file: Path) -> None:
    """A class in the room's spec.py, a module for it, and an arm before the one of a class that is there."""
    edit(copied / room / "spec.py", f"class {known}(Spec):", f"class Beside(Spec):\n    pass\n\n\nclass {known}(Spec):")
    (copied / room / "beside.py").write_text('"""Another method."""\n\n\ndef beside() -> None:\n    print(1)\n')
    arm = next(line for line in file.read_text().splitlines() if line.strip().startswith(f"case {known}("))
    depth = arm[: len(arm) - len(arm.lstrip())]
    edit(file, arm, f"{depth}case Beside():\n{depth}    return beside()\n{arm}")
    package = f"engine.{room.replace('/', '.')}"
    imports = f"from {package}.spec import "
    edit(file, imports, f"from {package}.beside import beside\n{imports}Beside\n{imports}")
