"""Are the times of prompts and steps the sums that they should be? On a machine whose kernels take round numbers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.serving.cost import LAUNCH, Cost, Formats, Framework, Serves
from cyclekit.serving.serve import PROMPT, STEP, Request, prompt_passes, serve
from workloads import BadInput
from workloads.transformers.operators import Attention
from workloads.transformers.shape import Transformer

MODEL = Transformer(
    name="tiny", n_layers=3, hidden=8, ffn=16, n_heads=4, n_kv_heads=2, head_dim=2, vocab=10, qk_norm=False
)
# kernels of a pass without fusion: embedding; of each block two norms, qkv, rope, attention, output, gate and up,
# activation, down, two adds; the last norm, logits, sampling
N_KERNELS = 1 + 3 * 11 + 3


def cost(operator, spec, cached_bits):
    """Every kernel takes 1 us and 2 uJ, attention 1 us for each token of its context."""
    time_us = float(operator.work.n_context) if isinstance(operator.work, Attention) else 1.0
    return Cost(time_us=time_us, flops=10.0, n_bytes=5.0, bound=LAUNCH, energy_uj=2.0 * spec)


def face(weight_bits=16.0, energy=1.0, **framework):
    return Serves(
        formats=lambda spec, weights, activations, sparsity: Formats(
            block=energy,
            elsewhere=energy,
            activations="f16",
            other="f16",
            weight_bits=weight_bits,
            peak_tflops=1.0,
            gb_per_s=1.0,
        ),
        cost=cost,
        framework=lambda name, spec: Framework(name="plain", **framework),
        asked={},
        links="by string",
        memory_bytes=lambda spec: 1e6,
        idle_w=lambda spec: 0.5,
        priced_by="a microjoule a kernel",
    )


def served(batch=2, input=10, output=5, model=MODEL, **framework):
    return serve(model, "toy", face(**framework), None, Request(batch=batch, input=input, output=output))


def test_a_prompt_is_the_sum_of_its_kernels():
    own = served(output=1)
    assert own.ttft_ms * 1e3 == N_KERNELS - 3 + 3 * 10
    assert own.tpot_ms is None
    assert own.total_s * 1e6 == pytest.approx(own.ttft_ms * 1e3)
    assert not [row for row in own.operators if row.phase == STEP]


def test_steps_grow_with_their_context():
    own = served(input=10, output=5)  # four steps, at contexts of 11 to 14
    of_step = [N_KERNELS - 3 + 3 * context for context in (11, 12, 13, 14)]
    assert own.tpot_ms * 1e3 == pytest.approx(sum(of_step) / 4)
    assert own.total_s * 1e6 == pytest.approx(own.ttft_ms * 1e3 + sum(of_step))
    assert [context for context, _ in own.step_ms] == [11, 12, 13, 14]
    assert [ms * 1e3 for _, ms in own.step_ms] == pytest.approx(of_step)
    assert own.output_tokens_per_s == pytest.approx(2 * 5 / own.total_s)
    assert own.total_tokens_per_s == pytest.approx(2 * 15 / own.total_s)


def test_rows_and_the_rest_sum_to_the_phase():
    own = served(gap_us=0.25, step_us=7)
    for phase, time_us in ((PROMPT, own.ttft_ms * 1e3), (STEP, N_KERNELS - 3 + 3 * 12.5 + 0.25 * N_KERNELS + 7)):
        rows = [row for row in own.operators if row.phase == phase]
        assert sum(row.time_us for row in rows) + own.rest_us[phase] == pytest.approx(time_us)
        assert sum(row.count for row in rows) == N_KERNELS


@pytest.mark.parametrize(
    ("framework", "more_us"),
    [
        ({"gap_us": 2.0}, 2 * N_KERNELS),
        ({"step_us": 3.0}, 3),
        ({"sequence_us": 4.0}, 2 * 4),
        ({"prompt_us": 5.0}, 5),
        ({"call_us": {"gemm": 1.5}}, 1.5 * (3 * 4 + 1)),
        ({"host_us": 1.0}, 0),  # hidden behind the kernels
        ({"host_us": 100.0}, 100 * N_KERNELS - (N_KERNELS + 27)),
        ({"prompt_least_us": 1000.0}, 1000 - (N_KERNELS + 27)),
    ],
    ids=str,
)
def test_what_a_framework_adds_to_a_prompt(framework, more_us):
    assert served(output=1, **framework).ttft_ms * 1e3 == pytest.approx(N_KERNELS + 27 + more_us)


def test_the_host_is_a_floor_under_steps_only_where_it_launches_their_kernels():
    graph, eager = served(host_us=100.0), served(host_us=100.0, eager=True)
    assert graph.tpot_ms * 1e3 == pytest.approx(N_KERNELS - 3 + 3 * 12.5)
    assert eager.tpot_ms * 1e3 == pytest.approx(100 * N_KERNELS)


def test_energy_is_that_of_kernels_and_of_idling_between():
    own = served(output=1, gap_us=2.0)
    assert own.energy_j * 1e6 == pytest.approx(2 * N_KERNELS + 0.5 * 2 * N_KERNELS)
    two_cards = serve(MODEL, "toy", face(), None, Request(batch=2, input=10, output=1, n_cards=2))
    assert two_cards.energy_j * 1e6 == pytest.approx(2 * 2 * (N_KERNELS + 2 * 3))  # and two sums over cards a block


def test_energy_without_a_price_is_none():
    unpriced = replace(face(), cost=lambda *of: replace(cost(*of), energy_uj=None))
    own = serve(MODEL, "toy", unpriced, None, Request(batch=1, input=1, output=1))
    assert own.energy_j is None
    assert own.j_per_output_token is None


def test_a_chunk_takes_whole_prompts():
    request = Request(batch=7, input=10, output=1)
    works = list(prompt_passes(request, 35))
    assert [(work.n_sequences, work.n_new, work.n_logits, n) for work, n in works] == [(3, 10, 3, 2), (1, 10, 1, 1)]


@given(st.integers(1, 40), st.integers(1, 300), st.integers(1, 64))
def test_passes_hold_every_token_and_every_pair_once(batch, n_tokens, chunk):
    request = Request(batch=batch, input=n_tokens, output=1)
    works = list(prompt_passes(request, chunk))
    assert sum(n * work.n_tokens for work, n in works) == batch * n_tokens
    assert all(work.n_tokens <= chunk or work.n_new == n_tokens for work, _ in works)
    sizes = {"n_heads": 1, "n_kv_heads": 1, "head_dim": 1}
    pairs = [
        n * Attention(n_sequences=w.n_sequences, n_new=w.n_new, n_context=w.n_context, **sizes).flops for w, n in works
    ]
    assert sum(pairs) == pytest.approx(4 * batch * n_tokens * (n_tokens + 1) / 2)


def test_the_largest_batch_is_the_last_that_fits():
    bits = 16.0
    own = serve(MODEL, "toy", face(bits), None, Request(batch=None, input=10, output=4))
    memory = own.memory
    of_sequence = MODEL.n_cached * 2 * (10 + 4 / 2)  # answers are half done on average
    assert memory.kv == own.request.batch * of_sequence
    assert memory.fits
    again = served(batch=own.request.batch, input=10, output=2)
    assert again.memory.kv == memory.kv
    with pytest.raises(BadInput, match=r"tiny with \d+ sequences of 14 tokens lacks"):
        served(batch=2 * own.request.batch, input=10, output=4)


def test_an_encoder_answers_once():
    encoder = replace(MODEL, encoder=True)
    with pytest.raises(BadInput, match="output must be 1 for tiny"):
        served(model=encoder, output=2)
    assert served(model=encoder, output=1).tpot_ms is None


@pytest.mark.parametrize(("n_cards", "told"), [(1, ()), (2, ("by string",))])
def test_only_several_cards_have_links(n_cards, told):
    assert serve(MODEL, "toy", face(), None, Request(batch=2, input=10, output=1, n_cards=n_cards)).notes == told


@pytest.mark.parametrize("field", ["batch", "input", "output", "n_cards"])
def test_nothing_of_a_request_is_zero(field):
    with pytest.raises(BadInput, match=f"{field} must be at least 1, got 0"):
        Request(**{"batch": 1, "input": 1, "output": 1, field: 0})


def test_a_cache_of_an_unknown_format():
    with pytest.raises(BadInput, match="kv must be one of f16, bf16, e4m3, int8, got 'f8'"):
        Request(batch=1, input=1, output=1, kv="f8")
