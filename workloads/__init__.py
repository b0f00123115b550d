"""The pruning front-end: dense networks in, compressed workloads out. NumPy and SciPy; no simulator in it."""

from workloads.catalogue import load
from workloads.errors import BadInput
from workloads.records import Layer, Model, Network, Other, Shape, Workload

__all__ = ["BadInput", "Layer", "Model", "Network", "Other", "Shape", "Workload", "load"]
