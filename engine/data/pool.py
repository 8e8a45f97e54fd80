"""Work handed to worker processes and taken back in its order; one worker is this process itself."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from threading import Thread
from typing import TypeVar

AHEAD = 4  # pieces under way or finished before their turn, for each worker: what bounds memory

K = TypeVar("K")
A = TypeVar("A")
B = TypeVar("B")


def in_order(task: Callable[[A], B], work: Iterable[tuple[K, A]], workers: int) -> Iterator[tuple[K, B]]:
    """(key, task(argument)) for each (key, argument), in order; the key stays here, the argument travels."""
    if workers == 1:
        yield from ((key, task(argument)) for key, argument in work)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)
    waiting: deque[tuple[K, Future[B]]] = deque()
    try:
        for key, argument in work:
            waiting.append((key, pool.submit(task, argument)))
            if len(waiting) >= AHEAD * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Ends this worker when its parent is killed: it would go on writing where the next run writes."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
