"""The software between a model and its kernels, by data/frameworks.csv."""

from __future__ import annotations

from cyclekit.serving.cost import Framework
from tensorcore_sim.spec import Spec
from workloads.errors import BadInput, did_you_mean
from workloads.files import read_table

MEASURED = ("a100", "h100", "h200")
KIND = {"ampere": "an A100", "hopper": "an H100 or H200"}
FRAMEWORKS = {
    "tensorrt-llm": "NVIDIA's TensorRT-LLM, 0.5 to 1.0: add and norm in one kernel, rope inside attention",
    "vllm": "vLLM, 0.4 to 0.11: steps are CUDA graphs, add and norm in one kernel",
    "vllm-eager": "vLLM without CUDA graphs: the host launches each kernel, and prompts wait for it",
    "pytorch": "one kernel after another, each waited for, as LLMCompass timed them",
    "ideal": "kernels without a gap, and no host: what the card could do",
}
# LLMCompass, of an A100 (github PrincetonUniversity/LLMCompass @2e015fd2): what a call takes beyond its kernel
CALL_US = {"pytorch": {"gemm": 21.0, "softmax": 12.0, "norm": 45.0, "activation": 45.0}}


def framework(name: str | None, spec: Spec) -> Framework:
    """Return the framework of that name on a card (None: the first); raises BadInput where there is none."""
    name = name or next(iter(FRAMEWORKS))
    if name not in FRAMEWORKS:
        raise BadInput(f"unknown framework {name!r}{did_you_mean(name, FRAMEWORKS)}")
    row = next(
        row
        for row in read_table("tensorcore_sim", "frameworks")
        if row["framework"] == name and row["architecture"] in ("", spec.architecture)
    )
    times = {field: float(row[field]) for field in row if field.endswith("_us")}
    return Framework(
        name=name,
        **times,
        eager=row["eager"] == "1",
        call_us=CALL_US.get(name, {}),
        chunk_tokens=int(row["chunk_tokens"]),
        memory_share=float(row["memory_share"]),
        fused=frozenset(row["fused"].split()),
        notes=_notes(row, spec),
    )


def _notes(row: dict[str, str], spec: Spec) -> tuple[str, ...]:
    """Return on what the constants rest: how far measured models were, and whose they are on a card of no evidence."""
    notes = []
    if row["n_rows"] and spec.card in MEASURED:
        notes.append(
            f"whole models measured with {row['framework']} on {KIND[spec.architecture]}: {row['mean_pct']}% off on "
            f"average in {row['n_rows']} rows"
        )
    if spec.card not in MEASURED:
        notes.append(
            f"kernels beside GEMMs and what the framework takes are {KIND[spec.architecture]}'s, taken over: nothing "
            f"was measured on {spec.card}"
        )
    return tuple(notes)
