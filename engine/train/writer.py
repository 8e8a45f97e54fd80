"""Checkpoints written beside the training: one at a time, by a thread that hashes as it writes.

The next one waits for the one before it, whose digest it names as its parent; so a checkpoint that is half written is
the last, and has no closed output.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import final


@final
class Writer:
    """One piece of work at a time, in order; what goes wrong in it is raised by the next call."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "checkpoint")
        self._last: Future[None] | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Starts a piece of work when the one before it has ended."""
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> None:
        """Returns when everything is written and durable."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Waits, and ends the thread."""
        self.wait()
        self._pool.shutdown()
