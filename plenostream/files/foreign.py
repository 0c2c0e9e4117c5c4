"""Writes files with libraries that take a name instead of a file, and hide errors of writing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from plenostream.files.atomic import AsideFile
from plenostream.process.leftovers import temporary_folder

__all__ = ["copy_written"]


def copy_written(write: Callable[[str], Any], file: AsideFile, *, ending: str) -> Any:
    """Let `write` write to a name with this `ending`, copy what it wrote to `file`; its result.

    It writes to memory, where no disk is full, and the copy's errors are seen. Takes as many bytes
    as the file has.
    """
    descriptor = os.memfd_create("plenostream")
    with (
        os.fdopen(descriptor, "rb") as memory,
        tempfile.TemporaryDirectory(prefix="plenostream-") as folder,
        temporary_folder(folder),
    ):
        name = os.path.join(folder, f"file{ending}")
        os.symlink(f"/proc/self/fd/{descriptor}", name)
        result = write(name)
        memory.seek(0)
        shutil.copyfileobj(memory, file, 1 << 20)
    return result
