"""Flushes files before they are renamed, so that a power cut leaves the old or the new content.

A renaming may reach the disk before the bytes of the file that was renamed; after a power cut an
empty file then has the right name. So the bytes go first, then the name, then the folder that
holds it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from plenostream.process.leftovers import temporary_file

__all__ = ["flush_file", "flush_folder", "flush_tree", "replace", "try_folder", "write_atomically"]

_NO_FLUSHING = {errno.EINVAL, errno.ENOTSUP}
"""What file systems say that have nothing to flush there: pipes, some network and FUSE mounts."""


def flush_file(path: str | os.PathLike[str]) -> None:
    """Wait until the bytes of the file `path` are on the disk.

    Raises
    ------
    OSError : the disk is full or fails, which some file systems say only now.
    """
    _flush(path, os.O_RDONLY)


def flush_folder(path: str | os.PathLike[str]) -> None:
    """Wait until the names in the folder `path` are on the disk; what they name is not flushed.

    Raises
    ------
    OSError : as for `flush_file`.
    """
    _flush(path, os.O_RDONLY | os.O_DIRECTORY)


def replace(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give `source`, a file or a folder of flushed files, the name `target`, durably.

    A file that is at `target` is replaced, as by `os.replace`: `target` is the old one or the new
    one at every moment, also when the power fails.

    Raises
    ------
    OSError : the disk is full or fails, or the system does not allow the renaming.
    """
    _flush(source, os.O_RDONLY)
    os.replace(source, target)
    flush_folder(os.path.dirname(os.path.abspath(target)))


def try_folder(folder: str | os.PathLike[str]) -> None:
    """Find out whether a file can be written in `folder`: one is made, and removed.

    Permissions alone say nothing of disks that are full or read only.

    Raises
    ------
    OSError : what the system says against it.
    """
    path = Path(folder, f".{secrets.token_hex(6)}.part")
    with temporary_file(path):
        try:
            with open(path, "xb", buffering=0) as file:
                # On a full disk an empty file can still be made.
                file.write(bytes(4096))
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _flush(path: str | os.PathLike[str], flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Make `path` hold `content`, or leave it as it was: never in between."""
    aside = path.with_name(path.name + ".new")
    aside.write_bytes(content)
    replace(aside, path)


def flush_tree(folder: Path) -> None:
    """Wait until everything below and in `folder` is on the disk: files, then the folders' names."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            flush_file(os.path.join(place, name))
        flush_folder(place)
