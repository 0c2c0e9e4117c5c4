"""The sources of the kernels, and what says which of them a library was made from.

Standard library alone: the build of the package uses it, before there is anything else.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

__all__ = ["FOLDER", "digest", "library_name"]

FOLDER = Path(__file__).resolve().parent / "kernels"


def digest() -> str:
    """Changes with every file that the library and its callers have to agree on."""
    seen = hashlib.sha256()
    shared = [*sorted(FOLDER.glob("*.[ch]")), Path(__file__).with_name("structs.py")]
    for path in shared:
        seen.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return seen.hexdigest()[:16]


def library_name(platform: str = sys.platform) -> str:
    """File name of the library on a platform, as `sys.platform` calls it."""
    ending = {"win32": "dll", "darwin": "dylib"}.get(platform, "so")
    return f"kernels.{ending}"
