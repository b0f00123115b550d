"""A GEMM on a card said as plainly as possible: one list of messages, played in order of time. G1 to G7 and no more."""

from __future__ import annotations

from types import SimpleNamespace

from tensorcore_sim.card.timeline import HBM, L2, LATE, SHARED, CardTimeline, Plan, empty

CYCLE = 10


def timeline(plan: Plan) -> CardTimeline:
    """Return when everything happens in one run of the plan."""
    found = SimpleNamespace(**empty(plan))
    in_l2 = []  # [chunk, bytes, since when it is there], the one used longest ago first
    on_the_way = []  # (group, chunk, when it arrives, where from)
    l2_free = hbm_free = next_tile = 0
    # What reaches the dispatcher or L2: (when, SM, tile, k-step). No tile: the SM is free. No k-step: a result.
    messages = [(plan.begin + CYCLE, sm, None, None) for sm in range(plan.n_sms)]
    while messages:
        message = min(messages, key=lambda each: each[:2])
        messages.remove(message)
        now, sm, tile, step = message
        if tile is None:
            if next_tile < plan.n_tiles:
                found.sm[next_tile], found.begun[next_tile] = sm, now
                found.asked[next_tile, 0] = now
                messages.append((now + CYCLE, sm, next_tile, 0))
                next_tile += 1
        elif step is None:
            l2_free = max(l2_free, now) + int(plan.store_l2[tile])
            hbm_free = max(hbm_free, now) + int(plan.store_hbm[tile])
            found.finished[tile] = l2_free
            messages.append((l2_free + CYCLE, sm, None, None))
        else:
            is_last = step == plan.n_steps - 1
            group = sm // plan.n_sharing
            arrivals = []
            for side in "ab":
                place = int({"a": plan.row, "b": plan.column}[side][tile])
                n_bytes, l2_ticks, hbm_ticks = (
                    int(getattr(plan, f"{side}_{what}")[place, int(is_last)]) for what in ("bytes", "l2", "hbm")
                )
                chunk = (side, place, step)
                shared = [each for each in on_the_way if each[:2] == (group, chunk) and each[2] > now]
                if shared:
                    ((_, _, arrival, source),) = shared
                    found.source[tile, step, "ab".index(side)] = source + SHARED
                else:
                    l2_free = max(l2_free, now) + l2_ticks
                    kept = [each for each in in_l2 if each[0] == chunk]
                    if kept:
                        source, entry = L2, kept[0]
                        in_l2.remove(entry)
                    else:
                        hbm_free = max(hbm_free, now) + hbm_ticks
                        source, entry = HBM, [chunk, n_bytes, hbm_free + plan.hbm_latency]
                    in_l2.append(entry)
                    arrival = max(l2_free + plan.l2_latency, entry[2])
                    if entry[2] > l2_free + plan.l2_latency:
                        source += LATE
                    while sum(each[1] for each in in_l2) > plan.l2_bytes:
                        in_l2.pop(0)
                    found.source[tile, step, "ab".index(side)] = source
                    on_the_way.append((group, chunk, arrival, source))
                arrivals.append(arrival)
            computed = [int(start) + plan.step for start in found.started[tile, :step]]
            found.arrived[tile, step] = max(arrivals)
            found.started[tile, step] = max(arrivals + computed[-1:])
            computed.append(int(found.started[tile, step]) + plan.step)
            if is_last:
                messages.append((computed[-1] + CYCLE, sm, tile, None))
            else:
                stage_free = computed[step + 1 - plan.n_stages] if step + 1 >= plan.n_stages else 0
                asks = max(now, stage_free)  # this request reached L2 a cycle after it was sent
                found.asked[tile, step + 1] = asks
                messages.append((asks + CYCLE, sm, tile, step + 1))
    end = max(hbm_free, int(found.finished.max()))
    return CardTimeline(**vars(found), end=end + -end % CYCLE)
