"""Backends behind an extra: what to install when the library is missing, and that a GPU is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from engine.spec.errors import ArtifactError


@contextmanager
def needs(library: str, extra: str, backend: str) -> Iterator[None]:
    """Round a local import: a library that is not there becomes an ArtifactError that names its extra.

    `backend` is the op and what the spec declares for it, such as `norm: triton`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "engine").partition(".")[0] == "engine":
            raise
        raise ArtifactError(
            f"kernels.{backend}: {error.name} is not installed; the backend needs {library}, which the extra "
            f"`{extra}` has: pip install 'facsimile-llm[{extra}]', or declare another backend"
        ) from error


def check_on_gpu(x: Tensor, backend: str) -> None:
    """ArtifactError when a tensor is not on a GPU: the kernels of `backend` are compiled for one."""
    if not x.is_cuda:
        raise ArtifactError(
            f"kernels.{backend}: the tensors are on `{x.device.type}`, and this backend runs on a CUDA GPU alone; "
            "declare a backend for the CPU, or place the run on a GPU"
        )
