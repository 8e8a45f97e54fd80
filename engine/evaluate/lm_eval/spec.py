"""The vocabulary of benchmarks: tasks of lm-eval's own registry, tasks over files by sha256, and published ones."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.data.sources.spec import RawFile
from engine.data.spec import TokenizerKind
from engine.kernels.spec import Kernels
from engine.models.spec import Model
from engine.spec.base import NEUTRAL, Spec
from engine.spec.layout import Determinism
from engine.spec.numerics import Numerics
from engine.spec.ref import Name, Ref
from engine.spec.units import Count, Index, Positive, Seed

ALL_DATA = "its data"


class Arc(Spec):
    """ARC, easy or challenge (Clark et al. 2018): JSON lines with `query`, `choices`, `gold`, as llm-foundry has it."""

    kind: Literal["arc"]


class Piqa(Spec):
    """PIQA (Bisk et al. 2020): JSON lines with `query`, `choices`, `gold`, as llm-foundry has it."""

    kind: Literal["piqa"]


class Boolq(Spec):
    """BoolQ (Clark et al. 2019): JSON lines with `query` (passage and question), `choices`, `gold` (llm-foundry)."""

    kind: Literal["boolq"]


class Hellaswag(Spec):
    """HellaSwag (Zellers et al. 2019) as text, six lines an item: context, index of the right ending, four endings.

    The file has joined the two parts of a context. What follows its last full stop is taken for the second part where
    it begins with a small letter, and gets a capital, as lm-eval gives the second part one.
    """

    kind: Literal["hellaswag"]


class Mmlu(Spec):
    """One subject of MMLU (Hendrycks et al. 2021): CSV with a question, four choices and the index of the answer."""

    kind: Literal["mmlu"]
    subject: Name
    """As the prompt names it, with `_` for spaces, for instance `college_biology`."""


class TruthfulQa(Spec):
    """TruthfulQA, multiple choice (Lin et al. 2022): `mc_task.json`. Six questions always stand before an item."""

    kind: Literal["truthfulqa"]
    answers: Literal["mc1", "mc2"]
    """mc1: one true answer; mc2: the probability of all true answers among all."""


class Lambada(Spec):
    """LAMBADA in OpenAI's form (Paperno et al. 2016): JSON lines with `text`; its last word is to be foretold."""

    kind: Literal["lambada"]


class Gsm8k(Spec):
    """GSM8K (Cobbe et al. 2021): JSON lines with `question` and `answer`; the number after `####` counts."""

    kind: Literal["gsm8k"]
    most_tokens: Count = 256
    """Of an answer."""


class HumanEval(Spec):
    """HumanEval (Chen et al. 2021): JSON lines. What the model writes is run in a sandbox, or the stage refuses.

    pass@1 of the most likely program. pass@k of a larger k takes several drawn programs an item; texts are not drawn
    here, so there is no key for it.
    """

    kind: Literal["humaneval"]
    most_tokens: Count = 1024
    """Of a program."""
    seconds: Positive = 3.0
    """A program that runs for longer has failed."""
    memory_mib: Count = 1024


ItemSet = Annotated[
    Arc | Piqa | Boolq | Hellaswag | Mmlu | TruthfulQa | Lambada | Gsm8k | HumanEval, Field(discriminator="kind")
]


class NoShots(Spec):
    """Nothing stands before an item."""

    kind: Literal["none"] = "none"


class HeldShots(Spec):
    """Items of the same file, drawn by a generator named after `seed`; they are the same for all and not scored."""

    kind: Literal["held"]
    count: Count
    seed: Seed


class FirstShots(Spec):
    """The first items of another file in the same form, such as MMLU's `dev`."""

    kind: Literal["first"]
    count: Count
    data: RawFile


Shots = Annotated[NoShots | HeldShots | FirstShots, Field(discriminator="kind")]


class OfflineTask(Spec):
    """A task over a file by sha256, with the prompts and metrics that lm-eval's own task has."""

    kind: Literal["offline"]
    name: Name
    set: ItemSet
    data: RawFile
    shots: Shots = NoShots()
    limit: Count | None = None
    """The first so many items that are not shots; none: all."""


class LibraryTask(Spec):
    """A task of lm-eval's own registry over a dataset of the Hugging Face hub; the network is used for it alone."""

    kind: Literal["library"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
    """As lm-eval names the task; groups are not taken."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    """The commit of the dataset."""
    shots: Index
    limit: Count | None = None


class PublishedTask(Spec):
    """A task whose data are not at hand: named by its origin, costed by `plan`, and refused by a run."""

    kind: Literal["published"]
    name: Name
    origin: str
    """A hub id or a URL."""
    revision: str = "unknown"
    """Of the data that the published number was measured on."""
    shots: Index
    items: Count
    sequences: Count = 1
    """Sequences that the model scores for one item: its choices."""
    tokens: Count
    """Mean length of such a sequence, shots and generated tokens included (assumed)."""
    missing: str = Field(default=ALL_DATA, json_schema_extra={NEUTRAL: ALL_DATA})
    """What no source gives, for instance the split that its shots come from."""


Task = Annotated[OfflineTask | LibraryTask | PublishedTask, Field(discriminator="kind")]


class Seeds(Spec):
    """What lm-eval seeds before each task, with its defaults; `shots` draws the shots of library tasks."""

    python: Seed = 0
    numpy: Seed = 1234
    torch: Seed = 1234
    shots: Seed = 1234


class LmEval(Spec):
    """Benchmarks by lm-eval on a checkpoint. Outputs: `results` (a file), `samples` (a table, one row an item).

    In fp32, one sequence at a time: a request's numbers depend on itself alone.
    """

    toolchain: ClassVar[Literal["data", "compute"]] = "compute"
    libraries: ClassVar[tuple[str, ...]] = ("lm_eval", "datasets", "jinja2")
    kind: Literal["lm_eval"]
    checkpoint: Ref
    tokenizer: Ref
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    context_tokens: Count
    """Longer sequences lose their beginning."""
    lead: Index | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """The id before every text, and the whole of an empty context, for instance LLaMA's `<s>`, 1 (`add_bos_token` of
    lm-eval's own model); none: nothing stands before a text, and the end token stands for an empty context."""
    batch_rows: Count = 16
    """Requests that are looked at together: those of equal ids share a pass. Has no effect on any result."""
    seeds: Seeds = Seeds()
    bootstrap: Index = 100_000
    """Draws for the standard errors that have no closed form; 0 leaves all standard errors out, as in lm-eval."""
    kernels: Kernels = Kernels()

    def outputs(self) -> tuple[str, ...]:
        return ("results", "samples")


class LmEvalPlan(LmEval):
    """A lowered `lm_eval`."""

    determinism: Determinism
    numerics: Numerics
    model: Model
    tokenizer_kind: TokenizerKind
