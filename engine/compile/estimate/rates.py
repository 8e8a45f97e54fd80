"""What data stages cost on one core, as `python -m bench.data_rates` measured it; bench/RESULTS.md has its table.

CPU seconds on 13 MB of RedPajama's sample (3.1 kB a document), so small documents cost more than these say.
"""

from collections.abc import Mapping
from typing import Final

# Bytes of text a second, read and write of the tables included.
INGEST: Final = 24.4e6
CLEAN: Final[Mapping[str, float]] = {
    "ftfy": 4.2e6,
    "slimpajama_short": 32.0e6,
    "language": 2.1e6,
    "gopher_quality": 18.9e6,
    "gopher_repetition": 6.7e6,
    "nfc": 32.0e6,  # this and the next: taken as slimpajama_short
    "least_chars": 32.0e6,
}
MINHASH: Final = 37.6e6
DEDUP: Final[Mapping[str, float]] = {"exact": 70.1e6, "near": 59.1e6}
SPLIT: Final = 49.1e6
LEAKS: Final[Mapping[str, float]] = {"exact": 46.9e6, "near": 39.5e6, "ngram": 9.4e6}
PACK: Final = 4.7e6

WRITTEN: Final = 0.37
"""Bytes of a table of documents by those of its text."""
PACKED: Final = 0.78
"""Bytes of rows of 16-bit ids with their provenance, by those of the text."""
BANDS: Final = 204
"""Bytes of an index for each document, nine bands of 16 bytes among them."""
SPILLED: Final[Mapping[str, int]] = {"exact": 224, "near": 782}
"""Bytes of scratch files for each document, while a dedup runs."""
HOST: Final = 600 << 20
"""Bytes of one worker, whatever the corpus: interpreter, libraries, a partition (bench.data_memory: 326 MiB) and what
language detection adds (295 MiB)."""
