"""That no two documents of an ingest have one id: ids are spilled by their first byte and sorted a bucket at a time."""

from collections.abc import Iterable
from pathlib import Path
from typing import final

import numpy as np

from engine.data.dedup.buckets import Buckets

_RECORD = np.dtype([("id", "S16"), ("owner", "<i4")])
_COUNT = 256


@final
class DistinctIds:
    """Ids with the number of who brought them."""

    def __init__(self, folder: Path) -> None:
        self._buckets = Buckets(folder, "ids", _RECORD, _COUNT)

    def add(self, ids: Iterable[str], owner: int) -> None:
        """Ids of 32 hex digits, all of one owner."""
        raw = np.frombuffer(bytes.fromhex("".join(ids)), np.uint8).reshape(-1, 16)
        records = np.zeros(len(raw), _RECORD)
        records["id"] = np.ascontiguousarray(raw).view("S16")[:, 0]
        records["owner"] = owner
        if len(raw):
            self._buckets.add(raw[:, 0].astype(np.int64), records)

    def twice(self) -> tuple[str, int, int] | None:
        """The first id that stands twice with both owners, or None."""
        for bucket in range(_COUNT):
            records = self._buckets.take(bucket)
            records = records[np.argsort(records["id"], kind="stable")]
            same = np.flatnonzero(records["id"][1:] == records["id"][:-1])
            if len(same):
                one, other = records[same[0]], records[same[0] + 1]
                return bytes(one["id"]).ljust(16, b"\0").hex(), int(one["owner"]), int(other["owner"])
        return None
