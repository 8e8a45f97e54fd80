"""`extends`: a chain of files becomes one tree. Mappings merge; lists, scalars and mappings of another kind replace."""

from collections.abc import Sequence
from pathlib import Path

from engine.spec import yaml
from engine.spec.errors import Problem
from engine.spec.nearest import did_you_mean
from engine.spec.tree import Node, describe

EXTENDS = "extends"


def gather(path: Path, specs: Path) -> tuple[Node | None, tuple[Path, ...], list[Problem]]:
    """A spec merged over its bases, the files in the order they were read, and what is wrong with them.

    A base lies in the folder of the spec's paper, `specs/<paper>`. The tree is None when a file of the chain cannot be
    read, is no YAML, or names a base that is not there.
    """
    fence = paper_folder(path, specs)
    layers: list[Node] = []
    files: list[Path] = []
    problems: list[Problem] = []
    following: Path | None = path
    while following is not None:
        tree, found = yaml.read(following) if following.is_file() else (None, [_missing(following)])
        files.append(following)
        problems += found
        if tree is None:
            return None, tuple(files), problems
        following, layer, more = _next(tree, files, fence)
        layers.append(layer)
        problems += more
        if more:
            return None, tuple(files), problems
    return merge(layers), tuple(files), problems


def paper_folder(path: Path, specs: Path) -> Path:
    """The folder below `specs` that holds a spec and all its bases; `specs` itself for a file that lies right in it."""
    real = path.resolve()
    if not real.is_relative_to(specs.resolve()):
        return path.parent
    inner = real.relative_to(specs.resolve())
    return specs / inner.parts[0] if len(inner.parts) > 1 else specs


def merge(layers: Sequence[Node]) -> Node:
    """One tree from layers, the nearest first; every value keeps those that it replaced."""
    tree = layers[-1]
    for layer in reversed(layers[:-1]):
        tree = _over(tree, layer)
    return tree


def _over(base: Node, top: Node) -> Node:
    below, above = base.value, top.value
    if not isinstance(below, dict) or not isinstance(above, dict) or _kinds_differ(below, above):
        return Node(above, top.spot, top.key, (base, *base.overrode))
    merged = {key: _over(child, above[key]) if key in above else child for key, child in below.items()}
    return Node(merged | {key: above[key] for key in above if key not in below}, top.spot, top.key)


def _kinds_differ(below: dict[str, Node], above: dict[str, Node]) -> bool:
    """A cosine over a constant: the fields of one kind mean nothing to another, so nothing of the base stays."""
    return "kind" in below and "kind" in above and below["kind"].value != above["kind"].value


def _next(tree: Node, files: list[Path], fence: Path) -> tuple[Path | None, Node, list[Problem]]:
    """The base that a tree names, the tree without its `extends`, and what is wrong with that."""
    assert isinstance(tree.value, dict)
    rest = {key: child for key, child in tree.value.items() if key != EXTENDS}
    layer = tree.with_value(rest)
    named = tree.value.get(EXTENDS)
    if named is None:
        return None, layer, []
    base, fault = _base(named, files, fence)
    spot = named.spot
    return base, layer, [Problem(fault, EXTENDS, spot.file, spot.line, spot.column)] if fault else []


def _base(named: Node, files: list[Path], fence: Path) -> tuple[Path | None, str]:
    text = named.value
    if not isinstance(text, str) or not text:
        return None, f"expected the path of one file, found {describe(text)}; for instance `extends: base.yaml`"
    if "\0" in text or "\\" in text or Path(text).is_absolute():
        return None, f'"{text}" is not a relative path; write it with "/" from the folder of this file'
    base = files[-1].parent / text
    try:
        real = base.resolve()
        is_file = real.is_file()
    except (OSError, RuntimeError) as error:  # a name too long, a circle of links
        return None, f"cannot be read: {error}"
    if not real.is_relative_to(fence.resolve()):
        return None, f'"{text}" climbs out of {fence}; a spec extends files of its own paper only'
    if not is_file:
        return None, f'"{text}": {_missing(base).message}'
    if real in [file.resolve() for file in files]:
        circle = " -> ".join(file.name for file in [*files, base])
        return None, f"extends itself: {circle}; take one of these lines out"
    return base, ""


def _missing(path: Path) -> Problem:
    if path.exists():
        return Problem("is not a file", file=str(path))
    beside = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
    hint = did_you_mean(path.name, beside) or (f"; {path.parent} has {', '.join(beside)}" if beside else "")
    return Problem(f"there is no such file{hint}", file=str(path))
