"""What pruning made, and how much of the pictures it changed."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Self

from plenostream.importers.packing.report import ConvertReport

__all__ = ["PruneReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneReport(ConvertReport):
    """What a pruning made, what it took, and its error."""

    psnr: tuple[float, ...]
    """dB, a number for each view, of the picture after it against that before; infinite where they are
    the same; empty without views."""

    @classmethod
    def of(cls, report: ConvertReport, *, psnr: tuple[float, ...]) -> Self:
        """What a scene's report says, and this."""
        return cls(psnr=psnr, **{f.name: getattr(report, f.name) for f in fields(ConvertReport)})

    def lines(self) -> list[str]:
        """See `ConvertReport`."""
        lines = ConvertReport.lines(self)
        if not self.psnr:
            return lines
        worst = min(self.psnr)
        if math.isinf(worst):
            return [*lines, f"error     none: the pictures of {len(self.psnr)} views are the same"]
        squares = [10 ** (-each / 10) for each in self.psnr]
        mean = -10 * math.log10(sum(squares) / len(squares))
        return [
            *lines,
            f"error     PSNR {mean:.2f} dB over {len(self.psnr)} views, {worst:.2f} dB the worst, "
            "against the pictures before",
        ]
