"""1-bit products against torch's fp32 products and llama.cpp's 1-bit and ternary ones; decoding a 1-bit llama.

python -m bench.binary_linear [--ggml FOLDER with libggml-base.so and libggml-cpu.so]

All forms of a row run turn about in one process; a rate is that of the best round, a ratio the median of the ratios of
all rounds. Every product is checked against its definition before it is timed. The roof is the lower of what memory
delivers and how fast the instructions can issue from registers, both measured here (bench/native/peak.cpp).
"""

import argparse
import ctypes
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

SIZE, ROUNDS, IDS = 4096, 15, 8
LLAMA = Llama(
    kind="llama", vocabulary=512, layers=4, width=2048, heads=16, kv_heads=16, mlp=5632, context=256, tied=True,
    linear=FbiLinear(kind="fbi"),
)  # fmt: skip
Case = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ggml", type=Path, help="llama.cpp's shared libraries; without it they are not measured")
    args = parser.parse_args()
    peak = native.library(Path(__file__).parent / "native" / "peak.cpp", native.instruction_set())
    found = peaks(peak)
    print(
        f"{native.instruction_set()}{' with VNNI' if uses_vnni() else ''}; one thread issues look-ups for "
        f"{found['fp32']:.0f} and int8 products for {found['int8']:.0f} G multiply-adds/s, "
        f"reads {found['cached']:.0f} GB/s of 2 MiB and {found['memory']:.0f} GB/s of 512 MiB\n"
    )
    print(f"Products of {SIZE} x {SIZE}; G is 1e9 multiply-adds a second:\n")
    print("| tokens | threads | form | G | against torch fp32 | against the best of llama.cpp | of the roof |")
    print("|---|---|---|---|---|---|---|")
    ggml = Ggml(args.ggml) if args.ggml else None
    for threads in (1, 2):
        for tokens in (1, 32):
            products(threads, tokens, ggml, found)
    print(f"\nA llama of {LLAMA.layers} layers, width {LLAMA.width}, vocabulary {LLAMA.vocabulary}, one row:\n")
    print("| threads | form | ids/s | against dense fp32 | of the roof |\n|---|---|---|---|---|")
    decoding(found)


def peaks(library: ctypes.CDLL) -> dict[str, float]:
    """Bounds of one thread, the best of several."""
    for function in (library.peak_lookup, library.peak_int8, library.read_bandwidth):
        function.restype = ctypes.c_double
    library.read_bandwidth.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    small, large = (torch.ones(mebibytes << 20, dtype=torch.uint8) for mebibytes in (2, 512))
    return {
        "fp32": max(library.peak_lookup() for _ in range(200)),
        "int8": max(library.peak_int8() for _ in range(200)),
        "cached": max(library.read_bandwidth(small.data_ptr(), small.numel()) for _ in range(20)),
        "memory": max(library.read_bandwidth(large.data_ptr(), large.numel()) for _ in range(3)),
    }


def products(threads: int, tokens: int, ggml: Ggml | None, peak: dict[str, float]) -> None:
    """One matrix of 4096 x 4096 and some tokens, by every form."""
    torch.set_num_threads(threads)
    drawn = torch.Generator().manual_seed(0)
    weight_OI, x_TI = (torch.randn(n, SIZE, generator=drawn) for n in (SIZE, tokens))
    alpha, beta = torch.rand(SIZE, generator=drawn), torch.zeros(SIZE)
    signs_OI, bits_OW = weight_OI.sign(), pack(weight_OI, "minus_one")
    forms: dict[str, Case] = {"torch fp32": torch_product(x_TI, weight_OI)}
    kinds: tuple[Activations, ...] = ("fp32", "int8")
    for kind in kinds:
        matrix = layout(bits_OW, SIZE, kind)
        forms[f"packed {kind}"] = partial(packed_linear, x_TI, matrix, alpha, beta, "input")
        check(forms[f"packed {kind}"](), (x_TI * alpha) @ signs_OI.T)
    for name in TYPES if ggml else ():
        assert ggml is not None
        product = Product(ggml, name, signs_OI, tokens)
        product.x_TI.copy_(x_TI)
        check(product(threads), x_TI @ signs_OI.T)
        forms[f"llama.cpp {name}"] = partial(product, threads)
    seconds = turn_about(forms)
    ours = [f"llama.cpp {name}" for name in TYPES if ggml]
    for name, times in seconds.items():
        rate = SIZE * SIZE * tokens / min(times) / 1e9
        against = [f"{ratio(seconds['torch fp32'], times):.1f}x", "", ""]
        if name.startswith("packed"):
            best = min(ours, key=lambda other: median(seconds[other]), default="")
            against[1] = f"{ratio(seconds[best], times):.2f}x {best.removeprefix('llama.cpp ')}" if best else "not here"
            against[2] = share(rate / threads, peak[name.removeprefix("packed ")], 8 * tokens * peak["cached"])
        print(
            f"| {tokens} | {threads} | {name} | {rate:.1f} | {' | '.join(against)} |",
            flush=True,
        )


def share(rate: float, issue: float, memory: float) -> str:
    """Of the lower roof, in multiply-adds: instructions, or the bytes of a matrix that lies in the cache."""
    roof, name = min((issue, "instructions"), (memory, "cache"))
    return f"{rate / roof:.2f} of {roof:.0f} ({name})" if issue else "unknown"


def torch_product(x_TI: Tensor, weight_OI: Tensor) -> Case:
    return partial(torch.mv, weight_OI, x_TI[0]) if len(x_TI) == 1 else partial(F.linear, x_TI, weight_OI)


def check(found: object, defined: Tensor) -> None:
    """Int8 activations are off by about 1 % of the spread of the results."""
    assert isinstance(found, Tensor)
    away = (found - defined).square().mean().sqrt() / defined.square().mean().sqrt()
    assert away < 0.03, f"off by {away:.3f} of the spread"


def turn_about(forms: dict[str, Case]) -> dict[str, list[float]]:
    """Seconds of each form in each round; a round repeats a form until 10 ms have passed, and takes the mean."""
    found: dict[str, list[float]] = {name: [] for name in forms}
    for done in range(ROUNDS + 1):
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


def decoding(peak: dict[str, float]) -> None:
    """Ids of a 4-layer llama of width 2048, after a short text; the dense form has fp32 matrices of the same shapes."""
    forms = {
        "dense fp32": decoder(LLAMA.replace(linear=Dense()), Kernels()),
        "packed fp32": decoder(LLAMA, Kernels(binary_linear=PackedBinary(kind="packed"))),
        "packed int8": decoder(LLAMA, Kernels(binary_linear=PackedBinary(kind="packed", activations="int8"))),
    }
    for threads in (1, 2):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            seconds = turn_about({name: decode(model) for name, model in forms.items()})
        for name, times in seconds.items():
            against = f"{ratio(seconds['dense fp32'], times):.1f}x"
            rate = IDS / min(times)
            roof = threads * bound(name, peak)
            print(f"| {threads} | {name} | {rate:.1f} | {against} | {rate / roof:.2f} of {roof:.0f} |", flush=True)


def bound(name: str, peak: dict[str, float]) -> float:
    """Ids a second of one thread: fp32 matrices come from memory, packed ones from the cache."""
    products = LLAMA.layers * (4 * LLAMA.width**2 + 3 * LLAMA.width * LLAMA.mlp)
    head = LLAMA.vocabulary * LLAMA.width * 4 / peak["cached"]
    if name == "dense fp32":
        return 1e9 / (products * 4 / peak["memory"] + head)
    issue = peak[name.removeprefix("packed ")] or float("inf")
    return 1e9 / (products / min(issue, 8 * peak["cached"]) + head)


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


def decoder(spec: Llama, kernels: Kernels) -> Decoder[Any]:
    """Weights of the usual spread, from torch's generator: only their sizes matter here."""
    model = build(spec, kernels)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.02) if parameter.ndim == 2 else parameter.fill_(1.0)
            if name.endswith(".alpha"):
                parameter.fill_(0.016)
            if name.endswith(".beta"):
                parameter.zero_()
    return model


if __name__ == "__main__":
    main()
