"""Times PyTorch's dense against its semi-structured GEMMs on a ladder of shapes, and prints them as CSV.

Usage: python -m benchmarks.hardware.gemms. One line for each shape, type and backend: the median over REPEATS of
weight [m, k] times activations [k, n], in microseconds, by CUDA events; L2 is overwritten before each. Needs PyTorch
with a card. What a backend refuses is left out, and said on stderr.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable

import torch

WARM_UP, REPEATS = 5, 21
BACKENDS = {"cusparselt": False, "cutlass": True}  # {backend: SparseSemiStructuredTensor._FORCE_CUTLASS}
DTYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "int8": torch.int8}
# (m, k, n) of weight [m, k] times activations [k, n]
SHAPES = (
    (3072, 10240, 3072),  # PyTorch's tutorial on semi-structured sparsity
    (4096, 4096, 4096),  # CUDALibrarySamples 57
    *((12288, 12288, 1 << power) for power in range(6, 16)),  # LLMCompass
    *((768, 3072, 768 * batch) for batch in (4, 16, 64, 256)),  # PyTorch PR 90119: n rows a batch
    *((3072, 768, 3072 * batch) for batch in (4, 16)),
)


def main() -> None:
    print("m,k,n,in_dtype,backend,median_us")
    for m, k, n in SHAPES:
        for dtype in DTYPES:
            shape = f"{m},{k},{n},{dtype}"
            weight, activations = operands(m, k, n, DTYPES[dtype])
            multiply = torch._int_mm if dtype == "int8" else torch.mm
            dense = multiply(weight, activations)
            print(f"{shape},dense,{median_us(multiply, weight, activations):.2f}", flush=True)
            for backend, force_cutlass in BACKENDS.items():
                torch.sparse.SparseSemiStructuredTensor._FORCE_CUTLASS = force_cutlass
                try:
                    sparse = torch.sparse.to_sparse_semi_structured(weight)
                    check(torch.mm(sparse, activations), dense)
                    took = median_us(torch.mm, sparse, activations)
                except (RuntimeError, NotImplementedError) as error:
                    print(f"{shape},{backend}: {str(error).splitlines()[0]}", file=sys.stderr)
                else:
                    print(f"{shape},{backend},{took:.2f}", flush=True)


def operands(m: int, k: int, n: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a random 2:4 weight [m, k] and activations [k, n] that lie along k, as a layer's inputs do."""
    generator = torch.Generator("cuda").manual_seed(0)
    if dtype == torch.int8:
        weight, rows = (
            torch.randint(-8, 8, size, generator=generator, device="cuda", dtype=dtype) for size in ((m, k), (n, k))
        )
    else:
        weight, rows = (torch.randn(size, generator=generator, device="cuda", dtype=dtype) for size in ((m, k), (n, k)))
    weight.view(m, k // 4, 4)[:, :, 2:] = 0
    return weight, rows.t()


def check(product: torch.Tensor, dense: torch.Tensor) -> None:
    """Raise RuntimeError where a sparse product is not the dense one, up to rounding and saturation to int8."""
    if product.dtype == torch.int8:
        dense = dense.clamp(-128, 127)
    apart = (product.float() - dense.float()).abs().max() / dense.float().abs().max()
    if not apart <= 0.01:
        raise RuntimeError(f"the product differs from the dense one by {apart:.3g} of its largest element")


def median_us(multiply: Callable, weight: torch.Tensor, activations: torch.Tensor) -> float:
    """Return the median time of a product on the card, in microseconds."""
    in_l2 = torch.empty(2 * torch.cuda.get_device_properties(0).L2_cache_size, dtype=torch.int8, device="cuda")
    times = []
    for repeat in range(WARM_UP + REPEATS):
        in_l2.zero_()
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        multiply(weight, activations)
        stop.record()
        stop.synchronize()
        if repeat >= WARM_UP:
            times.append(1e3 * start.elapsed_time(stop))
    return statistics.median(times)


if __name__ == "__main__":
    main()
