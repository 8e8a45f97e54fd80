"""A local copy of a hub repository as the `source:` of an import: the files that are read, each by its sha256."""

import re
from pathlib import Path

from engine.artifacts.digest import file_digest
from engine.models.pretrained.files import CONFIG, INDEX, TOKENIZER, WEIGHTS
from engine.models.pretrained.spec import HubFile, HubModel, HubName
from engine.spec.errors import SpecError

COMMIT = re.compile(r"[0-9a-f]{40}")


def pinned(source: HubName | HubModel, folder: Path) -> HubModel:
    """The source at the commit that the folder is named after, as huggingface_hub names its snapshots.

    Nothing is asked of the hub: that the folder holds the repository's files at this commit is the caller's word.
    """
    commit = folder.resolve().name
    if not folder.is_dir() or not COMMIT.fullmatch(commit):
        raise SpecError(
            f"{folder} is no snapshot: a folder named by the commit in 40 digits, as `hf download "
            f"{source.repository} --revision {source.revision}` makes one and prints its path"
        )
    names = sorted(path.name for path in folder.iterdir() if _is_read(path.name))
    if not any(name.endswith(WEIGHTS) for name in names):
        raise SpecError(f"{folder} has no {WEIGHTS}; a repository of pickles cannot be imported, convert it first")
    files = tuple(HubFile(path=name, sha256=file_digest(folder / name).sha256) for name in names)
    return HubModel(kind="hub", repository=source.repository, revision=commit, licence=source.licence, files=files)


def _is_read(name: str) -> bool:
    return name in (CONFIG, TOKENIZER, INDEX) or name.endswith(WEIGHTS)


def source_yaml(source: HubModel) -> str:
    """The text to be put in the place of the `source:` of an import, as deep as there."""
    head = [
        "    source:",
        "      kind: hub",
        f"      repository: {source.repository}",
        f'      revision: "{source.revision}"',
        f"      licence: {source.licence}",
        "      files:",
    ]
    return "\n".join([*head, *(f'        - {{path: {file.path}, sha256: "{file.sha256}"}}' for file in source.files)])
