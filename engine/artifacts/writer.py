"""What is open for writing: a block that ends well closes it, one that fails aborts it."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Writer(ABC):
    """The context of a writer whose close makes its bytes durable and names them."""

    @abstractmethod
    def close(self) -> None:
        """Completes what is written; a second call does nothing."""

    @abstractmethod
    def abort(self) -> None:
        """Lets go of what is open, complete or not; nothing more is written."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: object, __: TracebackType | None) -> None:
        try:
            if kind is None:
                self.close()
        finally:
            self.abort()
