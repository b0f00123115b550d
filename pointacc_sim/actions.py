"""What PointAcc's units can do that costs energy (Action), and what they can be doing in a cycle (the States)."""

from enum import IntEnum, StrEnum


class Action(StrEnum):
    """Counted events; each has a price in energy."""

    COMPARES = "compares"  # compare-exchanges of the sorting and merging networks
    DISTANCES = "distances"  # squared distances of two points
    COORDINATE_READS = "coordinate_reads"  # coordinates read from their buffer
    TAG_LOOKUPS = "tag_lookups"  # map entries whose block was looked for in the cache
    CACHE_MISSES = "cache_misses"  # blocks fetched
    FEATURE_READ_BYTES = "feature_read_bytes"  # from the cache into the array
    FEATURE_WRITE_BYTES = "feature_write_bytes"  # from DRAM into the cache
    WEIGHT_READ_BYTES = "weight_read_bytes"  # from the weight buffer into the array
    ACCUMULATIONS = "accumulations"  # partial sums added in the accumulators: a read and a write each
    MACS = "macs"  # multiply-adds that the layer needs
    OUTPUTS = "outputs"  # sums that leave through bias, ReLU and rounding
    DRAM_COORDINATE_BYTES = "dram_coordinate_bytes"
    DRAM_MAP_BYTES = "dram_map_bytes"  # written by the Mapping Unit, read by the Memory Management Unit
    DRAM_WEIGHT_BYTES = "dram_weight_bytes"
    DRAM_FEATURE_BYTES = "dram_feature_bytes"  # read, and in gather-scatter also what is written as gathered rows
    DRAM_OUTPUT_BYTES = "dram_output_bytes"  # written, and in gather-scatter also partial sums


DRAM = tuple(action for action in Action if action.startswith("dram_"))


class MappingState(IntEnum):
    """What the Mapping Unit does in a cycle; each cycle has exactly one."""

    SORT = 0  # takes a block into the bitonic sorter, or merges two sorted runs
    MERGE = 1  # merges the shifted input cloud with the output cloud
    RANK = 2  # takes distances and keeps the largest, or the k least
    LOAD = 3  # waits for coordinates
    FLUSH = 4  # waits for its own last result
    DONE = 5


class MemoryState(IntEnum):
    """What the Memory Management Unit does in a cycle."""

    LOOKUP = 0  # looks an entry's block up
    MAP = 1  # waits for the map
    SLOT = 2  # waits: as many steps as may be are fetched and not computed
    DONE = 3


class DramState(IntEnum):
    """What the DRAM moves in a cycle."""

    COORDINATES = 0
    MAPS = 1
    FETCH = 2  # weights, map entries and features of a step
    OUTPUTS = 3
    IDLE = 4


class MatrixState(IntEnum):
    """What the Matrix Unit does in a cycle."""

    COMPUTE = 0  # takes a row of features
    WEIGHTS = 1  # waits for the next weights: fewer rows than they take to shift in
    MAP = 2  # starved: the map of the next offset is not there yet
    LOOKUP = 3  # starved: the cache is still looked up
    MEMORY = 4  # starved: DRAM
    OUTPUT = 5  # waits for accumulators whose sums are not written yet
    DONE = 6  # all rows are in; the last sums leave
