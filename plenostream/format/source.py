"""Where a scene's bytes come from: a folder or a zip file, behind one small interface.

Keys are those of Zarr, with slashes: ``rows/sh/c/3/0``. Sources of other machines are in `remote`.
"""

from __future__ import annotations

import os
import stat
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from plenostream.errors import BrickCorrupt, StoreError, StoreFormat, StoreNotFound, shown
from plenostream.files.paths import file_kind, local_path
from plenostream.files.zip_entries import Part, ZipError, entries_of, packed_offset

__all__ = [
    "ByteSource",
    "FolderSource",
    "SourceWithin",
    "ZipSource",
    "local_source",
    "scene_entries",
    "unpacked",
]


class ByteSource(Protocol):
    """Bytes by key. Every method may be called by several threads at once."""

    most_at_once: int
    """The most that `n_at_once` can become."""
    n_attempts: int
    """How often to read what turns out to be damaged: more than once where it may be the way here
    that damaged it."""

    @property
    def n_at_once(self) -> int:
        """Reads that are worth having under way at once, beside those that are being decoded, as far
        as is known by now: 0 where nobody waits for an answer."""
        ...

    def read(self, key: str, *, at_most: int) -> bytes:
        """All bytes of `key`; nothing is allocated for one that has more than `at_most`.

        Raises
        ------
        KeyError : there is nothing at this key.
        BrickCorrupt : the bytes cannot be those that were written (it names no array: the caller
            knows that).
        OSError : the system says no.
        """
        ...

    def size(self, key: str) -> int:
        """Bytes that `read` would give; KeyError where there is nothing."""
        ...

    def forget(self, key: str) -> None:
        """Keep nothing of `key`, which was found damaged: the next `read` is to come from afar."""
        ...

    def close(self) -> None:
        """Give back what the source holds open."""
        ...


def local_source(path: str | os.PathLike[str]) -> FolderSource | ZipSource:
    """The source for a folder or a zip file of a folder's content.

    Raises
    ------
    InvalidInput : no path, a URL. StoreNotFound : there is nothing at `path`.
    StoreFormat : a file that is no zip file, or one that is broken or hostile.
    """
    place = local_path(path, what="scene")
    try:
        mode = place.stat().st_mode
        if stat.S_ISDIR(mode):
            return FolderSource(place)
        if stat.S_ISREG(mode):
            return ZipSource(place)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreNotFound(f"there is no scene at {place}: no such file or folder") from error
    except OSError as error:
        raise StoreFormat(f"{place} cannot be opened: {error.strerror}") from error
    raise StoreFormat(f"{place} is {file_kind(mode)}; a scene is a folder or a zip file")


class SourceWithin:
    """What lies below a key of another source, which stays open: a group of a scene."""

    def __init__(self, source: ByteSource, prefix: str) -> None:
        """Take a prefix that ends with a slash."""
        self._source, self._prefix = source, prefix
        self.most_at_once, self.n_attempts = source.most_at_once, source.n_attempts

    @property
    def n_at_once(self) -> int:
        """See `ByteSource`."""
        return self._source.n_at_once

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        return self._source.read(self._prefix + key, at_most=at_most)

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        return self._source.size(self._prefix + key)

    def forget(self, key: str) -> None:
        """See `ByteSource.forget`."""
        self._source.forget(self._prefix + key)

    def close(self) -> None:
        """Whoever opened the other source closes it."""


class FolderSource:
    """A folder on a local disk."""

    most_at_once, n_at_once, n_attempts = 0, 0, 1

    def __init__(self, path: Path) -> None:
        self._root = path

    def _find(self, key: str) -> tuple[str, int]:
        path = os.path.join(self._root, *key.split("/"))
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise KeyError(key) from None
        # Opening a pipe or a device would wait or never end.
        if not stat.S_ISREG(status.st_mode):
            raise BrickCorrupt("it is not a file")
        return path, status.st_size

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        path, size = self._find(key)
        _refuse_long(size, at_most)
        with open(path, "rb", buffering=0) as file:
            blob = file.read(size)
        if blob is None or len(blob) != size:
            raise BrickCorrupt(f"the file has {size} bytes, but fewer could be read")
        return blob

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        return self._find(key)[1]

    def keys(self) -> Iterator[str]:
        """All keys, in no particular order."""
        for folder, _, names in os.walk(self._root):
            prefix = Path(folder).relative_to(self._root)
            yield from ((prefix / name).as_posix() for name in names)

    def forget(self, key: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held open."""


_MOST_DIRECTORY_BYTES = 64 << 20
"""Of a zip file's directory: entries of 800,000 chunks."""


class ZipSource:
    """A zip file of a scene folder's content; entries stored as they are, or deflated.

    `zipfile` reads the directory; entries are read here, since its own reader allocates what an
    entry inflates to before anyone can look at it, and takes a lock while it inflates.
    """

    most_at_once, n_at_once, n_attempts = 0, 0, 1

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._lock = threading.Lock()
        try:
            self._entries = scene_entries(
                self._part, os.fstat(self._file.fileno()).st_size, where=str(path)
            )
        except StoreFormat:
            self._file.close()
            raise

    def read(self, key: str, *, at_most: int) -> bytes:
        """See `ByteSource.read`."""
        return unpacked(self._entries[key], at_most, self._packed)

    def _packed(self, entry: zipfile.ZipInfo) -> bytes:
        """Bytes of an entry as they lie in the file, its local header checked."""
        with self._lock:
            if self._file.closed:
                raise StoreError("the scene is closed")
            try:
                offset = packed_offset(self._part, entry)
            except ZipError as error:
                raise BrickCorrupt(str(error)) from error
            packed = self._part(entry.compress_size, offset)
        if len(packed) != entry.compress_size:
            raise BrickCorrupt("the zip file ends within its entry")
        return packed

    def _part(self, n_bytes: int, at: int) -> bytes:
        # Not by the file's own position, which a forked child shares.
        return os.pread(self._file.fileno(), n_bytes, at)

    def size(self, key: str) -> int:
        """See `ByteSource.size`."""
        return self._entries[key].file_size

    def keys(self) -> Iterator[str]:
        """All keys, in no particular order."""
        return iter(self._entries)

    def forget(self, key: str) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Close the file, between two reads."""
        with self._lock:
            self._file.close()


def _refuse_long(size: int, at_most: int) -> None:
    if size > at_most:
        raise BrickCorrupt(f"it has {size} bytes, and {at_most} at most are possible")


def scene_entries(part: Part, file_bytes: int, *, where: str) -> dict[str, zipfile.ZipInfo]:
    """The files of a scene in a zip file, by key; StoreFormat where it is broken or hostile."""
    try:
        entries = entries_of(
            part,
            file_bytes,
            methods=(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED),
            directory_bytes=_MOST_DIRECTORY_BYTES,
        )
        _check_names(entries)
    except ZipError as error:
        raise StoreFormat(f"{where} is not a scene in a zip file: {error}") from error
    return {name: e for name, e in entries.items() if not name.endswith("/")}


def unpacked(
    entry: zipfile.ZipInfo, at_most: int, packed_of: Callable[[zipfile.ZipInfo], bytes]
) -> bytes:
    """The bytes of an entry, from what lies in the zip file; BrickCorrupt as `ByteSource.read`."""
    _refuse_long(entry.file_size, at_most)
    # Deflate adds five bytes to each 16 kB that it cannot shrink: more than this is a lie.
    _refuse_long(entry.compress_size, at_most + at_most // 1024 + 1024)
    packed = packed_of(entry)
    if entry.compress_type == zipfile.ZIP_STORED:
        blob = packed
    else:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            blob = inflater.decompress(packed, entry.file_size + 1)
        except zlib.error as error:
            raise BrickCorrupt(f"its zip entry does not inflate: {error}") from error
        if len(blob) != entry.file_size or not inflater.eof:
            raise BrickCorrupt(f"its zip entry does not inflate to {entry.file_size} bytes")
    if zlib.crc32(blob) != entry.CRC:
        raise BrickCorrupt("its zip entry does not match its checksum")
    return blob


def _check_names(entries: dict[str, zipfile.ZipInfo]) -> None:
    """Refuse (ZipError) names that no file of a scene's folder has."""
    for name, entry in entries.items():
        parts = name.removesuffix("/").split("/")
        if any(p in ("", ".", "..") or "\\" in p or ":" in p or "\0" in p for p in parts):
            raise ZipError(f"the name {shown(name)} in it leads out of the folder")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ZipError(f"{shown(name)} in it is a link")
