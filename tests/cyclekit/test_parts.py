"""Do the clocked parts hand over at the right edge, not a cycle early, not one late, in any order of events?"""

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from cyclekit.parts import Fifo, Pipeline, at_edge
from tests.shuffled import ShuffledEnvironment

SEEDS = range(8)


@pytest.fixture(params=["as scheduled", *SEEDS])
def env(request) -> simpy.Environment:
    """Return an environment: SimPy's own, and some that play the events of a cycle in another order."""
    return simpy.Environment() if request.param == "as scheduled" else ShuffledEnvironment(request.param)


def send(env, fifo, item, latency=1):
    """Push an item as a unit does: reserve now, deliver at a later edge."""
    fifo.reserve()
    at_edge(env, latency, lambda edge: fifo.deliver(edge.value), item)


def each_cycle(env, first, last, actions, look):
    """Act in the given cycles, and look in every cycle from `first` to `last`, after acting; the looks are returned."""
    looks = []

    def unit():
        yield env.timeout(first)
        for cycle in range(first, last + 1):
            actions.get(cycle, lambda: None)()
            looks.append(look())
            yield env.timeout(1)

    env.process(unit())
    return looks


def consumer(env, fifo, n_items, *, start=0, work=1):
    """Pop n items, each followed by `work` cycles; the cycles of the pops and the items are returned."""
    popped = []

    def unit():
        yield env.timeout(start)
        for _ in range(n_items):
            item = yield from fifo.pop()
            popped.append((env.now, item))
            yield env.timeout(work)

    env.process(unit())
    return popped


# The edge of a cycle


@pytest.mark.parametrize("cycles", [0, -1])
def test_nothing_crosses_in_zero_cycles(env, cycles):
    with pytest.raises(ValueError, match=f"at least 1: nothing crosses a part in zero cycles, got {cycles}"):
        at_edge(env, cycles, print)


@pytest.mark.parametrize("cycles", [1, 2, 5])
def test_an_edge_comes_before_anything_that_a_unit_does_in_its_cycle(env, cycles):
    registered = []
    start = {1: lambda: at_edge(env, cycles, lambda edge: registered.append(edge.value), "x")}
    looks = each_cycle(env, 1, 8, start, lambda: len(registered))
    env.run()
    assert looks == [int(cycle >= 1 + cycles) for cycle in range(1, 9)]


# Fifo: the way there


@pytest.mark.parametrize("latency", [1, 2, 5])
def test_an_item_wakes_the_waiting_consumer_in_the_cycle_it_arrives(env, latency):
    fifo = Fifo(env, 1)
    each_cycle(env, 3, 3, {3: lambda: send(env, fifo, "a", latency)}, lambda: None)
    popped = consumer(env, fifo, 1)
    env.run()
    assert popped == [(3 + latency, "a")]


@pytest.mark.parametrize(("start", "expected"), [(3, 4), (4, 4), (5, 5), (9, 9)])
def test_a_consumer_pops_at_once_what_has_arrived_and_waits_for_what_has_not(env, start, expected):
    # sent in 3, there from 4 on
    fifo = Fifo(env, 1)
    each_cycle(env, 3, 3, {3: lambda: send(env, fifo, "a")}, lambda: None)
    popped = consumer(env, fifo, 1, start=start)
    env.run()
    assert popped == [(expected, "a")]


def test_items_leave_in_the_order_they_came(env):
    fifo = Fifo(env, 3)
    each_cycle(env, 1, 3, {cycle: lambda c=cycle: send(env, fifo, c) for cycle in (1, 2, 3)}, lambda: None)
    popped = consumer(env, fifo, 3, start=9)
    env.run()
    assert [item for _, item in popped] == [1, 2, 3]


# Fifo: the way back


def test_a_slot_is_taken_at_once_and_free_the_cycle_after_the_pop(env):
    # cycle     1        2     3     4
    # producer  reserve
    # consumer           pop
    # full      yes      yes   no    no
    fifo = Fifo(env, 1)
    full = each_cycle(env, 1, 4, {1: lambda: send(env, fifo, "a")}, fifo.is_full)
    consumer(env, fifo, 1)
    env.run()
    assert full == [True, True, False, False]


def test_two_slots_are_full_after_two(env):
    # cycle     1        2        3     4     5
    # producer  reserve  reserve
    # consumer                          pop
    # full      no       yes      yes   yes   no
    fifo = Fifo(env, 2)
    full = each_cycle(env, 1, 5, {cycle: lambda: send(env, fifo, "a") for cycle in (1, 2)}, fifo.is_full)
    consumer(env, fifo, 1, start=4)
    env.run()
    assert full == [False, True, True, True, False]


def test_the_waiting_producer_wakes_in_the_cycle_the_slot_is_free(env):
    # sent in 1, popped in 7, free in 8
    fifo, woken = Fifo(env, 1), []

    def producer():
        yield env.timeout(1)
        send(env, fifo, "a")
        while fifo.is_full():
            yield fifo.changed()
        woken.append(env.now)

    env.process(producer())
    consumer(env, fifo, 1, start=7)
    env.run()
    assert woken == [8]


def test_reserving_a_slot_of_a_full_fifo_is_an_error(env):
    fifo = Fifo(env, 1)
    fifo.reserve()
    with pytest.raises(RuntimeError, match="full Fifo"):
        fifo.reserve()


def test_rest_is_seen_the_cycle_after_the_consumer_began_to_wait(env):
    # cycle     1      2        3     4     5     6      7
    # producer         reserve
    # consumer  waits  waits    pop   busy  busy  waits  waits
    # at rest   no     no       no    no    no    no     yes       (in 2 it was, until the producer itself reserved)
    fifo = Fifo(env, 2)
    before = []
    actions = {2: lambda: (before.append(fifo.at_rest()), send(env, fifo, "a"))}
    rest = each_cycle(env, 1, 7, actions, fifo.at_rest)
    consumer(env, fifo, 2, start=1, work=3)
    env.run()
    assert before == [True]
    assert rest == [False, False, False, False, False, False, True]


def test_a_producer_that_waits_for_rest_wakes_in_the_cycle_it_is_seen(env):
    # sent in 1, popped in 2, worked on in 3 and 4; the consumer waits again from 5 on
    fifo, woken = Fifo(env, 2), []

    def producer():
        yield env.timeout(1)
        send(env, fifo, "a")
        while not fifo.at_rest():
            yield fifo.changed()
        woken.append(env.now)

    env.process(producer())
    consumer(env, fifo, 2, work=3)
    env.run()
    assert woken == [6]


def test_a_fifo_whose_consumer_is_busy_is_not_at_rest_however_empty(env):
    fifo = Fifo(env, 1)
    rest = each_cycle(env, 1, 5, {}, fifo.at_rest)
    consumer(env, fifo, 1, start=9)
    env.run()
    assert rest == [False] * 5


@pytest.mark.parametrize(
    ("n_slots", "work", "sent", "popped"),
    [
        (1, 1, [1, 3, 5, 7], [2, 4, 6, 8]),  # there and back is two cycles: one slot gives half the rate
        (2, 1, [1, 2, 3, 4], [2, 3, 4, 5]),  # two slots give the whole
        (2, 3, [1, 2, 3, 6], [2, 5, 8, 11]),  # a slow consumer holds the producer back, from the third on
        (3, 3, [1, 2, 3, 4], [2, 5, 8, 11]),
    ],
)
def test_back_pressure(env, n_slots, work, sent, popped):
    fifo, found = Fifo(env, n_slots), []

    def producer():
        yield env.timeout(1)
        for k in range(4):
            while fifo.is_full():
                yield fifo.changed()
            found.append(env.now)
            send(env, fifo, k)
            yield env.timeout(1)

    env.process(producer())
    pops = consumer(env, fifo, 4, work=work)
    env.run()
    assert (found, pops) == (sent, [(cycle, k) for k, cycle in enumerate(popped)])


# Pipeline


@pytest.mark.parametrize("n_stages", [1, 2, 7])
def test_what_is_pushed_leaves_after_as_many_cycles_as_there_are_stages(env, n_stages):
    left = []
    pipeline = Pipeline(env, n_stages, lambda item: left.append((env.now, item)))
    each_cycle(env, 1, 3, {1: lambda: pipeline.push("a"), 2: lambda: pipeline.push("b")}, lambda: None)
    env.run()
    assert left == [(1 + n_stages, "a"), (2 + n_stages, "b")]


def test_pipelines_in_a_row_add_up(env):
    left = []
    second = Pipeline(env, 3, lambda item: left.append((env.now, item)))
    first = Pipeline(env, 2, second.push)
    each_cycle(env, 1, 1, {1: lambda: first.push("a")}, lambda: None)
    env.run()
    assert left == [(1 + 2 + 3, "a")]


def test_a_pipeline_without_stages_is_refused(env):
    with pytest.raises(ValueError, match="zero cycles"):
        Pipeline(env, 0, print).push("a")


# The law

ITEMS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=12)  # (gap, work) of each


def play(env, gaps, works, n_slots, latency):
    """Play producer -> Fifo -> relay -> Fifo -> consumer -> Pipeline; return when each of them acted on each item.

    Item k is made gaps[k] cycles after the last was sent, and keeps the relay and the consumer for works[k] cycles.
    """
    first, second = Fifo(env, n_slots), Fifo(env, n_slots)
    sent, relayed, popped, left = ([0] * len(gaps) for _ in range(4))
    pipeline = Pipeline(env, 2, lambda k: left.__setitem__(k, env.now))

    def push(fifo, k, record):
        while fifo.is_full():
            yield fifo.changed()
        record[k] = env.now
        send(env, fifo, k, latency)

    def producer():
        for k, gap in enumerate(gaps):
            yield env.timeout(gap)
            yield from push(first, k, sent)

    def relay():
        while True:
            k = yield from first.pop()
            yield env.timeout(works[k])
            yield from push(second, k, relayed)

    def sink():
        while True:
            k = yield from second.pop()
            popped[k] = env.now
            pipeline.push(k)
            yield env.timeout(works[k])

    for unit in (producer, relay, sink):
        env.process(unit())
    env.run()
    return sent, relayed, popped, left


def recurrence(gaps, works, n_slots, latency):
    """Return the same as `play` by the rules: an item is there after `latency`, a slot free the cycle after the pop."""
    sent, taken, relayed, popped = [], [], [], []
    for k, (gap, work) in enumerate(zip(gaps, works, strict=True)):
        slot = taken[k - n_slots] + 1 if k >= n_slots else 0
        sent.append(max((sent[-1] if sent else 0) + gap, slot))
        taken.append(max(sent[k] + latency, relayed[-1] if relayed else 0))
        slot = popped[k - n_slots] + 1 if k >= n_slots else 0
        relayed.append(max(taken[k] + work, slot))
        popped.append(max(relayed[k] + latency, popped[-1] + works[k - 1] if popped else 0))
    return sent, relayed, popped, [cycle + 2 for cycle in popped]


@given(ITEMS, st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_a_chain_of_parts_follows_the_recurrence_in_any_order_of_events(items, n_slots, latency, seed):
    gaps, works = zip(*items, strict=True)
    expected = recurrence(gaps, works, n_slots, latency)
    assert play(simpy.Environment(), gaps, works, n_slots, latency) == expected
    assert play(ShuffledEnvironment(seed), gaps, works, n_slots, latency) == expected


def test_without_the_parts_the_order_does_matter():
    """Show that the shuffling bites: an item that crosses in zero cycles is seen in its cycle or in the next."""

    def seen(env):
        items = []
        each_cycle(env, 1, 2, {1: lambda: items.append("a")}, lambda: None)
        looks = each_cycle(env, 1, 2, {}, lambda: len(items))
        env.run()
        return tuple(looks)

    assert {seen(ShuffledEnvironment(seed)) for seed in range(20)} == {(0, 1), (1, 1)}
