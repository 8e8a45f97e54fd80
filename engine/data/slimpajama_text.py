"""The text that SlimPajama measures and compares: lower case, no ASCII punctuation, white space in single spaces."""

from string import punctuation, whitespace

_DELETED = punctuation.encode()
_SPACES = (whitespace + "\x1c\x1d\x1e\x1f").encode()  # what str.isspace() takes for white space in ASCII
_ASCII = bytes.maketrans(_SPACES, b" " * len(_SPACES))
_ASCII_LOWER = bytes(ord(chr(byte).lower()) if byte < 128 else byte for byte in _ASCII)


def slimpajama_text(text: str) -> str:
    """Lower case, ASCII punctuation deleted, runs of Unicode white space to one space, none at either end."""
    if not text.isascii():
        # a byte below 128 is never a part of another character in UTF-8
        kept = text.lower().encode("utf-8", "surrogatepass").translate(None, _DELETED)
        return " ".join(kept.decode("utf-8", "surrogatepass").split())
    kept = text.encode("ascii").translate(_ASCII_LOWER, _DELETED)
    while b"  " in kept:
        kept = kept.replace(b"  ", b" ")
    return kept.strip(b" ").decode("ascii")
