"""fp32 and bfloat16 in C++: a folder of its own, so that only the code digests of kernels that take both hold it."""

from pathlib import Path

HEADER = Path(__file__).parent / "bfloat16.h"
