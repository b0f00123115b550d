"""Is a variant chosen for each block with the least loss, within the time of the whole model simulated?"""

import itertools
import json
from dataclasses import replace

import pytest

import tensorcore_sim
from cyclekit.budgets.blocks import choose, read_scores, table_of
from cyclekit.command.cli import main
from cyclekit.serving.serve import Request, serve
from workloads import BadInput
from workloads.transformers.operators import Pass, pass_of
from workloads.transformers.shape import Block, Transformer

SIZES = {"n_layers": 2, "hidden": 1024, "ffn": 4096, "n_heads": 16, "n_kv_heads": 8, "head_dim": 64, "vocab": 1000}
MODEL = Transformer(name="small", **SIZES)
WHOLE = Block(n_kv_heads=8, ffn=4096)
SPEC = tensorcore_sim.PRESETS["h100-sxm"]
LOSSES = {
    (0, "n_kv_heads"): {4: 0.1, 0: 0.7},
    (0, "ffn"): {2048: 0.35, 0: 0.9},
    (1, "n_kv_heads"): {4: 0.12, 0: 0.4},
    (1, "ffn"): {2048: 0.2, 0: 1.1},
}


def served(model, framework="ideal", **options):
    request = Request(**({"batch": 4, "input": 256, "output": 32, "framework": framework} | options))
    return serve(model, "tensorcore", tensorcore_sim.MACHINE.serves, SPEC, request)


def time_us(model):
    return 1e6 * served(model).total_s


def with_blocks(*blocks):
    return replace(MODEL, blocks=blocks)


def choices():
    """Yield all (model, loss)."""
    sizes = [[(8 if part[1] == "n_kv_heads" else 4096, 0.0), *of.items()] for part, of in LOSSES.items()]
    for (kv0, a), (ffn0, b), (kv1, c), (ffn1, d) in itertools.product(*sizes):
        yield with_blocks(Block(n_kv_heads=kv0, ffn=ffn0), Block(n_kv_heads=kv1, ffn=ffn1)), a + b + c + d


@pytest.mark.parametrize("framework", ["ideal", "tensorrt-llm", "vllm-eager"])
def test_blocks_that_are_all_whole_are_the_model(framework):
    whole, blocks = served(MODEL, framework), served(with_blocks(WHOLE, WHOLE), framework)
    assert (blocks.total_s, blocks.energy_j, blocks.memory) == (whole.total_s, whole.energy_j, whole.memory)
    assert blocks.operators == whole.operators


def test_a_block_that_has_nothing_is_not_there():
    fewer = replace(MODEL, n_layers=1)
    gone = with_blocks(WHOLE, Block(n_kv_heads=0, ffn=0))
    assert time_us(gone) == pytest.approx(time_us(fewer))
    assert served(gone).memory == served(fewer).memory


def test_blocks_of_two_kinds_are_timed_together():
    work = Pass(n_sequences=2, n_new=64, n_context=64, n_logits=2)
    kinds = with_blocks(Block(n_kv_heads=8, ffn=2048), Block(n_kv_heads=2, ffn=0))
    counts = {operator.name: operator.count for operator in pass_of(kinds, work).operators}
    assert counts == {
        "embedding": 1,
        "norm": 3,
        "qkv 2048x1024": 1,
        f"rope {2 * 64}x{(16 + 8) * 64}": 1,
        "attention of 8 kv heads": 1,
        "output projection": 2,
        "gate and up": 1,
        "activation": 1,
        "down": 1,
        "add": 3,
        "qkv 1280x1024": 1,
        f"rope {2 * 64}x{(16 + 2) * 64}": 1,
        "attention of 2 kv heads": 1,
        "last norm": 1,
        "logits": 1,
        "sampling": 1,
    }
    assert kinds.n_weights_of_blocks == 1024 * (2048 + 1024 + 1280 + 1024) + 3 * 1024 * 2048
    assert kinds.n_cached == 2 * 64 * (8 + 2)


def test_the_choice_is_that_of_brute_force():
    every = [(time_us(model), loss) for model, loss in choices()]
    assert len(every) == 81
    for share in (0.9, 0.7, 0.5):
        budget = share * time_us(MODEL)
        chosen = choose(MODEL, LOSSES, budget, time_us)
        assert chosen.us == time_us(chosen.model) <= budget
        assert chosen.sum_us == pytest.approx(chosen.us, rel=1e-3)  # nothing but kernels takes time here
        assert chosen.loss == pytest.approx(min(loss for us, loss in every if us <= budget))


def test_where_the_sum_promises_too_much_the_whole_still_meets_the_budget():
    def slower(model):  # together, two cut blocks save less than each does alone
        return time_us(model) * (1.04 if WHOLE not in (model.blocks or (WHOLE,)) else 1)

    budget = 0.7 * time_us(MODEL)
    chosen = choose(MODEL, LOSSES, budget, slower)
    assert chosen.us == slower(chosen.model) <= budget
    assert chosen.us > chosen.sum_us
    with pytest.raises(BadInput, match="budget must be at least"):
        choose(MODEL, LOSSES, 0.01 * budget, slower)


def test_a_part_costs_what_the_model_is_slower_with_it():
    table = table_of(MODEL, LOSSES, time_us)
    assert table.cost(table.whole) == pytest.approx(time_us(MODEL))
    for place, blocks in ((1, Block(n_kv_heads=8, ffn=2048)), (2, Block(n_kv_heads=8, ffn=0))):
        assert table.cost(table.whole | {"1 ffn": place}) == pytest.approx(time_us(with_blocks(WHOLE, blocks)))


def test_a_file_of_scores(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("block,variant,loss\n0,attention=none,0.5\n0,kv_heads=4,1e-2\n\n1,ffn=0.5,0.25\n1,ffn=none,2\n")
    assert read_scores(path, MODEL) == {(0, "n_kv_heads"): {0: 0.5, 4: 0.01}, (1, "ffn"): {2048: 0.25, 0: 2.0}}


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("2,ffn=none,1", "line 2 .*block must be from 0 to 1, got '2'"),
        ("0,heads=4,1", "variant must be attention=none, kv_heads=N, ffn=N or ffn=none, got 'heads=4'"),
        ("0,attention=4,1", "variant must be"),
        ("0,ffn=wide,1", "must have numbers"),
        ("0,ffn=none,nan", "variant and loss must have finite numbers"),
        ("0,kv_heads=inf,1", "variant and loss must have finite numbers"),
        ("0,ffn=nan,1", "variant and loss must have finite numbers"),
        ("0,ffn=4096,1", "ffn must be less than the 4096 of small, or none, got '4096'"),
        ("0,kv_heads=3,1", "must divide the 16 heads"),
        ("0,kv_heads=0.5,1", "kv_heads must be less than the 8"),
        ("0,ffn=0.5,1\n0,ffn=2048,1", "line 3 .*has that variant already"),
        ("0,ffn=none", "a line must be block,variant,loss"),
        ("", "at least one block"),
    ],
    ids=str,
)
def test_what_is_no_score(line, match, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(f"block,variant,loss\n{line}\n")
    with pytest.raises(BadInput, match=match):
        read_scores(path, MODEL)


def test_the_verb_chooses_and_tells(tmp_path, capsys):
    scores, result = tmp_path / "scores.csv", tmp_path / "r.json"
    scores.write_text(
        "block,variant,loss\n" + "".join(f"{i},attention=none,{i + 1}\n{i},ffn=0.5,{32 - i}\n" for i in range(32))
    )
    request = [
        "llm",
        "llama-3.1-8b",
        "--machine",
        "tensorcore:h100-sxm",
        "--input",
        "128",
        "--output",
        "8",
    ]
    assert main([*request, "--budget", "0.8", "--scores", str(scores), "--json", str(result)]) == 0
    told = json.loads(result.read_text())
    assert told["budget_s"] == pytest.approx(0.8 * told["before_s"])
    assert told["total_s"] <= told["budget_s"]
    assert len(told["model"]["blocks"]) == 32
    assert {block["ffn"] for block in told["model"]["blocks"]} <= {14336, 7168}
    assert "simulated whole" in capsys.readouterr().out
    for more, match in (
        (["--budget", "0.8"], "--budget and --scores go together"),
        (["--budget", "7uJ", "--scores", str(scores)], "--budget must be a share or a time"),
        (["--budget", "0.8", "--scores", str(tmp_path / "no.csv")], "--scores must be a CSV file"),
        (["--budget", "0.8", "--scores", str(scores), "--compare", "depth=16"], "--budget chooses one model"),
    ):
        assert main([*request, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert match in line
