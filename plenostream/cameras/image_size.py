"""Width and height of PNG and JPEG pictures, read from their headers alone."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

__all__ = ["read_image_size"]

_PNG = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers: C0 to CF without the three that mean something else.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read_image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) in pixels of a picture; None where no such picture can be read."""
    try:
        # Only plain files: names come from camera files, and a pipe would block.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(24)
            if head.startswith(_PNG) and head[12:16] == b"IHDR":
                width, height = struct.unpack(">II", head[16:24])
                return width, height
            if head.startswith(b"\xff\xd8"):
                file.seek(2)
                return _jpeg_size(file)
    except (OSError, ValueError, struct.error):
        # Not there, not ours to read, cut short: the same as having no picture.
        return None
    return None


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    """Size in the first start-of-frame segment; `file` stands after the start of the image."""
    while True:
        marker, kind, n_bytes = struct.unpack(">BBH", file.read(4))
        if marker != 0xFF or n_bytes < 2:
            return None
        if kind in _JPEG_FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(n_bytes - 2, os.SEEK_CUR)
