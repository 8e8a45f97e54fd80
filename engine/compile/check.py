"""Rules that hold across stages; all broken ones are reported at once, in the order of the spec."""

from collections.abc import Iterator
from typing import assert_never

from engine.compile.claims import claim_problems
from engine.compile.corpora import (
    chunk_problems,
    domain_problems,
    domains,
    fim_problems,
    keep_problems,
    mix_problems,
    mixed_domains,
    signature_problems,
    source_name_problems,
)
from engine.compile.layouts import layout_problems
from engine.compile.leaks import band_problems, task_problems
from engine.compile.lower import CLAIMS, model_of, one, packed, sentinels_of, tokenizer_of
from engine.compile.pretrained import source_problems
from engine.compile.resolve import Runs, in_order, named_runs, reference_problems, settled
from engine.data.dedup.spec import BandingRecall, CompareDrops, Decontaminate, Dedup, MinHash
from engine.data.spec import (
    Chunks,
    Clean,
    Fim,
    HuggingFaceTokenizer,
    Ingest,
    Pack,
    Plant,
    SentencePieceBpe,
    Split,
    Tokenizer,
)
from engine.evaluate.lm_eval.spec import LmEval
from engine.evaluate.spec import ByDocument, Joined, NoBaseline, Perplexity
from engine.experiment import Experiment, Stage
from engine.models.pretrained.spec import Import
from engine.models.spec import Alibi, AlibiGpt, Llama, Mamba2, Model, PartialRotary
from engine.spec.errors import Problem
from engine.spec.layout import Layout
from engine.spec.numerics import Numerics
from engine.spec.ref import Ref
from engine.spec.refs import references, rewrite
from engine.train.deepspeed import check_config, deepspeed_config
from engine.train.spec import AdamW, Cosine, FromCheckpoint, FromWeights, Linear, Schedule, Train

PADDING_IDS = 128  # assumed: what rounds a vocabulary up to a multiple that products like


def problems(experiment: Experiment) -> list[Problem]:
    """Everything that is wrong between the stages of an experiment."""
    found: list[Problem] = []
    above: dict[str, Stage] = {}
    sound: set[str] = set()  # stages whose references hold, all the way up; only they are looked at further
    for run in in_order(experiment.stages):
        stage = experiment.stages[run]
        if run == CLAIMS:
            found.append(
                Problem(f"{CLAIMS!r} is the stage that checks the claims; choose another name", f"stages.{run}")
            )
        broken = list(reference_problems(run, stage, above))
        found += broken
        alone = [*own_problems(stage), *_products(stage, experiment.numerics)]
        together: list[tuple[str, str]] = []
        if not broken and named(stage, above) <= sound:
            sound.add(run)
            together = list(joint_problems(stage, above))
        found += [Problem(text, f"stages.{run}.{path}") for path, text in (*alone, *together)]
        above[run] = rewrite(stage, lambda ref: settled(ref, above))
    return [*found, *layout_problems(experiment), *claim_problems(experiment)]


def _products(stage: Stage, numerics: Numerics) -> Iterator[tuple[str, str]]:
    """Number formats and graphs that the instruction set, or the kind of stage, does not offer."""
    match stage:
        case Train() | Perplexity():
            if stage.kernels.products == "bf16" and numerics.instruction_set == "avx2":
                yield (
                    "kernels.products",
                    "bf16 products want numerics.instruction_set avx512 or amx; oneDNN has none under avx2, and torch's"
                    " own are slower than fp32",
                )
            if isinstance(stage, Perplexity) and stage.kernels.graph == "inductor":
                yield (
                    "kernels.graph",
                    "a graph is compiled for one shape, and windows at the ends of documents have many; write eager",
                )
        case _:
            return


def named(stage: Stage, above: Runs) -> set[str]:
    """The runs that a stage refers to."""
    return {run for _, ref in references(stage) for run in named_runs(ref.parts, above)}


def own_problems(stage: Stage) -> Iterator[tuple[str, str]]:
    """(path in the stage, message) of what one stage breaks by itself."""
    match stage:
        case Ingest():
            yield from source_name_problems(stage)
        case Train():
            yield from _train(stage)
        case Import():
            yield from _import(stage)
        case LmEval():
            yield from _tasks(stage)
        case MinHash() | BandingRecall():
            yield from signature_problems(stage)
        case Pack():
            yield from mix_problems(stage)
        case (
            Split()
            | Plant()
            | Clean()
            | Dedup()
            | CompareDrops()
            | Decontaminate()
            | Tokenizer()
            | Perplexity()
            | Fim()
            | Chunks()
        ):
            return
        case _:
            assert_never(stage)


def joint_problems(stage: Stage, above: Runs) -> Iterator[tuple[str, str]]:
    """(path in the stage, message) of what one stage breaks together with those it refers to."""
    match stage:
        case Train():
            yield from _train_rows(stage, above)
            yield from _start(stage, above)
        case Perplexity():
            yield from _perplexity(stage, above)
        case LmEval():
            yield from _lm_eval(stage, above)
        case Dedup():
            yield from keep_problems(stage, above)
        case Pack():
            yield from mixed_domains(stage, domains(stage.documents, above))
        case Chunks():
            yield from chunk_problems(stage, above)
        case Fim():
            yield from fim_problems(stage, above)
        case Plant():
            known = domains(stage.documents, above)
            yield from domain_problems({f"copies.{n}.of": copies.of for n, copies in enumerate(stage.copies)}, known)
            yield from domain_problems(
                {f"copies.{n}.into": copies.into for n, copies in enumerate(stage.copies)}, known
            )
        case Decontaminate():
            yield from band_problems(stage, above)
        case Ingest() | Split() | Clean() | MinHash() | CompareDrops() | BandingRecall() | Tokenizer() | Import():
            return
        case _:
            assert_never(stage)


def _perplexity(stage: Perplexity, above: Runs) -> Iterator[tuple[str, str]]:
    model = model_of(one(stage.checkpoint, above))
    yield from _vocabulary(model, tokenizer_of(one(stage.tokenizer, above))[0], "tokenizer")
    if stage.window_tokens > model.context:
        yield "window_tokens", f"windows of {stage.window_tokens} tokens do not fit a context of {model.context}"
    match stage.windows:
        case Joined():
            yield from _joined(stage.windows, stage, model)
        case ByDocument(lead=lead):
            yield from _lead(lead, model, "windows.lead")
        case _:
            assert_never(stage.windows)


def _tasks(stage: LmEval) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for index, task in enumerate(stage.tasks):
        if task.name in seen:
            yield f"tasks.{index}.name", f"the task {task.name!r} stands twice; results are kept by name"
        seen.add(task.name)
    if stage.kernels.products != "fp32" or stage.kernels.graph != "eager":
        yield "kernels", "lm_eval computes in fp32 and eagerly; leave `products` and `graph` out"


def _lm_eval(stage: LmEval, above: Runs) -> Iterator[tuple[str, str]]:
    model = model_of(one(stage.checkpoint, above))
    yield from _vocabulary(model, tokenizer_of(one(stage.tokenizer, above))[0], "tokenizer")
    if stage.context_tokens > model.context:
        yield "context_tokens", f"{stage.context_tokens} tokens do not fit the model's context of {model.context}"
    yield from _lead(stage.lead, model, "lead")
    yield from task_problems(stage, above)


def _joined(windows: Joined, stage: Perplexity, model: Model) -> Iterator[tuple[str, str]]:
    if stage.window_tokens < 2:
        yield "window_tokens", "a window of 1 token scores nothing; its first token is context"
    if windows.first_tokens is not None and windows.first_tokens < stage.window_tokens:
        yield "windows.first_tokens", f"{windows.first_tokens} tokens fill no window of {stage.window_tokens}"
    for index, number in enumerate(windows.lead):
        yield from _lead(number, model, f"windows.lead.{index}")
    if not isinstance(stage.baseline, NoBaseline):
        yield "baseline", "a joined text is compared with nothing; write {kind: none}, or leave it out"


def _lead(number: int | None, model: Model, path: str) -> Iterator[tuple[str, str]]:
    if number is not None and number >= model.vocabulary:
        yield path, f"the model has no id {number}; its ids are below {model.vocabulary}"


def _train(stage: Train) -> Iterator[tuple[str, str]]:
    batch, layout = stage.batch, stage.layout or Layout()
    if batch.rows % (batch.micro_rows * layout.world):
        yield (
            "batch.rows",
            f"{batch.rows} rows are no multiple of {batch.micro_rows} micro_rows x {layout.world} ranks"
            f" = {batch.micro_rows * layout.world}",
        )
    else:
        config = deepspeed_config(batch, layout)
        yield from (
            ("layout", f"DeepSpeed would refuse the compiled configuration: {text}") for text in check_config(config)
        )
    yield from ((f"model.{path}", text) for path, text in _model(stage.model))
    yield from (
        (f"optimizer.lr.{path}", text)
        for path, text in _schedule(stage.optimizer.lr, stage.horizon_steps or stage.steps)
    )
    if stage.horizon_steps is not None and stage.horizon_steps < stage.steps:
        yield "horizon_steps", f"the schedule ends before the {stage.steps} steps of the run"
    retain, every = stage.checkpoints.retain_every, stage.checkpoints.every_steps
    if retain is not None and retain % every:
        yield (
            "checkpoints.retain_every",
            f"{retain} is no multiple of every_steps, {every}",
        )
    yield from ((f"optimizer.later_decays.{path}", text) for path, text in _phases(stage))


def _model(model: Model) -> Iterator[tuple[str, str]]:
    match model:
        case Llama():
            if model.width % model.heads:
                yield "heads", f"width {model.width} is no multiple of {model.heads} heads"
            elif model.width // model.heads % 2:
                yield "heads", f"a head of {model.width // model.heads} is odd; rotary positions turn pairs"
            if model.heads % model.kv_heads:
                yield "kv_heads", f"{model.heads} heads are no multiple of {model.kv_heads} kv_heads"
        case AlibiGpt():
            yield from _alibi_gpt(model)
        case Mamba2():
            yield from _mamba2(model)
        case _:
            assert_never(model)


def _alibi_gpt(model: AlibiGpt) -> Iterator[tuple[str, str]]:
    head_width = model.width // model.heads
    if model.width % model.heads:
        yield "heads", f"width {model.width} is no multiple of {model.heads} heads"
        return
    match model.position:
        case Alibi():
            return
        case PartialRotary(channels=channels):
            if channels % 2 or channels > head_width:
                text = f"{channels} channels cannot turn in pairs inside a head of {head_width}"
                yield "position.channels", f"{text}; write an even number up to {head_width}"
        case _:
            assert_never(model.position)


def _mamba2(model: Mamba2) -> Iterator[tuple[str, str]]:
    inner = model.width * model.expand
    if inner % model.head_width:
        sizes = f"{model.width} x {model.expand} = {inner}"
        yield "head_width", f"the inner width {sizes} is no multiple of {model.head_width}"
    elif inner // model.head_width % model.groups:
        yield "groups", f"{inner // model.head_width} heads are no multiple of {model.groups} groups"
    intervals = {"dt_limit": model.dt_limit, "init.a": model.init.a, "init.dt": model.init.dt}
    for path, interval in intervals.items():
        if interval is not None and interval[0] > interval[1]:
            yield path, f"the interval {interval[0]} to {interval[1]} is empty; write the lower end first"


def _schedule(schedule: Schedule, steps: int) -> Iterator[tuple[str, str]]:
    match schedule:
        case Cosine() | Linear():
            if schedule.warmup_steps > steps:
                yield "warmup_steps", f"the warm-up is longer than the {steps} steps of the run"
            if schedule.floor > schedule.peak:
                yield "floor", f"the floor lies above the peak {schedule.peak}"
        case _:
            assert_never(schedule)


def _phases(stage: Train) -> Iterator[tuple[str, str]]:
    before = 1
    for index, phase in enumerate(stage.optimizer.later_decays if isinstance(stage.optimizer, AdamW) else ()):
        if not before < phase.from_step <= stage.steps:
            told = f"{phase.from_step} is not above {before} and at most {stage.steps}, the last step"
            yield f"{index}.from_step", told
        before = max(before, phase.from_step)


def _train_rows(stage: Train, above: Runs) -> Iterator[tuple[str, str]]:
    rows = packed(stage.rows, above)
    more = sentinels_of(stage.rows, above)
    yield from _vocabulary(stage.model, tokenizer_of(one(rows.tokenizer, above))[0], "model.vocabulary", more)
    if rows.row_tokens > stage.model.context:
        yield "model.context", f"rows of {rows.row_tokens} tokens do not fit a context of {stage.model.context}"
    leak = held_out(stage.rows, above)
    if leak:
        yield "rows", f"training would read held-out documents: {' <- '.join(leak)}"


def _vocabulary(model: Model, tokenizer_ids: int, path: str, more: int = 0) -> Iterator[tuple[str, str]]:
    """A model may have some ids more than its tokenizer, so that its matrices have a round size, and never fewer.

    `more` are the ids of sentinels, which come after those of the tokenizer.
    """
    if not 0 <= model.vocabulary - tokenizer_ids - more <= PADDING_IDS:
        told = f"{tokenizer_ids} and the rows {more} sentinels more" if more else str(tokenizer_ids)
        text = f"the model has {model.vocabulary} ids, the tokenizer {told}; make them equal"
        yield path, f"{text}, or give the model up to {PADDING_IDS} more"


def _import(stage: Import) -> Iterator[tuple[str, str]]:
    yield from ((f"model.{path}", text) for path, text in _model(stage.model))
    if stage.tokenizer is not None and stage.tokenizer.vocabulary > stage.model.vocabulary:
        yield from _vocabulary(stage.model, stage.tokenizer.vocabulary, "tokenizer.vocabulary")
    yield from ((f"source.{path}", text) for path, text in source_problems(stage))


def held_out(ref: Ref, above: Runs) -> tuple[str, ...]:
    """The way from a reference back to a held-out output, or nothing."""
    if ref.parts.output == "heldout":
        return (str(ref),)
    stage = one(ref, above)
    match stage:
        case Pack() | Clean() | Dedup() | Plant() | Split():
            ways = [held_out(inner, above) for _, inner in references(stage)]
        case (
            Decontaminate(documents=documents)
            | Fim(documents=documents)
            | Chunks(documents=documents)
            | Tokenizer(method=SentencePieceBpe(documents=documents))
        ):
            ways = [held_out(documents, above)]
        case Tokenizer(method=HuggingFaceTokenizer()) | _:
            ways = []
    return next(((str(ref), *way) for way in ways if way), ())


def _start(stage: Train, above: Runs) -> Iterator[tuple[str, str]]:
    if isinstance(stage.start, FromWeights):
        yield from _weights(stage, stage.start, above)
    if not isinstance(stage.start, FromCheckpoint):
        return
    source = one(stage.start.checkpoint, above)
    if not isinstance(source, Train):
        yield "start.checkpoint", f"{stage.start.checkpoint!s} has weights alone; a run resumes from one of training"
        return
    if source.model != stage.model:
        yield "start.checkpoint", f"{stage.start.checkpoint!s} is of a model with other fields; make them equal"
    step = settled(stage.start.checkpoint, above).parts.output
    if step == "*":
        yield "start.checkpoint", "a run starts from one checkpoint; name its step"
    elif int(step.removeprefix("step-")) >= stage.steps:
        yield "steps", f"{stage.steps} steps are over before they begin: the run starts from {stage.start.checkpoint!s}"


def _weights(stage: Train, start: FromWeights, above: Runs) -> Iterator[tuple[str, str]]:
    source = one(start.checkpoint, above)
    if settled(start.checkpoint, above).parts.output == "*":
        yield "start.checkpoint", "a stage starts from one checkpoint; name its step"
    if start.moments == "keep" and not isinstance(source, Train):
        text = f"{start.checkpoint!s} has weights alone; write reset, or start from a checkpoint of training"
        yield "start.moments", text
    if _stretched(model_of(source)) != _stretched(stage.model):
        text = f"{start.checkpoint!s} is of a model with other fields; only context and rope_base may differ"
        yield "start.checkpoint", text


def _stretched(model: Model) -> Model:
    """A model without what another stage of training may change of it."""
    return model.replace(context=1, rope_base=1.0) if isinstance(model, Llama) else model
