"""Rules for the files of an import: those that are read, each once, whole, and no pickle among them."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from engine.models.pretrained.files import CONFIG, INDEX, PICKLES, TOKENIZER, WEIGHTS, file_names
from engine.models.pretrained.spec import GgufFile, HfFolder, HubModel, HubName, Import
from engine.models.spec import Alibi, AlibiGpt, Dense, FbiLinear, Llama, Mamba2, Model, PartialRotary

READ = (CONFIG, TOKENIZER, INDEX)
SLOW_TOKENIZERS = ("tokenizer.model", "vocab.json", "merges.txt")


def released_layouts(stage: Import) -> tuple[str, ...]:
    """The layouts, as others publish such a model, that the engine reads out of this source; empty when it reads none.

    That a layout is read does not say that the files are pinned (`kind: hub_name` is not) or published as safetensors.
    """
    match stage.source:
        case GgufFile():
            return ("gguf",) if isinstance(stage.model, Llama) and isinstance(stage.model.linear, Dense) else ()
        case HfFolder() | HubModel() | HubName():
            return _folder_layouts(stage.model)
        case _:
            assert_never(stage.source)


def _folder_layouts(model: Model) -> tuple[str, ...]:
    match model.linear, model:
        case Dense(), Llama():
            return ("transformers llama",)
        case Dense(), Mamba2():
            return ("transformers mamba2", "mamba_ssm")
        case Dense(), AlibiGpt(position=Alibi()):
            return ("btlm",)
        case Dense(), AlibiGpt(position=PartialRotary()):
            return ("crystalcoder",)
        case FbiLinear(zero="zero"), Llama():
            return ("fbi_llm",)
        case FbiLinear(zero="zero"), Mamba2():
            return ("bi_mamba",)
        case _:
            return ()


def source_problems(stage: Import) -> Iterator[tuple[str, str]]:
    """(path in the source, message) of everything that is wrong with the files that an import names."""
    source = stage.source
    match source:
        case GgufFile():
            if len(source.file.members) > 1:
                yield "file.members", "a GGUF file is one file; name one member"
        case HfFolder():
            yield from _folder(file_names(source), stage)
            for index, file in enumerate(source.files):
                if len(file.members) > 1:
                    yield f"files.{index}.members", "each file of a folder is one; name one member"
        case HubModel():
            yield from _folder(file_names(source), stage)
        case HubName():
            return
        case _:
            assert_never(source)


def _folder(names: Sequence[str], stage: Import) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(names):
        if name.endswith(PICKLES):
            yield (
                f"files.{index}",
                f"{name} is a pickle, which may run any code as it is read; name the safetensors: a later commit "
                "or a pull request of the repository may have them; else convert the file where it can do no harm",
            )
        elif name in SLOW_TOKENIZERS:
            yield (
                f"files.{index}",
                f"{name} is not read; name {TOKENIZER}, which AutoTokenizer's save_pretrained writes of it",
            )
        elif name not in READ and not name.endswith(WEIGHTS):
            yield (
                f"files.{index}",
                f"{name} is not read: an import takes {', '.join(READ)} and *{WEIGHTS}; leave it out",
            )
        if names.index(name) != index:
            yield f"files.{index}", f"{name} stands twice"
    for name in (CONFIG, *([TOKENIZER] if stage.tokenizer else [])):
        if name not in names:
            yield "files", f"{name} is missing"
    shards = sum(name.endswith(WEIGHTS) for name in names)
    if not shards:
        yield "files", f"there are no weights; name the *{WEIGHTS}"
    if shards > 1 and INDEX not in names:
        yield "files", f"there are {shards} files of weights; {INDEX}, which says what lies where, is missing"
