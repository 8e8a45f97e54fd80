"""References meet the matrix: `rows@rows` in the cell seed=1 means `rows[seed=1]@rows`; `rows[*]@rows` is all cells.

`rows[mix=dc6,seed=*]@rows` is all cells of one mix.
"""

from collections.abc import Iterable, Mapping

from engine.spec.errors import Problem
from engine.spec.matrix import STAGES, Axes, Expansion
from engine.spec.nearest import nearest
from engine.spec.ref import Ref, RefParts, is_named, is_ref
from engine.spec.shape import Shape, leaves
from engine.spec.tree import Node, dotted, put
from engine.spec.yaml import scalar, spell

SHOWN_CELLS = 6  # of a long list in a message


class _NoCellError(Exception):
    """A reference means no cell; the text says what is allowed."""


def match(expansion: Expansion, shape: Shape) -> tuple[Node, list[Problem]]:
    """The tree with every reference to a stage with a matrix written out, and the references that mean no cell."""
    stages = expansion.root.get(STAGES)
    if stages is None or not isinstance(stages.value, dict):
        return expansion.root, []
    single: dict[str, Axes] = {"": {}}
    cells = dict.fromkeys(stages.value, single) | expansion.cells
    own = {f"{stage}[{cell}]": (stage, axes) for stage, of in expansion.cells.items() for cell, axes in of.items()}
    tree, problems, unused = expansion.root, [], _choosers(expansion)
    for trail, node, leaf in leaves(tree, shape):
        if leaf.annotation is not Ref or not isinstance(node.value, str) or not is_ref(node.value):
            continue
        parts = Ref.parse(node.value).parts
        reader, here = own.get(str(trail[1]), ("", {})) if trail[0] == STAGES else ("", {})
        for axis in _axes_of(parts, cells, here):
            unused.pop((reader, axis), None)
        try:
            text = _matched(parts, here, cells)
        except _NoCellError as error:
            problems.append(Problem(str(error), dotted(trail), *node.spot))
        else:
            tree = tree if text == node.value else put(tree, trail, node.with_value(text))
    return tree, [*problems, *unused.values()]


def _choosers(expansion: Expansion) -> dict[tuple[str, str], Problem]:
    """The axes that must choose a cell of another stage; nothing can be said of those of a faulty matrix."""
    return {(stage, axis): fault for (stage, axis), fault in expansion.choosers.items() if expansion.cells[stage]}


def _axes_of(parts: RefParts, cells: Mapping[str, Mapping[str, Axes]], here: Axes) -> Iterable[str]:
    """The axes on which a reference is matched: all of the reader's where the stage is missing or its matrix faulty."""
    known = cells.get(parts.stage)
    return () if parts.cell else next(iter(known.values())) if known else here


def _matched(parts: RefParts, here: Axes, cells: Mapping[str, Mapping[str, Axes]]) -> str:
    """The reference with its cell, for a reader whose own axes are `here`."""
    stage, cell, output = parts
    known = cells.get(stage)
    if not known:  # a faulty matrix is told already; a stage that is not there is for the check of the experiment
        return f"{stage}[{cell}]@{output}" if cell else f"{stage}@{output}"
    if "" in known:
        if cell:
            raise _NoCellError(f"{stage} has no matrix and so no cells; write {stage}@{output}")
        return f"{stage}@{output}"
    if cell == "*":
        return f"{stage}[*]@{output}"
    axes = next(iter(known.values()))
    if not cell and not axes.keys() <= here.keys():
        raise _NoCellError(f"{stage} has a matrix over {', '.join(axes)}; {_allowed(stage, output, known)}")
    wanted = _spelled(cell) if cell else ",".join(f"{axis}={here[axis]}" for axis in axes)
    if "=*" in wanted:
        if not any(is_named(each, wanted) for each in known):
            raise _NoCellError(
                f"{stage} has no cells [{cell}]; name each of its axes {', '.join(axes)}, `*` for all of one"
            )
        return f"{stage}[{wanted}]@{output}"
    if wanted not in known:
        near = nearest(wanted, known) if cell else ""
        hint = f" (did you mean [{near}]?)" if near else ""
        raise _NoCellError(f"{stage} has no cell [{cell or wanted}]{hint}; {_allowed(stage, output, known)}")
    return f"{stage}[{wanted}]@{output}"


def _spelled(cell: str) -> str:
    """A cell with its axes sorted and its values in their one spelling, so that `b=1e-3,a=1` means `a=1,b=0.001`."""
    pairs = sorted(part.partition("=")[::2] for part in cell.split(","))
    return ",".join(f"{axis.strip()}={_respelled(value.strip())}" for axis, value in pairs)


def _respelled(value: str) -> str:
    try:
        return spell(scalar(value)) if value else ""
    except ValueError:
        return value


def _allowed(stage: str, output: str, known: Mapping[str, Axes]) -> str:
    shown = [f"{stage}[{cell}]@{output}" for cell in list(known)[:SHOWN_CELLS]]
    more = ["..."] if len(known) > SHOWN_CELLS else []
    return f"write {', '.join(shown + more)} or {stage}[*]@{output}"
