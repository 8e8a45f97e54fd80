"""Where a share is highest: the part of each domain that was dropped, for instance."""

from pydantic import JsonValue

from engine.artifacts.read import Inputs
from engine.evaluate.finding import Finding, exactly
from engine.evaluate.statistics.reported import by_domain
from engine.evaluate.statistics.spec import Shares
from engine.spec.errors import ArtifactError


def shares(wanted: Shares, inputs: Inputs) -> Finding:
    """Every named domain has a higher share than every other; `numbers` are in percent."""
    part, rest = by_domain(wanted.part, inputs), by_domain(wanted.rest, inputs)
    found = {name: share(part.get(name, 0.0), rest.get(name, 0.0)) for name in sorted({*part, *rest})}
    unknown = [name for name in wanted.highest if name not in found]
    if unknown or len(found) == len(wanted.highest):
        known = ", ".join(found)
        raise ArtifactError(f"highest: {', '.join(wanted.highest)}; there are {known}, of which some must be left over")
    others = [value for name, value in found.items() if name not in wanted.highest]
    holds = min(found[name] for name in wanted.highest) > max(others)
    numbers: dict[str, JsonValue] = {f"{name} %": value for name, value in found.items()}
    told = f"{wanted.part.key} / ({wanted.part.key} + {wanted.rest.key})"
    return exactly(holds, f"{told} of {', '.join(wanted.highest)} above that of all others", numbers)


def share(part: float, rest: float) -> float:
    """In percent; 0 of nothing."""
    return 100 * part / (part + rest) if part + rest else 0.0
