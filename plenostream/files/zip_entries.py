"""Reads the directory of an untrusted zip file: checked entries, and where their bytes lie.

`zipfile` reads the directory. Its own readers of entries are not used: they hide where the
bytes lie, hold a lock while they read, and unpack bzip2 and LZMA without a bound.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import zipfile
from collections.abc import Callable, Collection
from typing import IO, cast
from zipfile import ZipInfo

from plenostream.errors import shown

__all__ = ["Part", "ZipError", "entries_of", "header_bytes", "packed_offset", "read_entries"]

Part = Callable[[int, int], bytes]
"""Gives so many bytes of a file from an offset on; fewer at its end."""

_HEADER = struct.Struct("<4s5H3I2H")
"""What stands before an entry's name and bytes."""
_SPARE_EXTRA = 36
"""Bytes that an entry's own header may have more than the directory says: times, mostly."""
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_UTF8 = 0x800
_DIRECTORY_ERRORS = (
    zipfile.BadZipFile,
    NotImplementedError,
    ValueError,
    OverflowError,
    struct.error,
)
"""What `zipfile` raises on a directory that makes no sense."""


class ZipError(ValueError):
    """A zip file that is broken, or made to do harm; says what is wrong with which entry."""


_LONGEST_END = zipfile.ZIP_MAX_COMMENT + 22
"""Bytes behind a directory: its end record and a comment, which Python reads at once from 3.14 on."""


class _BoundedFile(io.RawIOBase):
    """A file of which only so much is read at a time: `zipfile` holds directories of any length."""

    def __init__(self, part: Part, n_bytes: int, at_most: int) -> None:
        self._part, self._n_bytes = part, n_bytes
        self._at = 0
        self._at_most = max(at_most, _LONGEST_END)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._n_bytes}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(0, self._n_bytes - self._at)
        wanted = left if size is None or size < 0 else size
        if wanted > self._at_most:
            raise zipfile.BadZipFile(
                f"its directory has {wanted} bytes, and {self._at_most} at most are possible"
            )
        blob = self._part(min(wanted, left), self._at)
        self._at += len(blob)
        return blob


def read_entries(
    path: str | os.PathLike[str], *, methods: Collection[int], directory_bytes: int
) -> dict[str, ZipInfo]:
    """The entries of the zip file `path`: see `entries_of`; also OSError where the system says no."""
    with open(path, "rb", buffering=0) as file:
        return entries_of(
            lambda n_bytes, at: os.pread(file.fileno(), n_bytes, at),
            os.fstat(file.fileno()).st_size,
            methods=methods,
            directory_bytes=directory_bytes,
        )


def entries_of(
    part: Part, file_bytes: int, *, methods: Collection[int], directory_bytes: int
) -> dict[str, ZipInfo]:
    """The entries of a zip file, by name and in the order of their bytes; none is read.

    Parameters
    ----------
    part, file_bytes : what gives bytes of the file, and how many there are
    methods : of compression that entries may have, such as `zipfile.ZIP_STORED`
    directory_bytes : the most that the directory may have, 65,557 at least; each 46 of them may
        become an entry

    Raises
    ------
    ZipError : no zip file, cut off, or with an entry that nobody would make in good faith.
    """
    bounded = cast("IO[bytes]", _BoundedFile(part, file_bytes, directory_bytes))
    try:
        with zipfile.ZipFile(bounded) as archive:
            infos = archive.infolist()
    except _DIRECTORY_ERRORS as error:
        raise ZipError(str(error)) from error
    entries: dict[str, ZipInfo] = {}
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        name = shown(info.orig_filename)
        if info.flag_bits & _ENCRYPTED:
            raise ZipError(f"{name} in it is encrypted")
        if info.compress_type not in methods:
            raise ZipError(
                f"{name} in it is compressed with method {info.compress_type}, which is not read here"
            )
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise ZipError(f"{name} in it is stored as it is, and has two different sizes")
        # Entries that share bytes are how a small file holds a very large one.
        if info.header_offset < end:
            raise ZipError(f"{name} in it overlaps another entry, or begins before the file")
        end = info.header_offset + _HEADER.size + info.compress_size
        if end > file_bytes:
            raise ZipError(
                f"{name} in it reaches beyond the end of the file: to byte {end} of {file_bytes}"
            )
        if info.orig_filename in entries:
            raise ZipError(f"{name} is in it twice; which one is meant is unknown")
        entries[info.orig_filename] = info
    return entries


def packed_offset(read: Part, entry: ZipInfo) -> int:
    """Where the packed bytes of an entry begin; its own header is held against the directory.

    Raises
    ------
    ZipError : they contradict each other.
    """
    fixed = read(_HEADER.size, entry.header_offset)
    if len(fixed) != _HEADER.size or not fixed.startswith(b"PK\x03\x04"):
        raise ZipError("its zip entry has no header")
    _, _, flags, method, *_, n_name, n_extra = _HEADER.unpack(fixed)
    raw = read(n_name, entry.header_offset + _HEADER.size)
    name = raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
    if name != entry.orig_filename or method != entry.compress_type or flags & _ENCRYPTED:
        raise ZipError("its zip entry and the zip file's directory contradict each other")
    return entry.header_offset + _HEADER.size + int(n_name) + int(n_extra)


def header_bytes(entry: ZipInfo) -> int:
    """The bytes that most likely stand before an entry's own: nobody knows before they are read."""
    return _HEADER.size + len(entry.orig_filename.encode()) + len(entry.extra) + _SPARE_EXTRA
