"""What a conversion made, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from plenostream.rules.bytesize import format_bytes

__all__ = ["ConvertReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertReport:
    """What a conversion made, and what it took."""

    n_voxels: int
    """Active voxels."""
    active_share: float
    """Active voxels over all voxels of the grid."""
    n_bricks: int
    """Stored bricks: those that hold an active voxel."""
    occupied_share: float
    """Occupied bricks (with a positive density) over all bricks of the grid."""
    source_bytes: int
    """Size of the checkpoint."""
    scene_bytes: int
    """Size of the scene: all its files."""
    spill_bytes: int
    """Disk that was taken for a while beside the target, to put rows in order."""
    planned_bytes: int
    """Memory that was planned for, above the interpreter and its imports."""
    density_rounding: float
    """Largest change of a density between the checkpoint and the device in float16, per world unit."""
    may_need_ndc: bool
    """Whether the volume lies as forward-facing scenes do, and no `ndc` was said."""
    seconds: float
    """Wall time."""

    def lines(self) -> list[str]:
        """The report as text for people."""
        lines = [
            f"voxels    {self.n_voxels:,} active ({self.active_share:.2%} of the grid)",
            f"bricks    {self.n_bricks:,} stored; {self.occupied_share:.2%} of the grid's bricks "
            "are occupied",
            f"bytes     {format_bytes(self.source_bytes)} in, {format_bytes(self.scene_bytes)} out",
            f"rounding  densities change by at most {self.density_rounding:.3g} per world unit in "
            "float16",
            f"took      {self.seconds:.1f} s, {format_bytes(self.planned_bytes)} of memory planned",
        ]
        if self.spill_bytes:
            lines.insert(3, f"spill     {format_bytes(self.spill_bytes)} of disk for a while")
        if self.may_need_ndc:
            lines.append(
                "note      the volume lies as those of forward-facing scenes do; if it is one, convert "
                "it again with --ndc WIDTH,HEIGHT,FOCAL of the pictures that it was trained with"
            )
        return lines
