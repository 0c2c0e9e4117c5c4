"""Read all of a scene and say what is damaged; say what a scene is."""

from __future__ import annotations

from plenostream.verification.check import verify
from plenostream.verification.info import info_lines, scene_info
from plenostream.verification.report import Fault, VerifyReport

__all__ = ["Fault", "VerifyReport", "info_lines", "scene_info", "verify"]
