"""The YAML that specs are written in: the 1.2 core schema, and everything else refused with its place."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from engine.spec.tree import Scalar, data, walk
from engine.spec.yaml import LIMIT_BYTES, LIMIT_DEPTH, LIMIT_PROBLEMS, parse, scalar, spell


def said(raw: bytes) -> list[str]:
    """Every problem as `line:column message`."""
    return [f"{problem.line}:{problem.column} {problem.message}" for problem in parse(raw, "x.yaml")[1]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("true", True), ("FALSE", False), ("tRUE", "tRUE"),
        ("", None), ("~", None), ("null", None), ("none", "none"),
        ("1", 1), ("-1", -1), ("+1", 1), ("010", 10), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"),
        ("1e-3", 0.001), ("1.5e-3", 0.0015), ("1.", 1.0), (".5", 0.5), ("-0.0", -0.0), ("1e3", 1000.0),
        ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"), ("0b1", "0b1"), ("-", "-"),
    ],
)  # fmt: skip
def test_a_plain_scalar_is_read_by_the_core_schema(text: str, value: Scalar) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.INF", "1e999", "9" * 1001])
def test_a_number_that_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quotes"):
        scalar(text)


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()))
def test_the_spelling_of_a_scalar_reads_back(value: Scalar) -> None:
    assert repr(scalar(spell(value))) == repr(value)


def test_places_count_lines_and_columns_from_one() -> None:
    root, problems = parse("a: 1\r\nbé: [x,\r\n  {c: 'd'}]\n".encode(), "x.yaml")
    assert root is not None
    assert problems == []
    assert data(root) == {"a": 1, "bé": ["x", {"c": "d"}]}
    places = {trail: (node.key[1:], node.spot[1:]) for trail, node in walk(root)}
    assert places["a",] == ((1, 1), (1, 4))
    assert places["bé",] == ((2, 1), (2, 5))
    assert places["bé", 1, "c"] == ((3, 4), (3, 7))


def test_a_byte_order_mark_is_passed_over() -> None:
    root, problems = parse(b"\xef\xbb\xbfa: 1\n", "x.yaml")
    assert problems == []
    assert root is not None
    assert data(root) == {"a": 1}


SOUND = sorted((Path(__file__).parent / "cases" / "k2").glob("*.yaml"))


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.stem)
def test_sound_files_mean_what_they_mean_to_ruamel(path: Path) -> None:
    root, problems = parse(path.read_bytes(), path.name)
    assert problems == []
    assert root is not None
    assert data(root) == YAML(typ="safe", pure=True).load(path)


def test_an_alias_bomb_is_refused_without_growing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    root, problems = parse("\n".join(lines).encode(), "bomb.yaml")
    assert root is None
    assert len(problems) == LIMIT_PROBLEMS + 1
    assert str(problems[0]) == "bomb.yaml:1:5: a0: &a0: anchors are not part of this language; take it out"
    assert str(problems[2]).startswith("bomb.yaml:2:10: a1.0: *a0: aliases are not part of this language")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: " + b"[" * 100_000, f"1:{4 + LIMIT_DEPTH} is nested deeper than {LIMIT_DEPTH} levels"),
        (b"".join(b" " * i + b"a:\n" for i in range(40)), f"{LIMIT_DEPTH + 2}:{LIMIT_DEPTH + 2} is nested deeper"),
        (b"a: 1\nb: \xe4\n", "2:4 byte 0xe4 is not UTF-8"),
        (b"\xff\xfea\x00:\x00 \x001\x00", "1:1 byte 0xff is not UTF-8"),
        (b"a: 1\nb: x\x07y\n", "2:5 the character U+0007 may not stand in YAML"),
        (b'a: "\\ud800"\n', "1:4 half of a surrogate pair is not text"),
        (b'a: "\\U00110000"\n', "1:1 is not YAML after this place: chr()"),
        (b"a: 1\n\tb: 2\n", "2:1 a tab may not indent YAML"),
        (b"a: b: c\n", "1:5 is not YAML: mapping values are not allowed here"),
        (b"a: 'x\n", "2:1 is not YAML: found unexpected end of stream (while scanning a quoted"),
        (b"a: {b: 1]\n", "1:9 is not YAML: expected ',' or '}'"),
        (b"a: @x\n", "1:4 is not YAML: found character '@'"),
        (b"%YAML 2.0\n---\na: 1\n", "1:1 is not YAML: found incompatible YAML document"),
        (b"*a : 1\n", "1:1 *a: aliases are not part of this language"),
        (b"&a b: !t 1\n", "1:1 &a: anchors"),
    ],
)  # fmt: skip
def test_what_is_not_plain_yaml_is_refused_with_its_place(raw: bytes, message: str) -> None:
    assert said(raw)[0].startswith(message)


def test_a_file_that_is_too_long_is_not_parsed() -> None:
    assert said(b"a: " + b"x" * LIMIT_BYTES) == ["0:0 is longer than 1,048,576 bytes; a spec is a page or two"]


PIECES = [b"a", b": ", b"\n", b"  ", b"- ", b"[", b"]", b"{", b"}", b",", b"'", b'"', b"&a ", b"*a", b"!t ", b"#",
          b"|", b">", b"\t", b"? ", b"---\n", b"...", b"%YAML 1.2\n", b"\\u12", b"\xc3\xa9", b"\xff",
          b"1e9", b"\x00", b"<<", b"\r"]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)), max_size=40))
def test_any_bytes_give_a_tree_or_a_problem(pieces: list[bytes]) -> None:
    root, problems = parse(b"".join(pieces), "x.yaml")
    assert problems or (root is not None and isinstance(root.value, dict))
