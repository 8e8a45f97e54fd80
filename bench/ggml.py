"""llama.cpp's 1-bit and ternary products, called through its shared libraries: one ggml_mul_mat, as its graphs run it.

Its time holds what ours holds too: rounding the activations, and sharing rows out over threads.
"""

import ctypes
from pathlib import Path

import torch
from torch import Tensor

TYPES = {"Q1_0": 41, "TQ1_0": 34, "TQ2_0": 35}  # of ggml.h, 0.25.3
P, N = ctypes.c_void_p, ctypes.c_int64
F32 = 0


class _Pool(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_size_t), ("buffer", P), ("no_data", ctypes.c_bool))


class Ggml:
    """The libraries of a folder; OSError when it has none."""

    def __init__(self, folder: Path) -> None:
        self.base = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        self.cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"))
        self.cpu.ggml_cpu_init()
        self.base.ggml_init.argtypes, self.base.ggml_init.restype = [_Pool], P
        self.base.ggml_new_tensor_2d.argtypes, self.base.ggml_new_tensor_2d.restype = [P, ctypes.c_int, N, N], P
        self.base.ggml_mul_mat.argtypes, self.base.ggml_mul_mat.restype = [P, P, P], P
        self.base.ggml_get_data.argtypes, self.base.ggml_get_data.restype = [P], P
        self.base.ggml_new_graph.argtypes, self.base.ggml_new_graph.restype = [P], P
        self.base.ggml_build_forward_expand.argtypes = [P, P]
        self.base.ggml_quantize_chunk.argtypes = [ctypes.c_int, P, P, N, N, N, P]
        self.base.ggml_quantize_chunk.restype = ctypes.c_size_t
        self.cpu.ggml_graph_compute_with_ctx.argtypes = [P, P, ctypes.c_int]


class Product:
    """x_TI times the transpose of a matrix of +1 and -1 [O, I], stored in one of ggml's types."""

    def __init__(self, library: Ggml, kind: str, signs_OI: Tensor, tokens: int) -> None:
        outputs, inputs = signs_OI.shape
        self.library, base = library, library.base
        self.pool = base.ggml_init(_Pool(1 << 28, None, False))
        weight = base.ggml_new_tensor_2d(self.pool, TYPES[kind], inputs, outputs)
        dense_OI = signs_OI.float().contiguous()
        self.bytes = base.ggml_quantize_chunk(
            TYPES[kind], dense_OI.data_ptr(), base.ggml_get_data(weight), 0, outputs, inputs, None
        )
        x = base.ggml_new_tensor_2d(self.pool, F32, inputs, tokens)
        y = base.ggml_mul_mat(self.pool, weight, x)
        self.graph = base.ggml_new_graph(self.pool)
        base.ggml_build_forward_expand(self.graph, y)
        self.x_TI, self.y_TO = (_floats(base.ggml_get_data(t), tokens, n) for t, n in ((x, inputs), (y, outputs)))

    def __call__(self, threads: int) -> Tensor:
        """y_TO of what is in `x_TI`."""
        self.library.cpu.ggml_graph_compute_with_ctx(self.pool, self.graph, threads)
        return self.y_TO


def _floats(address: int, rows: int, columns: int) -> Tensor:
    memory = (ctypes.c_float * (rows * columns)).from_address(address)
    return torch.frombuffer(memory, dtype=torch.float32).view(rows, columns)
