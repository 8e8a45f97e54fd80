"""The index of near duplicates: for each document the digest of its text and the keys of its bands.

Two documents share band b when bytes 16 b to 16 b + 16 of their `bands` are equal. A text without a shingle has none.
"""

import pyarrow as pa

BAND_BYTES = 16  # XXH3-128 of the band's signature values, little-endian uint32
COLUMNS = ("id", "domain", "source", "text", "bands")
BANDS_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in COLUMNS[:3]),
        pa.field("text", pa.binary(), nullable=False),  # sha256 of the text in UTF-8, 32 bytes
        pa.field("bands", pa.binary(), nullable=False),  # BAND_BYTES for each band, or empty
    ]
)
