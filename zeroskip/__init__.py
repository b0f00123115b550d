"""The face of zeroskip in Python: load, run, sweep, compare, prune, adapt and llm, each of which gives a Result.

Such as zeroskip.run("eie", "alex-7", n_pes=256), or zeroskip.compare("alex-7").frame(): docs/python.md.
"""

from workloads.errors import BadInput
from zeroskip.result import Result
from zeroskip.verbs import adapt, compare, llm, load, prune, run, sweep

__all__ = ["BadInput", "Result", "adapt", "compare", "llm", "load", "prune", "run", "sweep"]
