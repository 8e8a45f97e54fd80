"""The README of an exported checkpoint: what it is, by which digests it is known, and whose text is in it."""

from collections.abc import Sequence
from typing import assert_never

from engine.artifacts.lineage import Graph
from engine.artifacts.read import Input
from engine.data.tokenizer import TokenizerInfo
from engine.models.pretrained.spec import Import
from engine.train.spec import TrainPlan

NO_TOKENIZER = "The import took none: use the tokenizer that the model was published with."


def card(checkpoint: Input, stage: TrainPlan | Import, tokenizer: TokenizerInfo | None, lineage: Graph) -> str:
    """Markdown; equal for equal artifacts, so without a clock or a host."""
    name = f"{checkpoint.run}@{checkpoint.output}"
    digests = [
        ("content of the checkpoint", checkpoint.digest),
        ("recipe of the run", checkpoint.manifest.recipe),
        ("code of the run", checkpoint.manifest.code),
    ]
    parts = [
        f"---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n\n# {name}",
        about(stage),
        table(("what", "sha256"), digests),
        f"## Tokens\n\n{tokens(tokenizer) if tokenizer else NO_TOKENIZER}",
        f"## Data\n\n{data(lineage)}",
    ]
    return "\n\n".join(parts) + "\n"


def about(stage: TrainPlan | Import) -> str:
    """The model in a sentence."""
    match stage:
        case TrainPlan():
            return (
                f"A language model of the family {stage.model.kind} with {stage.parameters:,} parameters, fp32 "
                f"weights, trained by Facsimile on rows of {stage.row_tokens:,} tokens. The recipe digest covers every "
                "setting, every input and the code behind it; the content digest covers its tensors and its state."
            )
        case Import():
            return (
                f"A published language model of the family {stage.model.kind}, imported by Facsimile and widened to "
                "fp32; it was trained by others. The recipe digest covers the files that it came in and the code that "
                "read them; the content digest covers its tensors."
            )
        case _:
            assert_never(stage)


def tokens(tokenizer: TokenizerInfo) -> str:
    """What one must know to give the model the ids it was trained on."""
    text = (
        f"`AutoTokenizer` gives the ids that the model was trained on. There, id {tokenizer.end_id} (`eos_token`) "
        "followed every document and nothing preceded one. The tokenizer adds neither, and reads special tokens in a "
        "text as the characters they are (`split_special_tokens`)."
    )
    match tokenizer.kind:
        case "sentencepiece_bpe":
            return f"{text} A text comes back as it was, but for U+2581, which becomes a space."
        case "huggingface":
            return text


def data(lineage: Graph) -> str:
    """The raw files with their licences, and what could not be read of the lineage."""
    sources = [(source.name, source.licence, source.uri, source.sha256) for source in lineage.sources]
    lost = [f"Unknown: what {node.run} was made from ({node.problem})." for node in lineage.runs if node.problem]
    told = "What the weights and the tokenizer were made from, as the experiment declares it."
    return "\n\n".join([told, table(("source", "licence", "published at", "sha256"), sources), *lost])


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table of Markdown."""
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
