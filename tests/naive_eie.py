"""EIE said as plainly as possible, in loops: the twins that the fast code must equal."""

from fractions import Fraction


def encode_column(rows: list[int], codes: list[int]) -> list[tuple[int, int]]:
    """Return the (code, run) entries of one PE's column: its non-zero local rows and their codes."""
    entries, previous = [], -1
    for row, code in zip(rows, codes, strict=True):
        gap = row - previous - 1
        entries += [(0, 15)] * (gap // 16) + [(code, gap % 16)]
        previous = row
    return entries


def decode_column(entries: list[tuple[int, int]]) -> dict[int, int]:
    """Return {local row: code} of one PE's column."""
    found, row = {}, -1
    for code, run in entries:
        row += run + 1
        if code:
            found[row] = code
    return found


def accumulate(weights, activations, shift: int) -> tuple[int, int]:
    """Return one accumulator's final value and how often it saturated; integers in the order of the broadcasts."""
    total, saturated = 0, 0
    for weight, activation in zip(weights, activations, strict=True):
        product = weight * activation
        total += (product + (2**shift // 2)) // 2**shift
        if not -(2**15) <= total < 2**15:
            saturated += 1
            total = max(-(2**15), min(2**15 - 1, total))
    return total, saturated


def most_bits(values, least: int) -> int:
    """Return the most fraction bits, at most 30 and at least `least`, at which all the reals fit 16 bits, rounded."""
    bits = 30
    while bits > least and any(abs(round(Fraction(value) * Fraction(2) ** bits)) > 2**15 - 1 for value in values):
        bits -= 1
    return bits


def least_shift(rows, activations, in_bits: int) -> int:
    """Return the shift of all products of a layer's rows with the activations, whose fraction bits in_bits count both.

    It leaves at most 30 fraction bits, and every sum on the way fits 16 bits, before its terms are rounded and after.
    """
    sums = [sum(w * a for w, a in zip(row[:n], activations)) for row in rows for n in range(len(row) + 1)]
    shift = max(0, in_bits - 30)
    while max(abs(total) for total in sums) // 2**shift > 2**15 - 1:
        shift += 1
    while any(accumulate(row, activations, shift)[1] for row in rows):
        shift += 1
    return shift


def tick(n, active, spec, pauses=None, bias=False):
    """Play rules R1-R11 of eie_sim/timeline.py cycle by cycle, deciding everything on the state before the cycle.

    n[p][j]: entries of PE p in column j (the bias' last); active: the non-zero inputs, bool[in]; pauses: {row: (cycles,
    is_refill)}. Returns a dict of lists (paused, resumed, ready, sent, popped[k][p]; row_reads[p]) and cycles.
    """
    n_pes, n_in = spec.n_pes, len(active)
    pauses = pauses or {}
    rows = [
        [(j, j - start) for j in range(start, min(start + n_pes, n_in)) if active[j]] for start in range(0, n_in, n_pes)
    ]
    if bias:
        rows.append([(n_in, 0)])
    starts = [[sum(row[:j]) for j in range(len(row))] for row in n]
    # The broadcaster's position: a list of things to do, in order.
    todo = []
    for index, row in enumerate(rows):
        if index in pauses:
            todo.append(("wait", None))
            todo += [("load", pauses[index][1])] * pauses[index][0]
        todo += [("send", column) for column, _ in row]
        if not row or row[-1][1] != n_pes - 1:
            todo.append(("move", None))
    found = {name: [] for name in ("column", "paused", "resumed", "ready", "sent", "popped")}
    row_reads = [0] * n_pes
    queues = [[] for _ in range(n_pes)]  # (broadcast, first cycle in which it can be popped)
    busy_until = [0] * n_pes  # last cycle of the PE's column
    latch = [None] * n_pes
    last_entry, pause, waiting_since, cycle = 0, None, None, 0
    while todo or any(queues) or cycle <= max(busy_until):
        cycle += 1
        before = [list(queue) for queue in queues]
        idle = [busy_until[p] < cycle and not before[p] for p in range(n_pes)]
        # What the PEs do.
        for p in range(n_pes):
            if before[p] and before[p][0][1] <= cycle and busy_until[p] <= cycle:
                k, _ = queues[p].pop(0)
                column = found["column"][k]
                count = n[p][column]
                found["popped"][k][p] = cycle
                busy_until[p] = cycle + (2 - spec.n_pointer_banks) + max(1, count)
                if count:
                    last_entry = max(last_entry, busy_until[p])
                for address in range(starts[p][column], starts[p][column] + count):
                    if address // spec.entries_per_row != latch[p]:
                        latch[p] = address // spec.entries_per_row
                        row_reads[p] += 1
        # What the broadcaster does, in one cycle.
        if todo and todo[0][0] == "wait":
            pause = (cycle - 1, None) if pause is None else pause
            if not all(idle):
                continue
            todo.pop(0)
        if not todo:
            continue
        what, argument = todo[0]
        if what == "load":
            if argument:
                latch = [None] * n_pes
            todo.pop(0)
            pause = (pause[0], cycle)
        elif what == "move":
            todo.pop(0)
        else:
            waiting_since = cycle if waiting_since is None else waiting_since
            if all(len(queue) < spec.queue_depth - 1 for queue in before):
                previous = found["sent"][-1] if found["sent"] else 0
                found["paused"].append(pause[0] if pause else previous)
                found["resumed"].append(pause[1] if pause else previous)
                found["ready"].append(waiting_since)
                found["sent"].append(cycle)
                found["column"].append(argument)
                found["popped"].append([0] * n_pes)
                for queue in queues:
                    queue.append((len(found["sent"]) - 1, cycle + 1 + spec.broadcast_latency_cycles))
                todo.pop(0)
                pause, waiting_since = None, None
    return found | {"row_reads": row_reads, "cycles": last_entry + 6}
