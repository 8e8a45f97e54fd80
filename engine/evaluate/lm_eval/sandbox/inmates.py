"""The two programs in the sandbox: a candidate that answers calls, and a judge that asks and tests the answers.

They are processes of their own, so that the code on trial never shares memory with the tests, cannot read them, and
holds no descriptor that a verdict goes through: all it can do is answer. Calls and answers are lines of JSON that carry
plain data (None, truth values, numbers, texts, bytes, lists, tuples, sets, dicts), each with its type; an answer of any
other kind is an exception. Arguments that the candidate changes in place are changed for the judge too. Python's
standard library alone.
"""

import builtins
import json
import os
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, BinaryIO

MOST_BYTES = 1 << 24  # of a line
Namespace = dict[str, Any]


def main() -> None:
    """Role, descriptors to read and write calls; what is to be run comes as JSON from standard input."""
    role, reads, writes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(1, 0)
    with os.fdopen(reads, "rb") as hears, os.fdopen(writes, "wb") as tells:
        if role == "candidate":
            answer(request["program"], request["entry"], hears, tells)
            return
        try:
            judge(request["prelude"], request["test"], request["entry"], Caller(hears, tells))
        except BaseException:  # SystemExit too: only a test that came to its end is passed
            os._exit(1)


def answer(program: str, entry: str, hears: BinaryIO, tells: BinaryIO) -> None:
    """Runs the program, then its function `entry` as often as it is called."""
    namespace: Namespace = {"__name__": "__main__", "__builtins__": builtins}
    run(program, "program.py", namespace)
    function = namespace[entry]
    while line := hears.readline():
        arguments, named = unpacked(json.loads(line))
        try:
            told = ["value", packed(function(*arguments, **named)), packed(arguments)]
        except Exception as error:
            told = ["error", type(error).__name__, str(error)]
        tells.write(json.dumps(told).encode() + b"\n")
        tells.flush()


def judge(prelude: str, test: str, entry: str, function: Callable[..., Any]) -> None:
    """`check(entry)` of the test, where the name of the function stands for calls to the candidate."""
    namespace: Namespace = {"__name__": "__main__", "__builtins__": builtins}
    run(prelude, "prompt.py", namespace)
    namespace[entry] = function
    run(test, "test.py", namespace)
    namespace["check"](function)


def run(text: str, name: str, namespace: Namespace) -> None:
    """Runs a program in a namespace; it is none of the engine's, so what it names is not to be followed."""
    FunctionType(compile(text, name, "exec"), namespace)()


class Caller:
    """The candidate's function, as the judge sees it."""

    def __init__(self, hears: BinaryIO, tells: BinaryIO) -> None:
        self._hears, self._tells = hears, tells

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The candidate's answer; its exception where it is one of Python's own, EOFError when it has gone."""
        self._tells.write(json.dumps(packed((list(arguments), named))).encode() + b"\n")
        self._tells.flush()
        line = self._hears.readline(MOST_BYTES)
        if not line.endswith(b"\n"):
            raise EOFError("the candidate has ended, or says too much")
        match json.loads(line):
            case ["value", value, changed]:
                for mine, theirs in zip(arguments, unpacked(changed), strict=True):
                    change(mine, theirs)
                return unpacked(value)
            case ["error", str(name), str(text)]:
                raise raised(name, text)
            case _:
                raise ValueError("the candidate does not keep to the form of an answer")


def raised(name: str, text: str) -> Exception:
    """An exception of Python's own by its name; RuntimeError for any other."""
    kind = vars(builtins).get(name)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(text)
        except TypeError:  # one that is not made from a text
            pass
    return RuntimeError(f"{name}: {text}")


def change(mine: Any, theirs: Any) -> None:
    """An argument takes over what the candidate made of its copy."""
    match mine, theirs:
        case (list(), list()):
            mine[:] = theirs
        case (dict(), dict()) | (set(), set()) if mine != theirs:
            mine.clear()
            mine.update(theirs)


def packed(value: Any) -> Any:
    """Plain data as JSON that keeps its types; TypeError for anything else."""
    match value:
        case None | bool():
            return value
        case str():
            return str(value)
        case int():
            return {"int": hex(value)}  # decimal digits have a limit
        case float():
            return {"float": float(value).hex()}
        case complex():
            return {"complex": [value.real.hex(), value.imag.hex()]}
        case bytes():
            return {"bytes": value.hex()}
        case list():
            return [packed(one) for one in value]
        case tuple() | set() | frozenset():
            kind = next(kind for kind in (tuple, set, frozenset) if isinstance(value, kind))
            return {kind.__name__: [packed(one) for one in value]}
        case dict():
            return {"dict": [[packed(key), packed(one)] for key, one in value.items()]}
        case _ if type(value).__module__ == "numpy":
            return packed(value.item())  # a scalar of numpy's; ValueError for an array
        case _:
            raise TypeError(f"a {type(value).__name__} is no plain data")


def unpacked(value: Any) -> Any:
    """What was packed; ValueError for what was not."""
    match value:
        case None | bool() | str():
            return value
        case list():
            return [unpacked(one) for one in value]
        case {"int": str(text)}:
            return int(text, 16)
        case {"float": str(text)}:
            return float.fromhex(text)
        case {"complex": [str(real), str(imaginary)]}:
            return complex(float.fromhex(real), float.fromhex(imaginary))
        case {"bytes": str(text)}:
            return bytes.fromhex(text)
        case {"tuple": list(items)}:
            return tuple(unpacked(one) for one in items)
        case {"set": list(items)}:
            return {unpacked(one) for one in items}
        case {"frozenset": list(items)}:
            return frozenset(unpacked(one) for one in items)
        case {"dict": list(items)}:
            return {unpacked(key): unpacked(one) for key, one in items}
        case _:
            raise ValueError("this is no plain data")


if __name__ == "__main__":
    main()
