"""Work handed to an executor and taken back in its order: this process itself, worker processes, or dask's workers."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from threading import Thread
from typing import TypeVar, assert_never

from engine.artifacts.placement import Placement
from engine.spec.errors import ArtifactError, SpecError

AHEAD = 4  # pieces under way or finished before their turn, for each worker: what bounds memory

K = TypeVar("K")
A = TypeVar("A")
B = TypeVar("B")


def in_order(
    task: Callable[[A], B], work: Iterable[tuple[K, A]], placement: Placement
) -> Generator[tuple[K, B], None, None]:
    """(key, task(argument)) for each (key, argument), in order; the key stays here, the argument travels.

    Close it where a fault may end the loop early: then no worker writes into a folder that is being removed.
    ArtifactError when a worker was killed.
    """
    if placement.executor == "process" and placement.workers == 1:
        yield from ((key, task(argument)) for key, argument in work)
        return
    waiting: deque[tuple[K, Future[B]]] = deque()
    with _executor(placement) as pool:
        try:
            for key, argument in work:
                waiting.append((key, pool.submit(task, argument)))
                if len(waiting) >= AHEAD * placement.workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        except BrokenProcessPool as error:
            raise ArtifactError(
                "a worker process was killed, most often because memory ran out; give fewer workers "
                "(FACSIMILE_WORKERS) or smaller pieces (FACSIMILE_PARTITION_ROWS) and run again"
            ) from error
        finally:
            for _, future in waiting:
                future.cancel()


def _executor(placement: Placement) -> AbstractContextManager[Executor]:
    match placement.executor:
        case "process":
            context = multiprocessing.get_context("spawn")
            return ProcessPoolExecutor(placement.workers, mp_context=context, initializer=_end_with_parent)
        case "dask":
            return _dask(placement.scheduler)
        case _:
            assert_never(placement.executor)


@contextmanager
def _dask(scheduler: str) -> Iterator[Executor]:
    """Dask's own executor; its workers import this engine and see the project folder under the same path."""
    try:
        from distributed import Client  # of the extra `cluster`
    except ImportError as error:
        raise SpecError("FACSIMILE_SCHEDULER asks for dask; pip install 'facsimile-llm[cluster]'") from error
    with Client(scheduler, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        executor: Executor = client.get_executor(pure=False)  # equal tasks are not one: they write files
        with executor:
            yield executor


def _end_with_parent() -> None:
    """Ends this worker when its parent is killed: it would go on writing where the next run writes."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
