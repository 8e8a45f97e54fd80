"""How often each document stood in the corpus before duplicates went: once, and once for each that it stands for."""

from collections import Counter
from collections.abc import Sequence

from engine.artifacts.read import Input, read_table
from engine.spec.errors import ArtifactError

COLUMNS = ("id", "stands_for")


def copies(dropped: Sequence[Input]) -> Counter[str]:
    """By document that stands for others, how many in all, through chains over several stages.

    Memory holds the ids of what was dropped. ArtifactError for a document that was dropped twice, or stands for itself.
    """
    parent: dict[str, str] = {}
    for item in dropped:
        for batch in read_table(item.folder, COLUMNS):
            for document, stands_for in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
                if not stands_for:
                    continue
                if document in parent or document == stands_for:
                    raise ArtifactError(
                        f"{item.run}@{item.output}: document {document} was dropped twice, or stands for itself; name "
                        "each `dropped` of one line of stages once"
                    )
                parent[document] = stands_for
    found: Counter[str] = Counter()
    for document in parent:
        found[_last(document, parent)] += 1
    return found


def _last(document: str, parent: dict[str, str]) -> str:
    """The document at the end of a chain."""
    seen = {document}
    while document in parent:
        document = parent[document]
        if document in seen:
            raise ArtifactError(
                f"document {document} stands for itself in a circle; name `dropped` of one line of stages"
            )
        seen.add(document)
    return document
