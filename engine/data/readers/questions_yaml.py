"""YAML with `conversations:`, a list of lists of utterances, one line each or more."""

from collections.abc import Iterator
from typing import IO, assert_never

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from engine.data.readers.bounded import whole
from engine.data.readers.spec import QuestionsYaml
from engine.data.readers.text import decode
from engine.data.readers.unit import Skipped, Unit
from engine.spec.errors import ArtifactError


def read_questions(stream: IO[bytes], where: str, form: QuestionsYaml, most_bytes: int) -> Iterator[Unit | Skipped]:
    """Conversations, apart or joined by empty lines; every scalar is taken as the text that it is.

    A lone text where a conversation should stand is passed over: real files have such slips.
    """
    texts: list[str] = []
    for number, node in enumerate(_conversations(decode(whole(stream, where, most_bytes), where), where), 1):
        if isinstance(node, ScalarNode):
            yield Skipped("lone_utterance")
            continue
        text = "".join(f"{_scalar(utterance, where).strip()}\n" for utterance in _items(node, where))
        match form.unit:
            case "file":
                texts.append(text)
            case "conversation":
                yield Unit(f"conversation={number}", text)
            case _:
                assert_never(form.unit)
    if texts:
        yield Unit("", "\n".join(texts))


def _conversations(text: str, where: str) -> list[Node]:
    """The conversations as nodes: no YAML tag can build anything, and no alias can multiply."""
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, RecursionError) as error:
        raise ArtifactError(
            f"{where} is not YAML ({' '.join(str(error).split())}); mend it, or leave it out"
        ) from error
    found = [value for key, value in _pairs(root, where) if _scalar(key, where) == "conversations"]
    if len(found) != 1:
        raise ArtifactError(f"{where} has no `conversations:`, a list of lists of utterances")
    return _items(found[0], where)


def _pairs(node: Node, where: str) -> list[tuple[Node, Node]]:
    if not isinstance(node, MappingNode):
        raise ArtifactError(f"{where} has no `conversations:`, a list of lists of utterances")
    return list(node.value)


def _items(node: Node, where: str) -> list[Node]:
    if not isinstance(node, SequenceNode) or node.anchor:
        raise _odd(node, where, "a list without an anchor")
    return list(node.value)


def _scalar(node: Node, where: str) -> str:
    if not isinstance(node, ScalarNode) or node.anchor:
        raise _odd(node, where, "a text without an anchor")
    return str(node.value)


def _odd(node: Node, where: str, expected: str) -> ArtifactError:
    return ArtifactError(f"{where} line {node.start_mark.line + 1}: expected {expected}; write it out in full")
