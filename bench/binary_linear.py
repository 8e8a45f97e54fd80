"""1-bit products against torch's fp32 products and llama.cpp's 1-bit and ternary ones; decoding a 1-bit llama.

python -m bench.binary_linear [--ggml FOLDER with libggml-base.so and libggml-cpu.so] [--layers 4,24]

All forms of a row run turn about in one process; a rate is that of the best round, a ratio the median of the ratios of
all rounds. Every product is checked against its definition in fp64 before it is timed. The roof is an upper bound: the
lower of what memory delivers and of how fast a thread issues the least that such a kernel needs (native/peak.cpp), both
measured in the same rounds, the best of them, times the threads. Decoding has FBI-LLM 1.3B's shapes, with its 24 layers
and with 4, of which the head of 32000 ids, fp32 in every form, takes a larger part.
"""

import argparse
import ctypes
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.ggml import TYPES, Ggml, Product
from engine.kernels import native
from engine.kernels.binary_linear.packed import Activations, layout, pack, packed_linear, uses_vnni
from engine.kernels.spec import Kernels, PackedBinary
from engine.models.build import build
from engine.models.decoder import Decoder
from engine.models.spec import Dense, FbiLinear, Llama

SIZE, ROUNDS = 4096, 15
IDS, DECODE_ROUNDS = 2, 5
LLAMA = Llama(
    kind="llama", vocabulary=32000, layers=24, width=2048, heads=32, kv_heads=32, mlp=5632, context=256, tied=True,
    linear=FbiLinear(kind="fbi"),
)  # fmt: skip
FP32_ERROR = 32 * 2.0**-24  # of the spread: 4096 products in fp32, each partial sum rounded
Case = Callable[[], object]


class Roof:
    """Bounds of one thread, the best that were seen; measured whenever they are called."""

    def __init__(self) -> None:
        path = Path(__file__).parent / "native" / "peak.cpp"
        self.library = native.library(path, native.instruction_set())
        for function in (self.library.peak_lookup, self.library.peak_int8, self.library.read_bandwidth):
            function.restype = ctypes.c_double
        self.library.read_bandwidth.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int]
        self.best: dict[object, float] = {}

    def issue(self, kind: str, tokens: int) -> float:
        """G multiply-adds a second from registers; infinite where the mix of this machine is not known."""
        function = self.library.peak_lookup if kind == "fp32" else self.library.peak_int8
        return self._best((kind, tokens > 1), function(int(tokens > 1)) or math.inf)

    def memory(self, data: Tensor) -> float:
        """GB a second of reading a tensor again and again, in one stream or in eight."""
        size = data.numel() * data.element_size()
        return max(self._best(size, self.library.read_bandwidth(data.data_ptr(), size, streams)) for streams in (1, 8))

    def _best(self, key: object, found: float) -> float:
        self.best[key] = max(found, self.best.get(key, 0.0))
        return self.best[key]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ggml", type=Path, help="llama.cpp's shared libraries; without it they are not measured")
    parser.add_argument("--layers", default="4,24", help="of the llamas that decode; 24 want 12 GB of memory")
    args = parser.parse_args()
    print(f"{native.instruction_set()}{' with VNNI' if uses_vnni() else ''}\n")
    print(f"Products of {SIZE} x {SIZE}; G is 1e9 multiply-adds a second:\n")
    print("| tokens | threads | form | G | against torch fp32 | against the best of llama.cpp | of the roof |")
    print("|---|---|---|---|---|---|---|")
    ggml = Ggml(args.ggml) if args.ggml else None
    for threads in (1, 2):
        for tokens in (1, 32):
            products(threads, tokens, ggml)
    for layers in map(int, args.layers.split(",")):
        decoding(LLAMA.replace(layers=layers))


def products(threads: int, tokens: int, ggml: Ggml | None) -> None:
    """One matrix of 4096 x 4096 and some tokens, by every form."""
    torch.set_num_threads(threads)
    roof, drawn = Roof(), torch.Generator().manual_seed(0)
    weight_OI, x_TI = (torch.randn(n, SIZE, generator=drawn) for n in (SIZE, tokens))
    alpha, beta = torch.rand(SIZE, generator=drawn), torch.zeros(SIZE)
    signs_OI, bits_OW = weight_OI.sign(), pack(weight_OI, "minus_one")
    forms: dict[str, Case] = {"torch fp32": torch_product(x_TI, weight_OI)}
    kinds: tuple[Activations, ...] = ("fp32", "int8")
    for kind in kinds:
        matrix = layout(bits_OW, SIZE, kind)
        forms[f"packed {kind}"] = partial(packed_linear, x_TI, matrix, alpha, beta, "input")
        folded = x_TI * alpha
        check(forms[f"packed {kind}"](), folded, signs_OI, FP32_ERROR if kind == "fp32" else int8_error(folded))
        forms[f"roof {kind}"] = partial(roof.issue, kind, tokens)
    for name in TYPES if ggml else ():
        assert ggml is not None
        product = Product(ggml, name, signs_OI, tokens)
        product.x_TI.copy_(x_TI)
        check(product(threads), x_TI, signs_OI, int8_error(x_TI))
        forms[f"llama.cpp {name}"] = partial(product, threads)
    forms["roof memory"] = partial(roof.memory, bits_OW)
    seconds = turn_about(forms, ROUNDS)
    ours = [f"llama.cpp {name}" for name in TYPES if ggml]
    for name, times in seconds.items():
        if name.startswith("roof"):
            continue
        rate = SIZE * SIZE * tokens / min(times) / 1e9
        against = [f"{ratio(seconds['torch fp32'], times):.1f}x", "", ""]
        if name.startswith("packed"):
            best = min(ours, key=lambda other: median(seconds[other]), default="")
            against[1] = f"{ratio(seconds[best], times):.2f}x {best.removeprefix('llama.cpp ')}" if best else "not here"
            issue, memory = roof.issue(name.removeprefix("packed "), tokens), 8 * tokens * roof.memory(bits_OW)
            against[2] = share(rate, threads * issue, threads * memory)
        print(
            f"| {tokens} | {threads} | {name} | {rate:.1f} | {' | '.join(against)} |",
            flush=True,
        )


def share(rate: float, issue: float, memory: float) -> str:
    """Of the lower roof, in multiply-adds: instructions, or reading the bits."""
    bound, name = min((issue, "instructions"), (memory, "memory"))
    return f"{rate / bound:.2f} of {bound:.0f} ({name})"


def torch_product(x_TI: Tensor, weight_OI: Tensor) -> Case:
    return partial(torch.mv, weight_OI, x_TI[0]) if len(x_TI) == 1 else partial(F.linear, x_TI, weight_OI)


def check(found: object, x_TI: Tensor, signs_OI: Tensor, allowed: float) -> None:
    """The root of the mean square of what is off, in parts of the spread of the results, is at most that."""
    assert isinstance(found, Tensor)
    defined = x_TI.double() @ signs_OI.double().T
    away = ((found - defined).square().mean().sqrt() / defined.square().mean().sqrt()).item()
    assert away < allowed, f"off by {away:.2g} of the spread, where rounding explains {allowed:.2g}"


def int8_error(x_TI: Tensor) -> float:
    """Of activations rounded to 127 steps: a step's variance is a twelfth of its square; and a tenth more."""
    steps_T = x_TI.abs().amax(-1) / 127
    return 1.1 * (steps_T.square().mean() / 12 / x_TI.square().mean()).sqrt().item()


def turn_about(forms: dict[str, Case], rounds: int) -> dict[str, list[float]]:
    """Seconds of each form in each round; a round repeats a form until 10 ms have passed, and takes the mean."""
    found: dict[str, list[float]] = {name: [] for name in forms}
    for done in range(rounds + 1):
        for name, form in forms.items():
            calls, begin = 0, time.perf_counter()
            while time.perf_counter() - begin < 0.01:
                form()
                calls += 1
            if done:  # the first round warms up
                found[name].append((time.perf_counter() - begin) / calls)
    return found


def ratio(theirs: list[float], ours: list[float]) -> float:
    return median(a / b for a, b in zip(theirs, ours, strict=True))


def decoding(llama: Llama) -> None:
    """Ids after a short text; the dense form has fp32 matrices of the same shapes."""
    dense = decoder(llama.replace(linear=Dense()), Kernels())
    forms = {
        "dense fp32": dense,
        "packed fp32": decoder(llama, Kernels(binary_linear=PackedBinary(kind="packed")), dense),
        "packed int8": decoder(llama, Kernels(binary_linear=PackedBinary(kind="packed", activations="int8"))),
    }
    print(f"\nA llama of {llama.layers} layers, width {llama.width}, vocabulary {llama.vocabulary}, one row:\n")
    print("| threads | form | ids/s | against dense fp32 | of the roof |\n|---|---|---|---|---|")
    sizes = {name: sum(touched(llama, name)) for name in forms}
    areas = {name: torch.ones(min(size, 1 << 30), dtype=torch.uint8) for name, size in sizes.items()}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        roof = Roof()
        cases: dict[str, Case] = {f"roof {name}": partial(roof.memory, area) for name, area in areas.items()}
        with torch.inference_mode():
            seconds = turn_about(cases | {name: decode(model) for name, model in forms.items()}, DECODE_ROUNDS)
        for name in forms:
            against = f"{ratio(seconds['dense fp32'], seconds[name]):.1f}x"
            rate = IDS / min(seconds[name])
            most = threads * bound(llama, name, roof, areas[name])
            print(f"| {threads} | {name} | {rate:.1f} | {against} | {rate / most:.2f} of {most:.0f} |", flush=True)


def touched(llama: Llama, name: str) -> tuple[int, int]:
    """Bytes that one id reads: of all layers' matrices, and of the head, which is fp32 in every form."""
    weights = llama.layers * (4 * llama.width**2 + 3 * llama.width * llama.mlp)
    return weights * 4 if name == "dense fp32" else weights // 8, llama.vocabulary * llama.width * 4


def bound(llama: Llama, name: str, roof: Roof, area: Tensor) -> float:
    """Ids a second of one thread: every matrix is read once, and no packed product is faster than its instructions."""
    layers, head = (size / 1e9 / roof.memory(area) for size in touched(llama, name))
    if name == "dense fp32":
        return 1 / (layers + head)
    issue = max(roof.issue(name.removeprefix("packed "), 1) for _ in range(200))
    return 1 / (max(layers, touched(llama, name)[0] * 8 / 1e9 / issue) + head)


def decode(model: Decoder[Any]) -> Case:
    """Some ids from position 16 on, in the same cache again and again."""
    state, ids_B = model.begin(1, 64), torch.tensor([3])
    for _ in range(16):
        model.step(ids_B, state)

    def some() -> None:
        state.position = 16
        for _ in range(IDS):
            model.step(ids_B, state)

    return some


def decoder(spec: Llama, kernels: Kernels, like: Decoder[Any] | None = None) -> Decoder[Any]:
    """Weights of the usual spread, from torch's generator: only their sizes matter here; or those of another model."""
    model = build(spec, kernels)
    torch.manual_seed(0)
    given = dict(like.named_parameters()) if like else {}
    with torch.no_grad():
        for name, parameter in list(model.named_parameters()):
            owner, _, leaf = name.rpartition(".")
            if name in given:
                model.get_submodule(owner).register_parameter(leaf, given[name])
            elif parameter.ndim == 2:
                parameter.uniform_(-0.035, 0.035)
            else:
                parameter.fill_({"alpha": 0.016, "beta": 0.0}.get(leaf, 1.0))
    return model


if __name__ == "__main__":
    main()
