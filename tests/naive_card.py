"""A GEMM on a card said as plainly as possible: one list of what is to happen, played in order of time. G1 to G7."""

from __future__ import annotations

from types import SimpleNamespace

from tensorcore_sim.card.timeline import HBM, L2, LATE, SHARED, CardTimeline, Plan, empty

CYCLE = 10


def timeline(plan: Plan) -> CardTimeline:
    """Return when everything happens in one run of the plan."""
    found = SimpleNamespace(**empty(plan))
    in_l2 = []  # [chunk, bytes, since when it is there], the one used longest ago first
    for number in plan.in_l2.tolist():
        line, step = divmod(number, plan.n_steps)
        side = "a" if line < len(plan.a_bytes) else "b"
        line -= (side == "b") * len(plan.a_bytes)
        in_l2.append([(side, line, step), int(sizes(plan, side, line, step)[0]), 0])
    on_the_way = []  # (group, chunk, when it arrives, where from)
    stored = [0] * plan.n_tiles  # parts of a tile whose results have reached L2
    l2_free = hbm_free = next_block = 0
    cores_free = [0] * plan.n_sms
    blocks = [None] * plan.n_places
    # What reaches the dispatcher or L2: (when, place, kind, block's number of the k-step or part). A k-step before a
    # result of the same place.
    messages = [(plan.begin + CYCLE, place, "free", None) for place in range(plan.n_places)]
    while messages or any(block and block.ready for block in blocks):
        now = min(
            [message[0] for message in messages]
            + [
                max(block.ready[0], cores_free[place % plan.n_sms])
                for place, block in enumerate(blocks)
                if block and block.ready
            ]
        )
        # The tensor cores first: what they start is computed later than now
        for sm in range(plan.n_sms):
            waiting = [
                (blocks[place].ready[0], place)
                for place in range(sm, plan.n_places, plan.n_sms)
                if blocks[place] and blocks[place].ready and blocks[place].ready[0] <= now
            ]
            if not waiting or cores_free[sm] > now:
                continue
            _, place = min(waiting)
            block = blocks[place]
            _, number = block.ready
            block.ready = None
            part, tile, step = block.steps[number]
            found.started[tile, step] = now
            cores_free[sm] = now + plan.step
            block.computed[number] = now + plan.step + plan.overhead
            last_of_part = number + 1 == len(block.steps) or block.steps[number + 1][0] != part
            if last_of_part:
                messages.append((block.computed[number] + plan.turn + CYCLE, place, "result", part))
            else:
                block.free_from = block.computed[number]
                _make_ready(block, number + 1)
            asks = number + plan.n_stages
            if asks < len(block.steps) and asks == block.n_asked:
                _ask(plan, found, block, place, messages)
        due = [message for message in messages if message[0] == now]
        for message in sorted(due, key=lambda each: (each[1], each[2] == "result")):
            messages.remove(message)
            _, place, kind, what = message
            sm = place % plan.n_sms
            if kind == "free":
                if next_block + 1 < len(plan.blocks):
                    parts = range(plan.blocks[next_block], plan.blocks[next_block + 1])
                    steps = [
                        (part, int(plan.tile[part]), int(plan.first[part]) + step)
                        for part in parts
                        for step in range(plan.length[part])
                    ]
                    blocks[place] = block = SimpleNamespace(
                        steps=steps, parts=parts, n_asked=0, asked=now - CYCLE, ready=None, free_from=0,
                        arrived={}, computed={}, storing=False,
                    )  # fmt: skip
                    found.place[parts[0]], found.begun[parts[0]] = place, now
                    next_block += 1
                    _ask(plan, found, block, place, messages)
            elif kind == "result":
                block, tile = blocks[place], int(plan.tile[what])
                stored[tile] += 1
                n_parts = int((plan.tile == tile).sum())
                if stored[tile] < n_parts:
                    l2_free = max(l2_free, now) + int(plan.sums_l2[tile])
                    done = l2_free
                else:
                    l2_free = max(l2_free, now) + (n_parts - 1) * int(plan.sums_l2[tile]) + int(plan.store_l2[tile])
                    hbm_free = max(hbm_free, now) + int(plan.store_hbm[tile])
                    done = l2_free + (plan.l2_latency if n_parts > 1 else 0)
                found.finished[what] = done
                if what + 1 in block.parts:
                    found.place[what + 1], found.begun[what + 1] = place, done
                    block.free_from = done
                    _make_ready(block, next(i for i, step in enumerate(block.steps) if step[0] == what + 1))
                else:
                    messages.append((done + CYCLE, place, "free", None))
            else:
                block = blocks[place]
                _, tile, step = block.steps[what]
                group = sm // plan.n_sharing
                arrivals = []
                for side in "ab":
                    line = int({"a": plan.row, "b": plan.column}[side][tile])
                    n_bytes, l2_ticks, hbm_ticks = sizes(plan, side, line, step)
                    chunk = (side, line, step)
                    shared = [each for each in on_the_way if each[:2] == (group, chunk) and each[2] > now]
                    if shared:
                        ((_, _, arrival, source),) = shared
                        source += SHARED
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
                        on_the_way.append((group, chunk, arrival, source))
                    found.source[tile, step, "ab".index(side)] = source
                    arrivals.append(arrival)
                found.arrived[tile, step] = block.arrived[what] = max(arrivals)
                if what == len(block.computed):
                    _make_ready(block, what)
                if what + 1 < len(block.steps) and what + 1 == block.n_asked:
                    _ask(plan, found, block, place, messages)
    end = max(hbm_free, int(found.finished.max()))
    return CardTimeline(**vars(found), end=end + -end % CYCLE)


def sizes(plan: Plan, side: str, line: int, step: int) -> list[int]:
    """Return the bytes of a chunk, and its ticks of L2 and of HBM."""
    last = int(step == plan.n_steps - 1)
    return [int(getattr(plan, f"{side}_{what}")[line, last]) for what in ("bytes", "l2", "hbm")]


def _ask(plan, found, block, place, messages) -> None:
    """Ask for the block's next k-step, unless its stage is not free yet: it is asked for when that is known."""
    number = block.n_asked
    asks = block.asked + CYCLE
    if number >= plan.n_stages:
        if number - plan.n_stages not in block.computed:
            return
        asks = max(asks, block.computed[number - plan.n_stages])
    block.n_asked, block.asked = number + 1, asks
    _, tile, step = block.steps[number]
    found.asked[tile, step] = asks
    messages.append((asks + CYCLE, place, "k-step", number))


def _make_ready(block, number: int) -> None:
    """Note since when a k-step is ready, if its chunks have been served and the result before it is out."""
    part = block.steps[number][0]
    first_of_later = number and block.steps[number - 1][0] != part
    if number in block.arrived and (not first_of_later or block.free_from >= block.computed[number - 1] + CYCLE):
        block.ready = (max(block.arrived[number], block.free_from), number)
