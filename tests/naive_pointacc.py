"""PointAcc the slow and obvious way: one cycle after the other, every unit looking at what was there before it."""

import numpy as np


def tick(plan, spec):
    """Return the Timeline's fields as lists of [first, last] cycles, and the last cycle."""
    passes, steps = plan.passes, plan.steps
    n_passes, n_steps = len(passes), len(steps)
    times = {name: np.zeros((n_passes, 2), int).tolist() for name in ("passed", "read", "mapped")}
    times |= {name: np.zeros((n_steps, 2), int).tolist() for name in ("looked", "fetched", "computed")}
    times["written"] = np.zeros((plan.n_tiles, 2), int).tolist()
    asked = []  # (cycle in which it arrives, who, order, number, length)
    usable = {"map": {}, "data": {}, "tile": {}, "done": {}}  # the first cycle in which it can be used
    at_pass = at_step_memory = at_step_array = 0
    pass_ready, memory_ready, array_ready, dram_ready = 1, 1, 1, 1
    waiting_for_read = None
    events = []  # (cycle, what, number) of results that come out
    last = cycle = 0

    def ask(now, who, number, length):
        asked.append((now + 1, who, len(asked), number, int(length)))

    def is_over():
        pending = [request for request in asked if request[0] > 0] + [event for event in events if event[0] > cycle]
        return at_pass == n_passes and at_step_array == n_steps and not pending

    while not is_over():
        cycle += 1
        for when, what, number in [event for event in events if event[0] == cycle]:
            last = max(last, when)
            if what == "pass":
                if plan.write_cycles[number]:
                    ask(cycle, 1, number, plan.write_cycles[number])
                else:
                    usable["map"][number] = cycle + 1
            elif plan.out_cycles[number]:
                ask(cycle, 3, number, plan.out_cycles[number])
            else:
                usable["tile"][number] = cycle + 1
        if cycle >= dram_ready and (arrived := [request for request in asked if 0 < request[0] <= cycle]):
            request = min(arrived)
            asked[asked.index(request)] = (0, *request[1:])
            _, who, _, number, length = request
            dram_ready, end = cycle + length, cycle + length - 1
            last = max(last, end)
            times[("read", "mapped", "fetched", "written")[who]][number] = [cycle, end]
            if who == 0:
                waiting_for_read = cycle + spec.dram_latency_cycles
            elif who == 1:
                usable["map"][number] = end + 1
            elif who == 2:
                usable["data"][number] = end + spec.dram_latency_cycles + 1
            else:
                usable["tile"][number] = end + 1
        if at_pass < n_passes and cycle >= pass_ready:
            k, length = at_pass, int(passes.blocks[at_pass])
            if plan.read_cycles[k] and waiting_for_read is None:
                ask(cycle, 0, k, plan.read_cycles[k])
                waiting_for_read = np.inf
            elif not plan.read_cycles[k] or cycle >= waiting_for_read:
                length = max(length, int(plan.read_cycles[k]))
                times["passed"][k] = [cycle, cycle + length - 1]
                out = cycle + length - 1 + int(passes.latency[k])
                events.append((out, "pass", k))
                is_awaited = k + 1 < n_passes and passes.waits[k + 1]
                pass_ready = (out if is_awaited else cycle + length - 1) + 1
                at_pass, waiting_for_read = k + 1, None
        if at_step_memory < n_steps and cycle >= memory_ready:
            s = at_step_memory
            map_there = steps.map_pass[s] < 0 or usable["map"].get(int(steps.map_pass[s]), np.inf) <= cycle
            slot = s < spec.steps_ahead or usable["done"].get(s - spec.steps_ahead, np.inf) <= cycle
            if map_there and slot:
                end = cycle + int(steps.rows[s]) - 1
                times["looked"][s] = [cycle, end]
                if plan.fetch_cycles[s]:
                    ask(end, 2, s, plan.fetch_cycles[s])
                else:
                    usable["data"][s] = end + 1
                memory_ready, at_step_memory, last = end + 1, s + 1, max(last, end)
        if at_step_array < n_steps and cycle >= array_ready:
            s = at_step_array
            tile = int(steps.tile[s])
            is_first = s == 0 or steps.tile[s - 1] != tile
            free = not is_first or tile < 2 or usable["tile"].get(tile - 2, np.inf) <= cycle
            if usable["data"].get(s, np.inf) <= cycle and free:
                end = cycle + max(int(steps.rows[s]), spec.n_rows) - 1
                times["computed"][s] = [cycle, end]
                usable["done"][s] = end + 1
                if s + 1 == n_steps or steps.tile[s + 1] != tile:
                    events.append((cycle + int(steps.rows[s]) - 1 + spec.n_rows + spec.n_columns, "tile", tile))
                array_ready, at_step_array, last = end + 1, s + 1, max(last, end)
    for begin_end in (*times["passed"], *times["computed"]):
        last = max(last, begin_end[1])
    return times, last
