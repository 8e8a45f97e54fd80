"""Vectors of fp32 and their exponential in C++: a folder of its own, so that only their users' code digests hold it."""

from pathlib import Path

HEADER = Path(__file__).parent / "vectors.h"
