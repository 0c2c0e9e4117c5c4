"""Scenes from scenes: cropped, merged, pruned, resampled, or put elsewhere in the world.

Every edit streams its scenes within `EditOptions.host_memory`, gives a scene that verifies, appears
whole or not at all, and adds a line to what the scene says of its `history`.
"""

from __future__ import annotations

from plenostream.edits.crop import crop
from plenostream.edits.levels import add_levels
from plenostream.edits.merge import merge
from plenostream.edits.prune import prune
from plenostream.edits.resample import resample
from plenostream.edits.transform import transform

__all__ = ["add_levels", "crop", "merge", "prune", "resample", "transform"]
