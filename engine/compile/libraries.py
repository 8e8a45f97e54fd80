"""The libraries whose versions may change the bits of a stage, beyond those that all stages of its kind share."""

from engine.data.cleaning.spec import Ftfy, Language
from engine.data.readers.spec import Html, HubRows, Warc, Wet
from engine.evaluate.lm_eval.spec import LmEval
from engine.spec.base import Spec


def libraries(value: object) -> frozenset[str]:
    """Those that a stage, or any spec inside of it, names."""
    match value:
        case LmEval() | Ftfy() | Language() | Html() | HubRows() | Warc() | Wet():
            return frozenset(value.libraries)
        case Spec():
            return frozenset().union(*(libraries(inner) for _, inner in value))
        case tuple():
            return frozenset().union(*map(libraries, value))
        case _:
            return frozenset()
