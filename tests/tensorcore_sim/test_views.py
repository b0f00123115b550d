"""Does the tensor core's own figure show dense against 2:4 over the size of a GEMM?"""

from dataclasses import replace

from cyclekit.figures.charts import charts
from cyclekit.sweep.results import Result
from tensorcore_sim import PRESETS


def result(gemm: str, sparsity: str, tflops: float, **measures) -> Result:
    return Result(
        machine="tensorcore",
        workload=gemm,
        engine="schedule",
        spec=PRESETS["a100-sxm-40gb"].replace(sparsity=sparsity).as_dict(),
        n_inputs=1,
        cycles=1000,
        time_us=1.0,
        measures={"gemm": f"{gemm}, f16", "dense_equivalent_tflops": tflops, **measures},
    )


def test_dense_and_sparse_are_lines_over_the_size():
    results = [
        result("256 x 1024 x 512", "dense", 50.0),  # 2**27 products: as many as a cube of 512
        result("256 x 256 x 256", "dense", 30.0),
        result("256 x 1024 x 512", "2:4", 80.0, speed_up=1.6),
        result("256 x 256 x 256", "2:4", 33.0, speed_up=1.1),
        result("64 x 64 x 64", "dense", 1.0),
    ]
    (chart,) = [chart for chart in charts(results) if chart.name == "tensorcore_size"]
    rate, speed_up = chart.data.panels  # of energy there is none
    assert rate.y_label == "dense-equivalent rate [TFLOPS]"
    assert rate.lines == {"dense": ((64, 256, 512), (1, 30, 50)), "2:4": ((256, 512), (33, 80))}
    assert speed_up.y_label == "speed-up over dense [times]"
    assert speed_up.lines == {"2:4": ((256, 512), (1.1, 1.6))}
    assert chart.data.series_label == "sparsity"


def test_no_bar_hides_another_of_the_same_size():
    def bars(gemm, busy):
        return replace(result(gemm, "dense", 1.0), states={"sm": {"compute": busy, "wave": 1 - busy}})

    results = [bars("64 x 1 x 1", 0.5), bars("1 x 64 x 1", 0.25)]  # of size 4
    (chart,) = [chart for chart in charts(results) if chart.name.endswith("states")]
    assert [parts["compute"] for of_panel in chart.data.panels.values() for parts in of_panel.values()] == [50, 25]
    results = [*results, bars("8 x 8 x 8", 0.75)]
    (chart,) = [chart for chart in charts(results) if chart.name.endswith("states")]
    assert list(chart.data.panels[""]) == ["64 x 1 x 1: 4", "1 x 64 x 1: 4", "8 x 8 x 8: 8"]


def test_several_layers_in_one_result_have_no_size():
    network = Result(machine="tensorcore", workload="net", engine="schedule", spec={}, n_inputs=1, time_us=1.0)
    assert [chart.name for chart in charts([network])] == []
