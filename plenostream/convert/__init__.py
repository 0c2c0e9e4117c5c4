"""Converts svox2 checkpoints into scenes; the only package that imports dask."""

from __future__ import annotations

from plenostream.convert.report import ConvertReport
from plenostream.convert.run import Progress, convert

__all__ = ["ConvertReport", "Progress", "convert"]
