"""Files that the tests of cameras write."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np

__all__ = ["ANGLE", "IDENTITY", "write_json", "write_png_header"]

IDENTITY = np.eye(4).tolist()
ANGLE = 0.6911112070083618
"""`camera_angle_x` of the NeRF-synthetic files."""


def write_json(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def write_png_header(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height))
