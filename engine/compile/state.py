"""Where an experiment that is not run here stands: ready, and how long it would take on the device it is costed for."""

from engine.compile.estimate.device import device_of
from engine.compile.plan import Plan, PlannedRun

HOUR = 3600  # seconds


def state_line(plan: Plan) -> str:
    """`ready, not run: N device-hours`, of what they are, and what they leave out."""
    device = device_of(plan.experiment.scale)
    counted = [run for run in plan.runs.values() if run.estimate.flops]
    rate = f"{device.name} at {device.utilisation:g} of its peak" if device.utilisation < 1 else device.name
    hours = device_hours(plan)
    known = f"{hours:,.1f} device-hours ({rate})" if counted else "device-hours not known"
    left_out = unknown(plan)
    at_least = "at least " if counted and left_out else ""
    return f"ready, not run: {at_least}{known}" + (f"; without {', '.join(left_out)}" if left_out else "")


def device_hours(plan: Plan) -> float:
    """Of all runs whose tokens are known before anything runs."""
    return sum(run.estimate.flops / run.estimate.flops_per_second for run in plan.runs.values()) / HOUR


def unknown(plan: Plan) -> tuple[str, ...]:
    """What only the data will tell, each once."""
    return tuple(dict.fromkeys(text for run in plan.runs.values() for text in run.estimate.unknown))


def too_large(plan: Plan) -> tuple[str, ...]:
    """Of runs that need more memory than one device of their estimate has, how many of these it would fill."""
    device = device_of(plan.experiment.scale)
    return tuple(
        _filled(run, device.memory_bytes, device.name) for run in plan.runs.values() if _over(run, device.memory_bytes)
    )


def _over(run: PlannedRun, most: int | None) -> bool:
    return most is not None and run.estimate.memory.total_bytes() > most


def _filled(run: PlannedRun, most: int | None, name: str) -> str:
    assert most is not None
    devices = -(-run.estimate.memory.total_bytes() // most)
    return f"{run.name} needs the memory of {devices} x {name}; the engine holds a model on one, or on the host"
