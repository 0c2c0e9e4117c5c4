"""What a scene says about its coarser levels; their arrays are those of `layout`, see there.

Level l lies in the group ``levels/l``, with the arrays of `bricks/` and `rows/` of a grid of every
2^l-th voxel (`field.levels`). Types, brick size, basis and codecs are the scene's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from plenostream.format.table_sections import TableSections, decode_sections

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
    table_sections: TableSections | None = None

    def attributes(self) -> dict[str, Any]:
        """As JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "table_sections"}
        return values | (self.table_sections.attributes() if self.table_sections else {})


_COUNTS = ("n_bricks", "n_occupied", "n_voxels", "n_rows", "tables_digest")


def decode_levels(attributes: Mapping[str, Any]) -> tuple[LevelCounts, ...]:
    """The levels that checked attributes name, level 1 first."""
    return tuple(
        LevelCounts(
            **{name: level[name] for name in _COUNTS},
            density_rounding=float(level["density_rounding"]),
            table_sections=decode_sections(level),
        )
        for level in attributes.get("levels", ())
    )


def level_folder(level: int) -> str:
    """Key of the group of a level, relative to the scene; empty for level 0."""
    return f"levels/{level}" if level else ""
