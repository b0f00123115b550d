"""What an SM's units can do (Action), and what they can be doing at a time (the States)."""

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
