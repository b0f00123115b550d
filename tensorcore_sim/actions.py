"""What the units of an SM and of a card can do (Actions), and what they can be doing at a time (the States)."""

from enum import IntEnum, StrEnum


class Action(StrEnum):
    """Counted events."""

    MMAS = "mmas"  # mma and mma.sp issued
    WGMMAS = "wgmmas"
    LOADS = "loads"
    CLOSES = "closes"  # iterations closed
    PORT_TICKS = "port_ticks"  # of the shared-memory port, ten to a pass


class CoreState(IntEnum):
    """What a sub-core's tensor core does at a tick, or else why its sub-core sends it nothing; exactly one."""

    COMPUTE = 0  # multiply-adds
    FLOOR = 1  # the rest of the least issue interval of mma.sp, or of wgmma with A from registers
    CLOSE = 2  # an iteration closes
    ISSUE = 3  # the scheduler or the warp is in the cycle of another instruction
    PORT = 4  # a wgmma, or the load that the next instruction needs, waits for the port or is in it
    DEPENDENCY = 5  # the next instruction waits for a result that is on its way
    DONE = 6  # every instruction of the sub-core has been issued, and no wgmma waits


class PortState(IntEnum):
    """What the shared-memory port does at a tick."""

    BUSY = 0
    IDLE = 1


class CardAction(StrEnum):
    """Counted events of a whole GEMM. A sparse multiply-add counts once for each value that is kept."""

    MACS = "macs"  # multiply-adds done, those on padding among them
    MMAS = "mmas"  # mma, mma.sp, wgmma or wgmma.sp issued
    SHARED_READ_BYTES = "shared_read_bytes"
    SHARED_WRITE_BYTES = "shared_write_bytes"
    L2_READ_BYTES = "l2_read_bytes"
    HBM_READ_BYTES = "hbm_read_bytes"
    SUM_BYTES = "sum_bytes"  # f32 sums of the parts of a tile, written to L2 and read from it
    WRITE_BYTES = "write_bytes"  # of the result, through L2 to HBM


class SmState(IntEnum):
    """What an SM does in a cycle, or else why it does not multiply; exactly one."""

    COMPUTE = 0  # multiply-adds of the problem, at the tensor cores' full rate
    PADDING = 1  # multiply-adds beyond the edges of the problem: tile quantisation
    FLOOR = 2  # the rest of the least issue interval of mma.sp, or of wgmma with A from registers
    PORT = 3  # the tensor cores wait for shared memory
    ISSUE = 4  # they wait for the scheduler, or for a result that is on its way
    LOOP = 5  # barrier and pointers between two k-steps
    L2 = 6  # the next k-step is on its way, and L2 is what it waits for
    HBM = 7  # the next k-step is on its way, and HBM is what it waits for
    FILL = 8  # the first k-step of a tile is on its way
    DRAIN = 9  # the result of a tile is on its way out
    WAVE = 10  # there is no tile left for the SM: wave quantisation
    LAUNCH = 11
    POWER = 12  # what the clock lost to the power limit, in cycles of the full clock
    HOST = 13  # the card waits for the host


class SmPhase(IntEnum):
    """What an SM is at when, as a trace tells it: SmState, but for the k-steps, which a trace does not split."""

    K_STEP = 0  # SmState's COMPUTE to LOOP: of these only the shares in a k-step are known
    L2 = 1
    HBM = 2
    FILL = 3
    DRAIN = 4
    WAVE = 5
    LAUNCH = 6
