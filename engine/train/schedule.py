"""Learning rates as pure functions of the step, in + - * / alone, so that they are equal on every machine."""

from typing import assert_never

from engine.train.spec import AdamW, Cosine, Linear, Schedule

PI = float.fromhex("0x1.921fb54442d18p+1")
COSINE_TERMS = 12  # (pi/2)^24 / 24! is below 1e-19, far under the last place of a double


def learning_rate(schedule: Schedule, step: int, steps: int) -> float:
    """The rate of update `step` (from 1 to `steps`)."""
    match schedule:
        case Cosine():
            return _cosine(schedule, step, steps)
        case Linear():
            return _linear(schedule, step, steps)
        case _:
            assert_never(schedule)


def _cosine(schedule: Cosine, step: int, steps: int) -> float:
    if step <= schedule.warmup_steps:
        return schedule.peak * step / schedule.warmup_steps
    done = (step - schedule.warmup_steps) / (steps - schedule.warmup_steps)
    return schedule.floor + (schedule.peak - schedule.floor) * (0.5 * (1.0 + cos_pi(done)))


def _linear(schedule: Linear, step: int, steps: int) -> float:
    if step <= schedule.warmup_steps:
        return schedule.peak * step / schedule.warmup_steps
    left = (steps - step) / (steps - schedule.warmup_steps)
    return schedule.floor + (schedule.peak - schedule.floor) * left


def weight_decay(spec: AdamW, step: int) -> float:
    """The weight decay of update `step`: that of the last phase which has begun."""
    begun = [phase.weight_decay for phase in spec.later_decays if phase.from_step <= step]
    return begun[-1] if begun else spec.weight_decay


def cos_pi(x: float) -> float:
    """cos(pi x) for x in [0, 1] by its series at zero; the C library's cosine may differ between machines."""
    if x > 0.5:
        return -cos_pi(1.0 - x)
    square = (PI * x) * (PI * x)
    result = 1.0
    for k in range(COSINE_TERMS, 0, -1):
        result = 1.0 - result * square / ((2 * k - 1) * (2 * k))
    return result
