"""Stops a process at a chosen moment: tests put this folder on PYTHONPATH, and Python imports the module as it starts.

FACSIMILE_HOLD is "WORDS|NUMBER|FOLDER": the process whose command line holds WORDS waits just before its NUMBER-th
moment, a moment being a call of fsync or a rename. It writes FOLDER/held and goes on when FOLDER/go is there.
"""

import os
import sys
import time
from pathlib import Path

HOLD = "FACSIMILE_HOLD"
PATIENCE_SECONDS = 120


def install(number: int, folder: Path) -> None:
    """Counts moments from here on, and waits at the one with this number."""
    count = 0
    fsync = os.fsync

    def moment() -> None:
        nonlocal count
        count += 1
        if count == number:
            (folder / "held").touch()
            for _ in range(PATIENCE_SECONDS * 200):
                if (folder / "go").exists():
                    return
                time.sleep(0.005)
            os._exit(1)  # the test itself was killed

    def counted_fsync(descriptor: int) -> None:
        moment()
        fsync(descriptor)

    def hook(event: str, _: object) -> None:
        if event == "os.rename":
            moment()

    os.fsync = counted_fsync
    sys.addaudithook(hook)


words, _, place = os.environ.get(HOLD, "").partition("|")
if words and words in " ".join(sys.orig_argv):
    install(int(place.partition("|")[0]), Path(place.partition("|")[2]))
