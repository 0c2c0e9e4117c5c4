"""Converts svox2 checkpoints into scenes; the only package that imports dask."""

from __future__ import annotations

from plenostream.conversion.report import ConvertReport
from plenostream.conversion.run import Progress, convert

__all__ = ["ConvertReport", "Progress", "convert"]
