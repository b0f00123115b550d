"""Does `zeroskip llm` say what a model takes, in text, JSON and figures, and refuse in one line what it cannot?"""

import json
import re

import pytest

from cyclekit.command.cli import main

SMALL = {
    "model_type": "llama",
    "num_hidden_layers": 4,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(SMALL), encoding="utf-8")
    return str(path)


def test_text_json_and_figures(small, tmp_path, capsys):
    result, figures = tmp_path / "r.json", tmp_path / "figures"
    command = ["llm", small, "--batch", "2", "--input", "100", "--output", "20"]
    assert main([*command, "--json", str(result), "--figures", str(figures)]) == 0
    text = capsys.readouterr().out
    assert "small on tensorcore a100-sxm-40gb, framework tensorrt-llm" in text
    assert "2 sequences of 100 + 20 tokens; weights f16, activations f16, kv f16" in text
    told = json.loads(result.read_text(encoding="utf-8"))
    assert told["total_s"] == pytest.approx((told["ttft_ms"] + 19 * told["tpot_ms"]) / 1e3)
    assert told["output_tokens_per_s"] == pytest.approx(40 / told["total_s"])
    assert told["total_tokens_per_s"] == pytest.approx(240 / told["total_s"])
    # 4 blocks of 256 x (256 + 2 x 128) + 256 x 256 + 3 x 256 x 512 weights, and 2 x 1,000 x 256
    assert told["memory_gb"]["weights"] == pytest.approx(2e-9 * (4 * (131072 + 65536 + 393216) + 512000))
    assert told["memory_gb"]["kv"] == pytest.approx(2e-9 * 2 * 120 * 2 * 4 * 2 * 64)
    assert told["memory_gb"]["fits"] is True
    for phase, time_us in (("prompt", told["ttft_ms"] * 1e3), ("step", None)):
        rows = [row for row in told["operators"] if row["phase"] == phase]
        assert {"name", "phase", "count", "time_us", "flops", "bytes", "bound"} == set(rows[0])
        assert {row["bound"] for row in rows} <= {"compute", "memory", "launch", "link"}
        if time_us is not None:
            assert sum(row["time_us"] for row in rows) + told["rest_us"][phase] == pytest.approx(time_us)
    assert {path.name for path in figures.iterdir()} == {"llm_operators.png", "llm_context.png", "llm_roofline.png"}


def test_compare_says_what_each_buys_and_draws_the_stairs(small, tmp_path, capsys):
    result, figures = tmp_path / "r.json", tmp_path / "figures"
    knobs = ["depth=2", "ffn=128:512:+64", "sparsity=2:4"]
    command = ["llm", small, "--input", "64", "--output", "4", "--compare", *knobs]
    assert main([*command, "--json", str(result), "--figures", str(figures)]) == 0
    told = json.loads(result.read_text(encoding="utf-8"))
    assert len(told["points"]) == 2 * 7 * 2  # ffn 512 is the base
    assert told["points"][0]["changes"] == {}
    by_changes = {tuple(sorted(point["changes"].items())): point for point in told["points"]}
    half, whole = by_changes[("depth", "2"),], by_changes[()]
    assert 0.5 <= half["ttft_ms"] / whole["ttft_ms"] <= 1
    assert by_changes[("sparsity", "2:4"),]["memory_gb"]["weights"] < whole["memory_gb"]["weights"]
    assert (figures / "llm_ffn.png").exists()
    assert "depth 2, ffn 128, sparsity 2:4" in capsys.readouterr().out


def test_one_point_that_is_refused_does_not_end_the_others(small, capsys):
    command = ["llm", small, "--input", "8", "--output", "2", "--compare", "heads=3,2", "weights=e4m3"]
    assert main(command) == 2  # heads that do not divide are no point at all
    assert "n_heads must be a multiple of n_kv_heads" in capsys.readouterr().err
    assert main([*command[:-2], "weights=e4m3,int8"]) == 0
    text = capsys.readouterr().out
    assert "refused: weights e4m3: weights must be of a format that a100 multiplies" in text
    assert "weights int8" in text


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (["--input", "0"], "argument --input: must be a whole number of at least 1, got '0'"),
        (
            ["--input", "8", "--output", "0"],
            "--output: must be a whole number of at least 1",
        ),
        (["--input", "8", "--cards", "3"], "--cards must divide the 4 heads"),
        (["--input", "8", "--batch", "none"], "--batch must be a whole number of at least 1, or max"),
        (
            ["--input", "8", "--machine", "eie"],
            "machine must be one that runs whole language models, tensorcore, got 'eie'",
        ),
        (["--input", "8", "--framework", "tgi"], "unknown framework 'tgi'"),
        (["--input", "8", "--set", "in_dtype=int8"], "in_dtype is said by 'weights' here, got 'int8'"),
        (["--input", "8", "--layers", "5"], "n_layers must be at most 4"),
        (["--input", "8", "--batch", "4000000"], r"lacks .* GB on each card"),
        ([], "required: --input"),
    ],
    ids=str,
)
def test_one_line_and_exit_2(small, more, match, capsys):
    assert main(["llm", small, *more]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("zeroskip: error: ")
    assert re.search(match, line)


def test_transformers_are_listed(capsys):
    assert main(["list", "transformers"]) == 0
    assert "llama-2-70b" in capsys.readouterr().out
