"""The rules of timeline.py as a jitted recurrence: the engine to sweep with.

Every unit goes on as far as what the DRAM has moved allows; then the earliest request is moved; and so on.
"""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from pointacc_sim.plan import Plan
from pointacc_sim.spec import Spec
from pointacc_sim.timeline import Timeline

UNKNOWN = np.iinfo(np.int64).max


def timeline(plan: Plan, spec: Spec, progress=None) -> Timeline:
    """Return when everything happens in a layer. progress, which every engine takes, is not called: it is over soon."""
    passes, steps = plan.passes, plan.steps
    arrays = [np.zeros((n, 2), np.int64) for n in (len(passes), len(passes), len(passes), *[len(steps)] * 3)]
    arrays.append(np.zeros((plan.n_tiles, 2), np.int64))
    end = _play(
        passes.blocks,
        passes.latency,
        passes.waits,
        plan.read_cycles,
        plan.write_cycles,
        steps.map_pass,
        steps.rows,
        steps.tile,
        plan.fetch_cycles,
        plan.out_cycles,
        spec.steps_ahead,
        spec.dram_latency_cycles,
        spec.n_rows,
        spec.n_rows + spec.n_columns,
        *arrays,
    )
    return Timeline(*arrays, int(end))


@kernel
def _play(
    blocks, latency, waits, read_cycles, write_cycles, map_pass, rows, tile, fetch_cycles, out_cycles,
    ahead, dram_latency, shift_cycles, drain_cycles,
    passed, read, mapped, looked, fetched, computed, written,
):  # fmt: skip
    """Fill the arrays of the Timeline; return the last cycle of the run."""
    n_passes, n_steps, n_tiles = len(blocks), len(rows), len(out_cycles)
    map_arrival = np.full(n_passes, UNKNOWN)
    map_there = np.full(n_passes, UNKNOWN)  # the last cycle before a map may be used
    out_arrival = np.full(n_tiles, UNKNOWN)
    out_there = np.full(n_tiles, UNKNOWN)
    data_there = np.full(n_steps, UNKNOWN)
    n_passed = n_mapped = n_looked = n_computed = n_written = 0
    read_arrival = fetch_arrival = UNKNOWN
    dram_end = end = 0
    while True:
        # The Mapping Unit, up to the next pass that needs coordinates from DRAM.
        while n_passed < n_passes:
            k = n_passed
            ready = 1
            if k > 0:
                ready = passed[k - 1, 1] + 1 + (latency[k - 1] if waits[k] else 0)
            if read_cycles[k] > 0 and read[k, 1] == 0:
                read_arrival = ready + 1
                break
            begin, length = ready, blocks[k]
            if read_cycles[k] > 0:
                begin = read[k, 0] + dram_latency
                length = max(length, read_cycles[k])
            passed[k, 0], passed[k, 1] = begin, begin + length - 1
            out = passed[k, 1] + latency[k]
            end = max(end, out)
            if write_cycles[k] > 0:
                map_arrival[k] = out + 1
            else:
                map_there[k] = out
            n_passed += 1
        while n_mapped < n_passed and write_cycles[n_mapped] == 0:
            n_mapped += 1
        # Memory and Matrix Unit, each up to what the other or the DRAM has not done.
        moved = True
        while moved:
            moved = False
            while n_looked < n_steps and fetch_arrival == UNKNOWN:
                s = n_looked
                needs_map = map_pass[s] >= 0
                if (needs_map and map_there[map_pass[s]] == UNKNOWN) or s - n_computed >= ahead:
                    break
                begin = 1 if s == 0 else looked[s - 1, 1] + 1
                if needs_map:
                    begin = max(begin, map_there[map_pass[s]] + 1)
                if s >= ahead:
                    begin = max(begin, computed[s - ahead, 1] + 1)
                looked[s, 0], looked[s, 1] = begin, begin + rows[s] - 1
                if fetch_cycles[s] > 0:
                    fetch_arrival = looked[s, 1] + 1
                else:
                    data_there[s] = looked[s, 1]
                n_looked += 1
                moved = True
            while n_computed < n_looked and data_there[n_computed] != UNKNOWN:
                s = n_computed
                is_first = s == 0 or tile[s - 1] != tile[s]
                if is_first and tile[s] >= 2 and out_there[tile[s] - 2] == UNKNOWN:
                    break
                begin = data_there[s] + 1
                if s > 0:
                    begin = max(begin, computed[s - 1, 1] + 1)
                if is_first and tile[s] >= 2:
                    begin = max(begin, out_there[tile[s] - 2] + 1)
                computed[s, 0], computed[s, 1] = begin, begin + max(rows[s], shift_cycles) - 1
                end = max(end, computed[s, 1])
                if s == n_steps - 1 or tile[s + 1] != tile[s]:
                    out = computed[s, 0] + rows[s] - 1 + drain_cycles
                    end = max(end, out)
                    if out_cycles[tile[s]] > 0:
                        out_arrival[tile[s]] = out + 1
                    else:
                        out_there[tile[s]] = out
                n_computed += 1
                moved = True
            while n_written < n_tiles and out_there[n_written] != UNKNOWN:
                n_written += 1
        # The DRAM moves the earliest request.
        map_wanted = map_arrival[n_mapped] if n_mapped < n_passed else UNKNOWN
        out_wanted = out_arrival[n_written] if n_written < n_tiles else UNKNOWN
        earliest = min(read_arrival, map_wanted, fetch_arrival, out_wanted)
        if earliest == UNKNOWN:
            return end
        begin = max(earliest, dram_end + 1)
        if read_arrival == earliest:
            dram_end = begin + read_cycles[n_passed] - 1
            read[n_passed, 0], read[n_passed, 1] = begin, dram_end
            read_arrival = UNKNOWN
        elif map_wanted == earliest:
            dram_end = begin + write_cycles[n_mapped] - 1
            mapped[n_mapped, 0], mapped[n_mapped, 1] = begin, dram_end
            map_there[n_mapped] = dram_end
            n_mapped += 1
        elif fetch_arrival == earliest:
            dram_end = begin + fetch_cycles[n_looked - 1] - 1
            fetched[n_looked - 1, 0], fetched[n_looked - 1, 1] = begin, dram_end
            data_there[n_looked - 1] = dram_end + dram_latency
            fetch_arrival = UNKNOWN
        else:
            dram_end = begin + out_cycles[n_written] - 1
            written[n_written, 0], written[n_written, 1] = begin, dram_end
            out_there[n_written] = dram_end
            n_written += 1
        end = max(end, dram_end)
