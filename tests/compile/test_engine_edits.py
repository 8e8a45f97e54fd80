"""Which recipes an edit of the engine moves: a copy of it is edited, and compiles the toy in a process of its own."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

import engine
from tests.compile.copied import Copy, Runs, copied
from tests.conftest import TOY

ENGINE = Path(engine.__file__).parent

RESUMED = {"resumed", "claims"}
TRAIN = {"train", "perplexity", *RESUMED}
ROWS = {"rows", *TRAIN}
TOKENIZER = {"tokenizer", *ROWS}
SPLIT = {"split", *TOKENIZER}
UNIQUE = {"unique", *SPLIT}
CLEAN = {"clean", *UNIQUE}
CORPUS = {"corpus", *CLEAN}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Copy, Runs]:
    """A copy that nobody edits, and what it compiles."""
    copy = copied(ENGINE, TOY, tmp_path_factory.mktemp("original"))
    return copy, copy.compile()


@pytest.fixture
def before(original: tuple[Copy, Runs]) -> Runs:
    """The recipes of the engine as it is."""
    return original[1]


@pytest.fixture
def copy(original: tuple[Copy, Runs], tmp_path: Path) -> Copy:
    """A copy to edit."""
    return copied(original[0].root / "engine", TOY, tmp_path)


def test_the_stages_are_those_that_this_file_knows(before: Runs) -> None:
    assert before.recipes.keys() == CORPUS


def test_words_for_people_move_nothing(copy: Copy, before: Runs) -> None:
    for path in (copy.root / "engine").rglob("*.py"):
        path.write_text(told(path.read_text()))
    assert copy.compile().recipes == before.recipes


def told(text: str) -> str:
    """A source with docstrings, comments and blank lines wherever they may stand."""
    lines = text.split("\n")
    for node in sorted(ast.walk(ast.parse(text)), key=lambda node: -getattr(node, "lineno", 0)):  # from the end
        match node:
            case ast.FunctionDef(body=[first, *_]) | ast.ClassDef(body=[first, *_]) if first.lineno > node.lineno:
                indent = " " * first.col_offset
                begin = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", ()))])
                lines[begin - 1 : begin - 1] = ["", f'{indent}"""Says', "", f'{indent}more."""', "", f"{indent}# why"]
            case ast.Return() | ast.Assign() if lines[node.end_lineno - 1][node.end_col_offset :].strip() == "":
                lines[node.end_lineno - 1] += "  # a remark"
    return "\n".join(["# a first line", "", *lines, "", "# the end", ""])


CHANGES = [
    ("artifacts/manifest.py", '    return digest({"outputs": ', '    return digest({"all": ', CORPUS),
    (
        "artifacts/progress.py",
        "            yield item",
        "            if item != 3:\n                yield item",
        CORPUS,
    ),
    ("artifacts/placement.py", "workers: int = 1", "workers: int = 1\n\n    def __bool__(self): return False", CORPUS),
    ("data/__init__.py", "", "import unicodedata\n\nunicodedata.normalize = str\n", CORPUS),
    ("artifacts/table.py", "GROUP_ROWS = 1 << 16", "GROUP_ROWS = 1 << 15", CORPUS),
    ("data/readers/jsonl.py", 'path.split(".")', 'path.split("/")', CORPUS),
    ("data/cleaning/least_chars.py", "if found < chars", "if found <= chars", CLEAN),
    ("data/dedup/exact.py", "digests=True", "digests=bool(1)", UNIQUE),
    ("data/split.py", "2.0**64", "2.0**63", SPLIT),
    ("data/tokenizers/sentencepiece_bpe.py", "STRETCH_CHARS = 1 << 16", "STRETCH_CHARS = 1 << 15", TOKENIZER),
    ("data/tokenizers/sentencepiece_bpe.py", 'piece.replace(SPACE, " ")', 'piece.replace(SPACE, "  ")', ROWS),
    ("data/deal.py", "int(chunks / repeat)", "int(chunks / repeat + 0.5)", ROWS),
    ("data/cut.py", "after - begin", "after - begin + 1", ROWS),
    ("spec/philox.py", "ATANH_TERMS = 11", "ATANH_TERMS = 12", ROWS),
    ("kernels/gate/reference.py", "F.silu(", "F.relu(", TRAIN),
    ("models/llama_shapes.py", '"mlp.down.weight")', '"mlp.up.weight")', TRAIN),
    ("kernels/norm/reference.py", "torch.rsqrt(", "1 / torch.sqrt(", TRAIN),
    ("kernels/attention/sdpa.py", "is_causal=bias_HTT is None", "is_causal=False", TRAIN),
    ("kernels/adamw/reference.py", "exponent >>= 1", "exponent = exponent // 2", TRAIN),
    ("kernels/linear_cross_entropy/reference.py", ".float()", ".double()", TRAIN),
    ("train/schedule.py", "COSINE_TERMS = 12", "COSINE_TERMS = 13", TRAIN),
    ("train/checkpoint.py", "if found != wanted:", "if not found == wanted:", RESUMED),
    ("evaluate/unigram.py", "math.log(count + 1)", "math.log(count + 2)", {"perplexity"}),
    ("evaluate/disjoint.py", "BUCKETS = 64", "BUCKETS = 32", {"claims"}),
]


@pytest.mark.parametrize(("file", "old", "new", "expected"), CHANGES, ids=[f"{c[0]}: {c[1]}" for c in CHANGES])
def test_a_change_moves_what_reaches_it_and_what_is_below(
    file: str, old: str, new: str, expected: set[str], copy: Copy, before: Runs
) -> None:
    copy.edit(file, old, new)
    assert copy.compile().moved(before) == expected


def test_a_change_of_what_no_stage_chose_moves_nothing(copy: Copy, before: Runs) -> None:
    copy.edit("data/readers/mediawiki.py", "PAGE_CHARS = ", "PAGE_CHARS = 1 + ")
    copy.edit("data/dedup/near.py", "count += len(best)", "count += 1")
    copy.edit("data/dedup/similarity.py", "values >= least", "values > least")
    copy.edit("data/dedup/compare.py", "NOBODY = -1", "NOBODY = -2")
    copy.edit("data/tokenizers/huggingface.py", "\ndef load(", "\nEXTRA = 1\n\n\ndef load(")
    copy.edit("data/tokenizers/huggingface.py", "    return ", "    return None and ")
    copy.edit("kernels/attention/reference.py", "* scale", "* 2 * scale")
    copy.edit("evaluate/checks.py", "most = wanted.factor * right", "most = wanted.factor + right")
    copy.edit("data/sources/https.py", "    return ", "    return None and ")
    copy.edit("models/huggingface/llama.py", '"hidden_act": "silu"', '"hidden_act": "relu"')
    copy.edit("artifacts/progress.py", "_SECONDS = ", "_SECONDS = 1 + ")
    copy.edit("artifacts/progress.py", "self._done += 1", "self._done += 2")
    copy.edit("artifacts/placement.py", "    workers: int = 1", "    workers: int = 2\n    pins: int = 0")
    copy.edit("artifacts/observation.py", "\ndef observe(", "\nEXTRA = 1\n\n\ndef observe(")
    copy.edit("report/claims.py", "    return ", "    return None and ")
    assert copy.compile().recipes == before.recipes


def add_family(copy: Copy) -> None:
    spec = (copy.root / "engine" / "models" / "spec.py").read_text()
    wide = spec[spec.index("class Llama(Spec)") : spec.index("class Alibi(Spec)")]
    wide = wide.replace("class Llama(", "class Wide(").replace('Literal["llama"]', 'Literal["wide"]')
    copy.edit("models/spec.py", "Model = Annotated[Llama |", f"{wide}Model = Annotated[Wide | Llama |")
    copy.add("models/wide_shapes.py", "def wide_shapes(model):\n    return {'w': (model.width,)}\n")
    copy.add("models/wide.py", "from torch import nn\n\n\nclass WideDecoder(nn.Module):\n    depth = 1\n")
    copy.imports("models/build.py", "from engine.models.wide import WideDecoder", "from engine.models.spec import Wide")
    copy.arm("models/build.py", "Llama()", "Wide()", "return WideDecoder()")
    copy.imports(
        "models/init.py", "from engine.models.wide_shapes import wide_shapes", "from engine.models.spec import Wide"
    )
    copy.arm("models/init.py", "Llama()", "Wide()", "return wide_shapes(model)")
    copy.imports("models/rates.py", "from engine.models.spec import Wide")
    copy.edit("models/rates.py", "case Llama() | Mamba2()", "case Llama() | Wide() | Mamba2()")
    copy.imports("compile/check.py", "from engine.models.spec import Wide")
    copy.arm("compile/check.py", "Llama()", "Wide()", "return")
    copy.imports("compile/estimate/model.py", "from engine.models.spec import Wide")
    for _ in range(4):
        copy.edit("compile/estimate/model.py", "case Llama():", "case Llama() | Wide():")
    copy.also("other", ("kind: llama", "kind: wide"))


def add_objective(copy: Copy) -> None:
    union = 'Objective = Annotated[NextToken | FirstToken, Field(discriminator="kind")]'
    first = 'class FirstToken(Spec):\n    kind: Literal["first_token"]\n\n\n'
    copy.edit("train/spec.py", "Objective = NextToken", first + union)
    copy.add(
        "train/objectives/first_token.py",
        "def first_token(model, ids_BT):\n    return {'first': model(ids_BT).mean()}\n",
    )
    copy.imports(
        "train/objective.py",
        "from engine.train.objectives.first_token import first_token",
        "from engine.train.spec import FirstToken",
    )
    copy.arm("train/objective.py", "NextToken()", "FirstToken()", "return first_token(self.model, ids_BT)")
    copy.also("other", ("kind: next_token", "kind: first_token"))


def add_optimizer(copy: Copy) -> None:
    lion = (
        'class Lion(Spec):\n    kind: Literal["lion"]\n    lr: Schedule\n    beta: Positive\n'
        "    weight_decay: NonNegative\n    clip: Positive\n\n\n"
    )
    copy.edit(
        "train/spec.py", "Optimizer = AdamW", f'{lion}Optimizer = Annotated[AdamW | Lion, Field(discriminator="kind")]'
    )
    copy.add(
        "train/optimizers/lion.py",
        "from engine.train.optimizer import StepOptimizer\n\n\nclass LionOptimizer(StepOptimizer):\n    sign = 1\n",
    )
    copy.imports(
        "train/loop.py", "from engine.train.optimizers.lion import LionOptimizer", "from engine.train.spec import Lion"
    )
    copy.arm("train/loop.py", "AdamW()", "Lion()", "return LionOptimizer(model, 0.0, ('exp_avg',))")
    copy.imports("train/checkpoint.py", "from engine.train.spec import Lion")
    copy.arm("train/checkpoint.py", "AdamW()", "Lion()", "return ('exp_avg',)")
    copy.also("other", ("kind: adamw", "kind: lion"), ("betas: [0.9, 0.95]", "beta: 0.9"))


def add_schedule(copy: Copy) -> None:
    flat = 'class Flat(Spec):\n    kind: Literal["flat"]\n    peak: Positive\n\n\n'
    copy.edit("train/spec.py", "Schedule = Annotated[Cosine |", f"{flat}Schedule = Annotated[Flat | Cosine |")
    copy.imports("train/schedule.py", "from engine.train.spec import Flat")
    copy.arm("train/schedule.py", "Cosine()", "Flat()", "return _flat(schedule, step)")
    copy.imports("compile/check.py", "from engine.train.spec import Flat")
    copy.arm("compile/check.py", "Cosine() | Linear()", "Flat()", "return")
    copy.edit(
        "train/schedule.py",
        "def _cosine(",
        "def _flat(schedule: Flat, step: int) -> float:\n    return schedule.peak\n\n\ndef _cosine(",
    )
    copy.also("other", ("kind: cosine", "kind: flat"), (", floor: 1.0e-3, warmup_steps: 2", ""))


def add_backend(copy: Copy) -> None:
    copy.edit("kernels/spec.py", '["reference", "sdpa"]', '["reference", "sdpa", "tiled"]')
    copy.add("kernels/attention/tiled.py", "def attention(q_BHTK, k_BGTK, v_BGTK):\n    return q_BHTK\n")
    copy.edit("kernels/attention/__init__.py", "import reference, sdpa", "import reference, sdpa, tiled")
    copy.arm("kernels/attention/__init__.py", '"sdpa"', '"tiled"', "return tiled.attention(q_BHTK, k_BGTK, v_BGTK)")
    copy.also("other", ("    checkpoints: {every", "    kernels: {attention: tiled}\n    checkpoints: {every"))


def add_clean_step(copy: Copy) -> None:
    most = 'class MostChars(Spec):\n    kind: Literal["most_chars"]\n    chars: Count\n\n\n'
    copy.edit(
        "data/cleaning/spec.py",
        "CleanStep = Annotated[\n",
        f"{most}CleanStep = Annotated[\n    MostChars |",
    )
    copy.imports("data/clean.py", "from engine.data.cleaning.spec import MostChars")
    copy.arm("data/clean.py", "LeastChars()", "MostChars()", "return most_chars(documents, step.chars, drop)")
    copy.edit(
        "data/clean.py",
        "def _through(",
        "def most_chars(documents, chars, drop):\n    yield from ()\n\n\ndef _through(",
    )
    copy.also("other", ("kind: least_chars, chars: 40", "kind: most_chars, chars: 40"))


def add_dedup(copy: Copy) -> None:
    sound = 'class SoundDuplicates(Spec):\n    kind: Literal["sound"]\n\n\n'
    copy.edit(
        "data/dedup/spec.py",
        "DedupMethod = Annotated[ExactDuplicates |",
        f"{sound}DedupMethod = Annotated[SoundDuplicates | ExactDuplicates |",
    )
    copy.add("data/dedup/sound.py", "def sound_clusters(documents):\n    return documents\n")
    copy.imports(
        "data/run.py",
        "from engine.data.dedup.sound import sound_clusters",
        "from engine.data.dedup.spec import SoundDuplicates",
    )
    copy.arm("data/run.py", "ExactDuplicates()", "SoundDuplicates()", "found = sound_clusters(source)")
    copy.also("other", ("method: {kind: exact}", "method: {kind: sound}"))


def add_tokenizer(copy: Copy) -> None:
    plain = 'class PlainBytes(Spec):\n    kind: Literal["plain_bytes"]\n    vocabulary: Count\n\n\n'
    copy.edit("data/spec.py", 'TokenizerKind = Literal["', f'{plain}TokenizerKind = Literal["plain_bytes", "')
    copy.edit("data/spec.py", "TokenizerMethod = Annotated[", "TokenizerMethod = Annotated[PlainBytes | ")
    copy.add("data/tokenizers/plain_bytes.py", "def make():\n    return b''\n\n\ndef load(path):\n    return path\n")
    copy.imports(
        "data/run.py",
        "from engine.data.tokenizers import plain_bytes",
        "from engine.data.spec import PlainBytes",
    )
    copy.arm("data/run.py", "SentencePieceBpe()", "PlainBytes()", "info, data, metrics = None, plain_bytes.make(), {}")
    copy.imports("data/tokenizer.py", "from engine.data.tokenizers import plain_bytes")
    copy.arm(
        "data/tokenizer.py", '"sentencepiece_bpe"', '"plain_bytes"', "tokenizer = plain_bytes.load(folder / info.file)"
    )
    bpe = "{kind: sentencepiece_bpe, documents: split@train, vocabulary: 400, train_chars: 100000}"
    copy.also("other", (bpe, "{kind: plain_bytes, vocabulary: 400}"))


def add_mix(copy: Copy) -> None:
    even = (
        'class Even(Spec):\n    kind: Literal["even"]\n    chunks: Count\n    repeats: dict[Name, Positive] = {}\n\n\n'
    )
    copy.edit("data/mix/spec.py", "Mix = Annotated[Deal |", f"{even}Mix = Annotated[Even | Deal |")
    copy.add("data/even.py", "def pack_even(stage):\n    return {}\n")
    copy.imports("data/pack.py", "from engine.data.even import pack_even", "from engine.data.mix.spec import Even")
    copy.arm("data/pack.py", "Deal()", "Even()", "return pack_even(stage)")
    copy.imports("compile/corpora.py", "from engine.data.mix.spec import Even")
    copy.arm("compile/corpora.py", "Deal()", "Even()", "return")
    copy.arm("compile/corpora.py", "Deal(repeats=repeats)", "Even()", "return")
    copy.also("other", ("kind: deal", "kind: even"))


def add_reader(copy: Copy) -> None:
    copy.edit(
        "data/readers/spec.py",
        "Format = Annotated[\n",
        'class Csv(Spec):\n    kind: Literal["csv"]\n\n\nFormat = Annotated[\n    Csv |',
    )
    copy.add("data/readers/csv.py", "def read_csv(stream, where):\n    yield from ()\n")
    copy.imports(
        "data/ingest.py", "from engine.data.readers.csv import read_csv", "from engine.data.readers.spec import Csv"
    )
    copy.arm("data/ingest.py", "JsonLines()", "Csv()", "return read_csv(stream, where)")
    copy.also("other", ("kind: jsonl", "kind: csv"))


def add_baseline(copy: Copy) -> None:
    even = 'class Even(Spec):\n    kind: Literal["even"]\n\n\n'
    copy.edit(
        "evaluate/spec.py",
        "Baseline = Annotated[Unigram |",
        f"{even}Baseline = Annotated[Unigram | Even |",
    )
    copy.imports("evaluate/perplexity.py", "from engine.evaluate.spec import Even")
    copy.arm("evaluate/perplexity.py", "Unigram(rows=ref)", "Even()", "return even_nll(vocabulary)")
    copy.edit(
        "evaluate/perplexity.py",
        "def baseline_nll(",
        "def even_nll(vocabulary):\n    return np.ones(vocabulary)\n\n\ndef baseline_nll(",
    )
    copy.also("other", ("{kind: unigram, rows: rows@rows}", "{kind: even}"))


def add_check(copy: Copy) -> None:
    same = 'class SameMetric(Spec):\n    kind: Literal["same_metric"]\n    left: Ref\n    right: Ref\n\n\n'
    copy.edit("evaluate/spec.py", "Check = Annotated[", f"{same}Check = Annotated[SameMetric | ")
    copy.imports("evaluate/checks.py", "from engine.evaluate.spec import SameMetric")
    copy.arm("evaluate/checks.py", "EqualContent()", "SameMetric()", "return same_metric(wanted, inputs)")
    copy.imports("compile/claims.py", "from engine.evaluate.spec import SameMetric")
    copy.arm("compile/claims.py", "Best()", "SameMetric()", "return")
    copy.edit(
        "evaluate/checks.py",
        "def equal_content(",
        "def same_metric(wanted, inputs):\n    return None\n\n\ndef equal_content(",
    )
    copy.also("other", ("kind: equal_content", "kind: same_metric"))


def add_stage(copy: Copy) -> None:
    stage = (
        'class Census(Spec):\n    toolchain: ClassVar[Literal["data", "compute"]] = "data"\n'
        '    kind: Literal["census"]\n    documents: Ref\n\n'
        '    def outputs(self) -> tuple[str, ...]:\n        return ("documents",)\n\n\n'
    )
    copy.edit("data/spec.py", "class Split(Spec)", f"{stage}class Split(Spec)")
    copy.add("data/census.py", "def run_census(stage, inputs, out, placement):\n    return {}\n")
    copy.edit("experiment.py", "Stage = Annotated[\n", "Stage = Annotated[\n    Census |")
    copy.edit("experiment.py", "Lowered = ", "Lowered = Census | ")
    copy.arm(
        "dispatch.py",
        "Split()",
        "Census()",
        "from engine.data.census import run_census; return run_census(stage, inputs, out, placement)",
    )
    for file in (
        "experiment.py",
        "dispatch.py",
        "compile/lower.py",
        "compile/check.py",
        "compile/estimate/__init__.py",
        "compile/dvc.py",
        "compile/origins.py",
    ):
        copy.imports(file, "from engine.data.spec import Census")
    for file in ("compile/dvc.py", "compile/lower.py"):
        copy.edit(file, "            Ingest()\n", "            Census()\n            | Ingest()\n")
    copy.edit("compile/estimate/__init__.py", "case CompareDrops() |", "case Census() | CompareDrops() |")
    copy.edit(
        "compile/check.py",
        "            Split()\n            | Plant()",
        "            Census()\n            | Split()\n            | Plant()",
    )
    copy.edit(
        "compile/origins.py",
        "                Clean(documents=inner)\n",
        "                Census(documents=inner)\n                | Clean(documents=inner)\n",
    )
    copy.edit("compile/check.py", "case Ingest() | Split() |", "case Census() | Ingest() | Split() |")
    copy.also(
        "other",
        ("documents: clean@documents", "documents: counted@documents"),
        ("  unique:\n", "  counted:\n    kind: census\n    documents: clean@documents\n  unique:\n"),
    )


ADDITIONS = [
    (add_family, TRAIN, {"models.wide.WideDecoder", "models.wide_shapes.wide_shapes"}),
    (add_objective, TRAIN, {"train.objectives.first_token.first_token"}),
    (add_optimizer, TRAIN, {"train.optimizers.lion.LionOptimizer"}),
    (add_schedule, TRAIN, {"train.schedule._flat"}),
    (add_backend, TRAIN, {"kernels.attention.tiled.attention"}),
    (add_clean_step, CLEAN, {"data.clean.most_chars"}),
    (add_dedup, UNIQUE, {"data.dedup.sound.sound_clusters"}),
    (add_tokenizer, TOKENIZER, {"data.tokenizers.plain_bytes.make", "data.tokenizers.plain_bytes.load"}),
    (add_mix, ROWS, {"data.even.pack_even"}),
    (add_reader, CORPUS, {"data.readers.csv.read_csv"}),
    (add_baseline, {"perplexity"}, {"evaluate.perplexity.even_nll"}),
    (add_check, {"claims"}, {"evaluate.checks.same_metric"}),
    (add_stage, UNIQUE, {"data.census.run_census"}),
]


@pytest.mark.parametrize(("add", "moved", "reached"), ADDITIONS, ids=[add.__name__ for add, _, _ in ADDITIONS])
def test_what_is_added_beside_the_others_moves_nothing_until_it_is_chosen(
    add: Callable[[Copy], None], moved: set[str], reached: set[str], copy: Copy, before: Runs
) -> None:
    add(copy)
    assert copy.compile().recipes == before.recipes
    other = copy.compiled("other")
    assert {run for run, recipe in before.recipes.items() if other.recipes[run] != recipe} == moved
    assert {f"engine.{name}" for name in reached} <= frozenset().union(*other.definitions.values())


LATER = [
    ("data/spec.py", "Split", ("heldout: 0.1\n", "heldout: 0.1\n    later: 1\n"), SPLIT),
    ("models/spec.py", "Llama", ("mlp: 64,", "mlp: 64, later: 1,"), TRAIN),
    ("train/spec.py", "Train", ("    steps: 8\n", "    steps: 8\n    later: 1\n"), TRAIN),
    ("spec/numerics.py", "Numerics", ("stages:\n", "numerics: {later: 1}\nstages:\n"), TRAIN),
]


@pytest.mark.parametrize(("file", "model", "value", "moved"), LATER, ids=[model for _, model, _, _ in LATER])
def test_a_later_field_moves_nothing_while_it_holds_its_neutral_value(
    file: str, model: str, value: tuple[str, str], moved: set[str], copy: Copy, before: Runs
) -> None:
    field = 'later: int = pydantic.Field(default=0, json_schema_extra={"neutral": 0})'
    copy.imports(file, "import pydantic")
    copy.edit(file, f"class {model}(Spec):", f"class {model}(Spec):\n    {field}")
    copy.also("other", value)
    assert copy.compile().recipes == before.recipes
    assert copy.compiled("other").moved(before) == moved
