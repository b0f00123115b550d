"""Is what does not fit the machine reported, refused or charged, as the design says?"""

import sys

import numpy as np
import pytest

from eie_sim import PRESETS, Spec, capacity, encode, simulate
from eie_sim.spec import MAX_PES
from eie_sim.timeline import DRAIN_CYCLES
from tests.eie_cases import layer
from workloads import BadInput, Workload
from workloads.catalogue import benchmarks


def wide(n_in: int, n_out: int = 1) -> Workload:
    """Return a layer with one weight an output row and as many activations as asked for."""
    weights = np.zeros((n_out, n_in), np.float32)
    weights[:, 0] = 1
    return Workload(name="wide", weights=weights, activations=np.ones(n_in))


def enforced(**fields) -> Spec:
    return Spec(n_pes=1, capacity="enforce", **fields)


@pytest.mark.parametrize(
    ("workload", "spec", "structure", "need", "size", "way_out"),
    [
        (layer([[3]]), enforced(spmat_bytes=2), "Spmat SRAM", 3, 2, "spmat_bytes=3"),
        (wide(4), enforced(pointer_bytes=8), "pointer SRAM", 5, 4, "pointer_bytes=10"),
        (layer([[4]]), enforced(pointer_bits=2), "2-bit pointer reach", 4, 3, "pointer_bits=3"),
        (wide(65), enforced(), "source register file", 65, 64, "n_pes=2 or more"),
        (wide(1, 65), enforced(batches=True, refills=True), "destination register file", 65, 64, "n_pes=2 or more"),
        (wide(65), enforced(batches=True, act_sram_bytes=128), "activation SRAM", 65, 64, "act_sram_bytes=130"),
    ],
)
def test_each_structure_is_full_at_its_size_and_not_before(workload, spec, structure, need, size, way_out):
    with pytest.raises(BadInput) as refusal:
        encode(workload, spec)
    for part in (structure, f"needs {need} ", f"has {size}", way_out, workload.name):
        assert part in str(refusal.value)
    field = {"Spmat SRAM": "spmat_bytes", "pointer SRAM": "pointer_bytes", "activation SRAM": "act_sram_bytes"}
    grown = {"spmat_bytes": 3, "pointer_bytes": 10, "act_sram_bytes": 130}
    if structure in field:
        encode(workload, spec.replace(**{field[structure]: grown[field[structure]]}))


def test_the_way_out_names_what_would_be_charged_instead():
    with pytest.raises(BadInput, match=r"more n_pes, or set refills=true$"):
        encode(layer([[3]]), enforced(spmat_bytes=2))
    with pytest.raises(BadInput, match=r"set act_sram_bytes=130$"):  # which nothing is
        encode(wide(65), enforced(batches=True, act_sram_bytes=128))


def test_pointers_reach_the_end_of_the_fullest_pe():
    with pytest.raises(BadInput, match="2-bit pointer reach needs 4 entries"):
        encode(layer([[4], [1]]), Spec(n_pes=2, capacity="enforce", pointer_bits=2))


def test_the_default_preset_reports_what_it_does_not_model():
    spec = PRESETS["isca2016"].replace(n_pes=1)
    run = simulate(encode(wide(65), spec), np.ones(65), spec)
    assert any(
        "source register file needs 65 activations" in note and "not modelled by this design" in note
        for note in run.notes
    )


def test_silicon_charges_batches_and_refills_and_says_so():
    spec = PRESETS["silicon"].replace(n_pes=1, spmat_bytes=2)
    workload = layer([[1] * 65])
    run = simulate(encode(workload, spec), workload.activations, spec)
    free = simulate(encode(workload, Spec(n_pes=1)), workload.activations, Spec(n_pes=1))
    assert run.cycles > free.cycles
    assert run.states["broadcaster"]["load"] > 0
    assert any("source register file" in note and "charged" in note for note in run.notes)
    assert any("Spmat SRAM" in note and "charged" in note for note in run.notes)
    assert run.output_sha256 == free.output_sha256


def test_a_row_of_columns_that_never_fits_is_refused():
    spec = Spec(n_pes=2, spmat_bytes=3, refills=True)
    workload = layer([[2, 2], [2, 2]])
    with pytest.raises(BadInput, match="refills cannot help"):
        simulate(encode(workload, spec), workload.activations, spec)


def test_layers_of_a_network_share_the_srams():
    # each layer alone fits 4 entries, both together do not; then the second run of either must be loaded again
    layers = [layer([[1] * 3]), layer([[1] * 3])]
    spec = Spec(n_pes=1, spmat_bytes=4, capacity="enforce")
    assert encode(layers[0], spec).weights_stay
    with pytest.raises(BadInput, match="Spmat SRAM needs 6 entries"):
        encode(layers, spec)
    images = encode(layers, spec.replace(refills=True))
    assert [(image.weights_stay, image.pointers_stay) for image in images] == [(False, True)] * 2
    # 3 entries x 8 bits at 64 a cycle; the pointers of both layers fit side by side and stay
    assert capacity.pauses(images[0], spec.replace(refills=True)).cycles.tolist() == [1, 0, 0]


def test_only_what_does_not_fit_is_moved():
    # 4 columns of one entry, N = 1: room for 3 pointers is two columns a part, 3 x 16 bits each, 6 cycles at 8 a cycle;
    # the 4 entries stay, so that the latch stays, too
    spec = Spec(n_pes=1, pointer_bytes=6, refills=True, dma_width_bits=8)
    pauses = capacity.pauses(encode(layer([[1, 1, 1, 1]]), spec), spec)
    assert pauses.cycles.tolist() == [6, 0, 6, 0]
    assert not pauses.refill.any()
    assert pauses.dma_bits == 2 * 48


def test_a_design_that_shrank_since_the_encoding_is_charged_all_the_same():
    image = encode(layer([[1, 1, 1, 1]]), Spec(n_pes=1))
    small = Spec(n_pes=1, spmat_bytes=2, refills=True, dma_width_bits=8)
    assert capacity.pauses(image, small).cycles.tolist() == [2, 0, 2, 0]


def test_short_pointers_split_a_layer_like_a_small_sram():
    # 2-bit pointers reach 3 entries: parts of columns 0-2 and 3, 4 and 2 pointers of 2 bits, at 2 bits a cycle
    spec = Spec(n_pes=1, pointer_bits=2, refills=True, dma_width_bits=2)
    assert capacity.pauses(encode(layer([[1, 1, 1, 1]]), spec), spec).cycles.tolist() == [4, 0, 0, 2]


def test_the_paper_s_contradictions_are_there():
    # VGG-6 needs 25,089 pointers a PE where 16,384 fit, and more entries than 16-bit pointers reach.
    vgg = benchmarks()["vgg-6"]
    assert vgg.n_in + 1 > capacity.pointer_places(Spec())
    assert capacity.pointer_places(Spec()) == 16384
    assert capacity.spmat_entries(Spec()) == 131072
    assert capacity.pointer_reach(Spec()) == 65535
    # AlexNet's three layers need 9,217 + 4,097 + 4,097 pointers (+ a bias each)
    names = ("alex-6", "alex-7", "alex-8")
    assert sum(benchmarks()[name].n_in + 2 for name in names) > capacity.pointer_places(Spec())


def test_an_image_serves_only_its_own_number_of_pes():
    image = encode(layer([[1], [1]]), Spec(n_pes=2))
    with pytest.raises(BadInput, match="n_pes must be 2"):
        simulate(image, np.ones(1), Spec(n_pes=4))


def test_a_run_too_long_for_the_timeline_is_refused():
    # One place in the queue: 2,200 times a million cycles, one after the other, are more than 2**31
    spec = Spec(n_pes=1, broadcast_latency_cycles=10**6, queue_depth=2)
    with pytest.raises(BadInput, match="the model ends at"):
        simulate(encode(layer([[1] * 2200]), spec), np.ones(2200), spec)


@pytest.mark.parametrize("field", ["broadcast_latency_cycles", "lnzd_latency_cycles"])
def test_a_latency_is_a_million_cycles_at_most(field):
    assert getattr(Spec(**{field: 10**6}), field) == 10**6
    with pytest.raises(BadInput, match=f"{field} must be at most 1000000, got 1000001"):
        Spec(**{field: 10**6 + 1})


@pytest.mark.parametrize("latency", [0, 1_000, 10**6])
def test_a_latency_that_passes_once_is_counted_once(latency):
    # One send a cycle into a queue with room for all: the first pops in cycle 2 + latency, then come 3,000 x 4 entries
    spec = Spec(n_pes=1, broadcast_latency_cycles=latency, queue_depth=4_000)
    image = encode(layer([[4] * 3_000]), spec)
    cycles = 2 + latency + 12_000 + DRAIN_CYCLES
    assert simulate(image, np.ones(3_000), spec, engine="schedule").cycles == cycles


@pytest.mark.parametrize("ends_at", [126, 127, 128])
def test_a_run_may_take_one_cycle_less_than_where_the_model_ends(ends_at, monkeypatch):
    # 12 entries, 3 rows of lanes, 3 broadcasts of 4 cycles at most, one wait of 100: three sends fit a queue of four
    monkeypatch.setattr(sys.modules[simulate.__module__], "LONGEST", ends_at)
    spec = Spec(n_pes=1, broadcast_latency_cycles=100, queue_depth=4)
    image = encode(layer([[4] * 3]), spec)
    if ends_at > 12 + 3 + 3 * 4 + 100:
        assert simulate(image, np.ones(3), spec, engine="schedule").cycles < 127
    else:
        with pytest.raises(BadInput, match="could take 127 cycles"):
            simulate(image, np.ones(3), spec, engine="schedule")


@pytest.mark.parametrize("queue_depth", [2, 3, 5, 8])
@pytest.mark.parametrize("batches", [False, True])
def test_no_run_is_refused_that_the_timeline_could_hold_twice(queue_depth, batches, monkeypatch):
    # Each round of queue_depth - 1 sends waits once for the latency, and each of the 4 batches but the first, too
    spec = Spec(n_pes=2, broadcast_latency_cycles=10**5, queue_depth=queue_depth, batches=batches)
    spec = spec.replace(register_file_entries=5)
    image, inputs = encode(layer([[2] * 40, [1] * 40]), spec), np.ones(40)
    cycles = simulate(image, inputs, spec, engine="schedule").cycles
    n_rounds = -(-40 // (queue_depth - 1)) + 3 * batches
    assert cycles <= n_rounds * 10**5 + 2_000
    monkeypatch.setattr(sys.modules[simulate.__module__], "LONGEST", 2 * cycles)
    assert simulate(encode(layer([[2] * 40, [1] * 40]), spec), inputs, spec, engine="schedule").cycles == cycles
    monkeypatch.setattr(sys.modules[simulate.__module__], "LONGEST", cycles - 1)
    with pytest.raises(BadInput, match="could take"):
        simulate(encode(layer([[2] * 40, [1] * 40]), spec), inputs, spec, engine="schedule")


def test_what_two_layers_need_of_every_structure_by_hand():
    # Two PEs. Entries: PE 0 has 2 + 1 + 1 of the first layer and five of the second, PE 1 three and five. Pointers: 4
    # and 6. The first has 3 inputs and 4 outputs, the second 5 and 2: 3 and 2 a PE.
    spec = Spec(n_pes=2, spmat_bytes=8, pointer_bytes=4, pointer_bits=5, register_file_entries=2, act_sram_bytes=4)
    images = encode([layer([[2, 1, 1], [1, 1, 1]]), layer([[1] * 5] * 2)], spec)
    found = [(need.need, need.size, need.way_out, need.fits) for need in capacity.needs(images, spec)]
    assert found == [
        (9, 8, "set spmat_bytes=9, more n_pes", False),
        (10, 6, "set pointer_bytes=7", False),  # 50 bits; 32 hold six
        (5, 31, "set pointer_bits=3, more n_pes", True),  # of one layer: each has pointers of its own
        (3, 2, "set n_pes=3 or more, or set register_file_entries=3", False),  # 5 inputs
        (2, 2, "set n_pes=2 or more, or set register_file_entries=2, or split the layer's rows", True),
        (3, 2, "set n_pes=3 or more, or set act_sram_bytes=6", False),
    ]


def test_no_more_pes_are_named_than_there_can_be():
    spec = Spec(n_pes=1, register_file_entries=1)
    for n_in, named in ((MAX_PES, f"set n_pes={MAX_PES} or more, or set reg"), (MAX_PES + 1, "set reg")):
        source = capacity.needs([encode(wide(n_in), spec)], spec)[3]
        assert source.way_out.startswith(named)


def test_the_bytes_of_a_layer_by_hand():
    # Rows 2, 3 and 22 of one PE of two: three entries and a padding; the other PE has none. One column: two pointers of
    # 16 bits in each PE. The codebook has 16 places of 16 bits, whatever the layer uses.
    weights = np.zeros((46, 1), np.float32)
    weights[[4, 6, 44], 0] = 1, 2, 3
    spec = Spec(n_pes=2)
    image = encode(Workload(name="column", weights=weights, activations=[1]), spec)
    assert capacity.stored(image, spec) == {"entries": 3, "padding": 1, "pointers": 8, "codebook": 32}
    assert capacity.stored(image, spec.replace(pointer_bits=12))["pointers"] == 6


def test_batches_are_loaded_before_their_rows_and_fill_the_detection_tree_again():
    # Nine activations over two PEs: rows 0 to 4; files of two hold rows 0-1, 2-3 and 4: 2 x 16 bits at 16 a cycle, then
    # 1 x 16. The first batch is there; of 9 activations 2 x 2 need no reading.
    spec = Spec(n_pes=2, register_file_entries=2, batches=True, act_sram_width_bits=16)
    image = encode(layer([[1] * 9] * 2), spec)
    found = capacity.pauses(image, spec)
    assert (found.cycles.tolist(), found.act_sram_reads, found.dma_bits) == ([0, 0, 2, 0, 1], 5, 0)
    assert not found.refill.any()
    slow = capacity.pauses(image, spec.replace(lnzd_latency_cycles=3))
    assert slow.cycles.tolist() == [3, 0, 5, 0, 4]
    assert capacity.pauses(image, spec.replace(register_file_entries=5)).act_sram_reads == 0


def test_the_load_phase_moves_everything_once():
    # three activations of 16 bits, three entries of 8, four pointers of 16: 136 bits at 8 a cycle; a bias is one more
    # column, an entry and a pointer, 24 bits
    spec = Spec(n_pes=1, load_phase=True, dma_width_bits=8)
    for bias, bits in ((None, 136), ([1], 160)):
        found = capacity.pauses(encode(layer([[1, 1, 1]], bias=bias), spec), spec)
        n_rows = 3 + (bias is not None)
        assert found.cycles.tolist() == [bits // 8] + [0] * (n_rows - 1)
        assert found.refill.tolist() == [True] + [False] * (n_rows - 1)
        assert found.dma_bits == bits


def test_a_part_of_one_row_is_loaded_with_its_own_pointers():
    # Two PEs, columns of two entries in PE 0 and one in PE 1; rows of two columns, the last of one. Four entries are a
    # row: 4 x 8 bits and, 2 PEs x 3 pointers x 16 bits; the third row has 2 + 1 entries and 2 x 2 pointers.
    spec = Spec(n_pes=2, spmat_bytes=4, pointer_bytes=6, refills=True, dma_width_bits=8)
    found = capacity.pauses(encode(layer([[2] * 5, [1] * 5]), spec), spec)
    rows = [6 * 8 + 6 * 16, 6 * 8 + 6 * 16, 3 * 8 + 4 * 16]
    assert found.cycles.tolist() == [bits // 8 for bits in rows]
    assert found.refill.tolist() == [True, True, True]
    assert found.dma_bits == sum(rows)


def test_the_fullest_pe_says_what_a_part_holds():
    # PE 0 has two entries a column, PE 1 one; a row is two columns: PE 0 is full after one, PE 1 would be after two.
    # Each part moves 4 + 2 entries of 8 bits; the pointers stay.
    spec = Spec(n_pes=2, spmat_bytes=4, refills=True, dma_width_bits=8)
    for n in ([[2] * 4, [1] * 4], [[1] * 4, [2] * 4]):
        found = capacity.pauses(encode(layer(n), spec), spec)
        assert found.cycles.tolist() == [6, 6]
        assert found.refill.tolist() == [True, True]
