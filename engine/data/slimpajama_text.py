"""The text that SlimPajama measures and compares: lower case, no ASCII punctuation, white space in single spaces."""

from string import ascii_lowercase, ascii_uppercase, punctuation

_DELETED = punctuation.encode()
# str.split takes the four separators for white space and bytes.split does not
_ASCII = bytes.maketrans((ascii_uppercase + "\x1c\x1d\x1e\x1f").encode(), (ascii_lowercase + " " * 4).encode())


def slimpajama_text(text: str) -> str:
    """Lower case, ASCII punctuation deleted, runs of Unicode white space to one space, none at either end."""
    if text.isascii():
        return b" ".join(text.encode("ascii").translate(_ASCII, _DELETED).split()).decode("ascii")
    # a byte below 128 is never a part of another character in UTF-8
    kept = text.lower().encode("utf-8", "surrogatepass").translate(None, _DELETED)
    return " ".join(kept.decode("utf-8", "surrogatepass").split())
