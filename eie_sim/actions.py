"""What EIE's units can do that costs energy (Action), and what they can be doing in a cycle (the States)."""

from enum import IntEnum, StrEnum


class Action(StrEnum):
    """Counted events; each has a price in energy."""

    BROADCASTS = "broadcasts"  # non-zeros sent over the tree, the bias' 1 among them
    ACT_READS = "act_reads"  # activations read from the source register files
    QUEUE_PUSHES = "queue_pushes"  # one a PE and broadcast
    PTR_READS = "ptr_reads"  # pointer pairs read, both banks at once; one a pop
    SPMAT_ROW_READS = "spmat_row_reads"
    ENTRIES = "entries"  # entries handled, paddings among them
    PADDINGS = "paddings"
    MACS = "macs"  # multiply-accumulates: entries that are no padding
    OUTPUTS = "outputs"  # accumulators passed through ReLU and the output LNZD
    ACT_SRAM_READS = "act_sram_reads"  # activations moved from activation SRAM to register file, at a batch's start
    DMA_BITS = "dma_bits"  # moved into the machine in load phase and refills


class PeState(IntEnum):
    """What a PE does in a cycle; each cycle has exactly one."""

    WEIGHT = 0  # handles an entry that is a weight
    PADDING = 1  # handles a padding entry
    BUBBLE = 2  # an empty column's one cycle
    POINTER = 3  # reads the second pointer (one bank only)
    BLOCKED = 4  # starved: another PE's queue is full, so nobody is sent anything
    MOVE = 5  # starved: the broadcaster moves over rows of activations
    ARRIVAL = 6  # starved: the broadcast is on its way
    LOAD = 7  # starved: the broadcaster pauses for a transfer
    DONE = 8  # has finished its share and waits for the slowest PE
    DRAIN = 9  # the last entry goes through the pipeline


class BroadcasterState(IntEnum):
    """What the broadcaster does in a cycle."""

    SEND = 0
    MOVE = 1  # moves on to the next row of activations
    BLOCKED = 2  # a queue is full
    LOAD = 3  # pauses: waits for the PEs, then for the transfer
    DONE = 4  # everything is sent
