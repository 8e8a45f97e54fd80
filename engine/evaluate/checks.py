"""Claims as executable checks: what was measured, whether it is enough, and the verdict that follows."""

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never, final

from pydantic import JsonValue

from engine.artifacts.progress import progress
from engine.artifacts.read import Inputs, read_array
from engine.data.provenance import check_rows
from engine.evaluate.disjoint import shared_documents
from engine.evaluate.spec import AtMost, Check, Claim, Claims, Disjoint, EqualContent, Metric, Traced
from engine.evaluate.verdict import Outcome, Verdict
from engine.spec.errors import ArtifactError


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check: `threshold` says what had to be true, `numbers` what was measured."""

    holds: bool
    threshold: str
    numbers: dict[str, JsonValue]


def check_claims(stage: Claims, inputs: Inputs, scratch: Path) -> list[Verdict]:
    """Verdicts in the order of the claims; a claim that fails is a result, not an error."""
    claims = progress(stage.claims, len(stage.claims), "claims", "claims")
    return [judged(claim, check(claim.check, inputs, scratch)) for claim in claims]


def judged(claim: Claim, finding: Finding) -> Verdict:
    """The verdict; a paper's claim that does not hold here is *not reproduced*, which does not call it false."""
    missed: Outcome = "not reproduced" if claim.class_ == "paper" else "fails"
    return Verdict.model_validate(
        {
            "id": claim.id,
            "class": claim.class_,
            "says": claim.says,
            "source": claim.source,
            "check": claim.check.kind,
            "verdict": "holds" if finding.holds else missed,
            "threshold": finding.threshold,
            "numbers": finding.numbers,
        }
    )


def check(wanted: Check, inputs: Inputs, scratch: Path) -> Finding:
    """Runs one check; what it needs on disk for a while goes into a folder of its own in `scratch`."""
    match wanted:
        case EqualContent():
            return equal_content(wanted, inputs)
        case AtMost():
            return at_most(wanted, inputs)
        case Traced():
            return traced(wanted, inputs)
        case Disjoint():
            return disjoint(wanted, inputs, scratch)
        case _:
            assert_never(wanted)


def equal_content(wanted: EqualContent, inputs: Inputs) -> Finding:
    """Two outputs have one content digest."""
    left, right = inputs.one(wanted.left), inputs.one(wanted.right)
    numbers: dict[str, JsonValue] = {wanted.left: left.digest, wanted.right: right.digest}
    return Finding(left.digest == right.digest, f"{wanted.left} = {wanted.right}, by content digest", numbers)


def at_most(wanted: AtMost, inputs: Inputs) -> Finding:
    """left <= factor * right."""
    left, right = measured(wanted.left, inputs), measured(wanted.right, inputs)
    bound = wanted.factor * right
    left_name, right_name = (f"{side.of.parts.stage} {side.key}" for side in (wanted.left, wanted.right))
    numbers: dict[str, JsonValue] = {"left": left, "right": right, "factor": wanted.factor, "bound": bound}
    return Finding(left <= bound, f"{left_name} <= {wanted.factor:g} * {right_name}", numbers)


def measured(metric: Metric, inputs: Inputs) -> float:
    """The number that a finished run reports under a dotted path."""
    source = inputs.one(metric.of)
    value: JsonValue = source.manifest.metrics
    for key in metric.key.split("."):
        if not isinstance(value, dict) or key not in value:
            known = ", ".join(sorted(value)) if isinstance(value, dict) else "nothing below it"
            raise ArtifactError(f"{source.run} reports no metric {metric.key!r}: there is no {key!r}; it has {known}")
        value = value[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ArtifactError(f"{source.run}: metric {metric.key!r} is {value!r:.60}, not a number; name one below it")
    return float(value)


def traced(wanted: Traced, inputs: Inputs) -> Finding:
    """The bytes of every row are those of the documents that its provenance names."""
    rows = inputs.one(wanted.rows)
    provenance, documents, tokenizer = (
        inputs.one(ref) for ref in (wanted.provenance, wanted.documents, wanted.tokenizer)
    )
    problems = check_rows(rows, provenance, documents, tokenizer)
    numbers: dict[str, JsonValue] = {"rows": len(read_array(rows.folder, "ids")), "problems": len(problems)}
    if problems:
        numbers["first"] = problems[0]
    return Finding(not problems, "0 problems in any row", numbers)


def disjoint(wanted: Disjoint, inputs: Inputs, scratch: Path) -> Finding:
    """No text, and no group of a domain, stands in both."""
    found = shared_documents(inputs.one(wanted.left), inputs.one(wanted.right), scratch)
    numbers: dict[str, JsonValue] = {
        "left_documents": found.left,
        "right_documents": found.right,
        "shared_texts": found.texts,
        "shared_groups": found.groups,
    }
    return Finding(found.texts == 0 and found.groups == 0, "0 shared texts, 0 shared groups", numbers)
