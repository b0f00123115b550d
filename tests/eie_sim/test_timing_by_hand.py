"""Is every timing rule met to the cycle: not one early, not one late? Each table was drawn by hand from R1-R11."""

import numpy as np

from eie_sim import Spec
from tests.eie_cases import layer, play


def popped(timeline) -> list[list[int]]:
    """Return the pops PE by PE."""
    return timeline.popped.T.tolist()


def test_a_column_takes_a_cycle_an_entry_and_an_empty_one_takes_a_bubble(engine):
    # cycle:        1      2      3      4      5      6
    # broadcaster:  send0  send1  send2
    # PE:                  pop0   entry  entry  bubble entry
    #                                    pop1   pop2
    timeline = play(engine, layer([[2, 0, 1]]), Spec(n_pes=1))
    assert timeline.sent.tolist() == [1, 2, 3]
    assert popped(timeline) == [[2, 4, 5]]
    assert timeline.cycles == 6 + 6


def test_a_queue_of_depth_two_holds_one_item(engine):
    # cycle:        1      2      3      4      5      6      7      8      9 10 11
    # broadcaster:  send0  full   send1  full   full   send2
    # PE:                  pop0   e      e      e      e      e      e      e  e  e
    #                                           pop1                 pop2
    timeline = play(engine, layer([[3, 3, 3]]), Spec(n_pes=1, queue_depth=2))
    assert timeline.ready.tolist() == [1, 2, 4]
    assert timeline.sent.tolist() == [1, 3, 6]
    assert popped(timeline) == [[2, 5, 8]]
    assert timeline.cycles == 11 + 6


def test_a_queue_of_depth_three_holds_two_items(engine):
    # cycle:        1      2      3      4      5      6      7      8
    # broadcaster:  send0  send1  send2  full   full   send3
    # PE:                  pop0   e      e      e      e      e      e      e e e e e e
    #                                           pop1                 pop2   (11: pop3)
    timeline = play(engine, layer([[3, 3, 3, 3]]), Spec(n_pes=1, queue_depth=3))
    assert timeline.sent.tolist() == [1, 2, 3, 6]
    assert popped(timeline) == [[2, 5, 8, 11]]
    assert timeline.cycles == 14 + 6


def test_one_full_queue_holds_back_every_pe(engine):
    # PE 0 has 3 entries a column, PE 1 one. cycle: 1 send0 | 2 pop0 pop0 | 3 send1 | 4 PE 1 pops 1 | 5 PE 0 pops 1
    # | 6 send2 | 7 PE 1 pops 2 | 8 PE 0 pops 2, entries in 9, 10, 11. Behind lane 1, the last, moving is free.
    activations = np.ones(3)
    timeline = play(engine, layer([[3, 3, 3], [1, 1, 1]], activations=activations), Spec(n_pes=2, queue_depth=2))
    assert timeline.sent.tolist() == [1, 3, 6]
    assert popped(timeline) == [[2, 5, 8], [2, 4, 7]]
    assert timeline.cycles == 11 + 6


def test_moving_to_the_next_row_takes_a_cycle_unless_the_last_lane_was_sent(engine):
    # rows of two lanes: (x .) (. x) (x .): send 1, move 2, send 3, free, send 4
    timeline = play(engine, layer(np.ones((2, 6), int), activations=[1, 0, 0, 1, 1, 0]), Spec(n_pes=2))
    assert timeline.column.tolist() == [0, 3, 4]
    assert timeline.sent.tolist() == [1, 3, 4]


def test_a_row_without_non_zeros_takes_a_cycle(engine):
    # rows of two lanes: (. .) (. .) (x .): move 1, move 2, send 3
    timeline = play(engine, layer(np.ones((2, 6), int), activations=[0, 0, 0, 0, 1, 0]), Spec(n_pes=2))
    assert timeline.sent.tolist() == [3]


def test_moving_does_not_wait_for_queues(engine):
    # send 0 in 1; the queue is full in 2 (popped then); rows 1 and 2 are moved over in 2 and 3; send 1 in 4, no later
    timeline = play(
        engine, layer([[5, 1, 1, 1, 1, 1], [1] * 6], activations=[1, 0, 0, 0, 0, 1]), Spec(n_pes=2, queue_depth=2)
    )
    assert timeline.ready.tolist() == [1, 4]
    assert timeline.sent.tolist() == [1, 4]


def test_the_bias_is_sent_from_a_row_of_its_own(engine):
    spec = Spec(n_pes=2)
    last_lane = play(engine, layer([[1, 1], [1, 1]], bias=[1, 1], activations=[0, 1]), spec)
    assert last_lane.sent.tolist() == [1, 2]
    first_lane = play(engine, layer([[1, 1], [1, 1]], bias=[1, 1], activations=[1, 0]), spec)
    assert first_lane.sent.tolist() == [1, 3]
    # Three inputs: the second row's last lane is not there, so leaving it is never free. move 1, send 2, move 3, send 4
    ragged = play(engine, layer([[1] * 3, [1] * 3], bias=[1, 1], activations=[0, 0, 1]), spec)
    assert (ragged.column.tolist(), ragged.sent.tolist()) == ([2, 3], [2, 4])


def test_the_latch_survives_from_column_to_column(engine):
    # two entries a row: addresses 0 1 | 2 . of column 0, 3 of column 1 (row latched), 4 of column 2, 5 of column 3
    timeline = play(engine, layer([[3, 1, 1, 1]]), Spec(n_pes=1, spmat_width_bits=16))
    assert timeline.row_reads.tolist() == [2 + 0 + 1 + 0]


def test_a_skipped_column_in_between_costs_a_new_row(engine):
    # column 1 (addresses 2, 3: row 1) is not broadcast; 0, 1: row 0; 4: row 2
    timeline = play(engine, layer([[2, 2, 1]], activations=[1, 0, 1]), Spec(n_pes=1, spmat_width_bits=16))
    assert timeline.row_reads.tolist() == [1 + 1]


def test_the_run_ends_six_cycles_after_the_last_entry_not_the_last_bubble(engine):
    # cycle: 1 send0 | 2 pop0 send1 | 3 entry, pop1, send2 | 4 bubble, pop2 | 5 bubble; the last entry is in 3
    timeline = play(engine, layer([[1, 0, 0]]), Spec(n_pes=1))
    assert popped(timeline) == [[2, 3, 4]]
    assert timeline.cycles == 3 + 6


def test_without_any_entry_only_the_six_cycles_remain(engine):
    assert play(engine, layer([[1, 1]], activations=[0, 0]), Spec(n_pes=1)).cycles == 6
    assert play(engine, layer([[0, 0]]), Spec(n_pes=1)).cycles == 6


def test_one_pointer_bank_costs_a_cycle_a_pop(engine):
    # cycle: 1 send0 | 2 pop0 send1 | 3 second pointer | 4 entry | 5 entry, pop1 | 6 second pointer | 7 entry
    timeline = play(engine, layer([[2, 1]]), Spec(n_pes=1, n_pointer_banks=1))
    assert popped(timeline) == [[2, 5]]
    assert timeline.cycles == 7 + 6


def test_a_broadcast_in_flight_holds_its_place_in_the_queue(engine):
    # latency 2: sent in 1, popped in 4, its place free in 5: second send then
    timeline = play(engine, layer([[1, 1]]), Spec(n_pes=1, queue_depth=2, broadcast_latency_cycles=2))
    assert timeline.sent.tolist() == [1, 5]
    assert popped(timeline) == [[4, 8]]
    assert timeline.cycles == 9 + 6


def test_the_lnzd_tree_fills_before_the_first_send(engine):
    timeline = play(engine, layer([[1, 1]]), Spec(n_pes=1, lnzd_latency_cycles=3))
    assert timeline.resumed.tolist() == [3, 4]
    assert timeline.sent.tolist() == [4, 5]


def test_a_batch_waits_for_the_pes_then_for_the_registers(engine):
    # two registers, 16 bits a cycle: a batch of two takes two cycles.
    # cycle: 1 send0 | 2 send1, pop0 | 3 entry, pop1 | 4 entry | 5, 6 transfer
    # | 7 send2 | 8 send3, pop2 | 9 entry, pop3 | 10 entry
    timeline = play(engine, layer([[1, 1, 1, 1]]), Spec(n_pes=1, register_file_entries=2, batches=True))
    assert timeline.paused.tolist() == [0, 1, 2, 7]
    assert timeline.resumed.tolist() == [0, 1, 6, 7]
    assert timeline.sent.tolist() == [1, 2, 7, 8]
    assert popped(timeline) == [[2, 3, 8, 9]]
    assert timeline.cycles == 10 + 6


def test_a_batch_without_non_zeros_is_loaded_all_the_same(engine):
    # one lane, one register: rows 1 and 2 each open a batch; row 1 is empty.
    # 1 send0 | 2 pop0 | 3 entry | 4 transfer | 5 move over row 1 | 6 transfer | 7 send
    spec = Spec(n_pes=1, register_file_entries=1, batches=True)
    timeline = play(engine, layer([[1, 1, 1]], activations=[1, 0, 1]), spec)
    assert timeline.sent.tolist() == [1, 7]
    assert (timeline.paused.tolist(), timeline.resumed.tolist()) == ([0, 1], [0, 6])


def test_a_refill_moves_entries_and_empties_the_latch(engine):
    # room for two entries: two parts of two columns, each 2 x 8 bits (the pointers stay), 8 cycles at 2 bits a cycle.
    # 1-8 transfer | 9 send0 | 10 send1, pop0 | 11 entry, pop1 | 12 entry | 13-20 transfer | 21 send2 | ... | 24 entry
    spec = Spec(n_pes=1, spmat_bytes=2, refills=True, dma_width_bits=2)
    timeline = play(engine, layer([[1, 1, 1, 1]]), spec)
    assert timeline.sent.tolist() == [9, 10, 21, 22]
    assert timeline.row_reads.tolist() == [1 + 0 + 1 + 0]
    assert timeline.cycles == 24 + 6


def test_the_load_phase_brings_weights_pointers_and_activations(engine):
    # 2 entries x 8 + 3 pointers x 16 + 2 activations x 16 = 96 bits: 12 cycles at 8 bits a cycle
    timeline = play(engine, layer([[1, 1]]), Spec(n_pes=1, load_phase=True, dma_width_bits=8))
    assert timeline.sent.tolist() == [13, 14]
