"""Near duplicates by another library, end to end; run by bench/minhash.py in an environment that holds only the peer.

Usage: python minhash_peer.py NAME TEXTS.parquet KEPT.parquet; prints one JSON object.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from string import punctuation

import pyarrow as pa
import pyarrow.parquet as pq

WIDTH, BANDS, ROWS = 13, 9, 13
DELETED = str.maketrans("", "", punctuation)
BATCH = 512


def batches(path: str) -> Iterator[list[str]]:
    for batch in pq.ParquetFile(path).iter_batches(BATCH, columns=["text"]):
        yield batch.column("text").to_pylist()


def shingles(text: str) -> set[str]:
    """The text as SlimPajama compares it, in runs of 13 characters."""
    text = " ".join(text.lower().translate(DELETED).split())
    return {text[i : i + WIDTH] for i in range(max(len(text) - WIDTH + 1, 1))}


class Sets:
    """Connected components."""

    def __init__(self) -> None:
        self.parent: list[int] = []

    def find(self, x: int) -> int:
        while self.parent[x] != x:
            self.parent[x] = self.parent[self.parent[x]]
            x = self.parent[x]
        return x

    def join(self, a: int, b: int) -> None:
        a, b = self.find(a), self.find(b)
        self.parent[max(a, b)] = min(a, b)


def datasketch(path: str) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    lsh, sets, number = MinHashLSH(num_perm=128, params=(BANDS, ROWS)), Sets(), 0
    for texts in batches(path):
        for text in texts:
            signature = MinHash(num_perm=128)
            signature.update_batch([piece.encode() for piece in shingles(text)])
            sets.parent.append(number)
            for other in lsh.query(signature):
                sets.join(number, other)
            lsh.insert(number, signature)
            number += 1
    return [sets.find(n) == n for n in range(number)]


def rensa(path: str) -> list[bool]:
    from rensa import RMinHash, RMinHashLSH

    lsh, sets, number = RMinHashLSH(0.8, BANDS * ROWS, BANDS), Sets(), 0
    for texts in batches(path):
        for signature in RMinHash.from_token_sets([list(shingles(text)) for text in texts], BANDS * ROWS, 42):
            sets.parent.append(number)
            for other in lsh.query(signature):
                sets.join(number, other)
            lsh.insert(number, signature)
            number += 1
    return [sets.find(n) == n for n in range(number)]


def memory(field: str) -> int:
    """Bytes by /proc/self/status: VmRSS is resident now, VmHWM its peak."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field)) * 1024


def main(name: str, path: str, target: str) -> None:
    method = {"datasketch": datasketch, "rensa": rensa}[name]
    __import__(name)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, begin = memory("VmRSS"), time.perf_counter()
    kept = method(path)
    with pq.ParquetWriter(target, pa.schema([("text", pa.string())])) as writer:
        position = 0
        for texts in batches(path):
            some = [text for n, text in enumerate(texts, position) if kept[n]]
            writer.write_table(pa.table({"text": pa.array(some, pa.string())}))
            position += len(texts)
    print(json.dumps({"seconds": time.perf_counter() - begin, "bytes": memory("VmHWM") - before, "kept": sum(kept)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
