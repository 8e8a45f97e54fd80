"""Where an experiment that is not run here stands: ready, and how long it would take on the device it is costed for."""

from engine.compile.estimate.device import device_of
from engine.compile.plan import Plan
from engine.compile.resolve import stage_of

HOUR = 3600  # seconds
GIB = 2**30


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


def scaled(plan: Plan) -> tuple[str, ...]:
    """The counts of 1-bit models as papers state them: without alpha and beta."""
    counts = {(run.estimate.parameters, run.estimate.scales) for run in plan.runs.values() if run.estimate.scales}
    return tuple(
        f"{parameters - scales:,} parameters, and {scales:,} scales of 1-bit matrices"
        for parameters, scales in sorted(counts)
    )


def most_memory(plan: Plan) -> tuple[str, ...]:
    """What fills the memory of the run that needs most, largest first."""
    run = max(plan.runs.values(), key=lambda run: run.estimate.memory.total_bytes())
    parts = sorted(((count, name) for name, count in run.estimate.memory if count), reverse=True)
    told = ", ".join(f"{name} {count / GIB:,.1f} GiB" for count, name in parts)
    return (f"most memory, {run.name}: {told}",) if parts else ()


def too_large(plan: Plan) -> tuple[str, ...]:
    """Of stages that need more memory than the device of their estimate has, how many of these they would fill."""
    device = device_of(plan.experiment.scale)
    most = device.memory_bytes
    if most is None:
        return ()
    needs = {stage_of(run.name): -(-run.estimate.memory.total_bytes() // most) for run in plan.runs.values()}
    return tuple(
        f"{stage} fills {devices} x {device.name}; the engine holds a model on one device, or on the host"
        for stage, devices in needs.items()
        if devices > 1
    )
