"""Code that was proven to give the bits of older code, for stages of one shape: their recipes keep the older digest.

`facsimile equate` writes the proofs into `specs/equivalences.json`; a plan follows them from new code to old.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from engine.spec.base import Spec, is_neutral
from engine.spec.canonical import digest, plain, pretty
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from engine.spec.units import Sha256

FILE = "equivalences.json"
SEED = "seed"


class Segment(Spec):
    """What both versions of the code gave, equal to the last bit: a whole run, or a training up to a checkpoint."""

    run: str
    until: str
    """The output that a training was run up to; empty for a whole run."""
    inputs: dict[str, Sha256]
    """Content digests of what it read."""
    outputs: dict[str, Sha256]
    metrics: Sha256 | Literal[""]
    """Digest of the metrics of a whole run."""
    log: Sha256 | Literal[""]
    """sha256 of the log lines of a training."""


class Equivalence(Spec):
    """One proof: `new` gives the bits of `old` for stages of one kind and shape. Commits are empty where unknown."""

    kind: str
    shape: Sha256
    old: Sha256
    new: Sha256
    old_commit: str
    new_commit: str
    segments: Annotated[tuple[Segment, ...], Field(min_length=1)]
    toolchain: Sha256
    facts: dict[str, str]
    """Of the toolchain that the segments ran on."""

    @model_validator(mode="after")
    def _facts_are_those_of_the_toolchain(self) -> Self:
        if digest(self.facts) != self.toolchain:
            raise ValueError("the facts of a toolchain are not those of its digest")
        return self

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a later proof replaces it by; also the order in the file."""
        return (self.kind, self.shape, self.new, self.old)


class Equivalences(Spec):
    """The file."""

    format: Literal[1] = 1
    proven: tuple[Equivalence, ...] = ()

    def adding(self, found: Equivalence) -> "Equivalences":
        """With one more proof, in the place of an earlier one of the same."""
        kept = {item.key: item for item in (*self.proven, found)}
        return self.replace(proven=tuple(kept[key] for key in sorted(kept)))

    def olds(self, shape: str) -> dict[str, frozenset[str]]:
        """By code digest, those that it is proven equal to for this shape, each one step older."""
        found: dict[str, frozenset[str]] = {}
        for item in self.proven:
            if item.shape == shape:
                found[item.new] = found.get(item.new, frozenset()) | {item.old}
        return found

    def oldest(self, code: str, stage: Spec) -> str:
        """The code digest that stands in the recipe of a stage that reaches this code."""
        if all(item.new != code for item in self.proven):
            return code
        return end_of(code, self.olds(shape_of(stage)))


NONE = Equivalences()


def end_of(code: str, olds: Mapping[str, frozenset[str]]) -> str:
    """Where the steps from new to old end; ArtifactError when they go in a circle, or end at two."""
    ends = ends_of(code, olds)
    if len(ends) > 1:
        names = " and to ".join(end[:12] for end in sorted(ends))
        raise ArtifactError(
            f"specs/{FILE}: code {code[:12]} is proven equal to {names}, which are not proven equal to each other; "
            "run facsimile equate with the versions of these, or take one proof out"
        )
    return ends.pop()


def ends_of(code: str, olds: Mapping[str, frozenset[str]]) -> set[str]:
    """Every code that is proven equal and has none older; ArtifactError for a circle."""
    ends, seen, waiting = set[str](), set[str](), [code]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        waiting += sorted(olds.get(one, ()))
        if one not in olds:
            ends.add(one)
    circle = sorted(one for one in seen if one in older_than(one, olds))
    if circle:
        names = ", ".join(one[:12] for one in circle)
        raise ArtifactError(f"specs/{FILE}: the proofs go in a circle, code by code: {names}; take one of them out")
    return ends


def older_than(code: str, olds: Mapping[str, frozenset[str]]) -> set[str]:
    """Every code that the steps from new to old come to."""
    found, waiting = set[str](), sorted(olds.get(code, ()))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += sorted(olds.get(one, ()))
    return found


def shape_of(stage: Spec) -> str:
    """The digest of a lowered stage without the names of its inputs and its seeds: what chooses its code, and more."""
    return digest(_blanked(stage))


def _blanked(value: object) -> Any:
    match value:
        case Ref():
            return ""
        case Spec():
            fields = type(value).model_fields
            kept = {name: item for name, item in value.__dict__.items() if not is_neutral(fields[name], item)}
            return {fields[name].alias or name: "" if name == SEED else _blanked(kept[name]) for name in kept}
        case tuple():
            return [_blanked(item) for item in value]
        case dict():
            return {key: _blanked(item) for key, item in value.items()}
        case _:
            return plain(value)


def load_equivalences(path: Path) -> Equivalences:
    """The proofs in a file; a file that is not there holds none. ArtifactError when it is damaged."""
    if not path.exists():
        return NONE
    mend = "take it back from Git, or delete it and run facsimile equate"
    text = path.read_bytes()
    try:
        found = Equivalences.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ArtifactError(f"{path} is no file of equivalences: {place}: {first['msg']}; {mend}") from error
    if equivalences_text(found).encode("utf-8") != text:
        raise ArtifactError(f"{path} was changed after it was written: its text is not canonical; {mend}")
    return found


def equivalences_text(found: Equivalences) -> str:
    """The text of the file."""
    ordered = {item.key: item for item in found.proven}
    return pretty(found.replace(proven=tuple(ordered[key] for key in sorted(ordered))))
