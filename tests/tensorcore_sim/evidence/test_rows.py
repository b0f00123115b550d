"""Does a row of measured models ask for what it says, and is its metric taken in its unit?"""

from types import SimpleNamespace

import pytest

from tensorcore_sim.evidence import models


def test_a_metric_is_in_its_row_s_unit():
    """8 s for 4 tokens of each sequence on 2 cards; 500 ms to the first, 20 ms a token; 24 J, 3 of them a token."""
    request = SimpleNamespace(output=4, n_cards=2)
    numbers = {"total_s": 8.0, "ttft_ms": 500.0, "tpot_ms": 20.0, "energy_j": 24.0}
    served = SimpleNamespace(**numbers, output_tokens_per_s=50.0, j_per_output_token=3.0, request=request)
    in_seconds = {"total": 8, "ttft": 0.5, "tpot": 0.02, "time between tokens": 2}
    for metric, seconds in in_seconds.items():
        assert models.measured(served, metric, "s") == pytest.approx(seconds)
        assert models.measured(served, metric, "ms") == pytest.approx(1000 * seconds)
    others = {"output tokens/s": 50, "output tokens/s of a card": 25, "energy of an output token": 3, "power": 24 / 8}
    for metric, value in others.items():
        assert models.measured(served, metric, "") == value


def test_a_row_asks_for_what_it_says(monkeypatch):
    asked = []
    monkeypatch.setattr(models, "serve", lambda *given: asked.append(given))
    row = {"model": "llama-3.1-8b", "cuts": "layers=20", "changes": "clock_mhz=1000 n_sms=64", "preset": "h100-sxm"}
    row |= {"batch": "max", "input": "128", "output": "16", "n_cards": "2", "framework": "vllm", "weights": "f16"}
    models.serving_of(row | {"sparsity": "2:4"})
    models.serving_of(row | {"sparsity": "dense", "batch": "8", "cuts": ""})
    (cut, _, _, spec, most), (whole, *_, eight) = asked
    assert (most.batch, most.input, most.output, most.n_cards, most.framework) == (None, 128, 16, 2, "vllm")
    assert (most.weights, most.sparsity, eight.batch, eight.sparsity) == ("f16", "2:4", 8, "dense")
    assert (spec.clock_mhz, spec.n_sms) == (1000, 64)
    assert (cut.n_layers, whole.n_layers) == (20, 32)
