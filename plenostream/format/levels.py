"""What a scene says about its coarser levels; their arrays are those of `layout`, see there.

Level l lies in the group ``levels/l``, with the arrays of `bricks/` and `rows/` of a grid of every
2^l-th voxel (`field.levels`). Types, brick size, basis and codecs are the scene's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LevelCounts", "decode_levels", "level_folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCounts:
    """What differs between a level and the scene that it belongs to; see `layout.SceneMeta`."""

    n_bricks: int
    n_occupied: int
    n_voxels: int
    n_rows: int
    density_rounding: float
    tables_digest: str

    def attributes(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def decode_levels(attributes: Mapping[str, Any]) -> tuple[LevelCounts, ...]:
    """The levels that checked attributes name, level 1 first."""
    return tuple(
        LevelCounts(
            **{name: level[name] for name in LevelCounts.__slots__ if name != "density_rounding"},
            density_rounding=float(level["density_rounding"]),
        )
        for level in attributes.get("levels", ())
    )


def level_folder(level: int) -> str:
    """Key of the group of a level, relative to the scene; empty for level 0."""
    return f"levels/{level}" if level else ""
