"""Peak memory of clean, dedup and split on a made-up corpus of one size and of four times that size.

    python -m bench.data_memory [MEGABYTES]

Each size runs in a process of its own; the peak is the kernel's VmHWM of that process (Linux), in MiB.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.memory import resident
from engine.artifacts.placement import Placement
from engine.artifacts.read import Inputs
from engine.data.cleaning.spec import LeastChars, NormalizeNfc
from engine.data.dedup.spec import Dedup, ExactDuplicates
from engine.data.documents import Document, document_id
from engine.data.run import run_clean, run_dedup, run_split
from engine.data.spec import Clean, Split
from engine.spec.ref import Ref
from tests.data.built import build, documents

MEGABYTES = 32
DOCUMENT_CHARS = 4000
REF = Ref("corpus@documents")


def main() -> None:
    """Prints the peaks of both sizes; with two arguments, is one of the two processes."""
    if len(sys.argv) == 3:
        with tempfile.TemporaryDirectory(dir=sys.argv[2]) as folder:
            print(" ".join(f"{name}={peak:.1f}" for name, peak in measure(Path(folder), int(sys.argv[1]))))
        return
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES
    for times in (1, 4):
        peaks = peaks_of(megabytes * times, Path(tempfile.gettempdir()))
        print(f"{times}x, {megabytes * times} MB of text: peak MiB after each stage: {peaks}")


def peaks_of(megabytes: int, folder: Path) -> dict[str, float]:
    """Peak MiB after each stage, in a new process."""
    command = [sys.executable, "-m", "bench.data_memory", str(megabytes), str(folder)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    return {name: float(peak) for name, peak in (pair.split("=") for pair in done.stdout.split())}


def measure(folder: Path, megabytes: int) -> Iterator[tuple[str, float]]:
    """Each stage's name with the peak so far."""
    placement = Placement(folder, folder, folder, None)
    clean = Clean(
        kind="clean",
        documents=REF,
        steps=(NormalizeNfc(kind="nfc"), LeastChars(kind="least_chars", chars=10)),
    )
    dedup = Dedup(kind="dedup", documents=REF, scope="global", method=ExactDuplicates(kind="exact"))
    split = Split(kind="split", documents=REF, by="document", heldout=0.05, seed=1)
    corpus = documents(folder, _documents(megabytes))
    yield "corpus", _peak()
    built = build(folder, "clean", lambda out: run_clean(clean, Inputs({REF: (corpus,)}), out, placement))
    cleaned = built.outputs["documents"]
    yield "clean", _peak()
    built = build(folder, "unique", lambda out: run_dedup(dedup, Inputs({REF: (cleaned,)}), out, placement))
    unique = built.outputs["documents"]
    yield "dedup", _peak()
    build(folder, "split", lambda out: run_split(split, Inputs({REF: (unique,)}), out, placement))
    yield "split", _peak()


def _documents(megabytes: int) -> Iterator[Document]:
    """Texts that hardly compress, of which every tenth is a copy of an early one."""
    for number in range(megabytes * 1_000_000 // DOCUMENT_CHARS):
        theme = number if number % 10 else number % 1000
        text = " ".join(f"{(theme * 7919 + word * 104729) % 999983:06d}" for word in range(DOCUMENT_CHARS // 7))
        identity = document_id("0" * 64, str(number))
        yield Document(identity, "made-up", f"domain{number % 4}", identity, f"f#line={number}", "CC0-1.0", text)


def _peak() -> float:
    """MiB."""
    return resident("VmHWM") / 2**20


if __name__ == "__main__":
    main()
