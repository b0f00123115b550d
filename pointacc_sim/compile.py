"""From an image to a plan: all passes, steps and tiles of a layer on a design."""

from __future__ import annotations

from pointacc_sim.fetch import fetch_on_demand
from pointacc_sim.gather_scatter import gather_scatter
from pointacc_sim.image import Image
from pointacc_sim.passes import mapping_passes
from pointacc_sim.plan import Plan, of
from pointacc_sim.spec import Spec


def compiled(image: Image, spec: Spec) -> Plan:
    """Return the plan of a layer on a design. Raises BadInput where a block does not fit the cache."""
    passes, of_offset = mapping_passes(image, spec)
    if spec.dataflow == "gather-scatter":
        steps, write_bytes, block = *gather_scatter(image, of_offset, spec), 0
    else:
        steps, write_bytes, block = fetch_on_demand(image, of_offset, spec)
    return of(passes, steps, write_bytes, block, spec)
