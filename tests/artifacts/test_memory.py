"""Writing and reading a table four times as large needs no more memory."""

import subprocess
import sys
from pathlib import Path

CODE = """
import pathlib, resource, sys
import numpy as np, pyarrow as pa
from engine.artifacts.draft import Draft
from engine.artifacts.read import read_table
schema = pa.schema([("number", pa.int64()), ("text", pa.string())])
draft, batches = Draft(pathlib.Path(sys.argv[1])), int(sys.argv[2])
noise = np.random.Generator(np.random.Philox(1)).bytes(2000 * 1000).hex()
texts = [noise[i * 2000 : (i + 1) * 2000] for i in range(2000)]
with draft.table("documents", schema) as table:
    for begin in range(batches):
        table.write(pa.record_batch([np.arange(2000) + begin, texts], schema=schema))
read = sum(batch.num_rows for batch in read_table(draft.folder / "documents"))
assert read == batches * 2000
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


def peak_mebibytes(folder: Path, batches: int) -> int:
    command = [sys.executable, "-c", CODE, str(folder), str(batches)]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_memory_of_a_table_does_not_grow(tmp_path: Path) -> None:
    once, four_times = (peak_mebibytes(tmp_path / str(batches), batches) for batches in (16, 64))
    more = 48 * 4  # MiB of text
    assert four_times - once < more / 3
