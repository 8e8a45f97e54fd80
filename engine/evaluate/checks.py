"""Claims as executable checks: what was measured, whether it is enough, and the verdict that follows."""

from pathlib import Path
from typing import assert_never

from pydantic import JsonValue

from engine.artifacts.progress import progress
from engine.artifacts.read import Inputs, read_array
from engine.data.provenance import check_rows
from engine.evaluate.disjoint import shared_documents
from engine.evaluate.finding import Finding, exactly
from engine.evaluate.spec import AtMost, Check, Claim, Claims, Disjoint, EqualContent, Traced
from engine.evaluate.statistics.agree import agree
from engine.evaluate.statistics.best import best
from engine.evaluate.statistics.bound import bound
from engine.evaluate.statistics.judge import Holds
from engine.evaluate.statistics.ordered import ordered
from engine.evaluate.statistics.paired import interaction, paired
from engine.evaluate.statistics.ranks import ranks
from engine.evaluate.statistics.reported import measured, told
from engine.evaluate.statistics.shares import shares
from engine.evaluate.statistics.spec import Agree, Best, Bound, Interaction, Ordered, Paired, Ranks, Shares
from engine.evaluate.verdict import Outcome, Verdict


def check_claims(stage: Claims, inputs: Inputs, scratch: Path) -> list[Verdict]:
    """Verdicts in the order of the claims; a claim that fails is a result, not an error."""
    claims = progress(stage.claims, len(stage.claims), "claims", "claims")
    return [judged(claim, check(claim.check, inputs, scratch)) for claim in claims]


def judged(claim: Claim, finding: Finding) -> Verdict:
    """The verdict; a paper's claim that does not hold here is *not reproduced*, which does not call it false."""
    missed: Outcome = "not reproduced" if claim.class_ == "paper" else "fails"
    outcomes: dict[Holds, Outcome] = {"yes": "holds", "no": missed, "undecided": "undecided"}
    return Verdict.model_validate(
        {
            "id": claim.id,
            "class": claim.class_,
            "says": claim.says,
            "source": claim.source,
            "amended": claim.amended,
            "check": claim.check.kind,
            "verdict": outcomes[finding.holds],
            "threshold": finding.threshold,
            "numbers": finding.numbers,
            "statistics": finding.statistics,
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
        case Paired():
            return paired(wanted, inputs)
        case Best():
            return best(wanted, inputs)
        case Ordered():
            return ordered(wanted, inputs)
        case Bound():
            return bound(wanted, inputs)
        case Interaction():
            return interaction(wanted, inputs)
        case Ranks():
            return ranks(wanted, inputs)
        case Shares():
            return shares(wanted, inputs)
        case Agree():
            return agree(wanted, inputs)
        case _:
            assert_never(wanted)


def equal_content(wanted: EqualContent, inputs: Inputs) -> Finding:
    """Two outputs have one content digest."""
    left, right = inputs.one(wanted.left), inputs.one(wanted.right)
    numbers: dict[str, JsonValue] = {wanted.left: left.digest, wanted.right: right.digest}
    return exactly(left.digest == right.digest, f"{wanted.left} = {wanted.right}, by content digest", numbers)


def at_most(wanted: AtMost, inputs: Inputs) -> Finding:
    """left <= factor * right."""
    left, right = measured(wanted.left, inputs), measured(wanted.right, inputs)
    most = wanted.factor * right
    numbers: dict[str, JsonValue] = {"left": left, "right": right, "factor": wanted.factor, "bound": most}
    return exactly(left <= most, f"{told(wanted.left)} <= {wanted.factor:g} * {told(wanted.right)}", numbers)


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
    return exactly(not problems, "0 problems in any row", numbers)


def disjoint(wanted: Disjoint, inputs: Inputs, scratch: Path) -> Finding:
    """No text, and no group of a domain, stands in both."""
    found = shared_documents(inputs.one(wanted.left), inputs.one(wanted.right), scratch)
    numbers: dict[str, JsonValue] = {
        "left_documents": found.left,
        "right_documents": found.right,
        "shared_texts": found.texts,
        "shared_groups": found.groups,
    }
    return exactly(found.texts == 0 and found.groups == 0, "0 shared texts, 0 shared groups", numbers)
