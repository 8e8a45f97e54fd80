"""Rules for the files of an import: those that are read, each once, whole, and no pickle among them."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from engine.models.pretrained.files import CONFIG, INDEX, PICKLES, TOKENIZER, WEIGHTS, file_names
from engine.models.pretrained.spec import GgufFile, HfFolder, HubModel, HubName, Import

READ = (CONFIG, TOKENIZER, INDEX)


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
            yield f"files.{index}", f"{name} is a pickle, which may run any code as it is read; name the safetensors"
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
