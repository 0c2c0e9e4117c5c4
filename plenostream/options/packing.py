"""What all that pack scenes are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from plenostream.field.levels import MOST_LEVELS
from plenostream.options.clusters import ClusterOptions
from plenostream.options.limits import MOST_THREADS
from plenostream.rules import Memory, Whole, rules_of

__all__ = ["LEVELS", "PACKING_SCHEDULER", "PackingMemory", "PackingThreads"]

PackingMemory = Annotated[
    int | str, Memory(help="Bound on the process's memory above what the program itself takes.")
]
PackingThreads = Annotated[
    int | None,
    Whole(
        least=1, most=MOST_THREADS, unit="threads", unsaid="one a core",
        help="Threads that pack and compress.",
    ),
]  # fmt: skip
PACKING_SCHEDULER = replace(
    rules_of(ClusterOptions)["scheduler"],
    help="Scheduler of a Dask cluster whose workers pack, all of them together within --host-memory. They "
    "must see the source and the folder beside the scene (for one at a URL: the current folder), at the "
    "same paths.",
)
LEVELS = Whole(
    least=0,
    most=MOST_LEVELS,
    unit="levels",
    words=("auto",),
    help="Coarser levels to store beside the scene, each with half the resolution of the one before; "
    "auto: as many as halve the grid down to 32 voxels. For a trained model they add a quarter to two fifths "
    "to its bytes, and half or more to the time of converting; 0 leaves them out.",
)
